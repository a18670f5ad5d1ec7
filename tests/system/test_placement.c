/* SPDX-License-Identifier: MIT */
/*
 * tests/system/test_placement.c - where a daemon's memory would lie, what would not fit, and what is
 * refused before a byte of a model is read
 */
#include <check.h>
#include <errno.h>
#include <string.h>

#include "appliance.h"

#define TIMEOUT_S 60

static const char *const refused[][2] = {
	{ "--node", "63" },
	{ "--weights", "node 63" },
	{ "--tables", "node 63" },
};

/* _i is an index into refused. */
START_TEST(a_node_that_is_offline_is_refused_at_the_start)
{
	const char *const flags[] = { refused[_i][0], refused[_i][1], NULL };
	struct appliance appliance;
	char text[APPLIANCE_TEXT_BYTES];

	appliance_init(&appliance);
	ck_assert_int_eq(appliance_refuse(&appliance, flags, text), 1);
	ck_assert_msg(strstr(text, "node 63 has no memory to bind to; the nodes with memory are: 0"),
		      "%s", text);
}
END_TEST

START_TEST(a_model_on_a_node_that_is_offline_fails_and_the_others_serve)
{
	struct appliance appliance;
	char text[APPLIANCE_TEXT_BYTES];

	appliance_init(&appliance);
	appliance_write(appliance.config, "weights = interleave\n"
					  "[model other]\n"
					  "load = none\n"
					  "tables = node 63\n");
	appliance_copy(&appliance, "tests/data/shoppers/repository/shoppers", "other");
	appliance_start(&appliance, NULL);
	ck_assert_int_eq(appliance_change(&appliance, "load", "other", 1, text), -EINVAL);
	ck_assert_msg(strstr(text, "node 63 has no memory to bind to"), "%s", text);
	ck_assert_uint_eq(appliance_number(&appliance, "models"), 1);
	appliance_close(&appliance);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("placement");
	TCase *nodes = tcase_create("nodes");

	tcase_set_timeout(nodes, TIMEOUT_S);
	tcase_add_loop_test(nodes, a_node_that_is_offline_is_refused_at_the_start, 0, 3);
	tcase_add_test(nodes, a_model_on_a_node_that_is_offline_fails_and_the_others_serve);
	suite_add_tcase(suite, nodes);
	return appliance_check(suite);
}
