/* SPDX-License-Identifier: MIT */
/* daemon/serve/finish.c - step 11 of the request path: results out, completion published */
#include "serve/finish.h"

#include <errno.h>
#include <string.h>

#include "base/clamp.h"
#include "base/clock.h"
#include "serve/scheduler.h"
#include "serve/wake.h"

static uint32_t span_ns(uint64_t from_ns, uint64_t to_ns)
{
	uint64_t ns = to_ns > from_ns ? to_ns - from_ns : 0;

	return ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
}

static uint32_t ring_ns(uint64_t submitted_ns, uint64_t arrived_ns)
{
	return submitted_ns ? span_ns(submitted_ns, arrived_ns) : 0;
}

static void complete(struct data *data, struct lane *lane,
		     const struct hearth_completion_slot *completion)
{
	lane_complete(lane, completion);
	wake_touch(data, lane);
	counter_add(&data->counters->completions, 1);
	if (completion->status < 0)
		counter_add(&data->counters->errors, 1);
}

int finish_judge(const struct request *request, uint64_t now_ns)
{
	if (hearth_cancel_wanted(request->lane->cancel, request->id))
		return -ECANCELED;
	if (request->deadline_ns && now_ns >= request->deadline_ns)
		return -ETIME;
	return 0;
}

void finish_refused(struct data *data, struct lane *lane, const struct hearth_request_slot *slot,
		    uint64_t arrived_ns, int status, uint64_t detail, uint32_t bytes_needed)
{
	struct hearth_completion_slot completion = {
		.id = slot->id,
		.status = status,
		.kind = HEARTH_FINAL,
		.response_bytes = bytes_needed,
		.ring_ns = ring_ns(slot->submitted_ns, arrived_ns),
		.detail = detail,
	};

	complete(data, lane, &completion);
}

void finish_ping(struct data *data, struct request *request)
{
	struct hearth_completion_slot completion = {
		.id = request->id,
		.kind = HEARTH_FINAL,
		.ring_ns = ring_ns(request->submitted_ns, request->arrived_ns),
	};

	complete(data, request->lane, &completion);
}

static int echo_judge(const struct request *request, uint32_t bytes)
{
	int status = finish_judge(request, request->arrived_ns);

	if (status < 0)
		return status;
	if (bytes > HEARTH_ECHO_BYTES_MAX)
		return -EMSGSIZE;
	return bytes > request->response_bytes ? -ENOBUFS : 0;
}

void finish_echo(struct data *data, struct request *request,
		 const struct hearth_request_slot *slot)
{
	struct lane *lane = request->lane;
	uint32_t bytes = slot->request_bytes;
	struct hearth_completion_slot completion = {
		.id = request->id,
		.kind = HEARTH_FINAL,
		.response_bytes = bytes,
		.ring_ns = ring_ns(request->submitted_ns, request->arrived_ns),
	};
	int status = echo_judge(request, bytes);

	if (status < 0) {
		finish_refused(data, lane, slot, request->arrived_ns, status, 0,
			       status == -ENOBUFS ? bytes : 0);
		return;
	}
	/* Clamped as well as checked: a branch may be the processor's guess. The client may change
	 * the bytes meanwhile; nothing here depends on them. */
	bytes &= (uint32_t)clamp_mask(bytes, (uint64_t)request->response_bytes + 1);
	memcpy(lane->response_area + request->response_offset,
	       lane->request_area + slot->request_offset, bytes);
	scheduler_charge_copy(lane, bytes);
	complete(data, lane, &completion);
}

/* Admission proved that everything fits into the response range. */
static uint32_t write_response(const struct request *request, const int64_t symbols[])
{
	const struct version *version = request->version;
	const struct signature *signature = version->signature;
	struct hearth_response_header header = {
		.header_bytes = sizeof(header),
		.output_count = signature->output_count,
	};
	uint8_t *range = request->lane->response_area + request->response_offset;
	uint64_t offset = sizeof(header) + signature->output_count * sizeof(struct hearth_tensor);
	uint32_t index;
	uint32_t dim;

	memcpy(range, &header, sizeof(header));
	for (index = 0; index < signature->output_count; index++) {
		const struct signature_tensor *output = signature->outputs + index;
		uint64_t skip = request->row_first * version->output_bytes_per_row[index];
		struct hearth_tensor tensor = {
			.offset = (uint32_t)version_align(offset),
			.bytes = (uint32_t)version_output_bytes(version, index, symbols),
			.dtype = (uint16_t)output->dtype,
			.rank = (uint16_t)output->rank,
		};

		for (dim = 0; dim < output->rank; dim++)
			tensor.dims[dim] = (uint32_t)dim_value(output->dims[dim], symbols);
		memcpy(range + sizeof(header) + index * sizeof(tensor), &tensor, sizeof(tensor));
		memcpy(range + tensor.offset, version->stage->outputs[index] + skip, tensor.bytes);
		offset = tensor.offset + tensor.bytes;
	}
	return (uint32_t)offset;
}

static void judge_status(const struct version *version, const struct row_status *status,
			 uint32_t row, struct hearth_completion_slot *completion)
{
	int input;

	completion->substituted += status->substituted;
	if (!status->error || completion->status != 0)
		return;
	if (status->error == ROW_UNREAD) {
		completion->status = -EIO;
		return;
	}
	input = engine_error_input(version->engine, status->error);
	completion->status = -ERANGE;
	completion->detail =
		hearth_detail(HEARTH_DETAIL_ID, input < 0 ? 0xffffu : (uint32_t)input, row);
}

/* What the kernels reported about the request's rows, and about what it has once. */
static void judge_rows(const struct request *request, const int64_t batch_symbols[],
		       struct hearth_completion_slot *completion)
{
	const struct version *version = request->version;
	uint32_t row;

	for (row = 0; row < request->rows; row++)
		judge_status(version, version->stage->status + request->row_first + row, row, completion);
	if (version->signature->request_symbol >= 0)
		judge_status(version,
			     version->stage->status + batch_symbols[version->signature->row_symbol] +
				     request->place,
			     0, completion);
}

static void note_times(struct data *data, struct version *version, const struct request *request,
		       const struct batch_times *times, int status)
{
	uint64_t answered_ns = data_clock_ns(data);
	uint64_t submitted_ns = request->submitted_ns ? request->submitted_ns : request->arrived_ns;
	uint32_t waited_ns = span_ns(submitted_ns, request->arrived_ns);
	struct times_note *note = times_note(&data->times);

	note->version = version;
	note->request = (struct trace_request){
		.id = request->id,
		.submitted_ns = request->arrived_ns - waited_ns,
		.ns = {
			[TIME_RING] = waited_ns,
			[TIME_QUEUE] = span_ns(request->arrived_ns, times->closed_ns),
			[TIME_BATCH] = span_ns(times->closed_ns, times->started_ns),
			[TIME_EXECUTE] = span_ns(times->started_ns, times->ended_ns),
			[TIME_ANSWER] = span_ns(times->ended_ns, answered_ns),
			[TIME_TOTAL] = span_ns(submitted_ns, answered_ns),
		},
		.pid = request->lane->pid,
		.model = version->model,
		.version = version->number,
		.rows = request->rows,
		.batch_rows = times->rows,
		.status = status,
	};
}

void finish_infer(struct data *data, struct request *request, const int64_t batch_symbols[],
		  const struct batch_times *times)
{
	struct version *version = request->version;
	int64_t symbols[SIGNATURE_SYMBOLS_MAX];
	struct hearth_completion_slot completion = {
		.id = request->id,
		.kind = HEARTH_FINAL,
		.numerics = version->numerics,
		.version = version->number,
		.ring_ns = ring_ns(request->submitted_ns, request->arrived_ns),
		.queue_ns = span_ns(request->arrived_ns, times->closed_ns),
		.batch_ns = span_ns(times->closed_ns, times->started_ns),
		.execute_ns = span_ns(times->started_ns, times->ended_ns),
	};

	memcpy(symbols, batch_symbols, version->signature->symbol_count * sizeof(*symbols));
	if (version->is_row_wise)
		symbols[version->signature->row_symbol] = request->rows;

	/* The batch ran when anybody's verdict was 0, so what follows reads fresh rows. */
	completion.status = request->verdict;
	if (completion.status == 0 && request->deadline_ns &&
	    times->ended_ns >= request->deadline_ns)
		completion.status = -ETIME;
	if (completion.status == 0)
		judge_rows(request, batch_symbols, &completion);
	if (completion.status == 0)
		completion.response_bytes = write_response(request, symbols);
	request->state = REQUEST_FREE;
	request->version = NULL;
	version->references--;
	complete(data, request->lane, &completion);
	if (completion.status < 0)
		counter_add(&version->counters.refused[reason_of(completion.status)], 1);
	else
		counter_add(&version->counters.answered, 1);
	note_times(data, version, request, times, completion.status);
}

void finish_stream(struct data *data, struct request *request, int status)
{
	struct hearth_completion_slot completion = {
		.id = request->id,
		.status = status,
		.kind = HEARTH_FINAL,
		.response_bytes = request->items_done * (uint32_t)sizeof(uint64_t),
		.ring_ns = ring_ns(request->submitted_ns, request->arrived_ns),
		.execute_ns = span_ns(request->arrived_ns, clock_ns()),
	};

	request->state = REQUEST_FREE;
	complete(data, request->lane, &completion);
}
