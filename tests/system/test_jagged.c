/* SPDX-License-Identifier: MIT */
/*
 * tests/system/test_jagged.c - bags of many clients share batches, and a hostile one spoils none
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "appliance.h"
#include "client/hearth.h"
#include "crowd.h"
#include "tests/exec/engine_fixture.h"
#include "tests/exec/jagged_model.h"
#include "tools/hearthctl/requests/feed.h"

#define REQUESTS 24
#define LARGES 6 /* further ones, of few rows and many values */
#define ROWS_MAX 12
#define BAG_MAX 6
#define LARGE_BAG 100
#define VALUES_MAX (2 * LARGE_BAG)
#define CLIENTS 4
#define ROUNDS (200 / CROWD_SLOWDOWN)
#define IN_FLIGHT 6
#define SPOILT 8 /* the request that is spoilt among all */
#define TIMEOUT_S 120

/* What a client does to the offsets of a request. */
enum spoil {
	SPOIL_NOTHING,
	SPOIL_NEGATIVE,
	SPOIL_BEYOND,    /* among the values of whoever is behind it */
	SPOIL_FAR,
	SPOIL_BACKWARDS,
	SPOIL_LATE,      /* values that are of no bag, which is no error */
	SPOIL_COUNT,
};

static uint32_t rows_of(uint32_t number)
{
	return number < REQUESTS ? 2 + number * 7 % (ROWS_MAX - 1) : 2;
}

/* Of bag `row`: none in the first bag of every third request and in the last one of every fourth,
 * none at all in every sixth. */
static uint32_t bag_of(uint32_t number, uint32_t row)
{
	if (number >= REQUESTS)
		return LARGE_BAG;
	if (number % 6 == 5 || (number % 3 == 0 && row == 0) ||
	    (number % 4 == 0 && row == rows_of(number) - 1))
		return 0;
	return (number * 5 + row * 3) % (BAG_MAX + 1);
}

static uint32_t values_of(uint32_t number)
{
	uint32_t values = 0;

	for (uint32_t row = 0; row < rows_of(number); row++)
		values += bag_of(number, row);
	return values;
}

static void offsets_spoil(int64_t *offsets, uint32_t rows, uint32_t values, enum spoil spoil)
{
	switch (spoil) {
	case SPOIL_NEGATIVE:
		offsets[rows - 1] = -1;
		break;
	case SPOIL_BEYOND:
		offsets[rows - 1] = values + 1;
		break;
	case SPOIL_FAR:
		offsets[rows / 2] = INT64_MAX;
		break;
	case SPOIL_BACKWARDS:
		offsets[0] = values;
		offsets[1] = 0;
		break;
	case SPOIL_LATE:
		offsets[0] = offsets[1];
		break;
	default:
		break;
	}
}

static void ask(struct hearth *hearth, const struct hearth_model_info *model, uint32_t number,
		enum spoil spoil)
{
	uint32_t rows = rows_of(number), values = values_of(number);
	const uint32_t sizes[JAGGED_SIZES] = { rows, values, values };
	struct hearth_request *request = NULL;
	uint32_t seed = number + 1;
	int64_t ids[VALUES_MAX];
	int32_t at = 0;
	int r;

	r = hearth_acquire_sizes(hearth, model, sizes, 0, &request);
	must(r == 0, "acquire: %s", hearth_strerror(r));
	fixture_floats(request->inputs[JAGGED_X].data, rows * LOOP_DIM, &seed);
	fixture_floats(request->inputs[JAGGED_WEIGHTS].data, values, &seed);
	fixture_floats(request->inputs[JAGGED_USER].data, LOOP_DIM, &seed);
	fixture_ids(ids, values, LOOP_ROWS, &seed);
	memcpy(request->inputs[JAGGED_IDS].data, ids, values * sizeof(ids[0]));
	for (uint32_t index = 0; index < values; index++)
		((int32_t *)request->inputs[JAGGED_OTHERS].data)[index] =
			(int32_t)ids[values - 1 - index];
	for (uint32_t row = 0; row < rows; row++) {
		((int64_t *)request->inputs[JAGGED_OFFSETS].data)[row] = at;
		((int32_t *)request->inputs[JAGGED_STARTS].data)[row] = at;
		at += (int32_t)bag_of(number, row);
	}
	offsets_spoil(request->inputs[JAGGED_OFFSETS].data, rows, values, spoil);
	request->user_data = (uint64_t)spoil << 32 | number;
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

/* Scores of every request asked for alone, by what is done to it; shared by all clients. */
struct expected {
	int32_t status[SPOIL_COUNT];
	float y[SPOIL_COUNT][ROWS_MAX * LOOP_DIM];
};

static void check(const struct hearth_completion *completion, const struct expected expected[])
{
	uint32_t number = (uint32_t)completion->user_data;
	uint32_t spoil = (uint32_t)(completion->user_data >> 32);
	int32_t wanted = expected[number].status[spoil];

	must(completion->status == wanted, "request %u, spoilt %u: %d, alone it is %d", number,
	     spoil, completion->status, wanted);
	must(wanted != 0 || memcmp(completion->outputs[0].data, expected[number].y[spoil],
				   rows_of(number) * LOOP_DIM * sizeof(float)) == 0,
	     "request %u, spoilt %u: not the bits that it has alone", number, spoil);
}

static void give_back(struct hearth *hearth, const struct hearth_completion *completion)
{
	int r = hearth_release(hearth, completion->id);

	must(r == 0, "release: %s", hearth_strerror(r));
}

static void ask_alone(struct hearth *hearth, const struct hearth_model_info *model,
		      struct expected expected[])
{
	for (uint32_t number = 0; number < REQUESTS + LARGES; number++) {
		for (uint32_t spoil = 0; spoil < SPOIL_COUNT; spoil++) {
			const struct hearth_completion *completion;

			ask(hearth, model, number, (enum spoil)spoil);
			completion = take(hearth);
			expected[number].status[spoil] = completion->status;
			if (completion->status == 0)
				memcpy(expected[number].y[spoil], completion->outputs[0].data,
				       rows_of(number) * LOOP_DIM * sizeof(float));
			else
				must(completion->status == -ERANGE, "status %d",
				     completion->status);
			give_back(hearth, completion);
		}
		must(expected[number].status[SPOIL_NOTHING] == 0 &&
			     expected[number].status[SPOIL_FAR] == -ERANGE &&
			     expected[number].status[SPOIL_NEGATIVE] == -ERANGE &&
			     expected[number].status[SPOIL_BEYOND] == -ERANGE,
		     "request %u", number);
	}
}

static void connect_to(const struct appliance *appliance, struct hearth **ret_hearth,
		       const struct hearth_model_info **ret_model)
{
	int r = hearth_open(appliance->socket, NULL, ret_hearth);

	must(r == 0, "open: %s", hearth_strerror(r));
	r = hearth_model(*ret_hearth, "bags", 0, ret_model);
	must(r == 0, "model: %s", hearth_strerror(r));
}

static void start(struct appliance *appliance, const char *const flags[],
		  struct hearth **ret_hearth, const struct hearth_model_info **ret_model)
{
	appliance_init(appliance);
	appliance_save(appliance, "bags", jagged_model(JAGGED_BESIDE));
	appliance_start(appliance, flags);
	connect_to(appliance, ret_hearth, ret_model);
}

/* All from `first` on at once, so that they are in the batches that the daemon makes of them when it
 * goes on; returns how many these are. */
static uint64_t ask_together(const struct appliance *appliance, struct hearth *hearth,
			     const struct hearth_model_info *model, uint32_t first, uint32_t count,
			     enum spoil spoil, const struct expected expected[])
{
	uint64_t batches = appliance_number(appliance, "batches_total");

	appliance_suspend(appliance);
	for (uint32_t number = first; number < first + count; number++)
		ask(hearth, model, number, number == SPOILT ? spoil : SPOIL_NOTHING);
	appliance_resume(appliance);
	for (uint32_t answer = 0; answer < count; answer++) {
		const struct hearth_completion *completion = take(hearth);

		check(completion, expected);
		give_back(hearth, completion);
	}
	return appliance_number(appliance, "batches_total") - batches;
}

START_TEST(bags_share_a_batch_and_what_cannot_be_among_others_has_one_of_its_own)
{
	static struct expected expected[REQUESTS + LARGES];
	const struct hearth_model_info *model;
	struct appliance appliance;
	struct hearth *hearth = NULL;

	start(&appliance, NULL, &hearth, &model);
	ck_assert_int_eq(model->row_symbol, JAGGED_ROWS);
	ask_alone(hearth, model, expected);
	ck_assert_uint_eq(ask_together(&appliance, hearth, model, 0, REQUESTS, SPOIL_NOTHING,
				       expected),
			  1);
	/* Those before it, itself, those behind it. */
	for (uint32_t spoil = SPOIL_NEGATIVE; spoil < SPOIL_COUNT; spoil++)
		ck_assert_uint_eq(ask_together(&appliance, hearth, model, 0, REQUESTS,
					       (enum spoil)spoil, expected),
				  3);
	hearth_close(hearth);
	appliance_close(&appliance);
}
END_TEST

/* Two rows each where 16 have room, but their values have room for two requests. */
START_TEST(a_batch_is_full_when_its_values_are)
{
	static const char *const flags[] = { "--rows-max", "16", NULL };
	static struct expected expected[REQUESTS + LARGES];
	const struct hearth_model_info *model;
	struct appliance appliance;
	struct hearth *hearth = NULL;

	start(&appliance, flags, &hearth, &model);
	ask_alone(hearth, model, expected);
	ck_assert_uint_eq(ask_together(&appliance, hearth, model, REQUESTS, LARGES, SPOIL_NOTHING,
				       expected),
			  LARGES / 2);
	hearth_close(hearth);
	appliance_close(&appliance);
}
END_TEST

START_TEST(random_rows_of_hearthctl_are_bags)
{
	const struct hearth_completion *completion;
	const struct hearth_model_info *model;
	struct hearth_request *request = NULL;
	struct appliance appliance;
	struct hearth *hearth = NULL;
	struct feed feed;

	start(&appliance, NULL, &hearth, &model);
	ck_assert_int_eq(model->offsets_into[JAGGED_IDS], -1);
	ck_assert_int_eq(model->offsets_into[JAGGED_STARTS], JAGGED_MORE);
	for (uint32_t rows = 1; rows <= 100; rows += 33) {
		ck_assert_int_eq(feed_from_chance(model, rows, LOOP_ROWS, rows, &feed), 0);
		ck_assert_int_eq(feed_acquire(&feed, hearth, model, 1, &request), 0);
		feed_fill(&feed, 0, 1, request);
		ck_assert_int_eq(hearth_submit(hearth, request), 0);
		completion = take(hearth);
		ck_assert_msg(completion->status == 0, "%u rows: %s", rows,
			      hearth_completion_strerror(hearth, completion));
		give_back(hearth, completion);
		feed_deinit(&feed);
	}
	hearth_close(hearth);
	appliance_close(&appliance);
}
END_TEST

/* --- several clients at once ------------------------------------------------------------------ */

struct party {
	struct appliance *appliance;
	const struct expected *expected;
	uint32_t index;
	bool is_hostile;
};

/* Asks for all requests over and over, several at a time; a hostile one spoils most of its own. */
static void attend(void *argument)
{
	const struct party *party = argument;
	const struct hearth_model_info *model;
	struct hearth *hearth = NULL;
	uint32_t asked = 0, answered = 0;

	connect_to(party->appliance, &hearth, &model);
	while (answered < ROUNDS * REQUESTS) {
		const struct hearth_completion *completion;

		while (asked < ROUNDS * REQUESTS && asked - answered < IN_FLIGHT) {
			ask(hearth, model, (asked * (party->index + 1)) % REQUESTS,
			    party->is_hostile ? (enum spoil)(asked % SPOIL_COUNT) : SPOIL_NOTHING);
			asked++;
		}
		completion = take(hearth);
		check(completion, party->expected);
		give_back(hearth, completion);
		answered++;
	}
	must(hearth_close(hearth) == 0, "close");
}

START_TEST(every_client_has_its_own_bags_whatever_another_one_claims)
{
	struct expected *expected = crowd_share((REQUESTS + LARGES) * sizeof(*expected));
	const struct hearth_model_info *model;
	struct party parties[CLIENTS];
	struct appliance appliance;
	struct hearth *hearth = NULL;
	pid_t pids[CLIENTS];

	start(&appliance, NULL, &hearth, &model);
	ask_alone(hearth, model, expected);
	hearth_close(hearth);
	for (uint32_t index = 0; index < CLIENTS; index++) {
		parties[index] = (struct party){
			.appliance = &appliance,
			.expected = expected,
			.index = index,
			.is_hostile = index == 0,
		};
		pids[index] = crowd_start(attend, &parties[index]);
	}
	for (uint32_t index = 0; index < CLIENTS; index++)
		crowd_finish(pids[index]);
	appliance_close(&appliance);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("jagged");
	TCase *tests = tcase_create("jagged");

	tcase_set_timeout(tests, TIMEOUT_S);
	tcase_add_test(tests,
		       bags_share_a_batch_and_what_cannot_be_among_others_has_one_of_its_own);
	tcase_add_test(tests, a_batch_is_full_when_its_values_are);
	tcase_add_test(tests, random_rows_of_hearthctl_are_bags);
	tcase_add_test(tests, every_client_has_its_own_bags_whatever_another_one_claims);
	suite_add_tcase(suite, tests);
	return appliance_check(suite);
}
