/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/bodies/unroll.c - a Loop of a constant number of iterations is unrolled
 *
 * Each iteration is the body once more, with the iteration's number and the condition as
 * constants, so that what follows from them folds. What the loop carries goes from one iteration
 * to the next by name; what it collects is concatenated.
 */
#include <errno.h>
#include <string.h>

#include "graph/bodies/control.h"
#include "graph/bodies/find_bag.h"
#include "graph/ops.h"

struct loop {
	struct body body;
	uint32_t carried_count;
	uint32_t scan_count;
	int64_t trips;      /* INT64_MAX: the condition alone ends it */
	uint32_t *inputs;   /* of the body: number, condition, what is carried */
	uint32_t *outputs;  /* of the body: condition, what is carried, what is collected */
	uint32_t *collected; /* scan * CONTROL_ITERATIONS_MAX + iteration */
	uint32_t iteration;
	bool is_lost; /* with a survey: a node of the body was refused */
};

static int loop_trips(struct graph *graph, const struct node *node, struct loop *loop)
{
	const struct value *value;
	bool known;
	int r;

	loop->trips = INT64_MAX;
	if (!node_has_input(node, 0))
		return 0;
	value = node_input(graph, node, 0);
	r = graph_known(graph, node->inputs[0], &known);
	if (r < 0)
		return err_trace(r);
	if (!known || value->known_count != 1)
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "its number of iterations ('%s') is computed at run time; "
				   "supported: a constant, and the loops of nn.EmbeddingBag",
				   value->name);
	if (value->known[0].symbol >= 0)
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "its number of iterations ('%s') depends on a free size; "
				   "supported: a constant, and the loops of nn.EmbeddingBag",
				   value->name);
	loop->trips = value->known[0].constant;
	return 0;
}

static int loop_condition(struct graph *graph, const struct node *node, uint32_t value,
			  bool *ret_true)
{
	bool known;
	int r;

	*ret_true = true;
	if (value == GRAPH_NONE)
		return 0;
	r = control_condition(graph, value, &known, ret_true);
	if (r < 0)
		return err_trace(r);
	if (!known)
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "its condition ('%s') is computed at run time; supported: one that "
				   "follows from constants and sizes, and the loops of nn.EmbeddingBag",
				   graph_value(graph, value)->name);
	return 0;
}

static int loop_init(struct graph *graph, const struct node *node, struct loop *loop)
{
	uint32_t carried = node->input_count > 2 ? node->input_count - 2 : 0;
	int r;

	if (node->output_count < carried)
		return node_refuse(graph, node, -EINVAL,
				   "it carries %u values and has %u outputs", carried,
				   node->output_count);
	loop->carried_count = carried;
	loop->scan_count = node->output_count - carried;
	r = loop_trips(graph, node, loop);
	if (r < 0)
		return err_trace(r);
	r = body_init(graph, node, "body", 2 + carried, 1 + node->output_count, &loop->body);
	if (r < 0)
		return err_trace(r);
	loop->inputs = graph_allocate(graph, 2 + carried, sizeof(uint32_t));
	loop->outputs = graph_allocate(graph, 1 + node->output_count, sizeof(uint32_t));
	loop->collected = graph_allocate(graph, (size_t)loop->scan_count * CONTROL_ITERATIONS_MAX,
					 sizeof(uint32_t));
	if (!loop->inputs || !loop->outputs || !loop->collected)
		return err_trace(-ENOMEM);
	for (uint32_t index = 0; index < carried; index++) {
		if (!node_has_input(node, 2 + index))
			return node_refuse(graph, node, -EINVAL, "input %u is left out", 2 + index);
		loop->inputs[2 + index] = node->inputs[2 + index];
	}
	return 0;
}

/* The iteration's number, and a condition that is true. */
static int loop_constants(struct graph *graph, struct loop *loop)
{
	int64_t *number = graph_allocate(graph, 1, sizeof(*number));
	uint8_t *truth = graph_allocate(graph, 1, sizeof(*truth));
	int r;

	if (!number || !truth)
		return err_trace(-ENOMEM);
	*number = loop->iteration;
	*truth = 1;
	r = graph_constant_new(graph, DTYPE_I64, 0, NULL, number, &loop->inputs[0]);
	if (r < 0)
		return err_trace(r);
	r = graph_constant_new(graph, DTYPE_BOOL, 0, NULL, truth, &loop->inputs[1]);
	return r < 0 ? err_trace(r) : 0;
}

static int loop_iterate(struct graph *graph, const struct node *node, struct loop *loop,
			bool *ret_again)
{
	int r;

	if (loop->iteration == CONTROL_ITERATIONS_MAX)
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "it has more than %d iterations; at most so many are unrolled",
				   CONTROL_ITERATIONS_MAX);
	r = loop_constants(graph, loop);
	if (r < 0)
		return err_trace(r);
	r = body_emit(graph, node, &loop->body, loop->inputs, loop->outputs);
	if (r < 0)
		return err_trace(r);
	for (uint32_t index = 0; index < node->output_count + 1; index++) {
		uint32_t output = loop->outputs[index];

		if (output != GRAPH_NONE && graph_value(graph, output)->kind != VALUE_UNKNOWN)
			continue;
		loop->is_lost = graph->survey != NULL;
		*ret_again = false;
		return loop->is_lost ? 0 : node_refuse(graph, node, -EINVAL,
					   "output %u of its body is not computed", index);
	}
	for (uint32_t index = 0; index < loop->carried_count; index++)
		loop->inputs[2 + index] = loop->outputs[1 + index];
	for (uint32_t scan = 0; scan < loop->scan_count; scan++)
		loop->collected[scan * CONTROL_ITERATIONS_MAX + loop->iteration] =
			loop->outputs[1 + loop->carried_count + scan];
	loop->iteration++;
	return loop_condition(graph, node, loop->outputs[0], ret_again);
}

static int loop_finish(struct graph *graph, const struct node *node, struct loop *loop)
{
	int r;

	for (uint32_t index = 0; index < loop->carried_count; index++) {
		r = control_alias(graph, node, index, loop->inputs[2 + index]);
		if (r < 0)
			return err_trace(r);
	}
	if (loop->iteration == 0 && loop->scan_count > 0)
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "it has no iteration, and collects %u outputs", loop->scan_count);
	for (uint32_t scan = 0; scan < loop->scan_count; scan++) {
		uint32_t all = GRAPH_NONE;

		r = control_concat(graph, node, &loop->collected[scan * CONTROL_ITERATIONS_MAX],
				   loop->iteration, 0, true, &all);
		if (r < 0)
			return err_trace(r);
		r = control_alias(graph, node, loop->carried_count + scan, all);
		if (r < 0)
			return err_trace(r);
	}
	return 0;
}

static int loop_unroll(struct graph *graph, const struct node *node)
{
	struct loop loop = {.iteration = 0};
	bool again;
	int r;

	r = loop_init(graph, node, &loop);
	if (r < 0)
		return err_trace(r);
	r = loop_condition(graph, node, node_has_input(node, 1) ? node->inputs[1] : GRAPH_NONE,
			   &again);
	while (r >= 0 && again && loop.iteration < loop.trips)
		r = loop_iterate(graph, node, &loop, &again);
	if (r < 0)
		return err_trace(r);
	if (loop.is_lost)
		return 0;
	return loop_finish(graph, node, &loop);
}

int infer_loop(struct graph *graph, struct node *node)
{
	int r;

	r = loop_bag(graph, node);
	if (r == 0)
		r = sequence_bag(graph, node);
	if (r == LOOP_E_BAG)
		return 0;
	if (r == 0)
		r = loop_unroll(graph, node);
	return r < 0 ? err_trace(r) : 0;
}
