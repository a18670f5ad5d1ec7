/* SPDX-License-Identifier: MIT */
/* daemon/graph/lower_steps.c - a step: its arguments, what they point to, the weights it wants */
#include "graph/lower.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "graph/rows.h"

/* Grows an array in the graph's memory; the old one stays until the graph goes. */
static void *grow(struct lowering *lowering, void *array, uint32_t count, uint32_t *capacity,
		  size_t element_bytes)
{
	uint32_t wanted = *capacity ? 2 * *capacity : 64;
	void *grown;

	if (count < *capacity)
		return array;
	grown = graph_allocate(lowering->graph, wanted, element_bytes);
	if (!grown)
		return NULL;
	if (count > 0)
		memcpy(grown, array, count * element_bytes);
	*capacity = wanted;
	return grown;
}

struct step *step_new_sized(struct lowering *lowering, enum kernel kernel, size_t args_bytes)
{
	struct step **steps = grow(lowering, lowering->steps, lowering->step_count,
				   &lowering->step_capacity, sizeof(*steps));
	struct step *step = graph_allocate(lowering->graph, 1, sizeof(*step));

	if (!steps || !step)
		return NULL;
	if (args_bytes < sizeof(*step->args))
		args_bytes = sizeof(*step->args);
	step->args = graph_allocate(lowering->graph, 1, args_bytes);
	if (!step->args)
		return NULL;
	step->kernel = kernel;
	step->args_bytes = args_bytes;
	lowering->steps = steps;
	lowering->steps[lowering->step_count++] = step;
	return step;
}

struct step *step_new(struct lowering *lowering, enum kernel kernel)
{
	return step_new_sized(lowering, kernel, sizeof(union step_args));
}

static int operand_add(struct lowering *lowering, struct step *step, enum operand_kind kind,
		       uint32_t field, uint32_t index, struct poly offset_bytes)
{
	struct operand *operand =
		step ? graph_allocate(lowering->graph, 1, sizeof(*operand)) : NULL;

	if (!operand)
		return err_trace(-ENOMEM);
	if (offset_bytes.count == POLY_INVALID)
		return err_raise(-EOPNOTSUPP, "%s: an offset is not a polynomial of the free sizes",
				 lowering->graph->name);
	operand->kind = kind;
	operand->field = field;
	operand->index = operand->value = index;
	operand->offset_bytes = offset_bytes;
	operand->next = step->operands;
	step->operands = operand;
	return 0;
}

int lower_weight(struct lowering *lowering, struct weight weight, uint32_t *ret_index)
{
	struct weight *weights = grow(lowering, lowering->weights, lowering->weight_count,
				      &lowering->weight_capacity, sizeof(*weights));

	if (!weights)
		return err_trace(-ENOMEM);
	lowering->weights = weights;
	*ret_index = lowering->weight_count;
	weights[lowering->weight_count++] = weight;
	return 0;
}

/* The layout of a constant, shared by the steps that want the same. */
static int weight_find(struct lowering *lowering, struct weight wanted, uint32_t *ret_index)
{
	struct value *value = graph_value(lowering->graph, wanted.value);
	int r;

	for (uint32_t index = value->first_weight; index != GRAPH_NONE;
	     index = lowering->weights[index].next) {
		const struct weight *weight = &lowering->weights[index];

		if (weight->layout == wanted.layout && weight->k == wanted.k &&
		    weight->n == wanted.n && weight->row_stride == wanted.row_stride &&
		    weight->is_against_signed == wanted.is_against_signed &&
		    memcmp(&weight->scale, &wanted.scale, sizeof(wanted.scale)) == 0) {
			*ret_index = index;
			return 0;
		}
	}
	wanted.next = value->first_weight;
	r = lower_weight(lowering, wanted, ret_index);
	if (r < 0)
		return err_trace(r);
	value->first_weight = *ret_index;
	return 0;
}

static int weight_add(struct lowering *lowering, struct step *step, uint32_t field,
		      struct weight weight, struct poly offset_bytes)
{
	const struct value *value;
	uint32_t index = 0;
	int r;

	weight.value = graph_root(lowering->graph, weight.value);
	value = graph_value(lowering->graph, weight.value);
	switch (weight.layout) {
	case WEIGHT_GEMM:
		weight.bytes = gemm_packed_bytes(weight.k, weight.n);
		break;
	case WEIGHT_INTEGER:
		weight.bytes = matmul_integer_packed_bytes(weight.k, weight.n);
		break;
	case WEIGHT_BIAS:
		weight.bytes = (uint64_t)weight.n * sizeof(float);
		break;
	default:
		weight.bytes = (uint64_t)constant_elements(value) * dtype_bytes(value->dtype);
	}
	r = weight_find(lowering, weight, &index);
	if (r < 0)
		return err_trace(r);
	return operand_add(lowering, step, OPERAND_WEIGHT, field, index, offset_bytes);
}

int step_weight(struct lowering *lowering, struct step *step, uint32_t field, struct weight weight)
{
	return weight_add(lowering, step, field, weight, poly_constant(0));
}

/* A root value's bytes, which may be a part of another's. */
static int operand_place(struct lowering *lowering, struct step *step, enum operand_kind kind,
			 uint32_t field, uint32_t root, struct poly offset_elements)
{
	const struct value *source = graph_value(lowering->graph, root);
	uint32_t index = source->part_of != GRAPH_NONE ? source->part_of : root;
	struct poly offset = poly_add(offset_elements, poly_constant(source->part_offset));
	int r;

	r = operand_add(lowering, step, kind, field, index,
			poly_scale(offset, dtype_bytes(source->dtype)));
	if (r < 0)
		return err_trace(r);
	step->operands->value = root;
	return 0;
}

int step_read_strided(struct lowering *lowering, struct step *step, uint32_t field, uint32_t value,
		      struct poly offset_elements)
{
	uint32_t root = graph_root(lowering->graph, value);
	const struct value *source = graph_value(lowering->graph, root);
	struct weight raw = {.layout = WEIGHT_RAW, .value = root};
	int r;

	if (source->kind == VALUE_CONSTANT)
		return weight_add(lowering, step, field, raw,
				  poly_scale(offset_elements, dtype_bytes(source->dtype)));
	r = lowering->folding ? 0 : value_need(lowering, root);
	if (r < 0)
		return err_trace(r);
	return operand_place(lowering, step, OPERAND_READ, field, root, offset_elements);
}

int step_write_strided(struct lowering *lowering, struct step *step, uint32_t field, uint32_t value,
		       struct poly offset_elements)
{
	return operand_place(lowering, step, OPERAND_WRITE, field,
			     graph_root(lowering->graph, value), offset_elements);
}

int step_read(struct lowering *lowering, struct step *step, uint32_t field, uint32_t value,
	      struct poly offset_elements)
{
	assert(graph_value(lowering->graph, value)->part_of == GRAPH_NONE);
	return step_read_strided(lowering, step, field, value, offset_elements);
}

int step_write(struct lowering *lowering, struct step *step, uint32_t field, uint32_t value,
	       struct poly offset_elements)
{
	assert(graph_value(lowering->graph, value)->part_of == GRAPH_NONE);
	return step_write_strided(lowering, step, field, value, offset_elements);
}

int64_t lower_row_stride(const struct lowering *lowering, uint32_t index, int64_t width)
{
	const struct value *value = graph_value(lowering->graph, index);

	assert(value->part_of == GRAPH_NONE || value->part_width == width);
	return value->part_of == GRAPH_NONE ? width : value->part_stride;
}

int step_read_rows(struct lowering *lowering, struct step *step, uint32_t field,
		   uint32_t stride_field, uint32_t value, int64_t width)
{
	int r;

	r = step_read_strided(lowering, step, field, value, poly_constant(0));
	if (r < 0)
		return err_trace(r);
	return step_size(lowering, step, stride_field,
			 poly_constant(lower_row_stride(lowering, value, width)));
}

int step_write_rows(struct lowering *lowering, struct step *step, uint32_t field,
		    uint32_t stride_field, uint32_t value, int64_t width)
{
	int r;

	r = step_write_strided(lowering, step, field, value, poly_constant(0));
	if (r < 0)
		return err_trace(r);
	return step_size(lowering, step, stride_field,
			 poly_constant(lower_row_stride(lowering, value, width)));
}

int step_status(struct lowering *lowering, struct step *step, uint32_t field, uint32_t ids,
		struct poly *ret_per_row)
{
	struct poly elements = value_elements(graph_value(lowering->graph, ids));
	enum rows rows = lowering->rows ? (enum rows)lowering->rows[ids] : ROWS_MIXED;
	struct poly offset = poly_constant(0);

	*ret_per_row = poly_constant(INT64_MAX); /* all belong to row 0 */
	if (lowering->row_symbol >= 0 && rows == ROWS_EACH)
		*ret_per_row = poly_divide_symbol(elements, lowering->row_symbol);
	if (lowering->row_symbol >= 0 && rows == ROWS_REQUEST) {
		*ret_per_row = poly_divide_symbol(elements, lowering->request_symbol);
		offset = poly_scale(poly_dim(dim_symbol((uint32_t)lowering->row_symbol)),
				    sizeof(struct row_status));
	}
	return operand_add(lowering, step, OPERAND_STATUS, field, 0, offset);
}

int step_size(struct lowering *lowering, struct step *step, uint32_t field, struct poly size)
{
	struct step_size *entry;

	if (!step)
		return err_trace(-ENOMEM);
	if (size.count == POLY_INVALID && !lowering->node)
		return err_raise(-EOPNOTSUPP,
				 "%s: the size of an output is not a polynomial of the free sizes",
				 lowering->graph->name);
	if (size.count == POLY_INVALID)
		return node_refuse(lowering->graph, lowering->node, -EOPNOTSUPP,
				   "a size is not a polynomial of the free sizes");
	if (poly_is_constant(&size)) {
		int64_t constant = poly_value(&size, NULL);

		memcpy((char *)step->args + field, &constant, sizeof(constant));
		return 0;
	}
	entry = graph_allocate(lowering->graph, 1, sizeof(*entry));
	if (!entry)
		return err_trace(-ENOMEM);
	entry->field = field;
	entry->value = size;
	entry->next = step->sizes;
	step->sizes = entry;
	return 0;
}
