/* SPDX-License-Identifier: MIT */
/* tests/system/test_join.c - users of several requests, each with its candidates, in one batch */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "appliance.h"
#include "client/hearth.h"
#include "crowd.h"
#include "tests/exec/engine_fixture.h"
#include "tests/exec/user_model.h"

#define REQUESTS 24
#define ROWS_MAX 40
#define TIMEOUT_S 60

static uint32_t rows_of(uint32_t number)
{
	return 1 + number * 7 % ROWS_MAX;
}

static void ask(struct hearth *hearth, const struct hearth_model_info *model, uint32_t number,
		bool is_bad)
{
	struct hearth_request *request = NULL;
	uint32_t seed = number + 1;
	int r;

	r = hearth_acquire(hearth, model, rows_of(number), &request);
	must(r == 0, "acquire: %s", hearth_strerror(r));
	fixture_floats(request->inputs[0].data, USER_WIDTH, &seed);
	fixture_ids(request->inputs[1].data, 1, USER_CITIES, &seed);
	fixture_floats(request->inputs[2].data, rows_of(number) * USER_WIDTH, &seed);
	if (is_bad)
		*(int64_t *)request->inputs[1].data = USER_CITIES + 3;
	request->user_data = number;
	r = hearth_submit(hearth, request);
	must(r == 0, "submit: %s", hearth_strerror(r));
}

static const struct hearth_completion *take(struct hearth *hearth)
{
	const struct hearth_completion *completion = NULL;
	int r = hearth_wait(hearth, CROWD_PATIENCE_NS, &completion);

	must(r == 0, "hearth_wait: %s", hearth_strerror(r));
	return completion;
}

START_TEST(a_users_candidates_score_the_same_bits_among_other_users)
{
	static float alone[REQUESTS][ROWS_MAX];
	const struct hearth_model_info *model;
	const struct hearth_completion *completion;
	struct appliance appliance;
	struct hearth *hearth = NULL;
	uint64_t batches;
	uint32_t number;

	appliance_init(&appliance);
	appliance_save(&appliance, "users", user_model());
	appliance_start(&appliance, NULL);
	ck_assert_int_eq(hearth_open(appliance.socket, NULL, &hearth), 0);
	ck_assert_int_eq(hearth_model(hearth, "users", 0, &model), 0);
	for (number = 0; number < REQUESTS; number++) {
		ask(hearth, model, number, false);
		completion = take(hearth);
		ck_assert_int_eq(completion->status, 0);
		memcpy(alone[number], completion->outputs[0].data, rows_of(number) * sizeof(float));
	}
	batches = appliance_number(&appliance, "batches_total");
	ck_assert_uint_eq(batches, REQUESTS);
	/* All at once, twice: the second time the city of one of them is none. */
	for (uint32_t turn = 0; turn < 2; turn++) {
		uint32_t bad = turn == 0 ? REQUESTS : 5;

		/* It finds all of them at once when it goes on. */
		appliance_suspend(&appliance);
		for (number = 0; number < REQUESTS; number++)
			ask(hearth, model, number, number == bad);
		appliance_resume(&appliance);
		for (uint32_t answer = 0; answer < REQUESTS; answer++) {
			completion = take(hearth);
			number = (uint32_t)completion->user_data;
			ck_assert_int_eq(completion->status, number == bad ? -ERANGE : 0);
			if (number != bad)
				ck_assert_mem_eq(completion->outputs[0].data, alone[number],
						 rows_of(number) * sizeof(float));
		}
	}
	ck_assert_uint_eq(appliance_number(&appliance, "batches_total"), batches + 2);
	hearth_close(hearth);
	appliance_close(&appliance);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("join");
	TCase *tests = tcase_create("join");

	tcase_set_timeout(tests, TIMEOUT_S);
	tcase_add_test(tests, a_users_candidates_score_the_same_bits_among_other_users);
	suite_add_tcase(suite, tests);
	return appliance_check(suite);
}
