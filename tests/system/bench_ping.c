/* SPDX-License-Identifier: MIT */
/*
 * tests/system/bench_ping.c - an empty request through hearthd, against a bare cache line
 *
 * The candidate is acquire, submit, wait and release of a ping, both sides polling: this process on
 * the first CPU, the daemon's data thread on the second one.
 */
#include "duel.h"
#include "measure.h"
#include "tandem.h"

#define SPIN_NS 1000000 /* nobody sleeps within a slice */

static bool is_json;

static void round_run(void *context, uint64_t turn)
{
	(void)turn;
	tandem_ping(context);
}

static void rest(void *context)
{
	tandem_rest(context);
}

static void campaign(void)
{
	static struct tandem tandem;
	const struct duel_plan plan = {
		.name = "ping",
		.meaning = "an empty request through hearthd, against 64 bytes in a bare cache "
			   "line each way",
		.p50_goal = 1.25,
		.p99_goal = 1.5,
		.shared_goal_ns = 90,
		.cpu = cpu_allowed(0),
		.cpu_other = cpu_allowed(1),
		.round = round_run,
		.rest = rest,
		.context = &tandem,
	};

	tandem_open(&tandem, plan.cpu, plan.cpu_other, SPIN_NS);
	duel_run(&plan, is_json);
	tandem_close(&tandem);
}

int main(int argc, char **argv)
{
	int status = measure_arguments(argc, argv, &is_json);

	return status ? status : appliance_campaign(campaign);
}
