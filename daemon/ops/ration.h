/* SPDX-License-Identifier: MIT */
/*
 * daemon/ops/ration.h - a costly answer is given again until the time that it took is paid
 *
 * Owns:     the texts it remembers
 * Threads:  one at a time
 * Units:    a ratio: so many times as long as an answer took must pass before the next one is made
 * Errors:   none: what finds no memory is not remembered
 *
 * Whoever asks in a loop has fresh answers for 1 / (ratio + 1) of the thread's time, and what was
 * true a moment ago in between:
 *
 *     if (ration_is_paid(&ration)) {
 *             ration_begin(&ration);
 *             ration_keep(&ration, text);
 *             ...
 *             ration_end(&ration, RATION_RATIO, true);
 *     }
 *     while ((text = ration_next(&ration, &cursor)))
 *             ...
 *
 * What is kept elsewhere, or not at all, is rationed all the same: by begin and end alone.
 */
#ifndef HEARTH_OPS_RATION_H
#define HEARTH_OPS_RATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RATION_RATIO 20 /* of what anybody may ask for */

struct ration {
	uint64_t begun_ns;
	uint64_t paid_ns;
	char *texts; /* each ends with a zero */
	size_t bytes;
	size_t capacity;
	bool has_failed;
	bool is_whole; /* what is remembered is an answer */
};

/* Always, before the first one. */
bool ration_is_paid(const struct ration *ration);

void ration_begin(struct ration *ration); /* forgets what it remembers */
void ration_keep(struct ration *ration, const char *text);
/* With `is_answer` what was kept is one. False: none is remembered. */
bool ration_end(struct ration *ration, uint32_t ratio, bool is_answer);

/* For who keeps the time himself: when an answer is paid that was begun then and ends now. */
uint64_t ration_paid_ns(uint64_t begun_ns, uint32_t ratio);

/* The text at *cursor, which begins as 0 and moves past it; NULL: no more. */
const char *ration_next(const struct ration *ration, size_t *cursor);

void ration_deinit(struct ration *ration);

#endif
