/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/ops.h - the operators: one table row, one shape rule, one lowering each
 *
 * A shape rule gives every output that is present its dtype, rank and dims, and
 * keeps in the node what the lowering needs. A lowering appends the steps that
 * compute the outputs (graph/lower.h).
 */
#ifndef HEARTH_GRAPH_OPS_H
#define HEARTH_GRAPH_OPS_H

#include "graph/graph.h"

struct lowering;

/* How rows pass through an operator; graph/rows.c proves with it. */
enum rows_rule {
	ROWS_ELEMENTWISE, /* every input broadcast against the output */
	ROWS_VIEW,        /* input 0's bytes in input 0's order, or one value from each */
	ROWS_INNER,       /* mixes input 0 along node->axis and inner axes alone */
	ROWS_AXES,        /* mixes input 0 along node->axes alone */
	ROWS_CONCAT,
	ROWS_SLICE,
	ROWS_TRANSPOSE,
	ROWS_GATHER,
	ROWS_GATHER_ELEMENTS,
	ROWS_GATHER_ND,
	ROWS_LINEAR,      /* Gemm, MatMul, MatMulInteger */
	ROWS_SHAPE,       /* depends on dims alone */
	ROWS_EXPAND,
	ROWS_FILL,        /* one value everywhere */
	ROWS_BAG,         /* graph/bag.h: of values and offsets */
	ROWS_OPAQUE,      /* no proof, unless all inputs are free */
};

/* How integers known before a run pass through; graph/known.c. */
enum known_rule {
	KNOWN_NOTHING,
	KNOWN_VIEW,
	KNOWN_CAST,
	KNOWN_SHAPE,
	KNOWN_GATHER,
	KNOWN_GATHER_ND,
	KNOWN_SCATTER_ND,
	KNOWN_SLICE,
	KNOWN_CONCAT,
	KNOWN_ADD,
	KNOWN_SUB,
	KNOWN_MUL,
	KNOWN_DIV,
	KNOWN_EQUAL,
	KNOWN_WHERE,
	KNOWN_EXPAND,
	KNOWN_FILL,    /* node->starts[0], in the output's shape */
	KNOWN_PRODUCT,
	KNOWN_SIZE,
};

/* What its lowering is given. */
enum types_rule {
	TYPES_WIDE, /* f32, i32, i64 and bool; others are widened and narrowed (graph/widen.c) */
	TYPES_ANY,  /* every type as it is */
};

struct op {
	const char *name;
	uint32_t since; /* first opset */
	uint32_t input_min;
	uint32_t input_max;
	uint32_t output_max;
	const char *attributes; /* "i:axis I:axes f:alpha t:value"; others are refused */
	int (*infer)(struct graph *graph, struct node *node);
	int (*lower)(struct lowering *lowering, const struct node *node);
	enum rows_rule rows;
	enum known_rule known;
	int code; /* enum unary, binary, reduce or compare */
	enum types_rule types;
};

/* NULL: not supported. */
const struct op *op_find(const char *name);

/* "Add Cast Clip ...", for refusals. */
const char *op_list(void);

/* The operands of a product; the last two are given to it by graph/passes/cross.c. */
enum linear_input {
	LINEAR_LEFT,
	LINEAR_RIGHT,
	LINEAR_ADDEND,
	LINEAR_MULTIPLIER,
	LINEAR_RESIDUAL,
	LINEAR_INPUTS,
};

/* --- for shape rules --- */

must_check int infer_same(struct graph *graph, struct node *node);
must_check int infer_view(struct graph *graph, struct node *node, uint32_t rank,
			  const struct dim dims[]);
must_check int infer_broadcast(struct graph *graph, struct node *node, struct value *shape,
			       const struct value *other);
void infer_output(struct graph *graph, struct node *node, uint32_t index, enum dtype dtype,
		  uint32_t rank, const struct dim dims[]);

/* An input that must be known at load: integers of rank 0 or 1. */
must_check int infer_integers(struct graph *graph, struct node *node, uint32_t input,
			      const char *what, const struct dim **ret_values,
			      uint32_t *ret_count);

/* Axes from attribute `axes` or input `input`, as a set and in their order. */
must_check int infer_axes(struct graph *graph, struct node *node, uint32_t input, uint32_t rank,
			  bool *ret_given);

/* The shape of a product of inputs 0 and 1 as MatMul defines it. */
must_check int infer_product(struct graph *graph, struct node *node, enum dtype dtype);

/* f32, f16 or bf16; an input that is left out is right. */
must_check int require_float(const struct graph *graph, const struct node *node, uint32_t input);

/* Of the type of input 0. */
must_check int require_same_type(const struct graph *graph, const struct node *node, uint32_t input);

/* --- the rules and lowerings; the table in ops.c names each once --- */

int infer_unary(struct graph *graph, struct node *node);
int infer_gelu(struct graph *graph, struct node *node);
int infer_mod(struct graph *graph, struct node *node);
int lower_hard_swish(struct lowering *lowering, const struct node *node);
int lower_mean(struct lowering *lowering, const struct node *node);

int infer_non_zero(struct graph *graph, struct node *node);
int infer_compare(struct graph *graph, struct node *node);
int infer_not(struct graph *graph, struct node *node);
int infer_is_nan(struct graph *graph, struct node *node);
int infer_where(struct graph *graph, struct node *node);
int lower_compare(struct lowering *lowering, const struct node *node);
int lower_where(struct lowering *lowering, const struct node *node);

int infer_expand(struct graph *graph, struct node *node);
int infer_fill(struct graph *graph, struct node *node);
int infer_range(struct graph *graph, struct node *node);
int infer_tile(struct graph *graph, struct node *node);
int infer_split(struct graph *graph, struct node *node);
int infer_pad(struct graph *graph, struct node *node);
int infer_dropout(struct graph *graph, struct node *node);
int infer_size(struct graph *graph, struct node *node);
int lower_expand(struct lowering *lowering, const struct node *node);
int lower_fill(struct lowering *lowering, const struct node *node);
int lower_range(struct lowering *lowering, const struct node *node);
int lower_tile(struct lowering *lowering, const struct node *node);
int lower_split(struct lowering *lowering, const struct node *node);
int lower_pad(struct lowering *lowering, const struct node *node);
int lower_dropout(struct lowering *lowering, const struct node *node);

int infer_quantize(struct graph *graph, struct node *node);
int infer_dequantize(struct graph *graph, struct node *node);
int infer_quantize_dynamic(struct graph *graph, struct node *node);
int infer_matmul_integer(struct graph *graph, struct node *node);
int infer_batchnorm(struct graph *graph, struct node *node);
int lower_quantize(struct lowering *lowering, const struct node *node);
int lower_quantize_dynamic(struct lowering *lowering, const struct node *node);
int lower_matmul_integer(struct lowering *lowering, const struct node *node);
int lower_batchnorm(struct lowering *lowering, const struct node *node);

/* What a BatchNormalization multiplies with and adds, for each index of axis 1. */
struct affine {
	uint32_t scale, shift; /* constants [C, 1, ...] */
};

const struct affine *batchnorm_affine(const struct node *node);


int infer_arg(struct graph *graph, struct node *node);
int infer_topk(struct graph *graph, struct node *node);
int infer_scan(struct graph *graph, struct node *node);
int lower_arg(struct lowering *lowering, const struct node *node);
int lower_topk(struct lowering *lowering, const struct node *node);
int lower_scan(struct lowering *lowering, const struct node *node);
int lower_norm(struct lowering *lowering, const struct node *node);
int lower_log_sum_exp(struct lowering *lowering, const struct node *node);
int infer_clip(struct graph *graph, struct node *node);
int infer_binary(struct graph *graph, struct node *node);
int infer_variadic(struct graph *graph, struct node *node);
int infer_cast(struct graph *graph, struct node *node);
int lower_unary(struct lowering *lowering, const struct node *node);
int lower_binary(struct lowering *lowering, const struct node *node);
int lower_cast(struct lowering *lowering, const struct node *node);

int infer_constant(struct graph *graph, struct node *node);
int infer_identity(struct graph *graph, struct node *node);
int infer_shape(struct graph *graph, struct node *node);
int infer_reshape(struct graph *graph, struct node *node);
int infer_flatten(struct graph *graph, struct node *node);
int infer_squeeze(struct graph *graph, struct node *node);
int infer_unsqueeze(struct graph *graph, struct node *node);
int lower_view(struct lowering *lowering, const struct node *node);

int infer_concat(struct graph *graph, struct node *node);
int infer_slice(struct graph *graph, struct node *node);
int infer_scatter_elements(struct graph *graph, struct node *node);
int infer_transpose(struct graph *graph, struct node *node);
int infer_gather(struct graph *graph, struct node *node);
int infer_gather_elements(struct graph *graph, struct node *node);
int infer_gather_nd(struct graph *graph, struct node *node);
int infer_scatter_nd(struct graph *graph, struct node *node);
int lower_concat(struct lowering *lowering, const struct node *node);
int lower_slice(struct lowering *lowering, const struct node *node);
int lower_transpose(struct lowering *lowering, const struct node *node);
int lower_interact(struct lowering *lowering, const struct node *node); /* passes/interact.c's */

/* Of a node whose fused is a closed program (graph/passes/chain_program.h). Does it fit also where
 * any of its places are rows of other values, and may this output be such rows? */
int lower_chain(struct lowering *lowering, const struct node *node);
bool chain_takes_parts(const struct node *node);
bool chain_writes_part(const struct node *node, uint32_t output);
int lower_gather(struct lowering *lowering, const struct node *node);
int lower_gather_elements(struct lowering *lowering, const struct node *node);
int lower_gather_nd(struct lowering *lowering, const struct node *node);
int lower_scatter_nd(struct lowering *lowering, const struct node *node);

/* Control flow (graph/bodies/control.h): the rule emits other nodes, and the node itself is none. */
int infer_if(struct graph *graph, struct node *node);
int infer_loop(struct graph *graph, struct node *node);
int infer_sequence_empty(struct graph *graph, struct node *node);
int infer_sequence_construct(struct graph *graph, struct node *node);
int infer_sequence_insert(struct graph *graph, struct node *node);
int infer_sequence_erase(struct graph *graph, struct node *node);
int infer_sequence_at(struct graph *graph, struct node *node);
int infer_sequence_length(struct graph *graph, struct node *node);
int infer_concat_from_sequence(struct graph *graph, struct node *node);
int infer_split_to_sequence(struct graph *graph, struct node *node);
int infer_einsum(struct graph *graph, struct node *node);
int lower_expanded(struct lowering *lowering, const struct node *node);

int infer_gemm(struct graph *graph, struct node *node);
int infer_matmul(struct graph *graph, struct node *node);
int infer_reduce(struct graph *graph, struct node *node);
int infer_softmax(struct graph *graph, struct node *node);
int infer_layernorm(struct graph *graph, struct node *node);
int lower_linear(struct lowering *lowering, const struct node *node);
int lower_reduce(struct lowering *lowering, const struct node *node);
int lower_softmax(struct lowering *lowering, const struct node *node);
int lower_layernorm(struct lowering *lowering, const struct node *node);

#endif
