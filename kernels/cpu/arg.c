/* SPDX-License-Identifier: MIT */
/* kernels/cpu/arg.c - where the largest or smallest is */
#include "kernels/arg.h"

#include "kernels/cpu/isa.h"

#define ARG(name, type)                                                                        \
	static int64_t name(const struct arg_args *args, const type *x)                        \
	{                                                                                      \
		int64_t best = 0;                                                              \
		type kept = x[0];                                                              \
                                                                                               \
		for (int64_t axis = 1; axis < args->axis && kept == kept; axis++) {            \
			const type here = x[axis * args->inner];                               \
			bool takes = args->is_smallest ? here < kept : here > kept;            \
                                                                                               \
			takes = takes || here != here || (args->takes_last && here == kept);   \
			kept = takes ? here : kept;                                            \
			best = takes ? axis : best;                                            \
		}                                                                              \
		return best;                                                                   \
	}

ARG(arg_f32, float)
ARG(arg_i32, int32_t)
ARG(arg_i64, int64_t)

void CPU(arg)(const void *erased)
{
	const struct arg_args *args = erased;

	for (int64_t outer = 0; outer < args->outer; outer++)
		for (int64_t inner = 0; inner < args->inner; inner++) {
			const int64_t start = outer * args->axis * args->inner + inner;
			int64_t *y = args->y + outer * args->inner + inner;

			if (args->dtype == DTYPE_F32)
				*y = arg_f32(args, (const float *)args->x + start);
			else if (args->dtype == DTYPE_I32)
				*y = arg_i32(args, (const int32_t *)args->x + start);
			else
				*y = arg_i64(args, (const int64_t *)args->x + start);
		}
}
