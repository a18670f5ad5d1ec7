/* SPDX-License-Identifier: MIT */
/* tests/system/swaps.c - swap, check that it happened, pause, swap back */
#include "swaps.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "crowd.h"
#include "ledger.h"

#define PAUSE_NS_MAX 4000000

enum shared {
	SHARED_STOP,
	SHARED_ANSWERED,
	SHARED_VERSIONS, /* three words */
	SHARED_WORDS = SHARED_VERSIONS + 3,
};

static uint32_t current_version(const struct appliance *appliance)
{
	json_t *rows = appliance_rows(appliance, "models");
	uint32_t version = 0;
	size_t index;
	json_t *row;

	json_array_foreach(rows, index, row) {
		if (json_is_true(json_object_get(row, "current")))
			version = (uint32_t)json_integer_value(json_object_get(row, "version"));
	}
	json_decref(rows);
	return version;
}

static int change(const struct appliance *appliance, const struct swaps_plan *plan,
		  uint32_t version, char text[APPLIANCE_TEXT_BYTES])
{
	char request[128];

	snprintf(request, sizeof(request),
		 "{\"verb\": \"swap\", \"model\": \"shoppers\", \"version\": %u, \"drain\": %s}",
		 version, plan->drains ? "true" : "false");
	return appliance_ask(appliance->admin, request, NULL, text);
}

void swaps_run(const struct appliance *appliance, const struct swaps_plan *plan)
{
	uint64_t *shared = crowd_share(SHARED_WORDS * sizeof(*shared));
	struct ledger_plan plans[SWAPS_CLIENTS_MAX];
	pid_t pids[SWAPS_CLIENTS_MAX];
	uint32_t version = current_version(appliance);
	char text[APPLIANCE_TEXT_BYTES];
	uint64_t random = plan->seed;
	uint32_t client;
	uint64_t swap;

	for (client = 0; client < plan->clients; client++) {
		plans[client] = (struct ledger_plan){
			.socket = appliance->socket,
			.slots = UINT64_C(1) << 2 * client,
			.seed = plan->seed + client,
			.stop = shared + SHARED_STOP,
			.answered = shared + SHARED_ANSWERED,
			.versions = shared + SHARED_VERSIONS,
			.kinds = LEDGER_INFER | LEDGER_CANCEL | LEDGER_LATE,
		};
		pids[client] = crowd_start(ledger_run, plans + client);
	}
	await(crowd_read(shared + SHARED_ANSWERED) > 0);
	for (swap = 0; swap < plan->swaps; swap++) {
		uint64_t before;
		int r;

		version = 3 - version;
		r = change(appliance, plan, version, text);
		must(r == 0, "swap %" PRIu64 " to version %u: %s", swap, version, text);
		if (swap % 16 == 0)
			must(current_version(appliance) == version, "version %u is current",
			     current_version(appliance));
		/* From now on it answers; and everybody is still being served. */
		before = crowd_read(shared + SHARED_VERSIONS + version);
		crowd_pause_ns((int64_t)(crowd_random(&random) % PAUSE_NS_MAX));
		if (swap % 4 == 0)
			await(crowd_read(shared + SHARED_VERSIONS + version) > before);
	}
	crowd_write(shared + SHARED_STOP, 1);
	for (client = 0; client < plan->clients; client++)
		crowd_finish(pids[client]);
	must(appliance_number(appliance, "clients") <= plan->clients, "clients that nobody knows");
	printf("%" PRIu64 " swaps under %u clients: %" PRIu64 " requests, %" PRIu64
	       " answered by version 1, %" PRIu64 " by version 2\n",
	       plan->swaps, plan->clients, crowd_read(shared + SHARED_ANSWERED),
	       crowd_read(shared + SHARED_VERSIONS + 1), crowd_read(shared + SHARED_VERSIONS + 2));
}
