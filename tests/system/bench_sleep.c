/* SPDX-License-Identifier: MIT */
/*
 * tests/system/bench_sleep.c - a request a millisecond, everybody asleep in between
 *
 * Beside hearth with its defaults: two processes that wake each other by a bare futex, and two that
 * write to each other through a SOCK_SEQPACKET pair, 64 bytes each way. All sleep until they are
 * woken, at the same pace. Once with a CPU each, where a wake across CPUs is nearly everything, and
 * once all with one CPU from the start, where the path through the kernel is. Slices take turns.
 *
 * Then bursts: after a pause that lets everybody sleep, requests follow each other at once. Behind the
 * first few, which have to wake the daemon, one shall take no longer than one of an endless row.
 */
#include <errno.h>
#include <linux/futex.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "appliance.h"
#include "client/hearth.h"
#include "crowd.h"
#include "measure.h"
#include "shm/barrier.h"

#define PACE_NS 1000000
#define SLICE_ROUNDS 200
#define WARM_ROUNDS 20
#define SLICES 24
#define MESSAGE_BYTES 64
#define FUTEX_RATIO_GOAL 1.2
#define BURST_PAUSE_NS 20000000
#define BURST_REQUESTS 500
#define BURST_FIRST 4 /* are not judged */
#define BURSTS 20     /* of a slice */
#define BURST_RATIO_GOAL 1.1

enum arm {
	ARM_HEARTH,
	ARM_FUTEX,
	ARM_SOCKET,
	ARM_COUNT,
};

static const char *const arm_names[ARM_COUNT] = { "hearth", "bare futex", "SOCK_SEQPACKET" };

struct words {
	uint32_t there;
	uint8_t _unused0[124];
	uint32_t back;
	uint8_t _unused1[124];
};

struct bench {
	struct appliance appliance;
	pid_t data_thread;
	struct hearth *hearth;
	struct words *words;
	pid_t futex_child;
	int socket_fd;
	pid_t socket_child;
	struct samples samples;
};

/* --- the bare ones --------------------------------------------------------------------------- */

static void word_await(uint32_t *word, uint32_t turn)
{
	uint32_t seen;

	while ((seen = hearth_load_relaxed(word)) != turn)
		syscall(SYS_futex, word, FUTEX_WAIT, seen, NULL, NULL, 0);
}

static void word_set(uint32_t *word, uint32_t turn)
{
	hearth_store_relaxed(word, turn);
	syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

#define TURN_LAST UINT32_MAX

static void futex_answer(void *argument)
{
	struct words *words = argument;
	uint32_t turn = 0;

	for (;;) {
		uint32_t seen;

		while ((seen = hearth_load_relaxed(&words->there)) == turn)
			syscall(SYS_futex, &words->there, FUTEX_WAIT, seen, NULL, NULL, 0);
		if (seen == TURN_LAST)
			return;
		turn = seen;
		word_set(&words->back, turn);
	}
}

static void socket_answer(void *argument)
{
	uint8_t message[MESSAGE_BYTES];
	int fd = *(const int *)argument;

	while (recv(fd, message, sizeof(message), 0) == sizeof(message))
		must(send(fd, message, sizeof(message), MSG_NOSIGNAL) == sizeof(message), "send");
}

/* --- a round of each ------------------------------------------------------------------------- */

static void hearth_round(struct bench *bench)
{
	const struct hearth_completion *completion;
	struct hearth_request *request;
	int r;

	r = hearth_acquire_ping(bench->hearth, &request);
	must(r == 0, "acquire: %s", hearth_strerror(r));
	r = hearth_submit(bench->hearth, request);
	must(r == 0, "submit: %s", hearth_strerror(r));
	r = hearth_wait(bench->hearth, -1, &completion);
	must(r == 0 && completion->status == 0, "wait: %s", hearth_strerror(r));
	hearth_release(bench->hearth, completion->id);
}

static void futex_round(struct bench *bench)
{
	uint32_t turn = bench->words->there + 1;

	word_set(&bench->words->there, turn);
	word_await(&bench->words->back, turn);
}

static void socket_round(struct bench *bench)
{
	uint8_t message[MESSAGE_BYTES] = { 0 };

	must(send(bench->socket_fd, message, sizeof(message), MSG_NOSIGNAL) == sizeof(message) &&
		     recv(bench->socket_fd, message, sizeof(message), 0) == sizeof(message),
	     "the socket: %s", strerror(errno));
}

/* --- slices ---------------------------------------------------------------------------------- */

static double slice_run(struct bench *bench, enum arm arm)
{
	static void (*const rounds[ARM_COUNT])(struct bench *) = { hearth_round, futex_round,
								   socket_round };
	int64_t next_ns = crowd_now_ns();
	uint32_t round;

	bench->samples.count = 0;
	for (round = 0; round < WARM_ROUNDS + SLICE_ROUNDS; round++) {
		struct timespec next;
		uint64_t begun;

		next_ns += PACE_NS;
		next = (struct timespec){ next_ns / 1000000000, next_ns % 1000000000 };
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
		begun = ticks();
		rounds[arm](bench);
		if (round >= WARM_ROUNDS)
			samples_add(&bench->samples, ticks() - begun);
	}
	return samples_middle_ns(&bench->samples);
}

struct result {
	const char *name;
	const char *key;
	struct series series[ARM_COUNT]; /* hearth against each of the others */
	uint64_t sleeps;
	uint64_t wakes;
	double steal_ratio;
};

static void measure(struct bench *bench, struct result *result)
{
	double us[ARM_COUNT];
	struct noise noise;
	uint32_t slice;
	uint32_t arm;

	noise_begin(&noise);
	result->sleeps = appliance_number(&bench->appliance, "sleeps_total");
	result->wakes = appliance_number(&bench->appliance, "wakes_total");
	for (slice = 0; slice < SLICES; slice++) {
		for (arm = 0; arm < ARM_COUNT; arm++)
			us[(slice + arm) % ARM_COUNT] =
				slice_run(bench, (slice + arm) % ARM_COUNT) / 1e3;
		for (arm = 0; arm < ARM_COUNT; arm++)
			series_add(result->series + arm, us[arm], us[ARM_HEARTH], us[arm]);
	}
	result->sleeps = appliance_number(&bench->appliance, "sleeps_total") - result->sleeps;
	result->wakes = appliance_number(&bench->appliance, "wakes_total") - result->wakes;
	result->steal_ratio = noise_steal_ratio(&noise);
}

/* Requests behind the first ones of each burst; with no pause it is one endless row. */
static double bursts_run(struct bench *bench, int64_t pause_ns)
{
	uint32_t burst;
	uint32_t request;

	bench->samples.count = 0;
	for (burst = 0; burst < BURSTS; burst++) {
		if (pause_ns > 0)
			crowd_pause_ns(pause_ns);
		for (request = 0; request < BURST_REQUESTS; request++) {
			uint64_t begun = ticks();

			hearth_round(bench);
			if (request >= BURST_FIRST)
				samples_add(&bench->samples, ticks() - begun);
		}
	}
	return samples_middle_ns(&bench->samples);
}

static void bursts_measure(struct bench *bench, struct series *ret_series)
{
	uint32_t slice;

	for (slice = 0; slice < SLICES; slice++) {
		double before = bursts_run(bench, 0);
		double value = bursts_run(bench, BURST_PAUSE_NS);
		double after = bursts_run(bench, 0);

		if (limits_agree(before, after))
			series_add(ret_series, before, value, after);
	}
}

/* --- what it says ---------------------------------------------------------------------------- */

static const char *verdict_of(const struct result *result, bool is_met)
{
	return result->steal_ratio > MEASURE_STEAL_RATIO_MAX ? "inconclusive"
							     : is_met ? "met" : "missed";
}

static void result_print(struct result *result, enum arm judge, double goal, bool is_json)
{
	const uint32_t rounds = SLICES * (SLICE_ROUNDS + WARM_ROUNDS);
	double ratio = median_of(result->series[judge].ratios, SLICES);
	const char *verdict = verdict_of(result, ratio <= goal);
	uint32_t arm;

	if (is_json) {
		printf(",\"%s\":{\"hearth_us\":%.2f,\"futex_us\":%.2f,\"seqpacket_us\":%.2f,"
		       "\"to_futex\":%.3f,\"to_seqpacket\":%.3f,\"verdict\":\"%s\"}", result->key,
		       median_of(result->series[ARM_HEARTH].values, SLICES),
		       median_of(result->series[ARM_FUTEX].limits, SLICES),
		       median_of(result->series[ARM_SOCKET].limits, SLICES),
		       median_of(result->series[ARM_FUTEX].ratios, SLICES),
		       median_of(result->series[ARM_SOCKET].ratios, SLICES), verdict);
		return;
	}
	printf("\n  %s; goal at most %.1fx the %s: %s\n"
	       "  %-16s %10s %14s %9s .. %s\n", result->name, goal, arm_names[judge], verdict, "",
	       "p50 us", "hearth to it", "p10", "p90");
	for (arm = 0; arm < ARM_COUNT; arm++)
		printf("  %-16s %10.2f %14.2f %9.2f .. %.2f\n", arm_names[arm],
		       median_of(result->series[arm].limits, SLICES),
		       median_of(result->series[arm].ratios, SLICES),
		       percentile_of(result->series[arm].ratios, SLICES, 0.1),
		       percentile_of(result->series[arm].ratios, SLICES, 0.9));
	printf("  the daemon slept %.2f times and woke its client %.2f times a request\n",
	       (double)result->sleeps / rounds, (double)result->wakes / rounds);
}

static void bursts_print(struct series *series, double steal_ratio, bool is_json)
{
	double ratio = median_of(series->ratios, series->count);
	const char *verdict = series->count < MEASURE_SLICES_MIN / 2 ||
					      steal_ratio > MEASURE_STEAL_RATIO_MAX
				      ? "inconclusive"
				      : ratio <= BURST_RATIO_GOAL ? "met" : "missed";

	if (is_json) {
		printf(",\"bursts\":{\"kept\":%u,\"ratio\":%.3f,\"verdict\":\"%s\"}",
		       series->count, ratio, verdict);
		return;
	}
	printf("\n  bursts of %d after %d ms of sleep, a CPU each; goal at most %.1fx an endless row: %s\n"
	       "  from the fifth request on %.0f ns, in an endless row %.0f ns, ratio %.2f (%.2f .. %.2f), "
	       "%u slices\n", BURST_REQUESTS, BURST_PAUSE_NS / 1000000, BURST_RATIO_GOAL, verdict,
	       median_of(series->values, series->count), median_of(series->limits, series->count),
	       ratio, percentile_of(series->ratios, series->count, 0.1),
	       percentile_of(series->ratios, series->count, 0.9), series->count);
}

static void bench_open(struct bench *bench, int cpu, int cpu_other)
{
	int ends[2];
	int r;

	/* Who has one CPU only knows it from the start. */
	if (cpu == cpu_other)
		cpu_pin(0, cpu);
	appliance_open(&bench->appliance, (const char *[]){ "--load", "none", NULL });
	bench->data_thread = thread_find(bench->appliance.pid, "hearth-data");
	must(bench->data_thread > 0, "hearthd has no data thread");
	cpu_pin(bench->data_thread, cpu_other);
	r = hearth_open(bench->appliance.socket, NULL, &bench->hearth);
	must(r == 0, "hearth_open: %s", hearth_strerror(r));
	bench->words = crowd_share(sizeof(*bench->words));
	bench->futex_child = crowd_start(futex_answer, bench->words);
	cpu_pin(bench->futex_child, cpu_other);
	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0, "no sockets");
	bench->socket_fd = ends[0];
	bench->socket_child = crowd_start(socket_answer, ends + 1);
	cpu_pin(bench->socket_child, cpu_other);
	close(ends[1]);
	cpu_pin(0, cpu);
	samples_init(&bench->samples);
}

static void bench_close(struct bench *bench)
{
	word_set(&bench->words->there, TURN_LAST);
	crowd_finish(bench->futex_child);
	shutdown(bench->socket_fd, SHUT_RDWR);
	crowd_finish(bench->socket_child);
	close(bench->socket_fd);
	hearth_close(bench->hearth);
	appliance_close(&bench->appliance);
}

static bool is_json;

static void campaign(void)
{
	static struct bench bench;
	static struct result apart = { .name = "a CPU each", .key = "apart" };
	static struct series bursts;
	static struct result together = { .name = "all on one CPU", .key = "together" };
	int cpu = cpu_allowed(0);
	int cpu_other = cpu_allowed(1);

	bench_open(&bench, cpu, cpu_other);
	measure(&bench, &apart);
	bursts_measure(&bench, &bursts);
	bench_close(&bench);
	bench_open(&bench, cpu, cpu);
	measure(&bench, &together);
	bench_close(&bench);
	if (is_json)
		printf("{\"bench\":\"sleep\"");
	else
		printf("sleep: a request every %d us, both sides asleep in between; slices of %d\n",
		       PACE_NS / 1000, SLICE_ROUNDS);
	result_print(&apart, ARM_FUTEX, FUTEX_RATIO_GOAL, is_json);
	result_print(&together, ARM_SOCKET, 1.0, is_json);
	bursts_print(&bursts, apart.steal_ratio, is_json);
	if (is_json)
		printf("}\n");
}

int main(int argc, char **argv)
{
	int status = measure_arguments(argc, argv, &is_json);

	return status ? status : appliance_campaign(campaign);
}
