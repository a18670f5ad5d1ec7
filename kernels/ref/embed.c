/* SPDX-License-Identifier: MIT */
/* kernels/ref/embed.c - one bag, one id, one element at a time */
#include "kernels/ref/ref.h"

#include <stdbool.h>

static int64_t ref_integer(const void *integers, enum dtype dtype, int64_t offset)
{
	return dtype == DTYPE_I64 ? ((const int64_t *)integers)[offset]
				  : ((const int32_t *)integers)[offset];
}

/* -1 stands for a row of zeros. */
static int64_t ref_row(const struct embed_table *table, int64_t id, struct row_status *status)
{
	if (id >= 0 && id < table->axis)
		return id;
	if (table->has_unread && id == EMBED_UNREAD) {
		if (status->error == 0)
			status->error = ROW_UNREAD;
		return 0;
	}
	if (table->missing == MISSING_WRAP && id < 0 && id >= -table->axis)
		return id + table->axis;
	if (table->missing == MISSING_ZERO || table->missing == MISSING_ROW) {
		status->substituted++;
		return table->missing == MISSING_ZERO ? -1 : table->missing_row;
	}
	if (status->error == 0)
		status->error = 1 + table->site;
	return 0;
}

static void ref_bag(const struct embed_args *args, const struct embed_table *table, int64_t row,
		    struct row_status *status, int64_t *ret_begin, int64_t *ret_end)
{
	*ret_begin = 0;
	*ret_end = table->hot;
	if (!table->offsets)
		return;
	*ret_begin = ref_integer(table->offsets, table->offsets_dtype, row);
	*ret_end = table->ids_count;
	if (row + 1 < table->offsets_count)
		*ret_end = ref_integer(table->offsets, table->offsets_dtype, row + 1);
	if (*ret_begin >= 0 && *ret_end >= *ret_begin && *ret_end <= table->ids_count &&
	    (!table->offsets_whole || row + 1 < args->rows || *ret_end == table->ids_count))
		return;
	*ret_begin = *ret_end = 0;
	if (status->error == 0)
		status->error = 1 + table->offsets_site;
}

/* One id's row joins y and magnitude, [dim] each; `count` joined before. */
static void ref_join(const struct embed_table *table, int64_t row, double weight, int64_t count,
		     double *y, double *magnitude)
{
	for (int64_t column = 0; column < table->dim; column++) {
		double x = row < 0 ? 0 : (double)table->data[row * table->dim + column];

		x = row < 0 ? 0 : x * weight;
		magnitude[column] += x < 0 ? -x : x;
		if (table->mode != EMBED_MAX)
			y[column] += x;
		else if (count == 0 || x > y[column])
			y[column] = x;
	}
}

void ref_embed(const struct embed_args *args, int64_t table_index, double *ret_y,
	       double *ret_magnitude, struct row_status *ret_status)
{
	const struct embed_table *table = &args->tables[table_index];
	const int64_t row_bags = table->mode == EMBED_COPY ? table->hot : 1;
	int64_t bag = 0;

	for (int64_t element = 0; element < args->rows * row_bags * table->dim; element++)
		ret_y[element] = ret_magnitude[element] = 0;
	for (int64_t row = 0; row < args->rows; row++) {
		struct row_status *status = &ret_status[row * args->status_stride];
		bool is_jagged = table->offsets != NULL;
		int64_t begin, end;
		int64_t count = 0;

		ref_bag(args, table, row, status, &begin, &end);
		for (int64_t index = begin; index < end; index++) {
			int64_t at = index * table->ids_stride +
				     (is_jagged ? 0 : row * table->ids_row_stride);
			int64_t weight_at = index * table->weights_stride +
					    (is_jagged ? 0 : row * table->weights_row_stride);
			double weight = table->weights ? (double)table->weights[weight_at] : 1;
			int64_t from = ref_row(table, ref_integer(table->ids, table->ids_dtype, at),
					       status);

			if (table->mode == EMBED_COPY)
				count = 0;
			else if (from >= 0 && from == table->padding_idx)
				continue;
			ref_join(table, from, weight, count++, ret_y + bag * table->dim,
				 ret_magnitude + bag * table->dim);
			bag += table->mode == EMBED_COPY;
		}
		if (table->mode == EMBED_COPY)
			continue;
		for (int64_t column = 0; column < table->dim && count > 0; column++) {
			if (table->mode == EMBED_MEAN)
				ret_y[bag * table->dim + column] /= (double)count;
		}
		bag++;
	}
}
