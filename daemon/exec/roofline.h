/* SPDX-License-Identifier: MIT */
/*
 * daemon/exec/roofline.h - what a step would take at the limits of one core
 *
 * Threads:  one
 * Units:    ns; bytes and multiply-adds as graph/cost.h counts them
 * Errors:   none; without a clock to trust (a sanitizer's build) every prediction is 0
 *
 * After Williams, Waterman, Patterson: Roofline, 2009. A step takes the longer of
 * its multiply-adds at the core's peak and its bytes: weights at the rate at which
 * this core reads this model's weights, what other steps left at the rate of the
 * second cache; and, beside either, rows at places that nothing foretells.
 */
#ifndef HEARTH_EXEC_ROOFLINE_H
#define HEARTH_EXEC_ROOFLINE_H

#include "kernels/device.h"

struct cost; /* graph/cost.h */

struct roofline {
	double multiply_add_ns;
	double weight_byte_ns;
	double cached_byte_ns;
	double row_ns; /* of one line at a random place of the weights */
};

/* Reads up to ROOFLINE_BYTES_MAX of the weights a few times: some milliseconds where they are
 * large. `weights` are aligned to 64 bytes. */
#define ROOFLINE_BYTES_MAX (32 << 20)
void roofline_measure(struct roofline *roofline, const struct device *device, const void *weights,
		      uint64_t bytes);

/* 0: unknown. */
uint64_t roofline_predict(const struct roofline *roofline, const struct cost *cost);

#endif
