/* SPDX-License-Identifier: MIT */
/* tools/hearthctl/chrome.c - a slice for each request, on a free track, and its stages in it */
#include "tools/hearthctl/chrome.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/hearthctl/command.h"
#include "tools/hearthctl/row.h"

#define NS_PER_US 1e3
#define REAL_DIGITS 15 /* a ns is told apart for ten days */

const char *const stage_names[STAGE_COUNT] = { "ring", "queue", "batch", "execute", "answer" };

/* Slices of a track follow each other. */
struct track {
	uint64_t pid;
	uint64_t number; /* among those of its client, from 1 */
	uint64_t end_ns;
};

struct chrome {
	FILE *stream;
	struct track *tracks;
	size_t track_count;
	uint64_t first_ns; /* what the file counts from */
	bool has_event;
};

/* Takes the event over. */
static void event_write(struct chrome *chrome, json_t *event)
{
	fputs(chrome->has_event ? ",\n" : "\n", chrome->stream);
	if (!event || json_dumpf(event, chrome->stream,
				 JSON_COMPACT | JSON_REAL_PRECISION(REAL_DIGITS)) < 0)
		fputs("{}", chrome->stream);
	chrome->has_event = true;
	json_decref(event);
}

/* The first that is free from `begin_ns` on, or one more; there is room for it. */
static struct track *track_find(struct chrome *chrome, uint64_t pid, uint64_t begin_ns)
{
	uint64_t number = 1;
	struct track *track;

	for (size_t index = 0; index < chrome->track_count; index++) {
		track = chrome->tracks + index;
		if (track->pid == pid && track->end_ns <= begin_ns)
			return track;
		number += track->pid == pid;
	}
	if (number == 1)
		event_write(chrome,
			    json_pack("{s:s, s:s, s:I, s:{s:o}}", "ph", "M", "name", "process_name",
				      "pid", (json_int_t)pid, "args", "name",
				      json_sprintf("client %" PRIu64, pid)));
	track = chrome->tracks + chrome->track_count++;
	*track = (struct track){ .pid = pid, .number = number };
	return track;
}

/* Takes name and arguments over. */
static void slice_write(struct chrome *chrome, const struct track *track, json_t *name,
			uint64_t begin_ns, uint64_t ns, json_t *arguments)
{
	event_write(chrome,
		    json_pack("{s:s, s:o, s:s, s:I, s:I, s:f, s:f, s:o}", "ph", "X", "name", name,
			      "cat", "hearth", "pid", (json_int_t)track->pid, "tid",
			      (json_int_t)track->number, "ts",
			      (double)(begin_ns - chrome->first_ns) / NS_PER_US, "dur",
			      (double)ns / NS_PER_US, "args", arguments));
}

static void request_write(struct chrome *chrome, json_t *row)
{
	uint64_t begin_ns = row_number(row, "submitted_ns");
	struct track *track = track_find(chrome, row_number(row, "pid"), begin_ns);
	uint64_t stages_ns[STAGE_COUNT];
	uint64_t total_ns = 0;
	uint32_t stage;

	for (stage = 0; stage < STAGE_COUNT; stage++) {
		char key[16];

		snprintf(key, sizeof(key), "%s_ns", stage_names[stage]);
		stages_ns[stage] = row_number(row, key);
		total_ns += stages_ns[stage];
	}
	slice_write(chrome, track,
		    json_sprintf("%s@%" PRIu64, row_text(row, "model"), row_number(row, "version")),
		    begin_ns, total_ns, json_incref(row));
	for (stage = 0; stage < STAGE_COUNT; stage++) {
		if (stages_ns[stage] > 0)
			slice_write(chrome, track, json_string(stage_names[stage]), begin_ns,
				    stages_ns[stage], json_object());
		begin_ns += stages_ns[stage];
	}
	track->end_ns = begin_ns;
}

int chrome_write(const char *path, json_t *const rows[], size_t row_count)
{
	struct chrome chrome = {
		.stream = fopen(path, "we"),
		.tracks = calloc(row_count + 1, sizeof(*chrome.tracks)),
		.first_ns = row_count > 0 ? row_number(rows[0], "submitted_ns") : 0,
	};
	int code = EXIT_OK;

	if (!chrome.stream) {
		code = complain(EXIT_FAILED, "cannot write %s: %s", path, strerror(errno));
	} else if (!chrome.tracks) {
		code = complain(EXIT_FAILED, "no memory for the tracks of %zu requests", row_count);
	} else {
		fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[", chrome.stream);
		for (size_t index = 0; index < row_count; index++)
			request_write(&chrome, rows[index]);
		fputs("\n]}\n", chrome.stream);
	}
	if (chrome.stream && (ferror(chrome.stream) | (fclose(chrome.stream) != 0)))
		code = complain(EXIT_FAILED, "%s cannot be written whole: is its disk full?", path);
	free(chrome.tracks);
	return code;
}
