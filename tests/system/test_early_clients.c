/* SPDX-License-Identifier: MIT */
/* tests/system/test_early_clients.c - who connects while the daemon still loads waits for its model */
#include <check.h>
#include <errno.h>
#include <stdint.h>

#include "appliance.h"
#include "client/hearth.h"
#include "crowd.h"
#include "shoppers.h"

#define TIMEOUT_S 110
#define STARTS 10

static struct hearth *open_at_once(const struct appliance *appliance)
{
	struct hearth *hearth = NULL;

	await(hearth_open(appliance->socket, NULL, &hearth) == 0);
	return hearth;
}

START_TEST(a_model_that_is_being_loaded_is_described_when_it_is_there)
{
	const struct hearth_completion *completion;
	const struct hearth_model_info *model;
	struct hearth_request *request;
	struct appliance appliance;
	struct hearth *hearth;
	int start;

	appliance_init(&appliance);
	for (start = 0; start < STARTS; start++) {
		appliance_launch(&appliance, NULL);
		hearth = open_at_once(&appliance);
		ck_assert_int_eq(hearth_model(hearth, "shoppers", 0, &model), 0);
		ck_assert_int_eq(hearth_acquire(hearth, model, 1, &request), 0);
		shoppers_fill(request, model, 7, 1);
		ck_assert_int_eq(hearth_submit(hearth, request), 0);
		ck_assert_int_eq(hearth_wait(hearth, -1, &completion), 0);
		ck_assert_int_eq(completion->status, 0);
		shoppers_check(completion, 7, 1);
		hearth_close(hearth);
		appliance_stop(&appliance);
	}
}
END_TEST

START_TEST(a_model_that_does_not_come_is_refused_at_the_end_of_the_loads)
{
	const struct hearth_model_info *model;
	struct appliance appliance;
	struct hearth *hearth;

	appliance_init(&appliance);
	appliance_launch(&appliance, NULL);
	hearth = open_at_once(&appliance);
	ck_assert_int_eq(hearth_model(hearth, "buyers", 0, &model), -ENOENT);
	ck_assert_int_eq(hearth_model(hearth, "shoppers", 0, &model), 0);
	ck_assert_int_eq(hearth_model(hearth, "shoppers", 9, &model), -ENOENT);
	hearth_close(hearth);
	appliance_stop(&appliance);
}
END_TEST

/* Nobody answers, and nothing of it is left. */
START_TEST(who_leaves_before_the_answer_is_forgotten)
{
	struct hearth_options options = { .size = sizeof(options), .reply_timeout_ns = 1 };
	const struct hearth_model_info *model;
	struct appliance appliance;
	struct hearth *hearth = NULL;

	appliance_init(&appliance);
	appliance_launch(&appliance, NULL);
	hearth = open_at_once(&appliance);
	hearth_close(hearth);
	if (hearth_open(appliance.socket, &options, &hearth) == 0) {
		(void)!hearth_model(hearth, "buyers", 0, &model);
		hearth_close(hearth);
	}
	hearth = open_at_once(&appliance);
	ck_assert_int_eq(hearth_model(hearth, "shoppers", 0, &model), 0);
	hearth_close(hearth);
	appliance_stop(&appliance);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("early clients");
	TCase *cases = tcase_create("early clients");

	tcase_set_timeout(cases, TIMEOUT_S);
	tcase_add_test(cases, a_model_that_is_being_loaded_is_described_when_it_is_there);
	tcase_add_test(cases, a_model_that_does_not_come_is_refused_at_the_end_of_the_loads);
	tcase_add_test(cases, who_leaves_before_the_answer_is_forgotten);
	suite_add_tcase(suite, cases);
	return appliance_check(suite);
}
