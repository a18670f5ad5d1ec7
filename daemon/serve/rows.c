/* SPDX-License-Identifier: MIT */
/* daemon/serve/rows.c - step 8 of the request path: batches that wait for rows of cold tables */
#include "serve/rows.h"

#include <errno.h>
#include <poll.h>

#include "exec/cold.h"
#include "serve/batcher.h"
#include "serve/wake.h"

#define PATIENCE_MS 100 /* of a sleep for rows alone; it is looked again then */

/* --- changed files ---------------------------------------------------------------------------- */

/* Rows have been read: are they still of the table that the model was loaded with? */
static void stage_check(struct data *data, struct version *version)
{
	struct message stale = { .kind = MESSAGE_STALE, .version = version };
	struct request *request;

	if (version->is_stale || cold_has_changed(engine_cold(version->engine))) {
		if (!version->is_stale)
			data_reply(data, &stale);
		version->is_stale = true;
		for (request = version->stage->batch.first; request; request = request->next)
			if (request->verdict == 0)
				request->verdict = -ESTALE;
	}
}

/* --- waiting ---------------------------------------------------------------------------------- */

static void requests_count(const struct stage *stage, bool waits)
{
	struct request *request;

	for (request = stage->batch.first; request; request = request->next) {
		if (waits)
			request->lane->waiting++;
		else
			request->lane->waiting--;
	}
}

static void stage_enter(struct data *data, struct stage *stage)
{
	struct stage **last = &data->waiting;

	while (*last)
		last = &(*last)->next;
	*last = stage;
	stage->next = NULL;
	stage->is_waiting = true;
	requests_count(stage, true);
}

/* The stage at `link` has its rows, or has failed to get them. */
static void stage_run(struct data *data, struct stage **link)
{
	struct stage *stage = *link;
	struct version *version = stage->version;
	struct stage *forming = version->stage;

	*link = stage->next;
	stage->is_waiting = false;
	requests_count(stage, false);
	version->stage = stage;
	stage_check(data, version);
	batcher_execute(data, version);
	if (forming)
		version->stage = forming;
	/* Whoever waits for a stage still uses the version: it goes at the end of the pass. */
	if (version->is_retired && !version->is_ending) {
		version->is_ending = true;
		version->next_ending = data->ending;
		data->ending = version;
	}
}

/* Lanes whose last batch has run; from here on nothing touches them. */
static void lanes_leave(struct data *data)
{
	struct lane *lane = data->leaving;
	struct lane *next;

	data->leaving = NULL;
	for (; lane; lane = next) {
		next = lane->next_leaving;
		rows_leave(data, lane);
	}
}

/* One look at all that wait. */
static void stages_look(struct data *data)
{
	struct stage **link = &data->waiting;
	struct row_end end;

	while (row_reader_take(&data->rows, &end))
		cold_arrive(&end);
	while (*link) {
		if (cold_go_on((*link)->cold, &data->rows))
			stage_run(data, link);
		else
			link = &(*link)->next;
	}
	lanes_leave(data);
}

/* A stage for the next batch; there is one when no other thing can be done before. */
static void stage_await(struct data *data, struct version *version)
{
	struct pollfd ring = { .fd = row_reader_fd(&data->rows), .events = POLLIN };

	version->stage = NULL;
	for (uint32_t index = 0; index < version->stage_count; index++)
		if (!version->stages[index].is_waiting) {
			version->stage = &version->stages[index];
			return;
		}
	while (!version->stage) {
		stages_look(data);
		if (!version->stage)
			(void)poll(&ring, 1, PATIENCE_MS);
	}
}

/* --- what others see -------------------------------------------------------------------------- */

bool rows_bring(struct data *data, struct version *version)
{
	struct stage *stage = version->stage;

	cold_begin(stage->cold, stage->batch.symbols, (const void *const *)stage->inputs);
	if (cold_go_on(stage->cold, &data->rows)) {
		if (cold_has_read(stage->cold))
			stage_check(data, version);
		return true;
	}
	stage_enter(data, stage);
	stage_await(data, version);
	return false;
}

void rows_look(struct data *data)
{
	struct version *version;

	if (data->waiting)
		stages_look(data);
	while ((version = data->ending)) {
		data->ending = version->next_ending;
		version->is_ending = false;
		batcher_retire(data, version);
	}
}

void rows_watch(struct data *data)
{
	int fd = row_reader_fd(&data->rows);

	if (data->waiting && fd >= 0 && !data->are_rows_watched)
		data->are_rows_watched = waiter_watch(&data->waiter, fd, POLLIN, &data->rows);
}

void rows_leave(struct data *data, struct lane *lane)
{
	struct message closed = { .kind = MESSAGE_LANE_CLOSED, .lane = lane };

	if (lane->waiting == 0) {
		data_reply(data, &closed);
		return;
	}
	lane->next_leaving = data->leaving;
	data->leaving = lane;
}
