/* SPDX-License-Identifier: MIT */
/* tests/nth/nth_client.c - a process that takes turns with the one that judges it */
#include "nth_client.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "tests/system/crowd.h"
#include "tests/system/shoppers.h"

#define ROLE "--nth-client"
#define WAIT_NS (INT64_C(10) * 1000000000)

/* failures.turn: who goes on, and what comes next. */
enum turn { TURN_WARM_UP, TURN_JUDGE_BEFORE, TURN_INJECTED, TURN_JUDGE_AFTER, TURN_AGAIN };

/* --- the client ------------------------------------------------------------------------------- */

static int open_ask_close(const char *socket)
{
	struct hearth_options options = { .size = sizeof(options), .slots = 8,
					  .request_area_bytes = 65536,
					  .response_area_bytes = 65536,
					  .reply_timeout_ns = WAIT_NS };
	const struct hearth_completion *completion;
	const struct hearth_model_info *model;
	struct hearth_request *request;
	struct hearth *hearth = NULL;
	int r;

	r = hearth_open(socket, &options, &hearth);
	if (r == 0)
		r = hearth_model(hearth, "shoppers", 0, &model);
	if (r == 0)
		r = hearth_acquire(hearth, model, 3, &request);
	if (r == 0) {
		shoppers_fill(request, model, 5, 3);
		r = hearth_submit(hearth, request);
	}
	if (r == 0)
		r = hearth_wait(hearth, WAIT_NS, &completion);
	if (r == 0)
		shoppers_check(completion, 5, 3);
	hearth_close(hearth);
	return r;
}

/* Without a system call: they are counted. */
static void pass_turn(struct failures *failures, enum turn to)
{
	crowd_write(&failures->turn, to);
	while (crowd_read(&failures->turn) == to)
		hearth_pause();
}

void nth_client_main(int argc, char **argv)
{
	struct failures *failures;
	int fd;
	int r;

	if (argc != 4 || strcmp(argv[1], ROLE) != 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
	fd = open(argv[3], O_RDWR | O_CLOEXEC);
	failures = mmap(NULL, sizeof(*failures), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(fd >= 0 && failures != MAP_FAILED, "cannot map %s", argv[3]);
	r = open_ask_close(argv[2]);
	must(r == 0, "the warm-up: %d, %s", r, hearth_strerror(r));
	pass_turn(failures, TURN_JUDGE_BEFORE);
	r = open_ask_close(argv[2]);
	failures->fail_at = 0;
	failures->status = r;
	failures->has_sentence = r == 0 || hearth_strerror(r)[0];
	pass_turn(failures, TURN_JUDGE_AFTER);
	r = open_ask_close(argv[2]);
	must(r == 0, "and once more: %d, %s", r, hearth_strerror(r));
	_exit(EXIT_SUCCESS);
}

/* --- the judge -------------------------------------------------------------------------------- */

struct held {
	uint32_t descriptors;
	uint64_t mapped_bytes; /* but for the heap, which keeps what was freed */
	int64_t live;
};

static struct held held_by(const struct nth *nth, pid_t pid)
{
	struct appliance client = { .pid = pid };
	struct held held = { .live = nth->failures->live };
	unsigned long first;
	unsigned long last;
	char line[512];
	char path[64];
	FILE *maps;

	held.descriptors = appliance_descriptors(&client);
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	maps = fopen(path, "re");
	must(maps, "cannot read %s", path);
	while (fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx", &first, &last) == 2 && !strstr(line, "[heap]") &&
		    !strstr(line, "[stack]"))
			held.mapped_bytes += last - first;
	fclose(maps);
	return held;
}

static pid_t client_start(struct nth *nth)
{
	static char program[256];
	ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);
	pid_t pid;

	must(length > 0, "who am I");
	memset(nth->failures, 0, offsetof(struct failures, sites));
	fflush(NULL);
	pid = fork();
	must(pid >= 0, "cannot fork");
	if (pid == 0) {
		setenv("LD_PRELOAD", nth->library, 1);
		setenv(FAILURES_FILE, nth->failures_path, 1);
		execl(program, program, ROLE, nth->appliance.socket, nth->failures_path, NULL);
		_exit(127);
	}
	await(crowd_read(&nth->failures->turn) == TURN_JUDGE_BEFORE);
	return pid;
}

/* A mapping or a descriptor that could not be given back is no leak of the client's. */
static bool is_giving_back(const struct nth_injection *injection)
{
	return injection->call &&
	       (strcmp(injection->call, "munmap") == 0 || strcmp(injection->call, "close") == 0);
}

static enum nth_outcome play_client(struct nth *nth, const struct nth_injection *injection, uint32_t steps)
{
	struct failures *failures = nth->failures;
	pid_t pid = client_start(nth);
	struct held before = held_by(nth, pid);
	struct held after;
	pid_t tracer = 0;
	int status;

	(void)steps;
	if (injection->call)
		tracer = trace_attach(pid, nth->trace, injection->call, injection->error,
				      injection->at, injection->for_ever);
	failures->for_ever = injection->for_ever;
	failures->fail_at = injection->call || !injection->at ? 0 : failures->calls + injection->at;
	failures->calls_before = failures->calls;
	crowd_write(&failures->turn, TURN_INJECTED);
	await(crowd_read(&failures->turn) == TURN_JUDGE_AFTER);
	trace_detach(tracer);
	after = held_by(nth, pid);
	status = (int)failures->status;
	must(status <= 0 && failures->has_sentence, "status %d without a sentence", status);
	must(status != -ETIMEDOUT, "it waits until its patience ends");
	if (!is_giving_back(injection)) {
		must(after.descriptors == before.descriptors, "%u descriptors, then %u",
		     before.descriptors, after.descriptors);
		must(after.mapped_bytes == before.mapped_bytes, "%lu bytes mapped, then %lu",
		     (unsigned long)before.mapped_bytes, (unsigned long)after.mapped_bytes);
		must(after.live == before.live, "%ld blocks, then %ld", (long)before.live,
		     (long)after.live);
	}
	failures->calls_after = failures->calls;
	crowd_write(&failures->turn, TURN_AGAIN);
	crowd_finish(pid);
	await(appliance_segments(&nth->appliance) == 0);
	return status == 0 ? NTH_WENT_ON : NTH_REFUSED;
}

enum nth_outcome nth_client_run(struct nth *nth, const struct nth_injection *injection)
{
	return nth_try(nth, play_client, injection, 0);
}

uint64_t nth_client_allocations(struct nth *nth)
{
	static const struct nth_injection record = { .call = "" };

	must(nth_client_run(nth, &record) == NTH_WENT_ON,
	     "a client is not served where nothing fails");
	return nth->failures->calls_after - nth->failures->calls_before;
}
