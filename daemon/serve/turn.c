/* SPDX-License-Identifier: MIT */
/* daemon/serve/turn.c - quanta, rounds, rivals, and the order of deadlines */
#include "serve/turn.h"

#include <stddef.h>

/* Debts are smaller than this many quanta, so nothing overflows. */
#define ROUNDS_MAX (UINT64_C(1) << 32)

void contest_begin(struct contest *contest)
{
	contest->ready = NULL;
	contest->ready_last = &contest->ready;
	contest->ready_count = 0;
	contest->pass++;
	contest->has_deadline = false;
}

void contest_add(struct contest *contest, struct turn *turn, uint64_t deadline_ns, uint64_t now_ns)
{
	if (contest->last && contest->last != turn)
		contest->until_ns = now_ns + CONTEST_NS;
	contest->last = turn;
	/* Who is fresh waits for the next round: with credit of its own, an endless row of
	 * newcomers would keep this one open for ever. */
	if (turn->pass == 0) {
		turn->round = contest->round;
		turn->credit_ns = 0;
	}
	turn->deadline_ns = deadline_ns ? deadline_ns : UINT64_MAX;
	if (deadline_ns)
		contest->has_deadline = true;
	turn->pass = contest->pass;
	turn->next = NULL;
	*contest->ready_last = turn;
	contest->ready_last = &turn->next;
	contest->ready_count++;
}

/* Merges two lists in order; of equals, those of the first come first. */
static struct turn *merge(struct turn *first, struct turn *second)
{
	struct turn *merged;
	struct turn **last = &merged;

	while (first && second) {
		struct turn **earlier = second->deadline_ns < first->deadline_ns ? &second : &first;

		*last = *earlier;
		last = &(*earlier)->next;
		*earlier = (*earlier)->next;
	}
	*last = first ? first : second;
	return merged;
}

static struct turn *sort(struct turn *list, uint32_t count)
{
	struct turn *middle = list;
	struct turn *second;
	uint32_t step;

	if (count < 2)
		return list;
	for (step = 1; step < count / 2; step++)
		middle = middle->next;
	second = middle->next;
	middle->next = NULL;
	return merge(sort(list, count / 2), sort(second, count - count / 2));
}

/* Gives the quanta of the rounds since its last turn; nobody saves up more than one. */
static void turn_refill(struct turn *turn, uint64_t round)
{
	uint64_t rounds = round - turn->round;

	turn->round = round;
	if (!turn->is_contended || rounds > ROUNDS_MAX)
		turn->credit_ns = TURN_QUANTUM_NS;
	else
		turn->credit_ns += (int64_t)rounds * TURN_QUANTUM_NS;
	if (turn->credit_ns > TURN_QUANTUM_NS)
		turn->credit_ns = TURN_QUANTUM_NS;
}

void contest_open(struct contest *contest, uint64_t now_ns)
{
	bool is_contended = contest->ready_count > 1 || now_ns < contest->until_ns;
	int64_t best_ns = INT64_MIN;
	struct turn *turn;

	if (contest->has_deadline)
		contest->ready = sort(contest->ready, contest->ready_count);
	for (turn = contest->ready; turn; turn = turn->next) {
		turn->rows = 0;
		turn->is_contended = is_contended;
		turn_refill(turn, contest->round);
		if (turn->credit_ns > best_ns)
			best_ns = turn->credit_ns;
	}
	if (best_ns > 0 || !contest->ready)
		return;
	/* All have spent theirs. As many rounds pass as it takes until one has credit again. */
	contest->round += 1 + (uint64_t)-best_ns / TURN_QUANTUM_NS;
	for (turn = contest->ready; turn; turn = turn->next)
		turn_refill(turn, contest->round);
}
