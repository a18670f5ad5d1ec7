/* SPDX-License-Identifier: MIT */
/* daemon/serve/intake.c - step 4 of the request path: copy the slot, check the copy, stamp it */
#include "serve/intake.h"

#include <errno.h>

#include "base/clamp.h"
#include "serve/admit.h"
#include "serve/finish.h"
#include "serve/scheduler.h"
#include "serve/stream.h"

/* Passes without work between two looks at what a client claims. */
#define JUDGE_PASSES 32

static bool range_is_inside(uint32_t offset, uint32_t bytes, uint32_t area_bytes)
{
	return offset % HEARTH_ALIGN_BYTES == 0 && (uint64_t)offset + bytes <= area_bytes;
}

static bool slot_is_sane(const struct lane *lane, const struct hearth_request_slot *slot)
{
	uint32_t index = (uint32_t)slot->id;

	return index < lane->layout.slots && slot->id >> 32 != 0 &&
	       lane->requests[clamp_index(index, lane->layout.slots)].state == REQUEST_FREE &&
	       slot->flags == 0 && slot->_reserved == 0 &&
	       range_is_inside(slot->request_offset, slot->request_bytes,
			       lane->layout.request_area_bytes) &&
	       range_is_inside(slot->response_offset, slot->response_bytes,
			       lane->layout.response_area_bytes);
}

static void range_clamp(uint32_t *offset, uint32_t *bytes, uint32_t area_bytes)
{
	uint32_t mask = (uint32_t)clamp_mask((uint64_t)*offset + *bytes, (uint64_t)area_bytes + 1);

	*offset &= mask;
	*bytes &= mask;
}

/* What slot_is_sane has checked stays so while its branches are still the processor's guess. */
static void slot_clamp(const struct lane *lane, struct hearth_request_slot *slot)
{
	slot->id = slot->id >> 32 << 32 | clamp_index((uint32_t)slot->id, lane->layout.slots);
	range_clamp(&slot->request_offset, &slot->request_bytes, lane->layout.request_area_bytes);
	range_clamp(&slot->response_offset, &slot->response_bytes,
		    lane->layout.response_area_bytes);
}

static void intake_slot(struct data *data, struct lane *lane, struct hearth_request_slot *slot)
{
	uint64_t now_ns = data->now_ns;
	struct request *request;

	if (!slot_is_sane(lane, slot)) {
		finish_refused(data, lane, slot, now_ns, -EINVAL,
			       hearth_detail(HEARTH_DETAIL_SLOT, 0, 0), 0);
		return;
	}

	if (data->is_closed) {
		finish_refused(data, lane, slot, now_ns, -ESHUTDOWN, 0, 0);
		return;
	}

	slot_clamp(lane, slot);
	request = lane->requests + (uint32_t)slot->id;
	request->id = slot->id;
	request->deadline_ns = slot->deadline_ns;
	request->submitted_ns = slot->submitted_ns;
	request->arrived_ns = now_ns;
	request->request_offset = slot->request_offset;
	request->request_bytes = slot->request_bytes;
	request->response_offset = slot->response_offset;
	request->response_bytes = slot->response_bytes;
	request->rows = 0;
	request->version = NULL;

	switch (slot->operation) {
	case HEARTH_OP_PING:
		finish_ping(data, request);
		break;
	case HEARTH_OP_INFER:
		admit_infer(data, request, slot);
		break;
	case HEARTH_OP_STREAM_TEST:
		stream_admit(data, request, slot);
		break;
	case HEARTH_OP_ECHO:
		finish_echo(data, request, slot);
		break;
	default:
		finish_refused(data, lane, slot, now_ns, -EOPNOTSUPP,
			       hearth_detail(HEARTH_DETAIL_OPERATION, 0, slot->operation), 0);
	}
}

/* The slot is copied here and never read again, however long it waits for its turn. */
static bool head_pop(struct lane *lane)
{
	if (!lane->has_head)
		lane->has_head = hearth_sq_pop(lane->request_slots, lane->layout.slots,
					       lane->sq_position, &lane->head);
	return lane->has_head;
}

bool intake_has(const struct lane *lane)
{
	uint64_t position = lane->sq_position;

	return lane->has_head ||
	       hearth_load_relaxed(
		       &lane->request_slots[position & (lane->layout.slots - 1)].seq) ==
		       position + 1;
}

void intake_judge(struct lane *lane)
{
	if (lane_consumed(lane) == LANE_E_LYING)
		lane->is_lying = true;
}

bool intake_look(struct lane *lane)
{
	if (lane->is_lying)
		return false;
	if (head_pop(lane))
		return true;
	/* What it says of its completions lies in a cache line that its client writes at every
	 * answer. Nobody needs it before the credits run out, so it is taken from there rarely. */
	if (lane->idle_passes % JUDGE_PASSES == JUDGE_PASSES - 1)
		intake_judge(lane);
	return false;
}

/* Credits are the client's to count: who submits more than it has would overflow its own
 * completions. */
static bool has_credit(struct lane *lane)
{
	return lane->outstanding < lane->layout.slots ||
	       (lane_consumed(lane) == 0 && lane->outstanding < lane->layout.slots);
}

uint32_t intake_lane(struct data *data, struct lane *lane)
{
	uint32_t taken;

	for (taken = 0; taken < INTAKE_SLOTS_MAX && scheduler_goes_on(lane); taken++) {
		if (!head_pop(lane))
			break;
		if (!has_credit(lane)) {
			lane->is_lying = true;
			break;
		}
		lane->has_head = false;
		lane->sq_position++;
		lane->outstanding++;
		lane->unfinished++;
		counter_set(&lane->counters.unfinished, lane->unfinished);
		counter_add(&lane->counters.requests, 1);
		counter_add(&data->counters->requests, 1);
		scheduler_charge_slot(lane);
		intake_slot(data, lane, &lane->head);
	}
	if (taken > 0) {
		counter_set(&lane->counters.outstanding, lane->outstanding);
		if (lane->sq_position - lane->sq_published >= lane->layout.slots / 2 + 1) {
			hearth_store_relaxed(&lane->daemon->sq_head, lane->sq_position);
			lane->sq_published = lane->sq_position;
		}
	}
	return taken;
}
