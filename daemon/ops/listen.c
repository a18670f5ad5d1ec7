/* SPDX-License-Identifier: MIT */
/* daemon/ops/listen.c - bind, permissions, what a dead daemon left behind, what systemd hands over */
#include "ops/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/log.h"

#define DYING_MS 1000
#define SO_PASSRIGHTS_LINUX 83 /* SO_PASSRIGHTS, Linux 6.16 */

static int address_of(const char *path, struct sockaddr_un *ret_address)
{
	memset(ret_address, 0, sizeof(*ret_address));
	ret_address->sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(ret_address->sun_path))
		return err_raise(-ENAMETOOLONG, "socket path %s is longer than %zu bytes", path,
				 sizeof(ret_address->sun_path) - 1);
	strncpy(ret_address->sun_path, path, sizeof(ret_address->sun_path) - 1);
	return 0;
}

/* One that was killed can still be connected to while the kernel takes its
 * io_uring apart, and hangs up when that is done; a living one does not. Whose
 * socket is of another type is no hearthd, and lives. */
static int probe(const struct sockaddr_un *address, int type, bool *ret_is_answered)
{
	struct pollfd poller = { .events = POLLIN };
	int error = 0;

	poller.fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (poller.fd < 0)
		return err_raise(-errno, "cannot make a socket: %s", strerror(errno));
	if (connect(poller.fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
		error = errno;
	*ret_is_answered = error == EAGAIN || error == EPROTOTYPE ||
			   (error == 0 && !(poll(&poller, 1, DYING_MS) == 1 &&
					    poller.revents & POLLHUP));
	close(poller.fd);
	return 0;
}

/* Removes a socket that nobody listens on. */
static int clear_path(const char *path, const struct sockaddr_un *address, int type)
{
	struct stat status;
	bool is_answered = false;
	int r;

	if (lstat(path, &status) < 0)
		return 0;
	if (!S_ISSOCK(status.st_mode))
		return err_raise(-EEXIST, "%s is there and is no socket; remove it or choose another "
				 "path", path);
	r = probe(address, type, &is_answered);
	if (r < 0)
		return err_trace(r);
	if (is_answered)
		return err_raise(-EADDRINUSE, "a daemon answers at %s already; stop it or choose "
				 "another path", path);
	if (unlink(path) < 0 && errno != ENOENT)
		return err_raise(-errno, "cannot remove the dead socket %s: %s", path,
				 strerror(errno));
	return 0;
}

int listen_group(const char *name, gid_t *ret_gid)
{
	struct group *group = getgrnam(name);

	if (!group)
		return err_raise(-EINVAL, "there is no group '%s' (getent group lists them)", name);
	*ret_gid = group->gr_gid;
	return 0;
}

static int allow(const char *path, mode_t mode, const char *name)
{
	gid_t gid;
	int r;

	if (name) {
		r = listen_group(name, &gid);
		if (r < 0)
			return err_trace(r);
		if (chown(path, (uid_t)-1, gid) < 0)
			return err_raise(-errno, "cannot give %s to group %s: %s", path, name,
					 strerror(errno));
	}
	if (chmod(path, mode) < 0)
		return err_raise(-errno, "cannot set the mode of %s: %s", path, strerror(errno));
	return 0;
}

/* A descriptor that a client sends would be closed by the control thread, and closing can wait
 * (SO_LINGER). Where the kernel knows how, it is refused at the sender. */
static void refuse_rights(int fd)
{
	int no = 0;

	(void)setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS_LINUX, &no, sizeof(no));
}

int listen_open(const char *path, int type, mode_t mode, const char *group, int *ret_fd)
{
	struct sockaddr_un address;
	mode_t mask;
	int fd;
	int r;

	r = address_of(path, &address);
	if (r < 0)
		return err_trace(r);
	r = clear_path(path, &address, type);
	if (r < 0)
		return err_trace(r);
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_raise(-errno, "cannot make a socket: %s", strerror(errno));
	/* Nobody else can connect before the mode is what it shall be. */
	mask = umask(0177);
	r = bind(fd, (const struct sockaddr *)&address, sizeof(address));
	umask(mask);
	if (r < 0) {
		r = err_raise(-errno, "cannot bind %s: %s; its directory must exist and be "
			      "writable", path, strerror(errno));
		close(fd);
		return err_trace(r);
	}
	r = allow(path, mode, group);
	if (r < 0)
		goto fail;
	refuse_rights(fd);
	if (listen(fd, 512) < 0) {
		r = err_raise(-errno, "cannot listen at %s: %s", path, strerror(errno));
		goto fail;
	}
	*ret_fd = fd;
	return 0;

fail:
	unlink(path);
	close(fd);
	return err_trace(r);
}

/* --- from systemd -------------------------------------------------------------------------------- */

struct inherited {
	const char *name;
	const char *unit;
	const char *path;
	int fd; /* -1: it was not passed */
};

#define INHERITED_COUNT 2

/* What goes by a name that means nothing here is closed: nobody else can. */
static void inherited_sort(struct inherited sockets[INHERITED_COUNT], const char *name, int fd,
			   listen_take *take, void *context)
{
	uint32_t index;

	for (index = 0; index < INHERITED_COUNT; index++) {
		if (strcmp(sockets[index].name, name) != 0 || sockets[index].fd >= 0)
			continue;
		sockets[index].fd = fd;
		return;
	}
	if (take(context, name, fd))
		return;
	log_line(LOG_LEVEL_WARNING, "systemd passed a descriptor '%s': closed; one 'infer', one "
		 "'admin' and one 'metrics' are known here", name);
	close(fd);
}

/* systemd clears O_NONBLOCK unless it is asked not to. */
static int unblock(int fd, const char *name)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return err_raise(-errno, "the socket '%s' from systemd cannot be made "
				 "non-blocking: %s", name, strerror(errno));
	return 0;
}

static int inherited_check(const struct inherited *inherited)
{
	int r;

	if (inherited->fd < 0)
		return err_raise(-EINVAL, "systemd passed no socket '%s': enable hearthd.socket and "
				 "hearthd-admin.socket, or neither", inherited->name);
	if (sd_is_socket(inherited->fd, AF_UNIX, SOCK_SEQPACKET, 1) <= 0)
		return err_raise(-EINVAL, "the descriptor '%s' from systemd is no Unix socket of "
				 "sequential packets that listens: %s wants ListenSequentialPacket=",
				 inherited->name, inherited->unit);
	if (sd_is_socket_unix(inherited->fd, SOCK_SEQPACKET, 1, inherited->path, 0) <= 0)
		return err_raise(-EINVAL, "the socket '%s' from systemd is not at %s: let "
				 "ListenSequentialPacket= of %s and hearthd's flags name one path",
				 inherited->name, inherited->path, inherited->unit);
	r = unblock(inherited->fd, inherited->name);
	if (r < 0)
		return err_trace(r);
	refuse_rights(inherited->fd);
	return 0;
}

int listen_check_stream(int fd)
{
	int r;

	if (sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) <= 0)
		return err_raise(-EINVAL, "the descriptor 'metrics' from systemd is no stream "
				 "socket that listens: hearth-metrics.socket wants ListenStream=");
	r = unblock(fd, "metrics");
	return r < 0 ? err_trace(r) : 0;
}

int listen_inherit(const char *infer_path, const char *admin_path, listen_take *take,
		   void *context, int *ret_infer_fd, int *ret_admin_fd)
{
	struct inherited sockets[INHERITED_COUNT] = {
		{ "infer", "hearthd.socket", infer_path, -1 },
		{ "admin", "hearthd-admin.socket", admin_path, -1 },
	};
	char **names = NULL;
	int count;
	int index;
	int r;

	count = sd_listen_fds_with_names(1, &names);
	if (count < 0)
		return err_raise(count, "cannot take the sockets from systemd: %s (LISTEN_FDS, "
				 "LISTEN_FDNAMES)", strerror(-count));
	for (index = 0; index < count; index++) {
		inherited_sort(sockets, names[index], SD_LISTEN_FDS_START + index, take, context);
		free(names[index]);
	}
	free(names);
	if (sockets[0].fd < 0 && sockets[1].fd < 0)
		return LISTEN_E_NONE;
	r = inherited_check(sockets);
	if (r == 0)
		r = inherited_check(sockets + 1);
	if (r < 0) {
		for (index = 0; index < INHERITED_COUNT; index++)
			if (sockets[index].fd >= 0)
				close(sockets[index].fd);
		return err_trace(r);
	}
	*ret_infer_fd = sockets[0].fd;
	*ret_admin_fd = sockets[1].fd;
	return 0;
}

void listen_close(const char *path, int fd)
{
	if (fd < 0)
		return;
	if (path)
		unlink(path);
	close(fd);
}
