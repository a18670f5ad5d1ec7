/* SPDX-License-Identifier: MIT */
/* tests/system/measure.c - what a measurement needs and a test does not */
#include "measure.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "crowd.h"

#define CALIBRATION_NS 100000000
/* A line goes between two hyperthreads of a core and back in 60 to 140 ns, between cores in more
 * than 250 (measured on an EPYC). */
#define SHARED_CORE_NS_MAX 200.0
#define SLICE_NS 1000000
#define POOL_PATH "/proc/sys/vm/nr_hugepages"
#define PEAK_NS 2000000
#define PEAK_STEPS 1000
#define PEAK_CHAINS 12 /* more than latency times pipes of any core so far */

int measure_arguments(int argument_count, char **arguments, bool *ret_is_json)
{
	*ret_is_json = argument_count == 3 && strcmp(arguments[1], "-o") == 0 &&
		       strcmp(arguments[2], "json") == 0;
	if (argument_count > 1 && !*ret_is_json) {
		fprintf(stderr, "usage: %s [-o json]\n", arguments[0]);
		return 2;
	}
	if (cpu_allowed(1) < 0) {
		printf("SKIP: two polling sides want two CPUs, and one may be used\n");
		return MEASURE_SKIP;
	}
	return 0;
}

/* --- memory ---------------------------------------------------------------------------------- */

/* Negative where it is not known. */
static long pool_pages(void)
{
	FILE *pool = fopen(POOL_PATH, "re");
	long pages = -1;

	if (pool && fscanf(pool, "%ld", &pages) != 1)
		pages = -1;
	if (pool)
		fclose(pool);
	return pages;
}

/* By so many, whatever others do with theirs meanwhile. */
static void pool_change(long pages)
{
	int fd = open(POOL_PATH, O_WRONLY | O_CLOEXEC);
	long before = pool_pages();

	if (fd >= 0 && before >= 0 && before + pages >= 0)
		(void)dprintf(fd, "%ld", before + pages);
	if (fd >= 0)
		close(fd);
}

long huge_pool_enlarge(long pages)
{
	long before = pool_pages();

	pool_change(pages);
	return before < 0 ? 0 : pool_pages() - before;
}

void huge_pool_shrink(long pages)
{
	pool_change(-pages);
}

/* --- time ------------------------------------------------------------------------------------ */

double tick_ns(void)
{
	static double known_ns;
	uint64_t first;
	int64_t from_ns;
	int64_t to_ns;

	if (known_ns > 0)
		return known_ns;
	from_ns = crowd_now_ns();
	first = ticks();
	do
		to_ns = crowd_now_ns();
	while (to_ns - from_ns < CALIBRATION_NS);
	known_ns = (double)(to_ns - from_ns) / (double)(ticks() - first);
	return known_ns;
}

/* --- CPUs and threads ------------------------------------------------------------------------ */

int cpu_allowed(uint32_t index)
{
	cpu_set_t allowed;
	int cpu;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		return -1;
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET((size_t)cpu, &allowed) && index-- == 0)
			return cpu;
	return -1;
}

void cpu_pin(pid_t thread, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	must(sched_setaffinity(thread, sizeof(set), &set) == 0, "cannot pin %d to CPU %d: %s",
	     (int)thread, cpu, strerror(errno));
}

pid_t thread_find(pid_t process, const char *name)
{
	char path[320];
	char comm[32];
	struct dirent *entry;
	DIR *directory;
	pid_t found = 0;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)process);
	directory = opendir(path);
	while (directory && !found && (entry = readdir(directory))) {
		FILE *file;

		snprintf(path, sizeof(path), "/proc/%d/task/%s/comm", (int)process, entry->d_name);
		file = fopen(path, "re");
		if (!file)
			continue;
		if (fgets(comm, sizeof(comm), file)) {
			comm[strcspn(comm, "\n")] = '\0';
			if (strcmp(comm, name) == 0)
				found = (pid_t)atoi(entry->d_name);
		}
		fclose(file);
	}
	if (directory)
		closedir(directory);
	return found;
}

static bool thread_sleeps(pid_t process, pid_t thread)
{
	char path[64];
	char line[256] = "";
	const char *state;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", (int)process, (int)thread);
	file = fopen(path, "re");
	must(file, "cannot open %s: %s", path, strerror(errno));
	must(fgets(line, sizeof(line), file), "cannot read %s", path);
	fclose(file);
	state = strrchr(line, ')');
	return state && strncmp(state, ") S", 3) == 0;
}

void thread_await_sleep(pid_t process, pid_t thread)
{
	await(thread_sleeps(process, thread));
}

/* --- values ---------------------------------------------------------------------------------- */

static int order_u32(const void *left, const void *right)
{
	uint32_t a = *(const uint32_t *)left;
	uint32_t b = *(const uint32_t *)right;

	return (a > b) - (a < b);
}

static int order_double(const void *left, const void *right)
{
	double a = *(const double *)left;
	double b = *(const double *)right;

	return (a > b) - (a < b);
}

void samples_init(struct samples *samples)
{
	size_t bytes = MEASURE_SAMPLES_MAX * sizeof(*samples->ticks);

	samples->ticks = malloc(bytes);
	must(samples->ticks, "no memory for %zu bytes of samples", bytes);
	memset(samples->ticks, 1, bytes); /* no page fault inside a slice */
	samples->count = 0;
}

static void samples_sort(struct samples *samples)
{
	must(samples->count > 0, "a slice without a single sample");
	qsort(samples->ticks, samples->count, sizeof(*samples->ticks), order_u32);
}

double samples_middle_ns(struct samples *samples)
{
	uint32_t first = samples->count / 4;
	uint32_t end = samples->count - first;
	uint64_t sum = 0;
	uint32_t index;

	samples_sort(samples);
	for (index = first; index < end; index++)
		sum += samples->ticks[index];
	return (double)sum / (double)(end - first) * tick_ns();
}

double samples_ns(struct samples *samples, double ratio)
{
	uint32_t index = (uint32_t)(ratio * (double)(samples->count - 1));

	samples_sort(samples);
	return (double)samples->ticks[index] * tick_ns();
}

double slice_ns(struct samples *samples, void (*once)(void *context), void *context)
{
	int64_t until_ns;

	once(context);
	samples->count = 0;
	until_ns = crowd_now_ns() + SLICE_NS;
	do {
		uint64_t begun = ticks();

		once(context);
		samples_add(samples, ticks() - begun);
	} while (crowd_now_ns() < until_ns);
	return samples_middle_ns(samples);
}

bool limits_agree(double before, double after)
{
	double drift = before > after ? before / after : after / before;

	return drift <= 1 + MEASURE_LIMIT_DRIFT_MAX;
}

void series_add(struct series *series, double limit_before, double value, double limit_after)
{
	double limit = (limit_before + limit_after) / 2;

	if (series->count == MEASURE_SLICES_MAX)
		return;
	series->limits[series->count] = limit;
	series->values[series->count] = value;
	series->ratios[series->count] = value / limit;
	series->excesses[series->count] = value - limit;
	series->count++;
}

double percentile_of(double values[], uint32_t count, double ratio)
{
	if (count == 0)
		return 0;
	qsort(values, count, sizeof(*values), order_double);
	return values[(uint32_t)(ratio * (double)(count - 1))];
}

double median_of(double values[], uint32_t count)
{
	return percentile_of(values, count, 0.5);
}

enum cpu_place place_of(double limit_ns)
{
	return limit_ns < SHARED_CORE_NS_MAX ? PLACE_SHARED : PLACE_APART;
}

const char *place_name(enum cpu_place place)
{
	return place == PLACE_APART ? "two cores" : "one core, two hyperthreads";
}

const char *place_key(enum cpu_place place)
{
	return place == PLACE_APART ? "apart" : "shared";
}

/* --- noise ----------------------------------------------------------------------------------- */

void noise_begin(struct noise *noise)
{
	unsigned long long fields[8] = { 0 }; /* user nice system idle iowait irq softirq steal */
	FILE *file = fopen("/proc/stat", "re");
	int index;

	must(file, "cannot open /proc/stat: %s", strerror(errno));
	must(fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &fields[0], &fields[1],
		    &fields[2], &fields[3], &fields[4], &fields[5], &fields[6], &fields[7]) >= 4,
	     "/proc/stat does not begin with times");
	fclose(file);
	noise->total = 0;
	for (index = 0; index < 8; index++)
		noise->total += fields[index];
	noise->steal = fields[7];
}

double noise_steal_ratio(const struct noise *noise)
{
	struct noise now;

	noise_begin(&now);
	return now.total > noise->total
		       ? (double)(now.steal - noise->steal) / (double)(now.total - noise->total)
		       : 0;
}

/* --- what the processor can do --------------------------------------------------------------- */

/* PEAK_CHAINS sums that do not wait for each other; returns something that depends on all. */
#define PEAK_LOOP(name, attribute, vector, set1, fma, add, first)                                  \
	attribute static float name(float seed)                                                    \
	{                                                                                          \
		vector factor = set1(0.5f + seed);                                                 \
		vector term = set1(1.0f);                                                          \
		vector a = term, b = term, c = term, d = term, e = term, f = term;                 \
		vector g = term, h = term, i = term, j = term, k = term, l = term;                 \
		uint32_t step;                                                                     \
                                                                                                   \
		for (step = 0; step < PEAK_STEPS; step++) {                                        \
			a = fma(a, factor, term), b = fma(b, factor, term);                        \
			c = fma(c, factor, term), d = fma(d, factor, term);                        \
			e = fma(e, factor, term), f = fma(f, factor, term);                        \
			g = fma(g, factor, term), h = fma(h, factor, term);                        \
			i = fma(i, factor, term), j = fma(j, factor, term);                        \
			k = fma(k, factor, term), l = fma(l, factor, term);                        \
			/* keeps the compiler from merging twelve equal sums */                    \
			__asm__ __volatile__("" : KEEP(a), KEEP(b), KEEP(c), KEEP(d), KEEP(e),     \
					     KEEP(f), KEEP(g), KEEP(h), KEEP(i), KEEP(j), KEEP(k), \
					     KEEP(l));                                             \
		}                                                                                  \
		a = add(add(add(a, b), add(c, d)), add(add(e, f), add(g, h)));                     \
		return first(add(add(a, add(i, j)), add(k, l)));                                   \
	}

#if defined(__x86_64__)
#define KEEP(sum) "+v"(sum)
PEAK_LOOP(peak_512, __attribute__((target("avx512f"))), __m512, _mm512_set1_ps, _mm512_fmadd_ps,
	  _mm512_add_ps, _mm512_cvtss_f32)
#undef KEEP
#define KEEP(sum) "+x"(sum)
PEAK_LOOP(peak_256, __attribute__((target("avx2,fma"))), __m256, _mm256_set1_ps, _mm256_fmadd_ps,
	  _mm256_add_ps, _mm256_cvtss_f32)
#undef KEEP

static uint32_t peak_choose(float (**ret_loop)(float seed))
{
	if (__builtin_cpu_supports("avx512f")) {
		*ret_loop = peak_512;
		return 16;
	}
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
		*ret_loop = peak_256;
		return 8;
	}
	return 0;
}
#elif defined(__aarch64__)
#define KEEP(sum) "+w"(sum)
#define PEAK_FMA(sum, factor, term) vfmaq_f32(term, sum, factor)
#define PEAK_FIRST(sum) vgetq_lane_f32(sum, 0)
PEAK_LOOP(peak_128, , float32x4_t, vdupq_n_f32, PEAK_FMA, vaddq_f32, PEAK_FIRST)

static uint32_t peak_choose(float (**ret_loop)(float seed))
{
	*ret_loop = peak_128;
	return 4;
}
#else
static uint32_t peak_choose(float (**ret_loop)(float seed))
{
	(void)ret_loop;
	return 0;
}
#endif

double fma_peak_per_s(void)
{
	float (*loop)(float seed) = NULL;
	uint32_t lanes = peak_choose(&loop);
	uint64_t best = UINT64_MAX; /* interruptions make a turn longer, nothing makes it shorter */
	volatile float sum = 0;
	int64_t until_ns;

	if (lanes == 0)
		return 0;
	until_ns = crowd_now_ns() + PEAK_NS;
	do {
		uint64_t first = ticks();
		uint64_t duration;

		sum = loop(sum * 0);
		duration = ticks() - first;
		if (duration < best)
			best = duration;
	} while (crowd_now_ns() < until_ns);
	return (double)PEAK_STEPS * PEAK_CHAINS * lanes / ((double)best * tick_ns() * 1e-9);
}
