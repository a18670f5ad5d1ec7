/* SPDX-License-Identifier: MIT */
/*
 * tests/peers/sockets.c - blocking sockets: Unix packets, a Unix stream, TCP over loopback
 *
 * A message is its length in four bytes and what follows. A stream has no ends of messages, so who
 * reads one goes on until the length is there; a packet comes whole.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "peer.h"
#include "tests/system/crowd.h"
#include "tests/system/measure.h"
#include "tests/system/payload.h"

struct message {
	uint32_t bytes;
	uint8_t payload[];
};

struct end {
	int fd;
	int fd_other; /* of the other process, not used here */
	int cpu;
	uint32_t bytes_max;
	struct message *message;
	pid_t pid; /* who answers */
};

static void message_new(struct end *end)
{
	end->message = malloc(sizeof(*end->message) + end->bytes_max);
	must(end->message, "no memory");
}

static void message_send(const struct end *end)
{
	const uint8_t *at = (const uint8_t *)end->message;
	size_t left = sizeof(*end->message) + end->message->bytes;

	while (left > 0) {
		ssize_t sent = send(end->fd, at, left, MSG_NOSIGNAL);

		must(sent > 0, "cannot send");
		at += sent;
		left -= (size_t)sent;
	}
}

/* False: the other one has hung up. */
static bool message_receive(struct end *end)
{
	uint8_t *at = (uint8_t *)end->message;
	size_t room = sizeof(*end->message) + end->bytes_max;
	size_t have = 0;

	do {
		ssize_t received = recv(end->fd, at + have, room - have, 0);

		must(received >= 0, "cannot receive");
		if (received == 0)
			return false;
		have += (size_t)received;
	} while (have < sizeof(*end->message) ||
		 have < sizeof(*end->message) + end->message->bytes);
	return true;
}

static void answer(void *argument)
{
	struct end *end = argument;

	close(end->fd_other);
	cpu_pin(0, end->cpu);
	message_new(end);
	while (message_receive(end))
		message_send(end);
}

/* Two connected ends become two processes. */
static void *start(const struct peer_plan *plan, const int fds[2])
{
	struct end other = { fds[1], fds[0], plan->cpu_other, plan->bytes_max, NULL, 0 };
	struct end *end = malloc(sizeof(*end));

	must(end, "no memory");
	*end = (struct end){ fds[0], fds[1], plan->cpu, plan->bytes_max, NULL, 0 };
	end->pid = crowd_start(answer, &other);
	close(end->fd_other);
	cpu_pin(0, end->cpu);
	message_new(end);
	return end;
}

static void *seqpacket_start(const struct peer_plan *plan)
{
	int fds[2];

	must(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds) == 0, "no socket pair");
	return start(plan, fds);
}

static void *stream_start(const struct peer_plan *plan)
{
	int fds[2];

	must(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0, "no socket pair");
	return start(plan, fds);
}

static void *tcp_start(const struct peer_plan *plan)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t address_bytes = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	int one = 1;
	int fds[2];

	must(listener >= 0 && bind(listener, (void *)&address, sizeof(address)) == 0 &&
		     listen(listener, 1) == 0 &&
		     getsockname(listener, (void *)&address, &address_bytes) == 0,
	     "cannot listen on the loopback");
	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	must(fds[0] >= 0 && connect(fds[0], (void *)&address, sizeof(address)) == 0,
	     "cannot connect");
	fds[1] = accept(listener, NULL, NULL);
	must(fds[1] >= 0, "cannot accept");
	must(setsockopt(fds[0], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0 &&
		     setsockopt(fds[1], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0,
	     "no TCP_NODELAY");
	close(listener);
	return start(plan, fds);
}

static void echo(void *state, uint32_t bytes, uint64_t turn)
{
	struct end *end = state;

	end->message->bytes = bytes;
	payload_write(end->message->payload, bytes, turn);
	message_send(end);
	must(message_receive(end) && end->message->bytes == bytes &&
		     payload_check(end->message->payload, bytes, turn),
	     "something else came back");
}

static void stop(void *state)
{
	struct end *end = state;

	close(end->fd);
	crowd_finish(end->pid);
	free(end->message);
	free(end);
}

const struct peer peer_unix_seqpacket = {
	.name = "Unix SEQPACKET",
	.start = seqpacket_start,
	.echo = echo,
	.stop = stop,
};

const struct peer peer_unix_stream = {
	.name = "Unix STREAM",
	.start = stream_start,
	.echo = echo,
	.stop = stop,
};

const struct peer peer_tcp = {
	.name = "TCP, loopback",
	.start = tcp_start,
	.echo = echo,
	.stop = stop,
};
