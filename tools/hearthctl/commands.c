/* SPDX-License-Identifier: MIT */
/* tools/hearthctl/commands.c - every subcommand, with what it takes and what help says of it */
#include "tools/hearthctl/commands.h"

#include "shm/handshake.h"

/* clang-format off */
#define OPTION(name, key, argument, text) {name, key, argument, 0, text, 0}
#define DRY_RUN OPTION("dry-run", KEY_DRY_RUN, NULL, "only tell what would lie where, and what would not fit")
#define WATCH OPTION("watch", KEY_WATCH, "SEC", "again each SEC seconds, until it is interrupted; on a " \
		     "terminal in place")
#define PAGE OPTION("page", KEY_PAGE, NULL, "ask nothing: show what the daemon's stats page has")
#define INPUT_TEXT "rows for the model's input NAME; once for each input"

const struct command commands[] = {
	{"status", "", "what the daemon does, and on what", "", MODEL_NONE, status_run, {WATCH, PAGE, {0}}},
	{"models", "[MODEL[@VERSION]]", "versions, inputs and outputs", "",
	 MODEL_MAY, models_run, {WATCH, PAGE, {0}}},
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
		OPTION("map", KEY_MAP, NULL, "where it lies: a bar for each node and kind of page"),
		WATCH, PAGE,
		{0}}},
	{"stat", "[SEC]", "what goes on, a line each interval",
	 "Rates and percentiles of each interval of SEC seconds (1), until it is interrupted.",
	 MODEL_SECONDS, stat_run, {
		OPTION("count", KEY_COUNT, "N", "so many lines (without end)"),
		PAGE,
		{0}}},
	{"top", "[SEC]", "what goes on, live: models, clients and memory",
	 "On a terminal, asked again each SEC seconds (1). h shows the keys, q ends it.",
	 MODEL_SECONDS, top_run, {{0}}},
	{"latency", "[MODEL[@VERSION]]", "how long requests took, and where the time went",
	 "Of requests that were answered since the version was loaded, from the client's submission "
	 "to the answer in its memory.",
	 MODEL_MAY, latency_run, {
		OPTION("breakdown", KEY_BREAKDOWN, NULL,
		       "ring (until it was taken), queue (until its batch closed), batch (until the "
		       "first kernel), execute, answer (copied and published), total"),
		WATCH, PAGE,
		{0}}},
	{"trace", "[MODEL[@VERSION]]", "single requests, and where the time of each went",
	 "Of the last 4096 requests that ended after their admission, answered or not. The steps of "
	 "a request's path that are measured together (README, \"The path of one request\"):\n"
	 "  ring     2, 3 and the wait until the daemon looks\n"
	 "  queue    4, 5, 6 until its batch closes\n"
	 "  batch    6, 7 until the first kernel\n"
	 "  execute  8, 9 until the last kernel\n"
	 "  answer   10 until it is published\n"
	 "Steps 1 and 11 are the client's own and are not measured.",
	 MODEL_MAY, trace_run, {
		OPTION("slow", KEY_SLOW, "T", "that took T in all, or more, such as 500us, 2ms or 1s; the "
		       "slowest first"),
		OPTION("seconds", KEY_SECONDS, "S", "what ends in the next S seconds instead"),
		OPTION("chrome", KEY_CHROME, "FILE", "into a file for Perfetto and chrome://tracing"),
		{0}}},
	{"events", "", "what the daemon has said lately",
	 "The last 512 lines of its log, those for debugging apart.",
	 MODEL_NONE, events_run, {
		OPTION("count", KEY_COUNT, "N", "the last N (all; 10 when they are followed)"),
		OPTION("seconds", KEY_SECONDS, "S", "and those of the next S seconds, as they come"),
		OPTION("follow", KEY_FOLLOW, NULL, "and those that come, until it is interrupted"),
		PAGE,
		{0}}},
	{"clients", "", "connected programs", "", MODEL_NONE, clients_run, {WATCH, PAGE, {0}}},
	{"client kick", "PID", "end a program's connections",
	 "Goes to the admin socket. What it asked and was not answered is lost to it, as when the "
	 "daemon ends; it may connect again.",
	 MODEL_PID, kick_run, {{0}}},
	{"users", "", "what each user holds, has had, and was refused", "", MODEL_NONE, users_run,
	 {WATCH, PAGE, {0}}},
	{"doctor", "", "is this host, and the daemon on it, as hearth wants them",
	 "A line a check: what was found, and the command or setting that mends what is not OK. The "
	 "exit status is 1 when a check fails. Without a daemon its checks are skipped.",
	 MODEL_NONE, doctor_run, {WATCH, {0}}},
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
	{"version", "", "which hearthctl this is, and which hearthd answers",
	 "Version, ABI, compiler and the instruction set in use of each. That no daemon is there is no "
	 "failure; that the two are of different versions is told.",
	 MODEL_NONE, version_run, {{0}}},
	{"completions", "bash|zsh|fish", "a script that completes hearthctl's words in a shell",
	 "`make install` puts the scripts where the shells look; in a shell of bash without that: "
	 "source <(hearthctl completions bash).",
	 MODEL_SHELL, completions_run, {{0}}},
};
/* clang-format on */
const size_t command_count = sizeof(commands) / sizeof(commands[0]);

const struct argp_option common_options[] = {
	OPTION(NULL, KEY_JSON, "FORMAT", "json: one object a line, keys end in their unit; prom: metrics, as Prometheus reads them; "
	       "table (which is the default)"),
	OPTION("socket", KEY_SOCKET, "PATH",
	       "the daemon's socket (" HEARTH_SOCKET_PATH_DEFAULT ")"),
	OPTION("admin-socket", KEY_ADMIN_SOCKET, "PATH",
	       "for what changes something (the other one's path with " HEARTH_ADMIN_SUFFIX ")"),
	OPTION("timeout", KEY_TIMEOUT, "SECONDS",
	       "give up waiting for an answer (10; 60 for infer, bench and ping; never for what "
	       "changes something)"),
	{0},
};
