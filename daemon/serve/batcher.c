/* SPDX-License-Identifier: MIT */
/* daemon/serve/batcher.c - steps 6 to 9 of the request path: join, close, run, hand to finish */
#include "serve/batcher.h"

#include <string.h>

#include "base/clock.h"
#include "serve/finish.h"
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
	return version->row_ns * version->batch.rows / 2;
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
	batch->first = NULL;
	batch->last = &batch->first;
	batch->rows = 0;
	batch->requests = 0;
	wake_clients(data);
}

/* Returns the bytes copied. */
static uint64_t stage_inputs(struct version *version, const struct request *request,
			     const uint8_t *range, const struct hearth_tensor tensors[])
{
	uint64_t bytes = 0;
	uint32_t input;

	for (input = 0; input < version->signature->input_count; input++) {
		uint64_t first = signature_is_of_request(version->signature, input)
					 ? request->place
					 : request->row_first;
		uint64_t offset = first * version->input_bytes_per_row[input];

		memcpy(version->inputs[input] + offset, range + tensors[input].offset,
		       tensors[input].bytes);
		bytes += tensors[input].bytes;
	}
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
	uint32_t rows = request_rows(version, symbols);

	if (batch->first && (!version->is_row_wise || batch->rows + rows > version->rows_max))
		batch_run(data, version);

	request->version = version;
	request->state = REQUEST_STAGED;
	request->row_first = version->is_row_wise ? batch->rows : 0;
	request->place = version->is_row_wise ? batch->requests : 0;
	request->rows = rows;
	request->next = NULL;
	version->references++;
	counter_add(&version->counters.requests, 1);
	scheduler_charge_rows(request, stage_inputs(version, request, range, tensors));

	*batch->last = request;
	batch->last = &request->next;
	batch->rows = request->row_first + rows;
	batch->requests = request->place + 1;
	memcpy(batch->symbols, symbols, sizeof(batch->symbols));
	if (version->is_row_wise)
		batch->symbols[version->signature->row_symbol] = batch->rows;
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
