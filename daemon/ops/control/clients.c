/* SPDX-License-Identifier: MIT */
/* daemon/ops/control/clients.c - the verbs clients, users and kick: who is there, who may stay */
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "ops/control/reply.h"
#include "ops/control/verbs.h"
#include "ops/loop.h"
#include "ops/peers.h"

#define NS_PER_S 1e9

/* The reasons that occurred, from `first` to before `end`. */
static json_t *refused_json(const struct counter refused[], enum reason first, enum reason end)
{
	json_t *object = json_object();
	enum reason reason;

	for (reason = first; object && reason < end; reason++) {
		if (!counter_read(refused + reason) ||
		    json_object_set_new(object, reason_name(reason),
					json_integer(count_of(refused + reason))) == 0)
			continue;
		json_decref(object);
		object = NULL;
	}
	return object;
}

static json_t *client_json(const struct session *session)
{
	const struct lane *lane = session->lane;

	return json_pack("{s:i, s:I, s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:f, "
			 "s:I, s:o}", "pid", (int)session->pid, "uid", (json_int_t)session->uid, "exe", session->exe,
			 "slots", (int)lane->layout.slots, "outstanding",
			 count_of(&lane->counters.outstanding), "request_area_bytes",
			 (json_int_t)lane->layout.request_area_bytes, "response_area_bytes",
			 (json_int_t)lane->layout.response_area_bytes, "requests_total",
			 count_of(&lane->counters.requests), "errors_total",
			 count_of(&lane->counters.errors), "rings_total",
			 count_of(&lane->counters.rings), "wakes_total",
			 count_of(&lane->counters.wakes), "death",
			 session->pidfd >= 0 ? "pidfd" : "hup", "age_s",
			 (double)(clock_ns() - session->accepted_ns) / NS_PER_S,
			 "opened_ns", (json_int_t)session->accepted_ns, "refused",
			 refused_json(lane->counters.refused, 0, REASON_REQUESTS));
}

bool verb_clients(struct control *control, struct peer *peer, const json_t *question)
{
	const struct peer *other;

	(void)question;
	for (other = control->peers; other; other = other->next)
		if (other->session->state == SESSION_SERVED && !other->is_closing &&
		    !reply_row(peer, client_json(other->session)))
			return false;
	return reply_end(peer);
}

static json_t *user_json(const struct control *control, const struct share *share)
{
	const struct share_limits *limits = &control->shares.limits;
	const struct share_counters *counters = &share->counters;

	return json_pack("{s:I, s:i, s:i, s:i, s:i, s:i, s:i, s:I, s:I, s:I, s:I, s:f, s:I, s:o, s:o}",
			 "uid", (json_int_t)share->uid, "sockets", (int)share->sessions, "connections", (int)share->connections,
			 "connections_max", (int)limits->connections_max, "kept",
			 (int)share->kept_count, "slots", (int)share->slots, "slots_max",
			 (int)limits->slots_max, "arena_bytes", (json_int_t)share->arena_bytes,
			 "arena_bytes_max", (json_int_t)limits->arena_bytes_max, "requests_total",
			 count_of(&counters->requests), "rows_total", count_of(&counters->rows),
			 "busy_s", (double)counter_read(&counters->busy_ns) / NS_PER_S,
			 "deferred_total", count_of(&counters->deferred), "refused",
			 refused_json(counters->refused, 0, REASON_REQUESTS),
			 "refused_connections",
			 refused_json(share->refused, REASON_REQUESTS, REASON_COUNT));
}

/* Those that hold something, asked for something or were refused something. */
static bool is_worth_a_row(const struct share *share)
{
	uint64_t count = share->sessions + share->connections +
			 counter_read(&share->counters.requests);
	enum reason reason;

	for (reason = REASON_REQUESTS; reason < REASON_COUNT; reason++)
		count += counter_read(share->refused + reason);
	return count > 0;
}

bool verb_users(struct control *control, struct peer *peer, const json_t *question)
{
	const struct share *share;

	(void)question;
	shares_reap(&control->shares);
	for (share = control->shares.first; share; share = share->next)
		if (is_worth_a_row(share) && !reply_row(peer, user_json(control, share)))
			return false;
	return reply_end(peer);
}

/* Its clients learn at once that the connection has ended; what they asked and was not answered is
 * lost to them, as when the daemon ends. They may connect again. */
bool verb_kick(struct control *control, struct peer *peer, const json_t *question)
{
	json_int_t pid = json_integer_value(json_object_get(question, "pid"));
	struct peer *other;
	uint32_t count = 0;
	char text[64];

	if (!peers_may_change(control, peer->session))
		return verb_deny(control, peer);
	if (pid <= 0)
		return reply_error(peer, -EINVAL, "\"pid\": the process of a client is wanted");
	for (other = control->peers; other; other = other->next) {
		if (other->session->state != SESSION_SERVED || other->is_closing ||
		    other->session->pid != pid)
			continue;
		log_line(LOG_LEVEL_WARNING, "client %d (uid %u, %s) is disconnected, as uid %u wants",
			 other->session->pid, other->session->uid, other->session->exe,
			 peer->session->uid);
		peers_close(control, other);
		count++;
	}
	if (count == 0)
		return reply_error(peer, -ENOENT, "no such process is connected; `hearthctl "
				   "clients` lists those that are");
	snprintf(text, sizeof(text), "%u connections have ended", count);
	return reply_row(peer, json_pack("{s:s}", "progress", text)) && reply_end(peer);
}
