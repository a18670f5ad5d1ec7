/* SPDX-License-Identifier: MIT */
/* daemon/exec/warm_stage.c - tensors of the sizes that a run takes, filled from a seed */
#include "exec/warm_stage.h"

#include <stdlib.h>
#include <string.h>

#define BOUNDS_MAX 64         /* tables of an input whose sizes are remembered */
#define BAG_VALUES 2          /* of a bag on average */

/* Zeroed, aligned memory for every tensor of the list; false when it would be
 * more than `limit` bytes or there is none. */
static bool tensors_allocate(const struct signature_tensor *tensors, uint32_t count,
			     const int64_t symbols[], uint64_t limit, void *memory[])
{
	for (uint32_t index = 0; index < count; index++) {
		int64_t elements = signature_elements(&tensors[index], symbols);
		uint64_t bytes;

		if (elements < 0 || (uint64_t)elements > limit / 8)
			return false;
		bytes = (uint64_t)elements * dtype_bytes(tensors[index].dtype);
		bytes = (bytes + 127) & ~63ULL;
		memory[index] = aligned_alloc(64, bytes);
		if (!memory[index])
			return false;
		memset(memory[index], 0, bytes);
		limit -= bytes < limit ? bytes : limit;
	}
	return true;
}

/* Bags of a few values where rows are cut: nothing in an arena is counted by them, and what is chosen
 * shall not follow from bags larger than most are. */
static void stage_bags(struct warm_stage *stage, const struct signature *signature, int64_t rows)
{
	if (signature->followed_symbol < 0)
		return;
	for (uint32_t input = 0; input < signature->input_count; input++) {
		const struct signature_tensor *tensor = &signature->inputs[input];

		if (tensor->is_offsets && stage->symbols[tensor->values_symbol] > BAG_VALUES * rows)
			stage->symbols[tensor->values_symbol] = BAG_VALUES * rows;
	}
}

bool warm_stage_init(struct warm_stage *stage, const struct warm_options *options,
		     const struct signature *signature, const int64_t capacity[])
{
	uint64_t limit = options->bytes_max;
	uint32_t cold_count = options->cold ? cold_ids_count(options->cold) : 0;
	int64_t rows = signature->row_symbol < 0 ? 1 : capacity[signature->row_symbol];

	*stage = (struct warm_stage){
		.status = calloc((size_t)rows + 1, sizeof(*stage->status)),
		.input_count = signature->input_count,
		.seed = UINT64_C(0x9e3779b97f4a7c15),
	};
	memcpy(stage->symbols, capacity, sizeof(stage->symbols));
	stage_bags(stage, signature, rows);
	if (signature->request_symbol >= 0)
		stage->symbols[signature->request_symbol] = 1;
	stage->inputs[signature->input_count] = calloc((size_t)rows + 1, sizeof(int32_t));
	for (uint32_t index = 0; index < cold_count; index++)
		stage->inputs[signature->input_count + 1 + index] =
			cold_stage_scatter(cold_stage(options->cold, 0), index);
	return stage->status && stage->inputs[signature->input_count] &&
	       tensors_allocate(signature->inputs, signature->input_count, stage->symbols, limit,
				stage->inputs) &&
	       tensors_allocate(signature->outputs, signature->output_count, stage->symbols, limit,
				stage->outputs);
}

void warm_stage_deinit(struct warm_stage *stage)
{
	/* Those behind are of the cold tables. */
	for (uint32_t index = 0; index <= stage->input_count; index++)
		free(stage->inputs[index]);
	for (uint32_t index = 0; index < SIGNATURE_TENSORS_MAX; index++)
		free(stage->outputs[index]);
	free(stage->status);
}

static uint64_t draw(uint64_t *seed)
{
	*seed ^= *seed << 13; /* Marsaglia, Xorshift RNGs, 2003 */
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* The rows of the tables that a step reads with ids of this input. */
static uint32_t bounds_find(const struct lowering *lowering, uint32_t input,
			    int64_t bounds[BOUNDS_MAX])
{
	uint32_t count = 0;

	for (uint32_t index = 0; index < lowering->step_count; index++) {
		bool reads = false;
		uint32_t place;

		for (const struct operand *operand = lowering->steps[index]->operands; operand;
		     operand = operand->next)
			reads = reads ||
				(operand->kind == OPERAND_READ &&
				 lower_place(lowering, operand->index, &place) == PLACE_INPUT &&
				 place == input);
		for (const struct operand *operand = lowering->steps[index]->operands;
		     reads && operand; operand = operand->next) {
			const struct weight *weight = &lowering->weights[operand->index];

			if (operand->kind == OPERAND_WEIGHT && weight->layout == WEIGHT_TABLE &&
			    count < BOUNDS_MAX)
				bounds[count++] = graph_value(lowering->graph, weight->value)
							  ->dims[0].constant;
		}
	}
	return count;
}

/* An id of one of the tables, the larger the likelier: columns are not told apart, and what is
 * outside of a small table is read as its first row, which is in the cache as all its rows are. */
static int64_t draw_id(uint64_t *seed, const int64_t bounds[], uint32_t bound_count)
{
	uint64_t total = 0, at;

	for (uint32_t index = 0; index < bound_count; index++)
		total += (uint64_t)bounds[index];
	at = total > 0 ? draw(seed) % total : 0;
	for (uint32_t index = 0; index < bound_count; index++) {
		if (at < (uint64_t)bounds[index])
			return (int64_t)at;
		at -= (uint64_t)bounds[index];
	}
	return 0;
}

/* Where bag `index` of `rows` begins among the values, of which each bag has up to twice its share. */
static int64_t draw_offset(uint64_t *seed, int64_t index, int64_t rows, int64_t values)
{
	uint64_t jitter = draw(seed) % ((uint64_t)values + 1);

	if (index == 0 || index == rows)
		return index == 0 ? 0 : values;
	return (int64_t)(((uint64_t)index * (uint64_t)values + jitter) / (uint64_t)rows);
}

static void offsets_fill(struct warm_stage *stage, const struct signature *signature, uint32_t input)
{
	const struct signature_tensor *tensor = &signature->inputs[input];
	int64_t count = signature_elements(tensor, stage->symbols);

	for (int64_t index = 0; index < count; index++) {
		int64_t offset = draw_offset(&stage->seed, index,
					     stage->symbols[signature->row_symbol],
					     stage->symbols[tensor->values_symbol]);

		if (tensor->dtype == DTYPE_I64)
			((int64_t *)stage->inputs[input])[index] = offset;
		else
			((int32_t *)stage->inputs[input])[index] = (int32_t)offset;
	}
}

void warm_stage_fill(struct warm_stage *stage, const struct signature *signature,
		     const struct lowering *lowering)
{
	for (uint32_t input = 0; input < signature->input_count; input++) {
		const struct signature_tensor *tensor = &signature->inputs[input];
		int64_t elements = signature_elements(tensor, stage->symbols);
		int64_t bounds[BOUNDS_MAX];
		uint32_t bound_count = bounds_find(lowering, input, bounds);

		if (tensor->is_offsets) {
			offsets_fill(stage, signature, input);
			continue;
		}
		for (int64_t index = 0; index < elements; index++) {
			if (tensor->dtype == DTYPE_F32)
				((float *)stage->inputs[input])[index] =
					(float)(draw(&stage->seed) >> 40) / (float)(1 << 23) - 1.0f;
			else if (tensor->dtype == DTYPE_I64)
				((int64_t *)stage->inputs[input])[index] =
					draw_id(&stage->seed, bounds, bound_count);
			else if (tensor->dtype == DTYPE_I32)
				((int32_t *)stage->inputs[input])[index] =
					(int32_t)draw_id(&stage->seed, bounds, bound_count);
		}
	}
}
