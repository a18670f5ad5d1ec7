/* SPDX-License-Identifier: MIT */
/* daemon/exec/cold_file.c - three times of a file, and what else moves them */
#include "exec/cold_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"

#define NAME_BYTES 1024 /* of a longer path its beginning */

/* 0: /proc does not tell. */
static uint64_t name_hash(int fd)
{
	char link[32];
	char name[NAME_BYTES];
	ssize_t bytes;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	bytes = readlink(link, name, sizeof(name));
	return bytes > 0 ? hash_bytes(name, (uint64_t)bytes) : 0;
}

static bool times_differ(const struct timespec *one, const struct timespec *other)
{
	return one->tv_sec != other->tv_sec || one->tv_nsec != other->tv_nsec;
}

int cold_file_note(struct cold_file *file, const char *name)
{
	if (fstat(file->fd, &file->state) < 0)
		return err_raise(-errno, "%s: %s", name, strerror(errno));
	file->name_hash = name_hash(file->fd);
	return 0;
}

bool cold_file_has_changed(struct cold_file *file)
{
	const struct stat *then = &file->state;
	uint64_t name;
	struct stat now;

	if (fstat(file->fd, &now) < 0 || now.st_size != then->st_size ||
	    times_differ(&now.st_mtim, &then->st_mtim))
		return true;
	if (!times_differ(&now.st_ctim, &then->st_ctim))
		return false;
	name = name_hash(file->fd);
	if (now.st_nlink == then->st_nlink && now.st_mode == then->st_mode &&
	    now.st_uid == then->st_uid && now.st_gid == then->st_gid && name == file->name_hash)
		return true;
	file->state = now;
	file->name_hash = name;
	return false;
}
