/* SPDX-License-Identifier: MIT */
/*
 * tests/exec/test_weights.c - large weights have pages of their own, with nothing of their neighbours
 *
 * The table and the matrices stand between other numbers in the file, beside model.onnx and inside
 * it: there at offsets of no alignment at all. Matrices land where the table will be; where there is
 * none, in memory of the load's own, and there are more of them than landings.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exec/landings.h"
#include "tests/exec/engine_fixture.h"
#include "tests/exec/twins.h"
#include "tests/suite.h"

#define ROWS 11000
#define DIM 48 /* the table is longer than one read */
#define WIDTH 150
#define PAGE ONNX_PAGE_BYTES

#define MATRICES (LANDINGS_MAX + 5)

static float table[ROWS * DIM], matrices[MATRICES][WIDTH * WIDTH];

static void tensor_put(struct onnx_writer *writer, bool is_beside, const char *name,
		       const char *shape, const float *data, uint64_t bytes)
{
	if (is_beside)
		onnx_writer_external(writer, name, DTYPE_F32, shape, data, bytes, "model.bin", 64);
	else
		onnx_writer_tensor(writer, name, DTYPE_F32, shape, data, bytes);
}

static struct onnx_writer *model_make(bool is_beside, bool has_table)
{
	struct onnx_writer *writer = onnx_writer_new(17);
	char name[16], inputs[32], output[16];
	uint32_t seed = 5;

	fixture_floats(table, ROWS * DIM, &seed);
	fixture_floats(matrices[0], MATRICES * WIDTH * WIDTH, &seed);
	onnx_writer_input(writer, "x", DTYPE_F32, "batch,150");
	for (int index = 0; index < MATRICES; index++) {
		snprintf(name, sizeof(name), "w%d", index);
		tensor_put(writer, is_beside, name, "150,150", matrices[index],
			   sizeof(matrices[index]));
		snprintf(inputs, sizeof(inputs), index ? "h%d,w%d" : "x,w0", index - 1, index);
		snprintf(output, sizeof(output), "h%d", index);
		onnx_writer_node(writer, "MatMul", inputs, output);
		onnx_writer_output(writer, output, DTYPE_F32, NULL);
	}
	if (!has_table)
		return writer;
	tensor_put(writer, is_beside, "table", "11000,48", table, sizeof(table));
	tensor_put(writer, is_beside, "behind", "48", matrices[0], DIM * sizeof(float));
	onnx_writer_input(writer, "ids", DTYPE_I64, "batch");
	onnx_writer_node(writer, "Gather", "table,ids", "rows");
	onnx_writer_node(writer, "Add", "rows,behind", "sum");
	onnx_writer_output(writer, "sum", DTYPE_F32, NULL);
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

	twins_init(&twins, model_make(_i, true), 8);
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
	twins_deinit(&twins);
}
END_TEST

/* _i: beside model.onnx? with a table? */
START_TEST(every_matrix_is_packed_from_its_own_bytes)
{
	static float packed[WIDTH * (WIDTH + GEMM_PANEL_COLUMNS)];
	size_t packed_bytes = gemm_packed_bytes(WIDTH, WIDTH);
	struct twins twins;
	const struct lowering *lowering = &twins.fused.lowering;
	uint32_t found = 0;

	twins_init(&twins, model_make(_i & 1, _i & 2), 8);
	for (uint32_t index = 0; index < lowering->weight_count; index++) {
		const struct weight *weight = &lowering->weights[index];
		const char *name = graph_value(lowering->graph, weight->value)->name;

		if (weight->layout != WEIGHT_GEMM)
			continue;
		found++;
		gemm_pack(packed, matrices[atoi(name + 1)], WIDTH, WIDTH, WIDTH, 1);
		ck_assert_mem_eq((const char *)twins.fused.weights + weight->offset, packed,
				 packed_bytes);
	}
	ck_assert_uint_eq(found, MATRICES);
	twins_deinit(&twins);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("weights");
	TCase *tests = tcase_create("weights");

	tcase_add_loop_test(tests, a_table_lies_alone_in_its_pages, 0, 2);
	tcase_add_loop_test(tests, every_matrix_is_packed_from_its_own_bytes, 0, 4);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
