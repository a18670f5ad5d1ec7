/* SPDX-License-Identifier: MIT */
/* kernels/cpu/gather_elements.c - one element an id, a run of the innermost dimension at a time */
#include "kernels/gather_elements.h"

#include <string.h>

#include "kernels/cpu/ids.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/loop.h"

/* Where a run of ids is: `position` counts ids, `place` elements of x with id 0. */
struct run {
	int64_t position;
	int64_t place;
	int64_t count;
	int64_t step;
};

ALWAYS_INLINE void run_pick(const struct gather_elements_args *args, const struct run *run,
			    const size_t bytes)
{
	const struct id_rule rule = {args->axis, 0, MISSING_WRAP, args->site};
	char *y = (char *)args->y + run->position * (int64_t)bytes;

	for (int64_t index = 0; index < run->count; index++, y += bytes) {
		const int64_t position = run->position + index;
		int64_t id = id_read(args->ids, args->ids_dtype, position);
		struct row_status *status =
			args->status ? &args->status[position / args->ids_per_row] : NULL;

		id = id_resolve(id, &rule, status) * args->axis_stride;
		memcpy(y, (const char *)args->x +
				  (run->place + index * run->step + id) * (int64_t)bytes, bytes);
	}
}

/* The next run; false after the last. */
static bool run_next(const struct gather_elements_args *args, int64_t index[], struct run *run)
{
	run->position += run->count;
	for (uint32_t dim = args->rank > 0 ? args->rank - 1 : 0; dim-- > 0;) {
		run->place += args->x_strides[dim];
		if (++index[dim] < args->dims[dim])
			return true;
		run->place -= args->x_strides[dim] * args->dims[dim];
		index[dim] = 0;
	}
	return false;
}

void CPU(gather_elements)(const void *erased)
{
	const struct gather_elements_args *args = erased;
	int64_t index[KERNEL_RANK_MAX] = { 0 };
	struct run run = { .count = 1 };

	if (loop_empty(args->dims, args->rank))
		return;
	if (args->rank > 0) {
		run.count = args->dims[args->rank - 1];
		run.step = args->x_strides[args->rank - 1];
	}
	do {
		switch (args->element_bytes) {
		case 8:
			run_pick(args, &run, 8);
			break;
		case 4:
			run_pick(args, &run, 4);
			break;
		case 2:
			run_pick(args, &run, 2);
			break;
		default:
			run_pick(args, &run, 1);
			break;
		}
	} while (run_next(args, index, &run));
}
