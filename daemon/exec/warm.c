/* SPDX-License-Identifier: MIT */
/* daemon/exec/warm.c - first runs of a model: everything is touched, and what is chosen is measured */
#include "exec/warm.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sanitized.h"
#include "exec/engine.h"

#define BOUNDS_MAX 64         /* tables of an input whose sizes are remembered */
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
#define BAG_VALUES 2          /* of a bag on average */
#define BYTE_WORK 4           /* multiply-adds in the time of a byte, as an order of magnitude */
#define ONCE_SHARE 16         /* of a chunk's work, at most, is what a request has once */
#define SHARE_ROWS 8          /* of each worker, from which on rows are shared without a clock */

/* --- what a run reads and writes ---------------------------------------------------------------- */

struct stage {
	int64_t symbols[SIGNATURE_SYMBOLS_MAX];
	void *inputs[ENGINE_INPUTS_MAX]; /* one behind the last: all rows are of request 0 */
	void *outputs[SIGNATURE_TENSORS_MAX];
	struct row_status *status;
	uint32_t input_count;
	uint64_t seed;
};

/* Zeroed, aligned memory for every tensor of the list; false when it would be
 * more than `limit` bytes or there is none. */
static bool tensors_allocate(const struct signature_tensor *tensors, uint32_t count,
			     const int64_t symbols[], uint64_t limit, void *memory[])
{
	for (uint32_t index = 0; index < count; index++) {
		int64_t elements = signature_elements(&tensors[index], symbols);
		uint64_t bytes;

		if (elements < 0 || (uint64_t)elements > limit / 8)
			return false;
		bytes = (uint64_t)elements * dtype_bytes(tensors[index].dtype);
		bytes = (bytes + 127) & ~63ULL;
		memory[index] = aligned_alloc(64, bytes);
		if (!memory[index])
			return false;
		memset(memory[index], 0, bytes);
		limit -= bytes < limit ? bytes : limit;
	}
	return true;
}

/* Bags of a few values where rows are cut: nothing in an arena is counted by them, and what is chosen
 * shall not follow from bags larger than most are. */
static void stage_bags(struct stage *stage, const struct signature *signature, int64_t rows)
{
	if (signature->followed_symbol < 0)
		return;
	for (uint32_t input = 0; input < signature->input_count; input++) {
		const struct signature_tensor *tensor = &signature->inputs[input];

		if (tensor->is_offsets && stage->symbols[tensor->values_symbol] > BAG_VALUES * rows)
			stage->symbols[tensor->values_symbol] = BAG_VALUES * rows;
	}
}

/* As far as it goes: stage_deinit is due also when it is false. */
static bool stage_init(struct stage *stage, const struct warm_options *options,
		       const struct signature *signature, const int64_t capacity[])
{
	uint64_t limit = options->bytes_max;
	uint32_t cold_count = options->cold ? cold_ids_count(options->cold) : 0;
	int64_t rows = signature->row_symbol < 0 ? 1 : capacity[signature->row_symbol];

	*stage = (struct stage){
		.status = calloc((size_t)rows + 1, sizeof(*stage->status)),
		.input_count = signature->input_count,
		.seed = UINT64_C(0x9e3779b97f4a7c15),
	};
	memcpy(stage->symbols, capacity, sizeof(stage->symbols));
	stage_bags(stage, signature, rows);
	if (signature->request_symbol >= 0)
		stage->symbols[signature->request_symbol] = 1;
	stage->inputs[signature->input_count] = calloc((size_t)rows + 1, sizeof(int32_t));
	for (uint32_t index = 0; index < cold_count; index++)
		stage->inputs[signature->input_count + 1 + index] =
			cold_stage_scatter(cold_stage(options->cold, 0), index);
	return stage->status && stage->inputs[signature->input_count] &&
	       tensors_allocate(signature->inputs, signature->input_count, stage->symbols, limit,
				stage->inputs) &&
	       tensors_allocate(signature->outputs, signature->output_count, stage->symbols, limit,
				stage->outputs);
}

static void stage_deinit(struct stage *stage)
{
	/* Those behind are of the cold tables. */
	for (uint32_t index = 0; index <= stage->input_count; index++)
		free(stage->inputs[index]);
	for (uint32_t index = 0; index < SIGNATURE_TENSORS_MAX; index++)
		free(stage->outputs[index]);
	free(stage->status);
}

static uint64_t draw(uint64_t *seed)
{
	*seed ^= *seed << 13; /* Marsaglia, Xorshift RNGs, 2003 */
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* The rows of the tables that a step reads with ids of this input. */
static uint32_t bounds_find(const struct lowering *lowering, uint32_t input,
			    int64_t bounds[BOUNDS_MAX])
{
	uint32_t count = 0;

	for (uint32_t index = 0; index < lowering->step_count; index++) {
		bool reads = false;
		uint32_t place;

		for (const struct operand *operand = lowering->steps[index]->operands; operand;
		     operand = operand->next)
			reads = reads ||
				(operand->kind == OPERAND_READ &&
				 lower_place(lowering, operand->index, &place) == PLACE_INPUT &&
				 place == input);
		for (const struct operand *operand = lowering->steps[index]->operands;
		     reads && operand; operand = operand->next) {
			const struct weight *weight = &lowering->weights[operand->index];

			if (operand->kind == OPERAND_WEIGHT && weight->layout == WEIGHT_TABLE &&
			    count < BOUNDS_MAX)
				bounds[count++] = graph_value(lowering->graph, weight->value)
							  ->dims[0].constant;
		}
	}
	return count;
}

/* An id of one of the tables, the larger the likelier: columns are not told apart, and what is
 * outside of a small table is read as its first row, which is in the cache as all its rows are. */
static int64_t draw_id(uint64_t *seed, const int64_t bounds[], uint32_t bound_count)
{
	uint64_t total = 0, at;

	for (uint32_t index = 0; index < bound_count; index++)
		total += (uint64_t)bounds[index];
	at = total > 0 ? draw(seed) % total : 0;
	for (uint32_t index = 0; index < bound_count; index++) {
		if (at < (uint64_t)bounds[index])
			return (int64_t)at;
		at -= (uint64_t)bounds[index];
	}
	return 0;
}

/* Where bag `index` of `rows` begins among the values, of which each bag has up to twice its share. */
static int64_t draw_offset(uint64_t *seed, int64_t index, int64_t rows, int64_t values)
{
	uint64_t jitter = draw(seed) % ((uint64_t)values + 1);

	if (index == 0 || index == rows)
		return index == 0 ? 0 : values;
	return (int64_t)(((uint64_t)index * (uint64_t)values + jitter) / (uint64_t)rows);
}

static void offsets_fill(struct stage *stage, const struct signature *signature, uint32_t input)
{
	const struct signature_tensor *tensor = &signature->inputs[input];
	int64_t count = signature_elements(tensor, stage->symbols);

	for (int64_t index = 0; index < count; index++) {
		int64_t offset = draw_offset(&stage->seed, index,
					     stage->symbols[signature->row_symbol],
					     stage->symbols[tensor->values_symbol]);

		if (tensor->dtype == DTYPE_I64)
			((int64_t *)stage->inputs[input])[index] = offset;
		else
			((int32_t *)stage->inputs[input])[index] = (int32_t)offset;
	}
}

/* Ids all over the tables, other ones each time; offsets that divide the values; numbers in [-1, 1);
 * other integers stay 0. */
static void stage_fill(struct stage *stage, const struct signature *signature,
		       const struct lowering *lowering)
{
	for (uint32_t input = 0; input < signature->input_count; input++) {
		const struct signature_tensor *tensor = &signature->inputs[input];
		int64_t elements = signature_elements(tensor, stage->symbols);
		int64_t bounds[BOUNDS_MAX];
		uint32_t bound_count = bounds_find(lowering, input, bounds);

		if (tensor->is_offsets) {
			offsets_fill(stage, signature, input);
			continue;
		}
		for (int64_t index = 0; index < elements; index++) {
			if (tensor->dtype == DTYPE_F32)
				((float *)stage->inputs[input])[index] =
					(float)(draw(&stage->seed) >> 40) / (float)(1 << 23) - 1.0f;
			else if (tensor->dtype == DTYPE_I64)
				((int64_t *)stage->inputs[input])[index] =
					draw_id(&stage->seed, bounds, bound_count);
			else if (tensor->dtype == DTYPE_I32)
				((int32_t *)stage->inputs[input])[index] =
					(int32_t)draw_id(&stage->seed, bounds, bound_count);
		}
	}
}

/* --- the clock -------------------------------------------------------------------------------------- */

/* One run, on inputs of its own. */
static uint64_t way_run(struct spread *spread, const struct warm_options *options, enum way way,
			struct stage *stage)
{
	uint64_t begun_ns;

	stage_fill(stage, spread->options.signature, options->lowering);
	begun_ns = clock_ns();
	spread_run_so(spread, way, true, stage->symbols, (const void *const *)stage->inputs,
		      stage->outputs, stage->status);
	return clock_ns() - begun_ns;
}

/* The shortest of a few runs. */
static uint64_t way_time(struct spread *spread, const struct warm_options *options, enum way way,
			 struct stage *stage)
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
			       struct candidate candidates[], uint32_t count, struct stage *stage)
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
	struct stage stage;
	uint32_t count;

	if (!options->measures || IS_SANITIZED)
		return guess_rows;
	count = candidates_find(spread, guess_rows, candidates);
	if (stage_init(&stage, options, signature,
		       spread->buckets[spread->bucket_count - 1].capacity) &&
	    spread_fits(spread, stage.symbols))
		candidates_measure(spread, options, candidates, count, &stage);
	stage_deinit(&stage);
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
		       struct spread_choice *choice, struct stage *stage)
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
static void runs_warm(struct spread *spread, struct spread_bucket *bucket, struct stage *stage)
{
	for (uint32_t worker = 0; worker < spread->run_count; worker++)
		run_execute(&bucket->runs[worker], stage->symbols,
			    (const void *const *)stage->inputs, stage->outputs, stage->status);
}

/* The steps of the first and the last bucket, one by one. */
static void steps_measure(struct spread *spread, const struct warm_options *options,
			  uint32_t index, struct stage *stage, bool has_clock)
{
	struct measure *measure = &spread->measures[index > 0];
	int32_t symbol = spread->options.signature->row_symbol;

	if (index > 0 && index + 1 < spread->bucket_count)
		return;
	measure_init(measure, options->lowering, &spread->roofline, stage->symbols,
		     symbol < 0 ? 1 : (uint32_t)stage->symbols[symbol]);
	for (uint32_t repeat = 0; has_clock && repeat < STEP_REPEATS; repeat++) {
		stage_fill(stage, spread->options.signature, options->lowering);
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
	struct stage stage;
	uint64_t begun_ns;

	if (stage_init(&stage, options, signature, bucket->capacity) &&
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
	stage_deinit(&stage);
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
