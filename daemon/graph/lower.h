/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/lower.h - from nodes to steps: kernel calls on values, sizes still symbolic
 *
 * Owns:     everything in the graph's memory; nothing to free
 * Threads:  one
 * Errors:   as graph/graph.h
 *
 * Nodes are lowered from the outputs backwards, so that a node whose outputs no
 * step reads is never lowered: chains that were understood as known integers,
 * views, and column gathers that an id stride replaces vanish by themselves.
 *
 * A step is a kernel, its args with every constant field filled in, the
 * operands that its pointer fields want, and the sizes that depend on a run.
 */
#ifndef HEARTH_GRAPH_LOWER_H
#define HEARTH_GRAPH_LOWER_H

#include "graph/graph.h"
#include "kernels/arg.h"
#include "kernels/binary.h"
#include "kernels/cast.h"
#include "kernels/compare.h"
#include "kernels/copy.h"
#include "kernels/embed.h"
#include "kernels/gather.h"
#include "kernels/gather_elements.h"
#include "kernels/gemm.h"
#include "kernels/interact.h"
#include "kernels/layernorm.h"
#include "kernels/matmul.h"
#include "kernels/matmul_integer.h"
#include "kernels/pair.h"
#include "kernels/points.h"
#include "kernels/quantize.h"
#include "kernels/range.h"
#include "kernels/reduce.h"
#include "kernels/scan.h"
#include "kernels/softmax.h"
#include "kernels/store.h"
#include "kernels/topk.h"
#include "kernels/unary.h"
#include "kernels/where.h"

union step_args {
	struct gemm_args gemm;
	struct matmul_args matmul;
	struct matmul_integer_args matmul_integer;
	struct gather_args gather;
	struct embed_args embed; /* its tables follow: step_new_sized */
	struct unary_args unary;
	struct binary_args binary;
	struct cast_args cast;
	struct reduce_args reduce;
	struct softmax_args softmax;
	struct interact_args interact;
	struct layernorm_args layernorm;
	struct pair_args pair;
	struct copy_args copy;
	struct store_args store;
	struct compare_args compare;
	struct where_args where;
	struct range_args range;
	struct scan_args scan;
	struct arg_args arg;
	struct quantize_args quantize;
	struct gather_elements_args gather_elements;
	struct gather_nd_args gather_nd;
	struct scatter_nd_args scatter_nd;
	struct topk_args topk;
	struct quantize_dynamic_args quantize_dynamic;
};

enum operand_kind {
	OPERAND_READ,   /* bytes of a value that is an input or computed */
	OPERAND_WRITE,
	OPERAND_WEIGHT, /* a constant, laid out as its struct weight says */
	OPERAND_STATUS, /* the run's row_status array */
};

struct operand {
	enum operand_kind kind;
	uint32_t field; /* offset of the pointer in the args */
	uint32_t index; /* root value whose place the bytes are in, or weight */
	uint32_t value; /* the root value that is read or written: index, or a part of it */
	struct poly offset_bytes;
	struct operand *next;
};

struct step_size {
	uint32_t field; /* offset of the int64_t in the args */
	struct poly value;
	struct step_size *next;
};

struct step {
	enum kernel kernel;
	union step_args *args;
	size_t args_bytes; /* sizeof(union step_args), or more: args with a table at their end */
	struct operand *operands;
	struct step_size *sizes;
};

enum weight_layout {
	WEIGHT_RAW,   /* the constant's own bytes */
	WEIGHT_TABLE, /* the same, read by rows: pages of its own */
	WEIGHT_GEMM,  /* gemm_pack of [k, n] times scale */
	WEIGHT_INTEGER, /* matmul_integer_pack of [k, n] */
	WEIGHT_BIAS,  /* [n] times scale; one value is repeated */
	WEIGHT_SLOTS, /* no constant: rows of cold tables come and go there (graph/cold.h) */
	WEIGHT_COLD,  /* such a table, which has no place in memory */
};

struct weight {
	enum weight_layout layout;
	uint32_t value; /* root, a constant */
	int64_t k, n;
	int64_t row_stride, column_stride; /* WEIGHT_GEMM, elements of the constant */
	float scale;
	bool is_against_signed; /* WEIGHT_INTEGER: the operand that it multiplies is signed */
	uint64_t bytes;  /* in its final place */
	uint64_t offset; /* in the weights span; exec/weights.c */
	uint32_t next;   /* of the same value; GRAPH_NONE */
};

/* One embedding table's policy, as exec/engine.h's struct table_policy. */
struct lower_policy {
	const char *table;
	enum missing missing;
	int64_t missing_row;
	bool used;
};

enum place_kind {
	PLACE_ARENA,
	PLACE_INPUT,
	PLACE_OUTPUT,
};

struct lowering {
	struct graph *graph;
	int32_t row_symbol;
	int32_t request_symbol; /* of graph/join.h; -1 */
	int32_t followed_symbol; /* as in struct signature */
	const uint8_t *rows;   /* graph/rows.h: enum rows of each value; NULL: unknown */
	bool folding;          /* a single node of constants; weights stay raw */
	struct lower_policy *policies;
	uint32_t policy_count;

	struct step **steps;   /* in running order when lower() returns */
	uint32_t step_count;
	uint32_t step_capacity;
	struct weight *weights;
	uint32_t weight_count;
	uint32_t weight_capacity;
	int32_t *site_inputs;  /* gather site: the graph input its ids come from, or -1 */
	uint32_t site_count;
	uint32_t site_capacity;
	uint8_t *needed;       /* per value: a step reads it */
	int32_t *output_of;    /* per value: the output binding it is computed in, or -1 */
	uint32_t value_capacity; /* of the two arrays */
	const struct node *node; /* being lowered; NULL: an output that no node computes */
};

struct rows_proof;

/* Makes an inferred graph ready for lower(): the proof about its rows, a request's own rows joined,
 * nodes fused (graph/rows.h, graph/join.h, graph/passes/fuse.c). */
must_check int lowering_init(struct lowering *lowering, struct graph *graph,
			     struct rows_proof *ret_proof);

/* Lowers what the graph's outputs need. */
must_check int lower(struct lowering *lowering);

/* Lowers one node alone, for folding. */
must_check int lower_node(struct lowering *lowering, const struct node *node);

/* Where a root value lives in a run. */
enum place_kind lower_place(const struct lowering *lowering, uint32_t value, uint32_t *ret_index);

/* --- for the operators' lowerings --- */

#define FIELD(args, member) ((uint32_t)offsetof(struct args, member))
#define FIELD_AT(args, member, index) \
	((uint32_t)(offsetof(struct args, member) + (index) * sizeof(int64_t)))

/* Of table `index` of a KERNEL_EMBED. */
#define FIELD_TABLE(index, member)                                                          \
	((uint32_t)(offsetof(struct embed_args, tables) +                                   \
		    (size_t)(index) * sizeof(struct embed_table) +                          \
		    offsetof(struct embed_table, member)))

/* A step of the node being lowered; steps run in the order they are made. NULL:
 * -ENOMEM is raised; the functions below accept it and fail then. */
struct step *step_new(struct lowering *lowering, enum kernel kernel);
struct step *step_new_sized(struct lowering *lowering, enum kernel kernel, size_t args_bytes);
must_check int step_read(struct lowering *lowering, struct step *step, uint32_t field,
			 uint32_t value, struct poly offset_elements);
must_check int step_write(struct lowering *lowering, struct step *step, uint32_t field,
			  uint32_t value, struct poly offset_elements);
/* The same for callers that walk by value_stride, or by rows whose stride this fills in: a value
 * may lie in the rows of another (graph/passes/strides.h says what may). */
must_check int step_read_strided(struct lowering *lowering, struct step *step, uint32_t field,
				 uint32_t value, struct poly offset_elements);
must_check int step_write_strided(struct lowering *lowering, struct step *step, uint32_t field,
				  uint32_t value, struct poly offset_elements);
/* The stride of a value's rows, each `width` elements wide. */
int64_t lower_row_stride(const struct lowering *lowering, uint32_t value, int64_t width);
must_check int step_read_rows(struct lowering *lowering, struct step *step, uint32_t field,
			      uint32_t stride_field, uint32_t value, int64_t width);
must_check int step_write_rows(struct lowering *lowering, struct step *step, uint32_t field,
			       uint32_t stride_field, uint32_t value, int64_t width);

/* A weight that operands will name by its index. */
must_check int lower_weight(struct lowering *lowering, struct weight weight, uint32_t *ret_index);
must_check int step_weight(struct lowering *lowering, struct step *step, uint32_t field,
			   struct weight weight);
/* The status of rows; of requests, which is behind it, where the value `ids` is ROWS_REQUEST. Gives
 * how many elements of `ids` belong to one of either. */
must_check int step_status(struct lowering *lowering, struct step *step, uint32_t field, uint32_t ids,
			   struct poly *ret_per_row);
/* For what reads rows of a table by ids: the table's policy, and a site that stands for the ids in
 * a row's status. */
must_check int lower_missing(struct lowering *lowering, const struct node *node,
			     uint32_t table_value, uint32_t ids_value, int64_t table_rows,
			     enum missing *ret_missing, int64_t *ret_missing_row);
must_check int lower_site(struct lowering *lowering, uint32_t ids, uint32_t *ret_site);
/* A value of which rows are read by ids. */
must_check int step_table(struct lowering *lowering, struct step *step, uint32_t field,
			  uint32_t value);
/* Who is told of an id outside, where input 1 are ids of the run: the site, the status, and how many
 * ids belong to one of it. */
must_check int step_blame(struct lowering *lowering, const struct node *node, struct step *step,
			  uint32_t status_field, uint32_t per_row_field, uint32_t *ret_site);
must_check int step_size(struct lowering *lowering, struct step *step, uint32_t field,
			 struct poly size);

/* A step writes the value into what the node being lowered shall write. */
must_check int value_need(struct lowering *lowering, uint32_t value);

/* A value between two steps of one node. */
must_check int lower_temporary(struct lowering *lowering, enum dtype dtype, uint32_t rank,
			       const struct dim dims[], uint32_t *ret_value);

/* A traversal of one shape by several operands; fewest axes after walk_collapse. */
#define WALK_SETS_MAX 3
struct walk {
	uint32_t rank;
	uint32_t set_count;
	struct poly dims[KERNEL_RANK_MAX];
	struct poly strides[WALK_SETS_MAX][KERNEL_RANK_MAX];
};

void walk_collapse(struct walk *walk);

/* Strides, in elements, of `value` read in the shape of `rank` dims `dims`: 0
 * along axes where it is broadcast. */
void walk_broadcast(const struct value *value, uint32_t rank, const struct dim dims[],
		    struct poly strides[]);

/* Writes rank, dims and strides of a copy or binary step. */
must_check int step_walk(struct lowering *lowering, struct step *step, const struct walk *walk,
			 uint32_t dims_field, const uint32_t stride_fields[]);

/* KERNEL_COPY of x (offset, strides over dims) to y. */
must_check int lower_copy(struct lowering *lowering, uint32_t x, struct poly x_offset, uint32_t y,
			  struct poly y_offset, struct walk *walk);

/* KERNEL_UNARY y = op(x), which has no bounds; y may be x. */
must_check int lower_unary_value(struct lowering *lowering, enum unary op, uint32_t x, uint32_t y);

/* KERNEL_CAST y = x in y's type. */
must_check int lower_cast_value(struct lowering *lowering, uint32_t x, uint32_t y);

/* Types that kernels do not compute in, on both sides of one that computes (graph/widen.c). */
bool node_is_widened(const struct graph *graph, const struct node *node);
must_check int lower_widened(struct lowering *lowering, const struct node *node);

/* KERNEL_BINARY y = op(a, b), broadcast to y's dims. */
must_check int lower_binary_values(struct lowering *lowering, enum binary op, uint32_t a,
				   uint32_t b, uint32_t y);

#endif
