/* SPDX-License-Identifier: MIT */
/*
 * tests/hostile/intruder.h - a client by hand, which can do everything that hearth.h does not do
 *
 *     intruder_connect   a socket, nothing said
 *     intruder_greet     HELLO; the segments are mapped as a client may map them
 *     intruder_enter     READY: it is served
 *     intruder_push      any slot, with the sequence that the daemon expects
 *     intruder_take      the next completion
 *
 * Owns:     its socket, its mappings, both descriptors
 * Threads:  one thread at a time
 * Errors:   `must` (crowd.h), where the machine and not the daemon refuses
 */
#ifndef HEARTH_TESTS_SYSTEM_INTRUDER_H
#define HEARTH_TESTS_SYSTEM_INTRUDER_H

#include <stdbool.h>
#include <stdint.h>

#include "client/hearth.h"
#include "shm/handshake.h"
#include "shm/ring.h"

struct intruder {
	int fd;
	int client_fd; /* of the client-to-daemon segment */
	int daemon_fd;
	struct hearth_layout layout;
	struct hearth_lane_client *client;
	const struct hearth_lane_daemon *daemon;
	uint8_t *base; /* of the client-to-daemon segment */
	const uint8_t *daemon_base;
	uint32_t *cancel;
	struct hearth_request_slot *request_slots;
	uint8_t *request_area;
	const struct hearth_completion_slot *completion_slots;
	const uint8_t *response_area;
	uint64_t features;
	uint64_t sq_position;
	uint64_t cq_position;
	struct hearth_hello_reply reply; /* to the last HELLO */
};

int intruder_connect(struct intruder *intruder, const char *path); /* 0 or -errno */
/* Returns the reply's status, or -errno of the socket. Sizes as in HELLO. */
int intruder_greet(struct intruder *intruder, uint32_t slots, uint32_t request_area_bytes,
		   uint32_t response_area_bytes);
void intruder_enter(struct intruder *intruder);
/* All three; it must be let in. */
void intruder_open(struct intruder *intruder, const char *path, uint32_t slots,
		   uint32_t request_area_bytes, uint32_t response_area_bytes);
void intruder_close(struct intruder *intruder);

/* A message with a body behind its head; 0 or -errno. */
int intruder_say(const struct intruder *intruder, uint16_t type, const void *body, size_t bytes);
void intruder_hello_init(struct hearth_hello *hello);

/* Rings always: being rung without need is the daemon's to bear. */
void intruder_push(struct intruder *intruder, const struct hearth_request_slot *slot);
void intruder_ring(struct intruder *intruder);
bool intruder_pop(struct intruder *intruder, struct hearth_completion_slot *ret_completion);
/* The next completion, which must come. */
struct hearth_completion_slot intruder_take(struct intruder *intruder);
/* Writes a request for rows of shoppers at `offset` of the request area, as hearth.h would.
 * Returns its bytes. */
uint32_t intruder_write_infer(struct intruder *intruder, uint32_t offset,
			      const struct hearth_model_info *model, uint32_t row_first,
			      uint32_t rows);
/* A ping with this id is answered: the connection serves. */
void intruder_ping(struct intruder *intruder, uint64_t id);
/* Has the daemon hung up? Reads nothing. */
bool intruder_is_out(const struct intruder *intruder);

#endif
