/* SPDX-License-Identifier: MIT */
/*
 * daemon/exec/weights.h - constants in their final place and layout
 *
 * Owns:     nothing; the span is the caller's
 * Threads:  one
 * Errors:   -ENOMEM, and what onnx_read returns
 *
 * Large external tensors get whole pages of their own, at the offset within the
 * page that they have in their file, so that they are read straight into place.
 */
#ifndef HEARTH_EXEC_WEIGHTS_H
#define HEARTH_EXEC_WEIGHTS_H

#include "graph/lower.h"

/* Gives every weight its offset; returns the bytes of all. */
must_check int weights_place(struct lowering *lowering, uint64_t *ret_bytes);

/* Brings them there; `memory` is page-aligned. */
must_check int weights_load(struct lowering *lowering, void *memory);

#endif
