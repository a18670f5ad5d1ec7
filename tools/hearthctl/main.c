/* SPDX-License-Identifier: MIT */
/*
 * tools/hearthctl/main.c - the command line: its words, as commands.c has them, become an invocation
 *
 * hearthctl [OPTION...] COMMAND [OPTION...] [ARGUMENT...]
 */

#include <argp.h>
#include <locale.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shm/handshake.h"
#include "tools/hearthctl/commands.h"
#include "tools/hearthctl/table.h"
#include "tools/hearthctl/values.h"
#include "tools/hearthctl/watch.h"

const char *argp_program_version = "hearthctl " HEARTH_VERSION;

int complain(int exit_code, const char *format, ...)
{
	char *sentence = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&sentence, format, arguments) < 0)
		sentence = NULL;
	va_end(arguments);
	fflush(stdout);
	fputs("hearthctl: ", stderr);
	text_put(sentence ? sentence : format, stderr);
	fputc('\n', stderr);
	free(sentence);
	return exit_code;
}

static error_t common_parse(int key, char *argument, struct argp_state *state)
{
	struct invocation *invocation = state->input;

	switch (key) {
	case KEY_JSON:
		/* "text" is what scripts say that are older than the word "table". */
		if (strcmp(argument, "text") != 0)
			word_parse(state, "-o", argument, FORMAT_WORDS);
		invocation->is_json = strcmp(argument, "json") == 0;
		invocation->is_prom = strcmp(argument, "prom") == 0;
		return 0;
	case KEY_SOCKET:
		invocation->socket_path = argument;
		return 0;
	case KEY_ADMIN_SOCKET:
		invocation->admin_socket_path = argument;
		return 0;
	case KEY_TIMEOUT:
		invocation->timeout_s =
			real_parse(state, "--timeout", argument, TIMEOUT_SECONDS_MAX);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp common_argp = {.options = common_options, .parser = common_parse};

/* Whether `key` is an option without a value; it is set then. */
static bool flag_parse(int key, struct invocation *invocation)
{
	switch (key) {
	case KEY_PAGE:
		return invocation->is_page = true;
	case KEY_PLAN:
		return invocation->is_plan = true;
	case KEY_BREAKDOWN:
		return invocation->is_breakdown = true;
	case KEY_DRAIN:
		return invocation->drains = true;
	case KEY_DRY_RUN:
		return invocation->is_dry = true;
	case KEY_MAP:
		return invocation->is_map = true;
	case KEY_FOLLOW:
		return invocation->follows = true;
	default:
		return false;
	}
}

/* Whether `key` is an option whose value is a number; it is set then. */
static bool number_option_parse(int key, const char *text, const struct argp_state *state,
				struct invocation *invocation)
{
	const struct {
		int key;
		const char *name;
		uint64_t min, max;
		uint32_t *number;
	} options[] = {
		{KEY_BATCH, "--batch", 1, INT32_MAX, &invocation->batch_rows},
		{KEY_NODE, "--node", 0, INT32_MAX, &invocation->node},
		{KEY_COUNT, "--count", 1, INT32_MAX, &invocation->count},
		{KEY_BYTES, "--bytes", 0, HEARTH_ECHO_BYTES_MAX, &invocation->echo_bytes},
		{KEY_CONCURRENCY, "--concurrency", 1, HEARTH_SLOTS_MAX, &invocation->concurrency},
		{KEY_CLIENTS, "--clients", 1, 1024, &invocation->clients},
	};

	for (size_t at = 0; at < sizeof(options) / sizeof(options[0]); at++)
		if (options[at].key == key) {
			*options[at].number = (uint32_t)number_parse(
				state, options[at].name, text, options[at].min, options[at].max);
			return true;
		}
	return false;
}

/* What one subcommand takes; `state->input` is the invocation. */
static error_t command_parse(int key, char *argument, struct argp_state *state)
{
	struct invocation *invocation = state->input;

	if (flag_parse(key, invocation))
		return 0;
	if (number_option_parse(key, argument, state, invocation)) {
		invocation->has_node |= key == KEY_NODE;
		return 0;
	}
	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = invocation;
		return 0;
	case KEY_INPUT:
		input_parse(state, argument, invocation);
		return 0;
	case KEY_OUTPUT:
		invocation->output_directory = argument;
		return 0;
	case KEY_SLOW:
		invocation->slow_ns = duration_parse_ns(state, "--slow", argument);
		return 0;
	case KEY_CHROME:
		invocation->chrome = argument;
		return 0;
	case KEY_TIER:
		invocation->tier = word_parse(state, "--tier", argument, TIER_WORDS);
		return 0;
	case KEY_WATCH:
		invocation->watch_s = real_parse(state, "--watch", argument, TIMEOUT_SECONDS_MAX);
		return 0;
	case KEY_SECONDS:
		invocation->seconds = real_parse(state, "--seconds", argument, TIMEOUT_SECONDS_MAX);
		return 0;
	case KEY_RATE:
		invocation->rate_per_s = real_parse(state, "--rate", argument, 1e9);
		return 0;
	case KEY_ID_MAX:
		invocation->id_max = number_parse(state, "--id-max", argument, 1, INT64_MAX);
		return 0;
	case KEY_SEED:
		invocation->seed = number_parse(state, "--seed", argument, 0, UINT64_MAX);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* Positional arguments differ by the command's rule, so they are not argp's. */
static void command_check(const struct command *command, const struct argp_state *state,
			  struct invocation *invocation)
{
	if (command->model == MODEL_FILE && !invocation->file)
		argp_error(state, "which file? %s %s", command->name, command->arguments);
	if (command->model >= MODEL_MUST && command->model < MODEL_FILE && !*invocation->model)
		argp_error(state, "which model? %s %s", command->name, command->arguments);
	if (command->model == MODEL_PID && invocation->pid == 0)
		argp_error(state, "which process? %s %s", command->name, command->arguments);
	if (command->model == MODEL_SHELL && !invocation->shell)
		argp_error(state, "which shell? %s %s", command->name, command->arguments);
	if (command->model == MODEL_AND_VERSION && invocation->version == 0)
		argp_error(state, "which version? %s %s", command->name, command->arguments);
	if (invocation->version > 0 && !strstr(command->arguments, "VERSION"))
		argp_error(state, "%s takes no version; `hearthctl swap %s@%u` makes that one current",
			   command->name, invocation->model, invocation->version);
	if (command->run == infer_run && invocation->input_count == 0)
		argp_error(state,
			   "no --input NAME=FILE.npy; `hearthctl models %s` lists the inputs",
			   invocation->model);
	if (command->run == infer_run && !invocation->output_directory)
		argp_error(state, "no --output DIR for the answers");
	if (command->run == bench_run && invocation->rate_per_s > 0 && invocation->concurrency > 0)
		argp_error(state,
			   "--rate is an open loop and --concurrency a closed one: choose one");
}

struct command_call {
	const struct command *command;
	struct invocation *invocation;
	uint32_t argument_count;
};

static void argument_parse(struct command_call *call, char *argument, const struct argp_state *state)
{
	struct invocation *invocation = call->invocation;
	enum model_rule rule = call->command->model;

	if (rule == MODEL_NONE)
		argp_error(state, "%s takes no argument, and got '%s'", call->command->name, argument);
	/* A version may stand behind its model as a word of its own. */
	if (rule >= MODEL_FILE && call->argument_count++ > 0)
		argp_error(state, "'%s' is one argument too many", argument);
	switch (rule) {
	case MODEL_SECONDS:
		invocation->seconds = real_parse(state, "SEC", argument, TIMEOUT_SECONDS_MAX);
		break;
	case MODEL_PID:
		invocation->pid = (uint32_t)number_parse(state, "PID", argument, 1, INT32_MAX);
		break;
	case MODEL_SHELL:
		invocation->shell = word_parse(state, "the shell", argument, SHELL_WORDS);
		break;
	case MODEL_FILE:
		invocation->file = argument;
		break;
	default:
		model_parse(state, argument, invocation);
	}
}

static error_t call_parse(int key, char *argument, struct argp_state *state)
{
	struct command_call *call = state->input;
	error_t error;

	if (key == ARGP_KEY_ARG) {
		argument_parse(call, argument, state);
		return 0;
	}
	if (key == ARGP_KEY_END) {
		command_check(call->command, state, call->invocation);
		return 0;
	}
	state->input = call->invocation;
	error = command_parse(key, argument, state);
	state->input = call;
	return error;
}

static int command_run(const struct command *command, int argument_count, char **arguments,
		       struct invocation *invocation)
{
	const struct argp_child children[] = {{&common_argp, 0, "Everywhere:", 1}, {0}};
	struct command_call call = {.command = command, .invocation = invocation};
	int (*run)(const struct invocation *invocation);
	char admin_path[4096];
	char name[64];
	char *doc = NULL;
	struct argp argp = {
		.options = command->options[0].name ? command->options : NULL,
		.parser = call_parse,
		.args_doc = command->arguments,
		.children = children,
	};

	if (asprintf(&doc, "%s\v%s", command->summary, command->details) < 0)
		return complain(EXIT_FAILED, "no memory");
	argp.doc = doc;
	snprintf(name, sizeof(name), "hearthctl %s", command->name);
	arguments[0] = name;
	argp_parse(&argp, argument_count, arguments, 0, NULL, &call);
	free(doc);

	invocation->verb = command->name;
	if (!invocation->admin_socket_path) {
		snprintf(admin_path, sizeof(admin_path), "%s" HEARTH_ADMIN_SUFFIX,
			 invocation->socket_path);
		invocation->admin_socket_path = admin_path;
	}
	run = invocation->is_prom ? prom_run : command->run;
	return invocation->watch_s > 0 ? watch_run(invocation, run) : run(invocation);
}

/* A command of two words has its second one in `next`. */
static const struct command *command_find(const char *word, const char *next)
{
	size_t bytes = strlen(word);

	for (size_t index = 0; index < command_count; index++) {
		const char *name = commands[index].name;

		if (strcmp(name, word) == 0)
			return &commands[index];
		if (strncmp(name, word, bytes) == 0 && name[bytes] == ' ' && next &&
		    strcmp(name + bytes + 1, next) == 0)
			return &commands[index];
	}
	return NULL;
}

/* For the manual's table: tools/dev/ctl_page.sh. */
static void commands_list(void)
{
	for (size_t index = 0; index < command_count; index++)
		printf("%s\t%s\t%s\n", commands[index].name, commands[index].arguments,
		       commands[index].summary);
}

/* There is none; those that begin with the word may be what is meant. */
static void command_miss(const struct argp_state *state, const char *word)
{
	size_t bytes = strlen(word);
	char meant[128] = "";
	size_t used = 0;

	for (size_t index = 0; index < command_count && used < sizeof(meant); index++)
		if (bytes > 0 && strncmp(commands[index].name, word, bytes) == 0)
			used += (size_t)snprintf(meant + used, sizeof(meant) - used, "%s%s",
						 used > 0 ? " or " : "", commands[index].name);
	if (used > 0)
		argp_error(state, "there is no command '%s'; is it %s?", word, meant);
	else
		argp_error(state, "there is no command '%s'; `hearthctl --help` lists them", word);
}

static error_t main_parse(int key, char *argument, struct argp_state *state)
{
	struct invocation *invocation = state->input;
	const struct command *command;
	int words, code;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = invocation;
		return 0;
	case KEY_LIST_COMMANDS:
		commands_list();
		exit(EXIT_OK);
	case ARGP_KEY_ARG:
		command = command_find(argument, state->next < state->argc ? state->argv[state->next]
									   : NULL);
		if (!command)
			command_miss(state, argument);
		words = strchr(command->name, ' ') ? 2 : 1;
		code = command_run(command, state->argc - state->next + 2 - words,
				   state->argv + state->next - 2 + words, invocation);
		if ((fflush(stdout) == EOF || ferror(stdout)) && code == EXIT_OK)
			code = complain(EXIT_FAILED, "stdout takes no more");
		exit(code);
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which command? `hearthctl --help` lists them");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* The list of commands, for the end of --help. */
static char *main_help(int key, const char *text, void *input)
{
	size_t bytes = 0;
	size_t index;
	char *list = NULL;
	FILE *stream;

	(void)input;
	if (key != ARGP_KEY_HELP_POST_DOC)
		return (char *)text;
	stream = open_memstream(&list, &bytes);
	if (!stream)
		return NULL;
	fputs("Commands:\n", stream);
	for (index = 0; index < command_count; index++)
		fprintf(stream, "  %-11s %-18s %s\n", commands[index].name,
			commands[index].arguments, commands[index].summary);
	fputs("\n`hearthctl COMMAND --help` tells more.\n\nExit status: 0 done, 1 failed, 2 usage, "
	      "3 daemon unreachable, 4 not found.\n",
	      stream);
	fclose(stream);
	return list;
}

int main(int argument_count, char **arguments)
{
	static const struct argp_child children[] = {{&common_argp, 0, NULL, 0}, {0}};
	static const struct argp_option options[] = {
		{"list-commands", KEY_LIST_COMMANDS, NULL, OPTION_HIDDEN, NULL, 0}, {0}};
	const struct argp argp = {
		.options = options,
		.parser = main_parse,
		.args_doc = "COMMAND [ARGUMENT...]",
		.doc = "Ask a hearth daemon, and run models through it.",
		.children = children,
		.help_filter = main_help,
	};
	struct invocation invocation = {
		.socket_path = HEARTH_SOCKET_PATH_DEFAULT,
		.clients = 1,
		.id_max = 2,
		.seed = 1,
	};

	setlocale(LC_CTYPE, "");
	signal(SIGPIPE, SIG_IGN);
	argp_err_exit_status = EXIT_USAGE;
	arguments[0] = (char *)"hearthctl";
	argp_parse(&argp, argument_count, arguments, ARGP_IN_ORDER, NULL, &invocation);
	return EXIT_USAGE;
}
