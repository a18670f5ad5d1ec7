/* SPDX-License-Identifier: MIT */
/* tests/base/test_wake_cost.c - a wake takes some time, and measuring it leaves nothing behind */
#include <check.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/wake_cost.h"
#include "tests/suite.h"

static int first_free(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	close(fd);
	return fd;
}

START_TEST(a_wake_takes_some_time)
{
	int before = first_free();

	ck_assert_uint_gt(wake_cost_ns(-1), 100);
	ck_assert_int_eq(first_free(), before);
}
END_TEST

START_TEST(without_descriptors_it_is_unknown)
{
	struct rlimit limit;
	int before = first_free();

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = (rlim_t)before + (rlim_t)_i;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_uint_eq(wake_cost_ns(-1), 0);
	limit.rlim_cur = limit.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_int_eq(first_free(), before);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("wake cost");
	TCase *cases = tcase_create("cost");

	tcase_add_test(cases, a_wake_takes_some_time);
	tcase_add_loop_test(cases, without_descriptors_it_is_unknown, 0, 2);
	suite_add_tcase(suite, cases);
	return suite_run(suite);
}
