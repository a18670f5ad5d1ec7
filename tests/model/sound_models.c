/* SPDX-License-Identifier: MIT */
/* tests/model/sound_models.c - small models of all that hearth loads */
#include "sound_models.h"

#include "tests/exec/sequence_model.h"

static const float floats[16] = { 1, -2, 3, 4, 0.5f, 6, -7, 8, 9, 1, 2, 3, 4, 5, 6, 7 };
static const int64_t axis_0[1] = { 0 };
static const int64_t axis_1[1] = { 1 };

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
	onnx_writer_i64(writer, "zero", "", axis_0, 1);
	onnx_writer_i64(writer, "one", "", axis_1, 1);
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
	onnx_writer_i64(writer, "zero", "", axis_0, 1);
	onnx_writer_i64(writer, "first", "1", axis_0, 1);
	onnx_writer_i64(writer, "rest", "1", minus_one, 1);
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
	onnx_writer_i64(writer, "a1", "1", axis_1, 1);
	onnx_writer_i64(writer, "starts", "1", starts, 1);
	onnx_writer_i64(writer, "ends", "1", ends, 1);
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
	onnx_writer_i64(writer, "shape", "2", shape, 2);
	onnx_writer_i64(writer, "a", "1", axis_0, 1);
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

struct onnx_writer *sound_bag_sequence(bool padded)
{
	static float table[LOOP_ROWS * LOOP_DIM];
	const struct sequence_variant variant = {
		.opset = 18, .reduce = "ReduceMean", .padded = padded, .wraps = padded };

	return sequence_model(&variant, table);
}

struct line {
	const char *op_type, *inputs, *outputs;
};

static void put_lines(struct onnx_writer *writer, const struct line *lines, size_t count)
{
	for (size_t line = 0; line < count; line++)
		onnx_writer_node(writer, lines[line].op_type, lines[line].inputs,
				 lines[line].outputs);
}

#define PUT(writer, lines) put_lines(writer, lines, sizeof(lines) / sizeof(*(lines)))

/* All that read one value and write one like it, each what the one before wrote. */
struct onnx_writer *sound_unary(void)
{
	static const struct line lines[] = {
		{ "Abs", "x", "v1" },         { "Sin", "v1", "v2" },
		{ "Cos", "v2", "v3" },        { "Erf", "v3", "v4" },
		{ "Exp", "v4", "v5" },        { "Log", "v5", "v6" },
		{ "Elu", "v6", "v7" },        { "LeakyRelu", "v7", "v8" },
		{ "HardSigmoid", "v8", "v9" }, { "HardSwish", "v9", "v10" },
		{ "Softplus", "v10", "v11" }, { "Gelu", "v11", "v12" },
		{ "Neg", "v12", "v13" },      { "Reciprocal", "v13", "v14" },
		{ "Floor", "v14", "v15" },    { "Ceil", "v15", "v16" },
		{ "Round", "v16", "v17" },    { "Sign", "v17", "v18" },
		{ "Dropout", "v18", "v19" },  { "LogSoftmax", "v19", "y" },
	};
	struct onnx_writer *writer = onnx_writer_new(20);

	onnx_writer_input(writer, "x", DTYPE_F32, "batch,4");
	PUT(writer, lines);
	onnx_writer_output(writer, "y", DTYPE_F32, "batch,4");
	return writer;
}

struct onnx_writer *sound_logic(void)
{
	static const struct line lines[] = {
		{ "Equal", "x,k", "e" },       { "Greater", "x,k", "g" },
		{ "GreaterOrEqual", "x,k", "ge" }, { "Less", "x,k", "l" },
		{ "LessOrEqual", "x,k", "le" }, { "IsNaN", "x", "n" },
		{ "And", "e,ge", "b1" },       { "Or", "b1,l", "b2" },
		{ "Xor", "b2,le", "b3" },      { "Not", "b3", "b4" },
		{ "Or", "b4,g", "b5" },        { "And", "b5,n", "c" },
		{ "PRelu", "x,k", "p" },       { "Mod", "i,two", "m" },
		{ "BatchNormalization", "p,k,k,k,positive", "s" },
		{ "Where", "c,x,s", "y" },
	};
	static const float positive[4] = { 1, 2, 3, 4 };
	static const int64_t two = 2;
	struct onnx_writer *writer = onnx_writer_new(17);

	onnx_writer_input(writer, "x", DTYPE_F32, "batch,4");
	onnx_writer_input(writer, "i", DTYPE_I64, "batch,4");
	onnx_writer_tensor(writer, "k", DTYPE_F32, "4", floats, 16);
	onnx_writer_tensor(writer, "positive", DTYPE_F32, "4", positive, 16);
	onnx_writer_i64(writer, "two", "", &two, 1);
	PUT(writer, lines);
	onnx_writer_output(writer, "y", DTYPE_F32, "batch,4");
	onnx_writer_output(writer, "m", DTYPE_I64, "batch,4");
	return writer;
}

struct onnx_writer *sound_reductions(void)
{
	static const struct line reductions[] = {
		{ "ReduceL1", "x", "r0" },        { "ReduceL2", "x", "r1" },
		{ "ReduceLogSum", "x", "r2" },    { "ReduceLogSumExp", "x", "r3" },
		{ "ReduceMax", "x", "r4" },       { "ReduceMin", "x", "r5" },
		{ "ReduceProd", "x", "r6" },      { "ReduceSumSquare", "x", "r7" },
	};
	static const struct line rest[] = {
		{ "Sum", "r0,r1,r2,r3", "s" },    { "Mean", "r4,r5,r6,r7", "m" },
		{ "Concat", "s,m", "c" },         { "CumSum", "c,axis", "y" },
		{ "ArgMax", "y", "most" },        { "ArgMin", "y", "least" },
	};
	struct onnx_writer *writer = onnx_writer_new(13);

	onnx_writer_input(writer, "x", DTYPE_F32, "batch,3,4");
	onnx_writer_i64(writer, "axis", "", axis_1, 1);
	for (size_t line = 0; line < sizeof(reductions) / sizeof(*reductions); line++) {
		put_lines(writer, &reductions[line], 1);
		onnx_writer_ints(writer, "axes", axis_1, 1);
	}
	for (size_t line = 0; line < sizeof(rest) / sizeof(*rest); line++) {
		put_lines(writer, &rest[line], 1);
		if (line == 2 || line > 3)
			onnx_writer_int(writer, "axis", 1);
	}
	onnx_writer_output(writer, "y", DTYPE_F32, "batch,2,4");
	onnx_writer_output(writer, "most", DTYPE_I64, "batch,1,4");
	onnx_writer_output(writer, "least", DTYPE_I64, "batch,1,4");
	return writer;
}

/* Bytes from one place to another, and sizes that are computed. */
struct onnx_writer *sound_moves(void)
{
	static const struct line lines[] = {
		{ "Pad", "low,pads", "q" },              { "Tile", "top,repeats", "t" },
		{ "Range", "from,to,step", "r" },        { "ConstantOfShape", "four", "zeros" },
		{ "Size", "zeros", "n" },                { "CastLike", "n,x", "f" },
		{ "Expand", "r,wide", "w" },             { "Shape", "x", "sizes" },
		{ "ScatterElements", "sizes,last,four", "same" },
		{ "Reshape", "w,one", "w1" },            { "Reshape", "q,same", "q1" },
		{ "Sum", "q1,t,w1,zeros,f", "y" },
	};
	static const int64_t split[2] = { 1, 2 }, pads[6] = { 0, 0, 0, 0, 1, 0 };
	static const int64_t repeats[3] = { 1, 3, 1 }, wide[2] = { 3, 4 }, one[3] = { 1, 3, 4 };
	static const int64_t four[1] = { 4 }, last[1] = { -1 };
	struct onnx_writer *writer = onnx_writer_new(17);

	onnx_writer_input(writer, "x", DTYPE_F32, "batch,3,4");
	onnx_writer_i64(writer, "split", "2", split, 2);
	onnx_writer_i64(writer, "pads", "6", pads, 6);
	onnx_writer_i64(writer, "repeats", "3", repeats, 3);
	onnx_writer_i64(writer, "wide", "2", wide, 2);
	onnx_writer_i64(writer, "one", "3", one, 3);
	onnx_writer_i64(writer, "four", "1", four, 1);
	onnx_writer_i64(writer, "last", "1", last, 1);
	onnx_writer_tensor(writer, "from", DTYPE_F32, "", &floats[0], 4);
	onnx_writer_tensor(writer, "to", DTYPE_F32, "", &floats[11], 4);
	onnx_writer_tensor(writer, "step", DTYPE_F32, "", &floats[4], 4);
	onnx_writer_node(writer, "Split", "x,split", "top,low");
	onnx_writer_int(writer, "axis", 1);
	PUT(writer, lines);
	onnx_writer_output(writer, "y", DTYPE_F32, "batch,3,4");
	return writer;
}

/* Places that a run names, the model, or where a constant is not 0. */
struct onnx_writer *sound_points(void)
{
	static const struct line lines[] = {
		{ "Add", "elements,best", "pair" },       { "NonZero", "mask", "places" },
		{ "Transpose", "places", "spots" },       { "ScatterND", "base,spots,put", "grid" },
	};
	static const float mask[4] = { 0, 1, 0, 1 };
	static const int64_t two[1] = { 2 };
	struct onnx_writer *writer = onnx_writer_new(16);

	onnx_writer_input(writer, "x", DTYPE_F32, "batch,3,4");
	onnx_writer_input(writer, "ids", DTYPE_I64, "batch,2");
	onnx_writer_input(writer, "base", DTYPE_F32, "4");
	onnx_writer_tensor(writer, "mask", DTYPE_F32, "4", mask, sizeof(mask));
	onnx_writer_tensor(writer, "put", DTYPE_F32, "2", floats, 8);
	onnx_writer_i64(writer, "two", "1", two, 1);
	onnx_writer_node(writer, "TopK", "x,two", "best,at");
	onnx_writer_int(writer, "axis", 2);
	onnx_writer_node(writer, "GatherElements", "x,at", "elements");
	onnx_writer_int(writer, "axis", 2);
	onnx_writer_node(writer, "GatherND", "x,ids", "point");
	onnx_writer_int(writer, "batch_dims", 1);
	PUT(writer, lines);
	onnx_writer_output(writer, "pair", DTYPE_F32, "batch,3,2");
	onnx_writer_output(writer, "point", DTYPE_F32, "batch");
	onnx_writer_output(writer, "grid", DTYPE_F32, "4");
	return writer;
}

/* A layer that is quantized when the batch is known, and what it gives, quantized again. */
struct onnx_writer *sound_bytes(void)
{
	static const struct line lines[] = {
		{ "DynamicQuantizeLinear", "x", "q,scale,zero" },
		{ "MatMulInteger", "q,w,zero,w_zero", "sums" },
		{ "CastLike", "sums,x", "s" },
		{ "Mul", "s,scale", "h" },
		{ "QuantizeLinear", "h,step,middle", "bytes" },
		{ "DequantizeLinear", "bytes,step,middle", "y" },
	};
	static const int8_t weights[12] = { 1, -2, 3, 4, -5, 6, 7, -128, 127, 0, 11, -12 };
	static const int8_t w_zero = 3;
	static const uint8_t middle = 128;
	struct onnx_writer *writer = onnx_writer_new(17);

	onnx_writer_input(writer, "x", DTYPE_F32, "batch,4");
	onnx_writer_tensor(writer, "w", DTYPE_I8, "4,3", weights, sizeof(weights));
	onnx_writer_tensor(writer, "w_zero", DTYPE_I8, "", &w_zero, 1);
	onnx_writer_tensor(writer, "step", DTYPE_F32, "", &floats[4], 4);
	onnx_writer_tensor(writer, "middle", DTYPE_U8, "", &middle, 1);
	PUT(writer, lines);
	onnx_writer_output(writer, "y", DTYPE_F32, "batch,3");
	return writer;
}

struct onnx_writer *sound_einsum(const char *equation)
{
	struct onnx_writer *writer = onnx_writer_new(17);

	onnx_writer_input(writer, "x", DTYPE_F32, "batch,3,4");
	onnx_writer_tensor(writer, "w", DTYPE_F32, "4,2", floats, 32);
	onnx_writer_node(writer, "Einsum", "x,w", "y");
	onnx_writer_string(writer, "equation", equation);
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	return writer;
}

struct onnx_writer *sound_sequences(void)
{
	static const struct line lines[] = {
		{ "SequenceAt", "s,zero", "first" },     { "SequenceErase", "s,one", "fewer" },
		{ "SequenceLength", "fewer", "length" }, { "SequenceConstruct", "first,first", "t" },
		{ "SequenceInsert", "fewer,first", "u" },
	};
	struct onnx_writer *writer = onnx_writer_new(17);

	onnx_writer_input(writer, "x", DTYPE_F32, "batch,3,4");
	onnx_writer_i64(writer, "zero", "", axis_0, 1);
	onnx_writer_i64(writer, "one", "", axis_1, 1);
	onnx_writer_node(writer, "SplitToSequence", "x", "s");
	onnx_writer_int(writer, "axis", 1);
	PUT(writer, lines);
	onnx_writer_node(writer, "ConcatFromSequence", "t", "pair");
	onnx_writer_int(writer, "axis", 1);
	onnx_writer_node(writer, "ConcatFromSequence", "u", "y");
	onnx_writer_int(writer, "axis", 1);
	onnx_writer_output(writer, "pair", DTYPE_F32, "batch,2,4");
	onnx_writer_output(writer, "y", DTYPE_F32, "batch,3,4");
	onnx_writer_output(writer, "length", DTYPE_I64, "");
	return writer;
}
