/* SPDX-License-Identifier: MIT */
/* daemon/serve/session.c - credentials, quotas, version negotiation, descriptors */
#include "serve/session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"

#define SO_PEERPIDFD_LINUX 77 /* SO_PEERPIDFD, Linux 6.5 */

/*
 * Since Linux 6.5 the kernel hands out a pidfd of the process that connected, and says so when
 * that is gone. Before, there is its pid, which can be given to somebody else between connect and
 * pidfd_open; SO_PEERCRED, a copy made by connect, says the same for ever. That the other end has
 * not hung up after pidfd_open proves that whoever holds it lives: with hearth.h, the process that
 * connected and nobody else, so that its pid is its own. It proves nothing of a process that left
 * its end to another and died. Then a stranger may be watched, and the connection ends with the
 * stranger or with the socket's hang-up, whichever comes first.
 */
static int peer_pidfd(int fd, pid_t pid)
{
	struct pollfd poller = { .fd = fd, .events = POLLRDHUP };
	socklen_t bytes = sizeof(int);
	int pidfd = -1;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD_LINUX, &pidfd, &bytes) == 0)
		return pidfd;
	if (errno != ENOPROTOOPT)
		return -1;
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd >= 0 && poll(&poller, 1, 0) != 0) {
		close(pidfd);
		return -1;
	}
	return pidfd;
}

/* For people to read: the program's path, or its name alone, since Landlock shows the path to no
 * one who is beneath it. */
static void name_program(struct session *session)
{
	char path[64];
	ssize_t length;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/exe", session->pid);
	length = readlink(path, session->exe, sizeof(session->exe) - 1);
	if (length < 0) {
		snprintf(path, sizeof(path), "/proc/%d/comm", session->pid);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		length = fd < 0 ? -1 : read(fd, session->exe, sizeof(session->exe) - 1);
		if (fd >= 0)
			close(fd);
		length -= length > 0; /* its newline */
	}
	session->exe[length < 0 ? 0 : length] = '\0';
	for (char *at = session->exe; *at; at++)
		if (*at < ' ' || *at > '~')
			*at = '?';
}

int session_new(int fd, bool is_admin, struct shares *shares, struct session **ret_session)
{
	struct session *session;
	struct ucred peer;
	socklen_t bytes = sizeof(peer);
	struct share *share;
	int r;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) < 0)
		return err_raise(-errno, "a client without credentials: %s", strerror(errno));
	r = share_find(shares, peer.uid, &share);
	if (r < 0)
		return err_trace(r);
	session = calloc(1, sizeof(*session));
	if (!session)
		return err_raise(-ENOMEM, "no memory for a session");
	session->fd = fd;
	session->is_admin = is_admin;
	session->pid = peer.pid;
	session->uid = peer.uid;
	session->gid = peer.gid;
	session->pidfd = peer_pidfd(fd, peer.pid);
	session->accepted_ns = clock_ns();
	session->share = share;
	share->sessions++;
	name_program(session);

	*ret_session = session;
	return 0;
}

void session_close(struct session *session)
{
	session->state = SESSION_CLOSING;
	if (session->lane)
		session->share->leaving++;
}

void session_free(struct session *session)
{
	if (!session)
		return;
	session->share->sessions--;
	if (session->lane && session->state == SESSION_CLOSING)
		session->share->leaving--;
	if (session->lane)
		share_keep(session->share, session->lane, session->pidfd);
	else if (session->pidfd >= 0)
		close(session->pidfd);
	close(session->fd);
	free(session);
}

static bool send_reply(const struct session *session, const struct hearth_hello_reply *reply,
		       const struct lane_fds *fds)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(2 * sizeof(int))];
	} control = { .header = { 0 } };
	struct iovec part = { .iov_base = (void *)(uintptr_t)reply, .iov_len = sizeof(*reply) };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	if (fds) {
		int numbers[2] = { fds->client_fd, fds->daemon_fd };
		struct cmsghdr *header;

		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(numbers));
		memcpy(CMSG_DATA(header), numbers, sizeof(numbers));
	}
	return sendmsg(session->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) ==
	       (ssize_t)sizeof(*reply);
}

__attribute__((format(printf, 3, 4))) static int refuse(struct hearth_hello_reply *reply,
							int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(reply->text, sizeof(reply->text), format, arguments);
	va_end(arguments);
	reply->message.status = error;
	return error;
}

/* What the client wants, with defaults filled in and rounded up. */
struct wish {
	uint32_t slots;
	uint32_t request_area_bytes;
	uint32_t response_area_bytes;
};

static int check_wish(const struct hearth_hello *hello, uint64_t features, struct wish *wish,
		      struct hearth_hello_reply *reply)
{
	uint32_t slots = hello->slots ? hello->slots : HEARTH_SLOTS_DEFAULT;
	uint32_t request = hello->request_area_bytes ? hello->request_area_bytes
						     : HEARTH_REQUEST_ARENA_BYTES_DEFAULT;
	uint32_t response = hello->response_area_bytes ? hello->response_area_bytes
						       : HEARTH_RESPONSE_ARENA_BYTES_DEFAULT;

	if (hello->abi_newest < HEARTH_ABI_OLDEST || hello->abi_oldest > HEARTH_ABI_VERSION)
		return refuse(reply, -EPROTONOSUPPORT,
			      "client speaks shared-memory ABI %u to %u, this hearthd %u to %u; "
			      "build the client with this hearthd's hearth.h",
			      hello->abi_oldest, hello->abi_newest, HEARTH_ABI_OLDEST,
			      HEARTH_ABI_VERSION);
	if (!(hello->features & features & (HEARTH_FEATURE_FUTEX_BELL | HEARTH_FEATURE_SOCKET_BELL)))
		return refuse(reply, -EOPNOTSUPP,
			      "this hearthd is rung by %s, and the client asked for features %#lx",
			      features & HEARTH_FEATURE_FUTEX_BELL ? "a futex (0x1)"
								   : "its socket (0x2)",
			      (unsigned long)hello->features);
	if (hello->flags != 0)
		return refuse(reply, -EINVAL, "unknown flags %#x in HELLO", hello->flags);
	if (slots > HEARTH_SLOTS_MAX)
		return refuse(reply, -EINVAL, "%u slots wanted, the limit is %u", slots,
			      HEARTH_SLOTS_MAX);
	if (request > HEARTH_ARENA_BYTES_MAX || response > HEARTH_ARENA_BYTES_MAX)
		return refuse(reply, -EINVAL, "an arena of %u bytes wanted, the limit is %u",
			      request > response ? request : response, HEARTH_ARENA_BYTES_MAX);
	wish->slots = hearth_round_up_pow2(slots);
	wish->request_area_bytes = hearth_round_up_pow2(
		request < HEARTH_ARENA_BYTES_MIN ? HEARTH_ARENA_BYTES_MIN : request);
	wish->response_area_bytes = hearth_round_up_pow2(
		response < HEARTH_ARENA_BYTES_MIN ? HEARTH_ARENA_BYTES_MIN : response);
	return 0;
}

/* A fresh lane on its user's account. SESSION_E_WAIT: there is room as soon as what leaves has left,
 * which may be this very client's last connection. */
static int lane_lend(struct session *session, const struct hearth_layout *layout,
		     uint64_t features, const struct session_limits *limits, struct shares *shares,
		     uint32_t clients)
{
	struct share *share = session->share;
	int r;

	if (clients >= limits->clients_max) {
		share_refuse(share, REASON_CLIENTS);
		return err_raise(-EBUSY, "%u clients are connected, the limit is %u "
				 "(--clients-max)", clients, limits->clients_max);
	}
	shares_reap(shares);
	if (share->leaving > 0 && !share_has_room(share, layout))
		return SESSION_E_WAIT;
	r = share_charge(share, layout);
	if (r < 0)
		return r;
	r = lane_open(*layout, features, limits->epoch, limits->node, &session->lane);
	if (r < 0) {
		share_discharge(share, layout);
		share_refuse(share, REASON_MEMORY);
		return r;
	}
	r = share_enter(share, session->lane, session->pid, limits->node);
	if (r < 0) {
		share_end(share, session->lane);
		session->lane = NULL;
		share_refuse(share, REASON_MEMORY);
	}
	return r;
}

int session_hello(struct session *session, const struct hearth_hello *hello,
		  const struct session_limits *limits, struct shares *shares, uint32_t clients)
{
	struct hearth_hello_reply reply = {
		.message = {
			.magic = HEARTH_MAGIC,
			.type = HEARTH_MESSAGE_HELLO_REPLY,
			.bytes = sizeof(reply),
		},
		.abi_oldest = HEARTH_ABI_OLDEST,
		.abi_newest = HEARTH_ABI_VERSION,
		.epoch = limits->epoch,
	};
	struct hearth_layout layout;
	struct wish wish = { 0 };
	int r;

	if (session->state != SESSION_ACCEPTED)
		r = refuse(&reply, -EALREADY, "this connection has its segments already");
	else
		r = check_wish(hello, limits->features, &wish, &reply);
	if (r < 0) {
		share_refuse(session->share, REASON_HANDSHAKE);
	} else {
		layout = hearth_layout_of(wish.slots, wish.request_area_bytes,
					  wish.response_area_bytes);
		r = lane_lend(session, &layout, hello->features & limits->features, limits, shares,
			      clients);
		if (r == SESSION_E_WAIT)
			return r;
		if (r < 0)
			r = refuse(&reply, r, "%s", err_message());
	}
	reply.now_ns = clock_ns();
	if (r < 0)
		return send_reply(session, &reply, NULL) ? 0 : SESSION_E_GONE;

	session->lane->socket_fd = session->fd;
	session->state = SESSION_GREETED;
	session->greeted_ns = reply.now_ns;
	reply.abi = HEARTH_ABI_VERSION;
	reply.slots = wish.slots;
	reply.request_area_bytes = wish.request_area_bytes;
	reply.response_area_bytes = wish.response_area_bytes;
	reply.features = session->lane->features;
	return send_reply(session, &reply, &session->lane->fds) ? 0 : SESSION_E_GONE;
}

static void describe_tensor(const struct signature_tensor *tensor,
			    struct hearth_tensor_description *description)
{
	uint32_t dim;

	memset(description, 0, sizeof(*description));
	description->dtype = (uint16_t)tensor->dtype;
	description->rank = (uint16_t)tensor->rank;
	description->name_bytes = (uint16_t)strlen(tensor->name);
	if (tensor->is_offsets)
		description->offsets_into = (uint16_t)(1 + tensor->values_symbol);
	for (dim = 0; dim < tensor->rank; dim++) {
		description->dims[dim].symbol = tensor->dims[dim].symbol;
		description->dims[dim].factor = (uint32_t)tensor->dims[dim].factor;
		description->dims[dim].constant = (int32_t)tensor->dims[dim].constant;
	}
}

/* Descriptions, then names. False: they do not fit into one message. */
static bool describe_tensors(const struct signature *signature, uint8_t *reply, size_t *bytes)
{
	uint32_t count = signature->input_count + signature->output_count;
	size_t table = *bytes;
	uint32_t index;

	*bytes += count * sizeof(struct hearth_tensor_description);
	for (index = 0; index < count; index++) {
		const struct signature_tensor *tensor = signature_tensor_at(signature, index);
		struct hearth_tensor_description description;
		size_t name_bytes = strlen(tensor->name);

		if (*bytes + name_bytes > HEARTH_MESSAGE_BYTES_MAX)
			return false;
		describe_tensor(tensor, &description);
		memcpy(reply + table + index * sizeof(description), &description,
		       sizeof(description));
		memcpy(reply + *bytes, tensor->name, name_bytes);
		*bytes += name_bytes;
	}
	return true;
}

void session_describe(const struct registry *registry, const struct hearth_describe *describe,
		      void *reply, size_t *ret_bytes)
{
	struct hearth_describe_reply head = {
		.message = { .magic = HEARTH_MAGIC, .type = HEARTH_MESSAGE_DESCRIBE_REPLY },
		.row_symbol = -1,
		.cookie = describe->cookie,
	};
	char name[HEARTH_NAME_BYTES];
	const struct version *version;
	uint32_t current = 0;
	size_t bytes = sizeof(head);
	int r;

	memcpy(name, describe->name, sizeof(name));
	name[sizeof(name) - 1] = '\0';
	r = registry_find(registry, name, describe->version, &version, &current);
	if (r != 0) {
		head.message.status = -ENOENT;
		if (describe->version)
			snprintf(head.text, sizeof(head.text),
				 "version %u of model '%s' is not loaded; `hearthctl models` lists "
				 "what is", describe->version, name);
		else
			snprintf(head.text, sizeof(head.text),
				 "model '%s' is not loaded; `hearthctl models` lists what is", name);
	} else if (!describe_tensors(version->signature, reply, &bytes)) {
		head.message.status = -E2BIG;
		snprintf(head.text, sizeof(head.text),
			 "the names of '%s' do not fit into one message of %u bytes", name,
			 HEARTH_MESSAGE_BYTES_MAX);
		bytes = sizeof(head);
	} else {
		head.model = version->model;
		head.version = version->number;
		head.current_version = current;
		head.rows_max = version->rows_max;
		head.row_symbol = version->signature->row_symbol;
		head.symbol_count = version->signature->symbol_count;
		head.input_count = version->signature->input_count;
		head.output_count = version->signature->output_count;
		head.numerics = version->numerics;
	}
	head.message.bytes = (uint32_t)bytes;
	memcpy(reply, &head, sizeof(head));
	*ret_bytes = bytes;
}
