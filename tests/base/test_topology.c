/* SPDX-License-Identifier: MIT */
/* tests/base/test_topology.c - a described machine, and the one that runs the test */

#include <check.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/topology.h"
#include "tests/base/described.h"
#include "tests/suite.h"

static void two_nodes_put(void)
{
	described_put("/sys/devices/system/cpu/online", "0-3,8\n");
	described_put("/sys/devices/system/node/online", "0,2\n");
	described_put("/sys/devices/system/node/node0/cpulist", "0-3,8\n");
	described_put("/sys/devices/system/node/node0/meminfo",
		      "Node 0 MemTotal:        1000 kB\nNode 0 MemFree:          300 kB\n"
		      "Node 0 Active(file):      40 kB\nNode 0 Inactive(file):    20 kB\n"
		      "Node 0 FilePages:        500 kB\nNode 0 SReclaimable:       5 kB\n");
	described_put("/sys/devices/system/node/node0/hugepages/hugepages-1048576kB/nr_hugepages",
		      "1\n");
	described_put("/sys/devices/system/node/node0/hugepages/hugepages-1048576kB/free_hugepages",
		      "0\n");
	described_put("/sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages",
		      "64\n");
	described_put("/sys/devices/system/node/node0/hugepages/hugepages-2048kB/free_hugepages",
		      "60\n");
	described_put("/sys/devices/system/node/node2/cpulist", "\n");
	described_put("/sys/devices/system/node/node2/meminfo",
		      "Node 2 MemTotal:        2000 kB\nNode 2 MemFree:         1000 kB\n");
	described_put("/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
}

START_TEST(nodes_cores_and_pools_are_read)
{
	struct topology topology;
	const struct topology_node *node;

	two_nodes_put();
	ck_assert_int_eq(topology_read_below(described_root, &topology), 0);
	ck_assert_uint_eq(topology.core_count, 5);
	ck_assert_uint_eq(topology.node_count, 2);
	ck_assert_str_eq(topology.thp, "madvise");
	node = topology_node(&topology, 0);
	ck_assert_uint_eq(node->core_count, 5);
	ck_assert_uint_eq(node->memory_bytes, 1000 * 1024);
	ck_assert_uint_eq(node->available_bytes, 365 * 1024);
	ck_assert_uint_eq(node->pool_count, 2);
	ck_assert_uint_eq(node->pools[0].page_bytes, 2 << 20);
	ck_assert_uint_eq(topology_pool(node, 2 << 20)->total_pages, 64);
	ck_assert_uint_eq(topology_pool(node, 2 << 20)->free_pages, 60);
	ck_assert_uint_eq(topology_pool(node, 1 << 30)->total_pages, 1);
	ck_assert_ptr_null(topology_pool(node, 65536));
	ck_assert_uint_eq(topology_pools(&topology, 0, 2 << 20).total_pages, 64);
	ck_assert_uint_eq(topology_pools(&topology, -1, 2 << 20).free_pages, 60);
	ck_assert_uint_eq(topology_pools(&topology, 2, 2 << 20).total_pages, 0);
	node = topology_node(&topology, 2);
	ck_assert_uint_eq(node->core_count, 0);
	ck_assert(node->has_memory);
	ck_assert_uint_eq(node->pool_count, 0);
	ck_assert_ptr_null(topology_node(&topology, 1));
	ck_assert_uint_eq(topology_available(&topology, 0), 365 * 1024);
	ck_assert_uint_eq(topology_available(&topology, 2), 1000 * 1024);
	ck_assert_uint_eq(topology_available(&topology, -1), 1365 * 1024);
	ck_assert_uint_eq(topology_available(&topology, 7), 0);
}
END_TEST

START_TEST(tightest_level_of_the_control_group_counts)
{
	struct topology topology;

	two_nodes_put();
	described_put("/proc/self/cgroup", "4:memory:/old\n0::/a.slice/b.service\n");
	described_put("/sys/fs/cgroup/a.slice/cpu.max", "150000 100000\n");
	described_put("/sys/fs/cgroup/a.slice/b.service/cpu.max", "max 100000\n");
	described_put("/sys/fs/cgroup/a.slice/memory.max", "max\n");
	described_put("/sys/fs/cgroup/a.slice/b.service/memory.max", "200000\n");
	described_put("/sys/fs/cgroup/a.slice/b.service/memory.current", "150000\n");
	described_put("/sys/fs/cgroup/a.slice/b.service/memory.stat",
		      "anon 1000\ninactive_file 20000\nactive_file 30000\n");
	ck_assert_int_eq(topology_read_below(described_root, &topology), 0);
	ck_assert(topology.quota_cores == 1.5);
	ck_assert_uint_eq(topology.group_available_bytes, 100000);
	ck_assert_uint_eq(topology_available(&topology, 2), 100000);
	topology.allowed_core_count = 4;
	ck_assert(topology_cores(&topology) == 1.5);
	topology.allowed_core_count = 1;
	ck_assert(topology_cores(&topology) == 1);
}
END_TEST

START_TEST(group_without_limits_has_none)
{
	struct topology topology;

	two_nodes_put();
	described_put("/proc/self/cgroup", "0::/\n");
	ck_assert_int_eq(topology_read_below(described_root, &topology), 0);
	ck_assert(topology.quota_cores == 0);
	ck_assert(topology.group_available_bytes == TOPOLOGY_UNLIMITED);
	topology.allowed_core_count = 3;
	ck_assert(topology_cores(&topology) == 3);
}
END_TEST

START_TEST(kernel_without_numa_is_one_node)
{
	struct topology topology;

	described_put("/sys/devices/system/cpu/online", "0-1\n");
	described_put("/proc/meminfo", "MemTotal: 500 kB\nMemFree: 100 kB\nMemAvailable: 200 kB\n");
	described_put("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "3\n");
	described_put("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "2\n");
	ck_assert_int_eq(topology_read_below(described_root, &topology), 0);
	ck_assert_uint_eq(topology.node_count, 1);
	ck_assert_uint_eq(topology.nodes[0].core_count, 2);
	ck_assert_uint_eq(topology_available(&topology, 0), 200 * 1024);
	ck_assert_uint_eq(topology_pool(&topology.nodes[0], 2 << 20)->free_pages, 2);
	ck_assert_str_eq(topology.thp, "");
}
END_TEST

START_TEST(machine_without_sys_is_refused_with_the_file_named)
{
	struct topology topology;

	ck_assert_int_eq(topology_read_below("/nowhere", &topology), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err_message(), "/nowhere/sys/devices/system/cpu/online"));
}
END_TEST

START_TEST(this_machine_agrees_with_sysconf)
{
	struct topology topology;

	ck_assert_int_eq(topology_read(&topology), 0);
	ck_assert_uint_eq(topology.core_count, (uint32_t)sysconf(_SC_NPROCESSORS_ONLN));
	ck_assert_uint_ge(topology.allowed_core_count, 1);
	ck_assert_uint_le(topology.allowed_core_count, topology.core_count);
	ck_assert_uint_ge(topology.node_count, 1);
	ck_assert_uint_gt(topology_available(&topology, -1), 0);
	ck_assert(topology_cores(&topology) > 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("topology");
	TCase *tcase = tcase_create("topology");

	tcase_add_checked_fixture(tcase, described_make, described_remove);
	tcase_add_test(tcase, nodes_cores_and_pools_are_read);
	tcase_add_test(tcase, tightest_level_of_the_control_group_counts);
	tcase_add_test(tcase, group_without_limits_has_none);
	tcase_add_test(tcase, kernel_without_numa_is_one_node);
	tcase_add_test(tcase, machine_without_sys_is_refused_with_the_file_named);
	tcase_add_test(tcase, this_machine_agrees_with_sysconf);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
