/* SPDX-License-Identifier: MIT */
/*
 * daemon/serve/rows.h - step 8 of the request path: batches that wait for rows of cold tables
 *
 * A batch whose rows are not all in memory steps aside, with its stage, and the thread takes the
 * next; it runs in the pass in which its last row has come. When every stage of a version waits,
 * the thread waits for one of them.
 *
 * A change of a table's file takes its version out of service: rows of two contents would be
 * served side by side.
 *
 * Threads:  the data thread
 */
#ifndef HEARTH_SERVE_ROWS_H
#define HEARTH_SERVE_ROWS_H

#include "serve/data.h"

/* Brings the rows of the batch of version->stage. False: it waits, and version->stage is another. */
bool rows_bring(struct data *data, struct version *version);

/* Runs every batch whose rows have come. */
void rows_look(struct data *data);

/* Lets the data thread's sleep end when a row comes. */
void rows_watch(struct data *data);

/* A lane that is closed, and whose bell is not watched any more: control is told once no batch that
 * waits has a request of it. */
void rows_leave(struct data *data, struct lane *lane);

#endif
