/* SPDX-License-Identifier: MIT */
/*
 * tests/system/test_swap.c - versions come and go, SIGTERM comes, and no request notices
 */
#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance.h"
#include "crowd.h"
#include "ledger.h"
#include "serve/data.h"
#include "shoppers.h"
#include "swaps.h"
#include "tests/model/small_models.h"

#define TIMEOUT_S 110
#define SWAPS (200 / CROWD_SLOWDOWN)

START_TEST(swaps_under_load_fail_no_request_and_every_answer_is_its_versions)
{
	struct swaps_plan plan = { .clients = 3, .swaps = SWAPS };
	struct appliance appliance;

	appliance_open(&appliance, NULL);
	plan.seed = crowd_seed("swaps");
	swaps_run(&appliance, &plan);
	appliance_close(&appliance);
}
END_TEST

START_TEST(swaps_that_drain_fail_no_request_either)
{
	struct swaps_plan plan = { .clients = 3, .swaps = SWAPS / 2, .drains = true };
	struct appliance appliance;

	appliance_open(&appliance, NULL);
	plan.seed = crowd_seed("swaps");
	swaps_run(&appliance, &plan);
	appliance_close(&appliance);
}
END_TEST

/* Asks with a pin and returns what came. */
static struct hearth_completion ask(struct hearth *hearth, const struct hearth_model_info *model,
				    uint32_t pin, uint32_t row)
{
	const struct hearth_completion *completion;
	struct hearth_completion copy;
	struct hearth_request *request;

	ck_assert_int_eq(hearth_acquire(hearth, model, 2, &request), 0);
	request->version = pin;
	shoppers_fill(request, model, row, 2);
	ck_assert_int_eq(hearth_submit(hearth, request), 0);
	ck_assert_int_eq(hearth_wait(hearth, CROWD_PATIENCE_NS, &completion), 0);
	ck_assert_uint_eq(completion->kind, HEARTH_FINAL);
	if (completion->status == 0)
		shoppers_check(completion, row, 2);
	copy = *completion;
	ck_assert_int_eq(hearth_release(hearth, completion->id), 0);
	return copy;
}

/* "" when it is not there. */
static void version_state(const struct appliance *appliance, uint32_t version, char text[64])
{
	json_t *rows = appliance_rows(appliance, "models");
	size_t index;
	json_t *row;

	text[0] = '\0';
	json_array_foreach(rows, index, row) {
		if (json_integer_value(json_object_get(row, "version")) == version)
			snprintf(text, 64, "%s%s",
				 json_string_value(json_object_get(row, "state")),
				 json_is_true(json_object_get(row, "current")) ? ", current" : "");
	}
	json_decref(rows);
}

START_TEST(a_pinned_version_answers_while_it_is_loaded_and_enoent_says_when_it_is_not)
{
	const struct hearth_model_info *model;
	struct hearth_completion completion;
	char text[APPLIANCE_TEXT_BYTES];
	struct appliance appliance;
	struct hearth *hearth;
	char state[64];
	uint32_t row;

	appliance_open(&appliance, (const char *[]){ "--load", "all", NULL });
	ck_assert_int_eq(hearth_open(appliance.socket, NULL, &hearth), 0);
	ck_assert_int_eq(hearth_model(hearth, "shoppers", 0, &model), 0);
	ck_assert_uint_eq(model->version, 2);
	for (row = 0; row < 100; row++) {
		ck_assert_uint_eq(ask(hearth, model, 1, row).version, 1);
		ck_assert_uint_eq(ask(hearth, model, 2, row).version, 2);
		ck_assert_uint_eq(ask(hearth, model, 0, row).version, 2);
	}
	completion = ask(hearth, model, 3, 0);
	ck_assert_int_eq(completion.status, -ENOENT);
	ck_assert_uint_eq(hearth_detail_reason(completion.detail), HEARTH_DETAIL_MODEL);
	ck_assert_uint_eq(hearth_detail_value(completion.detail), 3);

	/* The current one goes: the other one inherits. */
	ck_assert_int_eq(appliance_change(&appliance, "unload", "shoppers", 2, text), 0);
	ck_assert_uint_eq(ask(hearth, model, 0, 7).version, 1);
	ck_assert_int_eq(ask(hearth, model, 2, 7).status, -ENOENT);
	version_state(&appliance, 2, state);
	ck_assert_str_eq(state, "");
	version_state(&appliance, 1, state);
	ck_assert_str_eq(state, "serving, current");

	/* All go, and one comes back. */
	ck_assert_int_eq(appliance_change(&appliance, "unload", "shoppers", 0, text), 0);
	ck_assert_int_eq(ask(hearth, model, 0, 7).status, -ENOENT);
	ck_assert_int_eq(hearth_model(hearth, "shoppers", 0, &model), -ENOENT);
	ck_assert_int_eq(appliance_change(&appliance, "load", "shoppers", 1, text), 0);
	ck_assert_int_eq(hearth_model(hearth, "shoppers", 0, &model), 0);
	ck_assert_uint_eq(ask(hearth, model, 0, 7).version, 1);
	ck_assert_int_eq(appliance_change(&appliance, "load", "shoppers", 0, text), 0);
	ck_assert_uint_eq(ask(hearth, model, 0, 7).version, 1);
	ck_assert_uint_eq(ask(hearth, model, 2, 7).version, 2);
	hearth_close(hearth);
	appliance_close(&appliance);
}
END_TEST

START_TEST(a_broken_model_fails_with_a_sentence_and_changes_nothing)
{
	static const struct {
		const char *make; /* in the repository */
		uint32_t version;
	} breakages[] = {
		{ "echo garbage > shoppers/3/model.onnx", 3 },
		{ ": > shoppers/4/model.onnx", 4 },
		{ "head -c 500000 shoppers/1/model.onnx > shoppers/5/model.onnx", 5 },
		{ "cp shoppers/2/model.onnx shoppers/6/model.onnx", 6 }, /* no model.bin */
		{ "cp shoppers/2/model.onnx shoppers/7 && "
		  "head -c 1000 shoppers/2/model.bin > shoppers/7/model.bin", 7 },
		{ "true", 8 }, /* a directory with nothing in it */
	};
	const struct hearth_model_info *model;
	char text[APPLIANCE_TEXT_BYTES];
	struct appliance appliance;
	struct hearth *hearth;
	char command[512];
	char state[64];
	uint32_t index;

	appliance_open(&appliance, NULL);
	ck_assert_int_eq(hearth_open(appliance.socket, NULL, &hearth), 0);
	ck_assert_int_eq(hearth_model(hearth, "shoppers", 0, &model), 0);
	for (index = 0; index < sizeof(breakages) / sizeof(breakages[0]); index++) {
		uint32_t version = breakages[index].version;
		int r;

		snprintf(command, sizeof(command), "cd %s && mkdir shoppers/%u && %s",
			 appliance.repository, version, breakages[index].make);
		ck_assert_int_eq(system(command), 0);
		text[0] = '\0';
		r = appliance_change(&appliance, index % 2 ? "swap" : "load", "shoppers", version,
				     text);
		must(r < 0 && strlen(text) > 20 && strstr(text, "shoppers"), "%s: %d '%s'",
		     breakages[index].make, r, text);
		version_state(&appliance, version, state);
		ck_assert_str_eq(state, "failed");
		ck_assert_uint_eq(ask(hearth, model, 0, index).version, 2);
		ck_assert_int_eq(ask(hearth, model, version, index).status, -ENOENT);
	}
	/* What failed is forgotten on request, and tried again on request. */
	ck_assert_int_eq(appliance_change(&appliance, "unload", "shoppers", 3, text), 0);
	version_state(&appliance, 3, state);
	ck_assert_str_eq(state, "");
	snprintf(command, sizeof(command), "cd %s && cp shoppers/1/model.onnx shoppers/4/",
		 appliance.repository);
	ck_assert_int_eq(system(command), 0);
	ck_assert_int_eq(appliance_change(&appliance, "load", "shoppers", 4, text), 0);
	version_state(&appliance, 4, state);
	ck_assert_str_eq(state, "serving");
	hearth_close(hearth);
	appliance_close(&appliance);
}
END_TEST

START_TEST(versions_that_have_failed_make_room)
{
	char text[APPLIANCE_TEXT_BYTES];
	struct appliance appliance;
	char command[512];
	char state[64];

	appliance_open(&appliance, NULL);
	snprintf(command, sizeof(command), "cd %s/shoppers && mkdir $(seq 3 %u)",
		 appliance.repository, 2 * DATA_VERSIONS_MAX);
	ck_assert_int_eq(system(command), 0);
	for (uint32_t version = 3; version <= 2 * DATA_VERSIONS_MAX; version++)
		ck_assert_int_eq(appliance_change(&appliance, "load", "shoppers", version, text),
				 -ENOENT);
	ck_assert_int_eq(appliance_change(&appliance, "load", "shoppers", 1, text), 0);
	version_state(&appliance, 1, state);
	ck_assert_str_eq(state, "serving");
	version_state(&appliance, 2, state);
	ck_assert_str_eq(state, "serving, current");
	appliance_close(&appliance);
}
END_TEST

/* n0, n1, ...: each takes the place of the one before it. */
static void name_change(const struct appliance *appliance, uint32_t number)
{
	char text[APPLIANCE_TEXT_BYTES], name[16];

	snprintf(name, sizeof(name), "n%u", number - 1);
	if (number > 0)
		must(appliance_change(appliance, "unload", name, 0, text) == 0, "%s", text);
	snprintf(name, sizeof(name), "n%u", number);
	must(appliance_change(appliance, "load", name, 1, text) == 0, "%s", text);
}

START_TEST(names_that_come_and_go_leave_room_and_a_handle_means_one_name_for_ever)
{
	const struct hearth_model_info *stays, *first, *last;
	struct appliance appliance;
	struct hearth *hearth;
	char command[512];
	json_t *rows;

	appliance_init(&appliance);
	appliance_save(&appliance, "small", small_node(17, "Relu", "x"));
	appliance_start(&appliance, (const char *[]){ "--load", "none", NULL });
	ck_assert_int_eq(appliance_change(&appliance, "load", "shoppers", 2, command), 0);
	snprintf(command, sizeof(command), "cd %s && for n in $(seq 1 %u); do cp -rl small n$n; done "
		 "&& cp -rl shoppers n0 && cp -rl shoppers n%u", appliance.repository,
		 DATA_MODELS_MAX - 2, DATA_MODELS_MAX - 1);
	ck_assert_int_eq(system(command), 0);
	ck_assert_int_eq(hearth_open(appliance.socket, NULL, &hearth), 0);
	ck_assert_int_eq(hearth_model(hearth, "shoppers", 0, &stays), 0);
	name_change(&appliance, 0);
	ck_assert_int_eq(hearth_model(hearth, "n0", 0, &first), 0);
	ck_assert_int_eq(ask(hearth, first, 0, 7).status, 0);
	for (uint32_t number = 1; number < DATA_MODELS_MAX; number++)
		name_change(&appliance, number);

	/* The last one has the place of the first. */
	ck_assert_int_eq(ask(hearth, first, 0, 7).status, -ENOENT);
	snprintf(command, sizeof(command), "n%u", DATA_MODELS_MAX - 1);
	ck_assert_int_eq(hearth_model(hearth, command, 0, &last), 0);
	ck_assert_uint_ne(last->handle, first->handle);
	ck_assert_int_eq(ask(hearth, last, 0, 7).status, 0);
	ck_assert_int_eq(ask(hearth, stays, 0, 7).status, 0);
	rows = appliance_rows(&appliance, "trace");
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(rows, 0), "model")),
			 "(gone)");
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(rows, 1), "model")),
			 command);
	json_decref(rows);
	hearth_close(hearth);
	appliance_close(&appliance);
}
END_TEST

/* Loads and unloads of another model, from several askers at once. */
static void change_again_and_again(void *argument)
{
	const struct appliance *appliance = argument;
	char text[APPLIANCE_TEXT_BYTES];
	uint32_t turn;

	for (turn = 0; turn < 20; turn++) {
		const char *verb = turn % 2 ? "unload" : "load";
		int r = appliance_change(appliance, verb, "other", 1, text);

		must(r == 0 || r == -ENOENT, "%s: %s", verb, text);
	}
}

START_TEST(loads_and_unloads_during_load_disturb_nobody)
{
	enum { CLIENTS = 2, ASKERS = 3 };
	struct ledger_plan plan = { .slots = 32, .kinds = LEDGER_ALL };
	uint64_t *stop = crowd_share(sizeof(*stop));
	char text[APPLIANCE_TEXT_BYTES];
	struct appliance appliance;
	pid_t clients[CLIENTS];
	pid_t askers[ASKERS];
	uint32_t index;

	appliance_init(&appliance);
	appliance_copy(&appliance, "tests/data/shoppers/repository/shoppers", "other");
	appliance_start(&appliance, NULL);
	plan.socket = appliance.socket;
	plan.stop = stop;
	for (index = 0; index < CLIENTS; index++)
		clients[index] = crowd_start(ledger_run, &plan);
	for (index = 0; index < ASKERS; index++)
		askers[index] = crowd_start(change_again_and_again, &appliance);
	for (index = 0; index < ASKERS; index++)
		crowd_finish(askers[index]);
	crowd_write(stop, 1);
	for (index = 0; index < CLIENTS; index++)
		crowd_finish(clients[index]);
	ck_assert_int_eq(appliance_change(&appliance, "load", "other", 1, text), 0);
	appliance_close(&appliance);
}
END_TEST

/* --- SIGTERM ------------------------------------------------------------------------------------------ */

/* The daemon sleeps while they submit, and wakes up with SIGTERM. */
static void submit_and_settle(void *argument)
{
	const struct ledger_plan *plan = argument;
	struct ledger ledger;

	ledger_open(&ledger, plan);
	crowd_add(plan->answered + 1, 1);
	await(crowd_read(plan->stop));
	while (ledger_submit(&ledger, ledger.submitted % 2 ? LEDGER_INFER : LEDGER_STREAM))
		;
	crowd_add(plan->answered + 2, 1);
	ledger_settle(&ledger);
	must(ledger.orphans == 0, "%" PRIu64 " of %" PRIu64 " were not answered", ledger.orphans,
	     ledger.submitted);
	ledger_close(&ledger);
}

START_TEST(what_was_published_before_sigterm_is_answered)
{
	enum { CLIENTS = 4 };
	uint64_t *shared = crowd_share(4 * sizeof(*shared));
	struct ledger_plan plans[CLIENTS];
	struct appliance appliance;
	pid_t pids[CLIENTS];
	uint32_t index;

	appliance_open(&appliance, NULL);
	for (index = 0; index < CLIENTS; index++) {
		plans[index] = (struct ledger_plan){
			.socket = appliance.socket,
			.slots = 64,
			.seed = index,
			.stop = shared,
			.answered = shared + 1,
			.kinds = LEDGER_INFER | LEDGER_STREAM,
			.way = (enum ledger_way)(index % 2),
		};
		pids[index] = crowd_start(submit_and_settle, plans + index);
	}
	await(crowd_read(shared + 2) == CLIENTS);
	/* _i: the lanes are cold, or perhaps not yet. */
	crowd_pause_ns(_i * 10000000);
	appliance_suspend(&appliance);
	crowd_write(shared, 1);
	await(crowd_read(shared + 3) == CLIENTS);
	kill(appliance.pid, SIGTERM);
	appliance_resume(&appliance);
	for (index = 0; index < CLIENTS; index++)
		crowd_finish(pids[index]);
	appliance_close(&appliance);
}
END_TEST

START_TEST(sigterm_ends_the_daemon_although_clients_go_on_asking)
{
	enum { CLIENTS = 3 };
	uint64_t *answered = crowd_share(sizeof(*answered));
	struct ledger_plan plans[CLIENTS];
	struct appliance appliance;
	pid_t pids[CLIENTS];
	uint32_t index;

	appliance_open(&appliance, NULL);
	for (index = 0; index < CLIENTS; index++) {
		plans[index] = (struct ledger_plan){
			.socket = appliance.socket,
			.slots = 64,
			.seed = index,
			.answered = answered,
			.kinds = LEDGER_ALL,
			.may_be_left = true,
		};
		pids[index] = crowd_start(ledger_run, plans + index);
	}
	await(appliance_number(&appliance, "clients") == CLIENTS);
	await(crowd_read(answered) > 1000 / CROWD_SLOWDOWN);
	appliance_stop(&appliance);
	for (index = 0; index < CLIENTS; index++)
		crowd_finish(pids[index]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("swap");
	TCase *versions = tcase_create("versions");
	TCase *end = tcase_create("end");

	tcase_set_timeout(versions, TIMEOUT_S);
	tcase_add_test(versions,
		       swaps_under_load_fail_no_request_and_every_answer_is_its_versions);
	tcase_add_test(versions,
		       a_pinned_version_answers_while_it_is_loaded_and_enoent_says_when_it_is_not);
	tcase_add_test(versions, swaps_that_drain_fail_no_request_either);
	tcase_add_test(versions, a_broken_model_fails_with_a_sentence_and_changes_nothing);
	tcase_add_test(versions, versions_that_have_failed_make_room);
	tcase_add_test(versions,
		       names_that_come_and_go_leave_room_and_a_handle_means_one_name_for_ever);
	tcase_add_test(versions, loads_and_unloads_during_load_disturb_nobody);
	suite_add_tcase(suite, versions);

	tcase_set_timeout(end, TIMEOUT_S);
	tcase_add_loop_test(end, what_was_published_before_sigterm_is_answered, 0, 2);
	tcase_add_test(end, sigterm_ends_the_daemon_although_clients_go_on_asking);
	suite_add_tcase(suite, end);
	return appliance_check(suite);
}
