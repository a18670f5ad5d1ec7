/* SPDX-License-Identifier: MIT */
/*
 * tests/system/test_restart.c - what is served outlives the daemon, or is loaded afresh with a reason
 *
 * systemd's part is played (manager.h). What a daemon answers is compared bit by bit with what the
 * one before it did.
 */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "appliance.h"
#include "crowd.h"
#include "manager.h"
#include "memory/sealed.h"
#include "ops/manifest.h"
#include "shoppers.h"
#include "tests/model/onnx_writer.h"

#define TIMEOUT_S 110
#define ROWS 100
#define FLAGS (const char *[]){ "--warm-restart", NULL }
#define FLAGS_VERIFY (const char *[]){ "--warm-restart", "--verify", NULL }
#define FLAGS_ALL (const char *[]){ "--warm-restart", "--load", "all", NULL }

static struct appliance appliance;
static struct manager manager;
static uint32_t starts; /* so many daemons have said that they are ready */
static long log_read;   /* what the daemons before this one have said */

static void make_appliance(void)
{
	appliance_init(&appliance);
	manager_open(&manager, &appliance);
}

static void remove_appliance(void)
{
	appliance_close(&appliance);
	manager_close(&manager);
}

/* --- daemons -------------------------------------------------------------------------------------- */

static void start(const char *const flags[])
{
	struct stat status;

	log_read = stat(appliance.log, &status) == 0 ? status.st_size : 0;
	appliance_start(&appliance, flags);
	manager_await_ready(&manager, ++starts);
}

static bool log_says(const char *word)
{
	char text[16384];
	FILE *log = fopen(appliance.log, "re");
	size_t bytes;

	ck_assert(log && fseek(log, log_read, SEEK_SET) == 0);
	bytes = fread(text, 1, sizeof(text) - 1, log);
	fclose(log);
	text[bytes] = '\0';
	return strstr(text, word) != NULL;
}

static void assert_log_says(const char *word)
{
	ck_assert_msg(log_says(word), "the log does not say: %s", word);
}

/* Scores of the first rows by one version. */
static void ask(uint32_t version, float ret_scores[ROWS])
{
	const struct hearth_completion *completion;
	const struct hearth_model_info *model;
	struct hearth_request *request;
	struct hearth *hearth;

	ck_assert_int_eq(hearth_open(appliance.socket, NULL, &hearth), 0);
	ck_assert_int_eq(hearth_model(hearth, "shoppers", version, &model), 0);
	ck_assert_int_eq(hearth_acquire(hearth, model, ROWS, &request), 0);
	request->version = version;
	shoppers_fill(request, model, 0, ROWS);
	ck_assert_int_eq(hearth_submit(hearth, request), 0);
	ck_assert_int_eq(hearth_wait(hearth, CROWD_PATIENCE_NS, &completion), 0);
	ck_assert_int_eq(completion->status, 0);
	shoppers_check(completion, 0, ROWS);
	ck_assert_uint_eq(completion->outputs[0].bytes, ROWS * sizeof(float));
	memcpy(ret_scores, completion->outputs[0].data, ROWS * sizeof(float));
	hearth_close(hearth);
}

static void assert_same_bits(uint32_t version, const float scores[ROWS])
{
	float now[ROWS];

	ask(version, now);
	ck_assert_mem_eq(now, scores, sizeof(now));
}

static void files_remove(const char *version)
{
	char command[256];

	snprintf(command, sizeof(command), "rm '%s/shoppers/%s'/*", appliance.repository, version);
	must(system(command) == 0, "cannot remove the files of version %s", version);
}

/* A version that is there and cannot be loaded. */
static void files_spoil(const char *version)
{
	char path[256];

	files_remove(version);
	snprintf(path, sizeof(path), "%s/shoppers/%s/model.onnx", appliance.repository, version);
	appliance_write(path, "this is no model");
}

/* Stopped, or killed. */
static void end(bool is_killed)
{
	if (is_killed)
		appliance_kill(&appliance);
	else
		appliance_stop(&appliance);
}

/* --- what is kept --------------------------------------------------------------------------------- */

/* The manifest that counts; returns its place among those of manager_find. */
static uint32_t manifest_newest(struct manifest *ret_manifest)
{
	static struct manifest bytes, one;
	uint32_t newest = 0;
	uint32_t index;
	int fd;

	ret_manifest->generation = 0;
	for (index = 0; (fd = manager_find(&manager, "manifest.", index)) >= 0; index++) {
		ssize_t byte_count = pread(fd, &bytes, sizeof(bytes), 0);

		close(fd);
		must(manifest_read(&bytes, (uint64_t)byte_count, "manifest", &one) == 0, "%s",
		     err_message());
		if (one.generation <= ret_manifest->generation)
			continue;
		*ret_manifest = one;
		newest = index;
	}
	must(ret_manifest->generation > 0, "there is no manifest");
	return newest;
}

/* A version that came after this one is there with the hash of its weights. */
static bool is_hashed_since(uint64_t id)
{
	static struct manifest manifest;

	manifest_newest(&manifest);
	return manifest.entry_count == 1 && manifest.entries[0].id > id &&
	       manifest.entries[0].content_hash != 0;
}

static int sealed_copy(const void *bytes, uint64_t byte_count)
{
	int fd = -1;

	must(sealed_new("copy", bytes, byte_count, &fd) == 0, "%s", err_message());
	return fd;
}

static void manifest_put(uint32_t index, const struct manifest *manifest)
{
	manager_replace(&manager, "manifest.", index, sealed_copy(manifest, manifest_bytes(manifest)));
}

/* The same bytes in memory that somebody could write into. */
static int unsealed_copy(int fd)
{
	static uint8_t bytes[4 << 20];
	ssize_t byte_count = pread(fd, bytes, sizeof(bytes), 0);
	int copy = memfd_create("unsealed", MFD_CLOEXEC);

	must(byte_count > 0 && write(copy, bytes, (size_t)byte_count) == byte_count, "no copy");
	close(fd);
	return copy;
}

/* Starts the second daemon, which must find a reason to read the files. */
static void start_refused(const char *reason, const float scores[ROWS])
{
	start(FLAGS);
	assert_log_says(reason);
	ck_assert(!log_says("as it was kept"));
	ck_assert_str_eq(appliance_served(&appliance), "2*");
	assert_same_bits(2, scores);
	/* What it has loaded is kept, and nothing else. */
	ck_assert_uint_eq(manager_count(&manager, "weights."), 1);
	ck_assert_uint_eq(manager_count(&manager, "model."), 1);
	end(true);
	files_remove("2");
	start(FLAGS);
	assert_log_says("as it was kept");
	assert_same_bits(2, scores);
}

/* --- tests ---------------------------------------------------------------------------------------- */

/* _i: is it killed? */
START_TEST(the_next_daemon_serves_the_same_bits_and_reads_no_file)
{
	float scores[ROWS];

	start(FLAGS);
	ask(2, scores);
	ck_assert(!log_says("as it was kept"));
	end(_i);
	files_remove("1");
	files_remove("2");
	start(FLAGS);
	assert_log_says("as it was kept");
	ck_assert_str_eq(appliance_served(&appliance), "2*");
	assert_same_bits(2, scores);
	/* And the next, of which the manager was given nothing new. */
	ck_assert_uint_eq(manager_stored(&manager), 3);
	end(_i);
	start(FLAGS);
	assert_same_bits(2, scores);
	ck_assert_uint_eq(manager_stored(&manager), 3);
}
END_TEST

START_TEST(versions_and_the_current_one_are_as_they_were)
{
	char text[APPLIANCE_TEXT_BYTES];
	float scores[2][ROWS];

	start(FLAGS_ALL);
	ck_assert_str_eq(appliance_served(&appliance), "1 2*");
	appliance_copy(&appliance, "tests/data/shoppers/repository/shoppers/1", "shoppers/3");
	ck_assert_int_eq(appliance_change(&appliance, "swap", "shoppers", 3, text), 0);
	await(strcmp(appliance_served(&appliance), "1 3*") == 0);
	ck_assert_int_eq(appliance_change(&appliance, "swap", "shoppers", 1, text), 0);
	ck_assert_int_eq(appliance_change(&appliance, "load", "shoppers", 2, text), 0);
	await(strcmp(appliance_served(&appliance), "1* 2") == 0);
	ask(1, scores[0]);
	ask(2, scores[1]);
	/* Of what went nothing is held. */
	await(manager_count(&manager, "weights.") == 2);
	await(manager_count(&manager, "model.") == 2);
	end(true);
	files_remove("1");
	files_remove("2");
	start(FLAGS_ALL);
	ck_assert_str_eq(appliance_served(&appliance), "1* 2");
	assert_same_bits(1, scores[0]);
	assert_same_bits(2, scores[1]);
}
END_TEST

START_TEST(a_version_that_is_newer_than_all_that_were_served_is_taken)
{
	start(FLAGS);
	end(false);
	appliance_copy(&appliance, "tests/data/shoppers/repository/shoppers/1", "shoppers/3");
	start(FLAGS);
	ck_assert_str_eq(appliance_served(&appliance), "3*");
	await(manager_count(&manager, "weights.") == 1);
}
END_TEST

START_TEST(what_a_changed_setting_does_not_name_is_let_go)
{
	float scores[ROWS];

	start(FLAGS_ALL);
	ask(1, scores);
	ck_assert_uint_eq(manager_count(&manager, "weights."), 2);
	end(false);
	files_spoil("1");
	files_spoil("2");
	appliance_write(appliance.config, "warm-restart = yes\n[model shoppers]\nload = 1\n");
	start(NULL);
	ck_assert_str_eq(appliance_served(&appliance), "1*");
	assert_same_bits(1, scores);
	ck_assert_uint_eq(manager_count(&manager, "weights."), 1);
	end(false);
	appliance_write(appliance.config, "warm-restart = yes\n[model shoppers]\nload = none\n");
	start(NULL);
	ck_assert_str_eq(appliance_served(&appliance), "");
	ck_assert_uint_eq(manager_count(&manager, "weights."), 0);
}
END_TEST

START_TEST(what_is_unloaded_is_let_go)
{
	char text[APPLIANCE_TEXT_BYTES];

	start(FLAGS_ALL);
	ck_assert_int_eq(appliance_change(&appliance, "unload", "shoppers", 2, text), 0);
	await(manager_count(&manager, "weights.") == 1);
	ck_assert_int_eq(appliance_change(&appliance, "unload", "shoppers", 1, text), 0);
	await(manager_count(&manager, "weights.") == 0);
	ck_assert_uint_eq(manager_count(&manager, "model."), 0);
}
END_TEST

/* Its memory is wanted for the version that comes: beside two manifests there is one at a time. */
START_TEST(what_a_swap_drains_is_let_go_before_the_other_is_loaded)
{
	static const char drain[] = "{\"verb\": \"swap\", \"model\": \"shoppers\", "
				    "\"version\": 1, \"drain\": true}";
	char text[APPLIANCE_TEXT_BYTES];

	start(FLAGS);
	ck_assert_int_eq(appliance_ask(appliance.admin, drain, NULL, text), 0);
	ck_assert_str_eq(appliance_served(&appliance), "1*");
	await(manager_stored(&manager) == 3 + 1 + 3);
	ck_assert_uint_eq(manager_most(&manager), 4);
}
END_TEST

START_TEST(weights_are_verified_beside_the_serving_and_again_after_a_restart)
{
	float scores[ROWS];

	start(FLAGS_VERIFY);
	ask(2, scores);
	await(log_says("have the hash"));
	await(is_hashed_since(0));
	end(true);
	files_remove("2");
	start(FLAGS_VERIFY);
	await(log_says("are what they were"));
	ck_assert(!log_says("have the hash"));
	assert_same_bits(2, scores);
	ck_assert_uint_eq(manager_stored(&manager), 4);
}
END_TEST

START_TEST(weights_that_are_not_what_they_were_are_loaded_again)
{
	struct manifest manifest;
	float scores[ROWS];
	uint32_t index;

	start(FLAGS_VERIFY);
	ask(2, scores);
	await(is_hashed_since(0));
	end(true);
	index = manifest_newest(&manifest);
	manifest.entries[0].content_hash ^= 1;
	manifest_seal(&manifest);
	manifest_put(index, &manifest);
	start(FLAGS_VERIFY);
	await(log_says("is this memory sound?"));
	await(log_says("have the hash"));
	ck_assert_str_eq(appliance_served(&appliance), "2*");
	assert_same_bits(2, scores);
	await(is_hashed_since(manifest.entries[0].id));
	end(true);
	start(FLAGS_VERIFY);
	await(log_says("are what they were"));
	assert_same_bits(2, scores);
}
END_TEST

/* y = table[ids] * w, the table of 16 MiB the same whatever w is. */
static struct onnx_writer *table_model(float w)
{
	const uint64_t bytes = 16 << 20;
	struct onnx_writer *writer = onnx_writer_new(17);
	float *table = malloc(bytes);
	uint32_t index;

	must(table, "no memory for a table");
	for (index = 0; index < bytes / sizeof(*table); index++)
		table[index] = (float)(index % 1021);
	onnx_writer_input(writer, "ids", DTYPE_I64, "batch");
	onnx_writer_external(writer, "table", DTYPE_F32, "65536,64", table, bytes, "table.bin", 64);
	onnx_writer_tensor(writer, "w", DTYPE_F32, "1", &w, sizeof(w));
	onnx_writer_node(writer, "Gather", "table,ids", "rows");
	onnx_writer_node(writer, "Mul", "rows,w", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, "batch,64");
	free(table);
	return writer;
}

static bool is_kept_once(const char *model)
{
	char line[64];

	snprintf(line, sizeof(line), "%s@1 is served and current", model);
	assert_log_says(line);
	return manager_count(&manager, "table.") == 1;
}

/* Over a restart, too, and by a model that is loaded after it. */
START_TEST(a_table_that_models_have_in_common_is_held_once_and_let_go_with_the_last)
{
	const char *const flags[] = { "--warm-restart", "--load", "all", NULL };
	char text[APPLIANCE_TEXT_BYTES];

	appliance_save(&appliance, "one", table_model(1));
	appliance_save(&appliance, "two", table_model(2));
	appliance_save(&appliance, "three", table_model(3));
	start(flags);
	await(is_kept_once("one") && is_kept_once("two") && is_kept_once("three"));
	ck_assert_int_eq(appliance_change(&appliance, "unload", "one", 1, text), 0);
	end(true);
	start(flags);
	ck_assert(!log_says("refused"));
	await(is_kept_once("two") && is_kept_once("three"));
	ck_assert_int_eq(appliance_change(&appliance, "load", "one", 1, text), 0);
	await(is_kept_once("one"));
	ck_assert_int_eq(appliance_change(&appliance, "unload", "one", 1, text), 0);
	ck_assert_int_eq(appliance_change(&appliance, "unload", "two", 1, text), 0);
	ck_assert_uint_eq(manager_count(&manager, "table."), 1);
	ck_assert_int_eq(appliance_change(&appliance, "unload", "three", 1, text), 0);
	await(manager_count(&manager, "table.") == 0);
}
END_TEST

START_TEST(a_table_that_is_missing_is_read_again)
{
	const char *const flags[] = { "--warm-restart", "--load", "all", NULL };

	appliance_save(&appliance, "one", table_model(1));
	start(flags);
	await(is_kept_once("one"));
	end(false);
	manager_replace(&manager, "table.", 0, -1);
	start(flags);
	assert_log_says("is not there");
	await(is_kept_once("one"));
}
END_TEST

START_TEST(files_that_have_changed_since_are_named_and_not_read)
{
	float scores[ROWS];

	start(FLAGS);
	ask(2, scores);
	end(false);
	files_remove("2");
	appliance_copy(&appliance, "tests/data/shoppers/repository/shoppers/1/model.onnx",
		       "shoppers/2/model.onnx");
	start(FLAGS);
	assert_log_says("its files have changed");
	assert_same_bits(2, scores);
}
END_TEST

START_TEST(a_damaged_manifest_is_refused)
{
	struct manifest manifest;
	float scores[ROWS];
	uint32_t index;

	start(FLAGS);
	ask(2, scores);
	end(true);
	index = manifest_newest(&manifest);
	manifest.entries[0].weights_bytes ^= 1;
	manifest_put(index, &manifest);
	start_refused("is damaged", scores);
}
END_TEST

START_TEST(a_manifest_of_another_format_is_refused)
{
	struct manifest manifest;
	float scores[ROWS];
	uint32_t index;

	start(FLAGS);
	ask(2, scores);
	end(true);
	index = manifest_newest(&manifest);
	manifest.format++;
	manifest_put(index, &manifest);
	start_refused("has format 2", scores);
}
END_TEST

START_TEST(a_manifest_that_could_be_written_is_refused)
{
	float scores[ROWS];

	start(FLAGS);
	ask(2, scores);
	end(true);
	manager_replace(&manager, "manifest.", 0,
			unsealed_copy(manager_find(&manager, "manifest.", 0)));
	start_refused("is not sealed", scores);
}
END_TEST

START_TEST(weights_that_could_be_written_are_refused)
{
	float scores[ROWS];

	start(FLAGS);
	ask(2, scores);
	end(true);
	manager_replace(&manager, "weights.", 0,
			unsealed_copy(manager_find(&manager, "weights.", 0)));
	start_refused("is refused", scores);
}
END_TEST

START_TEST(weights_of_another_layout_are_refused)
{
	struct manifest manifest;
	float scores[ROWS];
	uint32_t index;

	start(FLAGS);
	ask(2, scores);
	end(true);
	index = manifest_newest(&manifest);
	manifest.entries[0].layout_hash ^= 1;
	manifest_seal(&manifest);
	manifest_put(index, &manifest);
	start_refused("is refused", scores);
}
END_TEST

START_TEST(weights_that_are_missing_are_refused)
{
	float scores[ROWS];

	start(FLAGS);
	ask(2, scores);
	end(true);
	manager_replace(&manager, "weights.", 0, -1);
	start_refused("has not kept its weights", scores);
}
END_TEST

START_TEST(a_model_that_is_none_is_refused)
{
	float scores[ROWS];

	start(FLAGS);
	ask(2, scores);
	end(true);
	manager_replace(&manager, "model.", 0, sealed_copy("this is no model", 16));
	start_refused("is refused", scores);
}
END_TEST

/* Killed after it has let go of the older manifest, and before the newer one was there. */
START_TEST(the_older_of_two_manifests_counts_when_the_newer_one_is_not_there)
{
	char text[APPLIANCE_TEXT_BYTES];
	struct manifest manifest;
	float scores[ROWS];

	start(FLAGS);
	ask(2, scores);
	ck_assert_int_eq(appliance_change(&appliance, "load", "shoppers", 1, text), 0);
	await(manager_count(&manager, "manifest.") == 2);
	end(true);
	ck_assert_uint_eq(manifest_newest(&manifest), 1);
	manager_replace(&manager, "manifest.", 1, -1);
	files_remove("2");
	start(FLAGS);
	ck_assert_str_eq(appliance_served(&appliance), "2*");
	assert_same_bits(2, scores);
	ck_assert_uint_eq(manager_count(&manager, "weights."), 1); /* not those that nobody names */
}
END_TEST

/* After a daemon that was killed: the next one serves the version, which is held and nothing else. */
static void assert_goes_on(uint32_t version)
{
	float scores[ROWS];

	appliance_await_end(&appliance, CROWD_PATIENCE_NS);
	manager_kill_after(&manager, 0);
	start(FLAGS);
	ck_assert_str_eq(appliance_served(&appliance), version == 1 ? "1*" : "2*");
	ask(version, scores);
	ck_assert_uint_eq(manager_count(&manager, "weights."), 1);
	ck_assert_uint_eq(manager_count(&manager, "model."), 1);
	end(true);
	files_spoil("1");
	files_spoil("2");
	start(FLAGS);
	assert_same_bits(version, scores);
}

/* It gives the graph, the weights, lets go of a manifest and gives one. */
START_TEST(a_daemon_may_be_killed_behind_each_message_of_its_start)
{
	manager_kill_after(&manager, (uint32_t)_i);
	appliance_launch(&appliance, FLAGS);
	assert_goes_on(2);
}
END_TEST

/* The same, and lets go of the graph and the weights that were. */
START_TEST(a_daemon_may_be_killed_behind_each_message_of_a_swap)
{
	char text[APPLIANCE_TEXT_BYTES];

	start(FLAGS);
	manager_kill_after(&manager, (uint32_t)_i);
	(void)!appliance_change(&appliance, "swap", "shoppers", 1, text);
	assert_goes_on(_i < 4 ? 2 : 1); /* the manifest comes fourth */
}
END_TEST

START_TEST(a_start_that_fails_costs_nothing)
{
	char text[APPLIANCE_TEXT_BYTES];
	float scores[ROWS];

	start(FLAGS);
	ask(2, scores);
	end(true);
	files_remove("2");
	ck_assert_int_ne(appliance_refuse(&appliance,
					  (const char *[]){ "--warm-restart", "--user", "nobody-is-it",
							    NULL }, text), 0);
	start(FLAGS);
	assert_log_says("as it was kept");
	assert_same_bits(2, scores);
}
END_TEST

START_TEST(without_the_flag_what_came_is_let_go)
{
	start(FLAGS);
	ck_assert_uint_eq(manager_count(&manager, ""), 3);
	end(false);
	start(NULL);
	ck_assert_str_eq(appliance_served(&appliance), "2*");
	ck_assert(!log_says("as it was kept"));
	ck_assert_uint_eq(manager_count(&manager, ""), 0);
}
END_TEST

START_TEST(without_a_manager_the_flag_says_that_it_has_no_effect)
{
	appliance.prepare = NULL;
	appliance_start(&appliance, FLAGS);
	assert_log_says("--warm-restart has no effect");
	ck_assert_str_eq(appliance_served(&appliance), "2*");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("restart");
	TCase *tests = tcase_create("restart");

	tcase_set_timeout(tests, TIMEOUT_S);
	tcase_add_checked_fixture(tests, make_appliance, remove_appliance);
	tcase_add_loop_test(tests, the_next_daemon_serves_the_same_bits_and_reads_no_file, 0, 2);
	tcase_add_test(tests, versions_and_the_current_one_are_as_they_were);
	tcase_add_test(tests, a_version_that_is_newer_than_all_that_were_served_is_taken);
	tcase_add_test(tests, what_a_changed_setting_does_not_name_is_let_go);
	tcase_add_test(tests, what_is_unloaded_is_let_go);
	tcase_add_test(tests, what_a_swap_drains_is_let_go_before_the_other_is_loaded);
	tcase_add_test(tests, weights_are_verified_beside_the_serving_and_again_after_a_restart);
	tcase_add_test(tests, weights_that_are_not_what_they_were_are_loaded_again);
	tcase_add_test(tests, a_table_that_models_have_in_common_is_held_once_and_let_go_with_the_last);
	tcase_add_test(tests, a_table_that_is_missing_is_read_again);
	tcase_add_test(tests, files_that_have_changed_since_are_named_and_not_read);
	tcase_add_test(tests, a_damaged_manifest_is_refused);
	tcase_add_test(tests, a_manifest_of_another_format_is_refused);
	tcase_add_test(tests, a_manifest_that_could_be_written_is_refused);
	tcase_add_test(tests, weights_that_could_be_written_are_refused);
	tcase_add_test(tests, weights_of_another_layout_are_refused);
	tcase_add_test(tests, weights_that_are_missing_are_refused);
	tcase_add_test(tests, a_model_that_is_none_is_refused);
	tcase_add_test(tests, the_older_of_two_manifests_counts_when_the_newer_one_is_not_there);
	tcase_add_loop_test(tests, a_daemon_may_be_killed_behind_each_message_of_its_start, 1, 5);
	tcase_add_loop_test(tests, a_daemon_may_be_killed_behind_each_message_of_a_swap, 1, 7);
	tcase_add_test(tests, a_start_that_fails_costs_nothing);
	tcase_add_test(tests, without_the_flag_what_came_is_let_go);
	tcase_add_test(tests, without_a_manager_the_flag_says_that_it_has_no_effect);
	suite_add_tcase(suite, tests);
	return appliance_check(suite);
}
