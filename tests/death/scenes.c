/* SPDX-License-Identifier: MIT */
/* tests/death/scenes.c - what goes before the first mark, and what must come of the call */
#include "scenes.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "client/hearth.h"
#include "stepper.h"
#include "tests/system/crowd.h"

#define SLOTS 4
#define OPEN_NS_MAX (INT64_C(5) * 1000000000)
/* An item a pass of the daemon. */
#define SLOW_ITEMS 16384
#define SLOWEST_ITEMS 131072 /* more than three slices of hearth_wait */

/* One connection in the making. */
struct stage {
	struct hearth *hearth;
	const struct hearth_model_info *model;
	struct hearth_request *request; /* acquired last */
};

const char *scene_call_name(enum scene_call call)
{
	static const char *const names[SCENE_CALLS] = { "open", "acquire", "submit", "peek",
							"wait", "cancel",  "release", "close" };

	return names[call];
}

const char *scene_state_name(enum scene_state state)
{
	static const char *const names[SCENE_STATES] = { "empty", "one", "slow", "full",
							 "wrapped" };

	return names[state];
}

static uint32_t slow_items(const struct scene *scene)
{
	return scene->call == SCENE_WAIT ? SLOWEST_ITEMS : SLOW_ITEMS;
}

/* With room for `items` of a slow request, and for as much beside it. */
static struct hearth_options options_of(uint32_t items)
{
	struct hearth_options options = {
		.size = sizeof(options),
		.slots = SLOTS,
		.request_area_bytes = HEARTH_ARENA_BYTES_MIN,
		.response_area_bytes = HEARTH_ARENA_BYTES_MIN + items * sizeof(uint64_t),
		/* no progress marks: who waits for a stream sleeps until its end */
		.features = HEARTH_FEATURE_FUTEX_BELL | HEARTH_FEATURE_SOCKET_BELL |
			    HEARTH_FEATURE_TEST,
		.spin_ns = -1,
	};

	return options;
}

static void acquire_infer(struct stage *stage)
{
	uint32_t input;
	int r = hearth_acquire(stage->hearth, stage->model, 1, &stage->request);

	must(r == 0, "acquire: %s", hearth_strerror(r));
	for (input = 0; input < stage->request->input_count; input++)
		memset(stage->request->inputs[input].data, 0, stage->request->inputs[input].bytes);
}

static void acquire_stream(struct stage *stage, uint32_t items)
{
	int r = hearth_acquire_stream_test(stage->hearth, items, &stage->request);

	must(r == 0, "acquire: %s", hearth_strerror(r));
}

static void submit(struct stage *stage)
{
	int r = hearth_submit(stage->hearth, stage->request);

	must(r == 0, "submit: %s", hearth_strerror(r));
}

static const struct hearth_completion *consume(struct stage *stage)
{
	const struct hearth_completion *completion;
	int r = hearth_wait(stage->hearth, CROWD_PATIENCE_NS, &completion);

	must(r == 0 && completion->status == 0, "wait: %s", hearth_strerror(r));
	return completion;
}

/* All but `vacant` slots; the last request is slow, those before it are answered. */
static void fill(struct stage *stage, uint32_t items, uint32_t vacant)
{
	uint32_t slot;

	for (slot = vacant; slot < SLOTS - 1; slot++) {
		acquire_infer(stage);
		submit(stage);
	}
	acquire_stream(stage, items);
	submit(stage);
	await(hearth_cq_has(stage->hearth));
}

static void wrap(struct stage *stage)
{
	uint32_t turn;

	for (turn = 0; turn < stage->hearth->layout.completion_slots + 1; turn++) {
		acquire_infer(stage);
		submit(stage);
		must(hearth_release(stage->hearth, consume(stage)->id) == 0, "release");
	}
}

static void stage_open(struct stage *stage, const struct scene *scene)
{
	bool has_slow = scene->state == SCENE_SLOW || scene->state == SCENE_FULL;
	struct hearth_options options = options_of(has_slow ? slow_items(scene) : 0);
	int r;

	memset(stage, 0, sizeof(*stage));
	r = hearth_open(scene->socket, &options, &stage->hearth);
	must(r == 0, "open: %s", hearth_strerror(r));
	r = hearth_model(stage->hearth, "shoppers", 0, &stage->model);
	must(r == 0, "model: %s", hearth_strerror(r));
}

/* Ends in the state; `request` is the last one submitted, or NULL. */
static void stage_set(struct stage *stage, const struct scene *scene)
{
	switch (scene->state) {
	case SCENE_SLOW:
		acquire_stream(stage, slow_items(scene));
		submit(stage);
		break;
	case SCENE_FULL:
		/* the call itself fills the last slot */
		fill(stage, slow_items(scene), scene->call == SCENE_SUBMIT ? 1 : 0);
		break;
	case SCENE_WRAPPED:
		wrap(stage);
		/* fall through */
	case SCENE_ONE:
		acquire_infer(stage);
		submit(stage);
		await(hearth_cq_has(stage->hearth));
		break;
	default:
		break;
	}
}

static void play_open(const struct scene *scene)
{
	struct hearth_options options = options_of(0);
	int64_t begun_ns = crowd_now_ns();
	struct hearth *hearth = NULL;
	int r;

	stepper_mark();
	r = hearth_open(scene->socket, &options, &hearth);
	stepper_mark();
	/* On a machine that is busy enough, steps are slower than the daemon is patient. */
	must(r == 0 || crowd_now_ns() - begun_ns > OPEN_NS_MAX, "open: %s", hearth_strerror(r));
	hearth_close(hearth);
}

static void play_acquire(struct stage *stage, const struct scene *scene)
{
	struct hearth_request *request;
	int r;

	stepper_mark();
	r = hearth_acquire(stage->hearth, stage->model, 1, &request);
	stepper_mark();
	must(r == (scene->state == SCENE_FULL ? -EAGAIN : 0), "acquire: %d", r);
}

static void play_submit(struct stage *stage, const struct scene *scene)
{
	int r;

	acquire_infer(stage);
	/* A daemon that sleeps has to be woken: one more way through the call. */
	if (scene->state == SCENE_EMPTY)
		await(hearth_load_relaxed(&stage->hearth->daemon->need_wakeup));
	stepper_mark();
	r = hearth_submit(stage->hearth, stage->request);
	stepper_mark();
	must(r == 0, "submit: %d", r);
}

static void play_take(struct stage *stage, const struct scene *scene)
{
	const struct hearth_completion *completion = NULL;
	bool is_peek = scene->call == SCENE_PEEK;
	int nothing = is_peek ? -EAGAIN : -ENODATA;
	int r;

	/* long enough for a look whether the daemon lives */
	if (scene->state == SCENE_SLOW && is_peek)
		crowd_pause_ns(2 * HEARTH_ALIVE_NS);
	if (is_peek) {
		stepper_mark();
		r = hearth_peek(stage->hearth, &completion);
		stepper_mark();
	} else {
		stepper_mark();
		r = hearth_wait(stage->hearth, -1, &completion);
		stepper_mark();
	}
	if (scene->state == SCENE_EMPTY)
		must(r == nothing, "nothing is in flight: %d", r);
	else if (scene->state == SCENE_SLOW && is_peek)
		must(r == 0 || r == nothing, "peek: %d", r);
	else
		must(r == 0 && completion->status == 0, "an answer was due: %d", r);
}

static void play_cancel(struct stage *stage, const struct scene *scene)
{
	uint64_t id = stage->request ? stage->request->id : 0;
	int r;

	stepper_mark();
	r = hearth_cancel(stage->hearth, id);
	stepper_mark();
	must(r == (scene->state == SCENE_EMPTY ? -EINVAL : 0), "cancel: %d", r);
}

static void play_release(struct stage *stage, const struct scene *scene)
{
	uint64_t id;
	int r;

	if (scene->state == SCENE_EMPTY) {
		acquire_infer(stage);
		id = stage->request->id;
	} else if (scene->state == SCENE_SLOW) {
		id = stage->request->id;
	} else {
		id = consume(stage)->id;
	}
	stepper_mark();
	r = hearth_release(stage->hearth, id);
	stepper_mark();
	must(r == (scene->state == SCENE_SLOW ? -EBUSY : 0), "release: %d", r);
}

void scene_rehearse(const struct scene *scene)
{
	struct stage stage;

	stage_open(&stage, scene);
	acquire_infer(&stage);
	submit(&stage);
	must(hearth_release(stage.hearth, consume(&stage)->id) == 0, "release");
	must(hearth_cancel(stage.hearth, stage.request->id) == -EINVAL, "cancel");
	hearth_close(stage.hearth);
}

void scene_play(void *argument)
{
	const struct scene *scene = argument;
	struct stage stage;

	stage_open(&stage, scene);
	stage_set(&stage, scene);
	switch (scene->call) {
	case SCENE_OPEN:
		play_open(scene);
		break;
	case SCENE_ACQUIRE:
		play_acquire(&stage, scene);
		break;
	case SCENE_SUBMIT:
		play_submit(&stage, scene);
		break;
	case SCENE_PEEK:
	case SCENE_WAIT:
		play_take(&stage, scene);
		break;
	case SCENE_CANCEL:
		play_cancel(&stage, scene);
		break;
	case SCENE_RELEASE:
		play_release(&stage, scene);
		break;
	default:
		stepper_mark();
		hearth_close(stage.hearth);
		stepper_mark();
		return;
	}
	hearth_close(stage.hearth);
}
