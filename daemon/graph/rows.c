/* SPDX-License-Identifier: MIT */
/* daemon/graph/rows.c - the proof that requests may share a batch */
#include "graph/rows.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "graph/bag.h"
#include "graph/jagged.h"
#include "graph/ops.h"

struct proving {
	const struct graph *graph;
	struct jagged jagged;
	uint8_t *rows; /* of each value */
};

/* Are the parts of the value outermost, one a row, one a value of the bags or one in all? */
static bool is_parted(enum rows state)
{
	return state == ROWS_EACH || state == ROWS_REQUEST || state == ROWS_VALUES;
}

/* As many parts as there are rows, or values of bags: the first dimension decides. */
static bool is_counted(enum rows state)
{
	return state == ROWS_EACH || state == ROWS_VALUES;
}

/* As many as rows, or one more. */
static bool is_shape_of_offsets(const struct proving *proving, const struct value *value)
{
	struct dim count = value->dims[0];

	return value->rank == 1 && count.symbol == proving->jagged.row_symbol &&
	       count.factor == 1 && (count.constant == 0 || count.constant == 1);
}

/* Does the shape agree with the claim? */
static enum rows rows_of_shape(const struct proving *proving, const struct value *value,
			       enum rows claim)
{
	if (claim == ROWS_OFFSETS)
		return is_shape_of_offsets(proving, value) ? claim : ROWS_MIXED;
	for (uint32_t axis = 0; axis < value->rank; axis++) {
		struct dim dim = value->dims[axis];
		bool counts_rows = dim.symbol >= 0 && dim.symbol == proving->jagged.row_symbol &&
				   dim.factor > 0 && dim.constant == 0;
		bool counts_values = dim.symbol >= 0 &&
				     proving->jagged.counts_values[dim.symbol] &&
				     dim.factor == 1 && dim.constant == 0;

		if (axis == 0 && is_counted(claim)) {
			if (!(claim == ROWS_EACH ? counts_rows : counts_values))
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

/* Of rows or of values, as the first dimension says. */
static enum rows rows_counted(const struct proving *proving, const struct value *value)
{
	enum rows each = rows_of_shape(proving, value, ROWS_EACH);

	return each != ROWS_MIXED ? each : rows_of_shape(proving, value, ROWS_VALUES);
}

static enum rows rows_of_input(const struct proving *proving, const struct value *input)
{
	enum rows counted = rows_counted(proving, input);

	if (proving->jagged.offsets_into[input->input_index] >= 0)
		return rows_of_shape(proving, input, ROWS_OFFSETS);
	return counted != ROWS_MIXED ? counted : rows_of_shape(proving, input, ROWS_REQUEST);
}

static enum rows rows_input(const struct proving *proving, const struct node *node, uint32_t input)
{
	return node_has_input(node, input) ? (enum rows)proving->rows[node->inputs[input]]
					   : ROWS_FREE;
}

/* What two operands give that are broadcast against each other, parts outermost. */
static enum rows rows_meet(enum rows a, enum rows b)
{
	if (a == ROWS_MIXED || b == ROWS_MIXED || a == ROWS_OFFSETS || b == ROWS_OFFSETS)
		return ROWS_MIXED;
	/* A value of a bag does not know its row. */
	if (a == ROWS_VALUES || b == ROWS_VALUES)
		return a == b || a == ROWS_FREE || b == ROWS_FREE ? ROWS_VALUES : ROWS_MIXED;
	if (a == ROWS_EACH || b == ROWS_EACH)
		return ROWS_EACH;
	return a == ROWS_REQUEST || b == ROWS_REQUEST ? ROWS_REQUEST : ROWS_FREE;
}

/* Inputs `first` on, broadcast against the output: parts must stay outermost. */
static enum rows rows_broadcast(const struct proving *proving, const struct node *node,
				uint32_t first)
{
	const struct graph *graph = proving->graph;
	const struct value *output = node_output(graph, node, 0);
	enum rows result = ROWS_FREE;

	for (uint32_t input = first; input < node->input_count; input++) {
		enum rows state = rows_input(proving, node, input);

		result = rows_meet(result, state);
		if (result == ROWS_MIXED)
			return ROWS_MIXED;
		if (is_parted(state) && node_input(graph, node, input)->rank != output->rank)
			return ROWS_MIXED;
		if (is_counted(state) &&
		    !dim_equal(node_input(graph, node, input)->dims[0], output->dims[0]))
			return ROWS_MIXED;
	}
	return result;
}

static enum rows rows_gather(const struct proving *proving, const struct node *node)
{
	enum rows data = rows_input(proving, node, 0);
	enum rows ids = rows_input(proving, node, 1);

	if (data == ROWS_FREE && ids == ROWS_FREE)
		return ROWS_FREE;
	/* Of a value of a bag nobody could tell which row to blame for it. */
	if (data == ROWS_FREE && (ids == ROWS_EACH || ids == ROWS_REQUEST) && node->axis == 0)
		return ids;
	if (is_parted(data) && ids == ROWS_FREE && node->axis > 0)
		return data;
	return ROWS_MIXED;
}

/* From data and ids of the same rows, each from its own; or of ids that read what all have. */
static enum rows rows_gather_within(const struct proving *proving, const struct node *node)
{
	const struct value *data = node_input(proving->graph, node, 0);
	const struct value *ids = node_input(proving->graph, node, 1);
	enum rows data_rows = rows_input(proving, node, 0);
	enum rows ids_rows = rows_input(proving, node, 1);
	bool are_rows = ids_rows == ROWS_EACH || ids_rows == ROWS_REQUEST;

	if (data_rows == ROWS_FREE && ids_rows == ROWS_FREE)
		return ROWS_FREE;
	/* Ids of one dimension may be a single point, and no rows of points. */
	if (!are_rows || (node->op->rows == ROWS_GATHER_ND && ids->rank < 2))
		return ROWS_MIXED;
	if (node->axis == 0)
		return data_rows == ROWS_FREE ? ids_rows : ROWS_MIXED;
	return data_rows == ids_rows && dim_equal(data->dims[0], ids->dims[0]) ? ids_rows
										: ROWS_MIXED;
}

static enum rows rows_linear(const struct proving *proving, const struct node *node)
{
	const struct graph *graph = proving->graph;
	const struct value *output = node_output(graph, node, 0);
	const struct value *a = node_input(graph, node, 0);
	const struct value *b = node_input(graph, node, 1);
	enum rows left = rows_input(proving, node, 0);
	enum rows right = rows_input(proving, node, 1);
	enum rows addend = ROWS_FREE;
	bool in_left;
	bool in_right;

	if (node_has_input(node, 2)) {
		addend = rows_broadcast(proving, node, 2);
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
	if (is_counted(left) && is_counted(right) && !dim_equal(a->dims[0], b->dims[0]))
		return ROWS_MIXED;
	/* Of two dimensions the outermost is no batch: there is nothing to broadcast along. */
	if (left != right && is_parted(left) && is_parted(right) && output->rank < 3)
		return ROWS_MIXED;
	return rows_meet(rows_meet(left, right), addend);
}

/* Expand; ConstantOfShape is one of a FREE value: what is repeated for every row is the same for
 * each. */
static enum rows rows_expand(const struct proving *proving, const struct node *node,
			     enum rows state)
{
	const struct value *input = node_input(proving->graph, node, 0);
	const struct value *output = node_output(proving->graph, node, 0);
	enum rows counted = rows_counted(proving, output);

	if (state == ROWS_FREE)
		return counted != ROWS_MIXED ? counted : ROWS_FREE;
	if (state == ROWS_MIXED || input->rank != output->rank)
		return ROWS_MIXED;
	if (state == ROWS_REQUEST && !dim_is(output->dims[0], 1))
		return rows_of_shape(proving, output, ROWS_EACH);
	return dim_equal(input->dims[0], output->dims[0]) ? state : ROWS_MIXED;
}

static enum rows rows_opaque(const struct proving *proving, const struct node *node)
{
	for (uint32_t input = 0; input < node->input_count; input++) {
		if (rows_input(proving, node, input) != ROWS_FREE)
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

/* Each row has the values between its offsets and the next. */
static enum rows rows_bag(const struct proving *proving, const struct node *node)
{
	const struct value *ids = node_input(proving->graph, node, BAG_IDS);
	uint32_t offsets;

	if (rows_input(proving, node, BAG_IDS) != ROWS_VALUES ||
	    rows_input(proving, node, BAG_OFFSETS) != ROWS_OFFSETS ||
	    (node_has_input(node, BAG_WEIGHTS) &&
	     rows_input(proving, node, BAG_WEIGHTS) != ROWS_VALUES))
		return ROWS_MIXED;
	/* Two bags may not find the same offsets among values of which there are more or less. */
	offsets = jagged_offsets_input(proving->graph, node);
	if (offsets == GRAPH_NONE ||
	    proving->jagged.offsets_into[offsets] != ids->dims[0].symbol)
		return ROWS_MIXED;
	return ROWS_EACH;
}

static enum rows rows_node(const struct proving *proving, const struct node *node)
{
	const struct graph *graph = proving->graph;
	enum rows first = rows_input(proving, node, 0);

	if (first == ROWS_OFFSETS) /* read as they are, or not at all: rows_bag */
		return node->op->infer == infer_cast || node->op->infer == infer_identity
			       ? ROWS_OFFSETS
			       : ROWS_MIXED;
	switch (node->op->rows) {
	case ROWS_ELEMENTWISE:
	case ROWS_CONCAT:
		if (node->op->rows == ROWS_CONCAT && node->axis == 0 && node->input_count > 1 &&
		    first != ROWS_FREE)
			return ROWS_MIXED;
		return rows_broadcast(proving, node, 0);
	case ROWS_VIEW:
		return first;
	case ROWS_INNER:
		for (uint32_t input = 1; input < node->input_count; input++) {
			if (rows_input(proving, node, input) != ROWS_FREE)
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
		return rows_gather(proving, node);
	case ROWS_GATHER_ELEMENTS:
	case ROWS_GATHER_ND:
		return rows_gather_within(proving, node);
	case ROWS_LINEAR:
		return rows_linear(proving, node);
	case ROWS_EXPAND:
		return rows_expand(proving, node, first);
	case ROWS_FILL:
		return rows_expand(proving, node, ROWS_FREE);
	case ROWS_OPAQUE:
		return rows_opaque(proving, node);
	case ROWS_BAG:
		return rows_bag(proving, node);
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
	else if (proof->rows[output] == ROWS_VALUES || proof->rows[output] == ROWS_OFFSETS)
		(void)snprintf(proof->why, sizeof(proof->why),
			       "output '%s' of shape %s has values or offsets of bags, not rows",
			       value->name, shape_text(graph, value, text));
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

/* Sets `why` unless every free size counts rows or values of bags. */
static void sizes_judge(const struct graph *graph, const struct jagged *jagged,
			struct rows_proof *proof)
{
	if (graph->symbol_count == 0)
		(void)snprintf(proof->why, sizeof(proof->why), "no input has a free size");
	else if (jagged->row_symbol < 0)
		(void)snprintf(proof->why, sizeof(proof->why),
			       "no output has one of the inputs' %u free sizes as its first "
			       "dimension",
			       graph->symbol_count);
	for (uint32_t symbol = 0; symbol < graph->symbol_count && proof->why[0] == '\0'; symbol++) {
		if ((int32_t)symbol == jagged->row_symbol || jagged->counts_values[symbol])
			continue;
		(void)snprintf(proof->why, sizeof(proof->why),
			       "its inputs have %u free sizes, and requests in one batch would "
			       "have to agree on '%s', which counts neither rows nor the values of "
			       "bags with offsets",
			       graph->symbol_count, graph->symbols[symbol]);
	}
}

/* Sets `why` unless every input and output has the rows outermost, one each, or what bags make rows
 * of. */
static void graph_judge(const struct graph *graph, int32_t row_symbol, struct rows_proof *proof)
{
	struct dim rows = dim_symbol((uint32_t)row_symbol);
	char text[SHAPE_TEXT_BYTES];

	if (graph->input_count == 0)
		(void)snprintf(proof->why, sizeof(proof->why), "it has no input");
	for (uint32_t input = 0; input < graph->input_count && proof->why[0] == '\0'; input++) {
		uint32_t index = graph->inputs[input];
		const struct value *value = graph_value(graph, index);

		if (proof->rows[index] == ROWS_REQUEST || proof->rows[index] == ROWS_VALUES ||
		    proof->rows[index] == ROWS_OFFSETS ||
		    (proof->rows[index] == ROWS_EACH && dim_equal(value->dims[0], rows)))
			continue;
		(void)snprintf(proof->why, sizeof(proof->why),
			       "input '%s' of shape %s has as its first dimension neither the "
			       "rows alone nor 1",
			       value->name, shape_text(graph, value, text));
	}
	for (uint32_t output = 0; output < graph->output_count && proof->why[0] == '\0'; output++) {
		uint32_t index = graph->outputs[output];

		if (proof->rows[index] != ROWS_EACH ||
		    !dim_equal(graph_value(graph, index)->dims[0], rows))
			why_output(graph, index, proof);
	}
}

/* Every value in the order in which nodes give them. */
static void values_prove(const struct proving *proving)
{
	const struct graph *graph = proving->graph;
	uint8_t *rows = proving->rows;

	for (uint32_t value = 0; value < graph->value_count; value++) {
		if (graph_value(graph, value)->kind == VALUE_CONSTANT)
			rows[value] = ROWS_FREE;
		if (graph_value(graph, value)->kind == VALUE_INPUT)
			rows[value] = (uint8_t)rows_of_input(proving, graph_value(graph, value));
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
						  : rows_of_shape(proving, value,
								  rows_node(proving, node)));
		}
	}
}

int rows_prove(struct graph *graph, struct rows_proof *ret_proof)
{
	struct proving proving = {
		.graph = graph,
		.rows = graph_allocate(graph, graph->value_count, sizeof(proving.rows[0])),
	};
	int r;

	if (!proving.rows)
		return err_trace(-ENOMEM);
	*ret_proof = (struct rows_proof){
		.rows = proving.rows,
		.symbol = -1,
		.request_symbol = -1,
		.followed_symbol = -1,
	};
	r = jagged_find(graph, &proving.jagged);
	if (r < 0)
		return err_trace(r);
	memcpy(ret_proof->offsets_into, proving.jagged.offsets_into,
	       sizeof(ret_proof->offsets_into));
	sizes_judge(graph, &proving.jagged, ret_proof);
	if (ret_proof->why[0] != '\0')
		return 0;
	values_prove(&proving);
	graph_judge(graph, proving.jagged.row_symbol, ret_proof);
	if (ret_proof->why[0] == '\0')
		ret_proof->symbol = proving.jagged.row_symbol;
	return 0;
}
