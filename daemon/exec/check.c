/* SPDX-License-Identifier: MIT */
/* daemon/exec/check.c - would a file load, and as what: without reading a table */
#include "exec/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "exec/weights.h"
#include "graph/cost.h"
#include "graph/rows.h"
#include "kernels/chain.h"

/* A chain dispatches on each of its operators. */
static uint32_t step_operators(const struct step *step)
{
	const struct chain_args *chain = (const void *)step->args;

	return step->kernel == KERNEL_CHAIN ? chain->op_count : 1;
}

static int steps_describe(struct check *check, const struct lowering *lowering)
{
	int64_t symbols[SIGNATURE_SYMBOLS_MAX];

	for (uint32_t symbol = 0; symbol < SIGNATURE_SYMBOLS_MAX; symbol++)
		symbols[symbol] = check->rows;
	check->steps = calloc((size_t)lowering->step_count + 1, sizeof(check->steps[0]));
	if (!check->steps)
		return err_raise(-ENOMEM, "no memory to describe %u steps", lowering->step_count);
	check->step_count = lowering->step_count;
	for (uint32_t index = 0; index < lowering->step_count; index++) {
		const struct step *step = lowering->steps[index];
		struct cost cost = step_cost(lowering, step, symbols);

		check->steps[index] = (struct check_step){
			.kernel = kernel_name(step->kernel),
			.bytes = cost.bytes,
			.weight_bytes = cost.weight_bytes,
			.multiply_adds = cost.multiply_adds,
		};
		check->moved_bytes += cost.bytes;
		check->entries += step_operators(step);
	}
	check->perfect_bytes = cost_perfect_bytes(lowering, symbols);
	for (uint32_t weight = 0; weight < lowering->weight_count; weight++) {
		if (lowering->weights[weight].layout == WEIGHT_TABLE)
			check->tables_bytes += lowering->weights[weight].bytes;
	}
	return 0;
}

/* What engine_new does with a graph, up to the plans. */
static int graph_check(struct check *check, struct graph *graph)
{
	struct weights_extent extent;
	struct lowering lowering;
	struct rows_proof proof;
	int r;

	r = lowering_init(&lowering, graph, &proof);
	if (r < 0)
		return err_trace(r);
	memcpy(check->shares_not, proof.why, sizeof(check->shares_not));
	r = lower(&lowering);
	if (r < 0)
		return err_trace(r);
	r = weights_place(&lowering, false, false, &extent);
	if (r < 0)
		return err_trace(r);
	check->weights_bytes = extent.bytes;
	return steps_describe(check, &lowering);
}

int check_model(struct check *check, int directory_fd, const char *file, const char *name,
		uint32_t rows)
{
	struct onnx_model *model = NULL;
	struct graph graph = {0};
	int r;

	*check = (struct check){.rows = rows};
	r = onnx_open_file(directory_fd, file, name, &model);
	if (r < 0)
		return survey_note(&check->survey, r);
	check->operators = model->node_count;
	r = survey_graph(&check->survey, &graph, name, model, cpu_device());
	if (r == 0 && check->survey.count == 0) {
		graph.survey = NULL;
		r = graph_check(check, &graph);
		if (r < 0)
			r = survey_note(&check->survey, r);
	}
	graph_deinit(&graph);
	onnx_close(model);
	return r < 0 ? err_trace(r) : 0;
}

void check_deinit(struct check *check)
{
	survey_deinit(&check->survey);
	free(check->steps);
	*check = (struct check){0};
}
