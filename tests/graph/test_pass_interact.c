/* SPDX-License-Identifier: MIT */
/* tests/graph/test_pass_interact.c - a choice of dot products becomes one kernel, and stays right */
#include <check.h>
#include <stdio.h>

#include "tests/graph/graph_fixture.h"
#include "tests/graph/shown.h"
#include "tests/suite.h"

#define SEEDS 8
#define PAIRS_MAX 1024

static void build(struct built *built, shown_write write, uint32_t seed)
{
	struct onnx_writer *writer = onnx_writer_new(13);

	write(writer, seed);
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	ck_assert_msg(built_init(built, writer), "%s", err_message());
}

/* Some pairs of `vectors` vectors: lower, lower with the diagonal, upper, or any. */
static uint64_t pairs_of(int64_t vectors, uint32_t *seed, int64_t left[], int64_t right[])
{
	uint64_t count = 0;
	int64_t kind;

	kind = (int64_t)(*seed % 4);
	for (int64_t i = 0; i < vectors; i++) {
		int64_t first = kind == 2 ? i + 1 : 0;
		int64_t end = kind == 0 ? i : kind == 1 ? i + 1 : vectors;

		for (int64_t j = first; j < end; j++) {
			if (kind == 3 && (i * 7 + j * 5) % 3 != 0)
				continue;
			left[count] = i;
			right[count++] = kind == 3 ? j - vectors : j; /* from the end */
		}
	}
	return count;
}

/* "dense" from the input, and F - 1 more, joined and seen as t [rows, F, d]. */
static int64_t put_vectors(struct onnx_writer *writer, uint32_t *seed, int64_t depth)
{
	int64_t k = shown_width(seed, 3, 20), vectors = shown_width(seed, 3, 20);
	int64_t shape[] = {-1, vectors, depth};

	shown_input(writer, "x", k);
	shown_matrix(writer, "w1", k, depth, seed);
	shown_matrix(writer, "w2", k, (vectors - 1) * depth, seed);
	put_i64(writer, "t_shape", "3", shape, 3);
	onnx_writer_node(writer, "MatMul", "x,w2", "others");
	onnx_writer_node(writer, "Gemm", "x,w1", "raw");
	onnx_writer_node(writer, "Relu", "raw", "dense");
	onnx_writer_node(writer, "Concat", "dense,others", "joined");
	onnx_writer_int(writer, "axis", 1);
	onnx_writer_node(writer, "Reshape", "joined,t_shape", "t");
	onnx_writer_node(writer, "Transpose", "t", "tt");
	onnx_writer_ints(writer, "perm", (const int64_t[]){0, 2, 1}, 3);
	onnx_writer_node(writer, "MatMul", "t,tt", "z");
	return vectors;
}

static void put_list(struct onnx_writer *writer, const char *name, const int64_t *values,
		     uint64_t count)
{
	char shape[32];

	(void)snprintf(shape, sizeof(shape), "%llu", (unsigned long long)count);
	put_i64(writer, name, shape, values, count);
}

/* Reshape and one Gather, the head before the pairs. */
static void put_gather(struct onnx_writer *writer, uint32_t seed)
{
	int64_t left[PAIRS_MAX], right[PAIRS_MAX], index[PAIRS_MAX];
	int64_t vectors = put_vectors(writer, &seed, 16);
	int64_t shape[] = {-1, vectors * vectors};
	uint64_t count = pairs_of(vectors, &seed, left, right);

	for (uint64_t pair = 0; pair < count; pair++)
		index[pair] = left[pair] * vectors + right[pair];
	put_list(writer, "index", index, count);
	put_i64(writer, "z_shape", "2", shape, 2);
	onnx_writer_node(writer, "Reshape", "z,z_shape", "flat");
	onnx_writer_node(writer, "Gather", "flat,index", "pairs");
	onnx_writer_int(writer, "axis", 1);
	onnx_writer_node(writer, "Concat", "dense,pairs", "y");
	onnx_writer_int(writer, "axis", 1);
}

START_TEST(a_gather_of_products_is_one_kernel_with_its_head)
{
	struct built built;

	build(&built, put_gather, (uint32_t)_i);
	ck_assert_uint_eq(built_count(&built, KERNEL_GEMM), 2);
	ck_assert_uint_eq(built_count(&built, KERNEL_INTERACT), 1);
	ck_assert_uint_eq(built.lowering.step_count, 3);
	ck_assert_int_eq(built.lowering.row_symbol, 0);
	built_deinit(&built);
	shown_check(put_gather, (uint32_t)_i, "z,flat,pairs,tt,joined");
}
END_TEST

/* z[:, i, j] as PyTorch's exporters write it, with the rows innermost in between: the index
 * computed from the sizes of z, or a GatherND. */
static void put_turned(struct onnx_writer *writer, uint32_t seed, bool as_list)
{
	int64_t left[PAIRS_MAX], right[PAIRS_MAX], both[2 * PAIRS_MAX];
	int64_t vectors = put_vectors(writer, &seed, shown_width(&seed, 1, 40));
	uint64_t count = pairs_of(vectors, &seed, left, right);
	char shape[32];

	onnx_writer_node(writer, "Transpose", "z", "turned");
	onnx_writer_ints(writer, "perm", (const int64_t[]){1, 2, 0}, 3);
	if (as_list) {
		put_list(writer, "li", left, count);
		put_list(writer, "lj", right, count);
		put_i64(writer, "two", "", &(int64_t){2}, 1);
		onnx_writer_node(writer, "Shape", "z", "z_shape");
		onnx_writer_node(writer, "Gather", "z_shape,two", "columns");
		onnx_writer_node(writer, "Mul", "li,columns", "lines");
		onnx_writer_node(writer, "Add", "lines,lj", "index");
		onnx_writer_node(writer, "Flatten", "turned", "flat");
		onnx_writer_int(writer, "axis", 2);
		onnx_writer_node(writer, "Gather", "flat,index", "chosen");
		return;
	}
	for (uint64_t pair = 0; pair < count; pair++) {
		both[2 * pair] = left[pair];
		both[2 * pair + 1] = right[pair];
	}
	(void)snprintf(shape, sizeof(shape), "%llu,2", (unsigned long long)count);
	put_i64(writer, "index", shape, both, 2 * count);
	onnx_writer_node(writer, "GatherND", "turned,index", "chosen");
}

static void put_head_behind(struct onnx_writer *writer)
{
	onnx_writer_node(writer, "Transpose", "chosen", "back");
	onnx_writer_ints(writer, "perm", (const int64_t[]){1, 0}, 2);
	onnx_writer_node(writer, "Identity", "back", "pairs");
	onnx_writer_node(writer, "Concat", "pairs,dense", "y");
	onnx_writer_int(writer, "axis", 1);
}

static void put_lists(struct onnx_writer *writer, uint32_t seed)
{
	put_turned(writer, seed, true);
	put_head_behind(writer);
}

static void put_nd(struct onnx_writer *writer, uint32_t seed)
{
	put_turned(writer, seed, false);
	put_head_behind(writer);
}

START_TEST(two_lists_are_one_kernel_and_prove_their_rows)
{
	struct built built;

	build(&built, put_lists, (uint32_t)_i);
	ck_assert_uint_eq(built_count(&built, KERNEL_INTERACT), 1);
	ck_assert_uint_eq(built.lowering.step_count, 3);
	ck_assert_int_eq(built.lowering.row_symbol, 0);
	built_deinit(&built);
	shown_check(put_lists, (uint32_t)_i, "z,turned,flat,chosen,back,tt,joined");
}
END_TEST

START_TEST(points_are_one_kernel_and_prove_their_rows)
{
	struct built built;

	build(&built, put_nd, (uint32_t)_i);
	ck_assert_uint_eq(built_count(&built, KERNEL_INTERACT), 1);
	ck_assert_uint_eq(built.lowering.step_count, 3);
	ck_assert_int_eq(built.lowering.row_symbol, 0);
	built_deinit(&built);
	shown_check(put_nd, (uint32_t)_i, "z,turned,chosen,back,tt,joined");
}
END_TEST

/* Pairs without a head, and one more part beside them. */
static void put_beside(struct onnx_writer *writer, uint32_t seed)
{
	put_turned(writer, seed, true);
	onnx_writer_node(writer, "Transpose", "chosen", "pairs");
	onnx_writer_ints(writer, "perm", (const int64_t[]){1, 0}, 2);
	onnx_writer_node(writer, "Concat", "others,pairs,x", "y");
	onnx_writer_int(writer, "axis", 1);
}

START_TEST(pairs_are_written_into_a_concat)
{
	struct built built;

	build(&built, put_beside, (uint32_t)_i);
	ck_assert_uint_eq(built_count(&built, KERNEL_INTERACT), 1);
	ck_assert_uint_eq(built_count(&built, KERNEL_COPY), 2); /* others, x */
	ck_assert_uint_eq(built.lowering.step_count, 5);
	built_deinit(&built);
	shown_check(put_beside, (uint32_t)_i, "z,turned,flat,chosen,pairs,tt,joined");
}
END_TEST

/* The products themselves are an output. */
START_TEST(products_that_others_read_stay)
{
	struct onnx_writer *writer = onnx_writer_new(13);
	struct built built;

	put_gather(writer, 0);
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	onnx_writer_output(writer, "z", DTYPE_F32, NULL);
	ck_assert_msg(built_init(&built, writer), "%s", err_message());
	ck_assert_uint_eq(built_count(&built, KERNEL_INTERACT), 0);
	ck_assert_uint_eq(built_count(&built, KERNEL_MATMUL), 1);
	built_deinit(&built);
}
END_TEST

/* _i: rows that are cut elsewhere, or pairs of two different values. */
START_TEST(what_is_no_square_stays)
{
	struct onnx_writer *writer = onnx_writer_new(13);
	int64_t index[] = {1, 2, 3}, shape[] = {-1, 9}, wrong[] = {-1, 3};
	struct built built;

	onnx_writer_input(writer, "t", DTYPE_F32, "batch,3,4");
	onnx_writer_input(writer, "u", DTYPE_F32, "batch,3,4");
	put_i64(writer, "index", "3", _i ? index : (const int64_t[]){0, 1, 2}, 3);
	put_i64(writer, "shape", "2", _i ? shape : wrong, 2);
	onnx_writer_node(writer, "Relu", "t", "a");
	onnx_writer_node(writer, "Relu", "u", "b");
	onnx_writer_node(writer, "Transpose", _i ? "b" : "a", "bt");
	onnx_writer_ints(writer, "perm", (const int64_t[]){0, 2, 1}, 3);
	onnx_writer_node(writer, "MatMul", "a,bt", "z");
	onnx_writer_node(writer, "Reshape", "z,shape", "flat");
	onnx_writer_node(writer, "Gather", "flat,index", "y");
	onnx_writer_int(writer, "axis", 1);
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	ck_assert_msg(built_init(&built, writer), "%s", err_message());
	ck_assert_uint_eq(built_count(&built, KERNEL_INTERACT), 0);
	built_deinit(&built);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pass_interact");
	TCase *tests = tcase_create("pass_interact");

	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, a_gather_of_products_is_one_kernel_with_its_head, 0, SEEDS);
	tcase_add_loop_test(tests, two_lists_are_one_kernel_and_prove_their_rows, 0, SEEDS);
	tcase_add_loop_test(tests, points_are_one_kernel_and_prove_their_rows, 0, SEEDS);
	tcase_add_loop_test(tests, pairs_are_written_into_a_concat, 0, SEEDS);
	tcase_add_test(tests, products_that_others_read_stay);
	tcase_add_loop_test(tests, what_is_no_square_stays, 0, 2);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
