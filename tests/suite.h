/* SPDX-License-Identifier: MIT */
/* tests/suite.h - how a Check program ends: its suite is run, and a failure is its exit status */
#ifndef HEARTH_TESTS_SUITE_H
#define HEARTH_TESTS_SUITE_H

#include <check.h>
#include <stdlib.h>

/* Frees the suite. CK_VERBOSITY says how much is printed. */
static inline int suite_run(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
