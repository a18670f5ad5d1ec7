/* SPDX-License-Identifier: MIT */
/*
 * hearth.h - ask the models that hearthd keeps in memory, through shared memory
 *
 *     hearth_open(NULL, NULL, &hearth)                     one connection
 *     hearth_model(hearth, "shoppers", 0, &model)          what it takes and gives
 *     hearth_acquire(hearth, model, rows, &request)        a place for the inputs
 *       fill request->inputs[i].data                       straight in shared memory
 *     hearth_submit(hearth, request)                       no system call while the daemon is awake
 *     hearth_wait(hearth, -1, &completion)                 or hearth_peek, or poll hearth_fd
 *       read completion->outputs[i].data
 *     hearth_release(hearth, completion->id)               give the place back
 *     hearth_close(hearth)
 *
 * This header is the whole client: C11 or C++17, libc, no library to link. The
 * same functions come as libhearth.so: define HEARTH_USE_SHARED before the
 * include, and link with -lhearth.
 *
 * Owns:     everything the functions hand out belongs to the handle. Models live until
 *           hearth_close; a request and its completions until hearth_release.
 * Threads:  a handle serves one thread at a time; open one for each thread. After fork() every
 *           call in the child fails with -EPERM, except hearth_close, which forgets the child's
 *           copy; inputs and outputs are not mapped in the child.
 * Signals:  EINTR is handled inside and SIGPIPE is never raised. Descriptors are CLOEXEC.
 * Units:    times in ns, sizes in bytes. Deadlines are absolute, in the daemon's CLOCK_MONOTONIC:
 *           hearth_deadline() makes them, also across time namespaces.
 * Growth:   a struct's `size` says how far it goes in the library that filled it; callers set it
 *           only in struct hearth_options. Fields are appended, never moved.
 * Errors:   every int is >= 0, or -errno; hearth_strerror() gives the sentence, and
 *           hearth_completion_strerror() the one of a completion. Outputs are untouched on failure.
 *
 *     returned by a call
 *     -EAGAIN        no slot or no room now: consume and release completions, then try again
 *     -EMSGSIZE      more than the whole area holds; the sentence names wanted and available
 *     -ETIMEDOUT     hearth_wait: nothing came in that time; the requests are still in flight
 *     -ENODATA       hearth_wait: nothing is in flight, so nothing can come
 *     -ENOTCONN      the daemon is gone and everything was reported: close, then open again
 *     -EPROTONOSUPPORT  hearth_open: the sentence names both versions
 *     -EBUSY -EDQUOT hearth_open: the daemon has no place for another connection, or not for this
 *                    user; hearth_release: the request is still in flight
 *     -EINVAL        a mistake of the caller: submitted or released twice, unknown id, limits
 *     -EPERM         the handle belongs to the parent process
 *
 *     in a completion's `status`
 *     -ENOBUFS       the response range is too small; response_bytes says what is needed
 *     -EBUSY         the daemon is full; try again after retry_ns
 *     -EDQUOT        the user's share is used up
 *     -ETIME         the deadline passed first
 *     -ECANCELED     given up by hearth_cancel
 *     -ESHUTDOWN     the daemon is stopping and takes no more; it did not run
 *     -EOWNERDEAD    the daemon died before it answered; it may or may not have run
 *     -EPROTO        the outputs do not fit their range: the daemon is broken
 *     -ENOENT -EINVAL -ERANGE -EMSGSIZE -EOPNOTSUPP -EIO   see hearth_completion_strerror
 *
 * After the daemon's death, what it had published is still handed out, then each request without
 * an answer exactly once as -EOWNERDEAD, then -ENOTCONN. A sleeping hearth_wait, and a program
 * that keeps calling hearth_peek, notices within 50 ms. Outputs stay readable until released.
 */
#ifndef HEARTH_CLIENT_HEARTH_H
#define HEARTH_CLIENT_HEARTH_H

#include <stddef.h>
#include <stdint.h>

/* SPDX-License-Identifier: MIT */
/*
 * shm/abi.h - numbers that both sides of a connection agree on
 *
 * A number in this file never changes its meaning; new ones are appended.
 * A change that an older peer cannot read raises HEARTH_ABI_VERSION.
 */
#ifndef HEARTH_SHM_ABI_H
#define HEARTH_SHM_ABI_H

#include <stdint.h>

#ifdef __cplusplus
#define HEARTH_ASSERT(expression) static_assert(expression, #expression)
#else
#define HEARTH_ASSERT(expression) _Static_assert(expression, #expression)
#endif

#define HEARTH_MAGIC UINT32_C(0x48545248) /* "HRTH", little endian */
#define HEARTH_ABI_VERSION 1u
#define HEARTH_ABI_OLDEST 1u /* the oldest version this tree still speaks */

/* Cache lines are prefetched in pairs: one writer per 128 bytes. */
#define HEARTH_LINE_PAIR_BYTES 128u
#define HEARTH_PAGE_BYTES 4096u

#define HEARTH_SLOTS_MIN 1u
#define HEARTH_SLOTS_MAX 4096u
#define HEARTH_SLOTS_DEFAULT 256u
#define HEARTH_ARENA_BYTES_MIN 4096u
#define HEARTH_ARENA_BYTES_MAX (UINT32_C(1) << 30)
#define HEARTH_REQUEST_ARENA_BYTES_DEFAULT (UINT32_C(16) << 20)
#define HEARTH_RESPONSE_ARENA_BYTES_DEFAULT (UINT32_C(4) << 20)

#define HEARTH_NAME_BYTES 64u      /* model name with its terminator */
#define HEARTH_TENSORS_MAX 64u     /* inputs, and outputs, of one request */
#define HEARTH_RANK_MAX 4u         /* dimensions of a tensor that crosses the rings */
#define HEARTH_ALIGN_BYTES 64u     /* tensors inside a range start at multiples of this */

/* Feature bits: a client asks, the daemon grants a subset. */
#define HEARTH_FEATURE_FUTEX_BELL (UINT64_C(1) << 0)  /* the daemon sleeps on sq_bell */
#define HEARTH_FEATURE_SOCKET_BELL (UINT64_C(1) << 1) /* the daemon sleeps on the socket */
#define HEARTH_FEATURE_PROGRESS (UINT64_C(1) << 2)    /* streaming operations may report */
#define HEARTH_FEATURE_TEST (UINT64_C(1) << 3)        /* HEARTH_OP_STREAM_TEST is served */

/* Data types carry ONNX's numbers (TensorProto.DataType). */
#define HEARTH_F32 1u
#define HEARTH_I32 6u
#define HEARTH_I64 7u

/* Operations of a request slot. */
#define HEARTH_OP_PING 1u        /* computes nothing */
#define HEARTH_OP_INFER 2u       /* request range: hearth_request_header and tensors */
#define HEARTH_OP_STREAM_TEST 3u /* counts in the response range, with progress marks */

/* Completion kinds. */
#define HEARTH_PROGRESS 1u /* more follows for this id */
#define HEARTH_FINAL 2u    /* exactly one for each admitted request */

/* Completion flags. */
#define HEARTH_COMPLETION_RETRIED (UINT32_C(1) << 0) /* executed a second time after a device error */

/* Numerics classes: same version and same class mean the same bits. */
#define HEARTH_NUMERICS_NONE 0u    /* nothing was computed */
#define HEARTH_NUMERICS_F32 1u     /* f32, multiply and add rounded separately */
#define HEARTH_NUMERICS_F32_FMA 2u /* f32, fused multiply-add */

/* How a waiting client wants to be woken (cq_mode). */
#define HEARTH_CQ_POLLING 0u /* not at all */
#define HEARTH_CQ_FUTEX 1u   /* cq_bell changes and is woken */
#define HEARTH_CQ_SOCKET 2u  /* one message on the connection's socket */

#endif

#if defined(HEARTH_BUILD_SHARED) /* libhearth.c alone */
#define HEARTH_API __attribute__((visibility("default")))
#elif defined(HEARTH_USE_SHARED)
#define HEARTH_API extern
#else
#define HEARTH_API static inline
#endif

#ifdef __cplusplus
extern "C" {
#endif

struct hearth;	   /* one connection */
struct hearth_dim; /* symbol, factor, constant: shm/handshake.h */

/* Zero means the default everywhere. */
struct hearth_options {
	size_t size;		      /* sizeof(struct hearth_options) */
	uint64_t slots;		      /* requests held at once: 256, at most 4,096 */
	uint64_t request_area_bytes;  /* inputs of all of them: 16 MiB, at most 1 GiB */
	uint64_t response_area_bytes; /* outputs of all of them: 4 MiB, at most 1 GiB */
	uint64_t features;	      /* HEARTH_FEATURE_* to ask for: all */
	int64_t spin_ns;	      /* look this long before sleeping: 50 us, and with one CPU
				       * not at all; negative: never */
	int64_t reply_timeout_ns;     /* of hearth_open and hearth_model: 10 s */
};

/* A connection, as it came to be. */
struct hearth_info {
	size_t size;
	uint32_t slots;
	uint32_t in_flight; /* submitted, and final completion not yet handed out */
	uint32_t held;	    /* acquired, in flight, or handed out and not yet released */
	uint32_t request_area_bytes;
	uint32_t response_area_bytes;
	uint32_t abi;
	uint64_t features;	      /* granted HEARTH_FEATURE_* */
	uint64_t epoch;		      /* differs for every start of the daemon */
	int64_t clock_offset_ns;      /* daemon's CLOCK_MONOTONIC minus ours */
	uint64_t unknown_completions; /* about no request in flight; always 0 with a sound daemon */
};

/* An input or output of a model. A dimension is factor * sizes[symbol] + constant, or the constant
 * alone where symbol is -1. This structure does not grow. */
struct hearth_tensor_info {
	const char *name;
	uint32_t dtype; /* HEARTH_F32, HEARTH_I32, HEARTH_I64 */
	uint32_t rank;
	const struct hearth_dim *dims; /* [rank] */
};

struct hearth_model_info {
	size_t size;
	const char *name;
	uint32_t handle;
	uint32_t version;	  /* the one described here */
	uint32_t current_version; /* the one that answers when a request pins none */
	uint32_t numerics;	  /* HEARTH_NUMERICS_* */
	uint32_t rows_max;	  /* of one request */
	int32_t row_symbol;	  /* which symbol counts rows; -1: rows depend on each other */
	uint32_t symbol_count;	  /* free sizes; one, the rows, for most models */
	uint32_t input_count;
	uint32_t output_count;
	const struct hearth_tensor_info *inputs;
	const struct hearth_tensor_info *outputs;
};

/* Where the caller writes, row-major. This structure does not grow. */
struct hearth_input {
	void *data; /* in shared memory, 64-byte aligned */
	uint32_t bytes;
	uint16_t dtype;
	uint16_t rank;
	uint32_t dims[HEARTH_RANK_MAX];
};

/* Where the caller reads, row-major. This structure does not grow. */
struct hearth_output {
	const void *data; /* in shared memory, mapped read-only, 64-byte aligned */
	uint32_t bytes;
	uint16_t dtype;
	uint16_t rank;
	uint32_t dims[HEARTH_RANK_MAX];
};

struct hearth_request {
	size_t size;
	uint64_t id;

	/* the caller's to set between acquire and submit; acquire sets them to 0 */
	uint64_t user_data;   /* comes back in every completion */
	int64_t deadline_ns;  /* from hearth_deadline(); 0 = none */
	uint64_t sequence_id; /* decoders: which conversation; 0 = none */
	uint32_t version;     /* answer with this version only; 0 = the current one */
	uint32_t priority;    /* higher first; 0 = ordinary */

	uint32_t input_count;
	uint32_t response_bytes; /* reserved for the outputs */
	struct hearth_input *inputs;
};

struct hearth_completion {
	size_t size;
	uint64_t id;
	uint64_t user_data;
	int32_t status;	      /* >= 0, or -errno */
	uint32_t kind;	      /* HEARTH_FINAL, or HEARTH_PROGRESS: more follows for this id */
	uint32_t flags;	      /* HEARTH_COMPLETION_* */
	uint32_t numerics;    /* HEARTH_NUMERICS_*: same version and class, same bits */
	uint32_t version;     /* of the model that answered; 0 = none */
	uint32_t substituted; /* ids replaced by a table's `missing` row */
	uint32_t ring_ns;     /* submitted to taken by the daemon; these four saturate at 4.29 s */
	uint32_t queue_ns;    /* taken to batch closed */
	uint32_t batch_ns;    /* batch closed to first kernel */
	uint32_t execute_ns;  /* first kernel to last */
	uint64_t retry_ns;    /* -EBUSY: worth another try after this time */
	uint64_t detail;      /* HEARTH_DETAIL_*; hearth_completion_strerror reads it out */
	const void *response; /* the whole response range */
	uint32_t response_bytes; /* written in it; -ENOBUFS: needed; progress: items so far */
	uint32_t output_count;
	const struct hearth_output *outputs; /* in the order of the model's */
};

/* `path` NULL: HEARTH_SOCKET_PATH_DEFAULT. `options` NULL: all defaults. Sizes are rounded up to
 * powers of two; every page is touched here, so that nothing faults later. */
HEARTH_API int hearth_open(const char *path, const struct hearth_options *options,
			   struct hearth **ret_hearth);

/* Asks the daemon about a model; `version` 0 is the current one. Ends what hearth_arm began. */
HEARTH_API int hearth_model(struct hearth *hearth, const char *name, uint32_t version,
			    const struct hearth_model_info **ret_model);

/* A request for `rows` rows; outputs are reserved as the model describes them. A model of fixed
 * shape takes no notice of `rows`; one with several free sizes needs hearth_acquire_sizes. */
HEARTH_API int hearth_acquire(struct hearth *hearth, const struct hearth_model_info *model,
			      uint32_t rows, struct hearth_request **ret_request);

/* The same with every free size given, sizes[model->symbol_count], and with response_bytes
 * reserved for the outputs; 0 reserves what the model describes. */
HEARTH_API int hearth_acquire_sizes(struct hearth *hearth, const struct hearth_model_info *model,
				    const uint32_t sizes[], uint32_t response_bytes,
				    struct hearth_request **ret_request);

/* A request that computes nothing: it goes to the daemon and back. */
HEARTH_API int hearth_acquire_ping(struct hearth *hearth, struct hearth_request **ret_request);

/* For tests of streaming: item k of the response is the u64 k; needs HEARTH_FEATURE_TEST. */
HEARTH_API int hearth_acquire_stream_test(struct hearth *hearth, uint32_t item_count,
					  struct hearth_request **ret_request);

/* Hands a request over; its inputs are the daemon's until the final completion. */
HEARTH_API int hearth_submit(struct hearth *hearth, struct hearth_request *request);

/* Asks for a request in flight to be given up. It still ends with one final completion. */
HEARTH_API int hearth_cancel(struct hearth *hearth, uint64_t id);

/* The next completion, or -EAGAIN. What it points to is valid until the request's next completion
 * or its release. */
HEARTH_API int hearth_peek(struct hearth *hearth, const struct hearth_completion **ret_completion);

/* The same, sleeping until one comes; a negative timeout_ns waits for ever. Sleeps in slices of
 * 20 ms to see whether the daemon lives. Ends what hearth_arm began. */
HEARTH_API int hearth_wait(struct hearth *hearth, int64_t timeout_ns,
			   const struct hearth_completion **ret_completion);

/* Gives back what an id holds: the places of a completed request, or of one that was acquired and
 * is not to be submitted. */
HEARTH_API int hearth_release(struct hearth *hearth, uint64_t id);

/*
 * For a poll loop: a descriptor that becomes readable (POLLIN, or POLLHUP when the daemon dies)
 * after hearth_arm returned 0 and a completion was published. It is never read by the caller.
 *
 *     for (;;) {
 *             while (hearth_peek(hearth, &completion) == 0)
 *                     ...
 *             armed = hearth_arm(hearth);
 *             if (armed < 0)
 *                     break;
 *             if (armed == 0)
 *                     poll(hearth_fd(hearth), POLLIN)
 *     }
 */
HEARTH_API int hearth_fd(const struct hearth *hearth);

/* 0: armed once, sleep on the descriptor. 1: something is there already, peek. */
HEARTH_API int hearth_arm(struct hearth *hearth);

/* The same for a futex wait: 0: sleep while *ret_word is ret_expected. The word is in a shared
 * mapping, and does not change when the daemon dies: watch the descriptor's POLLHUP as well. */
HEARTH_API int hearth_arm_futex(struct hearth *hearth, const uint32_t **ret_word,
				uint32_t *ret_expected);

/* The daemon's clock `from_now_ns` from now, for request->deadline_ns; or -errno. */
HEARTH_API int64_t hearth_deadline(const struct hearth *hearth, int64_t from_now_ns);

/* Valid until the next call on the handle. */
HEARTH_API int hearth_about(struct hearth *hearth, const struct hearth_info **ret_info);

/* The sentence of the calling thread's last failure when it was `error`, else a general one. Valid
 * until the thread's next call. */
HEARTH_API const char *hearth_strerror(int error);

/* What a completion's status means: "input 1 'ids', row 17: id outside its table". Valid until the
 * next call on the handle. */
HEARTH_API const char *hearth_completion_strerror(struct hearth *hearth,
						  const struct hearth_completion *completion);

/* Requests in flight are forgotten. NULL is accepted. */
HEARTH_API int hearth_close(struct hearth *hearth);

#ifdef __cplusplus
}
#endif

/* The names of struct hearth_dim, HEARTH_DETAIL_* and HEARTH_SOCKET_PATH_DEFAULT. */
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
	uint16_t _reserved;
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

/* How it is done, in the order of a request's life. Nothing below is for callers. */
#ifndef HEARTH_USE_SHARED
/* SPDX-License-Identifier: MIT */
/*
 * client/open.h - from a path to two mapped segments, and back
 */
#ifndef HEARTH_CLIENT_OPEN_H
#define HEARTH_CLIENT_OPEN_H

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/un.h>

/* SPDX-License-Identifier: MIT */
/*
 * client/connection.h - what a handle is made of
 *
 * Owns:     both mappings, the socket, and a record for each slot
 * Threads:  one at a time
 */
#ifndef HEARTH_CLIENT_CONNECTION_H
#define HEARTH_CLIENT_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>

/* SPDX-License-Identifier: MIT */
/*
 * client/arena.h - which bytes of a shared area are taken, in private memory
 *
 * The area is a power of two; a range takes a power of two of leaves, at a
 * multiple of its size. tree[1] is the root, tree[2n] and tree[2n + 1] are the
 * halves of tree[n]; each says 1 + log2(leaves) of the largest free block below
 * it, 0 = none. Acquire and release walk one path, at most 17 nodes.
 *
 * Owns:     the tree
 * Units:    bytes from the start of the area
 */
#ifndef HEARTH_CLIENT_ARENA_H
#define HEARTH_CLIENT_ARENA_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>


#define HEARTH_ARENA_LEAVES_MAX 65536u

struct hearth_arena {
	uint8_t *tree;
	uint32_t area_bytes;
	uint32_t leaf_log2; /* of its bytes */
	uint32_t order_max; /* log2(leaves) */
};

static inline uint32_t hearth_log2_up(uint32_t value)
{
	return value <= 1 ? 0 : 32u - (uint32_t)__builtin_clz(value - 1);
}

static inline bool hearth_arena_init(struct hearth_arena *arena, uint32_t area_bytes)
{
	uint32_t leaves = area_bytes / HEARTH_ALIGN_BYTES;
	uint32_t node;
	uint32_t order;

	if (leaves > HEARTH_ARENA_LEAVES_MAX)
		leaves = HEARTH_ARENA_LEAVES_MAX;
	arena->area_bytes = area_bytes;
	arena->leaf_log2 = hearth_log2_up(area_bytes / leaves);
	arena->order_max = hearth_log2_up(leaves);
	arena->tree = (uint8_t *)malloc(2 * (size_t)leaves);
	if (!arena->tree)
		return false;
	arena->tree[0] = 0;
	order = arena->order_max;
	for (node = 1; node < 2 * leaves; node++) {
		arena->tree[node] = (uint8_t)(order + 1);
		if (node + 1 == UINT32_C(2) << (arena->order_max - order))
			order--; /* the next node begins a level */
	}
	return true;
}

static inline uint32_t hearth_arena_order(const struct hearth_arena *arena, uint32_t bytes)
{
	uint32_t order = hearth_log2_up(bytes);

	return order > arena->leaf_log2 ? order - arena->leaf_log2 : 0;
}

/* 1 <= bytes <= area_bytes */
static inline bool hearth_arena_acquire(struct hearth_arena *arena, uint32_t bytes,
					uint32_t *ret_offset)
{
	uint32_t wanted = hearth_arena_order(arena, bytes);
	uint32_t order;
	uint32_t node = 1;
	uint8_t *tree = arena->tree;

	if (tree[1] <= wanted)
		return false;
	for (order = arena->order_max; order > wanted; order--) {
		uint32_t left = 2 * node;
		uint32_t right = left + 1;
		bool is_left_better = tree[right] <= wanted || tree[left] <= tree[right];

		/* the smaller of the halves that suffice keeps large blocks whole */
		node = tree[left] > wanted && is_left_better ? left : right;
	}
	tree[node] = 0;
	*ret_offset = (node - (UINT32_C(1) << (arena->order_max - wanted)))
		      << (wanted + arena->leaf_log2);
	for (node /= 2; node > 0; node /= 2)
		tree[node] =
			tree[2 * node] > tree[2 * node + 1] ? tree[2 * node] : tree[2 * node + 1];
	return true;
}

static inline void hearth_arena_release(struct hearth_arena *arena, uint32_t offset, uint32_t bytes)
{
	uint32_t order = hearth_arena_order(arena, bytes);
	uint32_t node = (UINT32_C(1) << (arena->order_max - order)) +
			(offset >> (order + arena->leaf_log2));
	uint8_t *tree = arena->tree;

	tree[node] = (uint8_t)(order + 1);
	for (node /= 2; node > 0; node /= 2) {
		uint8_t left = tree[2 * node];
		uint8_t right = tree[2 * node + 1];

		order++;
		if (left == order && right == order)
			tree[node] = (uint8_t)(order + 1); /* both halves are whole */
		else
			tree[node] = left > right ? left : right;
	}
}

#endif
/* SPDX-License-Identifier: MIT */
/*
 * client/failure.h - the sentence of a thread's last failure
 *
 * Owns:     one sentence for each thread, shared by all files of a program that include this
 */
#ifndef HEARTH_CLIENT_FAILURE_H
#define HEARTH_CLIENT_FAILURE_H

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>


struct hearth_failure {
	int error;
	char text[HEARTH_TEXT_BYTES];
};

/* One for each thread, shared by all files of a program that include this header. */
__attribute__((weak, visibility("hidden"))) __thread struct hearth_failure hearth_last_failure;

static inline int hearth_fail(int error)
{
	hearth_last_failure.error = error;
	hearth_last_failure.text[0] = '\0';
	return error < 0 ? error : -EIO;
}

__attribute__((format(printf, 1, 2))) static inline void hearth_explain_write(const char *format,
									      ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(hearth_last_failure.text, sizeof(hearth_last_failure.text), format,
			arguments);
	va_end(arguments);
}

/* Returns its number, so that the compiler sees a failure wherever one is returned. */
static inline int hearth_explained(int error)
{
	hearth_last_failure.error = error;
	return error < 0 ? error : -EIO;
}

/* Fails with a sentence: what was wrong, what was wanted, how to mend it. */
#define hearth_explain(error, ...) (hearth_explain_write(__VA_ARGS__), hearth_explained(error))

static inline const char *hearth_error_sentence(int error)
{
	switch (-error) {
	case EAGAIN:
		return "nothing there, or no slot or room left: consume and release completions";
	case EMSGSIZE:
		return "too large";
	case ENOBUFS:
		return "the response range is too small";
	case EBUSY:
		return "the daemon is full, or the request is still in flight";
	case EDQUOT:
		return "the quota of this user is used up";
	case ETIME:
		return "the deadline passed before the answer";
	case ETIMEDOUT:
		return "nothing came in the time given";
	case ENODATA:
		return "nothing is in flight";
	case ECANCELED:
		return "canceled";
	case ESHUTDOWN:
		return "the daemon is stopping and takes no more requests";
	case EOWNERDEAD:
		return "the daemon died before it answered";
	case ENOTCONN:
		return "the daemon is gone: close this handle and open another";
	case EPERM:
		return "this handle belongs to the parent process: open another after fork()";
	case EINVAL:
		return "not a valid argument, or not in a state for this call";
	case EPROTO:
		return "the daemon's answer does not make sense";
	case ERANGE:
		return "an id is outside its table";
	case EIO:
		return "rows could not be read from storage";
	default:
		return error < 0 ? strerror(-error) : "no error";
	}
}

HEARTH_API const char *hearth_strerror(int error)
{
	if (error < 0 && hearth_last_failure.error == error && hearth_last_failure.text[0])
		return hearth_last_failure.text;
	return hearth_error_sentence(error);
}

#endif
/* SPDX-License-Identifier: MIT */
/*
 * shm/ring.h - publish and take 64-byte slots, and agree about sleeping
 *
 * One producer and one consumer a ring. A slot carries its own sequence
 * (position + 1), written last: a slot whose sequence is not the expected one
 * is empty. Nothing in this file loops or waits; push and pop try once, so a
 * model checker takes the file as it is.
 *
 * Sleeping is symmetric in both directions. The sleeper owns a "wait" word and
 * the ringer owns a "bell" word, each in the segment that its owner writes:
 *
 *     sleeper                              ringer
 *     b = bell                             publish a slot
 *     wait = wanted                        full fence            F2
 *     full fence            F1             if wait says so:
 *     look once more                           bell = bell + 1
 *     sleep while bell == b                    wake the sleepers of bell
 *
 * Either the sleeper's last look sees the slot, or the ringer sees `wait`; a
 * bell rung between the two is a changed word, and the sleep returns at once.
 *
 * Threads:  each function names the side that may call it
 * Errors:   none; what a lying peer can write is checked by the caller
 * Source:   the fences are Dekker's; slot sequences follow Vyukov's bounded
 *           queue, with one producer and one consumer
 */
#ifndef HEARTH_SHM_RING_H
#define HEARTH_SHM_RING_H

#include <stdbool.h>
#include <stdint.h>

/* SPDX-License-Identifier: MIT */
/*
 * shm/barrier.h - the only names by which shared memory is read and written
 *
 * Threads:  two processes share every word; each word has exactly one writer
 * Units:    none
 *
 * Plain integers are touched only through these names, so that one layout
 * serves C and C++. Wherever one of the ordered names is used, a comment beside
 * it carries a label, the ordering, the label of its partner, and what goes
 * wrong without it; `make tidy` fails when a label has no partner.
 */
#ifndef HEARTH_SHM_BARRIER_H
#define HEARTH_SHM_BARRIER_H

#include <stdint.h>

/* No ordering; the word is read or written once and never torn. */
#define hearth_load_relaxed(word) __atomic_load_n((word), __ATOMIC_RELAXED)
#define hearth_store_relaxed(word, value) __atomic_store_n((word), (value), __ATOMIC_RELAXED)

/* Everything written before the store is visible to who loads the value. */
#define hearth_load_acquire(word) __atomic_load_n((word), __ATOMIC_ACQUIRE)
#define hearth_store_release(word, value) __atomic_store_n((word), (value), __ATOMIC_RELEASE)

/* A store before the fence is globally visible before a load after it. */
#define hearth_fence_full() __atomic_thread_fence(__ATOMIC_SEQ_CST)

/* Tells the core that the surrounding loop waits; orders nothing. */
static inline void hearth_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ __volatile__("isb");
#endif
}

#endif

/* Slots move as words: a peer may overwrite one while it is copied, and a word
 * is never torn. The copy is what gets validated. */
typedef uint64_t __attribute__((may_alias)) hearth_word;

static inline void hearth_slot_store_body(void *slot, const void *body)
{
	hearth_word *to = (hearth_word *)slot;
	const hearth_word *from = (const hearth_word *)body;

	hearth_store_relaxed(to + 1, from[1]);
	hearth_store_relaxed(to + 2, from[2]);
	hearth_store_relaxed(to + 3, from[3]);
	hearth_store_relaxed(to + 4, from[4]);
	hearth_store_relaxed(to + 5, from[5]);
	hearth_store_relaxed(to + 6, from[6]);
	hearth_store_relaxed(to + 7, from[7]);
}

static inline void hearth_slot_load_body(void *body, const void *slot)
{
	hearth_word *to = (hearth_word *)body;
	const hearth_word *from = (const hearth_word *)slot;

	to[1] = hearth_load_relaxed(from + 1);
	to[2] = hearth_load_relaxed(from + 2);
	to[3] = hearth_load_relaxed(from + 3);
	to[4] = hearth_load_relaxed(from + 4);
	to[5] = hearth_load_relaxed(from + 5);
	to[6] = hearth_load_relaxed(from + 6);
	to[7] = hearth_load_relaxed(from + 7);
}

/* Client. The caller knows by its credits that the slot is free. */
static inline void hearth_sq_push(struct hearth_request_slot *slots, uint32_t slot_count,
				  uint64_t position, const struct hearth_request_slot *request)
{
	struct hearth_request_slot *slot = slots + (position & (slot_count - 1));

	hearth_slot_store_body(slot, request);
	/* P1 (release) pairs with C1: the slot's body, and the request range it
	 * names, are visible before its sequence. Without it the daemon can
	 * read the slot's previous occupant. */
	hearth_store_release(&slot->seq, position + 1);
}

/* Daemon. Copies the slot at `position` when it is there; judges nothing. */
static inline bool hearth_sq_pop(const struct hearth_request_slot *slots, uint32_t slot_count,
				 uint64_t position, struct hearth_request_slot *ret_request)
{
	const struct hearth_request_slot *slot = slots + (position & (slot_count - 1));

	/* C1 (acquire) pairs with P1: the body is read after its sequence.
	 * Without it a fresh sequence can come with a stale body. */
	if (hearth_load_acquire(&slot->seq) != position + 1)
		return false;
	hearth_slot_load_body(ret_request, slot);
	ret_request->seq = position + 1;
	return true;
}

/* Daemon. The caller reserved the place at admission. */
static inline void hearth_cq_push(struct hearth_completion_slot *slots, uint32_t slot_count,
				  uint64_t position,
				  const struct hearth_completion_slot *completion)
{
	struct hearth_completion_slot *slot = slots + (position & (slot_count - 1));

	hearth_slot_store_body(slot, completion);
	/* P2 (release) pairs with C2: the completion's body, and the response
	 * range it is about, are visible before its sequence. Without it the
	 * client can read results that are not there yet. */
	hearth_store_release(&slot->seq, position + 1);
}

/* Client. Copies the completion at `position` when it is there. */
static inline bool hearth_cq_pop(const struct hearth_completion_slot *slots, uint32_t slot_count,
				 uint64_t position, struct hearth_completion_slot *ret_completion)
{
	const struct hearth_completion_slot *slot = slots + (position & (slot_count - 1));

	/* C2 (acquire) pairs with P2: the body and the response range are read
	 * after the sequence. Without it they can be older than it. */
	if (hearth_load_acquire(&slot->seq) != position + 1)
		return false;
	hearth_slot_load_body(ret_completion, slot);
	ret_completion->seq = position + 1;
	return true;
}

/* Client. Gives every completion slot below `consumed` back to the daemon. */
static inline void hearth_cq_consume(struct hearth_lane_client *client, uint64_t consumed)
{
	/* P3 (release) pairs with C3: the completion was copied before its
	 * place is given back. Without it the daemon can overwrite a
	 * completion that is still being read. */
	hearth_store_release(&client->cq_head, consumed);
}

/* Daemon. What the client says it has consumed; the caller checks that it lies
 * between the last value and what was published. */
static inline uint64_t hearth_cq_consumed(const struct hearth_lane_client *client)
{
	/* C3 (acquire) pairs with P3: a place is reused only after the client's
	 * reads of it. Without it a new completion can be written too early. */
	return hearth_load_acquire(&client->cq_head);
}

/* Client, after hearth_sq_push: must the daemon be rung? */
static inline bool hearth_sq_must_ring(const struct hearth_lane_daemon *daemon)
{
	/* F2 (full fence) pairs with F1: the published slot is visible before
	 * need_wakeup is read. Without it both sides can read the past, and
	 * the request waits until the daemon's bounded sleep ends. */
	hearth_fence_full();
	return hearth_load_relaxed(&daemon->need_wakeup) != 0;
}

/* Client: changes the bell; the caller then wakes its sleepers. */
static inline void hearth_sq_ring(struct hearth_lane_client *client)
{
	hearth_store_relaxed(&client->sq_bell, hearth_load_relaxed(&client->sq_bell) + 1);
}

/* Daemon: announces sleep. The caller then looks at the ring once more, and
 * sleeps only while client->sq_bell is the returned value. */
static inline uint32_t hearth_sq_doze(struct hearth_lane_daemon *daemon,
				      const struct hearth_lane_client *client)
{
	uint32_t bell = hearth_load_relaxed(&client->sq_bell);

	hearth_store_relaxed(&daemon->need_wakeup, 1);
	/* F1 (full fence) pairs with F2: need_wakeup is visible before the last
	 * look at the ring. Without it a request can be published unseen. */
	hearth_fence_full();
	return bell;
}

static inline void hearth_sq_awake(struct hearth_lane_daemon *daemon)
{
	hearth_store_relaxed(&daemon->need_wakeup, 0);
}

/* Daemon, after publishing up to `published`, having last looked when
 * `published_before` were: how must the client be rung (HEARTH_CQ_*)? */
static inline uint32_t hearth_cq_must_ring(const struct hearth_lane_client *client,
					   uint64_t published_before, uint64_t published)
{
	uint64_t wait;

	/* F4 (full fence) pairs with F3: the completion is visible before
	 * cq_wait is read. Without it both sides can read the past, and the
	 * client sleeps until its bounded wait ends. */
	hearth_fence_full();
	wait = hearth_load_relaxed(&client->cq_wait);
	if (wait <= published_before || wait > published)
		return HEARTH_CQ_POLLING;
	return hearth_load_relaxed(&client->cq_mode);
}

/* Daemon: changes the bell; the caller then wakes its sleepers. */
static inline void hearth_cq_ring(struct hearth_lane_daemon *daemon)
{
	hearth_store_relaxed(&daemon->cq_bell, hearth_load_relaxed(&daemon->cq_bell) + 1);
}

/* Client: announces sleep until `position` completions are published. The
 * caller then looks once more, and sleeps only while daemon->cq_bell is the
 * returned value. */
static inline uint32_t hearth_cq_doze(struct hearth_lane_client *client,
				      const struct hearth_lane_daemon *daemon, uint64_t position,
				      uint32_t mode)
{
	uint32_t bell = hearth_load_relaxed(&daemon->cq_bell);

	hearth_store_relaxed(&client->cq_mode, mode);
	hearth_store_relaxed(&client->cq_wait, position);
	/* F3 (full fence) pairs with F4: cq_wait is visible before the last
	 * look at the completions. Without it one can be published unseen. */
	hearth_fence_full();
	return bell;
}

static inline void hearth_cq_awake(struct hearth_lane_client *client)
{
	hearth_store_relaxed(&client->cq_wait, 0);
}

/* Client: asks for the request in place `index` of `generation` to be given
 * up. It still ends with exactly one final completion. */
static inline void hearth_cancel_store(uint32_t *cancel, uint32_t index, uint32_t generation)
{
	hearth_store_relaxed(cancel + index, generation);
}

static inline bool hearth_cancel_wanted(const uint32_t *cancel, uint64_t id)
{
	return hearth_load_relaxed(cancel + (uint32_t)id) == (uint32_t)(id >> 32);
}

#endif

#define HEARTH_FORK_COOKIE UINT32_C(0x68656172)

enum hearth_record_state {
	HEARTH_RECORD_FREE,
	HEARTH_RECORD_ACQUIRED,
	HEARTH_RECORD_SUBMITTED,
	HEARTH_RECORD_COMPLETED, /* its final completion was handed out */
};

/* Everything about one slot; its place in the array is the id's index. */
struct hearth_record {
	struct hearth_request request;
	struct hearth_completion completion;
	const struct hearth_model_info *model; /* NULL: not an inference */
	struct hearth_input *inputs;	       /* room, kept from request to request */
	struct hearth_output *outputs;
	uint32_t input_room;
	uint32_t output_room;
	uint32_t state; /* enum hearth_record_state */
	uint32_t generation;
	uint32_t operation;
	uint32_t request_offset;
	uint32_t request_bytes; /* 0: no range */
	uint32_t response_offset;
	uint32_t response_bytes; /* 0: no range */
};

/* A description that arrived, with the packet it came in. */
struct hearth_model_entry {
	struct hearth_model_entry *next;
	struct hearth_model_info info;
	struct hearth_tensor_info *tensors;
	struct hearth_dim *dims; /* HEARTH_RANK_MAX for each tensor */
	char *names;
	uint8_t *packet;
	uint32_t packet_bytes;
	char name[HEARTH_NAME_BYTES];
};

struct hearth {
	uint32_t *fork_cookie; /* a page that fork() wipes in the child */
	struct hearth_lane_client *client;
	const struct hearth_lane_daemon *daemon;
	uint32_t *cancel;
	struct hearth_request_slot *request_slots;
	const struct hearth_completion_slot *completion_slots;
	uint8_t *request_area;
	const uint8_t *response_area;
	struct hearth_layout layout;
	uint64_t features;
	int64_t clock_offset_ns;
	int64_t spin_ns;
	uint32_t spin_misses; /* looks in a row that ended in sleep */
	int64_t reply_timeout_ns;
	int fd;

	uint64_t sq_position; /* requests pushed */
	uint64_t cq_position; /* completions popped */
	int64_t alive_ns;     /* when the daemon was last seen alive, coarse clock */
	uint32_t in_flight;
	uint32_t free_count;
	uint32_t orphan_index;	/* after death: next record to report */
	uint32_t describe_cookie; /* of the last question; late answers to others are dropped */
	bool is_dead;
	bool is_armed;		       /* a bell may come on the socket */
	struct hearth_record *records; /* [slots] */
	uint32_t *free_indices;	       /* [slots], a stack: the last one back is the warmest */
	struct hearth_arena request_arena;
	struct hearth_arena response_arena;
	struct hearth_model_entry *models;
	struct hearth_info info;
	char text[HEARTH_TEXT_BYTES];
};

/* Before anything that is not private memory is touched. */
static inline int hearth_check(const struct hearth *hearth)
{
	if (!hearth)
		return hearth_fail(-EINVAL);
	if (hearth_load_relaxed(hearth->fork_cookie) != HEARTH_FORK_COOKIE)
		return hearth_fail(-EPERM);
	return 0;
}

static inline uint32_t hearth_dtype_bytes(uint32_t dtype)
{
	switch (dtype) {
	case HEARTH_F32:
	case HEARTH_I32:
		return 4;
	case HEARTH_I64:
		return 8;
	default:
		return 0;
	}
}

#endif
/* SPDX-License-Identifier: MIT */
/*
 * client/socket.h - packets of shm/handshake.h, sent and received within a time
 *
 * Errors:   -ETIMEDOUT, -ECONNRESET when the daemon has gone, or what send and recvmsg return
 */
#ifndef HEARTH_CLIENT_SOCKET_H
#define HEARTH_CLIENT_SOCKET_H

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

/* SPDX-License-Identifier: MIT */
/*
 * client/linux.h - the kernel as a strict -std=c11 shows it: clocks, futexes, CPUs
 *
 * libc hides part of its declarations from strict C, and a header cannot ask for
 * them once another one was included; so what is needed of them is here.
 *
 * Units:    ns
 */
#ifndef HEARTH_CLIENT_LINUX_H
#define HEARTH_CLIENT_LINUX_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Linux's numbers for what libc hides under -std=c11 (all architectures that hearth runs on). */
#define HEARTH_MAP_ANONYMOUS 0x20
#define HEARTH_MADV_DONTFORK 10
#define HEARTH_MADV_WIPEONFORK 18
#define HEARTH_MADV_POPULATE_READ 22
#define HEARTH_MADV_POPULATE_WRITE 23
#define HEARTH_F_GET_SEALS 1034
#define HEARTH_SEALS_WANTED 0x6 /* F_SEAL_SHRINK | F_SEAL_GROW */
#define HEARTH_FUTEX_WAIT 0
#define HEARTH_FUTEX_WAKE 1
#define HEARTH_CLOCK_MONOTONIC 1
#define HEARTH_CLOCK_MONOTONIC_COARSE 6
#ifndef __USE_MISC
extern long syscall(long number, ...);
#endif
#ifndef __USE_POSIX199309
extern int clock_gettime(__clockid_t clock, struct timespec *ret_time);
#endif

static inline int64_t hearth_clock_ns(int clock)
{
	struct timespec time;

	(void)clock_gettime(clock, &time);
	return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static inline int64_t hearth_time_after(int64_t now_ns, int64_t from_now_ns)
{
	return from_now_ns > INT64_MAX - now_ns ? INT64_MAX : now_ns + from_now_ns;
}

/* Returns at a wake, a changed word, a signal or after sleep_ns, all alike. */
static inline void hearth_futex_wait(const uint32_t *word, uint32_t expected, int64_t sleep_ns)
{
	struct timespec time;

	time.tv_sec = (time_t)(sleep_ns / 1000000000);
	time.tv_nsec = (long)(sleep_ns % 1000000000);
	(void)syscall(SYS_futex, word, HEARTH_FUTEX_WAIT, expected, &time, NULL, 0);
}

static inline uint32_t hearth_cpu_count(void)
{
	unsigned long mask[128];
	uint32_t word;
	uint32_t count = 0;
	long bytes;

	bytes = syscall(SYS_sched_getaffinity, 0, sizeof(mask), mask);
	for (word = 0; word < (uint32_t)(bytes > 0 ? bytes : 0) / sizeof(mask[0]); word++)
		count += (uint32_t)__builtin_popcountl(mask[word]);
	return count;
}

#endif

/* Reads bells away. Learns that the daemon is gone; completions published before that are visible
 * from here on. */
static inline void hearth_socket_drain(struct hearth *hearth)
{
	uint8_t packet[64];
	ssize_t bytes;

	if (hearth->is_dead)
		return;
	hearth->alive_ns = hearth_clock_ns(HEARTH_CLOCK_MONOTONIC_COARSE);
	do {
		bytes = recv(hearth->fd, packet, sizeof(packet), MSG_DONTWAIT);
	} while (bytes > 0 || (bytes < 0 && errno == EINTR));
	if (bytes == 0 || (errno != EAGAIN && errno != EWOULDBLOCK))
		hearth->is_dead = true;
}

/* One packet, whole or not at all; waits until `until_ns`. */
static inline int hearth_socket_send(int fd, const void *packet, size_t packet_bytes,
				     int64_t until_ns)
{
	struct pollfd poller;

	for (;;) {
		ssize_t sent = send(fd, packet, packet_bytes, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent >= 0)
			return 0;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN && errno != EWOULDBLOCK)
			return -errno;
		if (hearth_clock_ns(HEARTH_CLOCK_MONOTONIC) >= until_ns)
			return -ETIMEDOUT;
		poller.fd = fd;
		poller.events = POLLOUT;
		(void)poll(&poller, 1, 100);
	}
}

/* Returns the bytes of one packet; `ret_fds` may be NULL, else takes up to two descriptors, and
 * those that did not come stay -1. */
static inline int hearth_socket_receive(int fd, void *packet, size_t packet_bytes, int64_t until_ns,
					int ret_fds[2])
{
	union {
		struct cmsghdr header;
		uint8_t bytes[CMSG_SPACE(2 * sizeof(int))];
	} control;
	struct msghdr message;
	struct iovec vector;
	struct pollfd poller;

	for (;;) {
		ssize_t received;

		memset(&message, 0, sizeof(message));
		vector.iov_base = packet;
		vector.iov_len = packet_bytes;
		message.msg_iov = &vector;
		message.msg_iovlen = 1;
		message.msg_control = ret_fds ? &control : NULL;
		message.msg_controllen = ret_fds ? sizeof(control) : 0;
		received = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (received >= 0) {
			struct cmsghdr *header = ret_fds ? CMSG_FIRSTHDR(&message) : NULL;

			if (header && header->cmsg_level == SOL_SOCKET &&
			    header->cmsg_type == SCM_RIGHTS && header->cmsg_len > CMSG_LEN(0))
				memcpy(ret_fds, CMSG_DATA(header), header->cmsg_len - CMSG_LEN(0));
			return received == 0 ? -ECONNRESET : (int)received;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN && errno != EWOULDBLOCK)
			return -errno;
		if (hearth_clock_ns(HEARTH_CLOCK_MONOTONIC) >= until_ns)
			return -ETIMEDOUT;
		poller.fd = fd;
		poller.events = POLLIN;
		(void)poll(&poller, 1, 100);
	}
}

static inline void hearth_message_init(struct hearth_message *message, uint16_t type, size_t bytes)
{
	memset(message, 0, bytes);
	message->magic = HEARTH_MAGIC;
	message->type = type;
	message->bytes = (uint32_t)bytes;
}

#endif

#define HEARTH_SPIN_NS_DEFAULT 50000 /* what a wake across two CPUs costs at most */
#define HEARTH_REPLY_TIMEOUT_NS_DEFAULT INT64_C(10000000000)

static inline int hearth_size_round(const char *name, uint64_t wanted, uint32_t otherwise,
				    uint32_t min, uint32_t max, uint32_t *ret_rounded)
{
	if (wanted > max)
		return hearth_explain(-EINVAL, "%s is %llu, at most %u", name,
				      (unsigned long long)wanted, max);
	if (wanted == 0)
		wanted = otherwise;
	*ret_rounded = hearth_round_up_pow2(wanted < min ? min : (uint32_t)wanted);
	return 0;
}

/* A caller's options may be shorter than ours, or longer when the rest is zero. */
static inline int hearth_options_read(const struct hearth_options *options,
				      struct hearth_options *ret_options, struct hearth *hearth)
{
	struct hearth_options mine;
	uint32_t slots;
	uint32_t request_area_bytes;
	uint32_t response_area_bytes;
	const uint8_t *bytes = (const uint8_t *)options;
	size_t byte;
	int r;

	memset(&mine, 0, sizeof(mine));
	/* The compiler sees a caller's own structure here; a later one may be longer. */
	__asm__("" : "+r"(bytes));
	if (options) {
		if (options->size < sizeof(options->size))
			return hearth_explain(-EINVAL,
					      "options.size is %zu: set it to sizeof(struct "
					      "hearth_options)",
					      options->size);
		for (byte = sizeof(mine); byte < options->size; byte++)
			if (bytes[byte] != 0)
				return hearth_explain(-E2BIG,
						      "options byte %zu is not known to this "
						      "library and not zero",
						      byte);
		memcpy(&mine, options, options->size < sizeof(mine) ? options->size : sizeof(mine));
	}
	r = hearth_size_round("slots", mine.slots, HEARTH_SLOTS_DEFAULT, HEARTH_SLOTS_MIN,
			      HEARTH_SLOTS_MAX, &slots);
	if (r < 0)
		return r;
	r = hearth_size_round("request_area_bytes", mine.request_area_bytes,
			      HEARTH_REQUEST_ARENA_BYTES_DEFAULT, HEARTH_ARENA_BYTES_MIN,
			      HEARTH_ARENA_BYTES_MAX, &request_area_bytes);
	if (r < 0)
		return r;
	r = hearth_size_round("response_area_bytes", mine.response_area_bytes,
			      HEARTH_RESPONSE_ARENA_BYTES_DEFAULT, HEARTH_ARENA_BYTES_MIN,
			      HEARTH_ARENA_BYTES_MAX, &response_area_bytes);
	if (r < 0)
		return r;
	if (mine.features == 0)
		mine.features = HEARTH_FEATURE_FUTEX_BELL | HEARTH_FEATURE_SOCKET_BELL |
				HEARTH_FEATURE_PROGRESS | HEARTH_FEATURE_TEST;
	if (mine.spin_ns == 0)
		mine.spin_ns = hearth_cpu_count() > 1 ? HEARTH_SPIN_NS_DEFAULT : 0;
	if (mine.reply_timeout_ns <= 0)
		mine.reply_timeout_ns = HEARTH_REPLY_TIMEOUT_NS_DEFAULT;
	hearth->layout = hearth_layout_of(slots, request_area_bytes, response_area_bytes);
	hearth->spin_ns = mine.spin_ns;
	hearth->reply_timeout_ns = mine.reply_timeout_ns;
	*ret_options = mine;
	return 0;
}

static inline int hearth_connect(const char *path, int64_t until_ns, int *ret_fd)
{
	struct sockaddr_un address;
	int fd;
	int error;

	memset(&address, 0, sizeof(address));
	address.sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(address.sun_path))
		return hearth_explain(-ENAMETOOLONG, "the socket's path has %zu bytes, at most %zu",
				      strlen(path), sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, path, strlen(path));
	/* Not blocking, so that a daemon that does not accept cannot hold the caller. */
	fd = socket(AF_UNIX, (int)SOCK_SEQPACKET | (int)SOCK_CLOEXEC | (int)SOCK_NONBLOCK, 0);
	if (fd < 0)
		return hearth_explain(-errno, "cannot make a socket: %s", strerror(errno));
	while (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		error = errno;
		if ((error == EAGAIN || error == EINTR) &&
		    hearth_clock_ns(HEARTH_CLOCK_MONOTONIC) < until_ns) {
			(void)poll(NULL, 0, error == EAGAIN ? 5 : 0);
			continue;
		}
		close(fd);
		return hearth_explain(-error, "cannot connect to %s: %s (does hearthd run?)", path,
				      error == EAGAIN ? "it does not accept connections"
						      : strerror(error));
	}
	*ret_fd = fd;
	return 0;
}

static inline bool hearth_is_size(uint32_t size, uint32_t min, uint32_t max)
{
	return size >= min && size <= max && (size & (size - 1)) == 0;
}

/* Judges a reply of `bytes` bytes; its text is the daemon's own sentence. */
static inline int hearth_hello_check(struct hearth_hello_reply *reply, int bytes, const int fds[2])
{
	if (bytes < 64 || reply->message.magic != HEARTH_MAGIC ||
	    reply->message.type != HEARTH_MESSAGE_HELLO_REPLY)
		return hearth_explain(-EPROTO, "what listens there does not speak hearth");
	reply->text[sizeof(reply->text) - 1] = '\0';
	if (reply->abi_oldest > HEARTH_ABI_VERSION || reply->abi_newest < HEARTH_ABI_OLDEST ||
	    reply->message.status == -EPROTONOSUPPORT)
		return hearth_explain(-EPROTONOSUPPORT,
				      "the daemon speaks ABI versions %u to %u, this client %u to "
				      "%u: update the older one",
				      reply->abi_oldest, reply->abi_newest, HEARTH_ABI_OLDEST,
				      HEARTH_ABI_VERSION);
	if (reply->message.status < 0)
		return hearth_explain(
			reply->message.status < -4095 ? -EPROTO : reply->message.status, "%s",
			reply->text[0] ? reply->text
				       : hearth_error_sentence(reply->message.status));
	if (fds[0] < 0 || fds[1] < 0)
		return hearth_explain(-EMFILE, "the daemon's two descriptors did not arrive: is "
					       "the limit of open files reached?");
	if (reply->abi < HEARTH_ABI_OLDEST || reply->abi > HEARTH_ABI_VERSION)
		return hearth_explain(-EPROTO, "the daemon chose ABI version %u, not in %u to %u",
				      reply->abi, HEARTH_ABI_OLDEST, HEARTH_ABI_VERSION);
	if (!hearth_is_size(reply->slots, HEARTH_SLOTS_MIN, HEARTH_SLOTS_MAX) ||
	    !hearth_is_size(reply->request_area_bytes, HEARTH_ARENA_BYTES_MIN,
			    HEARTH_ARENA_BYTES_MAX) ||
	    !hearth_is_size(reply->response_area_bytes, HEARTH_ARENA_BYTES_MIN,
			    HEARTH_ARENA_BYTES_MAX))
		return hearth_explain(-EPROTO,
				      "the daemon granted %u slots and areas of %u and %u bytes, "
				      "which cannot be",
				      reply->slots, reply->request_area_bytes,
				      reply->response_area_bytes);
	return 0;
}

static inline int hearth_hello_exchange(struct hearth *hearth, const struct hearth_options *options,
					int64_t until_ns, int ret_fds[2])
{
	struct hearth_hello hello;
	struct hearth_hello_reply reply;
	int64_t asked_ns;
	int64_t answered_ns;
	int r;

	hearth_message_init(&hello.message, HEARTH_MESSAGE_HELLO, sizeof(hello));
	hello.abi_oldest = HEARTH_ABI_OLDEST;
	hello.abi_newest = HEARTH_ABI_VERSION;
	hello.features = options->features;
	hello.slots = hearth->layout.slots;
	hello.request_area_bytes = hearth->layout.request_area_bytes;
	hello.response_area_bytes = hearth->layout.response_area_bytes;
	memset(&reply, 0, sizeof(reply));

	asked_ns = hearth_clock_ns(HEARTH_CLOCK_MONOTONIC);
	r = hearth_socket_send(hearth->fd, &hello, sizeof(hello), until_ns);
	if (r < 0)
		return hearth_explain(r, "cannot greet the daemon: %s", strerror(-r));
	r = hearth_socket_receive(hearth->fd, &reply, sizeof(reply), until_ns, ret_fds);
	if (r < 0)
		return hearth_explain(r, "the daemon did not answer the greeting: %s",
				      strerror(-r));
	answered_ns = hearth_clock_ns(HEARTH_CLOCK_MONOTONIC);
	r = hearth_hello_check(&reply, r, ret_fds);
	if (r < 0)
		return r;

	hearth->layout = hearth_layout_of(reply.slots, reply.request_area_bytes,
					  reply.response_area_bytes);
	hearth->features = reply.features & options->features;
	/* The daemon read its clock between our two readings. When its reading lies between them
	 * the clocks are one clock; otherwise the later reading is the closer one, and leaves
	 * deadlines early by the time that the answer travelled, never late. */
	if ((int64_t)reply.now_ns >= asked_ns && (int64_t)reply.now_ns <= answered_ns)
		hearth->clock_offset_ns = 0;
	else
		hearth->clock_offset_ns = (int64_t)(reply.now_ns - (uint64_t)answered_ns);
	hearth->info.abi = reply.abi;
	hearth->info.epoch = reply.epoch;
	return 0;
}

/* Maps one segment and brings in every page; 0 or -errno with the sentence. */
static inline int hearth_segment_map(int fd, uint64_t bytes, bool is_writable, uint8_t **ret_base)
{
	struct stat status;
	uint64_t offset;
	void *base;
	int seals;

	if (fstat(fd, &status) < 0 || (uint64_t)status.st_size != bytes)
		return hearth_explain(-EPROTO, "a segment should have %llu bytes and does not",
				      (unsigned long long)bytes);
	seals = fcntl(fd, HEARTH_F_GET_SEALS);
	if (seals < 0 || (seals & HEARTH_SEALS_WANTED) != HEARTH_SEALS_WANTED)
		return hearth_explain(-EPROTO, "a segment is not sealed against shrinking");
	base = mmap(NULL, bytes, is_writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd,
		    0);
	if (base == MAP_FAILED)
		return hearth_explain(-errno, "cannot map a segment of %llu bytes: %s",
				      (unsigned long long)bytes, strerror(errno));
	if (syscall(SYS_madvise, base, bytes, HEARTH_MADV_DONTFORK) < 0 ||
	    (syscall(SYS_madvise, base, bytes,
		     is_writable ? HEARTH_MADV_POPULATE_WRITE : HEARTH_MADV_POPULATE_READ) < 0 &&
	     errno != EINVAL)) {
		int error = errno;

		munmap(base, bytes);
		return hearth_explain(-error, "cannot bring in %llu bytes of a segment: %s",
				      (unsigned long long)bytes, strerror(error));
	}
	/* What the advice brought in costs a cache miss here; what it did not, a fault. */
	for (offset = 0; is_writable && offset < bytes; offset += HEARTH_PAGE_BYTES)
		*((volatile uint8_t *)base + offset) = 0;
	for (offset = 0; !is_writable && offset < bytes; offset += HEARTH_PAGE_BYTES)
		(void)*((const volatile uint8_t *)base + offset);
	*ret_base = (uint8_t *)base;
	return 0;
}

static inline int hearth_segments_map(struct hearth *hearth, const int fds[2])
{
	const struct hearth_layout *layout = &hearth->layout;
	const struct hearth_lane_daemon *daemon;
	uint8_t *base;
	int r;

	r = hearth_segment_map(fds[0], layout->client_bytes, true, &base);
	if (r < 0)
		return r;
	hearth->client = (struct hearth_lane_client *)(void *)base;
	hearth->cancel = (uint32_t *)(void *)(base + layout->cancel_offset);
	hearth->request_slots =
		(struct hearth_request_slot *)(void *)(base + layout->request_slots_offset);
	hearth->request_area = base + layout->request_area_offset;

	r = hearth_segment_map(fds[1], layout->daemon_bytes, false, &base);
	if (r < 0)
		return r;
	daemon = (const struct hearth_lane_daemon *)(const void *)base;
	hearth->daemon = daemon;
	hearth->completion_slots =
		(const struct hearth_completion_slot
			 *)(const void *)(base + layout->completion_slots_offset);
	hearth->response_area = base + layout->response_area_offset;
	if (daemon->magic != HEARTH_MAGIC || daemon->slots != layout->slots ||
	    daemon->completion_slots != layout->completion_slots ||
	    daemon->client_bytes != layout->client_bytes ||
	    daemon->daemon_bytes != layout->daemon_bytes ||
	    daemon->cancel_offset != layout->cancel_offset ||
	    daemon->request_slots_offset != layout->request_slots_offset ||
	    daemon->request_area_offset != layout->request_area_offset ||
	    daemon->completion_slots_offset != layout->completion_slots_offset ||
	    daemon->response_area_offset != layout->response_area_offset)
		return hearth_explain(-EPROTO, "the daemon laid its segments out differently");
	return 0;
}

/* Both segments are mapped and every page is charged to this process: serving may begin. */
static inline int hearth_ready_send(struct hearth *hearth, int64_t until_ns)
{
	struct hearth_message ready;
	int r;

	hearth_message_init(&ready, HEARTH_MESSAGE_READY, sizeof(ready));
	r = hearth_socket_send(hearth->fd, &ready, sizeof(ready), until_ns);
	if (r < 0)
		return hearth_explain(r, "cannot tell the daemon that its segments are mapped: %s",
				      strerror(-r));
	return 0;
}

static inline int hearth_private_init(struct hearth *hearth)
{
	uint32_t slots = hearth->layout.slots;
	uint32_t index;
	void *page;

	page = mmap(NULL, HEARTH_PAGE_BYTES, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | HEARTH_MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return hearth_explain(-errno, "no memory for a connection");
	hearth->fork_cookie = (uint32_t *)page;
	if (syscall(SYS_madvise, page, HEARTH_PAGE_BYTES, HEARTH_MADV_WIPEONFORK) < 0)
		return hearth_explain(-errno, "cannot mark a page for fork(): %s", strerror(errno));
	hearth_store_relaxed(hearth->fork_cookie, HEARTH_FORK_COOKIE);

	hearth->records = (struct hearth_record *)calloc(slots, sizeof(*hearth->records));
	hearth->free_indices = (uint32_t *)calloc(slots, sizeof(*hearth->free_indices));
	if (!hearth->records || !hearth->free_indices ||
	    !hearth_arena_init(&hearth->request_arena, hearth->layout.request_area_bytes) ||
	    !hearth_arena_init(&hearth->response_arena, hearth->layout.response_area_bytes))
		return hearth_explain(-ENOMEM, "no memory for a connection of %u slots", slots);
	for (index = 0; index < slots; index++)
		hearth->free_indices[index] = slots - 1 - index;
	hearth->free_count = slots;
	return 0;
}

static inline void hearth_model_entry_free(struct hearth_model_entry *entry)
{
	free(entry->tensors);
	free(entry->dims);
	free(entry->names);
	free(entry->packet);
	free(entry);
}

HEARTH_API int hearth_open(const char *path, const struct hearth_options *options,
			   struct hearth **ret_hearth)
{
	struct hearth_options mine;
	struct hearth *hearth;
	int64_t until_ns;
	int fds[2] = {-1, -1};
	int r;

	hearth = (struct hearth *)calloc(1, sizeof(*hearth));
	if (!hearth)
		return hearth_fail(-ENOMEM);
	hearth->fd = -1;
	r = hearth_options_read(options, &mine, hearth);
	if (r < 0)
		goto out;
	until_ns =
		hearth_time_after(hearth_clock_ns(HEARTH_CLOCK_MONOTONIC), mine.reply_timeout_ns);
	r = hearth_connect(path ? path : HEARTH_SOCKET_PATH_DEFAULT, until_ns, &hearth->fd);
	if (r < 0)
		goto out;
	r = hearth_hello_exchange(hearth, &mine, until_ns, fds);
	if (r < 0)
		goto out;
	r = hearth_private_init(hearth);
	if (r < 0)
		goto out;
	r = hearth_segments_map(hearth, fds);
	if (r < 0)
		goto out;
	r = hearth_ready_send(hearth, until_ns);
out:
	if (fds[0] >= 0)
		close(fds[0]);
	if (fds[1] >= 0)
		close(fds[1]);
	if (r < 0) {
		(void)hearth_close(hearth);
		return r;
	}
	*ret_hearth = hearth;
	return 0;
}

HEARTH_API int hearth_close(struct hearth *hearth)
{
	struct hearth_model_entry *entry;
	uint32_t index;
	bool is_parent;

	if (!hearth)
		return 0;
	/* In a forked child nothing is mapped at these addresses, or something else is. */
	is_parent = hearth->fork_cookie &&
		    hearth_load_relaxed(hearth->fork_cookie) == HEARTH_FORK_COOKIE;
	if (is_parent && hearth->client)
		munmap(hearth->client, hearth->layout.client_bytes);
	if (is_parent && hearth->daemon)
		munmap((void *)(uintptr_t)hearth->daemon, hearth->layout.daemon_bytes);
	if (hearth->fork_cookie)
		munmap(hearth->fork_cookie, HEARTH_PAGE_BYTES);
	if (hearth->fd >= 0)
		close(hearth->fd);
	while ((entry = hearth->models) != NULL) {
		hearth->models = entry->next;
		hearth_model_entry_free(entry);
	}
	for (index = 0; hearth->records && index < hearth->layout.slots; index++) {
		free(hearth->records[index].inputs);
		free(hearth->records[index].outputs);
	}
	free(hearth->request_arena.tree);
	free(hearth->response_arena.tree);
	free(hearth->records);
	free(hearth->free_indices);
	free(hearth);
	return 0;
}

#endif
/* SPDX-License-Identifier: MIT */
/*
 * client/model.h - what a model takes and gives, asked over the socket
 *
 * Owns:     every description until the handle is closed; the same answer twice is kept once
 */
#ifndef HEARTH_CLIENT_MODEL_H
#define HEARTH_CLIENT_MODEL_H


/* Fills entry->info from entry->packet; the entry owns what is allocated. */
static inline int hearth_model_parse(struct hearth_model_entry *entry)
{
	struct hearth_describe_reply reply;
	struct hearth_tensor_description tensor;
	size_t offset = sizeof(reply);
	size_t names_offset;
	char *name;
	uint32_t count;
	uint32_t index;
	uint32_t dim;

	memcpy(&reply, entry->packet, sizeof(reply));
	count = reply.input_count + reply.output_count;
	if (reply.input_count > HEARTH_TENSORS_MAX || reply.output_count > HEARTH_TENSORS_MAX ||
	    offset + count * sizeof(tensor) > entry->packet_bytes)
		return hearth_fail(-EPROTO);
	names_offset = offset + count * sizeof(tensor);
	entry->tensors = (struct hearth_tensor_info *)calloc(count + 1, sizeof(*entry->tensors));
	entry->dims = (struct hearth_dim *)calloc(count + 1, sizeof(tensor.dims));
	entry->names = (char *)calloc(1, entry->packet_bytes - names_offset + count + 1);
	if (!entry->tensors || !entry->dims || !entry->names)
		return hearth_fail(-ENOMEM);
	name = entry->names;
	for (index = 0; index < count; index++, offset += sizeof(tensor)) {
		struct hearth_tensor_info *info = entry->tensors + index;

		memcpy(&tensor, entry->packet + offset, sizeof(tensor));
		if (tensor.rank > HEARTH_RANK_MAX || hearth_dtype_bytes(tensor.dtype) == 0 ||
		    tensor.name_bytes > entry->packet_bytes - names_offset)
			return hearth_fail(-EPROTO);
		for (dim = 0; dim < tensor.rank; dim++)
			if (tensor.dims[dim].symbol < -1 ||
			    tensor.dims[dim].symbol >= (int32_t)reply.symbol_count)
				return hearth_fail(-EPROTO);
		memcpy(name, entry->packet + names_offset, tensor.name_bytes);
		names_offset += tensor.name_bytes;
		info->name = name;
		info->dtype = tensor.dtype;
		info->rank = tensor.rank;
		info->dims = entry->dims + index * HEARTH_RANK_MAX;
		memcpy(entry->dims + index * HEARTH_RANK_MAX, tensor.dims, sizeof(tensor.dims));
		name += tensor.name_bytes + 1u;
	}
	entry->info.size = sizeof(entry->info);
	entry->info.name = entry->name;
	entry->info.handle = reply.model;
	entry->info.version = reply.version;
	entry->info.current_version = reply.current_version;
	entry->info.numerics = reply.numerics;
	entry->info.rows_max = reply.rows_max;
	entry->info.row_symbol = reply.row_symbol;
	entry->info.symbol_count = reply.symbol_count;
	entry->info.input_count = reply.input_count;
	entry->info.output_count = reply.output_count;
	entry->info.inputs = entry->tensors;
	entry->info.outputs = entry->tensors + reply.input_count;
	return 0;
}

static inline int hearth_describe_failed(struct hearth *hearth, int error)
{
	if (error == -ETIMEDOUT)
		return hearth_explain(error, "the daemon did not describe the model in %lld ms",
				      (long long)(hearth->reply_timeout_ns / 1000000));
	if (error != -ECONNRESET && error != -EPIPE)
		return hearth_fail(error);
	hearth->is_dead = true;
	return hearth_fail(-ENOTCONN);
}

/* Is this the answer to that question? A bell is not, nor is an answer that came too late for an
 * earlier one. */
static inline bool hearth_is_description(const uint8_t *packet, int bytes, uint32_t cookie,
					 struct hearth_describe_reply *ret_reply)
{
	struct hearth_describe_reply reply;

	if (bytes < (int)sizeof(reply))
		return false;
	memcpy(&reply, packet, sizeof(reply));
	if (reply.message.magic != HEARTH_MAGIC ||
	    reply.message.type != HEARTH_MESSAGE_DESCRIBE_REPLY || reply.cookie != cookie)
		return false;
	*ret_reply = reply;
	return true;
}

/* Sends one question and receives its answer into `packet`; bells in between are read away. */
static inline int hearth_describe_exchange(struct hearth *hearth, const char *name,
					   uint32_t version, uint8_t *packet)
{
	struct hearth_describe describe;
	struct hearth_describe_reply reply;
	int64_t until_ns;
	int bytes;
	int r;

	hearth_message_init(&describe.message, HEARTH_MESSAGE_DESCRIBE, sizeof(describe));
	describe.version = version;
	describe.cookie = ++hearth->describe_cookie;
	memcpy(describe.name, name, strlen(name));
	until_ns = hearth_time_after(hearth_clock_ns(HEARTH_CLOCK_MONOTONIC),
				     hearth->reply_timeout_ns);
	r = hearth_socket_send(hearth->fd, &describe, sizeof(describe), until_ns);
	if (r < 0)
		return hearth_describe_failed(hearth, r);
	do {
		bytes = hearth_socket_receive(hearth->fd, packet, HEARTH_MESSAGE_BYTES_MAX,
					      until_ns, NULL);
		if (bytes < 0)
			return hearth_describe_failed(hearth, bytes);
	} while (!hearth_is_description(packet, bytes, describe.cookie, &reply));
	reply.text[sizeof(reply.text) - 1] = '\0';
	if (reply.message.status < 0)
		return hearth_explain(reply.message.status < -4095 ? -EPROTO : reply.message.status,
				      "model '%s' version %u: %s", name, version,
				      reply.text[0] ? reply.text
						    : hearth_error_sentence(reply.message.status));
	/* Equal answers shall be equal to the byte. */
	memset(packet + offsetof(struct hearth_describe_reply, cookie), 0, sizeof(reply.cookie));
	return bytes;
}

/* Asks, and fills the entry. */
static inline int hearth_model_fetch(struct hearth *hearth, struct hearth_model_entry *entry,
				     uint32_t version)
{
	uint8_t *packet;
	int r;

	entry->packet = (uint8_t *)malloc(HEARTH_MESSAGE_BYTES_MAX);
	if (!entry->packet)
		return hearth_fail(-ENOMEM);
	r = hearth_describe_exchange(hearth, entry->name, version, entry->packet);
	if (r < 0)
		return r;
	entry->packet_bytes = (uint32_t)r;
	packet = (uint8_t *)realloc(entry->packet, entry->packet_bytes);
	if (packet)
		entry->packet = packet;
	return hearth_model_parse(entry);
}

HEARTH_API int hearth_model(struct hearth *hearth, const char *name, uint32_t version,
			    const struct hearth_model_info **ret_model)
{
	struct hearth_model_entry *entry;
	struct hearth_model_entry *known;
	int r;

	r = hearth_check(hearth);
	if (r < 0)
		return r;
	if (!name || !name[0] || strlen(name) >= HEARTH_NAME_BYTES)
		return hearth_explain(-EINVAL, "a model's name has 1 to %u bytes",
				      HEARTH_NAME_BYTES - 1);
	if (hearth->is_dead)
		return hearth_fail(-ENOTCONN);
	entry = (struct hearth_model_entry *)calloc(1, sizeof(*entry));
	if (!entry)
		return hearth_fail(-ENOMEM);
	memcpy(entry->name, name, strlen(name));
	r = hearth_model_fetch(hearth, entry, version);
	if (r < 0) {
		hearth_model_entry_free(entry);
		return r;
	}
	for (known = hearth->models; known; known = known->next) {
		if (known->packet_bytes == entry->packet_bytes &&
		    strcmp(known->name, entry->name) == 0 &&
		    memcmp(known->packet, entry->packet, entry->packet_bytes) == 0) {
			hearth_model_entry_free(entry);
			*ret_model = &known->info;
			return 0; /* the same answer, word for word */
		}
	}
	entry->next = hearth->models;
	hearth->models = entry;
	*ret_model = &entry->info;
	return 0;
}

#endif
/* SPDX-License-Identifier: MIT */
/*
 * client/request.h - a request from its place in shared memory to the daemon's ring
 *
 * A record's states: FREE, ACQUIRED by the caller, SUBMITTED to the daemon, COMPLETED when the
 * final completion was handed out, and FREE again when released. Its index and ranges are its own
 * from ACQUIRED to FREE; there are as many records as slots, so the request ring cannot overflow.
 */
#ifndef HEARTH_CLIENT_REQUEST_H
#define HEARTH_CLIENT_REQUEST_H


/* The bytes of a tensor under given sizes, with its dims; at most 2^63. */
static inline int hearth_tensor_size(const struct hearth_tensor_info *info, const uint32_t sizes[],
				     uint32_t ret_dims[HEARTH_RANK_MAX], uint64_t *ret_bytes)
{
	uint64_t bytes = hearth_dtype_bytes(info->dtype);
	uint32_t axis;

	memset(ret_dims, 0, HEARTH_RANK_MAX * sizeof(ret_dims[0]));
	for (axis = 0; axis < info->rank; axis++) {
		const struct hearth_dim *dim = info->dims + axis;
		int64_t value = dim->constant;

		if (dim->symbol >= 0) {
			const uint64_t past_any_limit = UINT64_C(1) << 40;
			uint64_t product = (uint64_t)dim->factor * sizes[dim->symbol];

			value += (int64_t)(product < past_any_limit ? product : past_any_limit);
		}
		if (value < 0)
			return hearth_explain(-EINVAL, "'%s' would have a dimension of %lld",
					      info->name, (long long)value);
		if (value > UINT32_MAX || (value > 0 && bytes > (UINT64_C(1) << 40)))
			bytes = UINT64_C(1) << 40;
		else
			bytes *= (uint64_t)value;
		ret_dims[axis] = (uint32_t)value;
	}
	*ret_bytes = bytes;
	return 0;
}

static inline uint64_t hearth_align_up_wide(uint64_t bytes)
{
	return (bytes + HEARTH_ALIGN_BYTES - 1) & ~(uint64_t)(HEARTH_ALIGN_BYTES - 1);
}

/* Header and table, then each tensor at the next multiple of HEARTH_ALIGN_BYTES. */
static inline uint64_t hearth_table_end(uint32_t tensor_count)
{
	return hearth_align_up_wide(sizeof(struct hearth_request_header) +
				    tensor_count * sizeof(struct hearth_tensor));
}

static inline int hearth_tensors_size(const struct hearth_tensor_info *infos, uint32_t count,
				      const uint32_t sizes[], uint64_t *ret_bytes)
{
	uint64_t total_bytes = hearth_table_end(count);
	uint64_t bytes;
	uint32_t dims[HEARTH_RANK_MAX];
	uint32_t index;
	int r;

	for (index = 0; index < count; index++) {
		r = hearth_tensor_size(infos + index, sizes, dims, &bytes);
		if (r < 0)
			return r;
		total_bytes += hearth_align_up_wide(bytes);
	}
	*ret_bytes = total_bytes;
	return 0;
}

/* A free record with both ranges; in state ACQUIRED, with nothing in it yet. */
static inline int hearth_record_acquire(struct hearth *hearth, uint64_t request_bytes,
					uint64_t response_bytes, struct hearth_record **ret_record)
{
	struct hearth_record *record;
	uint32_t index;
	uint32_t request_offset = 0;
	uint32_t response_offset = 0;

	if (hearth->is_dead)
		return hearth_fail(-ENOTCONN);
	if (request_bytes > hearth->layout.request_area_bytes)
		return hearth_explain(-EMSGSIZE,
				      "the inputs want %llu bytes, the request area has %u: open "
				      "with a larger request_area_bytes, or ask in parts",
				      (unsigned long long)request_bytes,
				      hearth->layout.request_area_bytes);
	if (response_bytes > hearth->layout.response_area_bytes)
		return hearth_explain(-EMSGSIZE,
				      "the outputs want %llu bytes, the response area has %u: open "
				      "with a larger response_area_bytes, or ask in parts",
				      (unsigned long long)response_bytes,
				      hearth->layout.response_area_bytes);
	if (hearth->free_count == 0)
		return hearth_fail(-EAGAIN);
	if (request_bytes > 0 &&
	    !hearth_arena_acquire(&hearth->request_arena, (uint32_t)request_bytes, &request_offset))
		return hearth_fail(-EAGAIN);
	if (response_bytes > 0 &&
	    !hearth_arena_acquire(&hearth->response_arena, (uint32_t)response_bytes,
				  &response_offset)) {
		if (request_bytes > 0)
			hearth_arena_release(&hearth->request_arena, request_offset,
					     (uint32_t)request_bytes);
		return hearth_fail(-EAGAIN);
	}
	index = hearth->free_indices[--hearth->free_count];
	record = hearth->records + index;
	record->generation++;
	if (record->generation == 0)
		record->generation = 1; /* 0 is what an untouched cancel word holds */
	record->state = HEARTH_RECORD_ACQUIRED;
	record->model = NULL;
	record->request_offset = request_offset;
	record->request_bytes = (uint32_t)request_bytes;
	record->response_offset = response_offset;
	record->response_bytes = (uint32_t)response_bytes;
	memset(&record->request, 0, sizeof(record->request));
	record->request.size = sizeof(record->request);
	record->request.id = (uint64_t)record->generation << 32 | index;
	record->request.response_bytes = record->response_bytes;
	*ret_record = record;
	return 0;
}

static inline void hearth_record_release(struct hearth *hearth, struct hearth_record *record)
{
	if (record->request_bytes > 0)
		hearth_arena_release(&hearth->request_arena, record->request_offset,
				     record->request_bytes);
	if (record->response_bytes > 0)
		hearth_arena_release(&hearth->response_arena, record->response_offset,
				     record->response_bytes);
	record->state = HEARTH_RECORD_FREE;
	hearth->free_indices[hearth->free_count++] = (uint32_t)(record - hearth->records);
}

/* The record that an id names, or NULL. */
static inline struct hearth_record *hearth_record_find(struct hearth *hearth, uint64_t id)
{
	uint32_t index = (uint32_t)id;

	if (index >= hearth->layout.slots ||
	    hearth->records[index].generation != (uint32_t)(id >> 32) ||
	    hearth->records[index].state == HEARTH_RECORD_FREE)
		return NULL;
	return hearth->records + index;
}

/* Room for descriptions; after the first requests of a model it is there already. */
static inline bool hearth_record_reserve(struct hearth_record *record, uint32_t input_count,
					 uint32_t output_count)
{
	void *room;

	if (record->input_room < input_count) {
		room = realloc(record->inputs, input_count * sizeof(*record->inputs));
		if (!room)
			return false;
		record->inputs = (struct hearth_input *)room;
		record->input_room = input_count;
	}
	if (record->output_room < output_count) {
		room = realloc(record->outputs, output_count * sizeof(*record->outputs));
		if (!room)
			return false;
		record->outputs = (struct hearth_output *)room;
		record->output_room = output_count;
	}
	return true;
}

/* Writes the table of inputs into the request range, and tells the caller where they are. */
static inline void hearth_inputs_place(struct hearth *hearth, struct hearth_record *record,
				       const uint32_t sizes[])
{
	const struct hearth_model_info *model = record->model;
	uint8_t *range = hearth->request_area + record->request_offset;
	uint64_t offset = hearth_table_end(model->input_count);
	uint64_t bytes = 0;
	struct hearth_tensor tensor;
	uint32_t index;

	for (index = 0; index < model->input_count; index++) {
		struct hearth_input *input = record->inputs + index;

		(void)hearth_tensor_size(model->inputs + index, sizes, tensor.dims, &bytes);
		tensor.offset = (uint32_t)offset;
		tensor.bytes = (uint32_t)bytes;
		tensor.dtype = (uint16_t)model->inputs[index].dtype;
		tensor.rank = (uint16_t)model->inputs[index].rank;
		memcpy(range + sizeof(struct hearth_request_header) + index * sizeof(tensor),
		       &tensor, sizeof(tensor));
		input->data = range + offset;
		input->bytes = tensor.bytes;
		input->dtype = tensor.dtype;
		input->rank = tensor.rank;
		memcpy(input->dims, tensor.dims, sizeof(input->dims));
		offset += hearth_align_up_wide(bytes);
	}
	record->request.inputs = record->inputs;
	record->request.input_count = model->input_count;
}

HEARTH_API int hearth_acquire_sizes(struct hearth *hearth, const struct hearth_model_info *model,
				    const uint32_t sizes[], uint32_t response_bytes,
				    struct hearth_request **ret_request)
{
	struct hearth_record *record;
	uint64_t request_bytes;
	uint64_t outputs_bytes = hearth_align_up_wide(response_bytes);
	int r;

	r = hearth_check(hearth);
	if (r < 0)
		return r;
	if (!model || (!sizes && model->symbol_count > 0))
		return hearth_fail(-EINVAL);
	r = hearth_tensors_size(model->inputs, model->input_count, sizes, &request_bytes);
	if (r < 0)
		return r;
	if (response_bytes == 0) {
		r = hearth_tensors_size(model->outputs, model->output_count, sizes, &outputs_bytes);
		if (r < 0)
			return r;
	}
	r = hearth_record_acquire(hearth, request_bytes, outputs_bytes, &record);
	if (r < 0)
		return r;
	if (!hearth_record_reserve(record, model->input_count, model->output_count)) {
		hearth_record_release(hearth, record);
		return hearth_fail(-ENOMEM);
	}
	record->operation = HEARTH_OP_INFER;
	record->model = model;
	hearth_inputs_place(hearth, record, sizes);
	*ret_request = &record->request;
	return 0;
}

HEARTH_API int hearth_acquire(struct hearth *hearth, const struct hearth_model_info *model,
			      uint32_t rows, struct hearth_request **ret_request)
{
	int r;

	r = hearth_check(hearth);
	if (r < 0)
		return r;
	if (model && model->symbol_count > 1)
		return hearth_explain(-EINVAL,
				      "model '%s' has %u free sizes: use hearth_acquire_sizes",
				      model->name, model->symbol_count);
	return hearth_acquire_sizes(hearth, model, &rows, 0, ret_request);
}

HEARTH_API int hearth_acquire_ping(struct hearth *hearth, struct hearth_request **ret_request)
{
	struct hearth_record *record;
	int r;

	r = hearth_check(hearth);
	if (r < 0)
		return r;
	r = hearth_record_acquire(hearth, 0, 0, &record);
	if (r < 0)
		return r;
	record->operation = HEARTH_OP_PING;
	*ret_request = &record->request;
	return 0;
}

HEARTH_API int hearth_acquire_stream_test(struct hearth *hearth, uint32_t item_count,
					  struct hearth_request **ret_request)
{
	struct hearth_stream_test test;
	struct hearth_record *record;
	int r;

	r = hearth_check(hearth);
	if (r < 0)
		return r;
	if (item_count == 0)
		return hearth_explain(-EINVAL, "item_count is 0");
	r = hearth_record_acquire(hearth, sizeof(test),
				  hearth_align_up_wide((uint64_t)item_count * sizeof(uint64_t)),
				  &record);
	if (r < 0)
		return r;
	memset(&test, 0, sizeof(test));
	test.item_count = item_count;
	memcpy(hearth->request_area + record->request_offset, &test, sizeof(test));
	record->operation = HEARTH_OP_STREAM_TEST;
	*ret_request = &record->request;
	return 0;
}

/* Wakes a daemon that dozes. It learns of the request at the latest when its bounded sleep ends,
 * so nothing here can fail. */
static inline void hearth_ring(struct hearth *hearth)
{
	struct hearth_message bell;

	hearth_sq_ring(hearth->client);
	if (hearth->features & HEARTH_FEATURE_FUTEX_BELL) {
		(void)syscall(SYS_futex, &hearth->client->sq_bell, HEARTH_FUTEX_WAKE, INT_MAX, NULL,
			      NULL, 0);
		return;
	}
	hearth_message_init(&bell, HEARTH_MESSAGE_BELL, sizeof(bell));
	while (send(hearth->fd, &bell, sizeof(bell), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
	       errno == EINTR)
		; /* a full socket is a wake already pending; a dead daemon is found by peek */
}

HEARTH_API int hearth_submit(struct hearth *hearth, struct hearth_request *request)
{
	struct hearth_request_slot slot;
	struct hearth_request_header header;
	struct hearth_record *record;
	uintptr_t distance;
	int r;

	r = hearth_check(hearth);
	if (r < 0)
		return r;
	distance = (uintptr_t)request - (uintptr_t)hearth->records;
	if (distance % sizeof(*record) != 0 || distance / sizeof(*record) >= hearth->layout.slots)
		return hearth_explain(-EINVAL, "this is no request of this handle");
	record = hearth->records + distance / sizeof(*record);
	if (record->state != HEARTH_RECORD_ACQUIRED)
		return hearth_explain(-EINVAL, "the request was submitted or released already");
	if (request->deadline_ns < 0)
		return hearth_explain(-EINVAL, "the deadline is negative");
	if (hearth->is_dead)
		return hearth_fail(-ENOTCONN);

	if (record->operation == HEARTH_OP_INFER) {
		memset(&header, 0, sizeof(header));
		header.header_bytes = sizeof(header);
		header.model = record->model->handle;
		header.version = request->version;
		header.priority = request->priority;
		header.sequence_id = request->sequence_id;
		header.input_count = record->model->input_count;
		memcpy(hearth->request_area + record->request_offset, &header, sizeof(header));
	}
	memset(&slot, 0, sizeof(slot));
	slot.id = (uint64_t)record->generation << 32 | (uint32_t)(record - hearth->records);
	slot.operation = record->operation;
	slot.request_offset = record->request_offset;
	slot.request_bytes = record->request_bytes;
	slot.response_offset = record->response_offset;
	slot.response_bytes = record->response_bytes;
	slot.deadline_ns = (uint64_t)request->deadline_ns;
	slot.submitted_ns =
		(uint64_t)(hearth_clock_ns(HEARTH_CLOCK_MONOTONIC) + hearth->clock_offset_ns);
	record->state = HEARTH_RECORD_SUBMITTED;
	hearth->in_flight++;
	hearth_sq_push(hearth->request_slots, hearth->layout.slots, hearth->sq_position, &slot);
	hearth->sq_position++;
	if (hearth_sq_must_ring(hearth->daemon))
		hearth_ring(hearth);
	return 0;
}

HEARTH_API int hearth_cancel(struct hearth *hearth, uint64_t id)
{
	struct hearth_record *record;
	int r;

	r = hearth_check(hearth);
	if (r < 0)
		return r;
	record = hearth_record_find(hearth, id);
	if (!record || record->state != HEARTH_RECORD_SUBMITTED)
		return hearth_explain(-EINVAL, "no request in flight has this id");
	hearth_cancel_store(hearth->cancel, (uint32_t)id, record->generation);
	return 0;
}

HEARTH_API int hearth_release(struct hearth *hearth, uint64_t id)
{
	struct hearth_record *record;
	int r;

	r = hearth_check(hearth);
	if (r < 0)
		return r;
	record = hearth_record_find(hearth, id);
	if (!record)
		return hearth_explain(-EINVAL, "nothing held has this id: released already?");
	if (record->state == HEARTH_RECORD_SUBMITTED)
		return hearth_explain(-EBUSY, "in flight: release it after its final completion");
	hearth_record_release(hearth, record);
	return 0;
}

#endif
/* SPDX-License-Identifier: MIT */
/*
 * client/completion.h - published completions, checked and handed out; then, after the daemon's
 * death, what it left unanswered
 */
#ifndef HEARTH_CLIENT_COMPLETION_H
#define HEARTH_CLIENT_COMPLETION_H


#define HEARTH_ALIVE_NS INT64_C(10000000) /* between two looks whether the daemon lives */

/* Copies the table of outputs, then judges the copy: a daemon that died while it wrote must not
 * take its client along. */
static inline bool hearth_outputs_read(struct hearth *hearth, struct hearth_record *record)
{
	struct hearth_completion *completion = &record->completion;
	const uint8_t *range = hearth->response_area + record->response_offset;
	struct hearth_response_header header;
	struct hearth_tensor tensor;
	uint64_t table_offset;
	uint64_t elements;
	uint32_t index;
	uint32_t axis;

	if (completion->response_bytes > record->response_bytes ||
	    completion->response_bytes < sizeof(header))
		return false;
	memcpy(&header, range, sizeof(header));
	if (header.header_bytes < sizeof(header) || header.output_count > HEARTH_TENSORS_MAX ||
	    (uint64_t)header.header_bytes + header.output_count * sizeof(tensor) >
		    completion->response_bytes ||
	    !hearth_record_reserve(record, 0, header.output_count))
		return false;
	table_offset = header.header_bytes;
	for (index = 0; index < header.output_count; index++) {
		struct hearth_output *output = record->outputs + index;

		memcpy(&tensor, range + table_offset + index * sizeof(tensor), sizeof(tensor));
		if (tensor.rank > HEARTH_RANK_MAX || tensor.offset % HEARTH_ALIGN_BYTES != 0 ||
		    (uint64_t)tensor.offset + tensor.bytes > completion->response_bytes)
			return false;
		elements = 1;
		for (axis = 0; axis < tensor.rank; axis++) {
			elements *= tensor.dims[axis];
			if (elements > UINT32_MAX)
				return false;
		}
		if (elements * hearth_dtype_bytes(tensor.dtype) != tensor.bytes)
			return false;
		output->data = range + tensor.offset;
		output->bytes = tensor.bytes;
		output->dtype = tensor.dtype;
		output->rank = tensor.rank;
		memcpy(output->dims, tensor.dims, sizeof(output->dims));
	}
	completion->outputs = record->outputs;
	completion->output_count = header.output_count;
	return true;
}

static inline void hearth_completion_init(struct hearth_record *record, int32_t status,
					  uint32_t kind)
{
	struct hearth_completion *completion = &record->completion;

	memset(completion, 0, sizeof(*completion));
	completion->size = sizeof(*completion);
	completion->id = record->request.id;
	completion->user_data = record->request.user_data;
	completion->status = status;
	completion->kind = kind;
}

static inline void hearth_completion_read(struct hearth *hearth, struct hearth_record *record,
					  const struct hearth_completion_slot *slot)
{
	struct hearth_completion *completion = &record->completion;

	hearth_completion_init(record, slot->status, slot->kind);
	/* the record's own words: the caller can write to its request */
	completion->id = slot->id;
	completion->flags = slot->flags;
	completion->numerics = slot->numerics;
	completion->version = slot->version;
	completion->substituted = slot->substituted;
	completion->ring_ns = slot->ring_ns;
	completion->queue_ns = slot->queue_ns;
	completion->batch_ns = slot->batch_ns;
	completion->execute_ns = slot->execute_ns;
	completion->detail = slot->detail;
	completion->response_bytes = slot->response_bytes;
	if (record->response_bytes > 0)
		completion->response = hearth->response_area + record->response_offset;
	if (slot->status == -EBUSY && hearth_detail_reason(slot->detail) == HEARTH_DETAIL_RETRY)
		completion->retry_ns = hearth_detail_value(slot->detail);
	if (slot->kind != HEARTH_FINAL || slot->status < 0)
		return;
	if (record->operation == HEARTH_OP_INFER ? !hearth_outputs_read(hearth, record)
						 : slot->response_bytes > record->response_bytes) {
		completion->status = -EPROTO;
		completion->response_bytes = 0;
	}
}

/* The next published completion that is about a request in flight. */
static inline int hearth_completion_take(struct hearth *hearth,
					 const struct hearth_completion **ret_completion)
{
	struct hearth_completion_slot slot;
	struct hearth_record *record;
	uint32_t tries;

	for (tries = 0; tries < hearth->layout.completion_slots; tries++) {
		if (!hearth_cq_pop(hearth->completion_slots, hearth->layout.completion_slots,
				   hearth->cq_position, &slot))
			return -EAGAIN;
		hearth->cq_position++;
		hearth_cq_consume(hearth->client, hearth->cq_position);
		record = hearth_record_find(hearth, slot.id);
		if (!record || record->state != HEARTH_RECORD_SUBMITTED ||
		    (slot.kind != HEARTH_PROGRESS && slot.kind != HEARTH_FINAL)) {
			hearth->info.unknown_completions++;
			continue;
		}
		hearth_completion_read(hearth, record, &slot);
		if (slot.kind == HEARTH_FINAL) {
			record->state = HEARTH_RECORD_COMPLETED;
			hearth->in_flight--;
		}
		*ret_completion = &record->completion;
		return 0;
	}
	return -EAGAIN;
}

/* After death and with nothing published left: each unanswered request, once. */
static inline int hearth_orphan_take(struct hearth *hearth,
				     const struct hearth_completion **ret_completion)
{
	for (; hearth->in_flight > 0 && hearth->orphan_index < hearth->layout.slots;
	     hearth->orphan_index++) {
		struct hearth_record *record = hearth->records + hearth->orphan_index;

		if (record->state != HEARTH_RECORD_SUBMITTED)
			continue;
		hearth_completion_init(record, -EOWNERDEAD, HEARTH_FINAL);
		record->completion.id = (uint64_t)record->generation << 32 | hearth->orphan_index;
		record->state = HEARTH_RECORD_COMPLETED;
		hearth->in_flight--;
		*ret_completion = &record->completion;
		return 0;
	}
	return hearth_fail(-ENOTCONN);
}

static inline int hearth_peek_checked(struct hearth *hearth,
				      const struct hearth_completion **ret_completion)
{
	int r;

	r = hearth_completion_take(hearth, ret_completion);
	if (r != -EAGAIN)
		return r;
	if (!hearth->is_dead) {
		int64_t now_ns = hearth_clock_ns(HEARTH_CLOCK_MONOTONIC_COARSE);

		if (hearth->is_armed || now_ns - hearth->alive_ns >= HEARTH_ALIVE_NS) {
			hearth->is_armed = false;
			hearth_socket_drain(hearth);
		}
	}
	if (!hearth->is_dead)
		return hearth_fail(-EAGAIN);
	/* It may have published between the first look and its death. */
	r = hearth_completion_take(hearth, ret_completion);
	if (r != -EAGAIN)
		return r;
	return hearth_orphan_take(hearth, ret_completion);
}

HEARTH_API int hearth_peek(struct hearth *hearth, const struct hearth_completion **ret_completion)
{
	int r;

	r = hearth_check(hearth);
	if (r < 0)
		return r;
	return hearth_peek_checked(hearth, ret_completion);
}

HEARTH_API const char *hearth_completion_strerror(struct hearth *hearth,
						  const struct hearth_completion *completion)
{
	const struct hearth_record *record;
	const char *name = "";
	uint32_t tensor;
	unsigned long long value;

	if (hearth_check(hearth) < 0 || !completion)
		return hearth_error_sentence(hearth ? hearth_last_failure.error : -EINVAL);
	tensor = hearth_detail_tensor(completion->detail);
	value = hearth_detail_value(completion->detail);
	record = hearth_record_find(hearth, completion->id);
	if (record && record->model && tensor < record->model->input_count)
		name = record->model->inputs[tensor].name;
	if (completion->status >= 0)
		return hearth_error_sentence(0);
	if (completion->status == -ENOBUFS) {
		(void)snprintf(hearth->text, sizeof(hearth->text),
			       "the response range is too small: %u bytes needed, %u given",
			       completion->response_bytes, record ? record->response_bytes : 0);
		return hearth->text;
	}
	switch (hearth_detail_reason(completion->detail)) {
	case HEARTH_DETAIL_SLOT:
		return "the request is malformed";
	case HEARTH_DETAIL_TENSOR:
		(void)snprintf(hearth->text, sizeof(hearth->text),
			       "input %u '%s': its type or dimensions do not fit the model", tensor,
			       name);
		return hearth->text;
	case HEARTH_DETAIL_ID:
		(void)snprintf(hearth->text, sizeof(hearth->text),
			       "input %u '%s', row %llu: id outside its table", tensor, name,
			       value);
		return hearth->text;
	case HEARTH_DETAIL_MODEL:
		return "no such model, or no such version of it";
	case HEARTH_DETAIL_ROWS:
		(void)snprintf(hearth->text, sizeof(hearth->text),
			       "more rows than the model takes, which is %llu", value);
		return hearth->text;
	case HEARTH_DETAIL_RETRY:
		(void)snprintf(hearth->text, sizeof(hearth->text),
			       "the daemon is full: try again after %llu ns", value);
		return hearth->text;
	case HEARTH_DETAIL_OPERATION:
		return "the daemon does not serve this operation";
	default:
		return hearth_error_sentence(completion->status);
	}
}

#endif
/* SPDX-License-Identifier: MIT */
/*
 * client/wait.h - sleep until something is published: here, in poll, or in an io_uring
 *
 * Looking before sleeping pays while the daemon has a CPU of its own. Where it has not, looking
 * keeps it from its work: after a miss the next looks are short, but for one in HEARTH_SPIN_PROBE,
 * which finds out whether it pays again.
 */
#ifndef HEARTH_CLIENT_WAIT_H
#define HEARTH_CLIENT_WAIT_H


#define HEARTH_SLEEP_NS_MAX INT64_C(20000000) /* one slice of hearth_wait */

static inline bool hearth_cq_has(const struct hearth *hearth)
{
	uint64_t position = hearth->cq_position;

	return hearth_load_relaxed(
		       &hearth->completion_slots[position & (hearth->layout.completion_slots - 1)]
				.seq) == position + 1;
}

#define HEARTH_SPIN_SHORT_RATIO 8
#define HEARTH_SPIN_PROBE 32

static inline int64_t hearth_spin_budget_ns(const struct hearth *hearth)
{
	return hearth->spin_misses % HEARTH_SPIN_PROBE == 0
		       ? hearth->spin_ns
		       : hearth->spin_ns / HEARTH_SPIN_SHORT_RATIO;
}

static inline bool hearth_spin(const struct hearth *hearth, int64_t until_ns)
{
	uint32_t turn;

	do {
		for (turn = 0; turn < 16; turn++) {
			if (hearth_cq_has(hearth))
				return true;
			hearth_pause();
		}
	} while (hearth_clock_ns(HEARTH_CLOCK_MONOTONIC) < until_ns);
	return false;
}

HEARTH_API int hearth_wait(struct hearth *hearth, int64_t timeout_ns,
			   const struct hearth_completion **ret_completion)
{
	int64_t now_ns;
	int64_t until_ns;
	uint32_t bell;
	int r;

	r = hearth_check(hearth);
	if (r < 0)
		return r;
	r = hearth_peek_checked(hearth, ret_completion);
	if (r != -EAGAIN)
		return r;
	if (hearth->in_flight == 0) {
		hearth_socket_drain(hearth);
		return hearth_fail(hearth->is_dead ? -ENOTCONN : -ENODATA);
	}
	now_ns = hearth_clock_ns(HEARTH_CLOCK_MONOTONIC);
	until_ns = timeout_ns < 0 ? INT64_MAX : hearth_time_after(now_ns, timeout_ns);
	if (hearth->spin_ns > 0 && timeout_ns != 0) {
		int64_t spin_until_ns = hearth_time_after(now_ns, hearth_spin_budget_ns(hearth));

		if (hearth_spin(hearth, spin_until_ns < until_ns ? spin_until_ns : until_ns)) {
			hearth->spin_misses = 0;
			r = hearth_peek_checked(hearth, ret_completion);
			if (r != -EAGAIN)
				return r;
		} else {
			hearth->spin_misses++;
		}
	}
	for (;;) {
		bell = hearth_cq_doze(hearth->client, hearth->daemon, hearth->cq_position + 1,
				      HEARTH_CQ_FUTEX);
		r = hearth_peek_checked(hearth, ret_completion);
		if (r != -EAGAIN)
			break;
		now_ns = hearth_clock_ns(HEARTH_CLOCK_MONOTONIC);
		if (now_ns >= until_ns) {
			r = hearth_fail(-ETIMEDOUT);
			break;
		}
		hearth_futex_wait(&hearth->daemon->cq_bell, bell,
				  until_ns - now_ns < HEARTH_SLEEP_NS_MAX ? until_ns - now_ns
									  : HEARTH_SLEEP_NS_MAX);
	}
	hearth_cq_awake(hearth->client);
	return r;
}

HEARTH_API int hearth_fd(const struct hearth *hearth)
{
	int r;

	r = hearth_check(hearth);
	return r < 0 ? r : hearth->fd;
}

static inline int hearth_arm_mode(struct hearth *hearth, uint32_t mode, uint32_t *ret_bell)
{
	int r;

	r = hearth_check(hearth);
	if (r < 0)
		return r;
	if (hearth->is_dead)
		return hearth->in_flight > 0 || hearth_cq_has(hearth) ? 1 : hearth_fail(-ENOTCONN);
	hearth->is_armed = true;
	*ret_bell = hearth_cq_doze(hearth->client, hearth->daemon, hearth->cq_position + 1, mode);
	return hearth_cq_has(hearth) ? 1 : 0;
}

HEARTH_API int hearth_arm(struct hearth *hearth)
{
	uint32_t bell;

	return hearth_arm_mode(hearth, HEARTH_CQ_SOCKET, &bell);
}

HEARTH_API int hearth_arm_futex(struct hearth *hearth, const uint32_t **ret_word,
				uint32_t *ret_expected)
{
	uint32_t bell;
	int r;

	r = hearth_arm_mode(hearth, HEARTH_CQ_FUTEX, &bell);
	if (r != 0)
		return r;
	*ret_word = &hearth->daemon->cq_bell;
	*ret_expected = bell;
	return 0;
}

HEARTH_API int64_t hearth_deadline(const struct hearth *hearth, int64_t from_now_ns)
{
	int r;

	r = hearth_check(hearth);
	if (r < 0)
		return r;
	return hearth_time_after(hearth_clock_ns(HEARTH_CLOCK_MONOTONIC) + hearth->clock_offset_ns,
				 from_now_ns);
}

HEARTH_API int hearth_about(struct hearth *hearth, const struct hearth_info **ret_info)
{
	struct hearth_info *info;
	int r;

	r = hearth_check(hearth);
	if (r < 0)
		return r;
	info = &hearth->info;
	info->size = sizeof(*info);
	info->slots = hearth->layout.slots;
	info->in_flight = hearth->in_flight;
	info->held = hearth->layout.slots - hearth->free_count;
	info->request_area_bytes = hearth->layout.request_area_bytes;
	info->response_area_bytes = hearth->layout.response_area_bytes;
	info->features = hearth->features;
	info->clock_offset_ns = hearth->clock_offset_ns;
	*ret_info = info;
	return 0;
}

#endif
#endif

#endif
