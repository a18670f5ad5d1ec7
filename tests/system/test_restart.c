/* SPDX-License-Identifier: MIT */
/*
 * tests/system/test_restart.c - what is served outlives the daemon
 *
 * systemd's part is played (manager.h). What a daemon answers is compared bit by bit with what the
 * one before it did.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crowd.h"
#include "metric.h"
#include "restart.h"
#include "tests/model/onnx_writer.h"

#define TIMEOUT_S 110

static struct restart restart;

static void make_appliance(void)
{
	restart_open(&restart);
}

static void remove_appliance(void)
{
	restart_close(&restart);
}

/* What its start made versions of. */
static void start_assert(const char *from, const char *not_from)
{
	char sample[64];

	snprintf(sample, sizeof(sample), "hearth_start_versions{from=\"%s\"}", from);
	ck_assert_double_eq(metric_read(&restart.appliance, "status", sample), 1);
	snprintf(sample, sizeof(sample), "hearth_start_versions{from=\"%s\"}", not_from);
	ck_assert_double_eq(metric_read(&restart.appliance, "status", sample), 0);
}

/* _i: is it killed? */
START_TEST(the_next_daemon_serves_the_same_bits_and_reads_no_file)
{
	float scores[RESTART_ROWS];

	restart_start(&restart, RESTART_FLAGS);
	restart_ask(&restart, 2, scores);
	ck_assert(!restart_log_says(&restart, "as it was kept"));
	start_assert("files", "store");
	restart_end(&restart, _i);
	restart_files_remove(&restart, "1");
	restart_files_remove(&restart, "2");
	restart_start(&restart, RESTART_FLAGS);
	restart_assert_log_says(&restart, "as it was kept");
	start_assert("store", "files");
	ck_assert_str_eq(appliance_served(&restart.appliance), "2*");
	restart_assert_same_bits(&restart, 2, scores);
	/* And the next, of which the manager was given nothing new: it has two places for manifests,
	 * the graph, the weights, and a manifest. */
	ck_assert_uint_eq(manager_stored(&restart.manager), 2 + 3);
	restart_end(&restart, _i);
	restart_start(&restart, RESTART_FLAGS);
	restart_assert_same_bits(&restart, 2, scores);
	ck_assert_uint_eq(manager_stored(&restart.manager), 2 + 3);
}
END_TEST

START_TEST(versions_and_the_current_one_are_as_they_were)
{
	char text[APPLIANCE_TEXT_BYTES];
	float scores[2][RESTART_ROWS];

	restart_start(&restart, RESTART_FLAGS_ALL);
	ck_assert_str_eq(appliance_served(&restart.appliance), "1 2*");
	appliance_copy(&restart.appliance, "tests/data/shoppers/repository/shoppers/1", "shoppers/3");
	ck_assert_int_eq(appliance_change(&restart.appliance, "swap", "shoppers", 3, text), 0);
	await(strcmp(appliance_served(&restart.appliance), "1 3*") == 0);
	ck_assert_int_eq(appliance_change(&restart.appliance, "swap", "shoppers", 1, text), 0);
	ck_assert_int_eq(appliance_change(&restart.appliance, "load", "shoppers", 2, text), 0);
	await(strcmp(appliance_served(&restart.appliance), "1* 2") == 0);
	restart_ask(&restart, 1, scores[0]);
	restart_ask(&restart, 2, scores[1]);
	/* Of what went nothing is held. */
	await(manager_count(&restart.manager, "weights.") == 2);
	await(manager_count(&restart.manager, "model.") == 2);
	restart_end(&restart, true);
	restart_files_remove(&restart, "1");
	restart_files_remove(&restart, "2");
	restart_start(&restart, RESTART_FLAGS_ALL);
	ck_assert_str_eq(appliance_served(&restart.appliance), "1* 2");
	restart_assert_same_bits(&restart, 1, scores[0]);
	restart_assert_same_bits(&restart, 2, scores[1]);
}
END_TEST

START_TEST(a_version_that_is_newer_than_all_that_were_served_is_taken)
{
	restart_start(&restart, RESTART_FLAGS);
	restart_end(&restart, false);
	appliance_copy(&restart.appliance, "tests/data/shoppers/repository/shoppers/1", "shoppers/3");
	restart_start(&restart, RESTART_FLAGS);
	ck_assert_str_eq(appliance_served(&restart.appliance), "3*");
	await(manager_count(&restart.manager, "weights.") == 1);
}
END_TEST

START_TEST(what_a_changed_setting_does_not_name_is_let_go)
{
	float scores[RESTART_ROWS];

	restart_start(&restart, RESTART_FLAGS_ALL);
	restart_ask(&restart, 1, scores);
	ck_assert_uint_eq(manager_count(&restart.manager, "weights."), 2);
	restart_end(&restart, false);
	restart_files_spoil(&restart, "1");
	restart_files_spoil(&restart, "2");
	appliance_write(restart.appliance.config, "warm-restart = yes\n[model shoppers]\nload = 1\n");
	restart_start(&restart, NULL);
	ck_assert_str_eq(appliance_served(&restart.appliance), "1*");
	restart_assert_same_bits(&restart, 1, scores);
	ck_assert_uint_eq(manager_count(&restart.manager, "weights."), 1);
	restart_end(&restart, false);
	appliance_write(restart.appliance.config, "warm-restart = yes\n[model shoppers]\nload = none\n");
	restart_start(&restart, NULL);
	ck_assert_str_eq(appliance_served(&restart.appliance), "");
	ck_assert_uint_eq(manager_count(&restart.manager, "weights."), 0);
}
END_TEST

START_TEST(what_is_unloaded_is_let_go)
{
	char text[APPLIANCE_TEXT_BYTES];

	restart_start(&restart, RESTART_FLAGS_ALL);
	ck_assert_int_eq(appliance_change(&restart.appliance, "unload", "shoppers", 2, text), 0);
	await(manager_count(&restart.manager, "weights.") == 1);
	ck_assert_int_eq(appliance_change(&restart.appliance, "unload", "shoppers", 1, text), 0);
	await(manager_count(&restart.manager, "weights.") == 0);
	ck_assert_uint_eq(manager_count(&restart.manager, "model."), 0);
}
END_TEST

/* Its memory is wanted for the version that comes: beside two manifests there is one at a time. */
START_TEST(what_a_swap_drains_is_let_go_before_the_other_is_loaded)
{
	static const char drain[] = "{\"verb\": \"swap\", \"model\": \"shoppers\", "
				    "\"version\": 1, \"drain\": true}";
	char text[APPLIANCE_TEXT_BYTES];

	restart_start(&restart, RESTART_FLAGS);
	ck_assert_int_eq(appliance_ask(restart.appliance.admin, drain, NULL, text), 0);
	ck_assert_str_eq(appliance_served(&restart.appliance), "1*");
	await(manager_stored(&restart.manager) == 2 + 3 + 1 + 3);
	ck_assert_uint_eq(manager_most(&restart.manager), 4);
}
END_TEST

START_TEST(weights_are_verified_beside_the_serving_and_again_after_a_restart)
{
	float scores[RESTART_ROWS];

	restart_start(&restart, RESTART_FLAGS_VERIFY);
	restart_ask(&restart, 2, scores);
	await(restart_log_says(&restart, "have the hash"));
	await(restart_is_hashed_since(&restart, 0));
	restart_end(&restart, true);
	restart_files_remove(&restart, "2");
	restart_start(&restart, RESTART_FLAGS_VERIFY);
	await(restart_log_says(&restart, "are what they were"));
	ck_assert(!restart_log_says(&restart, "have the hash"));
	restart_assert_same_bits(&restart, 2, scores);
	ck_assert_uint_eq(manager_stored(&restart.manager), 2 + 4);
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
	restart_assert_log_says(&restart, line);
	return manager_count(&restart.manager, "table.") == 1;
}

/* Over a restart, too, and by a model that is loaded after it. */
START_TEST(a_table_that_models_have_in_common_is_held_once_and_let_go_with_the_last)
{
	const char *const flags[] = { "--warm-restart", "--load", "all", NULL };
	char text[APPLIANCE_TEXT_BYTES];

	appliance_save(&restart.appliance, "one", table_model(1));
	appliance_save(&restart.appliance, "two", table_model(2));
	appliance_save(&restart.appliance, "three", table_model(3));
	restart_start(&restart, flags);
	await(is_kept_once("one") && is_kept_once("two") && is_kept_once("three"));
	ck_assert_int_eq(appliance_change(&restart.appliance, "unload", "one", 1, text), 0);
	restart_end(&restart, true);
	restart_start(&restart, flags);
	ck_assert(!restart_log_says(&restart, "refused"));
	await(is_kept_once("two") && is_kept_once("three"));
	ck_assert_int_eq(appliance_change(&restart.appliance, "load", "one", 1, text), 0);
	await(is_kept_once("one"));
	ck_assert_int_eq(appliance_change(&restart.appliance, "unload", "one", 1, text), 0);
	ck_assert_int_eq(appliance_change(&restart.appliance, "unload", "two", 1, text), 0);
	ck_assert_uint_eq(manager_count(&restart.manager, "table."), 1);
	ck_assert_int_eq(appliance_change(&restart.appliance, "unload", "three", 1, text), 0);
	await(manager_count(&restart.manager, "table.") == 0);
}
END_TEST

START_TEST(a_table_that_is_missing_is_read_again)
{
	const char *const flags[] = { "--warm-restart", "--load", "all", NULL };

	appliance_save(&restart.appliance, "one", table_model(1));
	restart_start(&restart, flags);
	await(is_kept_once("one"));
	restart_end(&restart, false);
	manager_replace(&restart.manager, "table.", 0, -1);
	restart_start(&restart, flags);
	restart_assert_log_says(&restart, "is not there");
	await(is_kept_once("one"));
}
END_TEST

START_TEST(files_that_have_changed_since_are_named_and_not_read)
{
	float scores[RESTART_ROWS];

	restart_start(&restart, RESTART_FLAGS);
	restart_ask(&restart, 2, scores);
	restart_end(&restart, false);
	restart_files_remove(&restart, "2");
	appliance_copy(&restart.appliance, "tests/data/shoppers/repository/shoppers/1/model.onnx",
		       "shoppers/2/model.onnx");
	restart_start(&restart, RESTART_FLAGS);
	restart_assert_log_says(&restart, "its files have changed");
	restart_assert_same_bits(&restart, 2, scores);
}
END_TEST

START_TEST(without_the_flag_what_came_is_let_go)
{
	restart_start(&restart, RESTART_FLAGS);
	ck_assert_uint_eq(manager_count(&restart.manager, ""), 4);
	restart_end(&restart, false);
	restart_start(&restart, NULL);
	ck_assert_str_eq(appliance_served(&restart.appliance), "2*");
	ck_assert(!restart_log_says(&restart, "as it was kept"));
	ck_assert_uint_eq(manager_count(&restart.manager, ""), 0);
}
END_TEST

START_TEST(without_a_manager_the_flag_says_that_it_has_no_effect)
{
	restart.appliance.prepare = NULL;
	appliance_start(&restart.appliance, RESTART_FLAGS);
	restart_assert_log_says(&restart, "--warm-restart has no effect");
	ck_assert_str_eq(appliance_served(&restart.appliance), "2*");
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
	tcase_add_test(tests, a_table_that_models_have_in_common_is_held_once_and_let_go_with_the_last);
	tcase_add_test(tests, a_table_that_is_missing_is_read_again);
	tcase_add_test(tests, files_that_have_changed_since_are_named_and_not_read);
	tcase_add_test(tests, without_the_flag_what_came_is_let_go);
	tcase_add_test(tests, without_a_manager_the_flag_says_that_it_has_no_effect);
	suite_add_tcase(suite, tests);
	return appliance_check(suite);
}
