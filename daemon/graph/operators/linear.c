/* SPDX-License-Identifier: MIT */
/* daemon/graph/operators/linear.c - matrix products: Gemm and MatMul */
#include <errno.h>
#include <string.h>

#include "graph/lower.h"
#include "graph/ops.h"

static int inner_refuse(const struct graph *graph, const struct node *node)
{
	char left[SHAPE_TEXT_BYTES];
	char right[SHAPE_TEXT_BYTES];

	return node_refuse(graph, node, -EINVAL, "shapes %s and %s do not multiply in every batch",
			   shape_text(graph, node_input(graph, node, 0), left),
			   shape_text(graph, node_input(graph, node, 1), right));
}

int infer_gemm(struct graph *graph, struct node *node)
{
	const struct value *a = node_input(graph, node, 0);
	const struct value *b = node_input(graph, node, 1);
	struct value shape = {.rank = 2};
	int r;

	for (uint32_t input = 0; input < 3; input++) {
		r = require_float(graph, node, input);
		if (r < 0)
			return err_trace(r);
		r = require_same_type(graph, node, input);
		if (r < 0)
			return err_trace(r);
	}
	if (node->input_count == 2 && graph->model->opset < 11)
		return node_refuse(graph, node, -EINVAL,
				   "input C is missing; optional since opset 11");
	if (a->rank != 2 || b->rank != 2)
		return node_refuse(graph, node, -EINVAL, "its matrices have %u and %u dimensions",
				   a->rank, b->rank);
	node->alpha = attribute_float(node, "alpha", 1.0f);
	node->beta = attribute_float(node, "beta", 1.0f);
	node->trans_a = attribute_int(node, "transA", 0) != 0;
	node->trans_b = attribute_int(node, "transB", 0) != 0;
	if (!dim_equal(a->dims[node->trans_a ? 0 : 1], b->dims[node->trans_b ? 1 : 0]))
		return inner_refuse(graph, node);
	shape.dims[0] = a->dims[node->trans_a ? 1 : 0];
	shape.dims[1] = b->dims[node->trans_b ? 0 : 1];
	infer_output(graph, node, 0, a->dtype, 2, shape.dims);
	if (node_has_input(node, 2)) {
		struct value whole = shape;

		r = infer_broadcast(graph, node, &whole, node_input(graph, node, 2));
		if (r < 0)
			return err_trace(r);
		if (whole.rank != 2 || !dim_equal(whole.dims[0], shape.dims[0]) ||
		    !dim_equal(whole.dims[1], shape.dims[1]))
			return node_refuse(graph, node, -EINVAL, "C is larger than the product");
	}
	return 0;
}

int infer_product(struct graph *graph, struct node *node, enum dtype dtype)
{
	const struct value *a = node_input(graph, node, 0);
	const struct value *b = node_input(graph, node, 1);
	struct value batch = {0};
	struct value other = {0};
	int r;

	if (a->rank == 0 || b->rank == 0)
		return node_refuse(graph, node, -EINVAL, "an operand is a scalar");
	node->alpha = 1.0f;
	node->beta = 1.0f;
	if (!dim_equal(a->dims[a->rank - 1], b->dims[b->rank == 1 ? 0 : b->rank - 2]))
		return inner_refuse(graph, node);
	batch.rank = a->rank > 2 ? a->rank - 2 : 0;
	other.rank = b->rank > 2 ? b->rank - 2 : 0;
	memcpy(batch.dims, a->dims, batch.rank * sizeof(batch.dims[0]));
	memcpy(other.dims, b->dims, other.rank * sizeof(other.dims[0]));
	r = infer_broadcast(graph, node, &batch, &other);
	if (r < 0)
		return err_trace(r);
	if (batch.rank > MATMUL_BATCH_RANK)
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "%u batch dimensions; at most %d are supported", batch.rank,
				   MATMUL_BATCH_RANK);
	if (a->rank > 1)
		batch.dims[batch.rank++] = a->dims[a->rank - 2];
	if (b->rank > 1)
		batch.dims[batch.rank++] = b->dims[b->rank - 1];
	infer_output(graph, node, 0, dtype, batch.rank, batch.dims);
	return 0;
}

int infer_matmul(struct graph *graph, struct node *node)
{
	int r;

	for (uint32_t input = 0; input < 2; input++) {
		r = require_float(graph, node, input);
		if (r < 0)
			return err_trace(r);
		r = require_same_type(graph, node, input);
		if (r < 0)
			return err_trace(r);
	}
	return infer_product(graph, node, node_input(graph, node, 0)->dtype);
}

/* One operand of a product as strides: batch dims, rows and columns. */
struct operand_view {
	uint32_t value;
	struct dim dims[KERNEL_RANK_MAX]; /* batch..., rows, columns */
	uint32_t rank;
	struct poly row;
	struct poly column;
};

/* A transposition of the last two axes is read in place. */
static void view_transposed(const struct graph *graph, struct operand_view *view)
{
	const struct value *value = graph_value(graph, view->value);
	const struct node *node;

	if (value->producer == GRAPH_NONE || value->kind != VALUE_COMPUTED || value->rank < 2 ||
	    value->view_of != GRAPH_NONE)
		return;
	node = &graph->nodes[value->producer];
	if (node->op->infer != infer_transpose || node->perm[value->rank - 1] != value->rank - 2)
		return;
	for (uint32_t axis = 0; axis + 2 < value->rank; axis++) {
		if (node->perm[axis] != axis)
			return;
	}
	if (graph_value(graph, node->inputs[0])->part_of != GRAPH_NONE)
		return;
	view->value = node->inputs[0];
	view->row = poly_constant(1);
	view->column = poly_dim(view->dims[view->rank - 2]);
}

static struct operand_view operand_view(const struct graph *graph, uint32_t index, bool is_left,
					bool transposed)
{
	const struct value *value = graph_value(graph, index);
	struct operand_view view = {.value = index, .rank = value->rank};

	memcpy(view.dims, value->dims, sizeof(view.dims));
	if (value->rank == 1) {
		view.rank = 2;
		view.dims[0] = is_left ? dim_constant(1) : value->dims[0];
		view.dims[1] = is_left ? value->dims[0] : dim_constant(1);
	}
	view.row = poly_dim(view.dims[view.rank - 1]);
	view.column = poly_constant(1);
	if (value->rank > 1)
		view_transposed(graph, &view);
	if (transposed) {
		struct poly row = view.row;
		struct dim dim = view.dims[0];

		view.row = view.column;
		view.column = row;
		view.dims[0] = view.dims[1];
		view.dims[1] = dim;
	}
	return view;
}

/* Batch dim `place` from the right (0: the innermost batch dim); 1 beyond. */
static struct dim view_batch(const struct operand_view *view, uint32_t place)
{
	return place + 2 < view->rank ? view->dims[view->rank - 3 - place] : dim_constant(1);
}

static struct poly view_stride(const struct operand_view *view, uint32_t place)
{
	struct poly stride = poly_constant(1);

	if (dim_is(view_batch(view, place), 1))
		return poly_constant(0);
	for (uint32_t axis = view->rank - 2 - place; axis < view->rank; axis++)
		stride = poly_multiply(stride, poly_dim(view->dims[axis]));
	return stride;
}

static int lower_matmul(struct lowering *lowering, const struct node *node, uint32_t y)
{
	const struct graph *graph = lowering->graph;
	struct operand_view a = operand_view(graph, node->inputs[0], true, node->trans_a);
	struct operand_view b = operand_view(graph, node->inputs[1], false, node->trans_b);
	struct step *step = step_new(lowering, KERNEL_MATMUL);
	struct {
		uint32_t field;
		struct poly size;
	} sizes[7 + 3 * MATMUL_BATCH_RANK] = {
		{FIELD(matmul_args, m), poly_dim(a.dims[a.rank - 2])},
		{FIELD(matmul_args, k), poly_dim(a.dims[a.rank - 1])},
		{FIELD(matmul_args, n), poly_dim(b.dims[b.rank - 1])},
		{FIELD(matmul_args, a_row), a.row},
		{FIELD(matmul_args, a_column), a.column},
		{FIELD(matmul_args, b_row), b.row},
		{FIELD(matmul_args, b_column), b.column},
	};
	uint32_t count = 7;
	int r;

	for (uint32_t place = 0; place < MATMUL_BATCH_RANK; place++) {
		uint32_t index = MATMUL_BATCH_RANK - 1 - place;
		struct dim dim = view_batch(&a, place);

		sizes[count].field = FIELD_AT(matmul_args, batch, index);
		sizes[count++].size = poly_dim(dim_is(dim, 1) ? view_batch(&b, place) : dim);
		sizes[count].field = FIELD_AT(matmul_args, a_batch, index);
		sizes[count++].size = view_stride(&a, place);
		sizes[count].field = FIELD_AT(matmul_args, b_batch, index);
		sizes[count++].size = view_stride(&b, place);
	}
	r = step_read(lowering, step, FIELD(matmul_args, a), a.value, poly_constant(0));
	if (r < 0)
		return err_trace(r);
	r = step_read(lowering, step, FIELD(matmul_args, b), b.value, poly_constant(0));
	if (r < 0)
		return err_trace(r);
	r = step_write(lowering, step, FIELD(matmul_args, y), y, poly_constant(0));
	if (r < 0)
		return err_trace(r);
	for (uint32_t index = 0; index < count; index++) {
		r = step_size(lowering, step, sizes[index].field, sizes[index].size);
		if (r < 0)
			return err_trace(r);
	}
	return 0;
}

/* The left operand of KERNEL_GEMM has its rows in order. */
static int lower_rows(struct lowering *lowering, const struct node *node, uint32_t *ret_value)
{
	const struct value *a = node_input(lowering->graph, node, 0);
	struct dim dims[2] = {a->dims[1], a->dims[0]};
	struct walk walk = {.rank = 2, .set_count = 2};
	int r;

	*ret_value = node->inputs[0];
	if (!node->trans_a)
		return 0;
	r = lower_temporary(lowering, DTYPE_F32, 2, dims, ret_value);
	if (r < 0)
		return err_trace(r);
	walk.dims[0] = poly_dim(dims[0]);
	walk.dims[1] = poly_dim(dims[1]);
	walk.strides[0][0] = poly_constant(1);
	walk.strides[0][1] = poly_dim(dims[0]);
	walk.strides[1][0] = poly_dim(dims[1]);
	walk.strides[1][1] = poly_constant(1);
	return lower_copy(lowering, node->inputs[0], poly_constant(0), *ret_value, poly_constant(0),
			  &walk);
}

static int gemm_weights(struct lowering *lowering, const struct node *node, struct step *step)
{
	const struct value *b = node_input(lowering->graph, node, 1);
	struct weight weight = {
		.layout = WEIGHT_GEMM,
		.value = node->inputs[1],
		.k = b->dims[node->trans_b ? 1 : 0].constant,
		.n = b->dims[node->trans_b ? 0 : 1].constant,
		.row_stride = node->trans_b ? 1 : b->dims[1].constant,
		.column_stride = node->trans_b ? b->dims[1].constant : 1,
		.scale = node->alpha,
	};
	struct weight bias = {
		.layout = WEIGHT_BIAS,
		.value = node->bias,
		.n = weight.n,
		.scale = node->beta,
	};
	int r;

	step->args->gemm.k = weight.k;
	step->args->gemm.n = weight.n;
	step->args->gemm.activation = node->activation;
	step->args->gemm.low = node->low;
	step->args->gemm.high = node->high;
	step->args->gemm.post_activation = node->post_activation;
	step->args->gemm.post_low = node->post_low;
	step->args->gemm.post_high = node->post_high;
	r = step_weight(lowering, step, FIELD(gemm_args, weight), weight);
	if (r < 0)
		return err_trace(r);
	if (node->bias == GRAPH_NONE)
		return 0;
	r = step_weight(lowering, step, FIELD(gemm_args, bias), bias);
	if (r < 0)
		return err_trace(r);
	return 0;
}

/* What follows the product. */
static int gemm_follows(struct lowering *lowering, const struct node *node, struct step *step)
{
	static const struct {
		uint32_t input;
		uint32_t field;
		uint32_t stride_field;
	} follows[] = {
		{LINEAR_MULTIPLIER, FIELD(gemm_args, multiplier),
		 FIELD(gemm_args, multiplier_stride)},
		{LINEAR_RESIDUAL, FIELD(gemm_args, residual), FIELD(gemm_args, residual_stride)},
	};
	int r;

	for (size_t index = 0; index < sizeof(follows) / sizeof(follows[0]); index++) {
		if (!node_has_input(node, follows[index].input))
			continue;
		r = step_read_rows(lowering, step, follows[index].field,
				   follows[index].stride_field, node->inputs[follows[index].input],
				   step->args->gemm.n);
		if (r < 0)
			return err_trace(r);
	}
	return 0;
}

static int lower_gemm(struct lowering *lowering, const struct node *node, uint32_t y)
{
	const struct value *a = node_input(lowering->graph, node, 0);
	struct poly rows = node->trans_a ? poly_dim(a->dims[1]) : value_span(a, 0, a->rank - 1);
	struct step *step;
	uint32_t x;
	int r;

	r = lower_rows(lowering, node, &x);
	if (r < 0)
		return err_trace(r);
	step = step_new(lowering, KERNEL_GEMM);
	if (!step)
		return err_trace(-ENOMEM);
	r = gemm_weights(lowering, node, step);
	if (r < 0)
		return err_trace(r);
	r = step_read_rows(lowering, step, FIELD(gemm_args, x), FIELD(gemm_args, x_stride), x,
			   step->args->gemm.k);
	if (r < 0)
		return err_trace(r);
	r = gemm_follows(lowering, node, step);
	if (r < 0)
		return err_trace(r);
	r = step_write_rows(lowering, step, FIELD(gemm_args, y), FIELD(gemm_args, y_stride), y,
			    step->args->gemm.n);
	if (r < 0)
		return err_trace(r);
	return step_size(lowering, step, FIELD(gemm_args, rows), rows);
}

/* y = x * factor, or x itself when the factor is 1. */
static int lower_scaled(struct lowering *lowering, uint32_t x, float factor, uint32_t *ret_scaled)
{
	const struct value *value = graph_value(lowering->graph, x);
	float *data;
	uint32_t scalar;
	int r;

	*ret_scaled = x;
	if (factor == 1.0f)
		return 0;
	data = graph_allocate(lowering->graph, 1, sizeof(*data));
	if (!data)
		return err_trace(-ENOMEM);
	*data = factor;
	r = graph_constant_new(lowering->graph, DTYPE_F32, 0, NULL, data, &scalar);
	if (r < 0)
		return err_trace(r);
	r = lower_temporary(lowering, DTYPE_F32, value->rank, value->dims, ret_scaled);
	if (r < 0)
		return err_trace(r);
	return lower_binary_values(lowering, BINARY_MUL, x, scalar, *ret_scaled);
}

int lower_linear(struct lowering *lowering, const struct node *node)
{
	const struct value *output = node_output(lowering->graph, node, 0);
	bool adds = node_has_input(node, 2) && node->bias != node->inputs[2];
	bool scales = !node->packed && node->alpha != 1.0f;
	uint32_t y = node->outputs[0];
	struct poly elements = value_elements(output);
	uint32_t addend;
	int r;

	if (poly_is(&elements, 0))
		return 0;
	if (adds || scales) {
		r = lower_temporary(lowering, DTYPE_F32, output->rank, output->dims, &y);
		if (r < 0)
			return err_trace(r);
	}
	r = node->packed ? lower_gemm(lowering, node, y) : lower_matmul(lowering, node, y);
	if (r < 0)
		return err_trace(r);
	if (!adds && !scales)
		return 0;
	if (scales) {
		r = lower_scaled(lowering, y, node->alpha, &y);
		if (r < 0)
			return err_trace(r);
	}
	if (!adds) {
		struct walk walk = {.rank = 1, .set_count = 2};

		walk.dims[0] = elements;
		walk.strides[0][0] = walk.strides[1][0] = poly_constant(1);
		return lower_copy(lowering, y, poly_constant(0), node->outputs[0],
				  poly_constant(0), &walk);
	}
	r = lower_scaled(lowering, node->inputs[2], node->beta, &addend);
	if (r < 0)
		return err_trace(r);
	return lower_binary_values(lowering, BINARY_ADD, y, addend, node->outputs[0]);
}
