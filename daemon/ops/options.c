/* SPDX-License-Identifier: MIT */
/* daemon/ops/options.c - one table of settings serves the flags and the file */
#include "options_parts.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ops/metrics/metrics.h"
#include "shm/handshake.h"

#define BYTES_MIN 65536 /* of any limit on memory */

enum key {
	KEY_ADMIN_SOCKET = 0x100,
	KEY_METRICS_SOCKET,
	KEY_GROUP,
	KEY_ADMIN_GROUP,
	KEY_LOAD,
	KEY_ROWS_MAX,
	KEY_ACTIVATION_BYTES_MAX,
	KEY_SPIN_US,
	KEY_WAIT,
	KEY_BELL,
	KEY_NODE,
	KEY_WEIGHTS,
	KEY_TABLES,
	KEY_RESERVE,
	KEY_WORKERS,
	KEY_WORKER_NODES,
	KEY_CLIENTS_MAX,
	KEY_CLIENTS_PER_UID,
	KEY_SLOTS_PER_UID,
	KEY_ARENA_BYTES_PER_UID,
	KEY_USER,
	KEY_SANDBOX,
	KEY_WARM_RESTART,
	KEY_VERIFY,
	KEY_TEST_OPERATIONS,
	KEY_LIST_METRICS,
};

static const struct argp_option flags[] = {
	{ "repository", 'r', "DIR", 0, "Models, as DIR/NAME/VERSION/model.onnx (required)", 0 },
	{ "socket", 's', "PATH", 0, "Where clients connect (" HEARTH_SOCKET_PATH_DEFAULT ")", 0 },
	{ "admin-socket", KEY_ADMIN_SOCKET, "PATH", 0,
	  "Where loads and swaps are asked for (the other path + " HEARTH_ADMIN_SUFFIX ")", 0 },
	{ "metrics-socket", KEY_METRICS_SOCKET, "PATH", 0,
	  "Where Prometheus asks, GET /metrics over HTTP (nowhere)", 0 },
	{ "config", 'c', "FILE", 0, "Settings: every long flag as `key = value`", 0 },
	{ "group", KEY_GROUP, "NAME", 0, "Group that may connect (the daemon's own)", 0 },
	{ "admin-group", KEY_ADMIN_GROUP, "NAME", 0,
	  "Group that may load and swap (root and the daemon's user alone)", 0 },
	{ "load", KEY_LOAD, "latest|all|none", 0, "Versions to load at start (latest)", 0 },
	{ "rows-max", KEY_ROWS_MAX, "N", 0, "Most rows of one batch (4096)", 0 },
	{ "activation-bytes-max", KEY_ACTIVATION_BYTES_MAX, "BYTES", 0,
	  "Most memory for the values inside one version (256M)", 0 },
	{ "spin-us", KEY_SPIN_US, "N", 0,
	  "Always look this long before sleeping (as long as it pays; 0 on a single CPU)", 0 },
	{ "wait", KEY_WAIT, "auto|io_uring|poll", 0,
	  "How the daemon waits: io_uring, or ppoll where it is forbidden (auto)", 0 },
	{ "bell", KEY_BELL, "auto|futex|socket", 0, "How sleeping clients ring (auto)", 0 },
	{ "node", KEY_NODE, "N", 0, "NUMA node of the threads and of memory (where it starts)", 0 },
	{ "weights", KEY_WEIGHTS, "local|interleave|replicate|node N", 0,
	  "Where weights lie: on --node, dealt out to all nodes, on each of the workers' nodes, or on "
	  "one (local)", 0 },
	{ "tables", KEY_TABLES, "local|interleave|node N", 0,
	  "Where embedding tables lie, in the same words but replicate (local)", 0 },
	{ "reserve", KEY_RESERVE, "NODE:SIZE:BYTES", 0,
	  "Huge pages of 2M or 1G to hold from the start, as 0:2M:8G; again for others (none)", 0 },
	{ "workers", KEY_WORKERS, "N", 0,
	  "Threads that compute, the one that serves among them (a CPU each, one left over)", 0 },
	{ "worker-nodes", KEY_WORKER_NODES, "one|all|N,N...", 0,
	  "NUMA nodes whose CPUs compute (one, where the daemon is)", 0 },
	{ "clients-max", KEY_CLIENTS_MAX, "N", 0, "Most connections (1024)", 0 },
	{ "clients-per-uid", KEY_CLIENTS_PER_UID, "N", 0, "Most connections of a user (256)", 0 },
	{ "slots-per-uid", KEY_SLOTS_PER_UID, "N", 0, "Most request slots of a user (65536)", 0 },
	{ "arena-bytes-per-uid", KEY_ARENA_BYTES_PER_UID, "BYTES", 0,
	  "Most shared memory of a user (4G)", 0 },
	{ "user", KEY_USER, "NAME", 0, "Become this user when the sockets are there (stay)", 0 },
	{ "sandbox", KEY_SANDBOX, "auto|strict|off", 0,
	  "Landlock and seccomp: what the kernel has, or both, or neither (auto)", 0 },
	{ "warm-restart", KEY_WARM_RESTART, NULL, 0,
	  "Let systemd keep what is served, and take it back at start", 0 },
	{ "verify", KEY_VERIFY, NULL, 0,
	  "Hash the weights that are kept, beside the serving, and compare with the last time", 0 },
	{ "test-operations", KEY_TEST_OPERATIONS, NULL, 0, "Serve the operations of the tests", 0 },
	{ "list-metrics", KEY_LIST_METRICS, NULL, 0,
	  "Print name, type, dimension, labels and meaning of each metric, and end", 0 },
	{ "verbose", 'v', NULL, 0, "Log what is ordinary, too", 0 },
	{ 0 },
};

const char *argp_program_version = "hearthd " HEARTH_VERSION;

/* --- one setting, from either place ------------------------------------------------------------ */

static int set_u32(const struct config_entry *entry, int64_t min, int64_t max, uint32_t *ret)
{
	int64_t value;
	int r;

	r = config_integer(entry, min, max, &value);
	if (r < 0)
		return r;
	*ret = (uint32_t)value;
	return 0;
}

/* A setting that is one of three words. */
static int set_choice(struct options *options, int key, const struct config_entry *entry)
{
	static const char *const loads[] = { "latest", "all", "none" };
	static const char *const waits[] = { "auto", "io_uring", "poll" };
	static const char *const bells[] = { "auto", "futex", "socket" };
	static const char *const sandboxes[] = { "auto", "off", "strict" };
	const char *const *words = key == KEY_LOAD   ? loads
				   : key == KEY_WAIT ? waits
				   : key == KEY_BELL ? bells
						     : sandboxes;
	uint32_t choice;
	int r;

	r = config_choice(entry, words, 3, &choice);
	if (r < 0)
		return r;
	switch (key) {
	case KEY_LOAD:
		options->load = (enum options_load)choice;
		break;
	case KEY_WAIT:
		options->wait = (enum options_wait)choice;
		break;
	case KEY_BELL:
		options->bell = (enum options_bell)choice;
		break;
	default:
		options->sandbox = (enum options_sandbox)choice;
	}
	return 0;
}

/* Where a key that is any text goes; NULL: it is another one. */
static const char **text_of(struct options *options, int key)
{
	switch (key) {
	case 'r':
		return &options->repository;
	case 's':
		return &options->socket;
	case KEY_ADMIN_SOCKET:
		return &options->admin_socket;
	case KEY_METRICS_SOCKET:
		return &options->metrics_socket;
	case KEY_GROUP:
		return &options->group;
	case KEY_ADMIN_GROUP:
		return &options->admin_group;
	case KEY_USER:
		return &options->user;
	default:
		return NULL;
	}
}

static int set(struct options *options, int key, const struct config_entry *entry)
{
	uint64_t *bytes = &options->activation_bytes_max;
	int64_t value = 0;
	int r = 0;

	if (text_of(options, key)) {
		*text_of(options, key) = entry->value;
		return 0;
	}
	switch (key) {
	case KEY_LOAD:
	case KEY_WAIT:
	case KEY_BELL:
	case KEY_SANDBOX:
		r = set_choice(options, key, entry);
		break;
	case KEY_ROWS_MAX:
		r = set_u32(entry, 1, 1 << 20, &options->rows_max);
		break;
	case KEY_ARENA_BYTES_PER_UID:
		bytes = &options->arena_bytes_per_uid_max; /* fallthrough */
	case KEY_ACTIVATION_BYTES_MAX:
		r = config_bytes(entry, UINT64_C(1) << 44, bytes);
		if (r == 0 && *bytes < BYTES_MIN)
			r = err_raise(-EINVAL, "%s:%u: %s = %s: at least 64K is wanted",
				      entry->file, entry->line, entry->key, entry->value);
		break;
	case KEY_SPIN_US:
		r = config_integer(entry, 0, 1000000, &options->spin_us);
		break;
	case KEY_NODE:
		r = config_integer(entry, 0, 63, &value);
		options->node = (int)value;
		break;
	case KEY_WEIGHTS:
		r = options_place(entry, true, &options->weights_place);
		break;
	case KEY_TABLES:
		r = options_place(entry, false, &options->tables_place);
		break;
	case KEY_RESERVE:
		r = options_reserve(entry, options);
		break;
	case KEY_WORKERS:
		r = set_u32(entry, 1, 256, &options->workers);
		break;
	case KEY_WORKER_NODES:
		r = options_worker_nodes(entry, &options->worker_nodes);
		break;
	case KEY_CLIENTS_MAX:
		r = set_u32(entry, 1, 4096, &options->clients_max);
		break;
	case KEY_CLIENTS_PER_UID:
		r = set_u32(entry, 1, 4096, &options->clients_per_uid_max);
		break;
	case KEY_SLOTS_PER_UID:
		r = set_u32(entry, 1, 1 << 24, &options->slots_per_uid_max);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return r;
}

/* --- flags ---------------------------------------------------------------------------------------- */

/* A flag that has no argument; NULL: it has one. */
static bool *flag_switch(struct options *options, int key)
{
	switch (key) {
	case 'v':
		return &options->is_verbose;
	case KEY_WARM_RESTART:
		return &options->is_warm;
	case KEY_VERIFY:
		return &options->verifies;
	case KEY_TEST_OPERATIONS:
		return &options->has_test_operations;
	default:
		return NULL;
	}
}

struct parse {
	struct options *options;
	uint64_t given; /* bit k: flags[k] stood on the command line */
};

static int flag_index(int key)
{
	int index;

	for (index = 0; flags[index].name; index++)
		if (flags[index].key == key)
			return index;
	return -1;
}

/* The sentence without what a file's setting needs: its line, and the setting once more. */
static const char *flag_fault(const struct config_entry *entry, const char *sentence)
{
	char said[256];
	int bytes;

	bytes = snprintf(said, sizeof(said), "%s:%u: ", entry->file, entry->line);
	if (strncmp(sentence, said, (size_t)bytes) == 0)
		sentence += bytes;
	bytes = snprintf(said, sizeof(said), "%s = %.80s", entry->key, entry->value);
	if (bytes < (int)sizeof(said) && strncmp(sentence, said, (size_t)bytes) == 0)
		sentence += (size_t)bytes + strspn(sentence + bytes, ":; ");
	return sentence;
}

static error_t parse_flag(int key, char *argument, struct argp_state *state)
{
	struct parse *parse = state->input;
	int index = flag_index(key);
	struct config_entry entry = { .file = "command line", .section = "", .value = argument };
	int r;

	if (key == ARGP_KEY_ARG)
		argp_error(state, "'%s' is no flag", argument);
	if (index < 0)
		return ARGP_ERR_UNKNOWN;
	if (key == KEY_LIST_METRICS) {
		metrics_print(stdout);
		exit(EXIT_SUCCESS);
	}
	parse->given |= UINT64_C(1) << index;
	entry.key = flags[index].name;
	if (key == 'c')
		parse->options->config_path = argument;
	else if (flag_switch(parse->options, key))
		*flag_switch(parse->options, key) = true;
	else {
		r = set(parse->options, key, &entry);
		if (r < 0)
			argp_error(state, "--%s %s: %s", entry.key, argument,
				   flag_fault(&entry, err_message()));
	}
	return 0;
}

/* --- the file ------------------------------------------------------------------------------------- */

static int file_flag(struct parse *parse, const struct config_entry *entry)
{
	struct options *options = parse->options;
	int index;

	for (index = 0; flags[index].name; index++)
		if (strcmp(flags[index].name, entry->key) == 0)
			break;
	if (!flags[index].name || flags[index].key == 'c' || flags[index].key == KEY_LIST_METRICS)
		return config_refuse(entry);
	if (parse->given & UINT64_C(1) << index)
		return 0;
	if (flag_switch(options, flags[index].key))
		return config_bool(entry, flag_switch(options, flags[index].key));
	return set(options, flags[index].key, entry);
}

static int read_file(struct parse *parse)
{
	struct options *options = parse->options;
	uint32_t index;
	int r;

	r = config_open(options->config_path, &options->config);
	if (r < 0)
		return err_trace(r);
	for (index = 0; index < options->config.entry_count; index++) {
		struct config_entry *entry = options->config.entries + index;

		if (entry->section[0] == '\0' || (strcmp(entry->section, "memory") == 0 &&
						 strcmp(entry->key, "reserve") == 0))
			r = file_flag(parse, entry);
		else
			r = options_section(options, entry);
		if (r < 0)
			return err_trace(r);
	}
	return 0;
}

int options_parse(struct options *options, int argc, char **argv)
{
	static const char doc[] =
		"Keeps the models of a repository warm and answers programs on this host through "
		"shared memory.\vSIGTERM and SIGINT answer what was asked and stop. hearthd(8) "
		"tells the rest; `hearthctl status` shows a running one.";
	static const struct argp argp = { flags, parse_flag, NULL, doc, NULL, NULL, NULL };
	struct parse parse = { .options = options };
	int r;

	memset(options, 0, sizeof(*options));
	options->socket = HEARTH_SOCKET_PATH_DEFAULT;
	options->rows_max = 4096;
	options->activation_bytes_max = UINT64_C(256) << 20;
	options->spin_us = -1;
	options->node = -1;
	options->clients_max = 1024;
	options->clients_per_uid_max = 256;
	options->slots_per_uid_max = 65536;
	options->arena_bytes_per_uid_max = UINT64_C(4) << 30;

	argp_err_exit_status = 2;
	r = argp_parse(&argp, argc, argv, 0, NULL, &parse);
	if (r != 0)
		return err_raise(-r, "cannot read the command line: %s", strerror(r));
	if (options->config_path) {
		r = read_file(&parse);
		if (r < 0)
			return err_trace(r);
	}
	if (!options->repository)
		return err_raise(-EINVAL, "no repository: --repository DIR is wanted, with models "
				 "as DIR/NAME/VERSION/model.onnx");
	if (!options->admin_socket) {
		if (snprintf(options->admin_path, sizeof(options->admin_path), "%s%s",
			     options->socket, HEARTH_ADMIN_SUFFIX) >=
		    (int)sizeof(options->admin_path))
			return err_raise(-EINVAL, "--socket %s is too long for a socket's path",
					 options->socket);
		options->admin_socket = options->admin_path;
	}
	return 0;
}

void options_deinit(struct options *options)
{
	uint32_t index;

	for (index = 0; index < options->table_count; index++)
		free((void *)(uintptr_t)options->tables[index].model);
	options->table_count = 0;
	config_close(&options->config);
}
