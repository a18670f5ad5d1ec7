/* SPDX-License-Identifier: MIT */
/* daemon/serve/times.c - notes become counts */
#include "serve/times.h"

struct times_note *times_note(struct times *times)
{
	if (times->count == TIMES_NOTED_MAX)
		times_count(times);
	return times->notes + times->count++;
}

void times_count(struct times *times)
{
	for (uint32_t index = 0; index < times->count; index++) {
		const struct times_note *note = times->notes + index;

		for (enum request_time time = 0; time < TIME_COUNT; time++)
			histogram_record(note->version->counters.times + time, note->ns[time]);
	}
	times->count = 0;
}
