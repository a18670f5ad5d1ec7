/* SPDX-License-Identifier: MIT */
/* tests/exec/jagged_model.c - two bags of values and offsets beside dense rows and a user */
#include "tests/exec/jagged_model.h"

#include <stdio.h>
#include <string.h>

#include "tests/exec/engine_fixture.h"

static const struct loop_variant sum = {.opset = 13, .reduce = "ReduceSum"};
static const struct loop_variant weighted = {.opset = 13, .reduce = "ReduceSum", .weighted = true};
static const struct loop_variant sum_to_last = {
	.opset = 13, .reduce = "ReduceSum", .include_last = true};
static const struct loop_variant last = {
	.opset = 13, .reduce = "ReduceSum", .weighted = true, .include_last = true};

static void put_many(struct onnx_writer *writer)
{
	char parts[JAGGED_BAGS * 8] = "x";

	onnx_writer_input(writer, "x", DTYPE_F32, "batch,5");
	for (int bag = 0; bag < JAGGED_BAGS; bag++) {
		const struct loop_variant *variant = bag % 4 == 3 ? &sum_to_last : &sum;
		char ids[16], offsets[16], prefix[16], pooled[16], size[16], bounds[16];

		(void)snprintf(ids, sizeof(ids), "ids%d", bag);
		(void)snprintf(offsets, sizeof(offsets), "offsets%d", bag);
		(void)snprintf(prefix, sizeof(prefix), "b%d_", bag);
		(void)snprintf(pooled, sizeof(pooled), "p%d", bag);
		(void)snprintf(size, sizeof(size), "values%d", bag);
		(void)snprintf(bounds, sizeof(bounds), "bounds%d", bag);
		onnx_writer_input(writer, ids, DTYPE_I64, size);
		onnx_writer_input(writer, offsets, DTYPE_I64,
				  variant->include_last ? bounds : "batch");
		loop_model_bag(writer, variant, prefix, "table", ids, offsets, NULL, pooled);
		(void)snprintf(parts + strlen(parts), sizeof(parts) - strlen(parts), ",%s", pooled);
	}
	onnx_writer_node(writer, "Concat", parts, "joined");
	onnx_writer_int(writer, "axis", 1);
	onnx_writer_node(writer, "MatMul", "joined,wide", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
}

struct onnx_writer *jagged_model(enum jagged_kind kind)
{
	static float wide[(JAGGED_BAGS + 1) * LOOP_DIM * LOOP_DIM];
	static float table[LOOP_ROWS * LOOP_DIM], matrix[LOOP_DIM * LOOP_DIM];
	struct onnx_writer *writer;
	uint32_t seed = 5;

	fixture_floats(table, LOOP_ROWS * LOOP_DIM, &seed);
	fixture_floats(matrix, LOOP_DIM * LOOP_DIM, &seed);
	if (kind == JAGGED_LAST)
		return loop_model(&last, table);
	writer = onnx_writer_new(13);
	onnx_writer_tensor(writer, "table", DTYPE_F32, "11,5", table, sizeof(table));
	if (kind == JAGGED_MANY) {
		fixture_floats(wide, (JAGGED_BAGS + 1) * LOOP_DIM * LOOP_DIM, &seed);
		onnx_writer_tensor(writer, "wide", DTYPE_F32, "135,5", wide, sizeof(wide));
		put_many(writer);
		return writer;
	}
	onnx_writer_input(writer, "x", DTYPE_F32, "batch,5");
	onnx_writer_input(writer, "ids", DTYPE_I64, "values");
	onnx_writer_input(writer, "offsets", DTYPE_I64, "batch");
	onnx_writer_input(writer, "others", DTYPE_I32, "more");
	onnx_writer_input(writer, "starts", DTYPE_I32, "batch");
	onnx_writer_input(writer, "weights", DTYPE_F32, "more");
	onnx_writer_input(writer, "user", DTYPE_F32, "1,5");
	onnx_writer_tensor(writer, "matrix", DTYPE_F32, "5,5", matrix, sizeof(matrix));
	onnx_writer_node(writer, "Cast", "starts", "wide");
	onnx_writer_int(writer, "to", DTYPE_I64);
	if (kind == JAGGED_BESIDE)
		onnx_writer_node(writer, "Sigmoid", "weights", "gates");
	loop_model_bag(writer, &sum, "a_", "table", "ids", "offsets", NULL, "first");
	loop_model_bag(writer, &weighted, "b_", "table", "others", "wide",
		       kind == JAGGED_BESIDE ? "gates" : "weights", "second");
	onnx_writer_node(writer, "MatMul", "second,matrix", "mixed");
	onnx_writer_node(writer, "Add", "first,mixed", "bags");
	onnx_writer_node(writer, "Mul", "x,user", "dense");
	onnx_writer_node(writer, "Add", "bags,dense", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	return writer;
}
