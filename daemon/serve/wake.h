/* SPDX-License-Identifier: MIT */
/*
 * daemon/serve/wake.h - which lanes are scanned, which must ring, and ringing back
 *
 * A hot lane is scanned every pass. A cold one is not: its client sees
 * need_wakeup and rings: the data loop watches its bell, or the control thread
 * reads the bell from the socket and sends MESSAGE_LANE_RANG. A
 * lane that rings without work too often is only polled, so that nobody can
 * keep the daemon awake for nothing.
 *
 * Threads:  the data thread
 */
#ifndef HEARTH_SERVE_WAKE_H
#define HEARTH_SERVE_WAKE_H

#include "serve/data.h"

/* Makes a cold lane hot. */
void wake_heat(struct data *data, struct lane *lane);

/* Makes a hot lane cold. False: work came in while its client was told, or the client lies; it stays
 * hot. */
bool wake_cool(struct data *data, struct lane *lane);

/* Cold, and its client is not told: for a lane that ends. */
void wake_leave_hot(struct data *data, struct lane *lane);

/* Heats the cold lanes that have work although nothing rang, whatever the reason: every wait is
 * bounded and re-checked. */
void wake_recheck(struct data *data);

/* A lane's client rang, or its bell had changed before it was watched. */
void wake_rang(struct data *data, struct lane *lane);

/* Remembers that a lane has new completions. */
void wake_touch(struct data *data, struct lane *lane);

/* Rings every client that sleeps and has got what it waits for. */
void wake_clients(struct data *data);

/* What the waiter has entries for begins, without a wait. */
void wake_submit(struct data *data);

#endif
