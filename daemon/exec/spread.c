/* SPDX-License-Identifier: MIT */
/* daemon/exec/spread.c - a model's runs, and how a batch is spread over them */
#include "exec/spread.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HUGE_FROM_BYTES (2U << 20)
#define PAGE_BYTES 4096
#define LINE_BYTES 64
/* Chunks of more rows are multiples of it: two workers write no line of an output both. */
#define CHUNK_STEP 16
/* So many chunks a worker are enough to end at the same time, without being equally many. */
#define CHUNKS_ENOUGH 4
/* A smaller matrix takes less than it costs to call for help. */
#define COLUMNS_BYTES_MIN (64 << 10)
#define PARTS_PER_WORKER 2

const char *way_name(enum way way)
{
	static const char *const names[WAY_COUNT] = {
		[WAY_AUTO] = "auto",
		[WAY_ALONE] = "alone",
		[WAY_ROWS] = "rows",
		[WAY_COLUMNS] = "columns",
	};

	return names[way];
}

/* --- one run, its large matrices split by columns ---------------------------------------------- */

static bool matrix_is_large(const struct gemm_args *args)
{
	return args->n > GEMM_SPLIT_COLUMNS &&
	       args->k * args->n * (int64_t)sizeof(float) >= COLUMNS_BYTES_MIN;
}

struct matrix_split {
	kernel_function function;
	const struct gemm_args *args;
	int64_t columns; /* of a part */
};

static void columns_compute(void *context, uint32_t part, uint32_t worker)
{
	const struct matrix_split *split = context;
	int64_t first = part * split->columns;
	int64_t left = split->args->n - first;
	struct gemm_args args = gemm_columns(split->args, first,
					     left < split->columns ? left : split->columns);

	(void)worker;
	split->function(&args);
}

static void matrix_run(const struct spread *spread, const struct run_call *call, bool wakes)
{
	const struct gemm_args *args = call->args;
	int64_t groups = (args->n + GEMM_SPLIT_COLUMNS - 1) / GEMM_SPLIT_COLUMNS;
	int64_t parts = (int64_t)workers_count(spread->options.workers) * PARTS_PER_WORKER;
	struct matrix_split split = {.function = call->function, .args = args};

	parts = parts < groups ? parts : groups;
	split.columns = (groups + parts - 1) / parts * GEMM_SPLIT_COLUMNS;
	workers_each(spread->options.workers, columns_compute, &split,
		     (uint32_t)((args->n + split.columns - 1) / split.columns), wakes);
}

static void columns_run(struct spread *spread, bool wakes, const int64_t symbols[],
			const void *const inputs[], void *const outputs[],
			struct row_status status[])
{
	struct spread_bucket *bucket = spread_bucket_of(spread, symbols);
	struct run *run = &bucket->runs[0];
	const struct run_set *set = run_bind(run, symbols, inputs, outputs, status);

	for (uint32_t index = 0; index < set->call_count; index++) {
		const struct run_call *call = &set->calls[index];

		if (run->entries[call->entry].kernel == KERNEL_GEMM && matrix_is_large(call->args))
			matrix_run(spread, call, wakes);
		else
			call->function(call->args);
	}
}

/* --- chunks of rows ------------------------------------------------------------------------------- */

struct batch_cut {
	const struct spread *spread;
	const void *const *inputs;
	void *const *outputs;
	struct row_status *status;
	const int64_t *symbols;
	int64_t rows;
	int64_t chunk_rows;
};

struct chunk {
	int64_t first;
	int64_t rows;
	int64_t symbols[SIGNATURE_SYMBOLS_MAX]; /* those that the signature has */
	const void *inputs[SIGNATURE_TENSORS_MAX + 1 + COLD_IDS_MAX];
	void *outputs[SIGNATURE_TENSORS_MAX];
	struct row_status *status;
};

static void rows_bind(const struct batch_cut *cut, struct chunk *chunk)
{
	const struct spread *spread = cut->spread;
	const struct signature *signature = spread->options.signature;

	for (uint32_t input = 0; input < signature->input_count; input++)
		chunk->inputs[input] = (const char *)cut->inputs[input] +
				       (uint64_t)chunk->first * spread->input_row_bytes[input];
	for (uint32_t output = 0; output < signature->output_count; output++)
		chunk->outputs[output] = (char *)cut->outputs[output] +
					 (uint64_t)chunk->first * spread->output_row_bytes[output];
	memcpy(chunk->symbols, cut->symbols, signature->symbol_count * sizeof(*chunk->symbols));
	chunk->symbols[signature->row_symbol] = chunk->rows;
	if (signature->followed_symbol >= 0)
		chunk->symbols[signature->followed_symbol] =
			chunk->first + chunk->rows < cut->rows;
	chunk->status = cut->status + chunk->first;
}

/* --- requests, some of whose rows a chunk has ----------------------------------------------------- */

/* What lies beside a worker's arena: status of as many rows as a chunk has and of as many requests,
 * and behind it the number of each row's request in the chunk. */
struct chunk_requests {
	int64_t first; /* in the batch */
	int64_t count;
	bool is_begun; /* another chunk has rows of the first one, too, and tells of it */
	struct row_status *status;
	int32_t *row_requests;
};

static uint64_t beside_bytes(const struct spread_options *options)
{
	return options->chunk_rows * (2 * sizeof(struct row_status) + sizeof(int32_t));
}

static void requests_bind(const struct batch_cut *cut, struct chunk *chunk, uint32_t worker,
			  struct chunk_requests *requests)
{
	const struct spread *spread = cut->spread;
	const struct signature *signature = spread->options.signature;
	const int32_t *rows = (const int32_t *)cut->inputs[signature->input_count] + chunk->first;
	char *beside = (char *)spread->activations.address + (worker + 1) * spread->arena_bytes -
		       spread->beside_bytes;

	requests->first = rows[0];
	requests->count = rows[chunk->rows - 1] - rows[0] + 1;
	requests->is_begun = chunk->first > 0 && rows[-1] == rows[0];
	requests->status = (struct row_status *)(void *)beside;
	requests->row_requests =
		(int32_t *)(void *)(requests->status + 2 * spread->options.chunk_rows);
	memset(requests->status, 0,
	       (uint64_t)(chunk->rows + requests->count) * sizeof(*requests->status));
	for (int64_t row = 0; row < chunk->rows; row++)
		requests->row_requests[row] = rows[row] - rows[0];
	for (uint32_t input = 0; input < signature->input_count; input++)
		if (signature_is_of_request(signature, input))
			chunk->inputs[input] =
				(const char *)cut->inputs[input] +
				(uint64_t)requests->first * spread->input_row_bytes[input];
	chunk->inputs[signature->input_count] = requests->row_requests;
	chunk->symbols[signature->request_symbol] = requests->count;
	chunk->status = requests->status;
}

/* Each row's and each request's status has one writer. */
static void requests_tell(const struct batch_cut *cut, const struct chunk *chunk,
			  const struct chunk_requests *requests)
{
	int64_t told = requests->is_begun ? 1 : 0;

	memcpy(cut->status + chunk->first, requests->status,
	       (uint64_t)chunk->rows * sizeof(*requests->status));
	memcpy(cut->status + cut->rows + requests->first + told,
	       requests->status + chunk->rows + told,
	       (uint64_t)(requests->count - told) * sizeof(*requests->status));
}

/* --- slots of cold tables ------------------------------------------------------------------------- */

static void cold_bind(const struct batch_cut *cut, struct chunk *chunk, int64_t first_request)
{
	const struct spread_options *options = &cut->spread->options;
	uint32_t count = options->cold ? cold_ids_count(options->cold) : 0;

	for (uint32_t index = 0; index < count; index++) {
		struct cold_cut bytes = cold_ids_cut(options->cold, index);
		uint32_t input = options->signature->input_count + 1 + index;

		chunk->inputs[input] = (const char *)cut->inputs[input] +
				       (uint64_t)chunk->first * bytes.row_bytes +
				       (uint64_t)first_request * bytes.request_bytes;
	}
}

static void chunk_execute(const struct batch_cut *cut, const struct chunk *chunk, uint32_t worker)
{
	run_execute(&spread_bucket_of(cut->spread, chunk->symbols)->runs[worker], chunk->symbols,
		    chunk->inputs, chunk->outputs, chunk->status);
}

static void chunk_run(void *context, uint32_t part, uint32_t worker)
{
	const struct batch_cut *cut = context;
	const struct signature *signature = cut->spread->options.signature;
	struct chunk_requests requests;
	struct chunk chunk; /* it is large, and a small run would see the time to clear it */

	chunk.first = part * cut->chunk_rows;
	chunk.rows = cut->rows - chunk.first;
	if (chunk.rows > cut->chunk_rows)
		chunk.rows = cut->chunk_rows;
	rows_bind(cut, &chunk);
	if (signature->request_symbol >= 0 && chunk.rows < cut->rows) {
		requests_bind(cut, &chunk, worker, &requests);
		cold_bind(cut, &chunk, requests.first);
		chunk_execute(cut, &chunk, worker);
		requests_tell(cut, &chunk, &requests);
		return;
	}
	if (signature->request_symbol >= 0) {
		chunk.inputs[signature->input_count] = cut->inputs[signature->input_count];
		chunk.symbols[signature->request_symbol] =
			cut->symbols[signature->request_symbol];
	}
	cold_bind(cut, &chunk, 0);
	chunk_execute(cut, &chunk, worker);
}

/* --- the rows of a batch -------------------------------------------------------------------------- */

static int64_t divide_up(int64_t value, int64_t divisor)
{
	return (value + divisor - 1) / divisor;
}

static void rows_run(struct spread *spread, bool is_alone, bool wakes, const int64_t symbols[],
		     const void *const inputs[], void *const outputs[], struct row_status status[])
{
	const struct signature *signature = spread->options.signature;
	int64_t workers = is_alone ? 1 : (int64_t)workers_count(spread->options.workers);
	struct batch_cut cut = {
		.spread = spread,
		.inputs = inputs,
		.outputs = outputs,
		.status = status,
		.symbols = symbols,
		.rows = symbols[signature->row_symbol],
	};
	int64_t chunks = divide_up(cut.rows, spread->options.chunk_rows);

	if (chunks < CHUNKS_ENOUGH * workers)
		chunks = divide_up(chunks > 0 ? chunks : 1, workers) * workers;
	cut.chunk_rows = divide_up(cut.rows, chunks);
	if (cut.chunk_rows > CHUNK_STEP && spread->options.chunk_rows % CHUNK_STEP == 0)
		cut.chunk_rows = divide_up(cut.chunk_rows, CHUNK_STEP) * CHUNK_STEP;
	if (cut.chunk_rows < 1)
		cut.chunk_rows = 1;
	chunks = cut.rows > 0 ? divide_up(cut.rows, cut.chunk_rows) : 1;
	if (!is_alone) {
		workers_each(spread->options.workers, chunk_run, &cut, (uint32_t)chunks, wakes);
		return;
	}
	for (int64_t chunk = 0; chunk < chunks; chunk++)
		chunk_run(&cut, (uint32_t)chunk, 0);
}

/* --- the way ---------------------------------------------------------------------------------------- */

static bool is_within(const struct spread *spread, const int64_t symbols[SIGNATURE_SYMBOLS_MAX],
		      const int64_t capacity[SIGNATURE_SYMBOLS_MAX])
{
	for (uint32_t symbol = 0; symbol < spread->options.signature->symbol_count; symbol++)
		if (symbols[symbol] < 0 || symbols[symbol] > capacity[symbol])
			return false;
	return true;
}

/* Nothing in a chunk's arena is counted by anything but rows, and the requests among them. */
struct spread_bucket *spread_bucket_of(const struct spread *spread,
				       const int64_t symbols[SIGNATURE_SYMBOLS_MAX])
{
	int32_t row_symbol = spread->options.signature->row_symbol;

	for (uint32_t index = 0; index < spread->bucket_count; index++) {
		struct spread_bucket *bucket = &spread->buckets[index];

		if (spread->options.chunk_rows > 0
			    ? symbols[row_symbol] <= bucket->capacity[row_symbol]
			    : is_within(spread, symbols, bucket->capacity))
			return bucket;
	}
	return NULL;
}

bool spread_fits(const struct spread *spread, const int64_t symbols[SIGNATURE_SYMBOLS_MAX])
{
	const struct spread_options *options = &spread->options;

	for (uint32_t index = 0; index < options->constraint_count; index++)
		if (dim_value(options->constraints[index], symbols) < 0)
			return false;
	return is_within(spread, symbols, spread->capacity);
}

struct spread_choice *spread_choice_of(struct spread *spread,
				       const int64_t symbols[SIGNATURE_SYMBOLS_MAX])
{
	int64_t rows;

	if (spread->options.chunk_rows == 0)
		return &spread->choices[spread_bucket_of(spread, symbols) - spread->buckets];
	rows = symbols[spread->options.signature->row_symbol];
	return &spread->choices[rows <= 1 ? 0 : 64 - __builtin_clzll((uint64_t)rows - 1)];
}

void spread_run_so(struct spread *spread, enum way way, bool wakes,
		   const int64_t symbols[SIGNATURE_SYMBOLS_MAX], const void *const inputs[],
		   void *const outputs[], struct row_status status[])
{
	bool is_cut = spread->options.chunk_rows > 0;

	if (way == WAY_COLUMNS &&
	    (!is_cut ||
	     symbols[spread->options.signature->row_symbol] <= spread->options.chunk_rows))
		columns_run(spread, wakes, symbols, inputs, outputs, status);
	else if (is_cut)
		rows_run(spread, way == WAY_ALONE, wakes, symbols, inputs, outputs, status);
	else
		run_execute(&spread_bucket_of(spread, symbols)->runs[0], symbols, inputs, outputs,
			    status);
}

void spread_run(struct spread *spread, const int64_t symbols[SIGNATURE_SYMBOLS_MAX],
		const void *const inputs[], void *const outputs[], struct row_status status[])
{
	struct workers *workers = spread->options.workers;
	const struct spread_choice *choice = spread_choice_of(spread, symbols);
	enum way way = choice->way;
	bool wakes = false;

	assert(spread_fits(spread, symbols));
	if (way <= WAY_ALONE || !workers || !workers_acquire(workers)) {
		spread_run_so(spread, WAY_ALONE, false, symbols, inputs, outputs, status);
		return;
	}
	if (!workers_are_all_awake(workers))
		wakes = workers_are_worth_waking(workers, choice->alone_ns);
	if (!wakes && !workers_are_awake(workers))
		way = WAY_ALONE;
	spread_run_so(spread, way, wakes, symbols, inputs, outputs, status);
	workers_release(workers);
}

/* --- its parts ---------------------------------------------------------------------------------------- */

/* The proof about rows has seen to it that they are outermost everywhere. */
bool spread_can_cut(const struct signature *signature)
{
	return signature->row_symbol >= 0 &&
	       (signature->symbol_count == 1 || signature->followed_symbol >= 0);
}

/* Of a row; of a request where the tensor is one's, and nothing where it has values of bags. */
static uint64_t row_bytes(const struct signature_tensor *tensor, int32_t row_symbol)
{
	int64_t symbols[SIGNATURE_SYMBOLS_MAX] = {0};

	symbols[row_symbol] = 1;
	if (tensor->is_offsets)
		return dtype_bytes(tensor->dtype);
	return (uint64_t)signature_elements(tensor, symbols) * dtype_bytes(tensor->dtype);
}

static void rows_measure(struct spread *spread)
{
	const struct signature *signature = spread->options.signature;

	for (uint32_t input = 0; input < signature->input_count; input++)
		spread->input_row_bytes[input] =
			row_bytes(&signature->inputs[input], signature->row_symbol);
	for (uint32_t output = 0; output < signature->output_count; output++)
		spread->output_row_bytes[output] =
			row_bytes(&signature->outputs[output], signature->row_symbol);
}

static bool plan_has_columns(const struct plan *plan)
{
	for (uint32_t index = 0; index < plan->entry_count; index++)
		if (plan->entries[index].kernel == KERNEL_GEMM &&
		    matrix_is_large(plan->entries[index].args))
			return true;
	return false;
}

static int bucket_init(struct spread *spread, const struct plan *plan)
{
	struct spread_bucket *bucket = &spread->buckets[spread->bucket_count++];
	int r;

	memcpy(bucket->capacity, plan->capacity, sizeof(bucket->capacity));
	if (spread->options.budget)
		return 0;
	bucket->runs = calloc(spread->run_count, sizeof(bucket->runs[0]));
	if (!bucket->runs)
		return err_raise(-ENOMEM, "no memory for the runs of a bucket");
	for (uint32_t worker = 0; worker < spread->run_count; worker++) {
		r = run_init(&bucket->runs[worker], plan, spread->options.device,
			     spread->options.weights,
			     (char *)spread->activations.address + worker * spread->arena_bytes);
		if (r < 0)
			return err_trace(r);
	}
	return 0;
}

int spread_init(struct spread *spread, const struct spread_options *options,
		const struct plan plans[], uint32_t plan_count)
{
	uint64_t bytes;
	int r;

	*spread = (struct spread){.options = *options, .run_count = 1, .arena_bytes = 1};
	memcpy(spread->capacity, plans[plan_count - 1].capacity, sizeof(spread->capacity));
	if (options->chunk_rows > 0) {
		int32_t row_symbol = options->signature->row_symbol;

		rows_measure(spread);
		spread->run_count = workers_count(options->workers);
		while (plan_count > 1 &&
		       plans[plan_count - 2].capacity[row_symbol] >= options->chunk_rows)
			plan_count--;
	}
	for (uint32_t index = 0; index < plan_count; index++)
		if (plans[index].arena_bytes > spread->arena_bytes)
			spread->arena_bytes = plans[index].arena_bytes;
	if (options->chunk_rows > 0 && options->signature->request_symbol >= 0)
		spread->beside_bytes = (beside_bytes(options) + LINE_BYTES - 1) / LINE_BYTES *
				       LINE_BYTES;
	if (spread->run_count > 1 || spread->beside_bytes > 0)
		spread->arena_bytes = (spread->arena_bytes + spread->beside_bytes + PAGE_BYTES - 1) /
				      PAGE_BYTES * PAGE_BYTES;
	bytes = spread->run_count * spread->arena_bytes;
	r = span_take(options->budget, &options->owner, bytes, options->node,
		      bytes >= HUGE_FROM_BYTES, &spread->activations);
	if (r < 0)
		return err_trace(r);
	spread->buckets = calloc(plan_count, sizeof(spread->buckets[0]));
	if (!spread->buckets)
		return err_raise(-ENOMEM, "no memory for %u buckets", plan_count);
	for (uint32_t index = 0; index < plan_count; index++) {
		r = bucket_init(spread, &plans[index]);
		if (r < 0)
			return err_trace(r);
	}
	spread->has_columns = plan_has_columns(&plans[0]);
	return 0;
}

void spread_deinit(struct spread *spread)
{
	for (uint32_t index = 0; index < spread->bucket_count; index++) {
		struct run *runs = spread->buckets[index].runs;

		for (uint32_t worker = 0; runs && worker < spread->run_count; worker++)
			run_deinit(&runs[worker]);
		free(runs);
	}
	free(spread->buckets);
	measure_deinit(&spread->measures[0]);
	measure_deinit(&spread->measures[1]);
	span_unmap(&spread->activations);
	*spread = (struct spread){0};
}
