/* SPDX-License-Identifier: MIT */
/*
 * tools/hearthctl/requests/infer.c - rows in from .npy files by batches, answers out to .npy files
 *
 * Batches are kept in flight side by side and land in their place whatever
 * order they come back in. Every one names the version that the model had at
 * the start, so a swap in between mixes no answers: when that version is gone
 * and the user named none, everything starts over with the current one.
 */

#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "tools/hearthctl/requests/feed.h"
#include "tools/hearthctl/requests/npy.h"
#include "tools/hearthctl/requests/session.h"
#include "tools/hearthctl/row.h"
#include "tools/hearthctl/table.h"

#define BATCH_ROWS_DEFAULT 256
#define IN_FLIGHT_MAX 4
#define FILE_NAME_BYTES_MAX 200
#define RESTARTS_MAX 8

struct answer {
	uint8_t *data; /* of all rows */
	uint64_t row_bytes;
	uint16_t dtype;
	uint16_t rank;
	uint32_t row_factor; /* dims[0] of one row */
	uint32_t dims[HEARTH_RANK_MAX];
};

struct infer {
	const struct invocation *invocation;
	struct hearth *hearth;
	const struct hearth_model_info *model;
	struct feed feed;
	uint32_t batch_rows;
	uint32_t next_row; /* first row that was not submitted */
	uint32_t in_flight;
	uint32_t restart_count;
	bool is_stale; /* the version is gone: no more batches, then a restart */
	uint32_t batch_count;
	uint64_t substituted;
	uint64_t elapsed_ns;
	uint32_t answer_count;
	struct answer *answers;
};

static uint32_t batch_rows_at(const struct infer *infer, uint32_t first_row)
{
	uint32_t left = infer->feed.row_count - first_row;

	return left < infer->batch_rows ? left : infer->batch_rows;
}

/* EXIT_OK, and -EAGAIN in *ret_error when there is no room until something completes. */
static int batch_submit(struct infer *infer, uint32_t first_row, int *ret_error)
{
	struct hearth_request *request;
	uint32_t rows = batch_rows_at(infer, first_row);
	int r;

	r = feed_acquire(&infer->feed, infer->hearth, infer->model, rows, &request);
	/* Halves only before the first batch is under way: the rest then fits as well. */
	while (r == -EMSGSIZE && rows > 1 && infer->next_row == 0) {
		infer->batch_rows = rows / 2;
		rows = batch_rows_at(infer, first_row);
		r = feed_acquire(&infer->feed, infer->hearth, infer->model, rows, &request);
	}
	*ret_error = r;
	if (r == -EAGAIN && infer->in_flight > 0)
		return EXIT_OK;
	if (r < 0)
		return session_failed(infer->invocation, r);
	feed_fill(&infer->feed, first_row, rows, request);
	request->user_data = first_row;
	request->version = infer->model->version;
	r = hearth_submit(infer->hearth, request);
	if (r < 0)
		return session_failed(infer->invocation, r);
	infer->in_flight++;
	return EXIT_OK;
}

/* The first answer says how large all of them are. */
static int answers_init(struct infer *infer, const struct hearth_completion *completion,
			uint32_t rows)
{
	uint32_t output;

	infer->answers = calloc(completion->output_count + 1, sizeof(*infer->answers));
	if (!infer->answers)
		return complain(EXIT_FAILED, "no memory for the answers");
	infer->answer_count = completion->output_count;
	for (output = 0; output < completion->output_count; output++) {
		const struct hearth_output *from = &completion->outputs[output];
		struct answer *answer = &infer->answers[output];
		if (infer->feed.row_symbol >= 0 && (from->rank == 0 || from->dims[0] % rows != 0))
			return complain(EXIT_FAILED, "output %u does not have the rows outermost",
					output);
		answer->dtype = from->dtype;
		answer->rank = from->rank;
		answer->row_bytes = from->bytes / rows;
		answer->row_factor = from->rank > 0 ? from->dims[0] / rows : 0;
		memcpy(answer->dims, from->dims, sizeof(answer->dims));
		answer->data = malloc(answer->row_bytes * infer->feed.row_count + 1);
		if (!answer->data)
			return complain(EXIT_FAILED, "no memory for the answers");
	}
	return EXIT_OK;
}

static int answers_take(struct infer *infer, const struct hearth_completion *completion)
{
	uint32_t first_row = (uint32_t)completion->user_data;
	uint32_t rows = batch_rows_at(infer, first_row);
	uint32_t output;
	int code;

	if (!infer->answers) {
		code = answers_init(infer, completion, rows);
		if (code != EXIT_OK)
			return code;
	}
	for (output = 0; output < infer->answer_count; output++) {
		const struct hearth_output *from = &completion->outputs[output];
		struct answer *answer = &infer->answers[output];
		if (completion->output_count != infer->answer_count ||
		    from->bytes != answer->row_bytes * rows || from->dtype != answer->dtype)
			return complain(EXIT_FAILED, "two batches came back in different shapes");
		memcpy(answer->data + first_row * answer->row_bytes, from->data, from->bytes);
	}
	infer->batch_count++;
	infer->substituted += completion->substituted;
	return EXIT_OK;
}

static int batch_finish(struct infer *infer)
{
	const struct hearth_completion *completion;
	uint32_t first_row;
	uint64_t retry_ns;
	uint64_t id;
	bool is_busy;
	int error = 0;
	int code = EXIT_OK;
	int r;

	r = hearth_wait(infer->hearth, session_timeout_ns(infer->invocation), &completion);
	if (r < 0)
		return session_failed(infer->invocation, r);
	infer->in_flight--;
	id = completion->id;
	first_row = (uint32_t)completion->user_data;
	is_busy = completion->status == -EBUSY;
	retry_ns = completion->retry_ns;
	if (completion->status == -ENOENT && infer->invocation->version == 0 &&
		 infer->restart_count < RESTARTS_MAX)
		infer->is_stale = true;
	else if (completion->status < 0 && !is_busy && !infer->is_stale)
		code = session_refused(infer->hearth, infer->model, completion);
	else if (completion->status >= 0 && !infer->is_stale)
		code = answers_take(infer, completion);
	r = hearth_release(infer->hearth, id);
	if (code == EXIT_OK && r < 0)
		code = session_failed(infer->invocation, r);
	if (code == EXIT_OK && is_busy && !infer->is_stale) {
		struct timespec pause =
			clock_timespec(retry_ns < CLOCK_NS_PER_S ? retry_ns : CLOCK_NS_PER_S);
		nanosleep(&pause, NULL);
		code = batch_submit(infer, first_row, &error);
		if (code == EXIT_OK && error < 0)
			code = session_failed(infer->invocation, error);
	}
	return code;
}

static void answers_free(struct infer *infer)
{
	uint32_t output;

	for (output = 0; output < infer->answer_count; output++)
		free(infer->answers[output].data);
	free(infer->answers);
	infer->answers = NULL;
	infer->answer_count = 0;
}

/* The version that answers, and the files as it wants them. */
static int infer_begin(struct infer *infer)
{
	const struct invocation *invocation = infer->invocation;
	uint32_t rows_max;
	int code;

	code = session_model(invocation, infer->hearth, &infer->model);
	if (code != EXIT_OK)
		return code;
	if (feed_from_files(infer->model, invocation->inputs, invocation->input_count,
			    &infer->feed) < 0)
		return complain(EXIT_FAILED, "%s", err_message());
	rows_max = infer->model->rows_max > 0 ? infer->model->rows_max : UINT32_MAX;
	infer->batch_rows =
		invocation->batch_rows > 0 ? invocation->batch_rows : BATCH_ROWS_DEFAULT;
	if (infer->batch_rows > rows_max)
		infer->batch_rows = rows_max;
	return EXIT_OK;
}

static int infer_restart(struct infer *infer)
{
	answers_free(infer);
	feed_deinit(&infer->feed);
	infer->restart_count++;
	infer->is_stale = false;
	infer->next_row = 0;
	infer->batch_count = 0;
	infer->substituted = 0;
	return infer_begin(infer);
}

static int batches_run(struct infer *infer)
{
	uint64_t begin_ns = clock_ns();
	int error;
	int code = EXIT_OK;

	while (code == EXIT_OK && (infer->next_row < infer->feed.row_count ||
				   infer->in_flight > 0 || infer->is_stale)) {
		if (infer->is_stale && infer->in_flight == 0) {
			code = infer_restart(infer);
			continue;
		}
		error = -EAGAIN;
		if (!infer->is_stale && infer->next_row < infer->feed.row_count &&
		    infer->in_flight < IN_FLIGHT_MAX) {
			code = batch_submit(infer, infer->next_row, &error);
			if (code == EXIT_OK && error == 0)
				infer->next_row += batch_rows_at(infer, infer->next_row);
		}
		if (code == EXIT_OK && error == -EAGAIN)
			code = batch_finish(infer);
	}
	infer->elapsed_ns = clock_ns() - begin_ns;
	return code;
}

/* "DIR/NAME.npy", where what could leave DIR, or upset a terminal, is '_'. */
static char *answer_path(const char *directory, const char *name)
{
	char safe[FILE_NAME_BYTES_MAX + 1];
	char *path = NULL;
	size_t byte;

	for (byte = 0; byte < FILE_NAME_BYTES_MAX && name[byte]; byte++) {
		unsigned char letter = (unsigned char)name[byte];
		bool is_bad = letter == '/' || letter < ' ' || letter == 0x7f ||
			      (letter == '.' && byte == 0);
		safe[byte] = is_bad ? '_' : name[byte];
	}
	safe[byte] = '\0';
	if (asprintf(&path, "%s/%s.npy", directory, byte > 0 ? safe : "_") < 0)
		return NULL;
	return path;
}

static json_t *answer_write(const struct infer *infer, uint32_t output, const char *path)
{
	const struct answer *answer = &infer->answers[output];
	uint64_t dims[HEARTH_RANK_MAX];
	json_t *shape;
	uint32_t dim;
	int r;

	for (dim = 0; dim < answer->rank; dim++)
		dims[dim] = answer->dims[dim];
	if (infer->feed.row_symbol >= 0)
		dims[0] = (uint64_t)answer->row_factor * infer->feed.row_count;
	r = npy_write(path, answer->dtype, answer->rank, dims, answer->data);
	if (r < 0)
		return NULL;
	shape = json_array();
	for (dim = 0; dim < answer->rank; dim++)
		json_array_append_new(shape, json_integer((json_int_t)dims[dim]));
	return json_pack("{s:s, s:s, s:s, s:o}", "name", infer->model->outputs[output].name, "file",
			 path, "dtype", npy_dtype_name(answer->dtype), "dims", shape);
}

/* Writes every output; *ret_outputs describes them. */
static int answers_write(const struct infer *infer, json_t *outputs)
{
	const char *directory = infer->invocation->output_directory;
	uint32_t output;
	size_t before;

	if (mkdir(directory, 0777) < 0 && errno != EEXIST)
		return complain(EXIT_FAILED, "%s: %s", directory, strerror(errno));
	for (output = 0; output < infer->answer_count && output < infer->model->output_count;
	     output++) {
		char *path = answer_path(directory, infer->model->outputs[output].name);
		json_t *description;
		if (!path)
			return complain(EXIT_FAILED, "no memory for a path");
		for (before = 0; before < json_array_size(outputs); before++)
			if (strcmp(row_text(json_array_get(outputs, before), "file"), path) == 0)
				break;
		if (before < json_array_size(outputs)) {
			complain(EXIT_FAILED,
				 "two outputs would both be %s; rename one in the model", path);
			free(path);
			return EXIT_FAILED;
		}
		description = answer_write(infer, output, path);
		free(path);
		if (!description)
			return complain(EXIT_FAILED, "%s", err_message());
		json_array_append_new(outputs, description);
	}
	return EXIT_OK;
}

static int infer_report(const struct infer *infer, const json_t *outputs)
{
	double elapsed_s = (double)infer->elapsed_ns / 1e9;
	uint32_t rows = infer->feed.row_count;
	char text[TEXT_BYTES];
	size_t output;
	json_t *row;
	int r;

	if (infer->invocation->is_json) {
		row = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:f, s:O}", "model",
				infer->model->name, "version", (json_int_t)infer->model->version,
				"rows", (json_int_t)rows, "batches", (json_int_t)infer->batch_count,
				"substituted", (json_int_t)infer->substituted, "elapsed_ns",
				(json_int_t)infer->elapsed_ns, "rows_per_s", rows / elapsed_s,
				"outputs", outputs);
		r = row_print(row);
		json_decref(row);
		return r < 0 ? complain(EXIT_FAILED, "stdout takes no more") : EXIT_OK;
	}
	printf("%s@%u: %u rows in %u batches, %s, %.0f rows/s\n", infer->model->name,
	       infer->model->version, rows, infer->batch_count, text_ns(infer->elapsed_ns, text),
	       rows / elapsed_s);
	if (infer->substituted > 0)
		printf("%" PRIu64 " ids were not in their table and read its `missing` row\n",
		       infer->substituted);
	for (output = 0; output < json_array_size(outputs); output++)
		printf("%s\n", row_text(json_array_get(outputs, output), "file"));
	return EXIT_OK;
}

int infer_run(const struct invocation *invocation)
{
	struct infer infer = {.invocation = invocation};
	json_t *outputs = json_array();
	int code;

	code = session_open(invocation, NULL, &infer.hearth);
	if (code == EXIT_OK)
		code = infer_begin(&infer);
	if (code == EXIT_OK)
		code = batches_run(&infer);
	if (code == EXIT_OK)
		code = answers_write(&infer, outputs);
	if (code == EXIT_OK)
		code = infer_report(&infer, outputs);
	json_decref(outputs);
	answers_free(&infer);
	feed_deinit(&infer.feed);
	hearth_close(infer.hearth);
	return code;
}
