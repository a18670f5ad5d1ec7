/* SPDX-License-Identifier: MIT */
/*
 * tools/demo/score.c - scores 2,500 held-out shop sessions, and compares with PyTorch
 *
 *     demo_score SOCKET DATA [brief]
 *
 * DATA is tests/data/shoppers. Every session is scored alone and again in
 * batches of 64; the scores must be the same to the bit, within 1e-5 of what
 * PyTorch computed, and lead to PyTorch's AUC. `brief` leaves the latencies out.
 */

#include <jansson.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "client/hearth.h"
#include "tools/hearthctl/chart.h"
#include "tools/hearthctl/requests/npy.h"

#define MODEL "shoppers"
#define BATCH_ROWS 64
#define BATCH_ROUNDS 25 /* of all sessions, so that a percentile means something */
#define DIFFERENCE_MAX 1e-5
#define AUC_DIFFERENCE_MAX 5e-5 /* four decimals */
#define INPUT_COUNT 3
#define WAIT_NS INT64_C(10000000000)

static const char *const input_names[INPUT_COUNT] = {"dense", "ids", "crosses"};

struct demo {
	struct hearth *hearth;
	const struct hearth_model_info *model;
	struct npy inputs[INPUT_COUNT]; /* in the model's order */
	struct npy labels;
	struct npy wanted; /* PyTorch's scores */
	double wanted_auc;
	uint32_t row_count;
	float *alone;
	float *batched;
	struct histogram alone_ns;
	struct histogram batched_ns;
};

static int failed(const char *what, const char *why)
{
	fprintf(stderr, "demo: %s: %s\n", what, why);
	return 1;
}

/* --- the data ------------------------------------------------------------------------------- */

static int array_read(const char *directory, const char *name, uint32_t dtype, struct npy *ret_npy)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s.npy", directory, name);
	if (npy_read(path, ret_npy) < 0)
		return failed("reading", err_message());
	if (ret_npy->dtype != dtype || ret_npy->rank == 0)
		return failed(path, "not of the type that the demo knows");
	return 0;
}

static int auc_read(const char *directory, uint32_t version, double *ret_auc)
{
	char path[4096];
	char key[16];
	json_error_t error;
	json_t *meta;

	snprintf(path, sizeof(path), "%s/meta.json", directory);
	snprintf(key, sizeof(key), "v%u", version);
	meta = json_load_file(path, 0, &error);
	if (!meta)
		return failed(path, error.text);
	*ret_auc = json_number_value(json_object_get(json_object_get(meta, key), "auc"));
	json_decref(meta);
	return *ret_auc > 0 ? 0 : failed(path, "it has no AUC for this version");
}

static int data_read(struct demo *demo, const char *directory)
{
	char name[32];
	uint32_t input;

	for (input = 0; input < INPUT_COUNT; input++) {
		const struct hearth_tensor_info *info = &demo->model->inputs[input];
		if (strcmp(info->name, input_names[input]) != 0)
			return failed(info->name, "the model's inputs are not the demo's");
		if (array_read(directory, info->name, info->dtype, &demo->inputs[input]))
			return 1;
	}
	snprintf(name, sizeof(name), "score_v%u", demo->model->version);
	if (array_read(directory, "label", NPY_U8, &demo->labels) ||
	    array_read(directory, name, NPY_F32, &demo->wanted) ||
	    auc_read(directory, demo->model->version, &demo->wanted_auc))
		return 1;
	demo->row_count = (uint32_t)demo->labels.dims[0];
	if (demo->wanted.data_bytes != demo->row_count * sizeof(float))
		return failed(name, "not one score a session");
	for (input = 0; input < INPUT_COUNT; input++)
		if (demo->inputs[input].dims[0] != demo->row_count)
			return failed(input_names[input], "not one row a session");
	demo->alone = calloc(demo->row_count, sizeof(float));
	demo->batched = calloc(demo->row_count, sizeof(float));
	return demo->alone && demo->batched ? 0 : failed("scores", "no memory");
}

/* --- scoring -------------------------------------------------------------------------------- */

/* One request for the rows from `first_row` on: all there is to the client library. */
static int score_once(struct demo *demo, uint32_t first_row, uint32_t rows, float *scores,
		      struct histogram *histogram)
{
	const struct hearth_completion *completion;
	struct hearth_request *request;
	uint64_t begin_ns = clock_ns();
	uint32_t input;
	int r;

	r = hearth_acquire(demo->hearth, demo->model, rows, &request);
	if (r < 0)
		return failed("hearth_acquire", hearth_strerror(r));
	for (input = 0; input < INPUT_COUNT; input++) {
		uint64_t row_bytes = npy_row_bytes(&demo->inputs[input]);
		if (request->inputs[input].bytes != rows * row_bytes)
			return failed(input_names[input], "the model wants rows of another size");
		memcpy(request->inputs[input].data,
		       (const char *)demo->inputs[input].data + first_row * row_bytes,
		       rows * row_bytes);
	}
	r = hearth_submit(demo->hearth, request);
	if (r < 0)
		return failed("hearth_submit", hearth_strerror(r));
	r = hearth_wait(demo->hearth, WAIT_NS, &completion);
	if (r < 0)
		return failed("hearth_wait", hearth_strerror(r));
	if (completion->status < 0)
		return failed("a request", hearth_completion_strerror(demo->hearth, completion));
	if (completion->output_count != 1 || completion->outputs[0].bytes != rows * sizeof(float))
		return failed("a request", "not one score a row came back");
	memcpy(scores + first_row, completion->outputs[0].data, rows * sizeof(float));
	histogram_record(histogram, clock_ns() - begin_ns);
	r = hearth_release(demo->hearth, completion->id);
	return r < 0 ? failed("hearth_release", hearth_strerror(r)) : 0;
}

static int score_all(struct demo *demo, uint32_t batch_rows, uint32_t round_count, float *scores,
		     struct histogram *histogram)
{
	uint32_t round;
	uint32_t row;

	for (round = 0; round < round_count; round++) {
		for (row = 0; row < demo->row_count; row += batch_rows) {
			uint32_t left = demo->row_count - row;
			if (score_once(demo, row, left < batch_rows ? left : batch_rows, scores,
				       histogram))
				return 1;
		}
	}
	return 0;
}

/* --- judging -------------------------------------------------------------------------------- */

struct scored {
	float score;
	uint8_t label;
};

static int scored_compare(const void *left, const void *right)
{
	float a = ((const struct scored *)left)->score;
	float b = ((const struct scored *)right)->score;

	return (a > b) - (a < b);
}

/* The chance that a buyer scores above another visitor, ties counting half: the rank statistic of
 * Mann and Whitney. Negative when it cannot be told. */
static double auc_of(const float scores[], const uint8_t labels[], uint32_t row_count)
{
	struct scored *rows = malloc(row_count * sizeof(*rows));
	double rank_sum = 0;
	double buyers = 0;
	uint32_t row;
	uint32_t tie;
	uint32_t next;

	if (!rows)
		return -1;
	for (row = 0; row < row_count; row++) {
		rows[row] = (struct scored){.score = scores[row], .label = labels[row]};
		buyers += labels[row];
	}
	qsort(rows, row_count, sizeof(*rows), scored_compare);
	for (row = 0; row < row_count; row = next) {
		for (next = row; next < row_count && rows[next].score == rows[row].score; next++)
			;
		/* Ranks row + 1 to next, shared by the tie. */
		for (tie = row; tie < next; tie++)
			rank_sum += rows[tie].label ? (row + 1.0 + next) / 2 : 0;
	}
	free(rows);
	if (buyers <= 0 || buyers >= row_count)
		return -1;
	return (rank_sum - buyers * (buyers + 1) / 2) / (buyers * (row_count - buyers));
}

static double difference_max(const float a[], const float b[], uint32_t row_count)
{
	double largest = 0;
	uint32_t row;

	for (row = 0; row < row_count; row++) {
		double difference = fabs((double)a[row] - (double)b[row]);
		/* A NaN is the largest difference there is. */
		if (!(difference <= largest))
			largest = isnan(difference) ? INFINITY : difference;
	}
	return largest;
}

static int demo_judge(const struct demo *demo)
{
	double auc = auc_of(demo->alone, demo->labels.data, demo->row_count);
	double difference = difference_max(demo->alone, demo->wanted.data, demo->row_count);
	int is_same = memcmp(demo->alone, demo->batched, demo->row_count * sizeof(float)) == 0;
	int is_close = difference <= DIFFERENCE_MAX;
	int is_equal = fabs(auc - demo->wanted_auc) < AUC_DIFFERENCE_MAX;

	printf("%s@%u, %u held-out sessions\n", MODEL, demo->model->version, demo->row_count);
	printf("  AUC: hearth %.4f, PyTorch %.4f: %s to 4 decimals\n", auc, demo->wanted_auc,
	       is_equal ? "they agree" : "THEY DIFFER");
	printf("  largest difference of a score from PyTorch's: %.2g (at most %g): %s\n",
	       difference, DIFFERENCE_MAX, is_close ? "ok" : "TOO FAR");
	printf("  alone and in batches of %d: %s\n", BATCH_ROWS,
	       is_same ? "the same scores to the bit" : "THE BITS DIFFER");
	return is_same && is_close && is_equal ? 0 : 1;
}

static void latencies_print(const struct demo *demo)
{
	printf("\n1 session a request, from filling the inputs to reading the score\n  ");
	percentiles_print(&demo->alone_ns, stdout);
	chart_print(&demo->alone_ns, stdout);
	printf("\n%d sessions a request, %.0f sessions/s\n  ", BATCH_ROWS,
	       1e9 * BATCH_ROWS / histogram_mean(&demo->batched_ns));
	percentiles_print(&demo->batched_ns, stdout);
	chart_print(&demo->batched_ns, stdout);
}

static int demo_run(struct demo *demo, const char *socket_path, const char *directory, int is_brief)
{
	int r;

	r = hearth_open(socket_path, NULL, &demo->hearth);
	if (r < 0)
		return failed(socket_path, hearth_strerror(r));
	r = hearth_model(demo->hearth, MODEL, 0, &demo->model);
	if (r < 0)
		return failed(MODEL, hearth_strerror(r));
	if (demo->model->input_count != INPUT_COUNT)
		return failed(MODEL, "the model's inputs are not the demo's");
	if (data_read(demo, directory) ||
	    score_all(demo, 1, 1, demo->alone, &demo->alone_ns) ||
	    score_all(demo, BATCH_ROWS, is_brief ? 1 : BATCH_ROUNDS, demo->batched,
		      &demo->batched_ns))
		return 1;
	r = demo_judge(demo);
	if (!is_brief)
		latencies_print(demo);
	return r;
}

int main(int argument_count, char **arguments)
{
	struct demo *demo = calloc(1, sizeof(*demo));
	uint32_t input;
	int status;

	setlocale(LC_CTYPE, "");
	if (!demo || argument_count < 3) {
		free(demo);
		fprintf(stderr, "usage: demo_score SOCKET DATA [brief]\n");
		return 2;
	}
	status = demo_run(demo, arguments[1], arguments[2],
			  argument_count > 3 && strcmp(arguments[3], "brief") == 0);
	for (input = 0; input < INPUT_COUNT; input++)
		npy_free(&demo->inputs[input]);
	npy_free(&demo->labels);
	npy_free(&demo->wanted);
	free(demo->alone);
	free(demo->batched);
	hearth_close(demo->hearth);
	free(demo);
	return status;
}
