/* SPDX-License-Identifier: MIT */
/*
 * tests/system/bench_echo.c - 64 KiB through hearthd and back, against the same copy without it
 *
 * Two processes that have nothing but two maps copy what one wrote into the map that it reads, once,
 * and hand over by a cache line each way. The candidate is acquire, submit, wait and release of an
 * echo, both sides polling. In both, this process writes all bytes before and checks all of them
 * afterwards, so that they travel between the CPUs as a request's inputs and outputs do.
 */
#include "duel.h"
#include "measure.h"
#include "tandem.h"

#define ECHO_BYTES 65536
#define SPIN_NS 1000000 /* nobody sleeps within a slice */

static bool is_json;

static void round_run(void *context, uint64_t turn)
{
	tandem_echo(context, ECHO_BYTES, turn);
}

static void rest(void *context)
{
	tandem_rest(context);
}

static void campaign(void)
{
	static struct tandem tandem;
	const struct duel_plan plan = {
		.name = "echo",
		.meaning = "64 KiB through hearthd, against the same copy between two maps and a "
			   "bare cache line each way\n"
			   "  the time to write the bytes and to check them is in both",
		.p50_goal = 1.2,
		.bytes = ECHO_BYTES,
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
