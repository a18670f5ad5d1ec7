/* SPDX-License-Identifier: MIT */
/* daemon/memory/mapping.c - two files of /proc, one mapping after another */
#include "memory/mapping.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define KIB 1024

/* A file, and the line of it that has been read ahead. */
struct lines {
	FILE *file; /* NULL: as an empty one */
	char *line;
	size_t room;
	bool has_line;
};

static void lines_next(struct lines *lines)
{
	ssize_t length = lines->file ? getline(&lines->line, &lines->room, lines->file) : -1;

	lines->has_line = length > 0;
	if (lines->has_line)
		lines->line[strcspn(lines->line, "\n")] = '\0';
}

/* "begin-end rwxp offset device inode   name" */
static bool head_parse(const char *line, struct mapping *ret_map)
{
	struct mapping map = { .begin = 0 };
	int name = 0;

	if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %*s %*x %*x:%*x %*u %n", &map.begin, &map.end,
		   &name) < 2 || name == 0)
		return false;
	snprintf(map.name, sizeof(map.name), "%s", line + name);
	*ret_map = map;
	return true;
}

/* "Key:   1234 kB" */
static void field_parse(const char *line, struct mapping *map)
{
	char key[32];
	uint64_t kib;

	if (sscanf(line, "%31[A-Za-z_]: %" SCNu64 " kB", key, &kib) != 2)
		return;
	if (strcmp(key, "KernelPageSize") == 0)
		map->page_bytes = kib * KIB;
	else if (strcmp(key, "AnonHugePages") == 0 || strcmp(key, "ShmemPmdMapped") == 0 ||
		 strcmp(key, "FilePmdMapped") == 0)
		map->thp_bytes += kib * KIB;
	else if (strcmp(key, "Rss") == 0 || strcmp(key, "Private_Hugetlb") == 0 ||
		 strcmp(key, "Shared_Hugetlb") == 0)
		map->node_bytes[0] += kib * KIB;
}

/* The next mapping of smaps, as if all were on node 0. False: there is none. */
static bool smaps_read(struct lines *lines, struct mapping *ret_map)
{
	struct mapping unused;

	while (lines->has_line && !head_parse(lines->line, ret_map))
		lines_next(lines);
	if (!lines->has_line)
		return false;
	for (lines_next(lines); lines->has_line && !head_parse(lines->line, &unused);
	     lines_next(lines))
		field_parse(lines->line, ret_map);
	return true;
}

static uintptr_t numa_begin(const struct lines *lines)
{
	return lines->has_line ? (uintptr_t)strtoull(lines->line, NULL, 16) : UINTPTR_MAX;
}

/* "begin policy file=... anon=12 N0=8 N1=4 kernelpagesize_kB=4": takes the line. */
static void numa_take(struct lines *lines, struct mapping *map)
{
	uint64_t pages[TOPOLOGY_NODES_MAX] = { 0 };
	uint64_t count;
	uint32_t node;
	char *rest = lines->line;
	char *word;

	while ((word = strsep(&rest, " "))) {
		if (sscanf(word, "N%" SCNu32 "=%" SCNu64, &node, &count) == 2 &&
		    node < TOPOLOGY_NODES_MAX)
			pages[node] = count;
		else if (sscanf(word, "kernelpagesize_kB=%" SCNu64, &count) == 1)
			map->page_bytes = count * KIB;
	}
	for (node = 0; node < TOPOLOGY_NODES_MAX; node++)
		map->node_bytes[node] = pages[node] * map->page_bytes;
	lines_next(lines);
}

/* Mappings below `end` that smaps did not have yet. */
static void numa_visit(struct lines *lines, uintptr_t end, mapping_visit visit, void *context)
{
	while (numa_begin(lines) < end) {
		struct mapping map = {
			.begin = numa_begin(lines),
			.end = numa_begin(lines) + 1,
		};

		numa_take(lines, &map);
		visit(context, &map);
	}
}

int mapping_each_of(FILE *smaps, FILE *numa_maps, mapping_visit visit, void *context)
{
	struct lines extents = { .file = smaps };
	struct lines nodes = { .file = numa_maps };
	struct mapping map;
	int r = 0;

	lines_next(&extents);
	lines_next(&nodes);
	while (smaps_read(&extents, &map)) {
		numa_visit(&nodes, map.begin, visit, context);
		if (numa_begin(&nodes) == map.begin)
			numa_take(&nodes, &map);
		else if (numa_maps)
			memset(map.node_bytes, 0, sizeof(map.node_bytes)); /* gone since */
		visit(context, &map);
	}
	numa_visit(&nodes, UINTPTR_MAX, visit, context);
	if (!feof(smaps) || (numa_maps && !feof(numa_maps)))
		r = err_raise(-EIO, "/proc/self/smaps or numa_maps cannot be read to its end");
	free(extents.line);
	free(nodes.line);
	return r;
}

int mapping_each(mapping_visit visit, void *context)
{
	FILE *smaps = fopen("/proc/self/smaps", "re");
	FILE *numa_maps;
	int r;

	if (!smaps)
		return err_raise(-errno, "/proc/self/smaps: %s", strerror(errno));
	numa_maps = fopen("/proc/self/numa_maps", "re");
	if (!numa_maps && errno != ENOENT) {
		r = err_raise(-errno, "/proc/self/numa_maps: %s", strerror(errno));
		fclose(smaps);
		return r;
	}
	r = mapping_each_of(smaps, numa_maps, visit, context);
	if (numa_maps)
		fclose(numa_maps);
	fclose(smaps);
	return err_trace(r);
}
