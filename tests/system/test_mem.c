/* SPDX-License-Identifier: MIT */
/*
 * tests/system/test_mem.c - every page of the daemon has one owner, whoever comes and goes
 *
 * A sanitizer's runtime maps memory of its own, which has no owner: there it is not counted.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "appliance.h"
#include "base/sanitized.h"
#include "client/hearth.h"
#include "crowd.h"
#include "footprint.h"
#include "ledger.h"
#include "manager.h"
#include "rows.h"
#include "tests/exec/cold_model.h"
#include "tests/memory/huge_pool.h"

#define TIMEOUT_S 110
#define CLIENTS 2
#define LOOKS 50
#define TABLE_ROWS (1 << 16) /* 16 MiB: from so many on a table is a sheet of its own */
#define TURNS (50 / CROWD_SLOWDOWN)

/* Shoppers in memory, and a model whose tables stay in their files. */
static void appliance_make(struct appliance *appliance)
{
	char path[512];
	const char *flags[] = { "--config", path, "--rows-max", "64", NULL };

	appliance_init(appliance);
	appliance_save(appliance, "cold", cold_model());
	snprintf(path, sizeof(path), "%s/hearthd.conf", appliance->directory);
	appliance_write(path, "[model cold]\ncold = yes\n[table cold/items]\nmissing = row 5\n");
	appliance_start(appliance, flags);
}

static bool is_sanitized(void)
{
	if (IS_SANITIZED)
		puts("SKIP: what a sanitizer maps has no owner");
	return IS_SANITIZED;
}

/* --- at rest ---------------------------------------------------------------------------------- */

/* Hangs up and keeps what it has mapped. */
static void leave(void *argument)
{
	const struct appliance *appliance = argument;
	struct hearth *hearth;

	must(hearth_open(appliance->socket, NULL, &hearth) == 0, "no connection");
	shutdown(hearth->fd, SHUT_RDWR);
	pause();
}

/* Between two readings of the kernel's that are alike. */
static void compare(const struct appliance *appliance)
{
	struct footprint before;
	struct footprint told;
	struct footprint after;

	await((before = footprint_read(appliance), told = footprint_told(appliance),
	       after = footprint_read(appliance),
	       memcmp(&before, &after, sizeof(before)) == 0));
	must(told.unaccounted_bytes == 0, "%llu bytes are nobody's",
	     (unsigned long long)told.unaccounted_bytes);
	for (uint32_t node = 0; node < FOOTPRINT_NODES; node++)
		for (uint32_t pages = 0; pages < FOOTPRINT_PAGES; pages++)
			must(told.resident_bytes[node][pages] == after.resident_bytes[node][pages],
			     "node %u, kind %u: %llu bytes are told, and %llu are there", node,
			     pages, (unsigned long long)told.resident_bytes[node][pages],
			     (unsigned long long)after.resident_bytes[node][pages]);
	must(told.all_bytes == after.all_bytes && told.lanes_bytes == after.lanes_bytes &&
	     told.heap_bytes == after.heap_bytes && told.rings_bytes == after.rings_bytes,
	     "uses differ");
}

START_TEST(under_load_the_rows_are_what_the_kernel_counts)
{
	struct appliance appliance;
	struct ledger_plan plan = { .kinds = LEDGER_ALL, .depth = 8, .pause_ns = 100000 };
	uint64_t *stop = crowd_share(sizeof(*stop));
	pid_t clients[CLIENTS];
	pid_t leaver;

	if (is_sanitized())
		return;
	appliance_make(&appliance);
	plan.socket = appliance.socket;
	plan.stop = stop;
	for (uint32_t index = 0; index < CLIENTS; index++) {
		plan.seed = index + 1;
		clients[index] = crowd_start(ledger_run, &plan);
	}
	leaver = crowd_start(leave, &appliance);
	await(appliance_number(&appliance, "kept") == 1);
	await(appliance_number(&appliance, "clients") == CLIENTS);
	compare(&appliance);
	crowd_write(stop, 1);
	for (uint32_t index = 0; index < CLIENTS; index++)
		crowd_finish(clients[index]);
	crowd_kill(leaver);
	await(appliance_number(&appliance, "kept") == 0);
	compare(&appliance);
	appliance_close(&appliance);
}
END_TEST

START_TEST(reserved_huge_pages_are_their_owners)
{
	struct appliance appliance;
	struct footprint told;

	if (is_sanitized() || !pool_is_ready())
		return;
	appliance_open(&appliance, (const char *[]){ "--node", "0", NULL });
	compare(&appliance);
	told = footprint_told(&appliance);
	ck_assert_uint_gt(told.resident_bytes[0][FOOTPRINT_2M], 0);
	appliance_close(&appliance);
}
END_TEST

static uint64_t used_bytes(const struct appliance *appliance, const char *use, const char *owner)
{
	json_t *rows = appliance_rows(appliance, "mem");
	uint64_t bytes = rows_sum(rows, "used_bytes", "use", use, "owner", owner, NULL);

	json_decref(rows);
	return bytes;
}

START_TEST(what_a_client_leaves_is_told_until_its_process_ends)
{
	struct appliance appliance;
	struct hearth_layout layout;
	struct hearth *hearth;
	char owner[64];
	pid_t leaver;

	appliance_open(&appliance, NULL);
	ck_assert_int_eq(hearth_open(appliance.socket, NULL, &hearth), 0);
	layout = hearth->layout;
	snprintf(owner, sizeof(owner), "client %d", (int)getpid());
	ck_assert_uint_eq(used_bytes(&appliance, "lanes", owner),
			  layout.client_bytes + layout.daemon_bytes);
	ck_assert_uint_eq(used_bytes(&appliance, "left", owner), 0);
	hearth_close(hearth);
	await(used_bytes(&appliance, "lanes", owner) == 0);

	leaver = crowd_start(leave, &appliance);
	snprintf(owner, sizeof(owner), "client %d", (int)leaver);
	await(used_bytes(&appliance, "left", owner) == layout.client_bytes + layout.daemon_bytes);
	ck_assert_uint_eq(used_bytes(&appliance, "lanes", owner), 0);
	crowd_kill(leaver);
	await(used_bytes(&appliance, "left", owner) == 0);
	appliance_close(&appliance);
}
END_TEST

/* --- while models and clients come and go ------------------------------------------------------- */

struct churn {
	const struct appliance *appliance;
	uint64_t *stop;
	uint64_t *turns;
};

static void churn_models(void *argument)
{
	static const char *const verbs[] = { "unload", "load" };
	static const char *const names[] = { "cold", "shoppers" };
	const struct churn *churn = argument;
	char text[APPLIANCE_TEXT_BYTES];

	for (uint32_t turn = 0; !crowd_read(churn->stop); turn++) {
		must(appliance_change(churn->appliance, verbs[turn / 2 % 2], names[turn % 2], 0,
				      text) == 0, "%s", text);
		crowd_add(churn->turns, 1);
	}
}

static void churn_clients(void *argument)
{
	const struct churn *churn = argument;
	struct hearth *hearth;

	while (!crowd_read(churn->stop)) {
		must(hearth_open(churn->appliance->socket, NULL, &hearth) == 0, "no connection");
		hearth_close(hearth);
	}
}

START_TEST(no_page_is_nobodys_while_models_and_clients_come_and_go)
{
	struct appliance appliance;
	uint64_t *words = crowd_share(2 * sizeof(*words));
	struct churn churn = { &appliance, &words[0], &words[1] };
	pid_t models;
	pid_t clients;

	if (is_sanitized())
		return;
	appliance_make(&appliance);
	models = crowd_start(churn_models, &churn);
	clients = crowd_start(churn_clients, &churn);
	for (uint32_t look = 0; look < LOOKS || crowd_read(churn.turns) < 8; look++) {
		struct footprint told = footprint_told(&appliance);
		uint64_t bytes = 0;

		ck_assert_uint_eq(told.unaccounted_bytes, 0);
		for (uint32_t node = 0; node < FOOTPRINT_NODES; node++)
			for (uint32_t pages = 0; pages < FOOTPRINT_PAGES; pages++)
				bytes += told.resident_bytes[node][pages];
		ck_assert_uint_eq(bytes, told.all_bytes);
	}
	crowd_write(churn.stop, 1);
	crowd_finish(models);
	crowd_finish(clients);
	await(appliance_number(&appliance, "clients") == 0);
	compare(&appliance);
	appliance_close(&appliance);
}
END_TEST

static const char *const names[] = { "shoppers", "cold", NULL };

/* A model with a table that its versions have in common. */
static struct onnx_writer *table_model(void)
{
	struct onnx_writer *writer = onnx_writer_new(17);
	float *rows = calloc(TABLE_ROWS, 64 * sizeof(*rows));
	char shape[32];

	must(rows, "no memory for a table");
	for (uint32_t row = 0; row < TABLE_ROWS; row++)
		rows[row * 64] = (float)row;
	snprintf(shape, sizeof(shape), "%d,64", TABLE_ROWS);
	onnx_writer_input(writer, "ids", DTYPE_I64, "batch");
	onnx_writer_external(writer, "table", DTYPE_F32, shape, rows,
			     TABLE_ROWS * 64 * sizeof(*rows), "model.bin", 4096);
	onnx_writer_node(writer, "Gather", "table,ids", "rows");
	onnx_writer_output(writer, "rows", DTYPE_F32, "batch,64");
	free(rows);
	return writer;
}

static void churn_versions(void *argument)
{
	const struct churn *churn = argument;
	char text[APPLIANCE_TEXT_BYTES];

	while (!crowd_read(churn->stop)) {
		must(appliance_change(churn->appliance, "load", "table", 2, text) == 0, "%s", text);
		must(appliance_change(churn->appliance, "unload", "table", 2, text) == 0, "%s", text);
		crowd_add(churn->turns, 1);
	}
}

START_TEST(no_page_is_nobodys_while_tables_are_compared)
{
	const char *flags[] = { "--warm-restart", NULL };
	uint64_t *words = crowd_share(2 * sizeof(*words));
	struct appliance appliance;
	struct churn churn = { &appliance, &words[0], &words[1] };
	struct manager manager;
	char path[512];
	pid_t versions;

	if (is_sanitized())
		return;
	appliance_init(&appliance);
	manager_open(&manager, &appliance);
	appliance_save(&appliance, "table", table_model());
	appliance_start(&appliance, flags);
	manager_await_ready(&manager, 1);
	snprintf(path, sizeof(path), "%s/table/1", appliance.repository);
	appliance_copy(&appliance, path, "table/2");
	versions = crowd_start(churn_versions, &churn);
	while (crowd_read(churn.turns) < 60)
		ck_assert_uint_eq(footprint_told(&appliance).unaccounted_bytes, 0);
	crowd_write(churn.stop, 1);
	crowd_finish(versions);
	compare(&appliance);
	appliance_close(&appliance);
	manager_close(&manager);
}
END_TEST

START_TEST(loads_and_unloads_leave_nothing_behind)
{
	struct appliance appliance;

	footprint_small();
	appliance_make(&appliance);
	footprint_stays(&appliance, names, TURNS);
	appliance_close(&appliance);
}
END_TEST

/* Weights in sealed memory, in the daemon that loaded them and in the one that goes on with them. */
START_TEST(what_outlives_the_daemon_has_one_owner_too)
{
	const char *flags[] = { "--warm-restart", NULL };
	struct appliance appliance;
	struct manager manager;

	if (is_sanitized())
		return;
	footprint_small();
	appliance_init(&appliance);
	manager_open(&manager, &appliance);
	appliance_save(&appliance, "cold", cold_model());
	appliance_start(&appliance, flags);
	manager_await_ready(&manager, 1);
	footprint_stays(&appliance, names, TURNS);
	must(appliance_change(&appliance, "load", "shoppers", 0, NULL) == 0, "not loaded");
	compare(&appliance);
	await(manager_count(&manager, "weights.") == 1);
	appliance_kill(&appliance);
	appliance_start(&appliance, flags);
	manager_await_ready(&manager, 2);
	compare(&appliance);
	ck_assert_uint_gt(used_bytes(&appliance, "kept", "shoppers@2"), 0);
	appliance_close(&appliance);
	manager_close(&manager);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mem");
	TCase *brief = tcase_create("brief"); /* on the oldest kernel, too: tests/places/test_guest.sh */
	TCase *huge = tcase_create("huge");
	TCase *tcase = tcase_create("mem");

	tcase_set_timeout(brief, TIMEOUT_S);
	tcase_set_timeout(tcase, TIMEOUT_S);
	tcase_add_test(brief, under_load_the_rows_are_what_the_kernel_counts);
	tcase_add_test(tcase, what_a_client_leaves_is_told_until_its_process_ends);
	tcase_add_test(tcase, no_page_is_nobodys_while_models_and_clients_come_and_go);
	tcase_add_test(tcase, no_page_is_nobodys_while_tables_are_compared);
	tcase_add_test(tcase, loads_and_unloads_leave_nothing_behind);
	tcase_add_test(tcase, what_outlives_the_daemon_has_one_owner_too);
	suite_add_tcase(suite, brief);
	/* Unchecked: in this process, so the pages go back whatever a test does. */
	tcase_add_unchecked_fixture(huge, pool_grow, pool_shrink);
	tcase_set_timeout(huge, TIMEOUT_S);
	tcase_add_test(huge, reserved_huge_pages_are_their_owners);
	suite_add_tcase(suite, huge);
	suite_add_tcase(suite, tcase);
	return appliance_check(suite);
}
