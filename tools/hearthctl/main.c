/* SPDX-License-Identifier: MIT */
/*
 * tools/hearthctl/main.c - one table of subcommands; usage, help and parsing come from it
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
#include "tools/hearthctl/command.h"
#include "tools/hearthctl/table.h"

#define OPTIONS_MAX 12
#define ARGUMENTS_MAX 2
#define TIMEOUT_SECONDS_MAX 1e6

enum option_key {
	KEY_JSON = 'o',
	KEY_SOCKET = 's',
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
	KEY_PLAN,
	KEY_BREAKDOWN,
	KEY_DRY_RUN,
	KEY_NODE,
	KEY_TIER,
	KEY_DRAIN,
};

enum model_rule {
	MODEL_NONE,
	MODEL_MAY,
	MODEL_MUST,
	MODEL_AND_VERSION,
	MODEL_FILE,
	MODEL_PID,     /* none: a process stands there */
	MODEL_SECONDS, /* none: an interval may stand there */
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

/* clang-format off */
#define OPTION(name, key, argument, text) {name, key, argument, 0, text, 0}
#define DRY_RUN OPTION("dry-run", KEY_DRY_RUN, NULL, "only tell what would lie where, and what would not fit")
#define INPUT_TEXT "rows for the model's input NAME; once for each input"

static const struct command commands[] = {
	{"status", "", "what the daemon does, and on what", "", MODEL_NONE, status_run, {{0}}},
	{"models", "[MODEL[@VERSION]]", "versions, inputs and outputs", "",
	 MODEL_MAY, models_run, {{0}}},
	{"load", "MODEL[@VERSION]", "load a version of the repository",
	 "Goes to the admin socket. MODEL is a folder of the daemon's repository; without VERSION "
	 "its highest version is loaded.",
	 MODEL_MUST, change_run, {DRY_RUN, {0}}},
	{"unload", "MODEL[@VERSION]", "drain, and give the memory back",
	 "Goes to the admin socket. Without VERSION every version of MODEL goes.",
	 MODEL_MUST, change_run, {{0}}},
	{"swap", "MODEL@VERSION", "make a version the current one",
	 "Goes to the admin socket; loads the version when it is not loaded. Requests in flight "
	 "finish with the version they began with.",
	 MODEL_AND_VERSION, change_run, {
		DRY_RUN,
		OPTION("drain", KEY_DRAIN, NULL, "where there is no room for both versions: the one that is "
		       "served goes first, and requests wait"),
		{0}}},
	{"rollback", "MODEL", "make the version current that was before the last swap",
	 "Goes to the admin socket; a rollback of a rollback is the swap again.",
	 MODEL_MUST, change_run, {
		OPTION("dry-run", KEY_DRY_RUN, NULL, "load nothing: say where it would lie"),
		OPTION("drain", KEY_DRAIN, NULL, "let what it replaces go first"),
		{0}}},
	{"reload", "", "read the repository again, and serve what is new in it",
	 "Goes to the admin socket. Ends when everything is loaded; the exit status is 1 when a version "
	 "cannot be.",
	 MODEL_NONE, change_run, {{0}}},
	{"model check", "FILE.onnx", "would the file load, and what keeps it from that",
	 "Asks no daemon. Every refused node is named; the exit status is 1 when there is one.",
	 MODEL_FILE, model_check_run, {
		OPTION("plan", KEY_PLAN, NULL, "the kernels that it becomes, with what each moves"),
		OPTION("batch", KEY_BATCH, "N", "rows that the figures are for (64)"),
		{0}}},
	{"model show", "MODEL[@VERSION]", "one model: what it takes, or what each step of it takes",
	 "The steps are those of a run of one row and of a run of many, each with the shortest time "
	 "of a few runs on one thread at load.",
	 MODEL_MUST, model_show_run, {
		OPTION("plan", KEY_PLAN, NULL, "the kernels, with what each moves and took"),
		{0}}},
	{"mem", "", "which memory there is, who has it, and why",
	 "Every page that the daemon has in memory is in one row; what is in none is unaccounted "
	 "for, and that is 0 bytes.",
	 MODEL_NONE, mem_run, {
		OPTION("node", KEY_NODE, "N", "what is on NUMA node N"),
		OPTION("tier", KEY_TIER, "T", "hbm, 1G, 2M, thp, 4k or files"),
		{0}}},
	{"stat", "[SEC]", "what goes on, a line each interval",
	 "Rates and percentiles of each interval of SEC seconds (1), until it is interrupted.",
	 MODEL_SECONDS, stat_run, {
		OPTION("count", KEY_COUNT, "N", "so many lines (without end)"),
		{0}}},
	{"latency", "[MODEL[@VERSION]]", "how long requests took, and where the time went",
	 "Of requests that were answered since the version was loaded, from the client's submission "
	 "to the answer in its memory.",
	 MODEL_MAY, latency_run, {
		OPTION("breakdown", KEY_BREAKDOWN, NULL,
		       "ring (until it was taken), queue (until its batch closed), batch (until the "
		       "first kernel), execute, answer (copied and published), total"),
		{0}}},
	{"clients", "", "connected programs", "", MODEL_NONE, clients_run, {{0}}},
	{"client kick", "PID", "end a program's connections",
	 "Goes to the admin socket. What it asked and was not answered is lost to it, as when the "
	 "daemon ends; it may connect again.",
	 MODEL_PID, kick_run, {{0}}},
	{"users", "", "what each user holds, has had, and was refused", "", MODEL_NONE, users_run,
	 {{0}}},
	{"doctor", "", "is this host, and the daemon on it, as hearth wants them",
	 "A line a check: what was found, and the command or setting that mends what is not OK. The "
	 "exit status is 1 when a check fails. Without a daemon its checks are skipped.",
	 MODEL_NONE, doctor_run, {{0}}},
	{"infer", "MODEL[@VERSION]", "run .npy files through a model",
	 "Writes DIR/NAME.npy for every output NAME, in the order of the input rows.",
	 MODEL_MUST, infer_run, {
		OPTION("input", KEY_INPUT, "NAME=FILE", INPUT_TEXT),
		OPTION("output", KEY_OUTPUT, "DIR", "where the answers go; made when missing"),
		OPTION("batch", KEY_BATCH, "N", "rows a request (256, or what the model takes)"),
		{0}}},
	{"bench", "MODEL[@VERSION]", "latency and rows/s under load",
	 "Without --input, values are random: floats uniform in [0, 1), ids in [0, --id-max).",
	 MODEL_MUST, bench_run, {
		OPTION("batch", KEY_BATCH, "B", "rows a request (1)"),
		OPTION("seconds", KEY_SECONDS, "S", "how long (5)"),
		OPTION("concurrency", KEY_CONCURRENCY, "C",
		       "closed loop: requests in flight of a client (1)"),
		OPTION("rate", KEY_RATE, "R",
		       "open loop: requests a second of all clients, Poisson arrivals; latency "
		       "counts from the moment a request was due"),
		OPTION("clients", KEY_CLIENTS, "N", "connections, each with a thread (1)"),
		OPTION("input", KEY_INPUT, "NAME=FILE", INPUT_TEXT ", used over and over"),
		OPTION("id-max", KEY_ID_MAX, "N", "random ids are below N (2)"),
		OPTION("seed", KEY_SEED, "N", "of the random values and arrivals (1)"),
		{0}}},
	{"ping", "", "round trips that compute nothing", "", MODEL_NONE, ping_run, {
		OPTION("count", KEY_COUNT, "N", "how many, one after the other (10000)"),
		OPTION("bytes", KEY_BYTES, "N", "each carries so many bytes there and back (0)"),
		{0}}},
};
/* clang-format on */
#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static const struct argp_option common_options[] = {
	OPTION(NULL, KEY_JSON, "FORMAT", "json: one object a line, keys end in their unit; text"),
	OPTION("socket", KEY_SOCKET, "PATH",
	       "the daemon's socket (" HEARTH_SOCKET_PATH_DEFAULT ")"),
	OPTION("admin-socket", KEY_ADMIN_SOCKET, "PATH",
	       "for load, unload and swap (the other one's path with " HEARTH_ADMIN_SUFFIX ")"),
	OPTION("timeout", KEY_TIMEOUT, "SECONDS",
	       "give up waiting for an answer (10; load, unload and swap: never)"),
	{0},
};

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

static const char *tier_parse(const struct argp_state *state, const char *text)
{
	static const char *const tiers[] = {"hbm", "1G", "2M", "thp", "4k", "files"};

	for (uint32_t tier = 0; tier < sizeof(tiers) / sizeof(tiers[0]); tier++)
		if (strcmp(tiers[tier], text) == 0)
			return text;
	argp_error(state, "--tier is '%s'; wanted hbm, 1G, 2M, thp, 4k or files", text);
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
		if (strcmp(argument, "json") != 0 && strcmp(argument, "text") != 0)
			argp_error(state, "-o is '%s'; wanted json or text", argument);
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
	case KEY_TIER:
		invocation->tier = tier_parse(state, argument);
		return 0;
	case KEY_COUNT:
		invocation->count =
			(uint32_t)number_parse(state, "--count", argument, 1, INT32_MAX);
		return 0;
	case KEY_BYTES:
		invocation->echo_bytes = (uint32_t)number_parse(state, "--bytes", argument, 0,
								HEARTH_ECHO_BYTES_MAX);
		return 0;
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

	for (size_t index = 0; index < COMMAND_COUNT; index++) {
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
	for (index = 0; index < COMMAND_COUNT; index++)
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
