/* SPDX-License-Identifier: MIT */
/*
 * tests/kernels/bench_gemm.c - gemm at the shapes of ranking models, against what bounds it
 *
 * One core. The floor of a call is the larger of two times: its multiply-adds at
 * the rate that the core reaches from registers, and its packed weights at the
 * rate at which a bare loop of loads streams the same bytes, which then lie
 * wherever they fit: nearest caches for small layers, L3 for large ones. Of heads
 * (n = 1) it is x that the bare reader streams. Peak and reader are measured
 * before and after each slice; slices whose limits disagree do not count.
 *
 * The weights lie in transparent huge pages, as the daemon's do in huge pages.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "kernels/device.h"
#include "kernels/gemm.h"
#include "tests/system/crowd.h"
#include "tests/system/measure.h"

#define SLICES_WANTED 9
#define SLICES_TRIED_MAX 24
#define ROWS_MAX 2048
#define GOAL_MANY 0.88
#define GOAL_SOME 0.80
#define GOAL_FEW 0.85
#define HUGE_BYTES (2u << 20)

struct shape {
	int64_t k, n;
};

static const struct shape shapes[] = {
	{ 13, 512 },   { 512, 256 },  { 367, 512 },   { 400, 400 },  { 429, 429 }, { 429, 1024 },
	{ 479, 1024 }, { 1024, 1024 }, { 3456, 512 }, { 512, 3456 }, { 3456, 1024 },
	{ 256, 1 },    { 1024, 1 },
};
static const int64_t row_counts[] = { 1, 2, 4, 8, 16, 32, 64, 256, 2048 };

#define SHAPE_COUNT (sizeof(shapes) / sizeof(shapes[0]))
#define COUNT_COUNT (sizeof(row_counts) / sizeof(row_counts[0]))

struct bench {
	const struct device *device;
	struct gemm_args args;
	float *x, *packed, *bias, *y;
	double peak_ratio; /* the device's lanes over the processor's */
	struct samples samples;
	struct series series; /* ns of the floor, of a call */
	bool is_json;
	bool is_first;
	uint32_t met, missed, unclear;
};

static float *floats(size_t count)
{
	size_t bytes = (count * sizeof(float) + HUGE_BYTES - 1) / HUGE_BYTES * HUGE_BYTES;
	float *memory = aligned_alloc(HUGE_BYTES, bytes);

	must(memory, "no memory for %zu bytes", bytes);
	madvise(memory, bytes, MADV_HUGEPAGE);
	for (size_t index = 0; index < bytes / sizeof(float); index++)
		memory[index] = (float)(index * 2654435761u % 1024) * 0x1p-10f - 0.5f;
	return memory;
}

/* --- the limits ------------------------------------------------------------------------------ */

#define READ_LOOP(name, attribute, vector, constraint)                             \
	attribute static void name(const float *from, size_t bytes)                \
	{                                                                          \
		const vector *at = (const void *)from;                             \
		const vector *end = (const void *)((const char *)from + bytes);    \
                                                                                   \
		for (; at < end; at += 64 / sizeof(vector))                        \
			for (size_t part = 0; part < 64 / sizeof(vector); part++)  \
				__asm__ __volatile__("" : : constraint(at[part])); \
	}

typedef float vector_16 __attribute__((vector_size(16)));
#if defined(__x86_64__)
typedef float vector_32 __attribute__((vector_size(32)));
typedef float vector_64 __attribute__((vector_size(64)));
READ_LOOP(read_64, __attribute__((target("avx512f"))), vector_64, "v")
READ_LOOP(read_32, __attribute__((target("avx2"))), vector_32, "x")
READ_LOOP(read_16, , vector_16, "x")

static void read_bytes(const float *from, size_t bytes)
{
	if (__builtin_cpu_supports("avx512f"))
		read_64(from, bytes);
	else if (__builtin_cpu_supports("avx2"))
		read_32(from, bytes);
	else
		read_16(from, bytes);
}
#else
READ_LOOP(read_bytes, , vector_16, "w")
#endif

static void read_once(void *context)
{
	const struct bench *bench = context;
	const struct gemm_args *args = &bench->args;

	if (args->n == 1)
		read_bytes(args->x, ((size_t)(args->rows * args->k) * sizeof(float) + 63) / 64 * 64);
	else
		read_bytes(args->weight, gemm_packed_bytes(args->k, args->n));
}

static void gemm_once(void *context)
{
	const struct bench *bench = context;

	bench->device->kernels[KERNEL_GEMM](&bench->args);
}

static double floor_ns(struct bench *bench)
{
	const struct gemm_args *args = &bench->args;
	double compute_ns = (double)(args->rows * args->k * args->n) * 1e9 /
			    (fma_peak_per_s() * bench->peak_ratio);
	double read_ns;

	if (args->rows > 32 && args->n > 1)
		return compute_ns; /* the larger by far */
	read_ns = slice_ns(&bench->samples, read_once, bench);
	return read_ns > compute_ns ? read_ns : compute_ns;
}

/* --- cases ----------------------------------------------------------------------------------- */

static void measure(struct bench *bench, const struct shape *shape, int64_t rows)
{
	bench->args = (struct gemm_args){
		.x = bench->x,
		.weight = bench->packed,
		.bias = bench->bias,
		.y = bench->y,
		.rows = rows,
		.k = shape->k,
		.n = shape->n,
		.x_stride = shape->k,
		.y_stride = shape->n,
		.activation = ACTIVATION_RELU,
	};
	bench->series.count = 0;
	for (uint32_t tried = 0;
	     tried < SLICES_TRIED_MAX && bench->series.count < SLICES_WANTED; tried++) {
		double before = floor_ns(bench);
		double call = slice_ns(&bench->samples, gemm_once, bench);
		double after = floor_ns(bench);

		if (limits_agree(before, after))
			series_add(&bench->series, before, call, after);
	}
}

/* 0: no goal. */
static double goal_of(const struct shape *shape, int64_t rows)
{
	if (shape->n == 1)
		return 0;
	return rows >= 64 ? GOAL_MANY : rows >= 8 ? GOAL_SOME : GOAL_FEW;
}

static const char *verdict_of(struct bench *bench, double goal, double ratio)
{
	if (goal == 0)
		return "";
	if (bench->series.count < SLICES_WANTED) {
		bench->unclear++;
		return "inconclusive";
	}
	if (ratio < goal) {
		bench->missed++;
		return "missed";
	}
	bench->met++;
	return "met";
}

static void report(struct bench *bench, const struct shape *shape, int64_t rows)
{
	struct series *series = &bench->series;
	double call_ns = median_of(series->values, series->count);
	double ratio = series->count > 0 ? 1 / median_of(series->ratios, series->count) : 0;
	double low = series->count > 0 ? 1 / percentile_of(series->ratios, series->count, 0.9) : 0;
	double high = series->count > 0 ? 1 / percentile_of(series->ratios, series->count, 0.1) : 0;
	double gflop_per_s = call_ns > 0 ? 2 * (double)(rows * shape->k * shape->n) / call_ns : 0;
	const char *verdict = verdict_of(bench, goal_of(shape, rows), ratio);

	if (bench->is_json)
		printf("%s{\"k\":%d,\"n\":%d,\"rows\":%d,\"call_ns\":%.0f,\"gflop_per_s\":%.2f,"
		       "\"floor_ratio\":%.4f,\"verdict\":\"%s\"}",
		       bench->is_first ? "" : ",", (int)shape->k, (int)shape->n, (int)rows, call_ns,
		       gflop_per_s, ratio, verdict);
	else
		printf("  %5d %5d %5d | %10.2f %8.1f | %5.1f (%5.1f-%5.1f) %s\n", (int)shape->k,
		       (int)shape->n, (int)rows, call_ns * 1e-3, gflop_per_s, 100 * ratio,
		       100 * low, 100 * high, verdict);
	bench->is_first = false;
}

static void set_up(struct bench *bench)
{
	size_t x_most = 0, weight_most = 0, y_most = 0;

	for (size_t shape = 0; shape < SHAPE_COUNT; shape++) {
		size_t x_count = ROWS_MAX * (size_t)shapes[shape].k;
		size_t y_count = ROWS_MAX * (size_t)shapes[shape].n;
		size_t weights = gemm_packed_bytes(shapes[shape].k, shapes[shape].n);

		x_most = x_count > x_most ? x_count : x_most;
		y_most = y_count > y_most ? y_count : y_most;
		weight_most = weights > weight_most ? weights : weight_most;
	}
	bench->x = floats(x_most + 16);
	bench->y = floats(y_most);
	bench->packed = floats(weight_most / sizeof(float));
	bench->bias = floats(4096);
	samples_init(&bench->samples);
	bench->device = cpu_device();
	bench->peak_ratio = 1;
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx512f") && strncmp(bench->device->name, "cpu-v4", 6) != 0)
		bench->peak_ratio = strcmp(bench->device->name, "cpu-v3") == 0 ? 0.5 : 0.25;
#endif
}

int main(int argc, char **argv)
{
	static struct bench bench = { .is_first = true };

	bench.is_json = argc == 3 && strcmp(argv[1], "-o") == 0 && strcmp(argv[2], "json") == 0;
	if (argc > 1 && !bench.is_json) {
		fprintf(stderr, "usage: bench_gemm [-o json]\n");
		return 2;
	}
	if (fma_peak_per_s() <= 0) {
		printf("SKIP: no multiply-add loop for this processor\n");
		return MEASURE_SKIP;
	}
	cpu_pin(0, cpu_allowed(0));
	set_up(&bench);
	if (bench.is_json)
		printf("{\"bench\":\"gemm\",\"device\":\"%s\",\"cases\":[", bench.device->name);
	else
		printf("gemm: device %s, one core, %.1f G multiply-adds/s from registers; the floor is "
		       "that or a bare reader\n\n  %5s %5s %5s | %10s %8s | %s\n",
		       bench.device->name, fma_peak_per_s() * bench.peak_ratio * 1e-9, "k", "n",
		       "rows", "us", "GFLOP/s", "% of the floor (p10-p90)");
	for (size_t shape = 0; shape < SHAPE_COUNT; shape++)
		for (size_t rows = 0; rows < COUNT_COUNT; rows++) {
			measure(&bench, shapes + shape, row_counts[rows]);
			report(&bench, shapes + shape, row_counts[rows]);
		}
	if (bench.is_json)
		printf("],\"met\":%u,\"missed\":%u,\"inconclusive\":%u}\n", bench.met, bench.missed,
		       bench.unclear);
	else
		printf("\n  goals: %.0f %% of the floor from 64 rows, %.0f %% from 8, %.0f %% below; "
		       "%u met, %u missed, %u inconclusive\n",
		       100 * GOAL_MANY, 100 * GOAL_SOME, 100 * GOAL_FEW, bench.met, bench.missed,
		       bench.unclear);
	return 0;
}
