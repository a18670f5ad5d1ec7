/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/operators/einsum.c - Einsum becomes sums, transpositions and one batched product
 *
 * A letter that one operand alone has and the output lacks is summed away first. Of the others those
 * of both operands and of the output count batches, those of both alone are summed by the product,
 * and each operand has its own. Where nothing is summed the product is Mul.
 */
#include <errno.h>
#include <string.h>

#include "graph/bodies/control.h"
#include "graph/operators/equation.h"
#include "graph/ops.h"
#include "kernels/matmul.h"

/* A value whose axes have letters. */
struct operand {
	uint32_t value;
	struct einsum_term term;
	struct dim dims[KERNEL_RANK_MAX];
};

/* The letters of a product. */
struct parts {
	struct einsum_term batch, left, right, inner;
};

static bool has_letter(const struct einsum_term *term, uint32_t letter)
{
	return einsum_letters(term) >> letter & 1;
}

static uint32_t axis_of(const struct einsum_term *term, uint32_t letter)
{
	uint32_t axis = 0;

	while (term->letters[axis] != letter)
		axis++;
	return axis;
}

static void term_add(struct einsum_term *term, uint32_t letter)
{
	term->letters[term->rank++] = (uint8_t)letter;
}

static struct operand operand_init(const struct graph *graph, const struct node *node,
				   const struct einsum *einsum, uint32_t input)
{
	struct operand operand = {.value = node->inputs[input], .term = einsum->inputs[input]};

	memcpy(operand.dims, node_input(graph, node, input)->dims, sizeof(operand.dims));
	return operand;
}

/* Takes the letters away, by `op`: ReduceSum, or Squeeze where their sizes are 1. */
static int operand_drop(struct graph *graph, const struct node *node, struct operand *operand,
			const char *op, uint64_t letters)
{
	struct control_attribute attributes[] = {
		{"axes", 0, {0}}, {"keepdims", 0, {0}}, {NULL, 0, {0}}};
	struct operand left = {.value = operand->value};
	int r;

	for (uint32_t axis = 0; axis < operand->term.rank; axis++) {
		if (letters >> operand->term.letters[axis] & 1) {
			attributes[0].values[attributes[0].count++] = axis;
			continue;
		}
		left.dims[left.term.rank] = operand->dims[axis];
		term_add(&left.term, operand->term.letters[axis]);
	}
	if (attributes[0].count == 0)
		return 0;
	r = control_emit(graph, node, op, &operand->value, 1, attributes, &left.value);
	if (r < 0)
		return err_trace(r);
	*operand = left;
	return 0;
}

/* Its axes in the order of `order`, which has all its letters and maybe others. */
static int operand_order(struct graph *graph, const struct node *node, struct operand *operand,
			 const struct einsum_term *order)
{
	struct control_attribute perm[] = {{"perm", 0, {0}}, {NULL, 0, {0}}};
	struct operand moved = {.value = operand->value};
	bool moves = false;
	int r;

	for (uint32_t place = 0; place < order->rank; place++) {
		uint32_t axis;

		if (!has_letter(&operand->term, order->letters[place]))
			continue;
		axis = axis_of(&operand->term, order->letters[place]);
		moves = moves || axis != moved.term.rank;
		moved.dims[moved.term.rank] = operand->dims[axis];
		perm[0].values[perm[0].count++] = axis;
		term_add(&moved.term, order->letters[place]);
	}
	if (!moves)
		return 0;
	r = control_emit(graph, node, "Transpose", &operand->value, 1, perm, &moved.value);
	if (r < 0)
		return err_trace(r);
	*operand = moved;
	return 0;
}

/* Axes of size 1 for the letters of `order` that it lacks. */
static int operand_widen(struct graph *graph, const struct node *node, struct operand *operand,
			 const struct einsum_term *order)
{
	struct control_attribute axes[] = {{"axes", 0, {0}}, {NULL, 0, {0}}};
	struct operand wide = {.value = operand->value, .term = *order};
	int r;

	for (uint32_t axis = 0, from = 0; axis < order->rank; axis++) {
		if (has_letter(&operand->term, order->letters[axis])) {
			wide.dims[axis] = operand->dims[from++];
			continue;
		}
		wide.dims[axis] = dim_constant(1);
		axes[0].values[axes[0].count++] = axis;
	}
	if (axes[0].count > 0) {
		r = control_emit(graph, node, "Unsqueeze", &operand->value, 1, axes, &wide.value);
		if (r < 0)
			return err_trace(r);
	}
	*operand = wide;
	return 0;
}

/* --- Reshape --- */

struct target {
	int64_t *sizes; /* [KERNEL_RANK_MAX] */
	uint32_t rank;
	bool has_rest; /* a size of -1 */
	bool is_clear; /* what the sizes say is what is meant */
};

/* One axis of the size of all these together; the first of them is axis `from` before. */
static void target_add(struct target *target, const struct dim dims[], uint32_t count, uint32_t from)
{
	struct dim size = dim_constant(1);
	bool is_one = count == 1 && from == target->rank;

	for (uint32_t index = 0; index < count; index++)
		if (!dim_multiply(size, dims[index], &size))
			size = dim_symbol(0); /* any free one: -1 says which */
	if (target->rank == KERNEL_RANK_MAX || dim_is(size, 0)) {
		target->is_clear = false;
	} else if (size.symbol < 0) {
		target->sizes[target->rank++] = size.constant;
	} else if (is_one) {
		target->sizes[target->rank++] = 0;
	} else {
		target->is_clear = target->is_clear && !target->has_rest;
		target->has_rest = true;
		target->sizes[target->rank++] = -1;
	}
}

static int target_init(struct graph *graph, struct target *target)
{
	*target = (struct target){.is_clear = true};
	target->sizes = graph_allocate(graph, KERNEL_RANK_MAX, sizeof(*target->sizes));
	return target->sizes ? 0 : err_trace(-ENOMEM);
}

static int target_emit(struct graph *graph, const struct node *node, const struct einsum *einsum,
		       const struct target *target, uint32_t *value)
{
	struct dim rank = dim_constant(target->rank);
	uint32_t inputs[2] = {*value};
	int r;

	if (!target->is_clear)
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "equation '%.120s' needs two free sizes, or one of 0, as one "
				   "dimension with others; supported: one free size",
				   einsum->equation);
	r = graph_constant_new(graph, DTYPE_I64, 1, &rank, target->sizes, &inputs[1]);
	if (r < 0)
		return err_trace(r);
	return control_emit(graph, node, "Reshape", inputs, 2, NULL, value);
}

/* --- products --- */

static void parts_find(const struct operand *a, const struct operand *b,
		       const struct einsum_term *output, const struct einsum_term *inner_order,
		       struct parts *ret_parts)
{
	struct parts parts = {.batch = {.rank = 0}};

	for (uint32_t axis = 0; axis < output->rank; axis++) {
		uint32_t letter = output->letters[axis];
		bool in_a = has_letter(&a->term, letter), in_b = has_letter(&b->term, letter);

		term_add(in_a && in_b ? &parts.batch : in_a ? &parts.left : &parts.right, letter);
	}
	for (uint32_t axis = 0; axis < inner_order->rank; axis++) {
		uint32_t letter = inner_order->letters[axis];

		if (has_letter(&a->term, letter) && has_letter(&b->term, letter) &&
		    !has_letter(output, letter))
			term_add(&parts.inner, letter);
	}
	*ret_parts = parts;
}

static struct dim dim_broadcast(const struct operand *a, const struct operand *b, uint32_t letter)
{
	struct dim dim = dim_constant(1);

	if (has_letter(&a->term, letter))
		dim = a->dims[axis_of(&a->term, letter)];
	if (has_letter(&b->term, letter) && dim_is(dim, 1))
		dim = b->dims[axis_of(&b->term, letter)];
	return dim;
}

static void result_init(struct operand *result, const struct operand *a, const struct operand *b)
{
	for (uint32_t axis = 0; axis < result->term.rank; axis++)
		result->dims[axis] = dim_broadcast(a, b, result->term.letters[axis]);
}

/* Mul in the order of the output, and behind it what is summed then. */
static int multiply(struct graph *graph, const struct node *node, struct operand pair[2],
		    const struct einsum *einsum, const struct einsum_term *inner,
		    struct operand *ret_result)
{
	struct operand result = {.term = einsum->output};
	uint32_t inputs[2];
	int r;

	if (inner->rank > KERNEL_RANK_MAX - result.term.rank)
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "equation '%.120s' multiplies integers of %u letters; at most %d "
				   "are supported",
				   einsum->equation, inner->rank + result.term.rank,
				   KERNEL_RANK_MAX);
	for (uint32_t axis = 0; axis < inner->rank; axis++)
		term_add(&result.term, inner->letters[axis]);
	result_init(&result, &pair[0], &pair[1]);
	for (uint32_t side = 0; side < 2; side++) {
		r = operand_order(graph, node, &pair[side], &result.term);
		if (r >= 0)
			r = operand_widen(graph, node, &pair[side], &result.term);
		if (r < 0)
			return err_trace(r);
		inputs[side] = pair[side].value;
	}
	r = control_emit(graph, node, "Mul", inputs, 2, NULL, &result.value);
	if (r >= 0)
		r = operand_drop(graph, node, &result, "ReduceSum", einsum_letters(inner));
	if (r < 0)
		return err_trace(r);
	*ret_result = result;
	return 0;
}

/* Rows that no batch is above stay as they are: MatMul takes so many axes of them. */
static bool keeps_rows(const struct parts *parts)
{
	return parts->batch.rank == 0 && parts->left.rank > 0 &&
	       parts->left.rank <= MATMUL_BATCH_RANK + 1;
}

/* Batches, then `outer` and `inner` letters, each as one axis but for kept rows. */
static int operand_lay(struct graph *graph, const struct node *node, const struct einsum *einsum,
		       const struct parts *parts, struct operand *operand,
		       const struct einsum_term *outer, const struct einsum_term *inner)
{
	bool keeps = outer == &parts->left && keeps_rows(parts);
	struct einsum_term order = parts->batch;
	struct target target;
	uint32_t from = 0;
	int r;

	for (uint32_t axis = 0; axis < outer->rank; axis++)
		term_add(&order, outer->letters[axis]);
	for (uint32_t axis = 0; axis < inner->rank; axis++)
		term_add(&order, inner->letters[axis]);
	r = operand_order(graph, node, operand, &order);
	if (r < 0)
		return err_trace(r);
	if ((keeps || outer->rank == 1) && inner->rank == 1)
		return 0;
	r = target_init(graph, &target);
	if (r < 0)
		return err_trace(r);
	for (; from < parts->batch.rank + (keeps ? outer->rank : 0); from++)
		target_add(&target, &operand->dims[from], 1, from);
	if (!keeps) {
		target_add(&target, &operand->dims[from], outer->rank, from);
		from += outer->rank;
	}
	target_add(&target, &operand->dims[from], inner->rank, from);
	return target_emit(graph, node, einsum, &target, &operand->value);
}

static int contract(struct graph *graph, const struct node *node, struct operand pair[2],
		    const struct einsum *einsum, const struct parts *parts,
		    struct operand *ret_result)
{
	struct operand result = {.term = parts->batch};
	struct target target;
	uint32_t inputs[2];
	int r;

	if (parts->batch.rank > MATMUL_BATCH_RANK)
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "equation '%.120s' has %u letters that count batches; at most %d "
				   "are supported",
				   einsum->equation, parts->batch.rank, MATMUL_BATCH_RANK);
	for (uint32_t axis = 0; axis < parts->left.rank; axis++)
		term_add(&result.term, parts->left.letters[axis]);
	for (uint32_t axis = 0; axis < parts->right.rank; axis++)
		term_add(&result.term, parts->right.letters[axis]);
	result_init(&result, &pair[0], &pair[1]);
	r = operand_lay(graph, node, einsum, parts, &pair[0], &parts->left, &parts->inner);
	if (r >= 0)
		r = operand_lay(graph, node, einsum, parts, &pair[1], &parts->inner, &parts->right);
	if (r < 0)
		return err_trace(r);
	inputs[0] = pair[0].value;
	inputs[1] = pair[1].value;
	r = control_emit(graph, node, "MatMul", inputs, 2, NULL, &result.value);
	if (r < 0)
		return err_trace(r);
	*ret_result = result;
	if ((keeps_rows(parts) || parts->left.rank == 1) && parts->right.rank == 1)
		return 0;
	r = target_init(graph, &target);
	if (r < 0)
		return err_trace(r);
	/* Up to merged rows the product has these axes at their places. */
	for (uint32_t axis = 0; axis < result.term.rank; axis++) {
		uint32_t first = parts->batch.rank;
		uint32_t kept = keeps_rows(parts) || parts->left.rank == 1 ? first + parts->left.rank
									   : first;
		bool is_column = parts->right.rank == 1 && kept == first + parts->left.rank &&
				 axis == kept;

		target_add(&target, &result.dims[axis], 1,
			   axis < kept || is_column ? axis : KERNEL_RANK_MAX);
	}
	return target_emit(graph, node, einsum, &target, &ret_result->value);
}

/* Of letters that both have: the same size, or 1 in one of them. */
static int sizes_agree(struct graph *graph, const struct node *node, const struct einsum *einsum,
		       struct operand pair[2])
{
	uint64_t both = einsum_letters(&pair[0].term) & einsum_letters(&pair[1].term);
	char name[4], left[SHAPE_TEXT_BYTES], right[SHAPE_TEXT_BYTES];
	int r;

	for (uint32_t letter = 0; letter < EINSUM_LETTERS; letter++) {
		struct dim a, b;

		if (!(both >> letter & 1))
			continue;
		a = pair[0].dims[axis_of(&pair[0].term, letter)];
		b = pair[1].dims[axis_of(&pair[1].term, letter)];
		if (dim_equal(a, b))
			continue;
		if (!dim_is(a, 1) && !dim_is(b, 1))
			return node_refuse(graph, node, -EINVAL,
					   "equation '%.120s': '%s' is %s in one operand and %s in the "
					   "other",
					   einsum->equation, einsum_name(letter, name),
					   dim_text(graph, a, left), dim_text(graph, b, right));
		/* What is summed in one operand alone is not repeated in the other. */
		if (has_letter(&einsum->output, letter))
			continue;
		r = operand_drop(graph, node, &pair[dim_is(a, 1) ? 0 : 1], "Squeeze",
				 UINT64_C(1) << letter);
		if (r < 0)
			return err_trace(r);
	}
	return 0;
}

static int product(struct graph *graph, const struct node *node, const struct einsum *einsum,
		   struct operand pair[2], struct operand *ret_result)
{
	const struct einsum_term *output = &einsum->output;
	uint64_t kept = einsum_letters(output);
	bool is_float = dtype_is_float(node_input(graph, node, 0)->dtype);
	bool swaps = false;
	struct parts parts;
	int r;

	r = sizes_agree(graph, node, einsum, pair);
	for (uint32_t side = 0; r >= 0 && side < 2; side++)
		r = operand_drop(graph, node, &pair[side], "ReduceSum",
				 ~(kept | einsum_letters(&pair[1 - side].term)));
	if (r < 0)
		return err_trace(r);
	/* Rows are of the operand whose letter is the output's first: no transposition is needed. */
	for (uint32_t axis = output->rank; axis-- > 0;) {
		bool in_a = has_letter(&pair[0].term, output->letters[axis]);
		bool in_b = has_letter(&pair[1].term, output->letters[axis]);

		swaps = in_a && in_b ? swaps : in_b;
	}
	if (swaps) {
		struct operand first = pair[0];

		pair[0] = pair[1];
		pair[1] = first;
	}
	/* It is the constant that is put in order, once. */
	parts_find(&pair[0], &pair[1], output,
		   graph_value(graph, pair[0].value)->kind == VALUE_CONSTANT ? &pair[1].term
									      : &pair[0].term,
		   &parts);
	if (parts.inner.rank == 0 || !is_float)
		return multiply(graph, node, pair, einsum, &parts.inner, ret_result);
	return contract(graph, node, pair, einsum, &parts, ret_result);
}

int infer_einsum(struct graph *graph, struct node *node)
{
	struct operand pair[EINSUM_OPERANDS_MAX], result;
	struct einsum einsum;
	int r;

	r = einsum_read(graph, node, &einsum);
	if (r < 0)
		return err_trace(r);
	for (uint32_t input = 0; input < einsum.input_count; input++) {
		pair[input] = operand_init(graph, node, &einsum, input);
		r = require_same_type(graph, node, input);
		if (r < 0)
			return err_trace(r);
		if (node_input(graph, node, input)->dtype == DTYPE_BOOL)
			return node_refuse(graph, node, -EINVAL, "its input '%s' is bool; numbers "
					   "are wanted", node_input(graph, node, input)->name);
	}
	if (einsum.input_count == 2) {
		r = product(graph, node, &einsum, pair, &result);
	} else {
		result = pair[0];
		r = operand_drop(graph, node, &result, "ReduceSum", ~einsum_letters(&einsum.output));
	}
	if (r >= 0)
		r = operand_order(graph, node, &result, &einsum.output);
	return r < 0 ? err_trace(r) : control_alias(graph, node, 0, result.value);
}
