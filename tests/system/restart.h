/* SPDX-License-Identifier: MIT */
/*
 * tests/system/restart.h - one daemon after another under a manager that keeps what they give it
 *
 * Owns:     the appliance and the manager, whose parts are for tests to look at
 * Threads:  one thread at a time
 * Errors:   what fails ends the test with a sentence
 */
#ifndef HEARTH_TESTS_SYSTEM_RESTART_H
#define HEARTH_TESTS_SYSTEM_RESTART_H

#include <stdbool.h>
#include <stdint.h>

#include "appliance.h"
#include "manager.h"
#include "ops/manifest.h"

#define RESTART_ROWS 100
#define RESTART_FLAGS (const char *[]){ "--warm-restart", NULL }
#define RESTART_FLAGS_VERIFY (const char *[]){ "--warm-restart", "--verify", NULL }
#define RESTART_FLAGS_ALL (const char *[]){ "--warm-restart", "--load", "all", NULL }

struct restart {
	struct appliance appliance;
	struct manager manager;
	uint32_t starts; /* so many daemons have said that they are ready */
	long log_read;   /* what the daemons before this one have said */
};

void restart_open(struct restart *restart);
void restart_close(struct restart *restart); /* a daemon runs */

/* Until it is ready, and the manager knows. */
void restart_start(struct restart *restart, const char *const flags[]);
/* Stopped, or killed. */
void restart_end(struct restart *restart, bool is_killed);

/* This daemon, so far. */
bool restart_log_says(struct restart *restart, const char *word);
void restart_assert_log_says(struct restart *restart, const char *word);

/* What a version of shoppers scores the first rows, and whether it still does. */
void restart_ask(struct restart *restart, uint32_t version, float ret_scores[RESTART_ROWS]);
void restart_assert_same_bits(struct restart *restart, uint32_t version,
			      const float scores[RESTART_ROWS]);

/* Of a version of shoppers: no file, or one that cannot be loaded. */
void restart_files_remove(struct restart *restart, const char *version);
void restart_files_spoil(struct restart *restart, const char *version);

/* The manifest that counts; returns its place among those of manager_find. */
uint32_t restart_manifest(struct restart *restart, struct manifest *ret_manifest);
void restart_manifest_put(struct restart *restart, uint32_t index, const struct manifest *manifest);
/* Is there one version, which came after this one, with the hash of its weights? */
bool restart_is_hashed_since(struct restart *restart, uint64_t id);
/* A sealed copy. */
int restart_sealed(const void *bytes, uint64_t byte_count);

#endif
