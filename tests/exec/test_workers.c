/* SPDX-License-Identifier: MIT */
/* tests/exec/test_workers.c - each part once, by whoever is free, asleep or awake */
#include <check.h>
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "exec/workers.h"
#include "tests/suite.h"
#include "tests/system/crowd.h"

#define SEED 20261127
#define PARTS_MAX 300
#define CALLS (4000 / CROWD_SLOWDOWN)
#define SPIN_NS 50000
#define SLEEPS 40
#define HELP_TRIES 2000

struct tally {
	uint32_t parts[PARTS_MAX]; /* plain: who took a part is its only writer */
	uint32_t workers[8];
	uint32_t value; /* read by the parts, written between the calls */
	uint64_t part_ns;
};

static void tally_part(void *context, uint32_t part, uint32_t worker)
{
	struct tally *tally = context;
	uint64_t until_ns = tally->part_ns ? clock_ns() + tally->part_ns : 0;

	tally->parts[part] += tally->value;
	__atomic_fetch_add(&tally->workers[worker], 1, __ATOMIC_RELAXED);
	while (until_ns && clock_ns() < until_ns)
		;
}

static struct workers *start(uint32_t count, uint64_t spin_ns)
{
	struct workers_options options = {
		.count = count,
		.node = -1,
		.spin_ns = spin_ns,
		.wake_ns = 20000,
	};
	struct workers *workers = NULL;
	int r = workers_new(&options, &workers);

	ck_assert_msg(r == 0, "%s", err_message());
	return workers;
}

static void check_call(struct workers *workers, struct tally *tally, uint32_t part_count,
		       bool wakes)
{
	memset(tally->parts, 0, sizeof(tally->parts));
	tally->value++;
	workers_each(workers, tally_part, tally, part_count, wakes);
	for (uint32_t part = 0; part < PARTS_MAX; part++)
		ck_assert_uint_eq(tally->parts[part], part < part_count ? tally->value : 0);
}

static bool are_asleep(const struct workers *workers)
{
	for (uint32_t wait = 0; wait < 2000; wait++) {
		if (!workers_are_awake(workers))
			return true;
		usleep(1000);
	}
	return false;
}

START_TEST(every_part_is_done_once_before_the_call_returns)
{
	uint32_t count = (uint32_t)_i + 1;
	struct workers *workers = start(count, SPIN_NS);
	struct tally tally = { .value = 0 };
	unsigned int seed = SEED;

	ck_assert_uint_eq(workers_count(workers), count);
	for (uint32_t call = 0; call < CALLS; call++) {
		uint32_t part_count = (uint32_t)rand_r(&seed) %
				      (call % 64 == 0 ? PARTS_MAX + 1 : 5);

		check_call(workers, &tally, part_count, call % 3 != 0);
		if (call % 512 == 0)
			usleep(call % 1024 ? 200 : 20); /* some sleep, some do not */
	}
	for (uint32_t worker = count; worker < 8; worker++)
		ck_assert_uint_eq(tally.workers[worker], 0);
	workers_free(workers);
}
END_TEST

START_TEST(a_worker_helps_when_it_is_awake_or_woken)
{
	struct workers *workers = start(2, SPIN_NS);
	struct tally tally = { .part_ns = 20000 };
	uint32_t tries;

	for (tries = 0; tries < HELP_TRIES && tally.workers[1] < 8; tries++)
		check_call(workers, &tally, 16, true);
	ck_assert_uint_ge(tally.workers[1], 8);
	for (uint32_t sleep = 0; sleep < SLEEPS; sleep++) {
		ck_assert(are_asleep(workers));
		tally.workers[1] = 0;
		for (tries = 0; tries < HELP_TRIES && tally.workers[1] == 0; tries++)
			check_call(workers, &tally, 16, true);
		ck_assert_uint_gt(tally.workers[1], 0);
	}
	workers_free(workers);
}
END_TEST

START_TEST(those_that_sleep_are_left_alone_unless_it_pays)
{
	struct workers *workers = start(3, SPIN_NS);
	struct tally tally = { .value = 0 };

	ck_assert(!workers_are_worth_waking(workers, 39000));
	workers_rest(workers);
	ck_assert(!workers_are_worth_waking(workers, 39000)); /* it began to count anew */
	ck_assert(workers_are_worth_waking(workers, 2000)); /* for those that will follow */
	ck_assert(!workers_are_worth_waking(workers, 2000));
	ck_assert(workers_are_worth_waking(workers, 40000));
	ck_assert(workers_are_worth_waking(workers, UINT64_MAX));
	ck_assert(are_asleep(workers));
	for (uint32_t call = 0; call < 100; call++)
		check_call(workers, &tally, 8, false);
	ck_assert_uint_eq(tally.workers[0], 800);
	ck_assert_uint_eq(tally.workers[1] + tally.workers[2], 0);
	ck_assert(!workers_are_awake(workers));
	workers_free(workers);
}
END_TEST

START_TEST(they_stay_awake_while_somebody_has_them)
{
	struct workers *workers = start(2, SPIN_NS);
	struct tally tally = { .value = 0 };

	ck_assert(workers_acquire(workers));
	check_call(workers, &tally, 4, true);
	for (uint32_t wait = 0; wait < 2000 && !workers_are_all_awake(workers); wait++)
		usleep(1000);
	usleep(20 * SPIN_NS / 1000);
	ck_assert(workers_are_all_awake(workers));
	workers_release(workers);
	ck_assert(are_asleep(workers));
	workers_free(workers);
}
END_TEST

START_TEST(they_sleep_as_soon_as_their_caller_rests)
{
	struct workers *workers = start(2, UINT64_C(3600) * CLOCK_NS_PER_S);
	struct tally tally = { .value = 0 };

	check_call(workers, &tally, 4, true);
	usleep(5000);
	ck_assert(workers_are_awake(workers));
	workers_rest(workers);
	ck_assert(are_asleep(workers));
	check_call(workers, &tally, 4, true);
	usleep(5000);
	ck_assert(workers_are_awake(workers));
	workers_rest(NULL);
	workers_free(workers);
}
END_TEST

struct rival {
	struct workers *workers;
	struct tally tally;
	uint32_t calls;
};

static void *rival_main(void *argument)
{
	struct rival *rival = argument;

	for (uint32_t call = 0; call < CALLS; call++) {
		if (!workers_acquire(rival->workers))
			continue;
		check_call(rival->workers, &rival->tally, 3, call % 2);
		workers_release(rival->workers);
		rival->calls++;
	}
	return NULL;
}

START_TEST(two_callers_take_turns)
{
	struct workers *workers = start(3, SPIN_NS);
	struct rival rivals[2] = { { .workers = workers }, { .workers = workers } };
	pthread_t threads[2];

	for (uint32_t index = 0; index < 2; index++)
		ck_assert_int_eq(pthread_create(&threads[index], NULL, rival_main, &rivals[index]),
				 0);
	for (uint32_t index = 0; index < 2; index++)
		pthread_join(threads[index], NULL);
	ck_assert_uint_gt(rivals[0].calls + rivals[1].calls, 0);
	ck_assert(workers_acquire(workers));
	ck_assert(!workers_acquire(workers));
	workers_release(workers);
	workers_free(workers);
}
END_TEST

static uint32_t threads_named(const char *name)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *entry;
	uint32_t count = 0;

	ck_assert_ptr_nonnull(tasks);
	while ((entry = readdir(tasks))) {
		char path[300];
		char text[32] = "";
		FILE *file;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
		file = fopen(path, "re");
		if (file && fgets(text, sizeof(text), file))
			count += strncmp(text, name, strlen(name)) == 0;
		if (file)
			fclose(file);
	}
	closedir(tasks);
	return count;
}

START_TEST(threads_are_named_and_gone_when_they_are_freed)
{
	struct workers *workers = start(3, SPIN_NS);

	for (uint32_t wait = 0; wait < 1000 && threads_named("hearth-work-") < 2; wait++)
		usleep(1000);
	ck_assert_uint_eq(threads_named("hearth-work-"), 2);
	workers_free(workers);
	ck_assert_uint_eq(threads_named("hearth-work-"), 0);
	for (uint32_t round = 0; round < 50; round++) /* at once, before they have begun */
		workers_free(start(4, round % 2 ? SPIN_NS : 0));
	workers_free(NULL);
	ck_assert_uint_eq(workers_count(NULL), 1);
	ck_assert_int_eq(workers_caller_cpu(NULL), -1);
}
END_TEST

START_TEST(no_worker_runs_on_the_callers_cpu)
{
	struct workers *workers = start(2, SPIN_NS);
	cpu_set_t cpus;
	int cpu = workers_caller_cpu(workers);

	ck_assert_int_eq(sched_getaffinity(0, sizeof(cpus), &cpus), 0);
	if (CPU_COUNT(&cpus) < 2)
		ck_assert_int_eq(cpu, -1);
	else
		ck_assert(CPU_ISSET((size_t)cpu, &cpus));
	workers_free(workers);
}
END_TEST

/* A node that is not there has all CPUs, so that each of these three has as many. */
START_TEST(each_node_has_its_part_of_the_workers_and_the_callers_comes_first)
{
	const struct workers_options options = {
		.count = 7, .node = -1, .further = { UINT64_C(3) << 62 }, .spin_ns = SPIN_NS,
	};
	static const uint32_t wanted[] = { 0, 0, 1, 1, 1, 2, 2 };
	struct workers *workers = NULL;
	struct tally tally = { .value = 0 };

	ck_assert_int_eq(workers_new(&options, &workers), 0);
	ck_assert_uint_eq(workers_node_count(workers), 3);
	ck_assert_int_eq(workers_node(workers, 0), -1);
	ck_assert_int_eq(workers_node(workers, 1), 62);
	ck_assert_int_eq(workers_node(workers, 2), 63);
	for (uint32_t worker = 0; worker < 7; worker++)
		ck_assert_uint_eq(workers_node_index(workers, worker), wanted[worker]);
	check_call(workers, &tally, 100, true);
	workers_free(workers);
	ck_assert_uint_eq(workers_node_count(NULL), 1);
	ck_assert_uint_eq(workers_node_index(NULL, 0), 0);
}
END_TEST

START_TEST(a_node_that_gets_no_worker_is_none_of_theirs)
{
	const struct workers_options options = {
		.count = 2, .node = -1, .further = { UINT64_C(3) << 62 }, .spin_ns = SPIN_NS,
	};
	struct workers *workers = NULL;

	ck_assert_int_eq(workers_new(&options, &workers), 0);
	ck_assert_uint_eq(workers_node_count(workers), 2);
	ck_assert_int_eq(workers_node(workers, workers_node_index(workers, 1)), 62);
	workers_free(workers);
}
END_TEST

START_TEST(a_count_that_is_out_of_range_is_refused)
{
	struct workers_options options = { .node = -1 };
	struct workers *workers = NULL;

	ck_assert_int_lt(workers_new(&options, &workers), 0);
	options.count = WORKERS_MAX + 1;
	ck_assert_int_lt(workers_new(&options, &workers), 0);
	ck_assert_ptr_null(workers);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("workers");
	TCase *tests = tcase_create("workers");

	tcase_set_timeout(tests, 120);
	tcase_add_loop_test(tests, every_part_is_done_once_before_the_call_returns, 0, 4);
	tcase_add_test(tests, a_worker_helps_when_it_is_awake_or_woken);
	tcase_add_test(tests, those_that_sleep_are_left_alone_unless_it_pays);
	tcase_add_test(tests, they_stay_awake_while_somebody_has_them);
	tcase_add_test(tests, they_sleep_as_soon_as_their_caller_rests);
	tcase_add_test(tests, two_callers_take_turns);
	tcase_add_test(tests, threads_are_named_and_gone_when_they_are_freed);
	tcase_add_test(tests, no_worker_runs_on_the_callers_cpu);
	tcase_add_test(tests, each_node_has_its_part_of_the_workers_and_the_callers_comes_first);
	tcase_add_test(tests, a_node_that_gets_no_worker_is_none_of_theirs);
	tcase_add_test(tests, a_count_that_is_out_of_range_is_refused);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
