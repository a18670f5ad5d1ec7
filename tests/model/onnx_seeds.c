/* SPDX-License-Identifier: MIT */
/*
 * tests/model/onnx_seeds.c - a model for each published class of bugs in model readers
 *
 * CVE-2022-25882, CVE-2024-27318, CVE-2026-27489, CVE-2025-51480   external_*: hearth opens what
 *     is named beneath the model's directory without following links, and writes nothing, ever
 * CVE-2024-27319                                                    *_short, *_cut: bytes that are
 *     asked for and are not there
 * CVE-2024-23496, CVE-2025-49847, CVE-2025-52566                    string_*
 * CVE-2024-21802                                                    dims_count_*
 * CVE-2025-53630, CVE-2026-27940, CVE-2026-33298                    dims_product_*, offset_*, shape_*
 * CVE-2024-32878                                                    *_cut, and every length that
 *     test_onnx_loads.c cuts a model to
 */
#include "onnx_seeds.h"

#include <stdlib.h>
#include <string.h>

#include "onnx.pb-c.h"
#include "onnx_writer.h"
#include "small_models.h"
#include "sound_models.h"
#include "tests/exec/bag_model.h"

#define NODE(index) (message->graph->node[index])
#define TENSOR(index) (message->graph->initializer[index])

static const float floats[16] = { 1, -2, 3, 4, 0.5f, 6, -7, 8, 9, 1, 2, 3, 4, 5, 6, 7 };
static const int64_t axis_1[1] = { 1 };
static int64_t dims_nine[9] = { 1, 1, 1, 1, 1, 1, 1, 1, 1 };
static int64_t dims_huge[2] = { INT64_C(1) << 40, INT64_C(1) << 40 };
static int64_t dims_wrap[2] = { INT64_C(1) << 32, INT64_C(1) << 32 };
static int64_t dims_wrap_to_24[3] = { 3, 2, INT64_C(1) << 40 };
static int64_t dims_sign[2] = { -3, -2 };
static int64_t dims_past[2] = { INT64_MAX, 2 };
static int64_t dims_zero[3] = { INT64_C(1) << 40, 0, INT64_C(1) << 40 };
static int64_t dims_nothing[3] = { INT64_C(1) << 40, INT64_C(1) << 40, 0 };
static int64_t few_integers[2] = { 1, 2 };
static float few_floats[2] = { 1, 2 };
static int32_t wide_bytes[6] = { 0, 0, 0, 0, 0, 256 };

/* GraphProtos in attributes of nodes of GraphProtos, so many deep. */
static void nest(struct onnx_writer *writer, int depth)
{
	Onnx__ModelProto *message = onnx_writer_message(writer);
	Onnx__AttributeProto *attribute = NODE(0)->attribute[0];

	attribute->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH;
	for (; depth > 0; depth--) {
		static const Onnx__GraphProto no_graph = ONNX__GRAPH_PROTO__INIT;
		static const Onnx__NodeProto no_node = ONNX__NODE_PROTO__INIT;
		static const Onnx__AttributeProto no_attribute = ONNX__ATTRIBUTE_PROTO__INIT;
		Onnx__GraphProto *graph = onnx_writer_copy(writer, &no_graph, sizeof(no_graph));
		Onnx__NodeProto *node = onnx_writer_copy(writer, &no_node, sizeof(no_node));
		Onnx__AttributeProto *inner =
			onnx_writer_copy(writer, &no_attribute, sizeof(no_attribute));

		node->op_type = (char *)"If";
		inner->name = (char *)"b";
		inner->has_type = 1;
		inner->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH;
		graph->node = onnx_writer_copy(writer, &node, sizeof(node));
		graph->n_node = 1;
		node->attribute = onnx_writer_copy(writer, &inner, sizeof(inner));
		node->n_attribute = 1;
		attribute->g = graph;
		attribute = inner;
	}
}

#define BODY (NODE(0)->attribute[0]->g)

#define INTEGERS(...) ((const int64_t[]){ __VA_ARGS__ })

/* 1100 bytes, which no name has. */
static const char *long_path(void)
{
	static char path[1101];

	memset(path, 'n', sizeof(path) - 1);
	return path;
}

/* 121 bytes, of which a hundred end within a letter. */
static char *two_byte_name(void)
{
	static char name[122] = "n";

	for (size_t at = 1; at < sizeof(name) - 1; at += 2)
		memcpy(name + at, "\u00e9", 2);
	return name;
}

static int64_t *axis_one(void)
{
	static int64_t dims[2] = { 1, 6 };

	return dims;
}

/* The graph's first input again, under another name. */
static Onnx__ValueInfoProto **input_twice(struct onnx_writer *writer, Onnx__ModelProto *message,
					  const char *name)
{
	Onnx__ValueInfoProto *inputs[2] = { message->graph->input[0] };

	inputs[1] = onnx_writer_copy(writer, inputs[0], sizeof(*inputs[0]));
	inputs[1]->name = (char *)(uintptr_t)name;
	return onnx_writer_copy(writer, inputs, sizeof(inputs));
}

/* A name, the refusal's words (NULL: it loads), the writer, and what is done to its message. */
#define SEEDS                                                                                      \
	SEED("sound_mlp", NULL, sound_mlp())                                                       \
	SEED("sound_ranking", NULL, sound_ranking())                                               \
	SEED("sound_bags", NULL, bag_model(floats))                                                \
	SEED("sound_shape_chain", NULL, sound_shape_chain())                                       \
	SEED("sound_operators", NULL, sound_operators())                                           \
	SEED("sound_folded", NULL, sound_folded())                                                 \
	SEED("sound_bag_sequence", NULL, sound_bag_sequence(false))                                \
	SEED("sound_bag_sequence_padded", NULL, sound_bag_sequence(true))                          \
	SEED("sound_unary", NULL, sound_unary())                                                   \
	SEED("sound_logic", NULL, sound_logic())                                                   \
	SEED("sound_reductions", NULL, sound_reductions())                                         \
	SEED("sound_moves", NULL, sound_moves())                                                   \
	SEED("sound_points", NULL, sound_points())                                                 \
	SEED("sound_bytes", NULL, sound_bytes())                                                   \
	SEED("sound_einsum", NULL, sound_einsum("bij,jk->bik"))                                    \
	SEED("sound_sequences", NULL, sound_sequences())                                           \
	SEED("external_sound", NULL, small_external("model.bin", "64", "8"))                       \
	SEED("external_sound_in_folder", NULL, small_external("sub/model.bin", "4088", "8"))       \
	SEED("external_hard_link_is_a_file", NULL, small_external("hard.bin", NULL, NULL))         \
	SEED("external_path_dotdot", "contains \"..\"", small_external("../secret", "0", "8"))     \
	SEED("external_path_dotdot_inside", "contains \"..\"",                                     \
	     small_external("sub/../../secret", "0", "8"))                                         \
	SEED("external_path_dotdot_and_back", "contains \"..\"",                                   \
	     small_external("sub/../model.bin", "0", "8"))                                         \
	SEED("external_path_dotdot_last", "contains \"..\"", small_external("sub/..", "0", "8"))   \
	SEED("external_path_dots_in_a_name", "does not exist",                                     \
	     small_external("..secret", "0", "8"))                                                 \
	SEED("external_path_backslashes", "does not exist",                                        \
	     small_external("..\\secret", "0", "8"))                                               \
	SEED("external_path_percent", "does not exist", small_external("%2e%2e/secret", "0", "8")) \
	SEED("external_path_absolute", "is an absolute path",                                      \
	     small_external("/etc/passwd", "0", "8"))                                              \
	SEED("external_path_slashes", "is an absolute path",                                       \
	     small_external("//etc/passwd", "0", "8"))                                             \
	SEED("external_path_url", "does not exist",                                                \
	     small_external("file:///etc/passwd", "0", "8"))                                       \
	SEED("external_path_proc", "is an absolute path",                                          \
	     small_external("/proc/self/root/etc/passwd", "0", "8"))                               \
	SEED("external_path_empty", "is empty", small_external("", "0", "8"))                      \
	SEED("external_path_control_characters", "without control characters",                     \
	     small_external("model.bin\n", "0", "8"))                                              \
	SEED("external_path_long", "is longer than 1024 bytes",                                    \
	     small_external(long_path(), "0", "8"))                                                \
	SEED("external_symlink_inside", "a symbolic link, which is not followed",                  \
	     small_external("inside.bin", "0", "8"))                                               \
	SEED("external_symlink_outside", "a symbolic link, which is not followed",                 \
	     small_external("outside.bin", "0", "8"))                                              \
	SEED("external_symlink_of_a_folder", "a symbolic link, which is not followed",             \
	     small_external("linked/model.bin", "0", "8"))                                         \
	SEED("external_fifo", "is a FIFO", small_external("fifo", "0", "8"))                       \
	SEED("external_folder", "is a directory", small_external("sub", "0", "8"))                 \
	SEED("external_file_as_folder", "Not a directory",                                         \
	     small_external("model.bin/model.bin", "0", "8"))                                      \
	SEED("external_without_location", "has no location", small_external(NULL, "0", "8"))       \
	SEED("external_location_twice", "two \"location\"", small_external("model.bin", "0", "8"), \
	     TENSOR(0)->external_data[1]->key = (char *)"location")                                \
	SEED("external_and_raw_data", "raw_data and external data",                                \
	     small_external("model.bin", "0", "8"), TENSOR(0)->has_raw_data = 1)                   \
	SEED("external_in_an_attribute", "only initializers", small_constant(),                    \
	     NODE(0)->attribute[0]->t->has_data_location = 1;                                      \
	     NODE(0)->attribute[0]->t->data_location = 1)                                          \
	SEED("offset_at_the_end", "wants 8 bytes at 4096 of model.bin, which has 4096",            \
	     small_external("model.bin", "4096", "8"))                                             \
	SEED("offset_short_by_one", "wants 8 bytes at 4089 of model.bin, which has 4096",          \
	     small_external("model.bin", "4089", "8"))                                             \
	SEED("offset_of_64_bits", "wants 8 bytes at 18446744073709551615",                         \
	     small_external("model.bin", "18446744073709551615", "8"))                             \
	SEED("offset_whose_sum_wraps", "wants 8 bytes at 18446744073709551608",                    \
	     small_external("model.bin", "18446744073709551608", "8"))                             \
	SEED("offset_of_65_bits", "offset is not a decimal number",                                \
	     small_external("model.bin", "18446744073709551616", "8"))                             \
	     SEED("offset_negative", "offset is not a decimal number",                             \
	     small_external("model.bin", "-8", "8"))                                               \
	SEED("offset_hexadecimal", "offset is not a decimal number",                               \
	     small_external("model.bin", "0x10", "8"))                                             \
	SEED("offset_empty", "offset is not a decimal number",                                     \
	     small_external("model.bin", "", "8"))                                                 \
	SEED("length_longer_than_dims", "8 bytes and its external length is 4096",                 \
	     small_external("model.bin", "0", "4096"))                                             \
	SEED("length_shorter_than_dims", "8 bytes and its external length is 4",                   \
	     small_external("model.bin", "0", "4"))                                                \
	     SEED("length_negative", "length is not a decimal number",                             \
	     small_external("model.bin", "0", "-1"))                                               \
	SEED("dims_count_nine", "has 9 dims", sound_mlp(), TENSOR(0)->dims = dims_nine;            \
	     TENSOR(0)->n_dims = 9)                                                                \
	SEED("dims_count_zero_is_one_value", "4 bytes and 24 are there", sound_mlp(),              \
	     TENSOR(0)->n_dims = 0)                                                                \
	SEED("dims_product_overflows", "more than 2^63 bytes", sound_mlp(),                        \
	     TENSOR(0)->dims = dims_huge)                                                          \
	SEED("dims_product_wraps_to_nothing", "more than 2^63 bytes", sound_mlp(),                 \
	     TENSOR(0)->dims = dims_wrap; TENSOR(0)->has_raw_data = 0)                             \
	SEED("dims_product_past_what_is_there", "bytes and 24 are there", sound_mlp(),             \
	     TENSOR(0)->dims = dims_wrap_to_24; TENSOR(0)->n_dims = 3)                             \
	SEED("dims_product_of_negatives", "dim 0 is -3", sound_mlp(), TENSOR(0)->dims = dims_sign) \
	SEED("dims_product_past_2_63", "0 to 2^40 is wanted", sound_mlp(),                         \
	     TENSOR(0)->dims = dims_past)                                                          \
	SEED("dims_product_of_nothing", "2 and 3 dimensions", sound_mlp(),                         \
	     TENSOR(0)->dims = dims_zero;                                                          \
	     TENSOR(0)->n_dims = 3; TENSOR(0)->has_raw_data = 0)                                   \
	SEED("raw_data_short", "24 bytes and 23 are there", sound_mlp(),                           \
	     TENSOR(0)->raw_data.len = 23)                                                         \
	SEED("raw_data_long", "4 bytes and 8 are there", sound_mlp(),                              \
	     TENSOR(1)->dims = axis_one())                                                         \
	SEED("raw_data_absent", "24 bytes and 0 are there", sound_mlp(),                           \
	     TENSOR(0)->has_raw_data = 0)                                                          \
	SEED("typed_data_short", "6 values and float_data has 2", sound_mlp(),                     \
	     TENSOR(0)->has_raw_data = 0; TENSOR(0)->n_float_data = 2;                             \
	     TENSOR(0)->float_data = few_floats)                                                   \
	SEED("typed_data_beside_raw_data", "in raw_data and in float_data", sound_mlp(),           \
	     TENSOR(0)->n_float_data = 2; TENSOR(0)->float_data = few_floats)                      \
	SEED("type_confusion_of_values", "is FLOAT and has values in int64_data", sound_mlp(),     \
	     TENSOR(0)->n_int64_data = 2; TENSOR(0)->int64_data = few_integers)                    \
	SEED("type_confusion_of_width", "24 bytes and 6 are there", sound_mlp(),                   \
	     TENSOR(0)->raw_data.len = 6)                                                          \
	SEED("type_confusion_narrow_value", "is 256, which no UINT8 is", sound_mlp(),              \
	     TENSOR(0)->data_type = 2; TENSOR(0)->has_raw_data = 0;                                \
	     TENSOR(0)->n_int32_data = 6; TENSOR(0)->int32_data = wide_bytes)                      \
	SEED("type_confusion_of_weights", "w", sound_mlp(), TENSOR(0)->data_type = 11;             \
	     TENSOR(0)->dims = axis_one() + 1; TENSOR(0)->n_dims = 1)                              \
	SEED("type_confusion_of_an_operand", "int64", small_with_integers("Add", "1", axis_1, 1))  \
	SEED("type_confusion_of_an_attribute", "'alpha' is unknown or has the wrong type",         \
	     sound_mlp(),                                                                          \
	     NODE(0)->attribute[0]->type = 2)                                                      \
	SEED("type_confusion_of_a_tensor_attribute", "has no tensor", small_constant(),            \
	     NODE(0)->attribute[0]->t = NULL)                                                      \
	SEED("type_confusion_of_an_unknown_type", "0", sound_mlp(), TENSOR(0)->data_type = 1000;   \
	     TENSOR(0)->has_raw_data = 0)                                                          \
	SEED("string_of_a_name_with_nul", "contains a NUL", small_constant(),                      \
	     NODE(0)->attribute[0]->type = 3; NODE(0)->attribute[0]->has_s = 1;                    \
	     NODE(0)->attribute[0]->s.len = 3;                                                     \
	     NODE(0)->attribute[0]->s.data = (uint8_t *)(uintptr_t) "a\0b")                        \
	SEED("string_not_utf8", "not UTF-8", sound_mlp(),                                          \
	     NODE(0)->name = (char *)"\xf4\x90\x80\x80")                                           \
	SEED("string_terminal_escape", "control characters", sound_mlp(),                          \
	     NODE(0)->name = (char *)"\x1b[2J")                                                    \
	SEED("string_of_an_attribute_not_utf8", "reduction '?'; supported", sound_points(),        \
	     onnx_writer_string(writer, "reduction", "\xb2"))                                      \
	SEED("string_of_an_attribute_terminal_escape", "equation '?[2J': byte 0 (0x1b)",           \
	     sound_einsum("\x1b[2J"))                                                              \
	SEED("string_that_a_sentence_cuts", "contains a NUL", small_constant(),                    \
	     NODE(0)->attribute[0]->type = 3; NODE(0)->attribute[0]->has_s = 1;                    \
	     NODE(0)->attribute[0]->s.len = 1;                                                     \
	     NODE(0)->attribute[0]->s.data = (uint8_t *)(uintptr_t)"";                             \
	     NODE(0)->attribute[0]->name = two_byte_name())                                        \
	SEED("string_format", "'%s%n%s%n'", sound_mlp(), NODE(0)->name = (char *)"%s%n%s%n";       \
	     NODE(0)->op_type = (char *)"%n")                                                      \
	SEED("string_longer_than_a_sentence", "at most 1024 are read", sound_mlp(),                \
	     NODE(0)->name = (char *)(uintptr_t)long_path())                                       \
	SEED("cycle_of_one", "defines later", sound_mlp(), NODE(0)->input[0] = (char *)"h")        \
	SEED("cycle_of_two", "defines later", sound_mlp(), NODE(0)->input[0] = (char *)"y")        \
	SEED("name_twice_initializers", "\"w\" is defined twice", sound_mlp(),                     \
	     TENSOR(1)->name = (char *)"w")                                                        \
	SEED("name_twice_outputs", "\"h\" is defined twice", sound_mlp(),                          \
	     NODE(1)->output[0] = (char *)"h")                                                     \
	SEED("name_twice_input_and_output", "\"x\" is defined twice", sound_mlp(),                 \
	     NODE(1)->output[0] = (char *)"x")                                                     \
	SEED("name_of_an_input_is_a_weights", NULL, sound_mlp(),                                   \
	     message->graph->n_input = 2;                                                          \
	     message->graph->input = input_twice(writer, message, "w"))                            \
	SEED("nested_60_deep", "is a body within 8 others", sound_mlp(), nest(writer, 20))         \
	SEED("nested_8_bodies", "'alpha' is unknown or has the wrong type", small_bodies(8))       \
	SEED("nested_9_bodies", "is a body within 8 others", small_bodies(9))                      \
	SEED("sound_control", NULL, sound_control(3))                                              \
	SEED("sound_bag_loop", NULL, sound_bag_loop())                                             \
	SEED("loop_of_2_63", "more than 64 iterations", sound_control(INT64_MAX))                  \
	SEED("loop_of_nothing", "collects 1 outputs", sound_control(0))                            \
	SEED("loop_of_minus_one", "collects 1 outputs", sound_control(INT64_MIN))                  \
	SEED("body_reads_what_comes_later", "reads \"y\", which nothing defines", small_bodies(1), \
	     BODY->node[0]->input[0] = (char *)"y")                                                \
	SEED("body_reads_its_own_node", "reads \"o\", which nothing defines", small_bodies(1),     \
	     BODY->node[0]->input[0] = (char *)"o")                                                \
	SEED("body_redefines_an_outer_name", "in a node's body and outside it", small_bodies(1),   \
	     BODY->node[0]->output[0] = (char *)"x";                                               \
	     BODY->output[0]->name = (char *)"x")                                                  \
	SEED("body_is_read_from_outside", "reads \"i1\", which nothing defines", small_bodies(1),  \
	     NODE(1)->input[0] = (char *)"i1")                                                     \
	SEED("body_without_outputs", "has no outputs", small_bodies(1), BODY->n_output = 0)        \
	SEED("body_output_of_nothing", "\"q\" is defined by nothing", small_bodies(1),             \
	     BODY->output[0]->name = (char *)"q")                                                  \
	SEED("body_is_missing", "has no graph", small_bodies(1), NODE(0)->attribute[0]->g = NULL)  \
	SEED("body_tensor_short", "16 bytes and 4 are there", small_bodies(1),                     \
	     BODY->initializer[0]->raw_data.len = 4)                                               \
	SEED("nested_66_deep", "nested more than 64 deep", sound_mlp(), nest(writer, 21))          \
	SEED("opset_huge", "opset 9223372036854775807", sound_mlp(),                               \
	     message->opset_import[0]->version = INT64_MAX)                                        \
	SEED("opset_negative", "opset is -1", sound_mlp(), message->opset_import[0]->version = -1) \
	SEED("shape_past_2_40", "is too large",                                                    \
	     small_with_integers("Reshape", "3",                                                   \
				 INTEGERS(INT64_C(1) << 40, INT64_C(1) << 40, -1), 3))             \
	SEED("shape_minus_one_twice", "-1",                                                        \
	     small_with_integers("Reshape", "3", INTEGERS(-1, -1, 4), 3))                          \
	SEED("shape_minus_two", "-2", small_with_integers("Reshape", "2", INTEGERS(-2, 12), 2))    \
	SEED("shape_min_int64", "Reshape",                                                         \
	     small_with_integers("Reshape", "2", INTEGERS(INT64_MIN, -1), 2))                      \
	SEED("shape_of_seven_dims", "Reshape",                                                     \
	     small_with_integers("Reshape", "7", INTEGERS(1, 1, 1, 1, 1, 1, -1), 7))               \
	SEED("shape_of_another_size", "Reshape",                                                   \
	     small_with_integers("Reshape", "2", INTEGERS(0, 13), 2))                              \
	SEED("shape_product_past_2_40", "is too large", small_node(17, "Relu", "x"),               \
	     message->graph->input[0]->type->tensor_type->shape->dim[1]->dim_value = INT32_MAX;    \
	     message->graph->input[0]->type->tensor_type->shape->dim[2]->dim_value = INT32_MAX)    \
	SEED("axis_past_the_rank", "axis 3 is outside rank 3", small_node(17, "Softmax", "x"),     \
	     onnx_writer_int(writer, "axis", 3))                                                   \
	SEED("axis_min_int64", "is outside rank 3", small_node(17, "Softmax", "x"),                \
	     onnx_writer_int(writer, "axis", INT64_MIN))                                           \
	SEED("axis_of_unsqueeze_past_the_rank", "Unsqueeze",                                       \
	     small_with_integers("Unsqueeze", "1", INTEGERS(INT64_MAX), 1))                        \
	SEED("axis_of_unsqueeze_twice", "Unsqueeze",                                               \
	     small_with_integers("Unsqueeze", "2", INTEGERS(1, 1), 2))                             \
	SEED("axis_of_squeeze_not_one", "Squeeze",                                                 \
	     small_with_integers("Squeeze", "1", INTEGERS(1), 1))                                  \
	SEED("perm_twice", "perm", small_node(17, "Transpose", "x"),                               \
	     onnx_writer_ints(writer, "perm", INTEGERS(0, 0, 1), 3))                               \
	SEED("perm_past_the_rank", "perm", small_node(17, "Transpose", "x"),                       \
	     onnx_writer_ints(writer, "perm", INTEGERS(0, 1, INT64_MAX), 3))                       \
	SEED("perm_short", "perm", small_node(17, "Transpose", "x"),                               \
	     onnx_writer_ints(writer, "perm", INTEGERS(0, 1), 2))                                  \
	SEED("slice_to_the_ends_of_int64", NULL, small_node(9, "Slice", "x"),                      \
	     onnx_writer_ints(writer, "starts", INTEGERS(INT64_MIN), 1);                           \
	     onnx_writer_ints(writer, "ends", INTEGERS(INT64_MAX), 1);                             \
	     onnx_writer_ints(writer, "axes", INTEGERS(1), 1))                                     \
	SEED("slice_step_zero", "Slice", small_sliced(0))                                          \
	SEED("slice_step_min_int64", "the step of axis 1 is -9223372036854775808",                 \
	     small_sliced(INT64_MIN))                                                              \
	SEED("gather_constant_index_outside", "Gather",                                            \
	     small_with_integers("Gather", "", INTEGERS(3), 1),                                    \
	     onnx_writer_int(writer, "axis", 1))                                                   \
	SEED("gather_constant_index_min_int64", "Gather",                                          \
	     small_with_integers("Gather", "", INTEGERS(INT64_MIN), 1),                            \
	     onnx_writer_int(writer, "axis", 1))                                                   \
	SEED("gather_constant_indices_outside", "an index (-4) is outside",                        \
	     small_with_integers("Gather", "2", INTEGERS(INT64_MAX, -4), 2),                       \
	     onnx_writer_int(writer, "axis", 1))                                                   \
	SEED("reduce_axis_outside", "Reduce", small_node(11, "ReduceMean", "x"),                   \
	     onnx_writer_ints(writer, "axes", INTEGERS(-4), 1))                                    \
	SEED("topk_past_the_axis", "k, 5, is not between 0",                                       \
	     small_with_integers("TopK", "1", INTEGERS(5), 1))                                     \
	SEED("topk_of_min_int64", "is not between 0",                                              \
	     small_with_integers("TopK", "1", INTEGERS(INT64_MIN), 1))                             \
	SEED("gather_elements_index_min_int64", "GatherElements",                                  \
	     small_with_integers("GatherElements", "1,1,1", INTEGERS(INT64_MIN), 1))               \
	SEED("gather_nd_deeper_than_the_rank", "must be a constant from 1 to 3",                   \
	     small_with_integers("GatherND", "4", INTEGERS(0, 0, 0, 0), 4))                        \
	SEED("gather_nd_id_outside", "GatherND",                                                   \
	     small_with_integers("GatherND", "1,2", INTEGERS(0, INT64_MAX), 2))                    \
	SEED("gather_nd_batches_min_int64", "batch_dims is -9223372036854775808", sound_points(),  \
	     NODE(2)->attribute[0]->i = INT64_MIN)                                                 \
	SEED("scatter_nd_of_fewer_updates", "updates 'put' have the shape", sound_points(),        \
	     TENSOR(1)->dims[0] = 1; TENSOR(1)->raw_data.len = 4)                                  \
	SEED("scatter_nd_unknown_reduction", "reduction '%n'", sound_points(),                     \
	     onnx_writer_string(writer, "reduction", "%n"))                                        \
	SEED("non_zero_of_a_run", "shapes that depend on data do not load", sound_points(),        \
	     NODE(4)->input[0] = (char *)"base")                                                   \
	SEED("bytes_and_a_zero_point_of_another_type", "its zero point 'w_zero'", sound_bytes(),   \
	     TENSOR(1)->data_type = 2)                                                             \
	SEED("bytes_and_zero_points_of_another_count", "is neither one number nor one for each",   \
	     sound_bytes(), TENSOR(1)->dims = dims_nine; TENSOR(1)->n_dims = 2)                    \
	SEED("bytes_of_floats", "supported: uint8, int8", sound_bytes(),                           \
	     NODE(1)->input[0] = (char *)"x")                                                      \
	SEED("einsum_letter_of_two_bytes", "byte 1 (0xc3) is none of letters",                     \
	     sound_einsum("b\u00e9j,jk->b\u00e9k"))                                                \
	SEED("einsum_letter_twice", "'i' is twice in one term", sound_einsum("bii,jk->b"))         \
	SEED("einsum_of_many_letters", "more than 6 letters", sound_einsum("abcdefg,jk->a"))       \
	SEED("einsum_two_ellipses", "a term has two ellipses", sound_einsum("......,jk->j"))       \
	SEED("einsum_ends_within_dots", "(0x2e) is none of letters", sound_einsum("bij,jk->.."))   \
	SEED("einsum_ends_within_an_arrow", "(0x2d) is none of letters", sound_einsum("bij,jk-"))  \
	SEED("einsum_goes_on", "it goes on behind its output", sound_einsum("bij,jk->b->i"))       \
	SEED("einsum_letter_of_nothing", "'z' of the output is in no input",                       \
	     sound_einsum("bij,jk->z"))                                                            \
	SEED("einsum_term_missing", "not one term for each of 2 inputs", sound_einsum("bij"))      \
	SEED("einsum_without_an_equation", "has 0 letters", sound_einsum(""))                      \
	SEED("sequence_position_past_its_end",                                                     \
	     "position 1099511627776 is outside a sequence of 3", sound_sequences(),               \
	     TENSOR(0)->raw_data.data = (uint8_t *)dims_huge)                                      \
	SEED("sequence_of_a_tensor", "'x' is not a sequence", sound_sequences(),                   \
	     NODE(3)->input[0] = (char *)"x")                                                      \
	SEED("output_without_name", "graph output 0 has no name", sound_mlp(),                     \
	     message->graph->output[0]->name = NULL)                                               \
	SEED("node_without_outputs", "it has 0 outputs", sound_mlp(), NODE(1)->n_output = 0;       \
	     message->graph->output[0]->name = (char *)"h")                                        \
	SEED("free_size_beside_large_ones_gather", NULL,                                           \
	     small_free_size("Gather", "65535,3,free,127", "4095,3"))                              \
	SEED("free_size_beside_large_ones_softmax", NULL,                                          \
	     small_free_size("Softmax", "3,free,2147483647", NULL))                                \
	SEED("output_is_an_input_past_2_63", "input 'x' of shape", small_passed_through(NULL))     \
	SEED("output_is_nothing_past_2_63", "the size of an output is not a polynomial",           \
	     small_passed_through(dims_nothing))                                                   \
	SEED("input_of_2_31", "dim 1 is 2147483648", sound_mlp(),                                  \
	     message->graph->input[0]->type->tensor_type->shape->dim[1]->dim_value = 2147483648)

/* Each entry of the list is one branch of a function that counts down. */
#define SEED(the_name, the_words, the_writer, ...)                                                 \
	if (number-- == 0) {                                                                       \
		struct onnx_writer *writer = the_writer;                                           \
		Onnx__ModelProto *message = onnx_writer_message(writer);                           \
                                                                                                   \
		(void)message;                                                                     \
		__VA_ARGS__;                                                                       \
		ret_seed->name = (the_name);                                                       \
		ret_seed->words = (the_words);                                                     \
		return writer;                                                                     \
	}

static struct onnx_writer *seed_write(int number, struct onnx_seed *ret_seed)
{
	SEEDS
	return NULL;
}

int onnx_seed_make(int number, struct onnx_seed *ret_seed)
{
	struct onnx_writer *writer = seed_write(number, ret_seed);

	if (!writer)
		return 0;
	ret_seed->bytes = onnx_writer_pack(writer, &ret_seed->byte_count);
	onnx_writer_free(writer);
	return 1;
}
