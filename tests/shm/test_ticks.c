/* SPDX-License-Identifier: MIT */
/* tests/shm/test_ticks.c - a counted clock follows the kernel's, on machines of any rate */
#include <check.h>
#include <time.h>

#include "shm/ticks.h"
#include "tests/suite.h"

/* A machine: a counter that runs at `hz`, and a clock. */
struct machine {
	double hz;
	uint64_t count;
	uint64_t ns;
	double rest; /* of a count */
};

static const double rates_hz[] = { 1e6, 24e6, 100e6, 1e9, 2.595e9, 5e9 };
#define RATES (int)(sizeof(rates_hz) / sizeof(rates_hz[0]))

static void pass(struct machine *machine, uint64_t ns)
{
	machine->ns += ns;
	machine->rest += (double)ns * machine->hz / 1e9;
	machine->count += (uint64_t)machine->rest;
	machine->rest -= (double)(uint64_t)machine->rest;
}

static uint64_t told(struct hearth_ticks *ticks, const struct machine *machine, uint32_t *asked)
{
	uint64_t ns;

	if (hearth_ticks_tell(ticks, machine->count, &ns))
		return ns;
	(*asked)++;
	return hearth_ticks_sync(ticks, machine->ns, machine->count, machine->count + 1);
}

START_TEST(it_stays_within_a_microsecond_and_never_goes_back)
{
	struct machine machine = { rates_hz[_i], 77, 1000000000, 0 };
	/* A count of a slow counter is longer than a microsecond. */
	double error_max = 1000 + 2e9 / machine.hz;
	struct hearth_ticks ticks;
	uint64_t last = 0;
	uint32_t asked = 0;
	uint32_t turn;

	hearth_ticks_init(&ticks, true);
	for (turn = 0; turn < 100000; turn++) {
		uint64_t ns = told(&ticks, &machine, &asked);

		ck_assert_uint_ge(ns, last);
		ck_assert_double_le((double)ns - (double)machine.ns, error_max);
		ck_assert_double_le((double)machine.ns - (double)ns, error_max);
		last = ns;
		pass(&machine, turn % 7 * 1009 + 100);
		if (turn % 9973 == 0)
			pass(&machine, 500000000);
	}
	/* 0.3 s and ten pauses: once a span, and at first until the rate is known. */
	ck_assert_uint_lt(asked, 1500);
}
END_TEST

START_TEST(nothing_is_told_before_a_rate_is_known)
{
	struct machine machine = { 1e9, 1, 5, 0 };
	struct hearth_ticks ticks;
	uint32_t turn;
	uint64_t ns;

	hearth_ticks_init(&ticks, true);
	for (turn = 0; turn < HEARTH_TICKS_ASKED_MIN; turn++) {
		pass(&machine, 2 * HEARTH_TICKS_RATE_NS);
		ck_assert(!hearth_ticks_tell(&ticks, machine.count, &ns));
		ck_assert_uint_eq(hearth_ticks_sync(&ticks, machine.ns, machine.count,
						    machine.count + 1), machine.ns);
	}
	pass(&machine, 1000);
	ck_assert_uint_eq(hearth_ticks_sync(&ticks, machine.ns, machine.count, machine.count + 1), machine.ns);
	pass(&machine, HEARTH_TICKS_RATE_NS / 2);
	ck_assert(!hearth_ticks_tell(&ticks, machine.count, &ns));
	ck_assert_uint_eq(hearth_ticks_sync(&ticks, machine.ns, machine.count, machine.count + 1), machine.ns);
	pass(&machine, HEARTH_TICKS_RATE_NS);
	ck_assert(!hearth_ticks_tell(&ticks, machine.count, &ns));
	ck_assert_uint_eq(hearth_ticks_sync(&ticks, machine.ns, machine.count, machine.count + 1), machine.ns);
	pass(&machine, 1000);
	ck_assert(hearth_ticks_tell(&ticks, machine.count, &ns));
	ck_assert_uint_eq(ns, machine.ns);
	pass(&machine, HEARTH_TICKS_SPAN_NS);
	ck_assert(!hearth_ticks_tell(&ticks, machine.count, &ns));
}
END_TEST

START_TEST(a_counter_that_cannot_be_trusted_tells_nothing)
{
	struct machine machine = { 1e9, 1, 5, 0 };
	struct hearth_ticks ticks;
	uint64_t ns;
	uint32_t turn;

	hearth_ticks_init(&ticks, false);
	for (turn = 0; turn < 100; turn++) {
		pass(&machine, HEARTH_TICKS_RATE_NS);
		ck_assert(!hearth_ticks_tell(&ticks, machine.count, &ns));
		ck_assert_uint_eq(hearth_ticks_sync(&ticks, machine.ns, machine.count, machine.count + 1), machine.ns);
	}
}
END_TEST

/* Suspended: the counter goes on and the clock does not. Moved: the counter jumps, forward or back,
 * and may run at another rate. */
START_TEST(after_a_jump_it_finds_the_clock_again)
{
	static const struct {
		int64_t counts;
		double hz;
	} jumps[] = { { 3600000000000, 1e9 }, { -500000000, 1e9 }, { 40, 1.5e9 }, { 0, 0.5e9 } };
	struct machine machine = { 1e9, 10000000000, 5, 0 };
	struct hearth_ticks ticks;
	uint32_t asked = 0;
	uint32_t turn;
	uint64_t ns;

	hearth_ticks_init(&ticks, true);
	for (turn = 0; turn < 100; turn++) {
		(void)told(&ticks, &machine, &asked);
		pass(&machine, 100000);
	}
	machine.count += (uint64_t)jumps[_i].counts;
	machine.hz = jumps[_i].hz;
	/* Wrong by less than a span, and for no longer. */
	for (turn = 0; turn < 200; turn++) {
		pass(&machine, 100000);
		ns = told(&ticks, &machine, &asked);
		if (turn > 60) {
			ck_assert_uint_le(ns, machine.ns + 1000);
			ck_assert_uint_ge(ns + 1000, machine.ns);
		} else {
			ck_assert_uint_le(ns, machine.ns + HEARTH_TICKS_SPAN_NS);
			ck_assert_uint_ge(ns + HEARTH_TICKS_SPAN_NS, machine.ns);
		}
	}
}
END_TEST

/* Between count and clock the processor was away for a millisecond, now and then or half the time. */
START_TEST(a_question_that_took_long_is_not_believed)
{
	struct machine machine = { 1e9, 1, 1000000000, 0 };
	struct hearth_ticks ticks;
	uint32_t turn;
	uint64_t ns;

	hearth_ticks_init(&ticks, true);
	for (turn = 0; turn < 20000; turn++) {
		uint64_t before = machine.count;

		if (!hearth_ticks_tell(&ticks, before, &ns)) {
			pass(&machine, turn % (_i ? 2 : 97) == 0 ? 1000000 : 20);
			ns = hearth_ticks_sync(&ticks, machine.ns, before, machine.count + 20);
		}
		ck_assert_uint_le(ns, machine.ns + 1000);
		ck_assert_uint_ge(ns + 1000, machine.ns);
		pass(&machine, 50000);
	}
}
END_TEST

START_TEST(this_machines_counter_follows_its_clock)
{
	struct hearth_ticks ticks;
	struct timespec time;
	uint64_t last = 0;
	uint64_t from_ns = 0;
	uint64_t ns;

	hearth_ticks_init(&ticks, hearth_ticks_are_steady());
	do {
		uint64_t count = hearth_ticks_count();

		if (!hearth_ticks_tell(&ticks, count, &ns)) {
			clock_gettime(CLOCK_MONOTONIC, &time);
			ns = (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
			ns = hearth_ticks_sync(&ticks, ns, count, hearth_ticks_count());

		}
		from_ns = from_ns ? from_ns : ns;
		ck_assert_uint_ge(ns, last);
		last = ns;
	} while (ns - from_ns < 50000000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ticks");
	TCase *cases = tcase_create("ticks");

	tcase_add_loop_test(cases, it_stays_within_a_microsecond_and_never_goes_back, 0, RATES);
	tcase_add_test(cases, nothing_is_told_before_a_rate_is_known);
	tcase_add_test(cases, a_counter_that_cannot_be_trusted_tells_nothing);
	tcase_add_loop_test(cases, after_a_jump_it_finds_the_clock_again, 0, 4);
	tcase_add_loop_test(cases, a_question_that_took_long_is_not_believed, 0, 2);
	tcase_add_test(cases, this_machines_counter_follows_its_clock);
	suite_add_tcase(suite, cases);
	return suite_run(suite);
}
