/* SPDX-License-Identifier: MIT */
/*
 * tests/kernels/bench_integer.c - products of bytes beside f32's of the same shape, and their limit
 *
 * One core. The limit is what VNNI's instruction for four products of bytes reaches from registers,
 * measured before and after each slice; slices whose limits disagree do not count. The f32 product
 * has the same rows, k and n, packed weights, and neither bias nor activation. Zero points of the
 * weights are those that an exporter's symmetric quantization leaves: none.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/device.h"
#include "kernels/gemm.h"
#include "kernels/matmul_integer.h"
#include "tests/system/crowd.h"
#include "tests/system/measure.h"

#define SLICES_WANTED 9
#define SLICES_TRIED_MAX 24
#define ROWS_MAX 512

struct shape {
	int64_t k, n;
};

static const struct shape shapes[] = {
	{ 13, 512 }, { 13, 100 }, { 367, 512 }, { 400, 400 }, { 1024, 1024 }, { 3456, 512 }, { 512, 3456 },
};
static const int64_t row_counts[] = { 1, 8, 64, 512 };

#define COUNT(sweep) (sizeof(sweep) / sizeof((sweep)[0]))

struct bench {
	const struct device *device;
	struct matmul_integer_args integer;
	struct gemm_args gemm;
	void *packed_bytes;
	float *packed_floats;
	struct samples samples;
	struct series to_peak;  /* ns at the peak, of a call */
	struct series to_gemm;  /* ns of f32, of a call */
	bool is_json;
	bool is_first;
};

/* --- the limit ------------------------------------------------------------------------------- */

#if defined(__x86_64__)
#include <immintrin.h>

#define PEAK_NS 2000000
#define PEAK_CHAINS 16 /* more than an instruction's latency times how many begin in a cycle */
#define PEAK_STEPS 256
#define PEAK_PRODUCTS 64 /* of an instruction */

__attribute__((target("avx512f,avx512vnni"))) static void peak_once(void)
{
	const __m512i factor = _mm512_set1_epi8(1);
	__m512i sums[PEAK_CHAINS];

	for (int chain = 0; chain < PEAK_CHAINS; chain++)
		sums[chain] = _mm512_setzero_si512();
	for (int step = 0; step < PEAK_STEPS; step++) {
#pragma GCC unroll 16
		for (int chain = 0; chain < PEAK_CHAINS; chain++)
			sums[chain] = _mm512_dpbusd_epi32(sums[chain], factor, factor);
	}
	for (int chain = 0; chain < PEAK_CHAINS; chain++)
		__asm__ __volatile__("" : : "v"(sums[chain]));
}

static bool peak_exists(void)
{
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vnni");
}

static double products_peak_per_s(void)
{
	uint64_t best = UINT64_MAX; /* interruptions make a turn longer, nothing makes it shorter */
	int64_t until_ns = crowd_now_ns() + PEAK_NS;

	do {
		uint64_t begun = ticks();
		uint64_t taken;

		peak_once();
		taken = ticks() - begun;
		best = taken < best ? taken : best;
	} while (crowd_now_ns() < until_ns);
	return (double)PEAK_STEPS * PEAK_CHAINS * PEAK_PRODUCTS / ((double)best * tick_ns() * 1e-9);
}
#else
static bool peak_exists(void)
{
	return false;
}

static double products_peak_per_s(void)
{
	return 0;
}
#endif

/* --- cases ----------------------------------------------------------------------------------- */

static void integer_once(void *context)
{
	const struct bench *bench = context;

	bench->device->kernels[KERNEL_MATMUL_INTEGER](&bench->integer);
}

static void gemm_once(void *context)
{
	const struct bench *bench = context;

	bench->device->kernels[KERNEL_GEMM](&bench->gemm);
}

static void measure(struct bench *bench, const struct shape *shape, int64_t rows)
{
	double products = (double)(rows * shape->k * shape->n);

	bench->integer.m = bench->gemm.rows = rows;
	bench->integer.k = bench->gemm.k = bench->gemm.x_stride = shape->k;
	bench->integer.n = bench->gemm.n = bench->gemm.y_stride = shape->n;
	bench->to_peak.count = bench->to_gemm.count = 0;
	for (uint32_t tried = 0;
	     tried < SLICES_TRIED_MAX && bench->to_peak.count < SLICES_WANTED; tried++) {
		double before = products * 1e9 / products_peak_per_s();
		double gemm_before = slice_ns(&bench->samples, gemm_once, bench);
		double call = slice_ns(&bench->samples, integer_once, bench);
		double gemm_after = slice_ns(&bench->samples, gemm_once, bench);
		double after = products * 1e9 / products_peak_per_s();

		if (!limits_agree(before, after) || !limits_agree(gemm_before, gemm_after))
			continue;
		series_add(&bench->to_peak, before, call, after);
		series_add(&bench->to_gemm, gemm_before, call, gemm_after);
	}
}

static void report(struct bench *bench, const struct shape *shape, int64_t rows)
{
	struct series *peak = &bench->to_peak;
	double call_ns = median_of(peak->values, peak->count);
	double ratio = peak->count > 0 ? 1 / median_of(peak->ratios, peak->count) : 0;
	double low = peak->count > 0 ? 1 / percentile_of(peak->ratios, peak->count, 0.9) : 0;
	double high = peak->count > 0 ? 1 / percentile_of(peak->ratios, peak->count, 0.1) : 0;
	double gain = peak->count > 0 ? 1 / median_of(bench->to_gemm.ratios, peak->count) : 0;
	double gop_per_s = call_ns > 0 ? 2 * (double)(rows * shape->k * shape->n) / call_ns : 0;

	if (bench->is_json)
		printf("%s{\"k\":%d,\"n\":%d,\"rows\":%d,\"call_ns\":%.0f,\"gop_per_s\":%.2f,"
		       "\"peak_ratio\":%.4f,\"gemm_ratio\":%.4f,\"slices\":%u}",
		       bench->is_first ? "" : ",", (int)shape->k, (int)shape->n, (int)rows, call_ns,
		       gop_per_s, ratio, gain, peak->count);
	else
		printf("  %5d %5d %5d | %10.2f %8.1f | %5.1f (%5.1f-%5.1f) | %5.2f%s\n",
		       (int)shape->k, (int)shape->n, (int)rows, call_ns * 1e-3, gop_per_s,
		       100 * ratio, 100 * low, 100 * high, gain,
		       peak->count < SLICES_WANTED ? " inconclusive" : "");
	bench->is_first = false;
}

static void *memory_new(size_t bytes)
{
	uint8_t *memory = aligned_alloc(64, (bytes + 127) / 64 * 64);

	must(memory, "no memory for %zu bytes", bytes);
	memset(memory, 0, (bytes + 127) / 64 * 64);
	return memory;
}

/* The weights of a shape, of both products: bytes, and the same numbers in f32. */
static void weights_pack(const struct bench *bench, const struct shape *shape)
{
	size_t count = (size_t)(shape->k * shape->n);
	int8_t *plain = memory_new(count);
	float *wide = memory_new(count * sizeof(*wide));

	for (size_t index = 0; index < count; index++) {
		plain[index] = (int8_t)(index * 2654435761u >> 16);
		wide[index] = plain[index];
	}
	matmul_integer_pack(bench->packed_bytes, plain, shape->k, shape->n, shape->n, false, true);
	gemm_pack(bench->packed_floats, wide, shape->k, shape->n, shape->n, 1);
	free(plain);
	free(wide);
}

static void set_up(struct bench *bench)
{
	size_t x_most = 0, y_most = 0, bytes_most = 0, floats_most = 0;

	for (size_t index = 0; index < COUNT(shapes); index++) {
		size_t x = ROWS_MAX * (size_t)shapes[index].k, y = ROWS_MAX * (size_t)shapes[index].n;
		size_t bytes = matmul_integer_packed_bytes(shapes[index].k, shapes[index].n);
		size_t floats = gemm_packed_bytes(shapes[index].k, shapes[index].n);

		x_most = x > x_most ? x : x_most;
		y_most = y > y_most ? y : y_most;
		bytes_most = bytes > bytes_most ? bytes : bytes_most;
		floats_most = floats > floats_most ? floats : floats_most;
	}
	samples_init(&bench->samples);
	bench->device = cpu_device();
	bench->packed_bytes = memory_new(bytes_most);
	bench->packed_floats = memory_new(floats_most);
	bench->integer = (struct matmul_integer_args){
		.a = memory_new(x_most),
		.b = bench->packed_bytes,
		.y = memory_new(y_most * sizeof(int32_t)),
		.batch = { 1, 1, 1 },
		.b_signed = true,
		.is_packed = true,
	};
	bench->gemm = (struct gemm_args){
		.x = memory_new(x_most * sizeof(float)),
		.weight = bench->packed_floats,
		.y = memory_new(y_most * sizeof(float)),
	};
}

int main(int argc, char **argv)
{
	static struct bench bench = { .is_first = true };

	bench.is_json = argc == 3 && strcmp(argv[1], "-o") == 0 && strcmp(argv[2], "json") == 0;
	if (argc > 1 && !bench.is_json) {
		fprintf(stderr, "usage: bench_integer [-o json]\n");
		return 2;
	}
	if (!peak_exists()) {
		printf("SKIP: this processor has no instruction for four products of bytes (VNNI)\n");
		return MEASURE_SKIP;
	}
	cpu_pin(0, cpu_allowed(0));
	set_up(&bench);
	if (bench.is_json)
		printf("{\"bench\":\"integer\",\"device\":\"%s\",\"cases\":[", bench.device->name);
	else
		printf("integer: u8 x i8, device %s, one core, %.1f G products/s from registers\n\n"
		       "  %5s %5s %5s | %10s %8s | %-19s | %s\n",
		       bench.device->name, products_peak_per_s() * 1e-9, "k", "n", "rows", "us",
		       "GOP/s", "% of it (p10-p90)", "times f32's speed");
	for (size_t shape = 0; shape < COUNT(shapes); shape++) {
		weights_pack(&bench, &shapes[shape]);
		for (size_t rows = 0; rows < COUNT(row_counts); rows++) {
			measure(&bench, &shapes[shape], row_counts[rows]);
			report(&bench, &shapes[shape], row_counts[rows]);
		}
	}
	if (bench.is_json)
		printf("]}\n");
	return 0;
}
