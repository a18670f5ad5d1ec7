/* SPDX-License-Identifier: MIT */
/* daemon/graph/names.c - which value a name of the file means, in the graph or in a node's body */
#include "graph/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int name_compare(const void *one, const void *other, void *comparisons)
{
	const struct name *left = one;
	const struct name *right = other;

	++*(uint64_t *)comparisons;
	return strcmp(left->name, right->name);
}

static void names_put(struct names *names, const char *name)
{
	names->entries[names->count++] = (struct name){.name = name, .value = GRAPH_NONE};
}

int names_init(struct graph *graph, struct names *names, const struct onnx_graph *source,
	       const struct names *outer)
{
	uint64_t count = source->tensor_count + (uint64_t)source->input_count;

	for (uint32_t node = 0; node < source->node_count; node++)
		count += source->nodes[node].output_count;
	if (count > UINT32_MAX / 8)
		return err_raise(-EOPNOTSUPP, "%s: %llu values are too many", graph->name,
				 (unsigned long long)count);
	*names = (struct names){.outer = outer};
	names->entries = graph_allocate(graph, count + 1, sizeof(names->entries[0]));
	if (!names->entries)
		return err_trace(-ENOMEM);
	for (uint32_t input = 0; input < source->input_count; input++)
		names_put(names, source->inputs[input].name);
	for (uint32_t tensor = 0; tensor < source->tensor_count; tensor++)
		names_put(names, source->tensors[tensor].name);
	for (uint32_t node = 0; node < source->node_count; node++)
		for (uint32_t output = 0; output < source->nodes[node].output_count; output++)
			names_put(names, source->nodes[node].outputs[output]);
	qsort_r(names->entries, names->count, sizeof(names->entries[0]), name_compare,
		&graph->name_comparisons);
	return 0;
}

void names_clear(struct names *names)
{
	for (uint64_t index = 0; index < names->count; index++)
		names->entries[index].value = GRAPH_NONE;
}

struct name *names_find(struct graph *graph, const struct names *names, const char *name)
{
	uint64_t low = 0, high = names->count;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		graph->name_comparisons++;
		if (strcmp(names->entries[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == names->count || strcmp(names->entries[low].name, name) != 0)
		return NULL;
	return &names->entries[low];
}

uint32_t names_value(struct graph *graph, const struct names *names, const char *name)
{
	for (; names; names = names->outer) {
		const struct name *entry = names_find(graph, names, name);

		if (entry)
			return entry->value;
	}
	return GRAPH_NONE;
}

int names_add(struct graph *graph, struct names *names, const char *name, struct value **ret_value,
	      uint32_t *ret_index)
{
	struct name *entry = names_find(graph, names, name);
	struct value *value;

	if (entry->value != GRAPH_NONE)
		return err_raise(-EINVAL, "%s: the name '%s' is defined twice", graph->name, name);
	value = graph_value_new(graph, name, ret_index);
	if (!value)
		return err_trace(-ENOMEM);
	entry->value = *ret_index;
	*ret_value = value;
	return 0;
}
