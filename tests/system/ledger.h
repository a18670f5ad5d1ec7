/* SPDX-License-Identifier: MIT */
/*
 * tests/system/ledger.h - a client that books every request and checks every answer
 *
 * A request is entered when it is submitted and struck out by its one final
 * completion; an answer to nothing, a second one, a wrong one, or one that does
 * not come within CROWD_PATIENCE_NS ends the process (`must`, crowd.h).
 *
 * Owns:     its connection
 * Threads:  one thread at a time
 */
#ifndef HEARTH_TESTS_SYSTEM_LEDGER_H
#define HEARTH_TESTS_SYSTEM_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "client/hearth.h"

/* What is asked. */
#define LEDGER_PING 1u
#define LEDGER_INFER 2u  /* 1 to 8 rows of shoppers; the answer must be its version's */
#define LEDGER_STREAM 4u /* 1 to 200 items, every mark checked */
#define LEDGER_LATE 8u   /* infers and streams whose deadline has passed: -ETIME */
#define LEDGER_CANCEL 16u /* some of them are given up at once: -ECANCELED, or the answer */
#define LEDGER_ALL 31u

/* How answers are waited for. */
enum ledger_way {
	LEDGER_WAIT,
	LEDGER_POLL, /* hearth_arm and poll */
	LEDGER_PEEK, /* looks again and again */
};

struct ledger_plan {
	const char *socket;
	uint64_t slots;  /* 0: the client's default */
	uint64_t seed;
	uint64_t requests; /* 0: until *stop */
	const uint64_t *stop; /* a shared word, or NULL */
	uint64_t *answered;   /* the same; counts on while it runs */
	uint64_t *versions;   /* the same, three words: answers of versions 1 and 2 */
	uint32_t kinds;       /* LEDGER_* */
	uint32_t depth;       /* most requests in flight; 0: all slots */
	int64_t pause_ns;     /* of ledger_run after each answer: leaves the CPUs to others */
	enum ledger_way way;
	bool is_patient; /* tries again while the daemon has no place for it */
	bool may_be_left; /* the daemon may end while it runs: its requests are orphans */
};

struct ledger_entry {
	uint64_t number; /* 0: nothing is booked here */
	uint64_t id;
	uint32_t kind;
	uint32_t row_first;
	uint32_t rows;
	uint32_t items;
	uint32_t items_seen;
	bool is_late;
	bool is_canceled;
};

struct ledger {
	struct ledger_plan plan;
	struct hearth *hearth;
	const struct hearth_model_info *model; /* NULL: nothing is inferred */
	struct ledger_entry *entries;          /* by index */
	uint64_t random;
	uint64_t submitted;
	uint64_t answered;
	uint64_t orphans; /* of these, -EOWNERDEAD */
	uint64_t canceled;
	uint64_t marks;
	uint32_t in_flight;
};

void ledger_open(struct ledger *ledger, const struct ledger_plan *plan);
/* False: no slot or no room now. */
bool ledger_submit(struct ledger *ledger, uint32_t kind);
/* Waits for the next completion, in the plan's way, and books it. False: the daemon is gone and
 * all is reported. */
bool ledger_take(struct ledger *ledger);
/* Takes until nothing is in flight; nothing may have been answered twice or beside the books. */
void ledger_settle(struct ledger *ledger);
void ledger_close(struct ledger *ledger);

/* All of it, with as much in flight as there is room for: for crowd_start. */
void ledger_run(void *plan);

#endif
