/* SPDX-License-Identifier: MIT */
/*
 * tools/hearthctl/commands.h - the table of subcommands: help, parsing and completions
 *
 * Owns:     nothing; the table is constant
 */
#ifndef HEARTH_TOOLS_HEARTHCTL_COMMANDS_H
#define HEARTH_TOOLS_HEARTHCTL_COMMANDS_H

#include <argp.h>
#include <stddef.h>

#include "tools/hearthctl/command.h"

#define OPTIONS_MAX 12

/* What -o, --tier and SHELL may be. */
#define FORMAT_WORDS "json,table,prom"
#define TIER_WORDS "hbm,1G,2M,thp,4k,files"
#define SHELL_WORDS "bash,zsh,fish"

enum option_key {
	KEY_JSON = 'o',
	KEY_SOCKET = 's',
	KEY_WATCH = 'w',
	KEY_ADMIN_SOCKET = 256,
	KEY_TIMEOUT,
	KEY_INPUT,
	KEY_OUTPUT,
	KEY_BATCH,
	KEY_COUNT,
	KEY_BYTES,
	KEY_SECONDS,
	KEY_CONCURRENCY,
	KEY_RATE,
	KEY_CLIENTS,
	KEY_ID_MAX,
	KEY_SEED,
	KEY_PAGE,
	KEY_PLAN,
	KEY_BREAKDOWN,
	KEY_DRY_RUN,
	KEY_NODE,
	KEY_TIER,
	KEY_MAP,
	KEY_DRAIN,
	KEY_FOLLOW,
	KEY_SLOW,
	KEY_CHROME,
	KEY_LIST_COMMANDS,
};

enum model_rule {
	MODEL_NONE,
	MODEL_MAY,
	MODEL_MUST,
	MODEL_AND_VERSION,
	MODEL_FILE,
	MODEL_PID,     /* none: a process stands there */
	MODEL_SECONDS, /* none: an interval may stand there */
	MODEL_SHELL,   /* none: one of SHELL_WORDS stands there */
};

struct command {
	const char *name;
	const char *arguments;
	const char *summary;
	const char *details;
	enum model_rule model;
	int (*run)(const struct invocation *invocation);
	struct argp_option options[OPTIONS_MAX];
};

extern const struct command commands[];
extern const size_t command_count;

/* What every command takes; ends with an option of zeros, as each command's own do. */
extern const struct argp_option common_options[];

#endif
