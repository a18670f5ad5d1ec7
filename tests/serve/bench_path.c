/* SPDX-License-Identifier: MIT */
/*
 * tests/serve/bench_path.c - what a request costs between its ring and its model, a stage at a time
 *
 * One thread is the client and the data loop in turn: it pushes a slot, makes the pass that the
 * loop of serve/data.c makes, and pops the completion. The model is that of tests/data, version 2,
 * one real row a request. No line of memory moves between cores and nobody sleeps, so this is the
 * cost of the instructions alone; `make bench BENCH=ping` has the rest.
 *
 * The stages are differences between rounds that go further and further:
 *
 *     look     a pass over an idle lane: clock, io_uring and messages looked at
 *     ring     push and pop of a slot and of a completion, beside, in a ring of their own
 *     ping     contests, slot copied, checked and stamped, completion, the sleeper's word
 *     refused  the request's response range is too small, which admission sees last
 *     expired  its deadline passes between admission and the close of its batch, so it is staged,
 *              joins a batch, is judged, and nothing runs
 *     infer    it runs: clock read around the engine, response written
 *     engine   engine_run on the same rows, alone; not counted
 *
 * So intake contains what finish does for any completion, admission counts one error more than a
 * request that runs, and staging cannot be told from closing the batch: the calls that would
 * separate them are not public. The engine is slower among the rest than alone, with inputs just
 * written and other code between; that is not taken from finish, and `execute` shows how much.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "tests/serve/solo.h"
#include "tests/system/crowd.h"
#include "tests/system/measure.h"
#include "tests/system/shoppers.h"

#define GOAL_NS 500.0
/* Rounds between two readings of the ticks, which can be coarse, and which a processor can take
 * some hundred instructions early: the shorter a round, the more of them. */
#define BURST 32
#define BURST_BARE 1024
#define BURSTS 64 /* of a slice */
#define GROUPS_WANTED 40
#define GROUPS_TRIED_MAX 120
#define CLOCKS 3 /* read by a pass that runs one batch */

/* What a slice repeats. */
enum kind {
	KIND_RING,
	KIND_CLOCK,
	KIND_FENCE,
	KIND_COPY,
	KIND_LOOK,
	KIND_PING,
	KIND_REFUSED,
	KIND_EXPIRED,
	KIND_INFER,
	KIND_ENGINE,
	KIND_COUNT,
};

/* What the table has a line for. */
enum part {
	STAGE_LOOK,
	STAGE_INTAKE,
	STAGE_ADMISSION,
	STAGE_BATCH,
	STAGE_FINISH,
	STAGE_RING,
	STAGE_ENGINE,
	STAGE_TOTAL,
	STAGE_REST,
	STAGE_CLOCK,
	STAGE_FENCE,
	STAGE_COPY,
	STAGE_EXECUTE,
	STAGE_COUNT,
};

static const struct {
	const char *key;
	const char *meaning;
} stages[STAGE_COUNT] = {
	[STAGE_LOOK] = { "look", "a pass over an idle lane" },
	[STAGE_INTAKE] = { "intake", "turns, slot copied, checked, stamped; a completion" },
	[STAGE_ADMISSION] = { "admission", "header, table, sizes" },
	[STAGE_BATCH] = { "batch", "inputs staged, batch joined, closed and judged" },
	[STAGE_FINISH] = { "finish", "engine timed, response written" },
	[STAGE_RING] = { "ring", "slot and completion pushed and popped" },
	[STAGE_ENGINE] = { "engine", "the model itself" },
	[STAGE_TOTAL] = { "total", "one request" },
	[STAGE_REST] = { "rest", "neither ring nor engine" },
	[STAGE_CLOCK] = { "clock", "the clock, 3 times, alone" },
	[STAGE_FENCE] = { "fence", "the fence before the sleeper's word, alone" },
	[STAGE_COPY] = { "copy", "inputs copied, alone" },
	[STAGE_EXECUTE] = { "execute", "the engine among the rest, with one reading of the clock" },
};

struct bench {
	struct solo solo;
	struct hearth_request_slot slots[BURST];
	struct hearth_completion_slot completions[BURST];

	/* a ring beside */
	struct hearth_request_slot bare_requests[SOLO_SLOTS];
	struct hearth_completion_slot bare_completions[2 * SOLO_SLOTS];
	struct hearth_lane_client bare_client;
	uint64_t bare_position;

	/* the engine alone */
	float scores[BURST][HEARTH_ALIGN_BYTES / sizeof(float)] __attribute__((aligned(64)));

	struct samples samples;
	struct samples executes; /* of a slice, in ns: as the completions say */
	uint64_t burst_count;
	double stage_ns[STAGE_COUNT][GROUPS_WANTED];
	uint32_t kept;
	double steal_ratio;
};

static bool is_json;

/* --- the client's part ----------------------------------------------------------------------- */

/* Each place of a burst has a range of its own, whatever position its slot will have. */
static struct hearth_request_slot slot_of(uint64_t position, uint32_t round, enum kind kind)
{
	struct hearth_request_slot slot = {
		.id = (1 + position / SOLO_SLOTS) << 32 | position % SOLO_SLOTS,
		.operation = kind == KIND_PING ? HEARTH_OP_PING : HEARTH_OP_INFER,
		.request_offset = round * SOLO_RANGE_BYTES,
		.request_bytes = SOLO_RANGE_BYTES,
		.response_offset = round * SOLO_RANGE_BYTES,
		.response_bytes = kind == KIND_REFUSED ? SOLO_SCORE_OFFSET : SOLO_RESPONSE_BYTES,
	};

	return slot;
}

static void score_check(const void *output, uint32_t row)
{
	float score;

	memcpy(&score, output, sizeof(score));
	must(fabsf(score - shoppers_score(SOLO_VERSION, row)) <= SHOPPERS_ERROR_MAX,
	     "row %u: %.7f", row, (double)score);
}

static void completion_check(const struct bench *bench, enum kind kind, uint32_t round)
{
	static const int statuses[KIND_COUNT] = {
		[KIND_REFUSED] = -ENOBUFS,
		[KIND_EXPIRED] = -ETIME,
	};
	const struct hearth_completion_slot *completion = bench->completions + round;

	must(completion->id == bench->slots[round].id && completion->status == statuses[kind],
	     "kind %d: status %d", (int)kind, completion->status);
	/* Admission names no version: these have been in a batch. */
	must((completion->version == SOLO_VERSION) == (kind == KIND_EXPIRED || kind == KIND_INFER),
	     "kind %d: answered by version %u", (int)kind, completion->version);
}

/* --- rounds ---------------------------------------------------------------------------------- */

static void looks(struct bench *bench)
{
	uint32_t round;

	for (round = 0; round < BURST_BARE; round++) {
		bench->solo.data.now_ns = clock_ns();
		solo_pass(&bench->solo);
	}
}

static void requests(struct bench *bench, enum kind kind)
{
	struct solo *solo = &bench->solo;
	uint64_t position = solo->position;
	uint32_t round;

	for (round = 0; round < BURST; round++, position++) {
		struct hearth_request_slot *slot = bench->slots + round;

		bench->solo.data.now_ns = clock_ns();
		slot->submitted_ns = bench->solo.data.now_ns;
		slot->deadline_ns = kind == KIND_EXPIRED ? bench->solo.data.now_ns + 1 : 0;
		hearth_sq_push(solo->request_slots, SOLO_SLOTS, position, slot);
		must(solo_pass(solo) == 1, "a slot is taken in the next pass");
		must(hearth_cq_pop(solo->lane->completion_slots, 2 * SOLO_SLOTS, position,
				   bench->completions + round),
		     "a request is answered in its pass");
		hearth_cq_consume(solo->client, position + 1);
	}
	solo->position = position;
}

static void rings(struct bench *bench)
{
	struct hearth_completion_slot completion = { .kind = HEARTH_FINAL };
	uint32_t round;

	for (round = 0; round < BURST_BARE; round++) {
		uint64_t position = bench->bare_position++;
		struct hearth_request_slot request;

		hearth_sq_push(bench->bare_requests, SOLO_SLOTS, position,
			       bench->slots + round % BURST);
		must(hearth_sq_pop(bench->bare_requests, SOLO_SLOTS, position, &request),
		     "a slot passes");
		completion.id = request.id;
		hearth_cq_push(bench->bare_completions, 2 * SOLO_SLOTS, position, &completion);
		must(hearth_cq_pop(bench->bare_completions, 2 * SOLO_SLOTS, position,
				   bench->completions + round % BURST),
		     "a completion passes");
		hearth_cq_consume(&bench->bare_client, position + 1);
	}
}

/* Each round's row as its client wrote it. */
static void engines(struct bench *bench)
{
	struct version *version = bench->solo.version;
	uint32_t round;

	for (round = 0; round < BURST; round++) {
		const void *inputs[SHOPPERS_INPUTS];
		void *outputs[1] = { bench->scores[round] };
		uint32_t index;

		for (index = 0; index < SHOPPERS_INPUTS; index++)
			inputs[index] = solo_range(&bench->solo, round) + solo_input_offsets[index];
		engine_run(version->engine, bench->solo.symbols, inputs, outputs, version->stage->status);
	}
}

static void copies(struct bench *bench)
{
	struct version *version = bench->solo.version;
	uint32_t round;
	uint32_t index;

	for (round = 0; round < BURST_BARE; round++)
		for (index = 0; index < SHOPPERS_INPUTS; index++)
			memcpy(version->stage->inputs[index],
			       solo_range(&bench->solo, round % BURST) + solo_input_offsets[index],
			       version->input_part_bytes[index]);
}

static void clocks(void)
{
	uint64_t before_ns = 0;
	uint32_t count;

	for (count = 0; count < BURST_BARE * CLOCKS; count++) {
		uint64_t ns = clock_ns();

		must(ns >= before_ns, "the clock goes back");
		before_ns = ns;
	}
}

/* After a store, as behind a completion. */
static void fences(struct bench *bench)
{
	uint32_t round;

	for (round = 0; round < BURST_BARE; round++) {
		uint64_t position = bench->bare_position++;

		hearth_store_relaxed(&bench->bare_completions[position % SOLO_SLOTS].id, position);
		must(hearth_cq_must_ring(&bench->bare_client, position, position + 1) ==
			     HEARTH_CQ_POLLING,
		     "nobody sleeps");
	}
}

/* Its rounds are short. */
static bool is_bare(enum kind kind)
{
	return kind <= KIND_LOOK;
}

static void burst_run(struct bench *bench, enum kind kind)
{
	switch (kind) {
	case KIND_RING:
		rings(bench);
		break;
	case KIND_CLOCK:
		clocks();
		break;
	case KIND_FENCE:
		fences(bench);
		break;
	case KIND_COPY:
		copies(bench);
		break;
	case KIND_LOOK:
		looks(bench);
		break;
	case KIND_ENGINE:
		engines(bench);
		break;
	default:
		requests(bench, kind);
	}
}

/* --- slices ---------------------------------------------------------------------------------- */

static void burst_check(struct bench *bench, enum kind kind, uint32_t row_first)
{
	const uint8_t *responses = bench->solo.lane->response_area + SOLO_SCORE_OFFSET;
	uint32_t round;

	for (round = 0; round < BURST; round++) {
		if (kind >= KIND_PING && kind <= KIND_INFER)
			completion_check(bench, kind, round);
		if (kind == KIND_INFER) {
			score_check(responses + round * SOLO_RANGE_BYTES, row_first + round);
			samples_add(&bench->executes, bench->completions[round].execute_ns);
		}
		if (kind == KIND_ENGINE)
			score_check(bench->scores[round], row_first + round);
	}
}

/* Returns what it took, without what comes before and after. */
static uint64_t burst(struct bench *bench, enum kind kind)
{
	uint32_t row_first = (uint32_t)(bench->burst_count++ * BURST % SHOPPERS_ROWS);
	uint64_t begun;
	uint64_t duration;
	uint32_t round;

	for (round = 0; round < BURST; round++) {
		bench->slots[round] = slot_of(bench->solo.position + round, round, kind);
		solo_fill(&bench->solo, round, row_first + round);
	}
	begun = ticks();
	burst_run(bench, kind);
	duration = ticks() - begun;
	burst_check(bench, kind, row_first);
	return duration;
}

static double slice(struct bench *bench, enum kind kind)
{
	uint32_t count;

	for (count = 0; count < BURSTS / 8; count++)
		burst(bench, kind);
	bench->samples.count = 0;
	bench->executes.count = 0;
	for (count = 0; count < BURSTS; count++)
		samples_add(&bench->samples, burst(bench, kind));
	return samples_middle_ns(&bench->samples) / (is_bare(kind) ? BURST_BARE : BURST);
}

static void group_add(struct bench *bench, const double kind_ns[KIND_COUNT], double execute_ns)
{
	double ring_ns = kind_ns[KIND_RING];
	double engine_ns = kind_ns[KIND_ENGINE];
	const double stage_ns[STAGE_COUNT] = {
		[STAGE_LOOK] = kind_ns[KIND_LOOK],
		[STAGE_INTAKE] = kind_ns[KIND_PING] - kind_ns[KIND_LOOK] - ring_ns,
		[STAGE_ADMISSION] = kind_ns[KIND_REFUSED] - kind_ns[KIND_PING],
		[STAGE_BATCH] = kind_ns[KIND_EXPIRED] - kind_ns[KIND_REFUSED],
		[STAGE_FINISH] = kind_ns[KIND_INFER] - kind_ns[KIND_EXPIRED] - engine_ns,
		[STAGE_RING] = ring_ns,
		[STAGE_ENGINE] = engine_ns,
		[STAGE_TOTAL] = kind_ns[KIND_INFER],
		[STAGE_REST] = kind_ns[KIND_INFER] - ring_ns - engine_ns,
		[STAGE_CLOCK] = kind_ns[KIND_CLOCK],
		[STAGE_FENCE] = kind_ns[KIND_FENCE],
		[STAGE_COPY] = kind_ns[KIND_COPY],
		[STAGE_EXECUTE] = execute_ns,
	};
	uint32_t stage;

	for (stage = 0; stage < STAGE_COUNT; stage++)
		bench->stage_ns[stage][bench->kept] = stage_ns[stage];
	bench->kept++;
}

/* The engine is the limit here: a group counts when it took the same before and after. */
static void measure(struct bench *bench)
{
	uint32_t tried;

	for (tried = 0; tried < GROUPS_TRIED_MAX && bench->kept < GROUPS_WANTED; tried++) {
		double before_ns = slice(bench, KIND_ENGINE);
		double kind_ns[KIND_COUNT];
		double execute_ns = 0;
		uint32_t kind;

		for (kind = 0; kind < KIND_COUNT; kind++) {
			kind_ns[kind] = slice(bench, (enum kind)kind);
			if (kind == KIND_INFER)
				execute_ns = samples_middle_ns(&bench->executes) / tick_ns();
		}
		if (!limits_agree(before_ns, kind_ns[KIND_ENGINE]))
			continue;
		kind_ns[KIND_ENGINE] = (before_ns + kind_ns[KIND_ENGINE]) / 2;
		group_add(bench, kind_ns, execute_ns);
	}
}

/* --- the table ------------------------------------------------------------------------------- */

struct line {
	double ns;
	double low_ns;
	double high_ns;
};

static void lines_print(const struct line lines[], enum part first, enum part last)
{
	uint32_t stage;

	for (stage = first; stage <= (uint32_t)last; stage++)
		printf("  %-10s %8.1f (%6.1f-%6.1f)  %s\n", stages[stage].key, lines[stage].ns,
		       lines[stage].low_ns, lines[stage].high_ns, stages[stage].meaning);
	printf("\n");
}

static void report(struct bench *bench)
{
	struct line lines[STAGE_COUNT];
	const char *verdict = "inconclusive";
	uint32_t stage;

	for (stage = 0; stage < STAGE_COUNT; stage++) {
		lines[stage].ns = median_of(bench->stage_ns[stage], bench->kept);
		lines[stage].low_ns = percentile_of(bench->stage_ns[stage], bench->kept, 0.1);
		lines[stage].high_ns = percentile_of(bench->stage_ns[stage], bench->kept, 0.9);
	}
	if (bench->steal_ratio <= MEASURE_STEAL_RATIO_MAX && bench->kept >= MEASURE_SLICES_MIN)
		verdict = lines[STAGE_REST].ns <= GOAL_NS ? "met" : "missed";
	if (is_json) {
		printf("{\"bench\":\"path\",\"device\":\"%s\",\"kept\":%u,\"steal_ratio\":%.4f,"
		       "\"ns\":{",
		       cpu_device()->name, bench->kept, bench->steal_ratio);
		for (stage = 0; stage < STAGE_COUNT; stage++)
			printf("%s\"%s\":%.1f", stage ? "," : "", stages[stage].key,
			       lines[stage].ns);
		printf("},\"goal_ns\":%.0f,\"verdict\":\"%s\"}\n", GOAL_NS, verdict);
		return;
	}
	printf("path: one row through daemon/serve, device %s, one thread, caches warm\n"
	       "  ns, median of groups of slices of %d requests (p10-p90)\n\n",
	       cpu_device()->name, BURST * BURSTS);
	lines_print(lines, STAGE_LOOK, STAGE_ENGINE);
	lines_print(lines, STAGE_TOTAL, STAGE_REST);
	printf("  what it consists of\n");
	lines_print(lines, STAGE_CLOCK, STAGE_EXECUTE);
	printf("  rest %.0f ns (goal: at most %.0f): %s\n"
	       "  %u groups kept, steal %.1f %%\n",
	       lines[STAGE_REST].ns, GOAL_NS, verdict, bench->kept, 100 * bench->steal_ratio);
}

int main(int argc, char **argv)
{
	static struct bench bench;
	struct noise noise;

	is_json = argc == 3 && strcmp(argv[1], "-o") == 0 && strcmp(argv[2], "json") == 0;
	if (argc > 1 && !is_json) {
		fprintf(stderr, "usage: bench_path [-o json]\n");
		return 2;
	}
	solo_open(&bench.solo);
	samples_init(&bench.samples);
	samples_init(&bench.executes);
	cpu_pin(0, cpu_allowed(0));
	noise_begin(&noise);
	measure(&bench);
	bench.steal_ratio = noise_steal_ratio(&noise);
	report(&bench);
	solo_close(&bench.solo);
	return 0;
}
