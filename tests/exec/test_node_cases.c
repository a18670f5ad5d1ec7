/* SPDX-License-Identifier: MIT */
/*
 * tests/exec/test_node_cases.c - the ONNX project's own node tests, for the operators of the list
 *
 * A case passes, or is refused with the sentence that tests/exec/node_cases_refused.txt
 * has for it (lines of case, tab, sentence). A case that starts to pass must leave the list.
 */
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exec/engine.h"
#include "kernels/ref/ref.h"
#include "tests/exec/node_case.h"
#include "tests/suite.h"

#define CASES "/usr/share/libonnx-testdata/data/node"
#define REFUSED "tests/exec/node_cases_refused.txt"
#define CASES_MAX 2048
#define CASES_AT_LEAST 150 /* fewer means that the harness misses them */
#define TOLERANCE 2e-5

static char *cases[CASES_MAX];
static int case_count;

static int is_case(const struct dirent *entry)
{
	return strncmp(entry->d_name, "test_", 5) == 0;
}

static int cases_find(void)
{
	struct dirent **entries;
	int count = scandir(CASES, &entries, is_case, alphasort);

	for (int index = 0; index < count; index++) {
		char directory[512];

		(void)snprintf(directory, sizeof(directory), CASES "/%s", entries[index]->d_name);
		if (case_count < CASES_MAX && node_case_is_ours(directory))
			cases[case_count++] = strdup(entries[index]->d_name);
		free(entries[index]);
	}
	if (count >= 0)
		free(entries);
	return count < 0 ? -1 : 0;
}

/* The sentence listed for the case; "" when it is not listed. */
static void refusal_find(const char *name, char sentence[1024])
{
	FILE *file = fopen(REFUSED, "r");
	char line[1024];
	size_t length = strlen(name);

	sentence[0] = '\0';
	while (file && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, name, length) == 0 && line[length] == '\t')
			(void)snprintf(sentence, 1024, "%s", line + length + 1);
	}
	if (file)
		(void)fclose(file);
}

static int case_load(const char *directory, const char *name, struct engine **ret_engine)
{
	struct engine_options options = {.node = -1};
	int directory_fd = open(directory, O_RDONLY | O_DIRECTORY);
	int r;

	ck_assert_int_ge(directory_fd, 0);
	r = engine_new(directory_fd, name, &options, ret_engine);
	(void)close(directory_fd);
	return r;
}

static void output_compare(const char *name, const Onnx__TensorProto *wanted, const void *got)
{
	void *data = node_case_data(wanted);
	uint64_t elements = node_case_elements(wanted);

	for (uint64_t index = 0; index < elements; index++) {
		double left = ref_read(got, (enum dtype)wanted->data_type, (int64_t)index);
		double right = ref_read(data, (enum dtype)wanted->data_type, (int64_t)index);
		double bound;

		if ((isnan(left) && isnan(right)) || left == right)
			continue;
		/* The files' bfloat16 are cut off, not rounded. */
		bound = wanted->data_type == DTYPE_F32	  ? TOLERANCE * (1 + fabs(right))
			: wanted->data_type == DTYPE_BF16 ? 0x1p-7 * fabs(right)
							  : 0;
		ck_assert_msg(fabs(left - right) <= bound,
			      "%s: element %llu is %.9g, wanted %.9g", name,
			      (unsigned long long)index, left, right);
	}
	free(data);
}

/* Cases whose files have one element for a tensor of twelve, of which the type alone matters. */
static bool is_misshapen(const char *name, uint32_t input)
{
	return input == 1 && strncmp(name, "test_castlike_", 14) == 0 && strstr(name, "BFLOAT16");
}

static void shape_of_model(const struct signature_tensor *tensor, struct signature_shape *shape,
			   void **data)
{
	static const int64_t none[SIGNATURE_SYMBOLS_MAX];

	shape->rank = tensor->rank;
	for (uint32_t axis = 0; axis < tensor->rank; axis++)
		shape->dims[axis] = (uint32_t)tensor->dims[axis].constant;
	free(*data);
	*data = calloc((size_t)signature_elements(tensor, none), 8);
}

static void case_run(const char *name, struct engine *engine, const struct node_case *node_case)
{
	const struct signature *signature = engine_signature(engine);
	struct signature_shape shapes[NODE_CASE_TENSORS_MAX] = {0};
	int64_t symbols[SIGNATURE_SYMBOLS_MAX];
	void *inputs[NODE_CASE_TENSORS_MAX];
	void *outputs[NODE_CASE_TENSORS_MAX];
	struct row_status *status;
	uint32_t mismatch = 0;

	ck_assert_uint_eq(signature->input_count, node_case->input_count);
	ck_assert_uint_eq(signature->output_count, node_case->output_count);
	for (uint32_t input = 0; input < node_case->input_count; input++) {
		const Onnx__TensorProto *tensor = node_case->inputs[input];

		shapes[input].rank = (uint32_t)tensor->n_dims;
		for (uint32_t axis = 0; axis < tensor->n_dims; axis++)
			shapes[input].dims[axis] = (uint32_t)tensor->dims[axis];
		inputs[input] = node_case_data(tensor);
		if (is_misshapen(name, input))
			shape_of_model(&signature->inputs[input], &shapes[input], &inputs[input]);
	}
	ck_assert_msg(signature_solve(signature, shapes, symbols, &mismatch) == 0,
		      "%s: input %u does not fit", name, mismatch);
	ck_assert(engine_fits(engine, symbols));
	for (uint32_t output = 0; output < node_case->output_count; output++) {
		int64_t elements = signature_elements(&signature->outputs[output], symbols);
		size_t bytes = ((size_t)elements * 8 + 127) & ~(size_t)63;

		ck_assert_msg((uint64_t)elements == node_case_elements(node_case->outputs[output]),
			      "%s: output %u has %lld elements", name, output, (long long)elements);
		/* Some files have bfloat16 as the uint16 of the same bits. */
		if (signature->outputs[output].dtype == DTYPE_BF16 &&
		    node_case->outputs[output]->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__UINT16)
			node_case->outputs[output]->data_type = DTYPE_BF16;
		ck_assert_int_eq((int)signature->outputs[output].dtype,
				 node_case->outputs[output]->data_type);
		ck_assert_uint_eq(signature->outputs[output].rank,
				  node_case->outputs[output]->n_dims);
		outputs[output] = aligned_alloc(64, bytes);
		memset(outputs[output], 0xee, bytes);
	}
	status = calloc((size_t)symbols[0] + 1, sizeof(*status));
	engine_run(engine, symbols, (const void *const *)inputs, outputs, status);
	ck_assert_uint_eq(status[0].error, 0);
	for (uint32_t output = 0; output < node_case->output_count; output++) {
		output_compare(name, node_case->outputs[output], outputs[output]);
		free(outputs[output]);
	}
	for (uint32_t input = 0; input < node_case->input_count; input++)
		free(inputs[input]);
	free(status);
}

START_TEST(a_case_passes_or_is_refused_as_listed)
{
	const char *name = cases[_i];
	char scratch[] = "/tmp/hearth-case-XXXXXX";
	struct engine *engine = NULL;
	struct node_case node_case = {0};
	char directory[512];
	char wanted[1024];
	bool opened;
	int r;

	(void)snprintf(directory, sizeof(directory), CASES "/%s", name);
	refusal_find(name, wanted);
	r = case_load(directory, name, &engine);
	opened = node_case_open(directory, &node_case) == 0;
	ck_assert_ptr_nonnull(mkdtemp(scratch));
	if (r < 0 && opened && node_case_bind(&node_case, scratch)) {
		if (wanted[0] == '\0')
			ck_assert_msg(strstr(err_message(), "must be a constant") != NULL ||
					      strstr(err_message(), "supported: ") != NULL,
				      "%s", err_message());
		r = case_load(scratch, name, &engine);
		(void)snprintf(directory, sizeof(directory), "%s/model.onnx", scratch);
		(void)unlink(directory);
	}
	(void)rmdir(scratch);
	if (r < 0) {
		ck_assert_msg(strcmp(err_message(), wanted) == 0,
			      "%s is refused, and " REFUSED " has not this line:\n%s\t%s", name,
			      name, err_message());
	} else {
		ck_assert_msg(wanted[0] == '\0', "%s is computed now: remove it from " REFUSED,
			      name);
		ck_assert_msg(opened, "%s: its data cannot be read", name);
		case_run(name, engine, &node_case);
	}
	engine_free(engine);
	node_case_free(&node_case);
}
END_TEST

START_TEST(every_listed_case_exists)
{
	FILE *file = fopen(REFUSED, "r");
	char line[1024];

	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file)) {
		bool found = false;

		line[strcspn(line, "\t\n")] = '\0';
		for (int index = 0; index < case_count; index++)
			found = found || strcmp(cases[index], line) == 0;
		ck_assert_msg(found, "%s is not a case", line);
	}
	(void)fclose(file);
	ck_assert_int_ge(case_count, CASES_AT_LEAST);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("node cases");
	TCase *tests = tcase_create("node cases");
	int failed;

	if (cases_find() < 0) {
		printf("SKIP: " CASES " is not installed (libonnx-testdata)\n");
		return 77;
	}
	tcase_add_loop_test(tests, a_case_passes_or_is_refused_as_listed, 0, case_count);
	tcase_add_test(tests, every_listed_case_exists);
	suite_add_tcase(suite, tests);
	failed = suite_run(suite);
	for (int index = 0; index < case_count; index++)
		free(cases[index]);
	return failed;
}
