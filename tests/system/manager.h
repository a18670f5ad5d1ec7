/* SPDX-License-Identifier: MIT */
/*
 * tests/system/manager.h - systemd's part: it hears what a daemon says, and holds its descriptors
 *
 *     manager_open(&manager, &appliance);       the daemons of this appliance tell it from now on
 *     appliance_start(...); appliance_kill(...); appliance_start(...);
 *     appliance_close(&appliance);
 *     manager_close(&manager);
 *
 * As systemd 252 does: FDSTORE=1 holds what comes with it, unless it is held already;
 * FDSTOREREMOVE=1 lets go of a name; each daemon that starts gets all of them.
 *
 * Owns:     the notify socket, a thread that hears it, and the descriptors
 * Threads:  any
 * Errors:   `must` (crowd.h)
 */
#ifndef HEARTH_TESTS_SYSTEM_MANAGER_H
#define HEARTH_TESTS_SYSTEM_MANAGER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "appliance.h"

#define MANAGER_ENTRIES_MAX 64
#define MANAGER_NAME_BYTES 64

struct manager_entry {
	char name[MANAGER_NAME_BYTES];
	int fd;
};

struct manager {
	struct appliance *appliance;
	int socket_fd;
	pthread_t thread;
	pthread_mutex_t mutex;
	struct manager_entry entries[MANAGER_ENTRIES_MAX];
	uint32_t entry_count;
	uint32_t entry_count_limit; /* what comes beyond is dropped without a word; 0: there is room */
	uint32_t ready_count; /* READY=1 */
	int64_t ready_ns;     /* when the last of them came */
	uint32_t entry_count_max;
	uint32_t stored_count;
	uint32_t kill_after; /* so many messages about descriptors; 0: never */
	bool is_deaf; /* the daemon is killed: what it says after that does not arrive */
};

void manager_open(struct manager *manager, struct appliance *appliance);
void manager_close(struct manager *manager);

/* A daemon has said READY=1 so often; returns when (crowd_now_ns). */
int64_t manager_await_ready(struct manager *manager, uint32_t count);
/* So many descriptors have come that were not held, and so many were held at most. */
uint32_t manager_stored(struct manager *manager);
uint32_t manager_most(struct manager *manager);
/* How many names begin so. */
uint32_t manager_count(struct manager *manager, const char *prefix);
/* SIGKILL to the daemon behind its count-th message about descriptors from now on, counted from 1. */
void manager_kill_after(struct manager *manager, uint32_t count);
/* A copy of the descriptor with a name that begins so, the index-th; -1: there is none. */
int manager_find(struct manager *manager, const char *prefix, uint32_t index);
/* Lets go of everything, as systemd does when the service is stopped. */
void manager_forget(struct manager *manager);
/* Holds this one instead of the one that manager_find finds; it is the manager's now. -1: none. */
void manager_replace(struct manager *manager, const char *prefix, uint32_t index, int fd);

#endif
