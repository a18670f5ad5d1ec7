/* SPDX-License-Identifier: MIT */
/*
 * kernels/store.h - y[i] = values[i], for sizes that only a run knows
 *
 * Types:    y i32 or i64
 * Limits:   count <= STORE_VALUES_MAX
 */
#ifndef HEARTH_KERNELS_STORE_H
#define HEARTH_KERNELS_STORE_H

#include "kernels/types.h"

#define STORE_VALUES_MAX 16

struct store_args {
	void *y;
	int64_t values[STORE_VALUES_MAX];
	uint32_t count;
	enum dtype dtype;
};

#endif
