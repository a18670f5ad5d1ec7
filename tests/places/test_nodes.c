/* SPDX-License-Identifier: MIT */
/*
 * tests/places/test_nodes.c - on a machine of several nodes each kind of memory is where it should be
 *
 * What the daemon foresees and says is compared with the kernel's own count of the pages of each
 * mapping, /proc/PID/numa_maps. The machine is that of test_guest.sh: processors on nodes 0 and 1,
 * 256 MiB, half their bandwidth and no processor on node 2, 16 huge pages on each, and a fourth node
 * that has lost its memory.
 */
#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/topology.h"
#include "client/hearth.h"
#include "memory/place.h"
#include "memory/span.h"
#include "tests/model/onnx_writer.h"
#include "tests/system/appliance.h"
#include "tests/system/crowd.h"
#include "tests/system/zeros.h"

#define TIMEOUT_S 110
#define NODES 3
#define HUGE_BYTES (UINT64_C(2) << 20)
#define MIB (UINT64_C(1) << 20)

/* --- what the kernel says ----------------------------------------------------------------------------- */

struct count {
	uint64_t huge_bytes[NODES]; /* of mappings with a node of their own */
	uint64_t small_bytes[NODES];
	uint64_t lane_bytes[NODES]; /* of these: shared with clients */
	uint64_t strays;	    /* of these: pages that are on another one */
};

static void line_count(char *line, struct count *count)
{
	const char *kib = strstr(line, "kernelpagesize_kB=");
	uint64_t page_bytes = kib ? strtoull(kib + strlen("kernelpagesize_kB="), NULL, 10) * 1024 : 0;
	/* What is sealed has no node of its own any more, and its pages are where they were. */
	bool is_sealed = strstr(line, "file=/memfd:hearth-weights") != NULL;
	bool is_lane = !is_sealed && strstr(line, "file=/memfd:hearth") != NULL;
	int bound = -1;
	char *field;
	char *rest = NULL;

	for (field = strtok_r(line, " \n", &rest); field; field = strtok_r(NULL, " \n", &rest)) {
		uint64_t pages;
		int node;

		if (sscanf(field, "bind:%d", &bound) != 1)
			sscanf(field, "prefer:%d", &bound);
		if (sscanf(field, "N%d=%" SCNu64, &node, &pages) != 2 ||
		    (bound < 0 && !is_sealed))
			continue;
		ck_assert_int_lt(node, NODES);
		if (node != bound && !is_sealed)
			count->strays += pages;
		if (page_bytes == HUGE_BYTES)
			count->huge_bytes[node] += pages * page_bytes;
		else
			count->small_bytes[node] += pages * page_bytes;
		if (is_lane)
			count->lane_bytes[node] += pages * page_bytes;
	}
}

static struct count pages_count(const struct appliance *appliance)
{
	struct count count = { .strays = 0 };
	char path[64];
	char line[1024];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/numa_maps", (int)appliance->pid);
	file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file))
		line_count(line, &count);
	fclose(file);
	return count;
}

static cpu_set_t thread_cpus(const struct appliance *appliance, const char *name)
{
	cpu_set_t cpus;
	int tid;

	CPU_ZERO(&cpus);
	for (tid = (int)appliance->pid; tid < (int)appliance->pid + 64; tid++) {
		char path[64];
		char comm[32] = "";
		FILE *file;

		snprintf(path, sizeof(path), "/proc/%d/task/%d/comm", (int)appliance->pid, tid);
		file = fopen(path, "re");
		if (!file)
			continue;
		if (fgets(comm, sizeof(comm), file) && strncmp(comm, name, strlen(name)) == 0)
			ck_assert_int_eq(sched_getaffinity(tid, sizeof(cpus), &cpus), 0);
		fclose(file);
	}
	return cpus;
}

/* --- what the daemon says ----------------------------------------------------------------------------- */

/* Bytes of rows with this `use`, by node; `pages` NULL: of any. */
static void rows_count(const json_t *rows, const char *use, const char *pages, const char *bytes,
		       uint64_t by_node[NODES])
{
	size_t index;
	json_t *row;

	memset(by_node, 0, NODES * sizeof(by_node[0]));
	json_array_foreach(rows, index, row) {
		const char *its = json_string_value(json_object_get(row, "use"));
		json_int_t node = json_integer_value(json_object_get(row, "node"));

		if (!its || strcmp(its, use) != 0 || node < 0 || node >= NODES ||
		    (pages && strcmp(json_string_value(json_object_get(row, "pages")), pages) != 0))
			continue;
		by_node[node] += (uint64_t)json_integer_value(json_object_get(row, bytes));
	}
}

static json_t *foresee(const struct appliance *appliance, const char *model)
{
	char question[128];
	char text[APPLIANCE_TEXT_BYTES];
	json_t *rows;
	int r;

	snprintf(question, sizeof(question),
		 "{\"verb\": \"load\", \"model\": \"%s\", \"dry\": true}", model);
	r = appliance_ask(appliance->admin, question, &rows, text);
	ck_assert_msg(r == 0, "%s", text);
	return rows;
}

static bool is_foreseen_to_fit(const struct appliance *appliance, const char *model)
{
	json_t *rows = foresee(appliance, model);
	const json_t *fits =
		json_object_get(json_array_get(rows, json_array_size(rows) - 1), "fits");
	bool is_true = json_is_true(fits);

	ck_assert(is_true || json_is_false(fits));
	json_decref(rows);
	return is_true;
}

static void load(const struct appliance *appliance, const char *model)
{
	char text[APPLIANCE_TEXT_BYTES] = "";
	int r = appliance_change(appliance, "load", model, 0, text);

	ck_assert_msg(r == 0, "%s: %s", strerror(-r), text);
}

static bool has_nodes(void)
{
	struct topology topology;
	uint32_t index;

	ck_assert_int_eq(topology_read(&topology), 0);
	for (index = 0; index < NODES && index < topology.node_count; index++) {
		const struct topology_pool *pool =
			topology_pool(&topology.nodes[index], HUGE_BYTES);

		if (!pool || pool->free_pages < 16)
			break;
	}
	if (place_all(&topology).nodes == 0x7 && index == NODES)
		return true;
	printf("SKIP: not three nodes with 16 huge pages each\n");
	return false;
}

/* --- tests -------------------------------------------------------------------------------------------- */

/* Workers on node 1, weights with them, tables on the node that has no processor; and a second model
 * whose tables are on all. */
START_TEST(each_kind_lies_on_its_node_as_was_foreseen_and_no_page_elsewhere)
{
	static const char *const flags[] = { "--node", "1", NULL };
	uint64_t foreseen[NODES];
	struct appliance appliance;
	struct hearth *hearth;
	struct count before;
	struct count after;
	cpu_set_t cpus;
	json_t *rows;
	int node;

	if (!has_nodes())
		return;
	appliance_init(&appliance);
	zeros_save(&appliance, "apart", 8 * MIB);
	zeros_save(&appliance, "spread", 16 * MIB);
	appliance_write(appliance.config, "load = none\n"
					  "[model apart]\ntables = node 2\n"
					  "[model spread]\ntables = interleave\nweights = node 0\n");
	appliance_start(&appliance, flags);
	before = pages_count(&appliance);
	for (node = 0; node < NODES; node++)
		ck_assert_uint_eq(before.huge_bytes[node], 0); /* nothing is taken for nobody */

	rows = foresee(&appliance, "apart");
	rows_count(rows, "weights", "2M", "bytes", foreseen);
	ck_assert_uint_eq(foreseen[1], HUGE_BYTES);
	rows_count(rows, "tables", "2M", "bytes", foreseen);
	ck_assert_uint_eq(foreseen[2], 8 * MIB);
	json_decref(rows);
	load(&appliance, "apart");
	after = pages_count(&appliance);
	ck_assert_uint_eq(after.strays, 0);
	ck_assert_uint_eq(after.huge_bytes[0], 0);
	ck_assert_uint_ge(after.huge_bytes[1], HUGE_BYTES);
	ck_assert_uint_eq(after.huge_bytes[2], 8 * MIB);

	before = after;
	rows = foresee(&appliance, "spread");
	rows_count(rows, "tables", "2M", "bytes", foreseen);
	ck_assert_uint_eq(foreseen[0] + foreseen[1] + foreseen[2], 16 * MIB);
	ck_assert_uint_eq(foreseen[0], 8 * MIB); /* of eight pieces: 0 1 0 1 2 0 1 0 */
	ck_assert_uint_eq(foreseen[2], 2 * MIB);
	json_decref(rows);
	load(&appliance, "spread");
	after = pages_count(&appliance);
	ck_assert_uint_eq(after.strays, 0);
	ck_assert_uint_eq(after.huge_bytes[0] - before.huge_bytes[0], foreseen[0] + HUGE_BYTES);
	ck_assert_uint_eq(after.huge_bytes[2] - before.huge_bytes[2], foreseen[2]);
	ck_assert_uint_ge(after.huge_bytes[1] - before.huge_bytes[1], foreseen[1]);

	/* What a program shares is on the daemon's node, and so is the thread that serves it. */
	ck_assert_int_eq(hearth_open(appliance.socket, NULL, &hearth), 0);
	after = pages_count(&appliance);
	ck_assert_uint_eq(after.strays, 0);
	ck_assert_uint_gt(after.lane_bytes[1], 0);
	ck_assert_uint_eq(after.lane_bytes[0] + after.lane_bytes[2], 0);
	cpus = thread_cpus(&appliance, "hearth-data");
	ck_assert_int_eq(CPU_COUNT(&cpus), 1);
	ck_assert(CPU_ISSET(1, &cpus));
	hearth_close(hearth);

	rows = appliance_rows(&appliance, "mem");
	rows_count(rows, "weights", "2M", "resident_bytes", foreseen);
	ck_assert_uint_eq(foreseen[2], after.huge_bytes[2]);
	ck_assert_uint_eq(foreseen[0], after.huge_bytes[0]);
	json_decref(rows);
	appliance_close(&appliance);
}
END_TEST

/* When the daemon starts, and when it is asked to load. */
START_TEST(a_pool_that_is_short_is_left_alone_and_a_node_that_is_full_is_named)
{
	char text[APPLIANCE_TEXT_BYTES];
	struct appliance appliance;
	struct count before;
	struct count after;

	if (!has_nodes())
		return;
	appliance_init(&appliance);
	zeros_save(&appliance, "first", 34 * MIB); /* 17 pages, of which the node has 16 */
	zeros_save(&appliance, "large", 34 * MIB);
	zeros_save(&appliance, "vast", 1024 * MIB);
	appliance_write(appliance.config, "load = none\n"
					  "[model first]\ntables = node 2\nload = latest\n"
					  "[model large]\ntables = node 2\n"
					  "[model vast]\ntables = node 2\n");
	appliance_start(&appliance, NULL);
	before = pages_count(&appliance);
	ck_assert_uint_eq(before.strays, 0);
	ck_assert_uint_eq(before.huge_bytes[2], 0);
	ck_assert_uint_ge(before.small_bytes[2], 34 * MIB);
	load(&appliance, "large");
	after = pages_count(&appliance);
	ck_assert_uint_eq(after.strays, 0);
	ck_assert_uint_eq(after.huge_bytes[2], 0);
	ck_assert_uint_ge(after.small_bytes[2] - before.small_bytes[2], 34 * MIB);

	ck_assert(!is_foreseen_to_fit(&appliance, "vast"));
	ck_assert_int_eq(appliance_change(&appliance, "load", "vast", 0, text), -ENOMEM);
	ck_assert_msg(strstr(text, "node 2 cannot hold 1024.0 MiB: wanted 512 huge pages of 2 MiB, "
				   "got 16 free ones"), "%s", text);
	ck_assert_msg(strstr(text, "hearthctl unload MODEL"), "%s", text);
	ck_assert_uint_eq(appliance_number(&appliance, "models"), 2);
	appliance_close(&appliance);
}
END_TEST

/* --- workers on two nodes --------------------------------------------------------------------------- */

#define ROWS 64

/* y = x @ matrix, a file of zeros. */
static void wide_save(const struct appliance *appliance, const char *name, const char *shape,
		      const char *columns, uint64_t bytes)
{
	struct onnx_writer *writer = onnx_writer_new(13);
	char x[32];
	char y[32];
	char text[32];
	char path[64];

	snprintf(x, sizeof(x), "batch,%.*s", (int)strcspn(shape, ","), shape);
	snprintf(y, sizeof(y), "batch,%s", columns);
	snprintf(text, sizeof(text), "%" PRIu64, bytes);
	onnx_writer_input(writer, "x", DTYPE_F32, x);
	onnx_writer_external_words(writer, "matrix", DTYPE_F32, shape, "matrix.bin", "0", text);
	onnx_writer_node(writer, "MatMul", "x,matrix", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, y);
	appliance_save(appliance, name, writer);
	snprintf(path, sizeof(path), "%s/1/matrix.bin", name);
	zeros_write(appliance, path, bytes);
}

/* Rows of zeros, which workers share. */
static void batch_ask(const struct appliance *appliance, const char *model)
{
	const struct hearth_completion *completion;
	const struct hearth_model_info *info;
	struct hearth_request *request;
	struct hearth *hearth;
	uint32_t turn;

	ck_assert_int_eq(hearth_open(appliance->socket, NULL, &hearth), 0);
	ck_assert_int_eq(hearth_model(hearth, model, 0, &info), 0);
	for (turn = 0; turn < 4; turn++) {
		ck_assert_int_eq(hearth_acquire(hearth, info, ROWS, &request), 0);
		memset(request->inputs[0].data, 0, ROWS * sizeof(int64_t));
		ck_assert_int_eq(hearth_submit(hearth, request), 0);
		ck_assert_int_eq(hearth_wait(hearth, CROWD_PATIENCE_NS, &completion), 0);
		ck_assert_int_eq(completion->status, 0);
		ck_assert_int_eq(hearth_release(hearth, completion->id), 0);
	}
	hearth_close(hearth);
}

/* The thread that serves on node 1, a worker on node 0; tables where there is no processor. */
START_TEST(each_node_of_the_workers_has_a_replica_and_their_arenas)
{
	static const char *const flags[] = { "--node",	  "1",	 "--workers", "2", "--worker-nodes",
					     "0,1", NULL };
	uint64_t foreseen[NODES];
	uint64_t arenas[NODES];
	uint64_t told[NODES];
	struct appliance appliance;
	struct count before;
	struct count after;
	cpu_set_t cpus;
	json_t *rows;

	if (!has_nodes())
		return;
	appliance_init(&appliance);
	zeros_save(&appliance, "copied", 8 * MIB);
	appliance_write(appliance.config,
			"load = none\nweights = replicate\n[model copied]\ntables = node 2\n");
	appliance_start(&appliance, flags);
	before = pages_count(&appliance);

	rows = foresee(&appliance, "copied");
	rows_count(rows, "weights", "2M", "bytes", foreseen);
	ck_assert_uint_eq(foreseen[1], HUGE_BYTES);
	ck_assert_uint_eq(foreseen[0] + foreseen[2], 0);
	rows_count(rows, "replicas", "2M", "bytes", foreseen);
	ck_assert_uint_eq(foreseen[0], HUGE_BYTES);
	ck_assert_uint_eq(foreseen[1] + foreseen[2], 0);
	rows_count(rows, "activations", NULL, "bytes", arenas);
	ck_assert(arenas[0] > 0 && arenas[0] == arenas[1] && arenas[2] == 0);
	json_decref(rows);

	load(&appliance, "copied");
	batch_ask(&appliance, "copied");
	after = pages_count(&appliance);
	ck_assert_uint_eq(after.strays, 0);
	ck_assert_uint_ge(after.huge_bytes[0], HUGE_BYTES);
	ck_assert_uint_eq(after.huge_bytes[2], 8 * MIB);
	rows = appliance_rows(&appliance, "mem");
	rows_count(rows, "replicas", "2M", "resident_bytes", told);
	ck_assert_uint_eq(told[0], HUGE_BYTES);
	ck_assert_uint_eq(told[1] + told[2], 0);
	rows_count(rows, "activations", NULL, "resident_bytes", told);
	ck_assert(told[0] > 0 && told[0] == told[1] && told[2] == 0);
	ck_assert_uint_ge(after.huge_bytes[0] + after.small_bytes[0] - before.small_bytes[0],
			  HUGE_BYTES + told[0]);
	json_decref(rows);

	cpus = thread_cpus(&appliance, "hearth-data");
	ck_assert(CPU_COUNT(&cpus) == 1 && CPU_ISSET(1, &cpus));
	cpus = thread_cpus(&appliance, "hearth-work-1");
	ck_assert(CPU_COUNT(&cpus) == 1 && CPU_ISSET(0, &cpus));
	appliance_close(&appliance);
}
END_TEST

/* Another program has taken most of node 1. */
START_TEST(a_node_without_room_for_its_replica_is_named_before_a_weight_is_read)
{
	static const char *const flags[] = { "--node", "0", "--workers", "2", "--worker-nodes",
					     "all", "--rows-max", "64", NULL };
	char text[APPLIANCE_TEXT_BYTES];
	struct topology topology;
	struct appliance appliance;
	struct count before;
	struct count after;
	struct span taken;

	if (!has_nodes())
		return;
	ck_assert_int_eq(topology_read(&topology), 0);
	ck_assert_int_eq(span_map(topology_available(&topology, 1) - 40 * MIB, 1, 0, &taken), 0);
	appliance_init(&appliance);
	wide_save(&appliance, "wide", "4096,8192", "8192", 128 * MIB);
	appliance_write(appliance.config, "load = none\nweights = replicate\n");
	appliance_start(&appliance, flags);
	before = pages_count(&appliance);
	ck_assert(!is_foreseen_to_fit(&appliance, "wide"));
	ck_assert_int_eq(appliance_change(&appliance, "load", "wide", 0, text), -ENOMEM);
	ck_assert_msg(strstr(text, "a replica of its weights on node 1: node 1 cannot hold 128.0 MiB: "
				   "wanted 64 huge pages of 2 MiB, got 16 free ones"), "%s", text);
	ck_assert_msg(strstr(text, "`hearthctl mem` tells what has the rest"), "%s", text);
	after = pages_count(&appliance);
	ck_assert_uint_eq(after.huge_bytes[0], before.huge_bytes[0]);
	ck_assert_uint_eq(after.small_bytes[0], before.small_bytes[0]);

	span_unmap(&taken);
	ck_assert(is_foreseen_to_fit(&appliance, "wide"));
	appliance_close(&appliance);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("nodes");
	TCase *brief = tcase_create("brief"); /* on a slow machine, too: test_guest.sh */

	tcase_set_timeout(brief, TIMEOUT_S);
	tcase_add_test(brief, each_kind_lies_on_its_node_as_was_foreseen_and_no_page_elsewhere);
	tcase_add_test(brief, a_pool_that_is_short_is_left_alone_and_a_node_that_is_full_is_named);
	tcase_add_test(brief, each_node_of_the_workers_has_a_replica_and_their_arenas);
	tcase_add_test(brief, a_node_without_room_for_its_replica_is_named_before_a_weight_is_read);
	suite_add_tcase(suite, brief);
	return appliance_check(suite);
}
