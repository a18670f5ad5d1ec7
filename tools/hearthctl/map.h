/* SPDX-License-Identifier: MIT */
/*
 * tools/hearthctl/map.h - where each owner's memory lies: a bar for each node and kind of page
 *
 * A place is an offset within a node's memory of one kind of page, in the order in which owners lie in
 * the daemon's space; no address is told. Transparent huge pages are cut from ordinary memory, and
 * share its bar.
 *
 * Owns:     the rows, from map_init to map_deinit
 * Threads:  one
 * Units:    bytes
 * Errors:   exit codes, with a sentence on stderr
 */
#ifndef HEARTH_TOOLS_HEARTHCTL_MAP_H
#define HEARTH_TOOLS_HEARTHCTL_MAP_H

#include <jansson.h>

#include "tools/hearthctl/command.h"

struct map {
	const struct invocation *invocation;
	json_t *pools;
	json_t *holdings;
	json_t *letters; /* "use owner" to the place of its letter */
	json_t *bytes;	 /* the same to what it has */
};

void map_init(struct map *map, const struct invocation *invocation);
void map_deinit(struct map *map);

/* A row of the verb mem. */
void map_add(struct map *map, const json_t *row);

/* The bars and what their letters mean, or with -o json each range. */
int map_show(struct map *map);

#endif
