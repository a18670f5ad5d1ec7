/* SPDX-License-Identifier: MIT */
/*
 * client/completion.h - published completions, checked and handed out; then, after the daemon's
 * death, what it left unanswered
 */
#ifndef HEARTH_CLIENT_COMPLETION_H
#define HEARTH_CLIENT_COMPLETION_H

#include "client/connection.h"
#include "client/request.h"
#include "client/socket.h"

#define HEARTH_ALIVE_NS INT64_C(10000000) /* between two looks whether the daemon lives */

/* Copies the table of outputs, then judges the copy: a daemon that died while it wrote must not
 * take its client along. */
static inline bool hearth_outputs_read(struct hearth *hearth, struct hearth_record *record)
{
	struct hearth_completion *completion = &record->completion;
	const uint8_t *range = hearth->response_area + record->response_offset;
	struct hearth_response_header header;
	struct hearth_tensor tensor;
	uint64_t table_offset;
	uint64_t elements;
	uint32_t index;
	uint32_t axis;

	if (completion->response_bytes > record->response_bytes ||
	    completion->response_bytes < sizeof(header))
		return false;
	memcpy(&header, range, sizeof(header));
	if (header.header_bytes < sizeof(header) || header.output_count > HEARTH_TENSORS_MAX ||
	    (uint64_t)header.header_bytes + header.output_count * sizeof(tensor) >
		    completion->response_bytes ||
	    !hearth_record_reserve(record, 0, header.output_count))
		return false;
	table_offset = header.header_bytes;
	for (index = 0; index < header.output_count; index++) {
		struct hearth_output *output = record->outputs + index;

		memcpy(&tensor, range + table_offset + index * sizeof(tensor), sizeof(tensor));
		if (tensor.rank > HEARTH_RANK_MAX || tensor.offset % HEARTH_ALIGN_BYTES != 0 ||
		    (uint64_t)tensor.offset + tensor.bytes > completion->response_bytes)
			return false;
		elements = 1;
		for (axis = 0; axis < tensor.rank; axis++) {
			elements *= tensor.dims[axis];
			if (elements > UINT32_MAX)
				return false;
		}
		if (elements * hearth_dtype_bytes(tensor.dtype) != tensor.bytes)
			return false;
		output->data = range + tensor.offset;
		output->bytes = tensor.bytes;
		output->dtype = tensor.dtype;
		output->rank = tensor.rank;
		memcpy(output->dims, tensor.dims, sizeof(output->dims));
	}
	completion->outputs = record->outputs;
	completion->output_count = header.output_count;
	return true;
}

static inline void hearth_completion_init(struct hearth_record *record, int32_t status,
					  uint32_t kind)
{
	struct hearth_completion *completion = &record->completion;

	memset(completion, 0, sizeof(*completion));
	completion->size = sizeof(*completion);
	completion->id = record->request.id;
	completion->user_data = record->request.user_data;
	completion->status = status;
	completion->kind = kind;
}

static inline void hearth_completion_read(struct hearth *hearth, struct hearth_record *record,
					  const struct hearth_completion_slot *slot)
{
	struct hearth_completion *completion = &record->completion;

	hearth_completion_init(record, slot->status, slot->kind);
	/* the record's own words: the caller can write to its request */
	completion->id = slot->id;
	completion->flags = slot->flags;
	completion->numerics = slot->numerics;
	completion->version = slot->version;
	completion->substituted = slot->substituted;
	completion->ring_ns = slot->ring_ns;
	completion->queue_ns = slot->queue_ns;
	completion->batch_ns = slot->batch_ns;
	completion->execute_ns = slot->execute_ns;
	completion->detail = slot->detail;
	completion->response_bytes = slot->response_bytes;
	if (record->response_bytes > 0)
		completion->response = hearth->response_area + record->response_offset;
	if (slot->status == -EBUSY && hearth_detail_reason(slot->detail) == HEARTH_DETAIL_RETRY)
		completion->retry_ns = hearth_detail_value(slot->detail);
	if (slot->kind != HEARTH_FINAL || slot->status < 0)
		return;
	if (record->operation == HEARTH_OP_INFER ? !hearth_outputs_read(hearth, record)
						 : slot->response_bytes > record->response_bytes) {
		completion->status = -EPROTO;
		completion->response_bytes = 0;
	}
}

/* The next published completion that is about a request in flight. */
static inline int hearth_completion_take(struct hearth *hearth,
					 const struct hearth_completion **ret_completion)
{
	struct hearth_completion_slot slot;
	struct hearth_record *record;
	uint32_t tries;

	for (tries = 0; tries < hearth->layout.completion_slots; tries++) {
		if (!hearth_cq_pop(hearth->completion_slots, hearth->layout.completion_slots,
				   hearth->cq_position, &slot))
			return -EAGAIN;
		hearth->cq_position++;
		hearth_cq_consume(hearth->client, hearth->cq_position);
		record = hearth_record_find(hearth, slot.id);
		if (!record || record->state != HEARTH_RECORD_SUBMITTED ||
		    (slot.kind != HEARTH_PROGRESS && slot.kind != HEARTH_FINAL)) {
			hearth->info.unknown_completions++;
			continue;
		}
		hearth_completion_read(hearth, record, &slot);
		if (slot.kind == HEARTH_FINAL) {
			record->state = HEARTH_RECORD_COMPLETED;
			hearth->in_flight--;
		}
		*ret_completion = &record->completion;
		return 0;
	}
	return -EAGAIN;
}

/* After death and with nothing published left: each unanswered request, once. */
static inline int hearth_orphan_take(struct hearth *hearth,
				     const struct hearth_completion **ret_completion)
{
	for (; hearth->in_flight > 0 && hearth->orphan_index < hearth->layout.slots;
	     hearth->orphan_index++) {
		struct hearth_record *record = hearth->records + hearth->orphan_index;

		if (record->state != HEARTH_RECORD_SUBMITTED)
			continue;
		hearth_completion_init(record, -EOWNERDEAD, HEARTH_FINAL);
		record->completion.id = (uint64_t)record->generation << 32 | hearth->orphan_index;
		record->state = HEARTH_RECORD_COMPLETED;
		hearth->in_flight--;
		*ret_completion = &record->completion;
		return 0;
	}
	return hearth_fail(-ENOTCONN);
}

/* Is the daemon gone? Asks the kernel every now and then. */
static inline bool hearth_is_gone(struct hearth *hearth)
{
	int64_t now_ns;

	if (hearth->is_dead)
		return true;
	now_ns = hearth_clock_ns(HEARTH_CLOCK_MONOTONIC_COARSE);
	if (hearth->is_armed || now_ns - hearth->alive_ns >= HEARTH_ALIVE_NS) {
		hearth->is_armed = false;
		hearth_socket_drain(hearth);
	}
	return hearth->is_dead;
}

static inline int hearth_peek_checked(struct hearth *hearth,
				      const struct hearth_completion **ret_completion)
{
	int r;

	r = hearth_completion_take(hearth, ret_completion);
	if (r != -EAGAIN)
		return r;
	if (!hearth_is_gone(hearth))
		return hearth_fail(-EAGAIN);
	/* It may have published between the first look and its death. */
	r = hearth_completion_take(hearth, ret_completion);
	if (r != -EAGAIN)
		return r;
	return hearth_orphan_take(hearth, ret_completion);
}

HEARTH_API int hearth_peek(struct hearth *hearth, const struct hearth_completion **ret_completion)
{
	int r;

	r = hearth_check(hearth);
	if (r < 0)
		return r;
	return hearth_peek_checked(hearth, ret_completion);
}

HEARTH_API const char *hearth_completion_strerror(struct hearth *hearth,
						  const struct hearth_completion *completion)
{
	const struct hearth_record *record;
	const char *name = "";
	uint32_t tensor;
	unsigned long long value;

	if (hearth_check(hearth) < 0 || !completion)
		return hearth_error_sentence(hearth ? hearth_last_failure.error : -EINVAL);
	tensor = hearth_detail_tensor(completion->detail);
	value = hearth_detail_value(completion->detail);
	record = hearth_record_find(hearth, completion->id);
	if (record && record->model && tensor < record->model->input_count)
		name = record->model->inputs[tensor].name;
	if (completion->status >= 0)
		return hearth_error_sentence(0);
	if (completion->status == -ENOBUFS) {
		(void)snprintf(hearth->text, sizeof(hearth->text),
			       "the response range is too small: %u bytes needed, %u given",
			       completion->response_bytes, record ? record->response_bytes : 0);
		return hearth->text;
	}
	switch (hearth_detail_reason(completion->detail)) {
	case HEARTH_DETAIL_SLOT:
		return "the request is malformed";
	case HEARTH_DETAIL_TENSOR:
		(void)snprintf(hearth->text, sizeof(hearth->text),
			       "input %u '%s': its type or dimensions do not fit the model", tensor,
			       name);
		return hearth->text;
	case HEARTH_DETAIL_ID:
		(void)snprintf(hearth->text, sizeof(hearth->text),
			       "input %u '%s', row %llu: id outside its table", tensor, name,
			       value);
		return hearth->text;
	case HEARTH_DETAIL_MODEL:
		return "no such model, or no such version of it";
	case HEARTH_DETAIL_ROWS:
		(void)snprintf(hearth->text, sizeof(hearth->text),
			       "more rows than the model takes, which is %llu", value);
		return hearth->text;
	case HEARTH_DETAIL_RETRY:
		(void)snprintf(hearth->text, sizeof(hearth->text),
			       "the daemon is full: try again after %llu ns", value);
		return hearth->text;
	case HEARTH_DETAIL_OPERATION:
		return "the daemon does not serve this operation";
	default:
		return hearth_error_sentence(completion->status);
	}
}

#endif
