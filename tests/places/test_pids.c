/* SPDX-License-Identifier: MIT */
/*
 * tests/places/test_pids.c - a pid is used again, and a process becomes another program
 */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "places.h"
#include "tests/hostile/intruder.h"
#include "tests/system/appliance.h"
#include "tests/system/crowd.h"
#include "tests/system/ledger.h"

#define TIMEOUT_S 110
#define TURNS 5
#define TURNS_MAX 200 /* somebody else may take a pid first */
#define OLD_KERNEL "no-peerpidfd=92" /* as before Linux 6.5 */
#define NO_PIDFD "no-pidfd=38"
#define AREA_BYTES 4096
#define ID ((UINT64_C(1) << 32) | 1)

/* --- used again ------------------------------------------------------------------------------- */

struct visit {
	const char *socket;
	uint64_t wanted;   /* answers that it shall ask for */
	uint64_t answered;
};

static void visitor_run(void *argument)
{
	struct visit *visit = argument;
	struct ledger_plan plan = {
		.socket = visit->socket,
		.slots = 4,
		.seed = 1,
		.kinds = LEDGER_INFER,
	};
	struct ledger ledger;

	ledger_open(&ledger, &plan);
	for (;;) {
		await(crowd_read(&visit->wanted) > ledger.answered);
		must(ledger_submit(&ledger, LEDGER_INFER), "no room");
		ledger_settle(&ledger);
		crowd_write(&visit->answered, ledger.answered);
	}
}

static void visitor_ask(struct visit *visit)
{
	uint64_t wanted = crowd_add(&visit->wanted, 1);

	await(crowd_read(&visit->answered) == wanted);
}

static void check_pid(const struct appliance *appliance, pid_t pid)
{
	json_t *rows = appliance_rows(appliance, "clients");

	ck_assert_uint_eq(json_array_size(rows), 1);
	ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(rows, 0), "pid")), pid);
	json_decref(rows);
}

/* The daemon learns of the death and of the successor in one look. Returns place_start's result. */
static pid_t succeed(const struct appliance *appliance, uint32_t descriptors)
{
	struct visit *visits = crowd_share(2 * sizeof(*visits));
	pid_t successor;
	pid_t pid;

	visits[0].socket = visits[1].socket = appliance->socket;
	pid = crowd_start(visitor_run, visits);
	visitor_ask(visits);
	check_pid(appliance, pid);
	appliance_suspend(appliance);
	crowd_kill(pid);
	successor = place_start(0, pid, visitor_run, visits + 1);
	appliance_resume(appliance);
	if (successor < 0)
		return successor;
	visitor_ask(visits + 1);
	await(appliance_number(appliance, "clients") == 1);
	check_pid(appliance, successor);
	visitor_ask(visits + 1); /* the end of the one before took nothing from it */
	crowd_kill(successor);
	appliance_await_clients(appliance, 0, descriptors);
	return successor;
}

static const char *const kernels[][6] = {
	{ PLACE_WRAPPER, PLACE_END },
	{ PLACE_WRAPPER, OLD_KERNEL, PLACE_END },
	{ PLACE_WRAPPER, OLD_KERNEL, NO_PIDFD, PLACE_END },
};

START_TEST(who_gets_the_pid_of_a_dead_client_gets_a_lane_of_its_own)
{
	struct appliance appliance;
	uint32_t descriptors;
	pid_t successor = 0;
	uint32_t turns = 0;
	uint32_t turn;

	appliance_init(&appliance);
	appliance.wrapper = kernels[_i];
	appliance_start(&appliance, NULL);
	descriptors = appliance_descriptors(&appliance);
	for (turn = 0; turn < TURNS_MAX && turns < TURNS; turn++) {
		successor = succeed(&appliance, descriptors);
		if (successor < 0 && successor != -EEXIST)
			break;
		turns += successor > 0;
	}
	if (turns < TURNS)
		printf("SKIP: no pid can be chosen here: %s\n", strerror(-successor));
	appliance_close(&appliance);
}
END_TEST

/* --- a stranger with the pid ------------------------------------------------------------------ */

enum phase {
	PHASE_CONNECTED = 1,
	PHASE_ACCEPTED, /* by the daemon, after the client's death */
	PHASE_SERVED,
	PHASE_OVER,
};

struct legacy {
	const char *socket;
	uint64_t phase;
};

static void heir_run(struct legacy *legacy, struct intruder *intruder)
{
	await(crowd_read(&legacy->phase) == PHASE_ACCEPTED);
	must(intruder_greet(intruder, 4, AREA_BYTES, AREA_BYTES) == 0, "HELLO");
	intruder_enter(intruder);
	intruder_ping(intruder, ID);
	crowd_write(&legacy->phase, PHASE_SERVED);
	await(crowd_read(&legacy->phase) == PHASE_OVER);
	_exit(EXIT_SUCCESS);
}

static void testator_run(void *argument)
{
	struct legacy *legacy = argument;
	struct intruder intruder;

	must(intruder_connect(&intruder, legacy->socket) == 0, "no connection");
	if (fork() == 0)
		heir_run(legacy, &intruder);
	crowd_write(&legacy->phase, PHASE_CONNECTED);
	for (;;)
		pause();
}

static void sleep_on(void *argument)
{
	(void)argument;
	for (;;)
		pause();
}

/* Without SO_PEERPIDFD this is what cannot be told apart: the client left its socket to a child and
 * died before it was accepted, and a stranger has its pid. The socket is watched all the same. */
START_TEST(a_stranger_with_the_pid_of_a_dead_client_keeps_no_lane_alive)
{
	struct legacy *legacy = crowd_share(sizeof(*legacy));
	struct appliance appliance;
	pid_t stranger = -EEXIST;
	uint32_t descriptors;
	uint32_t turn;
	pid_t pid;

	appliance_init(&appliance);
	appliance.wrapper = kernels[1];
	appliance_start(&appliance, NULL);
	descriptors = appliance_descriptors(&appliance);
	legacy->socket = appliance.socket;
	for (turn = 0; turn < TURNS_MAX && stranger == -EEXIST; turn++) {
		legacy = crowd_share(sizeof(*legacy));
		legacy->socket = appliance.socket;
		appliance_suspend(&appliance);
		pid = crowd_start(testator_run, legacy);
		await(crowd_read(&legacy->phase) == PHASE_CONNECTED);
		crowd_kill(pid);
		stranger = place_start(0, pid, sleep_on, NULL);
		appliance_resume(&appliance);
		crowd_write(&legacy->phase, PHASE_ACCEPTED);
		await(crowd_read(&legacy->phase) == PHASE_SERVED);
		if (stranger > 0)
			check_pid(&appliance, stranger);
		crowd_write(&legacy->phase, PHASE_OVER);
		appliance_await_clients(&appliance, 0, descriptors);
	}
	if (stranger < 0)
		printf("SKIP: no pid can be chosen here: %s\n", strerror(-stranger));
	else
		crowd_kill(stranger); /* it lived until here */
	appliance_close(&appliance);
}
END_TEST

/* --- another program -------------------------------------------------------------------------- */

static void program_run(void *argument)
{
	struct visit *visit = argument;
	struct hearth *hearth;

	must(hearth_open(visit->socket, NULL, &hearth) == 0, "no connection");
	crowd_write(&visit->answered, 1);
	await(crowd_read(&visit->wanted) == 1);
	execlp("sleep", "sleep", "1000", (char *)NULL);
	_exit(EXIT_FAILURE);
}

START_TEST(a_client_that_becomes_another_program_gives_its_lane_back)
{
	struct visit *visit = crowd_share(sizeof(*visit));
	struct appliance appliance;
	uint32_t descriptors;
	pid_t pid;

	appliance_open(&appliance, NULL);
	descriptors = appliance_descriptors(&appliance);
	visit->socket = appliance.socket;
	pid = crowd_start(program_run, visit);
	await(crowd_read(&visit->answered) == 1);
	await(appliance_number(&appliance, "clients") == 1);
	crowd_write(&visit->wanted, 1);
	appliance_await_clients(&appliance, 0, descriptors);
	crowd_kill(pid); /* its process lived until here */
	appliance_close(&appliance);
}
END_TEST

int main(int argc, char **argv)
{
	Suite *suite = suite_create("pids");
	TCase *brief = tcase_create("brief"); /* alone on a slow machine: test_guest.sh */
	TCase *old = tcase_create("old kernels");

	place_main(argc, argv);
	tcase_set_timeout(brief, TIMEOUT_S);
	tcase_add_loop_test(brief, who_gets_the_pid_of_a_dead_client_gets_a_lane_of_its_own, 0, 1);
	tcase_add_test(brief, a_client_that_becomes_another_program_gives_its_lane_back);
	suite_add_tcase(suite, brief);
	tcase_set_timeout(old, TIMEOUT_S);
	tcase_add_loop_test(old, who_gets_the_pid_of_a_dead_client_gets_a_lane_of_its_own, 1,
			    sizeof(kernels) / sizeof(kernels[0]));
	tcase_add_test(old, a_stranger_with_the_pid_of_a_dead_client_keeps_no_lane_alive);
	suite_add_tcase(suite, old);
	return appliance_check(suite);
}
