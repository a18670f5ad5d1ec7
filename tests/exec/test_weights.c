/* SPDX-License-Identifier: MIT */
/*
 * tests/exec/test_weights.c - large weights have pages of their own, with nothing of their neighbours
 *
 * The table and the matrix stand between other numbers in the file, beside model.onnx and inside it:
 * there at offsets of no alignment at all.
 */
#include <check.h>
#include <string.h>

#include "tests/exec/engine_fixture.h"
#include "tests/exec/twins.h"
#include "tests/suite.h"

#define ROWS 11000
#define DIM 48 /* the table is longer than one read */
#define WIDTH 150
#define PAGE ONNX_PAGE_BYTES

static float table[ROWS * DIM], matrix[WIDTH * WIDTH];

static void tensor_put(struct onnx_writer *writer, bool is_beside, const char *name,
		       const char *shape, const float *data, uint64_t bytes)
{
	if (is_beside)
		onnx_writer_external(writer, name, DTYPE_F32, shape, data, bytes, "model.bin", 64);
	else
		onnx_writer_tensor(writer, name, DTYPE_F32, shape, data, bytes);
}

static struct onnx_writer *model_make(bool is_beside)
{
	struct onnx_writer *writer = onnx_writer_new(17);
	uint32_t seed = 5;

	fixture_floats(table, ROWS * DIM, &seed);
	fixture_floats(matrix, WIDTH * WIDTH, &seed);
	onnx_writer_input(writer, "ids", DTYPE_I64, "batch");
	onnx_writer_input(writer, "x", DTYPE_F32, "batch,150");
	tensor_put(writer, is_beside, "before", "150", matrix, WIDTH * sizeof(float));
	tensor_put(writer, is_beside, "table", "11000,48", table, sizeof(table));
	tensor_put(writer, is_beside, "between", "150", matrix, WIDTH * sizeof(float));
	tensor_put(writer, is_beside, "w", "150,150", matrix, sizeof(matrix));
	tensor_put(writer, is_beside, "behind", "150", matrix, WIDTH * sizeof(float));
	onnx_writer_node(writer, "Gather", "table,ids", "rows");
	onnx_writer_node(writer, "Add", "x,before", "x1");
	onnx_writer_node(writer, "Mul", "x1,between", "x2");
	onnx_writer_node(writer, "MatMul", "x2,w", "x3");
	onnx_writer_node(writer, "Add", "x3,behind", "y");
	onnx_writer_output(writer, "rows", DTYPE_F32, NULL);
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	return writer;
}

static void zero_check(const char *begin, const char *end)
{
	while (begin < end && *begin == 0)
		begin++;
	ck_assert_msg(begin == end, "%ld bytes before the end stands 0x%x", (long)(end - begin),
		      begin < end ? (unsigned char)*begin : 0);
}

/* _i: beside model.onnx? */
START_TEST(a_table_lies_alone_in_its_pages)
{
	struct twins twins;
	const struct lowering *lowering = &twins.plain.lowering;
	uint32_t found = 0;

	twins_init(&twins, model_make(_i), 8);
	for (uint32_t index = 0; index < lowering->weight_count; index++) {
		const struct weight *weight = &lowering->weights[index];
		const char *place = (const char *)twins.plain.weights + weight->offset;
		const char *end = place + sizeof(table);

		if (weight->bytes != sizeof(table))
			continue;
		found++;
		ck_assert_mem_eq(place, table, sizeof(table));
		ck_assert_uint_eq(weight->offset % 64, 0);
		zero_check(place - weight->offset % PAGE, place);
		zero_check(end, end + (PAGE - (uintptr_t)end % PAGE) % PAGE);
	}
	ck_assert_uint_eq(found, 1);
	twins_compare(&twins, 8, 1.0f, 1e-5, 3);
	twins_deinit(&twins);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("weights");
	TCase *tests = tcase_create("weights");

	tcase_add_loop_test(tests, a_table_lies_alone_in_its_pages, 0, 2);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
