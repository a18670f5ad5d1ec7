/* SPDX-License-Identifier: MIT */
/*
 * daemon/serve/message.h - what the control thread and the data thread tell each other
 *
 * Fixed-size messages through base/queue.h, one queue each way. Every message
 * to the data thread with a token is answered by MESSAGE_DONE with that token.
 */
#ifndef HEARTH_SERVE_MESSAGE_H
#define HEARTH_SERVE_MESSAGE_H

#include <stdint.h>

struct data;
struct lane;
struct version;

enum message_kind {
	/* control to data */
	MESSAGE_LANE_OPEN,  /* serve this lane */
	MESSAGE_LANE_RANG,  /* its client rang over the socket */
	MESSAGE_LANE_CLOSE, /* forget it; answered by LANE_CLOSED */
	MESSAGE_INSTALL,    /* this version may be pinned */
	MESSAGE_CURRENT,    /* and answers requests that pin none */
	MESSAGE_RETIRE,     /* takes no more requests; answered by RETIRED */
	MESSAGE_HOLD,       /* requests of this model wait for the next CURRENT of it */
	MESSAGE_RELEASE,    /* they wait no more */
	MESSAGE_STOP,       /* answer what is published, then end */

	/* data to control */
	MESSAGE_DONE,
	MESSAGE_LANE_LYING,  /* disconnect this client */
	MESSAGE_LANE_CLOSED, /* nothing touches the lane any more */
	MESSAGE_STALE,       /* a cold table's file has changed: the version serves nothing */
	MESSAGE_RETIRED,     /* nothing touches the version any more */
	MESSAGE_STOPPED,
};

struct message {
	enum message_kind kind;
	uint32_t token; /* 0: no answer wanted */
	union {
		struct lane *lane;
		struct version *version;
		uint32_t model;
	};
};

#define MESSAGE_QUEUE_CAPACITY 16384 /* to the data thread: whoever finds it full waits */

/* Data thread. Returns how many there were. */
uint32_t message_obey_all(struct data *data);

#endif
