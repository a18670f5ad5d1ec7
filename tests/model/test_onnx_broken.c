/* SPDX-License-Identifier: MIT */
/* tests/model/test_onnx_broken.c - files that are not what they say: refused, in words, in bounds
 */

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/onnx_parts.h"
#include "onnx.pb-c.h"
#include "onnx_walk.h"
#include "onnx_writer.h"
#include "scratch.h"
#include "tests/suite.h"

#define SHOPPERS "tests/data/shoppers/repository/shoppers/"
#define READ_BYTES_MAX (UINT64_C(4) << 20)
#define FLIPS 20000
#define SEED 20240607u

/* A small sound model that has one of everything the tests break:
 * x -> Gemm(x, w, b) -> h -> Relu -> y, and a constant c. */
static struct onnx_writer *sound_writer(void)
{
	static const float weights[6] = {1, 2, 3, 4, 5, 6};
	static const int64_t steps[2] = {-1, 2};
	struct onnx_writer *writer = onnx_writer_new(17);

	onnx_writer_input(writer, "x", DTYPE_F32, "batch,3");
	onnx_writer_tensor(writer, "w", DTYPE_F32, "3,2", weights, sizeof(weights));
	onnx_writer_tensor(writer, "b", DTYPE_F32, "2", weights, 8);
	onnx_writer_constant(writer, "c", DTYPE_I64, "2", steps, sizeof(steps));
	onnx_writer_node(writer, "Gemm", "x,w,b", "h");
	onnx_writer_int(writer, "transB", 0);
	onnx_writer_float(writer, "alpha", 1);
	onnx_writer_node(writer, "Relu", "h", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, "batch,2");
	return writer;
}

/* The bytes in a block of exactly their size, so that a sanitizer sees a step beyond. */
static int parse(int directory_fd, const void *bytes, size_t byte_count,
		 struct onnx_model **ret_model)
{
	uint8_t *copy = malloc(byte_count ? byte_count : 1);
	int r;

	if (byte_count > 0)
		memcpy(copy, bytes, byte_count);
	r = onnx_parse(directory_fd, "broken/1", copy, byte_count, ret_model);
	free(copy);
	return r;
}

static void check_refused(const void *bytes, size_t byte_count, int error, const char *words)
{
	struct onnx_model *untouched = (struct onnx_model *)&untouched;
	struct onnx_model *model = untouched;
	int fd = scratch_open("/");
	int r = parse(fd, bytes, byte_count, &model);

	close(fd);
	ck_assert_msg(r == error, "result %d instead of %d (%s): %s", r, error, words,
		      r < 0 ? err_message() : "it was accepted");
	ck_assert_msg(model == untouched, "the output was touched on failure");
	ck_assert_msg(strstr(err_message(), words), "the sentence \"%s\" lacks \"%s\"",
		      err_message(), words);
	ck_assert_msg(strncmp(err_message(), "broken/1/model.onnx", 19) == 0,
		      "the sentence \"%s\" does not begin with the file", err_message());
}

static void check_writer_refused(struct onnx_writer *writer, int error, const char *words)
{
	size_t byte_count;
	uint8_t *bytes = onnx_writer_pack(writer, &byte_count);

	check_refused(bytes, byte_count, error, words);
	free(bytes);
	onnx_writer_free(writer);
}

START_TEST(the_model_that_the_tests_break_is_sound)
{
	struct onnx_writer *writer = sound_writer();
	struct onnx_model *model = NULL;
	int fd = scratch_open("/");
	size_t byte_count;
	uint8_t *bytes = onnx_writer_pack(writer, &byte_count);

	ck_assert_msg(parse(fd, bytes, byte_count, &model) == 0, "%s", err_message());
	onnx_walk(model, READ_BYTES_MAX);
	onnx_close(model);
	close(fd);
	free(bytes);
	onnx_writer_free(writer);
}
END_TEST

/* --- one thing wrong ------------------------------------------------------------------------ */

static int64_t dims_nine[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
static int64_t dims_negative[2] = {-3, -2};
static int64_t dims_huge[2] = {INT64_C(1) << 40, INT64_C(1) << 40};
static int64_t dims_past[2] = {INT64_MAX, 2};
static int64_t dims_many[2] = {INT64_C(1) << 33, 1};
static float few_floats[2] = {1, 2};
static int32_t wrong_int8[6] = {0, 0, 0, 0, 0, 128};
static Onnx__TensorProto__Segment segment = ONNX__TENSOR_PROTO__SEGMENT__INIT;
static Onnx__SparseTensorProto sparse = ONNX__SPARSE_TENSOR_PROTO__INIT;
static Onnx__SparseTensorProto *sparses[1] = {&sparse};
static Onnx__FunctionProto function = ONNX__FUNCTION_PROTO__INIT;
static Onnx__FunctionProto *functions[1] = {&function};
static Onnx__OperatorSetIdProto second_opset = ONNX__OPERATOR_SET_ID_PROTO__INIT;
static Onnx__TypeProto__Sequence sequence = ONNX__TYPE_PROTO__SEQUENCE__INIT;

static Onnx__OperatorSetIdProto *two_opsets[2] = {&second_opset, &second_opset};

#define NODE(index) (message->graph->node[index])
#define TENSOR(index) (message->graph->initializer[index])

/* A result, words of the sentence, and what makes the sound model unsound. */
#define DEFECTS                                                                                    \
	DEFECT(-EINVAL, "no IR version", message->has_ir_version = 0)                              \
	DEFECT(-EINVAL, "no IR version", message->ir_version = -8)                                 \
	DEFECT(-EINVAL, "no graph", message->graph = NULL)                                         \
	DEFECT(-EINVAL, "no opset_import", message->n_opset_import = 0)                            \
	DEFECT(-EINVAL, "opset is 0", message->opset_import[0]->version = 0)                       \
	DEFECT(-EINVAL, "opset is -1", message->opset_import[0]->version = -1)                     \
	DEFECT(-EINVAL, "twice", second_opset.has_version = 1; second_opset.domain = NULL;         \
	       second_opset.version = 17; message->opset_import = two_opsets;                      \
	       message->n_opset_import = 2)                                                        \
	DEFECT(-EINVAL, "no opset_import", second_opset.domain = (char *)"com.example";            \
	       second_opset.version = 17; message->opset_import = two_opsets;                      \
	       message->n_opset_import = 2)                                                        \
	DEFECT(-EOPNOTSUPP, "functions", message->n_functions = 1; message->functions = functions) \
	DEFECT(-EOPNOTSUPP, "sparse", message->graph->n_sparse_initializer = 1;                    \
	       message->graph->sparse_initializer = sparses)                                       \
	DEFECT(-EINVAL, "initializer 0 has no name", TENSOR(0)->name = NULL)                       \
	DEFECT(-EINVAL, "initializer 1 has no name", TENSOR(1)->name = (char *)"")                 \
	DEFECT(-EINVAL, "\"w\" is defined twice", TENSOR(1)->name = (char *)"w")                   \
	DEFECT(-EINVAL, "\"w\" is defined twice", NODE(1)->output[0] = (char *)"w")                \
	DEFECT(-EINVAL, "\"x\" is defined twice", NODE(1)->output[0] = (char *)"x")                \
	DEFECT(-EINVAL, "\"y\" is defined twice", NODE(1)->output[0] = (char *)"y")                \
	DEFECT(-EINVAL, "has no data type", TENSOR(0)->has_data_type = 0)                          \
	DEFECT(-EINVAL, "has no data type", TENSOR(0)->data_type = 0)                              \
	DEFECT(-EINVAL, "has no data type", TENSOR(0)->data_type = -1)                             \
	DEFECT(-EINVAL, "has 9 dims", TENSOR(0)->n_dims = 9; TENSOR(0)->dims = dims_nine)          \
	DEFECT(-EINVAL, "dim 0 is -3", TENSOR(0)->dims = dims_negative)                            \
	DEFECT(-EINVAL, "more than 2^63 bytes", TENSOR(0)->dims = dims_huge)                       \
	DEFECT(-EINVAL, "0 to 2^40 is wanted", TENSOR(0)->dims = dims_past)                        \
	DEFECT(-EINVAL, "34359738368 bytes and 24 are there", TENSOR(0)->dims = dims_many)         \
	DEFECT(-EINVAL, "24 bytes and 23 are there", TENSOR(0)->raw_data.len = 23)                 \
	DEFECT(-EINVAL, "24 bytes and 0 are there", TENSOR(0)->has_raw_data = 0)                   \
	DEFECT(-EINVAL, "4 bytes and 24 are there", TENSOR(0)->n_dims = 0)                         \
	DEFECT(-EINVAL, "6 values and float_data has 2", TENSOR(0)->has_raw_data = 0;              \
	       TENSOR(0)->n_float_data = 2; TENSOR(0)->float_data = few_floats)                    \
	DEFECT(-EINVAL, "in raw_data and in float_data", TENSOR(0)->n_float_data = 2;              \
	       TENSOR(0)->float_data = few_floats)                                                 \
	DEFECT(-EINVAL, "is INT32 and has values in float_data", TENSOR(0)->data_type = 6;         \
	       TENSOR(0)->n_float_data = 2; TENSOR(0)->float_data = few_floats)                    \
	DEFECT(-EINVAL, "value 5 is 128, which no INT8 is", TENSOR(0)->data_type = 3;              \
	       TENSOR(0)->has_raw_data = 0; TENSOR(0)->n_int32_data = 6;                           \
	       TENSOR(0)->int32_data = wrong_int8)                                                 \
	DEFECT(-EOPNOTSUPP, "segment", TENSOR(0)->segment = &segment)                              \
	DEFECT(-EINVAL, "data location 2", TENSOR(0)->has_data_location = 1;                       \
	       TENSOR(0)->data_location = 2)                                                       \
	DEFECT(-EINVAL, "raw_data and external data", TENSOR(0)->has_data_location = 1;            \
	       TENSOR(0)->data_location = 1)                                                       \
	DEFECT(-EOPNOTSUPP, "only initializers", NODE(0)->attribute[0]->t->has_data_location = 1;  \
	       NODE(0)->attribute[0]->t->data_location = 1)                                        \
	DEFECT(-EINVAL, "node 1 (? \"node_1\") has no op_type", NODE(1)->op_type = NULL)           \
	DEFECT(-EINVAL, "no op_type", NODE(1)->op_type = (char *)"")                               \
	DEFECT(-EINVAL, "reads \"nowhere\", which nothing defines",                                \
	       NODE(1)->input[2] = (char *)"nowhere")                                              \
	DEFECT(-EINVAL, "reads \"h\", which node 1 defines later",                                 \
	       NODE(1)->input[0] = (char *)"h")                                                    \
	DEFECT(-EINVAL, "reads \"y\", which node 2 defines later",                                 \
	       NODE(1)->input[0] = (char *)"y")                                                    \
	DEFECT(-EINVAL, "attribute without a name", NODE(1)->attribute[0]->name = NULL)            \
	DEFECT(-EINVAL, "attribute \"alpha\" twice",                                               \
	       NODE(1)->attribute[0]->name = (char *)"alpha")                                      \
	DEFECT(-EINVAL, "\"transB\" has no type", NODE(1)->attribute[0]->has_type = 0)             \
	DEFECT(-EINVAL, "\"transB\" has no tensor", NODE(1)->attribute[0]->type = 4)               \
	DEFECT(-EINVAL, "refers to a function's",                                                  \
	       NODE(1)->attribute[0]->ref_attr_name = (char *)"other")                             \
	DEFECT(-EINVAL, "contains a NUL", NODE(1)->attribute[0]->type = 3;                         \
	       NODE(1)->attribute[0]->has_s = 1; NODE(1)->attribute[0]->s.len = 3;                 \
	       NODE(1)->attribute[0]->s.data = (uint8_t *)(uintptr_t) "a\0b")                      \
	DEFECT(-EINVAL, "input \"x\" has no type", message->graph->input[0]->type = NULL)          \
	DEFECT(-EOPNOTSUPP, "is not a tensor",                                                     \
	       message->graph->input[0]->type->value_case = ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE; \
	       message->graph->input[0]->type->sequence_type = &sequence)                          \
	DEFECT(-EINVAL, "input \"x\" has no data type",                                            \
	       message->graph->input[0]->type->tensor_type->has_elem_type = 0)                     \
	DEFECT(-EINVAL, "graph input 0 has no name", message->graph->input[0]->name = NULL)        \
	DEFECT(-EINVAL, "dim 1 is -1",                                                             \
	       message->graph->input[0]->type->tensor_type->shape->dim[1]->dim_value = -1)         \
	DEFECT(-EINVAL, "dim 1 is 2147483648",                                                     \
	       message->graph->input[0]->type->tensor_type->shape->dim[1]->dim_value = 2147483648) \
	DEFECT(-EINVAL, "its graph has no outputs", message->graph->n_output = 0)                  \
	DEFECT(-EINVAL, "output \"q\" is defined by nothing",                                      \
	       message->graph->output[0]->name = (char *)"q")                                      \
	DEFECT(-EINVAL, "graph output 0 has no name", message->graph->output[0]->name = NULL)      \
	DEFECT(-EINVAL, "control characters", NODE(1)->name = (char *)"a\nb")                      \
	DEFECT(-EINVAL, "control characters", NODE(1)->name = (char *)"\x1b[2J")                   \
	DEFECT(-EINVAL, "not UTF-8", NODE(1)->name = (char *)"\xc0\xaf")                           \
	DEFECT(-EINVAL, "not UTF-8", NODE(1)->name = (char *)"\xed\xa0\x80")                       \
	DEFECT(-EINVAL, "not UTF-8", NODE(1)->name = (char *)"\xf4\x90\x80\x80")                   \
	DEFECT(-EINVAL, "not UTF-8", NODE(1)->name = (char *)"caf\xe9")

/* Each entry of the list is one branch of a function that counts down. */
#define DEFECT(error, words, ...)                                                                  \
	if (number-- == 0) {                                                                       \
		__VA_ARGS__;                                                                       \
		*ret_words = (words);                                                              \
		return (error);                                                                    \
	}

/* Breaks the message in the number-th way; 0: there are fewer. */
static int defect_make(int number, Onnx__ModelProto *message, const char **ret_words)
{
	DEFECTS
	return 0;
}

static int defect_count(void)
{
	struct onnx_writer *writer;
	const char *words;
	int count = 0, r;

	do {
		writer = sound_writer();
		r = defect_make(count++, onnx_writer_message(writer), &words);
		onnx_writer_free(writer);
	} while (r != 0);
	return count - 1;
}

START_TEST(each_defect_is_refused_with_a_sentence_that_names_it)
{
	struct onnx_writer *writer = sound_writer();
	const char *words = NULL;
	int error = defect_make(_i, onnx_writer_message(writer), &words);

	check_writer_refused(writer, error, words);
}
END_TEST

START_TEST(an_unknown_data_type_is_kept_with_its_number)
{
	struct onnx_writer *writer = sound_writer();
	Onnx__ModelProto *message = onnx_writer_message(writer);
	struct onnx_model *model = NULL;
	int fd = scratch_open("/");
	size_t byte_count;
	uint8_t *bytes;

	TENSOR(0)->data_type = 1000;
	bytes = onnx_writer_pack(writer, &byte_count);
	ck_assert_msg(parse(fd, bytes, byte_count, &model) == 0, "%s", err_message());
	ck_assert_int_eq(model->tensors[0].dtype, 1000);
	ck_assert_uint_eq(model->tensors[0].bytes, 24);
	onnx_close(model);
	close(fd);
	free(bytes);
	onnx_writer_free(writer);
}
END_TEST

/* --- bytes ---------------------------------------------------------------------------------- */

START_TEST(a_file_cut_short_anywhere_is_refused)
{
	struct onnx_writer *writer = sound_writer();
	size_t byte_count;
	uint8_t *bytes = onnx_writer_pack(writer, &byte_count);
	struct onnx_model *model = NULL;
	int fd = scratch_open("/");

	for (size_t length = 0; length < byte_count; length++)
		ck_assert_msg(parse(fd, bytes, length, &model) == -EINVAL,
			      "the first %zu of %zu bytes are accepted", length, byte_count);
	close(fd);
	free(bytes);
	onnx_writer_free(writer);
}
END_TEST

START_TEST(shoppers_cut_short_anywhere_is_refused)
{
	size_t byte_count;
	uint8_t *bytes = scratch_read(SHOPPERS "2/model.onnx", &byte_count);
	struct onnx_model *model = NULL;
	int fd = scratch_open(SHOPPERS "2");

	for (size_t length = 0; length < byte_count; length++)
		ck_assert_msg(parse(fd, bytes, length, &model) == -EINVAL,
			      "the first %zu of %zu bytes are accepted", length, byte_count);
	ck_assert_msg(parse(fd, bytes, byte_count, &model) == 0, "%s", err_message());
	onnx_close(model);
	close(fd);
	free(bytes);
}
END_TEST

/* A flipped byte may leave a sound file (a weight, a letter of a name); then
 * everything that onnx.h promises still holds. */
START_TEST(flipped_bytes_are_refused_or_keep_every_promise)
{
	size_t byte_count;
	uint8_t *bytes = scratch_read(SHOPPERS "2/model.onnx", &byte_count);
	int fd = scratch_open(SHOPPERS "2");
	unsigned seed = SEED, accepted = 0;

	printf("seed %u\n", seed);
	for (int flip = 0; flip < FLIPS; flip++) {
		size_t at = (size_t)rand_r(&seed) % byte_count;
		uint8_t before = bytes[at];
		struct onnx_model *model = NULL;

		bytes[at] ^= (uint8_t)(1 + rand_r(&seed) % 255);
		if (parse(fd, bytes, byte_count, &model) == 0) {
			accepted++;
			onnx_walk(model, 4096);
			onnx_close(model);
		}
		bytes[at] = before;
	}
	ck_assert_msg(accepted > 0 && accepted < FLIPS, "%u of %d were accepted", accepted, FLIPS);
	close(fd);
	free(bytes);
}
END_TEST

/* Puts `count` times `piece` into a length-delimited field. */
static size_t wrap(uint8_t *bytes, uint8_t tag, const void *piece, size_t piece_bytes, size_t count)
{
	size_t total = piece_bytes * count;
	size_t at = 0;
	uint64_t left;

	bytes[at++] = tag;
	for (left = total; left >= 0x80; left >>= 7)
		bytes[at++] = (uint8_t)(left | 0x80);
	bytes[at++] = (uint8_t)left;
	for (size_t index = 0; index < count; index++)
		memcpy(bytes + at + index * piece_bytes, piece, piece_bytes);
	return at + total;
}

/* Two bytes of file that protobuf-c turns into a struct: nodes, tensors, values,
 * unknown fields. _i is the field's tag in GraphProto. */
START_TEST(a_small_file_cannot_unfold_into_much_memory)
{
	const uint8_t piece[2] = {(uint8_t)_i, 0};
	size_t piece_count = 1000000;
	uint8_t *bytes = malloc(2 * piece_count + 16);
	size_t byte_count = wrap(bytes, 0x3a, piece, 2, piece_count);
	struct onnx_wire_budget budget = {.limit_bytes = onnx_wire_limit_bytes(byte_count)};
	struct Onnx__ModelProto *proto = NULL;
	int r;

	ck_assert_uint_le(budget.limit_bytes, 40 * byte_count);
	r = onnx_wire_unpack("broken/1", bytes, byte_count, &budget, &proto);
	ck_assert_msg(r == -EINVAL, "result %d", r);
	ck_assert_msg(strstr(err_message(), "unfold into more than"), "\"%s\"", err_message());
	ck_assert_uint_le(budget.used_bytes_max, budget.limit_bytes);
	ck_assert_msg(budget.used_bytes == 0, "%llu bytes leak",
		      (unsigned long long)budget.used_bytes);
	free(bytes);
}
END_TEST

/* Every allocation of protobuf-c is the last one that the budget allows, once. */
START_TEST(unpacking_that_runs_out_anywhere_leaks_nothing)
{
	struct onnx_writer *writer = sound_writer();
	size_t byte_count;
	uint8_t *bytes = onnx_writer_pack(writer, &byte_count);
	uint64_t limit_bytes;

	for (limit_bytes = 0; limit_bytes < 1 << 20; limit_bytes += 8) {
		struct onnx_wire_budget budget = {.limit_bytes = limit_bytes};
		struct Onnx__ModelProto *proto = NULL;
		int r = onnx_wire_unpack("broken/1", bytes, byte_count, &budget, &proto);

		if (r == 0)
			onnx_wire_free(proto, &budget);
		ck_assert_msg(budget.used_bytes == 0, "%llu bytes leak at a limit of %llu",
			      (unsigned long long)budget.used_bytes,
			      (unsigned long long)limit_bytes);
		ck_assert_uint_le(budget.used_bytes_max, limit_bytes);
		if (r == 0)
			break;
	}
	ck_assert_msg(limit_bytes > byte_count && limit_bytes < onnx_wire_limit_bytes(byte_count),
		      "it needed %llu bytes", (unsigned long long)limit_bytes);
	free(bytes);
	onnx_writer_free(writer);
}
END_TEST

/* TypeProto.sequence_type.elem_type and so on, a million deep: protobuf-c would
 * use the stack for each. */
START_TEST(deep_nesting_is_refused_before_it_costs_stack)
{
	size_t depth = 1000000;
	size_t bytes_max = 8 * depth;
	uint8_t *bytes = malloc(bytes_max);
	size_t at = bytes_max;

	/* From the inside out: graph (7) of node (1) of attribute (5) of graph (6) of ... */
	for (size_t level = 0; level < depth; level++) {
		static const uint8_t tags[3] = {0x0a, 0x2a, 0x32};
		size_t length = bytes_max - at;
		uint8_t head[8];
		size_t head_bytes = 0;

		head[head_bytes++] = level + 1 == depth ? 0x3a : tags[(depth - level - 2) % 3];
		for (; length >= 0x80; length >>= 7)
			head[head_bytes++] = (uint8_t)(length | 0x80);
		head[head_bytes++] = (uint8_t)length;
		at -= head_bytes;
		memcpy(bytes + at, head, head_bytes);
	}
	check_refused(bytes + at, bytes_max - at, -EINVAL, "nested more than 64 deep");
	free(bytes);
}
END_TEST

START_TEST(raw_protobuf_tricks_are_refused)
{
	static const struct {
		const char *bytes;
		size_t byte_count;
		const char *words;
	} tricks[] = {
		{"", 0, "is empty"},
		{"\x08", 1, "cut short"},
		{"\x08\x08\x08\x08", 4, "ir_version is there twice"},
		{"\x3a\x00\x3a\x00", 4, "graph is there twice"},
		{"\x00\x01", 2, "number is not one"},
		{"\x0b\x0c", 2, "wire type is not one"},
		{"\x0d\x01\x00\x00\x00", 5, "not its own"},
		{"\x0a\x00", 2, "not its own"},
		{"\x12\xff\xff\xff\xff\x0f", 6, "wants 4294967295 bytes and 0 are left"},
		{"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11,
		 "length is cut short or too long"},
		{"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12, "number is cut short"},
		{"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00", 11,
		 "tag is cut short or too long"},
		{"\x12\x03"
		 "a\0b",
		 5, "contains a NUL"},
		{"\x3a\x06\x0a\x04\x22\x02\x41\x00", 8, "op_type contains a NUL"},
		{"\x3a\x0e\x5a\x0c\x12\x0a\x0a\x02\x08\x01\x22\x04\x0a\x02\x0a\x00", 16,
		 "sequence_type is there twice"},
	};

	for (size_t trick = 0; trick < sizeof(tricks) / sizeof(tricks[0]); trick++)
		check_refused(tricks[trick].bytes, tricks[trick].byte_count, -EINVAL,
			      tricks[trick].words);
}
END_TEST

START_TEST(a_name_of_a_megabyte_is_refused)
{
	struct onnx_writer *writer = sound_writer();
	Onnx__ModelProto *message = onnx_writer_message(writer);
	char *name = malloc(1 << 20);

	memset(name, 'n', 1 << 20);
	name[(1 << 20) - 1] = '\0';
	NODE(1)->name = name;
	check_writer_refused(writer, -EINVAL, "at most 1024 are read");
	free(name);
}
END_TEST

int main(void)
{
	static const int amplifiers[] = {0x0a, 0x2a, 0x5a, 0x62, 0x6a, 0x72, 0x7a, 0x32};
	Suite *suite = suite_create("onnx_broken");
	TCase *tests = tcase_create("broken");

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, the_model_that_the_tests_break_is_sound);
	tcase_add_loop_test(tests, each_defect_is_refused_with_a_sentence_that_names_it, 0,
			    defect_count());
	tcase_add_test(tests, an_unknown_data_type_is_kept_with_its_number);
	tcase_add_test(tests, a_file_cut_short_anywhere_is_refused);
	tcase_add_test(tests, shoppers_cut_short_anywhere_is_refused);
	tcase_add_test(tests, flipped_bytes_are_refused_or_keep_every_promise);
	for (size_t index = 0; index < sizeof(amplifiers) / sizeof(amplifiers[0]); index++)
		tcase_add_loop_test(tests, a_small_file_cannot_unfold_into_much_memory,
				    amplifiers[index], amplifiers[index] + 1);
	tcase_add_test(tests, unpacking_that_runs_out_anywhere_leaks_nothing);
	tcase_add_test(tests, deep_nesting_is_refused_before_it_costs_stack);
	tcase_add_test(tests, raw_protobuf_tricks_are_refused);
	tcase_add_test(tests, a_name_of_a_megabyte_is_refused);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
