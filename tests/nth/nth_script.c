/* SPDX-License-Identifier: MIT */
/* tests/nth/nth_script.c - load, connect, serve, swap, look, unload */
#include "nth_script.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/system/crowd.h"
#include "tests/system/shoppers.h"

#define REQUESTS 100
/* The n-th call of each of three threads fails, and so may as many tries. */
#define TRIES 4
#define HANG_NS (INT64_C(10) * 1000000000)

/* An answer that did not come is a hang, whoever else calls it an error. */
static int answered(const char *what, int r)
{
	must(r != -ETIMEDOUT && r != -EAGAIN, "%s: nothing came within %d s", what,
	     (int)(HANG_NS / 1000000000));
	return r;
}

static int change(const struct script *script, const char *verb, uint32_t version)
{
	char text[APPLIANCE_TEXT_BYTES] = "";
	int r = appliance_change(script->appliance, verb, "shoppers", version, text);

	/* A connection that was refused ends without a word. */
	must(strcmp(text, "(null)") != 0, "%s: an answer without an error or a sentence", verb);
	must(r >= 0 || text[0] || r == -ECONNRESET || r == -EPIPE || r == -ECONNREFUSED ||
		     r == -ENOENT || r == -EAGAIN,
	     "%s failed without a sentence: %d", verb, r);
	return answered(verb, r);
}

static int load(struct script *script)
{
	return change(script, "load", 1);
}

static void disconnect(struct script *script, uint32_t client)
{
	hearth_close(script->clients[client]);
	script->clients[client] = NULL;
	script->models[client] = NULL;
}

static int connect_one(struct script *script, uint32_t client)
{
	struct hearth_options options = { .size = sizeof(options), .slots = 16,
					  .request_area_bytes = 65536,
					  .response_area_bytes = 65536,
					  .reply_timeout_ns = HANG_NS };
	int r = 0;

	if (!script->clients[client]) {
		r = hearth_open(script->appliance->socket, &options, script->clients + client);
		must(r == 0 || hearth_strerror(r)[0], "hearth_open failed without a sentence");
	}
	if (r == 0 && !script->models[client])
		r = hearth_model(script->clients[client], "shoppers", 0, script->models + client);
	if (r < 0)
		disconnect(script, client);
	return answered("hearth_open", r);
}

static int connect_both(struct script *script)
{
	int first = connect_one(script, 0);
	int second = connect_one(script, 1);

	return first < 0 ? first : second;
}

static int ask(struct hearth *hearth, const struct hearth_model_info *model, uint32_t row)
{
	const struct hearth_completion *completion;
	struct hearth_request *request;
	int status;
	int r;

	r = hearth_acquire(hearth, model, 2, &request);
	if (r < 0)
		return r;
	shoppers_fill(request, model, row, 2);
	r = hearth_submit(hearth, request);
	if (r < 0)
		return r;
	r = hearth_wait(hearth, HANG_NS, &completion);
	if (r < 0)
		return answered("hearth_wait", r);
	status = completion->status;
	if (status == 0)
		shoppers_check(completion, row, 2);
	r = hearth_release(hearth, completion->id);
	return status < 0 ? status : r;
}

static int serve(struct script *script)
{
	uint32_t turn;
	int r;

	r = connect_both(script);
	for (turn = 0; r == 0 && turn < REQUESTS; turn++) {
		/* now and then, after a sleep, so that the daemon sleeps as well */
		if (turn % 25 == 0)
			crowd_pause_ns(3000000);
		r = ask(script->clients[turn % 2], script->models[turn % 2], turn);
	}
	if (r < 0) {
		disconnect(script, 0);
		disconnect(script, 1);
	}
	return r;
}

static int swap(struct script *script)
{
	int r = change(script, "swap", 2);

	return r < 0 ? r : serve(script);
}

/* A table that leaves something out is a wrong answer. */
static void look_at_model(const json_t *row)
{
	const json_t *inputs = json_object_get(row, "inputs");
	size_t index;
	json_t *input;

	if (!inputs)
		return;
	must(json_array_size(inputs) == SHOPPERS_INPUTS, "%zu inputs", json_array_size(inputs));
	json_array_foreach(inputs, index, input)
		must(json_array_size(json_object_get(input, "dims")) == 2, "input %zu: %zu dims",
		     index, json_array_size(json_object_get(input, "dims")));
}

static int look(struct script *script)
{
	static const char *const verbs[] = { "status", "models", "mem", "clients" };
	char request[64];
	uint32_t index;
	json_t *rows;
	json_t *row;
	size_t at;
	int r = 0;

	for (index = 0; r == 0 && index < sizeof(verbs) / sizeof(verbs[0]); index++) {
		snprintf(request, sizeof(request), "{\"verb\": \"%s\"}", verbs[index]);
		r = appliance_ask(script->appliance->socket, request, &rows, NULL);
		json_array_foreach(rows, at, row)
			must(r < 0 || json_object_size(row) > 3, "%s: row %zu is empty",
			     verbs[index], at);
		for (at = 0; at < json_array_size(rows); at++)
			look_at_model(json_array_get(rows, at));
		must(r < 0 || index != 0 || json_array_size(rows) == 1, "status without a row");
		json_decref(rows);
	}
	return answered("hearthctl", r);
}

static int unload(struct script *script)
{
	int r = change(script, "unload", 1);

	return r == -ENOENT ? 0 : r;
}

bool script_has_ended(const struct appliance *appliance)
{
	char path[64];
	char state = 'Z';
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)appliance->pid);
	file = fopen(path, "re");
	if (file && fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
		state = 'Z';
	if (file)
		fclose(file);
	return state == 'Z' || state == 'X';
}

bool script_play(struct script *script, uint32_t steps, bool must_succeed)
{
	static const struct {
		const char *name;
		int (*take)(struct script *script);
	} all[] = { { "load", load }, { "connect", connect_both }, { "serve", serve },
		    { "swap", swap }, { "status", look },	   { "unload", unload } };
	uint32_t index;
	int turn;
	int r = 0;

	for (index = 0; index < sizeof(all) / sizeof(all[0]); index++) {
		if (!(steps & 1u << index))
			continue;
		for (turn = 0; turn == 0 || (must_succeed && r < 0 && turn < TRIES); turn++) {
			if (script_has_ended(script->appliance))
				return false;
			r = all[index].take(script);
		}
		if (r < 0 && script_has_ended(script->appliance))
			return false;
		must(r == 0 || !must_succeed, "'%s' fails again and again: %d, %s", all[index].name,
		     r, hearth_strerror(r));
	}
	return true;
}

void script_close(struct script *script)
{
	disconnect(script, 0);
	disconnect(script, 1);
}
