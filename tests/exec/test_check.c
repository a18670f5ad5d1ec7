/* SPDX-License-Identifier: MIT */
/* tests/exec/test_check.c - a file is judged whole: every refusal, why batches are not shared, costs */
#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exec/check.h"
#include "graph/cost.h"
#include "tests/exec/jagged_model.h"
#include "tests/model/onnx_writer.h"
#include "tests/suite.h"

#define ROWS 8

static void model_check(struct onnx_writer *writer, struct check *check)
{
	char path[] = "/tmp/hearth-check-XXXXXX";
	int directory_fd;

	ck_assert_ptr_nonnull(mkdtemp(path));
	ck_assert_int_eq(onnx_writer_save(writer, path), 0);
	onnx_writer_free(writer);
	directory_fd = open(path, O_RDONLY | O_DIRECTORY);
	ck_assert_int_eq(check_model(check, directory_fd, "model.onnx", "checked", ROWS), 0);
	(void)unlinkat(directory_fd, "model.onnx", 0);
	(void)close(directory_fd);
	(void)rmdir(path);
}

/* x [batch, 4] times w [4, 3], plus b, with a relu. */
static struct onnx_writer *linear(void)
{
	static const float w[12] = {1, 2, 3}, b[3] = {1};
	struct onnx_writer *writer = onnx_writer_new(13);

	onnx_writer_input(writer, "x", DTYPE_F32, "batch,4");
	onnx_writer_tensor(writer, "w", DTYPE_F32, "4,3", w, sizeof(w));
	onnx_writer_tensor(writer, "b", DTYPE_F32, "3", b, sizeof(b));
	onnx_writer_node(writer, "MatMul", "x,w", "product");
	onnx_writer_node(writer, "Add", "product,b", "sum");
	onnx_writer_node(writer, "Relu", "sum", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, "batch,3");
	return writer;
}

START_TEST(a_sound_file_loads_and_its_steps_are_priced)
{
	struct check check;

	model_check(linear(), &check);
	ck_assert_uint_eq(check.survey.count, 0);
	ck_assert_str_eq(check.shares_not, "");
	ck_assert_uint_eq(check.operators, 3);
	ck_assert_uint_eq(check.step_count, 1);
	ck_assert_str_eq(check.steps[0].kernel, "gemm");
	ck_assert_uint_eq(check.steps[0].multiply_adds, ROWS * 4 * 3);
	/* packed in panels of 16 columns: 4 x 16 floats, and a bias of 3 */
	ck_assert_uint_eq(check.steps[0].weight_bytes, 4 * 16 * 4 + 3 * 4);
	ck_assert_uint_eq(check.steps[0].bytes, check.steps[0].weight_bytes + ROWS * (4 + 3) * 4);
	ck_assert_uint_eq(check.moved_bytes, check.perfect_bytes);
	check_deinit(&check);
}
END_TEST

START_TEST(every_refused_node_is_named_and_what_is_behind_it_is_not_judged)
{
	struct onnx_writer *writer = linear();
	struct check check;

	onnx_writer_node(writer, "NoSuchOperator", "x", "first");
	onnx_writer_node(writer, "Relu", "first", "behind");
	onnx_writer_node(writer, "Add", "behind,x", "behind_that");
	onnx_writer_node(writer, "MatMul", "x,x", "second");
	onnx_writer_node(writer, "AndNoSuchOne", "x", "third");
	model_check(writer, &check);
	ck_assert_uint_eq(check.survey.count, 3);
	ck_assert_ptr_nonnull(strstr(check.survey.sentences[0], "(NoSuchOperator, opset 13)"));
	ck_assert_ptr_nonnull(strstr(check.survey.sentences[1], "(AndNoSuchOne, opset 13)"));
	ck_assert_ptr_nonnull(strstr(check.survey.sentences[2], "do not multiply"));
	ck_assert_uint_eq(check.survey.unjudged, 2);
	check_deinit(&check);
}
END_TEST

START_TEST(a_refused_input_is_said_once_and_not_for_its_readers)
{
	struct onnx_writer *writer = linear();
	struct check check;

	onnx_writer_input(writer, "words", 8, "batch,4"); /* string */
	onnx_writer_node(writer, "Relu", "words", "behind");
	model_check(writer, &check);
	ck_assert_uint_eq(check.survey.count, 1);
	ck_assert_ptr_nonnull(strstr(check.survey.sentences[0], "input 'words' is string"));
	ck_assert_uint_eq(check.survey.unjudged, 1);
	check_deinit(&check);
}
END_TEST

START_TEST(a_node_that_mixes_rows_is_named)
{
	static const int64_t axis = 0;
	struct onnx_writer *writer = linear();
	struct check check;

	onnx_writer_tensor(writer, "axis", DTYPE_I64, "1", &axis, sizeof(axis));
	onnx_writer_node(writer, "ReduceSum", "sum,axis", "over_rows");
	onnx_writer_node(writer, "Add", "sum,over_rows", "mixed");
	onnx_writer_output(writer, "mixed", DTYPE_F32, "batch,3");
	model_check(writer, &check);
	ck_assert_uint_eq(check.survey.count, 0);
	ck_assert_msg(strstr(check.shares_not, "(ReduceSum) gives 'over_rows'") != NULL, "%s",
		      check.shares_not);
	check_deinit(&check);
}
END_TEST

START_TEST(values_and_offsets_share_batches)
{
	struct check check;

	model_check(jagged_model(JAGGED_BESIDE), &check);
	ck_assert_uint_eq(check.survey.count, 0);
	ck_assert_str_eq(check.shares_not, "");
	check_deinit(&check);
	model_check(jagged_model(JAGGED_MANY), &check);
	ck_assert_str_eq(check.shares_not, "");
	ck_assert_uint_eq(check.step_count, 3); /* all bags in one, x beside them, a product */
	check_deinit(&check);
	model_check(jagged_model(JAGGED_LAST), &check);
	ck_assert_str_eq(check.shares_not, "");
	check_deinit(&check);
}
END_TEST

START_TEST(a_file_that_is_none_is_refused)
{
	struct check check;
	int directory_fd = open("/", O_RDONLY | O_DIRECTORY);

	ck_assert_int_eq(check_model(&check, directory_fd, "no-such-file", "checked", ROWS), 0);
	(void)close(directory_fd);
	ck_assert_uint_eq(check.survey.count, 1);
	ck_assert_ptr_nonnull(strstr(check.survey.sentences[0], "does not exist"));
	check_deinit(&check);
}
END_TEST

START_TEST(every_kernel_has_a_name)
{
	for (int kernel = 0; kernel < KERNEL_COUNT; kernel++)
		ck_assert_msg(kernel_name((enum kernel)kernel) != NULL, "kernel %d", kernel);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("check");
	TCase *tests = tcase_create("check");

	tcase_add_test(tests, a_sound_file_loads_and_its_steps_are_priced);
	tcase_add_test(tests, every_refused_node_is_named_and_what_is_behind_it_is_not_judged);
	tcase_add_test(tests, a_refused_input_is_said_once_and_not_for_its_readers);
	tcase_add_test(tests, a_node_that_mixes_rows_is_named);
	tcase_add_test(tests, values_and_offsets_share_batches);
	tcase_add_test(tests, a_file_that_is_none_is_refused);
	tcase_add_test(tests, every_kernel_has_a_name);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
