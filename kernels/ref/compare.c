/* SPDX-License-Identifier: MIT */
/* kernels/ref/compare.c - one element at a time; compare and where share how an index is found */
#include "kernels/ref/ref.h"

#include <string.h>

static int64_t ref_count(const int64_t *dims, uint32_t rank)
{
	int64_t count = 1;

	for (uint32_t dim = 0; dim < rank; dim++)
		count *= dims[dim];
	return count;
}

static int64_t ref_offset(const int64_t *dims, const int64_t *strides, uint32_t rank, int64_t index)
{
	int64_t offset = 0;

	for (uint32_t dim = rank; dim-- > 0;) {
		offset += index % dims[dim] * strides[dim];
		index /= dims[dim];
	}
	return offset;
}

static bool ref_numbers(enum compare op, double a, double b)
{
	switch (op) {
	case COMPARE_EQUAL:
		return a == b;
	case COMPARE_NOT_EQUAL:
		return a != b;
	case COMPARE_LESS:
		return a < b;
	case COMPARE_LESS_OR_EQUAL:
		return a <= b;
	case COMPARE_GREATER:
		return a > b;
	case COMPARE_GREATER_OR_EQUAL:
		return a >= b;
	case COMPARE_AND:
		return a != 0 && b != 0;
	case COMPARE_OR:
		return a != 0 || b != 0;
	default:
		return (a != 0) != (b != 0);
	}
}

void ref_compare(const struct compare_args *args, uint8_t *ret_y)
{
	for (int64_t index = 0; index < ref_count(args->dims, args->rank); index++) {
		int64_t a = ref_offset(args->dims, args->a_strides, args->rank, index);
		int64_t b = ref_offset(args->dims, args->b_strides, args->rank, index);

		ret_y[index] = ref_numbers(args->op, ref_read(args->a, args->dtype, a),
					   ref_read(args->b, args->dtype, b));
	}
}

void ref_where(const struct where_args *args, void *ret_y)
{
	size_t bytes = args->element_bytes;

	for (int64_t index = 0; index < ref_count(args->dims, args->rank); index++) {
		int64_t condition =
			ref_offset(args->dims, args->condition_strides, args->rank, index);
		int64_t a = ref_offset(args->dims, args->a_strides, args->rank, index);
		int64_t b = ref_offset(args->dims, args->b_strides, args->rank, index);

		memcpy((char *)ret_y + (size_t)index * bytes,
		       args->condition[condition] ? (const char *)args->a + (size_t)a * bytes :
						    (const char *)args->b + (size_t)b * bytes,
		       bytes);
	}
}
