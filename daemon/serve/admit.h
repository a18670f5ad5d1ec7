/* SPDX-License-Identifier: MIT */
/*
 * daemon/serve/admit.h - the last place that can say no
 */
#ifndef HEARTH_SERVE_ADMIT_H
#define HEARTH_SERVE_ADMIT_H

#include "serve/data.h"

/* Copies the request header once, checks the copy against the version it
 * names, and stages the inputs; or refuses with one final completion. */
void admit_infer(struct data *data, struct request *request,
		 const struct hearth_request_slot *slot);

#endif
