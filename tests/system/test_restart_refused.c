/* SPDX-License-Identifier: MIT */
/*
 * tests/system/test_restart_refused.c - what was kept and is not sound is loaded afresh, with a reason
 *
 * A daemon is started and killed, what the manager holds of it is bent, and the next one must find it
 * out; or it is killed behind one of its messages to the manager.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "crowd.h"
#include "restart.h"

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
static void start_refused(const char *reason, const float scores[RESTART_ROWS])
{
	restart_start(&restart, RESTART_FLAGS);
	restart_assert_log_says(&restart, reason);
	ck_assert(!restart_log_says(&restart, "as it was kept"));
	ck_assert_str_eq(appliance_served(&restart.appliance), "2*");
	restart_assert_same_bits(&restart, 2, scores);
	/* What it has loaded is kept, and nothing else. */
	ck_assert_uint_eq(manager_count(&restart.manager, "weights."), 1);
	ck_assert_uint_eq(manager_count(&restart.manager, "model."), 1);
	restart_end(&restart, true);
	restart_files_remove(&restart, "2");
	restart_start(&restart, RESTART_FLAGS);
	restart_assert_log_says(&restart, "as it was kept");
	restart_assert_same_bits(&restart, 2, scores);
}

/* What a daemon that has ended leaves: version 2, and what it answered. */
static void serve_and_end(float scores[RESTART_ROWS])
{
	restart_start(&restart, RESTART_FLAGS);
	restart_ask(&restart, 2, scores);
	restart_end(&restart, true);
}

START_TEST(weights_that_are_not_what_they_were_are_loaded_again)
{
	struct manifest manifest;
	float scores[RESTART_ROWS];
	uint32_t index;

	restart_start(&restart, RESTART_FLAGS_VERIFY);
	restart_ask(&restart, 2, scores);
	await(restart_is_hashed_since(&restart, 0));
	restart_end(&restart, true);
	index = restart_manifest(&restart, &manifest);
	manifest.entries[0].content_hash ^= 1;
	manifest_seal(&manifest);
	restart_manifest_put(&restart, index, &manifest);
	restart_start(&restart, RESTART_FLAGS_VERIFY);
	await(restart_log_says(&restart, "is this memory sound?"));
	await(restart_log_says(&restart, "have the hash"));
	ck_assert_str_eq(appliance_served(&restart.appliance), "2*");
	restart_assert_same_bits(&restart, 2, scores);
	await(restart_is_hashed_since(&restart, manifest.entries[0].id));
	restart_end(&restart, true);
	restart_start(&restart, RESTART_FLAGS_VERIFY);
	await(restart_log_says(&restart, "are what they were"));
	restart_assert_same_bits(&restart, 2, scores);
}
END_TEST

START_TEST(a_damaged_manifest_is_refused)
{
	struct manifest manifest;
	float scores[RESTART_ROWS];
	uint32_t index;

	serve_and_end(scores);
	index = restart_manifest(&restart, &manifest);
	manifest.entries[0].weights_bytes ^= 1;
	restart_manifest_put(&restart, index, &manifest);
	start_refused("is damaged", scores);
}
END_TEST

START_TEST(a_manifest_of_another_format_is_refused)
{
	struct manifest manifest;
	float scores[RESTART_ROWS];
	uint32_t index;

	serve_and_end(scores);
	index = restart_manifest(&restart, &manifest);
	manifest.format++;
	restart_manifest_put(&restart, index, &manifest);
	start_refused("has format 2", scores);
}
END_TEST

START_TEST(a_manifest_that_could_be_written_is_refused)
{
	struct manifest manifest;
	float scores[RESTART_ROWS];
	uint32_t index;

	serve_and_end(scores);
	index = restart_manifest(&restart, &manifest);
	manager_replace(&restart.manager, "manifest.", index,
			unsealed_copy(manager_find(&restart.manager, "manifest.", index)));
	start_refused("is not sealed", scores);
}
END_TEST

START_TEST(weights_that_could_be_written_are_refused)
{
	float scores[RESTART_ROWS];

	serve_and_end(scores);
	manager_replace(&restart.manager, "weights.", 0,
			unsealed_copy(manager_find(&restart.manager, "weights.", 0)));
	start_refused("is refused", scores);
}
END_TEST

START_TEST(weights_of_another_layout_are_refused)
{
	struct manifest manifest;
	float scores[RESTART_ROWS];
	uint32_t index;

	serve_and_end(scores);
	index = restart_manifest(&restart, &manifest);
	manifest.entries[0].layout_hash ^= 1;
	manifest_seal(&manifest);
	restart_manifest_put(&restart, index, &manifest);
	start_refused("is refused", scores);
}
END_TEST

/* Nothing is left of version 2, and nobody waits for it. */
START_TEST(what_is_refused_and_has_no_files_has_failed_and_can_be_forgotten)
{
	char text[APPLIANCE_TEXT_BYTES];
	struct manifest manifest;
	float scores[RESTART_ROWS];
	char path[256];
	uint32_t index;

	restart_start(&restart, RESTART_FLAGS);
	restart_end(&restart, true);
	index = restart_manifest(&restart, &manifest);
	manifest.entries[0].layout_hash ^= 1;
	manifest_seal(&manifest);
	restart_manifest_put(&restart, index, &manifest);
	restart_files_remove(&restart, "2");
	snprintf(path, sizeof(path), "%s/shoppers/2", restart.appliance.repository);
	must(rmdir(path) == 0, "cannot remove %s", path);
	restart_start(&restart, RESTART_FLAGS);
	restart_assert_log_says(&restart, "is refused");
	ck_assert_int_eq(appliance_change(&restart.appliance, "unload", "shoppers", 2, text), 0);
	ck_assert_int_eq(appliance_change(&restart.appliance, "load", "shoppers", 1, text), 0);
	restart_ask(&restart, 1, scores);
}
END_TEST

START_TEST(weights_that_are_missing_are_refused)
{
	float scores[RESTART_ROWS];

	serve_and_end(scores);
	manager_replace(&restart.manager, "weights.", 0, -1);
	start_refused("has not kept its weights", scores);
}
END_TEST

START_TEST(a_model_that_is_none_is_refused)
{
	float scores[RESTART_ROWS];

	serve_and_end(scores);
	manager_replace(&restart.manager, "model.", 0, restart_sealed("this is no model", 16));
	start_refused("is refused", scores);
}
END_TEST

/* Killed after it has let go of the older manifest, and before the newer one was there. */
START_TEST(the_older_of_two_manifests_counts_when_the_newer_one_is_not_there)
{
	char text[APPLIANCE_TEXT_BYTES];
	struct manifest manifest;
	float scores[RESTART_ROWS];

	restart_start(&restart, RESTART_FLAGS);
	restart_ask(&restart, 2, scores);
	ck_assert_int_eq(appliance_change(&restart.appliance, "load", "shoppers", 1, text), 0);
	await(manager_stored(&restart.manager) == 2 + 3 + 3);
	restart_end(&restart, true);
	manager_replace(&restart.manager, "manifest.", restart_manifest(&restart, &manifest), -1);
	restart_files_remove(&restart, "2");
	restart_start(&restart, RESTART_FLAGS);
	ck_assert_str_eq(appliance_served(&restart.appliance), "2*");
	restart_assert_same_bits(&restart, 2, scores);
	ck_assert_uint_eq(manager_count(&restart.manager, "weights."), 1); /* not those that nobody names */
}
END_TEST

/* Room for one version beside the manifests. */
START_TEST(a_store_that_is_full_tells_the_next_daemon_what_was_served)
{
	char text[APPLIANCE_TEXT_BYTES];

	restart.manager.entry_count_limit = 4;
	restart_start(&restart, RESTART_FLAGS);
	await(manager_count(&restart.manager, "") == 4);
	ck_assert_int_eq(appliance_change(&restart.appliance, "swap", "shoppers", 1, text), 0);
	await(manager_count(&restart.manager, "weights.") == 0);
	restart_end(&restart, true);
	restart_start(&restart, RESTART_FLAGS);
	restart_assert_log_says(&restart, "refused: shoppers@1: systemd has not kept its ");
	ck_assert_str_eq(appliance_served(&restart.appliance), "1*");
}
END_TEST

/* After a daemon that was killed: the next one serves the version, which is held and nothing else. */
static void assert_goes_on(uint32_t version)
{
	float scores[RESTART_ROWS];

	appliance_await_end(&restart.appliance, CROWD_PATIENCE_NS);
	manager_kill_after(&restart.manager, 0);
	restart_start(&restart, RESTART_FLAGS);
	ck_assert_str_eq(appliance_served(&restart.appliance), version == 1 ? "1*" : "2*");
	restart_ask(&restart, version, scores);
	ck_assert_uint_eq(manager_count(&restart.manager, "weights."), 1);
	ck_assert_uint_eq(manager_count(&restart.manager, "model."), 1);
	restart_end(&restart, true);
	restart_files_spoil(&restart, "1");
	restart_files_spoil(&restart, "2");
	restart_start(&restart, RESTART_FLAGS);
	restart_assert_same_bits(&restart, version, scores);
}

/* It lets go of each manifest and gives one, gives the graph, the weights, and a manifest again. */
START_TEST(a_daemon_may_be_killed_behind_each_message_of_its_start)
{
	manager_kill_after(&restart.manager, (uint32_t)_i);
	appliance_launch(&restart.appliance, RESTART_FLAGS);
	assert_goes_on(2);
}
END_TEST

/* The same, and lets go of the graph and the weights that were. */
START_TEST(a_daemon_may_be_killed_behind_each_message_of_a_swap)
{
	char text[APPLIANCE_TEXT_BYTES];

	restart_start(&restart, RESTART_FLAGS);
	manager_kill_after(&restart.manager, (uint32_t)_i);
	(void)!appliance_change(&restart.appliance, "swap", "shoppers", 1, text);
	assert_goes_on(_i < 4 ? 2 : 1); /* the manifest comes fourth */
}
END_TEST

START_TEST(a_start_that_fails_costs_nothing)
{
	char text[APPLIANCE_TEXT_BYTES];
	float scores[RESTART_ROWS];

	serve_and_end(scores);
	restart_files_remove(&restart, "2");
	ck_assert_int_ne(appliance_refuse(&restart.appliance,
					  (const char *[]){ "--warm-restart", "--user", "nobody-is-it",
							    NULL }, text), 0);
	restart_start(&restart, RESTART_FLAGS);
	restart_assert_log_says(&restart, "as it was kept");
	restart_assert_same_bits(&restart, 2, scores);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("restart_refused");
	TCase *tests = tcase_create("restart_refused");

	tcase_set_timeout(tests, TIMEOUT_S);
	tcase_add_checked_fixture(tests, make_appliance, remove_appliance);
	tcase_add_test(tests, weights_that_are_not_what_they_were_are_loaded_again);
	tcase_add_test(tests, a_damaged_manifest_is_refused);
	tcase_add_test(tests, a_manifest_of_another_format_is_refused);
	tcase_add_test(tests, a_manifest_that_could_be_written_is_refused);
	tcase_add_test(tests, weights_that_could_be_written_are_refused);
	tcase_add_test(tests, weights_of_another_layout_are_refused);
	tcase_add_test(tests, what_is_refused_and_has_no_files_has_failed_and_can_be_forgotten);
	tcase_add_test(tests, weights_that_are_missing_are_refused);
	tcase_add_test(tests, a_model_that_is_none_is_refused);
	tcase_add_test(tests, the_older_of_two_manifests_counts_when_the_newer_one_is_not_there);
	tcase_add_test(tests, a_store_that_is_full_tells_the_next_daemon_what_was_served);
	tcase_add_loop_test(tests, a_daemon_may_be_killed_behind_each_message_of_its_start, 1, 9);
	tcase_add_loop_test(tests, a_daemon_may_be_killed_behind_each_message_of_a_swap, 1, 7);
	tcase_add_test(tests, a_start_that_fails_costs_nothing);
	suite_add_tcase(suite, tests);
	return appliance_check(suite);
}
