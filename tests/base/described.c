/* SPDX-License-Identifier: MIT */
/* tests/base/described.c - a folder in /tmp */
#include "tests/base/described.h"

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

char described_root[] = "/tmp/hearth-described-XXXXXX";

static int entry_remove(const char *path, const struct stat *stat, int type, struct FTW *ftw)
{
	(void)stat;
	(void)type;
	(void)ftw;
	return remove(path);
}

void described_make(void)
{
	memcpy(described_root + sizeof(described_root) - 7, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(described_root));
}

void described_put(const char *path, const char *text)
{
	char full[512];
	char *slash;
	FILE *file;

	snprintf(full, sizeof(full), "%s%s", described_root, path);
	for (slash = strchr(full + strlen(described_root) + 1, '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(full, 0755);
		*slash = '/';
	}
	file = fopen(full, "w");
	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
}

void described_remove(void)
{
	nftw(described_root, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
}
