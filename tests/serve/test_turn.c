/* SPDX-License-Identifier: MIT */
/* tests/serve/test_turn.c - rivals get equal parts, whatever they ask for and however it is cut up */
#include <check.h>
#include <string.h>

#include "serve/turn.h"
#include "tests/suite.h"

#define CONTENDERS 3
#define MS UINT64_C(1000000)

/* One who always has work, of requests that cost so much and have so many rows each. */
struct contender {
	int64_t cost_ns;
	uint32_t rows;
	uint64_t spent_ns;
};

static struct contest contest;
static struct turn turns[CONTENDERS];
static uint64_t now_ns;

static void setup(void)
{
	memset(&contest, 0, sizeof(contest));
	memset(turns, 0, sizeof(turns));
	now_ns = 1000 * MS;
}

/* One pass in which all of them have work. Returns what it cost. */
static uint64_t pass(struct contender contenders[], uint32_t count)
{
	uint64_t spent_ns = 0;
	uint32_t index;

	contest_begin(&contest);
	for (index = 0; index < count; index++)
		contest_add(&contest, turns + index, 0, now_ns);
	contest_open(&contest, now_ns);
	for (index = 0; index < count; index++) {
		struct contender *contender = contenders + index;
		struct turn *turn = turns + index;
		uint32_t taken;

		if (!turn_may_begin(turn))
			continue;
		for (taken = 0; taken < 64 && turn_goes_on(turn); taken++) {
			turn_charge(turn, contender->cost_ns);
			turn->rows += contender->rows;
			contender->spent_ns += (uint64_t)contender->cost_ns;
			spent_ns += (uint64_t)contender->cost_ns;
		}
	}
	now_ns += spent_ns + 100;
	return spent_ns;
}

static const struct contender mixes[][CONTENDERS] = {
	{ { 1000, 1, 0 }, { 1000, 1, 0 }, { 1000, 1, 0 } },
	{ { 200, 0, 0 }, { 1000000, 4096, 0 }, { 14000, 1, 0 } },
	{ { 30000000, 4096, 0 }, { 300, 1, 0 }, { 17, 0, 0 } },
};

START_TEST(over_time_all_spend_the_same)
{
	struct contender contenders[CONTENDERS];
	uint64_t least_ns = UINT64_MAX;
	uint64_t most_ns = 0;
	uint64_t total_ns = 0;
	uint32_t index;

	memcpy(contenders, mixes[_i], sizeof(contenders));
	while (total_ns < 30000 * MS)
		total_ns += pass(contenders, CONTENDERS);
	for (index = 0; index < CONTENDERS; index++) {
		uint64_t spent_ns = contenders[index].spent_ns;

		least_ns = spent_ns < least_ns ? spent_ns : least_ns;
		most_ns = spent_ns > most_ns ? spent_ns : most_ns;
	}
	/* They differ by what one turn can be too much: 64 requests of the dearest, or 64 rows. */
	ck_assert_msg(most_ns - least_ns <= 64 * MS, "%lu to %lu ns", (unsigned long)least_ns,
		      (unsigned long)most_ns);
}
END_TEST

START_TEST(every_pass_serves_somebody)
{
	struct contender contenders[CONTENDERS];
	uint32_t count;

	memcpy(contenders, mixes[_i], sizeof(contenders));
	for (count = 0; count < 10000; count++)
		ck_assert_uint_gt(pass(contenders, 1 + count % CONTENDERS), 0);
}
END_TEST

START_TEST(who_asks_for_little_is_served_in_every_pass)
{
	struct turn *small = turns;
	struct turn *flood = turns + 1;
	uint32_t count;

	for (count = 0; count < 10000; count++) {
		contest_begin(&contest);
		contest_add(&contest, flood, 0, now_ns);
		contest_add(&contest, small, 0, now_ns);
		contest_open(&contest, now_ns);
		ck_assert(turn_may_begin(small));
		turn_charge(small, 1000);
		if (turn_may_begin(flood))
			turn_charge(flood, 5 * TURN_QUANTUM_NS);
		/* Its part of the time since: the flood is in debt, and pays. */
		now_ns += 5 * TURN_QUANTUM_NS;
		if (count % 8 == 7) {
			contest_begin(&contest);
			contest_add(&contest, flood, 0, now_ns);
			contest_open(&contest, now_ns);
		}
	}
}
END_TEST

START_TEST(who_is_alone_pays_nothing)
{
	struct contender contenders[] = { { 1000000, 4096, 0 } };
	uint32_t count;

	for (count = 0; count < 100; count++) {
		pass(contenders, 1);
		ck_assert(turn_goes_on(turns));
	}
	/* 64 requests of each pass, however dear. */
	ck_assert_uint_eq(contenders[0].spent_ns, 100 * 64 * MS);
}
END_TEST

START_TEST(a_rival_of_a_moment_ago_is_one_still)
{
	struct contender contenders[] = { { 1000000, 4096, 0 }, { 1, 0, 0 } };

	pass(contenders, 2);
	contenders[0].spent_ns = 0;
	pass(contenders, 1);
	ck_assert_uint_eq(contenders[0].spent_ns, 1 * MS);
	now_ns += CONTEST_NS;
	contenders[0].spent_ns = 0;
	pass(contenders, 1);
	ck_assert_uint_eq(contenders[0].spent_ns, 64 * MS);
}
END_TEST

START_TEST(who_was_added_and_had_no_turn_is_added_again)
{
	contest_begin(&contest);
	contest_add(&contest, turns, 0, now_ns);
	ck_assert(contest_has(&contest, turns));
	ck_assert(!contest_has(&contest, turns + 1));
	/* The contest is not opened: its user had no credit. */
	contest_begin(&contest);
	ck_assert(!contest_has(&contest, turns));
}
END_TEST

START_TEST(newcomers_do_not_keep_a_round_open)
{
	struct turn *debtor = turns;
	uint32_t served = 0;
	uint32_t count;

	for (count = 0; count < 1000; count++) {
		struct turn newcomer = { .next = NULL };

		contest_begin(&contest);
		contest_add(&contest, debtor, 0, now_ns);
		contest_add(&contest, &newcomer, 0, now_ns);
		contest_open(&contest, now_ns);
		if (turn_may_begin(debtor)) {
			turn_charge(debtor, TURN_QUANTUM_NS);
			served++;
		}
		turn_charge(&newcomer, 200);
		now_ns += 1000;
	}
	ck_assert_uint_ge(served, 500);
}
END_TEST

START_TEST(nobody_saves_up_for_later)
{
	struct contender contenders[] = { { 1000, 64, 0 }, { 1000, 64, 0 } };
	uint32_t count;

	for (count = 0; count < 1000; count++)
		pass(contenders, 1);
	contest_begin(&contest);
	contest_add(&contest, turns + 1, 0, now_ns);
	contest_add(&contest, turns, 0, now_ns);
	contest_open(&contest, now_ns);
	ck_assert_int_le(turns[1].credit_ns, TURN_QUANTUM_NS);
}
END_TEST

START_TEST(a_turn_fills_a_batch_although_its_credit_ends_earlier)
{
	struct contender contenders[] = { { 14000, 1, 0 }, { 14000, 1, 0 } };

	pass(contenders, 2);
	ck_assert_uint_eq(contenders[0].spent_ns, TURN_ROWS * 14000);
	ck_assert_uint_eq(contenders[1].spent_ns, TURN_ROWS * 14000);
}
END_TEST

START_TEST(deadlines_order_a_contest_and_equals_keep_their_places)
{
	static const uint64_t deadlines[] = { 0, 70, 10, 0, 70, 30, 0, 20 };
	static const uint32_t order[] = { 2, 7, 5, 1, 4, 0, 3, 6 };
	struct turn many[8] = { { 0 } };
	const struct turn *turn;
	uint32_t index;

	contest_begin(&contest);
	for (index = 0; index < 8; index++)
		contest_add(&contest, many + index, deadlines[index], now_ns);
	contest_open(&contest, now_ns);
	turn = contest.ready;
	for (index = 0; index < 8; index++, turn = turn->next)
		ck_assert_ptr_eq(turn, many + order[index]);
	ck_assert_ptr_null(turn);
}
END_TEST

START_TEST(a_deadline_gives_no_credit)
{
	contest_begin(&contest);
	contest_add(&contest, turns, 1, now_ns);
	contest_add(&contest, turns + 1, 0, now_ns);
	contest_open(&contest, now_ns);
	turn_charge(turns, 3 * TURN_QUANTUM_NS);

	contest_begin(&contest);
	contest_add(&contest, turns, 1, now_ns);
	contest_add(&contest, turns + 1, 0, now_ns);
	contest_open(&contest, now_ns);
	ck_assert_ptr_eq(contest.ready, turns);
	ck_assert(!turn_may_begin(turns));
	ck_assert(turn_may_begin(turns + 1));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("turn");
	TCase *cases = tcase_create("turn");

	tcase_add_checked_fixture(cases, setup, NULL);
	tcase_add_loop_test(cases, over_time_all_spend_the_same, 0, 3);
	tcase_add_loop_test(cases, every_pass_serves_somebody, 0, 3);
	tcase_add_test(cases, who_asks_for_little_is_served_in_every_pass);
	tcase_add_test(cases, who_is_alone_pays_nothing);
	tcase_add_test(cases, a_rival_of_a_moment_ago_is_one_still);
	tcase_add_test(cases, who_was_added_and_had_no_turn_is_added_again);
	tcase_add_test(cases, newcomers_do_not_keep_a_round_open);
	tcase_add_test(cases, nobody_saves_up_for_later);
	tcase_add_test(cases, a_turn_fills_a_batch_although_its_credit_ends_earlier);
	tcase_add_test(cases, deadlines_order_a_contest_and_equals_keep_their_places);
	tcase_add_test(cases, a_deadline_gives_no_credit);
	suite_add_tcase(suite, cases);
	return suite_run(suite);
}
