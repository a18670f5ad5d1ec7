/* SPDX-License-Identifier: MIT */
/* tests/peers/zeromq.c - ZeroMQ's request and reply over its Unix socket transport */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zmq.h>

#include "peer.h"
#include "tests/system/crowd.h"
#include "tests/system/measure.h"
#include "tests/system/payload.h"

struct zeromq {
	char address[64]; /* abstract: no file is left behind */
	int cpu_other;
	void *context;
	void *socket;
	pid_t pid;
};

/* What came is what is sent: no copy. */
static void answer(void *argument)
{
	const struct zeromq *zeromq = argument;
	void *socket;
	zmq_msg_t message;

	cpu_pin(0, zeromq->cpu_other);
	socket = zmq_socket(zmq_ctx_new(), ZMQ_REP);
	must(socket && zmq_bind(socket, zeromq->address) == 0, "zmq_bind: %s",
	     zmq_strerror(zmq_errno()));
	zmq_msg_init(&message);
	while (zmq_msg_recv(&message, socket, 0) >= 0)
		must(zmq_msg_send(&message, socket, 0) >= 0, "zmq_msg_send: %s",
		     zmq_strerror(zmq_errno()));
}

static void *start(const struct peer_plan *plan)
{
	struct zeromq *zeromq = calloc(1, sizeof(*zeromq));

	must(zeromq, "no memory");
	snprintf(zeromq->address, sizeof(zeromq->address), "ipc://@hearth-bench-%d",
		 (int)getpid());
	zeromq->cpu_other = plan->cpu_other;
	zeromq->pid = crowd_start(answer, zeromq);
	cpu_pin(0, plan->cpu);
	zeromq->context = zmq_ctx_new();
	zeromq->socket = zmq_socket(zeromq->context, ZMQ_REQ);
	must(zeromq->socket && zmq_connect(zeromq->socket, zeromq->address) == 0,
	     "zmq_connect: %s", zmq_strerror(zmq_errno()));
	return zeromq;
}

static void echo(void *state, uint32_t bytes, uint64_t turn)
{
	struct zeromq *zeromq = state;
	zmq_msg_t message;

	must(zmq_msg_init_size(&message, bytes) == 0, "no memory");
	payload_write(zmq_msg_data(&message), bytes, turn);
	must(zmq_msg_send(&message, zeromq->socket, 0) >= 0 &&
		     zmq_msg_recv(&message, zeromq->socket, 0) >= 0,
	     "ZeroMQ: %s", zmq_strerror(zmq_errno()));
	must(zmq_msg_size(&message) == bytes && payload_check(zmq_msg_data(&message), bytes, turn),
	     "something else came back");
	zmq_msg_close(&message);
}

static void stop(void *state)
{
	struct zeromq *zeromq = state;

	zmq_close(zeromq->socket);
	zmq_ctx_term(zeromq->context);
	crowd_kill(zeromq->pid);
	free(zeromq);
}

const struct peer peer_zeromq = {
	.name = "ZeroMQ, ipc",
	.start = start,
	.echo = echo,
	.stop = stop,
};
