/* SPDX-License-Identifier: MIT */
/*
 * kernels/cpu/topk.c - a heap of the best indices so far, in the output itself
 *
 * At its root is the one that comes last, so that most elements are compared once and passed over.
 * The order is total, by value and then by index: its result is the same however it is found.
 */
#include "kernels/topk.h"

#include <string.h>

#include "kernels/cpu/isa.h"

/* The values of one o and i, and the indices of the best of them; both a stride apart. */
struct lane {
	const void *x;
	int64_t *heap;
	int64_t stride;
	int64_t count; /* of the heap */
};

/* Floats as integers in their order; of -0 and 0 the same, of all NaN the largest. */
ALWAYS_INLINE int64_t key_f32(float x)
{
	int32_t bits;

	if (x != x)
		return INT64_MAX;
	memcpy(&bits, &x, sizeof(bits));
	return bits < 0 ? -(int64_t)(bits & INT32_MAX) : bits;
}

ALWAYS_INLINE int64_t lane_key(const struct lane *lane, int64_t index, const enum dtype dtype)
{
	const int64_t place = index * lane->stride;

	switch (dtype) {
	case DTYPE_F32:
		return key_f32(((const float *)lane->x)[place]);
	case DTYPE_I32:
		return ((const int32_t *)lane->x)[place];
	default:
		return ((const int64_t *)lane->x)[place];
	}
}

/* Does index a come after index b? */
ALWAYS_INLINE bool lane_after(const struct lane *lane, int64_t a, int64_t b, const enum dtype dtype,
			      const bool is_smallest)
{
	const int64_t left = lane_key(lane, a, dtype);
	const int64_t right = lane_key(lane, b, dtype);

	if (left == right)
		return a > b;
	return is_smallest ? left > right : left < right;
}

/* `index` goes down from `place` until nothing below it comes after it. */
ALWAYS_INLINE void heap_sink(const struct lane *lane, int64_t place, int64_t index,
			     const enum dtype dtype, const bool is_smallest)
{
	const int64_t stride = lane->stride;

	for (;;) {
		int64_t child = 2 * place + 1;

		if (child >= lane->count)
			break;
		if (child + 1 < lane->count &&
		    lane_after(lane, lane->heap[(child + 1) * stride], lane->heap[child * stride],
			       dtype, is_smallest))
			child++;
		if (!lane_after(lane, lane->heap[child * stride], index, dtype, is_smallest))
			break;
		lane->heap[place * stride] = lane->heap[child * stride];
		place = child;
	}
	lane->heap[place * stride] = index;
}

ALWAYS_INLINE void lane_select(struct lane *lane, int64_t axis, const enum dtype dtype,
			       const bool is_smallest)
{
	const int64_t stride = lane->stride;

	for (int64_t index = 0; index < lane->count; index++)
		lane->heap[index * stride] = index;
	for (int64_t place = lane->count / 2; place-- > 0;)
		heap_sink(lane, place, lane->heap[place * stride], dtype, is_smallest);
	for (int64_t index = lane->count; index < axis; index++)
		if (lane_after(lane, lane->heap[0], index, dtype, is_smallest))
			heap_sink(lane, 0, index, dtype, is_smallest);
	/* What comes last of those that are left goes to the end. */
	while (lane->count > 1) {
		const int64_t last = lane->heap[--lane->count * stride];

		lane->heap[lane->count * stride] = lane->heap[0];
		heap_sink(lane, 0, last, dtype, is_smallest);
	}
}

ALWAYS_INLINE void topk_type(const struct topk_args *args, const enum dtype dtype)
{
	const int64_t bytes = dtype_bytes(dtype);

	for (int64_t outer = 0; outer < args->outer; outer++)
		for (int64_t inner = 0; inner < args->inner; inner++) {
			const int64_t start = outer * args->k * args->inner + inner;
			struct lane lane = {
				.x = (const char *)args->x +
				     (outer * args->axis * args->inner + inner) * bytes,
				.heap = args->indices + start,
				.stride = args->inner,
				.count = args->k,
			};

			if (args->is_smallest)
				lane_select(&lane, args->axis, dtype, true);
			else
				lane_select(&lane, args->axis, dtype, false);
			for (int64_t rank = 0; args->y && rank < args->k; rank++)
				memcpy((char *)args->y + (start + rank * args->inner) * bytes,
				       (const char *)lane.x +
					       lane.heap[rank * args->inner] * args->inner * bytes,
				       (size_t)bytes);
		}
}

void CPU(topk)(const void *erased)
{
	const struct topk_args *args = erased;

	if (args->k == 0)
		return;
	if (args->dtype == DTYPE_F32)
		topk_type(args, DTYPE_F32);
	else if (args->dtype == DTYPE_I32)
		topk_type(args, DTYPE_I32);
	else
		topk_type(args, DTYPE_I64);
}
