/* SPDX-License-Identifier: MIT */
/*
 * tests/hostile/stress_hostile.c - ten million spoiled descriptors, then every vandal, beside honest clients
 *
 *     HEARTH_GARBAGE_ROUNDS   of all writers together: 10,000,000
 *     HEARTH_VANDAL_SECONDS   of each vandal: 3, or longer until it has done its least
 *     HEARTH_SEED
 *
 * The honest clients check every answer and end the campaign when one is wrong, missing or twice.
 * After each vandal the daemon has what it had before, and in between no more than the quota.
 */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "garbage.h"
#include "intruder.h"
#include "tests/system/appliance.h"
#include "tests/system/crowd.h"
#include "tests/system/ledger.h"
#include "vandals.h"

#define ROUNDS 10000000
#define SECONDS 3
#define WRITERS 3
#define NEIGHBOURS 2
#define SILENT 5
#define PATIENCE_S 1200 /* for the rounds */
#define QUOTA_BYTES (256u << 20)
/* Beside the quota: the heap's own, and a sanitizer's. */
#define SLACK_BYTES ((CROWD_SLOWDOWN > 1 ? 512u : 32u) << 20)

enum shared {
	SHARED_STOP,
	SHARED_ANSWERED,
	SHARED_ROUNDS,
	SHARED_THROWN_OUT,
	SHARED_ACTS,
	SHARED_LEAVE,
	SHARED_WORDS,
};

struct campaign {
	struct appliance appliance;
	uint64_t *shared;
	uint64_t seed;
	uint32_t descriptors; /* of the daemon, with the honest clients only */
	uint64_t resident_bytes;
};

static void be_patient(const struct campaign *campaign, pid_t worker, enum shared word,
		       uint64_t wanted)
{
	int64_t until_ns = crowd_now_ns() + PATIENCE_S * INT64_C(1000000000);

	while (crowd_read(campaign->shared + word) < wanted) {
		must(crowd_runs(worker) && crowd_now_ns() < until_ns, "%" PRIu64 " of %" PRIu64,
		     crowd_read(campaign->shared + word), wanted);
		crowd_pause_ns(10000000);
	}
}

static void as_before(const struct campaign *campaign)
{
	uint64_t answered = crowd_read(campaign->shared + SHARED_ANSWERED);

	appliance_await_clients(&campaign->appliance, NEIGHBOURS, campaign->descriptors);
	await(crowd_read(campaign->shared + SHARED_ANSWERED) > answered + 100);
}

static void garbage_phase(struct campaign *campaign)
{
	uint64_t rounds = crowd_setting("HEARTH_GARBAGE_ROUNDS", ROUNDS);
	struct garbage_plan plans[WRITERS];
	struct intruder silent[SILENT];
	pid_t writers[WRITERS];
	uint32_t index;

	for (index = 0; index < WRITERS; index++) {
		plans[index] = (struct garbage_plan){
			.socket = campaign->appliance.socket,
			.seed = campaign->seed + index,
			.stop = campaign->shared + SHARED_STOP,
			.rounds_done = campaign->shared + SHARED_ROUNDS,
			.thrown_out = campaign->shared + SHARED_THROWN_OUT,
		};
		writers[index] = crowd_start(garbage_run, plans + index);
	}
	for (index = 0; index < SILENT; index++)
		must(intruder_connect(silent + index, campaign->appliance.socket) == 0 &&
			     intruder_greet(silent + index, 4, 4096, 4096) == 0,
		     "not greeted");
	/* Who does not say READY is let go after ten seconds, whatever else happens. */
	for (index = 0; index < SILENT; index++) {
		await(intruder_is_out(silent + index));
		intruder_close(silent + index);
	}
	be_patient(campaign, writers[0], SHARED_ROUNDS, rounds);
	crowd_write(campaign->shared + SHARED_STOP, 1);
	for (index = 0; index < WRITERS; index++)
		crowd_finish(writers[index]);
	as_before(campaign);
	printf("%" PRIu64 " spoiled descriptors, thrown out %" PRIu64 " times\n",
	       crowd_read(campaign->shared + SHARED_ROUNDS),
	       crowd_read(campaign->shared + SHARED_THROWN_OUT));
	fflush(stdout);
}

static void vandal_phase(struct campaign *campaign, const struct vandal *vandal)
{
	int64_t until_ns = crowd_now_ns() +
			   (int64_t)crowd_setting("HEARTH_VANDAL_SECONDS", SECONDS) * 1000000000;
	struct vandal_plan plan = {
		.vandal = vandal,
		.socket = campaign->appliance.socket,
		.uid = geteuid(),
		.seed = campaign->seed,
		.stop = campaign->shared + SHARED_STOP,
		.acts = campaign->shared + SHARED_ACTS,
	};
	uint64_t answered = crowd_read(campaign->shared + SHARED_ANSWERED);
	uint64_t resident_bytes_max = 0;
	pid_t pid;

	crowd_write(campaign->shared + SHARED_STOP, 0);
	crowd_write(campaign->shared + SHARED_ACTS, 0);
	pid = crowd_start(vandal_run, &plan);
	do {
		uint64_t resident_bytes = appliance_resident_bytes(&campaign->appliance);

		if (resident_bytes > resident_bytes_max)
			resident_bytes_max = resident_bytes;
		crowd_pause_ns(20000000);
	} while (crowd_now_ns() < until_ns);
	be_patient(campaign, pid, SHARED_ACTS, vandal->acts_min);
	crowd_write(campaign->shared + SHARED_STOP, 1);
	crowd_finish(pid);
	as_before(campaign);
	printf("%-22s %10" PRIu64 " times; the honest clients had %" PRIu64 " right answers; the "
	       "daemon %+.1f MiB\n",
	       vandal->name, crowd_read(campaign->shared + SHARED_ACTS),
	       crowd_read(campaign->shared + SHARED_ANSWERED) - answered,
	       ((double)resident_bytes_max - (double)campaign->resident_bytes) / (1 << 20));
	fflush(stdout);
	must(resident_bytes_max <= campaign->resident_bytes + QUOTA_BYTES + SLACK_BYTES,
	     "more than the quota of %u bytes", QUOTA_BYTES);
}

static void run(void)
{
	static const char *const flags[] = { "--arena-bytes-per-uid", "256M", NULL };
	struct campaign campaign = { .shared = crowd_share(SHARED_WORDS * sizeof(uint64_t)),
				     .seed = crowd_seed("hostile") };
	struct ledger_plan honest = { .slots = 32, .kinds = LEDGER_ALL };
	pid_t neighbours[NEIGHBOURS];
	uint32_t index;

	appliance_open(&campaign.appliance, flags);
	honest.socket = campaign.appliance.socket;
	honest.stop = campaign.shared + SHARED_LEAVE;
	honest.answered = campaign.shared + SHARED_ANSWERED;
	for (index = 0; index < NEIGHBOURS; index++)
		neighbours[index] = crowd_start(ledger_run, &honest);
	await(appliance_number(&campaign.appliance, "clients") == NEIGHBOURS);
	campaign.descriptors = appliance_descriptors(&campaign.appliance);
	campaign.resident_bytes = appliance_resident_bytes(&campaign.appliance);

	garbage_phase(&campaign);
	for (index = 0; index < vandal_count; index++)
		vandal_phase(&campaign, vandals + index);

	crowd_write(campaign.shared + SHARED_LEAVE, 1);
	for (index = 0; index < NEIGHBOURS; index++)
		crowd_finish(neighbours[index]);
	printf("the honest clients had %" PRIu64 " right answers in all\n",
	       crowd_read(campaign.shared + SHARED_ANSWERED));
	appliance_close(&campaign.appliance);
}

int main(void)
{
	return appliance_campaign(run);
}
