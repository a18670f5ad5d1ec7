/* SPDX-License-Identifier: MIT */
/*
 * daemon/exec/cold_parts.h - what the parts of cold tables share; nobody else includes it
 *
 *     cold.c        tables, pools and stages, and how large they are
 *     cold_batch.c  the rows of one batch, from its ids to its end
 */
#ifndef HEARTH_EXEC_COLD_PARTS_H
#define HEARTH_EXEC_COLD_PARTS_H

#include "exec/cold.h"
#include "exec/cold_file.h"

struct cold_pool_rows {
	struct hot_rows hot;
	char *slots;
	uint32_t row_bytes;
};

/* A pinned slot, and the row that shall come there. */
struct pin {
	struct cold *cold;
	uint32_t pool, slot;
	uint32_t table;
	uint64_t row;
};

struct cold_stage {
	struct cold *cold;
	int32_t *ids[COLD_IDS_MAX];
	uint64_t capacities[COLD_IDS_MAX];
	uint64_t counts[COLD_IDS_MAX]; /* of this batch */
	struct pin *pins;
	struct pin **wanted; /* those whose rows are to be read */
	uint64_t pin_count, pins_here; /* the first ones, which wait for nothing */
	uint64_t wanted_count, wanted_started;
	uint64_t begun_ns;
};

struct cold {
	struct cold_plan plan;
	struct cold_file files[COLD_TABLES_MAX];
	struct cold_pool_rows pools[COLD_TABLES_MAX];
	struct cold_stage *stages;
	uint32_t stage_count;
	struct cold_counters counters;
};

#endif
