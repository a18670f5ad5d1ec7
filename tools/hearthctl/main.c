/* SPDX-License-Identifier: MIT */
/*
 * tools/hearthctl/main.c - the command line: its words, as commands.c has them, become an invocation
 *
 * hearthctl [OPTION...] COMMAND [OPTION...] [ARGUMENT...]
 */

#include <argp.h>
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shm/handshake.h"
#include "tools/hearthctl/commands.h"
#include "tools/hearthctl/table.h"

#define TIMEOUT_SECONDS_MAX 1e6

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

/* argp_error ends the program with argp_err_exit_status. */
static uint64_t number_parse(const struct argp_state *state, const char *what, const char *text,
			     uint64_t min, uint64_t max)
{
	char *end;
	unsigned long long number;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || *text == '-' || number < min ||
	    number > max)
		argp_error(state, "%s is '%s'; wanted a number from %llu to %llu", what, text,
			   (unsigned long long)min, (unsigned long long)max);
	return number;
}

static double real_parse(const struct argp_state *state, const char *what, const char *text,
			 double max)
{
	char *end;
	double number = strtod(text, &end);

	if (end == text || *end != '\0' || !isfinite(number) || number <= 0 || number > max)
		argp_error(state, "%s is '%s'; wanted a number above 0, at most %g", what, text,
			   max);
	return number;
}

static uint64_t duration_parse_ns(const struct argp_state *state, const char *what, const char *text)
{
	static const struct {
		const char *name;
		double ns;
	} units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}};
	char *end;
	double number = strtod(text, &end);

	for (uint32_t unit = 0; end > text && unit < sizeof(units) / sizeof(units[0]); unit++)
		if (strcmp(end, units[unit].name) == 0 && number * units[unit].ns >= 1 &&
		    number * units[unit].ns <= TIMEOUT_SECONDS_MAX * 1e9)
			return (uint64_t)(number * units[unit].ns);
	argp_error(state, "%s is '%s'; wanted a time such as 500us, 2ms or 1s", what, text);
	return 0;
}

/* "a,b,c" as "a, b or c". */
static void words_spell(const char *words, char *spelled, size_t spelled_bytes)
{
	const char *last = strrchr(words, ',');
	size_t used = 0;

	for (; *words && used + sizeof(" or ") < spelled_bytes; words++)
		if (*words == ',')
			used += (size_t)snprintf(spelled + used, sizeof(" or "), "%s",
						 words == last ? " or " : ", ");
		else
			spelled[used++] = *words;
	spelled[used] = '\0';
}

/* `words` have commas between them. */
static const char *word_parse(const struct argp_state *state, const char *what, const char *text,
			      const char *words)
{
	size_t bytes = strlen(text);
	char wanted[64];

	for (const char *word = words; *word; word += *word == ',') {
		size_t word_bytes = strcspn(word, ",");

		if (word_bytes == bytes && memcmp(word, text, bytes) == 0)
			return text;
		word += word_bytes;
	}
	words_spell(words, wanted, sizeof(wanted));
	argp_error(state, "%s is '%s'; wanted %s", what, text, wanted);
	return NULL;
}

static void input_parse(const struct argp_state *state, char *text, struct invocation *invocation)
{
	char *separator = strchr(text, '=');
	uint32_t input;

	if (!separator || separator == text || separator[1] == '\0')
		argp_error(state, "--input is '%s'; wanted NAME=FILE.npy", text);
	if (invocation->input_count == HEARTH_TENSORS_MAX)
		argp_error(state, "more than %u inputs", HEARTH_TENSORS_MAX);
	*separator = '\0';
	for (input = 0; input < invocation->input_count; input++)
		if (strcmp(invocation->inputs[input].name, text) == 0)
			argp_error(state, "--input %s is given twice", text);
	invocation->inputs[invocation->input_count].name = text;
	invocation->inputs[invocation->input_count].path = separator + 1;
	invocation->input_count++;
}

/* MODEL, MODEL@VERSION, and as a second argument VERSION. */
static void model_parse(const struct argp_state *state, const char *text,
			struct invocation *invocation)
{
	const char *separator = strrchr(text, '@');
	size_t bytes = separator ? (size_t)(separator - text) : strlen(text);

	if (*invocation->model) {
		if (invocation->version > 0)
			argp_error(state, "'%s' is one argument too many", text);
		invocation->version = (uint32_t)number_parse(state, "VERSION", text, 1, UINT32_MAX);
		return;
	}
	if (bytes == 0 || bytes >= sizeof(invocation->model))
		argp_error(state, "'%s' is no model; wanted a name of 1 to %zu bytes", text,
			   sizeof(invocation->model) - 1);
	if (separator)
		invocation->version =
			(uint32_t)number_parse(state, "VERSION", separator + 1, 1, UINT32_MAX);
	memcpy(invocation->model, text, bytes);
	invocation->model[bytes] = '\0';
}

static error_t common_parse(int key, char *argument, struct argp_state *state)
{
	struct invocation *invocation = state->input;

	switch (key) {
	case KEY_JSON:
		word_parse(state, "-o", argument, FORMAT_WORDS);
		invocation->is_json = strcmp(argument, "json") == 0;
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

/* What one subcommand takes; `state->input` is the invocation. */
static error_t command_parse(int key, char *argument, struct argp_state *state)
{
	struct invocation *invocation = state->input;

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
	case KEY_BATCH:
		invocation->batch_rows =
			(uint32_t)number_parse(state, "--batch", argument, 1, INT32_MAX);
		return 0;
	case KEY_PLAN:
		invocation->is_plan = true;
		return 0;
	case KEY_BREAKDOWN:
		invocation->is_breakdown = true;
		return 0;
	case KEY_DRAIN:
		invocation->drains = true;
		return 0;
	case KEY_DRY_RUN:
		invocation->is_dry = true;
		return 0;
	case KEY_NODE:
		invocation->node = (uint32_t)number_parse(state, "--node", argument, 0, INT32_MAX);
		invocation->has_node = true;
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
	case KEY_COUNT:
		invocation->count =
			(uint32_t)number_parse(state, "--count", argument, 1, INT32_MAX);
		return 0;
	case KEY_BYTES:
		invocation->echo_bytes = (uint32_t)number_parse(state, "--bytes", argument, 0,
								HEARTH_ECHO_BYTES_MAX);
		return 0;
	case KEY_FOLLOW:
		invocation->follows = true;
		return 0;
	case KEY_WATCH:
	case KEY_SECONDS:
		invocation->seconds = real_parse(state, "--seconds", argument, TIMEOUT_SECONDS_MAX);
		return 0;
	case KEY_CONCURRENCY:
		invocation->concurrency = (uint32_t)number_parse(state, "--concurrency", argument,
								 1, HEARTH_SLOTS_MAX);
		return 0;
	case KEY_RATE:
		invocation->rate_per_s = real_parse(state, "--rate", argument, 1e9);
		return 0;
	case KEY_CLIENTS:
		invocation->clients = (uint32_t)number_parse(state, "--clients", argument, 1, 1024);
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
};

static error_t call_parse(int key, char *argument, struct argp_state *state)
{
	struct command_call *call = state->input;
	error_t error;

	if (key == ARGP_KEY_ARG) {
		if (call->command->model == MODEL_NONE)
			argp_error(state, "%s takes no argument, and got '%s'", call->command->name,
				   argument);
		if (call->command->model == MODEL_SECONDS)
			call->invocation->seconds =
				real_parse(state, "SEC", argument, TIMEOUT_SECONDS_MAX);
		else if (call->command->model == MODEL_PID)
			call->invocation->pid =
				(uint32_t)number_parse(state, "PID", argument, 1, INT32_MAX);
		else if (call->command->model == MODEL_SHELL)
			call->invocation->shell =
				word_parse(state, "the shell", argument, SHELL_WORDS);
		else if (call->command->model != MODEL_FILE)
			model_parse(state, argument, call->invocation);
		else if (call->invocation->file)
			argp_error(state, "'%s' is one argument too many", argument);
		else
			call->invocation->file = argument;
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
	return command->run(invocation);
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

static error_t main_parse(int key, char *argument, struct argp_state *state)
{
	struct invocation *invocation = state->input;
	const struct command *command;
	int words, code;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = invocation;
		return 0;
	case ARGP_KEY_ARG:
		command = command_find(argument, state->next < state->argc ? state->argv[state->next]
									   : NULL);
		if (!command)
			argp_error(state, "there is no command '%s'; `hearthctl --help` lists them",
				   argument);
		words = strchr(command->name, ' ') ? 2 : 1;
		code = command_run(command, state->argc - state->next + 2 - words,
				   state->argv + state->next - 2 + words, invocation);
		if (fflush(stdout) == EOF && code == EXIT_OK)
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
	const struct argp argp = {
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
