/* SPDX-License-Identifier: MIT */
/*
 * tests/exec/test_opsets.c - what opsets 18 to 21 changed, against the words of the specification
 *
 * The ONNX project's node tests that distributions have end at opset 17 (test_node_cases.c).
 */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "kernels/ref/ref.h"
#include "tests/exec/engine_fixture.h"
#include "tests/exec/operand.h"
#include "tests/suite.h"

#define OPSET_FIRST 18
#define OPSET_END 22
#define COUNT(sweep) (sizeof(sweep) / sizeof((sweep)[0]))

static uint32_t seed;

/* Integers are exact; f16 and bf16 are f32, rounded once. */
static void compare(const void *y, enum dtype dtype, int64_t index, double expected)
{
	double got = ref_read(y, dtype, index);
	double digit = dtype == DTYPE_F16 ? 0x1p-10 : dtype == DTYPE_BF16 ? 0x1p-7 : 0;
	double bound = 0;

	if (dtype_is_float(dtype)) {
		bound = 4e-6 * (1 + fabs(expected)) + digit * fabs(expected);
		expected = ref_round(expected, dtype);
	}
	ck_assert_msg(got == expected || fabs(got - expected) <= bound ||
			      (isnan(got) && isnan(expected)),
		      "element %lld is %.9g, wanted %.9g", (long long)index, got, expected);
}

static void put_i64(struct onnx_writer *writer, const char *name, const int64_t values[],
		    size_t count)
{
	char shape[24];

	(void)snprintf(shape, sizeof(shape), "%zu", count);
	onnx_writer_i64(writer, name, shape, values, count);
}

static void run_one(struct onnx_writer *writer, const struct test_operand *operand, bool is_constant,
		    enum dtype dtype, void *y)
{
	onnx_writer_output(writer, "y", (int32_t)dtype, NULL);
	operand_run(writer, (const struct test_operand *const[]){operand}, 1, is_constant,
		    (void *const[]){y});
}

/* --- reductions: axes are an input --- */

enum { SUM, MEAN, PROD, MAX, MIN, L1, L2, SUM_SQUARE, LOG_SUM, LOG_SUM_EXP, REDUCTIONS };

static const char *const reductions[REDUCTIONS] = {
	"ReduceSum", "ReduceMean", "ReduceProd",      "ReduceMax",    "ReduceMin",
	"ReduceL1",  "ReduceL2",   "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp",
};

static double reduce_start(int op)
{
	return op == PROD ? 1 : op == MAX ? -INFINITY : op == MIN ? INFINITY : 0;
}

static double reduce_add(int op, double sum, double x)
{
	switch (op) {
	case PROD:
		return sum * x;
	case MAX:
		return fmax(sum, x);
	case MIN:
		return fmin(sum, x);
	case L1:
		return sum + fabs(x);
	case L2:
	case SUM_SQUARE:
		return sum + x * x;
	case LOG_SUM_EXP:
		return sum + exp(x);
	default:
		return sum + x;
	}
}

static double reduce_end(int op, double sum, double count)
{
	return op == MEAN			     ? sum / count
	       : op == L2			     ? sqrt(sum)
	       : op == LOG_SUM || op == LOG_SUM_EXP ? log(sum)
						     : sum;
}

/* The output's place of element `index` of the data. */
static int64_t kept_place(const struct test_operand *data, uint32_t axes, int64_t index)
{
	int64_t place = 0, stride = 1;

	for (uint32_t axis = data->rank; axis-- > 0; index /= data->dims[axis]) {
		if (axes & 1U << axis)
			continue;
		place += index % data->dims[axis] * stride;
		stride *= data->dims[axis];
	}
	return place;
}

static void reduce_check(int op, const struct test_operand *data, uint32_t axes, const void *y)
{
	double expected[OPERAND_ELEMENTS_MAX];
	int64_t count = operand_elements(data), kept = kept_place(data, axes, count - 1) + 1;

	for (int64_t place = 0; place < kept; place++)
		expected[place] = reduce_start(op);
	for (int64_t index = 0; index < count; index++) {
		double *sum = &expected[kept_place(data, axes, index)];

		*sum = reduce_add(op, *sum, operand_at(data, index));
	}
	for (int64_t place = 0; place < kept; place++)
		compare(y, data->dtype, place,
			reduce_end(op, expected[place], (double)(count / kept)));
}

static void reduce_run(int op, int64_t opset, enum dtype dtype, uint32_t axes, bool keeps)
{
	struct test_operand data = {"data", dtype, 3, {3, 2, 4}, ""};
	struct onnx_writer *writer = onnx_writer_new(opset);
	int64_t list[3];
	size_t count = 0;
	char y[OPERAND_BYTES_MAX];

	operand_fill(&data, 1, 3, &seed);
	for (int64_t axis = 0; axis < 3; axis++)
		if (axes & 1U << axis)
			list[count++] = seed & 1 ? axis : axis - 3;
	put_i64(writer, "axes", list, count);
	onnx_writer_node(writer, reductions[op], axes == 7 && keeps ? "data" : "data,axes", "y");
	onnx_writer_int(writer, "keepdims", keeps);
	run_one(writer, &data, axes == 1, dtype, y);
	reduce_check(op, &data, axes, y);
}

/* _i is the opset. */
START_TEST(reductions_read_their_axes)
{
	static const enum dtype dtypes[] = {DTYPE_F32, DTYPE_F16, DTYPE_BF16, DTYPE_I32, DTYPE_I64};

	seed = 200 + (uint32_t)_i;
	for (int op = 0; op < REDUCTIONS; op++)
		for (size_t dtype = 0; dtype < COUNT(dtypes); dtype++)
			for (uint32_t axes = 1; axes < 8; axes++) {
				bool is_float = dtype_is_float(dtypes[dtype]);

				/* A mean of integers is no integer; roots and logarithms neither. */
				if (!is_float && (op == MEAN || op == L2 || op >= LOG_SUM))
					continue;
				reduce_run(op, _i, dtypes[dtype], axes, axes & 1);
				reduce_run(op, _i, dtypes[dtype], axes, !(axes & 1));
			}
}
END_TEST

/* Extremes of bytes, too. */
START_TEST(extremes_are_of_bytes_too)
{
	seed = 210 + (uint32_t)_i;
	for (int op = MAX; op <= MIN; op++)
		for (uint32_t axes = 1; axes < 8; axes++) {
			reduce_run(op, _i, DTYPE_U8, axes, true);
			reduce_run(op, _i, DTYPE_I8, axes, false);
		}
}
END_TEST

/* Of empty axes either all are reduced, or none. */
START_TEST(empty_axes_are_all_or_none)
{
	seed = 220 + (uint32_t)_i;
	for (int op = SUM; op <= MIN; op++)
		for (int64_t noop = 0; noop < 2; noop++) {
			struct test_operand data = {"data", DTYPE_F32, 2, {3, 4}, ""};
			struct onnx_writer *writer = onnx_writer_new(_i);
			char y[OPERAND_BYTES_MAX];

			operand_fill(&data, -4, 9, &seed);
			put_i64(writer, "axes", NULL, 0);
			onnx_writer_node(writer, reductions[op], "data,axes", "y");
			onnx_writer_int(writer, "noop_with_empty_axes", noop);
			run_one(writer, &data, false, DTYPE_F32, y);
			reduce_check(op, &data, noop ? 0 : 3, y);
		}
}
END_TEST

/* --- parts --- */

/* num_outputs: the last part may be smaller. */
START_TEST(split_takes_a_number_of_outputs)
{
	seed = 230 + (uint32_t)_i;
	for (int64_t size = 5; size <= 9; size++)
		for (int from_end = 0; from_end < 2; from_end++) {
			struct test_operand data = {"data", DTYPE_I64, 2, {2, size}, ""};
			struct onnx_writer *writer = onnx_writer_new(_i);
			int64_t part = (size + 2) / 3;
			char y[3][OPERAND_BYTES_MAX];

			operand_fill(&data, -50, 100, &seed);
			onnx_writer_node(writer, "Split", "data", "a,b,c");
			onnx_writer_int(writer, "axis", from_end ? -1 : 1);
			onnx_writer_int(writer, "num_outputs", 3);
			for (int output = 0; output < 3; output++)
				onnx_writer_output(writer, ((const char *[]){"a", "b", "c"})[output],
						   DTYPE_I64, NULL);
			operand_run(writer, (const struct test_operand *const[]){&data}, 1, 0,
				    (void *const[]){y[0], y[1], y[2]});
			for (int64_t index = 0; index < 2 * size; index++) {
				int64_t column = index % size, at = column / part;
				int64_t width = at < 2 ? part : size - 2 * part;

				compare(y[at], DTYPE_I64,
					index / size * width + column - at * part,
					operand_at(&data, index));
			}
		}
}
END_TEST

/* Some axes alone, in any order. _i is the opset. */
START_TEST(pad_takes_axes)
{
	static const enum dtype dtypes[] = {DTYPE_F32, DTYPE_I64, DTYPE_U8, DTYPE_F16};
	static const int64_t axes[] = {-1, 0}, pads[] = {1, 2, 3, 0};

	seed = 240 + (uint32_t)_i;
	for (size_t dtype = 0; dtype < COUNT(dtypes); dtype++) {
		struct test_operand data = {"data", dtypes[dtype], 3, {2, 3, 2}, ""};
		struct test_operand value = {"value", dtypes[dtype], 0, {0}, ""};
		struct onnx_writer *writer = onnx_writer_new(_i);
		char y[OPERAND_BYTES_MAX];

		operand_fill(&data, 0, 9, &seed);
		operand_set(&value, 0, 77);
		put_i64(writer, "pads", pads, COUNT(pads));
		put_i64(writer, "axes", axes, COUNT(axes));
		onnx_writer_node(writer, "Pad", "data,pads,value,axes", "y");
		onnx_writer_output(writer, "y", (int32_t)dtypes[dtype], NULL);
		operand_run(writer, (const struct test_operand *const[]){&data, &value}, 2, 2,
			    (void *const[]){y});
		/* [2 + 2, 3, 1 + 2 + 3] */
		for (int64_t index = 0; index < 4 * 3 * 6; index++) {
			int64_t row = index / 18 - 2, column = index % 6 - 1;
			bool is_inside = row >= 0 && column >= 0 && column < 2;

			compare(y, dtypes[dtype], index,
				is_inside ? operand_at(&data, row * 6 + index / 6 % 3 * 2 + column)
					  : 77);
		}
	}
}
END_TEST

/* --- numbers --- */

/* _i: the opset, exact and by tanh in turn. */
START_TEST(gelu_is_exact_or_by_tanh)
{
	bool is_tanh = _i & 1;
	static const enum dtype dtypes[] = {DTYPE_F32, DTYPE_F16};

	seed = 250 + (uint32_t)_i;
	for (size_t dtype = 0; dtype < COUNT(dtypes); dtype++)
		for (int is_constant = 0; is_constant < 2; is_constant++) {
			struct test_operand data = {"data", dtypes[dtype], 2, {5, 9}, ""};
			struct onnx_writer *writer = onnx_writer_new(20 + _i / 2);
			char y[OPERAND_BYTES_MAX];

			operand_fill(&data, -6, 13, &seed);
			if (dtypes[dtype] == DTYPE_F32)
				fixture_floats((float *)(void *)data.data, 45, &seed);
			onnx_writer_node(writer, "Gelu", "data", "y");
			if (is_tanh || is_constant)
				onnx_writer_string(writer, "approximate", is_tanh ? "tanh" : "none");
			run_one(writer, &data, is_constant, dtypes[dtype], y);
			for (int64_t index = 0; index < 45; index++) {
				double x = operand_at(&data, index);
				double curve = is_tanh ? tanh(sqrt(2 / acos(-1)) *
							      (x + 0.044715 * x * x * x))
						       : erf(x / sqrt(2));

				compare(y, dtypes[dtype], index, 0.5 * x * (1 + curve));
			}
		}
}
END_TEST

static double saturated(double x, enum dtype dtype)
{
	double low = dtype == DTYPE_U8 ? 0 : -128, high = dtype == DTYPE_U8 ? 255 : 127;

	return x < low ? low : x > high ? high : x;
}

/* By one scale or one a column, to the type of a zero or of output_dtype, and back. _i is the opset. */
START_TEST(levels_go_to_the_type_that_is_named_and_back)
{
	static const float scales[] = {0.5f, 0.25f, 0.125f};
	static const char zeros[] = {3, 5, 7};

	seed = 260 + (uint32_t)_i;
	for (int form = 0; form < 8; form++) {
		enum dtype dtype = form & 1 ? DTYPE_I8 : DTYPE_U8;
		bool is_column = form & 2, has_zero = form & 4;
		struct test_operand data = {"data", DTYPE_F32, 2, {4, 3}, ""};
		/* Before opset 21 a zero alone names the type. */
		int64_t opset = !has_zero && dtype == DTYPE_I8 ? 21 : _i;
		struct onnx_writer *writer = onnx_writer_new(opset);
		char levels[OPERAND_BYTES_MAX], back[OPERAND_BYTES_MAX];

		fixture_floats((float *)(void *)data.data, 12, &seed);
		for (int index = 0; index < 12; index++)
			((float *)(void *)data.data)[index] *= 60;
		onnx_writer_tensor(writer, "scale", DTYPE_F32, is_column ? "3" : "", scales,
				   is_column ? sizeof(scales) : sizeof(scales[0]));
		onnx_writer_tensor(writer, "zero", (int32_t)dtype, is_column ? "3" : "", zeros,
				   is_column ? sizeof(zeros) : 1);
		onnx_writer_node(writer, "QuantizeLinear", has_zero ? "data,scale,zero" : "data,scale",
				 "levels");
		onnx_writer_int(writer, "axis", -1);
		if (!has_zero && dtype == DTYPE_I8)
			onnx_writer_int(writer, "output_dtype", DTYPE_I8);
		onnx_writer_node(writer, "DequantizeLinear",
				 has_zero ? "levels,scale,zero" : "levels,scale", "back");
		onnx_writer_int(writer, "axis", 1);
		onnx_writer_output(writer, "levels", (int32_t)dtype, NULL);
		onnx_writer_output(writer, "back", DTYPE_F32, NULL);
		operand_run(writer, (const struct test_operand *const[]){&data}, 1, 0,
			    (void *const[]){levels, back});
		for (int64_t index = 0; index < 12; index++) {
			double scale = (double)scales[is_column ? index % 3 : 0];
			double zero = has_zero ? zeros[is_column ? index % 3 : 0] : 0;
			double level = saturated(
				nearbyint(operand_at(&data, index) / scale) + zero, dtype);

			compare(levels, dtype, index, level);
			compare(back, DTYPE_F32, index, (level - zero) * scale);
		}
	}
}
END_TEST

/* saturate is for float8 alone; _i is the opset. */
START_TEST(casts_are_as_before)
{
	static const enum dtype dtypes[] = {DTYPE_F32, DTYPE_F16, DTYPE_BF16, DTYPE_I64,
					    DTYPE_I32, DTYPE_U8,  DTYPE_I8,   DTYPE_BOOL};

	seed = 270 + (uint32_t)_i;
	for (size_t from = 0; from < COUNT(dtypes); from++)
		for (size_t to = 0; to < COUNT(dtypes); to++) {
			struct test_operand data = {"data", dtypes[from], 1, {24}, ""};
			struct onnx_writer *writer = onnx_writer_new(_i);
			char y[OPERAND_BYTES_MAX];

			operand_fill(&data, 0, 100, &seed);
			onnx_writer_node(writer, "Cast", "data", "y");
			onnx_writer_int(writer, "to", dtypes[to]);
			if (_i >= 19)
				onnx_writer_int(writer, "saturate", from & 1);
			run_one(writer, &data, to & 1, dtypes[to], y);
			for (int64_t index = 0; index < 24; index++) {
				double x = operand_at(&data, index);

				compare(y, dtypes[to], index, dtypes[to] == DTYPE_BOOL ? x != 0 : x);
			}
		}
}
END_TEST

/* Of every type, bool among them; _i is the opset. */
START_TEST(equal_and_identity_take_every_type)
{
	static const enum dtype dtypes[] = {DTYPE_F32, DTYPE_F16, DTYPE_BF16, DTYPE_I64,
					    DTYPE_I32, DTYPE_U8,  DTYPE_I8,   DTYPE_BOOL};

	seed = 280 + (uint32_t)_i;
	for (size_t dtype = 0; dtype < COUNT(dtypes); dtype++) {
		struct test_operand data = {"data", dtypes[dtype], 2, {4, 3}, ""};
		struct test_operand other = {"other", dtypes[dtype], 1, {3}, ""};
		struct onnx_writer *writer = onnx_writer_new(_i);
		char y[OPERAND_BYTES_MAX], same[OPERAND_BYTES_MAX];

		operand_fill(&data, 0, 3, &seed);
		operand_fill(&other, 0, 3, &seed);
		onnx_writer_node(writer, "Equal", "data,other", "y");
		onnx_writer_node(writer, "Identity", "data", "same");
		onnx_writer_output(writer, "y", DTYPE_BOOL, NULL);
		onnx_writer_output(writer, "same", (int32_t)dtypes[dtype], NULL);
		operand_run(writer, (const struct test_operand *const[]){&data, &other}, 2, _i & 2,
			    (void *const[]){y, same});
		for (int64_t index = 0; index < 12; index++) {
			double x = operand_at(&data, index);

			compare(y, DTYPE_BOOL, index, x == operand_at(&other, index % 3));
			compare(same, dtypes[dtype], index, x);
		}
	}
}
END_TEST

/* --- shapes --- */

/* start and end of Shape are clamped, and may count from the end; _i is the opset. */
START_TEST(shape_takes_a_start_and_an_end)
{
	static const int64_t bounds[] = {-9, -3, -1, 0, 1, 2, 3, 9};

	for (size_t start = 0; start < COUNT(bounds); start++)
		for (size_t end = 0; end < COUNT(bounds); end++) {
			struct test_operand data = {"data", DTYPE_F32, 3, {2, 3, 4}, ""};
			struct onnx_writer *writer = onnx_writer_new(_i);
			int64_t first = bounds[start] + (bounds[start] < 0 ? 3 : 0);
			int64_t last = bounds[end] + (bounds[end] < 0 ? 3 : 0);
			char y[OPERAND_BYTES_MAX];

			first = first < 0 ? 0 : first;
			last = last > 3 ? 3 : last;
			onnx_writer_node(writer, "Shape", "data", "y");
			onnx_writer_int(writer, "start", bounds[start]);
			onnx_writer_int(writer, "end", bounds[end]);
			run_one(writer, &data, false, DTYPE_I64, y);
			for (int64_t axis = first; axis < last; axis++)
				compare(y, DTYPE_I64, axis - first, (double)data.dims[axis]);
		}
}
END_TEST

/* A 0 copies a dimension, or is one; _i is the opset. */
START_TEST(reshape_copies_a_dimension_or_takes_zero)
{
	static const int64_t copies[] = {0, 2, -1}, zero[] = {3, 0, 5};
	struct test_operand data = {"data", DTYPE_F32, 2, {2, 6}, ""};
	struct test_operand empty = {"empty", DTYPE_F32, 2, {0, 6}, ""};
	struct onnx_writer *writer = onnx_writer_new(_i);
	char y[OPERAND_BYTES_MAX], shapes[OPERAND_BYTES_MAX], nothing[OPERAND_BYTES_MAX];

	seed = 290 + (uint32_t)_i;
	operand_fill(&data, -9, 20, &seed);
	put_i64(writer, "copies", copies, 3);
	put_i64(writer, "zero", zero, 3);
	onnx_writer_node(writer, "Reshape", "data,copies", "y");
	onnx_writer_node(writer, "Reshape", "empty,zero", "nothing");
	onnx_writer_int(writer, "allowzero", 1);
	onnx_writer_node(writer, "Shape", "y", "of_y");
	onnx_writer_node(writer, "Shape", "nothing", "of_nothing");
	onnx_writer_node(writer, "Concat", "of_y,of_nothing", "shapes");
	onnx_writer_int(writer, "axis", 0);
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	onnx_writer_output(writer, "shapes", DTYPE_I64, NULL);
	onnx_writer_output(writer, "nothing", DTYPE_F32, NULL);
	operand_run(writer, (const struct test_operand *const[]){&data, &empty}, 2, 0,
		    (void *const[]){y, shapes, nothing});
	for (int64_t index = 0; index < 12; index++)
		compare(y, DTYPE_F32, index, operand_at(&data, index));
	ck_assert_mem_eq(shapes, ((const int64_t[]){2, 2, 3, 3, 0, 5}), 6 * sizeof(int64_t));
}
END_TEST

/* --- refusals --- */

static const struct {
	const char *op;
	const char *inputs;
	const char *attribute; /* an integer, or mode; NULL */
	int64_t value;
	const char *sentence;
} refusals[] = {
	{"QuantizeLinear", "x,scale", "block_size", 2, "blocks of an axis are not supported"},
	{"DequantizeLinear", "bytes,scale", "block_size", 2, "blocks of an axis are not supported"},
	{"QuantizeLinear", "x,scale", "output_dtype", 22, "to int4; supported: uint8, int8"},
	{"QuantizeLinear", "x,scale", "output_dtype", 17, "to float8e4m3fn; supported: uint8, int8"},
	{"QuantizeLinear", "x,half", NULL, 0, "its scale 'half' is float16; supported: float32"},
	{"DequantizeLinear", "bytes,half", NULL, 0,
	 "its scale 'half' is float16; supported: float32"},
	{"DequantizeLinear", "nibbles,scale", NULL, 0, "'nibbles' is int4"},
	{"Cast", "x", "to", 18, "a cast to float8e4m3fnuz; supported: float32"},
	{"Cast", "x", "to", 21, "a cast to uint4; supported: float32"},
	{"Pad", "x,pads", "mode", 0, "mode 'wrap'; supported: constant"},
	{"Split", "x", "num_outputs", 2, "num_outputs is 2, it has 1 outputs"},
	{"ReduceMax", "truth", NULL, 0, "its input 'truth' is bool"},
};

START_TEST(what_is_not_computed_is_refused_by_name)
{
	static const float x[8];
	struct onnx_writer *writer = onnx_writer_new(21);
	struct engine *engine;

	onnx_writer_input(writer, "x", DTYPE_F32, "2,4");
	onnx_writer_input(writer, "bytes", DTYPE_U8, "2,4");
	onnx_writer_input(writer, "truth", DTYPE_BOOL, "2,4");
	onnx_writer_tensor(writer, "nibbles", 22, "2,4", x, 4);
	onnx_writer_tensor(writer, "half", DTYPE_F16, "", x, 2);
	onnx_writer_tensor(writer, "scale", DTYPE_F32, "", x, 4);
	put_i64(writer, "pads", (const int64_t[]){0, 1, 0, 1}, 4);
	onnx_writer_node(writer, refusals[_i].op, refusals[_i].inputs, "y");
	if (refusals[_i].attribute && strcmp(refusals[_i].attribute, "mode") == 0)
		onnx_writer_string(writer, "mode", "wrap");
	else if (refusals[_i].attribute)
		onnx_writer_int(writer, refusals[_i].attribute, refusals[_i].value);
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	engine = fixture_engine(writer, NULL);
	ck_assert_msg(engine == NULL, "%s is accepted", refusals[_i].sentence);
	ck_assert_msg(strstr(err_message(), refusals[_i].sentence) != NULL,
		      "\"%s\" is not in \"%s\"", refusals[_i].sentence, err_message());
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("opsets");
	TCase *tests = tcase_create("opsets");

	tcase_set_timeout(tests, 120);
	tcase_add_loop_test(tests, reductions_read_their_axes, OPSET_FIRST, OPSET_END);
	tcase_add_loop_test(tests, extremes_are_of_bytes_too, OPSET_FIRST, OPSET_END);
	tcase_add_loop_test(tests, empty_axes_are_all_or_none, OPSET_FIRST, OPSET_END);
	tcase_add_loop_test(tests, split_takes_a_number_of_outputs, OPSET_FIRST, OPSET_END);
	tcase_add_loop_test(tests, pad_takes_axes, OPSET_FIRST, OPSET_END);
	tcase_add_loop_test(tests, gelu_is_exact_or_by_tanh, 0, 4);
	tcase_add_loop_test(tests, levels_go_to_the_type_that_is_named_and_back, OPSET_FIRST,
			    OPSET_END);
	tcase_add_loop_test(tests, casts_are_as_before, OPSET_FIRST, OPSET_END);
	tcase_add_loop_test(tests, equal_and_identity_take_every_type, OPSET_FIRST, OPSET_END);
	tcase_add_loop_test(tests, shape_takes_a_start_and_an_end, OPSET_FIRST, OPSET_END);
	tcase_add_loop_test(tests, reshape_copies_a_dimension_or_takes_zero, OPSET_FIRST,
			    OPSET_END);
	tcase_add_loop_test(tests, what_is_not_computed_is_refused_by_name, 0, COUNT(refusals));
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
