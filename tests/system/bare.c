/* SPDX-License-Identifier: MIT */
/* tests/system/bare.c - turns on a cache line, and a child that answers them */
#include "bare.h"

#include <string.h>
#include <unistd.h>

#include "crowd.h"
#include "payload.h"

#define LINE_ROUNDS 2000

/* In the body of a line: the end of a slice, or so many bytes to copy and one more. */
#define BODY_END 0

static uint64_t line_receive(const struct line *line, uint64_t turn)
{
	uint64_t body;

	while (!line_take(line, turn, &body))
		hearth_pause();
	return body;
}

struct child {
	struct bare *bare;
	int cpu;
	int start_fd;
	int other_fd; /* the end of the pipe that is not its own */
};

/* Answers turn after turn; the end of the pipe ends everything. */
static void child_run(void *argument)
{
	struct child *child = argument;
	struct bare *bare = child->bare;
	uint64_t turn = 0;
	char start;

	close(child->other_fd);
	cpu_pin(0, child->cpu);
	while (read(child->start_fd, &start, 1) == 1) {
		uint64_t body;

		do {
			body = line_receive(&bare->lines->there, ++turn);
			if (body > 1)
				memcpy(bare->response, bare->request, body - 1);
			line_send(&bare->lines->back, turn, body + 1);
		} while (body != BODY_END);
	}
}

static void turn_run(struct bare *bare, uint64_t body)
{
	bare->turn++;
	line_send(&bare->lines->there, bare->turn, body);
	must(line_receive(&bare->lines->back, bare->turn) == body + 1,
	     "the child answered something else");
}

void bare_open(struct bare *bare, int cpu_other, uint32_t bytes_max)
{
	struct child child;
	int ends[2];

	memset(bare, 0, sizeof(*bare));
	bare->lines = crowd_share(sizeof(*bare->lines));
	if (bytes_max > 0) {
		bare->request = crowd_share(bytes_max);
		bare->response = crowd_share(bytes_max);
	}
	must(pipe(ends) == 0, "no pipe");
	child = (struct child){ bare, cpu_other, ends[0], ends[1] };
	bare->child_pid = crowd_start(child_run, &child);
	close(ends[0]);
	bare->start_fd = ends[1];
}

void bare_close(struct bare *bare)
{
	close(bare->start_fd);
	crowd_finish(bare->child_pid);
}

void bare_begin(struct bare *bare)
{
	must(write(bare->start_fd, "", 1) == 1, "cannot start the child");
}

void bare_end(struct bare *bare)
{
	turn_run(bare, BODY_END);
}

void bare_round(struct bare *bare, uint32_t bytes)
{
	if (bytes > 0)
		payload_write(bare->request, bytes, bare->turn);
	turn_run(bare, 1 + (uint64_t)bytes);
	if (bytes > 0)
		must(payload_check(bare->response, bytes, bare->turn - 1),
		     "the child copied something else");
}

double bare_line_ns(struct bare *bare, struct samples *samples)
{
	uint64_t last = ticks();
	uint64_t now;
	uint32_t round;

	samples->count = 0;
	for (round = 0; round < LINE_ROUNDS; round++) {
		bare_round(bare, 0);
		now = ticks();
		samples_add(samples, now - last);
		last = now;
	}
	return samples_middle_ns(samples);
}
