/* SPDX-License-Identifier: MIT */
/* tests/exec/cold_model.c - a small model whose tables lie in files of their own */
#include "tests/exec/cold_model.h"

#include "kernels/types.h"

static float users[COLD_USERS * COLD_DIM];
static float items[COLD_ITEMS * COLD_DIM];
static float biases[COLD_ITEMS];

static float element(int64_t table, int64_t row, int64_t column)
{
	return (float)((table * 7919 + row * 131 + column * 17) % 2003 - 1001);
}

struct onnx_writer *cold_model(void)
{
	struct onnx_writer *writer = onnx_writer_new(17);
	int64_t one = 1;

	for (int64_t row = 0; row < COLD_USERS; row++)
		for (int64_t column = 0; column < COLD_DIM; column++)
			users[row * COLD_DIM + column] = element(0, row, column);
	for (int64_t row = 0; row < COLD_ITEMS; row++) {
		for (int64_t column = 0; column < COLD_DIM; column++)
			items[row * COLD_DIM + column] = element(1, row, column);
		biases[row] = element(2, row, 0);
	}
	onnx_writer_input(writer, "history", DTYPE_I64, "batch,3");
	onnx_writer_input(writer, "item", DTYPE_I32, "batch");
	onnx_writer_external(writer, "users", DTYPE_F32, "5000,16", users, sizeof(users),
			     "users.bin", 64);
	onnx_writer_external(writer, "items", DTYPE_F32, "700,16", items, sizeof(items),
			     "items.bin", 64);
	onnx_writer_external(writer, "biases", DTYPE_F32, "700,1", biases, sizeof(biases),
			     "items.bin", 4);
	onnx_writer_tensor(writer, "axis", DTYPE_I64, "1", &one, sizeof(one));
	onnx_writer_node(writer, "Gather", "users,history", "rows");
	onnx_writer_node(writer, "ReduceSum", "rows,axis", "pooled");
	onnx_writer_int(writer, "keepdims", 0);
	onnx_writer_node(writer, "Gather", "items,item", "row");
	onnx_writer_node(writer, "Gather", "biases,item", "bias");
	onnx_writer_node(writer, "Concat", "pooled,row,bias", "y");
	onnx_writer_int(writer, "axis", 1);
	onnx_writer_output(writer, "y", DTYPE_F32, "batch,33");
	return writer;
}

void cold_answer(const int64_t history[COLD_HISTORY], int32_t item, float y[COLD_WIDTH])
{
	for (int64_t column = 0; column < COLD_DIM; column++) {
		y[column] = 0;
		for (int64_t place = 0; place < COLD_HISTORY; place++)
			y[column] += element(0, history[place], column);
		y[COLD_DIM + column] = element(1, item, column);
	}
	y[2 * COLD_DIM] = element(2, item, 0);
}
