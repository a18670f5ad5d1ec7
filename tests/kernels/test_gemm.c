/* SPDX-License-Identifier: MIT */
/* tests/kernels/test_gemm.c - every tile shape gives the bits of one plain loop */
#include <stdlib.h>
#include <string.h>

#include "kernels/gemm.h"
#include "kernels/ref/ref.h"
#include "tests/kernels/kernel_test.h"

#define X_GAP 3
#define Y_GAP 2

/* One layer: inputs, packed weights and what the oracle says. */
struct layer {
	struct gemm_args args;
	float *w;
	float *x;
	float *packed;
	float *bias;
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
	layer->y = malloc(y_count * sizeof(double));
	layer->magnitude = malloc(y_count * sizeof(double));
	random_fill(layer->w, k * n);
	random_fill(layer->x, (rows + 1) * (k + X_GAP));
	random_fill(layer->bias, n);
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
		.low = -0.5f,
		.high = 0.75f,
	};
}

static void layer_deinit(struct layer *layer)
{
	free(layer->w);
	free(layer->x);
	free(layer->packed);
	free(layer->bias);
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

static void check_layer(const struct layer *layer, const struct device *device, const float *y)
{
	const struct gemm_args *args = &layer->args;
	const double slack = args->activation == ACTIVATION_SIGMOID ||
					     args->activation == ACTIVATION_TANH ?
				     4e-7 :
				     0;

	for (int64_t row = 0; row < args->rows; row++) {
		for (int64_t column = 0; column < args->n; column++) {
			int64_t index = row * args->n + column;
			double bound = (double)(args->k + 2) * 0x1p-24 * layer->magnitude[index] +
				       slack;

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

START_TEST(every_sum_has_the_bits_of_a_plain_ascending_loop)
{
	random_begin(2);
	for (int64_t rows = 1; rows <= 26; rows++) {
		struct kernel_outputs outputs;
		struct layer layer;

		layer_init(&layer, rows, 67, 83);
		kernel_outputs_init(&outputs, layer_y_bytes(&layer));
		for (int device = 0; device < outputs.count; device++) {
			const float *y = layer.args.y = outputs.y[device];

			outputs.devices[device]->kernels[KERNEL_GEMM](&layer.args);
			for (int64_t row = 0; row < rows; row++)
				for (int64_t column = 0; column < layer.args.n; column++)
					expect(same_f32(
						y[row * layer.args.y_stride + column],
						plain_sum(&layer, outputs.devices[device]->numerics,
							  row, column)));
		}
		kernel_outputs_deinit(&outputs);
		layer_deinit(&layer);
	}
}
END_TEST

START_TEST(activations_follow_the_bias)
{
	random_begin(3);
	for (size_t n = 0; n < COUNT(n_sweep); n++)
		for (int activation = ACTIVATION_NONE; activation <= ACTIVATION_CLIP; activation++)
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
	tcase_add_test(tcase, activations_follow_the_bias);
	tcase_add_test(tcase, a_row_has_the_same_bits_alone_and_in_any_batch);
	tcase_add_test(tcase, nan_and_infinity_stay_in_their_row);
	tcase_add_test(tcase, packing_reads_any_strides_and_pads_with_zeros);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
