/* SPDX-License-Identifier: MIT */
/* tools/hearthctl/talk.c - CONTROL out, CONTROL_REPLY packets in until one is not flagged MORE */

#include "tools/hearthctl/talk.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "shm/handshake.h"
#include "tools/hearthctl/command.h"

#define CONNECT_SECONDS 10
#define POLL_MS_MAX 60000
#define POLL_WATCHED_MS_MAX 300 /* where somebody looks whether the daemon lives */
#define ASK_AGAIN (-1) /* what hearthd has answered this user takes a part of its time */
#define REST_NS (50 * CLOCK_NS_PER_MS)

struct packet {
	struct hearth_message message;
	char body[HEARTH_MESSAGE_BYTES_MAX - sizeof(struct hearth_message)];
};

int talk_unreachable(const char *socket_path, int error)
{
	switch (error) {
	case EACCES:
	case EPERM:
		return complain(
			EXIT_UNREACHABLE,
			"no permission for the socket %s; join the group that owns it (ls -l "
			"%s), or ask as root or as the daemon's user",
			socket_path, socket_path);
	case ENOENT:
	case ECONNREFUSED:
		return complain(
			EXIT_UNREACHABLE,
			"no hearthd %s %s; is it running? `systemctl status hearthd`, or start "
			"`hearthd --repository DIR --socket %s`, or name its socket with --socket",
			error == ENOENT ? "socket at" : "listens on", socket_path, socket_path);
	case ENAMETOOLONG:
		return complain(
			EXIT_UNREACHABLE,
			"the socket path %s is too long; the system takes at most %zu bytes",
			socket_path, sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
	default:
		return complain(
			EXIT_UNREACHABLE,
			"hearthd at %s cannot be reached: %s; see `systemctl status hearthd`",
			socket_path, strerror(error));
	}
}

int talk_connect(const char *socket_path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = CONNECT_SECONDS};
	int fd;

	if (strlen(socket_path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, socket_path, strlen(socket_path) + 1);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* Bounds connect too: a daemon whose backlog is full is not waited for. */
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int error = errno;
		close(fd);
		return error == EAGAIN ? -ETIMEDOUT : -error;
	}
	return fd;
}

static int question_send(int fd, const json_t *question, struct packet *packet)
{
	size_t bytes = json_dumpb(question, packet->body, sizeof(packet->body), JSON_COMPACT);

	if (bytes == 0 || bytes > sizeof(packet->body))
		return -EMSGSIZE;
	bytes += sizeof(packet->message);
	packet->message = (struct hearth_message){
		.magic = HEARTH_MAGIC,
		.type = HEARTH_MESSAGE_CONTROL,
		.bytes = (uint32_t)bytes,
	};
	return send(fd, packet, bytes, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* Waits for one packet; a peer that closed is -ECONNRESET. */
static int packet_receive(int fd, uint64_t deadline_ns, const struct talk_watch *watch,
			  struct packet *packet)
{
	uint64_t most_ms = watch ? POLL_WATCHED_MS_MAX : POLL_MS_MAX;
	struct pollfd event = {.fd = fd, .events = POLLIN};
	ssize_t got;
	int ready;

	do {
		uint64_t now_ns = clock_ns();
		uint64_t left_ms = most_ms;
		if (deadline_ns > 0 && now_ns >= deadline_ns)
			return -ETIMEDOUT;
		if (deadline_ns > 0)
			left_ms = (deadline_ns - now_ns) / CLOCK_NS_PER_MS + 1;
		ready = poll(&event, 1, (int)(left_ms < most_ms ? left_ms : most_ms));
		if (ready == 0 && watch && watch->is_lost(watch->context))
			return -ETIMEDOUT;
	} while (ready == 0 || (ready < 0 && errno == EINTR));
	if (ready < 0)
		return -errno;

	got = recv(fd, packet, sizeof(*packet), MSG_TRUNC);
	if (got < 0)
		return -errno;
	if (got == 0)
		return -ECONNRESET;
	if ((size_t)got < sizeof(packet->message) || (size_t)got > sizeof(*packet) ||
	    packet->message.magic != HEARTH_MAGIC || packet->message.bytes != (size_t)got ||
	    packet->message.type != HEARTH_MESSAGE_CONTROL_REPLY)
		return -EPROTO;
	return 0;
}

static int refusal_print(const struct packet *packet, const json_t *row)
{
	const char *sentence = json_string_value(json_object_get(row, "error"));

	return complain(packet->message.status == -ENOENT ? EXIT_NOT_FOUND : EXIT_FAILED, "%s",
			sentence ? sentence : strerror(-packet->message.status));
}

/* Judges one packet; *ret_more when another follows. */
static int packet_read(const struct packet *packet, talk_row row_function, void *context,
		       bool *ret_more)
{
	size_t bytes = packet->message.bytes - sizeof(packet->message);
	json_t *row = bytes > 0 ? json_loadb(packet->body, bytes, 0, NULL) : NULL;
	int code = EXIT_OK;

	*ret_more = (packet->message.flags & HEARTH_MESSAGE_MORE) != 0;
	if (packet->message.status == -EAGAIN)
		code = ASK_AGAIN;
	else if (packet->message.status < 0)
		code = refusal_print(packet, row);
	else if (bytes > 0 && !json_is_object(row))
		code = complain(EXIT_FAILED,
				"hearthd answered something that is not a JSON object");
	else if (json_object_size(row) > 0)
		code = row_function(row, context);
	json_decref(row);
	return code;
}

/* The question, and its answer. Whoever is to rest asks again, until the time is over. */
static int exchange(int fd, uint64_t deadline_ns, const struct talk_watch *watch,
		    const json_t *question, struct packet *packet, talk_row row, void *context,
		    int *ret_code)
{
	const struct timespec rest = clock_timespec(REST_NS);
	bool more = true;
	int code = EXIT_OK;
	int r;

	r = question_send(fd, question, packet);
	while (r == 0 && more && code == EXIT_OK) {
		r = packet_receive(fd, deadline_ns, watch, packet);
		if (r == 0)
			code = packet_read(packet, row, context, &more);
		if (code != ASK_AGAIN)
			continue;
		nanosleep(&rest, NULL);
		code = EXIT_OK;
		more = true;
		r = question_send(fd, question, packet);
	}
	*ret_code = code;
	return r;
}

int talk_try(const char *socket_path, double timeout_s, const struct talk_watch *watch,
	     const json_t *question, talk_row row, void *context, int *ret_code)
{
	uint64_t deadline_ns = 0;
	struct packet *packet;
	int fd;
	int r;

	*ret_code = EXIT_OK;
	fd = talk_connect(socket_path);
	if (fd < 0)
		return fd;
	packet = malloc(sizeof(*packet));
	if (timeout_s > 0)
		deadline_ns = clock_ns() + (uint64_t)(timeout_s * 1e9);
	r = packet ? exchange(fd, deadline_ns, watch, question, packet, row, context, ret_code)
		   : -ENOMEM;
	free(packet);
	close(fd);
	return r == -EPIPE ? -ECONNRESET : r;
}

int talk_failed(const char *socket_path, double timeout_s, int error)
{
	switch (error) {
	case -EPROTO:
		return complain(
			EXIT_FAILED,
			"what listens on %s does not speak hearth's protocol, or another version "
			"of it; compare `hearthctl --version` and `hearthd --version`",
			socket_path);
	case -ETIMEDOUT:
		return complain(EXIT_UNREACHABLE,
				"hearthd at %s did not answer within %g s; --timeout waits longer",
				socket_path, timeout_s > 0 ? timeout_s : CONNECT_SECONDS);
	case -ECONNRESET:
		return complain(
			EXIT_UNREACHABLE,
			"hearthd at %s closed the connection before it answered; see its log: "
			"`journalctl -u hearthd`",
			socket_path);
	case -ENOMEM:
		return complain(EXIT_FAILED, "no memory for a packet");
	default:
		return talk_unreachable(socket_path, -error);
	}
}
