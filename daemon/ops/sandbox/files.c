/* SPDX-License-Identifier: MIT */
/*
 * daemon/ops/sandbox/files.c - Landlock: which files can be opened, and that nothing is written
 *
 * Everything that this kernel's Landlock knows to deny is denied, and a few
 * directories are excepted. Descriptors that are open already stay as they
 * are; memfds, pipes and sockets are not files in this sense.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ops/sandbox/parts.h"

/* Headers of Linux 6.1 end at the second version. */
#define ACCESS_FIRST ((UINT64_C(1) << 13) - 1) /* LANDLOCK_ACCESS_FS_EXECUTE to _MAKE_SYM */
#define ACCESS_REFER (UINT64_C(1) << 13)
#define ACCESS_TRUNCATE (UINT64_C(1) << 14)
#define ACCESS_IOCTL_DEVICE (UINT64_C(1) << 15)
#define NET_BIND_TCP (UINT64_C(1) << 0)
#define NET_CONNECT_TCP (UINT64_C(1) << 1)
#define SCOPE_ABSTRACT_SOCKET (UINT64_C(1) << 0)
#define SCOPE_SIGNAL (UINT64_C(1) << 1)

#define ACCESS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)

struct ruleset {
	uint64_t handled_access_fs;
	uint64_t handled_access_net;
	uint64_t scoped;
};

/* Memory, nodes and control groups are read at every load, a client's name when it connects. */
static const char *const system_directories[] = {
	"/proc",
	"/sys/devices/system",
	"/sys/fs/cgroup",
	"/sys/kernel/mm",
};

static struct ruleset ruleset_of(int abi)
{
	const char *notify = getenv("NOTIFY_SOCKET");
	struct ruleset ruleset = { .handled_access_fs = ACCESS_FIRST };

	if (abi >= 2)
		ruleset.handled_access_fs |= ACCESS_REFER;
	if (abi >= 3)
		ruleset.handled_access_fs |= ACCESS_TRUNCATE;
	if (abi >= 4)
		ruleset.handled_access_net = NET_BIND_TCP | NET_CONNECT_TCP;
	if (abi >= 5)
		ruleset.handled_access_fs |= ACCESS_IOCTL_DEVICE;
	if (abi >= 6)
		ruleset.scoped = SCOPE_SIGNAL;
	/* Some managers listen for their notifications at an abstract address. */
	if (abi >= 6 && !(notify && notify[0] == '@'))
		ruleset.scoped |= SCOPE_ABSTRACT_SOCKET;
	return ruleset;
}

static int allow_beneath(int ruleset_fd, int directory_fd, const char *directory, uint64_t access)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = access,
						   .parent_fd = directory_fd };
	int r = 0;

	if (syscall(SYS_landlock_add_rule, ruleset_fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
		r = err_raise(-errno, "Landlock: no rule for %s: %s", directory, strerror(errno));
	close(directory_fd);
	return r;
}

/* What is not there cannot be opened either. */
static int allow(int ruleset_fd, const char *directory, uint64_t access)
{
	int fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? 0 : allow_beneath(ruleset_fd, fd, directory, access);
}

/* The last act is to remove the sockets and the page, which is a right in their directory. They are there: who
 * cannot open it now could not remove them later. */
static int allow_removal(int ruleset_fd, const char *path)
{
	char directory[128];
	char *slash;
	int fd;

	snprintf(directory, sizeof(directory), "%s", path);
	slash = strrchr(directory, '/');
	if (!slash)
		snprintf(directory, sizeof(directory), ".");
	else
		slash[slash == directory] = '\0';
	fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_raise(-errno, "Landlock: %s cannot be opened: %s", directory,
				 strerror(errno));
	return allow_beneath(ruleset_fd, fd, directory, LANDLOCK_ACCESS_FS_REMOVE_FILE);
}

static int allow_all(int ruleset_fd, const struct options *options, bool owns_sockets,
		     bool owns_metrics, const char *page)
{
	uint32_t index;
	int r;

	r = allow(ruleset_fd, options->repository, ACCESS_READ);
	if (r < 0)
		return err_trace(r);
	for (index = 0; index < sizeof(system_directories) / sizeof(system_directories[0]);
	     index++) {
		r = allow(ruleset_fd, system_directories[index], ACCESS_READ);
		if (r < 0)
			return err_trace(r);
	}
	r = owns_metrics ? allow_removal(ruleset_fd, options->metrics_socket) : 0;
	if (r == 0 && owns_sockets)
		r = allow_removal(ruleset_fd, options->socket);
	if (r == 0 && owns_sockets)
		r = allow_removal(ruleset_fd, options->admin_socket);
	if (r == 0 && page)
		r = allow_removal(ruleset_fd, page);
	return r < 0 ? err_trace(r) : 0;
}

int sandbox_files(const struct options *options, bool owns_sockets, bool owns_metrics,
		  const char *page, int *ret_abi)
{
	struct ruleset ruleset;
	int ruleset_fd;
	int abi;
	int r;

	abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (abi < 0)
		return err_raise(-errno, "Landlock: %s", strerror(errno));
	ruleset = ruleset_of(abi);
	ruleset_fd = (int)syscall(SYS_landlock_create_ruleset, &ruleset, sizeof(ruleset), 0);
	if (ruleset_fd < 0)
		return err_raise(-errno, "Landlock: %s", strerror(errno));
	r = allow_all(ruleset_fd, options, owns_sockets, owns_metrics, page);
	if (r == 0 && syscall(SYS_landlock_restrict_self, ruleset_fd, 0) < 0)
		r = err_raise(-errno, "Landlock: %s", strerror(errno));
	close(ruleset_fd);
	if (r < 0)
		return err_trace(r);

	*ret_abi = abi;
	return 0;
}
