/* SPDX-License-Identifier: MIT */
/* tests/kernels/test_chain.c - random programs have the bits of one kernel after the other */
#include <stdlib.h>
#include <string.h>

#include "kernels/binary.h"
#include "kernels/chain.h"
#include "kernels/ref/ref.h"
#include "kernels/unary.h"
#include "tests/kernels/kernel_test.h"
#include "tests/suite.h"

#define PLACE_MAX 8000 /* elements of an operand or output, gaps included */

/* Those whose result is the rounded one, so that the oracle has the same bits. */
static const enum binary exact_binaries[] = {
	BINARY_ADD, BINARY_SUB, BINARY_MUL, BINARY_DIV, BINARY_MAX, BINARY_MIN,
	BINARY_PRELU,
};
static const enum unary exact_unaries[] = { UNARY_RELU, UNARY_SQRT, UNARY_CLIP, UNARY_ABS,
					     UNARY_NEG };
static const enum unary curves[] = { UNARY_SIGMOID, UNARY_TANH, UNARY_EXP, UNARY_LEAKY_RELU };

#define PICK(list) ((list)[random_u64() % (sizeof(list) / sizeof((list)[0]))])

static float operands[CHAIN_OPERANDS_MAX][PLACE_MAX];

struct program {
	struct chain_args args;
	bool written[CHAIN_REGISTERS_MAX];
};

static int64_t pick(int64_t bound)
{
	return (int64_t)(random_u64() % (uint64_t)bound);
}

static uint8_t pick_source(const struct program *program)
{
	uint8_t written[CHAIN_REGISTERS_MAX];
	int64_t count = 0;

	for (uint8_t index = 0; index < CHAIN_REGISTERS_MAX; index++)
		if (program->written[index])
			written[count++] = index;
	if (count > 0 && pick(3) > 0)
		return (uint8_t)(CHAIN_OPERANDS_MAX + written[pick(count)]);
	return (uint8_t)pick(program->args.operand_count);
}

/* Each axis broadcast or not; gaps between rows and between outer places. */
static void put_operand(struct chain_place *place, const int64_t dims[CHAIN_RANK], float *data)
{
	bool is_packed = pick(2) == 0;
	int64_t row, outer;

	place->data = data;
	place->strides[2] = pick(4) > 0;
	row = place->strides[2] == 1 ? dims[2] : 1;
	row += is_packed ? 0 : pick(5);
	place->strides[1] = pick(4) > 0 ? row : 0;
	outer = place->strides[1] == 0 ? row : row * dims[1];
	outer += is_packed ? 0 : pick(7);
	place->strides[0] = pick(4) > 0 ? outer : 0;
	for (int64_t index = 0; index < PLACE_MAX; index++)
		data[index] = random_f32(-4.0f, 4.0f);
}

static void put_output(struct chain_place *place, const int64_t dims[CHAIN_RANK])
{
	bool is_packed = pick(2) == 0;

	place->strides[2] = 1;
	place->strides[1] = dims[2] + (is_packed ? 0 : pick(9));
	place->strides[0] = place->strides[1] * dims[1] + (is_packed ? 0 : pick(5));
}

static void put_program(struct program *program, const int64_t dims[CHAIN_RANK], bool with_curves)
{
	struct chain_args *args = &program->args;

	memset(program, 0, sizeof(*program));
	memcpy(args->dims, dims, sizeof(args->dims));
	args->operand_count = 1 + (uint32_t)pick(CHAIN_OPERANDS_MAX);
	args->output_count = 1 + (uint32_t)pick(CHAIN_OUTPUTS_MAX);
	args->op_count = args->output_count +
			 (uint32_t)pick(CHAIN_OPS_MAX - args->output_count + 1);
	for (uint32_t operand = 0; operand < args->operand_count; operand++)
		put_operand(&args->operands[operand], dims, operands[operand]);
	for (uint32_t output = 0; output < args->output_count; output++)
		put_output(&args->outputs[output], dims);
	for (uint32_t index = 0; index < args->op_count; index++) {
		struct chain_op *op = &args->ops[index];
		uint32_t left = args->op_count - index;

		op->kind = (uint8_t)pick(3);
		op->left = pick_source(program);
		op->right = pick_source(program);
		op->low = random_f32(-2.0f, 0.5f);
		op->high = random_f32(0.0f, 2.0f);
		if (op->kind == CHAIN_BINARY)
			op->op = (uint8_t)PICK(exact_binaries);
		else if (with_curves && pick(2) > 0)
			op->op = (uint8_t)PICK(curves);
		else
			op->op = (uint8_t)PICK(exact_unaries);
		op->output = CHAIN_NONE;
		/* The last ones write an output each, the others registers. */
		if (left <= args->output_count)
			op->output = (uint8_t)(args->output_count - left);
		op->to = op->output != CHAIN_NONE && pick(2) > 0 ?
				 CHAIN_NONE :
				 (uint8_t)pick(CHAIN_REGISTERS_MAX);
		if (op->to != CHAIN_NONE)
			program->written[op->to] = true;
	}
}

static int64_t offset_of(const struct chain_place *place, const int64_t index[CHAIN_RANK])
{
	return index[0] * place->strides[0] + index[1] * place->strides[1] +
	       index[2] * place->strides[2];
}

static float one_op(const struct device *device, const struct chain_op *op, float left, float right)
{
	float y = left;
	struct unary_args unary = {
		.x = &left, .y = &y, .count = 1, .op = (enum unary)op->op, .dtype = DTYPE_F32,
		.low = op->low, .high = op->high,
	};
	struct binary_args binary = {
		.a = &left, .b = &right, .y = &y, .op = (enum binary)op->op, .dtype = DTYPE_F32,
		.b_dtype = DTYPE_F32,
	};

	if (op->kind == CHAIN_UNARY)
		device->kernels[KERNEL_UNARY](&unary);
	if (op->kind == CHAIN_BINARY)
		device->kernels[KERNEL_BINARY](&binary);
	return y;
}

static void check_element(const struct device *device, const struct chain_args *args,
			  const int64_t index[CHAIN_RANK])
{
	float values[CHAIN_OPERANDS_MAX + CHAIN_REGISTERS_MAX] = { 0 };

	for (uint32_t operand = 0; operand < args->operand_count; operand++)
		values[operand] =
			args->operands[operand].data[offset_of(&args->operands[operand], index)];
	for (uint32_t step = 0; step < args->op_count; step++) {
		const struct chain_op *op = &args->ops[step];
		float y = one_op(device, op, values[op->left],
				 op->kind == CHAIN_BINARY ? values[op->right] : 0.0f);

		if (op->to != CHAIN_NONE)
			values[CHAIN_OPERANDS_MAX + op->to] = y;
		if (op->output != CHAIN_NONE) {
			const struct chain_place *place = &args->outputs[op->output];

			expect_msg(same_f32(place->data[offset_of(place, index)], y),
				   "%s output %d at %jd, %jd, %jd: %a, not %a", device->name,
				   op->output, (intmax_t)index[0], (intmax_t)index[1],
				   (intmax_t)index[2],
				   (double)place->data[offset_of(place, index)], (double)y);
		}
	}
}

/* What lies between rows is not written. */
static void check_gaps(const struct chain_place *place, const int64_t dims[CHAIN_RANK],
		       const float *y, int64_t count)
{
	static bool touched[CHAIN_OUTPUTS_MAX * PLACE_MAX];
	float filler;

	memset(&filler, KERNEL_FILLER, sizeof(filler));
	memset(touched, 0, sizeof(touched));
	for (int64_t outer = 0; outer < dims[0]; outer++)
		for (int64_t row = 0; row < dims[1]; row++)
			for (int64_t column = 0; column < dims[2]; column++)
				touched[outer * place->strides[0] + row * place->strides[1] +
					column] = true;
	for (int64_t index = 0; index < count; index++)
		expect_msg(touched[index] || memcmp(&y[index], &filler, sizeof(filler)) == 0,
			   "the gap at %jd is written", (intmax_t)index);
}

static void check_oracle(const struct chain_args *args)
{
	double *expected[CHAIN_OUTPUTS_MAX];

	for (uint32_t output = 0; output < args->output_count; output++) {
		size_t count = (size_t)(args->dims[0] * args->outputs[output].strides[0]) + 1;

		expected[output] = calloc(count, sizeof(double));
	}
	ref_chain(args, expected);
	for (uint32_t output = 0; output < args->output_count; output++) {
		const struct chain_place *place = &args->outputs[output];
		int64_t index[CHAIN_RANK];

		for (index[0] = 0; index[0] < args->dims[0]; index[0]++)
			for (index[1] = 0; index[1] < args->dims[1]; index[1]++)
				for (index[2] = 0; index[2] < args->dims[2]; index[2]++) {
					int64_t offset = offset_of(place, index);

					expect(same_f32(place->data[offset],
							(float)expected[output][offset]));
				}
		free(expected[output]);
	}
}

static void run_program(struct program *program, bool with_curves)
{
	static const char *const names[] = { "baseline", "v3", "v4" };
	struct chain_args *args = &program->args;

	for (int name = 0; name < 3; name++) {
		const struct device *device = cpu_device_by_name(names[name]);
		int64_t counts[CHAIN_OUTPUTS_MAX];
		int64_t index[CHAIN_RANK];

		if (device == NULL)
			continue;
		for (uint32_t output = 0; output < args->output_count; output++) {
			counts[output] = args->dims[0] * args->outputs[output].strides[0];
			args->outputs[output].data =
				guarded_new((size_t)counts[output] * sizeof(float));
		}
		device->kernels[KERNEL_CHAIN](args);
		for (index[0] = 0; index[0] < args->dims[0]; index[0]++)
			for (index[1] = 0; index[1] < args->dims[1]; index[1]++)
				for (index[2] = 0; index[2] < args->dims[2]; index[2]++)
					check_element(device, args, index);
		if (!with_curves)
			check_oracle(args);
		for (uint32_t output = 0; output < args->output_count; output++) {
			float *y = args->outputs[output].data;

			guarded_check(y, (size_t)counts[output] * sizeof(float));
			check_gaps(&args->outputs[output], args->dims, y, counts[output]);
			guarded_free(y);
		}
	}
}

/* Around a block of 512 elements, and around the vectors. */
static const int64_t shapes[][CHAIN_RANK] = {
	{ 1, 1, 1 },   { 1, 1, 15 },  { 1, 1, 17 },  { 1, 1, 511 }, { 1, 1, 512 }, { 1, 1, 513 },
	{ 1, 2, 511 }, { 2, 1, 512 }, { 1, 2, 513 }, { 1, 3, 257 }, { 1, 9, 1 },   { 1, 600, 1 },
	{ 7, 1, 1 },   { 3, 5, 7 },   { 2, 9, 31 },  { 1, 17, 32 }, { 3, 16, 16 }, { 2, 3, 129 },
	{ 5, 150, 4 }, { 40, 1, 9 },  { 0, 4, 4 },   { 4, 0, 4 },   { 4, 4, 0 },
};
#define SHAPE_COUNT ((int)(sizeof(shapes) / sizeof(shapes[0])))

/* _i is the shape. */
START_TEST(random_programs_have_the_bits_of_their_operations)
{
	struct program program;

	random_begin(61 + (uint64_t)_i);
	for (int round = 0; round < 40; round++) {
		bool with_curves = round % 2 == 1;

		put_program(&program, shapes[_i], with_curves);
		run_program(&program, with_curves);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("chain");
	TCase *tcase = tcase_create("chain");

	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, random_programs_have_the_bits_of_their_operations, 0,
			    SHAPE_COUNT);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
