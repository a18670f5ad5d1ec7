/* SPDX-License-Identifier: MIT */
/*
 * tests/system/tandem.h - a hearthd and a connection to it, each on a CPU of its own
 *
 * Owns:     the daemon and the connection
 * Threads:  the one that opened it, which is pinned
 */
#ifndef HEARTH_TESTS_SYSTEM_TANDEM_H
#define HEARTH_TESTS_SYSTEM_TANDEM_H

#include "appliance.h"
#include "client/hearth.h"

struct tandem {
	struct appliance appliance;
	struct hearth *hearth;
	pid_t data_thread;
};

/* Both sides look for so long before they sleep; 0: not at all. */
void tandem_open(struct tandem *tandem, int cpu, int cpu_other, int64_t spin_ns);
void tandem_close(struct tandem *tandem);

/* A whole request and its answer, in the caller's time. */
void tandem_ping(struct tandem *tandem);
/* The bytes are written where the daemon reads them, and checked where it wrote them. */
void tandem_echo(struct tandem *tandem, uint32_t bytes, uint64_t turn);

/* Waits until the daemon sleeps and its CPU is free. */
void tandem_rest(struct tandem *tandem);

#endif
