/* SPDX-License-Identifier: MIT */
/* tools/hearthctl/requests/feed.c - the model says which shapes, files or chance say which values */

#include "tools/hearthctl/requests/feed.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "tools/hearthctl/requests/npy.h"

static_assert(NPY_F32 == HEARTH_F32 && NPY_I32 == HEARTH_I32 && NPY_I64 == HEARTH_I64,
	      "a file's type is compared with the model's");

#define RANDOM_BYTES_MAX (UINT64_C(1) << 32)

/* "[batch, 10]": a symbol is named by what is known of it. */
static const char *dims_text(const struct hearth_model_info *model,
			     const struct hearth_tensor_info *input, char *text, size_t text_bytes)
{
	size_t used = 0;
	uint32_t dim;

	text[0] = '\0';
	for (dim = 0; dim < input->rank && used < text_bytes; dim++) {
		const struct hearth_dim *size = &input->dims[dim];
		const char *gap = dim > 0 ? ", " : "";
		int printed;
		if (size->symbol < 0)
			printed = snprintf(text + used, text_bytes - used, "%s%d", gap,
					   size->constant);
		else if (size->symbol == model->row_symbol && size->factor == 1 &&
			 size->constant == 0)
			printed = snprintf(text + used, text_bytes - used, "%srows", gap);
		else
			printed = snprintf(text + used, text_bytes - used, "%s%u*size%d%+d", gap,
					   size->factor, size->symbol, size->constant);
		used += printed > 0 ? (size_t)printed : 0;
	}
	return text;
}

static const char *file_dims_text(const struct npy *npy, char *text, size_t text_bytes)
{
	size_t used = 0;
	uint32_t dim;

	text[0] = '\0';
	for (dim = 0; dim < npy->rank && used < text_bytes; dim++) {
		int printed = snprintf(text + used, text_bytes - used, "%s%" PRIu64,
				       dim > 0 ? ", " : "", npy->dims[dim]);
		used += printed > 0 ? (size_t)printed : 0;
	}
	return text;
}

/* The only input that fixed a size is named when another one disagrees. */
static int sizes_solve(const struct hearth_model_info *model,
		       const struct hearth_tensor_info *input, const char *path,
		       const struct npy *npy, struct feed *feed, bool is_known[FEED_SYMBOLS_MAX])
{
	char wanted[128];
	char found[192];
	uint32_t dim;

	if (npy->rank != input->rank)
		goto mismatch;
	for (dim = 0; dim < npy->rank; dim++) {
		const struct hearth_dim *size = &input->dims[dim];
		int64_t rest = (int64_t)npy->dims[dim] - size->constant;
		if (npy->dims[dim] > INT32_MAX)
			goto mismatch;
		if (size->symbol < 0 || size->factor == 0) {
			if (rest != 0)
				goto mismatch;
			continue;
		}
		if (rest < 0 || rest % size->factor != 0)
			goto mismatch;
		rest /= size->factor;
		if (is_known[size->symbol] && feed->sizes[size->symbol] != (uint64_t)rest) {
			return err_raise(
				-EINVAL,
				"%s: dimension %u of input '%s' means %" PRId64
				" %s, and an input before it has %u; all inputs must agree",
				path, dim, input->name, rest,
				size->symbol == model->row_symbol ? "rows" : "of a size",
				feed->sizes[size->symbol]);
		}
		feed->sizes[size->symbol] = (uint32_t)rest;
		is_known[size->symbol] = true;
	}
	return 0;
mismatch:
	return err_raise(-EINVAL, "%s: the shape is [%s]; input '%s' of model '%s' wants [%s]",
			 path, file_dims_text(npy, found, sizeof(found)), input->name, model->name,
			 dims_text(model, input, wanted, sizeof(wanted)));
}

static int model_check(const struct hearth_model_info *model)
{
	uint32_t input;

	if (model->symbol_count > FEED_SYMBOLS_MAX)
		return err_raise(-EINVAL,
				 "model '%s' has %u free sizes; hearthctl takes at most %d",
				 model->name, model->symbol_count, FEED_SYMBOLS_MAX);
	for (input = 0; input < model->input_count; input++)
		if (npy_dtype_bytes(model->inputs[input].dtype) == 0)
			return err_raise(-EINVAL,
					 "input '%s' is of data type %u, which hearthctl "
					 "does not know; a newer one is needed",
					 model->inputs[input].name, model->inputs[input].dtype);
	return 0;
}

bool feed_can_cut(const struct hearth_model_info *model)
{
	uint32_t input;

	for (input = 0; input < model->input_count; input++) {
		const struct hearth_dim *rows = &model->inputs[input].dims[0];
		if (model->inputs[input].rank == 0 || rows->symbol != model->row_symbol ||
		    rows->constant != 0)
			return false;
	}
	return model->row_symbol >= 0 && model->symbol_count == 1;
}

static void feed_rows_set(const struct hearth_model_info *model, struct feed *feed)
{
	uint32_t input;

	feed->row_symbol = feed_can_cut(model) ? model->row_symbol : -1;
	feed->row_count = feed->row_symbol >= 0 ? feed->sizes[feed->row_symbol] : 1;
	for (input = 0; input < feed->input_count; input++)
		feed->inputs[input].row_bytes =
			feed->row_count > 0 ? feed->inputs[input].bytes / feed->row_count : 0;
}

static const struct input_argument *argument_find(const struct input_argument *arguments,
						  uint32_t argument_count, const char *name)
{
	uint32_t argument;

	for (argument = 0; argument < argument_count; argument++)
		if (strcmp(arguments[argument].name, name) == 0)
			return &arguments[argument];
	return NULL;
}

/* Every argument must be an input, every input must have an argument. */
static int arguments_check(const struct hearth_model_info *model,
			   const struct input_argument *arguments, uint32_t argument_count)
{
	char names[512] = "";
	size_t used = 0;
	uint32_t argument;
	uint32_t input;

	for (input = 0; input < model->input_count && used < sizeof(names); input++)
		used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s",
					 input > 0 ? ", " : "", model->inputs[input].name);
	for (argument = 0; argument < argument_count; argument++) {
		for (input = 0; input < model->input_count; input++)
			if (strcmp(arguments[argument].name, model->inputs[input].name) == 0)
				break;
		if (input == model->input_count)
			return err_raise(-EINVAL, "model '%s' has no input '%s'; its inputs are %s",
					 model->name, arguments[argument].name, names);
	}
	for (input = 0; input < model->input_count; input++)
		if (!argument_find(arguments, argument_count, model->inputs[input].name))
			return err_raise(
				-EINVAL,
				"input '%s' of model '%s' has no file; give --input %s=FILE.npy",
				model->inputs[input].name, model->name, model->inputs[input].name);
	return 0;
}

static int input_read(const struct hearth_model_info *model, const struct hearth_tensor_info *input,
		      const char *path, struct feed *feed, struct feed_input *to,
		      bool is_known[FEED_SYMBOLS_MAX])
{
	struct npy npy;
	int r;

	r = npy_read(path, &npy);
	if (r < 0)
		return err_trace(r);
	if (npy.dtype != input->dtype) {
		r = err_raise(
			-EINVAL,
			"%s: the elements are %s; input '%s' of model '%s' wants %s: convert with "
			"numpy's astype()",
			path, npy_dtype_name(npy.dtype), input->name, model->name,
			npy_dtype_name(input->dtype));
		goto out;
	}
	r = sizes_solve(model, input, path, &npy, feed, is_known);
	if (r < 0) {
		r = err_trace(r);
		goto out;
	}
	to->data = npy.data;
	to->bytes = npy.data_bytes;
	npy.data = NULL;
out:
	npy_free(&npy);
	return r;
}

int feed_from_files(const struct hearth_model_info *model, const struct input_argument *arguments,
		    uint32_t argument_count, struct feed *ret_feed)
{
	struct feed feed = {.input_count = model->input_count, .symbol_count = model->symbol_count};
	bool is_known[FEED_SYMBOLS_MAX] = {false};
	uint32_t input;
	int r;

	r = model_check(model);
	if (r < 0)
		return err_trace(r);
	r = arguments_check(model, arguments, argument_count);
	if (r < 0)
		return err_trace(r);
	for (input = 0; input < model->input_count; input++) {
		const struct input_argument *argument =
			argument_find(arguments, argument_count, model->inputs[input].name);
		r = input_read(model, &model->inputs[input], argument->path, &feed,
			       &feed.inputs[input], is_known);
		if (r < 0) {
			feed_deinit(&feed);
			return err_trace(r);
		}
	}
	feed_rows_set(model, &feed);
	if (feed.row_count == 0) {
		feed_deinit(&feed);
		return err_raise(-EINVAL, "the files hold no row");
	}
	*ret_feed = feed;
	return 0;
}

static uint64_t tensor_bytes(const struct hearth_tensor_info *tensor, const uint32_t sizes[])
{
	uint64_t bytes = npy_dtype_bytes(tensor->dtype);
	uint32_t dim;

	for (dim = 0; dim < tensor->rank; dim++) {
		const struct hearth_dim *size = &tensor->dims[dim];
		int64_t count = size->constant;
		if (size->symbol >= 0)
			count += (int64_t)size->factor * sizes[size->symbol];
		if (count < 0 || __builtin_mul_overflow(bytes, (uint64_t)count, &bytes))
			return UINT64_MAX;
	}
	return bytes;
}

static void integer_write(uint8_t *to, uint32_t dtype, uint64_t element, uint64_t value)
{
	if (dtype == HEARTH_I64)
		((int64_t *)(void *)to)[element] = (int64_t)value;
	else
		((int32_t *)(void *)to)[element] = (int32_t)value;
}

/* Ascending places that divide all `values`: bags of up to twice as many as each has on average. */
static void offsets_randomise(const struct hearth_tensor_info *input, struct feed_input *to,
			      uint64_t values, uint64_t *chance)
{
	uint64_t count = to->bytes / npy_dtype_bytes(input->dtype);
	/* Of a fixed number of places the last one may be where the last bag ends. */
	uint64_t bags = count - (input->dims[0].symbol < 0 ? 1 : (uint64_t)input->dims[0].constant);
	uint64_t element;

	for (element = 0; element < count; element++) {
		uint64_t place = element * values + chance_next(chance) % (values + 1);

		if (element == 0 || element == bags)
			integer_write(to->data, input->dtype, element, element ? values : 0);
		else
			integer_write(to->data, input->dtype, element, place / bags);
	}
}

static void input_randomise(const struct hearth_tensor_info *input, struct feed_input *to,
			    uint64_t id_max, uint64_t *chance)
{
	uint64_t element;

	switch (input->dtype) {
	case HEARTH_F32:
		for (element = 0; element < to->bytes / 4; element++)
			((float *)(void *)to->data)[element] =
				(float)(chance_next(chance) >> 40) * 0x1p-24f;
		break;
	case HEARTH_I32:
		for (element = 0; element < to->bytes / 4; element++)
			((int32_t *)(void *)to->data)[element] =
				(int32_t)(chance_next(chance) %
					  (id_max < INT32_MAX ? id_max : INT32_MAX));
		break;
	case HEARTH_I64:
		for (element = 0; element < to->bytes / 8; element++)
			((int64_t *)(void *)to->data)[element] =
				(int64_t)(chance_next(chance) % id_max);
		break;
	case NPY_F16: /* from 1 to 2: the exponent is fixed */
		for (element = 0; element < to->bytes / 2; element++)
			((uint16_t *)(void *)to->data)[element] =
				(uint16_t)(0x3c00 | (chance_next(chance) & 0x3ff));
		break;
	case NPY_BOOL:
		for (element = 0; element < to->bytes; element++)
			to->data[element] = chance_next(chance) & 1;
		break;
	default: /* NPY_U8, NPY_I8 */
		for (element = 0; element < to->bytes; element++)
			to->data[element] =
				(uint8_t)(chance_next(chance) % (id_max < 256 ? id_max : 256));
	}
}

int feed_from_chance(const struct hearth_model_info *model, uint32_t rows, uint64_t id_max,
		     uint64_t seed, struct feed *ret_feed)
{
	struct feed feed = {.input_count = model->input_count, .symbol_count = model->symbol_count};
	uint64_t chance = seed;
	uint32_t symbol;
	uint32_t input;
	int r;

	r = model_check(model);
	if (r < 0)
		return err_trace(r);
	for (symbol = 0; symbol < model->symbol_count; symbol++)
		feed.sizes[symbol] = rows;
	for (input = 0; input < model->input_count; input++) {
		struct feed_input *to = &feed.inputs[input];
		to->bytes = tensor_bytes(&model->inputs[input], feed.sizes);
		to->data = to->bytes <= RANDOM_BYTES_MAX ? malloc(to->bytes > 0 ? to->bytes : 1)
							 : NULL;
		if (!to->data) {
			feed_deinit(&feed);
			return err_raise(-ENOMEM, "no memory for %u random rows of input '%s'",
					 rows, model->inputs[input].name);
		}
		if (model->offsets_into[input] >= 0)
			offsets_randomise(&model->inputs[input], to,
					  feed.sizes[model->offsets_into[input]], &chance);
		else
			input_randomise(&model->inputs[input], to, id_max, &chance);
	}
	feed_rows_set(model, &feed);
	*ret_feed = feed;
	return 0;
}

/* The free sizes of a request for `rows` rows. */
static void sizes_of(const struct feed *feed, uint32_t rows, uint32_t ret_sizes[FEED_SYMBOLS_MAX])
{
	memcpy(ret_sizes, feed->sizes, sizeof(feed->sizes));
	if (feed->row_symbol >= 0)
		ret_sizes[feed->row_symbol] = rows;
}

int feed_acquire(const struct feed *feed, struct hearth *hearth,
		 const struct hearth_model_info *model, uint32_t rows,
		 struct hearth_request **ret_request)
{
	uint32_t sizes[FEED_SYMBOLS_MAX];

	sizes_of(feed, rows, sizes);
	return hearth_acquire_sizes(hearth, model, sizes, 0, ret_request);
}

void feed_fill(const struct feed *feed, uint32_t first_row, uint32_t rows,
	       struct hearth_request *request)
{
	uint32_t input;

	for (input = 0; input < feed->input_count; input++) {
		const struct feed_input *from = &feed->inputs[input];
		uint8_t *to = request->inputs[input].data;
		uint32_t row = first_row % feed->row_count;
		uint32_t left = rows;
		while (left > 0) {
			uint32_t run = feed->row_count - row < left ? feed->row_count - row : left;
			memcpy(to, from->data + row * from->row_bytes, run * from->row_bytes);
			to += run * from->row_bytes;
			left -= run;
			row = 0;
		}
	}
}

static uint64_t align_up(uint64_t bytes)
{
	return bytes < UINT64_MAX - HEARTH_ALIGN_BYTES
		       ? (bytes + HEARTH_ALIGN_BYTES - 1) / HEARTH_ALIGN_BYTES * HEARTH_ALIGN_BYTES
		       : bytes;
}

uint64_t feed_request_bytes(const struct feed *feed, uint32_t rows)
{
	uint64_t bytes = align_up(sizeof(struct hearth_request_header) +
				  feed->input_count * sizeof(struct hearth_tensor));
	uint32_t input;

	for (input = 0; input < feed->input_count; input++)
		bytes += align_up(rows * feed->inputs[input].row_bytes);
	return bytes;
}

uint64_t feed_response_bytes(const struct feed *feed, const struct hearth_model_info *model,
			     uint32_t rows)
{
	uint64_t bytes = align_up(sizeof(struct hearth_response_header) +
				  model->output_count * sizeof(struct hearth_tensor));
	uint32_t sizes[FEED_SYMBOLS_MAX];
	uint32_t output;

	sizes_of(feed, rows, sizes);
	for (output = 0; output < model->output_count; output++) {
		uint64_t output_bytes = align_up(tensor_bytes(&model->outputs[output], sizes));
		if (__builtin_add_overflow(bytes, output_bytes, &bytes))
			return UINT64_MAX;
	}
	return bytes;
}

void feed_deinit(struct feed *feed)
{
	uint32_t input;

	for (input = 0; input < feed->input_count; input++)
		free(feed->inputs[input].data);
	*feed = (struct feed){0};
}
