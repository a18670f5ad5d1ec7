/* SPDX-License-Identifier: MIT */
/* tests/base/descriptors.c - /proc/self/fd */
#include "tests/base/descriptors.h"

#include <check.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

uint32_t descriptors_find(const char *part, int ret_fds[DESCRIPTORS_MAX])
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
		ck_assert_uint_lt(count, DESCRIPTORS_MAX);
		ret_fds[count++] = atoi(entry->d_name);
	}
	closedir(directory);
	return count;
}

uint32_t descriptors_count(void)
{
	int fds[DESCRIPTORS_MAX];

	return descriptors_find(NULL, fds);
}
