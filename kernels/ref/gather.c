/* SPDX-License-Identifier: MIT */
/* kernels/ref/gather.c - one id at a time */
#include "kernels/ref/ref.h"

#include <string.h>

static int64_t ref_id(const struct gather_args *args, int64_t position)
{
	if (args->ids_dtype == DTYPE_I64)
		return ((const int64_t *)args->ids)[position * args->ids_stride];
	return ((const int32_t *)args->ids)[position * args->ids_stride];
}

/* -1 stands for a row of zeros. */
static int64_t ref_row(const struct gather_args *args, int64_t position,
		       struct row_status *ret_status)
{
	struct row_status *status = &ret_status[position / args->ids_per_row];
	int64_t id = ref_id(args, position);

	if (id >= 0 && id < args->axis)
		return id;
	if (args->missing == MISSING_WRAP && id < 0 && id >= -args->axis)
		return id + args->axis;
	if (args->missing == MISSING_ZERO || args->missing == MISSING_ROW) {
		status->substituted++;
		return args->missing == MISSING_ZERO ? -1 : args->missing_row;
	}
	if (status->error == 0)
		status->error = 1 + args->site;
	return 0;
}

void ref_gather(const struct gather_args *args, void *ret_y, struct row_status *ret_status)
{
	size_t row_bytes = (size_t)args->inner * args->element_bytes;

	for (int64_t position = 0; position < args->count; position++) {
		int64_t row = ref_row(args, position, ret_status);

		for (int64_t outer = 0; outer < args->outer; outer++) {
			char *y = (char *)ret_y +
				  (size_t)(outer * args->count + position) * row_bytes;
			const char *data = (const char *)args->data +
					   (size_t)(outer * args->axis + (row < 0 ? 0 : row)) *
						   row_bytes;

			if (row < 0)
				memset(y, 0, row_bytes);
			else
				memcpy(y, data, row_bytes);
		}
	}
}
