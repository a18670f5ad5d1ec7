/* SPDX-License-Identifier: MIT */
/* daemon/exec/weights.c - constants in their final place and layout */
#include "weights_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "exec/landings.h"

#define AHEAD_MAX 64 /* weights that are under way */
#define LANDED_ALIGNMENT 8 /* of the largest numbers */

/* A weight whose bytes are under way. */
struct arrival {
	uint64_t ticket;	 /* 0: nothing comes through the reader */
	uint8_t *pages;
	uint8_t *place;		 /* in the first of them */
	bool has_landed;	 /* the pages are a landing */
};

struct weights_loading {
	const struct lowering *lowering;
	struct range_reader *reader;
	uint8_t *memory;
	struct landings landings;
	uint32_t host;	 /* the weight in whose place they may be; GRAPH_NONE: there is none */
	uint32_t *order; /* of the weights: first what lands, last the host */
	uint32_t begun, ended; /* of them, in this order: all reads have begun; it is in place */
	bool is_coming; /* the next one to have begun: some of it may be under way */
	struct range_left coming;
	struct arrival arrivals[AHEAD_MAX];
	const struct weights_options *options;
	uint64_t arrived_bytes;
	uint64_t streamed_bytes;
};

/* The tensor, when its bytes are enough to be worth whole pages. */
static const struct onnx_tensor *streamed_tensor(const struct lowering *lowering,
						 const struct weight *weight)
{
	const struct value *value =
		is_cold(weight) ? NULL : graph_value(lowering->graph, weight->value);

	if (!value || value->data || value->tensor->source != ONNX_EXTERNAL ||
	    value->tensor->bytes < PAGES_FROM_BYTES)
		return NULL;
	return value->tensor;
}

static uint64_t streamed_bytes(const struct lowering *lowering)
{
	uint64_t bytes = 0;

	for (uint32_t index = 0; index < lowering->weight_count; index++) {
		const struct onnx_tensor *tensor =
			streamed_tensor(lowering, &lowering->weights[index]);

		bytes += tensor ? tensor->bytes : 0;
	}
	return bytes;
}

static bool comes_into_place(const struct lowering *lowering, uint32_t index)
{
	const struct weight *weight = &lowering->weights[index];

	return streamed_tensor(lowering, weight) && direct_tensor(lowering, weight);
}

/* The largest of those: it is read last, and its end when nothing lands there any more. */
static uint32_t host_find(const struct lowering *lowering)
{
	uint32_t host = GRAPH_NONE;

	for (uint32_t index = 0; index < lowering->weight_count; index++)
		if (comes_into_place(lowering, index) &&
		    (host == GRAPH_NONE ||
		     lowering->weights[index].bytes > lowering->weights[host].bytes))
			host = index;
	return host;
}

static uint8_t *weight_pages(const struct weights_loading *loading, const struct weight *weight)
{
	return loading->memory + weight->offset - weight->offset % ONNX_PAGE_BYTES;
}

static int landings_make(struct weights_loading *loading)
{
	const struct lowering *lowering = loading->lowering;
	const struct weight *host;
	uint64_t bytes_max = 0;
	uint64_t count = 0;
	int r;

	for (uint32_t index = 0; index < lowering->weight_count; index++) {
		const struct onnx_tensor *tensor =
			streamed_tensor(lowering, &lowering->weights[index]);

		if (!tensor || comes_into_place(lowering, index))
			continue;
		count++;
		if (tensor->bytes > bytes_max)
			bytes_max = tensor->bytes;
	}
	loading->host = host_find(lowering);
	host = loading->host == GRAPH_NONE ? NULL : &lowering->weights[loading->host];
	r = landings_init(&loading->landings, count, bytes_max,
			  host ? weight_pages(loading, host) : NULL, host ? host->bytes : 0);
	return r < 0 ? err_trace(r) : 0;
}

static int order_init(struct weights_loading *loading)
{
	const struct lowering *lowering = loading->lowering;
	uint32_t count = 0;

	loading->order = calloc(lowering->weight_count + 1, sizeof(loading->order[0]));
	if (!loading->order)
		return err_raise(-ENOMEM, "%s: no memory to load it", lowering->graph->name);
	for (int into_place = 0; into_place < 2; into_place++)
		for (uint32_t index = 0; index < lowering->weight_count; index++)
			if (index != loading->host &&
			    comes_into_place(lowering, index) == into_place)
				loading->order[count++] = index;
	if (loading->host != GRAPH_NONE)
		loading->order[count] = loading->host;
	return 0;
}

/* False: there is no landing for it yet. */
static bool arrival_prepare(struct weights_loading *loading, uint32_t index,
			    struct arrival *ret_arrival)
{
	const struct weight *weight = &loading->lowering->weights[index];
	const struct onnx_tensor *tensor = streamed_tensor(loading->lowering, weight);
	struct arrival arrival = { .ticket = 0 };

	if (direct_tensor(loading->lowering, weight)) {
		arrival.pages = weight_pages(loading, weight);
		arrival.place = loading->memory + weight->offset;
	} else if (tensor) {
		arrival.pages = landings_take(&loading->landings);
		if (!arrival.pages)
			return false;
		arrival.has_landed = true;
		/* Numbers of any size may lie at the begin; what lies well is not moved there. */
		arrival.place = arrival.pages;
		if (onnx_skew(tensor) % LANDED_ALIGNMENT == 0)
			arrival.place += onnx_skew(tensor);
	}
	*ret_arrival = arrival;
	return true;
}

/* Begins to read the weight that is next. False: it has to wait. */
static bool weight_begin(struct weights_loading *loading)
{
	const struct lowering *lowering = loading->lowering;
	struct arrival *arrival = &loading->arrivals[loading->begun % AHEAD_MAX];
	const struct onnx_tensor *tensor;
	uint32_t index;

	if (loading->begun == lowering->weight_count ||
	    loading->begun - loading->ended == AHEAD_MAX)
		return false;
	index = loading->order[loading->begun];
	if (!arrival_prepare(loading, index, arrival))
		return false;
	tensor = streamed_tensor(lowering, &lowering->weights[index]);
	loading->coming = (struct range_left){ .offset = 0 };
	if (tensor)
		loading->coming = onnx_range(lowering->graph->model, tensor, arrival->pages,
					     arrival->place);
	loading->is_coming = true;
	return true;
}

/* As many weights are under way as have landings, and as many reads as the reader takes: called as
 * often as the disk could run out of them. */
static int weights_feed(void *context)
{
	struct weights_loading *loading = context;

	while (loading->is_coming || weight_begin(loading)) {
		struct arrival *arrival = &loading->arrivals[loading->begun % AHEAD_MAX];
		bool is_host = loading->order[loading->begun] == loading->host;
		int r;

		r = range_reader_begin(loading->reader, &loading->coming,
				       is_host ? landings_begin(&loading->landings) : NULL,
				       &arrival->ticket);
		if (r < 0)
			return err_trace(r);
		if (loading->coming.offset < loading->coming.end)
			return 0;
		loading->is_coming = false;
		loading->begun++;
	}
	return 0;
}

/* Until what is next to end has come through the reader. */
static int arrival_await(struct weights_loading *loading, const struct arrival *arrival)
{
	for (;;) {
		int r;

		r = weights_feed(loading);
		if (r < 0)
			return err_trace(r);
		if (loading->begun > loading->ended &&
		    range_reader_has_ended(loading->reader, arrival->ticket))
			return 0;
		r = range_reader_wait(loading->reader);
		if (r < 0)
			return err_trace(r);
	}
}

/* The constant in memory; *ret_owned is to be freed. */
static int source_read(const struct lowering *lowering, const struct value *value,
		       const void **ret_data, void **ret_owned)
{
	void *owned;
	int r;

	*ret_owned = NULL;
	if (value->data) {
		*ret_data = value->data;
		return 0;
	}
	owned = malloc(value->tensor->bytes + 1);
	if (!owned)
		return err_raise(-ENOMEM, "%s: no memory to read '%s'", lowering->graph->name,
				 value->name);
	r = onnx_read(lowering->graph->model, value->tensor, owned);
	if (r < 0) {
		free(owned);
		return err_trace(r);
	}
	*ret_data = owned;
	*ret_owned = owned;
	return 0;
}

/* Without the reader: from memory, or few bytes. */
static int load_small(struct weights_loading *loading, const struct weight *weight,
		      char *place)
{
	const struct lowering *lowering = loading->lowering;
	const struct value *value = graph_value(lowering->graph, weight->value);
	const void *source = NULL;
	void *owned = NULL;
	int r = 0;

	if (direct_tensor(lowering, weight)) {
		r = onnx_read(lowering->graph->model, value->tensor, place);
		return r < 0 ? err_trace(r) : 0;
	}
	if (weight->layout == WEIGHT_RAW || weight->layout == WEIGHT_TABLE) {
		memcpy(place, value->data, weight->bytes);
		return 0;
	}
	r = source_read(lowering, value, &source, &owned);
	if (r < 0)
		return err_trace(r);
	r = weight_pack(lowering, weight, source, place, weights_feed, loading);
	free(owned);
	return r < 0 ? err_trace(r) : 0;
}

static int arrival_end(struct weights_loading *loading, const struct weight *weight,
		       struct arrival *arrival)
{
	char *place = (char *)loading->memory + weight->offset;
	int r;

	r = arrival_await(loading, arrival);
	if (r < 0)
		return err_trace(r);
	if (is_cold(weight))
		return 0;
	if (!streamed_tensor(loading->lowering, weight)) {
		r = load_small(loading, weight, place);
		return r < 0 ? err_trace(r) : 0;
	}
	if (!arrival->has_landed)
		return 0;
	r = weight_pack(loading->lowering, weight, arrival->place, place, weights_feed, loading);
	landings_give(&loading->landings, arrival->pages);
	return r < 0 ? err_trace(r) : 0;
}

/* They end in order. */
static int weights_stream(struct weights_loading *loading)
{
	const struct lowering *lowering = loading->lowering;

	for (; loading->ended < lowering->weight_count; loading->ended++) {
		int r;

		r = arrival_end(loading, &lowering->weights[loading->order[loading->ended]],
				&loading->arrivals[loading->ended % AHEAD_MAX]);
		if (r < 0)
			return err_trace(r);
	}
	return 0;
}

static void weights_arrived(void *context, uint64_t bytes)
{
	struct weights_loading *loading = context;

	loading->arrived_bytes += bytes;
	if (loading->options->progress)
		loading->options->progress(loading->options->context, loading->arrived_bytes,
					   loading->streamed_bytes);
}

static int load_all(struct weights_loading *loading, uint64_t bytes)
{
	struct range_reader *reader = loading->reader;
	int r;

	loading->streamed_bytes = streamed_bytes(loading->lowering);
	if (loading->streamed_bytes > 0)
		range_reader_bind(reader, loading->memory, bytes);
	range_reader_watch(reader, weights_arrived, loading);
	r = landings_make(loading);
	if (r == 0)
		r = order_init(loading);
	if (r == 0)
		r = weights_stream(loading);
	range_reader_unbind(reader); /* after what is in flight, whatever happened */
	range_reader_watch(reader, NULL, NULL);
	landings_deinit(&loading->landings);
	free(loading->order);
	return r < 0 ? err_trace(r) : 0;
}

int weights_load(struct lowering *lowering, const struct weights_options *options, void *memory,
		 uint64_t bytes, struct weights_arrival *ret_arrival)
{
	struct weights_loading *loading = calloc(1, sizeof(*loading));
	struct weights_arrival arrival = { .location = "" };
	struct range_reader *own = NULL;
	const char *location = "";
	uint64_t begin_ns = clock_ns();
	int r;

	if (!loading)
		return err_raise(-ENOMEM, "%s: no memory to load it", lowering->graph->name);
	r = options->reader ? 0 : range_reader_new(true, &own);
	if (r == 0) {
		loading->lowering = lowering;
		loading->options = options;
		loading->reader = own ? own : options->reader;
		loading->memory = memory;
		r = load_all(loading, bytes);
		arrival.bytes = loading->streamed_bytes;
		arrival.has_ring = range_reader_has_ring(loading->reader);
	}
	range_reader_free(own);
	free(loading);
	if (r < 0)
		return err_trace(r);
	arrival.ns = clock_ns() - begin_ns;
	arrival.direct_error = onnx_direct_error(lowering->graph->model, &location);
	snprintf(arrival.location, sizeof(arrival.location), "%s", location);
	*ret_arrival = arrival;
	return 0;
}
