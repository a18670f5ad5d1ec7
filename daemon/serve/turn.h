/* SPDX-License-Identifier: MIT */
/*
 * daemon/serve/turn.h - who may spend how much: deficit round robin, settled when the cost is known
 *
 *     contest_begin   a pass begins
 *     contest_add     this contender has work in it
 *     contest_open    credit is given out, and the order decided
 *     turn_goes_on    may this contender take one more request?
 *     turn_charge     what it took costs so much
 *
 * Owns:     nothing; a turn is part of its contender, and lies in the contest's list for a pass
 * Threads:  the data thread
 * Units:    credit is ns of the data thread's time
 * Source:   Shreedhar & Varghese 1995, "Efficient Fair Queueing using Deficit Round Robin"; spending
 *           before the cost is known is the surplus round robin of Adiseshu et al. 1996
 *
 * Every round gives each contender TURN_QUANTUM_NS. Who has credit may take requests; what they
 * cost is an estimate at first and corrected when it has been measured, so credit can become debt,
 * which later rounds pay. A round ends when all who have work have spent theirs. So over time rivals
 * get equal parts of the thread, whatever their requests cost and however many they send, and who
 * asks for less than its part is served in every pass.
 *
 * A turn takes TURN_ROWS rows in any case, credit or not: below that a batch is mostly overhead,
 * which would be everybody's loss. Who has had no rival for CONTEST_NS pays nothing.
 *
 * Deadlines order the contenders of one contest, earliest first; they give nobody credit.
 */
#ifndef HEARTH_SERVE_TURN_H
#define HEARTH_SERVE_TURN_H

#include <stdbool.h>
#include <stdint.h>

#define TURN_QUANTUM_NS 250000
#define TURN_ROWS 64
#define CONTEST_NS UINT64_C(10000000)

struct turn {
	struct turn *next; /* ready in this pass */
	int64_t credit_ns;
	uint64_t round;       /* up to which it has got its quanta */
	uint64_t deadline_ns; /* of the work it is ready with; UINT64_MAX: none */
	uint32_t rows;        /* taken in this turn */
	uint64_t pass; /* of its contest, in which it was added */
	bool is_contended;
};

struct contest {
	struct turn *ready;
	struct turn **ready_last;
	const struct turn *last; /* who was added last, in whatever pass; compared, never followed */
	uint64_t until_ns;       /* CONTEST_NS after two had work */
	uint64_t round;
	uint64_t pass;
	uint32_t ready_count;
	bool has_deadline;
};

void contest_begin(struct contest *contest);
void contest_add(struct contest *contest, struct turn *turn, uint64_t deadline_ns, uint64_t now_ns);
/* Now contest->ready is in order, and at least one of them may begin. */
void contest_open(struct contest *contest, uint64_t now_ns);

/* Added since the pass began? */
static inline bool contest_has(const struct contest *contest, const struct turn *turn)
{
	return turn->pass == contest->pass;
}

static inline bool turn_may_begin(const struct turn *turn)
{
	return turn->credit_ns > 0;
}

static inline bool turn_goes_on(const struct turn *turn)
{
	return !turn->is_contended || turn->credit_ns > 0 || turn->rows < TURN_ROWS;
}

static inline void turn_charge(struct turn *turn, int64_t cost_ns)
{
	turn->credit_ns -= cost_ns;
}

#endif
