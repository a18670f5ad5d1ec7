/* SPDX-License-Identifier: MIT */
/* tests/model/sound_models.c - small models that a fuzzer begins with */
#include "sound_models.h"

#include "tests/exec/loop_model.h"

static const float floats[16] = { 1, -2, 3, 4, 0.5f, 6, -7, 8, 9, 1, 2, 3, 4, 5, 6, 7 };
static const int64_t axis_0[1] = { 0 };
static const int64_t axis_1[1] = { 1 };

static void put_i64(struct onnx_writer *writer, const char *name, const char *shape,
		    const int64_t *values, uint64_t count)
{
	onnx_writer_tensor(writer, name, DTYPE_I64, shape, values, count * sizeof(*values));
}

/* x [batch, 3] -> Gemm with w [3, 2] and b [2] -> h -> Relu -> y */
struct onnx_writer *sound_mlp(void)
{
	struct onnx_writer *writer = onnx_writer_new(17);

	onnx_writer_input(writer, "x", DTYPE_F32, "batch,3");
	onnx_writer_tensor(writer, "w", DTYPE_F32, "3,2", floats, 24);
	onnx_writer_tensor(writer, "b", DTYPE_F32, "2", floats, 8);
	onnx_writer_node(writer, "Gemm", "x,w,b", "h");
	onnx_writer_float(writer, "alpha", 1);
	onnx_writer_node(writer, "Relu", "h", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, "batch,2");
	return writer;
}

/* Two tables, dense features, a cross and a small net: what hearth is for. */
struct onnx_writer *sound_ranking(void)
{
	struct onnx_writer *writer = onnx_writer_new(13);

	onnx_writer_input(writer, "dense", DTYPE_F32, "batch,3");
	onnx_writer_input(writer, "ids", DTYPE_I64, "batch,2");
	onnx_writer_tensor(writer, "t0", DTYPE_F32, "4,2", floats, 32);
	onnx_writer_external_words(writer, "t1", DTYPE_F32, "8,2", "model.bin", "64", "64");
	onnx_writer_tensor(writer, "w", DTYPE_F32, "7,2", floats, 56);
	put_i64(writer, "zero", "", axis_0, 1);
	put_i64(writer, "one", "", axis_1, 1);
	onnx_writer_node(writer, "Gather", "ids,zero", "id0");
	onnx_writer_int(writer, "axis", 1);
	onnx_writer_node(writer, "Gather", "ids,one", "id1");
	onnx_writer_int(writer, "axis", 1);
	onnx_writer_node(writer, "Gather", "t0,id0", "e0");
	onnx_writer_node(writer, "Gather", "t1,id1", "e1");
	onnx_writer_node(writer, "Mul", "e0,e1", "cross");
	onnx_writer_node(writer, "Concat", "dense,e0,cross", "all");
	onnx_writer_int(writer, "axis", 1);
	onnx_writer_node(writer, "MatMul", "all,w", "h");
	onnx_writer_node(writer, "Softmax", "h", "y");
	onnx_writer_int(writer, "axis", 1);
	onnx_writer_output(writer, "y", DTYPE_F32, "batch,2");
	return writer;
}

/* A size computed as exporters write it. */
struct onnx_writer *sound_shape_chain(void)
{
	static const int64_t minus_one[1] = { -1 };
	struct onnx_writer *writer = onnx_writer_new(13);

	onnx_writer_input(writer, "x", DTYPE_F32, "batch,3,4");
	put_i64(writer, "zero", "", axis_0, 1);
	put_i64(writer, "first", "1", axis_0, 1);
	put_i64(writer, "rest", "1", minus_one, 1);
	onnx_writer_node(writer, "Shape", "x", "s");
	onnx_writer_node(writer, "Gather", "s,zero", "n");
	onnx_writer_node(writer, "Unsqueeze", "n,first", "n1");
	onnx_writer_node(writer, "Concat", "n1,rest", "want");
	onnx_writer_int(writer, "axis", 0);
	onnx_writer_node(writer, "Reshape", "x,want", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, "batch,12");
	return writer;
}

/* One of nearly every operator, along one row. */
struct onnx_writer *sound_operators(void)
{
	static const int64_t perm[3] = { 0, 2, 1 };
	static const int64_t starts[1] = { 1 }, ends[1] = { 3 };
	static const float two = 2, low = -1, high = 1;
	struct onnx_writer *writer = onnx_writer_new(17);

	onnx_writer_input(writer, "x", DTYPE_F32, "batch,3,4");
	put_i64(writer, "a1", "1", axis_1, 1);
	put_i64(writer, "starts", "1", starts, 1);
	put_i64(writer, "ends", "1", ends, 1);
	onnx_writer_constant(writer, "two", DTYPE_F32, "", &two, sizeof(two));
	onnx_writer_constant(writer, "low", DTYPE_F32, "", &low, sizeof(low));
	onnx_writer_constant(writer, "high", DTYPE_F32, "", &high, sizeof(high));
	onnx_writer_tensor(writer, "gain", DTYPE_F32, "3", floats, 12);
	onnx_writer_node(writer, "Transpose", "x", "t");
	onnx_writer_ints(writer, "perm", perm, 3);
	onnx_writer_node(writer, "Slice", "t,starts,ends,a1", "s");
	onnx_writer_node(writer, "LayerNormalization", "s,gain", "n");
	onnx_writer_node(writer, "Pow", "n,two", "p");
	onnx_writer_node(writer, "Sqrt", "p", "q");
	onnx_writer_node(writer, "Div", "q,two", "d");
	onnx_writer_node(writer, "Sub", "d,gain", "b");
	onnx_writer_node(writer, "Clip", "b,low,high", "c");
	onnx_writer_node(writer, "Sigmoid", "c", "g");
	onnx_writer_node(writer, "Tanh", "g", "h");
	onnx_writer_node(writer, "Max", "h,c", "m");
	onnx_writer_node(writer, "Min", "m,high", "i");
	onnx_writer_node(writer, "ReduceMean", "i", "r");
	onnx_writer_ints(writer, "axes", axis_1, 1);
	onnx_writer_node(writer, "Squeeze", "r,a1", "z");
	onnx_writer_node(writer, "ReduceSum", "z,a1", "u");
	onnx_writer_node(writer, "Flatten", "u", "f");
	onnx_writer_node(writer, "Identity", "f", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, "batch,1");
	return writer;
}

/* Constants that are computed with at load. */
struct onnx_writer *sound_folded(void)
{
	static const int64_t shape[2] = { 2, 3 };
	struct onnx_writer *writer = onnx_writer_new(13);

	onnx_writer_input(writer, "x", DTYPE_F32, "batch,2");
	onnx_writer_tensor(writer, "w", DTYPE_F32, "3,2", floats, 24);
	onnx_writer_external_words(writer, "v", DTYPE_F32, "3,2", "model.bin", "128", "24");
	put_i64(writer, "shape", "2", shape, 2);
	put_i64(writer, "a", "1", axis_0, 1);
	onnx_writer_node(writer, "Mul", "w,v", "wv");
	onnx_writer_node(writer, "Reshape", "wv,shape", "r");
	onnx_writer_node(writer, "Transpose", "r", "t");
	onnx_writer_node(writer, "MatMul", "r,t", "g");
	onnx_writer_node(writer, "ReduceSum", "g,a", "s");
	onnx_writer_node(writer, "Cast", "s", "i");
	onnx_writer_int(writer, "to", DTYPE_I64);
	onnx_writer_node(writer, "Cast", "i", "f");
	onnx_writer_int(writer, "to", DTYPE_F32);
	onnx_writer_node(writer, "Add", "x,f", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, "batch,2");
	return writer;
}

/* An If, whose branch has a Loop, which inserts into a sequence. */
struct onnx_writer *sound_control(int64_t trips)
{
	struct onnx_writer *writer = onnx_writer_new(17);
	uint8_t truth = 1;

	onnx_writer_input(writer, "x", DTYPE_F32, "batch,4");
	onnx_writer_constant(writer, "c", DTYPE_BOOL, "", &truth, 1);
	onnx_writer_constant(writer, "trips", DTYPE_I64, "", &trips, sizeof(trips));
	onnx_writer_node(writer, "If", "c", "y");
	onnx_writer_body(writer, "then_branch");
	onnx_writer_node(writer, "SequenceEmpty", "", "none");
	onnx_writer_node(writer, "Loop", "trips,c,x,none", "x1,s1,all");
	onnx_writer_body(writer, "body");
	onnx_writer_input(writer, "i", DTYPE_I64, "");
	onnx_writer_input(writer, "go", DTYPE_BOOL, "");
	onnx_writer_input(writer, "x0", DTYPE_F32, NULL);
	onnx_writer_input(writer, "s0", DTYPE_F32, NULL);
	onnx_writer_tensor(writer, "w", DTYPE_F32, "4", floats, 16);
	onnx_writer_node(writer, "Mul", "x0,w", "x2");
	onnx_writer_node(writer, "SequenceInsert", "s0,x2", "s2");
	onnx_writer_node(writer, "Relu", "x2", "r");
	onnx_writer_node(writer, "Identity", "go", "on");
	onnx_writer_output(writer, "on", DTYPE_BOOL, "");
	onnx_writer_output(writer, "x2", DTYPE_F32, NULL);
	onnx_writer_output(writer, "s2", DTYPE_F32, NULL);
	onnx_writer_output(writer, "r", DTYPE_F32, NULL);
	onnx_writer_body_end(writer);
	onnx_writer_node(writer, "ConcatFromSequence", "s1", "joined");
	onnx_writer_int(writer, "axis", 1);
	onnx_writer_output(writer, "joined", DTYPE_F32, NULL);
	onnx_writer_body_end(writer);
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	return writer;
}

struct onnx_writer *sound_bag_loop(void)
{
	static float table[LOOP_ROWS * LOOP_DIM];
	const struct loop_variant variant = {13, "ReduceSum", true, false, 0, 0};

	return loop_model(&variant, table);
}
