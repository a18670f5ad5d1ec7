/* SPDX-License-Identifier: MIT */
/* tests/kernels/test_embed.c - bags of many tables at once, and ids and offsets that lie */
#include <stdlib.h>
#include <string.h>

#include "kernels/embed.h"
#include "kernels/reduce.h"
#include "kernels/ref/ref.h"
#include "tests/kernels/kernel_test.h"
#include "tests/suite.h"

#define AXIS 41
#define DIM_MAX 300
#define ROWS_MAX 70
#define HOT_MAX 130
#define IDS (ROWS_MAX * HOT_MAX)
#define TABLES_MAX 40
#define GAP 3 /* floats between two rows of an output */
#define COUNT(sweep) (sizeof(sweep) / sizeof((sweep)[0]))

static float *data;
static float *weights;
static int64_t *ids64;
static int32_t *ids32;
static int64_t offsets64[ROWS_MAX + 1];
static int32_t offsets32[ROWS_MAX + 1];
static struct embed_args *args;

static const int64_t strange_ids[] = {
	-1, -AXIS, -AXIS - 1, AXIS, AXIS - 1, INT32_MAX, INT32_MIN,
};

static void setup(void)
{
	random_begin(22);
	data = malloc(AXIS * DIM_MAX * sizeof(float));
	weights = malloc(IDS * sizeof(float));
	ids64 = malloc(IDS * sizeof(int64_t));
	ids32 = malloc(IDS * sizeof(int32_t));
	args = malloc(embed_args_bytes(TABLES_MAX));
	random_fill(data, AXIS * DIM_MAX);
	random_fill(weights, IDS);
	for (int id = 0; id < IDS; id++) {
		uint64_t choice = random_u64() % 40;

		ids64[id] = (int64_t)(random_u64() % AXIS);
		if (choice < COUNT(strange_ids))
			ids64[id] = strange_ids[choice];
		ids32[id] = (int32_t)ids64[id];
	}
}

static void teardown(void)
{
	free(data);
	free(weights);
	free(ids64);
	free(ids32);
	free(args);
}

static void args_begin(int64_t rows)
{
	memset(args, 0, embed_args_bytes(TABLES_MAX));
	args->rows = args->end_row = rows;
	args->status_stride = 1;
}

/* A bag of `hot` ids a row; contiguous ids of i64 until the caller says otherwise. */
static struct embed_table *table_add(enum embed mode, int64_t dim, int64_t hot)
{
	struct embed_table *table = &args->tables[args->table_count];

	*table = (struct embed_table){
		.data = data,
		.ids = ids64,
		.axis = AXIS,
		.dim = dim,
		.hot = hot,
		.ids_row_stride = hot,
		.ids_stride = 1,
		.weights_row_stride = hot,
		.weights_stride = 1,
		.padding_idx = -1,
		.missing_row = 5,
		.site = 10 * (uint32_t)args->table_count,
		.offsets_site = 10 * (uint32_t)args->table_count + 1,
		.mode = mode,
		.ids_dtype = DTYPE_I64,
		.offsets_dtype = DTYPE_I64,
	};
	args->table_count++;
	return table;
}

static void use_i32(struct embed_table *table)
{
	table->ids = ids32;
	table->ids_dtype = DTYPE_I32;
	table->offsets_dtype = DTYPE_I32;
	if (table->offsets)
		table->offsets = offsets32;
}

/* Sorted offsets within `count` ids; some bags are empty. */
static void use_offsets(struct embed_table *table, int64_t count, bool has_end)
{
	for (int64_t row = 0; row <= args->rows; row++)
		offsets64[row] = (int64_t)(random_u64() % (uint64_t)(count + 1));
	for (int64_t row = 0; row <= args->rows; row++)
		for (int64_t other = row + 1; other <= args->rows; other++)
			if (offsets64[other] < offsets64[row]) {
				int64_t larger = offsets64[row];

				offsets64[row] = offsets64[other];
				offsets64[other] = larger;
			}
	for (int64_t row = 0; row <= args->rows; row++)
		offsets32[row] = (int32_t)offsets64[row];
	table->offsets = offsets64;
	table->offsets_count = args->rows + has_end;
	table->ids_count = count;
}

static int64_t table_width(const struct embed_table *table)
{
	return table->dim * (table->mode == EMBED_COPY ? table->hot : 1);
}

/* Tables write side by side, with a gap of filler behind each row. */
static int64_t outputs_place(float *y)
{
	int64_t width = GAP;

	for (int64_t index = 0; index < args->table_count; index++)
		width += table_width(&args->tables[index]);
	for (int64_t index = 0; index < args->table_count; index++) {
		args->tables[index].y = y;
		args->tables[index].y_row_stride = width;
		y += table_width(&args->tables[index]);
	}
	return width;
}

static void table_check(const struct embed_table *table, const char *name, const double *expected,
			const double *magnitude)
{
	const int64_t width = table_width(table);
	const double terms = table->offsets ? (double)table->ids_count : (double)table->hot;
	const bool is_exact = table->mode == EMBED_COPY ||
			      (table->mode == EMBED_MAX && !table->weights);

	for (int64_t row = args->first_row; row < args->end_row; row++)
		for (int64_t column = 0; column < width; column++) {
			double y = (double)table->y[row * table->y_row_stride + column];
			double bound = (terms + 2) * 0x1p-24 * magnitude[row * width + column];

			expect_msg(fabs(y - expected[row * width + column]) <=
					   (is_exact ? 0 : bound),
				   "%s: table %ld, row %ld, column %ld is %g, not %g", name,
				   (long)(table - args->tables), (long)row, (long)column, y,
				   expected[row * width + column]);
		}
}

/* All devices against the oracle; the statuses of rows [first_row, end_row) as well. */
static void run_embed(void)
{
	const size_t status_bytes = (size_t)args->rows * sizeof(struct row_status);
	struct row_status *expected_status = calloc((size_t)args->rows + 1, sizeof(*expected_status));
	struct row_status *status = guarded_new(status_bytes);
	int64_t width = outputs_place(NULL);
	double *expected[TABLES_MAX], *magnitude[TABLES_MAX];
	struct kernel_outputs outputs;

	embed_settle(args);
	for (int64_t index = 0; index < args->table_count; index++) {
		size_t count = (size_t)(args->rows * table_width(&args->tables[index])) + 1;

		expected[index] = malloc(count * sizeof(double));
		magnitude[index] = malloc(count * sizeof(double));
		ref_embed(args, index, expected[index], magnitude[index], expected_status);
	}
	kernel_outputs_init(&outputs, (size_t)(args->rows * width) * sizeof(float));
	for (int device = 0; device < outputs.count; device++) {
		const char *name = outputs.devices[device]->name;

		outputs_place(outputs.y[device]);
		memset(status, 0, status_bytes);
		args->status = status;
		outputs.devices[device]->kernels[KERNEL_EMBED](args);
		for (int64_t index = 0; index < args->table_count; index++)
			table_check(&args->tables[index], name, expected[index], magnitude[index]);
		if (args->end_row - args->first_row == args->rows)
			expect(memcmp(status, expected_status, status_bytes) == 0);
		guarded_check(status, status_bytes);
		args->status = NULL;
		outputs.devices[device]->kernels[KERNEL_EMBED](args);
		for (int64_t row = 0; row < args->rows; row++)
			for (int64_t gap = (row + 1) * width - GAP; gap < (row + 1) * width; gap++)
				expect(((const unsigned char *)outputs.y[device])[gap * 4] ==
				       KERNEL_FILLER);
	}
	kernel_outputs_check(&outputs);
	kernel_outputs_deinit(&outputs);
	for (int64_t index = 0; index < args->table_count; index++) {
		free(expected[index]);
		free(magnitude[index]);
	}
	guarded_free(status);
	free(expected_status);
}

static const int64_t dims[] = {1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 65, 127, 128, 129,
			       300};

/* _i is the mode and the policy. */
START_TEST(every_mode_and_policy_is_right_for_every_width_and_bag)
{
	static const int64_t hots[] = {0, 1, 2, 3, 7, 8, 9, 31, 32, 33, 100, 130};

	for (size_t dim = 0; dim < COUNT(dims); dim++)
		for (size_t hot = 0; hot < COUNT(hots); hot++)
			for (int variant = 0; variant < 4; variant++) {
				struct embed_table *table;

				if (hots[hot] * dims[dim] > 20000)
					continue;
				args_begin(variant == 3 ? 1 : 5);
				table = table_add((enum embed)(_i % 4), dims[dim], hots[hot]);
				table->missing = (enum missing)(_i / 4);
				if (variant & 1)
					use_i32(table);
				if ((variant & 2) && table->mode != EMBED_COPY)
					table->weights = weights;
				table->padding_idx = variant == 1 ? 7 : -1;
				run_embed();
			}
}
END_TEST

/* _i is the mode. */
START_TEST(jagged_bags_are_right_with_and_without_the_last_offset)
{
	static const int64_t rows[] = {1, 2, 31, 32, 33, 70};
	static const int64_t counts[] = {0, 1, 2, 65, 300, 3000};

	for (size_t row = 0; row < COUNT(rows); row++)
		for (size_t count = 0; count < COUNT(counts); count++)
			for (int variant = 0; variant < 8; variant++) {
				struct embed_table *table;

				args_begin(rows[row]);
				table = table_add((enum embed)_i, 5 + 3 * variant, 0);
				use_offsets(table, counts[count], variant & 1);
				table->missing = (enum missing)(variant % 4);
				if (variant & 2)
					use_i32(table);
				if (variant & 4)
					table->weights = weights;
				table->ids_stride = 1 + (variant & 1);
				table->padding_idx = variant == 5 ? 3 : -1;
				run_embed();
			}
}
END_TEST

START_TEST(tables_of_all_kinds_write_beside_each_other)
{
	static const int64_t rows[] = {0, 1, 2, 15, 16, 17, 70};

	for (size_t row = 0; row < COUNT(rows); row++) {
		args_begin(rows[row]);
		while (args->table_count < TABLES_MAX) {
			int64_t index = args->table_count;
			struct embed_table *table =
				table_add((enum embed)(index % 4), dims[index % 19], 1 + index % 3);

			table->missing = (enum missing)(index / 4 % 4);
			if (index % 5 == 0)
				use_i32(table);
			if (index == 17)
				use_offsets(table, 200, true);
			if (index % 7 == 3 && table->mode != EMBED_COPY)
				table->weights = weights;
		}
		run_embed();
	}
}
END_TEST

/* One column of [batch, 26], and the same ids where the batch is the second axis. */
START_TEST(columns_and_transposed_ids_are_read_in_place)
{
	args_begin(33);
	for (int64_t column = 0; column < 26; column++) {
		struct embed_table *table = table_add(EMBED_COPY, 16, 1);

		table->ids = ids64 + column;
		table->ids_row_stride = 26;
	}
	run_embed();
	args_begin(33);
	for (int64_t column = 0; column < 26; column++) {
		struct embed_table *table = table_add(EMBED_SUM, 16, 3);

		table->ids = ids32 + column * 3 * 33;
		table->ids_dtype = DTYPE_I32;
		table->ids_row_stride = 1;
		table->ids_stride = 33;
	}
	run_embed();
}
END_TEST

/* Bags of one width and of sizes of their own, evenly apart or not, behind tables that copy: the
 * rows of one table are found while those of another are added up. _i is the width. */
START_TEST(fixed_bags_of_many_tables_are_right_together)
{
	static const int64_t widths[] = {4, 8, 16, 32, 64, 128};
	static const int64_t rows[] = {0, 1, 2, 17, ROWS_MAX};
	static const int64_t hots[] = {1, 2, 27, 3, 128, 1, 100};

	for (size_t row = 0; row < COUNT(rows); row++)
		for (int part = 0; part < 2; part++) {
			args_begin(rows[row]);
			while (args->table_count < 16) {
				int64_t index = args->table_count;
				bool copies = index < 2;
				struct embed_table *table = table_add(
					copies ? EMBED_COPY : index % 4 ? EMBED_SUM : EMBED_MEAN,
					widths[_i], copies ? 1 : hots[index % 7]);

				table->missing = (enum missing)(index % 4);
				if (index % 3 == 2) {
					table->ids_row_stride = 1;
					table->ids_stride = ROWS_MAX;
				}
				if (index >= 11)
					use_i32(table);
			}
			args->first_row = part ? rows[row] / 3 : 0;
			args->end_row = part ? rows[row] - rows[row] / 4 : rows[row];
			run_embed();
		}
}
END_TEST

/* Some bags in any order and some outside. */
static void offsets_spoil(int64_t offsets[ROWS_MAX + 1], int64_t count)
{
	static const int64_t lies[] = {-1, INT64_MIN, INT64_MAX, 0};

	for (int64_t row = 0; row <= args->rows; row++) {
		uint64_t choice = random_u64() % 12;

		if (choice < COUNT(lies))
			offsets[row] = lies[choice];
		else if (choice < 6)
			offsets[row] = (int64_t)(random_u64() % (uint64_t)(count + 2));
	}
}

/* The same with offsets among them, some of which lie; bags of none, of a few and of many. _i is the
 * width. */
START_TEST(jagged_bags_of_many_tables_are_right_together)
{
	static const int64_t widths[] = {4, 8, 16, 32, 64, 128};
	static const int64_t rows[] = {1, 2, 17, ROWS_MAX};
	static const int64_t counts[] = {0, 1, 20, 70, 3000};
	static int64_t offsets[16][ROWS_MAX + 1];

	for (size_t row = 0; row < COUNT(rows); row++)
		for (int part = 0; part < 4; part++) {
			args_begin(rows[row]);
			while (args->table_count < 16) {
				int64_t index = args->table_count;
				struct embed_table *table = table_add(
					index % 4 ? EMBED_SUM : EMBED_MEAN, widths[_i], 3);

				table->missing = (enum missing)(index % 4);
				if (index % 3 == 0)
					continue;
				table->hot = 0;
				table->ids_stride = 1 + index % 2;
				use_offsets(table, counts[index % 5], index % 2);
				if (part & 1)
					offsets_spoil(offsets64, counts[index % 5]);
				memcpy(offsets[index], offsets64, sizeof(offsets64));
				table->offsets = offsets[index];
				if (index >= 11) {
					table->ids = ids32;
					table->ids_dtype = DTYPE_I32;
				}
			}
			args->first_row = part & 2 ? rows[row] / 3 : 0;
			args->end_row = part & 2 ? rows[row] - rows[row] / 4 : rows[row];
			run_embed();
		}
}
END_TEST

/* A sanitizer sees what reads beyond the ids that there are. */
START_TEST(fixed_bags_read_no_id_that_is_not_theirs)
{
	for (int64_t hot = 1; hot < HOT_MAX; hot += 1 + hot / 3)
		for (int64_t rows = 1; rows <= 5; rows += 2) {
			int64_t *ids = malloc((size_t)(rows * hot) * sizeof(*ids));

			memcpy(ids, ids64, (size_t)(rows * hot) * sizeof(*ids));
			args_begin(rows);
			table_add(EMBED_SUM, 16, hot)->ids = ids;
			table_add(EMBED_SUM, 16, hot)->ids = ids;
			run_embed();
			free(ids);
		}
}
END_TEST

START_TEST(a_part_of_the_rows_is_computed_as_all_are)
{
	static const int64_t parts[][2] = {{0, 0}, {0, 1}, {3, 20}, {19, 33}, {32, 33}};

	for (size_t part = 0; part < COUNT(parts); part++) {
		args_begin(33);
		table_add(EMBED_SUM, 16, 3)->missing = MISSING_ZERO;
		use_offsets(table_add(EMBED_MEAN, 9, 0), 150, false);
		table_add(EMBED_COPY, 8, 2);
		args->first_row = parts[part][0];
		args->end_row = parts[part][1];
		run_embed();
	}
}
END_TEST

/* _i is the policy. */
START_TEST(huge_ids_never_leave_the_table)
{
	static const int64_t huge[] = {
		INT64_MAX, INT64_MIN, INT64_MAX - 1, INT64_MIN + 1, 1ll << 32, -(1ll << 32),
		(1ll << 62) + 3, (1ll << 32) + 1, AXIS, -AXIS, -AXIS - 1, -1,
	};

	for (int mode = EMBED_COPY; mode <= EMBED_MAX; mode++) {
		struct embed_table *table;

		args_begin(COUNT(huge));
		table = table_add((enum embed)mode, 16, 1);
		table->ids = huge;
		table->missing = (enum missing)_i;
		run_embed();
	}
}
END_TEST

/* The ids have exactly as many bytes as ids_count says: a sanitizer sees what reads beyond. */
START_TEST(lying_offsets_read_nothing_and_blame_their_row)
{
	static const int64_t lies[][5] = {
		{0, 4, 2, 6, 8},  {0, -1, 2, 6, 8}, {0, 9, 2, 6, 8}, {INT64_MIN, 2, 4, 6, 8},
		{0, 2, 4, 6, 9},  {8, 8, 8, 8, 8},  {9, 9, 9, 9, 9}, {-8, 2, INT64_MAX, 6, 8},
		{2, 2, 4, 6, -1}, {0, 2, 4, 6, 7},  {0, 1ll << 32, (1ll << 32) + 2, 6, 8},
	};
	int64_t *ids = malloc(8 * sizeof(*ids));
	int64_t *offsets = malloc(5 * sizeof(*offsets));

	for (int64_t id = 0; id < 8; id++)
		ids[id] = id;
	for (size_t lie = 0; lie < COUNT(lies); lie++)
		for (uint32_t variant = 0; variant < 3; variant++) {
			const bool beyond = variant > 0;
			struct embed_table *table;

			memcpy(offsets, lies[lie], 5 * sizeof(*offsets));
			args_begin(4 + !beyond);
			table = table_add(EMBED_SUM, 16, 0);
			table->ids = ids;
			table->ids_count = 8;
			table->offsets = offsets;
			table->offsets_count = args->rows + beyond;
			table->offsets_whole = variant == 2;
			run_embed();
		}
	free(ids);
	free(offsets);
}
END_TEST

START_TEST(a_status_belongs_to_its_row_and_names_the_table)
{
	static const int64_t ids[] = {1, AXIS, 3, AXIS};
	const struct device *device = cpu_device();
	struct row_status status[2] = {{0, 0}, {0, 0}};
	struct row_status one = {0, 0};
	float y[2 * 2 * 4];

	args_begin(2);
	for (int64_t column = 0; column < 2; column++) {
		struct embed_table *table = table_add(EMBED_SUM, 4, 1);

		table->ids = ids + column;
		table->ids_row_stride = 2;
		table->missing = column ? MISSING_ERROR : MISSING_ROW;
		table->y = y + column * 4;
		table->y_row_stride = 8;
	}
	args->status = status;
	device->kernels[KERNEL_EMBED](args);
	ck_assert_uint_eq(status[0].error, 11);
	ck_assert_uint_eq(status[1].error, 11);
	ck_assert_uint_eq(status[0].substituted + status[1].substituted, 0);
	args->tables[1].missing = MISSING_ROW;
	args->status_stride = 0;
	args->status = &one;
	device->kernels[KERNEL_EMBED](args);
	ck_assert_uint_eq(one.error, 0);
	ck_assert_uint_eq(one.substituted, 2);
}
END_TEST

/* What KERNEL_GATHER and then KERNEL_REDUCE compute, bit for bit. */
START_TEST(sums_and_means_have_the_bits_of_a_gather_and_a_reduction)
{
	const struct device *device = cpu_device();
	float *y = malloc(ROWS_MAX * DIM_MAX * sizeof(float));
	float *rows = malloc((size_t)ROWS_MAX * HOT_MAX * DIM_MAX * sizeof(float));
	float *expected = malloc(ROWS_MAX * DIM_MAX * sizeof(float));

	for (size_t dim = 1; dim < COUNT(dims); dim++)
		for (int64_t hot = 1; hot < HOT_MAX; hot += 1 + hot / 2)
			for (int mode = EMBED_SUM; mode <= EMBED_MEAN; mode++) {
				struct gather_args gather = {
					.data = data, .ids = ids64, .y = rows, .outer = 1,
					.axis = AXIS, .inner = dims[dim], .count = 9 * hot,
					.ids_stride = 1, .ids_per_row = hot, .element_bytes = 4,
					.ids_dtype = DTYPE_I64, .missing = MISSING_ZERO,
				};
				struct reduce_args reduce = {
					.x = rows, .y = expected, .kept = {9, dims[dim]},
					.kept_strides = {hot * dims[dim], 1}, .reduced = {hot},
					.reduced_strides = {dims[dim]}, .kept_rank = 2,
					.reduced_rank = 1, .dtype = DTYPE_F32,
					.op = mode == EMBED_MEAN ? REDUCE_MEAN : REDUCE_SUM,
				};

				args_begin(9);
				table_add((enum embed)mode, dims[dim], hot)->missing = MISSING_ZERO;
				args->tables[0].y = y;
				args->tables[0].y_row_stride = dims[dim];
				device->kernels[KERNEL_EMBED](args);
				device->kernels[KERNEL_GATHER](&gather);
				device->kernels[KERNEL_REDUCE](&reduce);
				expect(memcmp(y, expected, (size_t)(9 * dims[dim]) * 4) == 0);
			}
	free(y);
	free(rows);
	free(expected);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("embed");
	TCase *tcase = tcase_create("embed");

	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, every_mode_and_policy_is_right_for_every_width_and_bag, 0, 16);
	tcase_add_loop_test(tcase, jagged_bags_are_right_with_and_without_the_last_offset,
			    EMBED_SUM, EMBED_MAX + 1);
	tcase_add_test(tcase, tables_of_all_kinds_write_beside_each_other);
	tcase_add_test(tcase, columns_and_transposed_ids_are_read_in_place);
	tcase_add_loop_test(tcase, fixed_bags_of_many_tables_are_right_together, 0, 6);
	tcase_add_loop_test(tcase, jagged_bags_of_many_tables_are_right_together, 0, 6);
	tcase_add_test(tcase, fixed_bags_read_no_id_that_is_not_theirs);
	tcase_add_test(tcase, a_part_of_the_rows_is_computed_as_all_are);
	tcase_add_loop_test(tcase, huge_ids_never_leave_the_table, MISSING_WRAP, MISSING_ROW + 1);
	tcase_add_test(tcase, lying_offsets_read_nothing_and_blame_their_row);
	tcase_add_test(tcase, a_status_belongs_to_its_row_and_names_the_table);
	tcase_add_test(tcase, sums_and_means_have_the_bits_of_a_gather_and_a_reduction);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
