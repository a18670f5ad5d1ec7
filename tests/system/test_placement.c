/* SPDX-License-Identifier: MIT */
/*
 * tests/system/test_placement.c - where a daemon's memory would lie, what would not fit, and what is
 * refused before a byte of a model is read
 */
#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "appliance.h"
#include "base/sanitized.h"
#include "client/hearth.h"
#include "crowd.h"
#include "rows.h"
#include "tests/model/onnx_writer.h"
#include "zeros.h"

#define TIMEOUT_S 60

static const char *const refused[][2] = {
	{ "--node", "63" },
	{ "--weights", "node 63" },
	{ "--tables", "node 63" },
	{ "--worker-nodes", "0,63" },
};

/* _i is an index into refused. */
START_TEST(a_node_that_is_offline_is_refused_at_the_start)
{
	const char *const flags[] = { refused[_i][0], refused[_i][1], NULL };
	struct appliance appliance;
	char text[APPLIANCE_TEXT_BYTES];

	appliance_init(&appliance);
	ck_assert_int_eq(appliance_refuse(&appliance, flags, text), 1);
	ck_assert_msg(strstr(text, "node 63 has no memory to bind to; the nodes with memory are: 0"),
		      "%s", text);
}
END_TEST

START_TEST(a_model_on_a_node_that_is_offline_fails_and_the_others_serve)
{
	struct appliance appliance;
	char text[APPLIANCE_TEXT_BYTES];

	appliance_init(&appliance);
	appliance_write(appliance.config, "weights = interleave\n"
					  "[model other]\n"
					  "load = none\n"
					  "tables = node 63\n");
	appliance_copy(&appliance, "tests/data/shoppers/repository/shoppers", "other");
	appliance_start(&appliance, NULL);
	ck_assert_int_eq(appliance_change(&appliance, "load", "other", 1, text), -EINVAL);
	ck_assert_msg(strstr(text, "node 63 has no memory to bind to"), "%s", text);
	ck_assert_uint_eq(appliance_number(&appliance, "models"), 1);
	appliance_close(&appliance);
}
END_TEST

START_TEST(one_copy_serves_workers_of_one_node_and_the_log_says_so_once)
{
	static const char *const flags[] = { "--worker-nodes", "one", NULL };
	struct appliance appliance;
	json_t *rows;

	appliance_init(&appliance);
	appliance_write(appliance.config, "weights = replicate\n[model shoppers]\nload = all\n");
	appliance_start(&appliance, flags);
	rows = appliance_rows(&appliance, "events");
	ck_assert_uint_eq(rows_saying(rows, "text", "one copy is all there is"), 1);
	json_decref(rows);
	rows = appliance_rows(&appliance, "mem");
	ck_assert_uint_eq(rows_saying(rows, "use", "replicas"), 0);
	json_decref(rows);
	appliance_close(&appliance);
}
END_TEST

/* --- dry runs ----------------------------------------------------------------------------------------- */

#define VAST_BYTES ((int64_t)1 << 40) /* more than this machine has */

static json_t *dry_rows(const struct appliance *appliance, const char *verb, const char *model,
			uint32_t version)
{
	char question[256];
	char text[APPLIANCE_TEXT_BYTES];
	json_t *rows;
	int r;

	snprintf(question, sizeof(question),
		 "{\"verb\": \"%s\", \"model\": \"%s\", \"version\": %u, \"dry\": true}", verb, model,
		 version);
	r = appliance_ask(appliance->admin, question, &rows, text);
	ck_assert_msg(r == 0, "%s", text);
	return rows;
}

static const json_t *verdict_of(const json_t *rows)
{
	return json_array_get(rows, json_array_size(rows) - 1);
}

START_TEST(a_dry_run_foresees_what_is_there_after_the_load_and_changes_nothing)
{
	struct appliance appliance;
	char text[APPLIANCE_TEXT_BYTES];
	json_t *before;
	json_t *after;
	json_t *rows;

	appliance_open(&appliance, NULL);
	before = appliance_rows(&appliance, "mem");
	rows = dry_rows(&appliance, "swap", "shoppers", 1);
	after = appliance_rows(&appliance, "mem");
	ck_assert_uint_eq(rows_sum(after, "mapped_bytes", "owner", "shoppers@1", NULL), 0);
	ck_assert_uint_eq(rows_sum(after, "mapped_bytes", "owner", "shoppers@2", NULL),
			  rows_sum(before, "mapped_bytes", "owner", "shoppers@2", NULL));
	ck_assert_uint_eq(appliance_number(&appliance, "models"), 1);
	json_decref(after);

	ck_assert_int_eq(json_is_true(json_object_get(verdict_of(rows), "fits")), 1);
	ck_assert_int_eq(json_integer_value(json_object_get(verdict_of(rows), "replaces")), 2);
	ck_assert_uint_eq(rows_sum(rows, "held_bytes", NULL),
			  rows_sum(before, "mapped_bytes", "owner", "shoppers@2", NULL));
	ck_assert_uint_eq(rows_sum(rows, "peak_bytes", NULL),
			  rows_sum(rows, "held_bytes", NULL) +
				  rows_sum(rows, "wanted_bytes", NULL));
	ck_assert_int_eq(appliance_change(&appliance, "load", "shoppers", 1, text), 0);
	after = appliance_rows(&appliance, "mem");
	ck_assert_uint_gt(rows_sum(rows, "bytes", "use", "weights", NULL), 0);
	ck_assert_uint_gt(rows_sum(rows, "bytes", "use", "tables", NULL), 0);
	ck_assert_uint_ge(rows_sum(rows, "bytes", "use", "weights", NULL) +
				  rows_sum(rows, "bytes", "use", "tables", NULL) +
				  rows_sum(rows, "bytes", "use", "batches", NULL) +
				  rows_sum(rows, "bytes", "use", "activations", NULL),
			  rows_sum(after, "mapped_bytes", "owner", "shoppers@1", NULL));
	json_decref(after);
	json_decref(before);
	json_decref(rows);
	appliance_close(&appliance);
}
END_TEST

static void vast_save(const struct appliance *appliance)
{
	struct onnx_writer *writer = onnx_writer_new(13);

	onnx_writer_input(writer, "ids", DTYPE_I64, "batch");
	onnx_writer_external_words(writer, "table", DTYPE_F32, "2147483648,128", "table.bin", "0",
				   "1099511627776");
	onnx_writer_node(writer, "Gather", "table,ids", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, "batch,128");
	appliance_save(appliance, "vast", writer);
	zeros_write(appliance, "vast/1/table.bin", (uint64_t)VAST_BYTES);
}

/* No weight is read: that would take hours. */
START_TEST(what_does_not_fit_is_foreseen_and_refused_with_what_mends_it)
{
	struct appliance appliance;
	char text[APPLIANCE_TEXT_BYTES];
	const char *lack;
	json_t *rows;

	appliance_init(&appliance);
	vast_save(&appliance);
	appliance_write(appliance.config, "[model vast]\nload = none\n");
	appliance_start(&appliance, NULL);
	rows = dry_rows(&appliance, "load", "vast", 1);
	ck_assert_uint_ge(rows_sum(rows, "bytes", "pages", "none", NULL), VAST_BYTES);
	ck_assert_uint_ge(rows_sum(rows, "wanted_bytes", "memory", "ordinary", NULL), VAST_BYTES);
	ck_assert(json_is_false(json_object_get(verdict_of(rows), "fits")));
	lack = json_string_value(json_object_get(verdict_of(rows), "lack"));
	/* One more for what is no table, which lies in memory of its own. */
	ck_assert_msg(strstr(lack, "wanted 524289 huge pages of 2 MiB, got ") &&
			      strstr(lack, "hearthctl unload MODEL"),
		      "%s", lack);

	ck_assert_int_eq(appliance_change(&appliance, "load", "vast", 1, text), -ENOMEM);
	ck_assert_msg(strstr(text, "wanted 524289 huge pages of 2 MiB, got "), "%s", text);
	ck_assert_uint_eq(appliance_number(&appliance, "models"), 1);
	json_decref(rows);
	appliance_close(&appliance);
}
END_TEST

START_TEST(cold_tables_are_foreseen_in_their_files)
{
	struct appliance appliance;
	json_t *rows;

	appliance_init(&appliance);
	vast_save(&appliance);
	appliance_write(appliance.config,
			"[model vast]\nload = none\ncold = yes\ncold_bytes = 9M\n");
	appliance_start(&appliance, NULL);
	rows = dry_rows(&appliance, "load", "vast", 1);
	ck_assert(json_is_true(json_object_get(verdict_of(rows), "fits")));
	ck_assert_uint_eq(rows_sum(rows, "bytes", "pages", "file", NULL), VAST_BYTES);
	ck_assert_uint_ge(rows_sum(rows, "bytes", "use", "tables", NULL), 8 << 20);
	ck_assert_uint_le(rows_sum(rows, "bytes", "use", "tables", NULL), 12 << 20);
	json_decref(rows);
	appliance_close(&appliance);
}
END_TEST

START_TEST(a_dry_run_of_what_is_not_there_or_broken_is_refused)
{
	static const char *const questions[] = {
		"{\"verb\": \"load\", \"model\": \"none\", \"dry\": true}",
		"{\"verb\": \"load\", \"model\": \"shoppers\", \"dry\": 1}",
		"{\"verb\": \"unload\", \"model\": \"shoppers\", \"dry\": true}",
		"{\"verb\": \"load\", \"model\": \"broken\", \"dry\": true}",
	};
	struct appliance appliance;
	char path[160];
	size_t index;

	appliance_init(&appliance);
	appliance_write(appliance.config, "[model broken]\nload = none\n");
	appliance_copy(&appliance, "tests/data/shoppers/repository/shoppers", "broken");
	snprintf(path, sizeof(path), "%s/broken/2/model.onnx", appliance.repository);
	appliance_write(path, "no model");
	appliance_start(&appliance, NULL);
	for (index = 0; index < sizeof(questions) / sizeof(questions[0]); index++)
		ck_assert_int_lt(appliance_ask(appliance.admin, questions[index], NULL, NULL), 0);
	ck_assert_uint_eq(appliance_number(&appliance, "models"), 1);
	appliance_close(&appliance);
}
END_TEST

/* --- a swap without room for both ---------------------------------------------------------------------- */

#define HEAVY_ROOM ((uint64_t)16 << 20)     /* what is left of it, for less than one table */

static void heavy_save(const struct appliance *appliance, uint32_t version, const char *rows,
		       const char *bytes)
{
	struct onnx_writer *writer = onnx_writer_new(13);
	char path[160];

	onnx_writer_input(writer, "ids", DTYPE_I64, "batch");
	onnx_writer_external_words(writer, "table", DTYPE_F32, rows, "table.bin", "0", bytes);
	onnx_writer_node(writer, "Gather", "table,ids", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, "batch,4");
	snprintf(path, sizeof(path), "%s/heavy", appliance->repository);
	ck_assert(mkdir(path, 0755) == 0 || errno == EEXIST);
	snprintf(path, sizeof(path), "%s/heavy/%u", appliance->repository, version);
	ck_assert_int_eq(mkdir(path, 0755), 0);
	ck_assert_int_eq(onnx_writer_save(writer, path), 0);
	onnx_writer_free(writer);
	snprintf(path, sizeof(path), "heavy/%u/table.bin", version);
	zeros_write(appliance, path, strtoull(bytes, NULL, 10));
}

/* Version 1 of `heavy` is served, and no mapping of the size of version 2 is to be had, which nobody
 * can foresee. */
static void heavy_open(struct appliance *appliance)
{
	struct rlimit limit;
	char path[64];
	char line[256];
	uint64_t kib = 0;
	FILE *file;

	appliance_init(appliance);
	heavy_save(appliance, 1, "16,4", "256");
	heavy_save(appliance, 2, "4194304,4", "67108864");
	appliance_write(appliance->config, "[model heavy]\nload = 1\n");
	appliance_start(appliance, NULL);
	snprintf(path, sizeof(path), "/proc/%d/status", (int)appliance->pid);
	file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file))
		sscanf(line, "VmSize: %" SCNu64, &kib);
	fclose(file);
	ck_assert_uint_gt(kib, 0);
	limit.rlim_cur = limit.rlim_max = kib * 1024 + HEAVY_ROOM;
	ck_assert_int_eq(prlimit(appliance->pid, RLIMIT_AS, &limit, NULL), 0);
}

static int drain(const struct appliance *appliance, const char *model, uint32_t version,
		 char text[APPLIANCE_TEXT_BYTES])
{
	char question[128];

	snprintf(question, sizeof(question),
		 "{\"verb\": \"swap\", \"model\": \"%s\", \"version\": %u, \"drain\": true}", model,
		 version);
	return appliance_ask(appliance->admin, question, NULL, text);
}

static const char *state_of(const struct appliance *appliance, const char *model, uint32_t version)
{
	static char text[64];
	json_t *rows = appliance_rows(appliance, "models");
	size_t index;
	json_t *row;

	text[0] = '\0';
	json_array_foreach(rows, index, row) {
		if (strcmp(json_string_value(json_object_get(row, "model")), model) == 0 &&
		    json_integer_value(json_object_get(row, "version")) == version)
			snprintf(text, sizeof(text), "%s%s",
				 json_string_value(json_object_get(row, "state")),
				 json_is_true(json_object_get(row, "current")) ? ", current" : "");
	}
	json_decref(rows);
	return text;
}

/* Its one row of four zeros, or the error. */
static int heavy_ask(const struct appliance *appliance)
{
	struct hearth_options options = { .size = sizeof(options),
					  .slots = 4,
					  .request_area_bytes = 65536,
					  .response_area_bytes = 65536 };
	const struct hearth_completion *completion;
	const struct hearth_model_info *info;
	struct hearth_request *request;
	struct hearth *hearth;
	int status;

	ck_assert_int_eq(hearth_open(appliance->socket, &options, &hearth), 0);
	status = hearth_model(hearth, "heavy", 0, &info);
	if (status == 0) {
		ck_assert_int_eq(hearth_acquire(hearth, info, 1, &request), 0);
		memset(request->inputs[0].data, 0, sizeof(int64_t));
		ck_assert_int_eq(hearth_submit(hearth, request), 0);
		ck_assert_int_eq(hearth_wait(hearth, CROWD_PATIENCE_NS, &completion), 0);
		status = completion->status;
		ck_assert_int_eq(hearth_release(hearth, completion->id), 0);
	}
	hearth_close(hearth);
	return status;
}

START_TEST(a_swap_that_does_not_fit_is_refused_and_told_to_drain)
{
	struct appliance appliance;
	char text[APPLIANCE_TEXT_BYTES];

	heavy_open(&appliance);
	ck_assert_int_eq(appliance_change(&appliance, "swap", "heavy", 2, text), -ENOMEM);
	ck_assert_msg(strstr(text, "or `hearthctl swap --drain heavy@2`, which lets heavy@1 go "
				   "first"), "%s", text);
	ck_assert_str_eq(state_of(&appliance, "heavy", 1), "serving, current");
	ck_assert_int_eq(heavy_ask(&appliance), 0);
	appliance_close(&appliance);
}
END_TEST

START_TEST(what_was_drained_is_loaded_again_when_its_heir_cannot_be)
{
	struct appliance appliance;
	char text[APPLIANCE_TEXT_BYTES];

	heavy_open(&appliance);
	ck_assert_int_eq(drain(&appliance, "heavy", 2, text), -ENOMEM);
	ck_assert_msg(strstr(text, "; heavy@1 is served again"), "%s", text);
	ck_assert_str_eq(state_of(&appliance, "heavy", 1), "serving, current");
	ck_assert_str_eq(state_of(&appliance, "heavy", 2), "failed");
	ck_assert_int_eq(heavy_ask(&appliance), 0);
	appliance_close(&appliance);
}
END_TEST

START_TEST(when_neither_can_be_loaded_the_error_tells_both_and_requests_end)
{
	struct appliance appliance;
	char text[APPLIANCE_TEXT_BYTES];
	char path[160];

	heavy_open(&appliance);
	snprintf(path, sizeof(path), "%s/heavy/1/model.onnx", appliance.repository);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(drain(&appliance, "heavy", 2, text), -ENOMEM);
	ck_assert_msg(strstr(text, "; and heavy@1, which went first, is not there again: "), "%s",
		      text);
	ck_assert_int_eq(heavy_ask(&appliance), -ENOENT);
	ck_assert_uint_eq(appliance_number(&appliance, "models"), 1);
	appliance_close(&appliance);
}
END_TEST

START_TEST(when_neither_can_be_loaded_another_version_answers)
{
	struct appliance appliance;
	char text[APPLIANCE_TEXT_BYTES];
	char path[160];

	heavy_open(&appliance);
	heavy_save(&appliance, 3, "16,4", "256");
	ck_assert_int_eq(appliance_change(&appliance, "load", "heavy", 3, text), 0);
	snprintf(path, sizeof(path), "%s/heavy/1/model.onnx", appliance.repository);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(drain(&appliance, "heavy", 2, text), -ENOMEM);
	ck_assert_str_eq(state_of(&appliance, "heavy", 3), "serving, current");
	ck_assert_int_eq(heavy_ask(&appliance), 0);
	appliance_close(&appliance);
}
END_TEST

static void drain_run(void *argument)
{
	char text[APPLIANCE_TEXT_BYTES] = "";
	int r = drain(argument, "heavy", 2, text);

	must(r == 0, "%s", text);
}

START_TEST(who_asks_for_the_model_while_it_is_drained_waits_for_the_next_version)
{
	struct appliance appliance;
	pid_t pid;

	appliance_init(&appliance);
	heavy_save(&appliance, 1, "16,4", "256");
	heavy_save(&appliance, 2, "16777216,4", "268435456"); /* that takes a while */
	appliance_write(appliance.config, "[model heavy]\nload = 1\n");
	appliance_start(&appliance, NULL);
	pid = crowd_start(drain_run, &appliance);
	await(strcmp(state_of(&appliance, "heavy", 1), "serving, current") != 0);
	ck_assert_int_eq(heavy_ask(&appliance), 0);
	ck_assert_str_eq(state_of(&appliance, "heavy", 2), "serving, current");
	crowd_finish(pid);
	appliance_close(&appliance);
}
END_TEST

START_TEST(nothing_is_drained_for_what_cannot_come)
{
	struct appliance appliance;
	char text[APPLIANCE_TEXT_BYTES];

	appliance_init(&appliance);
	heavy_save(&appliance, 1, "16,4", "256");
	heavy_save(&appliance, 2, "68719476736,4", "1099511627776");
	appliance_write(appliance.config, "[model heavy]\nload = 1\n");
	appliance_start(&appliance, NULL);
	ck_assert_int_eq(drain(&appliance, "heavy", 2, text), -ENOMEM);
	ck_assert_msg(strstr(text, "heavy@2 does not fit, even without heavy@1: "), "%s", text);
	ck_assert_int_eq(drain(&appliance, "heavy", 3, text), -ENOENT);
	ck_assert_str_eq(state_of(&appliance, "heavy", 1), "serving, current");
	ck_assert_int_eq(heavy_ask(&appliance), 0);
	ck_assert_int_eq(appliance_ask(appliance.admin,
				       "{\"verb\": \"load\", \"model\": \"heavy\", \"drain\": true}",
				       NULL, text), -EINVAL);
	appliance_close(&appliance);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("placement");
	TCase *swaps = tcase_create("swaps");
	TCase *nodes = tcase_create("nodes");
	TCase *dry = tcase_create("dry");

	tcase_set_timeout(nodes, TIMEOUT_S);
	tcase_add_loop_test(nodes, a_node_that_is_offline_is_refused_at_the_start, 0, 4);
	tcase_add_test(nodes, a_model_on_a_node_that_is_offline_fails_and_the_others_serve);
	tcase_add_test(nodes, one_copy_serves_workers_of_one_node_and_the_log_says_so_once);
	suite_add_tcase(suite, nodes);
	tcase_set_timeout(dry, TIMEOUT_S);
	tcase_add_test(dry, a_dry_run_foresees_what_is_there_after_the_load_and_changes_nothing);
	tcase_add_test(dry, what_does_not_fit_is_foreseen_and_refused_with_what_mends_it);
	tcase_add_test(dry, cold_tables_are_foreseen_in_their_files);
	tcase_add_test(dry, a_dry_run_of_what_is_not_there_or_broken_is_refused);
	suite_add_tcase(suite, dry);
	tcase_set_timeout(swaps, TIMEOUT_S);
	if (!IS_SANITIZED) { /* a sanitizer has the address space to itself */
		tcase_add_test(swaps, a_swap_that_does_not_fit_is_refused_and_told_to_drain);
		tcase_add_test(swaps, what_was_drained_is_loaded_again_when_its_heir_cannot_be);
		tcase_add_test(swaps,
			       when_neither_can_be_loaded_the_error_tells_both_and_requests_end);
		tcase_add_test(swaps, when_neither_can_be_loaded_another_version_answers);
	}
	tcase_add_test(swaps, who_asks_for_the_model_while_it_is_drained_waits_for_the_next_version);
	tcase_add_test(swaps, nothing_is_drained_for_what_cannot_come);
	suite_add_tcase(suite, swaps);
	return appliance_check(suite);
}
