/* SPDX-License-Identifier: MIT */
/* tests/peers/racer.c - slices on demand, in a process that holds one peer's library and no other */
#include "racer.h"

#include <string.h>
#include <unistd.h>

#include "tests/system/crowd.h"
#include "tests/system/measure.h"

#define WARM_NS 5000000

struct order {
	uint32_t bytes;
	double slice_ns; /* 0: end */
};

/* The process's own. */
struct runner {
	const struct peer *peer;
	const struct peer_plan *plan;
	struct racer_point *point;
	int order_fd;
	int done_fd;
	struct samples samples;
	uint64_t turn;
	void *state;
};

static void rounds_run(struct runner *runner, uint32_t bytes, double slice_ns)
{
	uint64_t slice_ticks = (uint64_t)(slice_ns / tick_ns());
	uint64_t begun = ticks();
	uint64_t last = begun;
	uint64_t now;

	runner->samples.count = 0;
	do {
		runner->peer->echo(runner->state, bytes, runner->turn++);
		now = ticks();
		if (!samples_add(&runner->samples, now - last))
			break;
		last = now;
	} while (now - begun < slice_ticks);
}

static void runner_run(void *argument)
{
	struct runner *runner = argument;
	struct order order;

	samples_init(&runner->samples);
	runner->state = runner->peer->start(runner->plan);
	while (read(runner->order_fd, &order, sizeof(order)) == sizeof(order) &&
	       order.slice_ns > 0) {
		rounds_run(runner, order.bytes, WARM_NS);
		rounds_run(runner, order.bytes, order.slice_ns);
		runner->point->p50_ns = samples_middle_ns(&runner->samples);
		runner->point->p99_ns = samples_ns(&runner->samples, 0.99);
		if (runner->peer->rest)
			runner->peer->rest(runner->state);
		must(write(runner->done_fd, "", 1) == 1, "nobody waits for the slice");
	}
	runner->peer->stop(runner->state);
}

void racer_open(struct racer *racer, const struct peer *peer, const struct peer_plan *plan)
{
	struct runner runner = { .peer = peer, .plan = plan };
	int order[2];
	int done[2];

	must(pipe(order) == 0 && pipe(done) == 0, "no pipes");
	*racer = (struct racer){ .peer = peer, .point = crowd_share(sizeof(*racer->point)),
				 .order_fd = order[1], .done_fd = done[0] };
	runner.point = racer->point;
	runner.order_fd = order[0];
	runner.done_fd = done[1];
	racer->pid = crowd_start(runner_run, &runner);
	close(order[0]);
	close(done[1]);
}

void racer_close(struct racer *racer)
{
	struct order order = { .slice_ns = 0 };

	must(write(racer->order_fd, &order, sizeof(order)) == sizeof(order), "%s has ended",
	     racer->peer->name);
	crowd_finish(racer->pid);
	close(racer->order_fd);
	close(racer->done_fd);
}

struct racer_point racer_slice(struct racer *racer, uint32_t bytes, double slice_ns)
{
	struct order order = { .bytes = bytes, .slice_ns = slice_ns };
	char done;

	must(write(racer->order_fd, &order, sizeof(order)) == sizeof(order), "%s has ended",
	     racer->peer->name);
	must(read(racer->done_fd, &done, 1) == 1, "%s has ended", racer->peer->name);
	return *racer->point;
}
