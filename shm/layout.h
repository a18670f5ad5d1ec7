/* SPDX-License-Identifier: MIT */
/*
 * shm/layout.h - the two segments of a connection, byte by byte
 *
 * Owns:     nothing; both segments are memfds that the daemon makes
 * Threads:  W: and R: name the one writer and the reader of every field
 * Units:    offsets and sizes in bytes from the start of the segment
 *
 * client-to-daemon segment                 daemon-to-client segment
 * the client writes, the daemon maps       the daemon writes, the client maps
 * it read-only                             it read-only (sealed FUTURE_WRITE)
 *
 *     0  struct hearth_lane_client             0  struct hearth_lane_daemon
 *   256  u32 cancel[slots]                   512  completion slots[2 * slots]
 *     .  request slots[slots]                  .  response area (page aligned)
 *     .  request area (page aligned)
 *
 * Every offset below the areas follows from `slots` alone, so each side
 * computes it for itself (hearth_layout_of) and believes nothing it reads.
 */
#ifndef HEARTH_SHM_LAYOUT_H
#define HEARTH_SHM_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "shm/abi.h"

/*
 *   0 +---------------------------+
 *     | cq_head                   |
 * 128 +---------------------------+
 *     | cq_wait  cq_mode  sq_bell |
 * 256 +---------------------------+
 */
struct hearth_lane_client {
	uint64_t cq_head; /* W: client  R: daemon; completions consumed */
	uint8_t _reserved0[120];
	uint64_t cq_wait; /* W: client  R: daemon; ring me when this position is published */
	uint32_t cq_mode; /* W: client  R: daemon; HEARTH_CQ_* */
	uint32_t sq_bell; /* W: client  R: daemon; changes at every ring (futex word) */
	uint8_t _reserved1[112];
};
HEARTH_ASSERT(offsetof(struct hearth_lane_client, cq_wait) == HEARTH_LINE_PAIR_BYTES);
HEARTH_ASSERT(offsetof(struct hearth_lane_client, cq_mode) == 136);
HEARTH_ASSERT(offsetof(struct hearth_lane_client, sq_bell) == 140);
HEARTH_ASSERT(sizeof(struct hearth_lane_client) == 256);

/*
 *   0 +-----------------------------------------------+
 *     | magic abi client_bytes daemon_bytes features  |
 *     | slots areas epoch opened_ns                   |
 * 128 +-----------------------------------------------+
 *     | need_wakeup                                   |
 * 256 +-----------------------------------------------+
 *     | cq_bell                                       |
 * 384 +-----------------------------------------------+
 *     | sq_head                                       |
 * 512 +-----------------------------------------------+
 */
struct hearth_lane_daemon {
	uint32_t magic;                  /* W: daemon, once, before the fd is sent */
	uint32_t abi;                    /* W: daemon, once */
	uint64_t client_bytes;           /* W: daemon, once; the whole client-to-daemon segment */
	uint64_t daemon_bytes;           /* W: daemon, once; the whole daemon-to-client segment */
	uint64_t features;               /* W: daemon, once; granted HEARTH_FEATURE_* */
	uint32_t slots;                  /* W: daemon, once; a power of two */
	uint32_t completion_slots;       /* W: daemon, once; 2 * slots */
	uint32_t cancel_offset;          /* W: daemon, once */
	uint32_t request_slots_offset;   /* W: daemon, once */
	uint32_t request_area_offset;    /* W: daemon, once */
	uint32_t request_area_bytes;     /* W: daemon, once */
	uint32_t completion_slots_offset; /* W: daemon, once */
	uint32_t response_area_offset;   /* W: daemon, once */
	uint32_t response_area_bytes;    /* W: daemon, once */
	uint32_t _reserved0;
	uint64_t epoch;     /* W: daemon, once; differs for every start of the daemon */
	uint64_t opened_ns; /* W: daemon, once; the daemon's CLOCK_MONOTONIC */
	uint8_t _reserved1[40];
	uint32_t need_wakeup; /* W: daemon  R: client; not 0: ring after publishing */
	uint8_t _reserved2[124];
	uint32_t cq_bell; /* W: daemon  R: client; changes when cq_wait is crossed (futex word) */
	uint8_t _reserved3[124];
	uint64_t sq_head; /* W: daemon  R: client; requests copied so far, published lazily */
	uint8_t _reserved4[120];
};
HEARTH_ASSERT(offsetof(struct hearth_lane_daemon, slots) == 32);
HEARTH_ASSERT(offsetof(struct hearth_lane_daemon, epoch) == 72);
HEARTH_ASSERT(offsetof(struct hearth_lane_daemon, need_wakeup) == 128);
HEARTH_ASSERT(offsetof(struct hearth_lane_daemon, cq_bell) == 256);
HEARTH_ASSERT(offsetof(struct hearth_lane_daemon, sq_head) == 384);
HEARTH_ASSERT(sizeof(struct hearth_lane_daemon) == 512);

/* What the client asks for. The sequence is position + 1: a slot whose
 * sequence is not the expected one is empty, whatever else it holds. */
struct hearth_request_slot {
	uint64_t seq;             /* W: client  R: daemon */
	uint64_t id;              /* generation << 32 | index; generation >= 1, index < slots */
	uint32_t operation;       /* HEARTH_OP_* */
	uint32_t flags;           /* none is defined: must be 0 */
	uint32_t request_offset;  /* in the request area, a multiple of HEARTH_ALIGN_BYTES */
	uint32_t request_bytes;
	uint32_t response_offset; /* in the response area, a multiple of HEARTH_ALIGN_BYTES */
	uint32_t response_bytes;
	uint64_t deadline_ns;     /* daemon's CLOCK_MONOTONIC; 0 = none */
	uint64_t submitted_ns;    /* daemon's CLOCK_MONOTONIC, as the client sees it; 0 = unknown */
	uint64_t _reserved;       /* must be 0 */
};
HEARTH_ASSERT(offsetof(struct hearth_request_slot, request_offset) == 24);
HEARTH_ASSERT(offsetof(struct hearth_request_slot, deadline_ns) == 40);
HEARTH_ASSERT(sizeof(struct hearth_request_slot) == 64);

/* What the daemon answers. */
struct hearth_completion_slot {
	uint64_t seq;            /* W: daemon  R: client */
	uint64_t id;             /* as submitted */
	int32_t status;          /* >= 0, or -errno */
	uint16_t kind;           /* HEARTH_PROGRESS or HEARTH_FINAL */
	uint16_t numerics;       /* HEARTH_NUMERICS_* */
	uint32_t flags;          /* HEARTH_COMPLETION_* */
	uint32_t response_bytes; /* written; for -ENOBUFS: needed; progress: items so far */
	uint32_t version;        /* model version that answered; 0 = none */
	uint32_t substituted;    /* ids replaced by a table's `missing` row */
	uint32_t ring_ns;        /* submitted to copied; all four saturate at 2^32 - 1 */
	uint32_t queue_ns;       /* copied to batch closed */
	uint32_t batch_ns;       /* batch closed to first kernel */
	uint32_t execute_ns;     /* first kernel to last */
	uint64_t detail;         /* HEARTH_DETAIL_*: what an error is about */
};
HEARTH_ASSERT(offsetof(struct hearth_completion_slot, version) == 32);
HEARTH_ASSERT(offsetof(struct hearth_completion_slot, detail) == 56);
HEARTH_ASSERT(sizeof(struct hearth_completion_slot) == 64);

/*
 * detail: reason << 56 | tensor << 40 | value (40 bits).
 * tensor is the input's index; value depends on the reason.
 */
#define HEARTH_DETAIL_NONE 0u
#define HEARTH_DETAIL_SLOT 1u    /* -EINVAL: the slot or the request header is malformed */
#define HEARTH_DETAIL_TENSOR 2u  /* -EINVAL: this input's dtype, dims or bytes do not fit the model */
#define HEARTH_DETAIL_ID 3u      /* -ERANGE: this input, row `value`, holds an id outside its table */
#define HEARTH_DETAIL_MODEL 4u   /* -ENOENT: no such model or version */
#define HEARTH_DETAIL_ROWS 5u    /* -EMSGSIZE: more rows than the model takes, which is `value` */
#define HEARTH_DETAIL_RETRY 6u   /* -EBUSY: try again after `value` ns */
#define HEARTH_DETAIL_OPERATION 7u /* -EOPNOTSUPP: the operation is not served here */

static inline uint64_t hearth_detail(uint32_t reason, uint32_t tensor, uint64_t value)
{
	return (uint64_t)reason << 56 | (uint64_t)(tensor & 0xffffu) << 40 |
	       (value & ((UINT64_C(1) << 40) - 1));
}

static inline uint32_t hearth_detail_reason(uint64_t detail)
{
	return (uint32_t)(detail >> 56);
}

static inline uint32_t hearth_detail_tensor(uint64_t detail)
{
	return (uint32_t)(detail >> 40) & 0xffffu;
}

static inline uint64_t hearth_detail_value(uint64_t detail)
{
	return detail & ((UINT64_C(1) << 40) - 1);
}

/* One tensor of a request or of a response. */
struct hearth_tensor {
	uint32_t offset; /* from the start of the range, a multiple of HEARTH_ALIGN_BYTES */
	uint32_t bytes;
	uint16_t dtype; /* HEARTH_F32, ... */
	uint16_t rank;  /* at most HEARTH_RANK_MAX */
	uint32_t dims[HEARTH_RANK_MAX];
};
HEARTH_ASSERT(sizeof(struct hearth_tensor) == 28);

/* A request range of HEARTH_OP_INFER starts with this; `input_count` tensors
 * follow it at once. Copied once together with the slot. */
struct hearth_request_header {
	uint32_t header_bytes; /* of this structure, as the client knows it */
	uint32_t model;        /* handle from hearth_model() */
	uint32_t version;      /* 0 = the current one */
	uint32_t priority;     /* higher first, 0 = ordinary */
	uint64_t sequence_id;  /* decoders: which conversation; 0 = none */
	uint32_t input_count;  /* at most HEARTH_TENSORS_MAX */
	uint32_t flags;        /* none is defined: must be 0 */
	uint8_t _reserved[32]; /* must be 0 */
};
HEARTH_ASSERT(sizeof(struct hearth_request_header) == 64);
HEARTH_ASSERT(sizeof(struct hearth_request_header) +
	      HEARTH_TENSORS_MAX * sizeof(struct hearth_tensor) <= 2048);

/* A response range of HEARTH_OP_INFER starts with this; `output_count` tensors
 * follow it at once, in the model's order. */
struct hearth_response_header {
	uint32_t header_bytes; /* of this structure, as the daemon knows it */
	uint32_t output_count;
	uint8_t _reserved[56];
};
HEARTH_ASSERT(sizeof(struct hearth_response_header) == 64);

/* HEARTH_OP_STREAM_TEST: the request range starts with this; item k is the
 * u64 k at offset 8 * k of the response range. */
struct hearth_stream_test {
	uint32_t item_count;
	uint32_t _reserved[15];
};
HEARTH_ASSERT(sizeof(struct hearth_stream_test) == 64);

struct hearth_layout {
	uint32_t slots;
	uint32_t completion_slots;
	uint32_t cancel_offset;
	uint32_t request_slots_offset;
	uint32_t request_area_offset;
	uint32_t request_area_bytes;
	uint32_t completion_slots_offset;
	uint32_t response_area_offset;
	uint32_t response_area_bytes;
	uint64_t client_bytes;
	uint64_t daemon_bytes;
};

static inline uint32_t hearth_align_up(uint32_t bytes, uint32_t alignment)
{
	return (bytes + alignment - 1) & ~(alignment - 1);
}

/* The least power of two that is not below `value`; 1 <= value <= 2^31. */
static inline uint32_t hearth_round_up_pow2(uint32_t value)
{
	return value <= 1 ? 1 : UINT32_C(1) << (32 - __builtin_clz(value - 1));
}

/* slots and both areas must be powers of two within the limits of shm/abi.h,
 * the areas at least a page. */
static inline struct hearth_layout hearth_layout_of(uint32_t slots, uint32_t request_area_bytes,
						    uint32_t response_area_bytes)
{
	struct hearth_layout layout;

	layout.slots = slots;
	layout.completion_slots = 2 * slots;
	layout.cancel_offset = (uint32_t)sizeof(struct hearth_lane_client);
	layout.request_slots_offset =
		hearth_align_up(layout.cancel_offset + slots * (uint32_t)sizeof(uint32_t),
				HEARTH_LINE_PAIR_BYTES);
	layout.request_area_offset = hearth_align_up(
		layout.request_slots_offset + slots * (uint32_t)sizeof(struct hearth_request_slot),
		HEARTH_PAGE_BYTES);
	layout.request_area_bytes = request_area_bytes;
	layout.completion_slots_offset = (uint32_t)sizeof(struct hearth_lane_daemon);
	layout.response_area_offset = hearth_align_up(
		layout.completion_slots_offset +
			layout.completion_slots * (uint32_t)sizeof(struct hearth_completion_slot),
		HEARTH_PAGE_BYTES);
	layout.response_area_bytes = response_area_bytes;
	layout.client_bytes = (uint64_t)layout.request_area_offset + request_area_bytes;
	layout.daemon_bytes = (uint64_t)layout.response_area_offset + response_area_bytes;
	return layout;
}

#endif
