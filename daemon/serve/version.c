/* SPDX-License-Identifier: MIT */
/* daemon/serve/version.c - an engine with its staging memory, sized for the largest batch */
#include "serve/version.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exec/cold.h"
#include "exec/weights.h"
#include "memory/resident.h"

/* The largest value of one symbol that the engine takes, the others being 1. */
static int64_t symbol_max(const struct engine *engine, uint32_t symbol)
{
	int64_t symbols[SIGNATURE_SYMBOLS_MAX];
	int64_t low = 1;
	int64_t high = INT64_C(1) << 40;
	uint32_t index;

	for (index = 0; index < SIGNATURE_SYMBOLS_MAX; index++)
		symbols[index] = 1;
	while (low < high) {
		int64_t middle = low + (high - low + 1) / 2;

		symbols[symbol] = middle;
		if (engine_fits(engine, symbols))
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

static uint64_t tensor_bytes(const struct signature_tensor *tensor, const int64_t symbols[])
{
	return (uint64_t)signature_elements(tensor, symbols) * dtype_bytes(tensor->dtype);
}

/* Row-wise tensors are their parts and nothing else (graph/rows.c). */
static uint64_t parts_bytes(int64_t parts, uint64_t part_bytes)
{
	uint64_t bytes;

	return __builtin_mul_overflow((uint64_t)parts, part_bytes, &bytes) ? UINT64_MAX : bytes;
}

uint64_t version_input_bytes(const struct version *version, uint32_t index,
			     const int64_t symbols[SIGNATURE_SYMBOLS_MAX])
{
	if (signature_is_of_request(version->signature, index))
		return version->input_part_bytes[index];
	if (version->is_row_wise)
		return parts_bytes(dim_value(version->signature->inputs[index].dims[0], symbols),
				   version->input_part_bytes[index]);
	return tensor_bytes(version->signature->inputs + index, symbols);
}

uint64_t version_output_bytes(const struct version *version, uint32_t index,
			      const int64_t symbols[SIGNATURE_SYMBOLS_MAX])
{
	if (version->is_row_wise)
		return parts_bytes(symbols[version->signature->row_symbol],
				   version->output_bytes_per_row[index]);
	return tensor_bytes(version->signature->outputs + index, symbols);
}

uint64_t version_response_bytes(const struct version *version,
				const int64_t symbols[SIGNATURE_SYMBOLS_MAX])
{
	uint32_t output_count = version->signature->output_count;
	uint64_t bytes = version_align(sizeof(struct hearth_response_header) +
				  output_count * sizeof(struct hearth_tensor));
	uint32_t index;

	for (index = 0; index < output_count; index++)
		bytes = version_align(bytes) + version_output_bytes(version, index, symbols);
	return bytes;
}

bool version_fits(const struct version *version, const int64_t symbols[SIGNATURE_SYMBOLS_MAX])
{
	const struct signature *signature = version->signature;
	uint32_t index;

	if (!engine_fits(version->engine, symbols))
		return false;
	if (signature->row_symbol >= 0 && symbols[signature->row_symbol] > version->rows_max)
		return false;
	for (index = 0; index < signature->input_count; index++)
		if (version_input_bytes(version, index, symbols) > version->input_bytes_max[index])
			return false;
	for (index = 0; index < signature->output_count; index++)
		if (version_output_bytes(version, index, symbols) > version->output_bytes_max[index])
			return false;
	return true;
}

/* What each tensor takes under these symbols, at most; returns the sum. */
static uint64_t version_measure(struct version *version, const int64_t symbols[],
				uint64_t tensor_bytes_max)
{
	const struct signature *signature = version->signature;
	uint64_t bytes = 0;
	uint32_t index;

	for (index = 0; index < signature->input_count; index++) {
		uint64_t wanted_bytes = version_input_bytes(version, index, symbols);

		if (signature_is_of_request(signature, index)) /* there may be as many as rows */
			wanted_bytes = parts_bytes(symbols[signature->row_symbol], wanted_bytes);
		version->input_bytes_max[index] =
			wanted_bytes < tensor_bytes_max ? wanted_bytes : tensor_bytes_max;
		bytes += version_align(version->input_bytes_max[index]);
	}
	for (index = 0; index < signature->output_count; index++) {
		uint64_t wanted_bytes = version_output_bytes(version, index, symbols);

		version->output_bytes_max[index] =
			wanted_bytes < tensor_bytes_max ? wanted_bytes : tensor_bytes_max;
		bytes += version_align(version->output_bytes_max[index]);
	}
	return bytes;
}

/* Chooses rows_max, and what of each tensor is staged; returns the sum. */
static uint64_t version_size(struct version *version, uint64_t limit_bytes)
{
	const struct signature *signature = version->signature;
	int64_t symbols[SIGNATURE_SYMBOLS_MAX] = { 0 };
	uint64_t tensor_bytes_max = UINT64_MAX / (4 * SIGNATURE_TENSORS_MAX); /* any */
	uint64_t bytes;
	uint32_t index;

	for (index = 0; index < signature->symbol_count; index++)
		symbols[index] = symbol_max(version->engine, index);
	bytes = version_measure(version, symbols, tensor_bytes_max);
	while (version->is_row_wise && bytes > limit_bytes && version->rows_max > 1) {
		version->rows_max /= 2;
		for (index = 0; index < signature->symbol_count; index++)
			symbols[index] /= 2; /* values beside their rows */
		symbols[signature->row_symbol] = version->rows_max;
		bytes = version_measure(version, symbols, tensor_bytes_max);
	}
	if (bytes > limit_bytes) {
		tensor_bytes_max = limit_bytes / (signature->input_count + signature->output_count);
		bytes = version_measure(version, symbols, tensor_bytes_max);
	}
	return bytes;
}

/* Shares out the memory of one stage. */
static void stage_init(struct version *version, struct stage *stage, uint8_t *next)
{
	const struct signature *signature = version->signature;
	struct cold *cold = engine_cold(version->engine);
	uint32_t index;

	stage->version = version;
	for (index = 0; index < signature->input_count; index++) {
		stage->inputs[index] = next;
		next += version_align(version->input_bytes_max[index]);
	}
	for (index = 0; index < signature->output_count; index++) {
		stage->outputs[index] = next;
		next += version_align(version->output_bytes_max[index]);
	}
	stage->row_requests = (void *)next;
	stage->inputs[signature->input_count] = next; /* where nobody reads it, unused */
	next += version_align(version->rows_max * sizeof(stage->row_requests[0]));
	stage->status = (void *)next;
	batch_init(&stage->batch);
	if (!cold)
		return;
	stage->cold = cold_stage(cold, (uint32_t)(stage - version->stages));
	for (index = 0; index < cold_ids_count(cold); index++)
		stage->inputs[signature->input_count + 1 + index] =
			cold_stage_ids(stage->cold, index);
}

static int version_stage(struct version *version, const struct engine_options *options)
{
	const struct tier_owner owner = { options->tiers, options->owner, TIER_POOLS };
	uint64_t bytes;
	uint32_t index;
	int r;

	version->stage_count = engine_memory(version->engine).cold_bytes ? VERSION_STAGES_MAX : 1;
	bytes = version_size(version, options->activation_bytes_max / version->stage_count);
	bytes += version_align(version->rows_max * sizeof(int32_t));
	bytes += version_align(2 * version->rows_max * sizeof(struct row_status));
	r = span_take(options->budget, &owner, bytes * version->stage_count, options->node, 1,
		      &version->staging);
	if (r < 0 || options->budget)
		return r < 0 ? err_trace(r) : 0;
	for (index = 0; index < version->stage_count; index++)
		stage_init(version, &version->stages[index],
			   (uint8_t *)version->staging.address + index * bytes);
	version->stage = version->stages;
	return 0;
}

/* A request's table of tensors has room for HEARTH_RANK_MAX dimensions each, and a description for
 * 32-bit numbers. */
static int version_check_tensors(const struct version *version)
{
	const struct signature *signature = version->signature;
	uint32_t index;
	uint32_t dim;

	for (index = 0; index < signature->input_count + signature->output_count; index++) {
		const struct signature_tensor *tensor = signature_tensor_at(signature, index);

		if (tensor->rank > HEARTH_RANK_MAX)
			return err_raise(-EOPNOTSUPP,
					 "%s@%u: '%s' has %u dimensions; inputs and outputs of a "
					 "request have at most %u: reshape it in the model",
					 version->name, version->number, tensor->name, tensor->rank,
					 HEARTH_RANK_MAX);
		for (dim = 0; dim < tensor->rank; dim++)
			if (tensor->dims[dim].factor < 0 ||
			    tensor->dims[dim].constant != (int32_t)tensor->dims[dim].constant)
				return err_raise(-EOPNOTSUPP,
						 "%s@%u: '%s' has a dimension of %d * rows %+ld, "
						 "which a client cannot be told of",
						 version->name, version->number, tensor->name,
						 tensor->dims[dim].factor,
						 (long)tensor->dims[dim].constant);
	}
	return 0;
}

static int version_measure_rows(struct version *version)
{
	const struct signature *signature = version->signature;
	int64_t symbols[SIGNATURE_SYMBOLS_MAX] = { 0 };
	uint32_t index;

	version->input_part_bytes = resident_alloc(signature->input_count, sizeof(uint64_t));
	version->output_bytes_per_row = resident_alloc(signature->output_count, sizeof(uint64_t));
	if (!version->input_part_bytes || !version->output_bytes_per_row)
		return err_raise(-ENOMEM, "%s@%u: no memory for its signature", version->name,
				 version->number);
	memset(version->input_symbols, 0xff, sizeof(version->input_symbols));
	if (!version->is_row_wise)
		return 0;
	for (index = 0; index < signature->symbol_count; index++)
		symbols[index] = 1;
	for (index = 0; index < signature->input_count; index++) {
		const struct signature_tensor *input = &signature->inputs[index];

		version->input_symbols[index] = signature_is_of_request(signature, index)
							? signature->request_symbol
							: input->dims[0].symbol;
		version->input_part_bytes[index] = input->is_offsets
							   ? dtype_bytes(input->dtype)
							   : tensor_bytes(input, symbols);
		version->has_offsets = version->has_offsets || input->is_offsets;
	}
	for (index = 0; index < signature->output_count; index++)
		version->output_bytes_per_row[index] =
			tensor_bytes(signature->outputs + index, symbols);
	return 0;
}

const char *request_time_name(enum request_time time)
{
	static const char *const names[TIME_COUNT] = { "ring",	  "queue",  "batch",
						       "execute", "answer", "total" };

	return names[time];
}

const char *batch_close_name(enum batch_close close)
{
	static const char *const names[CLOSE_COUNT] = { "idle", "full", "alone" };

	return names[close];
}

int version_new(int directory_fd, const char *name, uint32_t number, uint32_t model,
		const struct engine_options *options, struct version **ret_version)
{
	struct engine_options staged = *options;
	struct version *version;
	int r;

	version = resident_alloc(1, sizeof(*version));
	if (!version)
		return err_raise(-ENOMEM, "%s@%u: no memory for a version", name, number);
	staged.cold_stages = VERSION_STAGES_MAX;
	snprintf(version->name, sizeof(version->name), "%s", name);
	version->number = number;
	version->model = model;
	snprintf(version->owner, sizeof(version->owner), "%s@%u", name, number);
	staged.owner = version->owner;

	r = engine_new(directory_fd, name, &staged, &version->engine);
	if (r < 0)
		goto fail;
	version->signature = engine_signature(version->engine);
	version->is_row_wise = version->signature->row_symbol >= 0;
	version->rows_max =
		version->signature->row_symbol >= 0 ? engine_rows_max(version->engine) : 1;
	version->numerics = (uint16_t)engine_numerics(version->engine);
	r = version_check_tensors(version);
	if (r < 0)
		goto fail;
	r = version_measure_rows(version);
	if (r < 0)
		goto fail;
	r = version_stage(version, &staged);
	if (r < 0)
		goto fail;

	*ret_version = version;
	return 0;

fail:
	version_free(version);
	return err_trace(r);
}

void version_free(struct version *version)
{
	if (!version)
		return;
	span_unmap(&version->staging);
	engine_free(version->engine);
	free(version->input_part_bytes);
	free(version->output_bytes_per_row);
	free(version);
}

void version_forget(struct version *version)
{
	struct version_counters *counters = &version->counters;

	counter_set(&counters->requests, 0);
	counter_set(&counters->rows, 0);
	counter_set(&counters->batches, 0);
	counter_set(&counters->answered, 0);
	for (enum batch_close close = 0; close < CLOSE_COUNT; close++)
		counter_set(&counters->closed[close], 0);
	for (enum reason reason = 0; reason < REASON_REQUESTS; reason++)
		counter_set(&counters->refused[reason], 0);
	histogram_clear(&counters->batch_rows);
	version->row_ns = 0;
}

void version_describe(const struct version *version, char text[VERSION_TEXT_BYTES])
{
	const struct span *weights = engine_memory(version->engine).weights;
	const struct weights_arrival *arrival = engine_arrival(version->engine);
	int used = snprintf(text, VERSION_TEXT_BYTES, "%lu bytes of weights in %s pages%s",
			    (unsigned long)weights->bytes, span_backing_name(weights->backing),
			    weights->is_locked ? "" : " that may be swapped out (LimitMEMLOCK= "
						      "or RLIMIT_MEMLOCK is too low)");

	if (arrival->bytes == 0)
		return;
	used += snprintf(text + used, VERSION_TEXT_BYTES - (size_t)used, ", %.2f GB a second%s",
			 (double)arrival->bytes / (double)arrival->ns,
			 arrival->has_ring ? "" : " one read at a time");
	if (arrival->direct_error)
		snprintf(text + used, VERSION_TEXT_BYTES - (size_t)used,
			 " through the page cache (%s does not take O_DIRECT: %s)",
			 arrival->location, strerror(arrival->direct_error));
}

void batch_init(struct batch *batch)
{
	batch->first = NULL;
	batch->last = &batch->first;
	batch->rows = 0;
	batch->requests = 0;
	memset(batch->symbols, 0, sizeof(batch->symbols));
	batch->is_full = false;
}
