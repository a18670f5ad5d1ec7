/* SPDX-License-Identifier: MIT */
/*
 * tests/graph/test_bounds.c - what a hostile file may cost at load: counted, not timed
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exec/weights.h"
#include "model/onnx_parts.h"
#include "tests/graph/graph_fixture.h"
#include "tests/suite.h"

#define BLOCK_BYTES 8 /* of a colliding name */
#define BLOCK_COUNT (1u << 22)
#define BLOCKS 12
#define NAMES (1 << BLOCKS)
#define TRIES (1 << 18)
#define READERS 200

/* --- names ------------------------------------------------------------------------------------------ */

static uint32_t fnv1a(uint32_t hash, const char *bytes, int count)
{
	for (int index = 0; index < count; index++)
		hash = (hash ^ (uint8_t)bytes[index]) * 16777619U;
	return hash;
}

/* Eight characters from "0" to "o": enough of them for a hash of 32 bits to collide. */
static void block_of(uint32_t number, char ret_block[BLOCK_BYTES])
{
	uint64_t mixed = number * UINT64_C(0x9e3779b97f4a7c15);

	mixed ^= mixed >> 29;
	for (int index = 0; index < BLOCK_BYTES; index++, mixed >>= 6)
		ret_block[index] = (char)('0' + (mixed & 63));
}

/* Two blocks that take the hash from one state to the same other one. */
static uint32_t blocks_collide(uint32_t state, char ret_blocks[2][BLOCK_BYTES])
{
	static uint32_t numbers[TRIES];
	static uint32_t hashes[TRIES];

	memset(numbers, 0, sizeof(numbers));
	for (uint32_t number = 1; number < BLOCK_COUNT; number++) {
		uint32_t hash, slot;

		block_of(number, ret_blocks[1]);
		hash = fnv1a(state, ret_blocks[1], BLOCK_BYTES);
		slot = hash % TRIES;
		if (numbers[slot] && hashes[slot] == hash) {
			block_of(numbers[slot], ret_blocks[0]);
			return hash;
		}
		numbers[slot] = number;
		hashes[slot] = hash;
	}
	ck_abort_msg("no two blocks collide");
}

/* NAMES names with one hash: each block is one of two. */
static void names_collide(char names[NAMES][BLOCKS * BLOCK_BYTES + 1])
{
	char blocks[BLOCKS][2][BLOCK_BYTES];
	uint32_t state = 2166136261U;

	for (int block = 0; block < BLOCKS; block++)
		state = blocks_collide(state, blocks[block]);
	for (int name = 0; name < NAMES; name++) {
		for (int block = 0; block < BLOCKS; block++)
			memcpy(names[name] + block * BLOCK_BYTES, blocks[block][name >> block & 1],
			       BLOCK_BYTES);
		names[name][BLOCKS * BLOCK_BYTES] = '\0';
		ck_assert_uint_eq(fnv1a(2166136261U, names[name], BLOCKS * BLOCK_BYTES), state);
	}
}

START_TEST(names_that_collide_cost_no_more_than_others)
{
	static char names[NAMES][BLOCKS * BLOCK_BYTES + 1];
	struct onnx_writer *writer = onnx_writer_new(13);
	uint64_t looks = 3 * NAMES + 4; /* each name is sorted, put, and read */
	float value = 1;
	struct built built;

	names_collide(names);
	onnx_writer_input(writer, "x", DTYPE_F32, "batch,1");
	for (int name = 0; name < NAMES; name++)
		onnx_writer_tensor(writer, names[name], DTYPE_F32, "", &value, sizeof(value));
	onnx_writer_node(writer, "Add", "x,x", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	ck_assert_msg(built_init(&built, writer), "%s", err_message());
	ck_assert_uint_gt(built.graph.name_comparisons, NAMES);
	ck_assert_msg(built.graph.name_comparisons <= looks * (BLOCKS + 1),
		      "%llu comparisons of %d names",
		      (unsigned long long)built.graph.name_comparisons, NAMES);
	built_deinit(&built);
}
END_TEST

/* --- folding ---------------------------------------------------------------------------------------- */

static uint32_t kernel_calls;

static void kernel_count(const void *args)
{
	(void)args;
	kernel_calls++;
}

/* A constant of 64 MiB, made of two of 16 KiB, that READERS nodes read. */
static struct onnx_writer *one_constant_many_readers(void)
{
	static float row[4096];
	struct onnx_writer *writer = onnx_writer_new(11);
	static const int64_t axes[2] = { 0, 1 };

	onnx_writer_input(writer, "x", DTYPE_F32, "batch,1");
	onnx_writer_tensor(writer, "a", DTYPE_F32, "4096,1", row, sizeof(row));
	onnx_writer_tensor(writer, "b", DTYPE_F32, "1,4096", row, sizeof(row));
	onnx_writer_node(writer, "Add", "a,b", "large");
	for (int reader = 0; reader < READERS; reader++) {
		char name[16];

		snprintf(name, sizeof(name), "sum%d", reader);
		onnx_writer_node(writer, "ReduceSum", "large", name);
		onnx_writer_ints(writer, "axes", axes, 2);
	}
	onnx_writer_node(writer, "Add", "x,sum0", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	return writer;
}

START_TEST(folding_one_constant_at_many_nodes_is_refused_within_its_budget)
{
	struct onnx_writer *writer = one_constant_many_readers();
	struct device counting = *cpu_device();
	struct onnx_model *model = NULL;
	struct graph graph;
	size_t byte_count;
	uint8_t *bytes = onnx_writer_pack(writer, &byte_count);
	int directory_fd = open("/", O_RDONLY | O_DIRECTORY);
	int r;

	for (size_t kernel = 0; kernel < sizeof(counting.kernels) / sizeof(counting.kernels[0]);
	     kernel++)
		counting.kernels[kernel] = kernel_count;
	ck_assert_int_eq(onnx_parse(directory_fd, "bounds", bytes, byte_count, &model), 0);
	r = graph_init(&graph, "bounds", model, &counting);
	ck_assert_int_eq(r, -EOPNOTSUPP);
	ck_assert_msg(strstr(err_message(), "computing with constants at load takes more than"),
		      "\"%s\"", err_message());
	ck_assert_uint_le(graph.folding_bytes, GRAPH_FOLDING_BYTES_MAX);
	ck_assert_uint_gt(kernel_calls, 16);
	ck_assert_uint_lt(kernel_calls, READERS);
	graph_deinit(&graph);
	onnx_close(model);
	close(directory_fd);
	free(bytes);
	onnx_writer_free(writer);
}
END_TEST

/* --- layouts ---------------------------------------------------------------------------------------- */

static struct onnx_writer *one_matrix_many_factors(int nodes)
{
	static float matrix[1024 * 1024];
	struct onnx_writer *writer = onnx_writer_new(13);
	char input[16] = "x", output[16];

	onnx_writer_input(writer, "x", DTYPE_F32, "batch,1024");
	onnx_writer_tensor(writer, "w", DTYPE_F32, "1024,1024", matrix, sizeof(matrix));
	for (int node = 0; node < nodes; node++) {
		char inputs[24];

		snprintf(inputs, sizeof(inputs), "%s,w", input);
		snprintf(output, sizeof(output), "h%d", node);
		onnx_writer_node(writer, "Gemm", inputs, output);
		onnx_writer_float(writer, "alpha", 1 + (float)node);
		memcpy(input, output, sizeof(input));
	}
	onnx_writer_output(writer, output, DTYPE_F32, NULL);
	return writer;
}

START_TEST(a_matrix_in_ever_new_layouts_is_refused_before_it_fills_the_memory)
{
	struct built built;
	struct weights_extent extent;

	ck_assert_msg(built_init(&built, one_matrix_many_factors(_i)), "%s", err_message());
	ck_assert_uint_eq(built.lowering.weight_count, (unsigned)_i);
	if (_i <= 65) {
		ck_assert_msg(weights_place(&built.lowering, false, false, &extent) == 0, "%s",
			      err_message());
		ck_assert_uint_gt(extent.bytes, 0);
	} else {
		ck_assert_int_eq(weights_place(&built.lowering, false, false, &extent), -EOPNOTSUPP);
		ck_assert_msg(strstr(err_message(), "at most 4 times as many are made"), "\"%s\"",
			      err_message());
	}
	built_deinit(&built);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("bounds");
	TCase *tests = tcase_create("bounds");

	tcase_add_test(tests, names_that_collide_cost_no_more_than_others);
	tcase_add_test(tests, folding_one_constant_at_many_nodes_is_refused_within_its_budget);
	tcase_add_loop_test(tests,
			    a_matrix_in_ever_new_layouts_is_refused_before_it_fills_the_memory, 65,
			    67);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
