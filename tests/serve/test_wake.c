/* SPDX-License-Identifier: MIT */
/* tests/serve/test_wake.c - what is known of a client that does not ring */
#include <check.h>
#include <string.h>

#include "serve/wake.h"
#include "shm/ring.h"
#include "solo.h"
#include "tests/suite.h"

static struct solo solo;
static struct lane *all[1];

/* One request, answered and not consumed; then its client is quiet. */
static void begin(void)
{
	const struct hearth_request_slot slot = solo_slot(0);

	memset(&solo, 0, sizeof(solo));
	solo_open(&solo);
	solo_fill(&solo, 0, 0);
	solo_push(&solo, &slot);
	all[0] = solo.lane;
	solo.data.lanes = all;
	solo.data.lane_count = 1;
	ck_assert_uint_eq(solo_pass(&solo), 1);
	wake_leave_hot(&solo.data, solo.lane);
	ck_assert_uint_eq(counter_read(&solo.lane->counters.outstanding), 1);
}

START_TEST(what_is_answered_does_not_wait_any_more)
{
	begin();
	ck_assert_uint_eq(counter_read(&solo.lane->counters.unfinished), 0);
	solo_close(&solo);
}
END_TEST

START_TEST(a_quiet_client_that_consumes_its_last_answer_has_none_outstanding)
{
	begin();
	wake_recheck(&solo.data);
	ck_assert_uint_eq(counter_read(&solo.lane->counters.outstanding), 1);
	hearth_cq_consume(solo.client, 1);
	wake_recheck(&solo.data);
	ck_assert_uint_eq(counter_read(&solo.lane->counters.outstanding), 0);
	ck_assert(solo.lane->is_cold);
	solo_close(&solo);
}
END_TEST

START_TEST(a_quiet_client_that_claims_the_impossible_is_looked_at)
{
	begin();
	hearth_cq_consume(solo.client, 7);
	wake_recheck(&solo.data);
	ck_assert(solo.lane->is_lying);
	ck_assert(!solo.lane->is_cold);
	solo_close(&solo);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("wake");
	TCase *tcase = tcase_create("recheck");

	tcase_add_test(tcase, what_is_answered_does_not_wait_any_more);
	tcase_add_test(tcase, a_quiet_client_that_consumes_its_last_answer_has_none_outstanding);
	tcase_add_test(tcase, a_quiet_client_that_claims_the_impossible_is_looked_at);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
