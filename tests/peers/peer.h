/* SPDX-License-Identifier: MIT */
/*
 * tests/peers/peer.h - one way to get bytes to another process and back
 *
 * A file here is a peer, or a few that differ in an address. It uses its library as that library's
 * own users would when they want it fast, with one request at a time, and gives it the benefit of
 * the doubt. bench.c has the table of all; a file whose package is not installed is not built.
 *
 * Threads:  a peer lives in a process of its own, whose threads share one CPU
 * Errors:   `must` (crowd.h)
 */
#ifndef HEARTH_TESTS_PEERS_PEER_H
#define HEARTH_TESTS_PEERS_PEER_H

#include <stdint.h>

struct peer_plan {
	int cpu;       /* of the process that asks */
	int cpu_other; /* of the one that answers */
	uint32_t bytes_max;
};

struct peer {
	const char *name;
	/* Starts the process that answers and connects to it; returns what the others take. */
	void *(*start)(const struct peer_plan *plan);
	/* One round trip. The bytes are written (payload.h) to where this way wants them and checked
	 * where it leaves them. */
	void (*echo)(void *state, uint32_t bytes, uint64_t turn);
	/* Waits until nothing runs on behalf of the last round. NULL: nothing does, all sleep. */
	void (*rest)(void *state);
	void (*stop)(void *state);
};

/* Weak, so that one that is not built is NULL. */
#define PEER(name) extern const struct peer name __attribute__((weak))

PEER(peer_hearth_polling);
PEER(peer_hearth_sleeping);
PEER(peer_unix_seqpacket);
PEER(peer_unix_stream);
PEER(peer_tcp);
PEER(peer_zeromq);
PEER(peer_nng);
PEER(peer_grpc_unix);
PEER(peer_grpc_tcp);

#endif
