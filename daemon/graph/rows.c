/* SPDX-License-Identifier: MIT */
/* daemon/graph/rows.c - the proof that requests may share a batch */
#include "graph/rows.h"

#include <errno.h>
#include <stdio.h>

#include "graph/ops.h"

#define SYMBOL 0 /* the only one */

/* Are the parts of the value outermost, one a row or one in all? */
static bool is_parted(enum rows state)
{
	return state == ROWS_EACH || state == ROWS_REQUEST;
}

/* Does the shape agree with the claim? */
static enum rows rows_of_shape(const struct value *value, enum rows claim)
{
	for (uint32_t axis = 0; axis < value->rank; axis++) {
		struct dim dim = value->dims[axis];
		bool counts_rows = dim.symbol == SYMBOL && dim.factor > 0 && dim.constant == 0;

		if (axis == 0 && claim == ROWS_EACH) {
			if (!counts_rows)
				return ROWS_MIXED;
		} else if (axis == 0 && claim == ROWS_REQUEST) {
			if (!dim_is(dim, 1))
				return ROWS_MIXED;
		} else if (dim.symbol >= 0) {
			return ROWS_MIXED;
		}
	}
	return is_parted(claim) && value->rank == 0 ? ROWS_MIXED : claim;
}

static enum rows rows_of_input(const struct value *input)
{
	enum rows each = rows_of_shape(input, ROWS_EACH);

	return each != ROWS_MIXED ? each : rows_of_shape(input, ROWS_REQUEST);
}

static enum rows rows_input(const struct node *node, const uint8_t *rows, uint32_t input)
{
	return node_has_input(node, input) ? (enum rows)rows[node->inputs[input]] : ROWS_FREE;
}

/* What two operands give that are broadcast against each other, parts outermost. */
static enum rows rows_meet(enum rows a, enum rows b)
{
	if (a == ROWS_MIXED || b == ROWS_MIXED)
		return ROWS_MIXED;
	if (a == ROWS_EACH || b == ROWS_EACH)
		return ROWS_EACH;
	return a == ROWS_REQUEST || b == ROWS_REQUEST ? ROWS_REQUEST : ROWS_FREE;
}

/* Inputs `first` on, broadcast against the output: parts must stay outermost. */
static enum rows rows_broadcast(const struct graph *graph, const struct node *node,
				const uint8_t *rows, uint32_t first)
{
	const struct value *output = node_output(graph, node, 0);
	enum rows result = ROWS_FREE;

	for (uint32_t input = first; input < node->input_count; input++) {
		enum rows state = rows_input(node, rows, input);

		result = rows_meet(result, state);
		if (result == ROWS_MIXED)
			return ROWS_MIXED;
		if (is_parted(state) && node_input(graph, node, input)->rank != output->rank)
			return ROWS_MIXED;
		if (state == ROWS_EACH &&
		    !dim_equal(node_input(graph, node, input)->dims[0], output->dims[0]))
			return ROWS_MIXED;
	}
	return result;
}

static enum rows rows_gather(const struct node *node, const uint8_t *rows)
{
	enum rows data = rows_input(node, rows, 0);
	enum rows ids = rows_input(node, rows, 1);

	if (data == ROWS_FREE && ids == ROWS_FREE)
		return ROWS_FREE;
	if (data == ROWS_FREE && is_parted(ids) && node->axis == 0)
		return ids;
	if (is_parted(data) && ids == ROWS_FREE && node->axis > 0)
		return data;
	return ROWS_MIXED;
}

static enum rows rows_linear(const struct graph *graph, const struct node *node,
			     const uint8_t *rows)
{
	const struct value *output = node_output(graph, node, 0);
	const struct value *a = node_input(graph, node, 0);
	const struct value *b = node_input(graph, node, 1);
	enum rows left = rows_input(node, rows, 0);
	enum rows right = rows_input(node, rows, 1);
	enum rows addend = ROWS_FREE;
	bool in_left;
	bool in_right;

	if (node_has_input(node, 2)) {
		addend = rows_broadcast(graph, node, rows, 2);
		if (addend == ROWS_MIXED)
			return ROWS_MIXED;
	}
	if (left == ROWS_MIXED || right == ROWS_MIXED)
		return ROWS_MIXED;
	if (left == ROWS_FREE && right == ROWS_FREE)
		return addend;
	/* An operand's outermost axis must be the output's, and not the one summed over. */
	in_left = a->rank >= 2 && a->rank == output->rank && !node->trans_a;
	in_right = b->rank >= 3 && b->rank == output->rank;
	if ((is_parted(left) && !in_left) || (is_parted(right) && !in_right))
		return ROWS_MIXED;
	if (left == ROWS_EACH && right == ROWS_EACH && !dim_equal(a->dims[0], b->dims[0]))
		return ROWS_MIXED;
	/* Of two dimensions the outermost is no batch: there is nothing to broadcast along. */
	if (left != right && is_parted(left) && is_parted(right) && output->rank < 3)
		return ROWS_MIXED;
	return rows_meet(rows_meet(left, right), addend);
}

/* Expand; ConstantOfShape is one of a FREE value: what is repeated for every row is the same for
 * each. */
static enum rows rows_expand(const struct graph *graph, const struct node *node, enum rows state)
{
	const struct value *input = node_input(graph, node, 0);
	const struct value *output = node_output(graph, node, 0);
	enum rows each = rows_of_shape(output, ROWS_EACH);

	if (state == ROWS_FREE)
		return each == ROWS_EACH ? ROWS_EACH : ROWS_FREE;
	if (state == ROWS_MIXED || input->rank != output->rank)
		return ROWS_MIXED;
	if (state == ROWS_REQUEST && !dim_is(output->dims[0], 1))
		return each;
	return dim_equal(input->dims[0], output->dims[0]) ? state : ROWS_MIXED;
}

static enum rows rows_opaque(const struct node *node, const uint8_t *rows)
{
	for (uint32_t input = 0; input < node->input_count; input++) {
		if (rows_input(node, rows, input) != ROWS_FREE)
			return ROWS_MIXED;
	}
	return ROWS_FREE;
}

static enum rows rows_slice(const struct graph *graph, const struct node *node, enum rows state)
{
	const struct value *input = node_input(graph, node, 0);

	/* What is cut out must not move with the number of rows. */
	for (uint32_t axis = 0; axis < input->rank; axis++) {
		if (node->starts[axis].symbol >= 0)
			return ROWS_MIXED;
	}
	if (!is_parted(state))
		return state;
	return dim_equal(input->dims[0], node_output(graph, node, 0)->dims[0]) &&
			       node->steps[0] == 1
		       ? state
		       : ROWS_MIXED;
}

static enum rows rows_node(const struct graph *graph, const struct node *node, const uint8_t *rows)
{
	enum rows first = rows_input(node, rows, 0);

	switch (node->op->rows) {
	case ROWS_ELEMENTWISE:
	case ROWS_CONCAT:
		if (node->op->rows == ROWS_CONCAT && node->axis == 0 && node->input_count > 1 &&
		    first != ROWS_FREE)
			return ROWS_MIXED;
		return rows_broadcast(graph, node, rows, 0);
	case ROWS_VIEW:
		return first;
	case ROWS_INNER:
		for (uint32_t input = 1; input < node->input_count; input++) {
			if (rows_input(node, rows, input) != ROWS_FREE)
				return ROWS_MIXED;
		}
		return is_parted(first) && node->axis == 0 ? ROWS_MIXED : first;
	case ROWS_AXES:
		return is_parted(first) && (node->axes & 1U) ? ROWS_MIXED : first;
	case ROWS_SLICE:
		return rows_slice(graph, node, first);
	case ROWS_TRANSPOSE:
		return is_parted(first) && node->perm[0] != 0 ? ROWS_MIXED : first;
	case ROWS_GATHER:
		return rows_gather(node, rows);
	case ROWS_LINEAR:
		return rows_linear(graph, node, rows);
	case ROWS_EXPAND:
		return rows_expand(graph, node, first);
	case ROWS_FILL:
		return rows_expand(graph, node, ROWS_FREE);
	case ROWS_OPAQUE:
		return rows_opaque(node, rows);
	default:
		return ROWS_FREE; /* Shape: its dims decide */
	}
}

/* Integers that hold the number of rows differ with it. */
static bool knows_rows(const struct value *value)
{
	for (uint32_t index = 0; index < value->known_count; index++) {
		if (value->known[index].symbol >= 0)
			return true;
	}
	return false;
}

/* The node, or input, whose value is the first one not proven on the way to `value`. */
static uint32_t first_mixed(const struct graph *graph, const uint8_t *rows, uint32_t value)
{
	for (;;) {
		uint32_t producer = graph_value(graph, value)->producer;
		uint32_t before = GRAPH_NONE;

		if (producer == GRAPH_NONE)
			return value;
		for (uint32_t input = 0; input < graph->nodes[producer].input_count; input++) {
			uint32_t read = graph->nodes[producer].inputs[input];

			if (read != GRAPH_NONE && rows[read] == ROWS_MIXED)
				before = read;
		}
		if (before == GRAPH_NONE)
			return value;
		value = before;
	}
}

static void why_output(const struct graph *graph, uint32_t output, struct rows_proof *proof)
{
	const struct value *value = graph_value(graph, output);
	uint32_t mixed = first_mixed(graph, proof->rows, output);
	char text[SHAPE_TEXT_BYTES];

	if (proof->rows[output] == ROWS_FREE)
		(void)snprintf(proof->why, sizeof(proof->why),
			       "output '%s' is the same whatever the inputs are", value->name);
	else if (proof->rows[output] == ROWS_EACH)
		(void)snprintf(proof->why, sizeof(proof->why),
			       "output '%s' has the shape %s, more or fewer rows than the inputs",
			       value->name, shape_text(graph, value, text));
	else if (proof->rows[output] == ROWS_REQUEST)
		(void)snprintf(proof->why, sizeof(proof->why),
			       "output '%s' has one row whatever the inputs have", value->name);
	else if (graph_value(graph, mixed)->producer == GRAPH_NONE)
		(void)snprintf(proof->why, sizeof(proof->why),
			       "input '%s' of shape %s has as its first dimension neither the "
			       "rows alone nor 1",
			       graph_value(graph, mixed)->name,
			       shape_text(graph, graph_value(graph, mixed), text));
	else {
		const struct node *node = &graph->nodes[graph_value(graph, mixed)->producer];

		(void)snprintf(proof->why, sizeof(proof->why),
			       "node '%s' (%s) gives '%s' of shape %s, in which a row may depend "
			       "on other rows",
			       node->name, node->source->op_type, graph_value(graph, mixed)->name,
			       shape_text(graph, graph_value(graph, mixed), text));
	}
}

/* Sets `why` unless every input and output has the rows outermost, one each. */
static void graph_judge(const struct graph *graph, struct rows_proof *proof)
{
	char text[SHAPE_TEXT_BYTES];

	if (graph->input_count == 0)
		(void)snprintf(proof->why, sizeof(proof->why), "it has no input");
	for (uint32_t input = 0; input < graph->input_count && proof->why[0] == '\0'; input++) {
		uint32_t index = graph->inputs[input];
		const struct value *value = graph_value(graph, index);

		if (proof->rows[index] == ROWS_REQUEST ||
		    (proof->rows[index] == ROWS_EACH &&
		     dim_equal(value->dims[0], dim_symbol(SYMBOL))))
			continue;
		(void)snprintf(proof->why, sizeof(proof->why),
			       "input '%s' of shape %s has as its first dimension neither the "
			       "rows alone nor 1",
			       value->name, shape_text(graph, value, text));
	}
	for (uint32_t output = 0; output < graph->output_count && proof->why[0] == '\0'; output++) {
		uint32_t index = graph->outputs[output];

		if (proof->rows[index] != ROWS_EACH ||
		    !dim_equal(graph_value(graph, index)->dims[0], dim_symbol(SYMBOL)))
			why_output(graph, index, proof);
	}
}

int rows_prove(struct graph *graph, struct rows_proof *ret_proof)
{
	uint8_t *rows = graph_allocate(graph, graph->value_count, sizeof(*rows));

	if (!rows)
		return err_trace(-ENOMEM);
	*ret_proof = (struct rows_proof){.rows = rows, .symbol = -1, .request_symbol = -1};
	if (graph->symbol_count == 0)
		(void)snprintf(ret_proof->why, sizeof(ret_proof->why), "no input has a free size");
	if (graph->symbol_count > 1)
		(void)snprintf(ret_proof->why, sizeof(ret_proof->why),
			       "its inputs have %u free sizes, of which requests in one batch "
			       "would have to agree on all but one",
			       graph->symbol_count);
	if (graph->symbol_count != 1)
		return 0;
	for (uint32_t value = 0; value < graph->value_count; value++) {
		if (graph_value(graph, value)->kind == VALUE_CONSTANT)
			rows[value] = ROWS_FREE;
		if (graph_value(graph, value)->kind == VALUE_INPUT)
			rows[value] = (uint8_t)rows_of_input(graph_value(graph, value));
	}
	for (uint32_t index = 0; index < graph->node_count; index++) {
		const struct node *node = &graph->nodes[index];

		if (node->dead || !node_has_output(node, 0))
			continue;
		for (uint32_t output = 0; output < node->output_count; output++) {
			const struct value *value;

			if (!node_has_output(node, output))
				continue;
			value = node_output(graph, node, output);
			if (value->kind == VALUE_CONSTANT)
				continue;
			rows[node->outputs[output]] =
				(uint8_t)(knows_rows(value)
						  ? ROWS_MIXED
						  : rows_of_shape(value,
								  rows_node(graph, node, rows)));
		}
	}
	graph_judge(graph, ret_proof);
	if (ret_proof->why[0] == '\0')
		ret_proof->symbol = SYMBOL;
	return 0;
}
