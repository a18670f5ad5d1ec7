/* SPDX-License-Identifier: MIT */
/*
 * tests/hostile/stress_hostile.c - garbage for a minute (HEARTH_GARBAGE_SECONDS, HEARTH_SEED) beside
 * honest clients, and clients that say HELLO and nothing more
 */
#include <inttypes.h>
#include <stdio.h>

#include "garbage.h"
#include "intruder.h"
#include "tests/system/appliance.h"
#include "tests/system/crowd.h"
#include "tests/system/ledger.h"

#define SECONDS 60
#define WRITERS 3
#define NEIGHBOURS 2
#define SILENT 5

enum shared {
	SHARED_STOP,
	SHARED_ANSWERED,
	SHARED_ROUNDS,
	SHARED_THROWN_OUT,
	SHARED_LEAVE,
	SHARED_WORDS,
};

static void campaign(void)
{
	uint64_t *shared = crowd_share(SHARED_WORDS * sizeof(*shared));
	uint64_t seconds = crowd_setting("HEARTH_GARBAGE_SECONDS", SECONDS);
	uint64_t seed = crowd_seed("garbage");
	struct ledger_plan honest = { .slots = 32, .kinds = LEDGER_ALL };
	struct garbage_plan plans[WRITERS];
	struct intruder silent[SILENT];
	struct appliance appliance;
	pid_t neighbours[NEIGHBOURS];
	pid_t writers[WRITERS];
	uint32_t descriptors;
	uint32_t index;

	appliance_open(&appliance, NULL);
	honest.socket = appliance.socket;
	honest.stop = shared + SHARED_LEAVE;
	honest.answered = shared + SHARED_ANSWERED;
	for (index = 0; index < NEIGHBOURS; index++)
		neighbours[index] = crowd_start(ledger_run, &honest);
	await(appliance_number(&appliance, "clients") == NEIGHBOURS);
	descriptors = appliance_descriptors(&appliance);
	for (index = 0; index < WRITERS; index++) {
		plans[index] = (struct garbage_plan){
			.socket = appliance.socket,
			.seed = seed + index,
			.stop = shared + SHARED_STOP,
			.rounds_done = shared + SHARED_ROUNDS,
			.thrown_out = shared + SHARED_THROWN_OUT,
		};
		writers[index] = crowd_start(garbage_run, plans + index);
	}
	for (index = 0; index < SILENT; index++)
		must(intruder_connect(silent + index, appliance.socket) == 0 &&
			     intruder_greet(silent + index, 4, 4096, 4096) == 0,
		     "not greeted");
	/* Who does not say READY is let go after ten seconds, whatever else happens. */
	for (index = 0; index < SILENT; index++) {
		await(intruder_is_out(silent + index));
		intruder_close(silent + index);
	}
	crowd_pause_ns((int64_t)seconds * 1000000000);
	crowd_write(shared + SHARED_STOP, 1);
	for (index = 0; index < WRITERS; index++)
		crowd_finish(writers[index]);
	appliance_await_clients(&appliance, NEIGHBOURS, descriptors);
	crowd_write(shared + SHARED_LEAVE, 1);
	for (index = 0; index < NEIGHBOURS; index++)
		crowd_finish(neighbours[index]);
	printf("%" PRIu64 " rounds of garbage, thrown out %" PRIu64
	       " times; the honest clients had %" PRIu64 " right answers\n",
	       crowd_read(shared + SHARED_ROUNDS), crowd_read(shared + SHARED_THROWN_OUT),
	       crowd_read(shared + SHARED_ANSWERED));
	appliance_close(&appliance);
}

int main(void)
{
	return appliance_campaign(campaign);
}
