/* SPDX-License-Identifier: MIT */
/*
 * tools/hearthctl/command.h - what the table of commands.c calls, and what it was asked to do
 *
 * Owns:     nothing; every pointer is into the arguments or a literal
 * Errors:   a command prints its sentence and returns an exit code
 */
#ifndef HEARTH_TOOLS_HEARTHCTL_COMMAND_H
#define HEARTH_TOOLS_HEARTHCTL_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/abi.h"

enum exit_code {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_UNREACHABLE = 3,
	EXIT_NOT_FOUND = 4,
};

struct input_argument {
	const char *name; /* of the model's input */
	const char *path; /* of a .npy file */
};

struct invocation {
	const char *verb;
	const char *socket_path;
	const char *admin_socket_path;
	bool is_json;
	bool is_prom;
	double timeout_s; /* 0: as the command thinks fit */

	char model[HEARTH_NAME_BYTES]; /* "": not given */
	uint32_t version;	       /* 0: the current one, or not given */

	struct input_argument inputs[HEARTH_TENSORS_MAX];
	uint32_t input_count;
	const char *output_directory;
	uint32_t batch_rows; /* 0: not given */

	uint32_t pid; /* of a client */
	uint32_t count; /* 0: as the command thinks fit, as is seconds */
	uint32_t echo_bytes; /* 0: a ping carries none */
	double seconds;
	double watch_s; /* 0: once */
	double rate_per_s;    /* 0: closed loop */
	uint32_t concurrency; /* 0: not given */
	uint32_t clients;
	const char *file; /* of a model, on this machine */
	const char *shell;
	bool is_page; /* nothing is asked, the daemon's stats page is read */
	bool is_plan;
	bool is_breakdown;
	bool is_dry;
	bool follows;
	uint64_t slow_ns;   /* 0: not given */
	const char *chrome; /* NULL: not given */
	const char *tier; /* NULL: all */
	bool is_map;
	bool has_node;
	uint32_t node;
	bool drains;

	uint64_t id_max;
	uint64_t seed;
};

/* -o prom, of any command. */
int prom_run(const struct invocation *invocation);

int status_run(const struct invocation *invocation);
int models_run(const struct invocation *invocation);
int change_run(const struct invocation *invocation); /* load, unload, swap, reload */
int mem_run(const struct invocation *invocation);
int stat_run(const struct invocation *invocation);
int top_run(const struct invocation *invocation);
int latency_run(const struct invocation *invocation);
int trace_run(const struct invocation *invocation);
int events_run(const struct invocation *invocation);
int clients_run(const struct invocation *invocation);
int kick_run(const struct invocation *invocation);
int users_run(const struct invocation *invocation);
int doctor_run(const struct invocation *invocation);
int infer_run(const struct invocation *invocation);
int bench_run(const struct invocation *invocation);
int model_show_run(const struct invocation *invocation);
int model_check_run(const struct invocation *invocation);
int ping_run(const struct invocation *invocation);
int version_run(const struct invocation *invocation);
int completions_run(const struct invocation *invocation);

/* "hearthctl: sentence" on stderr; returns `exit_code`. */
int complain(int exit_code, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
