/* SPDX-License-Identifier: MIT */
/* daemon/serve/times.c - notes become counts and traces */
#include "serve/times.h"

struct times_note *times_note(struct times *times)
{
	if (times->count == TIMES_NOTED_MAX)
		times_count(times);
	return times->notes + times->count++;
}

static void note_count(const struct times_note *note)
{
	for (enum request_time time = 0; time < TIME_COUNT; time++)
		histogram_record(note->version->counters.times + time, note->request.ns[time]);
}

void times_count(struct times *times)
{
	for (uint32_t index = 0; index < times->count; index++) {
		const struct times_note *note = times->notes + index;

		if (note->request.status == 0)
			note_count(note);
		if (times->trace)
			trace_write(times->trace, &note->request);
	}
	times->count = 0;
}
