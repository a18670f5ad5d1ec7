/* SPDX-License-Identifier: MIT */
/*
 * client/open.h - from a path to two mapped segments, and back
 */
#ifndef HEARTH_CLIENT_OPEN_H
#define HEARTH_CLIENT_OPEN_H

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "client/connection.h"
#include "client/socket.h"

#define HEARTH_SPIN_NS_DEFAULT 50000 /* what a wake across two CPUs costs at most */
#define HEARTH_REPLY_TIMEOUT_NS_DEFAULT INT64_C(10000000000)

static inline int hearth_size_round(const char *name, uint64_t wanted, uint32_t otherwise,
				    uint32_t min, uint32_t max, uint32_t *ret_rounded)
{
	if (wanted > max)
		return hearth_explain(-EINVAL, "%s is %llu, at most %u", name,
				      (unsigned long long)wanted, max);
	if (wanted == 0)
		wanted = otherwise;
	*ret_rounded = hearth_round_up_pow2(wanted < min ? min : (uint32_t)wanted);
	return 0;
}

/* A caller's options may be shorter than ours, or longer when the rest is zero. */
static inline int hearth_options_read(const struct hearth_options *options,
				      struct hearth_options *ret_options, struct hearth *hearth)
{
	struct hearth_options mine;
	uint32_t slots;
	uint32_t request_area_bytes;
	uint32_t response_area_bytes;
	const uint8_t *bytes = (const uint8_t *)options;
	size_t byte;
	int r;

	memset(&mine, 0, sizeof(mine));
	/* The compiler sees a caller's own structure here; a later one may be longer. */
	__asm__("" : "+r"(bytes));
	if (options) {
		if (options->size < sizeof(options->size))
			return hearth_explain(-EINVAL,
					      "options.size is %zu: set it to sizeof(struct "
					      "hearth_options)",
					      options->size);
		for (byte = sizeof(mine); byte < options->size; byte++)
			if (bytes[byte] != 0)
				return hearth_explain(-E2BIG,
						      "options byte %zu is not known to this "
						      "library and not zero",
						      byte);
		memcpy(&mine, options, options->size < sizeof(mine) ? options->size : sizeof(mine));
	}
	r = hearth_size_round("slots", mine.slots, HEARTH_SLOTS_DEFAULT, HEARTH_SLOTS_MIN,
			      HEARTH_SLOTS_MAX, &slots);
	if (r < 0)
		return r;
	r = hearth_size_round("request_area_bytes", mine.request_area_bytes,
			      HEARTH_REQUEST_ARENA_BYTES_DEFAULT, HEARTH_ARENA_BYTES_MIN,
			      HEARTH_ARENA_BYTES_MAX, &request_area_bytes);
	if (r < 0)
		return r;
	r = hearth_size_round("response_area_bytes", mine.response_area_bytes,
			      HEARTH_RESPONSE_ARENA_BYTES_DEFAULT, HEARTH_ARENA_BYTES_MIN,
			      HEARTH_ARENA_BYTES_MAX, &response_area_bytes);
	if (r < 0)
		return r;
	if (mine.features == 0)
		mine.features = HEARTH_FEATURE_FUTEX_BELL | HEARTH_FEATURE_SOCKET_BELL |
				HEARTH_FEATURE_PROGRESS | HEARTH_FEATURE_TEST;
	if (mine.spin_ns == 0)
		mine.spin_ns = hearth_cpu_count() > 1 ? HEARTH_SPIN_NS_DEFAULT : 0;
	if (mine.reply_timeout_ns <= 0)
		mine.reply_timeout_ns = HEARTH_REPLY_TIMEOUT_NS_DEFAULT;
	hearth->layout = hearth_layout_of(slots, request_area_bytes, response_area_bytes);
	hearth->spin_ns = mine.spin_ns;
	hearth->reply_timeout_ns = mine.reply_timeout_ns;
	*ret_options = mine;
	return 0;
}

static inline int hearth_connect(const char *path, int64_t until_ns, int *ret_fd)
{
	struct sockaddr_un address;
	int fd;
	int error;

	memset(&address, 0, sizeof(address));
	address.sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(address.sun_path))
		return hearth_explain(-ENAMETOOLONG, "the socket's path has %zu bytes, at most %zu",
				      strlen(path), sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, path, strlen(path));
	/* Not blocking, so that a daemon that does not accept cannot hold the caller. */
	fd = socket(AF_UNIX, (int)SOCK_SEQPACKET | (int)SOCK_CLOEXEC | (int)SOCK_NONBLOCK, 0);
	if (fd < 0)
		return hearth_explain(-errno, "cannot make a socket: %s", strerror(errno));
	while (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		error = errno;
		if ((error == EAGAIN || error == EINTR) &&
		    hearth_clock_ns(HEARTH_CLOCK_MONOTONIC) < until_ns) {
			(void)poll(NULL, 0, error == EAGAIN ? 5 : 0);
			continue;
		}
		close(fd);
		return hearth_explain(-error, "cannot connect to %s: %s (does hearthd run?)", path,
				      error == EAGAIN ? "it does not accept connections"
						      : strerror(error));
	}
	*ret_fd = fd;
	return 0;
}

static inline bool hearth_is_size(uint32_t size, uint32_t min, uint32_t max)
{
	return size >= min && size <= max && (size & (size - 1)) == 0;
}

/* Judges a reply of `bytes` bytes; its text is the daemon's own sentence. */
static inline int hearth_hello_check(struct hearth_hello_reply *reply, int bytes, const int fds[2])
{
	if (bytes < 64 || reply->message.magic != HEARTH_MAGIC ||
	    reply->message.type != HEARTH_MESSAGE_HELLO_REPLY)
		return hearth_explain(-EPROTO, "what listens there does not speak hearth");
	reply->text[sizeof(reply->text) - 1] = '\0';
	if (reply->abi_oldest > HEARTH_ABI_VERSION || reply->abi_newest < HEARTH_ABI_OLDEST ||
	    reply->message.status == -EPROTONOSUPPORT)
		return hearth_explain(-EPROTONOSUPPORT,
				      "the daemon speaks ABI versions %u to %u, this client %u to "
				      "%u: update the older one",
				      reply->abi_oldest, reply->abi_newest, HEARTH_ABI_OLDEST,
				      HEARTH_ABI_VERSION);
	if (reply->message.status < 0)
		return hearth_explain(
			reply->message.status < -4095 ? -EPROTO : reply->message.status, "%s",
			reply->text[0] ? reply->text
				       : hearth_error_sentence(reply->message.status));
	if (fds[0] < 0 || fds[1] < 0)
		return hearth_explain(-EMFILE, "the daemon's two descriptors did not arrive: is "
					       "the limit of open files reached?");
	if (reply->abi < HEARTH_ABI_OLDEST || reply->abi > HEARTH_ABI_VERSION)
		return hearth_explain(-EPROTO, "the daemon chose ABI version %u, not in %u to %u",
				      reply->abi, HEARTH_ABI_OLDEST, HEARTH_ABI_VERSION);
	if (!hearth_is_size(reply->slots, HEARTH_SLOTS_MIN, HEARTH_SLOTS_MAX) ||
	    !hearth_is_size(reply->request_area_bytes, HEARTH_ARENA_BYTES_MIN,
			    HEARTH_ARENA_BYTES_MAX) ||
	    !hearth_is_size(reply->response_area_bytes, HEARTH_ARENA_BYTES_MIN,
			    HEARTH_ARENA_BYTES_MAX))
		return hearth_explain(-EPROTO,
				      "the daemon granted %u slots and areas of %u and %u bytes, "
				      "which cannot be",
				      reply->slots, reply->request_area_bytes,
				      reply->response_area_bytes);
	return 0;
}

static inline int hearth_hello_exchange(struct hearth *hearth, const struct hearth_options *options,
					int64_t until_ns, int ret_fds[2])
{
	struct hearth_hello hello;
	struct hearth_hello_reply reply;
	int64_t asked_ns;
	int64_t answered_ns;
	int r;

	hearth_message_init(&hello.message, HEARTH_MESSAGE_HELLO, sizeof(hello));
	hello.abi_oldest = HEARTH_ABI_OLDEST;
	hello.abi_newest = HEARTH_ABI_VERSION;
	hello.features = options->features;
	hello.slots = hearth->layout.slots;
	hello.request_area_bytes = hearth->layout.request_area_bytes;
	hello.response_area_bytes = hearth->layout.response_area_bytes;
	memset(&reply, 0, sizeof(reply));

	asked_ns = hearth_clock_ns(HEARTH_CLOCK_MONOTONIC);
	r = hearth_socket_send(hearth->fd, &hello, sizeof(hello), until_ns);
	if (r < 0)
		return hearth_explain(r, "cannot greet the daemon: %s", strerror(-r));
	r = hearth_socket_receive(hearth->fd, &reply, sizeof(reply), until_ns, ret_fds);
	if (r < 0)
		return hearth_explain(r, "the daemon did not answer the greeting: %s",
				      strerror(-r));
	answered_ns = hearth_clock_ns(HEARTH_CLOCK_MONOTONIC);
	r = hearth_hello_check(&reply, r, ret_fds);
	if (r < 0)
		return r;

	hearth->layout = hearth_layout_of(reply.slots, reply.request_area_bytes,
					  reply.response_area_bytes);
	hearth->features = reply.features & options->features;
	/* The daemon read its clock between our two readings. When its reading lies between them
	 * the clocks are one clock; otherwise the later reading is the closer one, and leaves
	 * deadlines early by the time that the answer travelled, never late. */
	if ((int64_t)reply.now_ns >= asked_ns && (int64_t)reply.now_ns <= answered_ns)
		hearth->clock_offset_ns = 0;
	else
		hearth->clock_offset_ns = (int64_t)(reply.now_ns - (uint64_t)answered_ns);
	hearth->info.abi = reply.abi;
	hearth->info.epoch = reply.epoch;
	return 0;
}

/* Writes to each page of zeroed memory: what is not there yet costs a fault here, and none in a
 * request. */
static inline void hearth_pages_touch(void *memory, uint64_t bytes)
{
	uint64_t offset;

	for (offset = 0; offset < bytes; offset += HEARTH_PAGE_BYTES)
		*((volatile uint8_t *)memory + offset) = 0;
	*((volatile uint8_t *)memory + bytes - 1) = 0;
}

/* Maps one segment and brings in every page; 0 or -errno with the sentence. */
static inline int hearth_segment_map(int fd, uint64_t bytes, bool is_writable, uint8_t **ret_base)
{
	struct stat status;
	uint64_t offset;
	void *base;
	int seals;

	if (fstat(fd, &status) < 0 || (uint64_t)status.st_size != bytes)
		return hearth_explain(-EPROTO, "a segment should have %llu bytes and does not",
				      (unsigned long long)bytes);
	seals = fcntl(fd, HEARTH_F_GET_SEALS);
	if (seals < 0 || (seals & HEARTH_SEALS_WANTED) != HEARTH_SEALS_WANTED)
		return hearth_explain(-EPROTO, "a segment is not sealed against shrinking");
	base = mmap(NULL, bytes, is_writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd,
		    0);
	if (base == MAP_FAILED)
		return hearth_explain(-errno, "cannot map a segment of %llu bytes: %s",
				      (unsigned long long)bytes, strerror(errno));
	if (syscall(SYS_madvise, base, bytes, HEARTH_MADV_DONTFORK) < 0 ||
	    (syscall(SYS_madvise, base, bytes,
		     is_writable ? HEARTH_MADV_POPULATE_WRITE : HEARTH_MADV_POPULATE_READ) < 0 &&
	     errno != EINVAL)) {
		int error = errno;

		munmap(base, bytes);
		return hearth_explain(-error, "cannot bring in %llu bytes of a segment: %s",
				      (unsigned long long)bytes, strerror(error));
	}
	/* What the advice brought in costs a cache miss here; what it did not, a fault. */
	if (is_writable)
		hearth_pages_touch(base, bytes);
	for (offset = 0; !is_writable && offset < bytes; offset += HEARTH_PAGE_BYTES)
		(void)*((const volatile uint8_t *)base + offset);
	*ret_base = (uint8_t *)base;
	return 0;
}

static inline int hearth_segments_map(struct hearth *hearth, const int fds[2])
{
	const struct hearth_layout *layout = &hearth->layout;
	const struct hearth_lane_daemon *daemon;
	uint8_t *base;
	int r;

	r = hearth_segment_map(fds[0], layout->client_bytes, true, &base);
	if (r < 0)
		return r;
	hearth->client = (struct hearth_lane_client *)(void *)base;
	hearth->cancel = (uint32_t *)(void *)(base + layout->cancel_offset);
	hearth->request_slots =
		(struct hearth_request_slot *)(void *)(base + layout->request_slots_offset);
	hearth->request_area = base + layout->request_area_offset;

	r = hearth_segment_map(fds[1], layout->daemon_bytes, false, &base);
	if (r < 0)
		return r;
	daemon = (const struct hearth_lane_daemon *)(const void *)base;
	hearth->daemon = daemon;
	hearth->completion_slots =
		(const struct hearth_completion_slot
			 *)(const void *)(base + layout->completion_slots_offset);
	hearth->response_area = base + layout->response_area_offset;
	if (daemon->magic != HEARTH_MAGIC || daemon->slots != layout->slots ||
	    daemon->completion_slots != layout->completion_slots ||
	    daemon->client_bytes != layout->client_bytes ||
	    daemon->daemon_bytes != layout->daemon_bytes ||
	    daemon->cancel_offset != layout->cancel_offset ||
	    daemon->request_slots_offset != layout->request_slots_offset ||
	    daemon->request_area_offset != layout->request_area_offset ||
	    daemon->completion_slots_offset != layout->completion_slots_offset ||
	    daemon->response_area_offset != layout->response_area_offset)
		return hearth_explain(-EPROTO, "the daemon laid its segments out differently");
	return 0;
}

/* Both segments are mapped and every page is charged to this process: serving may begin. */
static inline int hearth_ready_send(struct hearth *hearth, int64_t until_ns)
{
	struct hearth_message ready;
	int r;

	hearth_message_init(&ready, HEARTH_MESSAGE_READY, sizeof(ready));
	r = hearth_socket_send(hearth->fd, &ready, sizeof(ready), until_ns);
	if (r < 0)
		return hearth_explain(r, "cannot tell the daemon that its segments are mapped: %s",
				      strerror(-r));
	return 0;
}

static inline int hearth_private_init(struct hearth *hearth)
{
	uint32_t slots = hearth->layout.slots;
	uint32_t index;
	void *page;

	page = mmap(NULL, HEARTH_PAGE_BYTES, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | HEARTH_MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return hearth_explain(-errno, "no memory for a connection");
	hearth->fork_cookie = (uint32_t *)page;
	if (syscall(SYS_madvise, page, HEARTH_PAGE_BYTES, HEARTH_MADV_WIPEONFORK) < 0)
		return hearth_explain(-errno, "cannot mark a page for fork(): %s", strerror(errno));
	hearth_store_relaxed(hearth->fork_cookie, HEARTH_FORK_COOKIE);

	hearth->records = (struct hearth_record *)calloc(slots, sizeof(*hearth->records));
	hearth->free_indices = (uint32_t *)calloc(slots, sizeof(*hearth->free_indices));
	if (!hearth->records || !hearth->free_indices ||
	    !hearth_arena_init(&hearth->request_arena, hearth->layout.request_area_bytes) ||
	    !hearth_arena_init(&hearth->response_arena, hearth->layout.response_area_bytes))
		return hearth_explain(-ENOMEM, "no memory for a connection of %u slots", slots);
	hearth_pages_touch(hearth->records, slots * sizeof(*hearth->records));
	for (index = 0; index < slots; index++)
		hearth->free_indices[index] = slots - 1 - index;
	hearth->free_count = slots;
	return 0;
}

static inline void hearth_model_entry_free(struct hearth_model_entry *entry)
{
	free(entry->tensors);
	free(entry->dims);
	free(entry->offsets_into);
	free(entry->names);
	free(entry->packet);
	free(entry);
}

/* Who listens is the process that serves, unless it had the socket from another that has ended. */
static inline void hearth_daemon_watch(struct hearth *hearth)
{
	socklen_t bytes = sizeof(hearth->pidfd);

	if (getsockopt(hearth->fd, SOL_SOCKET, HEARTH_SO_PEERPIDFD, &hearth->pidfd, &bytes) < 0)
		hearth->pidfd = -1;
	if (!hearth_daemon_exited(hearth))
		return;
	close(hearth->pidfd);
	hearth->pidfd = -1;
}

HEARTH_API int hearth_open(const char *path, const struct hearth_options *options,
			   struct hearth **ret_hearth)
{
	struct hearth_options mine;
	struct hearth *hearth;
	int64_t until_ns;
	int fds[2] = {-1, -1};
	int r;

	hearth = (struct hearth *)calloc(1, sizeof(*hearth));
	if (!hearth)
		return hearth_fail(-ENOMEM);
	hearth->fd = -1;
	hearth_ticks_init(&hearth->ticks, hearth_ticks_are_steady());
	hearth->pidfd = -1;
	r = hearth_options_read(options, &mine, hearth);
	if (r < 0)
		goto out;
	until_ns =
		hearth_time_after(hearth_clock_ns(HEARTH_CLOCK_MONOTONIC), mine.reply_timeout_ns);
	r = hearth_connect(path ? path : HEARTH_SOCKET_PATH_DEFAULT, until_ns, &hearth->fd);
	if (r < 0)
		goto out;
	r = hearth_hello_exchange(hearth, &mine, until_ns, fds);
	if (r < 0)
		goto out;
	r = hearth_private_init(hearth);
	if (r < 0)
		goto out;
	r = hearth_segments_map(hearth, fds);
	if (r < 0)
		goto out;
	hearth_daemon_watch(hearth);
	r = hearth_ready_send(hearth, until_ns);
out:
	if (fds[0] >= 0)
		close(fds[0]);
	if (fds[1] >= 0)
		close(fds[1]);
	if (r < 0) {
		(void)hearth_close(hearth);
		return r;
	}
	*ret_hearth = hearth;
	return 0;
}

HEARTH_API int hearth_close(struct hearth *hearth)
{
	struct hearth_model_entry *entry;
	uint32_t index;
	bool is_parent;

	if (!hearth)
		return 0;
	/* In a forked child nothing is mapped at these addresses, or something else is. */
	is_parent = hearth->fork_cookie &&
		    hearth_load_relaxed(hearth->fork_cookie) == HEARTH_FORK_COOKIE;
	if (is_parent && hearth->client)
		munmap(hearth->client, hearth->layout.client_bytes);
	if (is_parent && hearth->daemon)
		munmap((void *)(uintptr_t)hearth->daemon, hearth->layout.daemon_bytes);
	if (hearth->fork_cookie)
		munmap(hearth->fork_cookie, HEARTH_PAGE_BYTES);
	if (hearth->pidfd >= 0)
		close(hearth->pidfd);
	if (hearth->fd >= 0)
		close(hearth->fd);
	while ((entry = hearth->models) != NULL) {
		hearth->models = entry->next;
		hearth_model_entry_free(entry);
	}
	for (index = 0; hearth->records && index < hearth->layout.slots; index++) {
		free(hearth->records[index].inputs);
		free(hearth->records[index].outputs);
	}
	free(hearth->request_arena.tree);
	free(hearth->response_arena.tree);
	free(hearth->records);
	free(hearth->free_indices);
	free(hearth);
	return 0;
}

#endif
