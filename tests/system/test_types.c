/* SPDX-License-Identifier: MIT */
/*
 * tests/system/test_types.c - inputs and outputs of every narrow type through the rings
 *
 * One model casts each input to float32 and back to the input's type: both must arrive whole, whoever
 * shares the batch.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance.h"
#include "client/hearth.h"
#include "crowd.h"
#include "tests/exec/operand.h"
#include "tests/model/onnx_writer.h"

#define TIMEOUT_S 60
#define COLUMNS 7 /* odd, so that rows of one byte an element lie at any address */
#define ROWS_MAX 9
#define IN_FLIGHT 6

static const struct {
	const char *name;
	enum dtype dtype;
} types[] = {
	{ "u8", DTYPE_U8 },   { "i8", DTYPE_I8 },     { "f16", DTYPE_F16 },
	{ "bf16", DTYPE_BF16 }, { "bool", DTYPE_BOOL }, { "i32", DTYPE_I32 },
};

#define TYPES (sizeof(types) / sizeof(types[0]))

static struct onnx_writer *model_write(void)
{
	struct onnx_writer *writer = onnx_writer_new(13);

	for (size_t type = 0; type < TYPES; type++) {
		char input[16], wide[16], output[16];

		snprintf(input, sizeof(input), "x_%s", types[type].name);
		snprintf(wide, sizeof(wide), "w_%s", types[type].name);
		snprintf(output, sizeof(output), "y_%s", types[type].name);
		onnx_writer_input(writer, input, types[type].dtype, "batch,7");
		onnx_writer_node(writer, "Cast", input, wide);
		onnx_writer_int(writer, "to", DTYPE_F32);
		onnx_writer_output(writer, wide, DTYPE_F32, "batch,7");
		onnx_writer_node(writer, "Cast", wide, output);
		onnx_writer_int(writer, "to", types[type].dtype);
		onnx_writer_output(writer, output, types[type].dtype, "batch,7");
	}
	return writer;
}

/* A whole number that every type but bool has exactly. */
static int value_of(uint64_t question, size_t type, uint32_t element)
{
	int value = (int)((question * 31 + type * 7 + element * 3) % 120);

	if (types[type].dtype == DTYPE_BOOL)
		return value % 2;
	return types[type].dtype == DTYPE_U8 ? value : value - 60;
}

static uint32_t rows_of(uint64_t question)
{
	return 1 + (uint32_t)(question % ROWS_MAX);
}

/* All that the question has of a type, as the type has them. */
static void values_put(void *data, uint64_t question, size_t type)
{
	struct test_operand operand = { .dtype = types[type].dtype };
	uint32_t elements = rows_of(question) * COLUMNS;

	for (uint32_t element = 0; element < elements; element++)
		operand_set(&operand, element, value_of(question, type, element));
	memcpy(data, operand.data, elements * dtype_bytes(operand.dtype));
}

static void ask(struct hearth *hearth, const struct hearth_model_info *model, uint64_t question)
{
	struct hearth_request *request;

	ck_assert_int_eq(hearth_acquire(hearth, model, rows_of(question), &request), 0);
	for (size_t type = 0; type < TYPES; type++)
		values_put(request->inputs[type].data, question, type);
	request->user_data = question;
	ck_assert_int_eq(hearth_submit(hearth, request), 0);
}

static void take(struct hearth *hearth)
{
	const struct hearth_completion *completion;
	uint64_t question;
	uint32_t elements;

	ck_assert_int_eq(hearth_wait(hearth, CROWD_PATIENCE_NS, &completion), 0);
	ck_assert_int_eq(completion->status, 0);
	ck_assert_uint_eq(completion->output_count, 2 * TYPES);
	question = completion->user_data;
	elements = rows_of(question) * COLUMNS;
	for (size_t type = 0; type < TYPES; type++) {
		const float *wide = completion->outputs[2 * type].data;
		int32_t narrow[ROWS_MAX * COLUMNS];
		bool is_right = true;

		ck_assert_uint_eq(completion->outputs[2 * type + 1].bytes,
				  elements * dtype_bytes(types[type].dtype));
		for (uint32_t element = 0; element < elements; element++) {
			int value = value_of(question, type, element);

			is_right = is_right && wide[element] == (float)value;
		}
		values_put(narrow, question, type);
		ck_assert_msg(is_right, "%s as float32", types[type].name);
		ck_assert_mem_eq(completion->outputs[2 * type + 1].data, narrow,
				 elements * dtype_bytes(types[type].dtype));
	}
	ck_assert_int_eq(hearth_release(hearth, completion->id), 0);
}

START_TEST(every_type_arrives_whole_and_returns_whole)
{
	const struct hearth_model_info *models[2];
	struct appliance appliance;
	struct hearth *hearths[2];

	appliance_init(&appliance);
	appliance_save(&appliance, "types", model_write());
	appliance_start(&appliance, NULL);
	for (int client = 0; client < 2; client++) {
		ck_assert_int_eq(hearth_open(appliance.socket, NULL, &hearths[client]), 0);
		ck_assert_int_eq(hearth_model(hearths[client], "types", 0, &models[client]), 0);
		ck_assert_uint_eq(models[client]->input_count, TYPES);
		for (size_t type = 0; type < TYPES; type++)
			ck_assert_uint_eq(models[client]->inputs[type].dtype, types[type].dtype);
	}
	ck_assert_int_ge(models[0]->row_symbol, 0);
	for (uint64_t round = 0; round < 40; round++) {
		for (int client = 0; client < 2; client++)
			for (uint64_t number = 0; number < IN_FLIGHT; number++)
				ask(hearths[client], models[client],
				    round * 100 + number * 2 + (uint64_t)client);
		for (int client = 0; client < 2; client++)
			for (uint64_t number = 0; number < IN_FLIGHT; number++)
				take(hearths[client]);
	}
	for (int client = 0; client < 2; client++)
		hearth_close(hearths[client]);
	appliance_close(&appliance);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("types");
	TCase *tests = tcase_create("types");

	tcase_set_timeout(tests, TIMEOUT_S);
	tcase_add_test(tests, every_type_arrives_whole_and_returns_whole);
	suite_add_tcase(suite, tests);
	return appliance_check(suite);
}
