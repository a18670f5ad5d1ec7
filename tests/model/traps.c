/* SPDX-License-Identifier: MIT */
/* tests/model/traps.c - a model's directory with everything in it that a hostile file could name */
#include "traps.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[512];
static pid_t owner;

static void __attribute__((noreturn)) traps_die(const char *what)
{
	fprintf(stderr, "traps: %s: %s\n", what, strerror(errno));
	abort();
}

static int entry_remove(const char *path, const struct stat *stat, int type, struct FTW *walk)
{
	(void)stat;
	(void)type;
	(void)walk;
	return remove(path);
}

static void traps_remove(void)
{
	if (getpid() == owner)
		(void)nftw(root, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
}

/* The secret's bytes are its own; the others are small floats and small ids. */
uint8_t traps_byte(const char *name, size_t at)
{
	if (strstr(name, "secret"))
		return 0x5e;
	return at % 16 == 3 ? 0x3f : (uint8_t)(at % 7);
}

static void file_make(int directory_fd, const char *name)
{
	uint8_t bytes[TRAPS_FILE_BYTES];
	int fd = openat(directory_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	for (size_t index = 0; index < sizeof(bytes); index++)
		bytes[index] = traps_byte(name, index);
	if (fd < 0 || write(fd, bytes, sizeof(bytes)) != (ssize_t)sizeof(bytes))
		traps_die(name);
	close(fd);
}

int traps_open(void)
{
	static int directory_fd = -1;
	const char *parent = getenv("TMPDIR");
	int root_fd;

	if (directory_fd >= 0)
		return directory_fd;
	snprintf(root, sizeof(root), "%s/hearth-traps-XXXXXX", parent && *parent ? parent : "/tmp");
	if (!mkdtemp(root))
		traps_die(root);
	owner = getpid();
	atexit(traps_remove);
	root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0 || mkdirat(root_fd, "version", 0755) < 0 ||
	    mkdirat(root_fd, "version/sub", 0755) < 0)
		traps_die(root);
	file_make(root_fd, "secret");
	file_make(root_fd, "version/model.bin");
	file_make(root_fd, "version/sub/model.bin");
	if (linkat(root_fd, "version/model.bin", root_fd, "version/hard.bin", 0) < 0 ||
	    symlinkat("model.bin", root_fd, "version/inside.bin") < 0 ||
	    symlinkat("../secret", root_fd, "version/outside.bin") < 0 ||
	    symlinkat("sub", root_fd, "version/linked") < 0 ||
	    mkfifoat(root_fd, "version/fifo", 0644) < 0)
		traps_die(root);
	directory_fd = openat(root_fd, "version", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory_fd < 0)
		traps_die("version");
	close(root_fd);
	return directory_fd;
}
