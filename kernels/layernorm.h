/* SPDX-License-Identifier: MIT */
/*
 * kernels/layernorm.h - y = activation((x[r,c] - mean_r) * inv_std_r * scale[c] + bias[c])
 *
 * Shapes:   x, y [rows, cols] contiguous; scale [cols]; bias [cols] or NULL;
 *           mean, inv_std [rows] or NULL
 * Types:    f32; inv_std_r = 1 / sqrt(mean_c((x - mean_r)^2) + epsilon)
 * Aliasing: y may be x
 * Source:   Ba, Kiros & Hinton 2016, arXiv:1607.06450; ONNX LayerNormalization-17
 */
#ifndef HEARTH_KERNELS_LAYERNORM_H
#define HEARTH_KERNELS_LAYERNORM_H

#include "kernels/types.h"

struct layernorm_args {
	const float *x;
	const float *scale;
	const float *bias;
	float *y;
	float *mean;
	float *inv_std;
	int64_t rows;
	int64_t cols;
	float epsilon;
	enum activation activation;
	float low, high; /* of the activation */
};

#endif
