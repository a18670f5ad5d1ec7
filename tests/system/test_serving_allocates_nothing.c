/* SPDX-License-Identifier: MIT */
/*
 * tests/system/test_serving_allocates_nothing.c - 100,000 requests without malloc, mmap, brk, munmap or madvise
 *
 * Counted twice, after a warm-up: calls into the allocator by a preloaded
 * library, system calls by strace. Both counters must also count something when
 * there is something, so a counter that does not work does not pass.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "appliance.h"
#include "crowd.h"
#include "ledger.h"
#include "tests/system/preload/allocations.h"

#define CLIENTS 2
#define WARM_UP 4000
#define REQUESTS 100000
#define EXIT_SKIP 77

/* Every kind of request, full rings and empty ones, so that the daemon sleeps in between, too. */
static void serve(struct ledger ledgers[CLIENTS], uint32_t requests)
{
	static const uint32_t kinds[] = { LEDGER_INFER, LEDGER_INFER, LEDGER_INFER, LEDGER_PING,
					  LEDGER_INFER, LEDGER_INFER, LEDGER_INFER, LEDGER_STREAM };
	uint32_t client;
	uint32_t turn;

	for (turn = 0; turn < requests; turn++) {
		struct ledger *ledger = ledgers + turn / 64 % CLIENTS;

		while (!ledger_submit(ledger, kinds[turn % 8]))
			must(ledger_take(ledger), "the daemon is gone");
		if (turn % 997 == 0)
			ledger_settle(ledger);
		if (turn % 4999 == 0)
			crowd_pause_ns(5000000);
	}
	for (client = 0; client < CLIENTS; client++)
		ledger_settle(ledgers + client);
}

static void clients_open(const struct appliance *appliance, struct ledger ledgers[CLIENTS])
{
	struct ledger_plan plan = { .socket = appliance->socket, .kinds = LEDGER_ALL };
	uint32_t client;

	for (client = 0; client < CLIENTS; client++) {
		plan.seed = client;
		plan.slots = client ? 256 : 16;
		plan.way = client ? LEDGER_POLL : LEDGER_WAIT;
		ledger_open(ledgers + client, &plan);
	}
}

static void clients_close(struct ledger ledgers[CLIENTS])
{
	uint32_t client;

	for (client = 0; client < CLIENTS; client++)
		ledger_close(ledgers + client);
}

/* --- calls into the allocator ---------------------------------------------------------------------- */

/* What was counted from here on does not include this. */
static struct allocations *counter_preload(const struct appliance *appliance)
{
	const char *compiler = getenv("CC");
	char path[256];
	char command[1024];
	void *memory;
	int fd;

	snprintf(path, sizeof(path), "%s/counts", appliance->directory);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	must(fd >= 0 && ftruncate(fd, sizeof(struct allocations)) == 0, "cannot make %s", path);
	memory = mmap(NULL, sizeof(struct allocations), PROT_READ, MAP_SHARED, fd, 0);
	must(memory != MAP_FAILED, "cannot map %s", path);
	close(fd);
	setenv(ALLOCATIONS_FILE, path, 1);

	snprintf(path, sizeof(path), "%s/allocations.so", appliance->directory);
	snprintf(command, sizeof(command),
		 "%s -std=gnu11 -D_GNU_SOURCE -O1 -fPIC -shared -fno-builtin -I. -o %s "
		 "tests/system/preload/allocations.c",
		 compiler && *compiler ? compiler : "cc", path);
	must(system(command) == 0, "cannot compile: %s", command);
	setenv("LD_PRELOAD", path, 1);
	return memory;
}

static void count_allocations(const char *const flags[])
{
	struct ledger ledgers[CLIENTS];
	struct hearth *another = NULL;
	const struct allocations *counts;
	struct appliance appliance;
	uint64_t data;
	uint64_t all;

	appliance_init(&appliance);
	counts = counter_preload(&appliance);
	appliance_start(&appliance, flags);
	unsetenv("LD_PRELOAD");
	clients_open(&appliance, ledgers);
	serve(ledgers, WARM_UP);

	all = crowd_read(&counts->all);
	data = crowd_read(&counts->data);
	must(all > 100, "%" PRIu64 " allocations at the start: the counter does not work", all);
	serve(ledgers, REQUESTS);
	must(crowd_read(&counts->data) == data, "%d requests made %" PRIu64
	     " calls into the allocator on the data thread", REQUESTS,
	     crowd_read(&counts->data) - data);
	must(crowd_read(&counts->all) == all, "%d requests made %" PRIu64
	     " calls into the allocator", REQUESTS, crowd_read(&counts->all) - all);

	must(hearth_open(appliance.socket, NULL, &another) == 0, "no connection");
	must(crowd_read(&counts->all) > all, "the counter does not work");
	hearth_close(another);
	clients_close(ledgers);
	appliance_close(&appliance);
}

/* --- system calls ------------------------------------------------------------------------------------ */

static uint64_t file_bytes(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 ? (uint64_t)status.st_size : 0;
}

/* Returns false where nobody may be traced. */
static bool count_system_calls(const char *const flags[])
{
	struct appliance appliance;
	struct ledger ledgers[CLIENTS];
	struct hearth *another = NULL;
	char command[256];
	char trace[128];
	const char *const strace[] = {
		"strace", "-D", "-f", "-qq", "--seccomp-bpf",
		"-e", "trace=mmap,munmap,brk,madvise,mremap", "-e", "signal=none", "-o", trace, NULL,
	};
	uint64_t before;

	appliance_init(&appliance);
	snprintf(trace, sizeof(trace), "%s/trace", appliance.directory);
	snprintf(command, sizeof(command), "strace -f --seccomp-bpf -o %s true 2>/dev/null", trace);
	if (system(command) != 0)
		return false;
	unlink(trace);
	appliance.wrapper = strace;
	appliance_start(&appliance, flags);
	clients_open(&appliance, ledgers);
	serve(ledgers, WARM_UP);

	before = file_bytes(trace);
	must(before > 1000, "strace wrote %" PRIu64 " bytes at the start", before);
	serve(ledgers, REQUESTS);
	if (file_bytes(trace) != before) {
		snprintf(command, sizeof(command), "tail -c +%" PRIu64 " %s | head -n 20 >&2",
			 before + 1, trace);
		must(system(command) == 0 && false, "%d requests made system calls for memory",
		     REQUESTS);
	}
	must(hearth_open(appliance.socket, NULL, &another) == 0, "no connection");
	await(file_bytes(trace) > before); /* the lines are written at once, so none is missing */
	hearth_close(another);
	clients_close(ledgers);
	appliance_close(&appliance);
	return true;
}

static void campaign(void)
{
	static const char *const ways[][5] = { { "--wait", "auto", "--workers", "2", NULL },
					       { "--wait", "poll", NULL } };
	uint32_t way;

	for (way = 0; way < 2; way++)
		count_allocations(ways[way]);
	for (way = 0; way < 2; way++) {
		if (!count_system_calls(ways[way])) {
			printf("SKIP: strace is not there, or may not trace here\n");
			printf("2 passed, 0 failed, 2 skipped\n");
			return;
		}
	}
	printf("4 passed, 0 failed, 0 skipped\n");
}

int main(void)
{
	if (CROWD_SLOWDOWN > 1) {
		printf("SKIP: a sanitizer's own allocations would be counted\n");
		return EXIT_SKIP;
	}
	return appliance_campaign(campaign);
}
