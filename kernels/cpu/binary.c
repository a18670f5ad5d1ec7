/* SPDX-License-Identifier: MIT */
/*
 * kernels/cpu/binary.c - two operands, broadcast by strides of 0
 *
 * Dimensions are merged until one run remains inside and few loops outside: two
 * equal shapes and a scalar are a single run, a row added to a matrix is one run
 * a row. pow is in kernels/cpu/power.h.
 */
#include "kernels/binary.h"

#include <stddef.h>

#include "kernels/cpu/arithmetic.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/loop.h"
#include "kernels/cpu/power.h"
#include "kernels/cpu/run.h"

#define BINARY_RUN(name, type, verb)                                                          \
	static void name(const void *a_start, const void *b_start, void *y_start,             \
			 int64_t count, int64_t a_step, int64_t b_step)                       \
	{                                                                                     \
		const type *a = a_start;                                                      \
		const type *b = b_start;                                                      \
		type *y = y_start;                                                            \
                                                                                              \
		if (a_step == 1 && b_step == 1) {                                             \
			INDEPENDENT                                                           \
			for (int64_t index = 0; index < count; index++)                       \
				y[index] = verb(a[index], b[index]);                          \
		} else if (a_step == 1 && b_step == 0) {                                      \
			const type right = *b;                                                \
                                                                                              \
			INDEPENDENT                                                           \
			for (int64_t index = 0; index < count; index++)                       \
				y[index] = verb(a[index], right);                             \
		} else if (a_step == 0 && b_step == 1) {                                      \
			const type left = *a;                                                 \
                                                                                              \
			INDEPENDENT                                                           \
			for (int64_t index = 0; index < count; index++)                       \
				y[index] = verb(left, b[index]);                              \
		} else {                                                                      \
			for (int64_t index = 0; index < count; index++)                       \
				y[index] = verb(a[index * a_step], b[index * b_step]);        \
		}                                                                             \
	}

ALWAYS_INLINE int32_t div_i32(int32_t left, int32_t right)
{
	if (right == 0)
		return 0;
	return right == -1 ? SUB_I32(0, left) : left / right;
}

ALWAYS_INLINE int64_t div_i64(int64_t left, int64_t right)
{
	if (right == 0)
		return 0;
	return right == -1 ? SUB_I64(0, left) : left / right;
}

ALWAYS_INLINE int64_t fmod_i64(int64_t left, int64_t right)
{
	return right == 0 || right == -1 ? 0 : left % right;
}

ALWAYS_INLINE int64_t mod_i64(int64_t left, int64_t right)
{
	int64_t rest = fmod_i64(left, right);

	return rest != 0 && (rest < 0) != (right < 0) ? rest + right : rest;
}

#define FMOD_I32(left, right) ((int32_t)fmod_i64(left, right))
#define MOD_I32(left, right) ((int32_t)mod_i64(left, right))
#define PRELU_FLOAT(left, right) ((left) < 0.0f ? (left) * (right) : (left))

BINARY_RUN(run_add_f32, float, ADD_FLOAT)
BINARY_RUN(run_sub_f32, float, SUB_FLOAT)
BINARY_RUN(run_mul_f32, float, MUL_FLOAT)
BINARY_RUN(run_div_f32, float, DIV_FLOAT)
BINARY_RUN(run_max_f32, float, MAX_FLOAT)
BINARY_RUN(run_min_f32, float, MIN_FLOAT)
BINARY_RUN(run_add_i32, int32_t, ADD_I32)
BINARY_RUN(run_sub_i32, int32_t, SUB_I32)
BINARY_RUN(run_mul_i32, int32_t, MUL_I32)
BINARY_RUN(run_div_i32, int32_t, div_i32)
BINARY_RUN(run_max_i32, int32_t, MAX_INTEGER)
BINARY_RUN(run_min_i32, int32_t, MIN_INTEGER)
BINARY_RUN(run_add_i64, int64_t, ADD_I64)
BINARY_RUN(run_sub_i64, int64_t, SUB_I64)
BINARY_RUN(run_mul_i64, int64_t, MUL_I64)
BINARY_RUN(run_div_i64, int64_t, div_i64)
BINARY_RUN(run_max_i64, int64_t, MAX_INTEGER)
BINARY_RUN(run_min_i64, int64_t, MIN_INTEGER)
BINARY_RUN(run_pow_f32, float, power_f32)
BINARY_RUN(run_fmod_f32, float, fmodf)
BINARY_RUN(run_mod_i32, int32_t, MOD_I32)
BINARY_RUN(run_mod_i64, int64_t, mod_i64)
BINARY_RUN(run_fmod_i32, int32_t, FMOD_I32)
BINARY_RUN(run_fmod_i64, int64_t, fmod_i64)
BINARY_RUN(run_prelu_f32, float, PRELU_FLOAT)

/* By operation, then f32, i32, i64; NULL: no such one, or by the exponent's type. */
static const binary_run binary_runs[BINARY_COUNT][3] = {
	[BINARY_ADD] = { run_add_f32, run_add_i32, run_add_i64 },
	[BINARY_SUB] = { run_sub_f32, run_sub_i32, run_sub_i64 },
	[BINARY_MUL] = { run_mul_f32, run_mul_i32, run_mul_i64 },
	[BINARY_DIV] = { run_div_f32, run_div_i32, run_div_i64 },
	[BINARY_MAX] = { run_max_f32, run_max_i32, run_max_i64 },
	[BINARY_MIN] = { run_min_f32, run_min_i32, run_min_i64 },
	[BINARY_POW] = { run_pow_f32, NULL, NULL },
	[BINARY_MOD] = { run_fmod_f32, run_mod_i32, run_mod_i64 },
	[BINARY_FMOD] = { run_fmod_f32, run_fmod_i32, run_fmod_i64 },
	[BINARY_PRELU] = { run_prelu_f32, NULL, NULL },
};

/* pow where the exponent is of another type or the base is an integer. */
static void run_pow_mixed(const struct binary_args *args, const char *a, const char *b, char *y,
			  int64_t count, int64_t a_step, int64_t b_step)
{
	const int64_t a_bytes = dtype_bytes(args->dtype);
	const int64_t b_bytes = dtype_bytes(args->b_dtype);

	for (int64_t index = 0; index < count; index++)
		power_mixed(a + index * a_step * a_bytes, args->dtype,
			    b + index * b_step * b_bytes, args->b_dtype, y + index * a_bytes);
}

static binary_run binary_choose(const struct binary_args *args)
{
	int type = args->dtype == DTYPE_F32 ? 0 : args->dtype == DTYPE_I32 ? 1 : 2;

	if (args->op == BINARY_POW && args->b_dtype != DTYPE_F32)
		return NULL;
	return binary_runs[args->op][type];
}

binary_run CPU(binary_run_f32)(enum binary op)
{
	return binary_runs[op][0];
}

void CPU(binary)(const void *erased)
{
	const struct binary_args *args = erased;
	const binary_run run = binary_choose(args);
	const int64_t a_bytes = dtype_bytes(args->dtype);
	const int64_t b_bytes = args->op == BINARY_POW ? dtype_bytes(args->b_dtype) : a_bytes;
	char *y = args->y;
	int64_t count, a_step, b_step;
	struct loop loop;

	if (loop_empty(args->dims, args->rank))
		return;
	loop_init(&loop, args->dims, args->a_strides, args->b_strides, args->rank);
	count = loop.dims[loop.rank - 1];
	a_step = loop.left_strides[loop.rank - 1];
	b_step = loop.right_strides[loop.rank - 1];
	do {
		const char *a = (const char *)args->a + loop.left * a_bytes;
		const char *b = (const char *)args->b + loop.right * b_bytes;

		if (run != NULL)
			run(a, b, y, count, a_step, b_step);
		else
			run_pow_mixed(args, a, b, y, count, a_step, b_step);
		y += count * a_bytes;
	} while (loop_next(&loop));
}
