/* SPDX-License-Identifier: MIT */
/*
 * tests/system/test_cold.c - cold tables behind the rings: right answers, whoever waits, dies or changes files
 *
 * Each case runs with io_uring, where batches wait for their rows while others are served, and with
 * ppoll, where rows are read as they are asked for.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "appliance.h"
#include "asker.h"
#include "client/hearth.h"
#include "crowd.h"
#include "rows.h"
#include "tests/exec/cold_model.h"

#define TIMEOUT_S 60
#define IN_FLIGHT 12
#define ROUNDS 60
#define ROUNDS_ASLEEP (20 * TIMEOUT_S)

static const char *const ways[][3] = {
	{ "--wait", "auto", NULL },
	{ "--wait", "poll", NULL },
};

static void appliance_make_with(struct appliance *appliance, const char *flag, const char *value)
{
	char path[512];
	const char *flags[] = { flag, value, "--config", path, "--rows-max", "64", NULL };

	appliance_init(appliance);
	appliance_save(appliance, "cold", cold_model());
	snprintf(path, sizeof(path), "%s/hearthd.conf", appliance->directory);
	appliance_write(path, "[model cold]\ncold = yes\n[table cold/items]\nmissing = row 5\n");
	appliance_start(appliance, flags);
}

static void appliance_make(struct appliance *appliance, int way)
{
	appliance_make_with(appliance, ways[way][0], ways[way][1]);
}

static int question_status(struct asker *asker, uint64_t number)
{
	asker_ask(asker, number);
	return asker_take(asker);
}

/* What `models` says of the cold model's tables; the caller's. */
static json_t *cold_told(const struct appliance *appliance, const char *key)
{
	json_t *rows = appliance_rows(appliance, "models");
	json_t *told = NULL;

	for (size_t index = 0; index < json_array_size(rows) && !told; index++)
		told = json_incref(json_object_get(
			json_object_get(json_array_get(rows, index), "cold"), key));
	json_decref(rows);
	ck_assert_ptr_nonnull(told);
	return told;
}

static uint64_t cold_number(const struct appliance *appliance, const char *key)
{
	json_t *told = cold_told(appliance, key);
	uint64_t value = (uint64_t)json_integer_value(told);

	json_decref(told);
	return value;
}

static bool cold_is_direct(const struct appliance *appliance)
{
	json_t *told = cold_told(appliance, "direct");
	bool is_direct = json_is_true(told);

	json_decref(told);
	return is_direct;
}

/* Does the file system read a block of the table around the page cache? */
static bool file_is_direct(const struct appliance *appliance)
{
	char path[512];
	void *block = aligned_alloc(4096, 4096);
	bool is_direct;
	int fd;

	snprintf(path, sizeof(path), "%s/cold/1/users.bin", appliance->repository);
	fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	is_direct = fd >= 0 && pread(fd, block, 4096, 0) == 4096;
	if (fd >= 0)
		close(fd);
	free(block);
	return is_direct;
}

START_TEST(answers_are_right_while_rows_come_and_go)
{
	struct appliance appliance;
	struct asker askers[2];
	uint64_t asked[2] = { 0 }, answered[2] = { 0 };

	appliance_make(&appliance, _i);
	for (int index = 0; index < 2; index++)
		asker_open(&askers[index], &appliance, (uint64_t)index * 77777);
	while (answered[0] < ROUNDS || answered[1] < ROUNDS)
		for (int index = 0; index < 2; index++) {
			while (asked[index] < ROUNDS && asked[index] - answered[index] < IN_FLIGHT)
				asker_ask(&askers[index], asked[index]++);
			if (answered[index] < asked[index]) {
				ck_assert_int_eq(asker_take(&askers[index]), 0);
				answered[index]++;
			}
		}
	ck_assert_uint_gt(cold_number(&appliance, "hits_total"), 0);
	ck_assert_uint_gt(cold_number(&appliance, "misses_total"), 1000);
	ck_assert_uint_gt(cold_number(&appliance, "evictions_total"), 100);
	ck_assert_uint_eq(cold_number(&appliance, "failures_total"), 0);
	ck_assert_int_eq(cold_is_direct(&appliance), file_is_direct(&appliance));
	ck_assert_uint_lt(cold_number(&appliance, "rows_bytes"),
			  cold_number(&appliance, "tables_bytes"));
	for (int index = 0; index < 2; index++)
		hearth_close(askers[index].hearth);
	appliance_close(&appliance);
}
END_TEST

/* Each of its rows comes while nobody looks. Were it found when the loop looks by itself, ten times a
 * second, this would take longer than a test may. */
START_TEST(a_row_that_comes_wakes_a_loop_that_sleeps_at_once)
{
	struct appliance appliance;
	struct asker asker;

	appliance_make_with(&appliance, "--spin-us", "0");
	asker_open(&asker, &appliance, 0);
	for (uint64_t round = 0; round < ROUNDS_ASLEEP; round++)
		ck_assert_int_eq(question_status(&asker, round), 0);
	hearth_close(asker.hearth);
	appliance_close(&appliance);
}
END_TEST

START_TEST(a_missing_id_has_the_row_that_stands_in_for_it)
{
	const struct hearth_completion *completion;
	struct hearth_request *request;
	struct appliance appliance;
	struct asker asker;
	int64_t history[COLD_HISTORY] = { 1, 2, 3 };
	float wanted[COLD_WIDTH];

	appliance_make(&appliance, _i);
	asker_open(&asker, &appliance, 0);
	for (int turn = 0; turn < 2; turn++) {
		ck_assert_int_eq(hearth_acquire(asker.hearth, asker.model, 1, &request), 0);
		memcpy(request->inputs[0].data, history, sizeof(history));
		*(int32_t *)request->inputs[1].data = turn ? COLD_ITEMS - 1 : -1;
		ck_assert_int_eq(hearth_submit(asker.hearth, request), 0);
		ck_assert_int_eq(hearth_wait(asker.hearth, CROWD_PATIENCE_NS, &completion), 0);
		cold_answer(history, turn ? COLD_ITEMS - 1 : 5, wanted);
		/* `biases` has no policy: its id counts from the end. */
		if (turn == 0) {
			float last[COLD_WIDTH];

			cold_answer(history, COLD_ITEMS - 1, last);
			wanted[COLD_WIDTH - 1] = last[COLD_WIDTH - 1];
		}
		ck_assert_int_eq(completion->status, 0);
		ck_assert_uint_eq(completion->substituted, turn ? 0 : 1);
		ck_assert_mem_eq(completion->outputs[0].data, wanted, sizeof(wanted));
		ck_assert_int_eq(hearth_release(asker.hearth, completion->id), 0);
	}
	hearth_close(asker.hearth);
	appliance_close(&appliance);
}
END_TEST

static void ask_and_die(const struct appliance *appliance, uint64_t seed)
{
	pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		struct asker asker;

		asker_open(&asker, appliance, seed);
		for (uint64_t number = 0; number < IN_FLIGHT; number++)
			asker_ask(&asker, number);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
}

START_TEST(who_dies_while_its_batch_waits_harms_nobody)
{
	struct appliance appliance;
	struct asker asker;
	uint32_t descriptors;

	appliance_make(&appliance, _i);
	descriptors = appliance_descriptors(&appliance);
	asker_open(&asker, &appliance, 5);
	for (uint64_t turn = 0; turn < 30; turn++) {
		asker_ask(&asker, turn);
		ask_and_die(&appliance, 1000 + turn * 31);
		ck_assert_int_eq(asker_take(&asker), 0);
	}
	hearth_close(asker.hearth);
	appliance_await_clients(&appliance, 0, descriptors);
	appliance_close(&appliance);
}
END_TEST

/* What goes first is not there beside it. */
static void foreseen_look(const struct appliance *appliance, const char *verb)
{
	char text[APPLIANCE_TEXT_BYTES], question[128];
	uint32_t held_count = 0;
	json_t *rows;

	snprintf(question, sizeof(question),
		 "{\"verb\": \"%s\", \"model\": \"cold\", \"version\": 1, \"dry\": true}", verb);
	ck_assert_int_eq(appliance_ask(appliance->admin, question, &rows, text), 0);
	for (size_t row = 0; row < json_array_size(rows); row++) {
		uint64_t held_bytes = rows_number(rows, row, "held_bytes");
		uint64_t peak_bytes = rows_number(rows, row, "peak_bytes");

		held_count += held_bytes > 0;
		ck_assert(peak_bytes <= held_bytes ||
			  peak_bytes <= rows_number(rows, row, "wanted_bytes"));
	}
	ck_assert_uint_gt(held_count, 0);
	ck_assert_uint_eq(rows_number(rows, json_array_size(rows) - 1, "replaces"), 1);
	json_decref(rows);
}

/* _i: by which of three verbs is it loaded again? */
START_TEST(a_table_that_changes_takes_its_version_out_of_service)
{
	static const char reload[] = "{\"verb\": \"reload\"}";
	char text[APPLIANCE_TEXT_BYTES], path[512];
	struct appliance appliance;
	struct asker asker;
	int status = 0;
	int fd;

	appliance_make(&appliance, _i % 2);
	asker_open(&asker, &appliance, 9);
	ck_assert_int_eq(question_status(&asker, 0), 0);
	snprintf(path, sizeof(path), "%s/cold/1/users.bin", appliance.repository);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, "changed", 7, 400), 7);
	close(fd);
	for (uint64_t number = 1; number < 100 && status == 0; number++)
		status = question_status(&asker, number);
	ck_assert_int_eq(status, -ESTALE);
	ck_assert_int_eq(question_status(&asker, 200), -ESTALE);
	foreseen_look(&appliance, _i ? "load" : "swap");
	/* Loaded again it serves what the file has now, and is current as it was. */
	ck_assert_int_eq(_i == 2 ? appliance_ask(appliance.admin, reload, NULL, text)
				 : appliance_change(&appliance, _i ? "load" : "swap", "cold", 1, text),
			 0);
	ck_assert_str_eq(appliance_served(&appliance), "1* 2*");
	hearth_close(asker.hearth);
	asker_open(&asker, &appliance, 9);
	for (uint64_t number = 300; number < 310; number++)
		ck_assert_int_eq(question_status(&asker, number), 0);
	hearth_close(asker.hearth);
	appliance_close(&appliance);
}
END_TEST

/* It is gone then: the other one answers. */
START_TEST(a_version_that_is_out_of_service_and_cannot_be_loaded_again_gives_way)
{
	char text[APPLIANCE_TEXT_BYTES];
	struct appliance appliance;
	struct asker asker;
	char path[512];
	int status = 0;

	appliance_make(&appliance, 0);
	snprintf(path, sizeof(path), "%s/cold/1", appliance.repository);
	appliance_copy(&appliance, path, "cold/2");
	ck_assert_int_eq(appliance_change(&appliance, "load", "cold", 2, text), 0);
	ck_assert_str_eq(appliance_served(&appliance), "1* 2 2*");
	snprintf(path, sizeof(path), "%s/cold/1/users.bin", appliance.repository);
	ck_assert_int_eq(truncate(path, 4096), 0);
	asker_open(&asker, &appliance, 9);
	for (uint64_t number = 1; number < 100 && status != -ESTALE; number++)
		status = question_status(&asker, number);
	ck_assert_int_eq(status, -ESTALE);
	ck_assert_int_lt(appliance_change(&appliance, "load", "cold", 1, text), 0);
	ck_assert_str_eq(appliance_served(&appliance), "1! 2* 2*");
	/* The data loop hears of it a moment later. */
	await(question_status(&asker, 200) != -ENOENT);
	ck_assert_int_eq(question_status(&asker, 201), 0);
	hearth_close(asker.hearth);
	appliance_close(&appliance);
}
END_TEST

START_TEST(a_version_goes_when_its_last_waiting_batch_has_run)
{
	char text[APPLIANCE_TEXT_BYTES];
	struct appliance appliance;
	struct asker asker;

	appliance_make(&appliance, _i);
	for (int turn = 0; turn < 10; turn++) {
		asker_open(&asker, &appliance, (uint64_t)turn * 555);
		for (uint64_t number = 0; number < IN_FLIGHT; number++)
			asker_ask(&asker, number);
		ck_assert_int_eq(appliance_change(&appliance, "unload", "cold", 1, text), 0);
		for (uint64_t number = 0; number < IN_FLIGHT; number++) {
			int status = asker_take(&asker);

			ck_assert(status == 0 || status == -ENOENT);
		}
		ck_assert_int_eq(appliance_change(&appliance, "load", "cold", 1, text), 0);
		hearth_close(asker.hearth);
	}
	appliance_close(&appliance);
}
END_TEST

START_TEST(a_stop_answers_what_waits_for_rows)
{
	struct appliance appliance;
	struct asker asker;

	appliance_make(&appliance, _i);
	asker_open(&asker, &appliance, 13);
	for (uint64_t number = 0; number < IN_FLIGHT; number++)
		asker_ask(&asker, number);
	appliance_stop(&appliance);
	for (uint64_t number = 0; number < IN_FLIGHT; number++)
		ck_assert_int_eq(asker_take(&asker), 0);
	hearth_close(asker.hearth);
	appliance_start(&appliance, NULL);
	appliance_close(&appliance);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cold");
	TCase *tests = tcase_create("cold");

	tcase_set_timeout(tests, TIMEOUT_S);
	tcase_add_loop_test(tests, answers_are_right_while_rows_come_and_go, 0, 2);
	tcase_add_loop_test(tests, a_missing_id_has_the_row_that_stands_in_for_it, 0, 2);
	tcase_add_loop_test(tests, who_dies_while_its_batch_waits_harms_nobody, 0, 2);
	tcase_add_loop_test(tests, a_table_that_changes_takes_its_version_out_of_service, 0, 3);
	tcase_add_test(tests, a_version_that_is_out_of_service_and_cannot_be_loaded_again_gives_way);
	tcase_add_loop_test(tests, a_version_goes_when_its_last_waiting_batch_has_run, 0, 2);
	tcase_add_loop_test(tests, a_stop_answers_what_waits_for_rows, 0, 2);
	tcase_add_test(tests, a_row_that_comes_wakes_a_loop_that_sleeps_at_once);
	suite_add_tcase(suite, tests);
	return appliance_check(suite);
}
