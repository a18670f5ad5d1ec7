/* SPDX-License-Identifier: MIT */
/* tests/exec/load_bytes.c - bytes are loaded as hearthd loads model.onnx, and what came of it is run
 */
#include "tests/exec/load_bytes.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/onnx_parts.h"

#define REQUEST_BYTES_MAX (UINT64_C(1) << 20)
#define SPAN_BYTES_MAX (UINT64_C(64) << 20)
#define WEIGHTS_GROWTH 64

static struct {
	const void *bytes;
	size_t byte_count;
} file;

static void load_check(bool is_kept, const char *promise)
{
	if (is_kept)
		return;
	fprintf(stderr, "load_bytes: broken promise: %s\n", promise);
	abort();
}

int __wrap_onnx_open(int directory_fd, const char *name, struct onnx_model **ret_model);

/* The linker sends engine_new here. A block of exactly the file's size lets a sanitizer see a
 * step beyond it. */
int __wrap_onnx_open(int directory_fd, const char *name, struct onnx_model **ret_model)
{
	uint8_t *exact = malloc(file.byte_count ? file.byte_count : 1);
	int r;

	if (!exact)
		abort();
	if (file.byte_count > 0)
		memcpy(exact, file.bytes, file.byte_count);
	r = onnx_parse(directory_fd, name, exact, file.byte_count, ret_model);
	free(exact);
	return r < 0 ? err_trace(r) : 0;
}

int __wrap_span_map_for(const struct tier_owner *owner, uint64_t bytes, int node, int wants_huge,
			struct span *ret_span);
int __wrap_span_map_parts(const struct tier_owner *owner, const struct span_part parts[],
			  uint32_t part_count, int wants_huge, struct span *ret_span);
void __wrap_span_unmap(struct span *span);

/* Weights and activations in blocks of exactly their size, for the same reason. */
int __wrap_span_map_for(const struct tier_owner *owner, uint64_t bytes, int node, int wants_huge,
			struct span *ret_span)
{
	void *address = NULL;

	(void)owner;
	(void)wants_huge;
	load_check(bytes <= file.byte_count * WEIGHTS_GROWTH + SPAN_BYTES_MAX,
		   "a small file makes small weights");
	if (posix_memalign(&address, ONNX_PAGE_BYTES, bytes) != 0)
		abort();
	memset(address, 0, bytes);
	*ret_span = (struct span){ .address = address, .bytes = bytes, .node = node };
	return 0;
}

int __wrap_span_map_parts(const struct tier_owner *owner, const struct span_part parts[],
			  uint32_t part_count, int wants_huge, struct span *ret_span)
{
	load_check(part_count == 1, "weights and tables are on one node");
	return __wrap_span_map_for(owner, parts[0].bytes, -1, wants_huge, ret_span);
}

void __wrap_span_unmap(struct span *span)
{
	free(span->address);
	*span = (struct span){ .address = NULL };
}

int load_bytes(int directory_fd, const void *bytes, size_t byte_count, struct engine **ret_engine)
{
	const struct engine_options options = {
		.rows_max = LOAD_ROWS_MAX,
		.activation_bytes_max = LOAD_ACTIVATION_BYTES_MAX,
		.node = -1,
	};
	int r;

	file.bytes = bytes;
	file.byte_count = byte_count;
	r = engine_new(directory_fd, LOAD_NAME, &options, ret_engine);
	return r < 0 ? err_trace(r) : 0;
}

/* --- requests ------------------------------------------------------------------------------------ */

struct request {
	int64_t symbols[SIGNATURE_SYMBOLS_MAX];
	void *inputs[ENGINE_INPUTS_MAX];
	void *outputs[SIGNATURE_TENSORS_MAX];
	struct row_status status[LOAD_ROWS_MAX + 1]; /* of rows, and of the request */
	int32_t row_requests[LOAD_ROWS_MAX];       /* all of request 0 */
};

static uint64_t tensor_bytes(const struct signature_tensor *tensor, const int64_t symbols[])
{
	int64_t elements = signature_elements(tensor, symbols);

	load_check(elements >= 0, "a size that the engine takes is not negative");
	if ((uint64_t)elements > REQUEST_BYTES_MAX)
		return UINT64_MAX / (4 * SIGNATURE_TENSORS_MAX);
	return (uint64_t)elements * dtype_bytes(tensor->dtype);
}

static void *exact_memory(uint64_t bytes)
{
	void *memory = NULL;

	if (posix_memalign(&memory, 64, bytes ? bytes : 1) != 0)
		abort();
	return memory;
}

static uint64_t mix(uint64_t number)
{
	number = (number ^ number >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	number = (number ^ number >> 27) * UINT64_C(0x94d049bb133111eb);
	return number ^ number >> 31;
}

/* Small finite values and small ids; wild: anything. */
static void tensor_fill(const struct signature_tensor *tensor, uint64_t bytes, uint64_t seed,
			bool is_wild, void *memory)
{
	uint32_t size = dtype_bytes(tensor->dtype);

	for (uint64_t at = 0; at < bytes; at += size) {
		uint64_t random = mix(seed + at * UINT64_C(0x9e3779b97f4a7c15));
		float value = (float)(int64_t)(random % 17) / 8 - 1;
		int64_t id = (int64_t)(random % 3);

		if (is_wild)
			memcpy((char *)memory + at, &random, size);
		else if (tensor->dtype == DTYPE_F32)
			memcpy((char *)memory + at, &value, size);
		else
			memcpy((char *)memory + at, &id, size);
	}
}

static void request_deinit(struct request *request)
{
	for (uint32_t index = 0; index < SIGNATURE_TENSORS_MAX; index++) {
		if (request->inputs[index] != request->row_requests)
			free(request->inputs[index]);
		free(request->outputs[index]);
	}
}

/* False: such a request does not fit into the engine or the test. */
static bool request_init(struct request *request, const struct engine *engine, int64_t size,
			 uint64_t seed, bool is_wild)
{
	const struct signature *signature = engine_signature(engine);
	uint64_t bytes = 0;

	memset(request, 0, sizeof(*request));
	for (uint32_t symbol = 0; symbol < signature->symbol_count; symbol++)
		request->symbols[symbol] = size;
	if (signature->request_symbol >= 0)
		request->symbols[signature->request_symbol] = 1;
	if (!engine_fits(engine, request->symbols))
		return false;
	for (uint32_t index = 0; index < signature->input_count + signature->output_count; index++)
		bytes += tensor_bytes(signature_tensor_at(signature, index), request->symbols);
	if (bytes > REQUEST_BYTES_MAX)
		return false;
	for (uint32_t index = 0; index < signature->input_count; index++) {
		const struct signature_tensor *tensor = &signature->inputs[index];

		bytes = tensor_bytes(tensor, request->symbols);
		request->inputs[index] = exact_memory(bytes);
		tensor_fill(tensor, bytes, seed + index, is_wild, request->inputs[index]);
	}
	for (uint32_t index = 0; index < signature->output_count; index++) {
		bytes = tensor_bytes(&signature->outputs[index], request->symbols);
		request->outputs[index] = exact_memory(bytes);
		memset(request->outputs[index], 0, bytes);
	}
	return true;
}

static void request_run(struct engine *engine, struct request *request)
{
	request->inputs[engine_signature(engine)->input_count] = request->row_requests;
	engine_run(engine, request->symbols, (const void *const *)request->inputs,
		   request->outputs, request->status);
	for (uint32_t row = 0; row < LOAD_ROWS_MAX; row++)
		load_check(engine_error_input(engine, request->status[row].error) <
				   (int)engine_signature(engine)->input_count,
			   "an error blames an input that is there");
}

/* The same bits, or both not a number: which one depends on the order of the operands. */
static bool row_is_same(enum dtype dtype, const char *left, const char *right, uint64_t bytes)
{
	float one, other;

	if (memcmp(left, right, bytes) == 0)
		return true;
	for (uint64_t at = 0; dtype == DTYPE_F32 && at < bytes; at += sizeof(one)) {
		memcpy(&one, left + at, sizeof(one));
		memcpy(&other, right + at, sizeof(other));
		if (memcmp(&one, &other, sizeof(one)) != 0 && !(isnan(one) && isnan(other)))
			return false;
	}
	return dtype == DTYPE_F32;
}

/* Row `row` of `together`, asked for alone. */
static void row_check(struct engine *engine, const struct request *together, uint32_t row)
{
	const struct signature *signature = engine_signature(engine);
	struct request alone;

	if (!request_init(&alone, engine, 1, 0, false))
		return;
	for (uint32_t index = 0; index < signature->input_count; index++) {
		uint64_t bytes = tensor_bytes(&signature->inputs[index], alone.symbols);

		if (bytes > 0)
			memcpy(alone.inputs[index],
			       (char *)together->inputs[index] +
				       (signature_is_of_request(signature, index) ? 0 : row) * bytes,
			       bytes);
	}
	request_run(engine, &alone);
	load_check((alone.status[0].error == 0) == (together->status[row].error == 0),
		   "a row is in error alone as it is together");
	for (uint32_t index = 0; index < signature->output_count; index++) {
		uint64_t bytes = tensor_bytes(&signature->outputs[index], alone.symbols);

		load_check(together->status[row].error ||
				   row_is_same(signature->outputs[index].dtype,
					       alone.outputs[index],
					       (char *)together->outputs[index] + row * bytes,
					       bytes),
			   "independent rows score alone as they do together");
	}
	request_deinit(&alone);
}

void load_exercise(struct engine *engine)
{
	const struct signature *signature = engine_signature(engine);
	bool is_row_wise = signature->row_symbol >= 0 && signature->symbol_count == 1;
	struct request request;

	for (int64_t size = 0; size < LOAD_ROWS_MAX; size++) {
		bool is_wild = size == 2;

		if (request_init(&request, engine, size, (uint64_t)size, is_wild)) {
			request_run(engine, &request);
			if (is_row_wise && size == 3)
				row_check(engine, &request, 1);
		}
		request_deinit(&request);
	}
}
