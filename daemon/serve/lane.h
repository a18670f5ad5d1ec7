/* SPDX-License-Identifier: MIT */
/*
 * daemon/serve/lane.h - one connection's pair of segments and what the daemon knows about it
 *
 * Owns:     both mappings and the table of requests
 * Threads:  the control thread opens and closes; in between the data thread
 *           alone touches everything under "data thread", and counters are
 *           read by both
 * Units:    positions count slots since the connection opened and never wrap
 * Errors:   -ENOMEM, -EMFILE and what memfd_create, mmap and fcntl return
 *
 * The client-to-daemon segment is mapped read-only, and sealed FUTURE_WRITE when
 * the client has mapped it. The daemon-to-client one is mapped read-write first
 * and sealed so before the client sees it, so the client can only map it
 * read-only. Whatever is read from the client is copied once;
 * the copy is checked and the copy is used.
 */
#ifndef HEARTH_SERVE_LANE_H
#define HEARTH_SERVE_LANE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/counter.h"
#include "base/error.h"
#include "serve/share.h"
#include "shm/prefetch.h"
#include "shm/ring.h"

struct version;

enum request_state {
	REQUEST_FREE,
	REQUEST_STAGED,    /* its rows lie in a forming batch */
	REQUEST_STREAMING, /* a streaming operation that has more to say */
	REQUEST_HELD,      /* waits for a version of its model (serve/hold.h) */
};

/* One admitted request: the daemon's own copy of everything it needs. */
struct request {
	struct lane *lane;
	struct request *next; /* in its batch, or in the list of streams, or of those that are held */
	struct version *version; /* holds a reference */
	uint64_t id;
	uint64_t deadline_ns;
	uint64_t submitted_ns;
	uint64_t arrived_ns;
	uint64_t charged_ns;      /* to its client's turn, until its run is measured */
	uint64_t progress_position; /* of the last progress mark + 1; 0 = none yet */
	uint32_t request_offset;
	uint32_t request_bytes;
	uint32_t response_offset;
	uint32_t response_bytes;
	uint32_t model;     /* of one that is held */
	uint32_t row_first; /* in its batch */
	uint32_t place;     /* among its batch's requests */
	uint32_t rows;
	int verdict;          /* judged when its batch closed: 0, -ECANCELED or -ETIME */
	uint32_t items_wanted; /* streams */
	uint32_t items_done;
	enum request_state state;
};

struct lane_counters {
	struct counter requests;
	struct counter errors;
	struct counter rings;       /* the client rang and there was work */
	struct counter rings_empty; /* the client rang and there was none */
	struct counter wakes;       /* the daemon rang the client */
	struct counter outstanding; /* gauges: the lane's own, for others */
	struct counter unfinished;
	struct counter refused[REASON_REQUESTS];
};

/* The two descriptors that travel to the client. */
struct lane_fds {
	int client_fd; /* client-to-daemon */
	int daemon_fd; /* daemon-to-client */
};

/* A lane whose connection has ended and which its process, or a child of it, still holds. */
struct lane_kept {
	struct lane *next; /* of the same user */
	int pidfd;	   /* of the process; -1: unknown */
};

struct lane {
	/* constant after lane_open */
	struct hearth_layout layout;
	const struct hearth_lane_client *client;
	const uint32_t *cancel;
	const struct hearth_request_slot *request_slots;
	const uint8_t *request_area;
	struct hearth_lane_daemon *daemon;
	struct hearth_completion_slot *completion_slots;
	uint8_t *response_area;
	uint64_t features;
	int socket_fd; /* the session's; borrowed */
	struct lane_fds fds; /* -1 */
	struct share *share; /* borrowed */

	/* control thread */
	uint32_t tier_rows[2]; /* of what is mapped, or of what has been left */
	pid_t pid;             /* of the process that asked for it */
	struct lane_kept kept;

	/* data thread */
	struct request *requests;   /* [slots], by index */
	uint8_t *completion_kinds;  /* [completion_slots], by position */
	uint64_t sq_position;       /* requests taken */
	uint64_t sq_published;      /* what the client was told of it */
	uint64_t cq_position;       /* completions published */
	uint64_t cq_head;           /* completions consumed, as last believed */
	uint64_t cq_rung;           /* published when the client was last considered for a ring */
	uint64_t active_ns;         /* when it last had work */
	uint32_t idle_passes;       /* looks since then */
	uint32_t outstanding;       /* taken, and final completion not consumed */
	uint32_t waiting;           /* of these: in batches that wait for rows */
	struct lane *next_leaving;  /* of lanes that are closed once those have run */
	uint32_t unfinished;        /* taken, and final completion not published */
	uint32_t bell;              /* sq_bell when the lane last dozed */
	uint32_t place;             /* in the data loop's table of all lanes */
	uint32_t index;             /* in its table of hot ones */
	bool is_cold;               /* must ring; not scanned */
	bool is_armed;              /* the data loop watches its bell */
	bool is_rude;               /* rings without work: only polled */
	bool is_lying;              /* waits to be disconnected */
	bool is_closing;
	bool touched;               /* in the data loop's list of lanes with new completions */
	bool has_head;              /* `head` was taken from the ring and waits for its turn */
	struct hearth_request_slot head;
	struct turn turn;           /* among its user's clients */

	struct lane_counters counters;
};

/* slots and areas are powers of two within the limits of shm/abi.h. */
must_check int lane_open(struct hearth_layout layout, uint64_t features, uint64_t epoch, int node,
			 struct lane **ret_lane);
void lane_close(struct lane *lane);

/* Seals the client's segment against holes and further writable maps, and puts every page into the
 * daemon's maps, so that serving does not fault. The client must have touched them: whoever touches
 * first is charged. LANE_E_UNTOUCHED: it has not touched them all, or has sealed what is ours to
 * seal. */
#define LANE_E_UNTOUCHED 2
must_check int lane_populate(struct lane *lane);

/* Nothing serves the lane any more: the daemon's own maps go. */
void lane_vacate(struct lane *lane);
/* Of a vacated lane: 0 when nobody, whoever had it from the client, can write to its segment any
 * more. LANE_E_HELD: somebody maps it writable, or has pinned its pages, in which case this took
 * the kernel a while. LANE_E_UNKNOWN: the client's own seals keep it from being seen. */
#define LANE_E_HELD 3
#define LANE_E_UNKNOWN 4
must_check int lane_let_go(struct lane *lane);

/* Reads what the client has consumed. LANE_E_LYING: it claims the impossible. */
#define LANE_E_LYING 1
must_check int lane_consumed(struct lane *lane);

/* A request is there: the place of its answer is asked for while it is worked on. Its client looks at
 * that place, and taking it away from there takes a third of a round trip between two cores. */
static inline void lane_expect(const struct lane *lane)
{
	hearth_prefetch_write(lane->completion_slots +
			      (lane->cq_position & (lane->layout.completion_slots - 1)));
}

/* Publishes the one final completion of a request that was taken. */
void lane_complete(struct lane *lane, const struct hearth_completion_slot *completion);

/* Publishes a progress mark when none is outstanding; false otherwise. */
bool lane_progress(struct lane *lane, struct request *request, uint32_t item_count);

#endif
