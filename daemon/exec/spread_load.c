/* SPDX-License-Identifier: MIT */
/* daemon/exec/spread_load.c - runs, and arenas on the nodes of those who work in them */
#include "spread_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HUGE_FROM_BYTES (2U << 20)
#define PAGE_BYTES 4096
#define LINE_BYTES 64
/* A smaller matrix takes less than it costs to call for help. */
#define COLUMNS_BYTES_MIN (64 << 10)

bool spread_is_split(const struct gemm_args *args)
{
	return args->n > GEMM_SPLIT_COLUMNS &&
	       args->k * args->n * (int64_t)sizeof(float) >= COLUMNS_BYTES_MIN;
}

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
		    spread_is_split(plan->entries[index].args))
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
		const struct run_memory memory = {
			.weights = spread->desks[worker].weights,
			.whole = spread->options.weights,
			.tables_offset = spread->options.tables_offset,
			.arena = spread->desks[worker].arena,
		};

		r = run_init(&bucket->runs[worker], plan, spread->options.device, &memory);
		if (r < 0)
			return err_trace(r);
	}
	return 0;
}

/* Those who have runs. */
static uint32_t node_runs(const struct spread *spread, uint32_t node_index)
{
	uint32_t count = 0;

	for (uint32_t worker = 0; worker < spread->run_count; worker++)
		count += workers_node_index(spread->options.workers, worker) == node_index;
	return count;
}

/* On the node of those who work in them. */
static int arenas_take(struct spread *spread)
{
	const struct spread_options *options = &spread->options;
	uint32_t node_count = workers_node_count(options->workers);
	int r;

	spread->activations = calloc(node_count, sizeof(spread->activations[0]));
	if (!spread->activations)
		return err_raise(-ENOMEM, "no memory for the arenas of %u nodes", node_count);
	for (uint32_t index = 0; index < node_count; index++) {
		uint64_t bytes = node_runs(spread, index) * spread->arena_bytes;
		int node = index > 0 && options->node >= 0 ? workers_node(options->workers, index)
							   : options->node;

		if (bytes == 0)
			break; /* rows are not cut: the caller has the only one */
		r = span_take(options->budget, &options->owner, bytes, node,
			      bytes >= HUGE_FROM_BYTES, &spread->activations[index]);
		if (r < 0)
			return err_trace(r);
		spread->activation_count++;
	}
	return 0;
}

/* Workers are numbered node by node. */
static int desks_init(struct spread *spread)
{
	const struct spread_options *options = &spread->options;
	uint32_t count = workers_count(options->workers);
	uint64_t used_bytes = 0;

	if (options->budget)
		return 0;
	spread->desks = calloc(count, sizeof(spread->desks[0]));
	if (!spread->desks)
		return err_raise(-ENOMEM, "no memory for %u workers", count);
	for (uint32_t worker = 0; worker < count; worker++) {
		uint32_t index = workers_node_index(options->workers, worker);
		struct spread_desk *desk = &spread->desks[worker];

		desk->weights = options->replicas ? options->replicas[index].address : NULL;
		if (!desk->weights)
			desk->weights = options->weights;
		if (worker >= spread->run_count)
			continue;
		if (worker > 0 && index != workers_node_index(options->workers, worker - 1))
			used_bytes = 0;
		desk->arena = (char *)spread->activations[index].address + used_bytes;
		used_bytes += spread->arena_bytes;
	}
	return 0;
}

static uint64_t beside_bytes(const struct spread_options *options)
{
	return options->chunk_rows * (2 * sizeof(struct row_status) + sizeof(int32_t));
}

/* Of each worker. */
static void arena_measure(struct spread *spread, const struct plan plans[], uint32_t plan_count)
{
	const struct spread_options *options = &spread->options;

	for (uint32_t index = 0; index < plan_count; index++)
		if (plans[index].arena_bytes > spread->arena_bytes)
			spread->arena_bytes = plans[index].arena_bytes;
	if (options->chunk_rows > 0 && options->signature->request_symbol >= 0)
		spread->beside_bytes = (beside_bytes(options) + LINE_BYTES - 1) / LINE_BYTES *
				       LINE_BYTES;
	if (spread->run_count > 1 || spread->beside_bytes > 0)
		spread->arena_bytes = (spread->arena_bytes + spread->beside_bytes + PAGE_BYTES - 1) /
				      PAGE_BYTES * PAGE_BYTES;
}

int spread_init(struct spread *spread, const struct spread_options *options,
		const struct plan plans[], uint32_t plan_count)
{
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
	arena_measure(spread, plans, plan_count);
	r = arenas_take(spread);
	if (r == 0)
		r = desks_init(spread);
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
	for (uint32_t index = 0; index < spread->activation_count; index++)
		span_unmap(&spread->activations[index]);
	free(spread->activations);
	free(spread->desks);
	*spread = (struct spread){0};
}
