/* SPDX-License-Identifier: MIT */
/* tests/peers/nng.c - nng's request and reply over its Unix socket transport */
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "peer.h"
#include "tests/system/crowd.h"
#include "tests/system/measure.h"
#include "tests/system/payload.h"

struct nng {
	char address[64]; /* abstract: no file is left behind */
	int cpu_other;
	nng_socket socket;
	pid_t pid;
};

static void check(int r)
{
	must(r == 0, "nng: %s", nng_strerror(r));
}

/* What came is what is sent: no copy. */
static void answer(void *argument)
{
	const struct nng *nng = argument;
	nng_socket socket;
	nng_msg *message;

	cpu_pin(0, nng->cpu_other);
	check(nng_rep0_open(&socket));
	check(nng_listen(socket, nng->address, NULL, 0));
	while (nng_recvmsg(socket, &message, 0) == 0)
		check(nng_sendmsg(socket, message, 0));
}

static void *start(const struct peer_plan *plan)
{
	struct nng *nng = calloc(1, sizeof(*nng));

	must(nng, "no memory");
	snprintf(nng->address, sizeof(nng->address), "abstract://hearth-bench-%d", (int)getpid());
	nng->cpu_other = plan->cpu_other;
	nng->pid = crowd_start(answer, nng);
	cpu_pin(0, plan->cpu);
	check(nng_req0_open(&nng->socket));
	await(nng_dial(nng->socket, nng->address, NULL, 0) == 0);
	return nng;
}

static void echo(void *state, uint32_t bytes, uint64_t turn)
{
	struct nng *nng = state;
	nng_msg *message;

	check(nng_msg_alloc(&message, bytes));
	payload_write(nng_msg_body(message), bytes, turn);
	check(nng_sendmsg(nng->socket, message, 0));
	check(nng_recvmsg(nng->socket, &message, 0));
	must(nng_msg_len(message) == bytes && payload_check(nng_msg_body(message), bytes, turn),
	     "something else came back");
	nng_msg_free(message);
}

static void stop(void *state)
{
	struct nng *nng = state;

	nng_close(nng->socket);
	crowd_kill(nng->pid);
	free(nng);
}

const struct peer peer_nng = {
	.name = "nng, ipc",
	.start = start,
	.echo = echo,
	.stop = stop,
};
