/* SPDX-License-Identifier: MIT */
/* daemon/graph/readers.c - who reads each value, for passes that rewrite nodes */
#include "graph/readers.h"

#include <errno.h>

int readers_init(struct graph *graph, struct readers *readers)
{
	uint32_t count = graph->value_count;

	readers->node = graph_allocate(graph, count, sizeof(readers->node[0]));
	readers->count = graph_allocate(graph, count, sizeof(readers->count[0]));
	if (!readers->node || !readers->count)
		return err_trace(-ENOMEM);
	readers->value_count = count;
	for (uint32_t value = 0; value < count; value++)
		readers->node[value] = GRAPH_NONE;
	for (uint32_t index = 0; index < graph->node_count; index++) {
		const struct node *node = &graph->nodes[index];

		for (uint32_t input = 0; !node->dead && input < node->input_count; input++) {
			if (!node_has_input(node, input))
				continue;
			readers->node[node->inputs[input]] = index;
			readers->count[node->inputs[input]]++;
		}
	}
	for (uint32_t output = 0; output < graph->output_count; output++)
		readers->count[graph->outputs[output]] += 2; /* stays as it is */
	return 0;
}

struct node *readers_only(const struct graph *graph, const struct readers *readers, uint32_t value)
{
	struct node *reader;

	if (value >= readers->value_count || readers->count[value] != 1)
		return NULL;
	reader = &graph->nodes[readers->node[value]];
	return reader->dead || !node_has_output(reader, 0) ? NULL : reader;
}

struct node *value_producer(const struct graph *graph, uint32_t value)
{
	const struct value *computed = graph_value(graph, value);
	struct node *node;

	if (computed->kind != VALUE_COMPUTED || computed->producer == GRAPH_NONE)
		return NULL;
	node = &graph->nodes[computed->producer];
	return node->dead ? NULL : node;
}

bool value_same_shape(const struct value *a, const struct value *b)
{
	bool same = a->rank == b->rank;

	for (uint32_t axis = 0; same && axis < a->rank; axis++)
		same = dim_equal(a->dims[axis], b->dims[axis]);
	return same;
}

void node_absorb(struct node *node, struct node *absorbed)
{
	node->stands_for += absorbed->stands_for;
	absorbed->stands_for = 0;
	absorbed->dead = true;
}

void node_take_output(struct graph *graph, struct node *node, struct node *last)
{
	node->outputs[0] = last->outputs[0];
	node_output(graph, node, 0)->producer = (uint32_t)(node - graph->nodes);
	node_absorb(node, last);
}
