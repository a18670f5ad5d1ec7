/* SPDX-License-Identifier: MIT */
/*
 * tests/exec/test_quantized.c - models of integers: MatMulInteger, dynamic quantization, QDQ
 *
 * Scales are powers of two, so that what the specification says in real numbers is exact in f32,
 * and every comparison is of bits.
 */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/ref/ref.h"
#include "tests/exec/engine_fixture.h"
#include "tests/graph/graph_fixture.h"
#include "tests/suite.h"

#define BATCHES 2
#define ROWS 5
#define DEPTH 7
#define COLUMNS 19
#define BYTES_MAX 4096

static uint8_t bytes_a[BYTES_MAX], bytes_b[BYTES_MAX], zeros_a[64], zeros_b[64];

static void setup(void)
{
	uint32_t seed = 11;

	for (int index = 0; index < BYTES_MAX; index++) {
		bytes_a[index] = (uint8_t)((seed = seed * 1664525 + 1013904223) >> 24);
		bytes_b[index] = (uint8_t)((seed = seed * 1664525 + 1013904223) >> 24);
	}
	memcpy(zeros_a, bytes_a + 1000, sizeof(zeros_a));
	memcpy(zeros_b, bytes_b + 1000, sizeof(zeros_b));
}

/* --- MatMulInteger --- */

struct form {
	const char *a, *b;           /* shapes */
	const char *a_zero, *b_zero; /* NULL: left out */
	bool a_constant, b_constant;
	struct matmul_integer_args args; /* for the oracle */
};

static const struct form forms[] = {
	{"batch,7", "7,19", NULL, NULL, false, true, {.m = ROWS}},
	{"batch,7", "7,19", "", "19", false, true, {.m = ROWS, .b_zero_step = 1}},
	{"batch,7", "7,19", "1", "1,19", false, true, {.m = ROWS, .b_zero_step = 1}},
	{"batch,7", "7,19", NULL, "", false, false, {.m = ROWS}},
	{"5,7", "7,19", "5", "19", false, true, {.m = ROWS, .a_zero_step = 1, .b_zero_step = 1}},
	{"5,7", "7,19", "5,1", "19", true, true, {.m = ROWS, .a_zero_step = 1, .b_zero_step = 1}},
	{"2,5,7", "7,19", "2,5,1", "", false, true, {.m = 2 * ROWS, .a_zero_step = 1}},
	{"2,5,7", "2,7,19", "2,5,1", "2,1,19", false, true,
	 {.batch = {0, 0, BATCHES}, .a_batch = {0, 0, ROWS * DEPTH},
	  .b_batch = {0, 0, DEPTH * COLUMNS}, .a_zero_batch = {0, 0, ROWS},
	  .b_zero_batch = {0, 0, COLUMNS}, .m = ROWS, .a_zero_step = 1, .b_zero_step = 1}},
	{"2,1,5,7", "7,19", NULL, "19", false, false,
	 {.batch = {0, BATCHES, 0}, .a_batch = {0, ROWS * DEPTH, 0}, .m = ROWS, .b_zero_step = 1}},
	{"7", "7,19", NULL, "", false, true, {.m = 1}},
};
#define FORMS (sizeof(forms) / sizeof(forms[0]))

static uint64_t shape_bytes(const char *shape)
{
	uint64_t count = 1;

	for (const char *at = shape; at && *at; at = strchr(at, ',') ? strchr(at, ',') + 1 : "")
		count *= *at == 'b' ? ROWS : (uint64_t)atoi(at);
	return count;
}

static struct onnx_writer *form_model(const struct form *form, enum dtype a, enum dtype b)
{
	struct onnx_writer *writer = onnx_writer_new(17);
	char inputs[32];

	(void)snprintf(inputs, sizeof(inputs), "a,b%s%s", form->a_zero ? ",az" : form->b_zero ? "," : "",
		       form->b_zero ? ",bz" : "");
	if (form->a_constant)
		onnx_writer_tensor(writer, "a", a, form->a, bytes_a, shape_bytes(form->a));
	else
		onnx_writer_input(writer, "a", a, form->a);
	if (form->b_constant)
		onnx_writer_tensor(writer, "b", b, form->b, bytes_b, shape_bytes(form->b));
	else
		onnx_writer_input(writer, "b", b, form->b);
	if (form->a_zero)
		onnx_writer_tensor(writer, "az", a, form->a_zero, zeros_a, shape_bytes(form->a_zero));
	if (form->b_zero)
		onnx_writer_tensor(writer, "bz", b, form->b_zero, zeros_b, shape_bytes(form->b_zero));
	onnx_writer_node(writer, "MatMulInteger", inputs, "y");
	onnx_writer_output(writer, "y", DTYPE_I32, NULL);
	return writer;
}

/* _i: form and the signs of its operands */
START_TEST(products_of_integers_are_exact)
{
	const struct form *form = &forms[_i / 4];
	bool a_signed = _i & 1, b_signed = _i & 2;
	struct engine *engine = fixture_engine(
		form_model(form, a_signed ? DTYPE_I8 : DTYPE_U8, b_signed ? DTYPE_I8 : DTYPE_U8),
		NULL);
	struct matmul_integer_args args = form->args;
	const void *inputs[2] = {form->a_constant ? (const void *)bytes_b : bytes_a, bytes_b};
	int64_t symbols[SIGNATURE_SYMBOLS_MAX] = {ROWS};
	struct row_status status[ROWS] = {0};
	int64_t expected[BATCHES * ROWS * COLUMNS];
	int32_t y[BATCHES * ROWS * COLUMNS];
	void *outputs[] = {y};
	int64_t count;

	ck_assert_msg(engine != NULL, "%s", err_message());
	args.a = bytes_a;
	args.a_zero = form->a_zero ? zeros_a : NULL;
	args.b_zero = form->b_zero ? zeros_b : NULL;
	args.k = DEPTH;
	args.n = COLUMNS;
	args.a_signed = a_signed;
	args.b_signed = b_signed;
	for (int rank = 0; rank < MATMUL_BATCH_RANK; rank++)
		args.batch[rank] += args.batch[rank] == 0;
	ref_matmul_integer(&args, bytes_b, expected);
	count = args.batch[1] * args.batch[2] * args.m * args.n;
	ck_assert_int_eq(signature_elements(&engine_signature(engine)->outputs[0], symbols), count);
	fixture_run(engine, symbols, inputs, outputs, status);
	for (int64_t index = 0; index < count; index++)
		ck_assert_int_eq(y[index], expected[index]);
	engine_free(engine);
}
END_TEST

START_TEST(what_no_product_is_made_of_is_refused_with_its_reason)
{
	static const struct {
		struct form form;
		enum dtype a, b;
		const char *sentence;
	} cases[] = {
		{{"batch,7", "7,19", NULL, NULL, false, false, {0}}, DTYPE_F32, DTYPE_I8,
		 "input 0 ('a') is float32; supported: uint8, int8"},
		{{"batch,7", "7,19", NULL, NULL, false, false, {0}}, DTYPE_I8, DTYPE_I32,
		 "input 1 ('b') is int32; supported: uint8, int8"},
		{{"2,5,7", "7,19", "5", NULL, false, true, {0}}, DTYPE_U8, DTYPE_I8,
		 "neither one number nor one for each row of 'a'"},
		{{"5,7", "7,19", NULL, "7", false, true, {0}}, DTYPE_U8, DTYPE_I8,
		 "neither one number nor one for each column of 'b'"},
		{{"5,7", "7,19", NULL, "7,1", false, true, {0}}, DTYPE_U8, DTYPE_I8,
		 "neither one number nor one for each column of 'b'"},
		{{"5,7", "6,19", NULL, NULL, false, true, {0}}, DTYPE_U8, DTYPE_I8,
		 "do not multiply in every batch"},
	};

	for (size_t index = 0; index < sizeof(cases) / sizeof(cases[0]); index++) {
		struct engine *engine = fixture_engine(
			form_model(&cases[index].form, cases[index].a, cases[index].b), NULL);

		ck_assert_ptr_null(engine);
		ck_assert_msg(strstr(err_message(), cases[index].sentence), "%s", err_message());
	}
}
END_TEST

START_TEST(a_zero_point_has_the_type_of_its_operand)
{
	struct onnx_writer *writer = onnx_writer_new(17);

	onnx_writer_input(writer, "a", DTYPE_U8, "batch,7");
	onnx_writer_tensor(writer, "b", DTYPE_I8, "7,19", bytes_b, DEPTH * COLUMNS);
	onnx_writer_tensor(writer, "z", DTYPE_I8, "", zeros_a, 1);
	onnx_writer_node(writer, "MatMulInteger", "a,b,z", "y");
	onnx_writer_output(writer, "y", DTYPE_I32, NULL);
	ck_assert_ptr_null(fixture_engine(writer, NULL));
	ck_assert_ptr_nonnull(strstr(err_message(), "'a' is uint8 and its zero point 'z' int8"));
}
END_TEST

/* --- dynamic quantization, as ONNX Runtime's quantiser writes a layer --- */

static struct onnx_writer *dynamic_layer(void)
{
	static const float w_scale = 0x1p-7f;
	struct onnx_writer *writer = onnx_writer_new(13);

	onnx_writer_input(writer, "x", DTYPE_F32, "batch,7");
	onnx_writer_tensor(writer, "w", DTYPE_I8, "7,19", bytes_b, DEPTH * COLUMNS);
	onnx_writer_tensor(writer, "w_zero", DTYPE_I8, "", zeros_b, 1);
	onnx_writer_tensor(writer, "w_scale", DTYPE_F32, "", &w_scale, sizeof(w_scale));
	onnx_writer_node(writer, "DynamicQuantizeLinear", "x", "xq,x_scale,x_zero");
	onnx_writer_node(writer, "MatMulInteger", "xq,w,x_zero,w_zero", "sums");
	onnx_writer_node(writer, "Cast", "sums", "floats");
	onnx_writer_int(writer, "to", DTYPE_F32);
	onnx_writer_node(writer, "Mul", "x_scale,w_scale", "scale");
	onnx_writer_node(writer, "Mul", "floats,scale", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, "batch,19");
	return writer;
}

START_TEST(a_dynamically_quantized_layer_computes_as_specified)
{
	struct engine *engine = fixture_engine(dynamic_layer(), NULL);
	int64_t symbols[SIGNATURE_SYMBOLS_MAX] = {ROWS};
	struct row_status status[ROWS] = {0};
	float x[ROWS * DEPTH], y[ROWS * COLUMNS], scale;
	int64_t levels[ROWS * DEPTH], sums[ROWS * COLUMNS], zero;
	uint8_t quantized[ROWS * DEPTH], x_zero;
	struct matmul_integer_args args = {
		.a = quantized, .a_zero = &x_zero, .b_zero = zeros_b, .batch = {1, 1, 1},
		.m = ROWS, .k = DEPTH, .n = COLUMNS, .b_signed = true,
	};
	uint32_t seed = 5;

	ck_assert_msg(engine != NULL, "%s", err_message());
	fixture_floats(x, ROWS * DEPTH, &seed);
	ref_quantize_dynamic(&(struct quantize_dynamic_args){.x = x, .count = ROWS * DEPTH}, levels,
			     &scale, &zero);
	for (int index = 0; index < ROWS * DEPTH; index++)
		quantized[index] = (uint8_t)levels[index];
	x_zero = (uint8_t)zero;
	ref_matmul_integer(&args, bytes_b, sums);
	fixture_run(engine, symbols, (const void *[]){x}, (void *[]){y}, status);
	for (int index = 0; index < ROWS * COLUMNS; index++)
		ck_assert(y[index] == (float)sums[index] * (scale * 0x1p-7f));
	engine_free(engine);
}
END_TEST

START_TEST(a_scale_of_all_rows_lets_no_requests_share_a_batch)
{
	struct built built;

	ck_assert_msg(built_init(&built, dynamic_layer()), "%s", err_message());
	ck_assert_int_eq(built.proof.symbol, -1);
	ck_assert_msg(strstr(built.proof.why, "(DynamicQuantizeLinear)"), "%s", built.proof.why);
	built_deinit(&built);
	ck_assert(built_init(&built, form_model(&forms[1], DTYPE_U8, DTYPE_I8)));
	ck_assert_int_eq(built.proof.symbol, 0);
	built_deinit(&built);
}
END_TEST

/* --- QDQ: a small ranking model between QuantizeLinear and DequantizeLinear --- */

#define WIDTH 12
#define HIDDEN 9
#define CANDIDATES 33

static const float x_scale = 0x1p-4f, hidden_scale = 0x1p-2f, score_scale = 0x1p-3f;
static const uint8_t x_zero_point = 120, hidden_zero_point = 3, score_zero_point = 128;
static const float second_scale = 0x1p-6f;
static float first_scales[HIDDEN];
static int32_t biases[HIDDEN];

static void put_pair(struct onnx_writer *writer, const char *from, const char *to,
		     const float *scale, const uint8_t *zero)
{
	char names[4][32];
	char inputs[128];

	for (int index = 0; index < 4; index++)
		(void)snprintf(names[index], sizeof(names[index]), "%s_%s", from,
			       (const char *[]){"scale", "zero", "quantized", ""}[index]);
	onnx_writer_tensor(writer, names[0], DTYPE_F32, "", scale, sizeof(*scale));
	onnx_writer_tensor(writer, names[1], DTYPE_U8, "", zero, sizeof(*zero));
	(void)snprintf(inputs, sizeof(inputs), "%s,%s,%s", from, names[0], names[1]);
	onnx_writer_node(writer, "QuantizeLinear", inputs, names[2]);
	(void)snprintf(inputs, sizeof(inputs), "%s,%s,%s", names[2], names[0], names[1]);
	onnx_writer_node(writer, "DequantizeLinear", inputs, to);
}

/* Weights of one scale a column and a bias of i32, into a Gemm; then a MatMul of one scale. */
static struct onnx_writer *qdq_model(void)
{
	static const int8_t zeros[HIDDEN];
	static const int32_t bias_zeros[HIDDEN];
	static float bias_scales[HIDDEN];
	struct onnx_writer *writer = onnx_writer_new(13);

	for (int column = 0; column < HIDDEN; column++) {
		first_scales[column] = column % 2 ? 0x1p-5f : 0x1p-6f;
		bias_scales[column] = first_scales[column] * x_scale;
		biases[column] = 700 * (column - 4);
	}
	onnx_writer_input(writer, "x", DTYPE_F32, "batch,12");
	onnx_writer_tensor(writer, "w", DTYPE_I8, "12,9", bytes_b, WIDTH * HIDDEN);
	onnx_writer_tensor(writer, "w_scale", DTYPE_F32, "9", first_scales, sizeof(first_scales));
	onnx_writer_tensor(writer, "w_zero", DTYPE_I8, "9", zeros, sizeof(zeros));
	onnx_writer_tensor(writer, "bias", DTYPE_I32, "9", biases, sizeof(biases));
	onnx_writer_tensor(writer, "bias_scale", DTYPE_F32, "9", bias_scales, sizeof(bias_scales));
	onnx_writer_tensor(writer, "bias_zero", DTYPE_I32, "9", bias_zeros, sizeof(bias_zeros));
	onnx_writer_tensor(writer, "v", DTYPE_U8, "9,1", bytes_a, HIDDEN);
	onnx_writer_tensor(writer, "v_scale", DTYPE_F32, "", &second_scale, sizeof(float));
	onnx_writer_tensor(writer, "v_zero", DTYPE_U8, "", zeros_a, 1);
	put_pair(writer, "x", "x_back", &x_scale, &x_zero_point);
	onnx_writer_node(writer, "DequantizeLinear", "w,w_scale,w_zero", "w_back");
	onnx_writer_int(writer, "axis", 1);
	onnx_writer_node(writer, "DequantizeLinear", "bias,bias_scale,bias_zero", "bias_back");
	onnx_writer_int(writer, "axis", 0);
	onnx_writer_node(writer, "Gemm", "x_back,w_back,bias_back", "sums");
	onnx_writer_node(writer, "Relu", "sums", "hidden");
	put_pair(writer, "hidden", "hidden_back", &hidden_scale, &hidden_zero_point);
	onnx_writer_node(writer, "DequantizeLinear", "v,v_scale,v_zero", "v_back");
	onnx_writer_node(writer, "MatMul", "hidden_back,v_back", "score");
	put_pair(writer, "score", "y", &score_scale, &score_zero_point);
	onnx_writer_output(writer, "y", DTYPE_F32, "batch,1");
	return writer;
}

static double there_and_back(double x, double scale, uint8_t zero)
{
	double level = fmin(fmax(nearbyint(x / scale) + zero, 0), 255);

	return (level - zero) * scale;
}

static double qdq_score(const float x[WIDTH])
{
	double sum = 0;

	for (int column = 0; column < HIDDEN; column++) {
		double hidden = biases[column];

		for (int row = 0; row < WIDTH; row++)
			hidden += there_and_back((double)x[row], (double)x_scale, x_zero_point) /
				  (double)x_scale * (int8_t)bytes_b[row * HIDDEN + column];
		hidden *= (double)first_scales[column] * (double)x_scale;
		hidden = there_and_back(fmax(hidden, 0), (double)hidden_scale, hidden_zero_point);
		sum += hidden * (bytes_a[column] - zeros_a[0]) * (double)second_scale;
	}
	return there_and_back(sum, (double)score_scale, score_zero_point);
}

START_TEST(a_qdq_model_computes_as_its_specification_says)
{
	static const int64_t batches[] = {1, 7, CANDIDATES};
	struct engine *engine = fixture_engine(qdq_model(), NULL);
	float x[CANDIDATES * WIDTH], y[CANDIDATES];
	struct row_status status[CANDIDATES] = {0};
	uint32_t seed = 9;
	int kinds = 0;

	ck_assert_msg(engine != NULL, "%s", err_message());
	ck_assert_int_eq(engine_signature(engine)->row_symbol, 0);
	fixture_floats(x, CANDIDATES * WIDTH, &seed);
	for (int index = 0; index < CANDIDATES * WIDTH; index++)
		x[index] *= 9;
	for (size_t batch = 0; batch < sizeof(batches) / sizeof(batches[0]); batch++) {
		int64_t symbols[SIGNATURE_SYMBOLS_MAX] = {batches[batch]};

		fixture_run(engine, symbols, (const void *[]){x}, (void *[]){y}, status);
		for (int row = 0; row < batches[batch]; row++)
			ck_assert_msg((double)y[row] == qdq_score(x + row * WIDTH),
				      "row %d is %g, not %g", row, (double)y[row],
				      qdq_score(x + row * WIDTH));
	}
	for (int row = 1; row < CANDIDATES; row++)
		kinds += y[row] != y[row - 1];
	ck_assert_int_gt(kinds, CANDIDATES / 4); /* not all saturated */
	engine_free(engine);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("quantized");
	TCase *tests = tcase_create("quantized");

	tcase_add_checked_fixture(tests, setup, NULL);
	tcase_add_loop_test(tests, products_of_integers_are_exact, 0, 4 * FORMS);
	tcase_add_test(tests, what_no_product_is_made_of_is_refused_with_its_reason);
	tcase_add_test(tests, a_zero_point_has_the_type_of_its_operand);
	tcase_add_test(tests, a_dynamically_quantized_layer_computes_as_specified);
	tcase_add_test(tests, a_scale_of_all_rows_lets_no_requests_share_a_batch);
	tcase_add_test(tests, a_qdq_model_computes_as_its_specification_says);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
