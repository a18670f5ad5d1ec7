/* SPDX-License-Identifier: MIT */
/* tests/death/steps.c - play, step, kill, count what the daemon holds */
#include "steps.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "holdings.h"
#include "scenes.h"
#include "stepper.h"
#include "tests/system/crowd.h"
#include "tests/system/neighbour.h"
#include "visits.h"

#define SCENES (SCENE_CALLS * SCENE_STATES)
/* So many whole runs in a row that find no place more end a scene. */
#define WHOLE_RUNS 3
/* So many, when a place was seen and not met again: a clock is read twice when the kernel changes
 * it at that moment. */
#define WHOLE_RUNS_PATIENT 100
/* Everything that the daemon holds is counted after so many kills, the clients after each. */
#define CHECK_KILLS 64
/* The daemon's heap may keep this much; a connection left behind every CHECK_KILLS is more. */
#define HEAP_BYTES_MORE (UINT64_C(4) << 20)
/* Of the neighbour, which is not here to take the CPUs. */
#define PAUSE_NS 200000
/* A kill comes up to so long after its system call began. */
#define INSIDE_NS_MAX 100000

/* Shared by the campaign, which counts and checks, and the process that steps, which allocates
 * nothing: so every scene begins with the same heap and takes the same way through malloc. */
struct steps {
	struct scene scenes[SCENES];
	struct visits places[SCENES];
	uint64_t random;
	uint64_t kills;
	uint64_t calls;  /* of them at a system call that had begun */
	uint64_t inside; /* and had not ended */
	uint64_t missed; /* runs that did not come past their place */
	uint64_t steps;
};

/* What the stepping process does next: kills at a place, or plays the whole scene. */
struct order {
	struct place *place; /* NULL: by steps */
	uint32_t number;     /* of the scene */
	uint8_t bit;
	bool may_kill; /* at the first place where nothing was killed yet */
};

struct campaign {
	const struct appliance *appliance;
	struct steps *steps;
	struct neighbour neighbour;
	struct holdings holdings;
	int orders_fd[2];
	int results_fd[2];
};

/* --- one process ------------------------------------------------------------------------------- */

static unsigned bits_of(const struct place *place)
{
	unsigned bit;

	if (place->visits > VISITS_MAX)
		return 0;
	bit = 1u << (place->visits - 1);
	return place->is_call ? bit | bit << VISITS_MAX : bit;
}

/* Books the visit; returns the places that this one is, as bits of its address. */
static unsigned look(const struct stepper *stepper, struct place *place)
{
	unsigned bits;

	if (!place->is_judged) {
		place->is_judged = true;
		place->is_call = stepper_is_at_call(stepper);
	}
	bits = bits_of(place);
	place->known |= (uint8_t)bits;
	return bits;
}

static void die(struct steps *steps, struct stepper *stepper, struct place *place, uint8_t bit)
{
	place->killed |= bit;
	steps->kills++;
	if (bit < 1u << VISITS_MAX) {
		stepper_kill(stepper);
		return;
	}
	steps->calls++;
	steps->inside += stepper_kill_inside(
		stepper, (int64_t)(crowd_random(&steps->random) % INSIDE_NS_MAX));
}

/* Steps through a whole scene, or up to the first place where nothing was killed yet. False: the
 * run was whole. */
static bool step_through(struct steps *steps, const struct order *order)
{
	struct visits *places = steps->places + order->number;
	struct stepper stepper;
	bool is_killed = false;

	visits_begin(places);
	stepper_start(&stepper, scene_play, steps->scenes + order->number);
	while (!is_killed && stepper_step(&stepper)) {
		struct place *place = visits_add(places, stepper.address);
		unsigned bits = look(&stepper, place) & ~(unsigned)place->killed;

		is_killed = order->may_kill && bits;
		if (is_killed)
			die(steps, &stepper, place, (uint8_t)(bits & (0 - bits)));
	}
	if (!is_killed)
		stepper_finish(&stepper);
	steps->steps += stepper.steps;
	return is_killed;
}

/* Goes to a place at full speed. False: the run did not come past it; it takes another way at
 * times, or waits where a slower one does not. */
static bool kill_at(struct steps *steps, const struct order *order)
{
	uint32_t visits = (uint32_t)__builtin_ctz(order->bit) % VISITS_MAX + 1;
	struct stepper stepper;
	bool is_there;

	stepper_start(&stepper, scene_play, steps->scenes + order->number);
	is_there = stepper_reach(&stepper, order->place->address, visits);
	if (is_there)
		die(steps, &stepper, order->place, order->bit);
	else
		stepper_finish(&stepper);
	steps->missed += !is_there;
	return is_there;
}

/* --- the campaign ------------------------------------------------------------------------------- */

static void obey(void *argument)
{
	const struct campaign *campaign = argument;
	struct order order;

	close(campaign->orders_fd[1]);
	close(campaign->results_fd[0]);
	stepper_settle();
	while (read(campaign->orders_fd[0], &order, sizeof(order)) == (ssize_t)sizeof(order)) {
		bool is_killed = order.place ? kill_at(campaign->steps, &order)
					     : step_through(campaign->steps, &order);

		must(write(campaign->results_fd[1], &is_killed, sizeof(is_killed)) ==
			     (ssize_t)sizeof(is_killed), "nobody listens");
	}
}

static void check(const struct campaign *campaign)
{
	neighbour_check(&campaign->neighbour);
	holdings_await(campaign->appliance, &campaign->holdings, HEAP_BYTES_MORE);
}

/* Has it done, and checks what the daemon holds. False: nobody was killed. */
static bool carry_out(const struct campaign *campaign, struct order order)
{
	bool is_killed = false;

	must(write(campaign->orders_fd[1], &order, sizeof(order)) == (ssize_t)sizeof(order) &&
		     read(campaign->results_fd[0], &is_killed, sizeof(is_killed)) ==
			     (ssize_t)sizeof(is_killed), "the stepping process has ended");
	await(appliance_number(campaign->appliance, "clients") == campaign->holdings.clients);
	if (is_killed && campaign->steps->kills % CHECK_KILLS == 0)
		check(campaign);
	return is_killed;
}

/* Every known place of a scene at full speed, then by steps what is left and what comes up. */
static void kill_everywhere(const struct campaign *campaign, uint32_t number)
{
	struct visits *places = campaign->steps->places + number;
	struct order order = { .number = number };
	uint32_t whole = 0;
	uint32_t skipped = 0;

	carry_out(campaign, order);
	while ((order.place = visits_choose(places, skipped, &order.bit)))
		skipped += !carry_out(campaign, order);
	order.may_kill = true;
	while (whole < WHOLE_RUNS ||
	       (whole < WHOLE_RUNS_PATIENT && visits_killed(places) < visits_known(places)))
		whole = carry_out(campaign, order) ? 0 : whole + 1;
	check(campaign);
}

/* One more place of a scene, drawn. */
static void kill_drawn(const struct campaign *campaign, uint32_t number, uint64_t *random)
{
	struct visits *places = campaign->steps->places + number;
	uint32_t left = visits_known(places) - visits_killed(places);
	struct order order = { .number = number, .may_kill = true };

	if (left == 0)
		return;
	order.place = visits_choose(places, (uint32_t)(crowd_random(random) % left), &order.bit);
	if (carry_out(campaign, order) || visits_killed(places) > 0)
		return;
	order.place = NULL; /* it was not met: then the first that is, so that no scene has none */
	carry_out(campaign, order);
}

static void kill_somewhere(const struct campaign *campaign, uint64_t random, int64_t until_ns)
{
	struct order order = { .place = NULL };
	uint32_t turn;

	for (; order.number < SCENES; order.number++)
		carry_out(campaign, order);
	for (turn = 0; turn < SCENES || crowd_now_ns() < until_ns; turn++)
		kill_drawn(campaign, turn % SCENES, &random);
	check(campaign);
}

static struct steps_count report(struct steps *steps)
{
	struct steps_count count = { .kills = steps->kills };
	uint32_t call;
	uint32_t state;

	for (call = 0; call < SCENE_CALLS; call++) {
		uint32_t addresses = 0;
		uint32_t known = 0;
		uint32_t killed = 0;

		for (state = 0; state < SCENE_STATES; state++) {
			const struct visits *places = steps->places + call * SCENE_STATES + state;

			addresses += places->addresses;
			known += visits_known(places);
			killed += visits_killed(places);
			count.scenes += visits_killed(places) > 0;
		}
		printf("%-8s in %u states: %6u instructions, killed at %6u of %6u places (%.1f "
		       "%%)\n", scene_call_name((enum scene_call)call), SCENE_STATES, addresses,
		       killed, known, known ? 100.0 * killed / known : 0.0);
		count.known += known;
		count.killed += killed;
	}
	printf("%" PRIu64 " kills, %" PRIu64 " of them after a system call began (%" PRIu64 " still "
	       "in it); %" PRIu64 " steps, %" PRIu64 " runs that missed their place\n",
	       steps->kills, steps->calls, steps->inside, steps->steps, steps->missed);
	return count;
}

static struct steps *steps_share(const struct appliance *appliance, uint64_t seed)
{
	struct steps *steps = crowd_share(sizeof(*steps));
	uint32_t number;

	steps->random = seed;
	for (number = 0; number < SCENES; number++)
		steps->scenes[number] = (struct scene){
			.socket = appliance->socket,
			.call = (enum scene_call)(number / SCENE_STATES),
			.state = (enum scene_state)(number % SCENE_STATES),
		};
	return steps;
}

struct steps_count steps_run(const struct appliance *appliance, const struct steps_plan *plan)
{
	int64_t until_ns = crowd_now_ns() + plan->budget_ns;
	struct campaign campaign = {
		.appliance = appliance,
		.steps = steps_share(appliance, plan->seed),
	};
	uint32_t number;
	pid_t pid;

	scene_rehearse(campaign.steps->scenes);
	campaign.neighbour = neighbour_begin_calm(appliance, PAUSE_NS);
	must(pipe(campaign.orders_fd) == 0 && pipe(campaign.results_fd) == 0, "no pipe");
	pid = crowd_start(obey, &campaign);
	close(campaign.orders_fd[0]);
	close(campaign.results_fd[1]);
	await(appliance_number(appliance, "clients") == 1);
	campaign.holdings = holdings_read(appliance);

	if (plan->budget_ns > 0)
		kill_somewhere(&campaign, plan->seed, until_ns);
	for (number = 0; plan->budget_ns == 0 && number < SCENES; number++)
		kill_everywhere(&campaign, number);

	close(campaign.orders_fd[1]);
	crowd_finish(pid);
	close(campaign.results_fd[0]);
	neighbour_end(&campaign.neighbour);
	await(appliance_number(appliance, "clients") == 0);
	printf("the neighbour had %" PRIu64 " answers, all of them right\n",
	       crowd_read(campaign.neighbour.answered));
	return report(campaign.steps);
}
