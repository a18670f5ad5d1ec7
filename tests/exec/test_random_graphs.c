/* SPDX-License-Identifier: MIT */
/*
 * tests/exec/test_random_graphs.c - graphs grown node by node from random operators
 *
 * A node that is refused is dropped. What is accepted must run without reading
 * or writing beyond its tensors (a sanitizer watches), and where rows were
 * proven independent, a row must have the same bits alone and in a batch,
 * whichever way and with how many workers the batch is run.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/exec/engine_fixture.h"
#include "tests/suite.h"

#define SEED 20260418
#define GRAPHS 24
#define NODES_MAX 12
#define TRIES 30
#define BATCH 3
#define OUTPUT_BYTES_MAX (1 << 20)

enum kind {
	KIND_NONE,
	KIND_INT,
	KIND_INTS,
};

struct random_node {
	char op[24];
	char inputs[64];
	char attribute[16];
	enum kind kind;
	int64_t values[3];
	uint32_t count;
};

static unsigned int seed;

static int64_t pick(int64_t bound)
{
	return rand_r(&seed) % bound;
}

static void value_name(char name[16], uint32_t node_count)
{
	static const char *const names[] = {"x", "z", "w", "b", "rows_f"};
	int64_t index = pick(node_count + 5);

	if (index < 5)
		(void)snprintf(name, 16, "%s", names[index]);
	else
		(void)snprintf(name, 16, "v%lld", (long long)pick(node_count));
}

/* Operators, how many values they take, what else they read, and their attribute. */
static const struct {
	const char *op;
	int values;
	const char *constants;
	const char *attribute;
	enum kind kind;
} templates[] = {
	{"Relu", 1, "", "", KIND_NONE},
	{"Sigmoid", 1, "", "", KIND_NONE},
	{"Tanh", 1, "", "", KIND_NONE},
	{"Identity", 1, "", "", KIND_NONE},
	{"Clip", 1, ",low,high", "", KIND_NONE},
	{"Pow", 1, ",two", "", KIND_NONE},
	{"Add", 2, "", "", KIND_NONE},
	{"Add", 1, ",b", "", KIND_NONE},
	{"Mul", 2, "", "", KIND_NONE},
	{"Sub", 2, "", "", KIND_NONE},
	{"Max", 3, "", "", KIND_NONE},
	{"Min", 2, "", "", KIND_NONE},
	{"MatMul", 2, "", "", KIND_NONE},
	{"MatMul", 1, ",w", "", KIND_NONE},
	{"Gemm", 2, "", "transA", KIND_INT},
	{"Gemm", 2, "", "transB", KIND_INT},
	{"Gemm", 1, ",w,b", "transA", KIND_INT},
	{"Gemm", 3, "", "transB", KIND_INT},
	{"Concat", 2, "", "axis", KIND_INT},
	{"Concat", 3, "", "axis", KIND_INT},
	{"Softmax", 1, "", "axis", KIND_INT},
	{"Flatten", 1, "", "axis", KIND_INT},
	{"Gather", 1, ",i0", "axis", KIND_INT},
	{"Gather", 1, ",i10", "axis", KIND_INT},
	{"Gather", 1, ",ids", "axis", KIND_INT},
	{"Transpose", 1, "", "perm", KIND_INTS},
	{"ReduceMean", 1, "", "axes", KIND_INTS},
	{"ReduceSum", 1, ",one", "keepdims", KIND_INT},
	{"Unsqueeze", 1, ",one", "", KIND_NONE},
	{"Squeeze", 1, ",one", "", KIND_NONE},
	{"Reshape", 1, ",shape0", "", KIND_NONE},
	{"Reshape", 1, ",shape1", "", KIND_NONE},
	{"Reshape", 1, ",shape2", "", KIND_NONE},
	{"Slice", 1, ",one,three", "", KIND_NONE},
	{"Slice", 1, ",zero,far,one,two1", "", KIND_NONE},
	{"Slice", 1, ",minus,least,one,minus", "", KIND_NONE},
	{"Slice", 1, ",rows,next", "", KIND_NONE},
	{"Slice", 1, ",rows,next,one", "", KIND_NONE},
	{"Slice", 1, ",zero,rows", "", KIND_NONE},
	{"Gather", 1, ",rows", "axis", KIND_INT},
	{"Reshape", 1, ",shape3", "", KIND_NONE},
	{"Div", 2, "", "", KIND_NONE},
	{"LayerNormalization", 1, ",b", "axis", KIND_INT},
	{"GatherElements", 1, ",ids", "axis", KIND_INT},
	{"GatherND", 1, ",ids", "batch_dims", KIND_INT},
	{"GatherND", 1, ",pair", "", KIND_NONE},
	{"TopK", 1, ",one", "axis", KIND_INT},
};

static void node_random(struct random_node *node, uint32_t node_count)
{
	size_t which = (size_t)pick((int64_t)(sizeof(templates) / sizeof(templates[0])));
	size_t used = 0;

	memset(node, 0, sizeof(*node));
	(void)snprintf(node->op, sizeof(node->op), "%s", templates[which].op);
	for (int index = 0; index < templates[which].values; index++) {
		char name[16];

		value_name(name, node_count);
		used += (size_t)snprintf(node->inputs + used, sizeof(node->inputs) - used, "%s%s",
					 index ? "," : "", name);
	}
	(void)snprintf(node->inputs + used, sizeof(node->inputs) - used, "%s",
		       templates[which].constants);
	(void)snprintf(node->attribute, sizeof(node->attribute), "%s", templates[which].attribute);
	node->kind = templates[which].kind;
	node->count = 1 + (uint32_t)pick(3);
	for (uint32_t index = 0; index < node->count; index++)
		node->values[index] = node->kind == KIND_INT ? pick(5) - 2 : pick(3);
	if (strncmp(node->attribute, "trans", 5) == 0)
		node->values[0] = pick(2);
}

static void put_integers(struct onnx_writer *writer, const char *name, const char *shape, int64_t a,
			 int64_t b)
{
	const int64_t values[] = {a, b};

	onnx_writer_tensor(writer, name, DTYPE_I64, shape, values,
			   (shape[0] == '2' ? 2 : 1) * sizeof(int64_t));
}

static struct onnx_writer *put_graph(const struct random_node nodes[], uint32_t count)
{
	static const float floats[16] = {0.5f,	 -1, 0.25f, 2, 1, -0.5f, 3,
					 0.125f, -2, 1,	    0, 4, -3,	 1};
	static const float two = 2, low = -1, high = 1;
	struct onnx_writer *writer = onnx_writer_new(17);

	onnx_writer_input(writer, "x", DTYPE_F32, "batch,4");
	onnx_writer_input(writer, "z", DTYPE_F32, "batch,2,4");
	onnx_writer_input(writer, "ids", DTYPE_I64, "batch,2");
	onnx_writer_tensor(writer, "w", DTYPE_F32, "4,4", floats, sizeof(floats));
	onnx_writer_tensor(writer, "b", DTYPE_F32, "4", floats, 4 * sizeof(float));
	onnx_writer_tensor(writer, "two", DTYPE_F32, "", &two, sizeof(two));
	onnx_writer_tensor(writer, "low", DTYPE_F32, "", &low, sizeof(low));
	onnx_writer_tensor(writer, "high", DTYPE_F32, "", &high, sizeof(high));
	put_integers(writer, "i0", "", -1, 0);
	put_integers(writer, "i10", "2", 1, 0);
	put_integers(writer, "pair", "2,1", 1, -1);
	put_integers(writer, "zero", "1", 0, 0);
	put_integers(writer, "one", "1", 1, 0);
	put_integers(writer, "two1", "1", 2, 0);
	put_integers(writer, "three", "1", 3, 0);
	put_integers(writer, "minus", "1", -1, 0);
	put_integers(writer, "far", "1", INT64_MAX, 0);
	put_integers(writer, "least", "1", INT64_MIN, 0);
	put_integers(writer, "shape0", "2", -1, 2);
	put_integers(writer, "shape1", "2", 0, -1);
	put_integers(writer, "shape2", "2", 4, -1);
	/* The number of rows, as integers and as a float. */
	onnx_writer_node(writer, "Shape", "x", "sizes");
	onnx_writer_node(writer, "Slice", "sizes,zero,one", "rows");
	onnx_writer_node(writer, "Add", "rows,one", "next");
	onnx_writer_node(writer, "Concat", "minus,rows", "shape3");
	onnx_writer_int(writer, "axis", 0);
	onnx_writer_node(writer, "Cast", "rows", "rows_f");
	onnx_writer_int(writer, "to", DTYPE_F32);
	for (uint32_t index = 0; index < count; index++) {
		const struct random_node *node = &nodes[index];
		char output[16];

		(void)snprintf(output, sizeof(output), "v%u", index);
		onnx_writer_node(writer, node->op, node->inputs, output);
		if (node->kind == KIND_INT)
			onnx_writer_int(writer, node->attribute, node->values[0]);
		if (node->kind == KIND_INTS)
			onnx_writer_ints(writer, node->attribute, node->values, node->count);
		/* The last value of all, and some on the way. */
		if (index + 1 == count || index == 2)
			onnx_writer_output(writer, output, DTYPE_F32, NULL);
	}
	return writer;
}

static void graph_print(const struct random_node nodes[], uint32_t count)
{
	for (uint32_t index = 0; index < count; index++)
		fprintf(stderr, "v%u = %s(%s) %s %lld %lld %lld (%u)\n", index, nodes[index].op,
			nodes[index].inputs, nodes[index].attribute,
			(long long)nodes[index].values[0], (long long)nodes[index].values[1],
			(long long)nodes[index].values[2], nodes[index].count);
}

/* Runs `rows` rows from row `first`; false when the graph does not take as many. */
static bool run_rows(struct engine *engine, uint32_t first, int64_t rows, char *const results[2])
{
	static const float x[BATCH * 4] = {1, 2, 3, 4, -1, 0.5f, 2, 1, 3, 3, -2, 0.25f};
	static const float z[BATCH * 8] = {1, 1, 2, -3, 5, 8, 1, 2, 0, 1, 1, -1,
					   4, 2, 1, 0,  3, 1, 2, 2, 1, 9, 7, 1};
	static const int64_t ids[BATCH * 2] = {0, 1, 2, 3, 3, -1};
	const int64_t symbols[SIGNATURE_SYMBOLS_MAX] = {rows};
	const void *inputs[] = {x + first * 4, z + first * 8, ids + first * 2};
	void *outputs[] = {results[0], results[1]};
	struct row_status status[BATCH] = {0};

	if (!engine_fits(engine, symbols))
		return false;
	fixture_run(engine, symbols, inputs, outputs, status);
	return true;
}

static void rows_compare(struct engine *engine, const struct random_node nodes[], uint32_t count)
{
	const struct signature *signature = engine_signature(engine);
	const int64_t one[SIGNATURE_SYMBOLS_MAX] = {1}, all[SIGNATURE_SYMBOLS_MAX] = {BATCH};
	char *whole[2] = {malloc(OUTPUT_BYTES_MAX), malloc(OUTPUT_BYTES_MAX)};
	char *alone[2] = {malloc(OUTPUT_BYTES_MAX), malloc(OUTPUT_BYTES_MAX)};
	bool runs = true;

	for (uint32_t output = 0; output < signature->output_count; output++)
		runs = runs && signature_elements(&signature->outputs[output], all) <
				       OUTPUT_BYTES_MAX / 8;
	runs = runs && run_rows(engine, 0, BATCH, whole);
	for (uint32_t row = 0; runs && signature->row_symbol == 0 && row < BATCH; row++) {
		if (!run_rows(engine, row, 1, alone))
			break;
		for (uint32_t output = 0; output < signature->output_count; output++) {
			size_t bytes =
				(size_t)signature_elements(&signature->outputs[output], one) *
				sizeof(float);

			if (memcmp(whole[output] + row * bytes, alone[output], bytes) == 0)
				continue;
			graph_print(nodes, count);
			ck_abort_msg("row %u of output %u differs alone", row, output);
		}
	}
	for (int index = 0; index < 2; index++) {
		free(whole[index]);
		free(alone[index]);
	}
}

START_TEST(accepted_graphs_run_and_proven_rows_are_independent)
{
	struct workers_options threads = {.count = 1 + (uint32_t)_i % 3, .node = -1};
	struct engine_options options = {.rows_max = 4, .node = -1};
	struct random_node nodes[NODES_MAX];
	uint32_t count = 0;

	seed = SEED + (unsigned int)_i;
	printf("seed %u\n", seed);
	options.activation_bytes_max = 8 << 20;
	/* Alone in chunks that are chosen, or in chunks of 1 to 3 rows, all ways. */
	ck_assert_int_eq(workers_new(&threads, &options.workers), 0);
	if (_i >= GRAPHS / 4) {
		options.chunk_rows = 1 + (uint32_t)pick(3);
		options.way = (enum way)pick(WAY_COUNT);
	}
	for (int attempt = 0; attempt < TRIES && count < NODES_MAX; attempt++) {
		struct engine *engine;

		node_random(&nodes[count], count);
		engine = fixture_engine(put_graph(nodes, count + 1), &options);
		if (!engine)
			continue;
		rows_compare(engine, nodes, ++count);
		engine_free(engine);
	}
	ck_assert_uint_ge(count, 2);
	workers_free(options.workers);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("random graphs");
	TCase *tests = tcase_create("random graphs");

	tcase_add_loop_test(tests, accepted_graphs_run_and_proven_rows_are_independent, 0, GRAPHS);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
