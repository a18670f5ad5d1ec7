/* SPDX-License-Identifier: MIT */
/*
 * daemon/exec/weights_parts.h - what the parts of a load of weights share; nobody else includes it
 *
 *     weights_place.c  where each weight will lie
 *     weights.c        how it comes there
 *     weights_pack.c   in the layout that a kernel reads
 *     landings.c       what it lies in until it is packed
 */
#ifndef HEARTH_EXEC_WEIGHTS_PARTS_H
#define HEARTH_EXEC_WEIGHTS_PARTS_H

#include "exec/weights.h"

#define PAGES_FROM_BYTES (64U << 10) /* smaller tensors are not worth pages of their own */

static inline uint64_t round_up(uint64_t bytes, uint64_t unit)
{
	return (bytes + unit - 1) & ~(unit - 1);
}

/* The file's tensor, when the weight is its bytes as they are. */
static inline const struct onnx_tensor *direct_tensor(const struct lowering *lowering,
						      const struct weight *weight)
{
	const struct value *value;

	if (weight->layout != WEIGHT_RAW && weight->layout != WEIGHT_TABLE)
		return NULL;
	value = graph_value(lowering->graph, weight->value);
	return value->data ? NULL : value->tensor;
}

/* What is cold is not read now, and its slots are empty. */
static inline bool is_cold(const struct weight *weight)
{
	return weight->layout == WEIGHT_SLOTS || weight->layout == WEIGHT_COLD;
}

/* A matrix or a bias, from `source`. In between it calls `pause` about once for each MiB that is
 * packed, and ends with what that returns if it fails. */
must_check int weight_pack(const struct lowering *lowering, const struct weight *weight,
			   const void *source, void *place, int (*pause)(void *context),
			   void *context);

#endif
