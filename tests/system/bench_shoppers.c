/* SPDX-License-Identifier: MIT */
/*
 * tests/system/bench_shoppers.c - a row alone and in company, against the multiply-add peak
 *
 * The model of tests/data, version 2, at several numbers of rows a batch: once
 * through engine_run in this process, once as a request through hearthd. The
 * limit is the rate of f32 multiply-adds that one core reaches from registers,
 * measured before and after each slice; the model's multiply-adds follow from
 * its layers. A row's gathers, activations and the weights' way from the cache
 * are not in the limit, so 100 % cannot be reached.
 */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "appliance.h"
#include "client/hearth.h"
#include "crowd.h"
#include "exec/engine.h"
#include "measure.h"
#include "shoppers.h"

#define SLICE_NS 20000000
#define SLICES_WANTED 24
#define SLICES_TRIED_MAX 60
#define OUTSIDE_GOAL_NS 2000.0 /* rings and daemon take at most so much beside a row alone */
#define ECONOMY_GOAL 3.0 /* a row alone costs at least so many times a row among 64 */
#define VERSION_DIRECTORY "tests/data/shoppers/repository/shoppers/2"
#define ROWS_STEP 8 /* first rows at multiples of it keep every input at a multiple of 64 bytes */

/* bottom 10-64-16, the dot products of 9 vectors of 16, top 52-128-64-1 */
#define ROW_FMAS (10 * 64 + 64 * 16 + 9 * 9 * 16 + 52 * 128 + 128 * 64 + 64 * 1)

static const uint32_t sizes[] = { 1, 8, 64, 512, 2500 };

#define SIZE_COUNT (sizeof(sizes) / sizeof(sizes[0]))
#define SIZE_ALONE 0
#define SIZE_COMPANY 2

/* Values are ns a run of the engine, or a request; limits are ns of pure multiply-adds. */
struct measured {
	struct series engine;
	struct series request;
};

struct bench {
	struct appliance appliance;
	struct hearth *hearth;
	const struct hearth_model_info *model;
	struct engine *engine;
	void *inputs[SHOPPERS_INPUTS]; /* all rows */
	uint32_t input_row_bytes[SHOPPERS_INPUTS];
	float *scores;
	struct row_status *status;
	struct samples samples;
	pid_t data_thread;
	int cpu;
	int cpu_other; /* the daemon's; the same as ours where there is one */
	uint32_t row_first;
	struct measured measured[SIZE_COUNT];
	double steal_ratio;
};

static bool is_json;

static void *aligned(size_t bytes)
{
	void *memory = aligned_alloc(64, (bytes + 63) & ~(size_t)63);

	must(memory, "no memory for %zu bytes", bytes);
	memset(memory, 0, bytes);
	return memory;
}

/* A different part of the data each time, so that no table row stays in the nearest cache alone. */
static uint32_t next_rows(struct bench *bench, uint32_t rows)
{
	if (bench->row_first + rows > SHOPPERS_ROWS)
		bench->row_first = 0;
	bench->row_first += ROWS_STEP;
	if (bench->row_first + rows > SHOPPERS_ROWS)
		bench->row_first = 0;
	return bench->row_first;
}

/* --- the engine ------------------------------------------------------------------------------ */

static void engine_set_up(struct bench *bench)
{
	struct engine_options options = { .device = cpu_device(), .node = -1 };
	struct hearth_input inputs[SHOPPERS_INPUTS];
	struct hearth_tensor_info infos[SHOPPERS_INPUTS] = { 0 };
	struct hearth_model_info model = { .input_count = SHOPPERS_INPUTS, .inputs = infos };
	struct hearth_request request = { .inputs = inputs };
	const struct signature *signature;
	int64_t symbols[SIGNATURE_SYMBOLS_MAX] = { 0 };
	uint32_t input;
	int fd;
	int r;

	fd = open(VERSION_DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(fd >= 0, "cannot open " VERSION_DIRECTORY);
	r = engine_new(fd, "shoppers", &options, &bench->engine);
	must(r == 0, "%s", err_message());
	close(fd);
	signature = engine_signature(bench->engine);
	must(signature->input_count == SHOPPERS_INPUTS && signature->row_symbol >= 0,
	     "this is not the model that was expected");
	symbols[signature->row_symbol] = SHOPPERS_ROWS;
	for (input = 0; input < SHOPPERS_INPUTS; input++) {
		const struct signature_tensor *tensor = signature->inputs + input;
		uint32_t bytes = (uint32_t)signature_elements(tensor, symbols) *
				 dtype_bytes(tensor->dtype);

		bench->inputs[input] = aligned(bytes);
		bench->input_row_bytes[input] = bytes / SHOPPERS_ROWS;
		infos[input].name = tensor->name;
		inputs[input].data = bench->inputs[input];
		inputs[input].bytes = bytes;
	}
	shoppers_fill(&request, &model, 0, SHOPPERS_ROWS);
	bench->scores = aligned(SHOPPERS_ROWS * sizeof(float));
	bench->status = aligned(SHOPPERS_ROWS * sizeof(*bench->status));
}

static void engine_once(struct bench *bench, uint32_t rows)
{
	int64_t symbols[SIGNATURE_SYMBOLS_MAX] = { 0 };
	const void *inputs[SHOPPERS_INPUTS];
	void *outputs[1] = { bench->scores };
	uint32_t row_first = next_rows(bench, rows);
	uint32_t input;
	uint64_t begun;

	symbols[engine_signature(bench->engine)->row_symbol] = rows;
	for (input = 0; input < SHOPPERS_INPUTS; input++)
		inputs[input] = (const uint8_t *)bench->inputs[input] +
				(size_t)row_first * bench->input_row_bytes[input];
	memset(bench->status, 0, rows * sizeof(*bench->status));
	begun = ticks();
	engine_run(bench->engine, symbols, inputs, outputs, bench->status);
	samples_add(&bench->samples, ticks() - begun);
}

/* --- the daemon ------------------------------------------------------------------------------ */

static void daemon_set_up(struct bench *bench)
{
	static const char *const flags[] = { "--load", "all", "--spin-us", "2000", NULL };
	struct hearth_options options = { .size = sizeof(options), .spin_ns = 1000000000 };
	int r;

	appliance_open(&bench->appliance, flags);
	bench->data_thread = thread_find(bench->appliance.pid, "hearth-data");
	must(bench->data_thread > 0, "hearthd has no data thread");
	cpu_pin(bench->data_thread, bench->cpu_other);
	r = hearth_open(bench->appliance.socket, &options, &bench->hearth);
	must(r == 0, "hearth_open: %s", hearth_strerror(r));
	await(hearth_model(bench->hearth, "shoppers", 2, &bench->model) == 0);
}

static void request_once(struct bench *bench, uint32_t rows)
{
	const struct hearth_completion *completion;
	struct hearth_request *request;
	uint32_t row_first = next_rows(bench, rows);
	uint64_t begun;
	int r;

	r = hearth_acquire(bench->hearth, bench->model, rows, &request);
	must(r == 0, "acquire: %s", hearth_strerror(r));
	request->version = 2;
	shoppers_fill(request, bench->model, row_first, rows);
	begun = ticks();
	r = hearth_submit(bench->hearth, request);
	must(r == 0, "submit: %s", hearth_strerror(r));
	r = hearth_wait(bench->hearth, -1, &completion);
	samples_add(&bench->samples, ticks() - begun);
	must(r == 0, "wait: %s", hearth_strerror(r));
	shoppers_check(completion, row_first, rows);
	hearth_release(bench->hearth, completion->id);
}

/* --- slices ---------------------------------------------------------------------------------- */

static double slice(struct bench *bench, void (*once)(struct bench *bench, uint32_t rows),
		    uint32_t rows)
{
	int64_t until_ns;

	bench->samples.count = 0;
	once(bench, rows);
	once(bench, rows);
	bench->samples.count = 0;
	until_ns = crowd_now_ns() + SLICE_NS;
	do
		once(bench, rows);
	while (crowd_now_ns() < until_ns);
	return samples_middle_ns(&bench->samples);
}

static void measure(struct bench *bench)
{
	uint32_t tried;
	uint32_t size;

	for (size = 0; size < SIZE_COUNT; size++) {
		struct measured *measured = bench->measured + size;
		double fmas = (double)sizes[size] * ROW_FMAS * 1e9;

		for (tried = 0; tried < SLICES_TRIED_MAX && measured->engine.count < SLICES_WANTED;
		     tried++) {
			double before = fmas / fma_peak_per_s();
			double run = slice(bench, engine_once, sizes[size]);
			double between = fmas / fma_peak_per_s();
			double request = slice(bench, request_once, sizes[size]);
			double after;

			thread_await_sleep(bench->appliance.pid, bench->data_thread);
			after = fmas / fma_peak_per_s();
			if (!limits_agree(before, between) || !limits_agree(between, after))
				continue;
			series_add(&measured->engine, before, run, between);
			series_add(&measured->request, between, request, after);
		}
	}
}

/* --- the table ------------------------------------------------------------------------------- */

struct line {
	double run_row_ns;
	double request_row_ns;
	double outside_ns;
	double peak_ratio;
	double low;
	double high;
	uint32_t kept;
};

static struct line line_of(struct bench *bench, uint32_t size)
{
	struct series *engine = &bench->measured[size].engine;
	struct series *request = &bench->measured[size].request;
	double run_ns = median_of(engine->values, engine->count);
	double request_ns = median_of(request->values, request->count);
	struct line line = {
		.run_row_ns = run_ns / sizes[size],
		.request_row_ns = request_ns / sizes[size],
		.outside_ns = request_ns - run_ns,
		.peak_ratio = 1 / median_of(engine->ratios, engine->count),
		.low = 1 / percentile_of(engine->ratios, engine->count, 0.9),
		.high = 1 / percentile_of(engine->ratios, engine->count, 0.1),
		.kept = engine->count,
	};

	return line;
}

static const char *verdict_of(bool is_clear, bool is_met)
{
	if (!is_clear)
		return "inconclusive";
	return is_met ? "met" : "missed";
}

static void report(struct bench *bench)
{
	struct line lines[SIZE_COUNT];
	bool is_clear = bench->steal_ratio <= MEASURE_STEAL_RATIO_MAX;
	double engine_economy;
	double request_economy;
	double outside_ns;
	uint32_t size;

	for (size = 0; size < SIZE_COUNT; size++) {
		lines[size] = line_of(bench, size);
		is_clear = is_clear && lines[size].kept >= MEASURE_SLICES_MIN;
	}
	engine_economy = lines[SIZE_ALONE].run_row_ns / lines[SIZE_COMPANY].run_row_ns;
	request_economy = lines[SIZE_ALONE].request_row_ns / lines[SIZE_COMPANY].request_row_ns;
	outside_ns = lines[SIZE_ALONE].outside_ns;

	if (is_json) {
		printf("{\"bench\":\"shoppers\",\"device\":\"%s\",\"steal_ratio\":%.4f,\"sizes\":[",
		       cpu_device()->name, bench->steal_ratio);
		for (size = 0; size < SIZE_COUNT; size++)
			printf("%s{\"rows\":%u,\"kept\":%u,\"engine_row_ns\":%.1f,"
			       "\"request_row_ns\":%.1f,\"outside_ns\":%.0f,\"peak_ratio\":%.4f}",
			       size ? "," : "", sizes[size], lines[size].kept,
			       lines[size].run_row_ns, lines[size].request_row_ns,
			       lines[size].outside_ns, lines[size].peak_ratio);
		printf("],\"engine_economy\":%.2f,\"engine_verdict\":\"%s\",\"request_economy\":%.2f,"
		       "\"request_verdict\":\"%s\",\"goal\":%.1f,\"outside_ns\":%.0f,"
		       "\"outside_goal_ns\":%.0f,\"outside_verdict\":\"%s\"}\n",
		       engine_economy, verdict_of(is_clear, engine_economy >= ECONOMY_GOAL),
		       request_economy, verdict_of(is_clear, request_economy >= ECONOMY_GOAL),
		       ECONOMY_GOAL, outside_ns, OUTSIDE_GOAL_NS,
		       verdict_of(is_clear, outside_ns <= OUTSIDE_GOAL_NS));
		return;
	}
	printf("shoppers: %d multiply-adds a row, device %s, against the peak of one core\n"
	       "  the engine on CPU %d, hearthd on CPU %d; slices of %d ms, peak, engine, peak, "
	       "request, peak\n\n",
	       ROW_FMAS, cpu_device()->name, bench->cpu, bench->cpu_other, SLICE_NS / 1000000);
	printf("  %5s | %23s %19s | %35s | %s\n", "", "engine", "", "request through hearthd", "");
	printf("  %5s | %9s %13s %19s | %9s %13s %11s | %s\n", "rows", "ns/row", "rows/s",
	       "% of peak (p10-p90)", "ns/row", "rows/s", "outside ns", "slices");
	for (size = 0; size < SIZE_COUNT; size++)
		printf("  %5u | %9.1f %13.0f %7.1f (%4.1f-%4.1f) | %9.1f %13.0f %11.0f | %6u\n",
		       sizes[size], lines[size].run_row_ns, 1e9 / lines[size].run_row_ns,
		       100 * lines[size].peak_ratio, 100 * lines[size].low, 100 * lines[size].high,
		       lines[size].request_row_ns, 1e9 / lines[size].request_row_ns,
		       lines[size].outside_ns, lines[size].kept);
	printf("\n  a row alone costs so many times a row among 64 (goal: at least %.0f): engine %.1f, "
	       "%s; hearthd %.1f, %s\n"
	       "  a row alone takes so many ns more through rings and daemon than in process (goal: at "
	       "most %.0f): %.0f, %s\n"
	       "  steal %.1f %%\n",
	       ECONOMY_GOAL, engine_economy, verdict_of(is_clear, engine_economy >= ECONOMY_GOAL),
	       request_economy, verdict_of(is_clear, request_economy >= ECONOMY_GOAL),
	       OUTSIDE_GOAL_NS, outside_ns, verdict_of(is_clear, outside_ns <= OUTSIDE_GOAL_NS),
	       100 * bench->steal_ratio);
}

static void campaign(void)
{
	static struct bench bench;
	struct noise noise;

	bench.cpu = cpu_allowed(0);
	bench.cpu_other = cpu_allowed(1) >= 0 ? cpu_allowed(1) : bench.cpu;
	daemon_set_up(&bench);
	engine_set_up(&bench);
	samples_init(&bench.samples);
	cpu_pin(0, bench.cpu);
	noise_begin(&noise);
	measure(&bench);
	bench.steal_ratio = noise_steal_ratio(&noise);
	report(&bench);
	hearth_close(bench.hearth);
	engine_free(bench.engine);
	appliance_close(&bench.appliance);
}

int main(int argc, char **argv)
{
	is_json = argc == 3 && strcmp(argv[1], "-o") == 0 && strcmp(argv[2], "json") == 0;
	if (argc > 1 && !is_json) {
		fprintf(stderr, "usage: bench_shoppers [-o json]\n");
		return 2;
	}
	if (fma_peak_per_s() <= 0) {
		printf("SKIP: no multiply-add loop for this processor\n");
		return MEASURE_SKIP;
	}
	return appliance_campaign(campaign);
}
