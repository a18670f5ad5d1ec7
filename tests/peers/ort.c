/* SPDX-License-Identifier: MIT */
/* tests/peers/ort.c - ONNX Runtime: library, sessions, values */
#include "ort.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <onnxruntime_c_api.h>

#include "tests/system/crowd.h"
#include "tools/hearthctl/requests/npy.h"

#define LIBRARY_DEFAULT "libonnxruntime.so.1"
#define API_OLDEST 11 /* every call below is in it */
#define OUTPUT_NAME_BYTES 64

struct ort_session {
	const struct network *network;
	OrtSession *session;
	OrtValue *(*values)[NETWORK_INPUTS_MAX]; /* [count] */
	uint32_t count;
	OrtValue *output;
	char output_name[OUTPUT_NAME_BYTES];
};

static const OrtApiBase *base;
static const OrtApi *api;
static OrtEnv *environment;
static OrtMemoryInfo *memory;

static void succeed(OrtStatus *status)
{
	must(!status, "ONNX Runtime: %s", api->GetErrorMessage(status));
}

const char *ort_open(void)
{
	const OrtApiBase *(*get_base)(void);
	const char *path = getenv("ORT_LIBRARY");
	void *library = dlopen(path && *path ? path : LIBRARY_DEFAULT, RTLD_NOW | RTLD_LOCAL);

	if (!library)
		return dlerror();
	*(void **)&get_base = dlsym(library, "OrtGetApiBase");
	if (!get_base)
		return dlerror();
	base = get_base();
	api = base->GetApi(API_OLDEST);
	if (!api)
		return "the library does not know this version of its interface";
	succeed(api->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "hearth", &environment));
	succeed(api->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory));
	return NULL;
}

const char *ort_version(void)
{
	return base->GetVersionString();
}

/* Tables are mapped from their files, and what is mapped costs a fault at its first use. */
static void tables_touch(void)
{
	volatile uint8_t sum = 0;
	char line[512];
	FILE *file = fopen("/proc/self/maps", "re");

	must(file, "cannot read /proc/self/maps");
	while (fgets(line, sizeof(line), file)) {
		unsigned long first;
		unsigned long end;
		unsigned long at;

		if (!strstr(line, ".bin\n") || sscanf(line, "%lx-%lx r", &first, &end) != 2)
			continue;
		for (at = first; at < end; at += 4096)
			sum = (uint8_t)(sum + *(const volatile uint8_t *)(uintptr_t)at);
	}
	fclose(file);
}

struct ort_session *ort_session_open(const struct network *network, const char *path,
				     uint32_t threads)
{
	struct ort_session *session = calloc(1, sizeof(*session));
	OrtSessionOptions *options;
	OrtAllocator *allocator;
	char *name;

	must(session, "no memory");
	session->network = network;
	succeed(api->CreateSessionOptions(&options));
	succeed(api->SetIntraOpNumThreads(options, (int)threads));
	succeed(api->SetInterOpNumThreads(options, 1));
	succeed(api->SetSessionExecutionMode(options, ORT_SEQUENTIAL));
	succeed(api->SetSessionGraphOptimizationLevel(options, ORT_ENABLE_ALL));
	succeed(api->CreateSession(environment, path, options, &session->session));
	api->ReleaseSessionOptions(options);
	succeed(api->GetAllocatorWithDefaultOptions(&allocator));
	succeed(api->SessionGetOutputName(session->session, 0, allocator, &name));
	snprintf(session->output_name, sizeof(session->output_name), "%s", name);
	succeed(api->AllocatorFree(allocator, name));
	tables_touch();
	return session;
}

static void values_release(struct ort_session *session)
{
	uint32_t batch;
	uint32_t input;

	for (batch = 0; batch < session->count; batch++)
		for (input = 0; input < session->network->input_count; input++)
			api->ReleaseValue(session->values[batch][input]);
	free(session->values);
	if (session->output)
		api->ReleaseValue(session->output);
	session->values = NULL;
	session->output = NULL;
	session->count = 0;
}

void ort_session_close(struct ort_session *session)
{
	values_release(session);
	api->ReleaseSession(session->session);
	free(session);
}

void ort_bind(struct ort_session *session, const struct network_batch batches[], uint32_t count)
{
	const struct network *network = session->network;
	uint32_t batch;
	uint32_t input;

	values_release(session);
	session->count = count;
	session->values = calloc(count, sizeof(*session->values));
	must(session->values, "no memory");
	for (batch = 0; batch < count; batch++)
		for (input = 0; input < network->input_count; input++) {
			const struct network_input *info = network->inputs + input;
			int64_t dims[2] = { batches[batch].rows, info->columns };

			succeed(api->CreateTensorWithDataAsOrtValue(
				memory, batches[batch].inputs[input],
				network_input_bytes(network, input, batches[batch].rows), dims,
				info->rank,
				info->is_ids ? ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64 :
					       ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
				&session->values[batch][input]));
		}
}

const float *ort_run(struct ort_session *session, uint32_t batch)
{
	const char *names[NETWORK_INPUTS_MAX];
	const char *output_names[1] = { session->output_name };
	uint32_t input;
	void *scores;

	for (input = 0; input < session->network->input_count; input++)
		names[input] = session->network->inputs[input].name;
	if (session->output)
		api->ReleaseValue(session->output);
	session->output = NULL;
	succeed(api->Run(session->session, NULL, names,
			 (const OrtValue *const *)session->values[batch],
			 session->network->input_count, output_names, 1, &session->output));
	succeed(api->GetTensorMutableData(session->output, &scores));
	return scores;
}

/* --- one run of any model --------------------------------------------------------------------- */

/* Says what was refused; the sentence lasts until the next one. */
static const char *refusal(OrtStatus *status)
{
	static char sentence[512];

	if (!status)
		return NULL;
	snprintf(sentence, sizeof(sentence), "%s", api->GetErrorMessage(status));
	api->ReleaseStatus(status);
	return sentence;
}

static void output_take(const OrtValue *value, struct ort_tensor *output)
{
	OrtTensorTypeAndShapeInfo *info;
	uint64_t elements = 1;
	size_t rank;
	void *data;
	uint32_t axis;

	succeed(api->GetTensorTypeAndShape(value, &info));
	succeed(api->GetDimensionsCount(info, &rank));
	must(rank <= ORT_RANK_MAX, "an output of rank %zu", rank);
	output->rank = (uint32_t)rank;
	succeed(api->GetDimensions(info, output->dims, rank));
	api->ReleaseTensorTypeAndShapeInfo(info);
	for (axis = 0; axis < output->rank; axis++)
		elements *= (uint64_t)output->dims[axis];
	output->bytes = elements * npy_dtype_bytes(output->dtype);
	succeed(api->GetTensorMutableData((OrtValue *)value, &data));
	output->data = malloc(output->bytes + 1);
	must(output->data, "no memory");
	memcpy(output->data, data, output->bytes);
}

static const char *session_compute(OrtSession *session, const struct ort_tensor inputs[],
				   uint32_t input_count, struct ort_tensor outputs[],
				   uint32_t output_count)
{
	const char *names[NETWORK_INPUTS_MAX];
	const char *output_names[NETWORK_INPUTS_MAX];
	OrtValue *values[NETWORK_INPUTS_MAX] = { NULL };
	OrtValue *results[NETWORK_INPUTS_MAX] = { NULL };
	const char *refused;
	uint32_t index;

	for (index = 0; index < input_count; index++) {
		names[index] = inputs[index].name;
		/* The numbers of its types are ONNX's. */
		succeed(api->CreateTensorWithDataAsOrtValue(
			memory, inputs[index].data, inputs[index].bytes, inputs[index].dims,
			inputs[index].rank, (ONNXTensorElementDataType)inputs[index].dtype,
			&values[index]));
	}
	for (index = 0; index < output_count; index++)
		output_names[index] = outputs[index].name;
	refused = refusal(api->Run(session, NULL, names, (const OrtValue *const *)values,
				   input_count, output_names, output_count, results));
	for (index = 0; index < output_count && !refused; index++)
		output_take(results[index], outputs + index);
	for (index = 0; index < output_count; index++)
		if (results[index])
			api->ReleaseValue(results[index]);
	for (index = 0; index < input_count; index++)
		api->ReleaseValue(values[index]);
	return refused;
}

const char *ort_compute(const char *path, const struct ort_tensor inputs[], uint32_t input_count,
			struct ort_tensor outputs[], uint32_t output_count)
{
	OrtSessionOptions *options;
	OrtSession *session = NULL;
	const char *refused;

	must(input_count <= NETWORK_INPUTS_MAX && output_count <= NETWORK_INPUTS_MAX,
	     "%s: %u inputs, %u outputs", path, input_count, output_count);
	succeed(api->CreateSessionOptions(&options));
	succeed(api->SetIntraOpNumThreads(options, 1));
	refused = refusal(api->CreateSession(environment, path, options, &session));
	api->ReleaseSessionOptions(options);
	if (!refused)
		refused = session_compute(session, inputs, input_count, outputs, output_count);
	if (session)
		api->ReleaseSession(session);
	return refused;
}
