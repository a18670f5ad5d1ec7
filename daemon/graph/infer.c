/* SPDX-License-Identifier: MIT */
/* daemon/graph/infer.c - every value's dtype and dims, once, in the file's order */
#include <errno.h>
#include <string.h>

#include "graph/graph.h"
#include "graph/ops.h"

/* A hostile file must not make a size overflow later: free sizes count as 1 here
 * and are bounded by each bucket's capacity. */
static int value_check(struct graph *graph, const struct node *node, const struct value *value)
{
	char text[SHAPE_TEXT_BYTES];
	int64_t elements = 1;

	for (uint32_t axis = 0; axis < value->rank; axis++) {
		struct dim dim = value->dims[axis];
		int64_t size = dim.symbol < 0 ? dim.constant : dim.factor;
		int r;

		r = graph_require(graph, node, dim);
		if (r < 0)
			return err_trace(r);
		if (size < 0)
			size = dim.constant;
		if (size == 0)
			size = 1;
		if (size > GRAPH_ELEMENTS_MAX || dim.constant > GRAPH_ELEMENTS_MAX ||
		    elements > GRAPH_ELEMENTS_MAX / size)
			return node_refuse(graph, node, -EOPNOTSUPP,
					   "output '%s' of shape %s is too large", value->name,
					   shape_text(graph, value, text));
		elements *= size;
	}
	return 0;
}

/* Is the operator replaced by others, or by nothing, while the graph is inferred? */
static bool is_expanded(const struct op *op)
{
	return op->lower == lower_expanded;
}

static int inputs_check(const struct graph *graph, const struct node *node)
{
	for (uint32_t input = 0; input < node->input_count; input++) {
		const struct value *value;

		if (!node_has_input(node, input))
			continue;
		value = node_input(graph, node, input);
		if (value->kind == VALUE_UNKNOWN)
			return node_refuse(graph, node, -EINVAL, "input '%s' is not computed",
					   value->name);
		if (is_expanded(node->op))
			continue;
		if (value->kind == VALUE_SEQUENCE)
			return node_refuse(graph, node, -EINVAL,
					   "input '%s' is a sequence; a tensor is wanted",
					   value->name);
	}
	return 0;
}

/* What reads a view that changes nothing reads what it is a view of. */
static void inputs_follow(const struct graph *graph, struct node *node)
{
	for (uint32_t input = 0; input < node->input_count; input++) {
		while (node_has_input(node, input)) {
			const struct value *value = node_input(graph, node, input);

			if (value->view_of == GRAPH_NONE || value->producer == GRAPH_NONE ||
			    graph->nodes[value->producer].op->infer != infer_identity)
				break;
			node->inputs[input] = value->view_of;
		}
	}
}

static int node_infer(struct graph *graph, struct node *node)
{
	int r;

	r = inputs_check(graph, node);
	if (r < 0)
		return err_trace(r);
	r = node->op->infer(graph, node);
	if (r < 0)
		return err_trace(r);
	for (uint32_t output = 0; output < node->output_count; output++) {
		if (!node_has_output(node, output))
			continue;
		r = value_check(graph, node, node_output(graph, node, output));
		if (r < 0)
			return err_trace(r);
	}
	r = known_infer(graph, node);
	if (r < 0)
		return err_trace(r);
	r = pass_fold(graph, node);
	if (r < 0)
		return err_trace(r);
	return 0;
}

/* Only with a survey: nothing is known of what it reads. */
static bool is_behind_refused(const struct graph *graph, struct node *node)
{
	if (node->is_refused || !graph->survey)
		return node->is_refused;
	for (uint32_t input = 0; input < node->input_count; input++) {
		if (node_has_input(node, input) &&
		    node_input(graph, node, input)->kind == VALUE_UNKNOWN) {
			node->is_refused = true;
			graph->survey->unjudged++;
			return true;
		}
	}
	return false;
}

/* Room for one node more. */
static int nodes_grow(struct graph *graph)
{
	uint32_t capacity = graph->node_capacity ? 2 * graph->node_capacity : 64;
	struct node *nodes;

	if (graph->node_count < graph->node_capacity)
		return 0;
	nodes = graph_allocate(graph, capacity, sizeof(*nodes));
	if (!nodes)
		return err_trace(-ENOMEM);
	if (graph->node_count > 0)
		memcpy(nodes, graph->nodes, graph->node_count * sizeof(*nodes));
	graph->nodes = nodes;
	graph->node_capacity = capacity;
	return 0;
}

/* The node becomes one of the graph's. */
static int node_place(struct graph *graph, const struct node *emitted)
{
	struct node *node;
	int r;

	if (graph->node_count == GRAPH_NODES_MAX)
		return node_refuse(graph, emitted, -EOPNOTSUPP,
				   "with the bodies of If and Loop nodes there are more than %d "
				   "nodes; at most so many are supported",
				   GRAPH_NODES_MAX);
	r = nodes_grow(graph);
	if (r < 0)
		return err_trace(r);
	node = &graph->nodes[graph->node_count];
	*node = *emitted;
	for (uint32_t output = 0; output < node->output_count; output++) {
		if (node_has_output(node, output))
			node_output(graph, node, output)->producer = graph->node_count;
	}
	graph->node_count++;
	if (is_behind_refused(graph, node))
		return 0;
	inputs_follow(graph, node);
	r = node_infer(graph, node);
	if (r < 0)
		node->is_refused = true;
	return r < 0 ? err_trace(r) : 0;
}

int graph_emit(struct graph *graph, const struct node *emitted)
{
	struct node node = *emitted;
	int r;

	if (node.is_refused || !is_expanded(node.op)) {
		r = node_place(graph, emitted);
	} else {
		if (is_behind_refused(graph, &node))
			return 0;
		r = inputs_check(graph, &node);
		if (r == 0)
			r = node.op->infer(graph, &node);
	}
	if (r < 0)
		r = survey_note(graph->survey, r);
	return r < 0 ? err_trace(r) : 0;
}

int graph_infer(struct graph *graph)
{
	const struct node *imported = graph->nodes;
	uint32_t count = graph->node_count;

	graph->nodes = NULL;
	graph->node_count = 0;
	for (uint32_t index = 0; index < count; index++) {
		int r;

		r = graph_emit(graph, &imported[index]);
		if (r < 0)
			return err_trace(r);
	}
	for (uint32_t output = 0; output < graph->output_count; output++) {
		const struct value *value = graph_value(graph, graph->outputs[output]);

		if (value->kind == VALUE_UNKNOWN && !(graph->survey && graph->survey->count > 0))
			return err_raise(-EOPNOTSUPP, "%s: output '%s' is not computed", graph->name,
					 value->name);
		if (value->kind == VALUE_SEQUENCE)
			return err_raise(-EOPNOTSUPP,
					 "%s: output '%s' is a sequence; supported: tensors",
					 graph->name, value->name);
		if (value->rank > SIGNATURE_RANK_MAX)
			return err_raise(
				-EOPNOTSUPP,
				"%s: output '%s' has %u dimensions; inputs and outputs have "
				"at most %d",
				graph->name, value->name, value->rank, SIGNATURE_RANK_MAX);
		if (value->kind == VALUE_CONSTANT && value->tensor &&
		    !dtype_is_supported((int32_t)value->dtype))
			return err_raise(-EOPNOTSUPP,
					 "%s: output '%s' is %s; supported: " GRAPH_DTYPES,
					 graph->name, value->name,
					 dtype_name((int32_t)value->dtype));
	}
	return graph->survey && graph->survey->count > 0 ? 0 : pass_interact(graph);
}
