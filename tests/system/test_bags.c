/* SPDX-License-Identifier: MIT */
/* tests/system/test_bags.c - jagged inputs through the rings: a bag as values and offsets */
#include <check.h>
#include <stdlib.h>

#include "appliance.h"
#include "client/hearth.h"
#include "crowd.h"
#include "tests/exec/bag_model.h"

#define TIMEOUT_S 60

static const float table[BAG_ROWS * BAG_DIM] = { 1, 2, 3, 4, 5, 6, 7, 8 };

static void connect_to_bags(struct appliance *appliance, struct hearth **ret_hearth,
			    const struct hearth_model_info **ret_model)
{
	appliance_init(appliance);
	appliance_save(appliance, "bags", bag_model(table));
	appliance_start(appliance, NULL);
	ck_assert_int_eq(hearth_open(appliance->socket, NULL, ret_hearth), 0);
	ck_assert_int_eq(hearth_model(*ret_hearth, "bags", 0, ret_model), 0);
}

/* Which of the model's free sizes an input's outermost dimension is. */
static int32_t symbol_of(const struct hearth_model_info *model, uint32_t input)
{
	return model->inputs[input].dims[0].symbol;
}

static struct hearth_request *ask(struct hearth *hearth, const struct hearth_model_info *model,
				  uint32_t value_count, uint32_t row_count)
{
	struct hearth_request *request = NULL;
	uint32_t sizes[2];
	int64_t *values;
	int64_t *offsets;
	uint32_t index;
	int r;

	sizes[symbol_of(model, 0)] = value_count;
	sizes[symbol_of(model, 1)] = row_count;
	r = hearth_acquire_sizes(hearth, model, sizes, 0, &request);
	ck_assert_msg(r == 0, "%s", hearth_strerror(r));
	values = request->inputs[0].data;
	offsets = request->inputs[1].data;
	for (index = 0; index < value_count; index++)
		values[index] = index * 7 % BAG_ROWS;
	for (index = 0; index < row_count; index++)
		offsets[index] = index * value_count / row_count;
	return request;
}

static void check(const struct hearth_completion *completion, uint32_t value_count,
		  uint32_t row_count)
{
	const float *pooled = completion->outputs[0].data;
	const float *lengths = completion->outputs[1].data;
	uint32_t column;
	uint32_t value;
	uint32_t row;

	ck_assert_int_eq(completion->status, 0);
	ck_assert_uint_eq(completion->output_count, 2);
	ck_assert_uint_eq(completion->outputs[0].dims[0], row_count);
	ck_assert_uint_eq(completion->outputs[1].dims[0], row_count);
	for (row = 0; row < row_count; row++) {
		uint32_t begin = row * value_count / row_count;
		uint32_t end = (row + 1) * value_count / row_count;

		ck_assert_float_eq_tol(lengths[row], (float)(end - begin), 1e-4f);
		for (column = 0; column < BAG_DIM; column++) {
			float sum = 0;

			for (value = begin; value < end; value++)
				sum += table[value * 7 % BAG_ROWS * BAG_DIM + column];
			ck_assert_float_eq_tol(pooled[row * BAG_DIM + column], sum, 1e-3f);
		}
	}
}

START_TEST(bags_of_different_sizes_in_flight_at_once_each_get_their_own_sums)
{
	static const uint32_t sizes[][2] = { { 1, 1 }, { 40, 8 }, { 500, 15 }, { 3, 3 }, { 64, 1 } };
	enum { COUNT = sizeof(sizes) / sizeof(sizes[0]) };
	const struct hearth_completion *completion;
	const struct hearth_model_info *model;
	struct hearth_request *request;
	struct appliance appliance;
	struct hearth *hearth;
	uint32_t index;

	connect_to_bags(&appliance, &hearth, &model);
	ck_assert_uint_eq(model->symbol_count, 2);
	ck_assert_int_eq(model->row_symbol, -1);
	for (index = 0; index < COUNT; index++) {
		request = ask(hearth, model, sizes[index][0], sizes[index][1]);
		request->user_data = index;
		ck_assert_int_eq(hearth_submit(hearth, request), 0);
	}
	for (index = 0; index < COUNT; index++) {
		ck_assert_int_eq(hearth_wait(hearth, CROWD_PATIENCE_NS, &completion), 0);
		check(completion, sizes[completion->user_data][0], sizes[completion->user_data][1]);
		ck_assert_int_eq(hearth_release(hearth, completion->id), 0);
	}
	hearth_close(hearth);
	appliance_close(&appliance);
}
END_TEST

START_TEST(more_values_than_the_model_takes_are_refused_and_the_next_request_is_served)
{
	const struct hearth_completion *completion;
	const struct hearth_model_info *model;
	struct appliance appliance;
	struct hearth *hearth;

	connect_to_bags(&appliance, &hearth, &model);
	ck_assert_int_eq(hearth_submit(hearth, ask(hearth, model, BAG_POSITIONS + 1, 4)), 0);
	ck_assert_int_eq(hearth_wait(hearth, CROWD_PATIENCE_NS, &completion), 0);
	ck_assert_int_eq(completion->status, -EMSGSIZE);
	ck_assert_int_eq(hearth_release(hearth, completion->id), 0);
	ck_assert_int_eq(hearth_submit(hearth, ask(hearth, model, BAG_POSITIONS, 16)), 0);
	ck_assert_int_eq(hearth_wait(hearth, CROWD_PATIENCE_NS, &completion), 0);
	check(completion, BAG_POSITIONS, 16);
	hearth_close(hearth);
	appliance_close(&appliance);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("bags");
	TCase *cases = tcase_create("bags");

	tcase_set_timeout(cases, TIMEOUT_S);
	tcase_add_test(cases, bags_of_different_sizes_in_flight_at_once_each_get_their_own_sums);
	tcase_add_test(cases,
		       more_values_than_the_model_takes_are_refused_and_the_next_request_is_served);
	suite_add_tcase(suite, cases);
	return appliance_check(suite);
}
