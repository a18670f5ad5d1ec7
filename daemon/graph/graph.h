/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/graph.h - a model's nodes and values while it is being understood
 *
 * Owns:     values, nodes and everything allocated with graph_allocate; freed
 *           whole by graph_deinit, after the lowering that reads it
 * Threads:  one
 * Errors:   -EOPNOTSUPP what hearth does not compute, -EINVAL what the ONNX
 *           specification does not allow, -ENOMEM; with a sentence that names
 *           file, node, operator and opset
 *
 * The file's nodes are imported, each shape rule runs once in the file's order
 * (graph/infer.c), nodes of constants are computed on the way
 * (graph/passes/fold.c), and passes rewrite what is left (graph/passes/fuse.c). A pass
 * keeps the last node of what it fuses, so that all inputs are defined before
 * it, and gives it an operator of its own; the others are dead.
 */
#ifndef HEARTH_GRAPH_GRAPH_H
#define HEARTH_GRAPH_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "graph/poly.h"
#include "graph/signature.h"
#include "graph/survey.h"
#include "kernels/device.h"
#include "kernels/types.h"
#include "model/onnx.h"

#define GRAPH_NONE UINT32_MAX        /* no value, no node */
#define GRAPH_OPSET_MIN 9
#define GRAPH_OPSET_MAX 21
#define GRAPH_NODES_MAX 16384
#define GRAPH_EXPANDED_MAX 65536 /* what bodies of If and Loop bring, all iterations together */
#define GRAPH_ELEMENTS_MAX (1LL << 40) /* of one value, counting each free size as 1 */
#define GRAPH_KNOWN_MAX 16           /* elements of a known value; STORE_VALUES_MAX */
#define GRAPH_LOADED_BYTES_MAX (256ULL << 20) /* constants read or computed by folding */
#define GRAPH_FOLDING_BYTES_MAX (4ULL << 30) /* folding reads and writes; a product is one */
#define GRAPH_CONSTRAINTS_MAX 32
#define GRAPH_DTYPES "float32, float16, bfloat16, int64, int32, int8, uint8, bool"

enum value_kind {
	VALUE_UNKNOWN, /* its node was not inferred yet */
	VALUE_INPUT,
	VALUE_CONSTANT,
	VALUE_COMPUTED,
	VALUE_SEQUENCE, /* of other values, known at load; it has no bytes */
};

struct value {
	const char *name;
	enum value_kind kind;
	enum dtype dtype;
	uint32_t rank;
	struct dim dims[KERNEL_RANK_MAX];
	uint32_t producer;    /* node; GRAPH_NONE */
	uint32_t view_of;     /* the value whose bytes these are; GRAPH_NONE: its own */
	uint32_t input_index; /* VALUE_INPUT */
	const struct onnx_tensor *tensor; /* VALUE_CONSTANT of the file; NULL: computed */
	const void *data;     /* VALUE_CONSTANT: its bytes; NULL: external, not read yet */
	const struct dim *known; /* integers known before a run; NULL: not known */
	uint32_t known_count;
	uint32_t first_weight; /* lowering's list of this constant's layouts */
	const uint32_t *items; /* VALUE_SEQUENCE */
	uint32_t item_count;
	bool items_joined;     /* items[0] is what its tensors are, one behind the other along axis 0 */
	uint32_t widened;      /* a constant's numbers in dtype_wide(); GRAPH_NONE: not made yet */

	/* Its rows, of part_width elements each, lie in the rows of another value. */
	uint32_t part_of;    /* that value, which is nobody's part; GRAPH_NONE: rows of its own */
	int64_t part_offset; /* elements from the start of a row there */
	int64_t part_width;
	int64_t part_stride; /* elements of a row there */
};

struct op;
struct names;

struct node {
	const struct onnx_node *source;
	const struct names *names; /* what its bodies see (graph/names.h) */
	const struct op *op;
	const char *name; /* for messages: its own name or its first output's */
	uint32_t input_count;
	uint32_t output_count;
	uint32_t *inputs; /* GRAPH_NONE: left out */
	uint32_t *outputs;
	bool is_refused;  /* only with a survey: not to be judged again, nor what reads it */
	bool dead;        /* a pass absorbed it */
	uint32_t stands_for; /* operators of the file: 1 and those that it absorbed */
	const void *fused;   /* what a pass made it compute, of that pass's own type; NULL */
	const void *details; /* what its shape rule read, of the operator's own type; NULL */

	/* What the shape rule read from attributes and from inputs known before a run. */
	int64_t axis;
	uint32_t axes; /* bit a: axis a */
	uint32_t perm[KERNEL_RANK_MAX];
	struct dim starts[KERNEL_RANK_MAX];
	int64_t steps[KERNEL_RANK_MAX];
	float alpha, beta, epsilon;
	bool trans_a, trans_b;
	bool picks_one; /* gather: one constant index; starts[0] is it, from the front */
	float low, high;
	int64_t low_i64, high_i64;

	/* What passes decided. */
	bool packed;   /* gemm: the second operand is a constant matrix, laid out for KERNEL_GEMM */
	uint32_t bias; /* gemm: constant, one value a column or one for all; GRAPH_NONE */
	enum activation activation; /* gemm, layernorm; ACTIVATION_CLIP uses low and high */
	enum activation post_activation; /* gemm: of what LINEAR_MULTIPLIER and _RESIDUAL give */
	float post_low, post_high;
};

struct graph {
	const char *name; /* of the file, for messages */
	const struct onnx_model *model;
	const struct device *device; /* folds constants */
	struct value **values;
	struct node *nodes;
	uint32_t value_count;
	uint32_t value_capacity;
	uint32_t node_count;
	uint32_t node_capacity;
	uint32_t input_count;
	uint32_t output_count;
	uint32_t *inputs; /* values */
	uint32_t *outputs;
	uint32_t symbol_count;
	const char *symbols[SIGNATURE_SYMBOLS_MAX];
	/* Each is at least 0 in every run, or the run is refused. */
	struct dim constraints[GRAPH_CONSTRAINTS_MAX];
	uint32_t constraint_count;
	uint64_t loaded_bytes;
	uint64_t folding_bytes;    /* that folding has read and written, and products computed */
	uint64_t name_comparisons; /* of the import */
	uint64_t expanded;         /* nodes of bodies, each time one is put in place */
	struct survey *survey; /* NULL: the first refusal ends the load */
	struct graph_block *blocks;
};

/* Import, shape inference, folding. `graph` is for graph_deinit also when this
 * fails. `name` and `model` stay the caller's and outlive the graph. */
must_check int graph_init(struct graph *graph, const char *name, const struct onnx_model *model,
			  const struct device *device);
void graph_deinit(struct graph *graph);

/* The passes that rewrite nodes (graph/passes/fuse.c), once the rows are proven (graph/rows.h). */
must_check int graph_fuse(struct graph *graph);

/* Zeroed, 64-byte aligned memory that lives as long as the graph; NULL: -ENOMEM
 * is raised. */
void *graph_allocate(struct graph *graph, size_t count, size_t element_bytes);

/* --- values --- */

struct value *graph_value_new(struct graph *graph, const char *name, uint32_t *ret_index);

static inline struct value *graph_value(const struct graph *graph, uint32_t index)
{
	return graph->values[index];
}

/* The value that owns the bytes of value `index`. */
uint32_t graph_root(const struct graph *graph, uint32_t index);

/* A constant that is not in the file; rank and dims as given. */
must_check int graph_constant_new(struct graph *graph, enum dtype dtype, uint32_t rank,
				  const struct dim dims[], const void *data, uint32_t *ret_index);

/* The bytes of a constant, read from its file when they are not in memory yet. */
must_check int graph_constant_data(struct graph *graph, struct value *value,
				   const void **ret_data);

/* May so many bytes of constants be read and computed at load, beside those that were? */
static inline bool graph_has_room(const struct graph *graph, uint64_t bytes)
{
	return graph->loaded_bytes <= GRAPH_LOADED_BYTES_MAX &&
	       bytes <= GRAPH_LOADED_BYTES_MAX - graph->loaded_bytes;
}

/* Element `index` of an integer constant whose bytes are in memory. */
int64_t constant_integer(const struct value *value, uint64_t index);

/* Element `index` of a constant of any type, as f32. */
must_check int constant_float(struct graph *graph, struct value *value, uint64_t index,
			      float *ret_float);

/* Elements of a value without free sizes. */
int64_t constant_elements(const struct value *value);

/* Makes known values known: true when `known` is set afterwards. */
must_check int graph_known(struct graph *graph, uint32_t index, bool *ret_known);

struct poly value_elements(const struct value *value);
struct poly value_span(const struct value *value, uint32_t first_axis, uint32_t last_axis);

/* From one element to the next along an axis, as the value lies in memory. */
struct poly value_stride(const struct value *value, uint32_t axis);

/* Is a number of its inner axes `width` elements together? Then rows as wide have a stride. */
bool value_has_rows(const struct value *value, int64_t width);

/* --- nodes --- */

static inline bool node_has_input(const struct node *node, uint32_t index)
{
	return index < node->input_count && node->inputs[index] != GRAPH_NONE;
}

static inline bool node_has_output(const struct node *node, uint32_t index)
{
	return index < node->output_count && node->outputs[index] != GRAPH_NONE;
}

static inline struct value *node_input(const struct graph *graph, const struct node *node,
				       uint32_t index)
{
	return graph->values[node->inputs[index]];
}

static inline struct value *node_output(const struct graph *graph, const struct node *node,
					uint32_t index)
{
	return graph->values[node->outputs[index]];
}

/* Every refusal of a node: "file: node 'name' (Op, opset 13): sentence". */
#define node_refuse(graph, node, error, ...)                                                       \
	node_refuse_at((graph), (node), (error), __FILE__, __LINE__, __VA_ARGS__)
int node_refuse_at(const struct graph *graph, const struct node *node, int error, const char *file,
		   int line, const char *format, ...) __attribute__((format(printf, 6, 7)));

int64_t attribute_int(const struct node *node, const char *name, int64_t otherwise);
float attribute_float(const struct node *node, const char *name, float otherwise);
const struct onnx_attribute *attribute_find(const struct node *node, const char *name);

/* -rank <= axis < rank becomes 0 <= axis < rank; -EINVAL otherwise. */
must_check int axis_normalize(const struct graph *graph, const struct node *node, int64_t axis,
			      uint32_t rank, uint32_t *ret_axis);

/* Every run must have dim >= 0. -EINVAL when that is never true. */
must_check int graph_require(struct graph *graph, const struct node *node, struct dim dim);

/* "[batch, 2*batch+1, 16]", for messages. */
#define SHAPE_TEXT_BYTES 192
const char *shape_text(const struct graph *graph, const struct value *value,
		       char text[SHAPE_TEXT_BYTES]);
const char *dim_text(const struct graph *graph, struct dim dim, char text[SHAPE_TEXT_BYTES]);
const char *dtype_name(int32_t dtype);
bool dtype_is_supported(int32_t dtype);

/* Sizes, axes and ids are of these, and so are integers known before a run. */
static inline bool dtype_is_index(enum dtype dtype)
{
	return dtype == DTYPE_I32 || dtype == DTYPE_I64;
}

/* --- stages, called by graph_init in this order --- */

must_check int graph_import(struct graph *graph);
must_check int graph_infer(struct graph *graph);
/* The node comes next in the graph: its shape rule, known integers, folding. */
must_check int graph_emit(struct graph *graph, const struct node *node);
must_check int known_infer(struct graph *graph, const struct node *node);
must_check int pass_fold(struct graph *graph, struct node *node);

must_check int pass_interact(struct graph *graph); /* by graph_infer, at the end */

/* --- passes, called by graph_fuse --- */

must_check int pass_bag(struct graph *graph);
must_check int pass_cse(struct graph *graph);
must_check int pass_gelu(struct graph *graph);
must_check int pass_layernorm(struct graph *graph);
must_check int pass_fuse_gemm(struct graph *graph);
must_check int pass_batchnorm(struct graph *graph);
must_check int pass_chain(struct graph *graph);
must_check int pass_cross(struct graph *graph);
must_check int pass_pair(struct graph *graph);
must_check int pass_concat(struct graph *graph);

#endif
