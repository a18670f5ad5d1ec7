/* SPDX-License-Identifier: MIT */
/* tests/graph/test_bags.c - which nodes become bags, and which tables are read in one step */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "graph/bag.h"
#include "graph/ops.h"
#include "tests/graph/graph_fixture.h"
#include "tests/suite.h"

static const float floats[64] = {1, 2, 3, 4, 5, 6, 7, 8};

/* ids [batch, 3], one table t [4, 4], axis 1 as attribute and as input. */
static struct onnx_writer *put_ids(uint32_t opset)
{
	struct onnx_writer *writer = onnx_writer_new(opset);

	onnx_writer_input(writer, "ids", DTYPE_I64, "batch,3");
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	onnx_writer_tensor(writer, "t", DTYPE_F32, "4,4", floats, 64);
	return writer;
}

static const struct embed_table *only_table(const struct built *built)
{
	ck_assert_uint_eq(built->lowering.step_count, 1);
	ck_assert_int_eq((int)built->lowering.steps[0]->kernel, KERNEL_EMBED);
	ck_assert_int_eq(built->lowering.steps[0]->args->embed.table_count, 1);
	return &built->lowering.steps[0]->args->embed.tables[0];
}

START_TEST(a_pooled_gather_is_one_step)
{
	static const struct {
		const char *op;
		enum embed mode;
	} cases[] = {
		{"ReduceSum", EMBED_SUM}, {"ReduceMean", EMBED_MEAN}, {"ReduceMax", EMBED_MAX}};

	for (int keep = 0; keep < 2; keep++)
		for (size_t index = 0; index < 3; index++) {
			struct onnx_writer *writer = put_ids(11);
			const struct embed_table *table;
			struct built built;

			if (!op_find(cases[index].op)) {
				onnx_writer_free(writer);
				continue;
			}
			onnx_writer_node(writer, "Gather", "t,ids", "rows");
			onnx_writer_node(writer, cases[index].op, "rows", "y");
			onnx_writer_ints(writer, "axes", (const int64_t[]){1}, 1);
			onnx_writer_int(writer, "keepdims", keep);
			ck_assert_msg(built_init(&built, writer), "%s", err_message());
			table = only_table(&built);
			ck_assert_int_eq((int)table->mode, (int)cases[index].mode);
			ck_assert_int_eq(table->hot, 3);
			ck_assert_int_eq(table->dim, 4);
			ck_assert_int_eq(table->ids_row_stride, 3);
			ck_assert_int_eq(built.lowering.row_symbol, 0);
			ck_assert_int_eq(built.lowering.steps[0]->args->embed.status_stride, 1);
			built_deinit(&built);
		}
}
END_TEST

START_TEST(weights_a_row_are_taken_in)
{
	struct onnx_writer *writer = put_ids(13);
	int64_t one = 1, two = 2;
	struct built built;

	onnx_writer_input(writer, "w", DTYPE_F32, "batch,3");
	put_i64(writer, "axis1", "1", &one, 1);
	put_i64(writer, "axis2", "1", &two, 1);
	onnx_writer_node(writer, "Gather", "t,ids", "rows");
	onnx_writer_node(writer, "Unsqueeze", "w,axis2", "w1");
	onnx_writer_node(writer, "Mul", "w1,rows", "weighted");
	onnx_writer_node(writer, "ReduceSum", "weighted,axis1", "y");
	ck_assert_msg(built_init(&built, writer), "%s", err_message());
	ck_assert_int_eq((int)only_table(&built)->mode, EMBED_SUM);
	ck_assert_int_eq(only_table(&built)->weights_row_stride, 3);
	built_deinit(&built);
}
END_TEST

/* Over the columns, by weights that differ within a row of the table, or read by others. */
START_TEST(what_only_looks_like_a_bag_stays)
{
	for (int variant = 0; variant < 3; variant++) {
		struct onnx_writer *writer = put_ids(11);
		struct built built;

		onnx_writer_input(writer, "w", DTYPE_F32, "batch,3,4");
		onnx_writer_node(writer, "Gather", "t,ids", "rows");
		onnx_writer_node(writer, "Mul", "w,rows", "weighted");
		onnx_writer_node(writer, "ReduceSum", variant == 1 ? "weighted" : "rows", "y");
		onnx_writer_ints(writer, "axes", (const int64_t[]){variant == 0 ? 2 : 1}, 1);
		if (variant != 1)
			onnx_writer_output(writer, "weighted", DTYPE_F32, NULL);
		ck_assert_msg(built_init(&built, writer), "%s", err_message());
		ck_assert_uint_eq(built_count(&built, KERNEL_EMBED), 1);
		ck_assert_uint_eq(built_count(&built, KERNEL_REDUCE), 1);
		built_deinit(&built);
	}
}
END_TEST

/* Reduced along the rows, or an axis of the table that is no axis of rows. */
START_TEST(tables_that_are_no_rows_of_floats_stay_gathers)
{
	struct onnx_writer *writer = put_ids(11);
	int64_t integers[8] = {0};
	struct built built;

	onnx_writer_tensor(writer, "i", DTYPE_I64, "4,2", integers, sizeof(integers));
	onnx_writer_tensor(writer, "c", DTYPE_F32, "2,2,4", floats, 64);
	onnx_writer_node(writer, "Gather", "i,ids", "y");
	onnx_writer_node(writer, "Gather", "c,ids", "z");
	onnx_writer_node(writer, "Gather", "t,ids", "columns");
	onnx_writer_int(writer, "axis", 1);
	onnx_writer_output(writer, "z", DTYPE_F32, NULL);
	onnx_writer_output(writer, "columns", DTYPE_F32, NULL);
	ck_assert_msg(built_init(&built, writer), "%s", err_message());
	ck_assert_uint_eq(built_count(&built, KERNEL_EMBED), 0);
	ck_assert_uint_eq(built_count(&built, KERNEL_GATHER), 3);
	built_deinit(&built);
}
END_TEST

/* A dense part is computed first; the tables are read where the Concat wants them, in place. */
START_TEST(tables_of_all_kinds_are_read_in_one_step)
{
	enum { TABLES = 9 };
	struct onnx_writer *writer = put_ids(13);
	char parts[256] = "h";
	int64_t one = 1;
	struct built built;
	const struct embed_args *args;

	put_i64(writer, "axis1", "1", &one, 1);
	onnx_writer_input(writer, "x", DTYPE_F32, "batch,4");
	onnx_writer_input(writer, "columns", DTYPE_I64, "batch,9");
	onnx_writer_tensor(writer, "narrow", DTYPE_F32, "16,1", floats, 64);
	for (int64_t table = 0; table < TABLES; table++) {
		char column[16], ids[16], rows[16], index[16];

		(void)snprintf(index, sizeof(index), "k%d", (int)table);
		(void)snprintf(column, sizeof(column), "c%d", (int)table);
		(void)snprintf(ids, sizeof(ids), "columns,k%d", (int)table);
		(void)snprintf(rows, sizeof(rows), "e%d", (int)table);
		put_i64(writer, index, "", &table, 1);
		onnx_writer_node(writer, "Gather", ids, column);
		onnx_writer_int(writer, "axis", 1);
		(void)snprintf(ids, sizeof(ids), "%s,c%d", table % 2 ? "narrow" : "t", (int)table);
		onnx_writer_node(writer, "Gather", ids, rows);
		(void)snprintf(parts + strlen(parts), sizeof(parts) - strlen(parts), ",e%d",
			       (int)table);
	}
	onnx_writer_node(writer, "Gather", "t,ids", "bag3");
	onnx_writer_node(writer, "ReduceSum", "bag3,axis1", "bag");
	onnx_writer_int(writer, "keepdims", 0);
	onnx_writer_node(writer, "MatMul", "x,t", "h");
	(void)snprintf(parts + strlen(parts), sizeof(parts) - strlen(parts), ",bag");
	onnx_writer_node(writer, "Concat", parts, "all");
	onnx_writer_int(writer, "axis", 1);
	onnx_writer_node(writer, "Sigmoid", "all", "y");
	ck_assert_msg(built_init(&built, writer), "%s", err_message());
	ck_assert_uint_eq(built.lowering.step_count, 3);
	ck_assert_int_eq((int)built.lowering.steps[0]->kernel, KERNEL_GEMM);
	ck_assert_int_eq((int)built.lowering.steps[1]->kernel, KERNEL_EMBED);
	args = &built.lowering.steps[1]->args->embed;
	ck_assert_int_eq(args->table_count, TABLES + 1);
	/* Alike ones beside each other: 4 of one column, 5 of four, the bag. */
	ck_assert_uint_eq(args->tables[0].alike, 4);
	ck_assert_uint_eq(args->tables[4].alike, 5);
	ck_assert_uint_eq(args->tables[9].alike, 0);
	for (int64_t table = 0; table <= TABLES; table++)
		ck_assert_int_eq(args->tables[table].y_row_stride, 4 + 4 + 5 * 4 + 4);
	built_deinit(&built);
}
END_TEST

START_TEST(tables_by_ids_that_are_computed_stay_by_themselves)
{
	struct onnx_writer *writer = put_ids(13);
	struct built built;

	onnx_writer_input(writer, "f", DTYPE_F32, "batch,3");
	onnx_writer_node(writer, "Cast", "f", "computed");
	onnx_writer_int(writer, "to", DTYPE_I64);
	onnx_writer_node(writer, "Gather", "t,computed", "a");
	onnx_writer_node(writer, "Gather", "t,ids", "b");
	onnx_writer_node(writer, "Add", "a,b", "y");
	ck_assert_msg(built_init(&built, writer), "%s", err_message());
	ck_assert_uint_eq(built_count(&built, KERNEL_EMBED), 2);
	built_deinit(&built);
}
END_TEST

/* Does a step before `place` read what the step there writes? */
static bool is_read_before(const struct lowering *lowering, uint32_t place)
{
	for (const struct operand *written = lowering->steps[place]->operands; written;
	     written = written->next)
		for (uint32_t earlier = 0; earlier < place; earlier++)
			for (const struct operand *read = lowering->steps[earlier]->operands; read;
			     read = read->next)
				if (written->kind == OPERAND_WRITE && read->kind == OPERAND_READ &&
				    written->index == read->index)
					return true;
	return false;
}

/* Tables come in turn: one of each group, then the next of each. */
START_TEST(tables_of_several_numbers_of_rows_are_a_step_for_each)
{
	enum { GROUPS = 9, TABLES = 3 };
	struct onnx_writer *writer = onnx_writer_new(13);
	char parts[128] = "";
	uint32_t embeds = 0;
	struct built built;

	for (int table = 0; table < TABLES; table++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "t%d", table);
		onnx_writer_tensor(writer, name, DTYPE_F32, "4,4", floats + table, 64);
	}
	for (int group = 0; group < GROUPS; group++) {
		char name[16], shape[16];

		(void)snprintf(name, sizeof(name), "ids%d", group);
		(void)snprintf(shape, sizeof(shape), "%d", 2 + group);
		onnx_writer_input(writer, name, DTYPE_I64, shape);
	}
	for (int table = 0; table < TABLES; table++)
		for (int group = 0; group < GROUPS; group++) {
			char inputs[32], rows[16], sum[16];

			(void)snprintf(inputs, sizeof(inputs), "t%d,ids%d", table, group);
			(void)snprintf(rows, sizeof(rows), "e%d_%d", group, table);
			onnx_writer_node(writer, "Gather", inputs, rows);
			(void)snprintf(inputs, sizeof(inputs), "%s%d_%d,%s", table ? "s" : "e",
				       group, table ? table - 1 : 0, rows);
			(void)snprintf(sum, sizeof(sum), "s%d_%d", group, table);
			onnx_writer_node(writer, "Mul", inputs, sum);
		}
	for (int group = 0; group < GROUPS; group++)
		(void)snprintf(parts + strlen(parts), sizeof(parts) - strlen(parts), "%ss%d_%d",
			       group ? "," : "", group, TABLES - 1);
	onnx_writer_node(writer, "Concat", parts, "y");
	onnx_writer_int(writer, "axis", 0);
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	ck_assert_msg(built_init(&built, writer), "%s", err_message());
	for (uint32_t place = 0; place < built.lowering.step_count; place++) {
		const struct step *step = built.lowering.steps[place];

		if (step->kernel != KERNEL_EMBED)
			continue;
		ck_assert(!is_read_before(&built.lowering, place));
		ck_assert_int_eq(step->args->embed.table_count, TABLES);
		embeds++;
	}
	ck_assert_uint_eq(embeds, GROUPS);
	built_deinit(&built);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("bags");
	TCase *tests = tcase_create("bags");

	tcase_add_test(tests, a_pooled_gather_is_one_step);
	tcase_add_test(tests, weights_a_row_are_taken_in);
	tcase_add_test(tests, what_only_looks_like_a_bag_stays);
	tcase_add_test(tests, tables_that_are_no_rows_of_floats_stay_gathers);
	tcase_add_test(tests, tables_of_all_kinds_are_read_in_one_step);
	tcase_add_test(tests, tables_by_ids_that_are_computed_stay_by_themselves);
	tcase_add_test(tests, tables_of_several_numbers_of_rows_are_a_step_for_each);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
