/* SPDX-License-Identifier: MIT */
/*
 * tools/hearthctl/top/reading.h - what the daemon's counters were at one moment
 *
 * Owns:     the reading its arrays
 * Threads:  one
 * Units:    a name's last word; at_ns and rows_at_ns on clock_ns()
 * Errors:   a row for which there is no memory is left out, and lacks_memory says so
 * Source:   daemon/ops/control/control.h (status, models, latency, clients, mem)
 */
#ifndef HEARTH_TOOLS_HEARTHCTL_TOP_READING_H
#define HEARTH_TOOLS_HEARTHCTL_TOP_READING_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/abi.h"
#include "tools/hearthctl/listing.h"

#define READING_EXE_BYTES 128
#define READING_STATE_BYTES 16
#define READING_WORST_BYTES 512

struct reading_totals {
	uint64_t requests;
	uint64_t rows;
	uint64_t batches;
	uint64_t errors;
};

struct reading_model {
	char name[HEARTH_NAME_BYTES];
	uint32_t version;
	char state[READING_STATE_BYTES];
	bool is_current;
	struct reading_totals totals;
	struct histogram times; /* ns, of answered requests */
};

struct reading_client { /* a connection */
	uint64_t pid; /* 0: of another namespace */
	uint64_t uid;
	uint64_t opened_ns;
	char exe[READING_EXE_BYTES]; /* its end, where it is longer */
	uint64_t outstanding;
	uint64_t requests;
	uint64_t refused;
};

struct reading_pool {
	char pages[READING_STATE_BYTES];
	uint64_t node;
	uint64_t total_bytes;
	uint64_t free_bytes;
	uint64_t resident_bytes; /* the daemon's */
};

/* The listing is first, so that a row's context is both. */
struct reading {
	struct listing listing;
	bool has_answer; /* else nothing below counts */
	bool lacks_memory;
	uint64_t at_ns;      /* of the totals */
	uint64_t rows_at_ns; /* of the arrays: on a stats page they are older */
	bool is_page;
	bool has_uptime;
	double uptime_s;
	uint64_t pid;
	bool is_ready;
	char version[READING_STATE_BYTES];
	char worst[READING_WORST_BYTES];
	struct reading_totals totals;

	struct reading_model *models;
	uint32_t model_count, model_count_max;
	struct reading_client *clients;
	uint32_t client_count, client_count_max;
	struct reading_pool *pools;
	uint32_t pool_count, pool_count_max;
};

/* Empties it for another moment; what it has allocated stays. Zeroed at first. */
void reading_begin(struct reading *reading, uint64_t at_ns);
/* The pools of another reading: they are asked for more seldom. */
void reading_keep_pools(struct reading *reading, const struct reading *before);

/* A row of the verb, each a talk_row; models come before latency. */
int reading_add_status(const json_t *row, void *context);
int reading_add_model(const json_t *row, void *context);
int reading_add_latency(const json_t *row, void *context);
int reading_add_client(const json_t *row, void *context);
int reading_add_pool(const json_t *row, void *context);

const struct reading_model *reading_find_model(const struct reading *reading, const char *name,
					       uint32_t version);

void reading_deinit(struct reading *reading);

#endif
