/* SPDX-License-Identifier: MIT */
/* tests/model/scratch.c - one directory per test case, removed with all that is in it */
#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[512];
static char fresh[1024];

static void __attribute__((noreturn)) scratch_die(const char *verb, const char *what)
{
	fprintf(stderr, "scratch: %s %s: %s\n", verb, what, strerror(errno));
	abort();
}

static int scratch_remove(const char *path, const struct stat *stat, int type, struct FTW *walk)
{
	(void)stat;
	(void)type;
	(void)walk;
	return remove(path);
}

void scratch_begin(void)
{
	const char *parent = getenv("TMPDIR");

	snprintf(root, sizeof(root), "%s/hearth-model-XXXXXX", parent && *parent ? parent : "/tmp");
	if (!mkdtemp(root))
		scratch_die("making", root);
}

const char *scratch_directory(void)
{
	snprintf(fresh, sizeof(fresh), "%s/XXXXXX", root);
	if (!mkdtemp(fresh))
		scratch_die("making", fresh);
	return fresh;
}

int scratch_open(const char *directory)
{
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		scratch_die("opening", directory);
	return fd;
}

void scratch_write(int directory_fd, const char *name, const void *data, size_t bytes)
{
	int fd = openat(directory_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		scratch_die("creating", name);
	while (bytes > 0) {
		ssize_t written = write(fd, data, bytes);

		if (written < 0)
			scratch_die("writing", name);
		data = (const char *)data + written;
		bytes -= (size_t)written;
	}
	close(fd);
}

void *scratch_read(const char *path, size_t *ret_bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat stat;
	size_t done = 0;
	char *data;

	if (fd < 0 || fstat(fd, &stat) < 0)
		scratch_die("opening", path);
	data = malloc((size_t)stat.st_size + 1);
	if (!data)
		scratch_die("holding", path);
	while (done < (size_t)stat.st_size) {
		ssize_t got = read(fd, data + done, (size_t)stat.st_size - done);

		if (got <= 0)
			scratch_die("reading", path);
		done += (size_t)got;
	}
	close(fd);
	*ret_bytes = done;
	return data;
}

void scratch_end(void)
{
	if (nftw(root, scratch_remove, 16, FTW_DEPTH | FTW_PHYS) != 0)
		scratch_die("removing", root);
}
