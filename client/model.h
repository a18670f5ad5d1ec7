/* SPDX-License-Identifier: MIT */
/*
 * client/model.h - what a model takes and gives, asked over the socket
 *
 * Owns:     every description until the handle is closed; the same answer twice is kept once
 */
#ifndef HEARTH_CLIENT_MODEL_H
#define HEARTH_CLIENT_MODEL_H

#include "client/connection.h"
#include "client/open.h"
#include "client/socket.h"

/* Fills entry->info from entry->packet; the entry owns what is allocated. */
static inline int hearth_model_parse(struct hearth_model_entry *entry)
{
	struct hearth_describe_reply reply;
	struct hearth_tensor_description tensor;
	size_t offset = sizeof(reply);
	size_t names_offset;
	char *name;
	uint32_t count;
	uint32_t index;
	uint32_t dim;

	memcpy(&reply, entry->packet, sizeof(reply));
	count = reply.input_count + reply.output_count;
	if (reply.input_count > HEARTH_TENSORS_MAX || reply.output_count > HEARTH_TENSORS_MAX ||
	    offset + count * sizeof(tensor) > entry->packet_bytes)
		return hearth_fail(-EPROTO);
	names_offset = offset + count * sizeof(tensor);
	entry->tensors = (struct hearth_tensor_info *)calloc(count + 1, sizeof(*entry->tensors));
	entry->dims = (struct hearth_dim *)calloc(count + 1, sizeof(tensor.dims));
	entry->offsets_into = (int32_t *)calloc(count + 1, sizeof(*entry->offsets_into));
	entry->names = (char *)calloc(1, entry->packet_bytes - names_offset + count + 1);
	if (!entry->tensors || !entry->dims || !entry->offsets_into || !entry->names)
		return hearth_fail(-ENOMEM);
	name = entry->names;
	for (index = 0; index < count; index++, offset += sizeof(tensor)) {
		struct hearth_tensor_info *info = entry->tensors + index;

		memcpy(&tensor, entry->packet + offset, sizeof(tensor));
		if (tensor.rank > HEARTH_RANK_MAX || hearth_dtype_bytes(tensor.dtype) == 0 ||
		    tensor.offsets_into > reply.symbol_count ||
		    tensor.name_bytes > entry->packet_bytes - names_offset)
			return hearth_fail(-EPROTO);
		for (dim = 0; dim < tensor.rank; dim++)
			if (tensor.dims[dim].symbol < -1 ||
			    tensor.dims[dim].symbol >= (int32_t)reply.symbol_count)
				return hearth_fail(-EPROTO);
		memcpy(name, entry->packet + names_offset, tensor.name_bytes);
		names_offset += tensor.name_bytes;
		info->name = name;
		info->dtype = tensor.dtype;
		info->rank = tensor.rank;
		info->dims = entry->dims + index * HEARTH_RANK_MAX;
		memcpy(entry->dims + index * HEARTH_RANK_MAX, tensor.dims, sizeof(tensor.dims));
		entry->offsets_into[index] = (int32_t)tensor.offsets_into - 1;
		name += tensor.name_bytes + 1u;
	}
	entry->info.size = sizeof(entry->info);
	entry->info.name = entry->name;
	entry->info.handle = reply.model;
	entry->info.version = reply.version;
	entry->info.current_version = reply.current_version;
	entry->info.numerics = reply.numerics;
	entry->info.rows_max = reply.rows_max;
	entry->info.row_symbol = reply.row_symbol;
	entry->info.symbol_count = reply.symbol_count;
	entry->info.input_count = reply.input_count;
	entry->info.output_count = reply.output_count;
	entry->info.inputs = entry->tensors;
	entry->info.outputs = entry->tensors + reply.input_count;
	entry->info.offsets_into = entry->offsets_into;
	return 0;
}

static inline int hearth_describe_failed(struct hearth *hearth, int error)
{
	if (error == -ETIMEDOUT)
		return hearth_explain(error, "the daemon did not describe the model in %lld ms",
				      (long long)(hearth->reply_timeout_ns / 1000000));
	if (error != -ECONNRESET && error != -EPIPE)
		return hearth_fail(error);
	hearth->is_dead = true;
	return hearth_fail(-ENOTCONN);
}

/* Is this the answer to that question? A bell is not, nor is an answer that came too late for an
 * earlier one. */
static inline bool hearth_is_description(const uint8_t *packet, int bytes, uint32_t cookie,
					 struct hearth_describe_reply *ret_reply)
{
	struct hearth_describe_reply reply;

	if (bytes < (int)sizeof(reply))
		return false;
	memcpy(&reply, packet, sizeof(reply));
	if (reply.message.magic != HEARTH_MAGIC ||
	    reply.message.type != HEARTH_MESSAGE_DESCRIBE_REPLY || reply.cookie != cookie)
		return false;
	*ret_reply = reply;
	return true;
}

/* A sentence that names the model stands for itself. */
static inline int hearth_describe_refused(const struct hearth_describe_reply *reply,
					  const char *name, uint32_t version)
{
	int error = reply->message.status < -4095 ? -EPROTO : reply->message.status;
	const char *sentence = reply->text[0] ? reply->text : hearth_error_sentence(error);
	char quoted[HEARTH_NAME_BYTES + 2];

	(void)snprintf(quoted, sizeof(quoted), "'%s'", name);
	if (strstr(sentence, quoted))
		return hearth_explain(error, "%s", sentence);
	if (version == 0)
		return hearth_explain(error, "model %s: %s", quoted, sentence);
	return hearth_explain(error, "model %s version %u: %s", quoted, version, sentence);
}

/* Sends one question and receives its answer into `packet`; bells in between are read away. */
static inline int hearth_describe_exchange(struct hearth *hearth, const char *name,
					   uint32_t version, uint8_t *packet)
{
	struct hearth_describe describe;
	struct hearth_describe_reply reply;
	int64_t until_ns;
	int bytes;
	int r;

	hearth_message_init(&describe.message, HEARTH_MESSAGE_DESCRIBE, sizeof(describe));
	describe.version = version;
	describe.cookie = ++hearth->describe_cookie;
	memcpy(describe.name, name, strlen(name));
	until_ns = hearth_time_after(hearth_clock_ns(HEARTH_CLOCK_MONOTONIC),
				     hearth->reply_timeout_ns);
	r = hearth_socket_send(hearth->fd, &describe, sizeof(describe), until_ns);
	if (r < 0)
		return hearth_describe_failed(hearth, r);
	do {
		bytes = hearth_socket_receive(hearth->fd, packet, HEARTH_MESSAGE_BYTES_MAX,
					      until_ns, NULL);
		if (bytes < 0)
			return hearth_describe_failed(hearth, bytes);
	} while (!hearth_is_description(packet, bytes, describe.cookie, &reply));
	reply.text[sizeof(reply.text) - 1] = '\0';
	if (reply.message.status < 0)
		return hearth_describe_refused(&reply, name, version);
	/* Equal answers shall be equal to the byte. */
	memset(packet + offsetof(struct hearth_describe_reply, cookie), 0, sizeof(reply.cookie));
	return bytes;
}

/* Asks, and fills the entry. */
static inline int hearth_model_fetch(struct hearth *hearth, struct hearth_model_entry *entry,
				     uint32_t version)
{
	uint8_t *packet;
	int r;

	entry->packet = (uint8_t *)malloc(HEARTH_MESSAGE_BYTES_MAX);
	if (!entry->packet)
		return hearth_fail(-ENOMEM);
	r = hearth_describe_exchange(hearth, entry->name, version, entry->packet);
	if (r < 0)
		return r;
	entry->packet_bytes = (uint32_t)r;
	packet = (uint8_t *)realloc(entry->packet, entry->packet_bytes);
	if (packet)
		entry->packet = packet;
	return hearth_model_parse(entry);
}

/* Requests find their room. One that is held keeps its own until it is acquired anew. */
static inline bool hearth_records_reserve(struct hearth *hearth,
					  const struct hearth_model_info *model)
{
	uint32_t index;

	for (index = 0; index < hearth->layout.slots; index++) {
		struct hearth_record *record = hearth->records + index;

		if (record->state == HEARTH_RECORD_FREE &&
		    !hearth_record_reserve(record, model->input_count, model->output_count))
			return false;
	}
	return true;
}

HEARTH_API int hearth_model(struct hearth *hearth, const char *name, uint32_t version,
			    const struct hearth_model_info **ret_model)
{
	struct hearth_model_entry *entry;
	struct hearth_model_entry *known;
	int r;

	r = hearth_check(hearth);
	if (r < 0)
		return r;
	if (!name || !name[0] || strlen(name) >= HEARTH_NAME_BYTES)
		return hearth_explain(-EINVAL, "a model's name has 1 to %u bytes",
				      HEARTH_NAME_BYTES - 1);
	if (hearth->is_dead)
		return hearth_fail(-ENOTCONN);
	entry = (struct hearth_model_entry *)calloc(1, sizeof(*entry));
	if (!entry)
		return hearth_fail(-ENOMEM);
	memcpy(entry->name, name, strlen(name));
	r = hearth_model_fetch(hearth, entry, version);
	if (r == 0 && !hearth_records_reserve(hearth, &entry->info))
		r = hearth_fail(-ENOMEM);
	if (r < 0) {
		hearth_model_entry_free(entry);
		return r;
	}
	for (known = hearth->models; known; known = known->next) {
		if (known->packet_bytes == entry->packet_bytes &&
		    strcmp(known->name, entry->name) == 0 &&
		    memcmp(known->packet, entry->packet, entry->packet_bytes) == 0) {
			hearth_model_entry_free(entry);
			*ret_model = &known->info;
			return 0; /* the same answer, word for word */
		}
	}
	entry->next = hearth->models;
	hearth->models = entry;
	*ret_model = &entry->info;
	return 0;
}

#endif
