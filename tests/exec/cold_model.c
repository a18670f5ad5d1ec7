/* SPDX-License-Identifier: MIT */
/* tests/exec/cold_model.c - a small model of large tables */
#include "tests/exec/cold_model.h"

#include "kernels/types.h"

static float users[COLD_USERS * COLD_DIM];
static float items[COLD_ITEMS * COLD_DIM];
static float biases[COLD_ITEMS];

static float element(int64_t table, int64_t row, int64_t column)
{
	return (float)((table * 7919 + row * 131 + column * 17) % 2003 - 1001);
}

static void put_table(struct onnx_writer *writer, const char *name, const char *shape,
		      const float *rows, uint64_t bytes, const char *file)
{
	if (file)
		onnx_writer_external(writer, name, DTYPE_F32, shape, rows, bytes, file, 64);
	else
		onnx_writer_tensor(writer, name, DTYPE_F32, shape, rows, bytes);
}

/* A file that is NULL is model.onnx itself. */
static struct onnx_writer *model(struct onnx_writer *writer, const char *users_file,
				 const char *items_file)
{
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
	put_table(writer, "users", "5000,16", users, sizeof(users), users_file);
	put_table(writer, "items", "1100,16", items, sizeof(items), items_file);
	onnx_writer_external(writer, "biases", DTYPE_F32, "1100,1", biases, sizeof(biases),
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

struct onnx_writer *cold_model(void)
{
	return model(onnx_writer_new(17), "users.bin", "items.bin");
}

struct onnx_writer *cold_model_within(uint32_t shift)
{
	static const char bytes[4];
	const char shape[] = { (char)('1' + shift), '\0' };
	struct onnx_writer *writer = onnx_writer_new(17);

	onnx_writer_tensor(writer, "shift", DTYPE_U8, shape, bytes, 1 + shift);
	return model(writer, NULL, NULL);
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
