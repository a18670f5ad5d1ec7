/* SPDX-License-Identifier: MIT */
/* daemon/serve/stream.c - one item a pass for every stream */
#include "serve/stream.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "serve/finish.h"
#include "serve/intake.h"
#include "serve/wake.h"

void stream_admit(struct data *data, struct request *request,
		  const struct hearth_request_slot *slot)
{
	struct lane *lane = request->lane;
	struct hearth_stream_test stream;
	uint64_t needed_bytes = 0;
	int status;

	if (!(lane->features & HEARTH_FEATURE_TEST)) {
		finish_refused(data, lane, slot, request->arrived_ns, -EOPNOTSUPP,
			       hearth_detail(HEARTH_DETAIL_OPERATION, 0, slot->operation), 0);
		return;
	}
	if (slot->request_bytes < sizeof(stream)) {
		finish_refused(data, lane, slot, request->arrived_ns, -EINVAL,
			       hearth_detail(HEARTH_DETAIL_SLOT, 0, 0), 0);
		return;
	}
	memcpy(&stream, lane->request_area + slot->request_offset, sizeof(stream));
	needed_bytes = (uint64_t)stream.item_count * sizeof(uint64_t);
	if (needed_bytes > request->response_bytes) {
		finish_refused(data, lane, slot, request->arrived_ns, -ENOBUFS, 0,
			       needed_bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)needed_bytes);
		return;
	}
	status = finish_judge(request, request->arrived_ns);
	if (status < 0) {
		finish_refused(data, lane, slot, request->arrived_ns, status, 0, 0);
		return;
	}
	request->items_wanted = stream.item_count;
	request->items_done = 0;
	request->progress_position = 0;
	request->state = REQUEST_STREAMING;
	request->next = data->streams;
	data->streams = request;
}

/* Returns whether the stream goes on. */
static bool stream_step(struct data *data, struct request *request, uint64_t now_ns)
{
	struct lane *lane = request->lane;
	uint64_t item = request->items_done;
	int status = finish_judge(request, now_ns);

	if (status < 0 ||
	    request->items_done == request->items_wanted) {
		finish_stream(data, request, status);
		return false;
	}
	memcpy(lane->response_area + request->response_offset + item * sizeof(item), &item,
	       sizeof(item));
	request->items_done++;
	if (request->progress_position > lane->cq_head)
		intake_judge(lane);
	if (lane->features & HEARTH_FEATURE_PROGRESS &&
	    lane_progress(lane, request, request->items_done))
		wake_touch(data, lane);
	return true;
}

bool stream_step_all(struct data *data)
{
	struct request **link = &data->streams;
	uint64_t now_ns;

	if (!data->streams)
		return false;
	now_ns = clock_ns();
	while (*link) {
		struct request *request = *link;
		struct request *next = request->next;

		if (stream_step(data, request, now_ns))
			link = &request->next;
		else
			*link = next;
	}
	return data->streams != NULL;
}

void stream_drop(struct data *data, struct lane *lane)
{
	struct request **link = &data->streams;

	while (*link) {
		struct request *request = *link;

		if (request->lane == lane) {
			request->state = REQUEST_FREE;
			*link = request->next;
		} else {
			link = &request->next;
		}
	}
}
