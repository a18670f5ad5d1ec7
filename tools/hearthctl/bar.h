/* SPDX-License-Identifier: MIT */
/*
 * tools/hearthctl/bar.h - how far a load is: a bar on a terminal, lines elsewhere
 *
 *     loading shoppers@2 ######----------  1.50 GiB of 4.00 GiB, 2.00 GiB/s, 1.2 s left
 *
 * Owns:     a line of the terminal, from the first bar to bar_end
 * Threads:  one
 * Errors:   none: a stdout that takes no more shows at the command's end
 *
 * The bar is drawn again and again in its line, no longer than the terminal is wide. A terminal that
 * is dumb has lines, at most one for each two seconds of the load, as a pipe has. NO_COLOR takes the
 * colours only.
 */
#ifndef HEARTH_TOOLS_HEARTHCTL_BAR_H
#define HEARTH_TOOLS_HEARTHCTL_BAR_H

#include <jansson.h>
#include <stdbool.h>

struct bar {
	bool is_drawn; /* it stands in the line where the cursor is */
	double next_s; /* of the load: when there is a line again */
};

/* Would it draw? */
bool bar_is_on(void);

/* A row with total_bytes (daemon/ops/control/control.h, load). */
void bar_show(struct bar *bar, const json_t *row);

/* The line is empty, and the cursor at its begin. */
void bar_end(struct bar *bar);

#endif
