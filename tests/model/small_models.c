/* SPDX-License-Identifier: MIT */
/* tests/model/small_models.c - models of a node or two, for a seed to bend */
#include "small_models.h"

#include <stdio.h>

#include "onnx.pb-c.h"

static const float floats[4] = { 1, -2, 3, 4 };

struct onnx_writer *small_external(const char *location, const char *offset, const char *length)
{
	struct onnx_writer *writer = onnx_writer_new(17);

	onnx_writer_input(writer, "x", DTYPE_F32, "batch,2");
	onnx_writer_external_words(writer, "w", DTYPE_F32, "2", location, offset, length);
	onnx_writer_node(writer, "Add", "x,w", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, "batch,2");
	return writer;
}

struct onnx_writer *small_node(int64_t opset, const char *op_type, const char *inputs)
{
	struct onnx_writer *writer = onnx_writer_new(opset);

	onnx_writer_input(writer, "x", DTYPE_F32, "batch,3,4");
	onnx_writer_node(writer, op_type, inputs, "y");
	onnx_writer_output(writer, "y", DTYPE_F32, "batch,?,?");
	return writer;
}

struct onnx_writer *small_with_integers(const char *op_type, const char *shape,
					const int64_t *values, uint64_t count)
{
	struct onnx_writer *writer = small_node(17, op_type, "x,k");

	onnx_writer_i64(writer, "k", shape, values, count);
	return writer;
}

struct onnx_writer *small_free_size(const char *op_type, const char *shape, const char *ids)
{
	struct onnx_writer *writer = onnx_writer_new(13);

	onnx_writer_input(writer, "x", DTYPE_F32, shape);
	if (ids)
		onnx_writer_input(writer, "ids", DTYPE_I64, ids);
	onnx_writer_node(writer, op_type, ids ? "x,ids" : "x", "y");
	onnx_writer_int(writer, "axis", 1);
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	return writer;
}

struct onnx_writer *small_passed_through(int64_t *dims)
{
	struct onnx_writer *writer = onnx_writer_new(17);
	Onnx__ModelProto *message = onnx_writer_message(writer);

	onnx_writer_input(writer, "x", DTYPE_F32,
			  dims ? "batch" : "batch,2147483647,2147483647,2147483647");
	if (dims) {
		onnx_writer_tensor(writer, "k", DTYPE_F32, "1,1,0", floats, 0);
		message->graph->initializer[0]->dims = dims;
	}
	onnx_writer_output(writer, dims ? "k" : "x", DTYPE_F32, NULL);
	return writer;
}

struct onnx_writer *small_constant(void)
{
	struct onnx_writer *writer = onnx_writer_new(17);

	onnx_writer_input(writer, "x", DTYPE_F32, "batch,2");
	onnx_writer_constant(writer, "c", DTYPE_F32, "1", floats, 4);
	onnx_writer_node(writer, "Add", "x,c", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, "batch,2");
	return writer;
}

struct onnx_writer *small_sliced(int64_t step)
{
	static const int64_t from = 2, to = INT64_MIN, axis = 1;
	struct onnx_writer *writer = small_node(17, "Slice", "x,s,e,a,k");

	onnx_writer_i64(writer, "s", "1", &from, 1);
	onnx_writer_i64(writer, "e", "1", &to, 1);
	onnx_writer_i64(writer, "a", "1", &axis, 1);
	onnx_writer_i64(writer, "k", "1", &step, 1);
	return writer;
}

struct onnx_writer *small_bodies(int depth)
{
	struct onnx_writer *writer = onnx_writer_new(17);
	char inner[16], weight[16], both[40];

	onnx_writer_input(writer, "x", DTYPE_F32, "4");
	onnx_writer_node(writer, "Relu", "x", "o");
	for (int level = 1; level <= depth; level++) {
		(void)snprintf(inner, sizeof(inner), "i%d", level);
		(void)snprintf(weight, sizeof(weight), "w%d", level);
		(void)snprintf(both, sizeof(both), "x,%s", weight);
		onnx_writer_body(writer, "alpha");
		onnx_writer_tensor(writer, weight, DTYPE_F32, "4", floats, 16);
		onnx_writer_node(writer, "Add", both, inner);
		onnx_writer_output(writer, inner, DTYPE_F32, NULL);
	}
	for (int level = 1; level <= depth; level++)
		onnx_writer_body_end(writer);
	onnx_writer_node(writer, "Relu", "o", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, "4");
	return writer;
}
