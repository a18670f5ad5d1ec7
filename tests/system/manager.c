/* SPDX-License-Identifier: MIT */
/* tests/system/manager.c - a notify socket, and descriptors beyond those that a daemon is started with */
#include "manager.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "crowd.h"

#define FIRST_FD 3   /* of those that are handed over */
#define HELD_FD 256 /* and up: appliance_launch closes others; a limit may be 1024 */
#define TEXT_BYTES 512

/* --- what is held: with the mutex ----------------------------------------------------------------- */

static bool is_held(const struct manager *manager, int fd)
{
	struct stat status, other;
	uint32_t index;

	must(fstat(fd, &status) == 0, "fstat: %s", strerror(errno));
	for (index = 0; index < manager->entry_count; index++)
		if (fstat(manager->entries[index].fd, &other) == 0 &&
		    other.st_dev == status.st_dev && other.st_ino == status.st_ino)
			return true;
	return false;
}

static bool is_full(const struct manager *manager)
{
	return manager->entry_count_limit > 0 &&
	       manager->entry_count >= manager->entry_count_limit;
}

static void hold(struct manager *manager, const char *name, int fd)
{
	struct manager_entry *entry = manager->entries + manager->entry_count;

	if (!is_held(manager, fd) && !is_full(manager)) {
		must(manager->entry_count < MANAGER_ENTRIES_MAX, "too many descriptors");
		snprintf(entry->name, sizeof(entry->name), "%s", name);
		entry->fd = fcntl(fd, F_DUPFD_CLOEXEC, HELD_FD);
		must(entry->fd >= 0, "cannot hold %s: %s", name, strerror(errno));
		manager->entry_count++;
		manager->stored_count++;
		if (manager->entry_count_max < manager->entry_count)
			manager->entry_count_max = manager->entry_count;
	}
	close(fd);
}

static void let_go(struct manager *manager, const char *name)
{
	uint32_t index = 0;

	while (index < manager->entry_count) {
		if (strcmp(manager->entries[index].name, name) != 0) {
			index++;
			continue;
		}
		close(manager->entries[index].fd);
		manager->entries[index] = manager->entries[--manager->entry_count];
	}
}

static struct manager_entry *entry_find(struct manager *manager, const char *prefix, uint32_t index)
{
	uint32_t at;

	for (at = 0; at < manager->entry_count; at++)
		if (strncmp(manager->entries[at].name, prefix, strlen(prefix)) == 0 && index-- == 0)
			return manager->entries + at;
	return NULL;
}

/* --- what is said --------------------------------------------------------------------------------- */

/* With the mutex. */
static void obey_store(struct manager *manager, const char *text, int fd)
{
	char name[MANAGER_NAME_BYTES] = "";

	must(sscanf(strstr(text, "FDNAME="), "FDNAME=%63[^\n]", name) == 1, "no name: %s", text);
	if (strncmp(text, "FDSTOREREMOVE=1", 15) == 0) {
		let_go(manager, name);
	} else {
		must(fd >= 0, "nothing comes with %s", text);
		hold(manager, name, fd);
	}
	if (manager->kill_after > 0 && --manager->kill_after == 0) {
		manager->is_deaf = true;
		kill(manager->appliance->pid, SIGKILL);
	}
}

static void obey(struct manager *manager, const char *text, int fd)
{
	pthread_mutex_lock(&manager->mutex);
	if (manager->is_deaf) {
		if (fd >= 0)
			close(fd);
	} else if (strcmp(text, "READY=1") == 0) {
		manager->ready_count++;
		manager->ready_ns = crowd_now_ns();
	} else if (strncmp(text, "FDSTORE", 7) == 0) {
		obey_store(manager, text, fd);
	}
	pthread_mutex_unlock(&manager->mutex);
}

/* False: nobody will say anything more. */
static bool hear(struct manager *manager)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	char text[TEXT_BYTES];
	struct iovec vector = { text, sizeof(text) - 1 };
	struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	ssize_t bytes = recvmsg(manager->socket_fd, &message, MSG_CMSG_CLOEXEC);
	struct cmsghdr *header = bytes >= 0 ? CMSG_FIRSTHDR(&message) : NULL;
	int fd = -1;

	must(bytes >= 0 || errno == EINTR, "cannot hear: %s", strerror(errno));
	if (bytes <= 0)
		return bytes < 0;
	text[bytes] = '\0';
	if (header && header->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	obey(manager, text, fd);
	return true;
}

static void *listen_on(void *context)
{
	while (hear(context))
		;
	return NULL;
}

static void address_of(const struct appliance *appliance, struct sockaddr_un *ret_address)
{
	*ret_address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(ret_address->sun_path, sizeof(ret_address->sun_path), "%s/notify",
		 appliance->directory);
}

/* In the daemon's process, before it is one. */
static void hand_over(const struct appliance *appliance)
{
	const struct manager *manager = appliance->manager;
	char names[MANAGER_ENTRIES_MAX * MANAGER_NAME_BYTES] = "";
	size_t used = 0;
	struct sockaddr_un address;
	char text[16];
	uint32_t index;

	address_of(appliance, &address);
	setenv("NOTIFY_SOCKET", address.sun_path, 1);
	for (index = 0; index < manager->entry_count; index++) {
		if (dup2(manager->entries[index].fd, FIRST_FD + (int)index) < 0)
			_exit(126);
		used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s",
					 index ? ":" : "", manager->entries[index].name);
	}
	if (manager->entry_count == 0)
		return;
	snprintf(text, sizeof(text), "%u", manager->entry_count);
	setenv("LISTEN_FDS", text, 1);
	snprintf(text, sizeof(text), "%d", getpid());
	setenv("LISTEN_PID", text, 1);
	setenv("LISTEN_FDNAMES", names, 1);
}

void manager_forget(struct manager *manager)
{
	pthread_mutex_lock(&manager->mutex);
	while (manager->entry_count > 0)
		let_go(manager, manager->entries[0].name);
	pthread_mutex_unlock(&manager->mutex);
}

/* --- for tests ------------------------------------------------------------------------------------ */

void manager_open(struct manager *manager, struct appliance *appliance)
{
	struct sockaddr_un address;

	memset(manager, 0, sizeof(*manager));
	manager->appliance = appliance;
	appliance->manager = manager;
	appliance->prepare = hand_over;
	pthread_mutex_init(&manager->mutex, NULL);
	address_of(appliance, &address);
	manager->socket_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	must(bind(manager->socket_fd, (const struct sockaddr *)&address, sizeof(address)) == 0,
	     "no socket at %s: %s", address.sun_path, strerror(errno));
	must(pthread_create(&manager->thread, NULL, listen_on, manager) == 0, "no thread");
}

void manager_close(struct manager *manager)
{
	shutdown(manager->socket_fd, SHUT_RDWR);
	pthread_join(manager->thread, NULL);
	close(manager->socket_fd);
	manager_forget(manager);
	manager->appliance->prepare = NULL;
	pthread_mutex_destroy(&manager->mutex);
}

static bool is_ready(struct manager *manager, uint32_t count, int64_t *ret_ns)
{
	bool is_done;

	pthread_mutex_lock(&manager->mutex);
	is_done = manager->ready_count >= count;
	*ret_ns = manager->ready_ns;
	pthread_mutex_unlock(&manager->mutex);
	return is_done;
}

int64_t manager_await_ready(struct manager *manager, uint32_t count)
{
	int64_t ready_ns;

	await(is_ready(manager, count, &ready_ns));
	return ready_ns;
}

static uint32_t count_read(struct manager *manager, const uint32_t *count)
{
	uint32_t value;

	pthread_mutex_lock(&manager->mutex);
	value = *count;
	pthread_mutex_unlock(&manager->mutex);
	return value;
}

uint32_t manager_stored(struct manager *manager)
{
	return count_read(manager, &manager->stored_count);
}

uint32_t manager_most(struct manager *manager)
{
	return count_read(manager, &manager->entry_count_max);
}

void manager_kill_after(struct manager *manager, uint32_t count)
{
	pthread_mutex_lock(&manager->mutex);
	manager->kill_after = count;
	manager->is_deaf = false;
	pthread_mutex_unlock(&manager->mutex);
}

uint32_t manager_count(struct manager *manager, const char *prefix)
{
	uint32_t count = 0;

	pthread_mutex_lock(&manager->mutex);
	while (entry_find(manager, prefix, count))
		count++;
	pthread_mutex_unlock(&manager->mutex);
	return count;
}

int manager_find(struct manager *manager, const char *prefix, uint32_t index)
{
	struct manager_entry *entry;
	int fd = -1;

	pthread_mutex_lock(&manager->mutex);
	entry = entry_find(manager, prefix, index);
	if (entry)
		fd = fcntl(entry->fd, F_DUPFD_CLOEXEC, 0);
	pthread_mutex_unlock(&manager->mutex);
	return fd;
}

void manager_replace(struct manager *manager, const char *prefix, uint32_t index, int fd)
{
	struct manager_entry *entry;

	pthread_mutex_lock(&manager->mutex);
	entry = entry_find(manager, prefix, index);
	must(entry, "nothing is called %s", prefix);
	close(entry->fd);
	if (fd < 0) {
		*entry = manager->entries[--manager->entry_count];
	} else {
		entry->fd = fcntl(fd, F_DUPFD_CLOEXEC, HELD_FD);
		close(fd);
	}
	pthread_mutex_unlock(&manager->mutex);
}
