/* SPDX-License-Identifier: MIT */
/*
 * daemon/ops/metrics/scrape.h - the metrics, for Prometheus, over HTTP on a socket that listens
 *
 * Owns:     the listening socket from scrape_start on, its connections, the last text
 * Threads:  the control thread, which watches one descriptor for all of it
 * Errors:   scrape_start -ENOMEM, -EIO with a sentence; what goes wrong with a connection ends that
 *           connection
 *
 * GET /metrics is all there is. A connection has SCRAPE_SECONDS to ask and to take its answer, and
 * few may be open at once: whoever connects and says nothing costs the next one a moment.
 */
#ifndef HEARTH_OPS_METRICS_SCRAPE_H
#define HEARTH_OPS_METRICS_SCRAPE_H

#include "ops/metrics/exposition.h"
#include "ops/ration.h"

#define SCRAPE_CONNECTIONS_MAX 16
#define SCRAPE_SECONDS 3

struct control;
struct MHD_Daemon;

struct scrape {
	struct MHD_Daemon *server; /* NULL: nobody is served */
	struct control *control;
	struct exposition text;
	struct ration ration; /* of the text */
};

/* Before seccomp. The descriptor goes with `scrape`; on failure it stays the caller's. */
must_check int scrape_start(struct scrape *scrape, int fd, struct control *control);
void scrape_stop(struct scrape *scrape);

/* Readable when there is something to do; -1: never. */
int scrape_fd(const struct scrape *scrape);
/* Does it; also due once in a while for who takes too long. Never waits. */
void scrape_run(struct scrape *scrape);

#endif
