/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/passes/chain.c - elementwise operators of one shape become one pass over memory
 *
 * From a last operator backwards: what computes an input of the group joins it when it is
 * elementwise, of the same shape, and read within the group or after it. A value that others read
 * is an output of the chain. Operators of a smaller shape stay outside, their results are
 * broadcast. A Concat along the last axis of values of one shape, as an attention's
 * [q, k, q - k, q * k], is a last operator, too: each of its parts is written in its place. An
 * Expand or Tile that only repeats is an operand that is broadcast.
 */
#include <errno.h>
#include <string.h>

#include "graph/graph.h"
#include "graph/ops.h"
#include "graph/passes/chain_program.h"
#include "graph/passes/match.h"

#define REJECTED_MAX 16
#define FAILURES_MAX 2 /* programs that did not fit; then the group is what it is */

static const struct op chain_op_row = {.name = "Chain", .lower = lower_chain};

/* Who reads each value: all of them, in the order of nodes. */
struct chains {
	struct graph *graph;
	uint32_t *first; /* per value, and one more: of its readers */
	uint32_t *readers;
	uint8_t *is_output;
};

struct group {
	struct chains *chains;
	const struct value *shape;
	uint32_t root;
	uint32_t members[CHAIN_OPS_MAX]; /* nodes, descending */
	uint32_t member_count;
	uint32_t rejected[REJECTED_MAX];
	uint32_t rejected_count;
	struct chain_program program;
};

static int chains_init(struct chains *chains, struct graph *graph)
{
	uint32_t count = graph->value_count, reads = 0;
	uint32_t *next;

	*chains = (struct chains){.graph = graph};
	chains->first = graph_allocate(graph, (size_t)count + 1, sizeof(chains->first[0]));
	next = graph_allocate(graph, (size_t)count + 1, sizeof(next[0]));
	chains->is_output = graph_allocate(graph, (size_t)count + 1, sizeof(uint8_t));
	if (!chains->first || !next || !chains->is_output)
		return err_trace(-ENOMEM);
	for (uint32_t index = 0; index < graph->node_count; index++) {
		const struct node *node = &graph->nodes[index];

		for (uint32_t input = 0; !node->dead && input < node->input_count; input++)
			if (node_has_input(node, input))
				next[node->inputs[input]]++;
	}
	for (uint32_t value = 0; value < count; value++) {
		chains->first[value] = reads;
		reads += next[value];
		next[value] = chains->first[value];
	}
	chains->first[count] = reads;
	chains->readers = graph_allocate(graph, (size_t)reads + 1, sizeof(chains->readers[0]));
	if (!chains->readers)
		return err_trace(-ENOMEM);
	for (uint32_t index = 0; index < graph->node_count; index++) {
		const struct node *node = &graph->nodes[index];

		for (uint32_t input = 0; !node->dead && input < node->input_count; input++)
			if (node_has_input(node, input))
				chains->readers[next[node->inputs[input]]++] = index;
	}
	for (uint32_t output = 0; output < graph->output_count; output++)
		chains->is_output[graph->outputs[output]] = 1;
	return 0;
}

/* --- which nodes --- */

static bool is_f32(const struct graph *graph, const struct node *node)
{
	for (uint32_t input = 0; input < node->input_count; input++) {
		if (!node_has_input(node, input) ||
		    node_input(graph, node, input)->dtype != DTYPE_F32)
			return false;
	}
	return node->input_count > 0;
}

static bool is_computed(const struct graph *graph, const struct node *node)
{
	const struct value *output;

	if (node->dead || node->fused || node->output_count != 1 || !node_has_output(node, 0))
		return false;
	output = node_output(graph, node, 0);
	return output->kind == VALUE_COMPUTED && output->view_of == GRAPH_NONE &&
	       output->dtype == DTYPE_F32 && !output->known;
}

/* The operator's code says all, but for the bounds that the node keeps. */
static bool is_unary(const struct graph *graph, const struct node *node)
{
	return is_computed(graph, node) && node->op->lower == lower_unary &&
	       node_input(graph, node, 0)->dtype == DTYPE_F32;
}

static bool is_binary(const struct graph *graph, const struct node *node)
{
	return is_computed(graph, node) && node->op->lower == lower_binary &&
	       node->input_count >= 2 && is_f32(graph, node);
}

/* A product and a sum with constants. */
static bool is_batchnorm(const struct graph *graph, const struct node *node)
{
	return is_computed(graph, node) && node->op->lower == lower_batchnorm;
}

/* Each axis is as long as before, or was 1. */
static bool is_repeat(const struct graph *graph, const struct node *node)
{
	const struct value *input, *output;
	uint32_t lead;

	if (!is_computed(graph, node) || (strcmp(node->op->name, "Expand") != 0 &&
					  strcmp(node->op->name, "Tile") != 0))
		return false;
	input = node_input(graph, node, 0);
	output = node_output(graph, node, 0);
	lead = output->rank - input->rank;
	for (uint32_t axis = 0; axis < input->rank; axis++) {
		if (!dim_is(input->dims[axis], 1) &&
		    !dim_equal(input->dims[axis], output->dims[axis + lead]))
			return false;
	}
	return true;
}

/* Along the last axis, of constant and equal widths. */
static bool is_concat(const struct graph *graph, const struct node *node)
{
	const struct value *part;
	uint32_t rank;

	if (!is_computed(graph, node) || node->op->infer != infer_concat ||
	    node->input_count > CHAIN_OUTPUTS_MAX)
		return false;
	part = node_input(graph, node, 0);
	rank = part->rank;
	for (uint32_t input = 1; input < node->input_count; input++) {
		if (!value_same_shape(part, node_input(graph, node, input)))
			return false;
	}
	return rank > 0 && node->axis == rank - 1 && part->dims[rank - 1].symbol < 0 &&
	       part->dims[rank - 1].constant > 0;
}

static bool is_member(const struct group *group, uint32_t node)
{
	for (uint32_t index = 0; index < group->member_count; index++) {
		if (group->members[index] == node)
			return true;
	}
	return false;
}

static bool is_rejected(const struct group *group, uint32_t node)
{
	for (uint32_t index = 0; index < group->rejected_count; index++) {
		if (group->rejected[index] == node)
			return true;
	}
	return false;
}

/* Others read the value, or the caller of the run. */
static bool is_read_outside(const struct group *group, uint32_t value)
{
	const struct chains *chains = group->chains;

	for (uint32_t read = chains->first[value]; read < chains->first[value + 1]; read++) {
		if (!is_member(group, chains->readers[read]))
			return true;
	}
	return chains->is_output[value];
}

/* May the node be computed where the root is? */
static bool may_join(const struct group *group, uint32_t index)
{
	const struct chains *chains = group->chains;
	const struct graph *graph = chains->graph;
	const struct node *node = &graph->nodes[index];
	uint32_t value;

	if (!is_unary(graph, node) && !is_binary(graph, node) && !is_repeat(graph, node) &&
	    !is_batchnorm(graph, node))
		return false;
	value = node->outputs[0];
	if (!value_same_shape(graph_value(graph, value), group->shape))
		return false;
	for (uint32_t read = chains->first[value]; read < chains->first[value + 1]; read++) {
		if (!is_member(group, chains->readers[read]) &&
		    chains->readers[read] < group->root)
			return false;
	}
	return true;
}

/* --- the program --- */

/* What each member's value is in the program. */
struct known_ids {
	uint32_t values[CHAIN_OPS_MAX];
	chain_id ids[CHAIN_OPS_MAX];
	uint32_t count;
};

static chain_id id_of(struct group *group, const struct known_ids *known, uint32_t value)
{
	for (uint32_t index = 0; index < known->count; index++) {
		if (known->values[index] == value)
			return known->ids[index];
	}
	return chain_operand(&group->program, value);
}

static chain_id emit_binary(struct group *group, const struct known_ids *known,
			    const struct node *node)
{
	struct chain_program *program = &group->program;
	chain_id id = id_of(group, known, node->inputs[0]);
	float power;

	if (node->op->code == BINARY_POW &&
	    match_scalar(group->chains->graph, node->inputs[1], &power) && power == 2.0f)
		return chain_binary(program, BINARY_MUL, id, id);
	for (uint32_t input = 1; input < node->input_count; input++)
		id = chain_binary(program, (enum binary)node->op->code, id,
				  id_of(group, known, node->inputs[input]));
	return id;
}

static chain_id emit_batchnorm(struct group *group, const struct known_ids *known,
			       const struct node *node)
{
	const struct affine *affine = batchnorm_affine(node);
	chain_id id = chain_binary(&group->program, BINARY_MUL,
				   id_of(group, known, node->inputs[0]),
				   chain_operand(&group->program, affine->scale));

	return chain_binary(&group->program, BINARY_ADD, id,
			    chain_operand(&group->program, affine->shift));
}

static void emit_concat(struct group *group, const struct known_ids *known,
			const struct node *node)
{
	int64_t columns = group->shape->dims[group->shape->rank - 1].constant;

	for (uint32_t input = 0; input < node->input_count; input++)
		chain_output(&group->program, id_of(group, known, node->inputs[input]),
			     node->outputs[0], input * columns, node->input_count * columns);
}

static bool group_program(struct group *group)
{
	const struct graph *graph = group->chains->graph;
	struct chain_program *program = &group->program;
	struct known_ids known = {.count = 0};

	chain_program_init(program, group->shape);
	for (uint32_t index = group->member_count; index-- > 0;) {
		const struct node *node = &graph->nodes[group->members[index]];
		uint32_t value = node->outputs[0];
		chain_id id;

		if (is_concat(graph, node)) {
			emit_concat(group, &known, node);
			continue;
		}
		if (is_unary(graph, node))
			id = chain_unary(program, node, id_of(group, &known, node->inputs[0]));
		else if (is_binary(graph, node))
			id = emit_binary(group, &known, node);
		else if (is_batchnorm(graph, node))
			id = emit_batchnorm(group, &known, node);
		else
			id = id_of(group, &known, node->inputs[0]);
		known.values[known.count] = value;
		known.ids[known.count++] = id;
		if (is_read_outside(group, value))
			chain_output(program, id, value, 0, 0);
	}
	return chain_program_close(program, graph);
}

/* --- the group --- */

static void member_insert(struct group *group, uint32_t node)
{
	uint32_t place = group->member_count++;

	for (; place > 0 && group->members[place - 1] < node; place--)
		group->members[place] = group->members[place - 1];
	group->members[place] = node;
}

static void member_remove(struct group *group, uint32_t node)
{
	uint32_t place = 0;

	while (group->members[place] != node)
		place++;
	memmove(&group->members[place], &group->members[place + 1],
		(--group->member_count - place) * sizeof(group->members[0]));
}

/* The latest node that computes an input of the group and was not asked yet; GRAPH_NONE. */
static uint32_t next_candidate(const struct group *group)
{
	const struct graph *graph = group->chains->graph;
	uint32_t latest = GRAPH_NONE;

	for (uint32_t index = 0; index < group->member_count; index++) {
		const struct node *node = &graph->nodes[group->members[index]];

		for (uint32_t input = 0; input < node->input_count; input++) {
			const struct node *producer =
				node_has_input(node, input)
					? value_producer(graph, node->inputs[input])
					: NULL;
			uint32_t found;

			if (!producer)
				continue;
			found = (uint32_t)(producer - graph->nodes);
			if ((latest == GRAPH_NONE || found > latest) && !is_member(group, found) &&
			    !is_rejected(group, found))
				latest = found;
		}
	}
	return latest;
}

static void group_grow(struct group *group)
{
	uint32_t failures = 0;
	uint32_t candidate;

	while (failures < FAILURES_MAX && (candidate = next_candidate(group)) != GRAPH_NONE) {
		bool joins = group->member_count < CHAIN_OPS_MAX && may_join(group, candidate);

		if (joins) {
			member_insert(group, candidate);
			joins = group_program(group);
			failures += !joins;
			if (!joins)
				member_remove(group, candidate);
		}
		if (joins)
			continue;
		if (group->rejected_count == REJECTED_MAX)
			break;
		group->rejected[group->rejected_count++] = candidate;
	}
}

/* The root computes all of it. */
static int group_commit(struct group *group)
{
	struct graph *graph = group->chains->graph;
	struct node *root = &graph->nodes[group->root];
	struct chain_program *program = graph_allocate(graph, 1, sizeof(*program));
	uint32_t own = root->outputs[0];

	if (!program)
		return err_trace(-ENOMEM);
	*program = group->program;
	root->inputs = graph_allocate(graph, CHAIN_OPERANDS_MAX, sizeof(root->inputs[0]));
	root->outputs = graph_allocate(graph, CHAIN_OUTPUTS_MAX, sizeof(root->outputs[0]));
	if (!root->inputs || !root->outputs)
		return err_trace(-ENOMEM);
	root->input_count = program->operand_count;
	memcpy(root->inputs, program->operands, program->operand_count * sizeof(root->inputs[0]));
	root->output_count = 1;
	root->outputs[0] = own;
	for (uint32_t index = 0; index < program->output_count; index++) {
		uint32_t value = program->outputs[index].value;

		if (value == own)
			continue;
		root->outputs[root->output_count++] = value;
		graph_value(graph, value)->producer = group->root;
	}
	for (uint32_t index = 0; index < group->member_count; index++) {
		if (group->members[index] != group->root)
			node_absorb(root, &graph->nodes[group->members[index]]);
	}
	root->op = &chain_op_row;
	root->fused = program;
	return 0;
}

/* A chain writes into the Concat, which no operator by itself does. */
static bool is_part_of_concat(const struct chains *chains, uint32_t value)
{
	for (uint32_t read = chains->first[value]; read < chains->first[value + 1]; read++) {
		if (chains->graph->nodes[chains->readers[read]].op->lower == lower_concat)
			return !chains->is_output[value];
	}
	return false;
}

static int root_visit(struct chains *chains, struct group *group, uint32_t index)
{
	const struct graph *graph = chains->graph;
	const struct node *node = &graph->nodes[index];
	bool concatenates = is_concat(graph, node);

	if (!concatenates && !is_unary(graph, node) && !is_binary(graph, node) &&
	    !is_batchnorm(graph, node))
		return 0;
	memset(group, 0, sizeof(*group));
	group->chains = chains;
	group->shape = concatenates ? node_input(graph, node, 0) : node_output(graph, node, 0);
	group->root = index;
	group->members[group->member_count++] = index;
	group_grow(group);
	if (group->member_count < 2 && !is_batchnorm(graph, node) &&
	    (concatenates || !is_part_of_concat(chains, node->outputs[0])))
		return 0;
	if (!group_program(group))
		return 0;
	return group_commit(group);
}

int pass_chain(struct graph *graph)
{
	struct group *group = graph_allocate(graph, 1, sizeof(*group));
	struct chains chains;
	int r;

	if (!group)
		return err_trace(-ENOMEM);
	r = chains_init(&chains, graph);
	if (r < 0)
		return err_trace(r);
	for (uint32_t index = graph->node_count; index-- > 0;) {
		r = root_visit(&chains, group, index);
		if (r < 0)
			return err_trace(r);
	}
	return 0;
}
