/* SPDX-License-Identifier: MIT */
/* daemon/serve/batcher.c - steps 6 to 9 of the request path: join, close, run, hand to finish */
#include "serve/batcher.h"

#include <string.h>

#include "base/clock.h"
#include "serve/finish.h"
#include "serve/offsets.h"
#include "serve/scheduler.h"
#include "serve/wake.h"

/* Up to so many rows, judging requests and clearing their status takes less time than reading the
 * clock once more: such a batch starts when it closes. */
#define CLOCK_ROWS 2
/* Of a version that comes in: so often, or as long as others hardly notice. */
#define REHEARSALS 8
#define REHEARSAL_NS 100000

static uint32_t request_rows(const struct version *version, const int64_t symbols[])
{
	int32_t row_symbol = version->signature->row_symbol;

	return row_symbol < 0 ? 1 : (uint32_t)symbols[row_symbol];
}

/* The least that the batch will take: half of what its rows took lately. What has less time left
 * than that would cost its time and be late all the same. Where nothing is left to run the estimate
 * is halved, so that a wrong one does not stand. */
static uint64_t batch_expect_ns(struct version *version)
{
	return version->row_ns * version->batch.rows / 2;
}

static void batch_clear(struct version *version)
{
	const struct signature *signature = version->signature;
	struct batch *batch = &version->batch;

	batch->first = NULL;
	batch->last = &batch->first;
	batch->rows = 0;
	batch->requests = 0;
	batch->is_full = false;
	for (uint32_t symbol = 0; symbol < signature->symbol_count; symbol++)
		batch->symbols[symbol] = 0;
	if (signature->request_symbol >= 0)
		batch->symbols[signature->request_symbol] = 0;
}

/* Runs the batch that has formed and answers each of its requests. */
static void batch_run(struct data *data, struct version *version)
{
	struct batch *batch = &version->batch;
	struct batch_times times = { .closed_ns = clock_ns() };
	struct request *request;
	struct request *next;
	uint64_t expect_ns = batch_expect_ns(version);
	uint64_t execute_ns = 0;
	bool is_wanted = false;

	/* Judged once: the cancel word is the client's, and a second look at it
	 * could hand out what the outputs hold from the batch before. */
	for (request = batch->first; request; request = request->next) {
		request->verdict = finish_judge(request, times.closed_ns + expect_ns);
		if (request->verdict == 0)
			is_wanted = true;
	}

	times.started_ns = times.closed_ns;
	times.ended_ns = times.closed_ns;
	if (is_wanted) {
		memset(version->status, 0,
		       ((uint64_t)batch->rows + batch->requests) * sizeof(*version->status));
		if (batch->rows > CLOCK_ROWS)
			times.started_ns = clock_ns();
		engine_run(version->engine, batch->symbols,
			   (const void *const *)version->inputs, (void *const *)version->outputs,
			   version->status);
		times.ended_ns = clock_ns();
		execute_ns = times.ended_ns - times.started_ns;
		data->now_ns = times.ended_ns;
		counter_add(&data->counters.batches, 1);
		counter_add(&data->counters.rows, batch->rows);
		counter_add(&version->counters.batches, 1);
		counter_add(&version->counters.rows, batch->rows);
		/* Half of the old estimate, half of what it was this time. */
		version->row_ns = (version->row_ns + execute_ns / batch->rows) / 2;
	} else {
		version->row_ns /= 2;
	}

	for (request = batch->first; request; request = next) {
		next = request->next;
		scheduler_settle(request, execute_ns, batch->rows);
		finish_infer(data, request, batch->symbols, &times);
	}
	batch_clear(version);
	wake_clients(data);
}

/* Is there room beside those that the batch has? */
static bool batch_takes(const struct version *version, const int64_t symbols[])
{
	const struct batch *batch = &version->batch;
	int64_t joined[SIGNATURE_SYMBOLS_MAX];

	if (!version->is_row_wise || batch->is_full)
		return false;
	if (version->signature->symbol_count == 1)
		return batch->rows + request_rows(version, symbols) <= version->rows_max;
	for (uint32_t symbol = 0; symbol < version->signature->symbol_count; symbol++)
		joined[symbol] = batch->symbols[symbol] + symbols[symbol];
	return version_fits(version, joined);
}

/* Behind what the batch has. Returns the bytes copied. */
static uint64_t stage_inputs(struct version *version, const uint8_t *range,
			     const struct hearth_tensor tensors[])
{
	uint64_t bytes = 0;
	uint32_t input;

	for (input = 0; input < version->signature->input_count; input++) {
		int32_t symbol = version->input_symbols[input];
		uint64_t first = symbol < 0 ? 0 : (uint64_t)version->batch.symbols[symbol];

		memcpy(version->inputs[input] + first * version->input_part_bytes[input],
		       range + tensors[input].offset, tensors[input].bytes);
		bytes += tensors[input].bytes;
	}
	return bytes;
}

/* Places among the request's values become places among those of the batch. False: some offsets do
 * not divide the values. */
static bool stage_offsets(struct version *version, const int64_t symbols[])
{
	const struct signature *signature = version->signature;
	const int64_t *firsts = version->batch.symbols;
	uint32_t input;

	for (input = 0; input < signature->input_count; input++) {
		const struct signature_tensor *tensor = &signature->inputs[input];
		struct offsets offsets = {
			.dtype = tensor->dtype,
		};

		if (!tensor->is_offsets)
			continue;
		offsets.data = version->inputs[input] + (uint64_t)firsts[signature->row_symbol] *
								version->input_part_bytes[input];
		offsets.count = (uint32_t)dim_value(tensor->dims[0], symbols);
		offsets.has_end = tensor->dims[0].constant > 0;
		offsets.values = symbols[tensor->values_symbol];
		if (!offsets_join(&offsets, firsts[tensor->values_symbol]))
			return false;
	}
	return true;
}

/* What cannot be among others gets a batch of its own. Returns the bytes copied. */
static uint64_t stage(struct data *data, struct version *version, const uint8_t *range,
		      const struct hearth_tensor tensors[], const int64_t symbols[])
{
	uint64_t bytes = stage_inputs(version, range, tensors);

	if (!version->has_offsets || stage_offsets(version, symbols))
		return bytes;
	if (version->batch.first) {
		batch_run(data, version);
		/* As it is: whatever the client has made of it meanwhile, it is alone. */
		bytes += stage_inputs(version, range, tensors);
	}
	version->batch.is_full = true;
	return bytes;
}

/* Each row finds the one row of its request. */
static void rows_belong(struct version *version, const struct request *request)
{
	int32_t request_symbol = version->signature->request_symbol;

	if (request_symbol < 0)
		return;
	for (uint32_t row = 0; row < request->rows; row++)
		version->row_requests[request->row_first + row] = (int32_t)request->place;
	version->batch.symbols[request_symbol] = version->batch.requests;
}

void batcher_join(struct data *data, struct version *version, struct request *request,
		  const uint8_t *range, const struct hearth_tensor tensors[],
		  const int64_t symbols[SIGNATURE_SYMBOLS_MAX])
{
	struct batch *batch = &version->batch;
	uint64_t bytes;

	if (batch->first && !batch_takes(version, symbols))
		batch_run(data, version);
	bytes = stage(data, version, range, tensors, symbols);

	request->version = version;
	request->state = REQUEST_STAGED;
	request->row_first = batch->rows;
	request->place = batch->requests;
	request->rows = request_rows(version, symbols);
	request->next = NULL;
	version->references++;
	counter_add(&version->counters.requests, 1);
	scheduler_charge_rows(request, bytes);

	*batch->last = request;
	batch->last = &request->next;
	batch->rows += request->rows;
	batch->requests++;
	for (uint32_t symbol = 0; symbol < version->signature->symbol_count; symbol++)
		batch->symbols[symbol] += symbols[symbol];
	rows_belong(version, request);
	if (!batch->is_forming) {
		batch->is_forming = true;
		batch->next = data->forming;
		data->forming = version;
	}
}

void batcher_run_all(struct data *data)
{
	struct version *version;

	while ((version = data->forming)) {
		data->forming = version->batch.next;
		version->batch.is_forming = false;
		if (version->batch.first)
			batch_run(data, version);
		batcher_retire(data, version);
	}
}

void batcher_retire(struct data *data, struct version *version)
{
	struct message retired = { .kind = MESSAGE_RETIRED, .version = version };

	if (version->is_retired && version->references == 0 && !version->batch.is_forming)
		data_reply(data, &retired);
}

/* Staging holds zeros until the first request, and a run needs nothing else. What counts values is
 * left at 0. */
void batcher_rehearse(struct version *version)
{
	const struct signature *signature = version->signature;
	int64_t symbols[SIGNATURE_SYMBOLS_MAX] = { 0 };
	uint64_t begun_ns = clock_ns();

	if (!version->is_row_wise)
		return;
	symbols[signature->row_symbol] = 1;
	if (signature->request_symbol >= 0)
		symbols[signature->request_symbol] = 1;
	if (!version_fits(version, symbols))
		return;
	for (uint32_t run = 0; run < REHEARSALS && clock_ns() - begun_ns < REHEARSAL_NS; run++)
		engine_run(version->engine, symbols, (const void *const *)version->inputs,
			   (void *const *)version->outputs, version->status);
}
