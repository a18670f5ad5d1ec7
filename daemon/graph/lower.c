/* SPDX-License-Identifier: MIT */
/* daemon/graph/lower.c - from nodes to steps: kernel calls on values, sizes still symbolic */
#include "graph/lower.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "graph/bag.h"
#include "graph/join.h"
#include "graph/ops.h"

/* The symbol behind all others, where bags with offsets have rows of their own. */
static int32_t followed_symbol(const struct graph *graph, const struct rows_proof *proof)
{
	int32_t symbol = (int32_t)graph->symbol_count + (proof->request_symbol >= 0);

	if (proof->symbol < 0 || symbol == SIGNATURE_SYMBOLS_MAX)
		return -1;
	for (uint32_t input = 0; input < graph->input_count; input++)
		if (proof->offsets_into[input] >= 0)
			return symbol;
	return -1;
}

int lowering_init(struct lowering *lowering, struct graph *graph, struct rows_proof *ret_proof)
{
	int r;

	r = rows_prove(graph, ret_proof);
	if (r < 0)
		return err_trace(r);
	r = join_requests(graph, ret_proof);
	if (r < 0)
		return err_trace(r);
	r = graph_fuse(graph);
	if (r < 0)
		return err_trace(r);
	ret_proof->followed_symbol = followed_symbol(graph, ret_proof);
	*lowering = (struct lowering){
		.graph = graph,
		.row_symbol = ret_proof->symbol,
		.request_symbol = ret_proof->request_symbol,
		.followed_symbol = ret_proof->followed_symbol,
		.rows = ret_proof->rows,
	};
	return 0;
}

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

/* Room in the per-value arrays for every value there is. A node that is folded
 * needs none: it would cost as much memory as there are values, for each node. */
static int values_grow(struct lowering *lowering)
{
	uint32_t count = lowering->graph->value_count;
	uint8_t *needed;
	int32_t *output_of;

	if (lowering->folding || count <= lowering->value_capacity)
		return 0;
	count *= 2;
	needed = graph_allocate(lowering->graph, count, sizeof(*needed));
	output_of = graph_allocate(lowering->graph, count, sizeof(*output_of));
	if (!needed || !output_of)
		return err_trace(-ENOMEM);
	memset(output_of, 0xff, count * sizeof(*output_of));
	if (lowering->value_capacity > 0) {
		memcpy(needed, lowering->needed, lowering->value_capacity * sizeof(*needed));
		memcpy(output_of, lowering->output_of,
		       lowering->value_capacity * sizeof(*output_of));
	}
	lowering->needed = needed;
	lowering->output_of = output_of;
	lowering->value_capacity = count;
	return 0;
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
	r = values_grow(lowering);
	if (r < 0)
		return err_trace(r);
	if (!lowering->folding)
		lowering->needed[root] = 1;
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

int value_need(struct lowering *lowering, uint32_t value)
{
	int r;

	r = values_grow(lowering);
	if (r < 0)
		return err_trace(r);
	lowering->needed[graph_root(lowering->graph, value)] = 1;
	return 0;
}

int lower_temporary(struct lowering *lowering, enum dtype dtype, uint32_t rank,
		    const struct dim dims[], uint32_t *ret_value)
{
	struct value *value = graph_value_new(lowering->graph, "", ret_value);

	if (!value)
		return err_trace(-ENOMEM);
	value->kind = VALUE_COMPUTED;
	value->dtype = dtype;
	value->rank = rank;
	for (uint32_t axis = 0; axis < rank; axis++)
		value->dims[axis] = dims[axis];
	return values_grow(lowering);
}

/* Integers that a run's sizes give: no operator runs for them. */
static int lower_known(struct lowering *lowering, uint32_t index)
{
	const struct value *value = graph_value(lowering->graph, index);
	struct step *step = step_new(lowering, KERNEL_STORE);
	int r;

	r = step_write(lowering, step, FIELD(store_args, y), index, poly_constant(0));
	if (r < 0)
		return err_trace(r);
	step->args->store.count = value->known_count;
	step->args->store.dtype = value->dtype;
	for (uint32_t element = 0; element < value->known_count; element++) {
		r = step_size(lowering, step, FIELD_AT(store_args, values, element),
			      poly_dim(value->known[element]));
		if (r < 0)
			return err_trace(r);
	}
	return 0;
}

static bool node_is_needed(const struct lowering *lowering, const struct node *node)
{
	for (uint32_t output = 0; output < node->output_count; output++) {
		if (node_has_output(node, output) && lowering->needed[node->outputs[output]])
			return true;
	}
	return false;
}

static void steps_reverse(struct lowering *lowering, uint32_t first)
{
	for (uint32_t last = lowering->step_count; first + 1 < last; first++) {
		struct step *step = lowering->steps[--last];

		lowering->steps[last] = lowering->steps[first];
		lowering->steps[first] = step;
	}
}

int lower_node(struct lowering *lowering, const struct node *node)
{
	int r;

	r = values_grow(lowering);
	if (r < 0)
		return err_trace(r);
	lowering->node = node;
	if (node_has_output(node, 0) && node_output(lowering->graph, node, 0)->known)
		r = lower_known(lowering, node->outputs[0]);
	else if (node_is_widened(lowering->graph, node))
		r = lower_widened(lowering, node);
	else
		r = node->op->lower(lowering, node);
	if (r < 0)
		return err_trace(r);
	return 0;
}

/* A graph output is computed in its binding; one that is an input, a constant
 * or another output's bytes is copied there. */
static int lower_output(struct lowering *lowering, uint32_t output)
{
	struct graph *graph = lowering->graph;
	uint32_t index = graph->outputs[output];
	uint32_t root = graph_root(graph, index);
	const struct value *value = graph_value(graph, root);
	struct walk walk = {.rank = 1, .set_count = 2};
	uint32_t copy;
	int r;

	r = values_grow(lowering);
	if (r < 0)
		return err_trace(r);
	if (value->kind == VALUE_COMPUTED && lowering->output_of[root] < 0) {
		lowering->output_of[root] = (int32_t)output;
		lowering->needed[root] = 1;
		return 0;
	}
	value = graph_value(graph, index);
	r = lower_temporary(lowering, value->dtype, value->rank, value->dims, &copy);
	if (r < 0)
		return err_trace(r);
	lowering->output_of[copy] = (int32_t)output;
	walk.dims[0] = value_elements(value);
	walk.strides[0][0] = walk.strides[1][0] = poly_constant(1);
	return lower_copy(lowering, index, poly_constant(0), copy, poly_constant(0), &walk);
}

int lower(struct lowering *lowering)
{
	struct graph *graph = lowering->graph;
	int r;

	for (uint32_t output = 0; output < graph->output_count; output++) {
		r = lower_output(lowering, output);
		if (r < 0)
			return err_trace(r);
	}
	for (uint32_t index = graph->node_count; index-- > 0;) {
		const struct node *node = &graph->nodes[index];
		uint32_t first = lowering->step_count;

		if (node->dead || !node_is_needed(lowering, node))
			continue;
		r = lower_node(lowering, node);
		if (r < 0)
			return err_trace(r);
		steps_reverse(lowering, first);
	}
	steps_reverse(lowering, 0);
	r = merge_embed(lowering);
	if (r < 0)
		return err_trace(r);
	return 0;
}

enum place_kind lower_place(const struct lowering *lowering, uint32_t value, uint32_t *ret_index)
{
	const struct value *source = graph_value(lowering->graph, value);

	*ret_index = 0;
	if (source->kind == VALUE_INPUT) {
		*ret_index = source->input_index;
		return PLACE_INPUT;
	}
	if (lowering->output_of[value] >= 0) {
		*ret_index = (uint32_t)lowering->output_of[value];
		return PLACE_OUTPUT;
	}
	return PLACE_ARENA;
}
