/* SPDX-License-Identifier: MIT */
/*
 * tools/hearthctl/capture.h - what goes to stdout or stderr, kept as a text for a while
 *
 * Owns:     the text, until it is freed with the struct's deinit
 * Threads:  one
 * Errors:   -errno; what is said goes where it goes ordinarily then
 */
#ifndef HEARTH_TOOLS_HEARTHCTL_CAPTURE_H
#define HEARTH_TOOLS_HEARTHCTL_CAPTURE_H

#include <stdio.h>

struct capture {
	FILE **stream; /* stdout or stderr; NULL: nothing is captured */
	FILE *ordinary;
	FILE *memory;
	char *text; /* there after capture_end; NULL: there was no memory */
	size_t bytes;
};

/* From here on `stream` is another one, which has no descriptor. */
int capture_begin(struct capture *capture, FILE **stream);

/* Both accept one that is zero, or could not begin. */
void capture_end(struct capture *capture);
void capture_deinit(struct capture *capture);

#endif
