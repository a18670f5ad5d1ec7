/* SPDX-License-Identifier: MIT */
/*
 * daemon/serve/batcher.h - requests of one version become one run
 *
 * The policy: a batch takes everything that waits when its turn comes, up to
 * the version's rows_max. It forms while the data loop scans the lanes and
 * closes when the scan is done, so nobody waits for company that may not come.
 */
#ifndef HEARTH_SERVE_BATCHER_H
#define HEARTH_SERVE_BATCHER_H

#include "serve/data.h"

/* Stages an admitted request. `range` is its request range in client memory,
 * `tensors` and `symbols` the daemon's checked copies. */
void batcher_join(struct data *data, struct version *version, struct request *request,
		  const uint8_t *range, const struct hearth_tensor tensors[],
		  const int64_t symbols[SIGNATURE_SYMBOLS_MAX]);

/* Runs the batch of version->stage, which is judged, and answers each of its requests. */
void batcher_execute(struct data *data, struct version *version);

/* Closes and runs every batch that formed. */
void batcher_run_all(struct data *data);

/* A version that is retired and has nothing left to answer goes back to control. */
void batcher_retire(struct data *data, struct version *version);

#endif
