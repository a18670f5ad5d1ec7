/* SPDX-License-Identifier: MIT */
/* daemon/graph/signature.c - what a model takes and gives, with symbolic sizes */
#include "graph/signature.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Takes the symbols that this dim determines; false when it contradicts. */
static bool dim_solve(struct dim dim, uint32_t size, int64_t symbols[])
{
	int64_t rest;

	if (dim.symbol < 0)
		return dim.constant == size;
	if (symbols[dim.symbol] >= 0)
		return dim_value(dim, symbols) == size;
	rest = size - dim.constant;
	if (dim.factor == 0 || rest % dim.factor != 0 || rest / dim.factor < 0)
		return false;
	symbols[dim.symbol] = rest / dim.factor;
	return true;
}

int signature_solve(const struct signature *signature, const struct signature_shape shapes[],
		    int64_t ret_symbols[SIGNATURE_SYMBOLS_MAX], uint32_t *ret_input)
{
	int64_t symbols[SIGNATURE_SYMBOLS_MAX];

	for (uint32_t symbol = 0; symbol < signature->symbol_count; symbol++)
		symbols[symbol] = -1;

	for (uint32_t input = 0; input < signature->input_count; input++) {
		const struct signature_tensor *tensor = &signature->inputs[input];
		bool fits = shapes[input].rank == tensor->rank;

		for (uint32_t axis = 0; fits && axis < tensor->rank; axis++)
			fits = dim_solve(tensor->dims[axis], shapes[input].dims[axis], symbols);
		if (!fits) {
			*ret_input = input;
			return SIGNATURE_E_MISMATCH;
		}
	}

	memset(ret_symbols, 0, SIGNATURE_SYMBOLS_MAX * sizeof(*ret_symbols));
	for (uint32_t symbol = 0; symbol < signature->symbol_count; symbol++)
		ret_symbols[symbol] = symbols[symbol] < 0 ? 0 : symbols[symbol];
	return 0;
}

int64_t signature_elements(const struct signature_tensor *tensor, const int64_t symbols[])
{
	int64_t elements = 1;

	for (uint32_t axis = 0; axis < tensor->rank; axis++) {
		if (__builtin_mul_overflow(elements, dim_value(tensor->dims[axis], symbols),
					   &elements))
			return INT64_MAX;
	}
	return elements > INT64_MAX / 8 ? INT64_MAX : elements;
}

static void tensors_deinit(struct signature_tensor *tensors, uint32_t count)
{
	for (uint32_t tensor = 0; tensors && tensor < count; tensor++)
		free(tensors[tensor].name);
	free(tensors);
}

void signature_deinit(struct signature *signature)
{
	tensors_deinit(signature->inputs, signature->input_count);
	tensors_deinit(signature->outputs, signature->output_count);
	for (uint32_t symbol = 0; symbol < signature->symbol_count; symbol++)
		free(signature->symbols[symbol]);
	*signature = (struct signature){.row_symbol = -1};
}
