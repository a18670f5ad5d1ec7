/* SPDX-License-Identifier: MIT */
/* tests/serve/solo.c - a data loop without its thread, and the client's library by hand */
#include "tests/serve/solo.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "serve/batcher.h"
#include "serve/hold.h"
#include "serve/scheduler.h"
#include "serve/stream.h"
#include "serve/wake.h"
#include "tests/system/crowd.h"

#define AREA_BYTES (SOLO_SLOTS * SOLO_RANGE_BYTES)
#define VERSION_DIRECTORY "tests/data/shoppers/repository/shoppers/2"

/* Behind the header and three tensors of the table. */
const uint32_t solo_input_offsets[SHOPPERS_INPUTS] = { 192, 320, 448 };

static void version_set_up(struct solo *solo)
{
	const struct engine_options options = { .activation_bytes_max = 256 << 20, .node = -1 };
	struct data_model *model = solo->data.models;
	int fd = open(VERSION_DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	must(fd >= 0, "cannot open " VERSION_DIRECTORY "; run in the root of the tree");
	must(version_new(fd, "shoppers", SOLO_VERSION, 0, &options, &solo->version) == 0, "%s",
	     err_message());
	close(fd);
	must(solo->version->is_row_wise && solo->version->signature->input_count == SHOPPERS_INPUTS,
	     "this is not the model that was expected");
	solo->symbols[solo->version->signature->row_symbol] = 1;
	model->versions[0] = solo->version;
	model->current = solo->version;
}

static void lane_set_up(struct solo *solo)
{
	struct hearth_layout layout = hearth_layout_of(SOLO_SLOTS, AREA_BYTES, AREA_BYTES);
	struct lane *lane;
	void *segment;

	must(lane_open(layout, 0, 1, -1, &lane) == 0, "%s", err_message());
	lane->share = &solo->share;
	lane->is_rude = true; /* it stays hot, however long it is idle */
	lane->is_cold = false;
	segment = mmap(NULL, layout.client_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
		       lane->fds.client_fd, 0);
	must(segment != MAP_FAILED, "a client cannot map its segment: %s", strerror(errno));
	solo->client = segment;
	solo->request_slots = (void *)((uint8_t *)segment + layout.request_slots_offset);
	solo->lane = lane;
	solo->lanes[0] = lane;
}

static void data_set_up(struct solo *solo)
{
	struct data *data = &solo->data;
	bool has_futexes;
	int r;

	r = queue_init(&data->to_data, MESSAGE_QUEUE_CAPACITY, sizeof(struct message));
	must(r == 0, "%s", err_message());
	r = waiter_uring_probe(&has_futexes);
	r = waiter_open(&data->waiter, r == 0 ? &waiter_uring : &waiter_poll, 1, false);
	must(r == 0, "%s", err_message());
	data->counters = &data->own_counters;
	data->hot = solo->lanes;
	data->hot_count = 1;
	data->touched = solo->touched;
	data->held_last = &data->held;
}

void solo_open(struct solo *solo)
{
	data_set_up(solo);
	version_set_up(solo);
	lane_set_up(solo);
}

uint8_t *solo_range(const struct solo *solo, uint32_t index)
{
	return (uint8_t *)solo->client + solo->lane->layout.request_area_offset +
	       index * SOLO_RANGE_BYTES;
}

void solo_fill(struct solo *solo, uint32_t index, uint32_t row)
{
	uint8_t *range = solo_range(solo, index);
	const struct signature *signature = solo->version->signature;
	struct hearth_request_header header = {
		.header_bytes = sizeof(header),
		.input_count = SHOPPERS_INPUTS,
	};
	struct hearth_input inputs[SHOPPERS_INPUTS] = { 0 };
	struct hearth_tensor_info infos[SHOPPERS_INPUTS] = { 0 };
	struct hearth_model_info model = { .input_count = SHOPPERS_INPUTS, .inputs = infos };
	struct hearth_request request = { .inputs = inputs };
	uint32_t input;
	uint32_t dim;

	memcpy(range, &header, sizeof(header));
	for (input = 0; input < SHOPPERS_INPUTS; input++) {
		const struct signature_tensor *of = signature->inputs + input;
		struct hearth_tensor tensor = {
			.offset = solo_input_offsets[input],
			.bytes = (uint32_t)solo->version->input_part_bytes[input],
			.dtype = (uint16_t)of->dtype,
			.rank = (uint16_t)of->rank,
		};

		for (dim = 0; dim < of->rank; dim++)
			tensor.dims[dim] = (uint32_t)dim_value(of->dims[dim], solo->symbols);
		memcpy(range + sizeof(header) + input * sizeof(tensor), &tensor, sizeof(tensor));
		infos[input].name = of->name;
		inputs[input].data = range + tensor.offset;
		inputs[input].bytes = tensor.bytes;
	}
	shoppers_fill(&request, &model, row, 1);
}

struct hearth_request_slot solo_slot(uint32_t index)
{
	return (struct hearth_request_slot){
		.id = UINT64_C(1) << 32 | index,
		.operation = HEARTH_OP_INFER,
		.request_offset = index * SOLO_RANGE_BYTES,
		.request_bytes = SOLO_RANGE_BYTES,
		.response_offset = index * SOLO_RANGE_BYTES,
		.response_bytes = SOLO_RESPONSE_BYTES,
	};
}

void solo_push(struct solo *solo, const struct hearth_request_slot *slot)
{
	hearth_sq_push(solo->request_slots, SOLO_SLOTS, solo->position++, slot);
}

uint32_t solo_pass(struct solo *solo)
{
	struct data *data = &solo->data;
	struct message message;
	uint32_t work;

	counter_add(&data->counters->passes, 1);
	work = scheduler_pass(data);
	batcher_run_all(data);
	stream_step_all(data);
	hold_look(data);
	wake_clients(data);
	must(!waiter_has_news(&data->waiter), "the lane is hot and nothing is watched");
	must(!queue_pop(&data->to_data, &message), "nobody sends messages");
	return work;
}

void solo_close(struct solo *solo)
{
	munmap(solo->client, solo->lane->layout.client_bytes);
	lane_close(solo->lane);
	version_free(solo->version);
	waiter_close(&solo->data.waiter);
	queue_deinit(&solo->data.to_data);
}
