/* SPDX-License-Identifier: MIT */
/* daemon/serve/scheduler.c - lanes looked at, users and clients in turn, costs charged */
#include "serve/scheduler.h"

#include "serve/intake.h"
#include "serve/message.h"
#include "serve/wake.h"

/* A lane without work for this long, and in so many looks (a pass can be long),
 * must ring from then on. */
#define COLD_NS UINT64_C(2000000)
#define COLD_PASSES 64

/* What the data thread spends on a request beside its rows: slot, header, answer. Measured by
 * `make bench BENCH=ping` as an order of magnitude; it keeps a flood of refused requests from
 * being free. */
#define SLOT_NS 200
#define BYTES_PER_NS 8 /* copied into staging, or for an echo */

static struct lane *lane_of(struct turn *turn)
{
	return (struct lane *)((char *)turn - offsetof(struct lane, turn));
}

static struct share *share_of(struct turn *turn)
{
	return (struct share *)((char *)turn - offsetof(struct share, turn));
}

/* --- costs ------------------------------------------------------------------------------------ */

static void charge(struct lane *lane, int64_t cost_ns)
{
	struct share_counters *counters = &lane->share->counters;

	turn_charge(&lane->turn, cost_ns);
	turn_charge(&lane->share->turn, cost_ns);
	counter_set(&counters->busy_ns, counter_read(&counters->busy_ns) + (uint64_t)cost_ns);
}

bool scheduler_goes_on(const struct lane *lane)
{
	return turn_goes_on(&lane->turn) && turn_goes_on(&lane->share->turn);
}

void scheduler_charge_slot(struct lane *lane)
{
	counter_add(&lane->share->counters.requests, 1);
	charge(lane, SLOT_NS);
}

void scheduler_charge_rows(struct request *request, uint64_t bytes)
{
	const struct version *version = request->version;
	struct lane *lane = request->lane;
	/* What shares no batch gains nothing from company. */
	uint32_t rows = version->is_row_wise && !version->stage->batch.is_full ? request->rows : TURN_ROWS;

	request->charged_ns = request->rows * version->row_ns;
	charge(lane, (int64_t)(request->charged_ns + bytes / BYTES_PER_NS));
	lane->turn.rows += rows;
	lane->share->turn.rows += rows;
	counter_add(&lane->share->counters.rows, request->rows);
}

/* No batch gains from it, so it has no claim to the rest of its turn's rows. */
void scheduler_charge_copy(struct lane *lane, uint64_t bytes)
{
	charge(lane, (int64_t)(bytes / BYTES_PER_NS));
	lane->turn.rows += TURN_ROWS;
	lane->share->turn.rows += TURN_ROWS;
}

void scheduler_settle(const struct request *request, uint64_t execute_ns, uint32_t batch_rows)
{
	uint64_t spent_ns = execute_ns * request->rows / batch_rows;

	charge(request->lane, (int64_t)spent_ns - (int64_t)request->charged_ns);
}

/* --- the pass --------------------------------------------------------------------------------- */

/* Cold, and never armed again: it is as good as gone. */
static void lane_accuse(struct data *data, struct lane *lane)
{
	struct message lying = { .kind = MESSAGE_LANE_LYING, .lane = lane };

	wake_leave_hot(data, lane);
	data_reply(data, &lying);
}

static void lane_add(struct data *data, struct lane *lane)
{
	struct share *share = lane->share;

	if (!contest_has(&data->contest, &share->turn)) {
		contest_begin(&share->contest);
		contest_add(&data->contest, &share->turn, 0, data->now_ns);
	}
	/* When a lane leaves, another takes its place and may come by twice. */
	if (!contest_has(&share->contest, &lane->turn))
		contest_add(&share->contest, &lane->turn, lane->head.deadline_ns,
			    data->now_ns);
	lane->active_ns = data->now_ns;
	lane->idle_passes = 0;
}

/* One look at every hot lane; those that have work are added to their users' contests. */
static void lanes_look(struct data *data)
{
	uint32_t first = data->rotation < data->hot_count ? data->rotation : 0;
	uint32_t step;

	for (step = 0; step < data->hot_count;) {
		uint32_t index = first + step;
		struct lane *lane = data->hot[index < data->hot_count ? index
								      : index - data->hot_count];

		if (intake_look(lane)) {
			lane_add(data, lane);
		} else if (lane->is_lying) {
			lane_accuse(data, lane);
			continue;
		} else if (++lane->idle_passes > COLD_PASSES &&
			   data->now_ns - lane->active_ns > COLD_NS && !lane->is_rude &&
			   lane->unfinished == 0 && wake_cool(data, lane)) {
			continue;
		}
		step++;
	}
	data->rotation = first + 1;
}

static uint32_t share_serve(struct data *data, struct share *share)
{
	struct turn *turn;
	uint32_t taken = 0;
	bool is_deferred = false;

	contest_open(&share->contest, data->now_ns);
	for (turn = share->contest.ready; turn; turn = turn->next) {
		struct lane *lane = lane_of(turn);

		/* It came by twice, and the second look found a lie. */
		if (lane->is_lying)
			continue;
		if (!turn_may_begin(turn) || !turn_goes_on(&share->turn)) {
			is_deferred = true;
			continue;
		}
		taken += intake_lane(data, lane);
		if (lane->is_lying)
			lane_accuse(data, lane);
		else if (!scheduler_goes_on(lane))
			is_deferred = true;
	}
	if (is_deferred)
		counter_add(&share->counters.deferred, 1);
	return taken;
}

uint32_t scheduler_pass(struct data *data)
{
	struct turn *turn;
	uint32_t taken = 0;

	contest_begin(&data->contest);
	lanes_look(data);
	contest_open(&data->contest, data->now_ns);
	for (turn = data->contest.ready; turn; turn = turn->next) {
		struct share *share = share_of(turn);

		if (turn_may_begin(turn))
			taken += share_serve(data, share);
		else
			counter_add(&share->counters.deferred, 1);
	}
	return taken;
}
