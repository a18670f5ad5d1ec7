/* SPDX-License-Identifier: MIT */
/*
 * tests/hostile/test_hostile.c - a client may write anything into its memory; the others notice nothing
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "garbage.h"
#include "intruder.h"
#include "tests/model/onnx_writer.h"
#include "tests/system/appliance.h"
#include "tests/system/crowd.h"
#include "tests/system/neighbour.h"
#include "tests/system/shoppers.h"

#define TIMEOUT_S 110
#define AREA_BYTES 65536
#define GARBAGE_ROUNDS (30000 / CROWD_SLOWDOWN)

START_TEST(garbage_over_the_whole_region_harms_nobody_else)
{
	enum { WRITERS = 2 };
	struct garbage_plan plans[WRITERS];
	uint64_t *counts = crowd_share(2 * sizeof(*counts));
	uint64_t seed = crowd_seed("garbage");
	struct neighbour neighbour;
	struct appliance appliance;
	pid_t pids[WRITERS];
	uint32_t descriptors;
	uint32_t writer;

	appliance_open(&appliance, NULL);
	neighbour = neighbour_begin(&appliance);
	descriptors = appliance_descriptors(&appliance);
	for (writer = 0; writer < WRITERS; writer++) {
		plans[writer] = (struct garbage_plan){
			.socket = appliance.socket,
			.seed = seed + writer,
			.rounds = GARBAGE_ROUNDS,
			.rounds_done = counts,
			.thrown_out = counts + 1,
		};
		pids[writer] = crowd_start(garbage_run, plans + writer);
	}
	for (writer = 0; writer < WRITERS; writer++)
		crowd_finish(pids[writer]);
	ck_assert_uint_eq(crowd_read(counts), WRITERS * GARBAGE_ROUNDS);
	ck_assert_uint_gt(crowd_read(counts + 1), 0);
	appliance_await_clients(&appliance, 1, descriptors);
	neighbour_end(&neighbour);
	appliance_close(&appliance);
}
END_TEST

struct flicker {
	uint32_t *cancel;
	uint64_t id; /* of the request in flight; 0: stop */
};

/* Sets the request's cancel word and clears it, as fast as can be. */
static void *flicker_run(void *argument)
{
	struct flicker *flicker = argument;
	uint64_t id;

	while ((id = crowd_read(&flicker->id)) != 0) {
		hearth_store_relaxed(flicker->cancel + (uint32_t)id, (uint32_t)(id >> 32));
		hearth_store_relaxed(flicker->cancel + (uint32_t)id, 0);
	}
	return NULL;
}

START_TEST(a_cancel_word_that_flickers_never_shows_another_clients_answers)
{
	enum { REQUESTS = 40000 / CROWD_SLOWDOWN };
	struct hearth_options options = { .size = sizeof(options), .slots = 2 };
	const struct hearth_completion *completion;
	const struct hearth_model_info *model;
	struct hearth_request *request;
	struct neighbour neighbour;
	struct appliance appliance;
	struct hearth *hearth;
	struct flicker flicker;
	pthread_t thread;
	uint32_t answered = 0;
	uint32_t turn;

	appliance_open(&appliance, NULL);
	neighbour = neighbour_begin(&appliance);
	ck_assert_int_eq(hearth_open(appliance.socket, &options, &hearth), 0);
	ck_assert_int_eq(hearth_model(hearth, "shoppers", 0, &model), 0);
	flicker = (struct flicker){ hearth->cancel, UINT64_C(1) << 32 };
	ck_assert_int_eq(pthread_create(&thread, NULL, flicker_run, &flicker), 0);
	for (turn = 0; turn < REQUESTS; turn++) {
		ck_assert_int_eq(hearth_acquire(hearth, model, 1, &request), 0);
		shoppers_fill(request, model, turn % SHOPPERS_ROWS, 1);
		crowd_write(&flicker.id, request->id);
		ck_assert_int_eq(hearth_submit(hearth, request), 0);
		ck_assert_int_eq(hearth_wait(hearth, -1, &completion), 0);
		if (completion->status == 0) {
			shoppers_check(completion, turn % SHOPPERS_ROWS, 1);
			answered++;
		} else {
			ck_assert_int_eq(completion->status, -ECANCELED);
		}
		ck_assert_int_eq(hearth_release(hearth, completion->id), 0);
	}
	ck_assert_uint_gt(answered, 0);
	crowd_write(&flicker.id, 0);
	pthread_join(thread, NULL);
	hearth_close(hearth);
	neighbour_end(&neighbour);
	appliance_close(&appliance);
}
END_TEST

/* --- slots and requests that lie ---------------------------------------------------------------------- */

enum part {
	NOTHING,
	SLOT,
	HEADER,
	DENSE, /* the table of inputs */
	IDS,
	CROSSES,
};

struct patch {
	enum part part;
	uint32_t offset;
	uint32_t bytes;
	uint64_t value;
};

/* One request that is sound but for the patches, and what it must be told. */
struct lie {
	const char *what;
	struct patch patches[3];
	int status;
	uint32_t reason;
	uint32_t tensor;
	uint64_t value;
	uint32_t response_bytes;
};

#define IN(type, part, field, value)                                                               \
	{                                                                                          \
		part, (uint32_t)offsetof(type, field), sizeof(((type *)0)->field), value           \
	}
#define SLOT_IN(field, value) IN(struct hearth_request_slot, SLOT, field, value)
#define HEADER_IN(field, value) IN(struct hearth_request_header, HEADER, field, value)
#define TENSOR_IN(part, field, value) IN(struct hearth_tensor, part, field, value)
#define BAD_SLOT -EINVAL, HEARTH_DETAIL_SLOT, 0, 0, 0
#define BAD_TENSOR(index) -EINVAL, HEARTH_DETAIL_TENSOR, index, 0, 0
#define NO_MODEL(handle, version) -ENOENT, HEARTH_DETAIL_MODEL, (handle) & 0xffffu, version, 0
#define NO_OPERATION(number) -EOPNOTSUPP, HEARTH_DETAIL_OPERATION, 0, number, 0

#define ID ((UINT64_C(1) << 32) | 1)
#define SLOTS 16

static const struct lie lies[] = {
	{ "index = slots", { SLOT_IN(id, UINT64_C(1) << 32 | SLOTS) }, BAD_SLOT },
	{ "index = 2^32 - 1", { SLOT_IN(id, UINT64_MAX) }, BAD_SLOT },
	{ "generation 0", { SLOT_IN(id, 1) }, BAD_SLOT },
	{ "flag 0", { SLOT_IN(flags, 1) }, BAD_SLOT },
	{ "flag 31", { SLOT_IN(flags, 1u << 31) }, BAD_SLOT },
	{ "reserved", { SLOT_IN(_reserved, 1) }, BAD_SLOT },
	{ "operation 0", { SLOT_IN(operation, 0) }, NO_OPERATION(0) },
	{ "operation 5", { SLOT_IN(operation, 5) }, NO_OPERATION(5) },
	{ "operation 2^32 - 1", { SLOT_IN(operation, UINT32_MAX) }, NO_OPERATION(UINT32_MAX) },
	{ "request not aligned", { SLOT_IN(request_offset, 32) }, BAD_SLOT },
	{ "request behind the area", { SLOT_IN(request_offset, AREA_BYTES) }, BAD_SLOT },
	{ "request overflows 32 bits", { SLOT_IN(request_offset, 0xffffffc0) }, BAD_SLOT },
	{ "request 64 bytes too far", { SLOT_IN(request_offset, AREA_BYTES - 64),
					SLOT_IN(request_bytes, 128) }, BAD_SLOT },
	{ "request of 4 GiB", { SLOT_IN(request_bytes, UINT32_MAX) }, BAD_SLOT },
	{ "request of nothing", { SLOT_IN(request_bytes, 0) }, BAD_SLOT },
	{ "request of 63 bytes", { SLOT_IN(request_bytes, 63) }, BAD_SLOT },
	{ "request without its table", { SLOT_IN(request_bytes, 64) }, BAD_SLOT },
	{ "table cut by a byte", { SLOT_IN(request_bytes, 64 + 3 * 28 - 1) }, BAD_SLOT },
	{ "request without its inputs", { SLOT_IN(request_bytes, 192) }, BAD_TENSOR(0) },
	{ "request without its last input", { SLOT_IN(request_bytes, 448) }, BAD_TENSOR(2) },
	{ "response not aligned", { SLOT_IN(response_offset, 1) }, BAD_SLOT },
	{ "response behind the area", { SLOT_IN(response_offset, AREA_BYTES) }, BAD_SLOT },
	{ "response overflows 32 bits", { SLOT_IN(response_offset, 0xffffffc0) }, BAD_SLOT },
	{ "response of 4 GiB", { SLOT_IN(response_bytes, UINT32_MAX) }, BAD_SLOT },
	{ "response of nothing", { SLOT_IN(response_bytes, 0) }, -ENOBUFS, 0, 0, 0, 136 },
	{ "response a byte short", { SLOT_IN(response_bytes, 135) }, -ENOBUFS, 0, 0, 0, 136 },

	{ "echo of 4 GiB", { SLOT_IN(operation, HEARTH_OP_ECHO),
			     SLOT_IN(request_bytes, UINT32_MAX) }, BAD_SLOT },
	{ "echo from behind the area", { SLOT_IN(operation, HEARTH_OP_ECHO),
					 SLOT_IN(request_offset, AREA_BYTES) }, BAD_SLOT },
	{ "echo into nothing", { SLOT_IN(operation, HEARTH_OP_ECHO), SLOT_IN(request_bytes, 1),
				 SLOT_IN(response_bytes, 0) }, -ENOBUFS, 0, 0, 0, 1 },
	{ "echo that overlaps the end", { SLOT_IN(operation, HEARTH_OP_ECHO),
					  SLOT_IN(response_offset, AREA_BYTES - 64),
					  SLOT_IN(response_bytes, 65) }, BAD_SLOT },

	{ "header of 0 bytes", { HEADER_IN(header_bytes, 0) }, BAD_SLOT },
	{ "header of 60 bytes", { HEADER_IN(header_bytes, 60) }, BAD_SLOT },
	{ "header of 66 bytes", { HEADER_IN(header_bytes, 66) }, BAD_SLOT },
	{ "header of 1028 bytes", { HEADER_IN(header_bytes, 1028) }, BAD_SLOT },
	{ "header behind the request", { HEADER_IN(header_bytes, 1024) }, BAD_SLOT },
	{ "header of 4 GiB", { HEADER_IN(header_bytes, 0xfffffffc) }, BAD_SLOT },
	{ "header flag", { HEADER_IN(flags, 1) }, BAD_SLOT },
	{ "header reserved, first", { HEADER_IN(_reserved[0], 1) }, BAD_SLOT },
	{ "header reserved, last", { HEADER_IN(_reserved[31], 1) }, BAD_SLOT },
	{ "65 inputs", { HEADER_IN(input_count, 65) }, BAD_SLOT },
	{ "2^32 - 1 inputs", { HEADER_IN(input_count, UINT32_MAX) }, BAD_SLOT },
	{ "64 inputs do not fit", { HEADER_IN(input_count, 64) }, BAD_SLOT },
	{ "no inputs", { HEADER_IN(input_count, 0) }, BAD_TENSOR(0) },
	{ "an input less", { HEADER_IN(input_count, 2) }, BAD_TENSOR(2) },
	{ "an input more", { HEADER_IN(input_count, 4) }, BAD_TENSOR(3) },
	{ "no such model", { HEADER_IN(model, 9) }, NO_MODEL(9, 0) },
	{ "model 255", { HEADER_IN(model, 255) }, NO_MODEL(255, 0) },
	{ "model 256", { HEADER_IN(model, 256) }, NO_MODEL(256, 0) },
	{ "model 2^32 - 1", { HEADER_IN(model, UINT32_MAX) }, NO_MODEL(UINT32_MAX, 0) },
	{ "no such version", { HEADER_IN(version, 77) }, NO_MODEL(0, 77) },
	{ "version 2^32 - 1", { HEADER_IN(version, UINT32_MAX) }, NO_MODEL(0, UINT32_MAX) },

	{ "input not aligned", { TENSOR_IN(DENSE, offset, 193) }, BAD_TENSOR(0) },
	{ "input behind the request", { TENSOR_IN(IDS, offset, AREA_BYTES) }, BAD_TENSOR(1) },
	{ "input overflows 32 bits", { TENSOR_IN(CROSSES, offset, 0xffffffc0) }, BAD_TENSOR(2) },
	{ "input of nothing", { TENSOR_IN(DENSE, bytes, 0) }, BAD_TENSOR(0) },
	{ "input a byte short", { TENSOR_IN(IDS, bytes, 2 * 7 * 8 - 1) }, BAD_TENSOR(1) },
	{ "input a byte long", { TENSOR_IN(IDS, bytes, 2 * 7 * 8 + 1) }, BAD_TENSOR(1) },
	{ "input of 4 GiB", { TENSOR_IN(CROSSES, bytes, UINT32_MAX) }, BAD_TENSOR(2) },
	{ "dtype 0", { TENSOR_IN(DENSE, dtype, 0) }, BAD_TENSOR(0) },
	{ "integers for floats", { TENSOR_IN(DENSE, dtype, HEARTH_I32) }, BAD_TENSOR(0) },
	{ "narrow ids", { TENSOR_IN(IDS, dtype, HEARTH_I32) }, BAD_TENSOR(1) },
	{ "dtype 65535", { TENSOR_IN(CROSSES, dtype, 65535) }, BAD_TENSOR(2) },
	{ "rank 0", { TENSOR_IN(DENSE, rank, 0) }, BAD_TENSOR(0) },
	{ "rank 1", { TENSOR_IN(DENSE, rank, 1) }, BAD_TENSOR(0) },
	{ "rank 3", { TENSOR_IN(IDS, rank, 3) }, BAD_TENSOR(1) },
	{ "rank 5", { TENSOR_IN(IDS, rank, 5) }, BAD_TENSOR(1) },
	{ "rank 65535", { TENSOR_IN(CROSSES, rank, 65535) }, BAD_TENSOR(2) },
	{ "columns 11 of 10", { TENSOR_IN(DENSE, dims[1], 11) }, BAD_TENSOR(0) },
	{ "columns 0", { TENSOR_IN(CROSSES, dims[1], 0) }, BAD_TENSOR(2) },
	{ "rows disagree", { TENSOR_IN(IDS, dims[0], 3) }, BAD_TENSOR(1) },
	{ "more rows than bytes", { TENSOR_IN(DENSE, dims[0], 3), TENSOR_IN(IDS, dims[0], 3),
				    TENSOR_IN(CROSSES, dims[0], 3) }, BAD_TENSOR(0) },
	{ "no rows", { TENSOR_IN(DENSE, dims[0], 0), TENSOR_IN(IDS, dims[0], 0),
		       TENSOR_IN(CROSSES, dims[0], 0) }, BAD_TENSOR(0) },
	{ "2^31 rows", { TENSOR_IN(DENSE, dims[0], 1u << 31), TENSOR_IN(IDS, dims[0], 1u << 31),
			 TENSOR_IN(CROSSES, dims[0], 1u << 31) }, BAD_TENSOR(0) },
	{ "2^32 - 1 rows", { TENSOR_IN(DENSE, dims[0], UINT32_MAX),
			     TENSOR_IN(IDS, dims[0], UINT32_MAX),
			     TENSOR_IN(CROSSES, dims[0], UINT32_MAX) }, BAD_TENSOR(0) },
};

static void patch_apply(struct intruder *intruder, struct hearth_request_slot *slot,
			const struct patch *patch)
{
	uint8_t *range = intruder->request_area + slot->request_offset;
	uint8_t *object = range;

	if (patch->part == NOTHING)
		return;
	if (patch->part == SLOT)
		object = (uint8_t *)slot;
	else if (patch->part != HEADER)
		object = range + sizeof(struct hearth_request_header) +
			 (uint32_t)(patch->part - DENSE) * sizeof(struct hearth_tensor);
	memcpy(object + patch->offset, &patch->value, patch->bytes); /* little endian */
}

static const struct hearth_model_info *model_ask(const char *socket, const char *name,
						 struct hearth **ret_hearth)
{
	const struct hearth_model_info *model = NULL;
	struct hearth_options options = { .size = sizeof(options), .slots = 1,
					  .request_area_bytes = 4096,
					  .response_area_bytes = 4096 };

	ck_assert_int_eq(hearth_open(socket, &options, ret_hearth), 0);
	ck_assert_int_eq(hearth_model(*ret_hearth, name, 0, &model), 0);
	return model;
}

static struct hearth_request_slot sound_infer(struct intruder *intruder,
					      const struct hearth_model_info *model)
{
	struct hearth_request_slot slot = {
		.id = ID,
		.operation = HEARTH_OP_INFER,
		.request_bytes = intruder_write_infer(intruder, 0, model, 5, 2),
		.response_bytes = 136,
	};

	return slot;
}

START_TEST(every_lie_is_answered_once_with_its_reason_and_the_connection_serves_on)
{
	const struct hearth_model_info *model;
	struct hearth_completion_slot completion;
	struct neighbour neighbour;
	struct appliance appliance;
	struct intruder intruder;
	struct hearth *honest;
	uint32_t index;
	uint32_t patch;

	appliance_open(&appliance, NULL);
	neighbour = neighbour_begin(&appliance);
	model = model_ask(appliance.socket, "shoppers", &honest);
	ck_assert_str_eq(model->inputs[0].name, "dense");
	ck_assert_str_eq(model->inputs[1].name, "ids");
	intruder_open(&intruder, appliance.socket, SLOTS, AREA_BYTES, AREA_BYTES);
	for (index = 0; index < sizeof(lies) / sizeof(lies[0]); index++) {
		const struct lie *lie = lies + index;
		struct hearth_request_slot slot = sound_infer(&intruder, model);

		for (patch = 0; patch < 3; patch++)
			patch_apply(&intruder, &slot, lie->patches + patch);
		intruder_push(&intruder, &slot);
		completion = intruder_take(&intruder);
		must(completion.kind == HEARTH_FINAL && completion.id == slot.id, "%s: id %#" PRIx64
		     ", kind %u", lie->what, completion.id, completion.kind);
		must(completion.status == lie->status, "%s: status %d, expected %d", lie->what,
		     completion.status, lie->status);
		must(completion.detail == (lie->reason ? hearth_detail(lie->reason, lie->tensor,
								       lie->value)
						       : 0),
		     "%s: detail %#" PRIx64 ", expected reason %u, tensor %u, value %" PRIu64,
		     lie->what, completion.detail, lie->reason, lie->tensor, lie->value);
		must(completion.response_bytes == lie->response_bytes, "%s: %u response bytes",
		     lie->what, completion.response_bytes);
		intruder_ping(&intruder, UINT64_C(7) << 32 | 2);
	}
	for (index = 0; index < 100; index++) {
		struct hearth_request_slot slot = sound_infer(&intruder, model);

		intruder_push(&intruder, &slot);
		completion = intruder_take(&intruder);
		ck_assert_int_eq(completion.status, 0);
	}
	ck_assert(!intruder_is_out(&intruder));
	intruder_close(&intruder);
	hearth_close(honest);
	neighbour_end(&neighbour);
	appliance_close(&appliance);
}
END_TEST

START_TEST(an_id_that_is_in_flight_is_refused_and_the_first_one_goes_on)
{
	struct hearth_stream_test stream = { .item_count = 8192 };
	struct hearth_request_slot slot = {
		.id = ID,
		.operation = HEARTH_OP_STREAM_TEST,
		.request_bytes = sizeof(stream),
		.response_bytes = AREA_BYTES,
	};
	struct hearth_completion_slot completion;
	struct appliance appliance;
	struct intruder intruder;
	uint32_t refused = 0;
	uint32_t turn;

	appliance_open(&appliance, NULL);
	intruder_open(&intruder, appliance.socket, SLOTS, AREA_BYTES, AREA_BYTES);
	memcpy(intruder.request_area, &stream, sizeof(stream));
	for (turn = 0; turn < 10; turn++) {
		/* Both at once, so that the second finds the first. */
		hearth_sq_push(intruder.request_slots, SLOTS, intruder.sq_position++, &slot);
		intruder_push(&intruder, &slot);
		for (uint32_t finals = 0; finals < 2;) {
			completion = intruder_take(&intruder);
			ck_assert_uint_eq(completion.id, ID);
			if (completion.kind != HEARTH_FINAL)
				continue;
			finals++;
			ck_assert(completion.status == 0 || completion.status == -EINVAL);
			refused += completion.status < 0;
		}
	}
	ck_assert_uint_ge(refused, 1);
	intruder_ping(&intruder, ID);
	intruder_close(&intruder);
	appliance_close(&appliance);
}
END_TEST

/* 2^31 * 2^31 * 4 bytes are 0 in 64 bits. */
START_TEST(dimensions_whose_product_overflows_are_refused)
{
	static const uint32_t dims[][2] = {
		{ 1u << 31, 1u << 31 }, { UINT32_MAX, UINT32_MAX }, { 1u << 30, 1 },
		{ 0, 1u << 31 },	{ 1u << 16, 1u << 14 },	    { UINT32_MAX, 1 },
	};
	struct hearth_request_header header = { .header_bytes = sizeof(header),
						.input_count = 1 };
	struct hearth_tensor tensor = { .offset = 128, .dtype = HEARTH_F32, .rank = 2 };
	struct onnx_writer *writer = onnx_writer_new(17);
	struct hearth_completion_slot completion;
	const struct hearth_model_info *model;
	struct appliance appliance;
	struct intruder intruder;
	struct hearth *honest;
	char directory[256];
	uint32_t index;

	appliance_init(&appliance);
	snprintf(directory, sizeof(directory), "mkdir -p %s/wide/1", appliance.repository);
	ck_assert_int_eq(system(directory), 0);
	onnx_writer_input(writer, "x", DTYPE_F32, "some,more");
	onnx_writer_node(writer, "Relu", "x", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, "some,more");
	snprintf(directory, sizeof(directory), "%s/wide/1", appliance.repository);
	ck_assert_int_eq(onnx_writer_save(writer, directory), 0);
	onnx_writer_free(writer);

	appliance_start(&appliance, (const char *[]){ "--activation-bytes-max", "16M", NULL });
	model = model_ask(appliance.socket, "wide", &honest);
	intruder_open(&intruder, appliance.socket, SLOTS, AREA_BYTES, AREA_BYTES);
	header.model = model->handle;
	for (index = 0; index < sizeof(dims) / sizeof(dims[0]); index++) {
		struct hearth_request_slot slot = { .id = ID, .operation = HEARTH_OP_INFER,
						    .request_bytes = AREA_BYTES,
						    .response_bytes = AREA_BYTES };

		tensor.dims[0] = dims[index][0];
		tensor.dims[1] = dims[index][1];
		tensor.bytes = dims[index][0] * dims[index][1] * 4; /* modulo 2^32 */
		memcpy(intruder.request_area, &header, sizeof(header));
		memcpy(intruder.request_area + sizeof(header), &tensor, sizeof(tensor));
		intruder_push(&intruder, &slot);
		completion = intruder_take(&intruder);
		must(completion.status < 0, "%u x %u: status %d", dims[index][0], dims[index][1],
		     completion.status);
		intruder_ping(&intruder, ID);
	}
	intruder_close(&intruder);
	hearth_close(honest);
	appliance_close(&appliance);
}
END_TEST

/* --- what cannot be ------------------------------------------------------------------------------------ */

static void claim_the_future(struct intruder *intruder)
{
	hearth_cq_consume(intruder->client, intruder->cq_position + 1);
	intruder_ring(intruder);
}

static void claim_the_far_future(struct intruder *intruder)
{
	hearth_cq_consume(intruder->client, UINT64_MAX);
	intruder_ring(intruder);
}

static void take_consumption_back(struct intruder *intruder)
{
	uint32_t turn;

	/* When its credits would be used up, the daemon reads that it has consumed some. */
	for (turn = 0; turn <= SLOTS; turn++)
		intruder_ping(intruder, ID);
	hearth_cq_consume(intruder->client, 0);
	intruder_ring(intruder);
}

/* More in flight than there are slots: all of it is published at once. */
static void submit_without_credit(struct intruder *intruder)
{
	struct hearth_request_slot ping = { .id = ID, .operation = HEARTH_OP_PING };
	uint32_t turn;

	for (turn = 0; turn < SLOTS; turn++)
		intruder_push(intruder, &ping);
	for (turn = 0; turn < SLOTS; turn++) {
		struct hearth_completion_slot completion;

		await(hearth_cq_pop(intruder->completion_slots, intruder->layout.completion_slots,
				    intruder->cq_position + turn, &completion));
	}
	intruder_push(intruder, &ping);
}

static void (*const impossible[])(struct intruder *) = {
	claim_the_future,
	claim_the_far_future,
	take_consumption_back,
	submit_without_credit,
};

START_TEST(who_claims_what_cannot_be_is_disconnected_and_nobody_else)
{
	struct neighbour neighbour;
	struct appliance appliance;
	struct intruder intruder;
	uint32_t descriptors;

	appliance_open(&appliance, NULL);
	neighbour = neighbour_begin(&appliance);
	descriptors = appliance_descriptors(&appliance);
	intruder_open(&intruder, appliance.socket, SLOTS, AREA_BYTES, AREA_BYTES);
	intruder_ping(&intruder, ID);
	impossible[_i](&intruder);
	await(intruder_is_out(&intruder));
	/* It keeps its maps and its socket; the daemon keeps nothing. */
	appliance_await_clients(&appliance, 1, descriptors);
	intruder_close(&intruder);
	neighbour_end(&neighbour);
	appliance_close(&appliance);
}
END_TEST

/* --- segments -------------------------------------------------------------------------------------------- */

START_TEST(the_daemons_segment_cannot_be_written_and_neither_can_be_resized)
{
	struct appliance appliance;
	struct intruder intruder;
	char path[64];
	int fd;

	appliance_open(&appliance, NULL);
	intruder_open(&intruder, appliance.socket, SLOTS, AREA_BYTES, AREA_BYTES);
	ck_assert_ptr_eq(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, intruder.daemon_fd, 0),
			 MAP_FAILED);
	ck_assert_int_lt(mprotect((void *)(uintptr_t)intruder.daemon_base, 4096,
				  PROT_READ | PROT_WRITE), 0);
	ck_assert_int_lt(pwrite(intruder.daemon_fd, "x", 1, 0), 0);
	ck_assert_int_lt(fallocate(intruder.daemon_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				   0, 4096), 0);
	ck_assert_int_lt(madvise((void *)(uintptr_t)intruder.daemon_base, 4096, MADV_REMOVE), 0);
	ck_assert_int_lt(ftruncate(intruder.daemon_fd, 4096), 0);
	ck_assert_int_lt(ftruncate(intruder.client_fd, 4096), 0);
	ck_assert_int_lt(ftruncate(intruder.client_fd, 1 << 30), 0);
	ck_assert_int_lt(fcntl(intruder.client_fd, F_ADD_SEALS, F_SEAL_WRITE), 0);

	/* The same through another descriptor of the same memory. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", intruder.daemon_fd);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0) {
		ck_assert_ptr_eq(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0),
				 MAP_FAILED);
		ck_assert_int_lt(pwrite(fd, "x", 1, 0), 0);
		close(fd);
	}
	intruder_ping(&intruder, ID);
	intruder_close(&intruder);
	appliance_close(&appliance);
}
END_TEST

START_TEST(whoever_is_served_cannot_punch_holes_and_who_has_is_not_served)
{
	struct neighbour neighbour;
	struct appliance appliance;
	struct intruder intruder;
	uint32_t descriptors;

	appliance_open(&appliance, NULL);
	neighbour = neighbour_begin(&appliance);
	descriptors = appliance_descriptors(&appliance);
	intruder_open(&intruder, appliance.socket, SLOTS, AREA_BYTES, AREA_BYTES);
	intruder_ping(&intruder, ID);
	ck_assert_int_lt(madvise(intruder.request_area, AREA_BYTES, MADV_REMOVE), 0);
	ck_assert_int_lt(fallocate(intruder.client_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				   0, 4096), 0);
	intruder_ping(&intruder, ID);
	intruder_close(&intruder);

	ck_assert_int_eq(intruder_connect(&intruder, appliance.socket), 0);
	ck_assert_int_eq(intruder_greet(&intruder, SLOTS, AREA_BYTES, AREA_BYTES), 0);
	ck_assert_int_eq(madvise(intruder.request_area, 4096, MADV_REMOVE), 0);
	intruder_enter(&intruder);
	await(intruder_is_out(&intruder));
	intruder_close(&intruder);
	appliance_await_clients(&appliance, 1, descriptors);
	neighbour_end(&neighbour);
	appliance_close(&appliance);
}
END_TEST

/* --- bells ------------------------------------------------------------------------------------------------ */

static const char *const bell_flags[][3] = { { "--bell", "auto", NULL },
					     { "--bell", "socket", NULL },
					     { "--wait", "poll", NULL } };
#define BELLS (sizeof(bell_flags) / sizeof(bell_flags[0]))

START_TEST(ringing_without_work_costs_only_the_one_who_rings)
{
	enum { RINGS = 20000 / CROWD_SLOWDOWN };
	struct neighbour neighbour;
	struct appliance appliance;
	struct intruder intruder;
	uint32_t turn;

	appliance_open(&appliance, bell_flags[_i]);
	neighbour = neighbour_begin(&appliance);
	intruder_open(&intruder, appliance.socket, SLOTS, AREA_BYTES, AREA_BYTES);
	for (turn = 0; turn < RINGS; turn++) {
		intruder_ring(&intruder);
		if (turn % 1000 == 0)
			intruder_ping(&intruder, ID);
	}
	neighbour_check(&neighbour);
	intruder_ping(&intruder, ID);
	intruder_close(&intruder);
	neighbour_end(&neighbour);
	appliance_close(&appliance);
}
END_TEST

START_TEST(a_thief_of_its_own_wake_hurts_only_itself)
{
	struct neighbour neighbour;
	struct appliance appliance;
	struct intruder intruder;
	uint32_t descriptors;
	uint32_t turn;

	appliance_open(&appliance, bell_flags[0]);
	neighbour = neighbour_begin(&appliance);
	descriptors = appliance_descriptors(&appliance);
	for (turn = 0; turn < 5; turn++) {
		intruder_open(&intruder, appliance.socket, SLOTS, AREA_BYTES, AREA_BYTES);
		intruder_ping(&intruder, ID);
		await(hearth_load_relaxed(&intruder.daemon->need_wakeup));
		/* Whoever sleeps on sq_bell sleeps on a cancel word from now on. */
		(void)syscall(SYS_futex, &intruder.client->sq_bell, FUTEX_REQUEUE, 0,
			      (void *)1024L, intruder.cancel, 0);
		intruder_ring(&intruder);
		neighbour_check(&neighbour);
		intruder_close(&intruder);
		/* The wait that was led astray ends with the connection. */
		appliance_await_clients(&appliance, 1, descriptors);
	}
	neighbour_end(&neighbour);
	appliance_close(&appliance);
}
END_TEST

START_TEST(a_client_that_never_reads_its_socket_does_not_hold_up_the_daemon)
{
	struct hearth_describe describe = { .version = 0 };
	struct hearth_request_slot ping = { .id = ID, .operation = HEARTH_OP_PING };
	struct hearth_completion_slot completion;
	struct neighbour neighbour;
	struct appliance appliance;
	struct intruder intruder;
	uint32_t descriptors;
	uint32_t turn;
	int r;

	appliance_open(&appliance, bell_flags[_i]);
	neighbour = neighbour_begin(&appliance);
	descriptors = appliance_descriptors(&appliance);
	intruder_open(&intruder, appliance.socket, SLOTS, AREA_BYTES, AREA_BYTES);
	fcntl(intruder.fd, F_SETFL, fcntl(intruder.fd, F_GETFL) & ~O_NONBLOCK);

	/* Bells that nobody takes out of the socket. */
	for (turn = 0; turn < 2000; turn++) {
		hearth_cq_doze(intruder.client, intruder.daemon, intruder.cq_position + 1,
			       HEARTH_CQ_SOCKET);
		intruder_push(&intruder, &ping);
		completion = intruder_take(&intruder);
		ck_assert_int_eq(completion.status, 0);
	}
	neighbour_check(&neighbour);

	/* Answers that nobody takes: the daemon keeps one and asks for no more questions. */
	snprintf(describe.name, sizeof(describe.name), "shoppers");
	for (turn = 0; turn < 200;) {
		r = intruder_say(&intruder, HEARTH_MESSAGE_DESCRIBE,
				 (const uint8_t *)&describe + sizeof(describe.message),
				 sizeof(describe) - sizeof(describe.message));
		ck_assert(r == 0 || r == -EAGAIN);
		turn = r == 0 ? 0 : turn + 1;
		if (r == -EAGAIN)
			crowd_pause_ns(100000);
	}
	neighbour_check(&neighbour);
	ck_assert(!intruder_is_out(&intruder));
	intruder_close(&intruder);
	appliance_await_clients(&appliance, 1, descriptors);
	neighbour_end(&neighbour);
	appliance_close(&appliance);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("hostile");
	TCase *memory = tcase_create("memory");
	TCase *bells = tcase_create("bells");

	tcase_set_timeout(memory, TIMEOUT_S);
	tcase_add_test(memory, garbage_over_the_whole_region_harms_nobody_else);
	tcase_add_test(memory,
		       a_cancel_word_that_flickers_never_shows_another_clients_answers);
	tcase_add_test(memory,
		       every_lie_is_answered_once_with_its_reason_and_the_connection_serves_on);
	tcase_add_test(memory, an_id_that_is_in_flight_is_refused_and_the_first_one_goes_on);
	tcase_add_test(memory, dimensions_whose_product_overflows_are_refused);
	tcase_add_loop_test(memory, who_claims_what_cannot_be_is_disconnected_and_nobody_else, 0,
			    sizeof(impossible) / sizeof(impossible[0]));
	tcase_add_test(memory, the_daemons_segment_cannot_be_written_and_neither_can_be_resized);
	tcase_add_test(memory, whoever_is_served_cannot_punch_holes_and_who_has_is_not_served);
	suite_add_tcase(suite, memory);

	tcase_set_timeout(bells, TIMEOUT_S);
	tcase_add_loop_test(bells, ringing_without_work_costs_only_the_one_who_rings, 0,
			    BELLS);
	tcase_add_test(bells, a_thief_of_its_own_wake_hurts_only_itself);
	tcase_add_loop_test(bells,
			    a_client_that_never_reads_its_socket_does_not_hold_up_the_daemon, 0,
			    BELLS);
	suite_add_tcase(suite, bells);
	return appliance_check(suite);
}
