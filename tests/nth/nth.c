/* SPDX-License-Identifier: MIT */
/* tests/nth/nth.c - inject, play, and judge what came of it */
#include "nth.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/system/crowd.h"

#define NS_PER_S INT64_C(1000000000)
/* Longer than everything else here may take. */
#define HANG_S 100
#define STOP_NS (10 * NS_PER_S)
#define IDLE_NS (NS_PER_S / 5)
#define SPIN_RATIO 4 /* of an idle time, this part on a CPU is a spin */
#define LOG_BYTES 65536

/* --- start ------------------------------------------------------------------------------------ */

static void failures_reset(struct failures *failures, const struct nth_injection *injection)
{
	uint64_t has_sites = failures->has_sites;

	memset(failures, 0, offsetof(struct failures, sites));
	failures->has_sites = has_sites;
	if (injection && !injection->call) {
		failures->fail_at = injection->at;
		failures->for_ever = injection->for_ever;
	}
}

static void launch(struct nth *nth, bool is_stopped)
{
	static const char *const flags[] = { "--load", "latest", NULL };

	must(truncate(nth->appliance.log, 0) == 0 || errno == ENOENT, "cannot empty the log");
	setenv("LD_PRELOAD", nth->library, 1);
	setenv(FAILURES_FILE, nth->failures_path, 1);
	if (is_stopped)
		setenv(FAILURES_STOP, "1", 1);
	appliance_launch(&nth->appliance, flags);
	unsetenv("LD_PRELOAD");
	unsetenv(FAILURES_FILE);
	unsetenv(FAILURES_STOP);
}

/* Traced from the first instruction of main() on. */
static void launch_traced(struct nth *nth, const struct nth_injection *injection)
{
	int status;

	launch(nth, true);
	must(waitpid(nth->appliance.pid, &status, WUNTRACED) == nth->appliance.pid &&
		     WIFSTOPPED(status),
	     "hearthd does not wait for its tracer");
	nth->tracer = trace_attach(nth->appliance.pid, nth->trace, injection->call,
				   injection->error, injection->at, injection->for_ever);
	kill(nth->appliance.pid, SIGCONT);
}

static char *log_read(const struct nth *nth)
{
	static char text[LOG_BYTES];
	FILE *log = fopen(nth->appliance.log, "re");
	size_t bytes = log ? fread(text, 1, sizeof(text) - 1, log) : 0;

	text[bytes] = '\0';
	if (log)
		fclose(log);
	return text;
}

static bool is_of(const struct nth_injection *injection, const char *call)
{
	return injection->call && strcmp(injection->call, call) == 0;
}

bool nth_has_said(const struct nth *nth, const char *text)
{
	return strstr(log_read(nth), text);
}

static bool is_ready(const struct nth *nth, const struct nth_injection *injection)
{
	json_t *rows;
	bool is;

	if (nth_has_said(nth, "ready at"))
		return true;
	/* What it writes may be what fails. */
	if (!is_of(injection, "write"))
		return false;
	is = appliance_ask(nth->appliance.socket, "{\"verb\": \"status\"}", &rows, NULL) == 0 &&
	     json_is_true(json_object_get(json_array_get(rows, 0), "ready"));
	json_decref(rows);
	return is;
}

/* False: it has ended. */
static bool await_ready(const struct nth *nth, const struct nth_injection *injection)
{
	int64_t until_ns = crowd_now_ns() + CROWD_PATIENCE_NS;

	while (!is_ready(nth, injection)) {
		if (script_has_ended(&nth->appliance))
			return false;
		must(crowd_now_ns() < until_ns, "neither ready nor ended");
		crowd_pause_ns(500000);
	}
	return !script_has_ended(&nth->appliance);
}

/* --- judge ------------------------------------------------------------------------------------ */

static int64_t cpu_ns(pid_t pid)
{
	struct timespec time;
	clockid_t clock;

	if (!pid || clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &time) < 0)
		return 0;
	return time.tv_sec * NS_PER_S + time.tv_nsec;
}

void nth_must_idle(const struct nth *nth)
{
	int64_t before_ns = cpu_ns(nth->appliance.pid) + cpu_ns(nth->tracer);
	int64_t spent_ns;

	crowd_pause_ns(IDLE_NS);
	spent_ns = cpu_ns(nth->appliance.pid) + cpu_ns(nth->tracer) - before_ns;
	must(spent_ns < IDLE_NS / SPIN_RATIO, "it spins: %" PRId64 " of %" PRId64 " us on a CPU",
	     spent_ns / 1000, (int64_t)IDLE_NS / 1000);
}

static void judge_end(struct nth *nth, const struct nth_injection *injection, int status)
{
	const struct failures *failures = nth->failures;

	must(WIFEXITED(status), "ended by signal %d", WTERMSIG(status));
	/* A write that fails for ever takes the sentences with it. */
	must(WEXITSTATUS(status) == 0 || is_of(injection, "write") ||
		     nth_has_said(nth, " error: "),
	     "ended with status %d and no sentence", WEXITSTATUS(status));
	if (!is_of(injection, "unlink"))
		must(access(nth->appliance.socket, F_OK) < 0 &&
			     access(nth->appliance.admin, F_OK) < 0,
		     "left a socket behind");
	must(failures->has_ended, "ended outside of main()");
	must(failures->live_at_end <= nth->live_at_end, "%" PRId64 " blocks were not freed",
	     failures->live_at_end - nth->live_at_end);
	if (!is_of(injection, "close"))
		must(failures->descriptors_at_end <= nth->descriptors_at_end,
		     "%" PRIu64 " descriptors were not closed",
		     failures->descriptors_at_end - nth->descriptors_at_end);
}

static enum nth_outcome play_run(struct nth *nth, const struct nth_injection *injection, uint32_t steps)
{
	struct script script = { .appliance = &nth->appliance };
	bool is_started;
	bool has_gone_on;
	int status;

	if (injection->call)
		launch_traced(nth, injection);
	else
		launch(nth, false);
	is_started = await_ready(nth, injection);
	has_gone_on = is_started && script_play(&script, steps, !injection->for_ever);
	if (has_gone_on && injection->for_ever && injection->call)
		nth_must_idle(nth);
	script_close(&script);
	kill(nth->appliance.pid, SIGTERM);
	status = appliance_await_end(&nth->appliance, STOP_NS);
	trace_detach(nth->tracer);
	judge_end(nth, injection, status);
	if (has_gone_on && WEXITSTATUS(status) == 0)
		return NTH_WENT_ON;
	must(WEXITSTATUS(status) != 0, "ended by itself with status 0");
	must(!is_started || injection->for_ever, "one failure ended it after its start");
	return is_started ? NTH_ENDED : NTH_REFUSED;
}

/* --- each injection in a process of its own, so that a bad one does not end the campaign ------ */

struct nth_trial {
	uint64_t outcome;
	uint64_t calls_before; /* allocations when a round began, and when it had been played */
	uint64_t calls;
};

struct trial {
	struct nth *nth;
	nth_play play;
	const struct nth_injection *injection;
	uint32_t steps;
};

static bool has_hit(const struct nth *nth, const struct nth_injection *injection)
{
	return injection->call ? trace_injected(nth->trace) > 0 : nth->failures->failed > 0;
}

static void trial_run(void *argument)
{
	const struct trial *trial = argument;

	alarm(HANG_S);
	trial->nth->shared->outcome =
		trial->play(trial->nth, trial->injection, trial->steps);
}

static void injection_print(const struct nth *nth, const struct trial *trial, int status)
{
	const struct nth_injection *injection = trial->injection;
	char command[256];

	printf("BAD: %s %" PRIu64 "%s %s, steps %#x: %s %d\n",
	       injection->call ? injection->call : "allocation", injection->at,
	       injection->for_ever ? " and all after it" : "",
	       injection->error ? injection->error : "", trial->steps,
	       WIFEXITED(status) ? "status" : "signal",
	       WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	fflush(stdout);
	snprintf(command, sizeof(command), "tail -n 12 %s | sed 's/^/   log: /'",
		 nth->appliance.log);
	must(system(command) != -1, "no shell");
}

enum nth_outcome nth_try(struct nth *nth, nth_play play, const struct nth_injection *injection,
			 uint32_t steps)
{
	struct trial trial = { nth, play, injection, steps };
	enum nth_outcome result = NTH_BAD;
	pid_t pid = crowd_start(trial_run, &trial);
	int status;

	must(waitpid(pid, &status, 0) == pid, "cannot wait");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		result = (enum nth_outcome)nth->shared->outcome;
	else
		injection_print(nth, &trial, status);
	nth->counts[result]++;
	nth->hits += has_hit(nth, injection);
	return result;
}

/* --- against one that is ready ---------------------------------------------------------------- */

static void inject(struct nth *nth, const struct nth_injection *injection)
{
	if (injection->call) {
		nth->tracer = trace_attach(nth->appliance.pid, nth->trace, injection->call,
					   injection->error, injection->at, injection->for_ever);
		return;
	}
	nth->failures->failed = 0;
	nth->failures->for_ever = injection->for_ever;
	nth->failures->fail_at = injection->at ? nth->failures->calls + injection->at : 0;
}

static void inject_nothing(struct nth *nth)
{
	nth->failures->fail_at = 0;
	trace_detach(nth->tracer);
	nth->tracer = 0;
}

/* Plays the script while something fails, and once more where nothing does. */
static void plays_run(void *argument)
{
	const struct trial *trial = argument;
	struct nth *nth = trial->nth;
	struct script script = { .appliance = &nth->appliance };

	nth->shared->calls_before = nth->failures->calls;
	inject(nth, trial->injection);
	must(script_play(&script, trial->steps, !trial->injection->for_ever), "hearthd has ended");
	if (trial->injection->for_ever)
		nth_must_idle(nth);
	inject_nothing(nth);
	script_close(&script);
	must(script_play(&script, trial->steps, true), "hearthd has ended");
	script_close(&script);
	nth->shared->calls = nth->failures->calls;
}

/* Whoever asks for the status has the daemon look whether what it keeps is still held. */
static uint32_t segments(const struct appliance *appliance)
{
	(void)appliance_ask(appliance->socket, "{\"verb\": \"status\"}", NULL, NULL);
	return appliance_segments(appliance);
}

static enum nth_outcome judge_round(struct nth *nth, const struct nth_injection *injection,
				    uint32_t steps)
{
	const struct appliance *appliance = &nth->appliance;
	struct trial trial = { .nth = nth, .injection = injection, .steps = steps };
	uint32_t descriptors;
	int64_t live;

	descriptors = appliance_descriptors_alone(appliance);
	live = nth->failures->live;
	crowd_finish(crowd_start(plays_run, &trial));
	if (is_of(injection, "close"))
		return NTH_WENT_ON;
	if (!is_of(injection, "munmap"))
		await(segments(appliance) == 0);
	await(appliance_descriptors_alone(appliance) == descriptors);
	await(nth->failures->live <= live);
	return NTH_WENT_ON;
}

/* --- public ----------------------------------------------------------------------------------- */

enum nth_outcome nth_run(struct nth *nth, const struct nth_injection *injection, uint32_t steps)
{
	enum nth_outcome outcome;

	failures_reset(nth->failures, injection);
	outcome = nth_try(nth, play_run, injection, steps);
	/* What a bad one left. */
	unlink(nth->appliance.socket);
	unlink(nth->appliance.admin);
	return outcome;
}

enum nth_outcome nth_round(struct nth *nth, const struct nth_injection *injection, uint32_t steps)
{
	enum nth_outcome outcome = nth_try(nth, judge_round, injection, steps);

	if (is_of(injection, "close")) {
		/* What it could not close, it has. */
		nth_end(nth);
		nth_begin(nth);
	} else if (outcome == NTH_BAD) {
		kill(nth->appliance.pid, SIGKILL);
		appliance_await_end(&nth->appliance, STOP_NS);
		nth_begin(nth);
	}
	return outcome;
}

void nth_begin(struct nth *nth)
{
	static const struct nth_injection nothing;
	uint32_t descriptors;

	failures_reset(nth->failures, NULL);
	launch(nth, false);
	must(await_ready(nth, &nothing), "hearthd does not start");
	descriptors = appliance_descriptors(&nth->appliance);
	/* The account of this user. */
	must(appliance_ask(nth->appliance.socket, "{\"verb\": \"status\"}", NULL, NULL) == 0,
	     "hearthd does not answer");
	/* The memory in which the answer to it is remembered. */
	must(appliance_ask(nth->appliance.socket, "{\"verb\": \"mem\"}", NULL, NULL) == 0,
	     "hearthd does not tell of its memory");
	/* A round counts what there is before it, and that connection may still be open. */
	await(appliance_descriptors(&nth->appliance) == descriptors);
	/* Once for what is made once and kept: tables that grow, names that are looked up. */
	must(nth_round(nth, &nothing, NTH_ALL) == NTH_WENT_ON, "a round in which nothing fails");
}

void nth_end(struct nth *nth)
{
	appliance_stop(&nth->appliance);
}

static void play_once(struct nth *nth, bool is_round, const struct nth_injection *injection,
		      uint32_t steps)
{
	enum nth_outcome outcome = is_round ? nth_round(nth, injection, steps)
					    : nth_run(nth, injection, steps);

	must(outcome == NTH_WENT_ON, "it does not work where nothing fails");
}

static int by_site(const void *left, const void *right)
{
	const uint64_t *one = left;
	const uint64_t *other = right;

	if (one[0] != other[0])
		return one[0] < other[0] ? -1 : 1;
	return one[1] < other[1] ? -1 : one[1] > other[1];
}

static int by_number(const void *left, const void *right)
{
	uint64_t one = *(const uint64_t *)left;
	uint64_t other = *(const uint64_t *)right;

	return one < other ? -1 : one > other;
}

uint64_t *nth_sites(struct nth *nth, bool is_round, uint32_t steps, uint32_t *ret_sites,
		    uint32_t *ret_count)
{
	static const struct nth_injection nothing;
	uint64_t before;
	uint64_t (*pairs)[2];
	uint64_t *numbers;
	uint32_t count = 0;
	uint64_t calls;
	uint64_t index;

	nth->failures->has_sites = 1;
	play_once(nth, is_round, &nothing, steps);
	nth->failures->has_sites = 0;
	before = is_round ? nth->shared->calls_before : 0;
	/* In a round, everything is asked twice. */
	calls = is_round ? (nth->shared->calls - before) / 2 : nth->failures->calls;
	must(calls > 0 && before + calls < FAILURES_CALLS_MAX, "%" PRIu64 " allocations", calls);
	pairs = calloc(calls, sizeof(*pairs));
	numbers = calloc(calls, sizeof(*numbers));
	must(pairs && numbers, "no memory");
	for (index = 0; index < calls; index++) {
		pairs[index][0] = nth->failures->sites[before + index];
		pairs[index][1] = index + 1;
	}
	qsort(pairs, calls, sizeof(*pairs), by_site);
	*ret_sites = 0;
	for (index = 0; index < calls; index++) {
		bool is_first = index == 0 || pairs[index - 1][0] != pairs[index][0];
		bool is_second = !is_first &&
				 (index == 1 || pairs[index - 2][0] != pairs[index][0]);
		bool is_last = index + 1 == calls || pairs[index + 1][0] != pairs[index][0];

		*ret_sites += is_first;
		if (is_first || is_second || is_last)
			numbers[count++] = pairs[index][1];
	}
	free(pairs);
	/* Addresses change from run to run, and so does their order. */
	qsort(numbers, count, sizeof(*numbers), by_number);
	*ret_count = count;
	return numbers;
}

uint32_t nth_calls(struct nth *nth, bool is_round, uint32_t steps,
		   struct trace_call ret_calls[TRACE_CALLS_MAX])
{
	static const struct nth_injection record = { .call = "" };

	play_once(nth, is_round, &record, steps);
	return trace_count(nth->trace, ret_calls);
}

/* What is left at the end of main() where nothing fails, and nothing may be above. */
static void baseline_take(struct nth *nth)
{
	static const struct nth_injection nothing;

	nth->live_at_end = INT64_MAX;
	nth->descriptors_at_end = UINT64_MAX;
	play_once(nth, false, &nothing, NTH_ALL);
	must(nth->failures->calls > 100, "%" PRIu64 " allocations: the injector does not work",
	     nth->failures->calls);
	nth->live_at_end = nth->failures->live_at_end;
	nth->descriptors_at_end = nth->failures->descriptors_at_end;
}

void nth_open(struct nth *nth)
{
	const char *compiler = getenv("CC");
	char command[1024];
	int fd;

	memset(nth, 0, sizeof(*nth));
	nth->shared = crowd_share(sizeof(*nth->shared));
	appliance_init(&nth->appliance);
	snprintf(nth->trace, sizeof(nth->trace), "%s/trace", nth->appliance.directory);
	snprintf(nth->library, sizeof(nth->library), "%s/failures.so", nth->appliance.directory);
	snprintf(nth->failures_path, sizeof(nth->failures_path), "%s/failures",
		 nth->appliance.directory);
	fd = open(nth->failures_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	must(fd >= 0 && ftruncate(fd, sizeof(*nth->failures)) == 0, "cannot make %s",
	     nth->failures_path);
	nth->failures = mmap(NULL, sizeof(*nth->failures), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			     0);
	must(nth->failures != MAP_FAILED, "cannot map %s", nth->failures_path);
	close(fd);
	snprintf(command, sizeof(command),
		 "%s -std=gnu11 -D_GNU_SOURCE -O1 -fPIC -shared -fno-builtin "
		 "-fno-optimize-sibling-calls -I. -o %s tests/nth/preload/failures.c",
		 compiler && *compiler ? compiler : "cc", nth->library);
	must(system(command) == 0, "cannot compile: %s", command);
	baseline_take(nth);
}

void nth_close(struct nth *nth)
{
	munmap(nth->failures, sizeof(*nth->failures));
	must(nth->counts[NTH_BAD] == 0, "%" PRIu64 " bad outcomes", nth->counts[NTH_BAD]);
}
