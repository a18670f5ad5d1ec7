/* SPDX-License-Identifier: MIT */
/* tests/exec/sequence_model.c - nn.EmbeddingBag as PyTorch's dynamo exporter writes it: a sequence */
#include "tests/exec/sequence_model.h"

#include <stdio.h>
#include <string.h>

static void put_integer(struct onnx_writer *writer, const char *name, const char *shape,
			int64_t value)
{
	onnx_writer_tensor(writer, name, DTYPE_I64, shape, &value, sizeof(value));
}

static void put_cast(struct onnx_writer *writer, const char *input, const char *output,
		     int64_t dtype)
{
	onnx_writer_node(writer, "Cast", input, output);
	onnx_writer_int(writer, "to", dtype);
}

static void put_shape(struct onnx_writer *writer, const char *input, const char *output,
		      int64_t start, int64_t end)
{
	onnx_writer_node(writer, "Shape", input, output);
	onnx_writer_int(writer, "start", start);
	onnx_writer_int(writer, "end", end);
}

static void put_reduce(struct onnx_writer *writer, const struct sequence_variant *variant,
		       const char *reduce, const char *input, const char *output)
{
	char both[64];

	(void)snprintf(both, sizeof(both), "%.40s,%s", input,
		       variant->slip == SEQUENCE_AXIS ? "one_1d" : "zero_1d");
	onnx_writer_node(writer, reduce, both, output);
	if (variant->slip == SEQUENCE_KEEP)
		onnx_writer_int(writer, "keepdims", 0);
}

static void put_constants(struct onnx_writer *writer, const struct sequence_variant *variant)
{
	const float zero = variant->slip == SEQUENCE_ZEROS;

	put_integer(writer, "minus_one", "1", -1);
	put_integer(writer, "zero", "", 0);
	put_integer(writer, "one", "", 1);
	put_integer(writer, "two", "", 2);
	put_integer(writer, "three", "", 3);
	put_integer(writer, "five", "", 5);
	put_integer(writer, "zero_1d", "1", 0);
	put_integer(writer, "one_1d", "1", 1);
	put_integer(writer, "tall", "1", variant->slip == SEQUENCE_TALL ? 2 : 1);
	put_integer(writer, "table_rows", "", LOOP_ROWS - (variant->slip == SEQUENCE_WRAP));
	put_integer(writer, "padding", "", variant->padding_idx);
	onnx_writer_tensor(writer, "nothing", DTYPE_F32, "1", &zero, sizeof(zero));
}

/* All rows, weighted, and where bags begin and end. */
static void put_rows(struct onnx_writer *writer, const struct sequence_variant *variant)
{
	const bool is_flat = variant->hot > 0;

	onnx_writer_node(writer, "Reshape", "ids,minus_one", "flat_ids");
	onnx_writer_node(writer, "Gather",
			 variant->slip == SEQUENCE_TABLE ? "other_table,flat_ids" : "table,flat_ids",
			 "gathered");
	if (variant->weighted) {
		onnx_writer_node(writer, "Reshape", "weights,minus_one", "flat_weights");
	} else {
		onnx_writer_node(writer, "Shape", "flat_ids", "weights_shape");
		onnx_writer_node(writer, "Expand", "one,weights_shape", "ones");
		put_cast(writer, "ones", "flat_weights", DTYPE_F32);
	}
	onnx_writer_node(writer, "Unsqueeze", "flat_weights,one_1d", "column");
	onnx_writer_node(writer, "Mul", "gathered,column", "weighted_rows");
	put_cast(writer, "weighted_rows", "rows", DTYPE_F32);
	onnx_writer_node(writer, "Size", is_flat ? "flat_offsets" : "offsets", "all_bags");
	onnx_writer_node(writer, variant->include_last ? "Sub" : "Identity",
			 variant->include_last ? "all_bags,one" : "all_bags", "real_bags");
	onnx_writer_node(writer, "Sub", "real_bags,one", "fewer_bags");
	onnx_writer_node(writer, "Identity",
			 variant->slip == SEQUENCE_TRIPS ? "fewer_bags" : "real_bags", "bag_count");
	onnx_writer_node(writer, "Shape", "flat_ids", "ids_count");
	if (!variant->include_last) {
		onnx_writer_node(writer, "Concat",
				 is_flat ? "flat_offsets,ids_count" : "offsets,ids_count", "bounds");
		onnx_writer_int(writer, "axis", 0);
	} else {
		onnx_writer_node(writer, variant->padded ? "ScatterElements" : "Identity",
				 variant->padded ? "offsets,minus_one,ids_count" : "offsets",
				 "bounds");
	}
}

static void put_zeros(struct onnx_writer *writer)
{
	onnx_writer_body(writer, "then_branch");
	put_shape(writer, "table", "width", 1, 2);
	onnx_writer_node(writer, "Concat", "tall,width", "zeros_shape");
	onnx_writer_int(writer, "axis", 0);
	onnx_writer_node(writer, "Expand", "nothing,zeros_shape", "zeros");
	onnx_writer_output(writer, "zeros", DTYPE_F32, NULL);
	onnx_writer_body_end(writer);
}

static void put_last_mean(struct onnx_writer *writer, const struct sequence_variant *variant)
{
	put_reduce(writer, variant, variant->slip == SEQUENCE_MEAN ? "ReduceMax" : "ReduceSum",
		   "part", "sum");
	put_shape(writer, variant->slip == SEQUENCE_DIVISOR ? "offsets" : "flat_ids", "divided_ids",
		  0, 1);
	onnx_writer_node(writer, "Sub", "divided_ids,begin", "divisor");
	onnx_writer_node(writer, "Greater",
			 variant->slip == SEQUENCE_GUARD ? "divisor,five" : "divisor,zero",
			 "is_divided");
	onnx_writer_node(writer, "If", "is_divided", "last_mean");
	onnx_writer_body(writer, "then_branch");
	put_cast(writer, "divisor", "divisor_f32", DTYPE_F32);
	onnx_writer_node(writer, "Div", "sum,divisor_f32", "quotient");
	onnx_writer_output(writer, "quotient", DTYPE_F32, NULL);
	onnx_writer_body_end(writer);
	onnx_writer_body(writer, "else_branch");
	onnx_writer_node(writer, "Identity", "sum", "undivided");
	onnx_writer_output(writer, "undivided", DTYPE_F32, NULL);
	onnx_writer_body_end(writer);
}

static void put_pooled(struct onnx_writer *writer, const struct sequence_variant *variant)
{
	const bool is_mean = variant->reduce[7] == 'e';
	const bool is_sum = variant->reduce[6] == 'S';

	if (is_sum || is_mean)
		onnx_writer_node(writer, "Slice", "rows,begin,end", "part");
	if (is_sum) {
		put_reduce(writer, variant, variant->reduce, "part", "pooled");
		return;
	}
	onnx_writer_node(writer, "Sub",
			 variant->slip == SEQUENCE_LAST ? "bag_count,two" : "bag_count,one", "last");
	onnx_writer_node(writer, "Equal", "i,last", "is_last");
	onnx_writer_node(writer, "If", "is_last", is_mean ? "pooled" : "part");
	onnx_writer_body(writer, "then_branch");
	if (is_mean)
		put_last_mean(writer, variant);
	else
		onnx_writer_node(writer, "Slice",
				 variant->slip == SEQUENCE_MAX ? "rows,begin,all_bags_1d"
							       : "rows,begin,ids_count",
				 "last_part");
	onnx_writer_output(writer, is_mean ? "last_mean" : "last_part", DTYPE_F32, NULL);
	onnx_writer_body_end(writer);
	onnx_writer_body(writer, "else_branch");
	if (is_mean)
		put_reduce(writer, variant, variant->reduce, "part", "other");
	else
		onnx_writer_node(writer, "Slice", "rows,begin,end", "other");
	onnx_writer_output(writer, "other", DTYPE_F32, NULL);
	onnx_writer_body_end(writer);
	if (!is_mean)
		put_reduce(writer, variant, variant->reduce, "part", "pooled");
}

/* The bag `row`, of slices. */
static void put_bag(struct onnx_writer *writer, const struct sequence_variant *variant)
{
	onnx_writer_node(writer, "Reshape", "i,minus_one", "at");
	onnx_writer_node(writer, "CastLike", "one,at", "one_at");
	onnx_writer_node(writer, "Add", "at,one_at", "at_1");
	onnx_writer_node(writer, "CastLike", "two,at", "two_at");
	onnx_writer_node(writer, "Add", "at,two_at", "at_2");
	onnx_writer_node(writer, "Add", "at,three", "at_3");
	onnx_writer_node(writer, "Slice",
			 variant->slip == SEQUENCE_BEGIN ? "bounds,at_1,at_2" : "bounds,at,at_1",
			 "begin");
	onnx_writer_node(writer, "Slice",
			 variant->slip == SEQUENCE_END ? "bounds,at_2,at_3" : "bounds,at_1,at_2",
			 "end");
	onnx_writer_node(writer, "Slice", "bounds,at_2,at_3", "later");
	onnx_writer_node(writer, "Equal",
			 variant->slip == SEQUENCE_EMPTY ? "begin,later" : "begin,end", "is_empty");
	onnx_writer_node(writer, "If", "is_empty", "row");
	put_zeros(writer);
	onnx_writer_body(writer, "else_branch");
	put_pooled(writer, variant);
	onnx_writer_output(writer, "pooled", DTYPE_F32, NULL);
	onnx_writer_body_end(writer);
}

/* Is the id at j kept? */
static void put_keep(struct onnx_writer *writer, const struct sequence_variant *variant)
{
	onnx_writer_node(writer, "Gather",
			 variant->slip == SEQUENCE_OTHER ? "other_ids,j" : "flat_ids,j", "id");
	if (variant->wraps) {
		onnx_writer_node(writer, "Less",
				 variant->slip == SEQUENCE_WRAPS ? "id,one" : "id,zero",
				 "is_negative");
		onnx_writer_node(writer, "If", "is_negative", "compared");
		onnx_writer_body(writer, "then_branch");
		onnx_writer_node(writer, "Add", "id,table_rows", "from_end");
		onnx_writer_output(writer, "from_end", DTYPE_I64, NULL);
		onnx_writer_body_end(writer);
		onnx_writer_body(writer, "else_branch");
		onnx_writer_node(writer, "Identity", "id", "from_front");
		onnx_writer_output(writer, "from_front", DTYPE_I64, NULL);
		onnx_writer_body_end(writer);
	}
	onnx_writer_node(writer, "Equal", variant->wraps ? "compared,padding" : "id,padding",
			 "is_padding");
	onnx_writer_node(writer, variant->slip == SEQUENCE_NOT ? "Identity" : "Not", "is_padding",
			 "is_kept");
}

static void put_kept(struct onnx_writer *writer, const struct sequence_variant *variant)
{
	onnx_writer_body(writer, "body");
	onnx_writer_input(writer, "j_number", DTYPE_I64, "");
	onnx_writer_input(writer, "j_goes", DTYPE_BOOL, "");
	onnx_writer_input(writer, "kept", DTYPE_I64, NULL);
	onnx_writer_input(writer, "j", DTYPE_I64, NULL);
	put_keep(writer, variant);
	onnx_writer_node(writer, "If", "is_kept", "kept_next");
	onnx_writer_body(writer, "then_branch");
	onnx_writer_node(writer, "Add", "j,one", "j_next");
	onnx_writer_node(writer, "Reshape",
			 variant->slip == SEQUENCE_NEXT ? "j_next,minus_one" : "j,minus_one", "j_1d");
	onnx_writer_node(writer, "Concat", "kept,j_1d", "kept_more");
	onnx_writer_int(writer, "axis", 0);
	onnx_writer_output(writer, "kept_more", DTYPE_I64, NULL);
	onnx_writer_body_end(writer);
	onnx_writer_body(writer, "else_branch");
	onnx_writer_node(writer, "Identity", "kept", "kept_same");
	onnx_writer_output(writer, "kept_same", DTYPE_I64, NULL);
	onnx_writer_body_end(writer);
	onnx_writer_node(writer, "CastLike", variant->slip == SEQUENCE_FAR ? "two,j" : "one,j",
			 "one_j");
	onnx_writer_node(writer, "Add", "j,one_j", "j_1");
	onnx_writer_node(writer, "Less", variant->slip == SEQUENCE_UNTIL ? "j_1,begin" : "j_1,end",
			 "j_less");
	onnx_writer_node(writer, "Identity", "j_less", "j_again");
	onnx_writer_output(writer, "j_again", DTYPE_BOOL, "");
	onnx_writer_output(writer, "kept_next", DTYPE_I64, NULL);
	onnx_writer_output(writer, "j_1", DTYPE_I64, NULL);
	onnx_writer_body_end(writer);
}

/* The bag `row`, of the rows whose ids are no padding. */
static void put_padded_bag(struct onnx_writer *writer, const struct sequence_variant *variant)
{
	onnx_writer_node(writer, "Gather", "bounds,i", "begin");
	onnx_writer_node(writer, "Add", "i,one", "next");
	onnx_writer_node(writer, "Gather", "bounds,next", "end");
	put_shape(writer, "flat_ids", "kept_first", 0, variant->slip == SEQUENCE_FULL);
	onnx_writer_node(writer, "Less", "begin,end", "j_begins");
	onnx_writer_node(writer, "Loop", ",j_begins,kept_first,begin", "kept_all,j_last");
	put_kept(writer, variant);
	onnx_writer_node(writer, "Size", "kept_all", "kept_count");
	onnx_writer_node(writer, "Equal",
			 variant->slip == SEQUENCE_SIZE ? "kept_count,one" : "kept_count,zero",
			 "is_empty");
	onnx_writer_node(writer, "If", "is_empty", "row");
	put_zeros(writer);
	onnx_writer_body(writer, "else_branch");
	onnx_writer_node(writer, "Gather", "rows,kept_all", "part");
	put_reduce(writer, variant, variant->reduce, "part", "pooled");
	onnx_writer_output(writer, "pooled", DTYPE_F32, NULL);
	onnx_writer_body_end(writer);
}

static void put_loop(struct onnx_writer *writer, const struct sequence_variant *variant)
{
	const bool swaps = variant->opset >= 20;

	onnx_writer_node(writer, "SequenceEmpty", "", "no_bags");
	onnx_writer_node(writer, "Less",
			 variant->slip == SEQUENCE_FIRST ? "one,bag_count" : "zero,bag_count",
			 "begins");
	if (variant->slip == SEQUENCE_START)
		onnx_writer_node(writer, "Loop", ",begins,one,no_bags", "counted,bags");
	else
		onnx_writer_node(writer, "Loop",
				 swaps ? ",begins,no_bags,zero" : ",begins,zero,no_bags",
				 swaps ? "bags,counted" : "counted,bags");
	onnx_writer_body(writer, "body");
	onnx_writer_input(writer, "number", DTYPE_I64, "");
	onnx_writer_input(writer, "goes", DTYPE_BOOL, "");
	onnx_writer_input(writer, swaps ? "so_far" : "i", swaps ? DTYPE_F32 : DTYPE_I64, NULL);
	onnx_writer_input(writer, swaps ? "i" : "so_far", swaps ? DTYPE_I64 : DTYPE_F32, NULL);
	if (variant->padded)
		put_padded_bag(writer, variant);
	else
		put_bag(writer, variant);
	onnx_writer_node(writer, "SequenceInsert",
			 variant->slip == SEQUENCE_POSITION ? "so_far,row,zero" : "so_far,row",
			 "with_row");
	onnx_writer_node(writer, "Add", variant->slip == SEQUENCE_STEP ? "i,two" : "i,one", "i_1");
	onnx_writer_node(writer, "Less", "i_1,bag_count", "less");
	onnx_writer_node(writer, "Identity", "less", "again");
	onnx_writer_output(writer, "again", DTYPE_BOOL, "");
	onnx_writer_output(writer, swaps ? "with_row" : "i_1", swaps ? DTYPE_F32 : DTYPE_I64, NULL);
	onnx_writer_output(writer, swaps ? "i_1" : "with_row", swaps ? DTYPE_I64 : DTYPE_F32, NULL);
	onnx_writer_body_end(writer);
	onnx_writer_node(writer, "ConcatFromSequence", "bags", "joined");
	onnx_writer_int(writer, "axis", variant->slip == SEQUENCE_JOIN);
	onnx_writer_int(writer, "new_axis", variant->slip == SEQUENCE_STACK);
	put_cast(writer, "joined", "y", DTYPE_F32);
}

/* As torch.nn.functional.embedding_bag does with ids of two dimensions. */
static void put_offsets(struct onnx_writer *writer, const struct sequence_variant *variant)
{
	int64_t offsets[64];
	char shape[24];

	for (int64_t row = 0; row < variant->fixed_batch; row++)
		offsets[row] = row * variant->hot;
	if (variant->fixed_batch > 0) {
		(void)snprintf(shape, sizeof(shape), "%d", (int)variant->fixed_batch);
		onnx_writer_tensor(writer, "flat_offsets", DTYPE_I64, shape, offsets,
				   (uint64_t)variant->fixed_batch * sizeof(offsets[0]));
		return;
	}
	put_integer(writer, "hot", "", variant->hot);
	onnx_writer_node(writer, "Size", "ids", "numel");
	onnx_writer_node(writer, "Range", "zero,numel,hot", "flat_offsets");
}

struct onnx_writer *sequence_model(const struct sequence_variant *variant,
				   const float table[LOOP_ROWS * LOOP_DIM])
{
	const struct loop_variant alike = {
		.opset = variant->opset,
		.weighted = variant->weighted,
		.include_last = variant->include_last,
		.hot = variant->hot,
		.fixed_batch = variant->fixed_batch,
	};
	struct onnx_writer *writer = loop_model_new(&alike, table);

	if (variant->slip == SEQUENCE_OTHER)
		onnx_writer_input(writer, "other_ids", DTYPE_I64, "values");
	if (variant->slip == SEQUENCE_TABLE)
		onnx_writer_input(writer, "other_table", DTYPE_F32, "11,5");
	put_constants(writer, variant);
	if (variant->hot > 0)
		put_offsets(writer, variant);
	put_rows(writer, variant);
	if (variant->slip == SEQUENCE_MAX)
		onnx_writer_node(writer, "Reshape", "all_bags,minus_one", "all_bags_1d");
	put_loop(writer, variant);
	if (variant->slip == SEQUENCE_LENGTH) {
		onnx_writer_node(writer, "SequenceLength", "bags", "length");
		onnx_writer_output(writer, "length", DTYPE_I64, NULL);
	}
	if (variant->slip == SEQUENCE_COUNTER)
		onnx_writer_output(writer, "counted", DTYPE_I64, NULL);
	return writer;
}
