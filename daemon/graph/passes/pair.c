/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/passes/pair.c - an attention's first layer, over a query beside each of its keys
 *
 *     MatMul(Concat(q, k, q - k, q . k, ...), W)        q [..., 1, d] repeated for each k [..., count, d]
 *
 * W has d rows for each part of the Concat, and the layer is linear in k once q is known:
 *
 *     q (Wq + Wd) + k (Wk - Wd + diag(q) Wp)
 *
 * so that no part is written anywhere, and a key costs a product with d rows of weights instead of
 * four times d. What is added of W is added at load in double and rounded once. Sums run in another
 * order than the file's: within the error of its own product, not bit for bit. The order depends on
 * the weights alone.
 */
#include <errno.h>
#include <string.h>

#include "graph/graph.h"
#include "graph/operators/pair.h"
#include "graph/ops.h"
#include "graph/passes/match.h"

#define KEYS_MIN 8 /* with fewer, a row's own matrix costs as much as it saves */

static const struct op pair_op = {.name = "Pair", .lower = lower_pair};

struct pair {
	struct match match;
	struct node *gemm;
	const struct value *whole; /* the Concat's output */
	uint32_t query;
	uint32_t keys;
	int64_t k, n;
};

/* What part `index` of W is multiplied with: query, keys and their product. */
struct part {
	int factors[3];
};

static bool is_layer(const struct graph *graph, const struct node *node)
{
	const struct value *x;

	if (node->dead || node->op->lower != lower_linear || !node->packed || node->trans_b ||
	    node->alpha != 1.0f || node->post_activation != ACTIVATION_NONE ||
	    node_has_input(node, LINEAR_MULTIPLIER) || node_has_input(node, LINEAR_RESIDUAL) ||
	    (node_has_input(node, LINEAR_ADDEND) && node->bias != node->inputs[LINEAR_ADDEND]))
		return false;
	x = node_input(graph, node, LINEAR_LEFT);
	return x->rank >= 3 && x->dtype == DTYPE_F32;
}

/* The parts are equally wide, one or more times. */
static bool is_concat(const struct pair *pair, const struct node *concat)
{
	const struct graph *graph = pair->match.graph;
	const struct value *first = node_input(graph, concat, 0);

	for (uint32_t input = 1; input < concat->input_count; input++)
		if (!value_same_shape(first, node_input(graph, concat, input)))
			return false;
	return concat->axis == first->rank - 1 && first->dims[first->rank - 1].symbol < 0;
}

/* What a value repeats for each key, or the value itself. */
static uint32_t repeated(struct pair *pair, uint32_t value)
{
	const uint32_t before = pair->match.count;
	const struct graph *graph = pair->match.graph;
	const struct value *narrow;
	const struct node *node = match_op(&pair->match, value, "Expand");

	if (!node)
		node = match_op(&pair->match, value, "Tile");
	if (!node)
		return value;
	narrow = node_input(graph, node, 0);
	if (narrow->rank == pair->whole->rank && dim_is(narrow->dims[narrow->rank - 2], 1))
		return node->inputs[0];
	match_rewind(&pair->match, before);
	return value;
}

/* One vector for all keys of a row. */
static bool is_query(const struct pair *pair, uint32_t index)
{
	const struct value *value = graph_value(pair->match.graph, index);
	const uint32_t rank = pair->whole->rank;
	bool fits = value->rank == rank && value->dtype == DTYPE_F32 &&
		    dim_is(value->dims[rank - 2], 1) && dim_is(value->dims[rank - 1], pair->k);

	for (uint32_t axis = 0; fits && axis + 2 < rank; axis++)
		fits = dim_equal(value->dims[axis], pair->whole->dims[axis]);
	return fits && value->kind != VALUE_CONSTANT;
}

static bool is_keys(const struct pair *pair, uint32_t index)
{
	const struct value *value = graph_value(pair->match.graph, index);
	const uint32_t rank = pair->whole->rank;
	bool fits = value->rank == rank && dim_is(value->dims[rank - 1], pair->k);

	for (uint32_t axis = 0; fits && axis + 1 < rank; axis++)
		fits = dim_equal(value->dims[axis], pair->whole->dims[axis]);
	return fits && value->kind != VALUE_CONSTANT && value->dtype == DTYPE_F32;
}

/* The first query there is among the parts and what they are computed from, and its keys. */
static bool find_operands(struct pair *pair, const struct node *concat)
{
	pair->query = pair->keys = GRAPH_NONE;
	for (uint32_t input = 0; input < concat->input_count; input++) {
		const uint32_t value = concat->inputs[input];
		const uint32_t before = pair->match.count;
		const struct node *node = match_op(&pair->match, value, "Mul");

		if (!node)
			node = match_op(&pair->match, value, "Sub");
		for (uint32_t place = 0; node && place < 2; place++) {
			uint32_t query = repeated(pair, node->inputs[place]);

			if (!is_query(pair, query) || !is_keys(pair, node->inputs[1 - place]))
				continue;
			pair->query = query;
			pair->keys = node->inputs[1 - place];
		}
		match_rewind(&pair->match, before);
		if (pair->query != GRAPH_NONE)
			return true;
	}
	return false;
}

static bool read_part(struct pair *pair, uint32_t value, struct part *ret_part)
{
	const uint32_t before = pair->match.count;
	const struct node *node;
	uint32_t left, right;
	bool is_product;

	*ret_part = (struct part){{0}};
	ret_part->factors[0] = repeated(pair, value) == pair->query;
	ret_part->factors[1] = value == pair->keys;
	if (ret_part->factors[0] || ret_part->factors[1])
		return true;
	match_rewind(&pair->match, before);
	node = match_op(&pair->match, value, "Mul");
	is_product = node != NULL;
	if (!node)
		node = match_op(&pair->match, value, "Sub");
	if (!node)
		return false;
	left = repeated(pair, node->inputs[0]);
	right = repeated(pair, node->inputs[1]);
	if (!(left == pair->query && right == pair->keys) &&
	    !(left == pair->keys && right == pair->query))
		return false;
	if (is_product) {
		ret_part->factors[2] = 1;
	} else {
		ret_part->factors[0] = left == pair->query ? 1 : -1;
		ret_part->factors[1] = -ret_part->factors[0];
	}
	return true;
}

/* The sum of the parts of W that one operand is multiplied with, by their signs. */
static int sum_parts(struct pair *pair, const float *w, const struct part parts[], uint32_t count,
		     int which, uint32_t *ret_value)
{
	const struct dim dims[2] = {dim_constant(pair->k), dim_constant(pair->n)};
	const int64_t elements = pair->k * pair->n;
	struct graph *graph = pair->match.graph;
	float *sums = graph_allocate(graph, (size_t)elements, sizeof(*sums));

	if (!sums)
		return err_trace(-ENOMEM);
	for (int64_t element = 0; element < elements; element++) {
		double sum = 0;

		for (uint32_t part = 0; part < count; part++)
			if (parts[part].factors[which] != 0)
				sum += parts[part].factors[which] *
				       (double)w[part * elements + element];
		sums[element] = (float)sum;
	}
	graph->loaded_bytes += (uint64_t)elements * sizeof(*sums);
	return graph_constant_new(graph, DTYPE_F32, 2, dims, sums, ret_value);
}

static int pair_commit(struct pair *pair, const struct part parts[], uint32_t count)
{
	struct graph *graph = pair->match.graph;
	struct node *node = pair->gemm;
	uint32_t inputs[PAIR_INPUTS] = {pair->query, pair->keys};
	uint32_t *room = graph_allocate(graph, PAIR_INPUTS, sizeof(*room));
	const void *w;
	int r;

	if (!room)
		return err_trace(-ENOMEM);
	r = graph_constant_data(graph, node_input(graph, node, LINEAR_RIGHT), &w);
	if (r < 0)
		return err_trace(r);
	for (int which = 0; which < 3; which++) {
		r = sum_parts(pair, w, parts, count, which, &inputs[PAIR_QUERY_WEIGHT + which]);
		if (r < 0)
			return err_trace(r);
	}
	node->inputs = room;
	match_replace(&pair->match, node, &pair_op, inputs, PAIR_INPUTS);
	return 0;
}

static int node_match(struct graph *graph, const struct readers *readers, struct node *node)
{
	struct pair pair = {.match = {.graph = graph, .readers = readers}, .gemm = node};
	const struct value *w = node_input(graph, node, LINEAR_RIGHT);
	struct part parts[MATCH_NODES_MAX];
	const struct node *concat;
	struct dim keys;

	concat = match_op(&pair.match, node->inputs[LINEAR_LEFT], "Concat");
	if (!concat || concat->input_count > MATCH_NODES_MAX || !is_concat(&pair, concat))
		return 0;
	pair.whole = node_output(graph, concat, 0);
	keys = pair.whole->dims[pair.whole->rank - 2];
	pair.n = w->dims[1].constant;
	pair.k = w->dims[0].constant / concat->input_count;
	if ((keys.symbol < 0 && keys.constant < KEYS_MIN) ||
	    !graph_has_room(graph, 4 * (uint64_t)constant_elements(w) * sizeof(float)))
		return 0;
	if (!find_operands(&pair, concat))
		return 0;
	for (uint32_t part = 0; part < concat->input_count; part++)
		if (!read_part(&pair, concat->inputs[part], &parts[part]))
			return 0;
	if (!match_closes(&pair.match, node))
		return 0;
	return pair_commit(&pair, parts, concat->input_count);
}

int pass_pair(struct graph *graph)
{
	return readers_each(graph, is_layer, node_match);
}
