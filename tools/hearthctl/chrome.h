/* SPDX-License-Identifier: MIT */
/*
 * tools/hearthctl/chrome.h - requests as a file that chrome://tracing and Perfetto show
 *
 * Owns:     nothing
 * Threads:  one
 * Errors:   exit codes, with a sentence on stderr
 * Source:   the Trace Event Format's JSON object, complete events ("ph": "X"), times in us
 */
#ifndef HEARTH_TOOLS_HEARTHCTL_CHROME_H
#define HEARTH_TOOLS_HEARTHCTL_CHROME_H

#include <jansson.h>
#include <stddef.h>

/* The parts of a request's time in their order, as they are called in a row with "_ns" behind. */
#define STAGE_COUNT 5
extern const char *const stage_names[STAGE_COUNT];

/* Rows of the verb trace in order of their submission. One process a client, with as many tracks as
 * it had requests at once; in each request its stages. */
int chrome_write(const char *path, json_t *const rows[], size_t row_count);

#endif
