/* SPDX-License-Identifier: MIT */
/* tests/nth/nth_campaign.c - count what there is, and let it fail */
#include "nth_campaign.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/system/crowd.h"

typedef enum nth_outcome (*runner)(struct nth *nth, const struct nth_injection *injection,
				   uint32_t steps);

static enum nth_outcome run_client(struct nth *nth, const struct nth_injection *injection,
				   uint32_t steps)
{
	(void)steps;
	return nth_client_run(nth, injection);
}

static bool is_chosen(uint64_t number, uint64_t count, uint32_t numbers)
{
	uint64_t stride;

	if (numbers == 0 || number <= numbers)
		return true;
	stride = (count - numbers + numbers - 1) / numbers;
	return (number - numbers) % stride == 0;
}

/* What is interrupted is tried again, and is not interrupted for ever. Where nobody is let in for
 * ever, nothing can be asked, and where the control loop cannot wait, a daemon that is ready ends
 * some time later: test_nth_calls has both by themselves. */
static bool is_for_ever(const struct nth_injection *injection, bool is_round)
{
	return !injection->call ||
	       (strcmp(injection->error, "EINTR") != 0 && strcmp(injection->call, "accept4") != 0 &&
		!(is_round && (strcmp(injection->call, "io_uring_enter") == 0 ||
			       strcmp(injection->call, "ppoll") == 0)));
}

/* Returns how many injections there were. */
static uint64_t inject_both(struct nth *nth, runner run, const struct campaign *campaign,
			    struct nth_injection injection)
{
	uint64_t count = 0;

	if (campaign->once) {
		injection.for_ever = false;
		run(nth, &injection, campaign->steps);
		count++;
	}
	if (campaign->for_ever && is_for_ever(&injection, campaign->is_round)) {
		injection.for_ever = true;
		run(nth, &injection, campaign->steps);
		count++;
	}
	return count;
}

/* The last numbers of what depends on the moment are not always reached. */
static void hits_report(const struct nth *nth, uint64_t injections, uint64_t hits)
{
	printf("%" PRIu64 " injections, %" PRIu64 " reached, %" PRIu64 " bad\n", injections, hits,
	       nth->counts[NTH_BAD]);
	must(hits > injections / 2, "the injector does not work");
}

/* Moves the chosen ones to the front, and returns how many they are. */
static uint32_t sample_take(uint64_t *numbers, uint32_t count, const struct campaign *campaign)
{
	uint64_t seed;
	uint32_t index;

	if (campaign->numbers == 0 || campaign->numbers >= count)
		return count;
	seed = crowd_seed(campaign->what);
	for (index = 0; index < campaign->numbers; index++) {
		uint32_t other = index + (uint32_t)(crowd_random(&seed) % (count - index));
		uint64_t number = numbers[index];

		numbers[index] = numbers[other];
		numbers[other] = number;
	}
	return campaign->numbers;
}

void campaign_allocations(struct nth *nth, const struct campaign *campaign)
{
	runner run = campaign->is_round ? nth_round : nth_run;
	uint64_t hits = nth->hits;
	uint64_t injections = 0;
	uint64_t *numbers;
	uint32_t sites;
	uint32_t count;
	uint32_t index;

	numbers = nth_sites(nth, campaign->is_round, campaign->steps, &sites, &count);
	count = sample_take(numbers, count, campaign);
	for (index = 0; index < count; index++)
		injections += inject_both(nth, run, campaign,
					  (struct nth_injection){ .at = numbers[index] });
	free(numbers);
	printf("%s: %u allocation sites, ", campaign->what, sites);
	hits_report(nth, injections, nth->hits - hits);
}

static void calls_fail(struct nth *nth, runner run, const struct campaign *campaign,
		       const struct trace_call *calls, uint32_t call_count)
{
	const char *chosen = getenv("HEARTH_NTH_CALL");
	const char *only = campaign->call ? campaign->call : chosen;
	uint64_t hits = nth->hits;
	uint64_t injections = 0;
	uint32_t kinds = 0;
	uint32_t index;
	uint64_t at;

	for (index = 0; index < call_count; index++) {
		const struct trace_call *call = calls + index;
		const char *const *error = trace_errors(call->name);

		if (only && *only && strcmp(only, call->name) != 0)
			continue;
		kinds += *error != NULL;
		for (; *error; error++)
			for (at = 1; at <= call->count; at++)
				if (is_chosen(at, call->count, campaign->numbers))
					injections += inject_both(
						nth, run, campaign,
						(struct nth_injection){ call->name, *error, at, false });
	}
	if (only == chosen && only && *only && injections == 0) {
		printf("%s: nobody calls %s\n", campaign->what, only);
		return;
	}
	printf("%s: %u kinds of system calls, ", campaign->what, kinds);
	hits_report(nth, injections, nth->hits - hits);
}

void campaign_calls(struct nth *nth, const struct campaign *campaign)
{
	struct trace_call calls[TRACE_CALLS_MAX];
	uint32_t count = nth_calls(nth, campaign->is_round, campaign->steps, calls);

	calls_fail(nth, campaign->is_round ? nth_round : nth_run, campaign, calls, count);
}

void campaign_client(struct nth *nth, bool has_tracer)
{
	struct campaign campaign = { .what = "client", .once = true, .for_ever = true };
	struct trace_call calls[TRACE_CALLS_MAX];
	uint64_t hits = nth->hits;
	uint64_t injections = 0;
	uint64_t count;
	uint64_t at;

	appliance_start(&nth->appliance, NULL);
	count = nth_client_allocations(nth);
	must(count > 5, "%" PRIu64 " allocations of a client", count);
	for (at = 1; at <= count; at++)
		injections += inject_both(nth, run_client, &campaign,
					  (struct nth_injection){ .at = at });
	printf("client: %" PRIu64 " allocations, ", count);
	hits_report(nth, injections, nth->hits - hits);
	if (has_tracer) {
		static const struct nth_injection record = { .call = "" };

		must(nth_client_run(nth, &record) == NTH_WENT_ON, "a traced client is not served");
		count = trace_count(nth->trace, calls);
		calls_fail(nth, run_client, &campaign, calls, (uint32_t)count);
	}
	appliance_stop(&nth->appliance);
}
