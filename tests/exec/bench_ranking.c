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
 * Where a model exists with bags, too, these take what it takes: their slices alternate, on one core
 * and on two.
 *
 * Twins are the same models with names, order and hidden widths of no meaning: they keep the ratio.
 * The models take 6.5 GB and are not written here; those that are there are measured.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/exec/ranking_run.h"
#include "tests/system/crowd.h"
#include "tests/system/measure.h"

#define SLICES_WANTED 15
#define SLICES_TRIED_MAX 40
#define SLICES_CONCLUSIVE 5
#define PATIENCE_NS (INT64_C(4) * 1000000000)
#define FLOOR_GOAL 1.45 /* at FLOOR_ROWS rows and above */
#define FLOOR_ROWS 64
#define TWIN_GOAL 1.15
#define FIRST_GOAL 1.1
#define RESIDENT_GOAL 1.02
#define LOADS 100
#define FORM_SLICES 30
#define FORM_GOAL 1.05
#define WORKERS_SPIN_NS 1000000
#define WORKERS_WAKE_NS 30000
#define GAP_NS 2000000
#define LINE_FLOATS 16
#define AHEAD_BYTES 4096 /* so far ahead does the bare reader prefetch */
#define WEIGHT_PASSES_NS 500000.0

typedef float line_floats __attribute__((vector_size(64), may_alias));

static const char *const models[] = {
	"dlrm_kaggle", "dlrm_kaggle_bags", "dlrm_kaggle_offsets",
	"deepfm",      "wide_deep",	   "dcn_v2",
	"din",	       "dlrm_v2_dot",	   "dlrm_v2",
};
static const uint32_t sizes[] = { 1, 8, 64, 512, 2048 };

/* The first of them with nn.EmbeddingBag. */
static const char *const forms[] = { "dlrm_kaggle_bags", "dlrm_kaggle_offsets" };

#define FORMS (sizeof(forms) / sizeof(forms[0]))
#define MODELS (sizeof(models) / sizeof(models[0]))
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

struct bench {
	struct ranking_run run;
	const uint8_t *weights; /* as many bytes as the model's, for the bare loop */
	uint64_t *offsets;      /* of the rows that the bare reader sums */
	uint32_t *row_bytes;
	uint32_t row_count;
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

	sink = lines_sum(bench->weights, bench->run.network.weight_bytes / 64);
	begun = ticks();
	do {
		sink = lines_sum(bench->weights, bench->run.network.weight_bytes / 64);
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
	uint64_t span_bytes = engine_memory(bench->run.engine).weights->bytes;
	uint64_t base = 0;
	uint32_t table;

	bench->row_count = 0;
	for (table = 0; table < bench->run.network.table_count; table++) {
		struct network_table *info = bench->run.network.tables + table;
		uint32_t draw;

		if (base + info->rows * info->row_bytes > span_bytes)
			base = 0;
		for (draw = 0; draw < rows * info->count; draw++) {
			uint64_t id = network_id(&bench->run.network, table, info->drawn++);

			bench->row_bytes[bench->row_count] = info->row_bytes;
			bench->offsets[bench->row_count++] = base + (id * info->row_bytes & ~63ULL);
		}
		base += (info->rows * info->row_bytes + 63) & ~63ULL;
	}
}

static double rows_ns(struct bench *bench, uint32_t rows)
{
	const struct span *span = engine_memory(bench->run.engine).weights;
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
		.fmas_ns = (double)bench->run.network.fmas * rows / fma_peak_per_s() * 1e9,
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

/* --- a row of the table ------------------------------------------------------------------------ */

static double ratio_measure(struct bench *bench, uint32_t rows)
{
	int64_t until_ns = crowd_now_ns() + PATIENCE_NS;
	struct series *series = calloc(1, sizeof(*series));
	struct floor floor;
	double before;
	double ratio;
	uint32_t tried;

	must(series, "no memory");
	ranking_run_size(&bench->run, rows);
	floor = floor_measure(bench, rows);
	before = floor_ns(&floor);
	for (tried = 0; tried < SLICES_TRIED_MAX && series->count < SLICES_WANTED &&
			(crowd_now_ns() < until_ns || series->count < SLICES_CONCLUSIVE);
	     tried++) {
		double value = ranking_run_slice_ns(&bench->run);
		double after;

		floor = floor_measure(bench, rows);
		after = floor_ns(&floor);
		if (limits_agree(before, after))
			series_add(series, before, value, after);
		before = after;
	}
	ratio = median_of(series->ratios, series->count);
	printf("  %-20s %5u %10.1f %10.1f %10.1f %10.1f %10.1f %7.2f %6.2f .. %-6.2f %4u", bench->run.network.name,
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
	printf("%s\n", bench->run.faults ? "  PAGE FAULTS" : "");
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
	struct engine_memory memory = engine_memory(bench->run.engine);
	uint64_t arenas = memory.activations[0].used_bytes;
	uint64_t samples = MEASURE_SAMPLES_MAX * sizeof(*bench->run.samples.ticks); /* not the model's */
	double ratio = (double)(resident_bytes() - before - arenas - samples) /
		       (double)(bench->run.network.tables_bytes + bench->run.network.weight_bytes);

	printf("  %-20s resident %.3f times its tables and weights, beside %.1f MB of activations, "
	       "in pages of %s  goal %.2fx: %s\n",
	       bench->run.network.name, ratio, (double)arenas / 1e6,
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
	if (!ranking_run_open(&bench->run, model, NULL))
		return false;
	resident_print(bench, before);
	for (index = 0; index < bench->run.network.table_count; index++)
		per_row += bench->run.network.tables[index].count;
	bench->offsets = calloc(per_row * rows_max, sizeof(*bench->offsets));
	bench->row_bytes = calloc(per_row * rows_max, sizeof(*bench->row_bytes));
	weights = aligned_alloc(2u << 20, (bench->run.network.weight_bytes + (2u << 20)) & ~((2ULL << 20) - 1));
	must(bench->offsets && bench->row_bytes && weights, "no memory");
	memset(weights, 0, bench->run.network.weight_bytes);
	bench->weights = weights;
	for (index = 0; index < SIZES; index++)
		if (sizes[index] <= engine_rows_max(bench->run.engine))
			ratios[index] = ratio_measure(bench, sizes[index]);
		else
			printf("  %-20s %5u  more than the %u rows that it takes\n", model,
			       sizes[index], engine_rows_max(bench->run.engine));
	free(bench->offsets);
	free(bench->row_bytes);
	free(weights);
	ranking_run_close(&bench->run);
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
	struct network_batch batch;
	uint32_t load;
	double ratio;

	for (load = 0; load < LOADS; load++) {
		if (!ranking_run_open(&bench->run, model, NULL)) {
			bench->unclear++;
			return;
		}
		network_batch_init(&batch, &bench->run.network, 1);
		network_draw(&bench->run.network, &batch);
		crowd_pause_ns(GAP_NS);
		firsts[load] = ranking_run_ns(&bench->run, &batch);
		network_draw(&bench->run.network, &batch);
		crowd_pause_ns(GAP_NS);
		laters[load] = ranking_run_ns(&bench->run, &batch);
		network_batch_deinit(&batch, &bench->run.network);
		ranking_run_close(&bench->run);
	}
	ratio = median_of(firsts, LOADS) / median_of(laters, LOADS);
	printf("  %-20s first run of %d loads %.2f times one after the same pause  goal %.1fx: %s\n",
	       model, LOADS, ratio, FIRST_GOAL, ratio <= FIRST_GOAL ? "met" : "missed");
	*(ratio <= FIRST_GOAL ? &bench->met : &bench->missed) += 1;
}

/* --- two forms of one model --------------------------------------------------------------------- */

static void form_measure(struct bench *bench, struct ranking_run *form, uint32_t rows,
			 uint32_t cores)
{
	struct series *series = calloc(1, sizeof(*series));
	double before;
	double ratio;
	uint32_t tried;

	must(series, "no memory");
	ranking_run_size(&bench->run, rows);
	ranking_run_size(form, rows);
	before = ranking_run_slice_ns(&bench->run);
	for (tried = 0; tried < 2 * FORM_SLICES && series->count < FORM_SLICES; tried++) {
		double value = ranking_run_slice_ns(form);
		double after = ranking_run_slice_ns(&bench->run);

		if (limits_agree(before, after))
			series_add(series, before, value, after);
		before = after;
	}
	ratio = median_of(series->ratios, series->count);
	printf("  %-20s %5u rows, %u core%s: %8.1f us, %.3f times %s's (%.3f .. %.3f, %u kept)",
	       form->network.name, rows, cores, cores == 1 ? "" : "s",
	       median_of(series->values, series->count) / 1e3, ratio, bench->run.network.name,
	       percentile_of(series->ratios, series->count, 0.1),
	       percentile_of(series->ratios, series->count, 0.9), series->count);
	if (series->count < SLICES_CONCLUSIVE) {
		printf("  inconclusive\n");
		bench->unclear++;
	} else {
		printf("  goal %.2fx: %s\n", FORM_GOAL, ratio <= FORM_GOAL ? "met" : "missed");
		*(ratio <= FORM_GOAL ? &bench->met : &bench->missed) += 1;
	}
	free(series);
}

/* Rows of bags with one id each are the rows that the model gathers. cpus: of two workers; NULL: the
 * engines compute alone. */
static void forms_measure(struct bench *bench, const char *model, const char *other,
			  const cpu_set_t *cpus)
{
	const struct workers_options options = {
		.count = 2,
		.node = -1,
		.spin_ns = WORKERS_SPIN_NS,
		.wake_ns = WORKERS_WAKE_NS,
	};
	static struct ranking_run form;
	struct workers *workers = NULL;
	uint32_t index;

	if (cpus) {
		must(sched_setaffinity(0, sizeof(*cpus), cpus) == 0, "cannot unpin");
		must(workers_new(&options, &workers) == 0, "%s", err_message());
	}
	if (workers && workers_caller_cpu(workers) >= 0)
		cpu_pin(0, workers_caller_cpu(workers));
	if (ranking_run_open(&bench->run, model, workers)) {
		if (ranking_run_open(&form, other, workers)) {
			for (index = 0; index < SIZES; index++)
				form_measure(bench, &form, sizes[index], workers_count(workers));
			ranking_run_close(&form);
		}
		ranking_run_close(&bench->run);
	}
	workers_free(workers);
}

int main(void)
{
	static struct bench bench;
	const char *wanted = getenv("HEARTH_RANKING"); /* one model; default all */
	uint32_t measured = 0;
	cpu_set_t cpus;
	size_t model;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (fma_peak_per_s() <= 0) {
		printf("SKIP: no multiply-add loop for this processor\n");
		return MEASURE_SKIP;
	}
	must(sched_getaffinity(0, sizeof(cpus), &cpus) == 0, "no affinity");
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
	for (model = 0; model < FORMS; model++)
		if (!wanted || !*wanted || strcmp(wanted, forms[model]) == 0)
			forms_measure(&bench, models[0], forms[model], NULL);
	for (model = 0; model < FORMS && CPU_COUNT(&cpus) > 1; model++)
		if (!wanted || !*wanted || strcmp(wanted, forms[model]) == 0)
			forms_measure(&bench, models[0], forms[model], &cpus);
	if (measured == 0) {
		printf("SKIP: no models in %s: write them with tests/models/ranking.py %s, the same with "
		       "--twin 7, and with --small\n",
		       network_directory(), network_directory());
		return MEASURE_SKIP;
	}
	printf("\n  %u met, %u missed, %u not measured\n", bench.met, bench.missed, bench.unclear);
	return 0;
}
