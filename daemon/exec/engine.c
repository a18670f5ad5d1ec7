/* SPDX-License-Identifier: MIT */
/* daemon/exec/engine.c - one model version, ready to run */
#include "exec/engine.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "exec/run.h"
#include "exec/weights.h"
#include "graph/join.h"

#define ROWS_MAX 4096
#define ACTIVATION_BYTES_MAX (256ULL << 20)
#define BUCKETS_MAX 34          /* powers of two up to 2^32, and rows_max itself */
#define VALUES_PER_ROW 32       /* capacity of the free sizes that do not count rows: */
#define VALUES_PER_REQUEST 32   /* VALUES_PER_ROW * rows + VALUES_PER_REQUEST */
#define HUGE_FROM_BYTES (2U << 20)

/* The files changed while they were read. */
#define ENGINE_E_CHANGED 1

struct bucket {
	int64_t capacity[SIGNATURE_SYMBOLS_MAX];
	struct run run;
};

struct engine {
	struct signature signature;
	enum numerics numerics;
	int32_t bucket_symbol; /* the free size that buckets count, -1: none */
	uint32_t bucket_count;
	struct bucket *buckets; /* ascending */
	struct span weights;
	struct span activations;
	struct dim constraints[GRAPH_CONSTRAINTS_MAX];
	uint32_t constraint_count;
	int32_t *site_inputs;
	uint32_t site_count;
};

/* What exists while a model is loaded and is gone when it runs. */
struct loading {
	const char *name;
	struct engine_options options;
	struct onnx_model *model;
	struct graph graph;
	struct lowering lowering;
	struct lower_policy *policies;
	struct plan plans[BUCKETS_MAX];
	uint32_t plan_count;
	uint64_t weights_bytes;
};

/* `request_symbol`, of which a request has one, is 1 for whoever asks. */
static int tensors_describe(const struct graph *graph, const uint32_t values[], uint32_t count,
			    int32_t request_symbol, struct signature_tensor **ret_tensors, uint32_t *ret_count)
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

/* Graph, rows and steps. */
static int load_graph(struct engine *engine, struct loading *loading)
{
	struct lowering *lowering = &loading->lowering;
	struct rows_proof proof;
	int r;

	r = graph_init(&loading->graph, loading->name, loading->model, loading->options.device);
	if (r < 0)
		return err_trace(r);
	r = rows_prove(&loading->graph, &proof);
	if (r < 0)
		return err_trace(r);
	r = join_requests(&loading->graph, &proof);
	if (r < 0)
		return err_trace(r);
	r = graph_fuse(&loading->graph);
	if (r < 0)
		return err_trace(r);
	*lowering = (struct lowering){
		.graph = &loading->graph,
		.row_symbol = proof.symbol,
		.request_symbol = proof.request_symbol,
		.rows = proof.rows,
	};
	r = policies_take(loading);
	if (r < 0)
		return err_trace(r);
	r = lower(lowering);
	if (r < 0)
		return err_trace(r);
	r = policies_check(loading);
	if (r < 0)
		return err_trace(r);
	r = weights_place(lowering, &loading->weights_bytes);
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
	engine->constraint_count = loading->graph.constraint_count;
	memcpy(engine->constraints, loading->graph.constraints, sizeof(engine->constraints));
	return 0;
}

static int load_weights(struct engine *engine, struct loading *loading)
{
	uint64_t bytes = loading->weights_bytes;
	int r;

	r = span_map(bytes, loading->options.node, 1, &engine->weights);
	if (r < 0)
		return err_trace(r);
	r = weights_load(&loading->lowering, engine->weights.address);
	if (r < 0)
		return err_trace(r);
	r = onnx_verify(loading->model);
	if (r < 0)
		return err_trace(r);
	return r == ONNX_E_CHANGED ? ENGINE_E_CHANGED : 0;
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
		if (rows == rows_max)
			return 0;
	}
}

static int load_buckets(struct engine *engine, struct loading *loading)
{
	uint64_t bytes = 1;
	int r;

	for (uint32_t index = 0; index < loading->plan_count; index++) {
		if (loading->plans[index].arena_bytes > bytes)
			bytes = loading->plans[index].arena_bytes;
	}
	r = span_map(bytes, loading->options.node, bytes >= HUGE_FROM_BYTES, &engine->activations);
	if (r < 0)
		return err_trace(r);
	engine->buckets = calloc(loading->plan_count, sizeof(engine->buckets[0]));
	if (!engine->buckets)
		return err_raise(-ENOMEM, "%s: no memory for its buckets", loading->name);
	for (uint32_t index = 0; index < loading->plan_count; index++) {
		struct bucket *bucket = &engine->buckets[engine->bucket_count++];

		memcpy(bucket->capacity, loading->plans[index].capacity, sizeof(bucket->capacity));
		r = run_init(&bucket->run, &loading->plans[index], loading->options.device,
			     engine->weights.address, engine->activations.address);
		if (r < 0)
			return err_trace(r);
	}
	return 0;
}

/* Zeroed, aligned memory for every tensor of the list; false when it would be
 * more than `limit` bytes or there is none. */
static bool tensors_allocate(const struct signature_tensor *tensors, uint32_t count,
			     const int64_t symbols[], uint64_t limit, void *memory[])
{
	for (uint32_t index = 0; index < count; index++) {
		int64_t elements = signature_elements(&tensors[index], symbols);
		uint64_t bytes;

		if (elements < 0 || (uint64_t)elements > limit / 8)
			return false;
		bytes = (uint64_t)elements * dtype_bytes(tensors[index].dtype);
		bytes = (bytes + 127) & ~63ULL;
		memory[index] = aligned_alloc(64, bytes);
		if (!memory[index])
			return false;
		memset(memory[index], 0, bytes);
		limit -= bytes < limit ? bytes : limit;
	}
	return true;
}

/* Runs a bucket once on zeros, so that its first request finds everything touched. */
static void bucket_warm(struct engine *engine, const struct bucket *bucket, uint64_t limit)
{
	const struct signature *signature = &engine->signature;
	void *inputs[ENGINE_INPUTS_MAX] = {0};
	void *outputs[SIGNATURE_TENSORS_MAX] = {0};
	int32_t row_symbol = signature->row_symbol;
	int64_t rows = row_symbol < 0 ? 1 : bucket->capacity[row_symbol];
	struct row_status *status = calloc((size_t)rows + 1, sizeof(*status));
	int32_t *row_requests = calloc((size_t)rows, sizeof(*row_requests));
	int64_t symbols[SIGNATURE_SYMBOLS_MAX];

	memcpy(symbols, bucket->capacity, sizeof(symbols));
	if (signature->request_symbol >= 0)
		symbols[signature->request_symbol] = 1;
	if (status && row_requests && constraints_hold(engine, symbols) &&
	    tensors_allocate(signature->inputs, signature->input_count, symbols, limit, inputs) &&
	    tensors_allocate(signature->outputs, signature->output_count, symbols, limit,
			     outputs)) {
		inputs[signature->input_count] = row_requests;
		engine_run(engine, symbols, (const void *const *)inputs, outputs, status);
	}
	for (uint32_t index = 0; index < SIGNATURE_TENSORS_MAX; index++) {
		if (index < signature->input_count)
			free(inputs[index]);
		free(outputs[index]);
	}
	free(row_requests);
	free(status);
}

static void loading_deinit(struct loading *loading)
{
	for (uint32_t index = 0; index < loading->plan_count; index++)
		plan_deinit(&loading->plans[index]);
	free(loading->policies);
	graph_deinit(&loading->graph);
	onnx_close(loading->model);
	free(loading);
}

static int engine_load(struct engine *engine, int directory_fd, const char *name,
		       const struct engine_options *options)
{
	struct loading *loading = calloc(1, sizeof(*loading));
	int r;

	if (!loading)
		return err_raise(-ENOMEM, "%s: no memory to load it", name);
	loading->name = name;
	loading->options = *options;
	r = onnx_open(directory_fd, name, &loading->model);
	if (r == 0)
		r = load_graph(engine, loading);
	if (r == 0)
		r = load_plans(engine, loading);
	if (r == 0)
		r = load_weights(engine, loading);
	if (r == 0)
		r = load_buckets(engine, loading);
	for (uint32_t index = 0; r == 0 && index < engine->bucket_count; index++)
		bucket_warm(engine, &engine->buckets[index], options->activation_bytes_max);
	loading_deinit(loading);
	return r < 0 ? err_trace(r) : r;
}

int engine_new(int directory_fd, const char *name, const struct engine_options *options,
	       struct engine **ret_engine)
{
	struct engine_options filled = *options;
	struct engine *engine = NULL;
	int r = ENGINE_E_CHANGED;

	if (!filled.device)
		filled.device = cpu_device();
	if (filled.rows_max == 0)
		filled.rows_max = ROWS_MAX;
	if (filled.activation_bytes_max == 0)
		filled.activation_bytes_max = ACTIVATION_BYTES_MAX;
	for (uint32_t attempt = 0; attempt < 2 && r == ENGINE_E_CHANGED; attempt++) {
		engine_free(engine);
		engine = calloc(1, sizeof(*engine));
		if (!engine)
			return err_raise(-ENOMEM, "%s: no memory to load it", name);
		engine->signature.row_symbol = -1;
		engine->signature.request_symbol = -1;
		engine->numerics = filled.device->numerics;
		r = engine_load(engine, directory_fd, name, &filled);
	}
	if (r == ENGINE_E_CHANGED)
		r = err_raise(-ESTALE, "%s: its files changed while they were read, twice", name);
	if (r < 0) {
		engine_free(engine);
		return err_trace(r);
	}
	*ret_engine = engine;
	return 0;
}

void engine_free(struct engine *engine)
{
	if (!engine)
		return;
	for (uint32_t index = 0; index < engine->bucket_count; index++)
		run_deinit(&engine->buckets[index].run);
	free(engine->buckets);
	free(engine->site_inputs);
	span_unmap(&engine->weights);
	span_unmap(&engine->activations);
	signature_deinit(&engine->signature);
	free(engine);
}

const struct signature *engine_signature(const struct engine *engine)
{
	return &engine->signature;
}

struct engine_memory engine_memory(const struct engine *engine)
{
	return (struct engine_memory){
		.weights = &engine->weights,
		.activations = &engine->activations,
	};
}

enum numerics engine_numerics(const struct engine *engine)
{
	return engine->numerics;
}

uint32_t engine_rows_max(const struct engine *engine)
{
	const struct bucket *last = &engine->buckets[engine->bucket_count - 1];

	return engine->bucket_symbol < 0 ? 1 : (uint32_t)last->capacity[engine->bucket_symbol];
}

/* The smallest bucket that takes the symbols, NULL when none does. */
static struct bucket *bucket_find(const struct engine *engine,
				  const int64_t symbols[SIGNATURE_SYMBOLS_MAX])
{
	for (uint32_t index = 0; index < engine->bucket_count; index++) {
		struct bucket *bucket = &engine->buckets[index];
		bool fits = true;

		for (uint32_t symbol = 0; symbol < engine->signature.symbol_count; symbol++)
			fits = fits && symbols[symbol] >= 0 &&
			       symbols[symbol] <= bucket->capacity[symbol];
		if (fits)
			return bucket;
	}
	return NULL;
}

bool engine_fits(const struct engine *engine, const int64_t symbols[SIGNATURE_SYMBOLS_MAX])
{
	return bucket_find(engine, symbols) && constraints_hold(engine, symbols);
}

void engine_run(struct engine *engine, const int64_t symbols[SIGNATURE_SYMBOLS_MAX],
		const void *const inputs[], void *const outputs[], struct row_status status[])
{
	struct bucket *bucket = bucket_find(engine, symbols);

	assert(bucket && constraints_hold(engine, symbols));
	run_execute(&bucket->run, symbols, inputs, outputs, status);
}

int engine_error_input(const struct engine *engine, uint32_t error)
{
	if (error == 0 || error > engine->site_count)
		return -1;
	return engine->site_inputs[error - 1];
}
