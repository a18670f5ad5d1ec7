/* SPDX-License-Identifier: MIT */
/* tests/serve/test_loader.c - a load says how far it is, and its result comes once */
#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "serve/models/loader.h"
#include "tests/suite.h"

#define VERSION_DIRECTORY "tests/data/shoppers/repository/shoppers/"
#define PATIENCE_MS 60000

static void version_submit(struct loader *loader, const char *number)
{
	struct loader_job job = {
		.name = "shoppers",
		.number = 2,
		.options = { .activation_bytes_max = 256 << 20, .node = -1, .rows_max = 16 },
	};
	char path[128];

	snprintf(path, sizeof(path), "%s%s", VERSION_DIRECTORY, number);
	job.directory_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(job.directory_fd, 0);
	loader_submit(loader, &job);
}

/* Until the result is there; returns how often progress was told. */
static uint32_t result_await(struct loader *loader, struct loader_result *ret_result)
{
	struct loader_progress last = { 0 };
	struct loader_progress progress;
	uint32_t count = 0;
	uint64_t rings;

	for (;;) {
		struct pollfd poll_fd = { .fd = loader->eventfd, .events = POLLIN };

		ck_assert_int_eq(poll(&poll_fd, 1, PATIENCE_MS), 1);
		ck_assert_int_eq(read(loader->eventfd, &rings, sizeof(rings)), sizeof(rings));
		if (loader_progress(loader, &progress)) {
			ck_assert_uint_gt(progress.arrived_bytes, last.arrived_bytes);
			ck_assert_uint_gt(progress.total_bytes, 64 << 10);
			ck_assert_uint_ge(progress.ns, last.ns);
			last = progress;
			count++;
		}
		if (loader_take(loader, ret_result))
			return count;
	}
}

/* _i: has the loader a ring? */
START_TEST(a_load_gives_its_version_and_tells_of_progress_only_when_it_is_slow)
{
	struct loader_result result;
	struct loader loader;
	char text[VERSION_TEXT_BYTES];

	ck_assert_int_eq(loader_start(&loader, _i), 0);
	ck_assert_uint_eq(loader.progress_ns, LOADER_PROGRESS_NS);
	loader.progress_ns = UINT64_MAX; /* nothing takes so long */
	version_submit(&loader, "2");
	ck_assert_uint_eq(result_await(&loader, &result), 0);
	ck_assert_msg(result.status == 0, "%s", result.text);
	version_describe(result.version, text);
	ck_assert_ptr_nonnull(strstr(text, "bytes of weights in"));
	ck_assert_ptr_nonnull(strstr(text, "GB a second"));
	if (!_i)
		ck_assert_ptr_nonnull(strstr(text, "one read at a time"));
	version_free(result.version);
	ck_assert(!loader_take(&loader, &result));
	loader_stop(&loader);
}
END_TEST

START_TEST(a_load_that_counts_as_slow_tells_what_has_arrived)
{
	struct loader loader;
	uint64_t total_bytes = 0;
	uint32_t told = 0;

	ck_assert_int_eq(loader_start(&loader, true), 0);
	loader.progress_ns = 0;
	for (uint32_t turn = 0; turn < 50 && !told; turn++) { /* a result may overtake it */
		struct loader_result result;

		version_submit(&loader, "2");
		told = result_await(&loader, &result);
		ck_assert_msg(result.status == 0, "%s", result.text);
		total_bytes += engine_memory(result.version->engine).weights->bytes;
		version_free(result.version);
	}
	ck_assert_uint_gt(told, 0);
	ck_assert_uint_gt(total_bytes, 0);
	loader_stop(&loader);
}
END_TEST

/* Until what is looked at has been hashed. */
static uint64_t look_await(struct loader *loader)
{
	struct pollfd poll_fd = { .fd = loader->eventfd, .events = POLLIN };
	uint64_t hash = 0;
	uint64_t rings;

	while (!loader_looked(loader, &hash)) {
		ck_assert_int_eq(poll(&poll_fd, 1, PATIENCE_MS), 1);
		ck_assert_int_eq(read(loader->eventfd, &rings, sizeof(rings)), sizeof(rings));
	}
	return hash;
}

START_TEST(weights_are_hashed_while_there_is_no_job_and_may_go_at_any_time)
{
	struct engine_hash expected = { 0 };
	struct loader_result result, other;
	struct loader loader;
	uint64_t hash;

	ck_assert_int_eq(loader_start(&loader, true), 0);
	version_submit(&loader, "2");
	result_await(&loader, &result);
	ck_assert_msg(result.status == 0, "%s", result.text);
	while (engine_hash(result.version->engine, &expected))
		;
	loader_look(&loader, result.version->engine);
	ck_assert_uint_eq(look_await(&loader), expected.value);
	ck_assert(!loader_looked(&loader, &hash));

	loader_look(&loader, result.version->engine);
	version_submit(&loader, "1"); /* a job is done all the same */
	result_await(&loader, &other);
	ck_assert_msg(other.status == 0, "%s", other.text);
	loader_look(&loader, other.version->engine);
	loader_look_end(&loader, other.version->engine);
	version_free(other.version); /* a sanitizer sees who still reads it */
	loader_look(&loader, result.version->engine);
	ck_assert_uint_eq(look_await(&loader), expected.value);
	loader_stop(&loader);
	version_free(result.version);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("loader");
	TCase *tests = tcase_create("loader");

	tcase_set_timeout(tests, 120);
	tcase_add_loop_test(tests,
			    a_load_gives_its_version_and_tells_of_progress_only_when_it_is_slow, 0,
			    2);
	tcase_add_test(tests, weights_are_hashed_while_there_is_no_job_and_may_go_at_any_time);
	tcase_add_test(tests, a_load_that_counts_as_slow_tells_what_has_arrived);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
