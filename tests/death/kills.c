/* SPDX-License-Identifier: MIT */
/* tests/death/kills.c - SIGKILL, then the same count of everything as before */
#include "kills.h"

#include <inttypes.h>
#include <stdio.h>

#include "holdings.h"
#include "tests/system/crowd.h"
#include "tests/system/ledger.h"

/* From before the first byte of the handshake to the middle of a load. */
#define PAUSE_NS_MAX 3000000
/* What the daemon's heap may keep of so many connections at once. */
#define HEAP_BYTES_MORE (UINT64_C(16) << 20)

static struct ledger_plan plan_of(const struct appliance *appliance, uint64_t seed,
				  uint64_t *shared)
{
	static const uint64_t slots[] = { 4, 64, 16, 1 };
	struct ledger_plan plan = {
		.socket = appliance->socket,
		.slots = slots[seed % 4],
		.seed = seed,
		.stop = shared,
		.answered = shared + 1,
		.kinds = LEDGER_ALL,
		.way = seed % 2 ? LEDGER_WAIT : LEDGER_POLL,
		.is_patient = true,
	};

	return plan;
}

void kills_run(const struct appliance *appliance, const struct kills_plan *plan)
{
	struct ledger_plan plans[KILLS_CLIENTS_MAX];
	uint64_t *others = crowd_share(2 * sizeof(*others));
	uint64_t *theirs = crowd_share(2 * sizeof(*theirs));
	pid_t bystanders[KILLS_CLIENTS_MAX];
	pid_t victims[KILLS_CLIENTS_MAX];
	uint64_t random = plan->seed;
	struct holdings holdings;
	uint32_t index;
	uint64_t kill;

	for (index = 0; index < plan->bystanders; index++) {
		plans[index] = plan_of(appliance, plan->seed + index, others);
		bystanders[index] = crowd_start(ledger_run, plans + index);
	}
	await(appliance_number(appliance, "clients") == plan->bystanders);
	holdings = holdings_read(appliance);

	for (index = 0; index < plan->victims; index++) {
		plans[index] = plan_of(appliance, crowd_random(&random), theirs);
		victims[index] = crowd_start(ledger_run, plans + index);
	}
	for (kill = 0; kill < plan->kills; kill++) {
		crowd_pause_ns((int64_t)(crowd_random(&random) % PAUSE_NS_MAX));
		index = (uint32_t)(crowd_random(&random) % plan->victims);
		crowd_kill(victims[index]);
		plans[index] = plan_of(appliance, crowd_random(&random), theirs);
		victims[index] = crowd_start(ledger_run, plans + index);
	}
	for (index = 0; index < plan->victims; index++)
		crowd_kill(victims[index]);

	/* Whatever they held is back, and the others were served all the time. */
	holdings_await(appliance, &holdings, HEAP_BYTES_MORE);
	crowd_write(others, 1);
	for (index = 0; index < plan->bystanders; index++)
		crowd_finish(bystanders[index]);
	await(appliance_number(appliance, "clients") == 0);
	must(crowd_read(others + 1) > 0 && crowd_read(theirs + 1) > 0, "nobody was served");
	printf("%" PRIu64 " kills among %u clients; they had %" PRIu64 " answers, %u bystanders %"
	       PRIu64 "\n", plan->kills, plan->victims, crowd_read(theirs + 1), plan->bystanders,
	       crowd_read(others + 1));
}
