/* SPDX-License-Identifier: MIT */
/* daemon/ops/ration.c - when an answer is paid, and its texts, one behind the other */
#include "ops/ration.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define BYTES_MIN 4096

bool ration_is_paid(const struct ration *ration)
{
	return clock_ns() >= ration->paid_ns;
}

void ration_begin(struct ration *ration)
{
	ration->bytes = 0;
	ration->has_failed = false;
	ration->is_whole = false;
	ration->begun_ns = clock_ns();
}

static bool has_room(struct ration *ration, size_t bytes)
{
	size_t capacity = ration->capacity ? ration->capacity : BYTES_MIN;
	char *texts;

	if (ration->has_failed)
		return false;
	while (capacity - ration->bytes < bytes)
		capacity *= 2;
	if (capacity == ration->capacity)
		return true;
	texts = realloc(ration->texts, capacity);
	ration->has_failed = !texts;
	if (!texts)
		return false;
	ration->texts = texts;
	ration->capacity = capacity;
	return true;
}

void ration_keep(struct ration *ration, const char *text)
{
	size_t bytes = strlen(text) + 1;

	if (!has_room(ration, bytes))
		return;
	memcpy(ration->texts + ration->bytes, text, bytes);
	ration->bytes += bytes;
}

uint64_t ration_paid_ns(uint64_t begun_ns, uint32_t ratio)
{
	uint64_t now_ns = clock_ns();

	return now_ns + ratio * (now_ns - begun_ns);
}

bool ration_end(struct ration *ration, uint32_t ratio, bool is_answer)
{
	ration->paid_ns = ration_paid_ns(ration->begun_ns, ratio);
	ration->is_whole = is_answer && !ration->has_failed;
	return ration->is_whole;
}

const char *ration_next(const struct ration *ration, size_t *cursor)
{
	const char *text;

	if (!ration->is_whole || *cursor == ration->bytes)
		return NULL;
	text = ration->texts + *cursor;
	*cursor += strlen(text) + 1;
	return text;
}

void ration_deinit(struct ration *ration)
{
	free(ration->texts);
	*ration = (struct ration){ .texts = NULL };
}
