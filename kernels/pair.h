/* SPDX-License-Identifier: MIT */
/*
 * kernels/pair.h - y[r,h] = activation(keys[r,h] * weight + (query[r] . keys[r,h]) * product + offset[r])
 *
 * A layer over a query and each of its keys, and over their elementwise product: as the product of
 * the keys with a matrix of the row's own, weight + diag(query[r]) * product.
 *
 * Shapes:   keys [rows, count, k], vector i = row * count + key at keys + i * keys_stride; query
 *           [rows, k] by query_stride; offset [rows, n]; y [rows, count, n] by y_stride as keys;
 *           weight and product packed by gemm_pack from [k, n]; scratch as large as either
 * Types:    f32; an element of the row's matrix is weight + query * product, fused where the device
 *           fuses; then as kernels/gemm.h with offset for its bias: a row's bits do not depend on
 *           the rows beside it, nor on how many keys it has
 * Aliasing: y and scratch may overlap nothing
 * Limits:   rows, count >= 0; k, n >= 1; strides in elements
 * Traffic:  4 * (rows * (count * (k + n) + k + n) + 2 * k * n) bytes; scratch stays in the cache
 * Error:    |y - ref| <= (k + 4) * 2^-24 * (sum |key| * (|weight| + |query * product|) + |offset|),
 *           before the activation, whose error is kernels/gemm.h's
 */
#ifndef HEARTH_KERNELS_PAIR_H
#define HEARTH_KERNELS_PAIR_H

#include "kernels/types.h"

struct pair_args {
	const float *keys;
	const float *query;
	const float *offset;
	const float *weight;  /* packed */
	const float *product; /* packed */
	float *scratch;       /* packed, a row's matrix */
	float *y;
	int64_t rows;
	int64_t count; /* keys a row */
	int64_t k;
	int64_t n;
	int64_t keys_stride;
	int64_t query_stride;
	int64_t y_stride;
	enum activation activation;
	float low, high; /* of the activation */
};

#endif
