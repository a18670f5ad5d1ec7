/* SPDX-License-Identifier: MIT */
/*
 * tests/exec/test_sheets.c - large tables that versions have in common are held once
 *
 * The peer is an engine with memory of its own for everything.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "memory/shelf.h"
#include "tests/exec/engine_fixture.h"
#include "tests/model/scratch.h"
#include "tests/suite.h"

#define ROWS 32
#define DIM 16
#define TABLES 2
#define TABLE_ROWS 278528 /* 17 MiB */
#define SHAPE "278528,16"
#define TABLE_FLOATS ((int64_t)TABLE_ROWS * DIM)
#define MANY (ENGINE_SHEETS_MAX + 2)

static struct shelf shelf;
static bool is_kept = true;
static bool is_apart; /* are the weights bound to a node, and the tables not? */
static float tables[TABLES][TABLE_FLOATS];
static float factor[DIM];

static void setup(void)
{
	shelf_init(&shelf, NULL);
}

static void teardown(void)
{
	ck_assert_ptr_null(shelf.sheets);
	shelf_deinit(&shelf);
}

/* y = (a[ids] + b[ids]) * factor, of which each is drawn from a seed of its own. */
static struct engine *load(const uint32_t seeds[TABLES], uint32_t factor_seed, struct shelf *on)
{
	const struct engine_options options = {
		.rows_max = ROWS,
		.node = -1,
		.weights = place_node(is_apart ? 0 : -1),
		.keeps = is_kept,
		.shelf = on,
	};
	struct onnx_writer *writer = onnx_writer_new(17);
	struct engine *engine;

	for (uint32_t table = 0; table < TABLES; table++) {
		uint32_t seed = seeds[table];

		fixture_floats(tables[table], TABLE_FLOATS, &seed);
	}
	fixture_floats(factor, DIM, &factor_seed);
	onnx_writer_input(writer, "ids", DTYPE_I64, "batch");
	onnx_writer_external(writer, "a", DTYPE_F32, SHAPE, tables[0], sizeof(tables[0]), "a.bin", 64);
	onnx_writer_external(writer, "b", DTYPE_F32, SHAPE, tables[1], sizeof(tables[1]), "b.bin", 64);
	onnx_writer_tensor(writer, "factor", DTYPE_F32, "16", factor, sizeof(factor));
	onnx_writer_node(writer, "Gather", "a,ids", "rows_a");
	onnx_writer_node(writer, "Gather", "b,ids", "rows_b");
	onnx_writer_node(writer, "Add", "rows_a,rows_b", "sum");
	onnx_writer_node(writer, "Mul", "sum,factor", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, "batch,16");
	engine = fixture_engine(writer, &options);
	ck_assert_msg(engine, "%s", err_message());
	ck_assert_msg(!is_kept || engine_kept(engine), "%s", engine_unkept(engine));
	return engine;
}

static void run(struct engine *engine, float y[ROWS * DIM])
{
	static int64_t ids[ROWS];
	const int64_t symbols[SIGNATURE_SYMBOLS_MAX] = { ROWS };
	const void *inputs[] = { ids };
	void *outputs[] = { y };
	struct row_status status[ROWS] = { { 0 } };
	uint32_t seed = 11;

	fixture_ids(ids, ROWS, TABLE_ROWS, &seed);
	ids[0] = 0;
	ids[1] = TABLE_ROWS - 1;
	fixture_run(engine, symbols, inputs, outputs, status);
}

static void expect_bits(struct engine *engine, const uint32_t seeds[TABLES], uint32_t factor_seed)
{
	struct engine *peer = load(seeds, factor_seed, NULL);
	float y[ROWS * DIM], wanted[ROWS * DIM];

	ck_assert_uint_eq(engine_shared(peer).bytes, 0);
	run(engine, y);
	run(peer, wanted);
	ck_assert_mem_eq(y, wanted, sizeof(y));
	engine_free(peer);
}

static const uint32_t both[TABLES] = { 1, 2 }, one_of_both[TABLES] = { 1, 3 };

/* _i: are weights and tables apart? */
START_TEST(a_table_that_did_not_change_is_held_once)
{
	struct engine *first, *second;
	struct engine_kept old, new;
	uint32_t same;

	is_apart = _i;
	first = load(both, 1, &shelf);
	second = load(one_of_both, 2, &shelf);
	old = *engine_kept(first);
	new = *engine_kept(second);
	same = new.sheets[0] == old.sheets[0] ? 0 : 1; /* as lowering orders them */
	ck_assert_uint_eq(old.sheet_count, 2);
	ck_assert_uint_eq(new.sheet_count, 2);
	ck_assert_uint_eq(new.sheets[same], old.sheets[same]);
	ck_assert_uint_ne(new.sheets[1 - same], old.sheets[1 - same]);
	expect_bits(first, both, 1);
	expect_bits(second, one_of_both, 2);
	engine_free(first);
	ck_assert_ptr_null(shelf_take(&shelf, old.sheets[1 - same]));
	expect_bits(second, one_of_both, 2);
	engine_free(second);
}
END_TEST

START_TEST(tables_are_held_once_also_where_no_process_goes_on_with_them)
{
	const uint64_t table_bytes = (sizeof(tables[0]) + (2 << 20) - 1) >> 21 << 21;
	struct engine *first, *second;

	is_kept = false;
	first = load(both, 1, &shelf);
	ck_assert_ptr_null(engine_kept(first));
	ck_assert_uint_eq(engine_shared(first).bytes, 0);
	second = load(one_of_both, 2, &shelf);
	ck_assert_uint_eq(engine_shared(first).bytes, table_bytes);
	ck_assert_uint_eq(engine_shared(second).bytes, table_bytes);
	expect_bits(second, one_of_both, 2);
	engine_free(first);
	ck_assert_uint_eq(engine_shared(second).bytes, 0);
	expect_bits(second, one_of_both, 2);
	engine_free(second);
}
END_TEST

START_TEST(tables_of_one_model_that_are_equal_are_held_once)
{
	static const uint32_t twice[TABLES] = { 5, 5 };
	struct engine *engine = load(twice, 1, &shelf);

	ck_assert_uint_eq(engine_kept(engine)->sheets[0], engine_kept(engine)->sheets[1]);
	expect_bits(engine, twice, 1);
	engine_free(engine);
}
END_TEST

/* Another process has another shelf, on which lies what was handed on. */
static struct engine_kept hand_on(const struct engine *engine, struct shelf *to)
{
	struct engine_kept kept = *engine_kept(engine);

	kept.model_fd = dup(kept.model_fd);
	kept.weights_fd = dup(kept.weights_fd);
	for (uint32_t index = 0; to && index < kept.sheet_count; index++) {
		struct sheet *sheet = shelf_take(&shelf, kept.sheets[index]);
		struct sheet *there = shelf_take(to, sheet->id);

		if (there)
			shelf_return(to, there);
		else
			shelf_bring(to, sheet->id, dup(sheet->fd));
		shelf_return(&shelf, sheet);
	}
	return kept;
}

static int adopt(struct engine_kept *kept, struct shelf *from, struct engine **ret_engine)
{
	const struct engine_options options = {
		.rows_max = ROWS, .node = -1, .keeps = true, .shelf = from, .kept = kept,
	};
	int r = engine_new(-1, "kept/1", &options, ret_engine);

	close(kept->model_fd);
	close(kept->weights_fd);
	return r;
}

START_TEST(tables_are_adopted_and_go_on_being_held_once)
{
	struct engine *first = load(both, 1, &shelf);
	struct engine *second = load(one_of_both, 2, &shelf);
	struct engine *third = NULL, *fourth = NULL;
	struct engine_kept old, new;
	struct shelf next;

	shelf_init(&next, NULL);
	old = hand_on(first, &next);
	new = hand_on(second, &next);
	engine_free(first);
	engine_free(second);
	ck_assert_msg(adopt(&old, &next, &third) == 0, "%s", err_message());
	ck_assert_msg(adopt(&new, &next, &fourth) == 0, "%s", err_message());
	shelf_settle(&next);
	expect_bits(third, both, 1);
	expect_bits(fourth, one_of_both, 2);
	ck_assert_mem_eq(engine_kept(fourth)->sheets, new.sheets, sizeof(new.sheets));
	engine_free(third);
	/* What is loaded now finds them, too. */
	first = load(one_of_both, 3, &next);
	ck_assert_mem_eq(engine_kept(first)->sheets, new.sheets, sizeof(new.sheets));
	engine_free(fourth);
	expect_bits(first, one_of_both, 3);
	engine_free(first);
	ck_assert_ptr_null(next.sheets);
	shelf_deinit(&next);
}
END_TEST

START_TEST(a_table_that_was_not_handed_on_is_refused)
{
	struct engine *first = load(both, 1, &shelf);
	struct engine *none = NULL;
	struct engine_kept kept;
	struct shelf next;

	shelf_init(&next, NULL);
	kept = hand_on(first, NULL);
	ck_assert_int_eq(adopt(&kept, &next, &none), -ESTALE);
	ck_assert_ptr_nonnull(strstr(err_message(), "which was kept with it, is not there"));
	kept = hand_on(first, NULL);
	ck_assert_int_eq(adopt(&kept, NULL, &none), -ESTALE);
	kept = hand_on(first, NULL);
	kept.sheet_count--;
	ck_assert_int_eq(adopt(&kept, &shelf, &none), -ESTALE);
	ck_assert_ptr_null(none);
	engine_free(first);
	shelf_deinit(&next);
}
END_TEST

/* Zeroes, which the file system holds nothing for: the last sheet has all tables that are left. */
START_TEST(more_tables_than_sheets_share_the_last_one)
{
	const struct engine_options options = {
		.rows_max = 1, .node = -1, .keeps = true, .shelf = &shelf,
	};
	struct onnx_writer *writer = onnx_writer_new(17);
	int directory_fd = scratch_open(scratch_directory());
	struct engine *engine = NULL;
	struct engine_kept kept;
	char name[16], rows[16], inputs[32], list[MANY * 16] = "";
	int fd;

	onnx_writer_input(writer, "ids", DTYPE_I64, "batch");
	for (uint32_t table = 0; table < MANY; table++) {
		snprintf(name, sizeof(name), "t%u", table);
		snprintf(rows, sizeof(rows), "r%u", table);
		snprintf(inputs, sizeof(inputs), "%s,ids", name);
		onnx_writer_external_words(writer, name, DTYPE_F32, "262144,16", "zeroes.bin", "0",
					   "16777216");
		onnx_writer_node(writer, "Gather", inputs, rows);
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s",
			 table ? "," : "", rows);
	}
	onnx_writer_node(writer, "Concat", list, "y");
	onnx_writer_int(writer, "axis", 1);
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	ck_assert_int_eq(onnx_writer_save_at(writer, directory_fd), 0);
	onnx_writer_free(writer);
	fd = openat(directory_fd, "zeroes.bin", O_CREAT | O_WRONLY, 0600);
	ck_assert_int_eq(ftruncate(fd, 16 << 20), 0);
	close(fd);
	ck_assert_msg(engine_new(directory_fd, "many/1", &options, &engine) == 0, "%s",
		      err_message());
	close(directory_fd);
	kept = *engine_kept(engine);
	ck_assert_uint_eq(kept.sheet_count, ENGINE_SHEETS_MAX);
	for (uint32_t index = 1; index < ENGINE_SHEETS_MAX - 1; index++)
		ck_assert_uint_eq(kept.sheets[index], kept.sheets[0]);
	ck_assert_uint_ne(kept.sheets[ENGINE_SHEETS_MAX - 1], kept.sheets[0]);
	engine_free(engine);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sheets");
	TCase *tests = tcase_create("sheets");

	tcase_add_unchecked_fixture(tests, scratch_begin, scratch_end);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_loop_test(tests, a_table_that_did_not_change_is_held_once, 0, 2);
	tcase_add_test(tests, tables_of_one_model_that_are_equal_are_held_once);
	tcase_add_test(tests, tables_are_held_once_also_where_no_process_goes_on_with_them);
	tcase_add_test(tests, tables_are_adopted_and_go_on_being_held_once);
	tcase_add_test(tests, a_table_that_was_not_handed_on_is_refused);
	tcase_add_test(tests, more_tables_than_sheets_share_the_last_one);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
