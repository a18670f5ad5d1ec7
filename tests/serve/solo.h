/* SPDX-License-Identifier: MIT */
/*
 * tests/serve/solo.h - a data loop and its one client in one thread, driven by hand
 *
 * Owns:     the loop's state, a lane, the client's segment mapped writable, and version 2 of the
 *           model of tests/data, served as handle 0
 * Threads:  one
 * Errors:   `must` (tests/system/crowd.h)
 *
 * Nobody sleeps and nothing is submitted to the kernel: the lane is one that is only polled.
 */
#ifndef HEARTH_TESTS_SERVE_SOLO_H
#define HEARTH_TESTS_SERVE_SOLO_H

#include <stdint.h>

#include "serve/data.h"
#include "tests/system/shoppers.h"

#define SOLO_SLOTS 64
#define SOLO_RANGE_BYTES 1024 /* each slot has as much in both areas */
#define SOLO_SCORE_OFFSET 128 /* behind header and table of a response */
#define SOLO_RESPONSE_BYTES 192
#define SOLO_VERSION 2

/* In a range; at multiples of what the engine wants, too. */
extern const uint32_t solo_input_offsets[SHOPPERS_INPUTS];

struct solo {
	struct data data;
	struct share share;
	struct lane *lane;
	struct lane *lanes[1];
	struct lane *touched[1];
	struct version *version;
	int64_t symbols[SIGNATURE_SYMBOLS_MAX]; /* of one row */
	struct hearth_lane_client *client;      /* the whole segment follows */
	struct hearth_request_slot *request_slots;
	uint64_t position; /* of both rings: who pushes also pops */
};

/* Of zeroed storage. */
void solo_open(struct solo *solo);
void solo_close(struct solo *solo);

/* The index-th request range, and a request for one row of tests/data in it. */
uint8_t *solo_range(const struct solo *solo, uint32_t index);
void solo_fill(struct solo *solo, uint32_t index, uint32_t row);

/* What asks for it, answered into the index-th response range; the caller may change it. */
struct hearth_request_slot solo_slot(uint32_t index);
void solo_push(struct solo *solo, const struct hearth_request_slot *slot);

/* What the loop of serve/data.c does between two readings of its clock; returns how many slots were
 * taken. The caller sets data.now_ns. */
uint32_t solo_pass(struct solo *solo);

#endif
