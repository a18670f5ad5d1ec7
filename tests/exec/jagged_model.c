/* SPDX-License-Identifier: MIT */
/* tests/exec/jagged_model.c - two bags of values and offsets beside dense rows and a user */
#include "tests/exec/jagged_model.h"

#include "tests/exec/engine_fixture.h"

static const struct loop_variant sum = {.opset = 13, .reduce = "ReduceSum"};
static const struct loop_variant weighted = {.opset = 13, .reduce = "ReduceSum", .weighted = true};
static const struct loop_variant last = {
	.opset = 13, .reduce = "ReduceSum", .weighted = true, .include_last = true};

struct onnx_writer *jagged_model(bool include_last)
{
	static float table[LOOP_ROWS * LOOP_DIM], matrix[LOOP_DIM * LOOP_DIM];
	struct onnx_writer *writer;
	uint32_t seed = 5;

	fixture_floats(table, LOOP_ROWS * LOOP_DIM, &seed);
	fixture_floats(matrix, LOOP_DIM * LOOP_DIM, &seed);
	if (include_last)
		return loop_model(&last, table);
	writer = onnx_writer_new(13);
	onnx_writer_input(writer, "x", DTYPE_F32, "batch,5");
	onnx_writer_input(writer, "ids", DTYPE_I64, "values");
	onnx_writer_input(writer, "offsets", DTYPE_I64, "batch");
	onnx_writer_input(writer, "others", DTYPE_I32, "more");
	onnx_writer_input(writer, "starts", DTYPE_I32, "batch");
	onnx_writer_input(writer, "weights", DTYPE_F32, "more");
	onnx_writer_input(writer, "user", DTYPE_F32, "1,5");
	onnx_writer_tensor(writer, "table", DTYPE_F32, "11,5", table, sizeof(table));
	onnx_writer_tensor(writer, "matrix", DTYPE_F32, "5,5", matrix, sizeof(matrix));
	onnx_writer_node(writer, "Cast", "starts", "wide");
	onnx_writer_int(writer, "to", DTYPE_I64);
	onnx_writer_node(writer, "Sigmoid", "weights", "gates");
	loop_model_bag(writer, &sum, "a_", "table", "ids", "offsets", NULL, "first");
	loop_model_bag(writer, &weighted, "b_", "table", "others", "wide", "gates", "second");
	onnx_writer_node(writer, "MatMul", "second,matrix", "mixed");
	onnx_writer_node(writer, "Add", "first,mixed", "bags");
	onnx_writer_node(writer, "Mul", "x,user", "dense");
	onnx_writer_node(writer, "Add", "bags,dense", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	return writer;
}
