/* SPDX-License-Identifier: MIT */
/* tests/ops/test_loop.c - a daemon that does not start leaves nothing behind in its process */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ops/loop.h"
#include "tests/base/descriptors.h"
#include "tests/suite.h"

static char folder[] = "/tmp/hearth-loop-XXXXXX";

/* Its sockets are there when it finds that there is no such node. */
START_TEST(a_start_that_fails_leaves_no_descriptor_and_no_socket)
{
	char infer[64], metrics[64];
	char *arguments[] = { "hearthd",  "--repository",	"/", "--socket",  infer,
			      "--node",	  "63",			"--metrics-socket", metrics,
			      "--sandbox", "off",		NULL };
	struct control *control = calloc(1, sizeof(*control));
	struct options options;
	uint32_t before;

	ck_assert_ptr_nonnull(control);
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(infer, sizeof(infer), "%s/socket", folder);
	snprintf(metrics, sizeof(metrics), "%s/metrics", folder);
	ck_assert_int_eq(options_parse(&options, 11, arguments), 0);
	before = descriptors_count();

	ck_assert_int_lt(loop_init(control, &options), 0);
	ck_assert_msg(strstr(err_message(), "63"), "%s", err_message());
	ck_assert_int_ge(control->metrics_fd, 0);
	loop_deinit(control);

	ck_assert_uint_eq(descriptors_count(), before);
	ck_assert_msg(rmdir(folder) == 0, "something is left in %s", folder);
	options_deinit(&options);
	free(control);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("loop");
	TCase *tests = tcase_create("loop");

	tcase_add_test(tests, a_start_that_fails_leaves_no_descriptor_and_no_socket);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
