/* SPDX-License-Identifier: MIT */
/* tests/kernels/test_gemm.c - every tile shape gives the bits of one plain loop */
#include <stdlib.h>
#include <string.h>

#include "kernels/binary.h"
#include "kernels/cpu/exponential.h"
#include "kernels/gemm.h"
#include "kernels/ref/ref.h"
#include "kernels/unary.h"
#include "tests/kernels/kernel_test.h"
#include "tests/suite.h"

#define X_GAP 3
#define Y_GAP 2
#define STEEPEST 1.13 /* slope of an activation: gelu's */

/* One layer: inputs, packed weights and what the oracle says. */
struct layer {
	struct gemm_args args;
	float *w;
	float *x;
	float *packed;
	float *bias;
	float *multiplier;
	float *residual;
	double *y;
	double *magnitude;
};

static void layer_init(struct layer *layer, int64_t rows, int64_t k, int64_t n)
{
	size_t y_count = (size_t)(rows * n) + 1;

	layer->w = malloc((size_t)(k * n) * sizeof(float));
	layer->x = malloc((size_t)((rows + 1) * (k + X_GAP)) * sizeof(float));
	layer->packed = malloc(gemm_packed_bytes(k, n));
	layer->bias = malloc((size_t)n * sizeof(float));
	layer->multiplier = malloc((size_t)((rows + 1) * (n + X_GAP)) * sizeof(float));
	layer->residual = malloc((size_t)((rows + 1) * (n + X_GAP)) * sizeof(float));
	layer->y = malloc(y_count * sizeof(double));
	layer->magnitude = malloc(y_count * sizeof(double));
	random_fill(layer->w, k * n);
	random_fill(layer->x, (rows + 1) * (k + X_GAP));
	random_fill(layer->bias, n);
	random_fill(layer->multiplier, (rows + 1) * (n + X_GAP));
	random_fill(layer->residual, (rows + 1) * (n + X_GAP));
	gemm_pack(layer->packed, layer->w, k, n, n, 1);
	layer->args = (struct gemm_args){
		.x = layer->x,
		.weight = layer->packed,
		.bias = layer->bias,
		.rows = rows,
		.k = k,
		.n = n,
		.x_stride = k + X_GAP,
		.y_stride = n + Y_GAP,
		.multiplier_stride = n + X_GAP,
		.residual_stride = n + X_GAP,
		.low = -0.5f,
		.high = 0.75f,
		.post_low = -0.25f,
		.post_high = 1.0f,
	};
}

static void layer_deinit(struct layer *layer)
{
	free(layer->w);
	free(layer->x);
	free(layer->packed);
	free(layer->bias);
	free(layer->multiplier);
	free(layer->residual);
	free(layer->y);
	free(layer->magnitude);
}

static size_t layer_y_bytes(const struct layer *layer)
{
	return (size_t)(layer->args.rows * layer->args.y_stride) * sizeof(float);
}

static float plain_sum(const struct layer *layer, enum numerics numerics, int64_t row,
		       int64_t column)
{
	const struct gemm_args *args = &layer->args;
	float sum = 0.0f;

	for (int64_t k = 0; k < args->k; k++)
		sum = multiply_add(numerics, args->x[row * args->x_stride + k],
				   layer->w[k * args->n + column], sum);
	return sum + (args->bias != NULL ? args->bias[column] : 0.0f);
}

/* What the header says that an activation adds to the error of an x of at most `magnitude`. */
static double activation_error(enum activation activation, double magnitude)
{
	switch (activation) {
	case ACTIVATION_SIGMOID:
	case ACTIVATION_TANH:
	case ACTIVATION_ELU:
		return 4e-7;
	case ACTIVATION_SILU:
	case ACTIVATION_GELU:
	case ACTIVATION_GELU_TANH:
		return 6e-7 * fmax(1, magnitude);
	default:
		return 0;
	}
}

static void check_layer(const struct layer *layer, const struct device *device, const float *y)
{
	const struct gemm_args *args = &layer->args;
	const bool has_factors = args->multiplier != NULL || args->residual != NULL;

	for (int64_t row = 0; row < args->rows; row++) {
		for (int64_t column = 0; column < args->n; column++) {
			int64_t index = row * args->n + column;
			double magnitude = layer->magnitude[index];
			double bound = (double)(args->k + 2) * 0x1p-24 * magnitude +
				       activation_error(args->activation, magnitude);

			/* Factors are at most 1, and two more operations round. */
			if (has_factors)
				bound += 2 * 0x1p-24 * (magnitude + 1);
			if (args->post_activation != ACTIVATION_NONE)
				bound = bound * STEEPEST +
					activation_error(args->post_activation, magnitude + 1);

			expect_msg(fabs(y[row * args->y_stride + column] - layer->y[index]) <=
					      bound,
				      "%s rows %ld k %ld n %ld: [%ld, %ld] off by more than %g",
				      device->name, (long)args->rows, (long)args->k, (long)args->n,
				      (long)row, (long)column, bound);
		}
		for (int byte = 0; byte < Y_GAP * (int)sizeof(float); byte++)
			expect_int(((const unsigned char *)(y + row * args->y_stride +
								  args->n))[byte],
					 KERNEL_FILLER);
	}
}

static void run_layer(struct layer *layer)
{
	struct kernel_outputs outputs;

	ref_gemm(&layer->args, layer->w, layer->y, layer->magnitude);
	kernel_outputs_init(&outputs, layer_y_bytes(layer));
	for (int device = 0; device < outputs.count; device++) {
		layer->args.y = outputs.y[device];
		outputs.devices[device]->kernels[KERNEL_GEMM](&layer->args);
		check_layer(layer, outputs.devices[device], outputs.y[device]);
	}
	kernel_outputs_check(&outputs);
	kernel_outputs_deinit(&outputs);
}

static const int64_t row_sweep[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 24, 25, 37 };
static const int64_t k_sweep[] = { 1, 2, 13, 64, 131 };
static const int64_t n_sweep[] = { 1, 3, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 80, 113 };

#define COUNT(sweep) (sizeof(sweep) / sizeof((sweep)[0]))

START_TEST(sums_stay_within_the_stated_error_and_inside_y)
{
	random_begin(1);
	for (size_t rows = 0; rows < COUNT(row_sweep); rows++)
		for (size_t k = 0; k < COUNT(k_sweep); k++)
			for (size_t n = 0; n < COUNT(n_sweep); n++) {
				struct layer layer;

				layer_init(&layer, row_sweep[rows], k_sweep[k], n_sweep[n]);
				run_layer(&layer);
				layer_deinit(&layer);
			}
}
END_TEST

static void check_plain_sums(struct layer *layer)
{
	const struct gemm_args *args = &layer->args;
	struct kernel_outputs outputs;

	kernel_outputs_init(&outputs, layer_y_bytes(layer));
	for (int device = 0; device < outputs.count; device++) {
		const float *y = layer->args.y = outputs.y[device];

		outputs.devices[device]->kernels[KERNEL_GEMM](args);
		for (int64_t row = 0; row < args->rows; row++)
			for (int64_t column = 0; column < args->n; column++)
				expect(same_f32(y[row * args->y_stride + column],
						plain_sum(layer, outputs.devices[device]->numerics,
							  row, column)));
	}
	kernel_outputs_check(&outputs);
	kernel_outputs_deinit(&outputs);
}

START_TEST(every_sum_has_the_bits_of_a_plain_ascending_loop)
{
	random_begin(2);
	for (int64_t rows = 1; rows <= 26; rows++) {
		struct layer layer;

		layer_init(&layer, rows, 67, 83);
		check_plain_sums(&layer);
		layer_deinit(&layer);
	}
}
END_TEST

START_TEST(a_head_of_few_columns_has_the_same_bits)
{
	random_begin(10);
	for (int64_t rows = 1; rows <= 70; rows++)
		for (int64_t n = 1; n <= 5; n++) {
			struct layer layer;

			layer_init(&layer, rows, 14 + rows % 6, n);
			layer.args.bias = n % 2 ? layer.bias : NULL;
			if (n == 1 && rows % 2)
				layer.args.y_stride = 1;
			check_plain_sums(&layer);
			layer_deinit(&layer);
		}
}
END_TEST

/* Rows enough for x to be taken in parts; a k that is cut and one that is not. */
START_TEST(a_large_x_in_parts_has_the_same_bits)
{
	const int64_t ks[] = { 1371, 97 };
	const int64_t rows[] = { 2300, 1100 };

	random_begin(12);
	for (size_t index = 0; index < COUNT(ks); index++) {
		struct layer layer;

		layer_init(&layer, rows[index], ks[index], 6);
		layer.args.activation = ACTIVATION_NONE;
		check_plain_sums(&layer);
		layer_deinit(&layer);
	}
}
END_TEST

START_TEST(activations_follow_the_bias)
{
	random_begin(3);
	for (size_t n = 0; n < COUNT(n_sweep); n++)
		for (int activation = ACTIVATION_NONE; activation < ACTIVATION_COUNT; activation++)
			for (int has_bias = 0; has_bias < 2; has_bias++) {
				struct layer layer;

				layer_init(&layer, 14, 19, n_sweep[n]);
				layer.args.activation = (enum activation)activation;
				if (!has_bias)
					layer.args.bias = NULL;
				run_layer(&layer);
				layer_deinit(&layer);
			}
}
END_TEST

static void add_factors(struct layer *layer, int factors)
{
	layer->args.multiplier = factors & 1 ? layer->multiplier : NULL;
	layer->args.residual = factors & 2 ? layer->residual : NULL;
}

START_TEST(multiplier_residual_and_a_second_activation_follow)
{
	random_begin(7);
	for (size_t n = 0; n < COUNT(n_sweep); n++)
		for (int post = ACTIVATION_NONE; post < ACTIVATION_COUNT; post++)
			for (int factors = 0; factors < 4; factors++) {
				struct layer layer;

				layer_init(&layer, 14, 19, n_sweep[n]);
				layer.args.activation = n % 2 ? ACTIVATION_TANH : ACTIVATION_RELU;
				layer.args.post_activation = (enum activation)post;
				add_factors(&layer, factors);
				run_layer(&layer);
				layer_deinit(&layer);
			}
}
END_TEST

/* One operator after the other, each over a contiguous y. */
static void run_unfused(const struct device *device, const struct gemm_args *fused, float *y)
{
	struct gemm_args args = *fused;
	int64_t count = args.rows * args.n;
	struct unary_args unary = { .x = y, .y = y, .count = count, .dtype = DTYPE_F32 };
	struct binary_args binary = {
		.dtype = DTYPE_F32,
		.rank = 1,
		.dims = { count },
		.a_strides = { 1 },
		.b_strides = { 1 },
		.a = y,
		.y = y,
	};

	args.activation = args.post_activation = ACTIVATION_NONE;
	args.multiplier = args.residual = NULL;
	args.y = y;
	device->kernels[KERNEL_GEMM](&args);
	unary.op = UNARY_TANH;
	device->kernels[KERNEL_UNARY](&unary);
	binary.op = BINARY_MUL;
	binary.b = fused->multiplier;
	device->kernels[KERNEL_BINARY](&binary);
	binary.op = BINARY_ADD;
	binary.b = fused->residual;
	device->kernels[KERNEL_BINARY](&binary);
	unary.op = UNARY_RELU;
	device->kernels[KERNEL_UNARY](&unary);
}

START_TEST(a_fused_call_has_the_bits_of_one_operator_after_the_other)
{
	struct kernel_outputs fused, unfused;
	struct layer layer;

	random_begin(8);
	for (int64_t rows = 1; rows < 30; rows += 4) {
		layer_init(&layer, rows, 70, 70);
		layer.args.y_stride = layer.args.multiplier_stride = layer.args.x_stride = 70;
		layer.args.residual_stride = 70;
		layer.args.activation = ACTIVATION_TANH;
		layer.args.multiplier = layer.multiplier;
		layer.args.residual = layer.x; /* a cross layer's */
		layer.args.post_activation = ACTIVATION_RELU;
		kernel_outputs_init(&fused, layer_y_bytes(&layer));
		kernel_outputs_init(&unfused, layer_y_bytes(&layer));
		for (int device = 0; device < fused.count; device++) {
			layer.args.y = fused.y[device];
			fused.devices[device]->kernels[KERNEL_GEMM](&layer.args);
			run_unfused(fused.devices[device], &layer.args, unfused.y[device]);
			expect(same_run(fused.y[device], unfused.y[device], rows * 70));
		}
		kernel_outputs_check(&fused);
		kernel_outputs_deinit(&fused);
		kernel_outputs_deinit(&unfused);
		layer_deinit(&layer);
	}
}
END_TEST

START_TEST(parts_of_a_call_have_the_bits_of_the_whole)
{
	const int64_t rows = 29, n = 150;
	struct kernel_outputs whole, parts;
	struct layer layer;

	random_begin(9);
	layer_init(&layer, rows, 40, n);
	layer.args.activation = ACTIVATION_GELU;
	add_factors(&layer, 3);
	kernel_outputs_init(&whole, layer_y_bytes(&layer));
	kernel_outputs_init(&parts, layer_y_bytes(&layer));
	for (int device = 0; device < whole.count; device++) {
		const struct device *on = whole.devices[device];

		layer.args.y = whole.y[device];
		on->kernels[KERNEL_GEMM](&layer.args);
		layer.args.y = parts.y[device];
		for (int64_t row = 0; row < rows; row += 7)
			for (int64_t column = 0; column < n; column += 48) {
				struct gemm_args part = gemm_rows(
					&layer.args, row, rows - row < 7 ? rows - row : 7);

				part = gemm_columns(&part, column,
						    n - column < 48 ? n - column : 48);
				on->kernels[KERNEL_GEMM](&part);
			}
		expect(memcmp(whole.y[device], parts.y[device], whole.bytes) == 0);
	}
	kernel_outputs_check(&parts);
	kernel_outputs_deinit(&whole);
	kernel_outputs_deinit(&parts);
	layer_deinit(&layer);
}
END_TEST

/* Every exponent and sign, many mantissas; the far ends are 1 and -1. */
START_TEST(erf_stays_within_its_stated_error)
{
	const uint32_t step = 20011 * VEC_LANES;

	for (uint32_t bits = 0; bits < UINT32_MAX - step; bits += step) {
		vec_u32 lanes = (vec_u32)vec_lane_indices() * 20011 + bits;
		vec x = (vec)lanes;
		vec y = vec_erf(x);

		for (int lane = 0; lane < VEC_LANES; lane++) {
			double expected = erf(x[lane]);

			if (isnan(x[lane]))
				expect(isnan(y[lane]));
			else
				expect_msg(fabs(y[lane] - expected) <=
						   2e-7 * fabs(expected) + 0x1p-149,
					   "erf(%a) gives %a, not %a", (double)x[lane],
					   (double)y[lane], expected);
		}
	}
}
END_TEST

START_TEST(a_row_has_the_same_bits_alone_and_in_any_batch)
{
	struct kernel_outputs outputs;
	struct layer layer;
	float *alone;

	random_begin(4);
	layer_init(&layer, 40, 50, 70);
	layer.args.activation = ACTIVATION_SIGMOID;
	alone = malloc(70 * sizeof(float));
	kernel_outputs_init(&outputs, layer_y_bytes(&layer));
	for (int device = 0; device < outputs.count; device++)
		for (int64_t rows = 1; rows <= 40; rows++) {
			struct gemm_args args = layer.args;
			const float *y = args.y = outputs.y[device];

			args.rows = rows;
			outputs.devices[device]->kernels[KERNEL_GEMM](&args);
			for (int64_t row = 0; row < rows; row++) {
				args.x = layer.args.x + row * args.x_stride;
				args.y = alone;
				args.rows = 1;
				outputs.devices[device]->kernels[KERNEL_GEMM](&args);
				expect(same_run(alone, y + row * args.y_stride, 70));
			}
		}
	kernel_outputs_deinit(&outputs);
	layer_deinit(&layer);
	free(alone);
}
END_TEST

START_TEST(nan_and_infinity_stay_in_their_row)
{
	const float specials[] = { NAN, INFINITY, -INFINITY, 0x1p-140f, -0.0f };
	struct kernel_outputs outputs;
	struct layer layer;

	random_begin(5);
	layer_init(&layer, 13, 20, 33);
	layer.args.activation = ACTIVATION_RELU;
	for (size_t special = 0; special < COUNT(specials); special++) {
		kernel_outputs_init(&outputs, layer_y_bytes(&layer));
		for (int device = 0; device < outputs.count; device++) {
			const float *y = layer.args.y = outputs.y[device];

			layer.x[6 * layer.args.x_stride + 4] = specials[special];
			outputs.devices[device]->kernels[KERNEL_GEMM](&layer.args);
			for (int64_t row = 0; row < 13; row++)
				for (int64_t column = 0; column < 33; column++) {
					float sum = plain_sum(&layer,
							      outputs.devices[device]->numerics,
							      row, column);

					expect(same_f32(y[row * layer.args.y_stride + column],
							   0.0f > sum ? 0.0f : sum));
				}
		}
		kernel_outputs_check(&outputs);
		kernel_outputs_deinit(&outputs);
	}
	layer_deinit(&layer);
}
END_TEST

START_TEST(packing_reads_any_strides_and_pads_with_zeros)
{
	const int64_t k = 5, n = 19;
	float w[5 * 19], transposed[19 * 5];
	size_t bytes = gemm_packed_bytes(k, n);
	float *packed = guarded_new(bytes);
	float *again = guarded_new(bytes);

	random_begin(6);
	random_fill(w, k * n);
	for (int64_t row = 0; row < k; row++)
		for (int64_t column = 0; column < n; column++)
			transposed[column * k + row] = w[row * n + column];
	ck_assert_uint_eq(bytes % 64, 0);
	gemm_pack(packed, w, k, n, n, 1);
	gemm_pack(again, transposed, k, n, 1, k);
	guarded_check(packed, bytes);
	expect(memcmp(packed, again, bytes) == 0);
	for (int64_t row = 0; row < k; row++)
		for (int64_t column = 0; column < 2 * GEMM_PANEL_COLUMNS; column++) {
			int64_t panel = column / GEMM_PANEL_COLUMNS;
			float value = packed[(panel * k + row) * GEMM_PANEL_COLUMNS +
					     column % GEMM_PANEL_COLUMNS];

			expect(same_f32(value, column < n ? w[row * n + column] : 0.0f));
		}
	guarded_free(packed);
	guarded_free(again);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("gemm");
	TCase *tcase = tcase_create("gemm");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, sums_stay_within_the_stated_error_and_inside_y);
	tcase_add_test(tcase, every_sum_has_the_bits_of_a_plain_ascending_loop);
	tcase_add_test(tcase, a_head_of_few_columns_has_the_same_bits);
	tcase_add_test(tcase, a_large_x_in_parts_has_the_same_bits);
	tcase_add_test(tcase, activations_follow_the_bias);
	tcase_add_test(tcase, multiplier_residual_and_a_second_activation_follow);
	tcase_add_test(tcase, a_fused_call_has_the_bits_of_one_operator_after_the_other);
	tcase_add_test(tcase, parts_of_a_call_have_the_bits_of_the_whole);
	tcase_add_test(tcase, erf_stays_within_its_stated_error);
	tcase_add_test(tcase, a_row_has_the_same_bits_alone_and_in_any_batch);
	tcase_add_test(tcase, nan_and_infinity_stay_in_their_row);
	tcase_add_test(tcase, packing_reads_any_strides_and_pads_with_zeros);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
