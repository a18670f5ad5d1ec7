/* SPDX-License-Identifier: MIT */
/*
 * tests/memory/test_interleave.c - who tells of bandwidths is heard in turn, and half a tale is none
 *
 * Nodes 0, 1 and 3 have memory, node 2 has none; their files of /sys are in a folder.
 */
#include <check.h>
#include <stdio.h>

#include "memory/interleave.h"
#include "tests/base/described.h"
#include "tests/suite.h"

static const struct topology topology = {
	.node_count = 4,
	.nodes = { { .node = 0, .has_memory = true }, { .node = 1, .has_memory = true },
		   { .node = 2 }, { .node = 3, .has_memory = true } },
};

static void kernel_put(const char *node_0, const char *node_1, const char *node_3)
{
	described_put("/sys/kernel/mm/mempolicy/weighted_interleave/node0", node_0);
	described_put("/sys/kernel/mm/mempolicy/weighted_interleave/node1", node_1);
	described_put("/sys/kernel/mm/mempolicy/weighted_interleave/node3", node_3);
}

static void hmat_put(int node, const char *bandwidth)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/access0/initiators/read_bandwidth",
		 node);
	described_put(path, bandwidth);
}

static void assert_told(const uint32_t configured[TOPOLOGY_NODES_MAX], const char *wanted)
{
	struct interleave interleave = interleave_read(described_root, &topology, configured);
	char text[INTERLEAVE_TEXT_BYTES];

	ck_assert_str_eq(interleave_text(&interleave, text), wanted);
}

START_TEST(where_nobody_tells_all_are_the_same)
{
	const uint32_t silent[TOPOLOGY_NODES_MAX] = { 0 };

	assert_told(NULL, "0:1 1:1 3:1 (equal)");
	assert_told(silent, "0:1 1:1 3:1 (equal)");
}
END_TEST

START_TEST(the_firmware_is_heard_where_it_tells_of_each_node)
{
	hmat_put(0, "204800\n");
	hmat_put(1, "204800\n");
	assert_told(NULL, "0:1 1:1 3:1 (equal)");
	hmat_put(3, "0\n");
	assert_told(NULL, "0:1 1:1 3:1 (equal)");
	hmat_put(3, "kB/s\n");
	assert_told(NULL, "0:1 1:1 3:1 (equal)");
	hmat_put(3, "51200\n");
	assert_told(NULL, "0:4 1:4 3:1 (HMAT)");
	hmat_put(3, "204800\n");
	assert_told(NULL, "0:1 1:1 3:1 (HMAT)");
}
END_TEST

START_TEST(the_kernel_is_heard_before_it_where_somebody_has_told_it)
{
	hmat_put(0, "4\n");
	hmat_put(1, "4\n");
	hmat_put(3, "1\n");
	kernel_put("1\n", "1\n", "1\n");
	assert_told(NULL, "0:4 1:4 3:1 (HMAT)");
	kernel_put("6\n", "3\n", "1\n");
	assert_told(NULL, "0:6 1:3 3:1 (kernel)");
	ck_assert_int_eq(topology.nodes[2].has_memory, false);
}
END_TEST

START_TEST(the_config_is_heard_first_and_whom_it_leaves_out_takes_no_part)
{
	const uint32_t all[TOPOLOGY_NODES_MAX] = { 300, 300, 0, 60 };
	const uint32_t some[TOPOLOGY_NODES_MAX] = { 0, 7, 7, 7 }; /* node 2 has no memory */
	const uint32_t gone[TOPOLOGY_NODES_MAX] = { [2] = 10, [9] = 10 };
	const uint32_t wide[TOPOLOGY_NODES_MAX] = { 4000000000U, 1, 0, 2000000000U };

	kernel_put("6\n", "3\n", "1\n");
	assert_told(all, "0:5 1:5 3:1 (config)");
	assert_told(some, "1:1 3:1 (config)");
	assert_told(gone, "0:6 1:3 3:1 (kernel)");
	assert_told(wide, "0:65534 1:1 3:32767 (config)");
}
END_TEST

START_TEST(a_machine_whose_nodes_have_no_memory_has_no_proportion)
{
	const struct topology none = { .node_count = 1 };
	struct interleave interleave = interleave_read(described_root, &none, NULL);

	ck_assert_uint_eq(interleave.place.nodes, 0);
	ck_assert_str_eq(interleave.source, "equal");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("interleave");
	TCase *sources = tcase_create("sources");

	tcase_add_checked_fixture(sources, described_make, described_remove);
	tcase_add_test(sources, where_nobody_tells_all_are_the_same);
	tcase_add_test(sources, the_firmware_is_heard_where_it_tells_of_each_node);
	tcase_add_test(sources, the_kernel_is_heard_before_it_where_somebody_has_told_it);
	tcase_add_test(sources, the_config_is_heard_first_and_whom_it_leaves_out_takes_no_part);
	tcase_add_test(sources, a_machine_whose_nodes_have_no_memory_has_no_proportion);
	suite_add_tcase(suite, sources);
	return suite_run(suite);
}
