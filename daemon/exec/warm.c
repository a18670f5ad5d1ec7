/* SPDX-License-Identifier: MIT */
/* daemon/exec/warm.c - first runs of a model: everything is touched, and what is chosen is measured */
#include "exec/warm.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/sanitized.h"
#include "exec/warm_stage.h"

#define CHUNK_BUDGET_NS (100 * CLOCK_NS_PER_MS) /* and what is left of a round then */
#define CHUNK_ROUNDS 5
#define WAYS_BUDGET_NS (30 * CLOCK_NS_PER_MS)
#define REPEATS 5
#define STEP_REPEATS 3
#define LONG_NS (CLOCK_NS_PER_MS / 2) /* such runs are repeated less often */
#define GAIN_PERCENT 5        /* a choice must be better by so much */
#define CHUNK_ROWS_MIN 16
#define CHUNK_CANDIDATES 6    /* powers of two from CHUNK_ROWS_MIN to WARM_CHUNK_ROWS_MAX */
#define CACHE_BYTES (1 << 20) /* where the machine does not tell */
#define BYTE_WORK 4           /* multiply-adds in the time of a byte, as an order of magnitude */
#define ONCE_SHARE 16         /* of a chunk's work, at most, is what a request has once */
#define SHARE_ROWS 8          /* of each worker, from which on rows are shared without a clock */

/* --- the clock -------------------------------------------------------------------------------------- */

/* One run, on inputs of its own. */
static uint64_t way_run(struct spread *spread, const struct warm_options *options, enum way way,
			struct warm_stage *stage)
{
	uint64_t begun_ns;

	warm_stage_fill(stage, spread->options.signature, options->lowering);
	begun_ns = clock_ns();
	spread_run_so(spread, way, true, stage->symbols, (const void *const *)stage->inputs,
		      stage->outputs, stage->status);
	return clock_ns() - begun_ns;
}

/* The shortest of a few runs. */
static uint64_t way_time(struct spread *spread, const struct warm_options *options, enum way way,
			 struct warm_stage *stage)
{
	uint64_t best_ns = UINT64_MAX;
	uint32_t repeats = REPEATS;

	for (uint32_t repeat = 0; repeat < repeats; repeat++) {
		uint64_t taken_ns = way_run(spread, options, way, stage);

		best_ns = taken_ns < best_ns ? taken_ns : best_ns;
		if (taken_ns > LONG_NS && repeats > 2)
			repeats--;
	}
	return best_ns;
}

static bool is_better(uint64_t ns, uint64_t than_ns)
{
	return ns < than_ns && (than_ns - ns) * 100 > than_ns * GAIN_PERCENT;
}

/* --- chunks ------------------------------------------------------------------------------------------- */

uint32_t warm_chunk_guess(const struct plan plans[], uint32_t plan_count, int32_t row_symbol)
{
	long cache_bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
	uint64_t room_bytes = (uint64_t)(cache_bytes > 0 ? cache_bytes : CACHE_BYTES) / 2;
	int64_t rows = plans[0].capacity[row_symbol];

	for (uint32_t index = 0; index < plan_count; index++) {
		int64_t wider = plans[index].capacity[row_symbol];

		if (wider <= CHUNK_ROWS_MIN ||
		    (plans[index].arena_bytes <= room_bytes && wider <= WARM_CHUNK_ROWS_MAX / 2))
			rows = wider;
	}
	return (uint32_t)rows;
}

struct candidate {
	uint32_t rows;
	uint64_t best_ns;
};

/* The rows of buckets that a chunk can have, the guess first. */
static uint32_t candidates_find(const struct spread *spread, uint32_t guess_rows,
				struct candidate candidates[CHUNK_CANDIDATES])
{
	int32_t row_symbol = spread->options.signature->row_symbol;
	uint32_t count = 0;

	candidates[count++] = (struct candidate){ guess_rows, UINT64_MAX };
	for (uint32_t index = 0; index < spread->bucket_count; index++) {
		int64_t rows = spread->buckets[index].capacity[row_symbol];

		if (rows >= CHUNK_ROWS_MIN && rows <= WARM_CHUNK_ROWS_MAX && rows != guess_rows &&
		    count < CHUNK_CANDIDATES)
			candidates[count++] = (struct candidate){ (uint32_t)rows, UINT64_MAX };
	}
	return count;
}

/* All of them on as many rows, in turn: where small chunks are timed by themselves their shortest
 * run is shorter for no other reason than that there is more luck in few rows. */
static void candidates_measure(struct spread *spread, const struct warm_options *options,
			       struct candidate candidates[], uint32_t count, struct warm_stage *stage)
{
	uint32_t chunk_rows = spread->options.chunk_rows;
	uint64_t until_ns;

	way_run(spread, options, WAY_ALONE, stage);
	until_ns = clock_ns() + CHUNK_BUDGET_NS;
	for (uint32_t round = 0; round < CHUNK_ROUNDS && clock_ns() < until_ns; round++)
		for (uint32_t turn = 0; turn < count; turn++) {
			struct candidate *candidate = &candidates[(round + turn) % count];
			uint64_t ns;

			spread->options.chunk_rows = candidate->rows;
			ns = way_run(spread, options, WAY_ALONE, stage);
			if (ns < candidate->best_ns)
				candidate->best_ns = ns;
		}
	spread->options.chunk_rows = chunk_rows;
}

uint32_t warm_chunk_choose(struct spread *spread, const struct warm_options *options,
			   uint32_t guess_rows)
{
	const struct signature *signature = spread->options.signature;
	struct candidate candidates[CHUNK_CANDIDATES];
	struct candidate *best = candidates;
	struct warm_stage stage;
	uint32_t count;

	if (!options->measures || IS_SANITIZED)
		return guess_rows;
	count = candidates_find(spread, guess_rows, candidates);
	if (warm_stage_init(&stage, options, signature,
		       spread->buckets[spread->bucket_count - 1].capacity) &&
	    spread_fits(spread, stage.symbols))
		candidates_measure(spread, options, candidates, count, &stage);
	warm_stage_deinit(&stage);
	for (uint32_t index = 1; index < count; index++)
		if (is_better(candidates[index].best_ns, candidates[0].best_ns) &&
		    candidates[index].best_ns < best->best_ns)
			best = &candidates[index];
	return best->rows;
}

/* Multiply-adds, and bytes as the multiply-adds that take as long. */
static uint64_t step_work(const struct lowering *lowering, uint32_t step,
			  const struct signature *signature, int64_t rows)
{
	int64_t symbols[SIGNATURE_SYMBOLS_MAX] = {0};
	struct cost cost;

	symbols[signature->row_symbol] = rows;
	symbols[signature->request_symbol] = 1;
	cost = step_cost(lowering, lowering->steps[step], symbols);
	return cost.multiply_adds + BYTE_WORK * cost.bytes;
}

uint32_t warm_chunk_widen(const struct lowering *lowering, const struct signature *signature,
			  uint32_t rows, uint32_t rows_max)
{
	uint64_t once = 0;

	if (signature->request_symbol < 0)
		return rows;
	for (uint32_t step = 0; step < lowering->step_count; step++) {
		uint64_t work = step_work(lowering, step, signature, 1);

		if (work == step_work(lowering, step, signature, 2))
			once += work;
	}
	while (rows < rows_max) {
		uint64_t all = 0;

		for (uint32_t step = 0; step < lowering->step_count; step++)
			all += step_work(lowering, step, signature, rows);
		if (once * ONCE_SHARE <= all)
			break;
		rows = rows <= rows_max / 2 ? 2 * rows : rows_max;
	}
	return rows;
}

/* --- ways ---------------------------------------------------------------------------------------------- */

static void way_choose(struct spread *spread, const struct warm_options *options,
		       struct spread_choice *choice, struct warm_stage *stage)
{
	bool is_cut = spread->options.chunk_rows > 0;
	int64_t rows = is_cut ? stage->symbols[spread->options.signature->row_symbol] : 1;

	choice->way = WAY_ALONE;
	choice->ways_ns[WAY_ALONE] = way_time(spread, options, WAY_ALONE, stage);
	choice->alone_ns = choice->ways_ns[WAY_ALONE];
	if (!workers_acquire(spread->options.workers))
		return;
	if (rows > 1)
		choice->ways_ns[WAY_ROWS] = way_time(spread, options, WAY_ROWS, stage);
	if (spread->has_columns && (!is_cut || rows <= spread->options.chunk_rows))
		choice->ways_ns[WAY_COLUMNS] = way_time(spread, options, WAY_COLUMNS, stage);
	workers_release(spread->options.workers);
	for (enum way way = WAY_ROWS; way < WAY_COUNT; way++)
		if (choice->ways_ns[way] > 0 &&
		    is_better(choice->ways_ns[way], choice->ways_ns[choice->way]))
			choice->way = way;
}

/* Without a clock: enough rows for each worker, or as the last that was measured. */
static void way_guess(const struct spread *spread, struct spread_choice *choice, int64_t rows,
		      const struct spread_choice *last)
{
	uint32_t workers = workers_count(spread->options.workers);

	choice->way = last && last->way != WAY_AUTO ? last->way : WAY_ALONE;
	choice->alone_ns = last && last->alone_ns < UINT64_MAX / 2 ? 2 * last->alone_ns : UINT64_MAX;
	if (spread->options.chunk_rows > 0 && rows >= SHARE_ROWS * (int64_t)workers)
		choice->way = WAY_ROWS;
	else if (!last && spread->has_columns)
		choice->way = WAY_COLUMNS;
}

/* Every run, also those of workers that would come too late to have one. */
static void runs_warm(struct spread *spread, struct spread_bucket *bucket, struct warm_stage *stage)
{
	for (uint32_t worker = 0; worker < spread->run_count; worker++)
		run_execute(&bucket->runs[worker], stage->symbols,
			    (const void *const *)stage->inputs, stage->outputs, stage->status);
}

/* The steps of the first and the last bucket, one by one. */
static void steps_measure(struct spread *spread, const struct warm_options *options,
			  uint32_t index, struct warm_stage *stage, bool has_clock)
{
	struct measure *measure = &spread->measures[index > 0];
	int32_t symbol = spread->options.signature->row_symbol;

	if (index > 0 && index + 1 < spread->bucket_count)
		return;
	measure_init(measure, options->lowering, &spread->roofline, stage->symbols,
		     symbol < 0 ? 1 : (uint32_t)stage->symbols[symbol]);
	for (uint32_t repeat = 0; has_clock && repeat < STEP_REPEATS; repeat++) {
		warm_stage_fill(stage, spread->options.signature, options->lowering);
		measure_run(measure, run_bind(&spread->buckets[index].runs[0], stage->symbols,
					      (const void *const *)stage->inputs, stage->outputs,
					      stage->status));
	}
}

static void bucket_warm(struct spread *spread, const struct warm_options *options, uint32_t index,
			uint64_t *budget_ns)
{
	const struct signature *signature = spread->options.signature;
	struct spread_bucket *bucket = &spread->buckets[index];
	struct spread_choice *choice = spread_choice_of(spread, bucket->capacity);
	struct warm_stage stage;
	uint64_t begun_ns;

	if (warm_stage_init(&stage, options, signature, bucket->capacity) &&
	    spread_fits(spread, stage.symbols)) {
		runs_warm(spread, bucket, &stage);
		steps_measure(spread, options, index, &stage, *budget_ns > 0);
		begun_ns = clock_ns();
		if (*budget_ns > 0 && spread->options.workers) {
			way_choose(spread, options, choice, &stage);
			begun_ns = clock_ns() - begun_ns;
			*budget_ns -= begun_ns < *budget_ns ? begun_ns : *budget_ns;
		}
	}
	warm_stage_deinit(&stage);
}

void warm_spread(struct spread *spread, const struct warm_options *options)
{
	int64_t rows = spread->options.chunk_rows > 0 ? 1 : 0;
	bool measures = options->measures && !IS_SANITIZED;
	uint64_t budget_ns = measures ? WAYS_BUDGET_NS : 0;
	const struct spread_choice *last = NULL;

	if (measures && options->roofline)
		spread->roofline = *options->roofline;
	else if (measures)
		roofline_measure(&spread->roofline, spread->options.device, spread->options.weights,
				 spread->options.weights_bytes);
	for (uint32_t index = 0; index < spread->bucket_count; index++)
		bucket_warm(spread, options, index, &budget_ns);
	for (uint32_t index = 0; index < SPREAD_BUCKETS_MAX; index++, rows *= 2) {
		struct spread_choice *choice = &spread->choices[index];

		if (!spread->options.workers)
			choice->way = WAY_ALONE;
		else if (choice->way == WAY_AUTO)
			way_guess(spread, choice, rows, last);
		if (spread->options.way != WAY_AUTO) {
			choice->way = spread->options.way;
			choice->alone_ns = UINT64_MAX;
		}
		last = choice;
	}
}
