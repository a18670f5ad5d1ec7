/* SPDX-License-Identifier: MIT */
/*
 * tests/peers/ranking.c - hearth through its rings beside ONNX Runtime: same file, machine and cores
 *
 * One model at a time. Slices alternate, hearth, a peer, hearth, the next peer; inputs are made before
 * a slice, ids are uniform over the whole table and not repeated. On one core hearthd has the core
 * that ONNX Runtime's thread has, and the client polls on the other one. On two cores the peers are
 * one session with two threads and, above batch 1, two pinned sessions with a thread and batches of
 * their own; hearth's client sleeps on the CPU of the thread that answers it, where a wake is a
 * switch (hearthd.8), and its processor time is added to both sides. The ratio of a
 * slice is to the slices of hearth around it, when they agree; a row tells of the peer that is faster.
 */
#include <dirent.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ort.h"
#include "ranker.h"
#include "tests/system/crowd.h"
#include "tests/system/measure.h"

#define SLICE_NS 20000000.0
#define WARM_DIVISOR 16 /* of a slice's batches, the first ones wake what slept */
#define ROUNDS_MAX 31
#define ROUNDS_CONCLUSIVE 5
#define PATIENCE_NS (INT64_C(8) * 1000000000)
#define ERROR_MAX 1e-4 /* of a score; what is fast must be right */
#define SCORE_SMALL 1e-3 /* ONNX Runtime's Sigmoid keeps few digits of what is smaller */
#define NS_PER_US 1e3

enum ids {
	IDS_UNIFORM,
	IDS_ZIPF,
};

struct goal {
	const char *model;
	uint32_t rows;
	uint32_t cores;
	double p50; /* at least so many times hearth's; 0: none */
	double p99;
	enum ids ids;
};

/* Rows of a model stand together, one core first. */
static const struct goal goals[] = {
	{ "dlrm_kaggle", 1, 1, 5, 3, IDS_UNIFORM },
	{ "dlrm_kaggle", 8, 1, 3.5, 0, IDS_UNIFORM },
	{ "dlrm_kaggle", 64, 2, 1.6, 0, IDS_UNIFORM },
	{ "dlrm_kaggle", 512, 2, 1.6, 0, IDS_UNIFORM },
	{ "dlrm_kaggle", 2048, 2, 1.6, 0, IDS_UNIFORM },
	{ "dlrm_kaggle", 512, 2, 0, 0, IDS_ZIPF },
	{ "dlrm_kaggle_bags", 1, 1, 0, 0, IDS_UNIFORM },
	{ "dlrm_kaggle_bags", 64, 2, 15, 0, IDS_UNIFORM },
	{ "dlrm_kaggle_offsets", 1, 1, 0, 0, IDS_UNIFORM },
	{ "dlrm_kaggle_offsets", 64, 2, 0, 0, IDS_UNIFORM },
	{ "dlrm_kaggle_offsets", 512, 2, 0, 0, IDS_UNIFORM },
	{ "deepfm", 1, 1, 5, 3, IDS_UNIFORM },
	{ "deepfm", 8, 1, 3.5, 0, IDS_UNIFORM },
	{ "deepfm", 64, 2, 1.5, 0, IDS_UNIFORM },
	{ "deepfm", 512, 2, 1.5, 0, IDS_UNIFORM },
	{ "deepfm", 2048, 2, 1.5, 0, IDS_UNIFORM },
	{ "dlrm_v2_dot", 1, 1, 1.3, 0, IDS_UNIFORM },
	{ "dlrm_v2_dot", 1, 2, 1.8, 0, IDS_UNIFORM },
	{ "dlrm_v2_dot", 64, 2, 1.5, 0, IDS_UNIFORM },
	{ "dlrm_v2_dot", 512, 2, 1.5, 0, IDS_UNIFORM },
	{ "dlrm_v2_dot", 2048, 2, 1.5, 0, IDS_UNIFORM },
	{ "dlrm_v2", 1, 1, 1.1, 0, IDS_UNIFORM },
	{ "dlrm_v2", 64, 2, 1.35, 0, IDS_UNIFORM },
	{ "dlrm_v2", 512, 2, 1.35, 0, IDS_UNIFORM },
	{ "dlrm_v2", 2048, 2, 1.35, 0, IDS_UNIFORM },
	{ "dcn_v2", 1, 1, 1.1, 0, IDS_UNIFORM },
	{ "dcn_v2", 64, 2, 1.2, 0, IDS_UNIFORM },
	{ "dcn_v2", 512, 2, 1.2, 0, IDS_UNIFORM },
	{ "dcn_v2", 2048, 2, 1.2, 0, IDS_UNIFORM },
	{ "wide_deep", 1, 1, 1.45, 0, IDS_UNIFORM },
	{ "wide_deep", 1, 2, 1.7, 0, IDS_UNIFORM },
	{ "wide_deep", 64, 2, 1.2, 0, IDS_UNIFORM },
	{ "wide_deep", 512, 2, 1.2, 0, IDS_UNIFORM },
	{ "wide_deep", 2048, 2, 1.2, 0, IDS_UNIFORM },
	{ "din", 1, 1, 0, 0, IDS_UNIFORM },
	{ "din", 64, 2, 0, 0, IDS_UNIFORM },
	{ "din", 512, 2, 0, 0, IDS_UNIFORM },
};

#define GOALS (sizeof(goals) / sizeof(goals[0]))

enum peer {
	PEER_ONE,   /* one session, one thread */
	PEER_TWO,   /* one session, two threads */
	PEER_PAIR,  /* two sessions, a thread each */
	PEER_COUNT,
};

static const char *const peer_names[PEER_COUNT] = { "1 thread", "2 threads", "2 sessions" };

/* One row of the table while it is measured. */
struct row {
	const struct goal *goal;
	uint32_t count; /* batches of a slice */
	struct series series[PEER_COUNT]; /* the peer's ns over hearth's */
	struct samples hearth_all;
	struct samples peer_all[PEER_COUNT];
	double client_ns; /* processor time of hearth's client, a batch, of the last slice */
};

struct bench {
	struct network network;
	struct ranker ranker;
	struct ort_session *sessions[PEER_COUNT]; /* the pair's second is PEER_ONE's */
	struct network_batch batches[RANKER_BATCHES_MAX];
	struct samples samples;
	int cpu;
	int cpu_other;
	double error_max;
	float score_min;
	float score_max;
	uint32_t met;
	uint32_t missed;
	uint32_t unclear;
};

static bool is_json;
static const char *separator = "";

/* --- CPUs ------------------------------------------------------------------------------------- */

static void cpu_unpin(const struct bench *bench)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)bench->cpu, &set);
	CPU_SET((size_t)bench->cpu_other, &set);
	must(sched_setaffinity(0, sizeof(set), &set) == 0, "cannot unpin");
}

static double thread_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* --- slices ----------------------------------------------------------------------------------- */

static void batches_draw(struct bench *bench, const struct row *row)
{
	uint32_t batch;

	for (batch = 0; batch < row->count; batch++)
		if (row->goal->ids == IDS_ZIPF)
			network_draw_zipf(&bench->network, bench->batches + batch);
		else
			network_draw(&bench->network, bench->batches + batch);
}

static void samples_keep(struct samples *all, const struct samples *slice)
{
	uint32_t index;

	for (index = 0; index < slice->count && all->count + 1 < MEASURE_SAMPLES_MAX; index++)
		samples_add(all, slice->ticks[index]);
}

static double hearth_slice(struct bench *bench, struct row *row)
{
	double client_ns;
	uint32_t batch;

	batches_draw(bench, row);
	if (row->goal->cores == 1)
		cpu_pin(0, bench->cpu);
	else
		cpu_pin(0, bench->ranker.data_cpu);
	ranker_bind(&bench->ranker, bench->batches, row->count);
	bench->samples.count = 0;
	client_ns = thread_ns();
	for (batch = 0; batch < row->count; batch++) {
		uint64_t begun = ticks();

		ranker_run(&bench->ranker, batch);
		if (batch >= row->count / WARM_DIVISOR)
			samples_add(&bench->samples, ticks() - begun);
	}
	row->client_ns = row->goal->cores == 1 ? 0 : (thread_ns() - client_ns) / row->count;
	ranker_rest(&bench->ranker);
	samples_keep(&row->hearth_all, &bench->samples);
	return samples_middle_ns(&bench->samples);
}

/* The threads of ONNX Runtime spin for a while after a run. */
static void threads_await_sleep(void)
{
	DIR *directory = opendir("/proc/self/task");
	struct dirent *entry;

	must(directory, "cannot read /proc/self/task");
	while ((entry = readdir(directory))) {
		pid_t thread = (pid_t)atoi(entry->d_name);

		if (thread > 0 && thread != getpid())
			thread_await_sleep(getpid(), thread);
	}
	closedir(directory);
}

static double session_slice(struct bench *bench, struct row *row, enum peer peer)
{
	struct ort_session *session = bench->sessions[peer];
	uint32_t batch;

	batches_draw(bench, row);
	if (row->goal->cores == 1)
		cpu_pin(0, bench->cpu_other);
	else
		cpu_unpin(bench);
	ort_bind(session, bench->batches, row->count);
	bench->samples.count = 0;
	for (batch = 0; batch < row->count; batch++) {
		uint64_t begun = ticks();

		ort_run(session, batch);
		if (batch >= row->count / WARM_DIVISOR)
			samples_add(&bench->samples, ticks() - begun);
	}
	threads_await_sleep();
	samples_keep(row->peer_all + peer, &bench->samples);
	return samples_middle_ns(&bench->samples);
}

struct half {
	struct ort_session *session;
	pthread_barrier_t *barrier;
	int cpu;
	uint32_t count;
	int64_t begun_ns;
	int64_t ended_ns;
};

static void *half_run(void *argument)
{
	struct half *half = argument;
	uint32_t batch;

	cpu_pin(0, half->cpu);
	pthread_barrier_wait(half->barrier);
	half->begun_ns = crowd_now_ns();
	for (batch = 0; batch < half->count; batch++)
		ort_run(half->session, batch);
	half->ended_ns = crowd_now_ns();
	return NULL;
}

/* What a batch takes when each of two sessions has a core and half of the batches. */
static double pair_slice(struct bench *bench, struct row *row)
{
	uint32_t first = row->count / 2;
	pthread_barrier_t barrier;
	pthread_t threads[2];
	struct half halves[2] = {
		{ bench->sessions[PEER_ONE], &barrier, bench->cpu, first, 0, 0 },
		{ bench->sessions[PEER_PAIR], &barrier, bench->cpu_other, first, 0, 0 },
	};
	int64_t begun_ns;
	int64_t ended_ns;
	int index;

	batches_draw(bench, row);
	cpu_unpin(bench);
	ort_bind(halves[0].session, bench->batches, first);
	ort_bind(halves[1].session, bench->batches + first, first);
	pthread_barrier_init(&barrier, NULL, 2);
	for (index = 0; index < 2; index++)
		must(pthread_create(threads + index, NULL, half_run, halves + index) == 0,
		     "no thread");
	for (index = 0; index < 2; index++)
		pthread_join(threads[index], NULL);
	pthread_barrier_destroy(&barrier);
	begun_ns = halves[0].begun_ns < halves[1].begun_ns ? halves[0].begun_ns : halves[1].begun_ns;
	ended_ns = halves[0].ended_ns > halves[1].ended_ns ? halves[0].ended_ns : halves[1].ended_ns;
	return (double)(ended_ns - begun_ns) / (2 * first);
}

/* --- answers ---------------------------------------------------------------------------------- */

static void answers_compare(struct bench *bench, uint32_t rows)
{
	const float *expected;
	const float *scores;
	uint32_t row;

	network_batch_init(bench->batches, &bench->network, rows);
	network_draw(&bench->network, bench->batches);
	ort_bind(bench->sessions[PEER_ONE], bench->batches, 1);
	ranker_bind(&bench->ranker, bench->batches, 1);
	expected = ort_run(bench->sessions[PEER_ONE], 0);
	scores = ranker_run(&bench->ranker, 0);
	for (row = 0; row < rows; row++) {
		double error = fabs((double)scores[row] - (double)expected[row]) /
			       fmax(fabs((double)expected[row]), SCORE_SMALL);

		if (!(error <= bench->error_max))
			bench->error_max = error;
		bench->score_min = fminf(bench->score_min, scores[row]);
		bench->score_max = fmaxf(bench->score_max, scores[row]);
	}
	network_batch_deinit(bench->batches, &bench->network);
}

/* --- a row ------------------------------------------------------------------------------------ */

static bool peer_takes_part(const struct goal *goal, enum peer peer)
{
	if (goal->cores == 1)
		return peer == PEER_ONE;
	return peer == PEER_TWO || (peer == PEER_PAIR && goal->rows > 1);
}

static bool row_has_enough(const struct row *row)
{
	int peer;

	for (peer = 0; peer < PEER_COUNT; peer++)
		if (peer_takes_part(row->goal, (enum peer)peer) &&
		    row->series[peer].count < MEASURE_SLICES_MIN)
			return false;
	return true;
}

static void rounds_run(struct bench *bench, struct row *row)
{
	int64_t until_ns = crowd_now_ns() + PATIENCE_NS;
	double before = hearth_slice(bench, row) + row->client_ns;
	uint32_t round;
	int peer;

	for (round = 0; round < ROUNDS_MAX && !row_has_enough(row); round++) {
		if (crowd_now_ns() > until_ns && row->series[PEER_ONE].count +
		    row->series[PEER_TWO].count >= ROUNDS_CONCLUSIVE)
			break;
		for (peer = 0; peer < PEER_COUNT; peer++) {
			double value;
			double after;

			if (!peer_takes_part(row->goal, (enum peer)peer))
				continue;
			value = peer == PEER_PAIR ? pair_slice(bench, row) :
						    session_slice(bench, row, (enum peer)peer);
			after = hearth_slice(bench, row) + row->client_ns;
			if (limits_agree(before, after))
				series_add(row->series + peer, before, value + row->client_ns, after);
			before = after;
		}
	}
}

/* What a row says in the end. */
struct finding {
	enum peer best;
	double ratios[PEER_COUNT];
	double ratio_p99; /* 0: of one row alone */
	const char *verdict;
};

static struct finding row_judge(struct bench *bench, struct row *row)
{
	const struct goal *goal = row->goal;
	struct finding found = { .best = goal->cores == 1 ? PEER_ONE : PEER_TWO, .verdict = "" };
	bool is_clear;
	bool is_met;
	int peer;

	for (peer = 0; peer < PEER_COUNT; peer++)
		found.ratios[peer] = median_of(row->series[peer].ratios, row->series[peer].count);
	if (goal->cores == 2 && row->series[PEER_PAIR].count > 0 &&
	    found.ratios[PEER_PAIR] < found.ratios[PEER_TWO])
		found.best = PEER_PAIR;
	if (row->peer_all[found.best].count > 0 && goal->rows == 1)
		found.ratio_p99 = samples_ns(row->peer_all + found.best, 0.99) /
				  samples_ns(&row->hearth_all, 0.99);
	if (goal->p50 <= 0)
		return found;
	is_clear = row->series[found.best].count >= ROUNDS_CONCLUSIVE;
	is_met = found.ratios[found.best] >= goal->p50 && found.ratio_p99 >= goal->p99 &&
		 bench->error_max <= ERROR_MAX;
	found.verdict = !is_clear ? "inconclusive" : is_met ? "met" : "missed";
	*(!is_clear ? &bench->unclear : is_met ? &bench->met : &bench->missed) += 1;
	return found;
}

static void row_print(struct bench *bench, struct row *row)
{
	const struct goal *goal = row->goal;
	struct finding found = row_judge(bench, row);
	enum peer best = found.best;
	enum peer other = best == PEER_TWO ? PEER_PAIR : PEER_TWO;
	struct series *series = row->series + best;

	if (is_json) {
		printf("%s{\"model\":\"%s\",\"rows\":%u,\"cores\":%u,\"ids\":\"%s\",\"hearth_ns\":%.0f,"
		       "\"peer_ns\":%.0f,\"peer\":\"%s\",\"ratio\":%.3f,\"ratio_p99\":%.3f,"
		       "\"kept\":%u,\"error\":%.2g,\"goal\":%g,\"verdict\":\"%s\"}",
		       separator, goal->model, goal->rows, goal->cores,
		       goal->ids == IDS_ZIPF ? "zipf" : "uniform",
		       median_of(series->limits, series->count),
		       median_of(series->values, series->count), peer_names[best], found.ratios[best],
		       found.ratio_p99, series->count, bench->error_max, goal->p50, found.verdict);
		separator = ",";
		return;
	}
	printf("  %-19s %5u %5u %10.1f %10.1f  %-10s %6.2f %6.2f .. %-6.2f %4u", goal->model,
	       goal->rows, goal->cores, median_of(series->limits, series->count) / NS_PER_US,
	       median_of(series->values, series->count) / NS_PER_US, peer_names[best],
	       found.ratios[best], percentile_of(series->ratios, series->count, 0.1),
	       percentile_of(series->ratios, series->count, 0.9), series->count);
	if (goal->cores == 2 && goal->rows > 1)
		printf("  %-10s %.2f", peer_names[other], found.ratios[other]);
	if (goal->p50 > 0)
		printf("  goal %gx: %s", goal->p50, found.verdict);
	if (found.ratio_p99 > 0)
		printf("  (p99 %.2f%s)", found.ratio_p99, goal->p99 > 0 ? ", goal 3x" : "");
	printf("%s\n", goal->ids == IDS_ZIPF ? "  ids by Zipf 1.05, not counted" : "");
}

static void row_measure(struct bench *bench, const struct goal *goal)
{
	struct row *row = calloc(1, sizeof(*row));
	double guess_ns;
	uint32_t batch;
	int peer;

	must(row, "no memory");
	row->goal = goal;
	samples_init(&row->hearth_all);
	for (peer = 0; peer < PEER_COUNT; peer++)
		samples_init(row->peer_all + peer);
	for (batch = 0; batch < RANKER_BATCHES_MAX; batch++)
		network_batch_init(bench->batches + batch, &bench->network, goal->rows);
	row->count = 2;
	guess_ns = hearth_slice(bench, row);
	if (guess_ns < SLICE_NS / 2)
		row->count = guess_ns * RANKER_BATCHES_MAX < SLICE_NS ?
				     RANKER_BATCHES_MAX :
				     (uint32_t)(SLICE_NS / guess_ns / 2) * 2;
	for (peer = 0; peer < PEER_COUNT; peer++) /* their arenas grow to what a batch needs */
		if (peer == PEER_PAIR)
			pair_slice(bench, row);
		else
			session_slice(bench, row, (enum peer)peer);
	hearth_slice(bench, row);
	row->hearth_all.count = 0;
	for (peer = 0; peer < PEER_COUNT; peer++)
		row->peer_all[peer].count = 0;
	rounds_run(bench, row);
	row_print(bench, row);
	for (batch = 0; batch < RANKER_BATCHES_MAX; batch++)
		network_batch_deinit(bench->batches + batch, &bench->network);
	free(row->hearth_all.ticks);
	for (peer = 0; peer < PEER_COUNT; peer++)
		free(row->peer_all[peer].ticks);
	free(row);
}

/* --- a model ---------------------------------------------------------------------------------- */

static bool model_is_wanted(const char *model)
{
	const char *wanted = getenv("HEARTH_RANKING"); /* names, between spaces; default all */
	size_t length = strlen(model);
	const char *at = wanted;

	if (!wanted || !*wanted)
		return true;
	while ((at = strstr(at, model))) {
		if ((at == wanted || at[-1] == ' ') && (at[length] == ' ' || !at[length]))
			return true;
		at += length;
	}
	return false;
}

static void cores_measure(struct bench *bench, const struct goal rows[], uint32_t count,
			  uint32_t cores)
{
	static const uint32_t compared[] = { 1, 8, 64, 512 };
	struct ranker_plan plan = { cores, bench->cpu, bench->cpu_other };
	char text[APPLIANCE_TEXT_BYTES];
	uint32_t index;

	cpu_unpin(bench);
	if (!ranker_open(&bench->ranker, &bench->network, network_directory(), &plan, text)) {
		fprintf(is_json ? stderr : stdout, "  %-19s is refused: %s\n", bench->network.name, text);
		bench->unclear += count;
		return;
	}
	bench->error_max = 0;
	bench->score_min = INFINITY;
	bench->score_max = -INFINITY;
	for (index = 0; index < sizeof(compared) / sizeof(compared[0]); index++)
		answers_compare(bench, compared[index]);
	if (!is_json)
		printf("  %-19s on %u core%s: scores %.3f to %.3f, those of both at most %.1e "
		       "apart%s\n",
		       bench->network.name, cores, cores == 1 ? "" : "s", (double)bench->score_min,
		       (double)bench->score_max, bench->error_max,
		       bench->error_max <= ERROR_MAX ? "" : ": WRONG");
	for (index = 0; index < count; index++)
		if (rows[index].cores == cores) {
			if (bench->ranker.model->rows_max >= rows[index].rows)
				row_measure(bench, rows + index);
			else
				fprintf(is_json ? stderr : stdout,
					"  %-19s %5u: more than the %u rows that it takes\n",
					rows[index].model, rows[index].rows,
					bench->ranker.model->rows_max);
		}
	ranker_close(&bench->ranker);
}

static void model_measure(struct bench *bench, const struct goal rows[], uint32_t count)
{
	char path[512];
	int peer;

	snprintf(path, sizeof(path), "%s/%s/1/model.onnx", network_directory(), rows[0].model);
	if (!network_open(&bench->network, network_directory(), rows[0].model)) {
		fprintf(is_json ? stderr : stdout, "  %-19s is not in %s\n", rows[0].model, network_directory());
		bench->unclear += count;
		return;
	}
	cpu_unpin(bench);
	for (peer = 0; peer < PEER_COUNT; peer++)
		bench->sessions[peer] =
			ort_session_open(&bench->network, path, peer == PEER_TWO ? 2 : 1);
	cores_measure(bench, rows, count, 1);
	cores_measure(bench, rows, count, 2);
	for (peer = 0; peer < PEER_COUNT; peer++)
		ort_session_close(bench->sessions[peer]);
}

static void models_make(void)
{
	const char *wanted = getenv("HEARTH_RANKING"); /* as model_is_wanted */
	char command[1024];
	int64_t begun_ns = crowd_now_ns();

	if (!is_json)
		printf("ranking: models in %s (HEARTH_MODELS); those that are missing, 6.5 GB in all, "
		       "are written:\n",
		       network_directory());
	fflush(stdout);
	snprintf(command, sizeof(command), "tests/models/ranking.py '%s' %s%s", network_directory(),
		 wanted ? wanted : "", is_json ? " >&2" : "");
	if (system(command) != 0) {
		printf("SKIP: tests/models/ranking.py wants python3 with numpy and onnx\n");
		exit(MEASURE_SKIP);
	}
	if (!is_json)
		printf("  %.1f s\n", (double)(crowd_now_ns() - begun_ns) / 1e9);
}

static void campaign(void)
{
	static struct bench bench;
	struct noise noise;
	const char *reason;
	size_t first;
	size_t end;

	bench.cpu = cpu_allowed(0);
	bench.cpu_other = cpu_allowed(1);
	reason = ort_open ? ort_open() : "onnxruntime_c_api.h was not found when this was built: "
					 "ORT_INCLUDE says where it is";
	if (reason) {
		printf("SKIP: no ONNX Runtime (ORT_LIBRARY): %s\n", reason);
		exit(MEASURE_SKIP);
	}
	models_make();
	samples_init(&bench.samples);
	noise_begin(&noise);
	if (is_json)
		printf("{\"bench\":\"ranking\",\"peer\":\"ONNX Runtime %s\",\"rows\":[", ort_version());
	else
		printf("\nranking: hearthd through its rings beside ONNX Runtime %s, float32\n"
		       "  CPUs %d and %d; slices of %.0f ms, hearth and a peer in turn; ids uniform, "
		       "none twice\n\n"
		       "  %-19s %5s %5s %10s %10s  %-10s %6s %6s .. %-6s %4s\n",
		       ort_version(), bench.cpu, bench.cpu_other, SLICE_NS / 1e6, "", "rows", "cores",
		       "hearth us", "ORT us", "faster", "x", "p10", "p90", "kept");
	for (first = 0; first < GOALS; first = end) {
		for (end = first + 1;
		     end < GOALS && strcmp(goals[end].model, goals[first].model) == 0;)
			end++;
		if (model_is_wanted(goals[first].model))
			model_measure(&bench, goals + first, (uint32_t)(end - first));
	}
	if (is_json)
		printf("],\"met\":%u,\"missed\":%u,\"unclear\":%u,\"steal_ratio\":%.4f}\n", bench.met,
		       bench.missed, bench.unclear, noise_steal_ratio(&noise));
	else
		printf("\n  %u met, %u missed, %u not measured; steal %.1f %%\n", bench.met,
		       bench.missed, bench.unclear, 100 * noise_steal_ratio(&noise));
}

int main(int argc, char **argv)
{
	int status = measure_arguments(argc, argv, &is_json);

	return status ? status : appliance_campaign(campaign);
}
