/* SPDX-License-Identifier: MIT */
/* tests/kernels/test_matmul.c - every layout of a and b gives the bits of one plain loop */
#include <stdlib.h>

#include "kernels/matmul.h"
#include "kernels/ref/ref.h"
#include "tests/kernels/kernel_test.h"
#include "tests/suite.h"

#define INPUT_FLOATS 200000
#define COUNT(sweep) (sizeof(sweep) / sizeof((sweep)[0]))

static float *a_values;
static float *b_values;

static int64_t output_count(const struct matmul_args *args)
{
	return args->batch[0] * args->batch[1] * args->batch[2] * args->m * args->n;
}

static float plain_sum(const struct matmul_args *args, enum numerics numerics, int64_t index)
{
	int64_t column = index % args->n;
	int64_t row = index / args->n % args->m;
	int64_t matrix = index / args->n / args->m;
	int64_t inner = matrix % args->batch[2];
	int64_t middle = matrix / args->batch[2] % args->batch[1];
	int64_t outer = matrix / args->batch[2] / args->batch[1];
	const float *a = args->a + outer * args->a_batch[0] + middle * args->a_batch[1] +
			 inner * args->a_batch[2] + row * args->a_row;
	const float *b = args->b + outer * args->b_batch[0] + middle * args->b_batch[1] +
			 inner * args->b_batch[2] + column * args->b_column;
	float sum = 0.0f;

	for (int64_t k = 0; k < args->k; k++)
		sum = multiply_add(numerics, a[k * args->a_column], b[k * args->b_row], sum);
	return sum;
}

static void run_matmul(struct matmul_args *args)
{
	int64_t count = output_count(args);
	double *expected = malloc((size_t)(count + 1) * sizeof(double));
	double *magnitude = malloc((size_t)(count + 1) * sizeof(double));
	struct kernel_outputs outputs;

	ref_matmul(args, expected, magnitude);
	kernel_outputs_init(&outputs, (size_t)count * sizeof(float));
	for (int device = 0; device < outputs.count; device++) {
		const float *y = args->y = outputs.y[device];

		outputs.devices[device]->kernels[KERNEL_MATMUL](args);
		for (int64_t index = 0; index < count; index++) {
			expect_msg(fabs(y[index] - expected[index]) <=
					      (double)args->k * 0x1p-24 * magnitude[index],
				      "%s m %ld k %ld n %ld: element %ld",
				      outputs.devices[device]->name, (long)args->m, (long)args->k,
				      (long)args->n, (long)index);
			expect(same_f32(y[index],
					   plain_sum(args, outputs.devices[device]->numerics,
						     index)));
		}
	}
	kernel_outputs_check(&outputs);
	kernel_outputs_deinit(&outputs);
	free(expected);
	free(magnitude);
}

static void setup(void)
{
	random_begin(11);
	a_values = malloc(INPUT_FLOATS * sizeof(float));
	b_values = malloc(INPUT_FLOATS * sizeof(float));
	random_fill(a_values, INPUT_FLOATS);
	random_fill(b_values, INPUT_FLOATS);
}

static void teardown(void)
{
	free(a_values);
	free(b_values);
}

/* a is [batch, m, k] row-major, b [batch, k, n] row-major or [batch, n, k] transposed. */
static struct matmul_args plain_args(int64_t batch, int64_t m, int64_t k, int64_t n,
				     bool transposed)
{
	return (struct matmul_args){
		.a = a_values,
		.b = b_values,
		.batch = { 1, 1, batch },
		.a_batch = { 0, 0, m * k },
		.b_batch = { 0, 0, k * n },
		.m = m,
		.k = k,
		.n = n,
		.a_row = k,
		.a_column = 1,
		.b_row = transposed ? 1 : n,
		.b_column = transposed ? k : 1,
	};
}

START_TEST(sizes_around_every_tile_are_right)
{
	const int64_t m_sweep[] = { 1, 2, 6, 7, 9, 12, 13 };
	const int64_t k_sweep[] = { 1, 4, 7, 16, 17 };
	const int64_t n_sweep[] = { 1, 2, 9, 15, 16, 17, 32, 33, 65 };

	for (size_t m = 0; m < COUNT(m_sweep); m++)
		for (size_t k = 0; k < COUNT(k_sweep); k++)
			for (size_t n = 0; n < COUNT(n_sweep); n++)
				for (int transposed = 0; transposed < 2; transposed++) {
					struct matmul_args args = plain_args(
						3, m_sweep[m], k_sweep[k], n_sweep[n], transposed);

					run_matmul(&args);
				}
}
END_TEST

START_TEST(sums_over_several_blocks_of_k_continue_in_order)
{
	const int64_t k_sweep[] = { 255, 256, 257, 600 };

	for (size_t k = 0; k < COUNT(k_sweep); k++)
		for (int transposed = 0; transposed < 2; transposed++) {
			struct matmul_args args = plain_args(2, 13, k_sweep[k], 37, transposed);

			run_matmul(&args);
		}
}
END_TEST

START_TEST(a_matrix_times_its_own_transpose_is_right)
{
	struct matmul_args args = plain_args(64, 9, 16, 9, true);

	args.b = args.a;
	run_matmul(&args);
}
END_TEST

START_TEST(shared_and_broadcast_batches_are_right)
{
	struct matmul_args args = plain_args(6, 5, 8, 11, false);

	args.b_batch[2] = 0;
	run_matmul(&args);
	args.a_batch[2] = 0;
	run_matmul(&args);
	args = plain_args(6, 1, 8, 11, false);
	args.b_batch[2] = 0;
	run_matmul(&args);
	args = plain_args(4, 5, 8, 11, true);
	args.batch[0] = 3;
	args.batch[1] = 2;
	args.a_batch[0] = 2 * 4 * 5 * 8;
	args.a_batch[1] = 0;
	args.b_batch[0] = 0;
	args.b_batch[1] = 4 * 8 * 11;
	run_matmul(&args);
	args.b_batch[1] = 0;
	args.b_batch[2] = 0;
	run_matmul(&args);
}
END_TEST

START_TEST(any_strides_are_right)
{
	struct matmul_args args = plain_args(3, 10, 12, 14, false);

	args.a_row = 1;
	args.a_column = 10;
	run_matmul(&args);
	args.a_row = 50;
	args.a_column = 3;
	args.b_row = 70;
	args.b_column = 2;
	args.a_batch[2] = 1000;
	args.b_batch[2] = 2000;
	run_matmul(&args);
	args.n = 1;
	run_matmul(&args);
	args.b_row = 0;
	args.b_column = 0;
	run_matmul(&args);
}
END_TEST

START_TEST(sums_over_no_k_are_zero_and_no_rows_write_nothing)
{
	struct matmul_args args = plain_args(2, 3, 0, 20, false);

	run_matmul(&args);
	args = plain_args(2, 0, 4, 20, false);
	run_matmul(&args);
	args = plain_args(0, 4, 4, 20, false);
	run_matmul(&args);
}
END_TEST

START_TEST(a_matrix_has_the_same_bits_alone_and_in_any_batch)
{
	struct kernel_outputs outputs;

	kernel_outputs_init(&outputs, 20 * 9 * 9 * sizeof(float));
	for (int device = 0; device < outputs.count; device++) {
		struct matmul_args args = plain_args(20, 9, 16, 9, true);
		float alone[9 * 9];

		args.y = outputs.y[device];
		outputs.devices[device]->kernels[KERNEL_MATMUL](&args);
		for (int matrix = 0; matrix < 20; matrix++) {
			args = plain_args(1, 9, 16, 9, true);
			args.a += matrix * 9 * 16;
			args.b += matrix * 9 * 16;
			args.y = alone;
			outputs.devices[device]->kernels[KERNEL_MATMUL](&args);
			expect(same_run(alone, (float *)outputs.y[device] + matrix * 81, 81));
		}
	}
	kernel_outputs_check(&outputs);
	kernel_outputs_deinit(&outputs);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("matmul");
	TCase *tcase = tcase_create("matmul");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, sizes_around_every_tile_are_right);
	tcase_add_test(tcase, sums_over_several_blocks_of_k_continue_in_order);
	tcase_add_test(tcase, a_matrix_times_its_own_transpose_is_right);
	tcase_add_test(tcase, shared_and_broadcast_batches_are_right);
	tcase_add_test(tcase, any_strides_are_right);
	tcase_add_test(tcase, sums_over_no_k_are_zero_and_no_rows_write_nothing);
	tcase_add_test(tcase, a_matrix_has_the_same_bits_alone_and_in_any_batch);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
