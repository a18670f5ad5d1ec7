/* SPDX-License-Identifier: MIT */
/*
 * daemon/serve/hold.h - requests of a model that has no version for a while wait for the next one
 *
 * Between MESSAGE_HOLD and MESSAGE_CURRENT, which admits them in the order in which they came, or
 * MESSAGE_RELEASE, which lets them end with ENOENT. Meanwhile a request keeps its slot and nothing
 * else, and ends when its deadline passes, when it is cancelled, and when the daemon stops. One
 * that pins a version does not wait: that version will not come back.
 *
 * Threads:  the data thread
 */
#ifndef HEARTH_SERVE_HOLD_H
#define HEARTH_SERVE_HOLD_H

#include "serve/data.h"

void hold_begin(struct data *data, uint32_t model);
/* What has waited is admitted and answered, or refused: the loop may sleep next. */
void hold_end(struct data *data, uint32_t model);

/* A request that has found no version. False: its model is not held. */
bool hold_takes(struct data *data, struct request *request, uint32_t model);

/* Ends those that wait no longer: called in every pass, it looks every millisecond. */
void hold_look(struct data *data);

/* Forgets those of a lane that closes. */
void hold_drop(struct data *data, const struct lane *lane);

#endif
