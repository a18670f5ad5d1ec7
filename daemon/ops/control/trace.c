/* SPDX-License-Identifier: MIT */
/* daemon/ops/control/trace.c - the verb trace: single requests, from a position on */
#include "ops/control/verbs.h"

#include <errno.h>

#include "base/clock.h"
#include "ops/control/reply.h"
#include "ops/loop.h"

static json_t *request_json(const struct control *control, uint64_t position,
			    const struct trace_request *request)
{
	const char *name = registry_name_of(&control->registry, request->model);
	const uint32_t *ns = request->ns;

	return json_pack(
		"{s:I, s:s, s:I, s:i, s:I, s:I, s:I, s:I, s:i, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
		"position", (json_int_t)position, "model",
		name ? name : "(gone)", "version",
		(json_int_t)request->version, "pid", (int)request->pid, "slot",
		(json_int_t)(request->id & UINT32_MAX), "generation", (json_int_t)(request->id >> 32),
		"rows", (json_int_t)request->rows, "batch_rows", (json_int_t)request->batch_rows,
		"status", (int)request->status, "reason",
		request->status < 0 ? reason_name(reason_of(request->status)) : "", "submitted_ns",
		(json_int_t)request->submitted_ns, "ring_ns", (json_int_t)ns[TIME_RING], "queue_ns",
		(json_int_t)ns[TIME_QUEUE], "batch_ns", (json_int_t)ns[TIME_BATCH], "execute_ns",
		(json_int_t)ns[TIME_EXECUTE], "answer_ns", (json_int_t)ns[TIME_ANSWER], "total_ns",
		(json_int_t)ns[TIME_TOTAL]);
}

bool verb_trace(struct control *control, struct peer *peer, const json_t *question)
{
	const struct trace *trace = control->data.times.trace;
	uint64_t next = counter_read(&trace->count);
	uint64_t begun_ns = clock_ns();
	bool is_sent = true;
	uint64_t position;

	if (!verb_from(question, next, TRACE_REQUESTS, &position))
		return reply_error(peer, -EINVAL, VERB_FROM_WANTED);
	if (reply_is_rationed(peer) && begun_ns < peer->session->share->trace_ns)
		return reply_rest(peer);
	for (; is_sent && position < next; position++) {
		struct trace_request request;

		if (trace_read(trace, position, &request))
			is_sent = reply_row(peer, request_json(control, position, &request));
	}
	peer->session->share->trace_ns = ration_paid_ns(begun_ns, RATION_RATIO);
	return is_sent && reply_row(peer, json_pack("{s:I}", "next", (json_int_t)next)) &&
	       reply_end(peer);
}
