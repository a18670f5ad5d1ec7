/* SPDX-License-Identifier: MIT */
/* daemon/serve/message.c - what the control thread says, obeyed: lanes and versions come and go */
#include "serve/message.h"

#include "serve/batcher.h"
#include "serve/data.h"
#include "serve/hold.h"
#include "serve/rehearsal.h"
#include "serve/rows.h"
#include "serve/stream.h"
#include "serve/wake.h"

static void lane_enter(struct data *data, struct lane *lane)
{
	lane->place = data->lane_count;
	data->lanes[data->lane_count++] = lane;
	wake_heat(data, lane);
}

static void lane_forget(struct data *data, struct lane *lane)
{
	struct lane *last = data->lanes[--data->lane_count];

	data->lanes[lane->place] = last;
	last->place = lane->place;
	wake_clients(data);
	lane->is_closing = true;
	stream_drop(data, lane);
	hold_drop(data, lane);
	if (!lane->is_cold)
		wake_leave_hot(data, lane);
	if (lane->is_rude)
		data->rude_count--;
	if (lane->is_armed)
		waiter_cancel(&data->waiter, lane);
	else
		rows_leave(data, lane);
}

static void version_install(struct data *data, struct version *version, bool is_current)
{
	struct data_model *model = data->models + data_model_place(version->model);
	int vacancy = -1;
	int index;

	for (index = DATA_VERSIONS_MAX - 1; index >= 0; index--) {
		if (model->versions[index] == version)
			break;
		if (!model->versions[index])
			vacancy = index;
	}
	model->handle = version->model;
	if (index < 0 && vacancy >= 0) {
		model->versions[vacancy] = version;
		(void)rehearsal_run(data->rehearsal, version);
	}
	if (!is_current)
		return;
	model->current = version;
	hold_end(data, version->model);
}

static void version_retire(struct data *data, struct version *version)
{
	struct data_model *model = data->models + data_model_place(version->model);
	uint32_t index;

	for (index = 0; index < DATA_VERSIONS_MAX; index++)
		if (model->versions[index] == version)
			model->versions[index] = NULL;
	if (model->current == version)
		model->current = NULL;
	version->is_retired = true;
	batcher_retire(data, version);
}

static void message_obey(struct data *data, const struct message *message)
{
	struct message done = { .kind = MESSAGE_DONE, .token = message->token };

	switch (message->kind) {
	case MESSAGE_LANE_OPEN:
		lane_enter(data, message->lane);
		break;
	case MESSAGE_LANE_RANG:
		wake_rang(data, message->lane);
		break;
	case MESSAGE_LANE_CLOSE:
		lane_forget(data, message->lane);
		break;
	case MESSAGE_INSTALL:
		version_install(data, message->version, false);
		break;
	case MESSAGE_CURRENT:
		version_install(data, message->version, true);
		break;
	case MESSAGE_RETIRE:
		version_retire(data, message->version);
		break;
	case MESSAGE_HOLD:
		hold_begin(data, message->model);
		break;
	case MESSAGE_RELEASE:
		hold_end(data, message->model);
		break;
	case MESSAGE_STOP:
		data->stop_ns = data->now_ns;
		break;
	default:
		break;
	}
	if (message->token)
		data_reply(data, &done);
}

uint32_t message_obey_all(struct data *data)
{
	struct message message;
	uint32_t count = 0;

	while (queue_pop(&data->to_data, &message)) {
		message_obey(data, &message);
		count++;
	}
	return count;
}
