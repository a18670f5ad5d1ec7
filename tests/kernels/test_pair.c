/* SPDX-License-Identifier: MIT */
/* tests/kernels/test_pair.c - a layer over a query and each of its keys */
#include <stdlib.h>
#include <string.h>

#include "kernels/gemm.h"
#include "kernels/pair.h"
#include "kernels/ref/ref.h"
#include "tests/kernels/kernel_test.h"
#include "tests/suite.h"

#define ROWS_MAX 5
#define KEYS_MAX 30
#define K_MAX 70
#define N_MAX 100
#define GAP 3 /* floats between two vectors */
#define COUNT(sweep) (sizeof(sweep) / sizeof((sweep)[0]))

static float keys[ROWS_MAX * KEYS_MAX * (K_MAX + GAP)];
static float query[ROWS_MAX * (K_MAX + GAP)];
static float offset[ROWS_MAX * N_MAX];
static float weight[K_MAX * N_MAX], product[K_MAX * N_MAX];
static float *packed_weight, *packed_product, *scratch;

static void setup(void)
{
	const size_t bytes = gemm_packed_bytes(K_MAX, N_MAX);

	random_begin(31);
	random_fill(keys, ROWS_MAX * KEYS_MAX * (K_MAX + GAP));
	random_fill(query, ROWS_MAX * (K_MAX + GAP));
	random_fill(offset, ROWS_MAX * N_MAX);
	random_fill(weight, K_MAX * N_MAX);
	random_fill(product, K_MAX * N_MAX);
	packed_weight = aligned_alloc(64, bytes);
	packed_product = aligned_alloc(64, bytes);
	scratch = aligned_alloc(64, bytes);
}

static void teardown(void)
{
	free(packed_weight);
	free(packed_product);
	free(scratch);
}

/* y rows of n without gaps; the caller gives y. */
static struct pair_args args_of(int64_t rows, int64_t count, int64_t k, int64_t n)
{
	gemm_pack(packed_weight, weight, k, n, n, 1);
	gemm_pack(packed_product, product, k, n, n, 1);
	return (struct pair_args){
		.keys = keys,
		.query = query,
		.offset = offset,
		.weight = packed_weight,
		.product = packed_product,
		.scratch = scratch,
		.rows = rows,
		.count = count,
		.k = k,
		.n = n,
		.keys_stride = k + GAP,
		.query_stride = k + GAP,
		.y_stride = n,
	};
}

static void run_pair(struct pair_args *args)
{
	const int64_t vectors = args->rows * args->count;
	const size_t count = (size_t)(vectors * args->n);
	double *expected = malloc((count + 1) * sizeof(double));
	double *magnitude = malloc((count + 1) * sizeof(double));
	struct kernel_outputs outputs;

	ref_pair(args, weight, product, expected, magnitude);
	kernel_outputs_init(&outputs, (size_t)(vectors * args->y_stride) * sizeof(float));
	for (int device = 0; device < outputs.count; device++) {
		args->y = outputs.y[device];
		outputs.devices[device]->kernels[KERNEL_PAIR](args);
		for (int64_t vector = 0; vector < vectors; vector++)
			for (int64_t column = 0; column < args->n; column++) {
				const int64_t index = vector * args->n + column;
				const double y = (double)args->y[vector * args->y_stride + column];
				const double bound = (double)(args->k + 4) * 0x1p-24 *
							     magnitude[index] + 1e-6;

				expect_msg(fabs(y - expected[index]) <= bound,
					   "%s k %ld n %ld: vector %ld, column %ld is %g, not %g",
					   outputs.devices[device]->name, (long)args->k,
					   (long)args->n, (long)vector, (long)column, y,
					   expected[index]);
			}
	}
	kernel_outputs_check(&outputs);
	kernel_outputs_deinit(&outputs);
	free(expected);
	free(magnitude);
}

START_TEST(every_shape_agrees_with_the_oracle)
{
	static const int64_t counts[] = {0, 1, 2, 11, 12, 13, 16, KEYS_MAX};
	static const int64_t ks[] = {1, 7, 16, K_MAX};
	static const int64_t ns[] = {1, 4, 5, 15, 16, 17, 33, N_MAX};

	for (int64_t rows = 0; rows <= ROWS_MAX; rows += 1 + (rows > 1))
		for (size_t count = 0; count < COUNT(counts); count++)
			for (size_t k = 0; k < COUNT(ks); k++)
				for (size_t n = 0; n < COUNT(ns); n++) {
					struct pair_args args =
						args_of(rows, counts[count], ks[k], ns[n]);

					args.y_stride += (int64_t)(n % 2) * GAP;
					run_pair(&args);
				}
}
END_TEST

/* _i is the activation. */
START_TEST(an_activation_is_applied_to_the_result)
{
	struct pair_args args = args_of(2, 13, 20, 21);

	args.activation = (enum activation)_i;
	args.low = 0.2f;
	args.high = 0.7f;
	run_pair(&args);
}
END_TEST

/* Alone, in any batch, and whatever other keys its row has. */
START_TEST(a_key_has_the_same_bits_whatever_lies_beside_it)
{
	static const char *const names[] = {"baseline", "v3", "v4"};
	static float all[ROWS_MAX * KEYS_MAX * N_MAX], part[KEYS_MAX * N_MAX];
	const int64_t k = 33, n = 37;

	for (size_t name = 0; name < COUNT(names); name++) {
		const struct device *device = cpu_device_by_name(names[name]);
		struct pair_args args = args_of(ROWS_MAX, KEYS_MAX, k, n);

		if (device == NULL)
			continue;
		args.y = all;
		device->kernels[KERNEL_PAIR](&args);
		args.y = part;
		args.rows = 1;
		for (int64_t row = 0; row < ROWS_MAX; row++)
			for (int64_t key = 0; key < KEYS_MAX; key++) {
				args.query = query + row * args.query_stride;
				args.offset = offset + row * n;
				args.keys = keys + (row * KEYS_MAX + key) * args.keys_stride;
				args.count = 1 + (row + key) % (KEYS_MAX - key);
				device->kernels[KERNEL_PAIR](&args);
				expect(same_run(part, all + (row * KEYS_MAX + key) * n,
						args.count * n));
			}
	}
}
END_TEST

START_TEST(nan_of_a_query_spoils_its_row_alone)
{
	static float y[3 * 4 * 20];
	struct pair_args args = args_of(3, 4, 9, 20);
	float spoilt[3 * 9];

	for (int row = 0; row < 3; row++)
		memcpy(spoilt + row * 9, query + row * args.query_stride, 9 * sizeof(float));
	spoilt[9 + 4] = NAN;
	args.query = spoilt;
	args.query_stride = 9;
	args.y = y;
	cpu_device()->kernels[KERNEL_PAIR](&args);
	for (int index = 0; index < 3 * 4 * 20; index++)
		expect(isnan(y[index]) == (index / (4 * 20) == 1));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pair");
	TCase *tcase = tcase_create("pair");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, every_shape_agrees_with_the_oracle);
	tcase_add_loop_test(tcase, an_activation_is_applied_to_the_result, 0, ACTIVATION_COUNT);
	tcase_add_test(tcase, a_key_has_the_same_bits_whatever_lies_beside_it);
	tcase_add_test(tcase, nan_of_a_query_spoils_its_row_alone);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
