/* SPDX-License-Identifier: MIT */
/* daemon/serve/rehearsal.c - push, pass, consume: the client and the loop in turn */
#include "serve/rehearsal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "memory/resident.h"
#include "serve/batcher.h"
#include "serve/scheduler.h"
#include "serve/wake.h"

#define AREA_BYTES (64u << 10) /* a row of more takes longer than what is new to it */
/* So often, or as long as others hardly notice. */
#define RUNS 8
#define RUNS_NS 100000

struct rehearsal {
	struct data data; /* its own: what it counts is nobody's */
	struct share share;
	struct lane lane;
	struct lane *lanes[1];
	struct lane *touched[1];
	struct request request;
	uint8_t completion_kinds[2];
	struct hearth_lane_client *client; /* the whole segment follows */
	struct hearth_request_slot *request_slots;
	uint64_t position; /* of both rings: who pushes also consumes */
};

/* --- its client ------------------------------------------------------------------------------- */

/* Everything that can be counted is there once. */
static bool request_size(const struct version *version, int64_t ret_symbols[SIGNATURE_SYMBOLS_MAX])
{
	const struct signature *signature = version->signature;
	uint32_t symbol;

	memset(ret_symbols, 0, SIGNATURE_SYMBOLS_MAX * sizeof(ret_symbols[0]));
	for (symbol = 0; symbol < signature->symbol_count; symbol++)
		ret_symbols[symbol] = 1;
	if (signature->request_symbol >= 0)
		ret_symbols[signature->request_symbol] = 1;
	return version_fits(version, ret_symbols);
}

/* Header, table, and zeros behind them. False: there is no room. */
static bool request_write(struct rehearsal *rehearsal, const struct version *version,
			  uint32_t *ret_bytes)
{
	const struct signature *signature = version->signature;
	uint8_t *range = (uint8_t *)rehearsal->client + rehearsal->lane.layout.request_area_offset;
	struct hearth_request_header header = {
		.header_bytes = sizeof(header),
		.model = version->model,
		.version = version->number,
		.input_count = signature->input_count,
	};
	uint64_t offset = sizeof(header) + signature->input_count * sizeof(struct hearth_tensor);
	int64_t symbols[SIGNATURE_SYMBOLS_MAX];
	uint32_t input;
	uint32_t dim;

	if (!request_size(version, symbols))
		return false;
	memset(range, 0, AREA_BYTES);
	memcpy(range, &header, sizeof(header));
	for (input = 0; input < signature->input_count; input++) {
		const struct signature_tensor *of = signature->inputs + input;
		uint64_t bytes = version_input_bytes(version, input, symbols);
		struct hearth_tensor tensor = {
			.offset = (uint32_t)version_align(offset),
			.bytes = (uint32_t)bytes,
			.dtype = (uint16_t)of->dtype,
			.rank = (uint16_t)of->rank,
		};

		offset = tensor.offset + bytes;
		if (offset > AREA_BYTES)
			return false;
		for (dim = 0; dim < of->rank; dim++)
			tensor.dims[dim] = (uint32_t)dim_value(of->dims[dim], symbols);
		memcpy(range + sizeof(header) + input * sizeof(tensor), &tensor, sizeof(tensor));
	}
	*ret_bytes = (uint32_t)offset;
	return true;
}

static void request_push(struct rehearsal *rehearsal, uint32_t bytes)
{
	struct hearth_request_slot slot = {
		.id = (rehearsal->position + 1) << 32,
		.operation = HEARTH_OP_INFER,
		.request_bytes = bytes,
		.response_bytes = AREA_BYTES,
		.submitted_ns = rehearsal->data.now_ns,
	};

	hearth_sq_push(rehearsal->request_slots, rehearsal->lane.layout.slots, rehearsal->position,
		       &slot);
	rehearsal->position++;
}

/* --- its loop --------------------------------------------------------------------------------- */

/* The pass of serve/data.c, as far as it is about requests. */
static void pass(struct data *data)
{
	scheduler_pass(data);
	batcher_run_all(data);
	wake_clients(data);
}

uint64_t rehearsal_run(struct rehearsal *rehearsal, struct version *version)
{
	struct data *data = &rehearsal->data;
	struct data_model *model = data->models + data_model_place(version->model);
	uint64_t begun_ns = clock_ns();
	uint64_t answered;
	uint32_t bytes;
	uint32_t run;

	/* Rows that lie in a file are somebody's who waits for them. */
	if (version->stage->cold || !request_write(rehearsal, version, &bytes))
		return 0;
	model->handle = version->model;
	model->versions[0] = version;
	data->now_ns = begun_ns;
	for (run = 0; run < RUNS && data->now_ns - begun_ns < RUNS_NS; run++) {
		request_push(rehearsal, bytes);
		pass(data);
		hearth_cq_consume(rehearsal->client, rehearsal->position);
		data->now_ns = clock_ns();
	}
	model->versions[0] = NULL;
	data->times.count = 0;
	answered = counter_read(&version->counters.answered);
	version_forget(version);
	return answered;
}

/* --- life ------------------------------------------------------------------------------------- */

static void lane_init(struct rehearsal *rehearsal, uint8_t *client, uint8_t *daemon)
{
	struct lane *lane = &rehearsal->lane;
	const struct hearth_layout *layout = &lane->layout;

	rehearsal->client = (void *)client;
	rehearsal->request_slots = (void *)(client + layout->request_slots_offset);
	lane->client = rehearsal->client;
	lane->cancel = (const void *)(client + layout->cancel_offset);
	lane->request_slots = rehearsal->request_slots;
	lane->request_area = client + layout->request_area_offset;
	lane->daemon = (void *)daemon;
	lane->completion_slots = (void *)(daemon + layout->completion_slots_offset);
	lane->response_area = daemon + layout->response_area_offset;
	lane->share = &rehearsal->share;
	lane->requests = &rehearsal->request;
	lane->completion_kinds = rehearsal->completion_kinds;
	rehearsal->request.lane = lane;
}

int rehearsal_new(struct rehearsal **ret_rehearsal)
{
	const struct hearth_layout layout = hearth_layout_of(1, AREA_BYTES, AREA_BYTES);
	struct rehearsal *rehearsal = resident_alloc(1, sizeof(*rehearsal));
	uint8_t *client = resident_alloc(1, layout.client_bytes);
	uint8_t *daemon = resident_alloc(1, layout.daemon_bytes);

	if (!rehearsal || !client || !daemon) {
		free(daemon);
		free(client);
		free(rehearsal);
		return err_raise(-ENOMEM, "no memory to rehearse versions");
	}
	rehearsal->lane.layout = layout;
	lane_init(rehearsal, client, daemon);
	rehearsal->lanes[0] = &rehearsal->lane;
	rehearsal->data.hot = rehearsal->lanes;
	rehearsal->data.hot_count = 1;
	rehearsal->data.touched = rehearsal->touched;
	rehearsal->data.counters = &rehearsal->data.own_counters;
	*ret_rehearsal = rehearsal;
	return 0;
}

void rehearsal_free(struct rehearsal *rehearsal)
{
	if (!rehearsal)
		return;
	free(rehearsal->client);
	free(rehearsal->lane.daemon);
	free(rehearsal);
}
