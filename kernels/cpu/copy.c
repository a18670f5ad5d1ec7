/* SPDX-License-Identifier: MIT */
/* kernels/cpu/copy.c - runs where both sides are contiguous, square blocks where they are not */
#include "kernels/copy.h"

#include "kernels/cpu/bytes.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/loop.h"

/* Rows and columns of a transposition that stay in L1: 16 lines of each side. */
#define COPY_BLOCK 16

#define COPY_PLANE(name, type)                                                                  \
	static void name(const type *x, type *y, const struct loop *loop, uint32_t inner)       \
	{                                                                                       \
		const uint32_t column_dim = loop->rank - 1;                                     \
		const int64_t columns = loop->dims[column_dim];                                 \
		const int64_t rows = inner == 2 ? loop->dims[column_dim - 1] : 1;               \
		const int64_t x_row = inner == 2 ? loop->left_strides[column_dim - 1] : 0;      \
		const int64_t y_row = inner == 2 ? loop->right_strides[column_dim - 1] : 0;     \
		const int64_t x_column = loop->left_strides[column_dim];                        \
		const int64_t y_column = loop->right_strides[column_dim];                       \
                                                                                                \
		for (int64_t top = 0; top < rows; top += COPY_BLOCK) {                          \
			const int64_t bottom = top + COPY_BLOCK < rows ? top + COPY_BLOCK       \
								       : rows;                  \
                                                                                                \
			for (int64_t left = 0; left < columns; left += COPY_BLOCK) {            \
				const int64_t right = left + COPY_BLOCK < columns               \
							      ? left + COPY_BLOCK               \
							      : columns;                        \
                                                                                                \
				for (int64_t row = top; row < bottom; row++)                    \
					for (int64_t column = left; column < right; column++)   \
						y[row * y_row + column * y_column] =            \
							x[row * x_row + column * x_column];     \
			}                                                                       \
		}                                                                               \
	}

COPY_PLANE(copy_plane_8, uint8_t)
COPY_PLANE(copy_plane_16, uint16_t)
COPY_PLANE(copy_plane_32, uint32_t)
COPY_PLANE(copy_plane_64, uint64_t)

void CPU(copy)(const void *erased)
{
	const struct copy_args *args = erased;
	struct loop loop;
	uint32_t inner;

	if (loop_empty(args->dims, args->rank))
		return;
	loop_init(&loop, args->dims, args->x_strides, args->y_strides, args->rank);
	if (loop.left_strides[loop.rank - 1] == 1 && loop.right_strides[loop.rank - 1] == 1) {
		const size_t run_bytes = (size_t)loop.dims[loop.rank - 1] * args->element_bytes;

		do {
			bytes_copy((char *)args->y + loop.right * args->element_bytes,
				   (const char *)args->x + loop.left * args->element_bytes,
				   run_bytes);
		} while (loop_next(&loop));
		return;
	}
	inner = loop.rank >= 2 ? 2 : 1;
	do {
		switch (args->element_bytes) {
		case 8:
			copy_plane_64((const uint64_t *)args->x + loop.left,
				      (uint64_t *)args->y + loop.right, &loop, inner);
			break;
		case 4:
			copy_plane_32((const uint32_t *)args->x + loop.left,
				      (uint32_t *)args->y + loop.right, &loop, inner);
			break;
		case 2:
			copy_plane_16((const uint16_t *)args->x + loop.left,
				      (uint16_t *)args->y + loop.right, &loop, inner);
			break;
		default:
			copy_plane_8((const uint8_t *)args->x + loop.left,
				     (uint8_t *)args->y + loop.right, &loop, inner);
			break;
		}
	} while (loop_next_outside(&loop, inner));
}
