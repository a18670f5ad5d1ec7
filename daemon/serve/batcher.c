/* SPDX-License-Identifier: MIT */
/* daemon/serve/batcher.c - steps 6 to 9 of the request path: join, close, run, hand to finish */
#include "serve/batcher.h"

#include <string.h>

#include "base/clock.h"
#include "exec/cold.h"
#include "serve/finish.h"
#include "serve/offsets.h"
#include "serve/rows.h"
#include "serve/scheduler.h"
#include "serve/wake.h"

/* Up to so many rows, judging requests and clearing their status takes less time than reading the
 * clock once more: such a batch starts when it closes. */
#define CLOCK_ROWS 2

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
	return version->row_ns * version->stage->batch.rows / 2;
}

static void batch_clear(struct version *version)
{
	const struct signature *signature = version->signature;
	struct batch *batch = &version->stage->batch;

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

/* Does anybody still want an answer? */
static bool batch_judge(struct version *version)
{
	struct batch *batch = &version->stage->batch;
	uint64_t expect_ns = batch_expect_ns(version);
	struct request *request;
	bool is_wanted = false;

	/* Judged once: the cancel word is the client's, and a second look at it
	 * could hand out what the outputs hold from the batch before. */
	for (request = batch->first; request; request = request->next) {
		request->verdict = finish_judge(request, batch->closed_ns + expect_ns);
		if (request->verdict == 0)
			is_wanted = true;
	}
	return is_wanted;
}

static bool batch_is_wanted(const struct batch *batch)
{
	const struct request *request = batch->first;

	while (request && request->verdict != 0)
		request = request->next;
	return request;
}

/* Returns what it took. */
static uint64_t stage_compute(struct data *data, struct version *version,
			      struct batch_times *times)
{
	struct stage *stage = version->stage;
	struct batch *batch = &stage->batch;
	uint64_t execute_ns;

	memset(stage->status, 0,
	       ((uint64_t)batch->rows + batch->requests) * sizeof(*stage->status));
	if (batch->rows > CLOCK_ROWS || stage->cold)
		times->started_ns = clock_ns();
	engine_run(version->engine, batch->symbols, (const void *const *)stage->inputs,
		   (void *const *)stage->outputs, stage->status);
	times->ended_ns = clock_ns();
	execute_ns = times->ended_ns - times->started_ns;
	data->now_ns = times->ended_ns;
	counter_add(&data->counters->batches, 1);
	counter_add(&data->counters->rows, batch->rows);
	counter_add(&version->counters.batches, 1);
	counter_add(&version->counters.rows, batch->rows);
	histogram_record(&version->counters.batch_rows, batch->rows);
	/* Half of the old estimate, half of what it was this time. */
	version->row_ns = (version->row_ns + execute_ns / batch->rows) / 2;
	return execute_ns;
}

void batcher_execute(struct data *data, struct version *version)
{
	struct batch *batch = &version->stage->batch;
	struct batch_times times = {
		.closed_ns = batch->closed_ns,
		.started_ns = batch->closed_ns,
		.ended_ns = batch->closed_ns,
		.rows = batch->rows,
	};
	struct request *request;
	struct request *next;
	uint64_t execute_ns = 0;

	if (batch_is_wanted(batch))
		execute_ns = stage_compute(data, version, &times);
	else
		version->row_ns /= 2;
	if (version->stage->cold)
		cold_end(version->stage->cold);

	for (request = batch->first; request; request = next) {
		next = request->next;
		scheduler_settle(request, execute_ns, batch->rows);
		finish_infer(data, request, batch->symbols, &times);
	}
	batch_clear(version);
	wake_clients(data);
}

/* Runs the batch that has formed, unless it has to wait for rows. */
static void batch_run(struct data *data, struct version *version, enum batch_close close)
{
	struct stage *stage = version->stage;

	counter_add(&version->counters.closed[close], 1);
	stage->batch.closed_ns = clock_ns();
	if (batch_judge(version) && stage->cold && !rows_bring(data, version))
		return;
	batcher_execute(data, version);
}

/* May the batch have more than one request? */
static bool batch_shares(const struct version *version)
{
	return version->is_row_wise && !version->stage->batch.is_full;
}

/* Is there room beside those that the batch has? */
static bool batch_takes(const struct version *version, const int64_t symbols[])
{
	const struct batch *batch = &version->stage->batch;
	int64_t joined[SIGNATURE_SYMBOLS_MAX];

	if (!batch_shares(version))
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
		uint64_t first = symbol < 0 ? 0 : (uint64_t)version->stage->batch.symbols[symbol];

		memcpy(version->stage->inputs[input] + first * version->input_part_bytes[input],
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
	const int64_t *firsts = version->stage->batch.symbols;
	uint32_t input;

	for (input = 0; input < signature->input_count; input++) {
		const struct signature_tensor *tensor = &signature->inputs[input];
		struct offsets offsets = {
			.dtype = tensor->dtype,
		};

		if (!tensor->is_offsets)
			continue;
		offsets.data = version->stage->inputs[input] + (uint64_t)firsts[signature->row_symbol] *
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
	if (version->stage->batch.first) {
		batch_run(data, version, CLOSE_FULL);
		/* As it is: whatever the client has made of it meanwhile, it is alone. */
		bytes += stage_inputs(version, range, tensors);
	}
	version->stage->batch.is_full = true;
	return bytes;
}

/* Each row finds the one row of its request. */
static void rows_belong(struct version *version, const struct request *request)
{
	int32_t request_symbol = version->signature->request_symbol;

	if (request_symbol < 0)
		return;
	for (uint32_t row = 0; row < request->rows; row++)
		version->stage->row_requests[request->row_first + row] = (int32_t)request->place;
	version->stage->batch.symbols[request_symbol] = version->stage->batch.requests;
}

void batcher_join(struct data *data, struct version *version, struct request *request,
		  const uint8_t *range, const struct hearth_tensor tensors[],
		  const int64_t symbols[SIGNATURE_SYMBOLS_MAX])
{
	struct batch *batch;
	uint64_t bytes;

	if (version->stage->batch.first && !batch_takes(version, symbols))
		batch_run(data, version, batch_shares(version) ? CLOSE_FULL : CLOSE_ALONE);
	bytes = stage(data, version, range, tensors, symbols);
	batch = &version->stage->batch; /* one that waits for rows has left its stage to it */

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
	if (!version->is_forming) {
		version->is_forming = true;
		version->next_forming = data->forming;
		data->forming = version;
	}
}

void batcher_run_all(struct data *data)
{
	struct version *version;

	while ((version = data->forming)) {
		data->forming = version->next_forming;
		version->is_forming = false;
		if (version->stage->batch.first)
			batch_run(data, version, batch_shares(version) ? CLOSE_IDLE : CLOSE_ALONE);
		batcher_retire(data, version);
	}
}

void batcher_retire(struct data *data, struct version *version)
{
	struct message retired = { .kind = MESSAGE_RETIRED, .version = version };

	if (!version->is_retired || version->references > 0 || version->is_forming ||
	    version->is_ending)
		return;
	times_count(&data->times);
	data_reply(data, &retired);
}
