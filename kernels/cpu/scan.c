/* SPDX-License-Identifier: MIT */
/* kernels/cpu/scan.c - running sums; neighbours are summed side by side */
#include "kernels/scan.h"

#include "kernels/cpu/isa.h"

/* y of a step is y of the one before plus x of this one, or of the one before. */
#define SCAN(name, type, sum_type)                                                             \
	static void name(const struct scan_args *args)                                         \
	{                                                                                      \
		const int64_t step = args->is_reverse ? -args->inner : args->inner;            \
		const int64_t first = args->is_reverse ? (args->axis - 1) * args->inner : 0;   \
                                                                                               \
		for (int64_t outer = 0; outer < args->outer; outer++) {                        \
			const int64_t start = outer * args->axis * args->inner + first;        \
			const type *x = (const type *)args->x + start;                         \
			type *y = (type *)args->y + start;                                     \
                                                                                               \
			for (int64_t inner = 0; inner < args->inner; inner++)                  \
				y[inner] = args->is_exclusive ? 0 : x[inner];                  \
			for (int64_t axis = 1; axis < args->axis; axis++) {                    \
				const type *from = args->is_exclusive ? x : x + step;          \
                                                                                               \
				INDEPENDENT                                                    \
				for (int64_t inner = 0; inner < args->inner; inner++)          \
					y[inner + step] = (type)((sum_type)y[inner] +          \
								 (sum_type)from[inner]);       \
				x += step;                                                     \
				y += step;                                                     \
			}                                                                      \
		}                                                                              \
	}

SCAN(scan_f32, float, float)
SCAN(scan_i32, int32_t, uint32_t)
SCAN(scan_i64, int64_t, uint64_t)

void CPU(scan)(const void *erased)
{
	const struct scan_args *args = erased;

	if (args->axis == 0)
		return;
	if (args->dtype == DTYPE_F32)
		scan_f32(args);
	else if (args->dtype == DTYPE_I32)
		scan_i32(args);
	else
		scan_i64(args);
}
