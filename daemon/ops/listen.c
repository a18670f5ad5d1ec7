/* SPDX-License-Identifier: MIT */
/* daemon/ops/listen.c - bind, permissions, and what a dead daemon left behind */
#include "ops/listen.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

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
 * io_uring apart, and hangs up when that is done; a living one does not. */
static int probe(const struct sockaddr_un *address, bool *ret_is_answered)
{
	struct pollfd poller = { .events = POLLIN };
	int error = 0;

	poller.fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (poller.fd < 0)
		return err_raise(-errno, "cannot make a socket: %s", strerror(errno));
	if (connect(poller.fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
		error = errno;
	*ret_is_answered = error == EAGAIN ||
			   (error == 0 && !(poll(&poller, 1, DYING_MS) == 1 &&
					    poller.revents & POLLHUP));
	close(poller.fd);
	return 0;
}

/* Removes a socket that nobody listens on. */
static int clear_path(const char *path, const struct sockaddr_un *address)
{
	struct stat status;
	bool is_answered = false;
	int r;

	if (lstat(path, &status) < 0)
		return 0;
	if (!S_ISSOCK(status.st_mode))
		return err_raise(-EEXIST, "%s is there and is no socket; remove it or choose another "
				 "--socket", path);
	r = probe(address, &is_answered);
	if (r < 0)
		return err_trace(r);
	if (is_answered)
		return err_raise(-EADDRINUSE, "a daemon answers at %s already; stop it or choose "
				 "another --socket", path);
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

int listen_open(const char *path, mode_t mode, const char *group, int *ret_fd)
{
	struct sockaddr_un address;
	mode_t mask;
	int no = 0;
	int fd;
	int r;

	r = address_of(path, &address);
	if (r < 0)
		return err_trace(r);
	r = clear_path(path, &address);
	if (r < 0)
		return err_trace(r);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
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
	/* A descriptor that a client sends would be closed by the control thread, and closing can
	 * wait (SO_LINGER). Where the kernel knows how, it is refused at the sender. */
	(void)setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS_LINUX, &no, sizeof(no));
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

void listen_close(const char *path, int fd)
{
	if (fd < 0)
		return;
	unlink(path);
	close(fd);
}
