/* SPDX-License-Identifier: MIT */
/*
 * tests/exec/test_points.c - GatherElements, GatherND, ScatterND and TopK against the words of the
 * specification, with ids of a run and of the file, of one type or the other
 */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "kernels/ref/ref.h"
#include "tests/exec/engine_fixture.h"
#include "tests/exec/operand.h"
#include "tests/suite.h"

#define COUNT(sweep) (sizeof(sweep) / sizeof((sweep)[0]))

/* Bits of a way to give the same model. */
enum {
	WAY_CONSTANT_IDS = 1,
	WAY_CONSTANT_DATA = 2, /* and updates */
	WAY_NARROW_IDS = 4,    /* int32 */
	WAY_ALL = 8,
};

static uint32_t seed;

/* Every index of an axis, from the front or from the end; most of them more than once. */
static void fill_ids(struct test_operand *ids, int64_t first, int64_t step, int64_t size)
{
	for (int64_t index = first; index < operand_elements(ids); index += step) {
		int64_t value;

		fixture_ids(&value, 1, 2 * size, &seed);
		operand_set(ids, index, value - size);
	}
}

static void compare(const struct test_operand *operand, double expected, int64_t index, const void *y)
{
	double got = ref_read(y, operand->dtype, index);

	ck_assert_msg(got == expected || (isnan(got) && isnan(expected)),
		      "element %lld is %g, wanted %g", (long long)index, got, expected);
}

static const enum dtype dtypes[] = {DTYPE_F32, DTYPE_I64,  DTYPE_I32, DTYPE_U8,
				    DTYPE_I8,  DTYPE_BOOL, DTYPE_F16, DTYPE_BF16};

static enum dtype ids_dtype(int way)
{
	return way & WAY_NARROW_IDS ? DTYPE_I32 : DTYPE_I64;
}

static uint32_t constants(int way)
{
	return (way & WAY_CONSTANT_IDS ? 2 : 0) | (way & WAY_CONSTANT_DATA ? 5 : 0);
}

/* --- GatherElements --- */

static void check_gather_elements(const struct test_operand *data, const struct test_operand *ids,
				  uint32_t axis, int way)
{
	const struct test_operand *operands[] = {data, ids};
	struct onnx_writer *writer = onnx_writer_new(13);
	char y[OPERAND_BYTES_MAX];
	void *outputs[] = {y};

	onnx_writer_node(writer, "GatherElements", "data,ids", "y");
	onnx_writer_int(writer, "axis", way & 1 ? (int64_t)axis - data->rank : axis);
	onnx_writer_output(writer, "y", (int32_t)data->dtype, NULL);
	operand_run(writer, operands, 2, constants(way), outputs);
	for (int64_t index = 0; index < operand_elements(ids); index++) {
		int64_t place = 0, rest = index;

		for (uint32_t dim = ids->rank; dim-- > 0; rest /= ids->dims[dim]) {
			int64_t along = rest % ids->dims[dim];

			if (dim == axis) {
				along = (int64_t)operand_at(ids, index);
				along += along < 0 ? data->dims[dim] : 0;
			}
			place += along * operand_span(data, dim + 1, data->rank);
		}
		compare(data, operand_at(data, place), index, y);
	}
}

/* _i is the way. */
START_TEST(elements_are_gathered_along_any_axis)
{
	static const int64_t fewer[] = {0, 1, 2};

	seed = 40 + (uint32_t)_i;
	for (uint32_t axis = 0; axis < 3; axis++)
		for (size_t dtype = 0; dtype < COUNT(dtypes); dtype++)
			for (size_t less = 0; less < COUNT(fewer); less++) {
				struct test_operand data = {"data", dtypes[dtype], 3, {4, 3, 5}, ""};
				struct test_operand ids = {"ids", ids_dtype(_i), 3, {4, 3, 5}, ""};

				/* Fewer along the other axes, more along its own. */
				for (uint32_t dim = 0; dim < 3; dim++)
					ids.dims[dim] += dim == axis ? 3 : -fewer[less];
				operand_fill(&data, -8, 16, &seed);
				fill_ids(&ids, 0, 1, data.dims[axis]);
				check_gather_elements(&data, &ids, axis, _i);
			}
}
END_TEST

/* --- GatherND --- */

static void check_gather_nd(const struct test_operand *data, const struct test_operand *ids, uint32_t batches,
			    int way)
{
	const struct test_operand *operands[] = {data, ids};
	struct onnx_writer *writer = onnx_writer_new(12);
	int64_t depth = ids->dims[ids->rank - 1];
	int64_t inner = operand_span(data, batches + (uint32_t)depth, data->rank);
	int64_t points = operand_span(ids, batches, ids->rank - 1);
	char y[OPERAND_BYTES_MAX];
	void *outputs[] = {y};

	onnx_writer_node(writer, "GatherND", "data,ids", "y");
	if (batches > 0)
		onnx_writer_int(writer, "batch_dims", batches);
	onnx_writer_output(writer, "y", (int32_t)data->dtype, NULL);
	operand_run(writer, operands, 2, constants(way), outputs);
	for (int64_t index = 0; index < operand_span(ids, 0, ids->rank - 1) * inner; index++) {
		int64_t point = index / inner;
		int64_t place = point / points;

		for (int64_t id = 0; id < depth; id++) {
			int64_t size = data->dims[batches + id];
			int64_t along = (int64_t)operand_at(ids, point * depth + id);

			place = place * size + (along < 0 ? along + size : along);
		}
		compare(data, operand_at(data, place * inner + index % inner), index, y);
	}
}

/* _i is the way. */
START_TEST(slices_are_gathered_behind_batches)
{
	seed = 50 + (uint32_t)_i;
	for (uint32_t batches = 0; batches <= 2; batches++)
		for (int64_t depth = 1; depth + batches <= 4; depth++)
			for (uint32_t middle = 0; middle <= 2; middle++) {
				enum dtype dtype = dtypes[seed % COUNT(dtypes)];
				struct test_operand data = {"data", dtype, 4, {2, 3, 4, 2}, ""};
				struct test_operand ids = {
					"ids", ids_dtype(_i), batches + middle + 1, {2, 3}, ""};

				for (uint32_t dim = 0; dim < middle; dim++)
					ids.dims[batches + dim] = 2 + dim;
				ids.dims[ids.rank - 1] = depth;
				operand_fill(&data, -8, 16, &seed);
				for (int64_t id = 0; id < depth; id++)
					fill_ids(&ids, id, depth, data.dims[batches + id]);
				check_gather_nd(&data, &ids, batches, _i);
			}
}
END_TEST

/* --- ScatterND --- */

static const char *const reductions[] = {"none", "add", "mul", "max", "min"};

static double combine(int reduction, double y, double x)
{
	switch (reduction) {
	case 1:
		return y + x;
	case 2:
		return y * x;
	case 3:
		return y > x ? y : x;
	case 4:
		return y < x ? y : x;
	default:
		return x;
	}
}

static void check_scatter_nd(const struct test_operand *data, const struct test_operand *ids,
			     const struct test_operand *updates, int reduction, int way)
{
	const struct test_operand *operands[] = {data, ids, updates};
	struct onnx_writer *writer = onnx_writer_new(reduction == 0 ? 11 : reduction < 3 ? 16 : 18);
	int64_t depth = ids->dims[ids->rank - 1];
	int64_t inner = operand_span(data, (uint32_t)depth, data->rank);
	double expected[OPERAND_ELEMENTS_MAX];
	char y[OPERAND_BYTES_MAX];
	void *outputs[] = {y};

	onnx_writer_node(writer, "ScatterND", "data,ids,updates", "y");
	if (reduction > 0)
		onnx_writer_string(writer, "reduction", reductions[reduction]);
	onnx_writer_output(writer, "y", (int32_t)data->dtype, NULL);
	operand_run(writer, operands, 3, constants(way), outputs);
	for (int64_t index = 0; index < operand_elements(data); index++)
		expected[index] = operand_at(data, index);
	for (int64_t index = 0; index < operand_elements(updates); index++) {
		int64_t place = 0;

		for (int64_t id = 0; id < depth; id++) {
			int64_t along = (int64_t)operand_at(ids, index / inner * depth + id);

			place = place * data->dims[id] + (along < 0 ? along + data->dims[id] : along);
		}
		place = place * inner + index % inner;
		expected[place] = combine(reduction, expected[place], operand_at(updates, index));
	}
	for (int64_t index = 0; index < operand_elements(data); index++)
		compare(data, expected[index], index, y);
}

/* Small whole numbers, which all types have exactly; _i is the way. */
START_TEST(updates_are_scattered_and_combined)
{
	seed = 60 + (uint32_t)_i;
	for (int reduction = 0; reduction < 5; reduction++)
		for (size_t dtype = 0; dtype < COUNT(dtypes); dtype++)
			for (int64_t depth = 1; depth <= 3; depth++) {
				struct test_operand data = {"data", dtypes[dtype], 3, {4, 3, 2}, ""};
				struct test_operand ids = {"ids", ids_dtype(_i), 3, {2, 3, depth}, ""};
				struct test_operand updates = {"updates", dtypes[dtype], 2, {2, 3}, ""};
				bool is_signed = dtypes[dtype] != DTYPE_U8;

				if (reduction > 0 && dtypes[dtype] == DTYPE_BOOL)
					continue;
				for (int64_t dim = depth; dim < 3; dim++)
					updates.dims[updates.rank++] = data.dims[dim];
				operand_fill(&data, is_signed ? -1 : 0, 3, &seed);
				operand_fill(&updates, is_signed ? -2 : 0, is_signed ? 5 : 3, &seed);
				for (int64_t id = 0; id < depth; id++)
					fill_ids(&ids, id, depth, data.dims[id]);
				check_scatter_nd(&data, &ids, &updates, reduction, _i);
			}
}
END_TEST

/* --- TopK --- */

/* NaN is larger than all numbers. */
static bool is_before(double a, double b, bool is_smallest)
{
	if (isnan(a) || isnan(b))
		return is_smallest ? !isnan(a) && isnan(b) : isnan(a) && !isnan(b);
	return is_smallest ? a < b : a > b;
}

static void check_topk(const struct test_operand *data, uint32_t axis, int64_t k, int64_t opset,
		       bool is_smallest, bool is_constant)
{
	const struct test_operand *operands[] = {data};
	struct onnx_writer *writer = onnx_writer_new(opset);
	int64_t inner = operand_span(data, axis + 1, data->rank);
	char y[OPERAND_BYTES_MAX];
	int64_t indices[OPERAND_ELEMENTS_MAX];
	void *outputs[] = {y, indices};

	if (opset >= 10)
		onnx_writer_tensor(writer, "k", DTYPE_I64, "1", &k, sizeof(k));
	onnx_writer_node(writer, "TopK", opset < 10 ? "data" : "data,k", "y,indices");
	onnx_writer_int(writer, "axis", is_constant ? axis : (int64_t)axis - data->rank);
	if (opset < 10)
		onnx_writer_int(writer, "k", k);
	if (opset >= 11) {
		onnx_writer_int(writer, "largest", !is_smallest);
		onnx_writer_int(writer, "sorted", is_constant);
	}
	onnx_writer_output(writer, "y", (int32_t)data->dtype, NULL);
	onnx_writer_output(writer, "indices", DTYPE_I64, NULL);
	operand_run(writer, operands, 1, is_constant, outputs);
	for (int64_t place = 0; place < operand_elements(data); place++) {
		int64_t index = place / inner % data->dims[axis];
		int64_t start = place - index * inner;
		int64_t rank = 0, target;

		for (int64_t other = 0; other < data->dims[axis]; other++) {
			double value = operand_at(data, start + other * inner);

			rank += is_before(value, operand_at(data, place), is_smallest) ||
				(!is_before(operand_at(data, place), value, is_smallest) && other < index);
		}
		if (rank >= k)
			continue;
		target = place / (inner * data->dims[axis]) * k * inner + rank * inner +
			 place % inner;
		ck_assert_int_eq(indices[target], index);
		compare(data, operand_at(data, place), target, y);
	}
}

/* _i is the axis. */
START_TEST(the_best_of_an_axis_are_in_order)
{
	static const int64_t opsets[] = {9, 10, 11, 18};

	seed = 70 + (uint32_t)_i;
	for (size_t dtype = 0; dtype < COUNT(dtypes); dtype++)
		for (size_t opset = 0; opset < COUNT(opsets); opset++)
			for (int way = 0; way < 4; way++) {
				struct test_operand data = {"data", dtypes[dtype], 3, {3, 5, 4}, ""};
				bool is_smallest = opsets[opset] >= 11 && (way & 1);

				if (dtypes[dtype] == DTYPE_BOOL)
					continue;
				operand_fill(&data, dtypes[dtype] == DTYPE_U8 ? 0 : -3, 7, &seed);
				if (dtypes[dtype] == DTYPE_F32)
					((float *)(void *)data.data)[seed % 60] = NAN;
				if (dtypes[dtype] == DTYPE_F16)
					((uint16_t *)(void *)data.data)[seed % 60] = 0x7e00;
				for (int64_t k = 1; k <= data.dims[_i]; k++)
					check_topk(&data, (uint32_t)_i, k, opsets[opset],
						   is_smallest, way & 2);
			}
}
END_TEST

START_TEST(indices_alone_are_found_too)
{
	static const float x[] = {3, 1, 2, 9, 8, 7};
	const int64_t symbols[SIGNATURE_SYMBOLS_MAX] = {2};
	const void *inputs[] = {x};
	struct row_status status[2] = {0};

	for (int shown = 0; shown < 2; shown++) {
		struct onnx_writer *writer = onnx_writer_new(11);
		struct engine *engine;
		char y[4 * sizeof(int64_t)];
		void *outputs[] = {y};

		onnx_writer_input(writer, "x", DTYPE_F32, "batch,3");
		onnx_writer_tensor(writer, "k", DTYPE_I64, "1", &(int64_t){2}, sizeof(int64_t));
		onnx_writer_node(writer, "TopK", "x,k", "y,indices");
		onnx_writer_output(writer, shown ? "y" : "indices",
				   shown ? (int32_t)DTYPE_F32 : (int32_t)DTYPE_I64, NULL);
		engine = fixture_engine(writer, NULL);
		ck_assert_msg(engine != NULL, "%s", err_message());
		ck_assert_int_eq(engine_signature(engine)->row_symbol, 0);
		fixture_run(engine, symbols, inputs, outputs, status);
		if (shown)
			ck_assert_mem_eq(y, ((const float[]){3, 2, 9, 8}), 4 * sizeof(float));
		else
			ck_assert_mem_eq(y, ((const int64_t[]){0, 2, 0, 1}), 4 * sizeof(int64_t));
		engine_free(engine);
	}
}
END_TEST

/* --- ids outside --- */

/* _i: GatherElements, GatherND behind a batch dimension, or into a table; the second row's first id
 * is outside. */
START_TEST(an_id_outside_is_told_to_its_row_alone)
{
	static const char *const shapes[] = {"batch,2", "batch,2,1", "batch,2,1"};
	static const float table[] = {1, 2, 3, 4};
	static const float x[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
	const int64_t ids[] = {0, -4, _i ? 4 : -5, 2, 3, 1};
	const int64_t symbols[SIGNATURE_SYMBOLS_MAX] = {3};
	struct onnx_writer *writer = onnx_writer_new(13);
	const void *inputs[] = {ids, x};
	struct row_status status[3] = {0};
	float y[6];
	void *outputs[] = {y};
	struct engine *engine;

	onnx_writer_input(writer, "ids", DTYPE_I64, shapes[_i]);
	if (_i < 2)
		onnx_writer_input(writer, "x", DTYPE_F32, "batch,4");
	else
		onnx_writer_tensor(writer, "x", DTYPE_F32, "4", table, sizeof(table));
	onnx_writer_node(writer, _i == 0 ? "GatherElements" : "GatherND", "x,ids", "y");
	if (_i < 2)
		onnx_writer_int(writer, _i == 0 ? "axis" : "batch_dims", 1);
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	engine = fixture_engine(writer, NULL);
	ck_assert_msg(engine != NULL, "%s", err_message());
	ck_assert_int_eq(engine_signature(engine)->row_symbol, 0);
	fixture_run(engine, symbols, inputs, outputs, status);
	ck_assert_uint_eq(status[0].error, 0);
	ck_assert_uint_ne(status[1].error, 0);
	ck_assert_uint_eq(status[2].error, 0);
	ck_assert_float_eq(y[0], 1);
	ck_assert_float_eq(y[1], 1);
	ck_assert_float_eq(y[4], _i < 2 ? 12 : 4);
	ck_assert_float_eq(y[5], _i < 2 ? 10 : 2);
	engine_free(engine);
}
END_TEST

START_TEST(an_update_outside_is_told_and_writes_nothing)
{
	static const float x[] = {1, 2, 3, 4}, updates[] = {10, 20, 30};
	static const int64_t ids[] = {3, 4, 1};
	const int64_t symbols[SIGNATURE_SYMBOLS_MAX] = {0};
	struct onnx_writer *writer = onnx_writer_new(16);
	const void *inputs[] = {x, ids, updates};
	struct row_status status[1] = {0};
	float y[4];
	void *outputs[] = {y};
	struct engine *engine;

	onnx_writer_input(writer, "x", DTYPE_F32, "4");
	onnx_writer_input(writer, "ids", DTYPE_I64, "3,1");
	onnx_writer_input(writer, "updates", DTYPE_F32, "3");
	onnx_writer_node(writer, "ScatterND", "x,ids,updates", "y");
	onnx_writer_string(writer, "reduction", "add");
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	engine = fixture_engine(writer, NULL);
	ck_assert_msg(engine != NULL, "%s", err_message());
	fixture_run(engine, symbols, inputs, outputs, status);
	ck_assert_uint_ne(status[0].error, 0);
	ck_assert_mem_eq(y, ((const float[]){1, 32, 3, 14}), sizeof(y));
	engine_free(engine);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("points");
	TCase *tests = tcase_create("points");

	tcase_set_timeout(tests, 120);
	tcase_add_loop_test(tests, elements_are_gathered_along_any_axis, 0, WAY_ALL);
	tcase_add_loop_test(tests, slices_are_gathered_behind_batches, 0, WAY_ALL);
	tcase_add_loop_test(tests, updates_are_scattered_and_combined, 0, WAY_ALL);
	tcase_add_loop_test(tests, the_best_of_an_axis_are_in_order, 0, 3);
	tcase_add_test(tests, indices_alone_are_found_too);
	tcase_add_loop_test(tests, an_id_outside_is_told_to_its_row_alone, 0, 3);
	tcase_add_test(tests, an_update_outside_is_told_and_writes_nothing);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
