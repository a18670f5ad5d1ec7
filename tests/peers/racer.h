/* SPDX-License-Identifier: MIT */
/*
 * tests/peers/racer.h - a peer in a process of its own, which runs when it is told to and else sleeps
 *
 * Owns:     the process, and through it the one that answers
 * Threads:  one thread at a time
 */
#ifndef HEARTH_TESTS_PEERS_RACER_H
#define HEARTH_TESTS_PEERS_RACER_H

#include <sys/types.h>

#include "peer.h"

/* What a slice told. */
struct racer_point {
	double p50_ns;
	double p99_ns;
};

struct racer {
	const struct peer *peer;
	struct racer_point *point; /* shared with its process */
	pid_t pid;
	int order_fd;
	int done_fd;
};

void racer_open(struct racer *racer, const struct peer *peer, const struct peer_plan *plan);
void racer_close(struct racer *racer);

/* Echoes of so many bytes for so long; returns when all that took part sleep. */
struct racer_point racer_slice(struct racer *racer, uint32_t bytes, double slice_ns);

#endif
