/* SPDX-License-Identifier: MIT */
/* tests/system/neighbour.c - asks until it is told to stop */
#include "neighbour.h"

#include "crowd.h"

struct neighbour neighbour_begin(const struct appliance *appliance)
{
	return neighbour_begin_calm(appliance, 0);
}

struct neighbour neighbour_begin_calm(const struct appliance *appliance, int64_t pause_ns)
{
	struct neighbour neighbour = { .stop = crowd_share(2 * sizeof(uint64_t)) };

	neighbour.answered = neighbour.stop + 1;
	neighbour.plan = (struct ledger_plan){
		.socket = appliance->socket,
		.slots = 16,
		.seed = 1,
		.stop = neighbour.stop,
		.answered = neighbour.answered,
		.kinds = LEDGER_ALL,
		.pause_ns = pause_ns,
	};
	neighbour.pid = crowd_start(ledger_run, &neighbour.plan);
	await(crowd_read(neighbour.answered) > 0);
	return neighbour;
}

void neighbour_check(const struct neighbour *neighbour)
{
	uint64_t before = crowd_read(neighbour->answered);

	await(crowd_read(neighbour->answered) > before + 100);
}

void neighbour_end(const struct neighbour *neighbour)
{
	neighbour_check(neighbour);
	crowd_write(neighbour->stop, 1);
	crowd_finish(neighbour->pid);
}
