/* SPDX-License-Identifier: MIT */
/*
 * tests/system/bench_first_request.c - the first request after a load, against later ones after the same pause
 *
 * A client that is connected learns of a version that was loaded, everybody pauses, and its first
 * request comes: time is what acquire, submit and wait take, the inputs are written in between, and no
 * row comes twice. A later request follows after the same pause. A load does more than to make a
 * version new: it takes the caches of every CPU that it runs on, the client's among them. So there is
 * a third request, to a version that stayed, after the load of a copy of the model and the same pause.
 * The three take turns, forwards in one round and backwards in the next.
 */
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "appliance.h"
#include "client/hearth.h"
#include "crowd.h"
#include "measure.h"
#include "shoppers.h"
#include "tests/exec/cold_model.h"

#define LOADS 100
#define PAUSE_NS 20000000
#define RATIO_GOAL 1.1
#define SHOPPERS "tests/data/shoppers/repository/shoppers"

/* A row of its own for each turn. */
typedef void (*fill_row)(struct hearth_request *request, const struct hearth_model_info *model,
			 uint32_t turn);

struct subject {
	const char *name; /* in the repository */
	const char *copy;
	fill_row fill;
};

/* How both sides wait. */
struct mode {
	const char *name;
	const char *key;
	const char *spin_us; /* of the daemon; NULL: its own choice */
	int64_t spin_ns;     /* of the client; 0: its own choice */
};

enum part {
	PART_ALL,
	PART_ACQUIRE, /* the client's, before the inputs */
	PART_RING,
	PART_QUEUE,
	PART_EXECUTE,
	PARTS,
};

static const char *const part_names[PARTS] = { "all", "acquire", "ring", "queue", "execute" };

struct arm {
	double ns[PARTS][LOADS];
};

enum {
	ARM_FIRST,
	ARM_LATER,
	ARM_BESIDE,
	ARMS,
};

struct bench {
	struct appliance appliance;
	const struct mode *mode;
	const struct subject *subject;
	struct hearth *hearth;
	const struct hearth_model_info *model;
	uint32_t turn;
	struct arm arms[ARMS];
};

/* --- rows ------------------------------------------------------------------------------------ */

static void fill_shopper(struct hearth_request *request, const struct hearth_model_info *model,
			 uint32_t turn)
{
	shoppers_fill(request, model, turn, 1);
}

static void fill_items(struct hearth_request *request, const struct hearth_model_info *model,
		       uint32_t turn)
{
	uint64_t random = turn;
	uint32_t input;

	for (input = 0; input < model->input_count; input++) {
		bool is_item = strcmp(model->inputs[input].name, "item") == 0;
		int64_t *history = request->inputs[input].data;
		uint32_t index;

		if (is_item)
			*(int32_t *)request->inputs[input].data =
				(int32_t)(crowd_random(&random) % COLD_ITEMS);
		for (index = 0; !is_item && index < COLD_HISTORY; index++)
			history[index] = (int64_t)(crowd_random(&random) % COLD_USERS);
	}
}

static const struct subject subjects[] = {
	{ "shoppers", "shoppers_copy", fill_shopper },
	{ "items", "items_copy", fill_items },
};

static const struct mode modes[] = {
	{ "both asleep", "asleep", NULL, 0 },
	{ "both looking", "looking", "1000000", 1000000000 },
};

#define SUBJECTS (sizeof(subjects) / sizeof(subjects[0]))
#define MODES (sizeof(modes) / sizeof(modes[0]))

/* --- requests -------------------------------------------------------------------------------- */

static void ask(struct bench *bench, uint32_t arm, uint32_t round)
{
	double(*ns)[LOADS] = bench->arms[arm].ns;
	const struct hearth_completion *completion;
	struct hearth_request *request;
	uint64_t acquire_ticks;
	uint64_t begun;
	uint64_t ended;
	int r;

	crowd_pause_ns(PAUSE_NS);
	begun = ticks();
	r = hearth_acquire(bench->hearth, bench->model, 1, &request);
	acquire_ticks = ticks() - begun;
	must(r == 0, "acquire: %s", hearth_strerror(r));
	bench->subject->fill(request, bench->model, bench->turn++);
	begun = ticks();
	r = hearth_submit(bench->hearth, request);
	must(r == 0, "submit: %s", hearth_strerror(r));
	r = hearth_wait(bench->hearth, -1, &completion);
	ended = ticks();
	must(r == 0 && completion->status == 0, "wait: %s", hearth_strerror(r));
	ns[PART_ALL][round] = (double)(ended - begun + acquire_ticks) * tick_ns();
	ns[PART_ACQUIRE][round] = (double)acquire_ticks * tick_ns();
	ns[PART_RING][round] = completion->ring_ns;
	ns[PART_QUEUE][round] = completion->queue_ns + completion->batch_ns;
	ns[PART_EXECUTE][round] = completion->execute_ns;
	hearth_release(bench->hearth, completion->id);
}

static void change(struct bench *bench, const char *verb, const char *model)
{
	char text[APPLIANCE_TEXT_BYTES];
	int r;

	r = appliance_change(&bench->appliance, verb, model, 1, text);
	must(r == 0, "%s %s: %s", verb, model, text);
}

static void load_anew(struct bench *bench, const char *model)
{
	int r;

	change(bench, "unload", model);
	change(bench, "load", model);
	r = hearth_model(bench->hearth, bench->subject->name, 1, &bench->model);
	must(r == 0, "hearth_model: %s", hearth_strerror(r));
}

static void measure(struct bench *bench)
{
	uint32_t round;
	uint32_t turn;

	change(bench, "load", bench->subject->name);
	change(bench, "load", bench->subject->copy);
	for (round = 0; round < LOADS; round++)
		for (turn = 0; turn < ARMS; turn++) {
			uint32_t arm = round % 2 == 0 ? turn : ARMS - 1 - turn;

			if (arm != ARM_LATER)
				load_anew(bench, arm == ARM_FIRST ? bench->subject->name
								  : bench->subject->copy);
			ask(bench, arm, round);
		}
	change(bench, "unload", bench->subject->name);
	change(bench, "unload", bench->subject->copy);
}

/* --- what it says ---------------------------------------------------------------------------- */

static void report(struct bench *bench, double steal_ratio, bool is_json)
{
	double ns[ARMS][PARTS];
	const char *verdict;
	uint32_t part;
	uint32_t arm;

	for (arm = 0; arm < ARMS; arm++)
		for (part = 0; part < PARTS; part++)
			ns[arm][part] = median_of(bench->arms[arm].ns[part], LOADS);
	verdict = steal_ratio > MEASURE_STEAL_RATIO_MAX ? "inconclusive"
		  : ns[ARM_FIRST][PART_ALL] <= RATIO_GOAL * ns[ARM_LATER][PART_ALL] ? "met"
										    : "missed";
	if (is_json) {
		printf("{\"bench\":\"first_request\",\"model\":\"%s\",\"mode\":\"%s\",\"first_us\":%.2f,"
		       "\"later_us\":%.2f,\"beside_us\":%.2f,\"ratio\":%.3f,\"verdict\":\"%s\"}\n",
		       bench->subject->name, bench->mode->key, ns[ARM_FIRST][PART_ALL] / 1e3,
		       ns[ARM_LATER][PART_ALL] / 1e3, ns[ARM_BESIDE][PART_ALL] / 1e3,
		       ns[ARM_FIRST][PART_ALL] / ns[ARM_LATER][PART_ALL], verdict);
		return;
	}
	printf("\n  %s, %s; goal at most %.1fx a later one: %s\n  %-8s %9s %9s %7s %20s %7s\n",
	       bench->subject->name, bench->mode->name, RATIO_GOAL, verdict, "us", "first", "later",
	       "ratio", "beside another load", "ratio");
	for (part = 0; part < PARTS; part++)
		printf("  %-8s %9.2f %9.2f %7.2f %20.2f %7.2f\n", part_names[part],
		       ns[ARM_FIRST][part] / 1e3, ns[ARM_LATER][part] / 1e3,
		       ns[ARM_FIRST][part] / ns[ARM_LATER][part], ns[ARM_BESIDE][part] / 1e3,
		       ns[ARM_FIRST][part] / ns[ARM_BESIDE][part]);
}

static bool is_json;

static void mode_open(struct bench *bench, const struct mode *mode, int cpu, int cpu_other)
{
	struct hearth_options options = { .size = sizeof(options), .spin_ns = mode->spin_ns };
	pid_t data_thread;
	int r;

	memset(bench, 0, sizeof(*bench));
	bench->mode = mode;
	appliance_init(&bench->appliance);
	appliance_copy(&bench->appliance, SHOPPERS, "shoppers_copy");
	appliance_save(&bench->appliance, "items", cold_model());
	appliance_save(&bench->appliance, "items_copy", cold_model());
	appliance_start(&bench->appliance,
			(const char *[]){ "--load", "none", mode->spin_us ? "--spin-us" : NULL,
					  mode->spin_us, NULL });
	data_thread = thread_find(bench->appliance.pid, "hearth-data");
	must(data_thread > 0, "hearthd has no data thread");
	cpu_pin(data_thread, cpu_other);
	cpu_pin(0, cpu);
	r = hearth_open(bench->appliance.socket, &options, &bench->hearth);
	must(r == 0, "hearth_open: %s", hearth_strerror(r));
}

static void mode_measure(struct bench *bench, const struct mode *mode)
{
	struct noise noise;
	cpu_set_t cpus;
	size_t subject;

	sched_getaffinity(0, sizeof(cpus), &cpus);
	mode_open(bench, mode, cpu_allowed(0), cpu_allowed(1));
	for (subject = 0; subject < SUBJECTS; subject++) {
		bench->subject = subjects + subject;
		noise_begin(&noise);
		measure(bench);
		report(bench, noise_steal_ratio(&noise), is_json);
	}
	hearth_close(bench->hearth);
	appliance_close(&bench->appliance);
	/* The next daemon may use both CPUs. */
	sched_setaffinity(0, sizeof(cpus), &cpus);
}

static void campaign(void)
{
	static struct bench bench;
	size_t mode;

	if (!is_json)
		printf("first_request: the first of each of %d loads after a pause of %d ms\n", LOADS, PAUSE_NS / 1000000);
	for (mode = 0; mode < MODES; mode++)
		mode_measure(&bench, modes + mode);
}

int main(int argc, char **argv)
{
	int status = measure_arguments(argc, argv, &is_json);

	return status ? status : appliance_campaign(campaign);
}
