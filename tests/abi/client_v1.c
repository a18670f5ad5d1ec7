/* SPDX-License-Identifier: MIT */
/*
 * tests/abi/client_v1.c - a program of ABI version 1, as its users built it: one header, nothing else
 *
 *     client_v1 SOCKET
 *
 * Scores eight rows of shoppers that follow from their numbers, in every way
 * that the header has, and prints one score a line as a hexadecimal float.
 * Compiled from the frozen header for as long as version 1 is spoken.
 */
#include "hearth_v1.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define ROWS 8
#define PATIENCE_NS INT64_C(40000000000)

#define require(condition)                                                                         \
	((condition) ? (void)0                                                                     \
		     : (fprintf(stderr, "client_v1.c:%d: %s: %s\n", __LINE__, #condition,          \
				hearth_strerror(hearth_last_failure.error)),                       \
			exit(EXIT_FAILURE)))

/* The same rule as in tests/system/test_abi.c. */
static void fill(struct hearth_request *request)
{
	uint32_t input;
	uint32_t element;

	for (input = 0; input < request->input_count; input++) {
		const struct hearth_input *to = &request->inputs[input];
		uint32_t elements = to->dims[0] * to->dims[1];

		require(to->rank == 2 && to->dims[0] == ROWS);
		for (element = 0; element < elements; element++) {
			if (to->dtype == HEARTH_F32)
				((float *)to->data)[element] = (float)(element % 7) / 4 - 1;
			else
				((int64_t *)to->data)[element] = element % 2;
		}
	}
}

static const struct hearth_completion *take(struct hearth *hearth, int turn)
{
	const struct hearth_completion *completion = NULL;
	struct pollfd poller;
	int r;

	if (turn % 2 == 0) {
		require(hearth_wait(hearth, PATIENCE_NS, &completion) == 0);
		return completion;
	}
	while ((r = hearth_peek(hearth, &completion)) == -EAGAIN) {
		poller.fd = hearth_fd(hearth);
		poller.events = POLLIN;
		if (hearth_arm(hearth) == 0)
			require(poll(&poller, 1, 40000) == 1);
	}
	require(r == 0);
	return completion;
}

static void score(struct hearth *hearth, const struct hearth_model_info *model, int turn)
{
	const struct hearth_completion *completion;
	struct hearth_request *request = NULL;
	uint32_t row;

	require(hearth_acquire(hearth, model, ROWS, &request) == 0);
	fill(request);
	request->user_data = 40 + (uint64_t)turn;
	request->deadline_ns = hearth_deadline(hearth, PATIENCE_NS);
	require(hearth_submit(hearth, request) == 0);
	completion = take(hearth, turn);
	require(completion->status == 0 && completion->kind == HEARTH_FINAL);
	require(completion->user_data == 40 + (uint64_t)turn && completion->output_count == 1);
	require(completion->version == model->version);
	for (row = 0; row < ROWS; row++)
		printf("%a\n", (double)((const float *)completion->outputs[0].data)[row]);
	require(hearth_release(hearth, completion->id) == 0);
}

static void stream(struct hearth *hearth)
{
	const struct hearth_completion *completion;
	struct hearth_request *request = NULL;
	uint32_t items = 0;

	require(hearth_acquire_stream_test(hearth, 100, &request) == 0);
	require(hearth_submit(hearth, request) == 0);
	for (;;) {
		completion = take(hearth, 0);
		if (completion->kind == HEARTH_FINAL)
			break;
		require(completion->response_bytes > items);
		items = completion->response_bytes;
		require(((const uint64_t *)completion->response)[items - 1] == items - 1);
	}
	require(completion->status == 0 && completion->response_bytes == 800);
	require(hearth_release(hearth, completion->id) == 0);
}

int main(int argc, char **argv)
{
	struct hearth_options options = { .size = sizeof(options), .slots = 8 };
	const struct hearth_model_info *model = NULL;
	const struct hearth_info *info = NULL;
	struct hearth_request *request = NULL;
	struct hearth *hearth = NULL;
	int turn;

	if (argc != 2)
		return 2;
	require(hearth_open(argv[1], &options, &hearth) == 0);
	require(hearth_about(hearth, &info) == 0);
	require(info->abi == 1 && info->slots == 8);
	require(hearth_model(hearth, "nobody", 0, &model) == -ENOENT);
	require(hearth_model(hearth, "shoppers", 0, &model) == 0);
	for (turn = 0; turn < 4; turn++) {
		require(hearth_acquire_ping(hearth, &request) == 0);
		require(hearth_submit(hearth, request) == 0);
		require(hearth_release(hearth, take(hearth, turn)->id) == 0);
		score(hearth, model, turn);
		stream(hearth);
	}
	require(hearth_close(hearth) == 0);
	return EXIT_SUCCESS;
}
