/* SPDX-License-Identifier: MIT */
/* kernels/cpu/compare.c - comparisons and logic, broadcast as kernels/cpu/binary.c does */
#include "kernels/compare.h"

#include <stddef.h>

#include "kernels/cpu/isa.h"
#include "kernels/cpu/loop.h"

typedef void (*compare_run)(const void *a, const void *b, uint8_t *y, int64_t count,
			    int64_t a_step, int64_t b_step);

#define COMPARE_RUN(name, type, verb)                                                          \
	static void name(const void *a_start, const void *b_start, uint8_t *y, int64_t count,  \
			 int64_t a_step, int64_t b_step)                                       \
	{                                                                                      \
		const type *a = a_start;                                                       \
		const type *b = b_start;                                                       \
                                                                                               \
		if (a_step == 1 && b_step == 1) {                                              \
			INDEPENDENT                                                            \
			for (int64_t index = 0; index < count; index++)                        \
				y[index] = (uint8_t)(a[index] verb b[index]);                  \
		} else if (a_step == 1 && b_step == 0) {                                       \
			const type right = *b;                                                 \
                                                                                               \
			INDEPENDENT                                                            \
			for (int64_t index = 0; index < count; index++)                        \
				y[index] = (uint8_t)(a[index] verb right);                     \
		} else {                                                                       \
			for (int64_t index = 0; index < count; index++)                        \
				y[index] = (uint8_t)(a[index * a_step] verb b[index * b_step]); \
		}                                                                              \
	}

#define COMPARE_TYPES(name, verb)                       \
	COMPARE_RUN(name##_f32, float, verb)            \
	COMPARE_RUN(name##_i32, int32_t, verb)          \
	COMPARE_RUN(name##_i64, int64_t, verb)

COMPARE_TYPES(equal, ==)
COMPARE_TYPES(not_equal, !=)
COMPARE_TYPES(less, <)
COMPARE_TYPES(less_or_equal, <=)
COMPARE_TYPES(greater, >)
COMPARE_TYPES(greater_or_equal, >=)
COMPARE_RUN(equal_bool, uint8_t, ==)
COMPARE_RUN(and_bool, uint8_t, &&)
COMPARE_RUN(or_bool, uint8_t, ||)
COMPARE_RUN(xor_bool, uint8_t, !=)

/* By operation, then f32, i32, i64, bool. */
static const compare_run runs[COMPARE_COUNT][4] = {
	[COMPARE_EQUAL] = { equal_f32, equal_i32, equal_i64, equal_bool },
	[COMPARE_NOT_EQUAL] = { not_equal_f32, not_equal_i32, not_equal_i64, xor_bool },
	[COMPARE_LESS] = { less_f32, less_i32, less_i64, NULL },
	[COMPARE_LESS_OR_EQUAL] = { less_or_equal_f32, less_or_equal_i32, less_or_equal_i64,
				    NULL },
	[COMPARE_GREATER] = { greater_f32, greater_i32, greater_i64, NULL },
	[COMPARE_GREATER_OR_EQUAL] = { greater_or_equal_f32, greater_or_equal_i32,
				       greater_or_equal_i64, NULL },
	[COMPARE_AND] = { NULL, NULL, NULL, and_bool },
	[COMPARE_OR] = { NULL, NULL, NULL, or_bool },
	[COMPARE_XOR] = { NULL, NULL, NULL, xor_bool },
};

void CPU(compare)(const void *erased)
{
	const struct compare_args *args = erased;
	const int type = args->dtype == DTYPE_F32   ? 0
			 : args->dtype == DTYPE_I32 ? 1
			 : args->dtype == DTYPE_I64 ? 2
						    : 3;
	const compare_run run = runs[args->op][type];
	const int64_t bytes = dtype_bytes(args->dtype);
	uint8_t *y = args->y;
	struct loop loop;

	if (loop_empty(args->dims, args->rank))
		return;
	loop_init(&loop, args->dims, args->a_strides, args->b_strides, args->rank);
	do {
		const int64_t count = loop.dims[loop.rank - 1];

		run((const char *)args->a + loop.left * bytes,
		    (const char *)args->b + loop.right * bytes, y, count,
		    loop.left_strides[loop.rank - 1], loop.right_strides[loop.rank - 1]);
		y += count;
	} while (loop_next(&loop));
}
