/* SPDX-License-Identifier: MIT */
/*
 * tests/system/test_giants.c - a table of more than 1 GiB lies in pages of 1 GiB, as was foreseen
 *
 * A page is reserved on node 0 and given back; where there is none for us it prints why and passes
 * without having looked.
 */
#include <check.h>
#include <string.h>

#include "appliance.h"
#include "base/sanitized.h"
#include "crowd.h"
#include "manager.h"
#include "rows.h"
#include "tests/memory/huge_pool.h"
#include "zeros.h"

#define TIMEOUT_S 110
#define TABLE_BYTES (GIANT_BYTES + 3 * HUGE_BYTES)

/* Of weights, those of tables included, in such pages. */
static uint64_t weights_bytes(const json_t *rows, const char *pages, const char *bytes)
{
	return rows_sum(rows, bytes, "use", "weights", "pages", pages, NULL) +
	       rows_sum(rows, bytes, "use", "tables", "pages", pages, NULL);
}

/* _i is whether it is kept for the daemon that comes next. */
START_TEST(a_table_lies_as_was_foreseen_and_each_page_of_it_is_told)
{
	static const char question[] = "{\"verb\": \"load\", \"model\": \"giant\", \"dry\": true}";
	const char *const flags[] = { "--load", "none", "--node", "0", _i ? "--warm-restart" : NULL,
				      NULL };
	struct manager manager;
	char text[APPLIANCE_TEXT_BYTES] = "";
	struct appliance appliance;
	json_t *foreseen;
	json_t *models;
	json_t *rows;

	if (!giant_is_ready() || !pool_is_ready())
		return;
	appliance_init(&appliance);
	zeros_save(&appliance, "giant", TABLE_BYTES);
	manager_open(&manager, &appliance);
	appliance_start(&appliance, flags);
	ck_assert_msg(appliance_ask(appliance.admin, question, &foreseen, text) == 0, "%s", text);
	ck_assert_uint_eq(weights_bytes(foreseen, "1G", "bytes"), GIANT_BYTES);
	ck_assert_uint_eq(weights_bytes(foreseen, "2M", "bytes"), 4 * HUGE_BYTES);
	ck_assert_int_eq(giant_free_pages(), 1);
	ck_assert_msg(appliance_change(&appliance, "load", "giant", 0, text) == 0, "%s", text);
	ck_assert_int_eq(giant_free_pages(), 0);
	rows = appliance_rows(&appliance, "mem");
	models = appliance_rows(&appliance, "models");
	ck_assert_uint_eq(weights_bytes(rows, "1G", "resident_bytes"), GIANT_BYTES);
	ck_assert_uint_eq(weights_bytes(rows, "2M", "resident_bytes"), 4 * HUGE_BYTES);
	ck_assert_uint_eq(weights_bytes(rows, "1G", "used_bytes") +
				  weights_bytes(rows, "2M", "used_bytes"),
			  rows_number(models, 0, "weights_bytes"));
	ck_assert_uint_eq(rows_sum(rows, "resident_bytes", "pool", "1G", NULL), GIANT_BYTES);
	if (!IS_SANITIZED)
		ck_assert_uint_eq(rows_number(rows, json_array_size(rows) - 1, "unaccounted_bytes"),
				  0);
	json_decref(models);
	json_decref(rows);
	json_decref(foreseen);
	if (_i) {
		await(manager_count(&manager, "weights.") == 1);
		appliance_kill(&appliance);
		appliance_start(&appliance, flags);
		manager_await_ready(&manager, 2);
		rows = appliance_rows(&appliance, "mem");
		ck_assert_uint_eq(weights_bytes(rows, "1G", "resident_bytes"), GIANT_BYTES);
		json_decref(rows);
	}
	ck_assert_int_eq(appliance_change(&appliance, "unload", "giant", 0, text), 0);
	await(giant_free_pages() == 1);
	appliance_close(&appliance);
	manager_close(&manager);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("giants");
	TCase *giant = tcase_create("giant");

	tcase_set_timeout(giant, TIMEOUT_S);
	/* Unchecked: in this process, so the pages go back whatever a test does. */
	tcase_add_unchecked_fixture(giant, pool_grow, pool_shrink);
	tcase_add_unchecked_fixture(giant, giant_grow, giant_shrink);
	tcase_add_loop_test(giant, a_table_lies_as_was_foreseen_and_each_page_of_it_is_told, 0, 2);
	suite_add_tcase(suite, giant);
	return appliance_check(suite);
}
