/* SPDX-License-Identifier: MIT */
/* daemon/graph/cost.c - what a step moves and multiplies, for people and for choices */
#include "graph/cost.h"

static const char *const kernel_names[KERNEL_COUNT] = {
	[KERNEL_GEMM] = "gemm",
	[KERNEL_MATMUL] = "matmul",
	[KERNEL_MATMUL_INTEGER] = "matmul-integer",
	[KERNEL_GATHER] = "gather",
	[KERNEL_EMBED] = "embed",
	[KERNEL_UNARY] = "unary",
	[KERNEL_BINARY] = "binary",
	[KERNEL_CAST] = "cast",
	[KERNEL_REDUCE] = "reduce",
	[KERNEL_SOFTMAX] = "softmax",
	[KERNEL_LAYERNORM] = "layernorm",
	[KERNEL_COPY] = "copy",
	[KERNEL_STORE] = "store",
	[KERNEL_CHAIN] = "chain",
	[KERNEL_COMPARE] = "compare",
	[KERNEL_WHERE] = "where",
	[KERNEL_RANGE] = "range",
	[KERNEL_SCAN] = "scan",
	[KERNEL_ARG] = "arg",
	[KERNEL_QUANTIZE] = "quantize",
	[KERNEL_DEQUANTIZE] = "dequantize",
	[KERNEL_QUANTIZE_DYNAMIC] = "quantize-dynamic",
	[KERNEL_INTERACT] = "interact",
	[KERNEL_PAIR] = "pair",
	[KERNEL_GATHER_ELEMENTS] = "gather_elements",
	[KERNEL_GATHER_ND] = "gather_nd",
	[KERNEL_SCATTER_ND] = "scatter_nd",
	[KERNEL_TOPK] = "topk",
};

const char *kernel_name(enum kernel kernel)
{
	return kernel_names[kernel];
}

static uint64_t value_bytes(const struct lowering *lowering, uint32_t index,
			    const int64_t symbols[])
{
	const struct value *value = graph_value(lowering->graph, index);
	struct poly elements = value_elements(value);

	if (elements.count == POLY_INVALID)
		return 0;
	return (uint64_t)poly_value(&elements, symbols) * dtype_bytes(value->dtype);
}

/* A size of the args: one of the run, or the constant that is already there. */
static uint64_t size_at(const struct step *step, uint32_t field, const int64_t symbols[])
{
	for (const struct step_size *size = step->sizes; size; size = size->next) {
		if (size->field == field)
			return (uint64_t)poly_value(&size->value, symbols);
	}
	return (uint64_t)*(const int64_t *)(const void *)((const char *)step->args + field);
}

/* One an id, or a point of several. */
static uint64_t gathered_rows(const struct step *step, const int64_t symbols[])
{
	uint64_t rows = 1;

	switch (step->kernel) {
	case KERNEL_GATHER:
		return size_at(step, FIELD(gather_args, count), symbols) *
		       size_at(step, FIELD(gather_args, outer), symbols);
	case KERNEL_GATHER_ELEMENTS:
		for (uint32_t dim = 0; dim < step->args->gather_elements.rank; dim++)
			rows *= size_at(step, FIELD_AT(gather_elements_args, dims, dim), symbols);
		return rows;
	case KERNEL_GATHER_ND:
		return size_at(step, FIELD(gather_nd_args, points.batch), symbols) *
		       size_at(step, FIELD(gather_nd_args, points.count), symbols);
	default:
		return 0;
	}
}

/* Where updates go: written, and read before by a reduction. */
static uint64_t scattered_bytes(const struct step *step, const int64_t symbols[])
{
	if (step->kernel != KERNEL_SCATTER_ND)
		return 0;
	return size_at(step, FIELD(scatter_nd_args, points.count), symbols) *
	       size_at(step, FIELD(scatter_nd_args, points.inner), symbols) *
	       step->args->scatter_nd.points.element_bytes *
	       (step->args->scatter_nd.op == SCATTER_SET ? 1 : 2);
}

/* Adds all rows that a gather or bags read. */
static void add_rows(struct cost *cost, const struct lowering *lowering, const struct step *step,
		     const int64_t symbols[])
{
	uint64_t gathered = gathered_rows(step, symbols);

	cost->rows += gathered;
	for (const struct operand *operand = step->operands; gathered > 0 && operand;
	     operand = operand->next) {
		if (operand->kind == OPERAND_WRITE)
			cost->row_bytes += value_bytes(lowering, operand->value, symbols);
	}
	if (step->kernel != KERNEL_EMBED)
		return;
	for (int64_t index = 0; index < step->args->embed.table_count; index++) {
		const struct embed_table *table = &step->args->embed.tables[index];
		uint64_t ids = size_at(step, FIELD_TABLE(index, ids_count), symbols);

		if (table->hot > 0)
			ids = size_at(step, FIELD(embed_args, rows), symbols) *
			      (uint64_t)table->hot;
		cost->rows += ids;
		cost->row_bytes += ids * (uint64_t)table->dim * sizeof(float);
	}
}

static uint64_t multiply_adds(const struct step *step, const int64_t symbols[])
{
	uint64_t product = 1;

	switch (step->kernel) {
	case KERNEL_GEMM:
		return size_at(step, FIELD(gemm_args, rows), symbols) *
		       size_at(step, FIELD(gemm_args, k), symbols) *
		       size_at(step, FIELD(gemm_args, n), symbols);
	case KERNEL_MATMUL:
		for (uint32_t rank = 0; rank < MATMUL_BATCH_RANK; rank++)
			product *= size_at(step, FIELD_AT(matmul_args, batch, rank), symbols);
		return product * size_at(step, FIELD(matmul_args, m), symbols) *
		       size_at(step, FIELD(matmul_args, k), symbols) *
		       size_at(step, FIELD(matmul_args, n), symbols);
	case KERNEL_MATMUL_INTEGER:
		for (uint32_t rank = 0; rank < MATMUL_BATCH_RANK; rank++)
			product *= size_at(step, FIELD_AT(matmul_integer_args, batch, rank), symbols);
		return product * size_at(step, FIELD(matmul_integer_args, m), symbols) *
		       size_at(step, FIELD(matmul_integer_args, k), symbols) *
		       size_at(step, FIELD(matmul_integer_args, n), symbols);
	case KERNEL_INTERACT:
		return size_at(step, FIELD(interact_args, rows), symbols) *
		       (uint64_t)step->args->interact.pair_count *
		       (uint64_t)step->args->interact.depth;
	case KERNEL_PAIR: /* the row's own matrix, then its keys */
		return size_at(step, FIELD(pair_args, rows), symbols) *
		       (size_at(step, FIELD(pair_args, count), symbols) + 1) *
		       size_at(step, FIELD(pair_args, k), symbols) *
		       size_at(step, FIELD(pair_args, n), symbols);
	default:
		return 0;
	}
}

/* An interaction's head is the same value as y, a pair's scratch does not leave the cache, and of
 * what is scattered into only the updates' places are touched. */
static bool is_moved(const struct step *step, const struct operand *written)
{
	return !(step->kernel == KERNEL_INTERACT &&
		 written->field == FIELD(interact_args, head)) &&
	       !(step->kernel == KERNEL_PAIR && written->field == FIELD(pair_args, scratch)) &&
	       step->kernel != KERNEL_SCATTER_ND;
}

struct cost step_cost(const struct lowering *lowering, const struct step *step,
		      const int64_t symbols[SIGNATURE_SYMBOLS_MAX])
{
	struct cost cost = {.multiply_adds = multiply_adds(step, symbols)};

	add_rows(&cost, lowering, step, symbols);
	cost.bytes = cost.row_bytes + scattered_bytes(step, symbols);
	/* A copy takes a part of what it reads, or fills a part of what it writes. */
	if (step->kernel == KERNEL_COPY) {
		cost.bytes = 2 * (uint64_t)step->args->copy.element_bytes;
		for (uint32_t rank = 0; rank < step->args->copy.rank; rank++)
			cost.bytes *= size_at(step, FIELD_AT(copy_args, dims, rank), symbols);
		return cost;
	}
	for (const struct operand *operand = step->operands; operand; operand = operand->next) {
		const struct weight *weight;

		switch (operand->kind) {
		case OPERAND_READ:
			cost.bytes += value_bytes(lowering, operand->value, symbols);
			break;
		case OPERAND_WRITE:
			if (!is_moved(step, operand))
				break;
			cost.bytes += value_bytes(lowering, operand->value, symbols);
			break;
		case OPERAND_WEIGHT:
			weight = &lowering->weights[operand->index];
			if (weight->layout == WEIGHT_TABLE)
				break;
			cost.weight_bytes += weight->bytes;
			cost.bytes += weight->bytes;
			break;
		case OPERAND_STATUS:
			break;
		}
	}
	return cost;
}

uint64_t cost_perfect_bytes(const struct lowering *lowering,
			    const int64_t symbols[SIGNATURE_SYMBOLS_MAX])
{
	const struct graph *graph = lowering->graph;
	struct cost rows = {0};
	uint64_t bytes = 0;

	for (uint32_t input = 0; input < graph->input_count; input++)
		bytes += value_bytes(lowering, graph->inputs[input], symbols);
	for (uint32_t output = 0; output < graph->output_count; output++)
		bytes += value_bytes(lowering, graph->outputs[output], symbols);
	for (uint32_t index = 0; index < lowering->weight_count; index++) {
		if (lowering->weights[index].layout != WEIGHT_TABLE)
			bytes += lowering->weights[index].bytes;
	}
	for (uint32_t index = 0; index < lowering->step_count; index++)
		add_rows(&rows, lowering, lowering->steps[index], symbols);
	return bytes + rows.row_bytes;
}
