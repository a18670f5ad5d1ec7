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
 *     -ESTALE        files of this version have changed: it answers again once it is loaded again
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

#include "shm/abi.h"

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
	int64_t spin_ns;	      /* look this long before sleeping, when it pays: 50 us, and
				       * with one CPU not at all; negative: never */
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
	uint32_t dtype; /* HEARTH_F32, HEARTH_I32, HEARTH_I64; others by their ONNX number */
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
	/* [input_count]: -1, or for offsets the symbol that counts the values which they divide into
	 * a bag a row: ascending places, from 0 on. */
	const int32_t *offsets_into;
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

/* A request that gives back what the caller writes to inputs[0].data: the daemon copies its `bytes`
 * once, at most HEARTH_ECHO_BYTES_MAX, to the completion's `response`. A daemon from before this
 * operation answers -EOPNOTSUPP. */
HEARTH_API int hearth_acquire_echo(struct hearth *hearth, uint32_t bytes,
				   struct hearth_request **ret_request);

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

/* Sleeps until `count` completions can be peeked, at most as many as requests are in flight: one wake
 * for all of them. Progress counts too. 0 also when the daemon is gone: hearth_peek then tells. */
HEARTH_API int hearth_wait_count(struct hearth *hearth, uint32_t count, int64_t timeout_ns);

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
#include "shm/handshake.h"
#include "shm/layout.h"

/* How it is done, in the order of a request's life. Nothing below is for callers. */
#ifndef HEARTH_USE_SHARED
#include "client/open.h"
#include "client/model.h"
#include "client/request.h"
#include "client/completion.h"
#include "client/wait.h"
#endif

#endif
