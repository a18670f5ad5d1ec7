/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/passes/cse.c - what is computed twice, or not at all, before other passes look
 *
 * Equal nodes become the first of them; a view of the same shape (Identity, a Cast to the same
 * type, a Slice of everything, a Concat of one) is what it views, a view of a view views the bytes;
 * two transpositions are one, or none. Nodes of which only known integers remain read nothing, and
 * those that nobody reads are dead: so a value that a fusing pass meets has no reader that is none.
 */
#include <errno.h>
#include <string.h>

#include "graph/graph.h"
#include "graph/lower.h"
#include "graph/ops.h"
#include "graph/readers.h"

/* Small constants of equal bytes are one constant, so that nodes which read copies are equal. */
#define CONSTANT_BYTES_MAX 64

/* A file whose hashes meet is not looked through: what is not found is computed twice. */
#define PROBES_MAX 64

struct cse {
	struct graph *graph;
	uint32_t *same;  /* per value: the value that stands for it, itself or an earlier one */
	uint8_t *is_output;
	uint32_t *table; /* by hash, linear probing: 1 + node or value, 0 */
	uint32_t mask;
};

static uint32_t hash_bytes(uint32_t hash, const void *data, size_t bytes)
{
	const uint8_t *byte = data;

	for (size_t index = 0; index < bytes; index++)
		hash = (hash ^ byte[index]) * 16777619U; /* Fowler, Noll & Vo */
	return hash ^ hash >> 15;
}

static int table_init(struct cse *cse, uint32_t count)
{
	uint32_t size = 16;

	while (size / 2 < count)
		size *= 2;
	cse->table = graph_allocate(cse->graph, size, sizeof(cse->table[0]));
	cse->mask = size - 1;
	return cse->table ? 0 : err_trace(-ENOMEM);
}

/* --- constants --- */

static uint64_t constant_bytes(const struct value *value)
{
	return (uint64_t)constant_elements(value) * dtype_bytes(value->dtype);
}

static bool constant_is_small(const struct value *value)
{
	return value->kind == VALUE_CONSTANT && value->data && value->rank <= 1 &&
	       constant_bytes(value) <= CONSTANT_BYTES_MAX;
}

static bool constants_equal(const struct value *a, const struct value *b)
{
	return a->dtype == b->dtype && value_same_shape(a, b) &&
	       memcmp(a->data, b->data, constant_bytes(a)) == 0;
}

static int constants_merge(struct cse *cse)
{
	struct graph *graph = cse->graph;
	int r;

	r = table_init(cse, graph->value_count);
	if (r < 0)
		return err_trace(r);
	for (uint32_t index = 0; index < graph->value_count; index++) {
		const struct value *value = graph_value(graph, index);
		uint32_t hash;

		if (!constant_is_small(value))
			continue;
		hash = hash_bytes(value->rank, value->data, constant_bytes(value));
		for (uint32_t probe = 0; probe < PROBES_MAX; probe++) {
			uint32_t *entry = &cse->table[(hash + probe) & cse->mask];

			if (*entry == 0)
				*entry = index + 1;
			if (!constants_equal(value, graph_value(graph, *entry - 1)))
				continue;
			cse->same[index] = *entry - 1;
			break;
		}
	}
	return 0;
}

/* --- nodes --- */

static bool attributes_equal(const struct onnx_attribute *a, const struct onnx_attribute *b)
{
	if (a->type != b->type || strcmp(a->name, b->name) != 0)
		return false;
	switch (a->type) {
	case ONNX_ATTRIBUTE_INT:
		return a->i == b->i;
	case ONNX_ATTRIBUTE_FLOAT:
		return memcmp(&a->f, &b->f, sizeof(a->f)) == 0;
	case ONNX_ATTRIBUTE_STRING:
		return a->s_bytes == b->s_bytes && memcmp(a->s, b->s, a->s_bytes) == 0;
	case ONNX_ATTRIBUTE_INTS:
		return a->count == b->count &&
		       (a->count == 0 || memcmp(a->ints, b->ints, a->count * sizeof(*a->ints)) == 0);
	case ONNX_ATTRIBUTE_FLOATS:
		return a->count == b->count &&
		       (a->count == 0 ||
			memcmp(a->floats, b->floats, a->count * sizeof(*a->floats)) == 0);
	default:
		return false;
	}
}

/* Attributes in another order are taken for others. */
static bool nodes_equal(const struct graph *graph, const struct node *a, const struct node *b)
{
	if (a->op != b->op || a->input_count != b->input_count ||
	    a->output_count != b->output_count || a->fused != b->fused ||
	    a->source->attribute_count != b->source->attribute_count ||
	    memcmp(a->inputs, b->inputs, a->input_count * sizeof(a->inputs[0])) != 0 ||
	    memcmp(a->perm, b->perm, sizeof(a->perm)) != 0)
		return false;
	for (uint32_t index = 0; index < a->source->attribute_count; index++) {
		if (!attributes_equal(&a->source->attributes[index], &b->source->attributes[index]))
			return false;
	}
	for (uint32_t output = 0; output < a->output_count; output++) {
		if (node_has_output(b, output) &&
		    (!node_has_output(a, output) ||
		     !value_same_shape(node_output(graph, a, output),
				       node_output(graph, b, output))))
			return false;
	}
	return true;
}

/* An earlier node that computes the same, NULL: there is none, and this one is it from now on. */
static struct node *node_earlier(struct cse *cse, uint32_t index)
{
	struct graph *graph = cse->graph;
	const struct node *node = &graph->nodes[index];
	uint32_t hash = hash_bytes(2166136261U, &node->op, sizeof(node->op));

	hash = hash_bytes(hash, node->inputs, node->input_count * sizeof(node->inputs[0]));
	for (uint32_t probe = 0; probe < PROBES_MAX; probe++) {
		uint32_t *entry = &cse->table[(hash + probe) & cse->mask];

		if (*entry == 0) {
			*entry = index + 1;
			break;
		}
		if (nodes_equal(graph, &graph->nodes[*entry - 1], node))
			return &graph->nodes[*entry - 1];
	}
	return NULL;
}

/* The node gives what `by` is; an output of the graph keeps its value, and views that one's bytes. */
static void value_replace(struct cse *cse, struct node *node, uint32_t by)
{
	uint32_t value = node->outputs[0];

	cse->same[value] = by;
	node->dead = !cse->is_output[value];
	if (node->dead)
		return;
	node->op = op_find("Identity");
	node->inputs[0] = by;
	node->input_count = 1;
	graph_value(cse->graph, value)->view_of = by;
}

static void node_replace(struct cse *cse, struct node *node, struct node *by)
{
	bool has_output_of_graph = false;

	for (uint32_t output = 0; output < node->output_count; output++)
		has_output_of_graph =
			has_output_of_graph || (node_has_output(node, output) &&
						cse->is_output[node->outputs[output]]);
	if (has_output_of_graph) {
		if (node->output_count == 1 && node->input_count > 0)
			value_replace(cse, node, by->outputs[0]);
		return;
	}
	for (uint32_t output = 0; output < node->output_count; output++) {
		if (node_has_output(node, output))
			cse->same[node->outputs[output]] = by->outputs[output];
	}
	node_absorb(by, node);
}

static bool is_node_of(const struct graph *graph, const struct node *node,
		       int (*infer)(struct graph *, struct node *))
{
	return node && node->op->infer == infer && node_has_output(node, 0) &&
	       node_output(graph, node, 0)->view_of == GRAPH_NONE;
}

/* x transposed twice; false: nothing is left of it. */
static bool transpose_compose(struct cse *cse, struct node *node)
{
	struct graph *graph = cse->graph;
	const struct node *inner = value_producer(graph, node->inputs[0]);
	uint32_t rank = node_output(graph, node, 0)->rank;
	bool moves = false;
	uint32_t perm[KERNEL_RANK_MAX] = {0};

	if (!is_node_of(graph, inner, infer_transpose))
		return true;
	for (uint32_t axis = 0; axis < rank; axis++) {
		perm[axis] = inner->perm[node->perm[axis]];
		moves = moves || perm[axis] != axis;
	}
	if (!moves) {
		value_replace(cse, node, inner->inputs[0]);
		return false;
	}
	memcpy(node->perm, perm, sizeof(perm));
	node->inputs[0] = inner->inputs[0];
	return true;
}

/* A view of the bytes' own value; false: of the same shape, so that nothing is left of it. */
static bool view_shorten(struct cse *cse, struct node *node)
{
	struct graph *graph = cse->graph;
	uint32_t output = node->outputs[0];
	uint32_t root = graph_root(graph, output);

	if (value_same_shape(graph_value(graph, output), node_input(graph, node, 0)))
		root = node->inputs[0];
	if (value_same_shape(graph_value(graph, output), graph_value(graph, root))) {
		value_replace(cse, node, root);
		return false;
	}
	if (node->op->lower == lower_view) {
		node->inputs[0] = root;
		graph_value(graph, output)->view_of = root;
	}
	return true;
}

/* --- integers that are known --- */

static int lower_nothing(struct lowering *lowering, const struct node *node)
{
	(void)lowering;
	(void)node;
	return 0;
}

/* lower_node stores the integers; what they followed from is not read for them. */
static const struct op known_op = {.name = "Known", .lower = lower_nothing};

/* Nobody has to run it. */
static bool node_is_known(const struct graph *graph, const struct node *node, bool *ret_constant)
{
	*ret_constant = true;
	for (uint32_t output = 0; output < node->output_count; output++) {
		const struct value *value;

		if (!node_has_output(node, output))
			continue;
		value = node_output(graph, node, output);
		*ret_constant = *ret_constant && value->kind == VALUE_CONSTANT;
		if (value->kind != VALUE_CONSTANT && (!value->known || output > 0))
			return false;
	}
	return true;
}

/* --- the pass --- */

static void node_visit(struct cse *cse, uint32_t index)
{
	struct graph *graph = cse->graph;
	struct node *node = &graph->nodes[index];
	struct node *earlier;
	bool is_constant;

	for (uint32_t input = 0; input < node->input_count; input++) {
		/* A table's policy goes by its name. */
		if (node_has_input(node, input) &&
		    (node->op->infer != infer_gather || input > 0 ||
		     node_input(graph, node, 0)->kind != VALUE_CONSTANT))
			node->inputs[input] = cse->same[node->inputs[input]];
	}
	if (node_is_known(graph, node, &is_constant)) {
		node->dead = is_constant;
		node->op = &known_op;
		node->input_count = 0;
		return;
	}
	if (is_node_of(graph, node, infer_transpose) && !transpose_compose(cse, node))
		return;
	if (node_has_output(node, 0) && node->output_count == 1 && node_has_input(node, 0) &&
	    node_output(graph, node, 0)->view_of != GRAPH_NONE && !view_shorten(cse, node))
		return;
	earlier = node_earlier(cse, index);
	if (earlier)
		node_replace(cse, node, earlier);
}

/* From the last node on, so that what only dead nodes read is dead, too. */
static int dead_sweep(struct cse *cse)
{
	struct graph *graph = cse->graph;
	uint8_t *read = graph_allocate(graph, graph->value_count, sizeof(*read));

	if (!read)
		return err_trace(-ENOMEM);
	for (uint32_t output = 0; output < graph->output_count; output++)
		read[graph->outputs[output]] = 1;
	for (uint32_t index = graph->node_count; index-- > 0;) {
		struct node *node = &graph->nodes[index];
		bool is_read = false;

		for (uint32_t output = 0; output < node->output_count; output++)
			is_read = is_read || (node_has_output(node, output) &&
					      read[node->outputs[output]]);
		node->dead = node->dead || !is_read;
		for (uint32_t input = 0; !node->dead && input < node->input_count; input++) {
			if (node_has_input(node, input))
				read[node->inputs[input]] = 1;
		}
	}
	return 0;
}

int pass_cse(struct graph *graph)
{
	struct cse cse = {.graph = graph};
	int r;

	cse.same = graph_allocate(graph, graph->value_count, sizeof(cse.same[0]));
	cse.is_output = graph_allocate(graph, graph->value_count, sizeof(cse.is_output[0]));
	if (!cse.same || !cse.is_output)
		return err_trace(-ENOMEM);
	for (uint32_t value = 0; value < graph->value_count; value++)
		cse.same[value] = value;
	for (uint32_t output = 0; output < graph->output_count; output++)
		cse.is_output[graph->outputs[output]] = 1;
	r = constants_merge(&cse);
	if (r < 0)
		return err_trace(r);
	r = table_init(&cse, graph->node_count);
	if (r < 0)
		return err_trace(r);
	for (uint32_t index = 0; index < graph->node_count; index++) {
		if (!graph->nodes[index].dead)
			node_visit(&cse, index);
	}
	r = dead_sweep(&cse);
	if (r < 0)
		return err_trace(r);
	return 0;
}
