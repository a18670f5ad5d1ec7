/* SPDX-License-Identifier: MIT */
/* daemon/serve/hold.c - a list in order of arrival */
#include "serve/hold.h"

#include <errno.h>

#include "serve/admit.h"
#include "serve/batcher.h"
#include "serve/finish.h"
#include "serve/wake.h"

/* Between two looks at those that wait, who may be many: what is served meanwhile is not to feel it. */
#define LOOK_NS UINT64_C(1000000)

/* The daemon's own copy, as it was checked when it was taken. */
static struct hearth_request_slot slot_of(const struct request *request)
{
	return (struct hearth_request_slot){
		.id = request->id,
		.operation = HEARTH_OP_INFER,
		.request_offset = request->request_offset,
		.request_bytes = request->request_bytes,
		.response_offset = request->response_offset,
		.response_bytes = request->response_bytes,
		.deadline_ns = request->deadline_ns,
		.submitted_ns = request->submitted_ns,
	};
}

static void unlink_at(struct data *data, struct request **link)
{
	struct request *request = *link;

	*link = request->next;
	if (data->held_last == &request->next)
		data->held_last = link;
	request->state = REQUEST_FREE;
}

void hold_begin(struct data *data, uint32_t model)
{
	data->models[data_model_place(model)].is_held = true;
}

void hold_end(struct data *data, uint32_t model)
{
	struct request **link = &data->held;

	data->models[data_model_place(model)].is_held = false;
	while (*link) {
		struct request *request = *link;
		struct hearth_request_slot slot = slot_of(request);

		if (request->model != model) {
			link = &request->next;
			continue;
		}
		unlink_at(data, link);
		admit_infer(data, request, &slot);
	}
	batcher_run_all(data);
	wake_clients(data);
}

bool hold_takes(struct data *data, struct request *request, uint32_t model)
{
	const struct data_model *held = data_model_find(data, model);

	if (!held || !held->is_held)
		return false;
	request->state = REQUEST_HELD;
	request->model = model;
	request->next = NULL;
	*data->held_last = request;
	data->held_last = &request->next;
	return true;
}

void hold_look(struct data *data)
{
	struct request **link = &data->held;

	if (!data->held || data->now_ns - data->held_look_ns < LOOK_NS)
		return;
	data->held_look_ns = data->now_ns;
	while (*link) {
		struct request *request = *link;
		struct hearth_request_slot slot = slot_of(request);
		int status = data->stop_ns ? -ESHUTDOWN : finish_judge(request, data->now_ns);

		if (status == 0) {
			link = &request->next;
			continue;
		}
		unlink_at(data, link);
		finish_refused(data, request->lane, &slot, request->arrived_ns, status, 0, 0);
	}
}

void hold_drop(struct data *data, const struct lane *lane)
{
	struct request **link = &data->held;

	while (*link) {
		if ((*link)->lane == lane)
			unlink_at(data, link);
		else
			link = &(*link)->next;
	}
}
