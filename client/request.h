/* SPDX-License-Identifier: MIT */
/*
 * client/request.h - a request from its place in shared memory to the daemon's ring
 *
 * A record's states: FREE, ACQUIRED by the caller, SUBMITTED to the daemon, COMPLETED when the
 * final completion was handed out, and FREE again when released. Its index and ranges are its own
 * from ACQUIRED to FREE; there are as many records as slots, so the request ring cannot overflow.
 */
#ifndef HEARTH_CLIENT_REQUEST_H
#define HEARTH_CLIENT_REQUEST_H

#include "client/connection.h"
#include "client/linux.h"
#include "shm/prefetch.h"

/* The bytes of a tensor under given sizes, with its dims; at most 2^63. */
static inline int hearth_tensor_size(const struct hearth_tensor_info *info, const uint32_t sizes[],
				     uint32_t ret_dims[HEARTH_RANK_MAX], uint64_t *ret_bytes)
{
	uint64_t bytes = hearth_dtype_bytes(info->dtype);
	uint32_t axis;

	memset(ret_dims, 0, HEARTH_RANK_MAX * sizeof(ret_dims[0]));
	for (axis = 0; axis < info->rank; axis++) {
		const struct hearth_dim *dim = info->dims + axis;
		int64_t value = dim->constant;

		if (dim->symbol >= 0) {
			const uint64_t past_any_limit = UINT64_C(1) << 40;
			uint64_t product = (uint64_t)dim->factor * sizes[dim->symbol];

			value += (int64_t)(product < past_any_limit ? product : past_any_limit);
		}
		if (value < 0)
			return hearth_explain(-EINVAL, "'%s' would have a dimension of %lld",
					      info->name, (long long)value);
		if (value > UINT32_MAX || (value > 0 && bytes > (UINT64_C(1) << 40)))
			bytes = UINT64_C(1) << 40;
		else
			bytes *= (uint64_t)value;
		ret_dims[axis] = (uint32_t)value;
	}
	*ret_bytes = bytes;
	return 0;
}

static inline uint64_t hearth_align_up_wide(uint64_t bytes)
{
	return (bytes + HEARTH_ALIGN_BYTES - 1) & ~(uint64_t)(HEARTH_ALIGN_BYTES - 1);
}

/* Header and table, then each tensor at the next multiple of HEARTH_ALIGN_BYTES. */
static inline uint64_t hearth_table_end(uint32_t tensor_count)
{
	return hearth_align_up_wide(sizeof(struct hearth_request_header) +
				    tensor_count * sizeof(struct hearth_tensor));
}

static inline int hearth_tensors_size(const struct hearth_tensor_info *infos, uint32_t count,
				      const uint32_t sizes[], uint64_t *ret_bytes)
{
	uint64_t total_bytes = hearth_table_end(count);
	uint64_t bytes;
	uint32_t dims[HEARTH_RANK_MAX];
	uint32_t index;
	int r;

	for (index = 0; index < count; index++) {
		r = hearth_tensor_size(infos + index, sizes, dims, &bytes);
		if (r < 0)
			return r;
		total_bytes += hearth_align_up_wide(bytes);
	}
	*ret_bytes = total_bytes;
	return 0;
}

/* A free record with both ranges; in state ACQUIRED, with nothing in it yet. */
static inline int hearth_record_acquire(struct hearth *hearth, uint64_t request_bytes,
					uint64_t response_bytes, struct hearth_record **ret_record)
{
	struct hearth_record *record;
	uint32_t index;
	uint32_t request_offset = 0;
	uint32_t response_offset = 0;

	if (hearth->is_dead)
		return hearth_fail(-ENOTCONN);
	if (request_bytes > hearth->layout.request_area_bytes)
		return hearth_explain(-EMSGSIZE,
				      "the inputs want %llu bytes, the request area has %u: open "
				      "with a larger request_area_bytes, or ask in parts",
				      (unsigned long long)request_bytes,
				      hearth->layout.request_area_bytes);
	if (response_bytes > hearth->layout.response_area_bytes)
		return hearth_explain(-EMSGSIZE,
				      "the outputs want %llu bytes, the response area has %u: open "
				      "with a larger response_area_bytes, or ask in parts",
				      (unsigned long long)response_bytes,
				      hearth->layout.response_area_bytes);
	if (hearth->free_count == 0)
		return hearth_fail(-EAGAIN);
	if (request_bytes > 0 &&
	    !hearth_arena_acquire(&hearth->request_arena, (uint32_t)request_bytes, &request_offset))
		return hearth_fail(-EAGAIN);
	if (response_bytes > 0 &&
	    !hearth_arena_acquire(&hearth->response_arena, (uint32_t)response_bytes,
				  &response_offset)) {
		if (request_bytes > 0)
			hearth_arena_release(&hearth->request_arena, request_offset,
					     (uint32_t)request_bytes);
		return hearth_fail(-EAGAIN);
	}
	index = hearth->free_indices[--hearth->free_count];
	record = hearth->records + index;
	record->generation++;
	if (record->generation == 0)
		record->generation = 1; /* 0 is what an untouched cancel word holds */
	record->state = HEARTH_RECORD_ACQUIRED;
	record->model = NULL;
	record->request_offset = request_offset;
	record->request_bytes = (uint32_t)request_bytes;
	record->response_offset = response_offset;
	record->response_bytes = (uint32_t)response_bytes;
	memset(&record->request, 0, sizeof(record->request));
	record->request.size = sizeof(record->request);
	record->request.id = (uint64_t)record->generation << 32 | index;
	record->request.response_bytes = record->response_bytes;
	*ret_record = record;
	return 0;
}

static inline void hearth_record_release(struct hearth *hearth, struct hearth_record *record)
{
	if (record->request_bytes > 0)
		hearth_arena_release(&hearth->request_arena, record->request_offset,
				     record->request_bytes);
	if (record->response_bytes > 0)
		hearth_arena_release(&hearth->response_arena, record->response_offset,
				     record->response_bytes);
	record->state = HEARTH_RECORD_FREE;
	hearth->free_indices[hearth->free_count++] = (uint32_t)(record - hearth->records);
}

/* The record that an id names, or NULL. */
static inline struct hearth_record *hearth_record_find(struct hearth *hearth, uint64_t id)
{
	uint32_t index = (uint32_t)id;

	if (index >= hearth->layout.slots ||
	    hearth->records[index].generation != (uint32_t)(id >> 32) ||
	    hearth->records[index].state == HEARTH_RECORD_FREE)
		return NULL;
	return hearth->records + index;
}

/* Writes the table of inputs into the request range, and tells the caller where they are. */
static inline void hearth_inputs_place(struct hearth *hearth, struct hearth_record *record,
				       const uint32_t sizes[])
{
	const struct hearth_model_info *model = record->model;
	uint8_t *range = hearth->request_area + record->request_offset;
	uint64_t offset = hearth_table_end(model->input_count);
	uint64_t bytes = 0;
	struct hearth_tensor tensor;
	uint32_t index;

	for (index = 0; index < model->input_count; index++) {
		struct hearth_input *input = record->inputs + index;

		(void)hearth_tensor_size(model->inputs + index, sizes, tensor.dims, &bytes);
		tensor.offset = (uint32_t)offset;
		tensor.bytes = (uint32_t)bytes;
		tensor.dtype = (uint16_t)model->inputs[index].dtype;
		tensor.rank = (uint16_t)model->inputs[index].rank;
		memcpy(range + sizeof(struct hearth_request_header) + index * sizeof(tensor),
		       &tensor, sizeof(tensor));
		input->data = range + offset;
		input->bytes = tensor.bytes;
		input->dtype = tensor.dtype;
		input->rank = tensor.rank;
		memcpy(input->dims, tensor.dims, sizeof(input->dims));
		offset += hearth_align_up_wide(bytes);
	}
	record->request.inputs = record->inputs;
	record->request.input_count = model->input_count;
}

HEARTH_API int hearth_acquire_sizes(struct hearth *hearth, const struct hearth_model_info *model,
				    const uint32_t sizes[], uint32_t response_bytes,
				    struct hearth_request **ret_request)
{
	struct hearth_record *record;
	uint64_t request_bytes;
	uint64_t outputs_bytes = hearth_align_up_wide(response_bytes);
	int r;

	r = hearth_check(hearth);
	if (r < 0)
		return r;
	if (!model || (!sizes && model->symbol_count > 0))
		return hearth_fail(-EINVAL);
	r = hearth_tensors_size(model->inputs, model->input_count, sizes, &request_bytes);
	if (r < 0)
		return r;
	if (response_bytes == 0) {
		r = hearth_tensors_size(model->outputs, model->output_count, sizes, &outputs_bytes);
		if (r < 0)
			return r;
	}
	r = hearth_record_acquire(hearth, request_bytes, outputs_bytes, &record);
	if (r < 0)
		return r;
	if (!hearth_record_reserve(record, model->input_count, model->output_count)) {
		hearth_record_release(hearth, record);
		return hearth_fail(-ENOMEM);
	}
	record->operation = HEARTH_OP_INFER;
	record->model = model;
	hearth_inputs_place(hearth, record, sizes);
	*ret_request = &record->request;
	return 0;
}

HEARTH_API int hearth_acquire(struct hearth *hearth, const struct hearth_model_info *model,
			      uint32_t rows, struct hearth_request **ret_request)
{
	int r;

	r = hearth_check(hearth);
	if (r < 0)
		return r;
	if (model && model->symbol_count > 1)
		return hearth_explain(-EINVAL,
				      "model '%s' has %u free sizes: use hearth_acquire_sizes",
				      model->name, model->symbol_count);
	return hearth_acquire_sizes(hearth, model, &rows, 0, ret_request);
}

HEARTH_API int hearth_acquire_ping(struct hearth *hearth, struct hearth_request **ret_request)
{
	struct hearth_record *record;
	int r;

	r = hearth_check(hearth);
	if (r < 0)
		return r;
	r = hearth_record_acquire(hearth, 0, 0, &record);
	if (r < 0)
		return r;
	record->operation = HEARTH_OP_PING;
	*ret_request = &record->request;
	return 0;
}

HEARTH_API int hearth_acquire_echo(struct hearth *hearth, uint32_t bytes,
				   struct hearth_request **ret_request)
{
	struct hearth_record *record;
	int r;

	r = hearth_check(hearth);
	if (r < 0)
		return r;
	r = hearth_record_acquire(hearth, bytes, bytes, &record);
	if (r < 0)
		return r;
	if (!hearth_record_reserve(record, 1, 0)) {
		hearth_record_release(hearth, record);
		return hearth_fail(-ENOMEM);
	}
	memset(record->inputs, 0, sizeof(*record->inputs));
	record->inputs->data = hearth->request_area + record->request_offset;
	record->inputs->bytes = bytes;
	record->request.inputs = record->inputs;
	record->request.input_count = 1;
	record->operation = HEARTH_OP_ECHO;
	*ret_request = &record->request;
	return 0;
}

HEARTH_API int hearth_acquire_stream_test(struct hearth *hearth, uint32_t item_count,
					  struct hearth_request **ret_request)
{
	struct hearth_stream_test test;
	struct hearth_record *record;
	int r;

	r = hearth_check(hearth);
	if (r < 0)
		return r;
	if (item_count == 0)
		return hearth_explain(-EINVAL, "item_count is 0");
	r = hearth_record_acquire(hearth, sizeof(test),
				  hearth_align_up_wide((uint64_t)item_count * sizeof(uint64_t)),
				  &record);
	if (r < 0)
		return r;
	memset(&test, 0, sizeof(test));
	test.item_count = item_count;
	memcpy(hearth->request_area + record->request_offset, &test, sizeof(test));
	record->operation = HEARTH_OP_STREAM_TEST;
	*ret_request = &record->request;
	return 0;
}

/* Wakes a daemon that dozes. It learns of the request at the latest when its bounded sleep ends,
 * so nothing here can fail. */
static inline void hearth_ring(struct hearth *hearth)
{
	struct hearth_message bell;

	hearth_sq_ring(hearth->client);
	if (hearth->features & HEARTH_FEATURE_FUTEX_BELL) {
		(void)syscall(SYS_futex, &hearth->client->sq_bell, HEARTH_FUTEX_WAKE, INT_MAX, NULL,
			      NULL, 0);
		return;
	}
	hearth_message_init(&bell, HEARTH_MESSAGE_BELL, sizeof(bell));
	while (send(hearth->fd, &bell, sizeof(bell), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
	       errno == EINTR)
		; /* a full socket is a wake already pending; a dead daemon is found by peek */
}

/* Now, in the daemon's clock. */
static inline uint64_t hearth_stamp_ns(struct hearth *hearth)
{
	uint64_t count = hearth_ticks_count();
	uint64_t ns;

	if (!hearth_ticks_tell(&hearth->ticks, count, &ns)) {
		ns = (uint64_t)hearth_clock_ns(HEARTH_CLOCK_MONOTONIC);
		ns = hearth_ticks_sync(&hearth->ticks, ns, count, hearth_ticks_count());
	}
	return ns + (uint64_t)hearth->clock_offset_ns;
}

HEARTH_API int hearth_submit(struct hearth *hearth, struct hearth_request *request)
{
	struct hearth_request_slot slot;
	struct hearth_request_header header;
	struct hearth_record *record;
	uintptr_t distance;
	int r;

	r = hearth_check(hearth);
	if (r < 0)
		return r;
	distance = (uintptr_t)request - (uintptr_t)hearth->records;
	if (distance % sizeof(*record) != 0 || distance / sizeof(*record) >= hearth->layout.slots)
		return hearth_explain(-EINVAL, "this is no request of this handle");
	record = hearth->records + distance / sizeof(*record);
	if (record->state != HEARTH_RECORD_ACQUIRED)
		return hearth_explain(-EINVAL, "the request was submitted or released already");
	if (request->deadline_ns < 0)
		return hearth_explain(-EINVAL, "the deadline is negative");
	if (hearth->is_dead)
		return hearth_fail(-ENOTCONN);

	if (record->operation == HEARTH_OP_INFER) {
		memset(&header, 0, sizeof(header));
		header.header_bytes = sizeof(header);
		header.model = record->model->handle;
		header.version = request->version;
		header.priority = request->priority;
		header.sequence_id = request->sequence_id;
		header.input_count = record->model->input_count;
		memcpy(hearth->request_area + record->request_offset, &header, sizeof(header));
	}
	memset(&slot, 0, sizeof(slot));
	slot.id = (uint64_t)record->generation << 32 | (uint32_t)(record - hearth->records);
	slot.operation = record->operation;
	slot.request_offset = record->request_offset;
	slot.request_bytes = record->request_bytes;
	slot.response_offset = record->response_offset;
	slot.response_bytes = record->response_bytes;
	slot.deadline_ns = (uint64_t)request->deadline_ns;
	slot.submitted_ns = hearth_stamp_ns(hearth);
	record->state = HEARTH_RECORD_SUBMITTED;
	hearth->in_flight++;
	hearth_sq_push(hearth->request_slots, hearth->layout.slots, hearth->sq_position, &slot);
	hearth->sq_position++;
	hearth_prefetch_slot(hearth->request_slots, hearth->layout.slots, hearth->sq_position);
	if (hearth_sq_must_ring(hearth->daemon))
		hearth_ring(hearth);
	return 0;
}

HEARTH_API int hearth_cancel(struct hearth *hearth, uint64_t id)
{
	struct hearth_record *record;
	int r;

	r = hearth_check(hearth);
	if (r < 0)
		return r;
	record = hearth_record_find(hearth, id);
	if (!record || record->state != HEARTH_RECORD_SUBMITTED)
		return hearth_explain(-EINVAL, "no request in flight has this id");
	hearth_cancel_store(hearth->cancel, (uint32_t)id, record->generation);
	return 0;
}

HEARTH_API int hearth_release(struct hearth *hearth, uint64_t id)
{
	struct hearth_record *record;
	int r;

	r = hearth_check(hearth);
	if (r < 0)
		return r;
	record = hearth_record_find(hearth, id);
	if (!record)
		return hearth_explain(-EINVAL, "nothing held has this id: released already?");
	if (record->state == HEARTH_RECORD_SUBMITTED)
		return hearth_explain(-EBUSY, "in flight: release it after its final completion");
	hearth_record_release(hearth, record);
	return 0;
}

#endif
