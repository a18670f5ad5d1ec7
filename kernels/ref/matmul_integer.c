/* SPDX-License-Identifier: MIT */
/* kernels/ref/matmul_integer.c - one sum at a time; b is read as it is in the model, never packed */
#include "kernels/ref/ref.h"

#include <stddef.h>

static int64_t ref_number(const void *numbers, bool is_signed, int64_t index)
{
	return numbers == NULL ? 0 : ref_read_integer(numbers, is_signed ? DTYPE_I8 : DTYPE_U8, index);
}

static int64_t ref_place(const int64_t strides[MATMUL_BATCH_RANK],
			 const int64_t batch[MATMUL_BATCH_RANK])
{
	return batch[0] * strides[0] + batch[1] * strides[1] + batch[2] * strides[2];
}

static int64_t ref_sum(const struct matmul_integer_args *args, const void *b,
		       const int64_t batch[MATMUL_BATCH_RANK], int64_t row, int64_t column)
{
	int64_t a_zero = ref_number(args->a_zero, args->a_signed,
				    ref_place(args->a_zero_batch, batch) + row * args->a_zero_step);
	int64_t b_zero = ref_number(args->b_zero, args->b_signed,
				    ref_place(args->b_zero_batch, batch) +
					    column * args->b_zero_step);
	int64_t sum = 0;

	for (int64_t k = 0; k < args->k; k++)
		sum += (ref_number(args->a, args->a_signed,
				   ref_place(args->a_batch, batch) + row * args->k + k) -
			a_zero) *
		       (ref_number(b, args->b_signed,
				   ref_place(args->b_batch, batch) + k * args->n + column) -
			b_zero);
	return sum;
}

void ref_matmul_integer(const struct matmul_integer_args *args, const void *b, int64_t *ret_y)
{
	int64_t batch[MATMUL_BATCH_RANK];

	for (batch[0] = 0; batch[0] < args->batch[0]; batch[0]++)
		for (batch[1] = 0; batch[1] < args->batch[1]; batch[1]++)
			for (batch[2] = 0; batch[2] < args->batch[2]; batch[2]++)
				for (int64_t row = 0; row < args->m; row++)
					for (int64_t column = 0; column < args->n; column++)
						*ret_y++ = (int32_t)ref_sum(args, b, batch, row,
									    column);
}
