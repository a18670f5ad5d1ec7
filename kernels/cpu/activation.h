/* SPDX-License-Identifier: MIT */
/*
 * kernels/cpu/activation.h - enum activation, a vector or a run of values at a time
 *
 * Every operation is rounded by itself, in the order that kernels/types.h writes:
 * an activation has the bits of the operators that it stands for.
 */
#ifndef HEARTH_KERNELS_CPU_ACTIVATION_H
#define HEARTH_KERNELS_CPU_ACTIVATION_H

#include "kernels/cpu/exponential.h"
#include "kernels/types.h"

ALWAYS_INLINE vec vec_gelu(vec x)
{
	return x * (vec_erf(x / 0x1.6a09e6p+0f) + 1.0f) * 0.5f;
}

ALWAYS_INLINE vec vec_gelu_tanh(vec x)
{
	vec inner = 0x1.988454p-1f * (x + 0x1.6e4e26p-5f * (x * x * x));

	return 0.5f * x * (1.0f + vec_tanh(inner));
}

/* The switch vanishes where the activation is a constant. NaN stays NaN. */
ALWAYS_INLINE vec vec_activate(enum activation activation, float low, float high, vec x)
{
	switch (activation) {
	case ACTIVATION_RELU:
		return vec_max(vec_splat(0.0f), x);
	case ACTIVATION_SIGMOID:
		return vec_sigmoid(x);
	case ACTIVATION_TANH:
		return vec_tanh(x);
	case ACTIVATION_CLIP:
		return vec_min(vec_splat(high), vec_max(vec_splat(low), x));
	case ACTIVATION_LEAKY_RELU:
		return vec_choose(x < 0.0f, low * x, x);
	case ACTIVATION_ELU:
		return vec_choose(x < 0.0f, low * (vec_exp(x) - 1.0f), x);
	case ACTIVATION_SILU:
		return x * vec_sigmoid(x);
	case ACTIVATION_GELU:
		return vec_gelu(x);
	case ACTIVATION_GELU_TANH:
		return vec_gelu_tanh(x);
	default:
		return x;
	}
}

ALWAYS_INLINE void activation_run_as(enum activation activation, float low, float high, float *y,
				     int64_t count)
{
	int64_t index = 0;

	for (; index + VEC_LANES <= count; index += VEC_LANES)
		vec_store(y + index, vec_activate(activation, low, high, vec_load(y + index)));
	if (index < count)
		vec_store_part(y + index,
			       vec_activate(activation, low, high,
					    vec_load_part(y + index, count - index)),
			       count - index);
}

/* In place. */
static inline void activation_run(enum activation activation, float low, float high, float *y,
				  int64_t count)
{
	switch (activation) {
#define ACTIVATION_CASE(which)                                  \
	case which:                                             \
		activation_run_as(which, low, high, y, count);  \
		break
	ACTIVATION_CASE(ACTIVATION_RELU);
	ACTIVATION_CASE(ACTIVATION_SIGMOID);
	ACTIVATION_CASE(ACTIVATION_TANH);
	ACTIVATION_CASE(ACTIVATION_CLIP);
	ACTIVATION_CASE(ACTIVATION_LEAKY_RELU);
	ACTIVATION_CASE(ACTIVATION_ELU);
	ACTIVATION_CASE(ACTIVATION_SILU);
	ACTIVATION_CASE(ACTIVATION_GELU);
	ACTIVATION_CASE(ACTIVATION_GELU_TANH);
#undef ACTIVATION_CASE
	case ACTIVATION_NONE:
	case ACTIVATION_COUNT:
		break;
	}
}

#endif
