/* SPDX-License-Identifier: MIT */
/*
 * daemon/serve/scheduler.h - one pass over the hot lanes: who has work, and how much of it is taken
 *
 * Two contests (serve/turn.h), one inside the other: between users, and between the clients of a
 * user. So a user with many clients gets no more than one with few, a client with large requests no
 * more than its sister with small ones, and a deadline moves work forward inside its user's share
 * only. Whatever is taken in a pass joins the batches that form in it: a turn decides how much comes
 * into a batch, never when a batch closes.
 *
 * Threads:  the data thread
 */
#ifndef HEARTH_SERVE_SCHEDULER_H
#define HEARTH_SERVE_SCHEDULER_H

#include "serve/data.h"

/* Returns how many slots were taken. */
uint32_t scheduler_pass(struct data *data);

/* May this lane take one more request in this turn? */
bool scheduler_goes_on(const struct lane *lane);

/* A request was taken, whatever becomes of it. */
void scheduler_charge_slot(struct lane *lane);
/* It was staged: these rows, these bytes, and what a row of its version costs. */
void scheduler_charge_rows(struct request *request, uint64_t bytes);
/* It was served alone, and so many bytes were copied for it. */
void scheduler_charge_copy(struct lane *lane, uint64_t bytes);
/* Its batch has run, in execute_ns for all of batch_rows. */
void scheduler_settle(const struct request *request, uint64_t execute_ns, uint32_t batch_rows);

#endif
