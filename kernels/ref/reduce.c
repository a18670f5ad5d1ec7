/* SPDX-License-Identifier: MIT */
/* kernels/ref/reduce.c - one element at a time; an index becomes an offset by division */
#include "kernels/ref/ref.h"

#include <math.h>
#include <stdbool.h>

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

static double ref_start(enum reduce op)
{
	return op == REDUCE_PROD ? 1 : op == REDUCE_MAX ? -INFINITY : op == REDUCE_MIN ? INFINITY : 0;
}

static double ref_combine(enum reduce op, double a, double b)
{
	if (op == REDUCE_PROD)
		return a * b;
	if (op == REDUCE_MAX || op == REDUCE_MIN)
		return isnan(a) || isnan(b) ? NAN : op == REDUCE_MAX ? fmax(a, b) : fmin(a, b);
	return a + b;
}

void ref_reduce_f32(const struct reduce_args *args, double *ret_y, double *ret_magnitude)
{
	int64_t count = ref_count(args->reduced, args->reduced_rank);

	for (int64_t index = 0; index < ref_count(args->kept, args->kept_rank); index++) {
		int64_t start = ref_offset(args->kept, args->kept_strides, args->kept_rank, index);
		double sum = ref_start(args->op), magnitude = 0;

		for (int64_t reduced = 0; reduced < count; reduced++) {
			int64_t offset = start + ref_offset(args->reduced, args->reduced_strides,
							    args->reduced_rank, reduced);
			double x = ((const float *)args->x)[offset];

			sum = ref_combine(args->op, sum, x);
			magnitude += fabs(x);
		}
		if (args->op == REDUCE_PROD)
			magnitude = fabs(sum);
		ret_y[index] = args->op == REDUCE_MEAN ? sum / (double)count : sum;
		ret_magnitude[index] = magnitude;
	}
}

void ref_reduce_integer(const struct reduce_args *args, int64_t *ret_y)
{
	int64_t count = ref_count(args->reduced, args->reduced_rank);

	for (int64_t index = 0; index < ref_count(args->kept, args->kept_rank); index++) {
		int64_t start = ref_offset(args->kept, args->kept_strides, args->kept_rank, index);
		bool narrow = args->dtype == DTYPE_I32;
		uint64_t sum = args->op == REDUCE_PROD ? 1 : 0;

		if (args->op == REDUCE_MAX)
			sum = (uint64_t)(narrow ? INT32_MIN : INT64_MIN);
		if (args->op == REDUCE_MIN)
			sum = (uint64_t)(narrow ? INT32_MAX : INT64_MAX);
		for (int64_t reduced = 0; reduced < count; reduced++) {
			int64_t offset = start + ref_offset(args->reduced, args->reduced_strides,
							    args->reduced_rank, reduced);
			int64_t x = ref_read_integer(args->x, args->dtype, offset);

			if (args->op == REDUCE_PROD)
				sum *= (uint64_t)x;
			else if (args->op == REDUCE_MAX)
				sum = x > (int64_t)sum ? (uint64_t)x : sum;
			else if (args->op == REDUCE_MIN)
				sum = x < (int64_t)sum ? (uint64_t)x : sum;
			else
				sum += (uint64_t)x;
		}
		ret_y[index] = (int64_t)sum;
		if (args->op == REDUCE_MEAN)
			ret_y[index] = count == 0 ? 0 : (int64_t)sum / count;
		if (args->dtype == DTYPE_I32)
			ret_y[index] = (int32_t)ret_y[index];
	}
}
