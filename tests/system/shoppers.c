/* SPDX-License-Identifier: MIT */
/* tests/system/shoppers.c - five .npy files of known shapes */
#include "shoppers.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "crowd.h"
#include "tools/hearthctl/requests/npy.h"

#define DENSE_COLUMNS 10
#define IDS_COLUMNS 7
#define CROSSES_COLUMNS 6

static struct {
	bool is_loaded;
	float dense[SHOPPERS_ROWS][DENSE_COLUMNS];
	int64_t ids[SHOPPERS_ROWS][IDS_COLUMNS];
	int64_t crosses[SHOPPERS_ROWS][CROSSES_COLUMNS];
	float scores[2][SHOPPERS_ROWS];
} data;

/* [SHOPPERS_ROWS, columns] of the type, copied to ret_content. */
static void load_array(const char *name, uint32_t dtype, uint64_t columns, void *ret_content)
{
	struct npy npy;
	char path[128];

	snprintf(path, sizeof(path), "tests/data/shoppers/%s.npy", name);
	must(npy_read(path, &npy) == 0, "%s (tests run in the root of the tree)", err_message());
	must(npy.dtype == dtype && npy.rank == 2 && npy.dims[0] == SHOPPERS_ROWS &&
		     npy.dims[1] == columns,
	     "%s is not what was expected", path);
	memcpy(ret_content, npy.data, npy.data_bytes);
	npy_free(&npy);
}

static void load(void)
{
	if (data.is_loaded)
		return;
	load_array("dense", NPY_F32, DENSE_COLUMNS, data.dense);
	load_array("ids", NPY_I64, IDS_COLUMNS, data.ids);
	load_array("crosses", NPY_I64, CROSSES_COLUMNS, data.crosses);
	load_array("score_v1", NPY_F32, 1, data.scores[0]);
	load_array("score_v2", NPY_F32, 1, data.scores[1]);
	data.is_loaded = true;
}

void shoppers_fill(struct hearth_request *request, const struct hearth_model_info *model,
		   uint32_t row_first, uint32_t rows)
{
	uint32_t input;
	uint32_t row;

	load();
	must(model->input_count == SHOPPERS_INPUTS, "shoppers has %u inputs", model->input_count);
	for (input = 0; input < SHOPPERS_INPUTS; input++) {
		const char *name = model->inputs[input].name;
		bool is_dense = strcmp(name, "dense") == 0;
		bool is_ids = strcmp(name, "ids") == 0;
		const uint8_t *from = is_dense ? (const uint8_t *)data.dense
				      : is_ids ? (const uint8_t *)data.ids
					       : (const uint8_t *)data.crosses;
		size_t row_bytes = is_dense ? sizeof(data.dense[0])
				   : is_ids ? sizeof(data.ids[0])
					    : sizeof(data.crosses[0]);
		uint8_t *to = request->inputs[input].data;

		must(is_dense || is_ids || strcmp(name, "crosses") == 0, "input '%s'", name);
		must(request->inputs[input].bytes == rows * row_bytes, "'%s' has %u bytes for %u rows",
		     name, request->inputs[input].bytes, rows);
		for (row = 0; row < rows; row++)
			memcpy(to + row * row_bytes,
			       from + (row_first + row) % SHOPPERS_ROWS * row_bytes, row_bytes);
	}
}

float shoppers_score(uint32_t version, uint32_t row)
{
	load();
	must(version == 1 || version == 2, "there is no version %u", version);
	return data.scores[version - 1][row % SHOPPERS_ROWS];
}

void shoppers_check(const struct hearth_completion *completion, uint32_t row_first, uint32_t rows)
{
	const struct hearth_output *output = completion->outputs;
	const float *scores;
	uint32_t row;

	must(completion->status == 0, "rows %u+%u: status %d", row_first, rows, completion->status);
	must(completion->output_count == 1 && output->dtype == HEARTH_F32 && output->rank == 2 &&
		     output->dims[0] == rows && output->dims[1] == 1 &&
		     output->bytes == rows * sizeof(float),
	     "%u outputs, the first with %u bytes, rank %u", completion->output_count,
	     output->bytes, output->rank);
	scores = output->data;
	for (row = 0; row < rows; row++) {
		float wanted = shoppers_score(completion->version, row_first + row);

		must(fabsf(scores[row] - wanted) <= SHOPPERS_ERROR_MAX,
		     "row %u by version %u: %.7f, expected %.7f", row_first + row,
		     completion->version, (double)scores[row], (double)wanted);
	}
}
