/* SPDX-License-Identifier: MIT */
/*
 * daemon/ops/loop.h - the control loop: accept, handshake, death, jobs, signals, watchdog
 *
 * Owns:     the listening sockets, the sessions, the registry, the control waiter
 * Threads:  the main thread
 * Errors:   loop_init returns -errno with a sentence; loop_run returns when the
 *           daemon has drained after SIGTERM or SIGINT, or, with -errno and in
 *           the log, when it could not wait any more
 */
#ifndef HEARTH_OPS_LOOP_H
#define HEARTH_OPS_LOOP_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/log.h"
#include "base/waiter.h"
#include "memory/reserve.h"
#include "memory/shelf.h"
#include "memory/tier.h"
#include "ops/control/told.h"
#include "ops/kept.h"
#include "ops/metrics/scrape.h"
#include "ops/options.h"
#include "ops/page/page.h"
#include "ops/peer.h"
#include "ops/ration.h"
#include "ops/reload.h"
#include "ops/sandbox/sandbox.h"
#include "serve/data.h"
#include "serve/models/registry.h"

#define CONTROL_REASON_BYTES 64

struct control {
	const struct options *options;
	struct data data;
	struct registry registry;
	struct repository repository;
	struct tier_table tiers;
	struct reserve reserve;
	uint64_t reserve_lost_seen;
	struct shelf shelf; /* of tables that several versions may have */
	struct session_limits limits;
	struct shares shares;
	struct workers *workers;
	struct sandbox sandbox;
	struct reload reload;
	struct kept kept;
	struct page page;
	struct waiter waiter;
	struct peer *peers;
	struct ration mem; /* what the verb answered last */
	struct told told;
	struct log_events events; /* the last lines of the log */
	struct watch infer;
	struct watch admin;
	struct watch signal;
	struct watch data_messages;
	struct watch loads;
	struct watch metrics;
	struct scrape scrape;
	gid_t admin_gid; /* where options->admin_group is given */
	int node; /* of memory and of the data thread; -1: a kernel without NUMA */
	struct place worker_nodes; /* `node` among them */
	uint32_t clients; /* peers with a lane */
	uint64_t ticket_last;
	uint64_t started_ns;
	struct timespec started; /* by the calendar, whatever becomes of that */
	uint64_t tick_ns; /* when the next one is due */
	uint64_t passes_seen; /* of the data loop, at the last tick */
	uint64_t passed_ns; /* the last tick that saw new ones */
	char wait_reason[CONTROL_REASON_BYTES]; /* why there is no io_uring */
	bool are_pages_reserved; /* of 2 MiB, where a version lies in small ones */
	bool has_futexes; /* the waiters have them */
	bool has_data;
	int metrics_fd; /* where the metrics are asked for; -1: nowhere */
	bool owns_metrics; /* it is not systemd's */
	bool owns_sockets; /* they are not systemd's */
	bool is_ready; /* the loads of the start have ended, */
	uint64_t ready_ns; /* then, */
	struct registry_arrivals arrivals; /* and these were they */
	bool is_stopping;
	bool is_stopped; /* the data loop has ended */
	struct table_policy policies[OPTIONS_TABLES_MAX]; /* of the model that is being loaded */
	const char *cold[OPTIONS_TABLES_MAX + 1];         /* and its cold tables */
};

must_check int loop_init(struct control *control, const struct options *options);
must_check int loop_run(struct control *control);
void loop_deinit(struct control *control);

#endif
