/* SPDX-License-Identifier: MIT */
/* tests/model/test_onnx.c - sound files: what is in them arrives, by every way of reading */

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
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
#define READ_BYTES_MAX (UINT64_C(16) << 20)

static struct onnx_model *open_directory(const char *directory)
{
	struct onnx_model *model = NULL;
	int fd = scratch_open(directory);
	int r = onnx_open(fd, directory, &model);

	close(fd);
	ck_assert_msg(r == 0, "%s does not load: %s", directory, err_message());
	return model;
}

static struct onnx_model *open_written(struct onnx_writer *writer)
{
	const char *directory = scratch_directory();

	ck_assert_msg(onnx_writer_save(writer, directory) == 0, "the test's file is not written");
	onnx_writer_free(writer);
	return open_directory(directory);
}

static void check_dims(const struct onnx_tensor *tensor, uint32_t rank, int64_t first,
		       int64_t second)
{
	ck_assert_msg(tensor->rank == rank, "%s has rank %u", tensor->name, tensor->rank);
	ck_assert_int_eq(tensor->dims[0], first);
	if (rank > 1)
		ck_assert_int_eq(tensor->dims[1], second);
}

/* _i is the version. */
START_TEST(both_versions_of_shoppers_load_with_their_counts_and_dims)
{
	struct onnx_model *model = open_directory(_i == 1 ? SHOPPERS "1" : SHOPPERS "2");
	const struct onnx_tensor *cross = onnx_walk_tensor(model, "cross.weight");
	const struct onnx_tensor *bottom = onnx_walk_tensor(model, "bottom.0.weight");
	const struct onnx_node *gemm = onnx_walk_node(model, "/bottom/bottom.0/Gemm");

	ck_assert_int_eq(model->opset, _i == 1 ? 13 : 17);
	ck_assert_str_eq(model->producer, "pytorch");
	ck_assert_uint_eq(model->input_count, 3);
	ck_assert_str_eq(model->inputs[0].name, "dense");
	ck_assert_int_eq(model->inputs[0].dtype, DTYPE_F32);
	ck_assert_uint_eq(model->inputs[0].rank, 2);
	ck_assert_int_eq(model->inputs[0].dims[0].value, -1);
	ck_assert_str_eq(model->inputs[0].dims[0].param, "batch");
	ck_assert_int_eq(model->inputs[0].dims[1].value, 10);
	ck_assert_int_eq(model->inputs[1].dtype, DTYPE_I64);
	ck_assert_uint_eq(model->output_count, 1);
	ck_assert_str_eq(model->outputs[0].name, "score");
	ck_assert_msg(cross && bottom, "a weight is missing");
	check_dims(cross, 2, 16384, 16);
	check_dims(bottom, 2, 64, 10);
	ck_assert_uint_eq(cross->bytes, 16384 * 16 * 4);
	ck_assert_int_eq(cross->source, ONNX_EXTERNAL);
	ck_assert_uint_eq(cross->file_index, _i == 1 ? 0 : 1); /* in model.onnx, or beside it */
	ck_assert_ptr_nonnull(gemm);
	ck_assert_uint_eq(gemm->input_count, 3);
	ck_assert_uint_eq(gemm->attribute_count, 3);
	ck_assert_str_eq(gemm->attributes[2].name, "transB");
	ck_assert_int_eq(gemm->attributes[2].i, 1);
	onnx_walk(model, READ_BYTES_MAX);
	ck_assert_int_eq(onnx_verify(model), 0);
	onnx_close(model);
}
END_TEST

START_TEST(the_weights_of_a_trained_table_are_finite_and_small)
{
	struct onnx_model *model = open_directory(SHOPPERS "2");
	const struct onnx_tensor *cross = onnx_walk_tensor(model, "cross.weight");
	float *values = malloc(cross->bytes);
	float largest = 0;

	ck_assert_int_eq(onnx_read(model, cross, values), 0);
	for (uint64_t index = 0; index < cross->bytes / sizeof(float); index++) {
		ck_assert_msg(isfinite(values[index]), "value %llu is not finite",
			      (unsigned long long)index);
		largest = fmaxf(largest, fabsf(values[index]));
	}
	ck_assert_msg(largest > 0.05f && largest < 10, "the largest value is %g", (double)largest);
	free(values);
	onnx_close(model);
}
END_TEST

/* Every external tensor of shoppers, to an address that fits O_DIRECT and to
 * ones that do not; guards on both sides. */
START_TEST(external_tensors_equal_the_file_at_every_destination)
{
	static const size_t shifts[] = {0, 1, 8, 100, 2048, 4095};
	struct onnx_model *model = open_directory(SHOPPERS "2");
	size_t file_bytes;
	uint8_t *file = scratch_read(SHOPPERS "2/model.bin", &file_bytes);
	uint8_t *room = aligned_alloc(ONNX_PAGE_BYTES, file_bytes / 4096 * 4096 + 5 * 4096);
	unsigned external_count = 0;

	for (uint32_t index = 0; index < model->tensor_count; index++) {
		const struct onnx_tensor *tensor = &model->tensors[index];

		if (tensor->source != ONNX_EXTERNAL)
			continue;
		external_count++;
		ck_assert_uint_eq(onnx_skew(tensor), tensor->offset % ONNX_PAGE_BYTES);
		for (size_t at = 0; at < sizeof(shifts) / sizeof(shifts[0]); at++) {
			uint8_t *destination =
				room + 4096 + (onnx_skew(tensor) + shifts[at]) % ONNX_PAGE_BYTES;

			memset(room, 0xa5, file_bytes / 4096 * 4096 + 5 * 4096);
			ck_assert_int_eq(onnx_read(model, tensor, destination), 0);
			ck_assert_msg(
				memcmp(destination, file + tensor->offset, tensor->bytes) == 0,
				"%s differs from the file at shift %zu", tensor->name, shifts[at]);
			ck_assert_msg(destination[-1] == 0xa5 && destination[tensor->bytes] == 0xa5,
				      "%s was written beside its bytes at shift %zu", tensor->name,
				      shifts[at]);
		}
	}
	ck_assert_uint_ge(external_count, 3);
	free(room);
	free(file);
	onnx_close(model);
}
END_TEST

/* Sizes around pages, at offsets around pages, the last one ending at EOF. */
START_TEST(tensors_of_every_size_around_a_page_arrive_whole)
{
	static const uint64_t sizes[] = {0, 1, 4095, 4096, 4097, 8192, 12289, 40961};
	enum { COUNT = sizeof(sizes) / sizeof(sizes[0]) };
	uint8_t *data = malloc(65536);
	uint8_t *room = aligned_alloc(ONNX_PAGE_BYTES, 65536);
	struct onnx_writer *writer = onnx_writer_new(17);
	struct onnx_model *model;
	char name[16], shape[16];

	for (size_t index = 0; index < 65536; index++)
		data[index] = (uint8_t)(index * 131 >> 3);
	for (unsigned index = 0; index < 3 * COUNT; index++) {
		snprintf(name, sizeof(name), "t%u", index);
		snprintf(shape, sizeof(shape), "%llu", (unsigned long long)sizes[index % COUNT]);
		onnx_writer_external(writer, name, 2 /* UINT8 */, shape, data + index,
				     sizes[index % COUNT], "weights.bin",
				     index < COUNT	 ? 1
				     : index < 2 * COUNT ? 64
							 : 4096);
	}
	onnx_writer_input(writer, "x", DTYPE_F32, "n");
	onnx_writer_output(writer, "x", DTYPE_F32, "n");
	model = open_written(writer);
	ck_assert_uint_eq(model->tensor_count, 3 * COUNT);
	for (uint32_t index = 0; index < model->tensor_count; index++) {
		const struct onnx_tensor *tensor = &model->tensors[index];
		uint8_t *destination = room + onnx_skew(tensor);

		ck_assert_uint_eq(tensor->bytes, sizes[index % COUNT]);
		ck_assert_int_eq(onnx_read(model, tensor, destination), 0);
		ck_assert_msg(memcmp(destination, data + index, tensor->bytes) == 0,
			      "tensor %u of %llu bytes at offset %llu differs", index,
			      (unsigned long long)tensor->bytes,
			      (unsigned long long)tensor->offset);
	}
	onnx_close(model);
	free(room);
	free(data);
}
END_TEST

START_TEST(attributes_of_every_type_arrive)
{
	static const int64_t perm[] = {0, 2, 1};
	static const float scales[] = {0.5f, -2};
	static const int64_t steps[] = {-1, 9, 16};
	struct onnx_writer *writer = onnx_writer_new(13);
	struct onnx_model *model;
	const struct onnx_attribute *attributes;

	onnx_writer_input(writer, "x", DTYPE_F32, "batch,?,3");
	onnx_writer_constant(writer, "c", DTYPE_I64, "3", steps, sizeof(steps));
	onnx_writer_node(writer, "Anything", "x,,c", "y,,z");
	onnx_writer_domain(writer, "com.example");
	onnx_writer_int(writer, "axis", -1);
	onnx_writer_float(writer, "alpha", 0.25f);
	onnx_writer_string(writer, "mode", "linear");
	onnx_writer_ints(writer, "perm", perm, 3);
	onnx_writer_floats(writer, "scales", scales, 2);
	onnx_writer_ints(writer, "empty", NULL, 0);
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	model = open_written(writer);
	ck_assert_uint_eq(model->node_count, 2);
	ck_assert_str_eq(model->nodes[1].domain, "com.example");
	ck_assert_str_eq(model->nodes[1].inputs[1], "");
	ck_assert_str_eq(model->nodes[1].outputs[2], "z");
	attributes = model->nodes[1].attributes;
	ck_assert_int_eq(attributes[0].type, ONNX_ATTRIBUTE_INT);
	ck_assert_int_eq(attributes[0].i, -1);
	ck_assert(attributes[1].f == 0.25f);
	ck_assert_str_eq(attributes[2].s, "linear");
	ck_assert_uint_eq(attributes[2].s_bytes, 6);
	ck_assert_uint_eq(attributes[3].count, 3);
	ck_assert_int_eq(attributes[3].ints[1], 2);
	ck_assert(attributes[4].floats[1] == -2);
	ck_assert_uint_eq(attributes[5].count, 0);
	ck_assert_int_eq(model->nodes[0].attributes[0].type, ONNX_ATTRIBUTE_TENSOR);
	ck_assert_int_eq(memcmp(model->nodes[0].attributes[0].tensor->data, steps, sizeof(steps)),
			 0);
	ck_assert_uint_eq(model->inputs[0].rank, 3);
	ck_assert_str_eq(model->inputs[0].dims[1].param, "");
	ck_assert_int_eq(model->inputs[0].dims[1].value, -1);
	ck_assert(!model->outputs[0].has_shape);
	onnx_walk(model, READ_BYTES_MAX);
	onnx_close(model);
}
END_TEST

static Onnx__TensorProto *last_tensor(struct onnx_writer *writer)
{
	Onnx__ModelProto *message = onnx_writer_message(writer);

	return message->graph->initializer[message->graph->n_initializer - 1];
}

START_TEST(values_in_typed_fields_equal_those_in_raw_data)
{
	static float floats[] = {1.5f, -2};
	static int32_t narrow[] = {-128, 127};
	static int64_t wide[] = {INT64_MIN, INT64_MAX};
	static uint64_t unsigneds[] = {0, UINT32_MAX};
	static double doubles[] = {0.1, 1e300};
	static const uint32_t unsigneds_stored[] = {0, UINT32_MAX};
	struct onnx_writer *writer = onnx_writer_new(13);
	struct onnx_model *model;

	onnx_writer_external_words(writer, "f", 1, "2", NULL, NULL, NULL);
	last_tensor(writer)->has_data_location = 0;
	last_tensor(writer)->n_float_data = 2;
	last_tensor(writer)->float_data = floats;
	onnx_writer_external_words(writer, "i8", 3, "2", NULL, NULL, NULL);
	last_tensor(writer)->has_data_location = 0;
	last_tensor(writer)->n_int32_data = 2;
	last_tensor(writer)->int32_data = narrow;
	onnx_writer_external_words(writer, "i64", 7, "2", NULL, NULL, NULL);
	last_tensor(writer)->has_data_location = 0;
	last_tensor(writer)->n_int64_data = 2;
	last_tensor(writer)->int64_data = wide;
	onnx_writer_external_words(writer, "u32", 12, "2", NULL, NULL, NULL);
	last_tensor(writer)->has_data_location = 0;
	last_tensor(writer)->n_uint64_data = 2;
	last_tensor(writer)->uint64_data = unsigneds;
	onnx_writer_external_words(writer, "f64", 11, "2", NULL, NULL, NULL);
	last_tensor(writer)->has_data_location = 0;
	last_tensor(writer)->n_double_data = 2;
	last_tensor(writer)->double_data = doubles;
	onnx_writer_input(writer, "x", DTYPE_F32, "n");
	onnx_writer_output(writer, "x", DTYPE_F32, "n");
	model = open_written(writer);
	ck_assert_int_eq(memcmp(onnx_walk_tensor(model, "f")->data, floats, 8), 0);
	ck_assert_int_eq(memcmp(onnx_walk_tensor(model, "i8")->data, "\x80\x7f", 2), 0);
	ck_assert_int_eq(memcmp(onnx_walk_tensor(model, "i64")->data, wide, 16), 0);
	ck_assert_int_eq(memcmp(onnx_walk_tensor(model, "u32")->data, unsigneds_stored, 8), 0);
	ck_assert_int_eq(memcmp(onnx_walk_tensor(model, "f64")->data, doubles, 16), 0);
	onnx_walk(model, READ_BYTES_MAX);
	onnx_close(model);
}
END_TEST

START_TEST(scalars_and_empty_tensors_load)
{
	static const float one = 1;
	struct onnx_writer *writer = onnx_writer_new(13);
	struct onnx_model *model;

	onnx_writer_tensor(writer, "scalar", DTYPE_F32, "", &one, sizeof(one));
	onnx_writer_tensor(writer, "empty", DTYPE_F32, "4,0,1000000", NULL, 0);
	onnx_writer_input(writer, "x", DTYPE_F32, "n");
	onnx_writer_output(writer, "x", DTYPE_F32, "n");
	model = open_written(writer);
	ck_assert_uint_eq(model->tensors[0].rank, 0);
	ck_assert_uint_eq(model->tensors[0].bytes, 4);
	ck_assert_uint_eq(model->tensors[1].rank, 3);
	ck_assert_uint_eq(model->tensors[1].bytes, 0);
	onnx_walk(model, READ_BYTES_MAX);
	onnx_close(model);
}
END_TEST

START_TEST(an_input_that_is_an_initializer_is_not_counted_as_input)
{
	static const float weights[] = {1, 2};
	struct onnx_writer *writer = onnx_writer_new(9);
	struct onnx_model *model;

	onnx_writer_input(writer, "w", DTYPE_F32, "2");
	onnx_writer_input(writer, "x", DTYPE_F32, "2");
	onnx_writer_tensor(writer, "w", DTYPE_F32, "2", weights, sizeof(weights));
	onnx_writer_node(writer, "Add", "x,w", "y");
	onnx_writer_domain(writer, "ai.onnx");
	onnx_writer_output(writer, "y", DTYPE_F32, "2");
	model = open_written(writer);
	ck_assert_uint_eq(model->input_count, 1);
	ck_assert_str_eq(model->inputs[0].name, "x");
	ck_assert_msg(*model->nodes[0].domain == '\0', "ai.onnx is ONNX's own domain");
	onnx_close(model);
}
END_TEST

START_TEST(a_body_is_read_with_its_names)
{
	static const float weights[] = {1, 2};
	struct onnx_writer *writer = onnx_writer_new(13);
	const struct onnx_graph *body;
	struct onnx_model *model;

	onnx_writer_input(writer, "x", DTYPE_F32, "2");
	onnx_writer_node(writer, "If", "x", "y");
	onnx_writer_body(writer, "then_branch");
	onnx_writer_tensor(writer, "w", DTYPE_F32, "2", weights, sizeof(weights));
	onnx_writer_node(writer, "Add", "x,w", "sum");
	onnx_writer_output(writer, "sum", DTYPE_F32, NULL);
	onnx_writer_body_end(writer);
	onnx_writer_body(writer, "else_branch");
	onnx_writer_node(writer, "Relu", "x", "sum");
	onnx_writer_output(writer, "sum", DTYPE_F32, NULL);
	onnx_writer_output(writer, "x", DTYPE_F32, NULL);
	onnx_writer_body_end(writer);
	onnx_writer_output(writer, "y", DTYPE_F32, "2");
	model = open_written(writer);
	ck_assert_uint_eq(model->node_count, 1);
	ck_assert_uint_eq(model->tensor_count, 0);
	ck_assert_int_eq(model->nodes[0].attributes[0].type, ONNX_ATTRIBUTE_GRAPH);
	ck_assert_str_eq(model->nodes[0].attributes[0].name, "then_branch");
	body = model->nodes[0].attributes[0].graph;
	ck_assert_uint_eq(body->node_count, 1);
	ck_assert_str_eq(body->nodes[0].op_type, "Add");
	ck_assert_uint_eq(body->tensor_count, 1);
	ck_assert_uint_eq(body->tensors[0].bytes, 8);
	ck_assert_uint_eq(body->output_count, 1);
	ck_assert_int_eq(body->outputs[0].dtype, DTYPE_F32);
	body = model->nodes[0].attributes[1].graph;
	ck_assert_uint_eq(body->output_count, 2);
	ck_assert_str_eq(body->outputs[1].name, "x");
	onnx_close(model);
}
END_TEST

START_TEST(a_list_of_graphs_is_named_and_not_read)
{
	struct onnx_writer *writer = onnx_writer_new(13);
	Onnx__ModelProto *message = onnx_writer_message(writer);
	struct onnx_model *model;

	onnx_writer_input(writer, "x", DTYPE_F32, "2");
	onnx_writer_node(writer, "If", "x", "y");
	onnx_writer_int(writer, "branches", 0);
	onnx_writer_output(writer, "y", DTYPE_F32, "2");
	message->graph->node[0]->attribute[0]->type =
		ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPHS;
	model = open_written(writer);
	ck_assert_int_eq(model->nodes[0].attributes[0].type, ONNX_ATTRIBUTE_OTHER);
	ck_assert_str_eq(model->nodes[0].attributes[0].name, "branches");
	onnx_close(model);
}
END_TEST

START_TEST(one_location_is_one_open_file_and_closing_closes_all)
{
	static const float weights[] = {1, 2};
	struct onnx_writer *writer = onnx_writer_new(13);
	int first_free = dup(0), after;
	struct onnx_model *model;
	char name[16];

	close(first_free);
	for (unsigned index = 0; index < 40; index++) {
		snprintf(name, sizeof(name), "w%u", index);
		onnx_writer_external(writer, name, DTYPE_F32, "2", weights, sizeof(weights),
				     index % 2 ? "odd.bin" : "even.bin", 1);
	}
	onnx_writer_input(writer, "x", DTYPE_F32, "2");
	onnx_writer_output(writer, "x", DTYPE_F32, "2");
	model = open_written(writer);
	ck_assert_uint_eq(model->tensors[0].file_index, model->tensors[38].file_index);
	ck_assert_uint_ne(model->tensors[0].file_index, model->tensors[1].file_index);
	ck_assert_uint_le(((struct onnx_whole *)model)->file_count, 3);
	onnx_close(model);
	after = dup(0);
	close(after);
	ck_assert_msg(after == first_free, "descriptor %d is still open", first_free);
}
END_TEST

START_TEST(closing_nothing_is_allowed)
{
	onnx_close(NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("onnx");
	TCase *tests = tcase_create("sound");

	tcase_add_unchecked_fixture(tests, scratch_begin, scratch_end);
	tcase_add_loop_test(tests, both_versions_of_shoppers_load_with_their_counts_and_dims, 1, 3);
	tcase_add_test(tests, the_weights_of_a_trained_table_are_finite_and_small);
	tcase_add_test(tests, external_tensors_equal_the_file_at_every_destination);
	tcase_add_test(tests, tensors_of_every_size_around_a_page_arrive_whole);
	tcase_add_test(tests, attributes_of_every_type_arrive);
	tcase_add_test(tests, values_in_typed_fields_equal_those_in_raw_data);
	tcase_add_test(tests, scalars_and_empty_tensors_load);
	tcase_add_test(tests, an_input_that_is_an_initializer_is_not_counted_as_input);
	tcase_add_test(tests, a_body_is_read_with_its_names);
	tcase_add_test(tests, a_list_of_graphs_is_named_and_not_read);
	tcase_add_test(tests, one_location_is_one_open_file_and_closing_closes_all);
	tcase_add_test(tests, closing_nothing_is_allowed);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
