/* SPDX-License-Identifier: MIT */
/*
 * shm/handshake.h - the messages on the daemon's Unix SOCK_SEQPACKET sockets
 *
 * One message a packet, little endian, every one starting with struct
 * hearth_message. A connection sends HELLO once and owns two segments from then
 * on; DESCRIBE and CONTROL may be sent at any time, before HELLO or without it.
 * No request travels here, and no descriptor is ever accepted from a client.
 *
 *     client                         daemon
 *     HELLO            ------------>
 *                      <------------ HELLO_REPLY + 2 fds (client-to-daemon,
 *                                    daemon-to-client)
 *     READY            ------------> the client has mapped and populated both, so
 *                                    their pages are charged to it; serving begins
 *     DESCRIBE         ------------>
 *                      <------------ DESCRIBE_REPLY + tensors and names
 *     CONTROL + JSON   ------------>
 *                      <------------ CONTROL_REPLY + JSON, flagged MORE until the last
 *     BELL             <-----------> the peer sleeps on the socket
 *
 * HELLO and HELLO_REPLY keep their first 64 bytes for ever, so that any two
 * versions can name themselves to each other.
 *
 * Errors:   status is 0 or -errno; text names what was wrong, wanted, and how
 *           to mend it
 */
#ifndef HEARTH_SHM_HANDSHAKE_H
#define HEARTH_SHM_HANDSHAKE_H

#include <stdint.h>

#include "shm/abi.h"
#include "shm/layout.h"

#define HEARTH_SOCKET_PATH_DEFAULT "/run/hearth/hearth.sock"
#define HEARTH_ADMIN_SUFFIX ".admin" /* the admin socket is the other path plus this */
#define HEARTH_MESSAGE_BYTES_MAX 65536u
#define HEARTH_TEXT_BYTES 256u

#define HEARTH_MESSAGE_HELLO 1u
#define HEARTH_MESSAGE_HELLO_REPLY 2u
#define HEARTH_MESSAGE_DESCRIBE 3u
#define HEARTH_MESSAGE_DESCRIBE_REPLY 4u
#define HEARTH_MESSAGE_CONTROL 5u
#define HEARTH_MESSAGE_CONTROL_REPLY 6u
#define HEARTH_MESSAGE_BELL 7u
#define HEARTH_MESSAGE_READY 8u

#define HEARTH_MESSAGE_MORE 1u /* flag: another packet of this reply follows */

struct hearth_message {
	uint32_t magic; /* HEARTH_MAGIC */
	uint16_t type;
	uint16_t flags;
	uint32_t bytes; /* of the whole packet */
	int32_t status;
};
HEARTH_ASSERT(sizeof(struct hearth_message) == 16);

struct hearth_hello {
	struct hearth_message message;
	uint32_t abi_oldest; /* the client speaks abi_oldest..abi_newest */
	uint32_t abi_newest;
	uint64_t features; /* wanted */
	uint32_t slots;    /* 0 = default; rounded up to a power of two */
	uint32_t request_area_bytes;  /* likewise */
	uint32_t response_area_bytes; /* likewise */
	uint32_t flags;               /* none is defined: must be 0 */
	uint8_t _reserved[16];
};
HEARTH_ASSERT(sizeof(struct hearth_hello) == 64);

struct hearth_hello_reply {
	struct hearth_message message;
	uint32_t abi_oldest; /* the daemon speaks abi_oldest..abi_newest */
	uint32_t abi_newest;
	uint32_t abi;      /* chosen; 0 when refused */
	uint32_t slots;    /* granted: the layout of both segments follows from these three */
	uint64_t features; /* granted */
	uint64_t now_ns;   /* the daemon's CLOCK_MONOTONIC when it answered */
	uint64_t epoch;    /* differs for every start of the daemon */
	uint32_t request_area_bytes;  /* granted */
	uint32_t response_area_bytes; /* granted */
	char text[HEARTH_TEXT_BYTES]; /* why not, or empty */
};
HEARTH_ASSERT(sizeof(struct hearth_hello_reply) == 64 + HEARTH_TEXT_BYTES);

struct hearth_describe {
	struct hearth_message message;
	uint32_t version; /* 0 = the current one */
	uint32_t cookie;  /* the client's choice; comes back in the reply */
	char name[HEARTH_NAME_BYTES];
};
HEARTH_ASSERT(sizeof(struct hearth_describe) == 88);

/* A dimension is factor * symbol + constant; symbol -1 means a fixed one. */
struct hearth_dim {
	int32_t symbol;
	uint32_t factor;
	int32_t constant;
};

struct hearth_tensor_description {
	uint16_t dtype;
	uint16_t rank;
	uint16_t name_bytes; /* without a terminator; names follow the table in order */
	uint16_t offsets_into; /* an input of places among values: 1 + the symbol that counts these; 0 */
	struct hearth_dim dims[HEARTH_RANK_MAX];
};
HEARTH_ASSERT(sizeof(struct hearth_tensor_description) == 56);

/* Followed by input_count + output_count descriptions, then by their names. */
struct hearth_describe_reply {
	struct hearth_message message;
	uint32_t model;   /* handle for request headers; stable across versions */
	uint32_t version; /* described */
	uint32_t current_version;
	uint32_t rows_max;    /* most rows of one request */
	int32_t row_symbol;   /* the symbol that counts rows; -1: rows are not independent */
	uint32_t symbol_count;
	uint32_t input_count;
	uint32_t output_count;
	uint32_t numerics; /* HEARTH_NUMERICS_* */
	uint32_t cookie;   /* of the question */
	char text[HEARTH_TEXT_BYTES]; /* why not, or empty */
};
HEARTH_ASSERT(sizeof(struct hearth_describe_reply) == 56 + HEARTH_TEXT_BYTES);

#endif
