/* SPDX-License-Identifier: MIT */
/*
 * tests/system/test_page_faults.c - no request takes a page fault, the first ones included
 *
 * The kernel counts: of the daemon's serving thread in /proc, of the client's thread by getrusage. A
 * client is a process of its own, in which hearth finds program and stack, and a heap that has yet to
 * come.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "appliance.h"
#include "client/hearth.h"
#include "crowd.h"
#include "measure.h"
#include "memory/resident.h"
#include "tests/exec/cold_model.h"
#include "tests/exec/jagged_model.h"
#include "tests/exec/user_model.h"

#define TIMEOUT_S 110
#define LOADS 2
#define LATER 3
#define EXIT_SKIP 77
#define SIZES_MAX 32 /* free sizes of a model */

static const char *const models[] = { "shoppers", "items", "cold", "user", "jagged", "many" };
static const uint32_t batches[] = { 300, 1, 64 };

#define MODELS (int)(sizeof(models) / sizeof(models[0]))
#define BATCHES (sizeof(batches) / sizeof(batches[0]))

static struct appliance appliance;
static pid_t serving_thread;

/* --- counts ---------------------------------------------------------------------------------- */

static uint64_t client_faults(void)
{
	struct rusage usage;

	must(getrusage(RUSAGE_THREAD, &usage) == 0, "getrusage");
	return (uint64_t)(usage.ru_minflt + usage.ru_majflt);
}

/* Without a FILE, whose buffer would be the client's first use of its heap. */
static uint64_t serving_faults(void)
{
	uint64_t minor;
	uint64_t major;
	char path[64];
	char line[512];
	ssize_t bytes;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", (int)appliance.pid,
		 (int)serving_thread);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	bytes = read(fd, line, sizeof(line) - 1);
	must(bytes > 0, "cannot read %s", path);
	close(fd);
	line[bytes] = '\0';
	must(sscanf(strrchr(line, ')'),
		    ") %*c %*d %*d %*d %*d %*d %*u %" SCNu64 " %*u %" SCNu64, &minor, &major) == 2,
	     "%s has no faults: %s", path, line);
	return minor + major;
}

/* --- a client -------------------------------------------------------------------------------- */

static struct hearth *connect_to(uint32_t slots)
{
	struct hearth_options options = { .size = sizeof(options), .slots = slots };
	const struct hearth_completion *completion;
	struct hearth *hearth = NULL;
	int r;

	resident_program();
	resident_stack();
	r = hearth_open(appliance.socket, &options, &hearth);
	must(r == 0, "hearth_open: %s", hearth_strerror(r));
	/* Writes the thread's last failure, which this process shares with its parent until then. */
	r = hearth_peek(hearth, &completion);
	must(r == -EAGAIN, "peek: %s", hearth_strerror(r));
	return hearth;
}

static const struct hearth_model_info *model_of(struct hearth *hearth, const char *name)
{
	const struct hearth_model_info *model = NULL;
	int r;

	r = hearth_model(hearth, name, 0, &model);
	must(r == 0, "hearth_model: %s", hearth_strerror(r));
	return model;
}

/* A request of zeros, every free size being `rows`. */
static void push(struct hearth *hearth, const struct hearth_model_info *model, uint32_t rows)
{
	struct hearth_request *request = NULL;
	uint32_t sizes[SIZES_MAX];
	uint32_t index;
	int r;

	must(model->symbol_count <= SIZES_MAX, "%s has %u free sizes", model->name,
	     model->symbol_count);
	for (index = 0; index < SIZES_MAX; index++)
		sizes[index] = rows;
	r = hearth_acquire_sizes(hearth, model, sizes, 0, &request);
	must(r == 0, "acquire: %s", hearth_strerror(r));
	for (index = 0; index < request->input_count; index++)
		memset(request->inputs[index].data, 0, request->inputs[index].bytes);
	r = hearth_submit(hearth, request);
	must(r == 0, "submit: %s", hearth_strerror(r));
}

static void pop(struct hearth *hearth)
{
	const struct hearth_completion *completion = NULL;
	int r;

	r = hearth_wait(hearth, CROWD_PATIENCE_NS, &completion);
	must(r == 0 && completion->status == 0, "wait: %s", hearth_strerror(r));
	hearth_release(hearth, completion->id);
}

/* What nobody pays for in a request. */
static void ask_unfaulted(struct hearth *hearth, const struct hearth_model_info *model,
			  uint32_t rows, uint32_t count)
{
	uint64_t served = serving_faults();
	uint64_t asked = client_faults();
	uint32_t request;

	for (request = 0; request < count; request++)
		push(hearth, model, rows);
	for (request = 0; request < count; request++)
		pop(hearth);
	asked = client_faults() - asked;
	served = serving_faults() - served;
	must(asked == 0 && served == 0,
	     "%u requests of %u rows for %s: %" PRIu64 " page faults of the client, %" PRIu64
	     " of the daemon", count, rows, model->name, asked, served);
}

/* --- campaigns ------------------------------------------------------------------------------- */

static void change(const char *verb, const char *model)
{
	char text[APPLIANCE_TEXT_BYTES];
	int r = appliance_change(&appliance, verb, model, 1, text);

	must(r == 0, "%s %s: %s", verb, model, text);
}

static void setup(void)
{
	appliance_init(&appliance);
	appliance_save(&appliance, "items", cold_model());
	appliance_save(&appliance, "cold", cold_model());
	appliance_save(&appliance, "user", user_model());
	appliance_save(&appliance, "jagged", jagged_model(JAGGED_BESIDE));
	appliance_save(&appliance, "many", jagged_model(JAGGED_MANY));
	appliance_write(appliance.config, "[model cold]\ncold = yes\n");
	appliance_start(&appliance, (const char *[]){ "--load", "none", "--slots-per-uid", "16384",
						      "--arena-bytes-per-uid", "1G", NULL });
	serving_thread = thread_find(appliance.pid, "hearth-data");
	must(serving_thread > 0, "hearthd has no data thread");
}

static void teardown(void)
{
	appliance_close(&appliance);
}

static void ask_batches(void *argument)
{
	const char *name = argument;
	struct hearth *hearth = connect_to(0);
	const struct hearth_model_info *model = model_of(hearth, name);
	uint32_t index;

	for (index = 0; index < BATCHES * (1 + LATER); index++)
		ask_unfaulted(hearth, model, batches[index / (1 + LATER)], 1);
	hearth_close(hearth);
}

/* _i is an index into models. */
START_TEST(the_first_requests_after_a_load_and_later_ones_fault_on_neither_side)
{
	uint32_t load;

	for (load = 0; load < LOADS; load++) {
		change("load", models[_i]);
		crowd_finish(crowd_start(ask_batches, (void *)(uintptr_t)models[_i]));
		change("unload", models[_i]);
	}
}
END_TEST

static void ask_with_every_slot(void *argument)
{
	uint32_t slots = *(const uint32_t *)argument;
	struct hearth *hearth = connect_to(slots);

	/* Its records have room for a small model when they are asked for a large one. */
	model_of(hearth, "items");
	ask_unfaulted(hearth, model_of(hearth, "many"), 1, 1);
	ask_unfaulted(hearth, model_of(hearth, "items"), 1, slots);
	hearth_close(hearth);
}

START_TEST(every_slot_of_a_handle_has_its_memory_before_the_first_request)
{
	static uint32_t slots[] = { 1, 64, HEARTH_SLOTS_MAX };
	uint32_t index;

	change("load", "items");
	change("load", "many");
	for (index = 0; index < sizeof(slots) / sizeof(slots[0]); index++)
		crowd_finish(crowd_start(ask_with_every_slot, slots + index));
}
END_TEST

/* Of the mappings of the program's file. */
START_TEST(the_whole_program_is_in_memory_before_it_serves)
{
	char path[64];
	char line[512];
	uint64_t size_kib = 0;
	uint64_t resident_kib = 0;
	bool is_program = false;
	uint64_t kib;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/smaps", (int)appliance.pid);
	file = fopen(path, "re");
	must(file, "cannot read %s", path);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &kib, &kib) == 2)
			is_program = strstr(line, "/bin/hearthd\n");
		else if (is_program && sscanf(line, "Size: %" SCNu64, &kib) == 1)
			size_kib += kib;
		else if (is_program && sscanf(line, "Rss: %" SCNu64, &kib) == 1)
			resident_kib += kib;
	}
	fclose(file);
	must(size_kib > 0 && resident_kib == size_kib, "%" PRIu64 " of %" PRIu64 " KiB are there",
	     resident_kib, size_kib);
}
END_TEST

static void ask_all_the_time(void *argument)
{
	const uint64_t *stop = argument;
	struct hearth *hearth = connect_to(0);
	const struct hearth_model_info *model = model_of(hearth, "shoppers");

	while (crowd_read(stop) == 0)
		ask_unfaulted(hearth, model, 7, 4);
	hearth_close(hearth);
}

START_TEST(requests_beside_loads_and_unloads_fault_on_neither_side)
{
	uint64_t *stop = crowd_share(sizeof(*stop));
	pid_t client;
	int model;

	change("load", "shoppers");
	client = crowd_start(ask_all_the_time, stop);
	for (model = 1; model < MODELS; model++)
		change("load", models[model]);
	for (model = 1; model < MODELS; model++)
		change("unload", models[model]);
	crowd_write(stop, 1);
	crowd_finish(client);
}
END_TEST

int main(void)
{
	Suite *suite;
	TCase *tcase;

	if (CROWD_SLOWDOWN > 1) {
		printf("SKIP: a sanitizer's own memory would be counted\n");
		return EXIT_SKIP;
	}
	suite = suite_create("page faults");
	tcase = tcase_create("requests");
	tcase_set_timeout(tcase, TIMEOUT_S);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, the_first_requests_after_a_load_and_later_ones_fault_on_neither_side,
			    0, MODELS);
	tcase_add_test(tcase, every_slot_of_a_handle_has_its_memory_before_the_first_request);
	tcase_add_test(tcase, the_whole_program_is_in_memory_before_it_serves);
	tcase_add_test(tcase, requests_beside_loads_and_unloads_fault_on_neither_side);
	suite_add_tcase(suite, tcase);
	return appliance_check(suite);
}
