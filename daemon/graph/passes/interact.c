/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/passes/interact.c - dot products between the vectors of each row, and a choice of
 * them
 *
 *     square = MatMul(t, Transpose(t, [0, 2, 1]))                       t [rows, F, d]
 *     pairs  = Gather(square as [rows, F * F], constant, axis 1)        or, as PyTorch writes
 *              square[:, i, j] with constant lists,
 *     pairs  = Transpose(Gather(Transpose(square, [1, 2, 0]) as [F * F, rows], constant), [1, 0])
 *     pairs  = Transpose(GatherND(Transpose(square, [1, 2, 0]), constant), [1, 0])
 *
 * becomes one KERNEL_INTERACT, when nobody else reads what is in between. A Concat of the pairs
 * and of a value that t itself was joined from (DLRM's dense features) is done by it, too.
 *
 * It runs before the proof about rows: with the rows innermost for a while the lists prove nothing.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "graph/lower.h"
#include "graph/ops.h"
#include "graph/readers.h"
#include "kernels/interact.h"

#define PAIRS_MAX 65536

struct interact {
	uint32_t runs; /* a constant, [run_count, 4] */
	int64_t run_count;
	int64_t pair_count;
	int64_t pairs_at;   /* in a row of the output */
	int64_t head_at;
	int64_t head_from;  /* in a row of t */
	int64_t head_count; /* 0: the output is the pairs alone */
};

/* What is to be replaced: nodes in the order from the last one. */
struct chain {
	struct graph *graph;
	const struct readers *readers;
	struct node *nodes[8];
	uint32_t count;
};

static bool is_constant_list(const struct value *value, uint32_t rank)
{
	return value->kind == VALUE_CONSTANT && value->rank == rank &&
	       (value->dtype == DTYPE_I64 || value->dtype == DTYPE_I32);
}

/* The node that computes the value; what it reads is nobody else's. */
static struct node *chain_node(struct chain *chain, uint32_t value)
{
	struct node *node = value_producer(chain->graph, value);

	if (!node || node->output_count != 1 || !node_has_input(node, 0) ||
	    chain->count == sizeof(chain->nodes) / sizeof(chain->nodes[0]))
		return NULL;
	chain->nodes[chain->count++] = node;
	return node;
}

/* The same for what a node of the chain reads. */
static struct node *chain_before(struct chain *chain, uint32_t value)
{
	return readers_only(chain->graph, chain->readers, value) ? chain_node(chain, value) : NULL;
}

/* Skips views: the value whose bytes these are; GRAPH_NONE where somebody else reads one. */
static uint32_t chain_root(struct chain *chain, uint32_t value)
{
	while (graph_value(chain->graph, value)->view_of != GRAPH_NONE) {
		const struct node *node = chain_before(chain, value);

		if (!node)
			return GRAPH_NONE;
		value = node->inputs[0];
	}
	return value;
}

static bool is_transpose(const struct node *node, uint32_t rank, const uint32_t perm[])
{
	return node && node->op->lower == lower_transpose &&
	       memcmp(node->perm, perm, rank * sizeof(perm[0])) == 0;
}

static bool is_square_of(const struct graph *graph, uint32_t left, uint32_t right)
{
	static const uint32_t perm[] = {0, 2, 1};
	const struct node *transpose = value_producer(graph, right);
	const struct value *t = graph_value(graph, left);
	const struct value *other;

	if (t->rank != 3 || t->kind != VALUE_COMPUTED || t->dtype != DTYPE_F32 ||
	    t->dims[1].symbol >= 0 || t->dims[2].symbol >= 0 || t->dims[1].constant < 1 ||
	    t->dims[1].constant > INTERACT_VECTORS_MAX || t->dims[2].constant < 1 ||
	    graph_value(graph, right)->rank != 3 || !is_transpose(transpose, 3, perm))
		return false;
	other = node_input(graph, transpose, 0);
	return graph_root(graph, transpose->inputs[0]) == graph_root(graph, left) &&
	       value_same_shape(t, other);
}

/* t of a product of t with itself; GRAPH_NONE: the value is none, or others read it. */
static uint32_t square_of(struct chain *chain, uint32_t value)
{
	const struct graph *graph = chain->graph;
	struct node *node;
	uint32_t root = chain_root(chain, value);

	node = root != GRAPH_NONE ? chain_before(chain, root) : NULL;
	if (!node || node->op->infer != infer_matmul || node->packed ||
	    !is_square_of(graph, node->inputs[0], node->inputs[1]))
		return GRAPH_NONE;
	/* The transposition may have more readers: then it stays for them. */
	if (readers_only(graph, chain->readers, node->inputs[1]))
		(void)chain_node(chain, node->inputs[1]);
	return node->inputs[0];
}

/* --- the pairs --- */

static int64_t list_at(const struct value *list, int64_t index, int64_t below)
{
	int64_t position = constant_integer(list, (uint64_t)index);

	return position < 0 ? position + below : position;
}

/* Does the pair continue the run? A run of one may be turned for it: a product is the same. */
static bool run_takes(struct interact_run *run, int32_t left, int32_t right)
{
	if (run->left == left && run->right + run->count == right) {
		run->count++;
		return true;
	}
	if (run->count != 1 || run->right != left || run->left + 1 != right)
		return false;
	run->right = run->left;
	run->left = left;
	run->count = 2;
	return true;
}

static int32_t runs_fill(struct interact_run runs[], const struct value *list, int64_t vectors,
			 int64_t pair_count)
{
	int32_t count = 0;

	for (int64_t pair = 0; pair < pair_count; pair++) {
		int64_t left, right;

		if (list->rank == 2) {
			left = list_at(list, 2 * pair, vectors);
			right = list_at(list, 2 * pair + 1, vectors);
		} else {
			left = list_at(list, pair, vectors * vectors) / vectors;
			right = list_at(list, pair, vectors * vectors) % vectors;
		}
		if (left < 0 || left >= vectors || right < 0 || right >= vectors)
			return -1;
		if (count > 0 && (run_takes(&runs[count - 1], (int32_t)left, (int32_t)right) ||
				  run_takes(&runs[count - 1], (int32_t)right, (int32_t)left)))
			continue;
		runs[count++] = (struct interact_run){
			.left = (int32_t)left,
			.right = (int32_t)right,
			.count = 1,
			.at = (int32_t)pair,
		};
	}
	return count;
}

/* NULL with *ret_r 0: the pairs are not what the kernel can do. */
static struct interact *interact_new(struct graph *graph, uint32_t t, uint32_t list_index,
				     int *ret_r)
{
	struct value *list = graph_value(graph, list_index);
	int64_t pair_count = list->dims[0].constant;
	struct dim dims[2] = {dim_constant(0), dim_constant(4)};
	struct interact *interact = graph_allocate(graph, 1, sizeof(*interact));
	struct interact_run *runs;
	const void *data;
	int32_t run_count;

	*ret_r = 0;
	if (pair_count < 1 || pair_count > PAIRS_MAX)
		return NULL;
	runs = graph_allocate(graph, (size_t)pair_count, sizeof(*runs));
	*ret_r = interact && runs ? graph_constant_data(graph, list, &data) : err_trace(-ENOMEM);
	if (*ret_r < 0)
		return NULL;
	run_count = runs_fill(runs, list, graph_value(graph, t)->dims[1].constant, pair_count);
	if (run_count < 0)
		return NULL;
	dims[0] = dim_constant(run_count);
	*ret_r = graph_constant_new(graph, DTYPE_I32, 2, dims, runs, &interact->runs);
	if (*ret_r < 0)
		return NULL;
	interact->run_count = run_count;
	interact->pair_count = pair_count;
	return interact;
}

/* --- the patterns --- */

/* Gather(square as [rows, F * F], list, axis 1) */
static uint32_t match_gather(struct chain *chain, struct node *last, uint32_t *ret_list)
{
	const struct value *data = node_input(chain->graph, last, 0);

	if (last->axis != 1 || data->rank != 2 ||
	    !is_constant_list(node_input(chain->graph, last, 1), 1))
		return GRAPH_NONE;
	*ret_list = last->inputs[1];
	return square_of(chain, last->inputs[0]);
}

/* Transpose(pairs as [pairs, rows], [1, 0]), with the choice made from a square whose rows are
 * innermost. */
static uint32_t match_lists(struct chain *chain, struct node *last, uint32_t *ret_list)
{
	static const uint32_t turned[] = {1, 0}, inward[] = {1, 2, 0};
	const struct graph *graph = chain->graph;
	const struct value *data;
	const struct node *node;
	uint32_t root;
	bool is_flat;

	if (node_input(graph, last, 0)->rank != 2 || !is_transpose(last, 2, turned))
		return GRAPH_NONE;
	root = chain_root(chain, last->inputs[0]);
	node = root != GRAPH_NONE ? chain_before(chain, root) : NULL;
	if (!node || node->input_count != 2 || !node_has_input(node, 1))
		return GRAPH_NONE;
	data = node_input(graph, node, 0);
	is_flat = node->op->lower == lower_gather;
	if (is_flat ? node->axis != 0 || data->rank != 2
		    : strcmp(node->op->name, "GatherND") != 0 || data->rank != 3 ||
			      attribute_int(node, "batch_dims", 0) != 0)
		return GRAPH_NONE;
	if (!is_constant_list(node_input(graph, node, 1), is_flat ? 1 : 2) ||
	    (!is_flat && (!dim_is(node_input(graph, node, 1)->dims[1], 2) ||
			  !dim_equal(data->dims[0], data->dims[1]))) ||
	    !dim_equal(data->dims[data->rank - 1], node_output(graph, last, 0)->dims[0]))
		return GRAPH_NONE;
	*ret_list = node->inputs[1];
	root = chain_root(chain, node->inputs[0]);
	node = root != GRAPH_NONE ? chain_before(chain, root) : NULL;
	if (!node || node_input(graph, node, 0)->rank != 3 || !is_transpose(node, 3, inward))
		return GRAPH_NONE;
	return square_of(chain, node->inputs[0]);
}

/* Where a row of t has the value, which a Concat along rows put there; -1: nowhere. */
static int64_t head_find(const struct graph *graph, uint32_t t, uint32_t head)
{
	const struct node *concat = value_producer(graph, graph_root(graph, t));
	const struct value *whole = graph_value(graph, t);
	uint32_t root = graph_root(graph, head);
	int64_t offset = 0;

	if (!concat || concat->op->lower != lower_concat ||
	    !value_has_rows(node_output(graph, concat, 0),
			    whole->dims[1].constant * whole->dims[2].constant))
		return -1;
	for (uint32_t input = 0; input < concat->input_count; input++) {
		const struct value *part = node_input(graph, concat, input);
		struct poly width = value_span(part, (uint32_t)concat->axis, part->rank);

		if (!poly_is_constant(&width))
			return -1;
		if (graph_root(graph, concat->inputs[input]) == root)
			return offset;
		offset += poly_value(&width, NULL);
	}
	return -1;
}

/* The Concat of a head and the pairs, which alone reads them; NULL: another reader. */
static struct node *join_match(struct chain *chain, struct node *last, uint32_t t,
			       struct interact *interact)
{
	const struct graph *graph = chain->graph;
	const struct value *whole = graph_value(graph, t);
	const struct value *head;
	uint32_t pairs = last->outputs[0];
	struct node *join = readers_only(graph, chain->readers, pairs);
	uint32_t place;
	int64_t from;

	/* A view may lie between: PyTorch reshapes to the shape it has. */
	while (join && graph_value(graph, join->outputs[0])->view_of == pairs) {
		pairs = join->outputs[0];
		if (!chain_node(chain, pairs))
			return NULL;
		join = readers_only(graph, chain->readers, pairs);
	}
	if (!join || join->op->lower != lower_concat || join->input_count != 2 ||
	    join->axis != 1 || node_output(graph, join, 0)->rank != 2 ||
	    graph_value(graph, pairs)->rank != 2)
		return NULL;
	place = join->inputs[0] == pairs ? 0 : 1;
	head = node_input(graph, join, 1 - place);
	from = head_find(graph, t, join->inputs[1 - place]);
	if (from < 0 || !dim_equal(head->dims[0], whole->dims[0]) || head->dims[1].symbol >= 0)
		return NULL;
	interact->head_count = head->dims[1].constant;
	interact->head_from = from;
	interact->head_at = place == 0 ? interact->pair_count : 0;
	interact->pairs_at = place == 0 ? 0 : interact->head_count;
	return join;
}

/* --- what it becomes --- */

static const struct op interact_op = {
	.name = "Interact",
	.lower = lower_interact,
	.rows = ROWS_VIEW, /* a row follows from a row of t */
};

int lower_interact(struct lowering *lowering, const struct node *node)
{
	const struct interact *interact = node->fused;
	const struct value *t = node_input(lowering->graph, node, 0);
	struct step *step = step_new(lowering, KERNEL_INTERACT);
	struct interact_args *args;
	int r;

	if (!step)
		return err_trace(-ENOMEM);
	args = &step->args->interact;
	args->vectors = t->dims[1].constant;
	args->depth = t->dims[2].constant;
	args->run_count = interact->run_count;
	args->pair_count = interact->pair_count;
	args->y_stride = lower_row_stride(lowering, node->outputs[0],
					  interact->pair_count + interact->head_count);
	args->head_from = interact->head_from;
	args->head_count = interact->head_count;
	r = step_read_rows(lowering, step, FIELD(interact_args, x), FIELD(interact_args, x_stride),
			   node->inputs[0], args->vectors * args->depth);
	if (r < 0)
		return err_trace(r);
	r = step_read(lowering, step, FIELD(interact_args, runs), interact->runs,
		      poly_constant(0));
	if (r < 0)
		return err_trace(r);
	r = 0;
	if (interact->head_count > 0)
		r = step_write_strided(lowering, step, FIELD(interact_args, head),
				       node->outputs[0], poly_constant(interact->head_at));
	if (r < 0)
		return err_trace(r);
	r = step_write_strided(lowering, step, FIELD(interact_args, y), node->outputs[0],
			       poly_constant(interact->pairs_at));
	if (r < 0)
		return err_trace(r);
	return step_size(lowering, step, FIELD(interact_args, rows), poly_dim(t->dims[0]));
}

/* The last node of the pattern stays, so that t is computed before it. */
static int interact_fuse(struct graph *graph, const struct readers *readers, struct node *last)
{
	struct chain chain = {.graph = graph, .readers = readers};
	uint32_t list = GRAPH_NONE, t = GRAPH_NONE;
	const struct value *pairs = node_output(graph, last, 0);
	struct interact *interact;
	struct node *join;
	uint32_t count;
	int r;

	if (last->op->lower == lower_gather)
		t = match_gather(&chain, last, &list);
	else if (last->op->lower == lower_transpose)
		t = match_lists(&chain, last, &list);
	if (t == GRAPH_NONE || !dim_equal(pairs->dims[0], graph_value(graph, t)->dims[0]) ||
	    !dim_equal(pairs->dims[1], graph_value(graph, list)->dims[0]))
		return 0;
	interact = interact_new(graph, t, list, &r);
	if (!interact)
		return r;
	count = chain.count;
	join = join_match(&chain, last, t, interact);
	for (uint32_t index = 0; index < (join ? chain.count : count); index++)
		node_absorb(last, chain.nodes[index]);
	if (join) {
		node_absorb(join, last);
		last = join;
	}
	last->op = &interact_op;
	last->fused = interact;
	last->inputs[0] = t;
	last->input_count = 1;
	return 0;
}

/* What the pairs of a dot interaction may be. */
static bool is_own_value(const struct graph *graph, const struct node *node)
{
	return !node->dead && node->output_count == 1 && node_has_output(node, 0) &&
	       node_output(graph, node, 0)->kind == VALUE_COMPUTED &&
	       node_output(graph, node, 0)->view_of == GRAPH_NONE;
}

int pass_interact(struct graph *graph)
{
	return readers_each(graph, is_own_value, interact_fuse);
}
