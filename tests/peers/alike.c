/* SPDX-License-Identifier: MIT */
/*
 * tests/peers/alike.c - the same files and inputs through hearth's engine and ONNX Runtime
 *
 *     make bench-peers BENCH=alike
 *
 * tests/models/cases.py writes small models for what the ONNX project's node tests of a distribution
 * do not have. Each is computed by both. Integers and booleans must be equal; floats may differ by
 * TOLERANCE of 1 and of their size, half floats by a unit in the last place. What hearth refuses is
 * listed with its sentence, and so is what ONNX Runtime refuses; a difference fails.
 */
#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exec/engine.h"
#include "kernels/ref/ref.h"
#include "ort.h"
#include "tests/model/scratch.h"
#include "tests/system/crowd.h"
#include "tests/system/measure.h"
#include "tools/hearthctl/requests/npy.h"

#define TENSORS_MAX 16
#define TOLERANCE 2e-5
#define TOLERANCE_HALF 0x1p-10

struct tally {
	uint32_t alike;
	uint32_t different;
	uint32_t refused;      /* by hearth */
	uint32_t refused_peer; /* by ONNX Runtime alone */
};

struct alike {
	char directory[512];
	const char *name;
	struct npy inputs[TENSORS_MAX];
	struct ort_tensor outputs[TENSORS_MAX]; /* ONNX Runtime's */
	void *answers[TENSORS_MAX];             /* hearth's */
	uint64_t answer_bytes[TENSORS_MAX];
};

static bool is_json;

static double tolerance(uint32_t dtype, double wanted)
{
	if (dtype == NPY_F32)
		return TOLERANCE * (1 + fabs(wanted));
	return dtype == NPY_F16 ? TOLERANCE_HALF * fabs(wanted) : 0;
}

/* Prints the first difference of an output. */
static bool output_is_alike(const struct alike *alike, uint32_t output)
{
	const struct ort_tensor *wanted = alike->outputs + output;
	uint64_t elements = wanted->bytes / npy_dtype_bytes(wanted->dtype);
	uint64_t index;

	if (alike->answer_bytes[output] != wanted->bytes) {
		printf("  differs  %s: output %u has %llu bytes, ONNX Runtime's %llu\n", alike->name,
		       output, (unsigned long long)alike->answer_bytes[output],
		       (unsigned long long)wanted->bytes);
		return false;
	}
	for (index = 0; index < elements; index++) {
		double left = ref_read(alike->answers[output], (enum dtype)wanted->dtype,
				       (int64_t)index);
		double right = ref_read(wanted->data, (enum dtype)wanted->dtype, (int64_t)index);

		if ((isnan(left) && isnan(right)) || left == right ||
		    fabs(left - right) <= tolerance(wanted->dtype, right))
			continue;
		printf("  differs  %s: element %llu of output %u is %.9g, ONNX Runtime's %.9g\n",
		       alike->name, (unsigned long long)index, output, left, right);
		return false;
	}
	return true;
}

static void inputs_read(struct alike *alike, uint32_t count)
{
	uint32_t input;

	must(count <= TENSORS_MAX, "%s has %u inputs", alike->name, count);
	for (input = 0; input < count; input++) {
		char path[600];

		snprintf(path, sizeof(path), "%s/input_%u.npy", alike->directory, input);
		must(npy_read(path, alike->inputs + input) == 0, "%s", err_message());
	}
}

/* By hearth's engine; the outputs keep the shape that the engine gives them. */
static void compute(struct alike *alike, struct engine *engine)
{
	const struct signature *signature = engine_signature(engine);
	struct signature_shape shapes[TENSORS_MAX] = { 0 };
	int64_t symbols[SIGNATURE_SYMBOLS_MAX] = { 0 };
	void *inputs[ENGINE_INPUTS_MAX] = { NULL };
	struct row_status *status;
	int64_t rows;
	uint32_t mismatch;
	uint32_t index;
	uint32_t axis;

	for (index = 0; index < signature->input_count; index++) {
		const struct npy *npy = alike->inputs + index;

		shapes[index].rank = npy->rank;
		for (axis = 0; axis < npy->rank; axis++)
			shapes[index].dims[axis] = (uint32_t)npy->dims[axis];
		inputs[index] = aligned_alloc(64, (npy->data_bytes + 127) & ~UINT64_C(63));
		must(inputs[index], "no memory");
		memcpy(inputs[index], npy->data, npy->data_bytes);
	}
	must(signature_solve(signature, shapes, symbols, &mismatch) == 0,
	     "%s: input %u does not fit", alike->name, mismatch);
	must(engine_fits(engine, symbols), "%s: does not fit", alike->name);
	for (index = 0; index < signature->output_count; index++) {
		const struct signature_tensor *tensor = signature->outputs + index;

		alike->answer_bytes[index] = (uint64_t)signature_elements(tensor, symbols) *
					     dtype_bytes(tensor->dtype);
		alike->answers[index] =
			aligned_alloc(64, (alike->answer_bytes[index] + 127) & ~UINT64_C(63));
		must(alike->answers[index], "no memory");
		alike->outputs[index].name = tensor->name;
		alike->outputs[index].dtype = tensor->dtype;
	}
	rows = signature->row_symbol < 0 ? 1 : symbols[signature->row_symbol];
	status = calloc((size_t)rows + 1, sizeof(*status));
	must(status, "no memory");
	engine_run(engine, symbols, (const void *const *)inputs, alike->answers, status);
	for (index = 0; index < (uint32_t)rows; index++)
		must(status[index].error == 0, "%s: row %u reports an id", alike->name, index);
	free(status);
	for (index = 0; index < signature->input_count; index++)
		free(inputs[index]);
}

static const char *compute_peer(struct alike *alike, const struct signature *signature)
{
	struct ort_tensor inputs[TENSORS_MAX] = { 0 };
	char path[600];
	uint32_t index;
	uint32_t axis;

	for (index = 0; index < signature->input_count; index++) {
		const struct npy *npy = alike->inputs + index;

		inputs[index] = (struct ort_tensor){ .name = signature->inputs[index].name,
						     .dtype = npy->dtype, .rank = npy->rank,
						     .data = npy->data, .bytes = npy->data_bytes };
		for (axis = 0; axis < npy->rank; axis++)
			inputs[index].dims[axis] = (int64_t)npy->dims[axis];
	}
	snprintf(path, sizeof(path), "%s/model.onnx", alike->directory);
	return ort_compute(path, inputs, signature->input_count, alike->outputs,
			   signature->output_count);
}

static void case_compare(struct alike *alike, struct engine *engine, struct tally *tally)
{
	const struct signature *signature = engine_signature(engine);
	const char *refused;
	bool is_alike = true;
	uint32_t index;

	must(signature->output_count <= TENSORS_MAX, "%s: too many outputs", alike->name);
	inputs_read(alike, signature->input_count);
	compute(alike, engine);
	refused = compute_peer(alike, signature);
	if (refused) {
		printf("  ONNX Runtime refuses %s: %s\n", alike->name, refused);
		tally->refused_peer++;
	} else {
		for (index = 0; index < signature->output_count && is_alike; index++)
			is_alike = output_is_alike(alike, index);
		*(is_alike ? &tally->alike : &tally->different) += 1;
	}
	for (index = 0; index < signature->input_count; index++)
		npy_free(alike->inputs + index);
	for (index = 0; index < signature->output_count; index++) {
		free(alike->outputs[index].data);
		free(alike->answers[index]);
	}
}

static void case_run(const char *folder, const char *name, struct tally *tally)
{
	struct engine_options options = { .node = -1 };
	struct alike alike = { .name = name };
	struct engine *engine;
	int directory_fd;

	snprintf(alike.directory, sizeof(alike.directory), "%s/%s", folder, name);
	directory_fd = open(alike.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(directory_fd >= 0, "%s cannot be opened", alike.directory);
	if (engine_new(directory_fd, name, &options, &engine) < 0) {
		/* Without the list of what is supported. */
		printf("  refused  %.*s\n", (int)strcspn(err_message(), ";"), err_message());
		tally->refused++;
	} else {
		case_compare(&alike, engine, tally);
		engine_free(engine);
	}
	close(directory_fd);
}

static int is_case(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void compare_all(void)
{
	struct tally tally = { 0 };
	struct dirent **entries;
	char command[600];
	const char *folder;
	const char *reason;
	int count;
	int index;

	reason = ort_open ? ort_open() : "onnxruntime_c_api.h was not found when this was built: "
					 "ORT_INCLUDE says where it is";
	if (reason) {
		printf("SKIP: no ONNX Runtime (ORT_LIBRARY): %s\n", reason);
		exit(MEASURE_SKIP);
	}
	scratch_begin();
	folder = scratch_directory();
	snprintf(command, sizeof(command), "tests/models/cases.py '%s'", folder);
	if (system(command) != 0) {
		printf("SKIP: tests/models/cases.py wants python3 with numpy and onnx\n");
		exit(MEASURE_SKIP);
	}
	if (!is_json)
		printf("\nalike: hearth's engine beside ONNX Runtime %s on small files\n\n",
		       ort_version());
	count = scandir(folder, &entries, is_case, alphasort);
	must(count > 0, "no cases");
	for (index = 0; index < count; index++) {
		case_run(folder, entries[index]->d_name, &tally);
		free(entries[index]);
	}
	free(entries);
	scratch_end();
	printf(is_json ? "{\"bench\":\"alike\",\"alike\":%u,\"different\":%u,\"refused\":%u,"
			 "\"refused_by_peer\":%u}\n"
		       : "\n  %u alike, %u different, %u refused by hearth, %u by ONNX Runtime alone\n",
	       tally.alike, tally.different, tally.refused, tally.refused_peer);
	if (tally.different > 0)
		exit(EXIT_FAILURE);
}

int main(int argc, char **argv)
{
	int status = measure_arguments(argc, argv, &is_json);

	if (status == 0)
		compare_all();
	return status;
}
