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

#include "client/connection.h"
#include "client/linux.h"

#define HEARTH_SO_PEERPIDFD 77 /* SO_PEERPIDFD, Linux 6.5 */

/* A daemon that was killed may leave its sockets open for seconds, in the hands of a kernel that
 * takes its io_uring apart later; its pidfd tells at once. */
static inline bool hearth_daemon_exited(const struct hearth *hearth)
{
	struct pollfd poller;

	poller.fd = hearth->pidfd;
	poller.events = POLLIN;
	return hearth->pidfd >= 0 && poll(&poller, 1, 0) > 0;
}

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
	if (bytes == 0 || (errno != EAGAIN && errno != EWOULDBLOCK) || hearth_daemon_exited(hearth))
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
