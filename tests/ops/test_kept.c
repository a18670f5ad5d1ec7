/* SPDX-License-Identifier: MIT */
/* tests/ops/test_kept.c - what systemd holds is what its manifest names, also when it takes no more */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "ops/loop.h"
#include "tests/model/scratch.h"
#include "tests/serve/pair.h"
#include "tests/suite.h"

#define NAMES_MAX 16

static struct options options = { .is_warm = true };
static struct control *control;
static char path[64];
static int manager;
static char held[NAMES_MAX][STORE_NAME_BYTES]; /* by the manager */
static uint32_t held_count;

static void setup(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(path, sizeof(path), "/tmp/hearth-kept-%d", getpid());
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ck_assert_int_eq(bind(manager, (const struct sockaddr *)&address, sizeof(address)), 0);
	setenv("NOTIFY_SOCKET", path, 1);
	log_level_set(0);
	control = calloc(1, sizeof(*control));
	ck_assert_ptr_nonnull(control);
	control->options = &options;
	control->kept.is_on = true;
	shelf_init(&control->shelf, NULL);
}

static void teardown(void)
{
	struct registry_model *model = control->registry.models;

	for (uint32_t index = 0; index < DATA_VERSIONS_MAX; index++)
		version_free(model->versions[index].version);
	kept_deinit(control);
	shelf_deinit(&control->shelf);
	free(control);
	unlink(path);
	close(manager);
}

static void version_serve(struct version *version)
{
	struct registry_model *model = control->registry.models;

	control->registry.model_count = 1;
	snprintf(model->name, sizeof(model->name), PAIR_NAME);
	model->versions[version->number] = (struct registry_version){
		.number = version->number,
		.state = REGISTRY_SERVING,
		.version = version,
	};
}

static uint32_t held_find(const char *name)
{
	uint32_t index = 0;

	while (index < held_count && strcmp(held[index], name) != 0)
		index++;
	return index;
}

/* What the manager has from all that it was told. */
static void manager_obey(void)
{
	char text[128];
	ssize_t bytes;

	while ((bytes = recv(manager, text, sizeof(text) - 1, 0)) > 0) {
		const char *name;
		uint32_t index;

		text[bytes] = '\0';
		name = strstr(text, "FDNAME=");
		ck_assert_ptr_nonnull(name);
		name += strlen("FDNAME=");
		index = held_find(name);
		if (strncmp(text, "FDSTOREREMOVE=1", 15) == 0 && index < held_count)
			memcpy(held[index], held[--held_count], sizeof(held[index]));
		else if (strncmp(text, "FDSTORE=1", 9) == 0 && index == held_count)
			snprintf(held[held_count++], sizeof(held[0]), "%s", name);
		ck_assert_uint_lt(held_count, NAMES_MAX);
	}
}

static void serve_and_sync(struct version *version)
{
	version_serve(version);
	control->kept.is_dirty = true;
	kept_sync(control);
	manager_obey();
}

static bool holds(const char *part, uint64_t id)
{
	char name[STORE_NAME_BYTES];

	snprintf(name, sizeof(name), "%s.%llu", part, (unsigned long long)id);
	return held_find(name) < held_count;
}

START_TEST(of_a_version_whose_push_fails_no_table_stays_that_no_other_has)
{
	struct version *first = pair_version(1, &control->shelf);
	struct version *second = pair_version(2, &control->shelf);
	const struct engine_kept *parts = engine_kept(second->engine);
	uint64_t common = engine_kept(first->engine)->sheets[0];
	uint64_t other = parts->sheets[0] == common ? parts->sheets[1] : parts->sheets[0];
	int fd = dup(parts->model_fd);

	ck_assert_uint_eq(parts->sheet_count, 2);
	serve_and_sync(first);
	ck_assert(holds("table", common));
	ck_assert(holds("model", 1));

	close(parts->model_fd); /* the tables can be sent, and this cannot */
	serve_and_sync(second);
	ck_assert_uint_eq(control->kept.manifest.entry_count, 1);
	ck_assert(holds("table", common));
	ck_assert(holds("weights", 1));
	ck_assert(!holds("table", other));
	ck_assert(!holds("model", 2));

	/* The next time it can. */
	ck_assert_int_eq(dup2(fd, parts->model_fd), parts->model_fd);
	close(fd);
	serve_and_sync(second);
	ck_assert_uint_eq(control->kept.manifest.entry_count, 2);
	ck_assert(holds("table", other));
	ck_assert(holds("model", 2));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("kept");
	TCase *tests = tcase_create("kept");

	tcase_set_timeout(tests, 60);
	tcase_add_unchecked_fixture(tests, scratch_begin, scratch_end);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, of_a_version_whose_push_fails_no_table_stays_that_no_other_has);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
