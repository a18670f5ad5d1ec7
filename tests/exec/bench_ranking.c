/* SPDX-License-Identifier: MIT */
/*
 * tests/exec/bench_ranking.c - published ranking models in this process on one core, against the floor
 *
 * The floor of a batch is the larger of two times, its multiply-adds at the rate that the core reaches
 * from registers and its weights at the rate at which a bare loop streams as many bytes, and beside
 * that the time in which a bare reader with prefetch sums as many random rows of tables of the same
 * sizes, in the very pages that the engine got. All three are measured before and after each slice;
 * slices whose floors disagree do not count. model.meta (tests/models/network.py) says what a row costs.
 *
 * Twins are the same models with names, order and hidden widths of no meaning: they keep the ratio.
 * The models take 6.5 GB and are not written here; those that are there are measured.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "exec/engine.h"
#include "tests/models/network.h"
#include "tests/system/crowd.h"
#include "tests/system/measure.h"

#define SLICE_NS 8000000.0
#define SLICES_WANTED 15
#define SLICES_TRIED_MAX 40
#define SLICES_CONCLUSIVE 5
#define PATIENCE_NS (INT64_C(4) * 1000000000)
#define BATCHES_MAX 64
#define FLOOR_GOAL 1.45 /* at FLOOR_ROWS rows and above */
#define FLOOR_ROWS 64
#define TWIN_GOAL 1.15
#define FIRST_GOAL 1.1
#define RESIDENT_GOAL 1.02
#define LOADS 100
#define GAP_NS 2000000
#define LINE_FLOATS 16
#define AHEAD_BYTES 4096 /* so far ahead does the bare reader prefetch */
#define WEIGHT_PASSES_NS 500000.0

typedef float line_floats __attribute__((vector_size(64), may_alias));

static const char *const models[] = {
	"dlrm_kaggle", "dlrm_kaggle_bags", "deepfm",	     "wide_deep",
	"dcn_v2",      "din",		  "dlrm_v2_dot", "dlrm_v2",
};
static const uint32_t sizes[] = { 1, 8, 64, 512, 2048 };

#define MODELS (sizeof(models) / sizeof(models[0]))
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

struct bench {
	struct network network;
	struct engine *engine;
	uint32_t order[NETWORK_INPUTS_MAX]; /* the network's input of each of the engine's */
	struct network_batch batches[BATCHES_MAX];
	uint32_t batch_count;
	struct samples samples;
	struct row_status *status;
	float *scores;
	const uint8_t *weights; /* as many bytes as the model's, for the bare loop */
	uint64_t *offsets;      /* of the rows that the bare reader sums */
	uint32_t *row_bytes;
	uint32_t row_count;
	uint64_t faults;
	uint32_t met;
	uint32_t missed;
	uint32_t unclear;
};

static volatile float sink;

/* --- what the machine can do ------------------------------------------------------------------- */

FOR_EACH_WIDTH static float lines_sum(const uint8_t *bytes, uint64_t count)
{
	const line_floats *lines = (const line_floats *)bytes;
	line_floats a = { 0 }, b = { 0 }, c = { 0 }, d = { 0 };
	uint64_t line;

	for (line = 0; line + 4 <= count; line += 4) {
		a += lines[line];
		b += lines[line + 1];
		c += lines[line + 2];
		d += lines[line + 3];
	}
	a += b + c + d;
	return a[0] + a[7];
}

FOR_EACH_WIDTH static float rows_sum(const uint8_t *base, const uint64_t offsets[],
				     const uint32_t row_bytes[], uint32_t count)
{
	line_floats sum = { 0 };
	uint32_t ahead = 0;
	uint64_t ahead_bytes = 0;
	uint32_t row;
	uint32_t at;

	for (row = 0; row < count; row++) {
		for (; ahead < count && ahead_bytes < AHEAD_BYTES; ahead++) {
			for (at = 0; at < row_bytes[ahead]; at += 64)
				__builtin_prefetch(base + offsets[ahead] + at);
			ahead_bytes += (row_bytes[ahead] + 63) & ~63u;
		}
		ahead_bytes -= (row_bytes[row] + 63) & ~63u;
		for (at = 0; at < row_bytes[row]; at += 64)
			sum += *(const line_floats *)(base + offsets[row] + at);
	}
	return sum[0] + sum[7];
}

static double weights_ns(const struct bench *bench)
{
	double ns = 0;
	uint32_t passes = 0;
	uint64_t begun;

	sink = lines_sum(bench->weights, bench->network.weight_bytes / 64);
	begun = ticks();
	do {
		sink = lines_sum(bench->weights, bench->network.weight_bytes / 64);
		passes++;
		ns = (double)(ticks() - begun) * tick_ns();
	} while (ns < WEIGHT_PASSES_NS);
	return ns / passes;
}

/* Rows of a batch, in the order in which a batch reads them: table after table. A row begins a line,
 * and one that is shorter than a line costs a line. A table that two inputs read lies there once: what
 * would end behind the span begins at its start. */
static void rows_draw(struct bench *bench, uint32_t rows)
{
	uint64_t span_bytes = engine_memory(bench->engine).weights->bytes;
	uint64_t base = 0;
	uint32_t table;

	bench->row_count = 0;
	for (table = 0; table < bench->network.table_count; table++) {
		struct network_table *info = bench->network.tables + table;
		uint32_t draw;

		if (base + info->rows * info->row_bytes > span_bytes)
			base = 0;
		for (draw = 0; draw < rows * info->count; draw++) {
			uint64_t id = network_id(&bench->network, table, info->drawn++);

			bench->row_bytes[bench->row_count] = info->row_bytes;
			bench->offsets[bench->row_count++] = base + (id * info->row_bytes & ~63ULL);
		}
		base += (info->rows * info->row_bytes + 63) & ~63ULL;
	}
}

static double rows_ns(struct bench *bench, uint32_t rows)
{
	const struct span *span = engine_memory(bench->engine).weights;
	uint32_t repeats = rows < 64 ? 64 / rows : 1;
	double sum_ns = 0;
	uint32_t repeat;

	for (repeat = 0; repeat < repeats; repeat++) {
		uint64_t begun;

		rows_draw(bench, rows);
		begun = ticks();
		sink = rows_sum(span->address, bench->offsets, bench->row_bytes, bench->row_count);
		sum_ns += (double)(ticks() - begun) * tick_ns();
	}
	return sum_ns / repeats;
}

struct floor {
	double fmas_ns;
	double weights_ns;
	double rows_ns;
};

static struct floor floor_measure(struct bench *bench, uint32_t rows)
{
	struct floor floor = {
		.fmas_ns = (double)bench->network.fmas * rows / fma_peak_per_s() * 1e9,
		.weights_ns = weights_ns(bench),
		.rows_ns = rows_ns(bench, rows),
	};

	return floor;
}

static double floor_ns(const struct floor *floor)
{
	return (floor->fmas_ns > floor->weights_ns ? floor->fmas_ns : floor->weights_ns) +
	       floor->rows_ns;
}

/* --- the engine -------------------------------------------------------------------------------- */

static bool engine_load(struct bench *bench, const char *model)
{
	struct engine_options options = { .device = cpu_device(), .node = -1 };
	const struct signature *signature;
	char path[512];
	uint32_t input;
	int fd;

	snprintf(path, sizeof(path), "%s/%s/1", network_directory(), model);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || !network_open(&bench->network, network_directory(), model)) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	if (engine_new(fd, model, &options, &bench->engine) < 0) {
		printf("  %-20s is refused: %s\n", model, err_message());
		close(fd);
		return false;
	}
	close(fd);
	signature = engine_signature(bench->engine);
	for (input = 0; input < signature->input_count; input++)
		bench->order[input] =
			network_input_find(&bench->network, signature->inputs[input].name);
	return true;
}

static double run_ns(struct bench *bench, const struct network_batch *batch)
{
	const struct signature *signature = engine_signature(bench->engine);
	int64_t symbols[SIGNATURE_SYMBOLS_MAX] = { 0 };
	const void *inputs[ENGINE_INPUTS_MAX] = { 0 };
	void *outputs[1] = { bench->scores };
	struct rusage before;
	struct rusage after;
	uint64_t begun;
	uint64_t duration;
	uint32_t input;

	symbols[signature->row_symbol] = batch->rows;
	for (input = 0; input < signature->input_count; input++)
		inputs[input] = batch->inputs[bench->order[input]];
	memset(bench->status, 0, batch->rows * sizeof(*bench->status));
	getrusage(RUSAGE_THREAD, &before);
	begun = ticks();
	engine_run(bench->engine, symbols, inputs, outputs, bench->status);
	duration = ticks() - begun;
	getrusage(RUSAGE_THREAD, &after);
	bench->faults += (uint64_t)(after.ru_minflt - before.ru_minflt + after.ru_majflt -
				    before.ru_majflt);
	samples_add(&bench->samples, duration);
	return (double)duration * tick_ns();
}

static double engine_slice(struct bench *bench)
{
	uint32_t batch;

	for (batch = 0; batch < bench->batch_count; batch++)
		network_draw(&bench->network, bench->batches + batch);
	bench->samples.count = 0;
	for (batch = 0; batch < bench->batch_count; batch++)
		run_ns(bench, bench->batches + batch);
	return samples_middle_ns(&bench->samples);
}

/* --- a row of the table ------------------------------------------------------------------------ */

static void batches_init(struct bench *bench, uint32_t rows)
{
	double guess_ns;
	uint32_t batch;

	for (batch = 0; batch < BATCHES_MAX; batch++)
		network_batch_init(bench->batches + batch, &bench->network, rows);
	network_draw(&bench->network, bench->batches);
	run_ns(bench, bench->batches);
	guess_ns = run_ns(bench, bench->batches);
	bench->batch_count = guess_ns * BATCHES_MAX < SLICE_NS ? BATCHES_MAX :
			     guess_ns > SLICE_NS	       ? 1 :
								 (uint32_t)(SLICE_NS / guess_ns);
	bench->faults = 0;
}

static double ratio_measure(struct bench *bench, uint32_t rows)
{
	int64_t until_ns = crowd_now_ns() + PATIENCE_NS;
	struct series *series = calloc(1, sizeof(*series));
	struct floor floor;
	double before;
	double ratio;
	uint32_t tried;
	uint32_t batch;

	must(series, "no memory");
	batches_init(bench, rows);
	floor = floor_measure(bench, rows);
	before = floor_ns(&floor);
	for (tried = 0; tried < SLICES_TRIED_MAX && series->count < SLICES_WANTED &&
			(crowd_now_ns() < until_ns || series->count < SLICES_CONCLUSIVE);
	     tried++) {
		double value = engine_slice(bench);
		double after;

		floor = floor_measure(bench, rows);
		after = floor_ns(&floor);
		if (limits_agree(before, after))
			series_add(series, before, value, after);
		before = after;
	}
	ratio = median_of(series->ratios, series->count);
	printf("  %-20s %5u %10.1f %10.1f %10.1f %10.1f %10.1f %7.2f %6.2f .. %-6.2f %4u", bench->network.name,
	       rows, median_of(series->values, series->count) / 1e3, floor.fmas_ns / 1e3,
	       floor.weights_ns / 1e3, floor.rows_ns / 1e3,
	       median_of(series->limits, series->count) / 1e3, ratio,
	       percentile_of(series->ratios, series->count, 0.1),
	       percentile_of(series->ratios, series->count, 0.9), series->count);
	if (series->count < SLICES_CONCLUSIVE) {
		printf("  inconclusive");
		bench->unclear++;
	} else if (rows >= FLOOR_ROWS) {
		printf("  goal %.2fx: %s", FLOOR_GOAL, ratio <= FLOOR_GOAL ? "met" : "missed");
		*(ratio <= FLOOR_GOAL ? &bench->met : &bench->missed) += 1;
	}
	printf("%s\n", bench->faults ? "  PAGE FAULTS" : "");
	for (batch = 0; batch < BATCHES_MAX; batch++)
		network_batch_deinit(bench->batches + batch, &bench->network);
	free(series);
	return ratio;
}

/* --- a model ----------------------------------------------------------------------------------- */

static uint64_t resident_bytes(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	uint64_t bytes = 0;
	char line[256];

	must(file, "cannot read /proc/self/status");
	while (fgets(line, sizeof(line), file)) {
		unsigned long long kib;

		if (sscanf(line, "VmRSS: %llu kB", &kib) == 1 ||
		    sscanf(line, "HugetlbPages: %llu kB", &kib) == 1)
			bytes += kib * 1024;
	}
	fclose(file);
	return bytes;
}

static void resident_print(struct bench *bench, uint64_t before)
{
	struct engine_memory memory = engine_memory(bench->engine);
	uint64_t arenas = memory.activations->used_bytes;
	double ratio = (double)(resident_bytes() - before - arenas) /
		       (double)(bench->network.tables_bytes + bench->network.weight_bytes);

	printf("  %-20s resident %.3f times its tables and weights, beside %.1f MB of activations, "
	       "in pages of %s  goal %.2fx: %s\n",
	       bench->network.name, ratio, (double)arenas / 1e6,
	       span_backing_name(memory.weights->backing), RESIDENT_GOAL,
	       ratio <= RESIDENT_GOAL ? "met" : "missed");
	*(ratio <= RESIDENT_GOAL ? &bench->met : &bench->missed) += 1;
}

/* Ratios by size; 0: not measured. */
static bool model_measure(struct bench *bench, const char *model, double ratios[SIZES])
{
	uint64_t rows_max = sizes[SIZES - 1];
	uint64_t before = resident_bytes();
	uint64_t per_row = 0;
	uint32_t index;
	uint8_t *weights;

	memset(ratios, 0, SIZES * sizeof(ratios[0]));
	if (!engine_load(bench, model))
		return false;
	resident_print(bench, before);
	for (index = 0; index < bench->network.table_count; index++)
		per_row += bench->network.tables[index].count;
	bench->offsets = calloc(per_row * rows_max, sizeof(*bench->offsets));
	bench->row_bytes = calloc(per_row * rows_max, sizeof(*bench->row_bytes));
	weights = aligned_alloc(2u << 20, (bench->network.weight_bytes + (2u << 20)) & ~((2ULL << 20) - 1));
	must(bench->offsets && bench->row_bytes && weights, "no memory");
	memset(weights, 0, bench->network.weight_bytes);
	bench->weights = weights;
	for (index = 0; index < SIZES; index++)
		if (sizes[index] <= engine_rows_max(bench->engine))
			ratios[index] = ratio_measure(bench, sizes[index]);
		else
			printf("  %-20s %5u  more than the %u rows that it takes\n", model,
			       sizes[index], engine_rows_max(bench->engine));
	free(bench->offsets);
	free(bench->row_bytes);
	free(weights);
	engine_free(bench->engine);
	return true;
}

static void twin_judge(struct bench *bench, const char *model, const double ratios[],
		       const double twins[])
{
	uint32_t index;

	for (index = 0; index < SIZES; index++) {
		bool is_met = twins[index] <= ratios[index] * TWIN_GOAL;

		if (sizes[index] < FLOOR_ROWS || ratios[index] <= 0 || twins[index] <= 0)
			continue;
		printf("  %-20s %5u: the twin's ratio is %.2f times the model's  goal %.2fx: %s\n",
		       model, sizes[index], twins[index] / ratios[index], TWIN_GOAL,
		       is_met ? "met" : "missed");
		*(is_met ? &bench->met : &bench->missed) += 1;
	}
}

/* A small model's first run, and runs after the same pause. */
static void first_measure(struct bench *bench, const char *model)
{
	double firsts[LOADS];
	double laters[LOADS];
	uint32_t load;
	double ratio;

	for (load = 0; load < LOADS; load++) {
		if (!engine_load(bench, model)) {
			bench->unclear++;
			return;
		}
		network_batch_init(bench->batches, &bench->network, 1);
		bench->samples.count = 0;
		network_draw(&bench->network, bench->batches);
		crowd_pause_ns(GAP_NS);
		firsts[load] = run_ns(bench, bench->batches);
		network_draw(&bench->network, bench->batches);
		crowd_pause_ns(GAP_NS);
		laters[load] = run_ns(bench, bench->batches);
		network_batch_deinit(bench->batches, &bench->network);
		engine_free(bench->engine);
	}
	ratio = median_of(firsts, LOADS) / median_of(laters, LOADS);
	printf("  %-20s first run of %d loads %.2f times one after the same pause  goal %.1fx: %s\n",
	       model, LOADS, ratio, FIRST_GOAL, ratio <= FIRST_GOAL ? "met" : "missed");
	*(ratio <= FIRST_GOAL ? &bench->met : &bench->missed) += 1;
}

int main(void)
{
	static struct bench bench;
	const char *wanted = getenv("HEARTH_RANKING"); /* one model; default all */
	uint32_t measured = 0;
	size_t model;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (fma_peak_per_s() <= 0) {
		printf("SKIP: no multiply-add loop for this processor\n");
		return MEASURE_SKIP;
	}
	samples_init(&bench.samples);
	bench.status = calloc(sizes[SIZES - 1], sizeof(*bench.status));
	bench.scores = aligned_alloc(64, sizes[SIZES - 1] * sizeof(float));
	must(bench.status && bench.scores, "no memory");
	cpu_pin(0, cpu_allowed(1) >= 0 ? cpu_allowed(1) : cpu_allowed(0));
	printf("ranking: models in process on one core against the floor, %.1f G multiply-adds/s\n"
	       "  %-20s %5s %10s %10s %10s %10s %10s %7s %6s .. %-6s %4s\n",
	       fma_peak_per_s() / 1e9, "", "rows", "run us", "fmas us", "weights us", "rows us",
	       "floor us", "x", "p10", "p90", "kept");
	for (model = 0; model < MODELS; model++) {
		char name[NETWORK_NAME_BYTES];
		double ratios[SIZES];
		double twins[SIZES];

		if (wanted && *wanted && strcmp(wanted, models[model]) != 0)
			continue;
		measured += model_measure(&bench, models[model], ratios);
		snprintf(name, sizeof(name), "%s_twin7", models[model]);
		if (model_measure(&bench, name, twins))
			twin_judge(&bench, models[model], ratios, twins);
		snprintf(name, sizeof(name), "%s_small", models[model]);
		first_measure(&bench, name);
	}
	if (measured == 0) {
		printf("SKIP: no models in %s: write them with tests/models/ranking.py %s, the same with "
		       "--twin 7, and with --small\n",
		       network_directory(), network_directory());
		return MEASURE_SKIP;
	}
	printf("\n  %u met, %u missed, %u not measured\n", bench.met, bench.missed, bench.unclear);
	return 0;
}
