/* SPDX-License-Identifier: MIT */
/*
 * tests/exec/bag_model.c - mask[b, v] is 1 where value v is of row b; pooled is mask times rows
 */
#include "tests/exec/bag_model.h"

struct onnx_writer *bag_model(const float table[BAG_ROWS * BAG_DIM])
{
	struct onnx_writer *writer = onnx_writer_new(13);
	int64_t zero = 0, one = 1, far = INT64_MAX;
	float low = 0, high = 1;
	float positions[BAG_POSITIONS];

	for (int index = 0; index < BAG_POSITIONS; index++)
		positions[index] = (float)index;
	onnx_writer_input(writer, "values", DTYPE_I64, "values");
	onnx_writer_input(writer, "offsets", DTYPE_I64, "batch");
	onnx_writer_tensor(writer, "table", DTYPE_F32, "4,2", table,
			   BAG_ROWS * BAG_DIM * sizeof(*table));
	onnx_writer_tensor(writer, "arange", DTYPE_F32, "512", positions, sizeof(positions));
	onnx_writer_constant(writer, "zero", DTYPE_I64, "1", &zero, sizeof(zero));
	onnx_writer_constant(writer, "one", DTYPE_I64, "1", &one, sizeof(one));
	onnx_writer_constant(writer, "far", DTYPE_I64, "1", &far, sizeof(far));
	onnx_writer_constant(writer, "low", DTYPE_F32, "", &low, sizeof(low));
	onnx_writer_constant(writer, "high", DTYPE_F32, "", &high, sizeof(high));
	onnx_writer_node(writer, "Shape", "values", "count");
	onnx_writer_node(writer, "Slice", "arange,zero,count", "position");
	onnx_writer_node(writer, "Slice", "offsets,one,far", "rest");
	onnx_writer_node(writer, "Concat", "rest,count", "ends_i");
	onnx_writer_int(writer, "axis", 0);
	onnx_writer_node(writer, "Cast", "offsets", "begin");
	onnx_writer_int(writer, "to", DTYPE_F32);
	onnx_writer_node(writer, "Cast", "ends_i", "end");
	onnx_writer_int(writer, "to", DTYPE_F32);
	onnx_writer_node(writer, "Unsqueeze", "begin,one", "begin1");
	onnx_writer_node(writer, "Unsqueeze", "end,one", "end1");
	onnx_writer_node(writer, "Sub", "position,begin1", "after0");
	onnx_writer_node(writer, "Add", "after0,high", "after");
	onnx_writer_node(writer, "Clip", "after,low,high", "is_after");
	onnx_writer_node(writer, "Sub", "end1,position", "before");
	onnx_writer_node(writer, "Clip", "before,low,high", "is_before");
	onnx_writer_node(writer, "Mul", "is_after,is_before", "mask");
	onnx_writer_node(writer, "Gather", "table,values", "rows");
	onnx_writer_node(writer, "MatMul", "mask,rows", "pooled");
	onnx_writer_node(writer, "ReduceSum", "mask,one", "lengths");
	onnx_writer_int(writer, "keepdims", 0);
	onnx_writer_output(writer, "pooled", DTYPE_F32, "batch,2");
	onnx_writer_output(writer, "lengths", DTYPE_F32, "batch");
	return writer;
}
