/* SPDX-License-Identifier: MIT */
/* daemon/graph/readers.c - who reads each value, for passes that rewrite nodes */
#include "graph/readers.h"

#include <errno.h>

/* Integers known before a run are not computed from anything; what nobody reads, not at all. */
static bool node_reads(const struct graph *graph, const struct readers *readers,
		       const struct node *node)
{
	bool is_read = false;

	for (uint32_t output = 0; output < node->output_count; output++) {
		if (!node_has_output(node, output))
			continue;
		if (readers->count[node->outputs[output]] > 0)
			is_read = true;
		if (node->output_count == 1 && node_output(graph, node, output)->known)
			return false;
	}
	return is_read && !node->dead;
}

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
	for (uint32_t output = 0; output < graph->output_count; output++)
		readers->count[graph->outputs[output]] += 2; /* stays as it is */
	for (uint32_t index = graph->node_count; index-- > 0;) {
		const struct node *node = &graph->nodes[index];

		if (!node_reads(graph, readers, node))
			continue;
		for (uint32_t input = 0; input < node->input_count; input++) {
			if (!node_has_input(node, input))
				continue;
			if (readers->count[node->inputs[input]]++ == 0)
				readers->node[node->inputs[input]] = index;
		}
	}
	return 0;
}

int readers_each(struct graph *graph, readers_pattern *begins, readers_rewrite *rewrite)
{
	struct readers readers;
	int r;

	r = readers_init(graph, &readers);
	if (r < 0)
		return err_trace(r);
	for (uint32_t index = 0; index < graph->node_count; index++) {
		if (!begins(graph, &graph->nodes[index]))
			continue;
		r = rewrite(graph, &readers, &graph->nodes[index]);
		if (r < 0)
			return err_trace(r);
	}
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
