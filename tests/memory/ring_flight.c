/* SPDX-License-Identifier: MIT */
/* tests/memory/ring_flight.c - /proc/self/fd and fdinfo */
#include "tests/memory/ring_flight.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FDS_MAX 256

uint32_t ring_flight_fds(const char *part, int fds[], uint32_t fd_max)
{
	DIR *directory = opendir("/proc/self/fd");
	struct dirent *entry;
	uint32_t count = 0;

	ck_assert_ptr_nonnull(directory);
	while ((entry = readdir(directory))) {
		char link[512];
		ssize_t bytes = readlinkat(dirfd(directory), entry->d_name, link, sizeof(link) - 1);

		if (bytes < 0 || atoi(entry->d_name) == dirfd(directory))
			continue;
		link[bytes] = '\0';
		if (part && !strstr(link, part))
			continue;
		ck_assert_uint_lt(count, fd_max);
		fds[count++] = atoi(entry->d_name);
	}
	closedir(directory);
	return count;
}

uint32_t ring_flight(void)
{
	uint32_t in_flight = 0;
	int fds[FDS_MAX];
	uint32_t count = ring_flight_fds("[io_uring]", fds, FDS_MAX);

	for (uint32_t index = 0; index < count; index++) {
		char path[64], line[256];
		unsigned value, taken = 0, given = 0;
		FILE *info;

		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fds[index]);
		info = fopen(path, "re");
		ck_assert_ptr_nonnull(info);
		while (fgets(line, sizeof(line), info)) {
			if (sscanf(line, "SqTail: %u", &value) == 1)
				taken = value;
			if (sscanf(line, "CqTail: %u", &value) == 1)
				given = value;
		}
		fclose(info);
		in_flight += taken - given;
	}
	return in_flight;
}
