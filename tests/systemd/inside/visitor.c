/* SPDX-License-Identifier: MIT */
/*
 * tests/systemd/inside/visitor.c - a program that asks without end and connects again when it must
 *
 *     visitor SOCKET MODEL STOP     until the file STOP exists
 *
 * Prints "connected N" at each connection and "answered N" at the first answer
 * on it, and at the end its counts: a refused or failed connection, an answer
 * that differs from the first one, and requests that ended without one.
 */
#include <hearth.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROWS 4
#define BYTES_MAX 4096

struct counts {
	unsigned long answers;
	unsigned int connections;
	unsigned int refused;
	unsigned int lost;
	unsigned int wrong;
};

static unsigned char first[BYTES_MAX];
static size_t first_bytes;

static void answer_check(struct counts *counts, const struct hearth_completion *answer)
{
	size_t bytes = answer->outputs[0].bytes;

	if (!first_bytes && bytes <= BYTES_MAX) {
		memcpy(first, answer->outputs[0].data, bytes);
		first_bytes = bytes;
	}
	if (bytes != first_bytes || memcmp(first, answer->outputs[0].data, bytes) != 0)
		counts->wrong++;
}

/* 0: there was an answer; < 0: the daemon is gone, or refuses. */
static int ask(struct hearth *hearth, const struct hearth_model_info *model, struct counts *counts)
{
	const struct hearth_completion *answer;
	struct hearth_request *request;
	uint32_t input;
	int r;

	if ((r = hearth_acquire(hearth, model, ROWS, &request)) < 0)
		return r;
	for (input = 0; input < model->input_count; input++)
		memset(request->inputs[input].data, 0, request->inputs[input].bytes);
	if ((r = hearth_submit(hearth, request)) < 0)
		return r;
	if ((r = hearth_wait(hearth, -1, &answer)) < 0 || (r = answer->status) < 0) {
		counts->lost++;
		return r;
	}
	answer_check(counts, answer);
	return hearth_release(hearth, answer->id);
}

static void visit(const char *socket, const char *name, const char *stop, struct counts *counts)
{
	const struct hearth_model_info *model;
	struct hearth *hearth;
	unsigned long before = counts->answers;

	if (hearth_open(socket, NULL, &hearth) < 0 || hearth_model(hearth, name, 0, &model) < 0) {
		counts->refused++;
		usleep(10000);
		return;
	}
	printf("connected %u\n", ++counts->connections);
	while (access(stop, F_OK) != 0 && ask(hearth, model, counts) == 0) {
		if (counts->answers++ == before)
			printf("answered %u\n", counts->connections);
		usleep(1000);
	}
	hearth_close(hearth);
}

int main(int argc, char **argv)
{
	struct counts counts = { 0 };

	if (argc != 4)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	while (access(argv[3], F_OK) != 0)
		visit(argv[1], argv[2], argv[3], &counts);
	printf("answers %lu connections %u refused %u lost %u wrong %u\n", counts.answers,
	       counts.connections, counts.refused, counts.lost, counts.wrong);
	return 0;
}
