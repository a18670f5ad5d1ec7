/* SPDX-License-Identifier: MIT */
/* daemon/exec/engine_load.c - from a model's files to what runs */
#include "engine_parts.h"

#include <assert.h>
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exec/warm.h"
#include "graph/jagged.h"
#include "graph/rows.h"

#define VALUES_PER_ROW 32       /* capacity of the free sizes that do not count rows: */
#define VALUES_PER_REQUEST 32   /* VALUES_PER_ROW * rows + VALUES_PER_REQUEST */

static_assert(ENGINE_COLD_MAX == COLD_IDS_MAX, "one input for the ids of each cold table");

/* `request_symbol`, of which a request has one, is 1 for whoever asks. */
static int tensors_describe(const struct graph *graph, const uint32_t values[], uint32_t count,
			    int32_t request_symbol, struct signature_tensor **ret_tensors,
			    uint32_t *ret_count)
{
	struct signature_tensor *tensors = calloc((size_t)count + 1, sizeof(*tensors));

	if (!tensors)
		return err_raise(-ENOMEM, "%s: no memory for its signature", graph->name);
	*ret_tensors = tensors;
	*ret_count = count;
	for (uint32_t index = 0; index < count; index++) {
		const struct value *value = graph_value(graph, values[index]);

		tensors[index].name = strdup(value->name);
		if (!tensors[index].name)
			return err_raise(-ENOMEM, "%s: no memory for its signature", graph->name);
		tensors[index].dtype = value->dtype;
		tensors[index].rank = value->rank;
		memcpy(tensors[index].dims, value->dims, value->rank * sizeof(value->dims[0]));
		if (request_symbol >= 0 && value->rank > 0 &&
		    value->dims[0].symbol == request_symbol)
			tensors[index].dims[0] = dim_constant(1);
	}
	return 0;
}

static int signature_describe(struct engine *engine, const struct graph *graph,
			      const struct rows_proof *proof)
{
	struct signature *signature = &engine->signature;
	int r;

	signature->row_symbol = proof->symbol;
	signature->request_symbol = proof->request_symbol;
	r = tensors_describe(graph, graph->inputs, graph->input_count,
			     proof->request_symbol, &signature->inputs,
			     &signature->input_count);
	if (r < 0)
		return err_trace(r);
	for (uint32_t input = 0; proof->symbol >= 0 && input < graph->input_count; input++) {
		signature->inputs[input].is_offsets = proof->offsets_into[input] >= 0;
		signature->inputs[input].values_symbol = proof->offsets_into[input];
	}
	r = tensors_describe(graph, graph->outputs, graph->output_count,
			     proof->request_symbol, &signature->outputs,
			     &signature->output_count);
	if (r < 0)
		return err_trace(r);
	for (uint32_t symbol = 0; symbol < graph->symbol_count; symbol++) {
		signature->symbols[symbol] = strdup(graph->symbols[symbol]);
		if (!signature->symbols[symbol])
			return err_raise(-ENOMEM, "%s: no memory for its signature", graph->name);
		signature->symbol_count++;
	}
	engine->bucket_symbol = proof->symbol;
	for (uint32_t output = 0; engine->bucket_symbol < 0 && output < graph->output_count;
	     output++) {
		if (signature->outputs[output].rank > 0)
			engine->bucket_symbol = signature->outputs[output].dims[0].symbol;
	}
	if (engine->bucket_symbol < 0 && graph->symbol_count > 0)
		engine->bucket_symbol = 0;
	return 0;
}

static int policies_take(struct loading *loading)
{
	const struct engine_options *options = &loading->options;

	loading->policies = calloc((size_t)options->policy_count + 1, sizeof(loading->policies[0]));
	if (!loading->policies)
		return err_raise(-ENOMEM, "%s: no memory for its policies", loading->name);
	for (uint32_t index = 0; index < options->policy_count; index++) {
		loading->policies[index].table = options->policies[index].table;
		loading->policies[index].missing = options->policies[index].missing;
		loading->policies[index].missing_row = options->policies[index].missing_row;
	}
	loading->lowering.policies = loading->policies;
	loading->lowering.policy_count = options->policy_count;
	return 0;
}

static int policies_check(const struct loading *loading)
{
	for (uint32_t index = 0; index < loading->lowering.policy_count; index++) {
		const struct lower_policy *policy = &loading->policies[index];

		if (!policy->used && strcmp(policy->table, "*") != 0)
			return err_raise(
				-EINVAL,
				"%s: a policy names table '%s', and no Gather reads ids of a "
				"request in a constant of that name",
				loading->name, policy->table);
	}
	return 0;
}

/* The free sizes that a bucket of `rows` rows takes, within what every run must fulfil. */
static void capacity_of(const struct engine *engine, uint64_t rows,
			int64_t capacity[SIGNATURE_SYMBOLS_MAX])
{
	for (uint32_t symbol = 0; symbol < SIGNATURE_SYMBOLS_MAX; symbol++) {
		uint64_t values = rows * VALUES_PER_ROW + VALUES_PER_REQUEST;

		if ((int32_t)symbol == engine->signature.request_symbol)
			values = rows; /* each request has one at least */
		else if (symbol >= engine->signature.symbol_count)
			values = 0;
		else if ((int32_t)symbol == engine->bucket_symbol)
			values = rows;
		capacity[symbol] = (int64_t)values;
	}
	for (uint32_t index = 0; index < engine->constraint_count; index++) {
		struct dim dim = engine->constraints[index];

		if (dim.symbol >= 0 && dim.factor < 0 &&
		    dim.constant / -(int64_t)dim.factor < capacity[dim.symbol])
			capacity[dim.symbol] = dim.constant / -(int64_t)dim.factor;
	}
}

/* Cold tables give way to slots for their rows. */
static int place_cold(struct engine *engine, struct loading *loading)
{
	const struct engine_options *options = &loading->options;
	uint32_t slots[COLD_TABLES_MAX];
	int64_t capacity[SIGNATURE_SYMBOLS_MAX];
	int r;

	if (options->cold_count == 0)
		return 0;
	loading->cold = calloc(1, sizeof(*loading->cold));
	if (!loading->cold)
		return err_raise(-ENOMEM, "%s: no memory for its cold tables", loading->name);
	r = cold_find(&loading->lowering, options->cold, options->cold_count, loading->cold);
	if (r < 0 || loading->cold->ids_count == 0)
		return r < 0 ? err_trace(r) : 0;
	capacity_of(engine, engine->bucket_symbol < 0 ? 1 : options->rows_max, capacity);
	r = cold_share(loading->cold, loading->name, capacity, options->cold_stages,
		       options->cold_bytes, slots);
	if (r == 0)
		r = cold_place(&loading->lowering, loading->cold, slots);
	return r < 0 ? err_trace(r) : 0;
}

static int load_cold(struct engine *engine, struct loading *loading)
{
	struct cold_options options = {
		.plan = loading->cold,
		.lowering = &loading->lowering,
		.weights = engine->weights.address,
		.stage_count = loading->options.cold_stages,
		.owner = { loading->options.tiers, loading->options.owner, TIER_ROWS },
		.node = loading->options.node,
	};
	int r;

	if (!loading->cold || loading->cold->ids_count == 0 || loading->options.budget)
		return 0;
	capacity_of(engine, engine->rows_max, options.capacity);
	r = cold_new(&options, &engine->cold);
	return r < 0 ? err_trace(r) : 0;
}

/* One part, unless weights and tables are both there and lie apart; and the sheets of what is sealed. */
static void place_parts(struct loading *loading)
{
	const struct engine_options *options = &loading->options;
	uint64_t tables_bytes = loading->extent.bytes - loading->extent.tables_offset;

	if (options->weights.nodes == options->tables.nodes || loading->extent.tables_offset == 0)
		tables_bytes = loading->extent.bytes;
	if (tables_bytes < loading->extent.bytes)
		loading->parts[loading->part_count++] =
			(struct span_part){ loading->extent.tables_offset, options->weights };
	if (tables_bytes > 0)
		loading->parts[loading->part_count++] =
			(struct span_part){ tables_bytes, options->tables };
	for (uint32_t index = 0; index < loading->extent.sheet_count; index++)
		loading->sheets[index].bytes = loading->extent.sheet_bytes[index];
}

/* Graph, rows and steps. */
static int load_graph(struct engine *engine, struct loading *loading)
{
	struct lowering *lowering = &loading->lowering;
	struct rows_proof proof;
	int r;

	r = graph_init(&loading->graph, loading->name, loading->model, loading->options.device);
	if (r < 0)
		return err_trace(r);
	r = lowering_init(lowering, &loading->graph, &proof);
	if (r < 0)
		return err_trace(r);
	r = policies_take(loading);
	if (r < 0)
		return err_trace(r);
	r = lower(lowering);
	if (r < 0)
		return err_trace(r);
	r = policies_check(loading);
	if (r < 0)
		return err_trace(r);
	r = signature_describe(engine, &loading->graph, &proof);
	if (r < 0)
		return err_trace(r);
	engine->site_inputs = calloc((size_t)lowering->site_count + 1, sizeof(int32_t));
	if (!engine->site_inputs)
		return err_raise(-ENOMEM, "%s: no memory for its gather sites", loading->name);
	if (lowering->site_count > 0)
		memcpy(engine->site_inputs, lowering->site_inputs,
		       lowering->site_count * sizeof(int32_t));
	engine->site_count = lowering->site_count;
	if (!jagged_computes_values(lowering))
		engine->signature.followed_symbol = lowering->followed_symbol;
	engine->constraint_count = loading->graph.constraint_count;
	memcpy(engine->constraints, loading->graph.constraints, sizeof(engine->constraints));
	r = place_cold(engine, loading);
	if (r == 0)
		r = weights_place(lowering,
				  loading->options.weights.nodes != loading->options.tables.nodes,
				  loading->options.shelf != NULL, &loading->extent);
	if (r < 0)
		return err_trace(r);
	place_parts(loading);
	engine->tables_offset = loading->extent.tables_offset;
	if (loading->cold && loading->cold->ids_count > 0)
		engine->cold_bytes = cold_plan_bytes(loading->cold);
	return 0;
}

static int plan_weights(struct engine *engine, const struct loading *loading)
{
	int r;

	engine->unkept = "it is only planned";
	if (loading_seals(loading, loading->options.keeps))
		r = span_kept_plan(loading->parts, loading->part_count, loading->sheets,
				   loading->extent.sheet_count, loading->options.budget,
				   &engine->weights);
	else
		r = span_plan(loading->parts, loading->part_count, 1, loading->options.budget,
			      &engine->weights);
	return r < 0 ? err_trace(r) : 0;
}

static int load_weights(struct engine *engine, struct loading *loading)
{
	const struct weights_options options = {
		.reader = loading->options.reader,
		.progress = loading->options.progress,
		.context = loading->options.progress_context,
	};
	int r;

	r = engine_keep_begin(engine, loading);
	if (r < 0)
		return err_trace(r);
	r = weights_load(&loading->lowering, &options, engine->weights.address,
			 engine->weights.bytes, &engine->arrival);
	if (r < 0)
		return err_trace(r);
	r = onnx_verify(loading->model);
	if (r == ONNX_E_CHANGED)
		return ENGINE_E_CHANGED;
	if (r == 0)
		r = engine_keep_end(engine, loading);
	return r < 0 ? err_trace(r) : 0;
}

static bool constraints_hold(const struct engine *engine, const int64_t symbols[])
{
	for (uint32_t index = 0; index < engine->constraint_count; index++) {
		if (dim_value(engine->constraints[index], symbols) < 0)
			return false;
	}
	return true;
}

static int load_plans(struct engine *engine, struct loading *loading)
{
	uint64_t rows_max = engine->bucket_symbol < 0 ? 1 : loading->options.rows_max;
	uint64_t limit = loading->options.activation_bytes_max;
	int64_t capacity[SIGNATURE_SYMBOLS_MAX];
	int r;

	for (uint64_t rows = 1;; rows = 2 * rows < rows_max ? 2 * rows : rows_max) {
		struct plan *plan = &loading->plans[loading->plan_count];
		uint64_t bytes;

		capacity_of(engine, rows, capacity);
		if (loading->plan_count > 0 &&
		    memcmp(capacity, plan[-1].capacity, sizeof(capacity)) == 0)
			return 0;
		r = plan_init(plan, &loading->lowering, capacity);
		if (r < 0) {
			plan_deinit(plan);
			return err_trace(r);
		}
		bytes = plan->arena_bytes;
		if (bytes > limit)
			plan_deinit(plan);
		if (bytes > limit && loading->plan_count == 0)
			return err_raise(
				-EOPNOTSUPP,
				"%s: one row takes %llu bytes of activations; at most %llu "
				"are allowed",
				loading->name, (unsigned long long)bytes,
				(unsigned long long)limit);
		if (bytes > limit)
			return 0;
		loading->plan_count++;
		engine->rows_max =
			engine->bucket_symbol < 0 ? 1 : (uint32_t)capacity[engine->bucket_symbol];
		if (rows == rows_max)
			return 0;
	}
}

/* Rows of a chunk: what was asked for, what the clock says, or what the cache has room for, or the
 * most that these can say; 0 where rows cannot be cut. */
static int choose_chunk(struct engine *engine, struct loading *loading,
			struct spread_options *spread_options)
{
	const struct warm_options warm = {
		.lowering = &loading->lowering,
		.bytes_max = loading->options.activation_bytes_max,
		.measures = true,
		.cold = engine->cold,
	};
	int64_t one[SIGNATURE_SYMBOLS_MAX] = {0};
	struct spread_options trial = *spread_options;
	struct spread spread;
	uint32_t rows;
	int r;

	if (!spread_can_cut(&engine->signature))
		return 0;
	one[engine->signature.row_symbol] = 1;
	if (!constraints_hold(engine, one))
		return 0;
	rows = loading->options.chunk_rows;
	if (rows == 0 && loading->options.budget) {
		rows = warm_chunk_widen(&loading->lowering, &engine->signature, WARM_CHUNK_ROWS_MAX,
					engine->rows_max);
	} else if (rows == 0) {
		rows = warm_chunk_guess(loading->plans, loading->plan_count,
					engine->signature.row_symbol);
		trial.workers = NULL;
		trial.chunk_rows = WARM_CHUNK_ROWS_MAX;
		r = spread_init(&spread, &trial, loading->plans, loading->plan_count);
		if (r == 0)
			rows = warm_chunk_choose(&spread, &warm, rows);
		spread_deinit(&spread);
		if (r < 0)
			return err_trace(r);
		rows = warm_chunk_widen(&loading->lowering, &engine->signature, rows,
					engine->rows_max);
	}
	spread_options->chunk_rows = rows < engine->rows_max ? rows : engine->rows_max;
	return 0;
}

static int load_spread(struct engine *engine, struct loading *loading)
{
	const struct warm_options warm = {
		.lowering = &loading->lowering,
		.bytes_max = loading->options.activation_bytes_max,
		.measures = loading->options.way == WAY_AUTO,
		.cold = engine->cold,
		.roofline = loading->options.kept ? &loading->options.kept->roofline : NULL,
	};
	struct spread_options options = {
		.device = loading->options.device,
		.signature = &engine->signature,
		.constraints = engine->constraints,
		.constraint_count = engine->constraint_count,
		.workers = workers_count(loading->options.workers) > 1 ? loading->options.workers
								       : NULL,
		.way = loading->options.way,
		.cold = engine->cold,
		.weights = engine->weights.address,
		.weights_bytes = engine->weights.bytes,
		.tables_offset = engine->tables_offset,
		.replicas = engine->replicas,
		.node = loading->options.node,
		.budget = loading->options.budget,
		.owner = { loading->options.tiers, loading->options.owner, TIER_ACTIVATIONS },
	};
	int r;

	r = choose_chunk(engine, loading, &options);
	if (r < 0)
		return err_trace(r);
	r = spread_init(&engine->spread, &options, loading->plans, loading->plan_count);
	if (r < 0)
		return err_trace(r);
	if (!options.budget)
		warm_spread(&engine->spread, &warm);
	engine->kept.roofline = engine->spread.roofline;
	return 0;
}

static void plans_note(struct engine *engine, const struct loading *loading)
{
	const struct plan *largest = loading->plans + loading->plan_count - 1;

	engine->plans = (struct engine_plans){
		.node_count = loading->model->node_count,
		.step_count = largest->entry_count,
		.plan_count = loading->plan_count,
		.arena_bytes = largest->arena_bytes,
	};
}

static void loading_deinit(struct loading *loading)
{
	for (uint32_t index = 0; index < loading->plan_count; index++)
		plan_deinit(&loading->plans[index]);
	free(loading->policies);
	free(loading->cold);
	graph_deinit(&loading->graph);
	onnx_close(loading->model);
	for (uint32_t index = 0; index < WEIGHTS_SHEETS_MAX; index++)
		if (loading->sheets[index].fd >= 0)
			close(loading->sheets[index].fd);
	free(loading);
	/* A file's worth of nodes and names was allocated in between: it goes back to the kernel. */
	(void)malloc_trim(0);
}

int engine_load(struct engine *engine, int directory_fd, const char *name,
		const struct engine_options *options)
{
	struct loading *loading = calloc(1, sizeof(*loading));
	int r;

	if (!loading)
		return err_raise(-ENOMEM, "%s: no memory to load it", name);
	for (uint32_t index = 0; index < WEIGHTS_SHEETS_MAX; index++)
		loading->sheets[index].fd = -1;
	loading->directory_fd = directory_fd;
	loading->name = name;
	loading->options = *options;
	r = options->kept ? onnx_open_kept(options->kept->model_fd, name, &loading->model)
			  : onnx_open(directory_fd, name, &loading->model);
	if (r == 0)
		r = load_graph(engine, loading);
	if (r == 0)
		r = load_plans(engine, loading);
	if (r == 0)
		plans_note(engine, loading);
	if (r == 0 && options->kept)
		r = engine_adopt(engine, loading);
	if (r == 0)
		r = engine_replicas_take(engine, loading);
	if (r == 0 && !options->kept)
		r = options->budget ? plan_weights(engine, loading)
				    : load_weights(engine, loading);
	if (r == 0)
		engine_replicas_fill(engine);
	if (r == 0)
		r = load_cold(engine, loading);
	if (r == 0)
		r = load_spread(engine, loading);
	loading_deinit(loading);
	return r < 0 ? err_trace(r) : r;
}
