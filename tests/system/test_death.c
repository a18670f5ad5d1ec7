/* SPDX-License-Identifier: MIT */
/*
 * tests/system/test_death.c - who dies gives everything back, and who waits for the dead learns of it
 */
#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "appliance.h"
#include "crowd.h"
#include "kills.h"
#include "ledger.h"

#define TIMEOUT_S 110
#define KILLS 50
/* A waiting call ends within 50 ms of the daemon's death; a busy machine may take longer. */
#define BOUND_NS (INT64_C(10) * 1000000000)

START_TEST(clients_killed_at_random_points_give_everything_back)
{
	static const char *const flags[] = { "--clients-per-uid", "8", "--arena-bytes-per-uid",
					     "17M", NULL };
	struct hearth_options options = { .size = sizeof(options),
					  .request_area_bytes = 1 << 20,
					  .response_area_bytes = 1 << 20 };
	struct kills_plan plan = { .victims = 4, .bystanders = 2, .kills = KILLS };
	struct appliance appliance;
	struct hearth *handles[9];
	uint32_t index;

	appliance_open(&appliance, flags);
	plan.seed = crowd_seed("kills");
	kills_run(&appliance, &plan);

	/* The whole quota is there again, of connections and of bytes, and not more. */
	for (index = 0; index < 8; index++)
		ck_assert_int_eq(hearth_open(appliance.socket, &options, handles + index), 0);
	ck_assert_int_eq(hearth_open(appliance.socket, &options, handles + index), -EDQUOT);
	for (index = 0; index < 8; index++)
		hearth_close(handles[index]);
	appliance_close(&appliance);
}
END_TEST

START_TEST(clients_that_ring_over_the_socket_give_everything_back_too)
{
	static const char *const flags[] = { "--bell", "socket", NULL };
	struct kills_plan plan = { .victims = 4, .bystanders = 1, .kills = KILLS / 2 };
	struct appliance appliance;

	appliance_open(&appliance, flags);
	plan.seed = crowd_seed("kills");
	kills_run(&appliance, &plan);
	appliance_close(&appliance);
}
END_TEST

/* --- the daemon dies ------------------------------------------------------------------------------ */

#define WAITERS 9
#define PUBLISHED 3
#define UNANSWERED 5

enum phase {
	PHASE_ALIVE,
	PHASE_STOPPED, /* by SIGSTOP: it answers nothing */
	PHASE_REPLACED,
};

struct wake {
	uint64_t phase;
	uint64_t submitted; /* clients that have sent their first requests */
	uint64_t waiting;   /* that wait now */
	uint64_t over;      /* that have got everything */
	uint64_t killed_ns;
	uint64_t longest_ns;
};

struct waiter {
	const struct appliance *appliance;
	struct wake *wake;
	uint32_t number;
};

static void waiter_mourn(struct ledger *ledger, struct wake *wake)
{
	const struct hearth_completion *completion;
	struct hearth_request *request;
	uint64_t took_ns;

	while (ledger_take(ledger))
		;
	took_ns = (uint64_t)crowd_now_ns() - crowd_read(&wake->killed_ns);
	if (took_ns > crowd_read(&wake->longest_ns))
		crowd_write(&wake->longest_ns, took_ns);
	must(ledger->answered == PUBLISHED + UNANSWERED && ledger->orphans == UNANSWERED,
	     "%" PRIu64 " answers, %" PRIu64 " of them lost", ledger->answered, ledger->orphans);
	ledger_settle(ledger);
	must(hearth_wait(ledger->hearth, -1, &completion) == -ENOTCONN, "a wait after the end");
	must(hearth_acquire_ping(ledger->hearth, &request) == -ENOTCONN, "a request after it");
	must(hearth_acquire(ledger->hearth, ledger->model, 1, &request) == -ENOTCONN, "another");
	ledger_close(ledger);
}

static void waiter_run(void *argument)
{
	const struct waiter *waiter = argument;
	struct wake *wake = waiter->wake;
	struct ledger_plan plan = {
		.socket = waiter->appliance->socket,
		.slots = 16,
		.seed = waiter->number,
		.kinds = LEDGER_PING | LEDGER_INFER | LEDGER_STREAM,
		.way = (enum ledger_way)(waiter->number % 3),
	};
	struct ledger ledger;
	uint32_t turn;

	ledger_open(&ledger, &plan);
	for (turn = 0; turn < PUBLISHED; turn++)
		must(ledger_submit(&ledger, LEDGER_INFER), "no room");
	crowd_add(&wake->submitted, 1);
	await(crowd_read(&wake->phase) == PHASE_STOPPED);
	for (turn = 0; turn < UNANSWERED; turn++)
		must(ledger_submit(&ledger, 1u << turn % 3), "no room");
	crowd_add(&wake->waiting, 1);
	waiter_mourn(&ledger, wake);
	crowd_add(&wake->over, 1);

	await(crowd_read(&wake->phase) == PHASE_REPLACED);
	plan.requests = 100;
	ledger_run(&plan);
}

START_TEST(who_waits_for_a_dead_daemon_gets_what_was_published_and_the_rest_as_lost)
{
	struct wake *wake = crowd_share(sizeof(*wake));
	struct waiter waiters[WAITERS];
	struct appliance appliance;
	pid_t pids[WAITERS];
	uint32_t index;

	appliance_open(&appliance, NULL);
	for (index = 0; index < WAITERS; index++) {
		waiters[index] = (struct waiter){ &appliance, wake, index };
		pids[index] = crowd_start(waiter_run, waiters + index);
	}
	await(appliance_number(&appliance, "completions_total") == WAITERS * PUBLISHED);
	appliance_suspend(&appliance);
	crowd_write(&wake->phase, PHASE_STOPPED);
	await(crowd_read(&wake->waiting) == WAITERS);
	crowd_pause_ns(30000000); /* most of them sleep by then; it must not matter */
	crowd_write(&wake->killed_ns, (uint64_t)crowd_now_ns());
	appliance_kill(&appliance);
	await(crowd_read(&wake->over) == WAITERS);
	printf("the last of %d clients knew after %.1f ms\n", WAITERS,
	       (double)crowd_read(&wake->longest_ns) / 1e6);
	ck_assert_int_lt((int64_t)crowd_read(&wake->longest_ns), BOUND_NS);

	appliance_start(&appliance, NULL);
	crowd_write(&wake->phase, PHASE_REPLACED);
	for (index = 0; index < WAITERS; index++)
		crowd_finish(pids[index]);
	appliance_close(&appliance);
}
END_TEST

START_TEST(a_new_daemon_has_a_new_epoch_and_the_old_handle_stays_readable)
{
	const struct hearth_completion *completion;
	const struct hearth_model_info *model;
	const struct hearth_info *info;
	struct hearth_request *request;
	struct appliance appliance;
	struct hearth *renewed;
	struct hearth *hearth;
	uint64_t epoch;
	float score;

	appliance_open(&appliance, NULL);
	ck_assert_int_eq(hearth_open(appliance.socket, NULL, &hearth), 0);
	ck_assert_int_eq(hearth_about(hearth, &info), 0);
	epoch = info->epoch;
	ck_assert_int_eq(hearth_model(hearth, "shoppers", 0, &model), 0);
	ck_assert_int_eq(hearth_acquire(hearth, model, 1, &request), 0);
	ck_assert_int_eq(hearth_submit(hearth, request), 0);
	ck_assert_int_eq(hearth_wait(hearth, CROWD_PATIENCE_NS, &completion), 0);
	ck_assert_int_eq(completion->status, 0);
	score = *(const float *)completion->outputs[0].data;

	appliance_kill(&appliance);
	appliance_start(&appliance, NULL);
	ck_assert(*(const float *)completion->outputs[0].data == score);
	ck_assert_int_eq(hearth_release(hearth, completion->id), 0);
	ck_assert_int_eq(hearth_wait(hearth, 0, &completion), -ENOTCONN);
	ck_assert_int_eq(hearth_open(appliance.socket, NULL, &renewed), 0);
	ck_assert_int_eq(hearth_about(renewed, &info), 0);
	ck_assert_uint_ne(info->epoch, epoch);
	hearth_close(renewed);
	hearth_close(hearth);
	appliance_close(&appliance);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("death");
	TCase *clients = tcase_create("clients");
	TCase *daemon_case = tcase_create("daemon");

	tcase_set_timeout(clients, TIMEOUT_S);
	tcase_add_test(clients, clients_killed_at_random_points_give_everything_back);
	tcase_add_test(clients, clients_that_ring_over_the_socket_give_everything_back_too);
	suite_add_tcase(suite, clients);

	tcase_set_timeout(daemon_case, TIMEOUT_S);
	tcase_add_test(daemon_case,
		       who_waits_for_a_dead_daemon_gets_what_was_published_and_the_rest_as_lost);
	tcase_add_test(daemon_case, a_new_daemon_has_a_new_epoch_and_the_old_handle_stays_readable);
	suite_add_tcase(suite, daemon_case);
	return appliance_check(suite);
}
