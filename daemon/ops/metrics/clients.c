/* SPDX-License-Identifier: MIT */
/* daemon/ops/metrics/clients.c - figures of connections and of users */
#include <stdio.h>

#include "ops/loop.h"
#include "ops/metrics/parts.h"

#define NS 1e-9

void metrics_clients(struct control *control, struct exposition *exposition)
{
	static const char *const names[] = { "accepted", "greeted", "served", "closing" };
	uint32_t counts[SESSION_CLOSING + 1] = { 0 };
	const struct peer *peer;
	uint32_t state;

	for (peer = control->peers; peer; peer = peer->next)
		counts[peer->session->state]++;
	for (state = 0; state <= SESSION_CLOSING; state++)
		exposition_sample(exposition, &(struct label){ "state", names[state] }, 1,
				  counts[state]);
	exposition_sample(exposition, &(struct label){ "state", "kept" }, 1,
			  shares_kept(&control->shares));
}

void metrics_outstanding(struct control *control, struct exposition *exposition)
{
	const struct peer *peer;
	uint64_t count = 0;

	for (peer = control->peers; peer; peer = peer->next)
		if (peer->session->lane)
			count += counter_read(&peer->session->lane->counters.outstanding);
	exposition_sample(exposition, NULL, 0, (double)count);
}

void metrics_queue_depth(struct control *control, struct exposition *exposition)
{
	const struct peer *peer;
	uint64_t count = 0;

	for (peer = control->peers; peer; peer = peer->next)
		if (peer->session->lane)
			count += counter_read(&peer->session->lane->counters.unfinished);
	exposition_sample(exposition, NULL, 0, (double)count);
}

/* --- of all users ---------------------------------------------------------------------------------- */

static void refused_samples(struct control *control, struct exposition *exposition,
			    enum reason first, enum reason end)
{
	enum reason reason;

	for (reason = first; reason < end; reason++)
		exposition_sample(exposition, &(struct label){ "reason", reason_name(reason) }, 1,
				  (double)shares_refused(&control->shares, reason));
}

void metrics_requests_refused(struct control *control, struct exposition *exposition)
{
	refused_samples(control, exposition, 0, REASON_REQUESTS);
}

void metrics_connections_refused(struct control *control, struct exposition *exposition)
{
	refused_samples(control, exposition, REASON_REQUESTS, REASON_COUNT);
}

/* --- of each user ---------------------------------------------------------------------------------- */

static void user_sample(struct exposition *exposition, const struct share *share, double value)
{
	char uid[16];

	snprintf(uid, sizeof(uid), "%u", share->uid);
	exposition_sample(exposition, &(struct label){ "uid", uid }, 1, value);
}

void metrics_user_requests(struct control *control, struct exposition *exposition)
{
	const struct share *share;

	for (share = control->shares.first; share; share = share->next)
		user_sample(exposition, share, (double)counter_read(&share->counters.requests));
}

void metrics_user_busy(struct control *control, struct exposition *exposition)
{
	const struct share *share;

	for (share = control->shares.first; share; share = share->next)
		user_sample(exposition, share, (double)counter_read(&share->counters.busy_ns) * NS);
}

void metrics_user_arena(struct control *control, struct exposition *exposition)
{
	const struct share *share;

	for (share = control->shares.first; share; share = share->next)
		user_sample(exposition, share, (double)share->arena_bytes);
}
