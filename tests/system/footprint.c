/* SPDX-License-Identifier: MIT */
/* tests/system/footprint.c - numa_maps and the verb mem, added up alike */
#include "footprint.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "crowd.h"

#define LINE_BYTES 4096
#define WARM_UP 10
/* malloc's bookkeeping moves; a leak of one small model a turn would be seen. */
#define GROWTH_BYTES_MAX (UINT64_C(1) << 20)

static enum footprint_pages pages_of(uint64_t kib)
{
	return kib == 2048 ? FOOTPRINT_2M : kib == 1048576 ? FOOTPRINT_1G : FOOTPRINT_ORDINARY;
}

static uint64_t value_of(const char *line, const char *key)
{
	const char *found = strstr(line, key);

	return found ? strtoull(found + strlen(key), NULL, 10) : 0;
}

static void line_add(struct footprint *footprint, const char *line)
{
	uint64_t kib = value_of(line, " kernelpagesize_kB=");
	uint64_t line_bytes = 0;

	for (uint32_t node = 0; node < FOOTPRINT_NODES; node++) {
		char key[16];
		uint64_t bytes;

		snprintf(key, sizeof(key), " N%u=", node);
		bytes = value_of(line, key) * kib * 1024;
		footprint->resident_bytes[node][pages_of(kib)] += bytes;
		line_bytes += bytes;
	}
	footprint->all_bytes += line_bytes;
	if (strstr(line, "memfd:hearth-client-to-daemon") ||
	    strstr(line, "memfd:hearth-daemon-to-client"))
		footprint->lanes_bytes += line_bytes;
	else if (strstr(line, " heap "))
		footprint->heap_bytes += line_bytes;
	else if (strstr(line, "anon_inode:[io_uring]"))
		footprint->rings_bytes += line_bytes;
}

struct footprint footprint_read(const struct appliance *appliance)
{
	struct footprint footprint = { .all_bytes = 0 };
	char line[LINE_BYTES];
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/numa_maps", (int)appliance->pid);
	file = fopen(path, "re");
	must(file, "cannot read %s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), file))
		line_add(&footprint, line);
	fclose(file);
	return footprint;
}

static uint64_t number(const json_t *row, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(row, key));
}

static void row_add(struct footprint *footprint, const json_t *row)
{
	const char *pages = json_string_value(json_object_get(row, "pages"));
	const char *use = json_string_value(json_object_get(row, "use"));
	json_int_t node = json_integer_value(json_object_get(row, "node"));
	uint64_t bytes = number(row, "resident_bytes");
	uint64_t kib = strcmp(pages, "2M") == 0 ? 2048 : strcmp(pages, "1G") == 0 ? 1048576 : 4;

	must(bytes == 0 || (node >= 0 && node < FOOTPRINT_NODES), "pages without a node");
	must(*json_string_value(json_object_get(row, "owner")) &&
	     *json_string_value(json_object_get(row, "why")), "memory without an owner or a reason");
	if (bytes > 0)
		footprint->resident_bytes[node][pages_of(kib)] += bytes;
	if (strcmp(use, "lanes") == 0)
		footprint->lanes_bytes += bytes;
	else if (strcmp(use, "heap") == 0)
		footprint->heap_bytes += bytes;
	else if (strcmp(use, "rings") == 0)
		footprint->rings_bytes += bytes;
}

struct footprint footprint_told(const struct appliance *appliance)
{
	struct footprint footprint = { .all_bytes = 0 };
	json_t *rows = appliance_rows(appliance, "mem");
	bool is_summed = false;
	size_t index;
	json_t *row;

	json_array_foreach(rows, index, row) {
		if (json_object_get(row, "unaccounted_bytes")) {
			footprint.all_bytes = number(row, "resident_bytes");
			footprint.unaccounted_bytes = number(row, "unaccounted_bytes");
			is_summed = true;
		} else if (json_object_get(row, "pages")) {
			row_add(&footprint, row);
		}
	}
	json_decref(rows);
	must(is_summed, "mem says nothing of what is unaccounted for");
	return footprint;
}

/* --- loads and unloads ------------------------------------------------------------------------ */

static void turn(const struct appliance *appliance, const char *const names[])
{
	char text[APPLIANCE_TEXT_BYTES];

	for (uint32_t index = 0; names[index]; index++)
		must(appliance_change(appliance, "load", names[index], 0, text) == 0, "%s", text);
	for (uint32_t index = 0; names[index]; index++)
		must(appliance_change(appliance, "unload", names[index], 0, text) == 0, "%s", text);
}

static uint64_t huge_bytes(const struct footprint *footprint)
{
	uint64_t bytes = 0;

	for (uint32_t node = 0; node < FOOTPRINT_NODES; node++)
		bytes += footprint->resident_bytes[node][FOOTPRINT_2M];
	return bytes;
}

void footprint_small(void)
{
	must(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0, "huge pages cannot be done without: %s",
	     strerror(errno));
}

void footprint_stays(const struct appliance *appliance, const char *const names[], uint64_t turns)
{
	struct footprint before;
	struct footprint after;
	uint32_t descriptors;

	for (uint32_t index = 0; index < WARM_UP; index++)
		turn(appliance, names);
	before = footprint_read(appliance);
	descriptors = appliance_descriptors_alone(appliance);
	for (uint64_t index = 0; index < turns; index++)
		turn(appliance, names);
	after = footprint_read(appliance);
	printf("%" PRIu64 " loads and unloads: %" PRIu64 " KiB before, %" PRIu64 " KiB after\n",
	       turns, before.all_bytes / 1024, after.all_bytes / 1024);
	must(appliance_descriptors_alone(appliance) == descriptors, "descriptors stay open");
	must(huge_bytes(&after) == huge_bytes(&before), "huge pages stay taken");
	must(CROWD_SLOWDOWN > 1 || after.all_bytes <= before.all_bytes + GROWTH_BYTES_MAX,
	     "loads leave something behind");
}
