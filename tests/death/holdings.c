/* SPDX-License-Identifier: MIT */
/* tests/death/holdings.c - status, mem, and three files of /proc */
#include "holdings.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/system/crowd.h"

#define KIB 1024

static void read_lanes(const struct appliance *appliance, struct holdings *holdings)
{
	json_t *rows = appliance_rows(appliance, "mem");
	json_t *row;
	size_t index;

	json_array_foreach(rows, index, row) {
		const char *use = json_string_value(json_object_get(row, "use"));

		if (!use || strcmp(use, "lanes") != 0)
			continue;
		holdings->lanes++;
		holdings->lanes_bytes +=
			(uint64_t)json_integer_value(json_object_get(row, "mapped_bytes"));
	}
	json_decref(rows);
}

static void read_pages(const struct appliance *appliance, struct holdings *holdings)
{
	char line[256];
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)appliance->pid);
	file = fopen(path, "re");
	must(file, "cannot read %s", path);
	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, "RssShmem:", 9) == 0)
			holdings->shared_bytes = strtoull(line + 9, NULL, 10) * KIB;
		if (strncmp(line, "RssAnon:", 8) == 0)
			holdings->private_bytes = strtoull(line + 8, NULL, 10) * KIB;
	}
	fclose(file);
}

struct holdings holdings_read(const struct appliance *appliance)
{
	struct holdings holdings = {
		.clients = appliance_number(appliance, "clients"),
		.descriptors = appliance_descriptors(appliance),
		.segments = appliance_segments(appliance),
	};

	read_lanes(appliance, &holdings);
	read_pages(appliance, &holdings);
	return holdings;
}

static bool is_same(const struct holdings *now, const struct holdings *then,
		    uint64_t private_bytes_more)
{
	return now->clients == then->clients && now->lanes == then->lanes &&
	       now->lanes_bytes == then->lanes_bytes && now->descriptors == then->descriptors &&
	       now->segments == then->segments && now->shared_bytes == then->shared_bytes &&
	       /* a sanitizer keeps what was freed */
	       (CROWD_SLOWDOWN > 1 ||
		now->private_bytes <= then->private_bytes + private_bytes_more);
}

static void print(const char *when, const struct holdings *holdings)
{
	printf("%s: %" PRIu64 " clients, %" PRIu64 " lanes with %" PRIu64 " KiB, %" PRIu64
	       " descriptors, %" PRIu64 " segments, %" PRIu64 " KiB shared, %" PRIu64
	       " KiB private\n", when, holdings->clients, holdings->lanes,
	       holdings->lanes_bytes / KIB, holdings->descriptors, holdings->segments,
	       holdings->shared_bytes / KIB, holdings->private_bytes / KIB);
}

void holdings_await(const struct appliance *appliance, const struct holdings *then,
		    uint64_t private_bytes_more)
{
	int64_t until_ns = crowd_now_ns() + CROWD_PATIENCE_NS;
	struct holdings now = holdings_read(appliance);

	while (!is_same(&now, then, private_bytes_more)) {
		if (crowd_now_ns() > until_ns) {
			print("then", then);
			print("now", &now);
		}
		must(crowd_now_ns() < until_ns, "the daemon holds something of the dead");
		crowd_pause_ns(500000);
		now = holdings_read(appliance);
	}
}
