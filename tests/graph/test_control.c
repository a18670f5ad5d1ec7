/* SPDX-License-Identifier: MIT */
/* tests/graph/test_control.c - If, Loop and sequences leave no trace in a plan, or are refused */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "tests/exec/engine_fixture.h"
#include "tests/graph/graph_fixture.h"
#include "tests/suite.h"

#define ROWS 3

static const float floats[16] = {1, -2, 3, -4, 5, -6, 7, -8, 0.5f, 1.5f, 2.5f, 3.5f};

static struct onnx_writer *put_input(const char *shape)
{
	struct onnx_writer *writer = onnx_writer_new(13);

	onnx_writer_input(writer, "x", DTYPE_F32, shape);
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	onnx_writer_tensor(writer, "w", DTYPE_F32, "4", floats, 16);
	return writer;
}

static void put_bool(struct onnx_writer *writer, const char *name, bool truth)
{
	uint8_t byte = truth;

	onnx_writer_constant(writer, name, DTYPE_BOOL, "", &byte, 1);
}

/* y of three rows of four, of a model whose input is x [batch, 4]. */
static void answer(struct onnx_writer *writer, float y[], size_t bytes)
{
	const int64_t symbols[SIGNATURE_SYMBOLS_MAX] = {ROWS};
	struct row_status status[ROWS] = {{0, 0}};
	const void *inputs[] = {floats};
	void *outputs[] = {y};
	struct engine *engine = fixture_engine(writer, NULL);

	ck_assert_msg(engine != NULL, "%s", err_message());
	memset(y, 0x7f, bytes);
	fixture_run(engine, symbols, inputs, outputs, status);
	engine_free(engine);
}

static void check_refused(struct onnx_writer *writer, const char *words)
{
	struct built built;

	ck_assert_msg(!built_init(&built, writer), "it loads, without \"%s\"", words);
	ck_assert_msg(strstr(err_message(), words), "\"%s\" lacks \"%s\"", err_message(), words);
	ck_assert_msg(strstr(err_message(), "model: ") == err_message(), "\"%s\"", err_message());
	built_deinit(&built);
}

static struct onnx_writer *branches(bool truth)
{
	struct onnx_writer *writer = put_input("batch,4");

	put_bool(writer, "c", truth);
	onnx_writer_node(writer, "If", "c", "y");
	onnx_writer_body(writer, "then_branch");
	onnx_writer_node(writer, "Add", "x,w", "t");
	onnx_writer_output(writer, "t", DTYPE_F32, NULL);
	onnx_writer_body_end(writer);
	onnx_writer_body(writer, "else_branch");
	onnx_writer_tensor(writer, "v", DTYPE_F32, "4", floats + 8, 16);
	onnx_writer_node(writer, "Mul", "x,v", "e");
	onnx_writer_output(writer, "e", DTYPE_F32, NULL);
	onnx_writer_body_end(writer);
	return writer;
}

START_TEST(the_branch_that_a_constant_takes_stands_in_the_graph)
{
	for (int truth = 0; truth < 2; truth++) {
		struct built built;
		float y[ROWS * 4];

		ck_assert_msg(built_init(&built, branches(truth)), "%s", err_message());
		ck_assert_uint_eq(built.lowering.step_count, 1);
		ck_assert_int_eq(built.proof.symbol, 0);
		built_deinit(&built);
		answer(branches(truth), y, sizeof(y));
		for (int index = 0; index < ROWS * 4; index++)
			ck_assert_float_eq(y[index], truth ? floats[index] + floats[index % 4]
							   : floats[index] * floats[8 + index % 4]);
	}
}
END_TEST

/* torch's squeeze: Cast of what follows from a shape decides. */
START_TEST(a_condition_that_follows_from_a_shape_is_constant)
{
	struct onnx_writer *writer = put_input("batch,4");
	int64_t one = 1;
	struct built built;

	put_i64(writer, "one", "", &one, 1);
	onnx_writer_node(writer, "Shape", "x", "s");
	onnx_writer_node(writer, "Gather", "s,one", "width");
	onnx_writer_node(writer, "Cast", "width", "c");
	onnx_writer_int(writer, "to", DTYPE_BOOL);
	onnx_writer_node(writer, "If", "c", "y");
	onnx_writer_body(writer, "then_branch");
	onnx_writer_node(writer, "Relu", "x", "t");
	onnx_writer_output(writer, "t", DTYPE_F32, NULL);
	onnx_writer_body_end(writer);
	onnx_writer_body(writer, "else_branch");
	onnx_writer_node(writer, "Det", "x", "e");
	onnx_writer_output(writer, "e", DTYPE_F32, NULL);
	onnx_writer_body_end(writer);
	ck_assert_msg(built_init(&built, writer), "%s", err_message());
	ck_assert_uint_eq(built_count(&built, KERNEL_UNARY), 1);
	ck_assert_uint_eq(built.lowering.step_count, 1);
	built_deinit(&built);
}
END_TEST

/* What a pass fuses, it fuses through branches and unrolled loops too. */
START_TEST(passes_see_through_branches)
{
	struct onnx_writer *writer = put_input("batch,4");
	struct built built;

	onnx_writer_tensor(writer, "m", DTYPE_F32, "4,3", floats, 48);
	onnx_writer_tensor(writer, "b", DTYPE_F32, "3", floats, 12);
	put_bool(writer, "c", true);
	onnx_writer_node(writer, "If", "c", "xw");
	onnx_writer_body(writer, "then_branch");
	onnx_writer_node(writer, "MatMul", "x,m", "t");
	onnx_writer_output(writer, "t", DTYPE_F32, NULL);
	onnx_writer_body_end(writer);
	onnx_writer_body(writer, "else_branch");
	onnx_writer_node(writer, "Relu", "x", "e");
	onnx_writer_output(writer, "e", DTYPE_F32, NULL);
	onnx_writer_body_end(writer);
	onnx_writer_node(writer, "Add", "xw,b", "h");
	onnx_writer_node(writer, "Relu", "h", "y");
	ck_assert_msg(built_init(&built, writer), "%s", err_message());
	ck_assert_uint_eq(built.lowering.step_count, 1);
	ck_assert_uint_eq(built_count(&built, KERNEL_GEMM), 1);
	built_deinit(&built);
}
END_TEST

/* s = x; t times: s = s * w, collect s + number */
static struct onnx_writer *powers(int64_t trips, bool scans)
{
	struct onnx_writer *writer = put_input("batch,4");

	put_i64(writer, "trips", "", &trips, 1);
	onnx_writer_node(writer, "Loop", "trips,,x", scans ? "last,y" : "y,all");
	onnx_writer_body(writer, "body");
	onnx_writer_input(writer, "i", DTYPE_I64, "");
	onnx_writer_input(writer, "c", DTYPE_BOOL, "");
	onnx_writer_input(writer, "before", DTYPE_F32, NULL);
	onnx_writer_node(writer, "Mul", "before,w", "after");
	onnx_writer_node(writer, "Cast", "i", "number");
	onnx_writer_int(writer, "to", DTYPE_F32);
	onnx_writer_node(writer, "Add", "after,number", "sum");
	onnx_writer_node(writer, "Identity", "c", "again");
	onnx_writer_output(writer, "again", DTYPE_BOOL, "");
	onnx_writer_output(writer, "after", DTYPE_F32, NULL);
	onnx_writer_output(writer, "sum", DTYPE_F32, NULL);
	onnx_writer_body_end(writer);
	return writer;
}

START_TEST(a_loop_of_a_constant_number_of_iterations_is_unrolled)
{
	static const int64_t trips[] = {1, 2, 5, 64};

	for (size_t choice = 0; choice < 4; choice++) {
		float y[ROWS * 4];

		answer(powers(trips[choice], false), y, sizeof(y));
		for (int index = 0; index < ROWS * 4; index++) {
			float wanted = floats[index];

			for (int64_t trip = 0; trip < trips[choice]; trip++)
				wanted *= floats[index % 4];
			ck_assert_msg(memcmp(&y[index], &wanted, 4) == 0, "%g is %g", wanted,
				      y[index]);
		}
	}
}
END_TEST

START_TEST(what_an_unrolled_loop_collects_is_outermost)
{
	float y[3 * ROWS * 4];

	answer(powers(3, true), y, sizeof(y));
	for (int trip = 0; trip < 3; trip++) {
		for (int index = 0; index < ROWS * 4; index++) {
			float wanted = floats[index];

			for (int time = 0; time <= trip; time++)
				wanted *= floats[index % 4];
			ck_assert_float_eq(y[trip * ROWS * 4 + index], wanted + (float)trip);
		}
	}
}
END_TEST

START_TEST(loops_that_a_run_decides_are_refused_with_the_reason)
{
	struct onnx_writer *writer = put_input("batch,4");
	int64_t zero = 0;

	check_refused(powers(65, false), "it has more than 64 iterations");
	check_refused(powers(INT64_MAX, false), "it has more than 64 iterations");
	check_refused(powers(0, true), "it has no iteration, and collects 1 outputs");
	put_i64(writer, "zero", "", &zero, 1);
	onnx_writer_node(writer, "Shape", "x", "s");
	onnx_writer_node(writer, "Gather", "s,zero", "rows");
	onnx_writer_node(writer, "Loop", "rows,,x", "y");
	onnx_writer_body(writer, "body");
	onnx_writer_input(writer, "i", DTYPE_I64, "");
	onnx_writer_input(writer, "c", DTYPE_BOOL, "");
	onnx_writer_input(writer, "before", DTYPE_F32, NULL);
	onnx_writer_node(writer, "Relu", "before", "after");
	onnx_writer_output(writer, "c", DTYPE_BOOL, "");
	onnx_writer_output(writer, "after", DTYPE_F32, NULL);
	onnx_writer_body_end(writer);
	check_refused(writer, "(Loop, opset 13): its number of iterations ('rows') depends on a "
			      "free size");
}
END_TEST

START_TEST(conditions_and_bodies_that_are_wrong_are_refused_with_the_reason)
{
	struct onnx_writer *writer = put_input("batch,4");

	onnx_writer_input(writer, "c", DTYPE_I64, "");
	onnx_writer_node(writer, "If", "c", "y");
	onnx_writer_body(writer, "then_branch");
	onnx_writer_node(writer, "Relu", "x", "t");
	onnx_writer_output(writer, "t", DTYPE_F32, NULL);
	onnx_writer_body_end(writer);
	check_refused(writer, "(If, opset 13): its condition ('c') is computed at run time");
	writer = put_input("batch,4");
	put_bool(writer, "c", false);
	onnx_writer_node(writer, "If", "c", "y");
	check_refused(writer, "it has no attribute 'else_branch'");
	writer = put_input("batch,4");
	put_bool(writer, "c", true);
	onnx_writer_node(writer, "If", "c", "y");
	onnx_writer_body(writer, "then_branch");
	onnx_writer_node(writer, "Det", "x", "t");
	onnx_writer_output(writer, "t", DTYPE_F32, NULL);
	onnx_writer_body_end(writer);
	check_refused(writer, "(Det, opset 13): the operator is not supported");
	writer = put_input("batch,4");
	put_bool(writer, "c", true);
	onnx_writer_node(writer, "If", "c", "y");
	onnx_writer_body(writer, "then_branch");
	onnx_writer_input(writer, "i", DTYPE_F32, NULL);
	onnx_writer_node(writer, "Relu", "x", "t");
	onnx_writer_output(writer, "t", DTYPE_F32, NULL);
	onnx_writer_body_end(writer);
	check_refused(writer, "its then_branch has 1 inputs and 1 outputs; 0 and 1 are wanted");
}
END_TEST

/* Loops in loops, each of 64 iterations: 64^4 bodies would be put in place. */
START_TEST(what_bodies_unfold_into_is_bounded)
{
	struct onnx_writer *writer = put_input("batch,4");
	int64_t trips = 64;
	char name[3][16];

	put_i64(writer, "trips", "", &trips, 1);
	for (int depth = 0; depth < 4; depth++) {
		(void)snprintf(name[0], 16, depth ? "o%d" : "y", depth);
		onnx_writer_node(writer, "Loop", "trips,,x", name[0]);
		onnx_writer_body(writer, "body");
		for (int input = 0; input < 3; input++) {
			(void)snprintf(name[input], 16, "i%d_%d", depth, input);
			onnx_writer_input(writer, name[input], DTYPE_I64, NULL);
		}
	}
	for (int depth = 3; depth >= 0; depth--) {
		(void)snprintf(name[0], 16, "i%d_1", depth);
		(void)snprintf(name[1], 16, depth == 3 ? "i%d_2" : "o%d", depth + (depth < 3));
		onnx_writer_output(writer, name[0], DTYPE_BOOL, NULL);
		onnx_writer_output(writer, name[1], DTYPE_F32, NULL);
		onnx_writer_body_end(writer);
	}
	check_refused(writer, "unfold into more than 65536 nodes");
}
END_TEST

/* y = [x * w, Relu(x)], by way of insertions, an erasure and positions from the end */
static struct onnx_writer *inserted(void)
{
	struct onnx_writer *writer = put_input("batch,4");
	int64_t zero = 0, minus = -1;

	put_i64(writer, "zero", "", &zero, 1);
	put_i64(writer, "minus", "", &minus, 1);
	onnx_writer_node(writer, "Relu", "x", "a");
	onnx_writer_node(writer, "Mul", "x,w", "b");
	onnx_writer_node(writer, "Add", "x,w", "c");
	onnx_writer_node(writer, "SequenceEmpty", "", "s0");
	onnx_writer_node(writer, "SequenceInsert", "s0,a", "s1");
	onnx_writer_node(writer, "SequenceInsert", "s1,b,zero", "s2");
	onnx_writer_node(writer, "SequenceInsert", "s2,c", "s3");
	onnx_writer_node(writer, "SequenceErase", "s3,minus", "s4");
	onnx_writer_node(writer, "SequenceAt", "s4,zero", "first");
	onnx_writer_node(writer, "SequenceAt", "s4,minus", "last");
	onnx_writer_node(writer, "SequenceConstruct", "first,last", "s5");
	onnx_writer_node(writer, "ConcatFromSequence", "s5", "y");
	onnx_writer_int(writer, "axis", 1);
	return writer;
}

START_TEST(sequences_are_resolved_at_load)
{
	struct onnx_writer *writer = inserted();
	struct built built;
	float y[ROWS * 8];

	ck_assert_msg(built_init(&built, writer), "%s", err_message());
	ck_assert_int_eq(built.proof.symbol, 0);
	built_deinit(&built);
	answer(inserted(), y, sizeof(y));
	for (int index = 0; index < ROWS * 4; index++) {
		float x = floats[index];

		ck_assert_float_eq(y[index / 4 * 8 + index % 4], x * floats[index % 4]);
		ck_assert_float_eq(y[index / 4 * 8 + 4 + index % 4], x > 0 ? x : 0);
	}
	writer = put_input("batch,4");
	onnx_writer_node(writer, "SplitToSequence", "x", "s");
	onnx_writer_int(writer, "axis", 1);
	onnx_writer_int(writer, "keepdims", 0);
	onnx_writer_node(writer, "SequenceLength", "s", "n");
	onnx_writer_node(writer, "Cast", "n", "four");
	onnx_writer_int(writer, "to", DTYPE_F32);
	onnx_writer_node(writer, "ConcatFromSequence", "s", "whole");
	onnx_writer_int(writer, "axis", -1);
	onnx_writer_int(writer, "new_axis", 1);
	onnx_writer_node(writer, "Mul", "whole,four", "y");
	answer(writer, y, ROWS * 4 * sizeof(float));
	for (int index = 0; index < ROWS * 4; index++)
		ck_assert_float_eq(y[index], 4 * floats[index]);
}
END_TEST

START_TEST(sequences_that_a_run_decides_are_refused_with_the_reason)
{
	struct onnx_writer *writer = put_input("batch,4");
	int64_t two = 2;

	onnx_writer_input(writer, "at", DTYPE_I64, "");
	onnx_writer_node(writer, "SequenceConstruct", "x,x", "s");
	onnx_writer_node(writer, "SequenceAt", "s,at", "y");
	check_refused(writer, "(SequenceAt, opset 13): the position ('at') is computed at run time");
	writer = put_input("batch,4");
	put_i64(writer, "two", "", &two, 1);
	onnx_writer_node(writer, "SequenceConstruct", "x,x", "s");
	onnx_writer_node(writer, "SequenceAt", "s,two", "y");
	check_refused(writer, "position 2 is outside a sequence of 2 tensors");
	writer = put_input("batch,4");
	onnx_writer_node(writer, "SequenceConstruct", "x,x", "y");
	check_refused(writer, "output 'y' is a sequence");
	writer = put_input("batch,4");
	onnx_writer_node(writer, "SequenceConstruct", "x", "s");
	onnx_writer_node(writer, "Relu", "s", "y");
	check_refused(writer, "input 's' is a sequence; a tensor is wanted");
	writer = put_input("batch,4");
	onnx_writer_node(writer, "SequenceEmpty", "", "s");
	onnx_writer_node(writer, "ConcatFromSequence", "s", "y");
	onnx_writer_int(writer, "axis", 0);
	check_refused(writer, "the sequence is empty");
	writer = put_input("batch,4");
	onnx_writer_node(writer, "SplitToSequence", "x", "s");
	onnx_writer_node(writer, "SequenceLength", "s", "y");
	check_refused(writer, "the axis that is split has a free size");
}
END_TEST

/* --- what there is no place for ------------------------------------------------------------- */

START_TEST(strings_and_ai_onnx_ml_are_refused_by_name)
{
	struct onnx_writer *writer = onnx_writer_new(13);

	onnx_writer_input(writer, "x", 8, "batch");
	onnx_writer_node(writer, "Identity", "x", "y");
	onnx_writer_output(writer, "y", 8, "batch");
	check_refused(writer, "input 'x' is string");
	writer = put_input("batch,4");
	onnx_writer_node(writer, "LinearRegressor", "x", "y");
	onnx_writer_domain(writer, "ai.onnx.ml");
	check_refused(writer, "(LinearRegressor, opset 13): domain 'ai.onnx.ml' is not supported");
	writer = put_input("batch,4");
	onnx_writer_node(writer, "StringNormalizer", "x", "y");
	check_refused(writer, "(StringNormalizer, opset 13): the operator is not supported");
	writer = put_input("batch,4");
	onnx_writer_node(writer, "Cast", "x", "y");
	onnx_writer_int(writer, "to", 8);
	check_refused(writer, "a cast to string");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("control");
	TCase *tests = tcase_create("control");

	tcase_add_test(tests, the_branch_that_a_constant_takes_stands_in_the_graph);
	tcase_add_test(tests, a_condition_that_follows_from_a_shape_is_constant);
	tcase_add_test(tests, passes_see_through_branches);
	tcase_add_test(tests, a_loop_of_a_constant_number_of_iterations_is_unrolled);
	tcase_add_test(tests, what_an_unrolled_loop_collects_is_outermost);
	tcase_add_test(tests, loops_that_a_run_decides_are_refused_with_the_reason);
	tcase_add_test(tests, conditions_and_bodies_that_are_wrong_are_refused_with_the_reason);
	tcase_add_test(tests, what_bodies_unfold_into_is_bounded);
	tcase_add_test(tests, sequences_are_resolved_at_load);
	tcase_add_test(tests, sequences_that_a_run_decides_are_refused_with_the_reason);
	tcase_add_test(tests, strings_and_ai_onnx_ml_are_refused_by_name);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
