/* SPDX-License-Identifier: MIT */
/* tests/serve/test_share.c - what was refused stays counted when its user's account makes room */
#include <check.h>

#include "serve/share.h"
#include "tests/suite.h"

#define USERS 3000 /* more than have an account at once */

START_TEST(refusals_of_all_users_never_become_less)
{
	static struct shares shares;
	struct share *share;

	for (uint32_t uid = 1; uid <= USERS; uid++) {
		ck_assert_int_eq(share_find(&shares, uid, &share), 0);
		share_refuse(share, REASON_SLOTS);
		counter_add(&share->counters.refused[REASON_EXPIRED], 2);
		ck_assert_uint_eq(shares_refused(&shares, REASON_SLOTS), uid);
		ck_assert_uint_eq(shares_refused(&shares, REASON_EXPIRED), 2 * uid);
	}
	ck_assert_uint_lt(shares.count, USERS);
	ck_assert_uint_eq(shares_refused(&shares, REASON_MODEL), 0);
	shares_deinit(&shares);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("share");
	TCase *tcase = tcase_create("share");

	tcase_add_test(tcase, refusals_of_all_users_never_become_less);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
