/* SPDX-License-Identifier: MIT */
/* tests/exec/loop_model.c - nn.EmbeddingBag as PyTorch's TorchScript exporter writes it: a Loop */
#include "tests/exec/loop_model.h"

#include <math.h>
#include <stdio.h>

#define NAMES_BYTES 128

/* "%" in a list of names is the prefix. */
static const char *names(char text[NAMES_BYTES], const char *prefix, const char *list)
{
	size_t used = 0;

	for (; *list && used < NAMES_BYTES - 1; list++) {
		if (*list == '%')
			used += (size_t)snprintf(text + used, NAMES_BYTES - used, "%s", prefix);
		else
			text[used++] = *list;
	}
	text[used] = '\0';
	return text;
}

static void put(struct onnx_writer *writer, const char *prefix, const char *op_type,
		const char *inputs, const char *outputs)
{
	char read[NAMES_BYTES], written[NAMES_BYTES];

	onnx_writer_node(writer, op_type, names(read, prefix, inputs),
			 names(written, prefix, outputs));
}

static void put_integer(struct onnx_writer *writer, const char *prefix, const char *name,
			const char *shape, int64_t value)
{
	char written[NAMES_BYTES];

	onnx_writer_constant(writer, names(written, prefix, name), DTYPE_I64, shape, &value,
			     sizeof(value));
}

/* Axes are an attribute before opset 13, an input since. */
static void put_axes(struct onnx_writer *writer, const char *prefix, int64_t opset,
		     const char *op_type, const char *input, const char *output, int64_t axis)
{
	char both[NAMES_BYTES], axes[NAMES_BYTES / 2];

	(void)snprintf(axes, sizeof(axes), "%.50s_axes", output);
	(void)snprintf(both, sizeof(both), "%.60s,%s", input, axes);
	if (opset >= 13)
		put_integer(writer, prefix, axes, "1", axis);
	put(writer, prefix, op_type, opset >= 13 ? both : input, output);
	if (opset < 13)
		onnx_writer_ints(writer, "axes", &axis, 1);
}

static void put_body(struct onnx_writer *writer, const struct loop_variant *variant,
		     const char *prefix)
{
	char text[NAMES_BYTES];
	int64_t axis = 0;

	onnx_writer_input(writer, names(text, prefix, "%i"), DTYPE_I64, "");
	onnx_writer_input(writer, names(text, prefix, "%go"), DTYPE_BOOL, "");
	put(writer, prefix, "Gather", "%starts,%i", "%b0");
	onnx_writer_int(writer, "axis", 0);
	put(writer, prefix, "Gather", "%ends,%i", "%e0");
	onnx_writer_int(writer, "axis", 0);
	put_axes(writer, prefix, variant->opset, "Unsqueeze", "%b0", "%b", 0);
	put_axes(writer, prefix, variant->opset, "Unsqueeze", "%e0", "%e", 0);
	put(writer, prefix, "Slice", "%ids,%b,%e,%zero", "%bag");
	put(writer, prefix, "Gather", "%table,%bag", "%rows");
	onnx_writer_int(writer, "axis", 0);
	if (variant->weighted) {
		put(writer, prefix, "Slice", "%weights,%b,%e,%zero", "%w0");
		put_axes(writer, prefix, variant->opset, "Unsqueeze", "%w0", "%w", 1);
		put(writer, prefix, "Mul", "%rows,%w", "%products");
	}
	if (variant->opset >= 13 && variant->reduce[6] == 'S') {
		put_axes(writer, prefix, variant->opset, variant->reduce,
			 variant->weighted ? "%products" : "%rows", "%pooled", 0);
	} else {
		put(writer, prefix, variant->reduce, variant->weighted ? "%products" : "%rows",
		    "%pooled");
		onnx_writer_ints(writer, "axes", &axis, 1);
	}
	onnx_writer_int(writer, "keepdims", 0);
	put(writer, prefix, "Cast", "%condition", "%again");
	onnx_writer_int(writer, "to", DTYPE_BOOL);
	onnx_writer_output(writer, names(text, prefix, "%again"), DTYPE_BOOL, "");
	onnx_writer_output(writer, names(text, prefix, "%pooled"), DTYPE_F32, NULL);
}

void loop_model_bag(struct onnx_writer *writer, const struct loop_variant *variant,
		    const char *prefix, const char *table, const char *ids, const char *offsets,
		    const char *weights, const char *y)
{
	char text[NAMES_BYTES];

	onnx_writer_node(writer, "Identity", table, names(text, prefix, "%table"));
	onnx_writer_node(writer, "Identity", ids, names(text, prefix, "%ids"));
	if (weights)
		onnx_writer_node(writer, "Identity", weights, names(text, prefix, "%weights"));
	onnx_writer_node(writer, "Identity", offsets, names(text, prefix, "%offsets"));
	put_integer(writer, prefix, "%true", "", 1);
	put(writer, prefix, "Cast", "%true", "%condition");
	onnx_writer_int(writer, "to", DTYPE_BOOL);
	put_integer(writer, prefix, "%zero", "1", 0);
	put_integer(writer, prefix, "%one", "1", 1);
	put_integer(writer, prefix, "%far", "1", INT64_MAX);
	put_integer(writer, prefix, "%first", "", 0);
	put(writer, prefix, "Shape", "%ids", "%shape");
	put(writer, prefix, "Gather", "%shape,%first", "%count0");
	onnx_writer_int(writer, "axis", 0);
	put_axes(writer, prefix, variant->opset, "Unsqueeze", "%count0", "%count", 0);
	if (!variant->include_last) {
		put(writer, prefix, "Concat", "%offsets,%count", "%bounds");
		onnx_writer_int(writer, "axis", 0);
	}
	put(writer, prefix, "Slice",
	    variant->include_last ? "%offsets,%zero,%far,%zero,%one" : "%bounds,%zero,%far,%zero,%one",
	    "%starts");
	put(writer, prefix, "Slice",
	    variant->include_last ? "%offsets,%one,%far,%zero,%one" : "%bounds,%one,%far,%zero,%one",
	    "%ends");
	put(writer, prefix, "Shape", "%ends", "%ends_shape");
	put(writer, prefix, "Gather", "%ends_shape,%first", "%trips");
	onnx_writer_int(writer, "axis", 0);
	(void)snprintf(text, sizeof(text), "%strips,%scondition", prefix, prefix);
	onnx_writer_node(writer, "Loop", text, y);
	onnx_writer_body(writer, "body");
	put_body(writer, variant, prefix);
	onnx_writer_body_end(writer);
}

/* offsets = Range(0, numel, hot), and everything flat, as torch.nn.functional.embedding_bag does */
static void put_flat(struct onnx_writer *writer, const struct loop_variant *variant)
{
	int64_t offsets[64];

	put_integer(writer, "", "flat", "1", -1);
	onnx_writer_node(writer, "Reshape", "ids,flat", "ids1");
	if (variant->weighted)
		onnx_writer_node(writer, "Reshape", "weights,flat", "weights1");
	for (int64_t row = 0; row < variant->fixed_batch; row++)
		offsets[row] = row * variant->hot;
	if (variant->fixed_batch > 0) {
		char shape[24];

		(void)snprintf(shape, sizeof(shape), "%d", (int)variant->fixed_batch);
		onnx_writer_constant(writer, "offsets", DTYPE_I64, shape, offsets,
				     (uint64_t)variant->fixed_batch * sizeof(offsets[0]));
		return;
	}
	put_integer(writer, "", "from", "", 0);
	put_integer(writer, "", "second", "", 1);
	onnx_writer_node(writer, "Shape", "ids", "sizes");
	onnx_writer_node(writer, "ReduceProd", "sizes", "numel");
	onnx_writer_int(writer, "keepdims", 0);
	onnx_writer_node(writer, "Gather", "sizes,second", "hot");
	onnx_writer_int(writer, "axis", 0);
	onnx_writer_node(writer, "Range", "from,numel,hot", "offsets");
}

struct onnx_writer *loop_model_new(const struct loop_variant *variant,
				   const float table[LOOP_ROWS * LOOP_DIM])
{
	struct onnx_writer *writer = onnx_writer_new(variant->opset);
	char shape[64] = "values";

	if (variant->hot > 0 && variant->fixed_batch > 0)
		(void)snprintf(shape, sizeof(shape), "%d,%d", (int)variant->fixed_batch,
			       (int)variant->hot);
	else if (variant->hot > 0)
		(void)snprintf(shape, sizeof(shape), "batch,%d", (int)variant->hot);
	onnx_writer_input(writer, "ids", DTYPE_I64, shape);
	if (variant->hot == 0)
		onnx_writer_input(writer, "offsets", DTYPE_I64,
				  variant->include_last ? "bounds" : "batch");
	if (variant->weighted)
		onnx_writer_input(writer, "weights", DTYPE_F32, shape);
	onnx_writer_tensor(writer, "table", DTYPE_F32, "11,5", table,
			   LOOP_ROWS * LOOP_DIM * sizeof(*table));
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	return writer;
}

struct onnx_writer *loop_model(const struct loop_variant *variant,
			       const float table[LOOP_ROWS * LOOP_DIM])
{
	struct onnx_writer *writer = loop_model_new(variant, table);
	const char *weights = variant->weighted ? "weights" : NULL;

	if (variant->hot > 0) {
		put_flat(writer, variant);
		weights = variant->weighted ? "weights1" : NULL;
	}
	loop_model_bag(writer, variant, "bag_", "table", variant->hot > 0 ? "ids1" : "ids",
		       "offsets", weights, "y");
	return writer;
}

struct onnx_writer *loop_model_gather(const struct loop_variant *variant,
				      const float table[LOOP_ROWS * LOOP_DIM])
{
	struct onnx_writer *writer = loop_model_new(variant, table);
	int64_t axis = 1;

	onnx_writer_node(writer, "Gather", "table,ids", "rows");
	if (variant->weighted) {
		put_axes(writer, "", variant->opset, "Unsqueeze", "weights", "column", 2);
		onnx_writer_node(writer, "Mul", "rows,column", "products");
	}
	if (variant->opset >= 13 && variant->reduce[6] == 'S') {
		put_axes(writer, "", variant->opset, variant->reduce,
			 variant->weighted ? "products" : "rows", "y", 1);
	} else {
		onnx_writer_node(writer, variant->reduce, variant->weighted ? "products" : "rows",
				 "y");
		onnx_writer_ints(writer, "axes", &axis, 1);
	}
	onnx_writer_int(writer, "keepdims", 0);
	return writer;
}

double loop_answer(const float table[LOOP_ROWS * LOOP_DIM], const char *reduce, const int64_t ids[],
		   const float weights[], int64_t begin, int64_t end, int64_t padding, int column)
{
	double sum = 0, most = -INFINITY;
	int64_t count = 0;

	for (int64_t value = begin; value < end; value++) {
		int64_t id = ids[value] < 0 ? ids[value] + LOOP_ROWS : ids[value];
		double x = (double)table[id * LOOP_DIM + column] *
			   (weights ? (double)weights[value] : 1);

		if (id == padding)
			continue;
		count++;
		sum += x;
		most = x > most ? x : most;
	}
	if (count == 0)
		return 0;
	if (reduce[6] == 'S')
		return sum;
	return reduce[7] == 'e' ? sum / (double)count : most;
}
