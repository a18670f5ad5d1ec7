/* SPDX-License-Identifier: MIT */
/* daemon/ops/control/control.c - the verbs: rows of what is, and jobs for what shall be */
#include "ops/control/control.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/build.h"
#include "base/clock.h"
#include "base/log.h"
#include "memory/interleave.h"
#include "ops/control/placement.h"
#include "ops/control/reply.h"
#include "ops/control/verbs.h"
#include "ops/control/worst.h"
#include "ops/nodes.h"
#include "ops/peers.h"
#include "ops/reload.h"

#define NS_PER_S 1e9

/* --- status -------------------------------------------------------------------------------------- */

static uint32_t served_models(const struct control *control)
{
	uint32_t count = 0;
	uint32_t model;

	for (model = 0; model < control->registry.model_count; model++)
		count += control->registry.models[model].current != NULL;
	return count;
}

static uint32_t served_clients(const struct control *control)
{
	const struct peer *peer;
	uint32_t count = 0;

	for (peer = control->peers; peer; peer = peer->next)
		count += peer->session->state == SESSION_SERVED;
	return count;
}

static json_t *nodes_json(const struct control *control)
{
	uint64_t wanted = nodes_wanted(control);
	json_t *nodes = json_array();

	for (int node = 0; node < TOPOLOGY_NODES_MAX; node++)
		if (wanted >> node & 1)
			(void)!json_array_append_new(nodes, json_integer(node));
	return nodes;
}

/* NULL: there is one node, or none can be read. */
static const char *interleave_of(const struct control *control, char text[INTERLEAVE_TEXT_BYTES])
{
	struct interleave interleave;
	struct topology topology;

	if (topology_read(&topology) < 0 || place_only(place_all(&topology)) >= 0)
		return NULL;
	interleave = interleave_read("", &topology, control->options->bandwidths);
	return interleave_text(&interleave, text);
}

static json_t *worker_nodes_json(const struct workers *workers)
{
	json_t *nodes = json_array();
	uint32_t index;

	for (index = 0; index < workers_node_count(workers); index++)
		json_array_append_new(nodes, json_integer(workers_node(workers, index)));
	return nodes;
}

static bool verb_status(struct control *control, struct peer *peer, const json_t *question)
{
	const struct device *device = control->registry.engine.device;
	const struct stats_counters *counters = control->data.counters;
	char interleave[INTERLEAVE_TEXT_BYTES];
	char worst[WORST_BYTES];
	json_t *row;

	(void)question;
	shares_reap(&control->shares);
	if (!peer->answer)
		worst_look(control);
	worst_describe(control, worst);
	row = json_pack(
		"{s:s, s:i, s:s, s:i, s:f, s:b, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:I, s:I, "
		"s:I, s:I, s:I, s:I, s:I, s:I, s:i, s:i, s:o, s:i, s:o, s:s*}",
		"version", HEARTH_VERSION, "abi", (int)HEARTH_ABI_VERSION, "compiler",
		BUILD_COMPILER, "pid", (int)getpid(), "uptime_s",
		(double)(clock_ns() - control->started_ns) / NS_PER_S, "ready", control->is_ready,
		"worst", worst, "socket", control->options->socket, "repository",
		control->repository.path, "device", device->name, "numerics",
		device->numerics == NUMERICS_F32_FMA ? "f32-fma" : "f32", "wait",
		control->waiter.way->name, "wait_reason", control->wait_reason, "bell",
		control->data.options.bell == DATA_BELL_FUTEX ? "futex" : "socket",
		"sandbox", control->sandbox.text, "models", (int)served_models(control),
		"clients", (int)served_clients(control), "requests_total",
		count_of(&counters->requests), "completions_total",
		count_of(&counters->completions), "errors_total", count_of(&counters->errors),
		"batches_total", count_of(&counters->batches), "rows_total",
		count_of(&counters->rows), "sleeps_total", count_of(&counters->sleeps),
		"rings_total", count_of(&counters->rings), "wakes_total",
		count_of(&counters->wakes), "kept", (int)shares_kept(&control->shares),
		"workers", (int)workers_count(control->workers), "worker_nodes",
		worker_nodes_json(control->workers), "node", control->node, "nodes",
		nodes_json(control), "interleave", interleave_of(control, interleave));
	return reply_row(peer, row) && reply_end(peer);
}

/* --- load, unload, swap ---------------------------------------------------------------------------- */

bool verb_deny(const struct control *control, struct peer *peer)
{
	char text[HEARTH_TEXT_BYTES];

	snprintf(text, sizeof(text),
		 "uid %u may not change what is served here: connect to %s as root, as the daemon's "
		 "user or in its admin group", peer->session->uid, control->options->admin_socket);
	return reply_error(peer, -EPERM, text);
}

bool verb_from(const json_t *question, uint64_t next, uint64_t kept, uint64_t *ret_position)
{
	const json_t *from = json_object_get(question, "from");
	uint64_t oldest = next > kept ? next - kept : 0;

	if (from && (!json_is_integer(from) || json_integer_value(from) < 0))
		return false;
	*ret_position = (uint64_t)json_integer_value(from);
	if (*ret_position < oldest)
		*ret_position = oldest;
	return true;
}

static bool change(struct control *control, struct peer *peer, enum registry_verb verb,
		   const json_t *object, uint32_t how)
{
	const json_t *version = json_object_get(object, "version");
	const json_t *dry = json_object_get(object, "dry");
	const json_t *drain = json_object_get(object, "drain");
	json_int_t number = json_integer_value(version);
	const char *name = json_string_value(json_object_get(object, "model"));

	if (!peers_may_change(control, peer->session))
		return verb_deny(control, peer);
	if (!name || !repository_is_name(name))
		return reply_error(peer, -EINVAL, "\"model\": the name of a model is wanted");
	if ((version && !json_is_integer(version)) || number < 0 || number > UINT32_MAX ||
	    (verb == REGISTRY_SWAP && number == 0))
		return reply_error(peer, -EINVAL, "\"version\": a number from 1 is wanted");
	if (dry && (!json_is_boolean(dry) || verb == REGISTRY_UNLOAD))
		return reply_error(peer, -EINVAL,
				   "\"dry\": true or false is wanted, with load or swap");
	if (drain && (!json_is_boolean(drain) || verb != REGISTRY_SWAP))
		return reply_error(peer, -EINVAL, "\"drain\": true or false is wanted, with swap");
	if (control->is_stopping)
		return reply_error(peer, -ESHUTDOWN, "hearthd is stopping");
	how |= (json_is_true(dry) ? REGISTRY_DRY : 0) | (json_is_true(drain) ? REGISTRY_DRAIN : 0);
	registry_submit(&control->registry, verb, name, (uint32_t)number, how, peer->ticket);
	return true;
}

static bool verb_load(struct control *control, struct peer *peer, const json_t *question)
{
	return change(control, peer, REGISTRY_LOAD, question, 0);
}

static bool verb_swap(struct control *control, struct peer *peer, const json_t *question)
{
	return change(control, peer, REGISTRY_SWAP, question, 0);
}

static bool verb_unload(struct control *control, struct peer *peer, const json_t *question)
{
	return change(control, peer, REGISTRY_UNLOAD, question, 0);
}

/* A swap to the version that was current before the last one. */
static bool verb_rollback(struct control *control, struct peer *peer, const json_t *question)
{
	const char *name = json_string_value(json_object_get(question, "model"));
	uint32_t before = name ? registry_before(&control->registry, name) : 0;
	json_t *swap;
	bool is_sent;

	if (!peers_may_change(control, peer->session))
		return verb_deny(control, peer);
	if (before == 0)
		return reply_error(peer, -ENOENT, "no version was current before this one since "
				   "hearthd started; `hearthctl swap MODEL@VERSION` names one");
	swap = json_copy((json_t *)(uintptr_t)question);
	json_object_set_new(swap, "version", json_integer(before));
	is_sent = change(control, peer, REGISTRY_SWAP, swap, REGISTRY_BACK);
	json_decref(swap);
	return is_sent;
}

static bool verb_reload(struct control *control, struct peer *peer, const json_t *question)
{
	(void)question;
	if (!peers_may_change(control, peer->session))
		return verb_deny(control, peer);
	if (control->is_stopping)
		return reply_error(peer, -ESHUTDOWN, "hearthd is stopping");
	peer->awaits_reload = true;
	reload_begin(control);
	return true;
}

static void answer_end(struct control *control, struct peer *peer, bool is_sent)
{
	if (!is_sent)
		peers_close(control, peer);
	else if (peer->pending)
		watch_disarm(&control->waiter, &peer->socket); /* and armed again for its room */
}

void control_answer(struct control *control, struct peer *peer, int status, const char *text,
		    bool is_last)
{
	bool is_sent;

	if (status < 0)
		is_sent = reply_error(peer, status, text);
	else
		is_sent = reply_row(peer, json_pack("{s:s}", "progress", text)) &&
			  (!is_last || reply_end(peer));
	answer_end(control, peer, is_sent);
}

void control_report(void *context, const struct registry_report *report)
{
	static const char *const verbs[] = { "load", "swap", "advance", "unload" };
	static const enum log_level levels[] = {
		[REGISTRY_DETAIL] = LOG_LEVEL_DEBUG,
		[REGISTRY_NEWS] = LOG_LEVEL_INFO,
		[REGISTRY_WARNING] = LOG_LEVEL_WARNING,
	};
	struct control *control = context;
	struct peer *peer = peers_find(control, report->ticket);
	char number[16] = ""; /* of the version; "": all of them, or none is known */

	if (report->placement) {
		if (peer)
			answer_end(control, peer, control_placement(peer, report->placement));
		return;
	}
	if (report->number > 0)
		snprintf(number, sizeof(number), "@%u", report->number);
	if (report->status < 0)
		log_line(report->status == -ENOENT ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR,
			 "%s %s%s: %s", verbs[report->verb], report->name, number, report->text);
	else
		log_line(levels[report->weight], "%s: %s", verbs[report->verb], report->text);
	if (peer && report->progress.total_bytes > 0)
		answer_end(control, peer, reply_progress(peer, report));
	else if (peer)
		control_answer(control, peer, report->status, report->text, report->is_last);
	control->kept.is_dirty = true;
	control->page.wants_mem |= report->is_last;
	if (!report->ticket && report->is_last)
		reload_report(control, report);
	if (report->is_last && report->verb == REGISTRY_SWAP)
		peers_ready(control);
}

static const struct {
	const char *name;
	verb_function *function;
} verbs[] = {
	{ "status", verb_status }, { "models", verb_models },   { "plan", verb_plan },
	{ "mem", verb_mem },       { "latency", verb_latency }, { "trace", verb_trace },
	{ "events", verb_events }, { "metrics", verb_metrics }, { "clients", verb_clients }, { "users", verb_users },
	{ "kick", verb_kick },     { "load", verb_load },       { "swap", verb_swap },
	{ "rollback", verb_rollback }, { "unload", verb_unload }, { "reload", verb_reload },
};
#define VERBS (sizeof(verbs) / sizeof(verbs[0]))

static bool refuse_verb(struct peer *peer)
{
	char text[HEARTH_TEXT_BYTES] = "verbs:";
	size_t used = strlen(text);
	size_t index;

	for (index = 0; index < VERBS && used < sizeof(text); index++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, " %s",
					 verbs[index].name);
	return reply_error(peer, -EOPNOTSUPP, text);
}

/* NULL: there is no such verb. */
static verb_function *verb_find(const char *name)
{
	size_t index = 0;

	while (index < VERBS && strcmp(verbs[index].name, name) != 0)
		index++;
	return index < VERBS ? verbs[index].function : NULL;
}

bool control_read(struct control *control, struct peer *peer, const char *verb)
{
	verb_function *function = verb_find(verb);

	return function && function(control, peer, NULL);
}

void control_obey(struct control *control, struct peer *peer, const char *text, size_t bytes)
{
	json_t *object = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, NULL);
	const char *verb = json_string_value(json_object_get(object, "verb"));
	verb_function *function = verb ? verb_find(verb) : NULL;
	bool is_sent;

	if (!verb)
		is_sent = reply_error(peer, -EINVAL, "a JSON object with \"verb\" is wanted");
	else if (!function)
		is_sent = refuse_verb(peer);
	else
		is_sent = function(control, peer, object);
	json_decref(object);
	if (!is_sent)
		peers_close(control, peer);
}
