/* SPDX-License-Identifier: MIT */
/*
 * tests/client/fake_daemon.h - the daemon's side of the contract, as a test wants it
 *
 * A thread accepts, answers HELLO with two sealed segments, and DESCRIBE with one
 * of two models: "shoppers" (one free size) and "bags" (two). The rings are
 * served by the test itself, slot by slot, or by the thread when `serve` is set.
 *
 * Owns:     the socket, the thread and one lane for each connection
 * Threads:  without `serve` a lane belongs to the test as soon as hearth_open
 *           returned; with it, to the thread
 */
#ifndef HEARTH_TESTS_CLIENT_FAKE_DAEMON_H
#define HEARTH_TESTS_CLIENT_FAKE_DAEMON_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "shm/handshake.h"
#include "shm/ring.h"

#define FAKE_LANES_MAX 8

struct fake_lane {
	int fd;
	bool is_gone; /* the client hung up; the thread's */
	struct hearth_layout layout;
	const uint8_t *client_base;
	uint8_t *daemon_base;
	const struct hearth_lane_client *client;
	struct hearth_lane_daemon *daemon;
	const uint32_t *cancel;
	const struct hearth_request_slot *request_slots;
	struct hearth_completion_slot *completion_slots;
	const uint8_t *request_area;
	uint8_t *response_area;
	uint64_t sq_position;
	uint64_t cq_position;
	uint64_t cq_rung;
	uint64_t features;
	uint32_t bells; /* BELL messages received; atomic */
	bool is_ready;	/* READY was received; atomic */
};

/* Zero means sound behaviour everywhere. */
struct fake_options {
	int64_t clock_shift_ns; /* as if in another time namespace */
	uint64_t features_off;	/* not granted */
	uint32_t abi_oldest;	/* 0 = ours */
	uint32_t abi_newest;
	int32_t refuse_status; /* of HELLO */
	const char *refuse_text;
	bool is_mute;	     /* HELLO is not answered */
	bool hangs_up;	     /* instead of answering HELLO */
	bool talks_nonsense; /* the reply is no reply */
	bool sends_no_fds;
	bool is_unsealed;
	bool is_short; /* segments of half the size */
	bool lies_about_layout;
	uint32_t describe_bells;    /* BELL messages before each DESCRIBE_REPLY */
	uint32_t describe_delay_ms; /* atomic */
	bool describe_garbage;	    /* counts and lengths that do not fit the packet */
	bool describe_unknown_values; /* offsets into what no symbol counts */
	uint32_t model_version;	    /* current; 0 = 2 */
	void (*serve)(struct fake_lane *lane, const struct hearth_request_slot *slot);
};

struct fake_daemon {
	struct fake_options options;
	char path[64];
	int listen_fd;
	pthread_t thread;
	bool is_started;
	bool must_stop; /* atomic */
	struct fake_lane lanes[FAKE_LANES_MAX];
	uint32_t lane_count; /* atomic */
};

void fake_start(struct fake_daemon *daemon, const struct fake_options *options);

/* Closes every connection and stops listening, as a kill would; what was published stays mapped on
 * the client's side. */
void fake_kill(struct fake_daemon *daemon);

/* fake_kill, and everything is given back. */
void fake_stop(struct fake_daemon *daemon);

/* --- a lane, played by its owner --- */

/* The next request, copied; false when there is none. */
bool fake_pop(struct fake_lane *lane, struct hearth_request_slot *ret_slot);

/* Publishes one completion and rings the client as it asked to be. */
void fake_push(struct fake_lane *lane, const struct hearth_completion_slot *completion);

/* A final completion without outputs. */
void fake_complete(struct fake_lane *lane, uint64_t id, int32_t status);

/* A final completion of an inference: one f32 output [rows, 1], row k holding first + k. */
void fake_answer(struct fake_lane *lane, const struct hearth_request_slot *slot, float first);

void fake_bell(struct fake_lane *lane);

/* For fake_options.serve: answers pings, inferences and streams. */
void fake_serve_all(struct fake_lane *lane, const struct hearth_request_slot *slot);

#endif
