/* SPDX-License-Identifier: MIT */
/* daemon/exec/spread.c - a model's runs, and how a batch is spread over them */
#include "spread_parts.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Chunks of more rows are multiples of it: two workers write no line of an output both. */
#define CHUNK_STEP 16
/* So many chunks a worker are enough to end at the same time, without being equally many. */
#define CHUNKS_ENOUGH 4
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

struct matrix_split {
	const struct spread *spread;
	kernel_function function;
	const struct gemm_args *args;
	int64_t columns; /* of a part */
};

/* What lies in the caller's weights, in those that the worker reads. */
static const float *weight_of(const struct spread *spread, const float *address, uint32_t worker)
{
	uint64_t offset = (uintptr_t)address - (uintptr_t)spread->desks[0].weights;

	if (offset >= spread->options.tables_offset)
		return address;
	return (const float *)(const void *)(spread->desks[worker].weights + offset);
}

static void columns_compute(void *context, uint32_t part, uint32_t worker)
{
	const struct matrix_split *split = context;
	int64_t first = part * split->columns;
	int64_t left = split->args->n - first;
	struct gemm_args args = gemm_columns(split->args, first,
					     left < split->columns ? left : split->columns);

	args.weight = weight_of(split->spread, args.weight, worker);
	split->function(&args);
}

static void matrix_run(const struct spread *spread, const struct run_call *call, bool wakes)
{
	const struct gemm_args *args = call->args;
	int64_t groups = (args->n + GEMM_SPLIT_COLUMNS - 1) / GEMM_SPLIT_COLUMNS;
	int64_t parts = (int64_t)workers_count(spread->options.workers) * PARTS_PER_WORKER;
	struct matrix_split split = {
		.spread = spread,
		.function = call->function,
		.args = args,
	};

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

		if (run->entries[call->entry].kernel == KERNEL_GEMM && spread_is_split(call->args))
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

static void requests_bind(const struct batch_cut *cut, struct chunk *chunk, uint32_t worker,
			  struct chunk_requests *requests)
{
	const struct spread *spread = cut->spread;
	const struct signature *signature = spread->options.signature;
	const int32_t *rows = (const int32_t *)cut->inputs[signature->input_count] + chunk->first;
	char *beside = spread->desks[worker].arena + spread->arena_bytes - spread->beside_bytes;

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
