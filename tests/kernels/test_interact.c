/* SPDX-License-Identifier: MIT */
/* tests/kernels/test_interact.c - every choice of pairs gives the bits of one plain loop */
#include <stdlib.h>
#include <string.h>

#include "kernels/interact.h"
#include "kernels/ref/ref.h"
#include "tests/kernels/kernel_test.h"
#include "tests/suite.h"

#define COUNT(sweep) (sizeof(sweep) / sizeof((sweep)[0]))
#define ROWS 3
#define RUNS_MAX 4096

static struct interact_run runs[RUNS_MAX];

static int64_t put_run(struct interact_args *args, int64_t left, int64_t right, int64_t count,
		       int64_t at)
{
	if (count <= 0)
		return at;
	runs[args->run_count++] = (struct interact_run){ (int32_t)left, (int32_t)right,
							  (int32_t)count, (int32_t)at };
	return at + count;
}

enum pairs {
	PAIRS_LOWER,
	PAIRS_LOWER_DIAGONAL,
	PAIRS_UPPER,
	PAIRS_SQUARE,
	PAIRS_LAST,   /* of the last vector with itself alone */
	PAIRS_RANDOM, /* any, in any order, some twice */
	PAIRS_COUNT,
};

/* How many pairs there are. */
static int64_t put_runs(struct interact_args *args, enum pairs pairs)
{
	int64_t last = args->vectors - 1;
	int64_t at = 0;

	args->runs = runs;
	args->run_count = 0;
	for (int64_t left = 0; left < args->vectors; left++) {
		if (pairs == PAIRS_LOWER)
			at = put_run(args, left, 0, left, at);
		if (pairs == PAIRS_LOWER_DIAGONAL)
			at = put_run(args, left, 0, left + 1, at);
		if (pairs == PAIRS_UPPER)
			at = put_run(args, left, left + 1, last - left, at);
		if (pairs == PAIRS_SQUARE)
			at = put_run(args, left, 0, args->vectors, at);
	}
	if (pairs == PAIRS_LAST)
		at = put_run(args, last, last, 1, at);
	for (int run = 0; pairs == PAIRS_RANDOM && run < 20; run++) {
		int64_t right = (int64_t)(random_u64() % (uint64_t)args->vectors);
		int64_t count = 1 + (int64_t)(random_u64() % (uint64_t)(args->vectors - right));

		at = put_run(args, (int64_t)(random_u64() % (uint64_t)args->vectors), right, count,
			     at);
	}
	return at;
}

static float plain_sum(const struct interact_args *args, enum numerics numerics, int64_t row,
		       int64_t left, int64_t right)
{
	const float *x = args->x + row * args->x_stride;
	float sum = 0.0f;

	for (int64_t k = 0; k < args->depth; k++)
		sum = multiply_add(numerics, x[left * args->depth + k],
				   x[right * args->depth + k], sum);
	return sum;
}

static void check_device(const struct interact_args *args, const struct device *device,
			 const double *expected, const double *magnitude)
{
	for (int64_t row = 0; row < args->rows; row++)
		for (int64_t run = 0; run < args->run_count; run++)
			for (int64_t index = 0; index < runs[run].count; index++) {
				int64_t at = row * args->y_stride + runs[run].at + index;

				expect_msg(fabs(args->y[at] - expected[at]) <=
						   (double)args->depth * 0x1p-24 * magnitude[at],
					   "%s: %ld vectors of %ld", device->name,
					   (long)args->vectors, (long)args->depth);
				expect(same_f32(args->y[at],
						plain_sum(args, device->numerics, row,
							  runs[run].left,
							  runs[run].right + index)));
			}
}

/* Pairs of each row are followed by `gap` elements, which must stay. */
static void run_interact(struct interact_args *args, enum pairs pairs, int64_t gap)
{
	int64_t count = put_runs(args, pairs);
	size_t elements = (size_t)(ROWS * (count + gap));
	double *expected = calloc(elements + 1, sizeof(double));
	double *magnitude = calloc(elements + 1, sizeof(double));
	struct kernel_outputs outputs;

	args->rows = ROWS;
	args->y_stride = count + gap;
	ref_interact(args, expected, magnitude);
	kernel_outputs_init(&outputs, elements * sizeof(float));
	for (int device = 0; device < outputs.count; device++) {
		args->y = outputs.y[device];
		outputs.devices[device]->kernels[KERNEL_INTERACT](args);
		check_device(args, outputs.devices[device], expected, magnitude);
		for (int64_t row = 0; row < ROWS; row++)
			for (int64_t column = count; column < args->y_stride; column++) {
				float left = args->y[row * args->y_stride + column], filler;

				memset(&filler, KERNEL_FILLER, sizeof(filler));
				expect(same_f32(left, filler));
			}
	}
	kernel_outputs_check(&outputs);
	kernel_outputs_deinit(&outputs);
	free(expected);
	free(magnitude);
}

/* Rows of `beyond` elements more than the vectors have, in exactly their bytes. */
static float *put_x(struct interact_args *args, int64_t vectors, int64_t depth, int64_t beyond)
{
	int64_t stride = vectors * depth + beyond;
	int64_t count = (ROWS - 1) * stride + vectors * depth;
	float *x = malloc((size_t)(count + (count == 0)) * sizeof(float));

	random_fill(x, count);
	*args = (struct interact_args){
		.x = x, .vectors = vectors, .depth = depth, .x_stride = stride };
	return x;
}

START_TEST(sizes_around_every_tile_and_panel_are_right)
{
	const int64_t vectors[] = { 1, 2, 9, 12, 13, 15, 16, 17, 27, 31, 32, 33, 49 };
	const int64_t depths[] = { 0, 1, 7, 8, 15, 16, 17, 127, 128, 129, 300 };

	random_begin(21);
	for (size_t v = 0; v < COUNT(vectors); v++)
		for (size_t d = 0; d < COUNT(depths); d++) {
			struct interact_args args;
			float *x = put_x(&args, vectors[v], depths[d], d % 2 ? 3 : 0);

			for (int pairs = 0; pairs < PAIRS_COUNT; pairs++)
				run_interact(&args, (enum pairs)pairs, (int64_t)(v % 3));
			free(x);
		}
}
END_TEST

START_TEST(the_most_vectors_are_right)
{
	struct interact_args args;
	float *x = put_x(&args, INTERACT_VECTORS_MAX, 5, 1);

	random_begin(22);
	for (int pairs = 0; pairs < PAIRS_COUNT; pairs++)
		run_interact(&args, (enum pairs)pairs, 2);
	free(x);
}
END_TEST

START_TEST(the_head_goes_before_or_behind_the_pairs)
{
	random_begin(23);
	for (int behind = 0; behind < 2; behind++)
		for (int64_t depth = 1; depth < 40; depth += 5) {
			struct kernel_outputs outputs;
			struct interact_args args;
			float *x = put_x(&args, 9, depth, 0);
			int64_t pairs = put_runs(&args, PAIRS_LOWER);

			args.rows = ROWS;
			args.head_from = 2 * depth;
			args.head_count = depth;
			args.y_stride = pairs + depth;
			kernel_outputs_init(&outputs,
					    (size_t)(ROWS * args.y_stride) * sizeof(float));
			for (int device = 0; device < outputs.count; device++) {
				float *y = outputs.y[device];

				args.y = y + (behind ? 0 : depth);
				args.head = y + (behind ? pairs : 0);
				outputs.devices[device]->kernels[KERNEL_INTERACT](&args);
				for (int64_t row = 0; row < ROWS; row++)
					expect(same_run(args.head + row * args.y_stride,
							x + row * args.x_stride + 2 * depth,
							depth));
				expect(same_f32(args.y[2 * args.y_stride],
						plain_sum(&args,
							  outputs.devices[device]->numerics, 2, 1,
							  0)));
			}
			kernel_outputs_check(&outputs);
			kernel_outputs_deinit(&outputs);
			free(x);
		}
}
END_TEST

START_TEST(a_part_of_the_rows_has_the_same_bits)
{
	struct kernel_outputs outputs;
	struct interact_args args;
	float *x = put_x(&args, 27, 16, 0);
	float alone[351 + 16];

	random_begin(24);
	put_runs(&args, PAIRS_LOWER);
	args.rows = ROWS;
	args.head_count = 16;
	args.y_stride = 351 + 16;
	kernel_outputs_init(&outputs, sizeof(alone) * ROWS);
	for (int device = 0; device < outputs.count; device++) {
		float *y = outputs.y[device];

		args.head = y;
		args.y = y + 16;
		outputs.devices[device]->kernels[KERNEL_INTERACT](&args);
		for (int64_t row = 0; row < ROWS; row++) {
			struct interact_args part = interact_rows(&args, row, 1);

			part.head = alone;
			part.y = alone + 16;
			outputs.devices[device]->kernels[KERNEL_INTERACT](&part);
			expect(same_run(alone, y + row * args.y_stride, args.y_stride));
		}
		args.rows = 0;
		outputs.devices[device]->kernels[KERNEL_INTERACT](&args);
		args.rows = ROWS;
	}
	kernel_outputs_check(&outputs);
	kernel_outputs_deinit(&outputs);
	free(x);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("interact");
	TCase *tcase = tcase_create("interact");

	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, sizes_around_every_tile_and_panel_are_right);
	tcase_add_test(tcase, the_most_vectors_are_right);
	tcase_add_test(tcase, the_head_goes_before_or_behind_the_pairs);
	tcase_add_test(tcase, a_part_of_the_rows_has_the_same_bits);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
