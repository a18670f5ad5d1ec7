/* SPDX-License-Identifier: MIT */
/*
 * tests/nth/test_nth.c - an allocation fails, and nobody but who asked for it notices
 *
 * All of the handshake, of the tables and of a client, a sample (HEARTH_SEED) of
 * the rest; stress_nth has all.
 * The system calls are in test_nth_calls.
 */
#include <check.h>
#include <stdio.h>

#include "nth_campaign.h"
#include "tests/system/crowd.h"

#define TIMEOUT_S 110
#define SAMPLE 12
#define EXIT_SKIP 77

START_TEST(an_allocation_of_the_start_fails_and_hearthd_refuses_or_goes_on)
{
	const struct campaign start = { .what = "start", .numbers = 5 * SAMPLE, .once = true };
	const struct campaign for_ever = { .what = "start, for ever", .numbers = SAMPLE,
					   .for_ever = true };
	struct nth nth;

	nth_open(&nth);
	campaign_allocations(&nth, &start);
	campaign_allocations(&nth, &for_ever);
	nth_close(&nth);
}
END_TEST

START_TEST(an_allocation_of_a_ready_daemon_fails_and_what_failed_succeeds_the_next_time)
{
	const struct campaign handshake = { .what = "handshake", .steps = NTH_CONNECT,
					    .is_round = true, .once = true };
	const struct campaign load = { .what = "load, unload", .steps = NTH_LOAD | NTH_UNLOAD,
				       .is_round = true, .numbers = 2 * SAMPLE, .once = true };
	struct nth nth;

	nth_open(&nth);
	nth_begin(&nth);
	campaign_allocations(&nth, &handshake);
	campaign_allocations(&nth, &load);
	nth_end(&nth);
	nth_close(&nth);
}
END_TEST

START_TEST(a_table_for_which_there_is_no_memory_is_an_error_and_leaves_nothing_out)
{
	const struct campaign tables = { .what = "tables", .steps = NTH_STATUS, .is_round = true,
					 .once = true };
	struct nth nth;

	nth_open(&nth);
	nth_begin(&nth);
	campaign_allocations(&nth, &tables);
	nth_end(&nth);
	nth_close(&nth);
}
END_TEST

START_TEST(every_allocation_of_a_client_fails_and_it_holds_nothing_afterwards)
{
	struct nth nth;

	nth_open(&nth);
	campaign_client(&nth, false);
	nth_close(&nth);
}
END_TEST

int main(int argc, char **argv)
{
	Suite *suite;
	TCase *allocations;

	nth_client_main(argc, argv);
	if (CROWD_SLOWDOWN > 1) {
		printf("SKIP: a sanitizer's own allocations would fail\n");
		return EXIT_SKIP;
	}
	suite = suite_create("nth");
	allocations = tcase_create("allocations");
	tcase_set_timeout(allocations, TIMEOUT_S);
	tcase_add_test(allocations,
		       an_allocation_of_the_start_fails_and_hearthd_refuses_or_goes_on);
	tcase_add_test(allocations,
		       an_allocation_of_a_ready_daemon_fails_and_what_failed_succeeds_the_next_time);
	tcase_add_test(allocations,
		       a_table_for_which_there_is_no_memory_is_an_error_and_leaves_nothing_out);
	tcase_add_test(allocations,
		       every_allocation_of_a_client_fails_and_it_holds_nothing_afterwards);
	suite_add_tcase(suite, allocations);
	return appliance_check(suite);
}
