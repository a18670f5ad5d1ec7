/* SPDX-License-Identifier: MIT */
/* kernels/cpu/where.c - a row at a time; three operands are too many for kernels/cpu/loop.h */
#include "kernels/where.h"

#include "kernels/cpu/isa.h"
#include "kernels/cpu/loop.h"

struct where_row {
	const uint8_t *condition;
	const char *a;
	const char *b;
	char *y;
	int64_t count;
	int64_t condition_step, a_step, b_step;
};

#define WHERE_ROW(name, type)                                                                  \
	static void name(const struct where_row *row)                                          \
	{                                                                                      \
		const type *a = (const type *)(const void *)row->a;                            \
		const type *b = (const type *)(const void *)row->b;                            \
		type *y = (type *)(void *)row->y;                                              \
                                                                                               \
		if (row->condition_step == 1 && row->a_step == 1 && row->b_step == 1) {        \
			INDEPENDENT                                                            \
			for (int64_t index = 0; index < row->count; index++)                   \
				y[index] = row->condition[index] ? a[index] : b[index];        \
			return;                                                                \
		}                                                                              \
		INDEPENDENT                                                                    \
		for (int64_t index = 0; index < row->count; index++)                           \
			y[index] = row->condition[index * row->condition_step]                 \
					   ? a[index * row->a_step]                            \
					   : b[index * row->b_step];                           \
	}

WHERE_ROW(where_row_8, uint8_t)
WHERE_ROW(where_row_16, uint16_t)
WHERE_ROW(where_row_32, uint32_t)
WHERE_ROW(where_row_64, uint64_t)

static void row_run(const struct where_row *row, uint32_t element_bytes)
{
	switch (element_bytes) {
	case 8:
		where_row_64(row);
		break;
	case 4:
		where_row_32(row);
		break;
	case 2:
		where_row_16(row);
		break;
	default:
		where_row_8(row);
		break;
	}
}

/* The next row of all dimensions but the innermost; false after the last. */
static bool row_next(const struct where_args *args, int64_t index[], struct where_row *row)
{
	const int64_t bytes = args->element_bytes;

	for (uint32_t dim = args->rank - 1; dim-- > 0;) {
		row->condition += args->condition_strides[dim];
		row->a += args->a_strides[dim] * bytes;
		row->b += args->b_strides[dim] * bytes;
		if (++index[dim] < args->dims[dim])
			return true;
		row->condition -= args->condition_strides[dim] * args->dims[dim];
		row->a -= args->a_strides[dim] * args->dims[dim] * bytes;
		row->b -= args->b_strides[dim] * args->dims[dim] * bytes;
		index[dim] = 0;
	}
	return false;
}

void CPU(where)(const void *erased)
{
	const struct where_args *args = erased;
	int64_t index[KERNEL_RANK_MAX] = { 0 };
	struct where_row row = {
		.condition = args->condition,
		.a = args->a,
		.b = args->b,
		.y = args->y,
		.count = 1,
	};

	if (loop_empty(args->dims, args->rank))
		return;
	if (args->rank == 0) {
		row_run(&row, args->element_bytes);
		return;
	}
	row.count = args->dims[args->rank - 1];
	row.condition_step = args->condition_strides[args->rank - 1];
	row.a_step = args->a_strides[args->rank - 1];
	row.b_step = args->b_strides[args->rank - 1];
	do {
		row_run(&row, args->element_bytes);
		row.y += row.count * args->element_bytes;
	} while (row_next(args, index, &row));
}
