/* SPDX-License-Identifier: MIT */
/*
 * daemon/ops/store.h - descriptors that systemd holds while there is no daemon
 *
 * systemd hands what it holds to each daemon that it starts, and goes on holding it: it survives a
 * restart, a crash and the watchdog, and is gone when the service is stopped (systemd 252).
 *
 * Owns:     the descriptors that came at start, until store_claim or store_deinit
 * Threads:  the control thread
 * Errors:   store_push -errno with a sentence; systemd answers nobody, so what it has no room for
 *           is missing at the next start, and nobody is told before
 */
#ifndef HEARTH_OPS_STORE_H
#define HEARTH_OPS_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define STORE_NAME_BYTES 32

struct store_entry {
	char name[STORE_NAME_BYTES];
	int fd;
};

struct store {
	struct store_entry *entries;
	uint32_t entry_count;
};

/* Is there a systemd to hold anything? */
bool store_is_there(void);

/* A listen_take (ops/listen.h) of what has one of these names. */
bool store_take(void *store, const char *name, int fd);

/* One that came, of the only one of that name; it stays the store's. -1: there is none. */
int store_find(const struct store *store, const char *name);
/* The same, and it is the caller's from now on. */
int store_claim(struct store *store, const char *name);

/* systemd holds it from now on, too. `name` is one of ops/kept.h. */
must_check int store_push(const char *name, int fd);
/* It lets go of all of that name; where it has none, nothing happens. */
void store_remove(const char *name);

void store_deinit(struct store *store);

#endif
