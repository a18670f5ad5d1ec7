/* SPDX-License-Identifier: MIT */
/* daemon/ops/peer.c - replies that never block the control loop */
#include "ops/peer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int peer_new(struct session *session, uint64_t ticket, struct peer **ret_peer)
{
	struct peer *peer = calloc(1, sizeof(*peer));

	if (!peer)
		return err_raise(-ENOMEM, "no memory for a client");
	peer->session = session;
	peer->ticket = ticket;
	peer->heard_ns = session->accepted_ns;
	peer->pending_last = &peer->pending;
	peer->socket = (struct watch){ WATCH_PEER_SOCKET, false, session->fd, peer };
	peer->death = (struct watch){ WATCH_PEER_DEATH, false, session->pidfd, peer };
	*ret_peer = peer;
	return 0;
}

void peer_free(struct peer *peer)
{
	struct packet *packet;

	while ((packet = peer->pending)) {
		peer->pending = packet->next;
		free(packet);
	}
	session_free(peer->session);
	free(peer);
}

/* 1: sent; 0: no room; -errno: the peer is gone, or as good as gone: where the kernel has no memory
 * for a packet (ENOBUFS), the socket is writable all the same, and would be tried without end. */
static int send_now(const struct peer *peer, const void *packet, size_t bytes)
{
	ssize_t sent = send(peer->session->fd, packet, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (sent == (ssize_t)bytes)
		return 1;
	return sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? 0 : -EPIPE;
}

bool peer_send(struct peer *peer, const void *packet, size_t bytes)
{
	struct packet *kept;
	int r = 0;

	if (!peer->pending)
		r = send_now(peer, packet, bytes);
	if (r != 0)
		return r > 0;
	if (peer->pending_bytes + bytes > PEER_PENDING_BYTES_MAX)
		return false;
	kept = malloc(sizeof(*kept) + bytes);
	if (!kept)
		return false;
	kept->next = NULL;
	kept->bytes = bytes;
	memcpy(kept->content, packet, bytes);
	*peer->pending_last = kept;
	peer->pending_last = &kept->next;
	peer->pending_bytes += bytes;
	return true;
}

bool peer_flush(struct peer *peer)
{
	struct packet *packet;

	while ((packet = peer->pending)) {
		int r = send_now(peer, packet->content, packet->bytes);

		if (r <= 0)
			return r == 0;
		peer->pending = packet->next;
		if (!peer->pending)
			peer->pending_last = &peer->pending;
		peer->pending_bytes -= packet->bytes;
		free(packet);
	}
	return true;
}

bool peer_reply(struct peer *peer, int status, bool has_more, const char *text)
{
	uint8_t packet[HEARTH_MESSAGE_BYTES_MAX];
	struct hearth_message head = {
		.magic = HEARTH_MAGIC,
		.type = HEARTH_MESSAGE_CONTROL_REPLY,
		.flags = has_more ? HEARTH_MESSAGE_MORE : 0,
		.status = status,
	};
	size_t text_bytes = strlen(text);

	if (text_bytes > sizeof(packet) - sizeof(head)) {
		text = "{\"error\": \"this row does not fit into one message\"}";
		text_bytes = strlen(text);
	}
	head.bytes = (uint32_t)(sizeof(head) + text_bytes);
	memcpy(packet, &head, sizeof(head));
	memcpy(packet + sizeof(head), text, text_bytes);
	return peer_send(peer, packet, head.bytes);
}
