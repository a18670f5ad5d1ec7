/* SPDX-License-Identifier: MIT */
/*
 * tests/serve/fuzz_slots.c - any bytes in a client's segment: each slot taken is answered once
 *
 * An input is a client's script: it writes anywhere into its segment, pushes slots, sound requests
 * and sound ones with bytes changed, cancels, consumes, lies; the daemon's part of a pass runs in
 * between, on one thread. After each pass: no byte of the response area has changed outside the
 * ranges that were pushed, completions name slots that were pushed, and at the end every slot that
 * was taken has exactly one final completion and no version is held.
 *
 *     op u8, length u8, payload      see enum op
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "serve/batcher.h"
#include "serve/intake.h"
#include "serve/stream.h"
#include "serve/wake.h"
#include "tests/exec/bag_model.h"
#include "tests/model/scratch.h"

#define SLOTS 8
#define AREA_BYTES 8192
#define CANARY 0xee
#define OPS_MAX 256
#define STREAM_STEPS_MAX (AREA_BYTES / 8 + 2)
#define RANK_MODEL 0
#define BAG_MODEL 1

enum op {
	OP_PASS,    /* the daemon's turn */
	OP_WRITE,   /* offset u16, bytes: anywhere in the client's segment */
	OP_SLOT,    /* up to 56 bytes over a ping's slot, behind its sequence */
	OP_RANK,    /* rows u8, then {offset u8, byte u8}... over header and tensors of a request */
	OP_BAG,     /* the same of the other model; rows is batch | values << 4 */
	OP_STREAM,  /* items u16 */
	OP_CONSUME, /* u8 more, or, without it, all there are */
	OP_CANCEL,  /* index u8 */
	OP_LATER,   /* ms u8 */
	OP_ECHO,    /* bytes of the request u16, of the response u16 */
	OP_COUNT,
};

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count);

static struct data data;

struct client {
	struct lane *lane;
	uint8_t *segment;
	struct hearth_lane_client *head;
	uint64_t pushed;
	uint64_t seen;   /* completions */
	uint64_t finals;
	uint32_t turn;   /* makes ids and ranges differ */
	bool is_wild;    /* it wrote where it likes: its slots are anything */
	bool may_write[AREA_BYTES]; /* of the response area: some slot named it */
};

static void slots_check(bool is_kept, const char *promise)
{
	if (is_kept)
		return;
	fprintf(stderr, "fuzz_slots: broken promise: %s\n", promise);
	abort();
}

/* --- models ------------------------------------------------------------------------------------ */

/* y = softmax of a product over dense features and two rows of a table */
static struct onnx_writer *rank_model(void)
{
	static const float weights[14] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14 };
	struct onnx_writer *writer = onnx_writer_new(13);

	onnx_writer_input(writer, "dense", DTYPE_F32, "batch,3");
	onnx_writer_input(writer, "ids", DTYPE_I64, "batch,2");
	onnx_writer_tensor(writer, "table", DTYPE_F32, "4,2", weights, 32);
	onnx_writer_tensor(writer, "w", DTYPE_F32, "7,2", weights, 56);
	onnx_writer_node(writer, "Gather", "table,ids", "rows");
	onnx_writer_node(writer, "Flatten", "rows", "flat");
	onnx_writer_node(writer, "Concat", "dense,flat", "all");
	onnx_writer_int(writer, "axis", 1);
	onnx_writer_node(writer, "MatMul", "all,w", "h");
	onnx_writer_node(writer, "Softmax", "h", "y");
	onnx_writer_int(writer, "axis", 1);
	onnx_writer_output(writer, "y", DTYPE_F32, "batch,2");
	return writer;
}

static void model_install(struct onnx_writer *writer, const char *name, uint32_t handle)
{
	const struct engine_options options = { .rows_max = 4, .activation_bytes_max = 1 << 20,
						.node = -1 };
	const char *path = scratch_directory();
	int fd = scratch_open(path);

	slots_check(onnx_writer_save(writer, path) == 0, "the test can write its models");
	onnx_writer_free(writer);
	slots_check(version_new(fd, name, 1, handle, &options,
				&data.models[handle].current) == 0,
		    "the test's models load");
	data.models[handle].versions[0] = data.models[handle].current;
	close(fd);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const float table[BAG_ROWS * BAG_DIM] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	static struct lane *touched[1];

	(void)argc;
	(void)argv;
	scratch_begin();
	model_install(rank_model(), "rank", RANK_MODEL);
	model_install(bag_model(table), "bags", BAG_MODEL);
	scratch_end();
	data.touched = touched;
	data.counters = &data.own_counters;
	return 0;
}

/* --- the client's turns ---------------------------------------------------------------------------- */

/* One lane serves all inputs: each begins with what lane_open left. */
static void client_open(struct client *client)
{
	static struct lane *lane;
	static struct lane pristine;
	static struct share share;
	static uint8_t *segment;
	struct hearth_layout layout = hearth_layout_of(SLOTS, AREA_BYTES, AREA_BYTES);

	if (!lane) {
		slots_check(lane_open(layout, HEARTH_FEATURE_PROGRESS | HEARTH_FEATURE_TEST, 1, -1,
				      &lane) == 0,
			    "the test can open a lane");
		lane->share = &share;
		pristine = *lane;
		segment = mmap(NULL, layout.client_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
			       lane->fds.client_fd, 0);
		slots_check(segment != MAP_FAILED, "a client can map its segment");
	}
	*lane = pristine;
	for (uint32_t index = 0; index < SLOTS; index++)
		lane->requests[index] = (struct request){ .lane = lane };
	memset(segment, 0, layout.client_bytes);
	memset(lane->completion_slots, 0,
	       layout.completion_slots * sizeof(*lane->completion_slots));
	memset(lane->response_area, CANARY, AREA_BYTES);
	memset(client, 0, sizeof(*client));
	client->lane = lane;
	client->segment = segment;
	client->head = (void *)segment;
}

static void range_allow(struct client *client, const struct hearth_request_slot *slot)
{
	uint64_t end = (uint64_t)slot->response_offset + slot->response_bytes;

	for (uint64_t at = slot->response_offset; at < end && at < AREA_BYTES; at++)
		client->may_write[at] = true;
}

static void client_push(struct client *client, const struct hearth_request_slot *slot)
{
	struct hearth_request_slot *slots =
		(void *)(client->segment + client->lane->layout.request_slots_offset);

	range_allow(client, slot);
	hearth_sq_push(slots, SLOTS, client->pushed++, slot);
}

static struct hearth_request_slot next_slot(struct client *client, uint32_t operation)
{
	uint32_t turn = client->turn++;
	struct hearth_request_slot slot = {
		.id = (UINT64_C(1) + turn / SLOTS) << 32 | turn % SLOTS,
		.operation = operation,
		.request_offset = turn % SLOTS * 1024,
		.request_bytes = 1024,
		.response_offset = turn % SLOTS * 1024,
		.response_bytes = 1024,
	};

	return slot;
}

static void push_slot(struct client *client, const uint8_t *payload, size_t bytes)
{
	struct hearth_request_slot slot = next_slot(client, HEARTH_OP_PING);

	if (bytes > sizeof(slot) - sizeof(slot.seq))
		bytes = sizeof(slot) - sizeof(slot.seq);
	memcpy((uint8_t *)&slot + sizeof(slot.seq), payload, bytes);
	client_push(client, &slot);
}

/* Spoils header and tensors at {offset, byte} pairs. */
static void request_spoil(uint8_t *range, const uint8_t *payload, size_t bytes)
{
	for (; bytes >= 2; bytes -= 2, payload += 2)
		range[payload[0]] = payload[1];
}

static void tensor_put(uint8_t *range, uint32_t index, struct hearth_tensor tensor)
{
	memcpy(range + sizeof(struct hearth_request_header) + index * sizeof(tensor), &tensor,
	       sizeof(tensor));
}

static void push_infer(struct client *client, uint32_t model, const uint8_t *payload,
		       size_t bytes)
{
	struct hearth_request_slot slot = next_slot(client, HEARTH_OP_INFER);
	uint8_t *range = client->segment + client->lane->layout.request_area_offset +
			 slot.request_offset;
	struct hearth_request_header header = { .header_bytes = sizeof(header), .model = model,
						.input_count = 2 };
	uint32_t rows = bytes > 0 ? payload[0] & 15 : 1;
	uint32_t values = bytes > 0 ? payload[0] >> 4 : 1;
	int64_t id = rows & 3;

	memset(range, 0, slot.request_bytes);
	memcpy(range, &header, sizeof(header));
	memcpy(range + 512, &id, sizeof(id));
	if (model == RANK_MODEL) {
		tensor_put(range, 0, (struct hearth_tensor){ 128, rows * 12, HEARTH_F32, 2,
							     { rows, 3 } });
		tensor_put(range, 1, (struct hearth_tensor){ 512, rows * 16, HEARTH_I64, 2,
							     { rows, 2 } });
	} else {
		tensor_put(range, 0, (struct hearth_tensor){ 512, values * 8, HEARTH_I64, 1,
							     { values } });
		tensor_put(range, 1, (struct hearth_tensor){ 128, rows * 8, HEARTH_I64, 1,
							     { rows } });
	}
	if (bytes > 1)
		request_spoil(range, payload + 1, bytes - 1);
	client_push(client, &slot);
}

static void push_stream(struct client *client, const uint8_t *payload, size_t bytes)
{
	struct hearth_request_slot slot = next_slot(client, HEARTH_OP_STREAM_TEST);
	struct hearth_stream_test stream = { .item_count = 3 };

	if (bytes >= 2)
		stream.item_count = payload[0] | (uint32_t)payload[1] << 8;
	memcpy(client->segment + client->lane->layout.request_area_offset + slot.request_offset,
	       &stream, sizeof(stream));
	client_push(client, &slot);
}

static void push_echo(struct client *client, const uint8_t *payload, size_t bytes)
{
	struct hearth_request_slot slot = next_slot(client, HEARTH_OP_ECHO);

	if (bytes >= 4) {
		slot.request_bytes = payload[0] | (uint32_t)payload[1] << 8;
		slot.response_bytes = payload[2] | (uint32_t)payload[3] << 8;
	}
	client_push(client, &slot);
}

/* What is in the ring afterwards may be anything, its ranges too. */
static void segment_write(struct client *client, const uint8_t *payload, size_t bytes)
{
	uint64_t offset;

	if (bytes < 2)
		return;
	offset = payload[0] | (uint64_t)payload[1] << 8;
	offset %= client->lane->layout.client_bytes;
	if (bytes - 2 > client->lane->layout.client_bytes - offset)
		bytes = client->lane->layout.client_bytes - offset + 2;
	memcpy(client->segment + offset, payload + 2, bytes - 2);
	if (offset < client->lane->layout.request_area_offset)
		client->is_wild = true;
}

/* --- the daemon's turn, and what must hold after it ------------------------------------------------ */

static void completions_check(struct client *client)
{
	struct lane *lane = client->lane;
	struct hearth_completion_slot completion;

	while (client->seen < lane->cq_position) {
		slots_check(hearth_cq_pop(lane->completion_slots, lane->layout.completion_slots,
					  client->seen, &completion),
			    "a completion that is counted can be read");
		slots_check(completion.kind == HEARTH_FINAL || completion.kind == HEARTH_PROGRESS,
			    "a completion is final or a mark");
		slots_check(completion.kind == HEARTH_FINAL || completion.status == 0,
			    "a mark has no error");
		client->finals += completion.kind == HEARTH_FINAL;
		client->seen++;
	}
	slots_check(client->finals + lane->unfinished == lane->sq_position,
		    "every slot that was taken has one final completion");
	slots_check(lane->outstanding <= lane->layout.slots, "nobody has more credits than slots");
	slots_check(lane->cq_position - lane->cq_head <= lane->layout.completion_slots,
		    "no completion is written over");
}

static void area_check(const struct client *client)
{
	for (uint32_t at = 0; at < AREA_BYTES && !client->is_wild; at++)
		slots_check(client->may_write[at] || client->lane->response_area[at] == CANARY,
			    "only the ranges that slots name are written");
}

static void pass(struct client *client)
{
	data.now_ns = clock_ns() + client->turn;
	if (intake_look(client->lane))
		(void)intake_lane(&data, client->lane);
	batcher_run_all(&data);
	(void)stream_step_all(&data);
	wake_clients(&data);
	completions_check(client);
	slots_check(client->lane->is_lying || client->is_wild ||
			    client->lane->sq_position <= client->pushed,
		    "only what was pushed is taken");
}

static void op_run(struct client *client, enum op op, const uint8_t *payload, size_t bytes)
{
	switch (op) {
	case OP_PASS:
		pass(client);
		break;
	case OP_WRITE:
		segment_write(client, payload, bytes);
		break;
	case OP_SLOT:
		push_slot(client, payload, bytes);
		break;
	case OP_RANK:
	case OP_BAG:
		push_infer(client, op == OP_RANK ? RANK_MODEL : BAG_MODEL, payload, bytes);
		break;
	case OP_STREAM:
		push_stream(client, payload, bytes);
		break;
	case OP_ECHO:
		push_echo(client, payload, bytes);
		break;
	case OP_CONSUME:
		hearth_cq_consume(client->head,
				  bytes > 0 ? client->lane->cq_head + payload[0] : client->seen);
		break;
	case OP_CANCEL:
		if (bytes > 0)
			((uint32_t *)(void *)(client->segment +
					      client->lane->layout.cancel_offset))
				[payload[0] % SLOTS] = 1 + payload[0] / SLOTS;
		break;
	default:
		client->turn += bytes > 0 ? payload[0] : 1;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count)
{
	struct client *client = malloc(sizeof(*client));
	size_t at = 0;

	if (!client)
		abort();
	client_open(client);
	for (uint32_t ops = 0; ops < OPS_MAX && at + 2 <= byte_count; ops++) {
		enum op op = bytes[at] % OP_COUNT;
		size_t length = bytes[at + 1];

		at += 2;
		if (length > byte_count - at)
			length = byte_count - at;
		op_run(client, op, bytes + at, length);
		at += length;
	}
	/* A client that consumes lets everything end. */
	for (uint32_t step = 0; step < STREAM_STEPS_MAX; step++) {
		if (client->lane->unfinished == 0 && step > 2)
			break;
		pass(client);
		hearth_cq_consume(client->head, client->seen);
	}
	area_check(client);
	slots_check(client->lane->unfinished == 0, "every request ends");
	slots_check(!data.streams && !data.forming, "nothing is left in a batch or stream");
	for (uint32_t model = 0; model < 2; model++)
		slots_check(data.models[model].current->references == 0, "no version is held");
	free(client);
	return 0;
}
