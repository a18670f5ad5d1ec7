/* SPDX-License-Identifier: MIT */
/*
 * tests/system/test_hostile.c - a client may write and say anything; the others notice nothing
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <poll.h>
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

#include "appliance.h"
#include "crowd.h"
#include "garbage.h"
#include "intruder.h"
#include "ledger.h"
#include "tests/model/onnx_writer.h"

#define TIMEOUT_S 110
#define AREA_BYTES 65536
#define GARBAGE_ROUNDS (30000 / CROWD_SLOWDOWN)

/* --- honest clients beside --------------------------------------------------------------------------- */

/* Asks for everything, checks every answer, until it is told to stop. */
struct neighbour {
	struct ledger_plan plan;
	uint64_t *stop;
	uint64_t *answered;
	pid_t pid;
};

static struct neighbour neighbour_begin(const struct appliance *appliance)
{
	struct neighbour neighbour = { .stop = crowd_share(2 * sizeof(uint64_t)) };

	neighbour.answered = neighbour.stop + 1;
	neighbour.plan = (struct ledger_plan){
		.socket = appliance->socket,
		.slots = 16,
		.seed = 1,
		.stop = neighbour.stop,
		.answered = neighbour.answered,
		.kinds = LEDGER_ALL,
	};
	neighbour.pid = crowd_start(ledger_run, &neighbour.plan);
	await(crowd_read(neighbour.answered) > 0);
	return neighbour;
}

/* It is served now, not only before. */
static void neighbour_check(const struct neighbour *neighbour)
{
	uint64_t before = crowd_read(neighbour->answered);

	await(crowd_read(neighbour->answered) > before + 100);
}

static void neighbour_end(const struct neighbour *neighbour)
{
	neighbour_check(neighbour);
	crowd_write(neighbour->stop, 1);
	crowd_finish(neighbour->pid);
}

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
	{ "operation 4", { SLOT_IN(operation, 4) }, NO_OPERATION(4) },
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
	/* With this one the daemon has read that the one before it is consumed. */
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

START_TEST(holes_in_its_own_segment_harm_only_the_one_who_punched_them)
{
	struct hearth_completion_slot completion;
	const struct hearth_model_info *model;
	struct neighbour neighbour;
	struct appliance appliance;
	struct intruder intruder;
	struct hearth *honest;
	uint32_t turn;

	appliance_open(&appliance, NULL);
	neighbour = neighbour_begin(&appliance);
	model = model_ask(appliance.socket, "shoppers", &honest);
	intruder_open(&intruder, appliance.socket, SLOTS, AREA_BYTES, AREA_BYTES);
	for (turn = 0; turn < 200; turn++) {
		struct hearth_request_slot slot = sound_infer(&intruder, model);

		slot.id = (uint64_t)(turn + 1) << 32 | turn % SLOTS;
		intruder_push(&intruder, &slot);
		madvise(intruder.request_area, AREA_BYTES, MADV_REMOVE);
		completion = intruder_take(&intruder);
		ck_assert_uint_eq(completion.id, slot.id);
		/* read before the hole, in the middle of it, or after it */
		ck_assert(completion.status == 0 || completion.status == -EINVAL);
	}
	/* Everything: cq_head becomes 0, which cannot be. */
	madvise(intruder.base, intruder.layout.client_bytes, MADV_REMOVE);
	intruder_ring(&intruder);
	await(intruder_is_out(&intruder));
	intruder_close(&intruder);
	hearth_close(honest);
	neighbour_end(&neighbour);
	appliance_close(&appliance);
}
END_TEST

/* --- bells ------------------------------------------------------------------------------------------------ */

static const char *const bell_flags[][3] = { { "--bell", "auto", NULL },
					     { "--bell", "socket", NULL } };

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

	/* Answers that nobody takes, until the daemon has had enough of it. */
	snprintf(describe.name, sizeof(describe.name), "shoppers");
	do {
		r = intruder_say(&intruder, HEARTH_MESSAGE_DESCRIBE,
				 (const uint8_t *)&describe + sizeof(describe.message),
				 sizeof(describe) - sizeof(describe.message));
		if (r == -EAGAIN)
			crowd_pause_ns(100000);
	} while (!intruder_is_out(&intruder) && (r == 0 || r == -EAGAIN));
	await(intruder_is_out(&intruder));
	intruder_close(&intruder);
	appliance_await_clients(&appliance, 1, descriptors);
	neighbour_end(&neighbour);
	appliance_close(&appliance);
}
END_TEST

/* --- the handshake ----------------------------------------------------------------------------------------- */

static void send_raw(const struct intruder *intruder, const void *packet, size_t bytes)
{
	ck_assert_int_eq(send(intruder->fd, packet, bytes, MSG_NOSIGNAL), (ssize_t)bytes);
}

static void half_a_hello(struct intruder *intruder)
{
	struct hearth_hello hello;

	intruder_hello_init(&hello);
	send_raw(intruder, &hello, 10);
}

static void hello_of_a_head(struct intruder *intruder)
{
	struct hearth_hello hello;

	intruder_hello_init(&hello);
	hello.message.bytes = sizeof(hello.message);
	send_raw(intruder, &hello, sizeof(hello.message));
}

static void wrong_magic(struct intruder *intruder)
{
	struct hearth_hello hello;

	intruder_hello_init(&hello);
	hello.message.magic++;
	send_raw(intruder, &hello, sizeof(hello));
}

static void wrong_length(struct intruder *intruder)
{
	struct hearth_hello hello;

	intruder_hello_init(&hello);
	hello.message.bytes++;
	send_raw(intruder, &hello, sizeof(hello));
}

static void unknown_type(struct intruder *intruder)
{
	ck_assert_int_eq(intruder_say(intruder, 999, NULL, 0), 0);
}

static void ready_without_hello(struct intruder *intruder)
{
	intruder_enter(intruder);
}

static void ready_twice(struct intruder *intruder)
{
	ck_assert_int_eq(intruder_greet(intruder, 4, 4096, 4096), 0);
	intruder_enter(intruder);
	intruder_enter(intruder);
}

static void giant_packet(struct intruder *intruder)
{
	static uint8_t packet[100000];
	struct hearth_message head = { .magic = HEARTH_MAGIC, .type = HEARTH_MESSAGE_CONTROL,
				       .bytes = sizeof(packet) };

	memcpy(packet, &head, sizeof(head));
	send_raw(intruder, packet, sizeof(packet));
}

static void empty_packet(struct intruder *intruder)
{
	ck_assert_int_eq(send(intruder->fd, "", 0, MSG_NOSIGNAL), 0);
}

static void (*const rudenesses[])(struct intruder *) = {
	half_a_hello, hello_of_a_head, wrong_magic, wrong_length, unknown_type,
	ready_without_hello, ready_twice, giant_packet, empty_packet,
};

START_TEST(who_breaks_the_handshake_is_let_go)
{
	struct neighbour neighbour;
	struct appliance appliance;
	struct intruder intruder;
	uint32_t descriptors;
	uint32_t index;

	appliance_open(&appliance, NULL);
	neighbour = neighbour_begin(&appliance);
	descriptors = appliance_descriptors(&appliance);
	for (index = 0; index < sizeof(rudenesses) / sizeof(rudenesses[0]); index++) {
		ck_assert_int_eq(intruder_connect(&intruder, appliance.socket), 0);
		rudenesses[index](&intruder);
		await(intruder_is_out(&intruder));
		intruder_close(&intruder);
	}
	appliance_await_clients(&appliance, 1, descriptors);
	neighbour_end(&neighbour);
	appliance_close(&appliance);
}
END_TEST

START_TEST(a_hello_that_cannot_be_granted_is_refused_with_a_sentence)
{
	static const struct {
		uint32_t slots;
		uint32_t request_area_bytes;
		uint32_t response_area_bytes;
	} wishes[] = {
		{ 4097, 4096, 4096 },	      { UINT32_MAX, 4096, 4096 },
		{ 4, (1u << 30) + 1, 4096 },  { 4, 4096, (1u << 30) + 1 },
		{ 4, UINT32_MAX, UINT32_MAX },
	};
	struct hearth_hello hello;
	struct appliance appliance;
	struct intruder intruder;
	uint32_t descriptors;
	uint32_t index;

	appliance_open(&appliance, NULL);
	descriptors = appliance_descriptors(&appliance);
	for (index = 0; index < sizeof(wishes) / sizeof(wishes[0]); index++) {
		ck_assert_int_eq(intruder_connect(&intruder, appliance.socket), 0);
		ck_assert_int_eq(intruder_greet(&intruder, wishes[index].slots,
						wishes[index].request_area_bytes,
						wishes[index].response_area_bytes), -EINVAL);
		ck_assert_uint_ge(strlen(intruder.reply.text), 20);
		/* Another try over the same socket is welcome. */
		ck_assert_int_eq(intruder_greet(&intruder, 4, 4096, 4096), 0);
		/* And the third has its segments already. */
		ck_assert_int_eq(intruder_greet(&intruder, 4, 4096, 4096), -EALREADY);
		intruder_enter(&intruder);
		intruder_ping(&intruder, ID);
		intruder_close(&intruder);
	}
	ck_assert_int_eq(intruder_connect(&intruder, appliance.socket), 0);
	intruder_hello_init(&hello);
	hello.flags = 1;
	send_raw(&intruder, &hello, sizeof(hello));
	ck_assert_int_eq(recv(intruder.fd, &intruder.reply, sizeof(intruder.reply), 0),
			 sizeof(intruder.reply));
	ck_assert_int_eq(intruder.reply.message.status, -EINVAL);
	intruder_close(&intruder);
	appliance_await_clients(&appliance, 0, descriptors);
	appliance_close(&appliance);
}
END_TEST

START_TEST(descriptors_sent_along_are_dropped)
{
	union {
		struct cmsghdr header;
		uint8_t bytes[CMSG_SPACE(8 * sizeof(int))];
	} control;
	struct hearth_message bell = { .magic = HEARTH_MAGIC, .type = HEARTH_MESSAGE_BELL,
				       .bytes = sizeof(bell) };
	struct iovec part = { &bell, sizeof(bell) };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	struct appliance appliance;
	struct intruder intruder;
	uint32_t descriptors;
	uint32_t turn;
	int fds[8] = { 0, 1, 2, 0, 1, 2, 0, 1 };

	appliance_open(&appliance, NULL);
	intruder_open(&intruder, appliance.socket, SLOTS, AREA_BYTES, AREA_BYTES);
	intruder_ping(&intruder, ID);
	descriptors = appliance_descriptors(&appliance);
	message.msg_control = &control;
	message.msg_controllen = sizeof(control);
	memset(&control, 0, sizeof(control));
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(&control.header), fds, sizeof(fds));
	for (turn = 0; turn < 200; turn++)
		ck_assert_int_eq(sendmsg(intruder.fd, &message, MSG_NOSIGNAL), sizeof(bell));
	intruder_ping(&intruder, ID);
	appliance_await_clients(&appliance, 1, descriptors);
	intruder_close(&intruder);
	appliance_close(&appliance);
}
END_TEST

START_TEST(three_hundred_connections_are_held_to_the_users_share)
{
	enum { COUNT = 300, LIMIT = 256 };
	static struct intruder intruders[COUNT];
	struct rlimit files = { 2048, 2048 };
	struct appliance appliance;
	uint32_t descriptors;
	uint32_t granted = 0;
	uint32_t index;

	(void)setrlimit(RLIMIT_NOFILE, &files);
	appliance_open(&appliance, NULL);
	descriptors = appliance_descriptors(&appliance);
	for (index = 0; index < COUNT; index++) {
		int r;

		ck_assert_int_eq(intruder_connect(intruders + index, appliance.socket), 0);
		r = intruder_greet(intruders + index, 1, 4096, 4096);
		ck_assert_int_eq(r, index < LIMIT ? 0 : -EDQUOT);
		granted += r == 0;
		if (r == 0)
			intruder_enter(intruders + index);
		else
			ck_assert(strstr(intruders[index].reply.text, "--clients-per-uid"));
	}
	for (index = 0; index < granted; index++)
		intruder_ping(intruders + index, UINT64_C(1) << 32);
	for (index = 0; index < COUNT; index++)
		intruder_close(intruders + index);
	appliance_await_clients(&appliance, 0, descriptors);
	appliance_close(&appliance);
}
END_TEST

static double processor_seconds(const struct appliance *appliance)
{
	unsigned long user = 0;
	unsigned long system = 0;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)appliance->pid);
	file = fopen(path, "re");
	must(file && fscanf(file, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
			    &user, &system) == 2, "cannot read %s", path);
	fclose(file);
	return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

START_TEST(without_descriptors_the_daemon_rests_and_serves_whom_it_has)
{
	enum { COUNT = 60 };
	struct rlimit little = { 64, 64 };
	struct intruder intruders[COUNT];
	struct neighbour neighbour;
	struct appliance appliance;
	struct rlimit before;
	uint32_t descriptors;
	uint32_t index;
	double seconds;

	appliance_open(&appliance, NULL);
	neighbour = neighbour_begin(&appliance);
	descriptors = appliance_descriptors(&appliance);
	ck_assert_int_eq(prlimit(appliance.pid, RLIMIT_NOFILE, NULL, &before), 0);
	/* As many as the system gives, not what a shell does. */
	ck_assert_uint_eq(before.rlim_cur, before.rlim_max);
	ck_assert_int_eq(prlimit(appliance.pid, RLIMIT_NOFILE, &little, NULL), 0);
	for (index = 0; index < COUNT; index++)
		ck_assert_int_eq(intruder_connect(intruders + index, appliance.socket), 0);
	await(appliance_descriptors(&appliance) >= little.rlim_cur - 1);
	neighbour_end(&neighbour);

	/* Somebody still waits at the socket, and it does not run in circles for it. */
	seconds = processor_seconds(&appliance);
	crowd_pause_ns(1000000000);
	ck_assert_double_lt(processor_seconds(&appliance) - seconds, 0.5);

	for (index = 0; index < COUNT; index++)
		intruder_close(intruders + index);
	neighbour = neighbour_begin(&appliance);
	appliance_await_clients(&appliance, 1, descriptors);
	neighbour_end(&neighbour);
	appliance_close(&appliance);
}
END_TEST

/* --- quotas and rights --------------------------------------------------------------------------------------- */

static const struct {
	const char *flags[3];
	uint32_t fits; /* connections of 2 x 64 KiB */
	int error;
} quotas[] = {
	{ { "--clients-max", "3", NULL }, 3, -EBUSY },
	{ { "--clients-per-uid", "2", NULL }, 2, -EDQUOT },
	{ { "--arena-bytes-per-uid", "640K", NULL }, 5, -EDQUOT },
};

START_TEST(what_is_over_a_limit_is_refused_by_its_name_and_comes_back_with_the_client)
{
	struct hearth_options options = { .size = sizeof(options), .slots = 4,
					  .request_area_bytes = 65536,
					  .response_area_bytes = 65536 };
	struct hearth *handles[8];
	struct appliance appliance;
	uint32_t count = quotas[_i].fits;
	uint32_t turn;
	uint32_t index;
	int r;

	appliance_open(&appliance, quotas[_i].flags);
	for (turn = 0; turn < 3; turn++) {
		for (index = 0; index < count; index++) {
			r = hearth_open(appliance.socket, &options, handles + index);
			must(r == 0, "connection %u: %s", index, hearth_strerror(r));
		}
		r = hearth_open(appliance.socket, &options, handles + count);
		ck_assert_int_eq(r, quotas[_i].error);
		ck_assert_msg(strstr(hearth_strerror(r), quotas[_i].flags[0]), "%s",
			      hearth_strerror(r));
		for (index = 0; index < count; index++)
			hearth_close(handles[index]);
		await(appliance_number(&appliance, "clients") == 0);
	}
	appliance_close(&appliance);
}
END_TEST

START_TEST(only_the_admin_socket_changes_what_is_served)
{
	static const char *const requests[] = {
		"{\"verb\": \"load\", \"model\": \"shoppers\", \"version\": 1}",
		"{\"verb\": \"swap\", \"model\": \"shoppers\", \"version\": 1}",
		"{\"verb\": \"unload\", \"model\": \"shoppers\"}",
	};
	char text[APPLIANCE_TEXT_BYTES];
	struct appliance appliance;
	struct stat status;
	json_t *rows;
	uint32_t index;

	appliance_open(&appliance, NULL);
	ck_assert_int_eq(stat(appliance.socket, &status), 0);
	ck_assert_int_eq(status.st_mode & 0777, 0660);
	ck_assert_int_eq(stat(appliance.admin, &status), 0);
	ck_assert_int_eq(status.st_mode & 0777, 0600);
	for (index = 0; index < 3; index++) {
		ck_assert_int_eq(appliance_ask(appliance.socket, requests[index], NULL, text),
				 -EPERM);
		ck_assert_msg(strstr(text, appliance.admin), "%s", text);
	}
	rows = appliance_rows(&appliance, "models");
	ck_assert_uint_eq(json_array_size(rows), 1);
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(rows, 0), "state")),
			 "serving");
	json_decref(rows);
	appliance_close(&appliance);
}
END_TEST

START_TEST(a_name_is_never_a_path_and_a_verb_never_more_than_it_says)
{
	static const struct {
		const char *request;
		int status;
	} asks[] = {
		{ "{\"verb\": \"load\", \"model\": \"../models/shoppers\"}", -EINVAL },
		{ "{\"verb\": \"load\", \"model\": \"shoppers/1\"}", -EINVAL },
		{ "{\"verb\": \"load\", \"model\": \"/etc\"}", -EINVAL },
		{ "{\"verb\": \"load\", \"model\": \"..\"}", -EINVAL },
		{ "{\"verb\": \"load\", \"model\": \"\"}", -EINVAL },
		{ "{\"verb\": \"load\", \"model\": 7}", -EINVAL },
		{ "{\"verb\": \"load\"}", -EINVAL },
		{ "{\"verb\": \"load\", \"model\": \"nobody\"}", -ENOENT },
		{ "{\"verb\": \"load\", \"model\": \"shoppers\", \"version\": 99}", -ENOENT },
		{ "{\"verb\": \"load\", \"model\": \"shoppers\", \"version\": -1}", -EINVAL },
		{ "{\"verb\": \"load\", \"model\": \"shoppers\", \"version\": 4294967296}",
		  -EINVAL },
		{ "{\"verb\": \"swap\", \"model\": \"shoppers\"}", -EINVAL },
		{ "{\"verb\": \"unload\", \"model\": \"nobody\"}", -ENOENT },
		{ "{\"verb\": \"dance\"}", -EOPNOTSUPP },
		{ "{\"verb\": 3}", -EINVAL },
		{ "{}", -EINVAL },
		{ "[]", -EINVAL },
		{ "", -EINVAL },
		{ "{\"verb\": \"status\", \"verb\": \"status\"}", -EINVAL },
	};
	char text[APPLIANCE_TEXT_BYTES];
	struct appliance appliance;
	uint32_t index;

	appliance_open(&appliance, NULL);
	for (index = 0; index < sizeof(asks) / sizeof(asks[0]); index++) {
		int r = appliance_ask(appliance.admin, asks[index].request, NULL, text);

		must(r == asks[index].status, "%s: %d (%s), expected %d", asks[index].request, r,
		     text, asks[index].status);
		must(strlen(text) > 10, "%s: '%s' is no sentence", asks[index].request, text);
	}
	appliance_close(&appliance);
}
END_TEST

START_TEST(a_description_is_asked_for_with_any_bytes)
{
	struct hearth_describe describe;
	struct hearth_describe_reply reply;
	struct appliance appliance;
	struct intruder intruder;
	uint64_t random = 3;
	uint32_t turn;

	appliance_open(&appliance, NULL);
	ck_assert_int_eq(intruder_connect(&intruder, appliance.socket), 0);
	for (turn = 0; turn < 500; turn++) {
		size_t bytes = turn % (sizeof(describe) - sizeof(describe.message) + 1);
		uint8_t *byte = (uint8_t *)&describe;

		for (; byte < (uint8_t *)(&describe + 1); byte++)
			*byte = (uint8_t)crowd_random(&random);
		ck_assert_int_eq(intruder_say(&intruder, HEARTH_MESSAGE_DESCRIBE, &describe.version,
					      bytes), 0);
		ck_assert_int_ge(recv(intruder.fd, &reply, sizeof(reply), 0), 56);
		ck_assert_uint_eq(reply.message.type, HEARTH_MESSAGE_DESCRIBE_REPLY);
		ck_assert_int_eq(reply.message.status, -ENOENT);
	}
	intruder_close(&intruder);
	appliance_close(&appliance);
}
END_TEST

START_TEST(a_second_daemon_does_not_take_the_path_of_the_first)
{
	char text[APPLIANCE_TEXT_BYTES];
	struct neighbour neighbour;
	struct appliance appliance;
	struct appliance second;
	uint32_t turn;

	appliance_open(&appliance, NULL);
	neighbour = neighbour_begin(&appliance);
	for (turn = 0; turn < 2; turn++) {
		second = appliance;
		second.pid = 0;
		second.control_fd = -1;
		snprintf(second.log, sizeof(second.log), "%.80s/second%u", appliance.directory, turn);
		ck_assert_int_ne(appliance_refuse(&second, NULL, text), 0);
		ck_assert_msg(strstr(text, "a daemon answers at"), "%s", text);
	}
	neighbour_end(&neighbour);
	appliance_close(&appliance);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("hostile");
	TCase *memory = tcase_create("memory");
	TCase *bells = tcase_create("bells");
	TCase *socket_case = tcase_create("socket");
	TCase *rights = tcase_create("rights");

	tcase_set_timeout(memory, TIMEOUT_S);
	tcase_add_test(memory, garbage_over_the_whole_region_harms_nobody_else);
	tcase_add_test(memory,
		       every_lie_is_answered_once_with_its_reason_and_the_connection_serves_on);
	tcase_add_test(memory, an_id_that_is_in_flight_is_refused_and_the_first_one_goes_on);
	tcase_add_test(memory, dimensions_whose_product_overflows_are_refused);
	tcase_add_loop_test(memory, who_claims_what_cannot_be_is_disconnected_and_nobody_else, 0,
			    sizeof(impossible) / sizeof(impossible[0]));
	tcase_add_test(memory, the_daemons_segment_cannot_be_written_and_neither_can_be_resized);
	tcase_add_test(memory, holes_in_its_own_segment_harm_only_the_one_who_punched_them);
	suite_add_tcase(suite, memory);

	tcase_set_timeout(bells, TIMEOUT_S);
	tcase_add_loop_test(bells, ringing_without_work_costs_only_the_one_who_rings, 0, 2);
	tcase_add_test(bells, a_thief_of_its_own_wake_hurts_only_itself);
	tcase_add_loop_test(bells,
			    a_client_that_never_reads_its_socket_does_not_hold_up_the_daemon, 0, 2);
	suite_add_tcase(suite, bells);

	tcase_set_timeout(socket_case, TIMEOUT_S);
	tcase_add_test(socket_case, who_breaks_the_handshake_is_let_go);
	tcase_add_test(socket_case, a_hello_that_cannot_be_granted_is_refused_with_a_sentence);
	tcase_add_test(socket_case, descriptors_sent_along_are_dropped);
	tcase_add_test(socket_case, three_hundred_connections_are_held_to_the_users_share);
	tcase_add_test(socket_case, without_descriptors_the_daemon_rests_and_serves_whom_it_has);
	tcase_add_test(socket_case, a_description_is_asked_for_with_any_bytes);
	suite_add_tcase(suite, socket_case);

	tcase_set_timeout(rights, TIMEOUT_S);
	tcase_add_loop_test(rights,
			    what_is_over_a_limit_is_refused_by_its_name_and_comes_back_with_the_client,
			    0, sizeof(quotas) / sizeof(quotas[0]));
	tcase_add_test(rights, only_the_admin_socket_changes_what_is_served);
	tcase_add_test(rights, a_name_is_never_a_path_and_a_verb_never_more_than_it_says);
	tcase_add_test(rights, a_second_daemon_does_not_take_the_path_of_the_first);
	suite_add_tcase(suite, rights);
	return appliance_check(suite);
}
