/* SPDX-License-Identifier: MIT */
/* daemon/base/text.c - what may be shown: UTF-8 without control characters */
#include "base/text.h"

#include <stdint.h>
#include <string.h>

/* How many bytes the first character has; 0: it is none, or a control character. */
static size_t character_bytes(const uint8_t *text, size_t left)
{
	size_t count;

	if (text[0] < 0x80)
		return text[0] >= 0x20 && text[0] != 0x7f;
	if (text[0] >= 0xc2 && text[0] <= 0xdf)
		count = 2;
	else if (text[0] >= 0xe0 && text[0] <= 0xef)
		count = 3;
	else if (text[0] >= 0xf0 && text[0] <= 0xf4)
		count = 4;
	else
		return 0;
	if (count > left)
		return 0;
	for (size_t index = 1; index < count; index++)
		if ((text[index] & 0xc0) != 0x80)
			return 0;
	if ((text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] > 0x9f) ||
	    (text[0] == 0xf0 && text[1] < 0x90) || (text[0] == 0xf4 && text[1] > 0x8f))
		return 0;
	return count;
}

bool text_is_clean(const void *text, size_t bytes)
{
	const uint8_t *at = text;
	size_t step;

	for (size_t index = 0; index < bytes; index += step) {
		step = character_bytes(at + index, bytes - index);
		if (step == 0)
			return false;
	}
	return true;
}

void text_clean(char *text)
{
	size_t bytes = strlen(text);
	size_t step;

	for (size_t index = 0; index < bytes; index += step) {
		step = character_bytes((const uint8_t *)text + index, bytes - index);
		if (step > 0)
			continue;
		text[index] = '?';
		step = 1;
	}
}
