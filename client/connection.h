/* SPDX-License-Identifier: MIT */
/*
 * client/connection.h - what a handle is made of
 *
 * Owns:     both mappings, the socket, and a record for each slot
 * Threads:  one at a time
 */
#ifndef HEARTH_CLIENT_CONNECTION_H
#define HEARTH_CLIENT_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "client/arena.h"
#include "client/failure.h"
#include "shm/handshake.h"
#include "shm/ring.h"
#include "shm/ticks.h"

#define HEARTH_FORK_COOKIE UINT32_C(0x68656172)

enum hearth_record_state {
	HEARTH_RECORD_FREE,
	HEARTH_RECORD_ACQUIRED,
	HEARTH_RECORD_SUBMITTED,
	HEARTH_RECORD_COMPLETED, /* its final completion was handed out */
};

/* Everything about one slot; its place in the array is the id's index. */
struct hearth_record {
	struct hearth_request request;
	struct hearth_completion completion;
	const struct hearth_model_info *model; /* NULL: not an inference */
	struct hearth_input *inputs;	       /* room, kept from request to request */
	struct hearth_output *outputs;
	uint32_t input_room;
	uint32_t output_room;
	uint32_t state; /* enum hearth_record_state */
	uint32_t generation;
	uint32_t operation;
	uint32_t request_offset;
	uint32_t request_bytes; /* 0: no range */
	uint32_t response_offset;
	uint32_t response_bytes; /* 0: no range */
};

/* A description that arrived, with the packet it came in. */
struct hearth_model_entry {
	struct hearth_model_entry *next;
	struct hearth_model_info info;
	struct hearth_tensor_info *tensors;
	struct hearth_dim *dims; /* HEARTH_RANK_MAX for each tensor */
	int32_t *offsets_into;   /* of each tensor */
	char *names;
	uint8_t *packet;
	uint32_t packet_bytes;
	char name[HEARTH_NAME_BYTES];
};

struct hearth {
	uint32_t *fork_cookie; /* a page that fork() wipes in the child */
	struct hearth_lane_client *client;
	const struct hearth_lane_daemon *daemon;
	uint32_t *cancel;
	struct hearth_request_slot *request_slots;
	const struct hearth_completion_slot *completion_slots;
	uint8_t *request_area;
	const uint8_t *response_area;
	struct hearth_layout layout;
	uint64_t features;
	int64_t clock_offset_ns;
	struct hearth_ticks ticks; /* stamps requests */
	int64_t spin_ns;
	int64_t waited_ns[2]; /* how long the last two waits took that were longer than a look */
	uint32_t spin_rests;  /* waits for which it does not look, after one in vain */
	int64_t reply_timeout_ns;
	int fd;
	int pidfd; /* of the daemon; -1 before Linux 6.5 */

	uint64_t sq_position; /* requests pushed */
	uint64_t cq_position; /* completions popped */
	int64_t alive_ns;     /* when the daemon was last seen alive, coarse clock */
	uint32_t in_flight;
	uint32_t free_count;
	uint32_t orphan_index;	/* after death: next record to report */
	uint32_t describe_cookie; /* of the last question; late answers to others are dropped */
	bool is_dead;
	bool is_armed;		       /* a bell may come on the socket */
	struct hearth_record *records; /* [slots] */
	uint32_t *free_indices;	       /* [slots], a stack: the last one back is the warmest */
	struct hearth_arena request_arena;
	struct hearth_arena response_arena;
	struct hearth_model_entry *models;
	struct hearth_info info;
	char text[HEARTH_TEXT_BYTES];
};

/* Before anything that is not private memory is touched. */
static inline int hearth_check(const struct hearth *hearth)
{
	if (!hearth)
		return hearth_fail(-EINVAL);
	if (hearth_load_relaxed(hearth->fork_cookie) != HEARTH_FORK_COOKIE)
		return hearth_fail(-EPERM);
	return 0;
}

/* Of any type whose elements are whole bytes, by ONNX's number. */
static inline uint32_t hearth_dtype_bytes(uint32_t dtype)
{
	switch (dtype) {
	case 2u: /* uint8 */
	case 3u: /* int8 */
	case 9u: /* bool, 0 or 1 */
		return 1;
	case 10u: /* float16 */
	case 16u: /* bfloat16 */
		return 2;
	case HEARTH_F32:
	case HEARTH_I32:
		return 4;
	case HEARTH_I64:
		return 8;
	default:
		return 0;
	}
}

/* Room for descriptions, written so that its pages are there; a request finds it when its model was
 * described. */
static inline bool hearth_record_reserve(struct hearth_record *record, uint32_t input_count,
					 uint32_t output_count)
{
	void *room;

	if (record->input_room < input_count) {
		room = realloc(record->inputs, input_count * sizeof(*record->inputs));
		if (!room)
			return false;
		memset(room, 0, input_count * sizeof(*record->inputs));
		record->inputs = (struct hearth_input *)room;
		record->input_room = input_count;
	}
	if (record->output_room < output_count) {
		room = realloc(record->outputs, output_count * sizeof(*record->outputs));
		if (!room)
			return false;
		memset(room, 0, output_count * sizeof(*record->outputs));
		record->outputs = (struct hearth_output *)room;
		record->output_room = output_count;
	}
	return true;
}

#endif
