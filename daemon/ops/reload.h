/* SPDX-License-Identifier: MIT */
/*
 * daemon/ops/reload.h - what the repository has now becomes what is served
 *
 * At the start, and again after SIGHUP or `hearthctl reload`: of each model the
 * versions that its `load` setting names are loaded, and the newest becomes the
 * current one. What is served already stays as it is, and so does what the
 * repository has no more: that goes with an unload.
 *
 * Threads:  the control thread
 * Errors:   a version that cannot be loaded is reported to the log, to who waits
 *           for the reload, and stands in `hearthctl models`; the rest is served
 */
#ifndef HEARTH_OPS_RELOAD_H
#define HEARTH_OPS_RELOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "ops/options.h"

#define RELOAD_TEXT_BYTES 384

struct control;
struct registry_report;

struct reload {
	bool is_running;
	uint32_t served;   /* versions that it has loaded or made current */
	uint32_t failures; /* and those that it could not */
	int status;	   /* of the first of them */
	char text[RELOAD_TEXT_BYTES];
};

/* What the file or the flag says of the versions of a model; *ret_version is 0, or the one that it
 * names. */
enum options_load reload_setting(const struct control *control, const char *model,
				 uint32_t *ret_version);

/* Asks the registry for the versions that shall be there from the start. */
void reload_first(struct control *control);

/* Tells systemd, and asks the registry for what is there by now. One that runs already goes on and
 * takes that in. */
void reload_begin(struct control *control);

/* One of the jobs that nobody else asked for has ended. */
void reload_report(struct control *control, const struct registry_report *report);

/* The registry has no more jobs: tells systemd and those who wait, if there was a reload. */
void reload_end(struct control *control);

#endif
