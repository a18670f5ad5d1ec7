/* SPDX-License-Identifier: MIT */
/*
 * kernels/ref/ref.h - each kernel once more, in double and in the most obvious way
 *
 * Linked into tests only. A result is as long as the kernel's y, unless said
 * otherwise; f32 results are doubles, integer results int64_t. ret_magnitude is
 * the sum of the absolute terms, in which a header states its error.
 */
#ifndef HEARTH_KERNELS_REF_REF_H
#define HEARTH_KERNELS_REF_REF_H

#include "kernels/arg.h"
#include "kernels/binary.h"
#include "kernels/cast.h"
#include "kernels/chain.h"
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

/* One element of any type; the nearest number of a float type. */
double ref_read(const void *x, enum dtype dtype, int64_t index);
int64_t ref_read_integer(const void *x, enum dtype dtype, int64_t index);
double ref_round(double x, enum dtype to);

double ref_activation(enum activation activation, double low, double high, double x);

/* w [k, n] row-major; results [rows, n] without gaps; magnitude before the activation */
void ref_gemm(const struct gemm_args *args, const float *w, double *ret_y, double *ret_magnitude);
void ref_matmul(const struct matmul_args *args, double *ret_y, double *ret_magnitude);
/* b [k, n], not packed */
void ref_matmul_integer(const struct matmul_integer_args *args, const void *b, int64_t *ret_y);
/* y by args->y_stride, as y */
void ref_interact(const struct interact_args *args, double *ret_y, double *ret_magnitude);
/* weight and product [k, n] row-major; results [rows, count, n]; magnitude before the activation */
void ref_pair(const struct pair_args *args, const float *weight, const float *product,
	      double *ret_y, double *ret_magnitude);
void ref_gather(const struct gather_args *args, void *ret_y, struct row_status *ret_status);
void ref_gather_elements(const struct gather_elements_args *args, void *ret_y,
			 struct row_status *ret_status);
void ref_gather_nd(const struct gather_nd_args *args, void *ret_y, struct row_status *ret_status);
/* ret_y and ret_magnitude hold beforehand what y does, and its absolute values. */
void ref_scatter_nd(const struct scatter_nd_args *args, double *ret_y, double *ret_magnitude,
		    struct row_status *ret_status);
/* One table: y [rows, dim], of EMBED_COPY [rows, hot, dim], without gaps. */
void ref_embed(const struct embed_args *args, int64_t table_index, double *ret_y,
	       double *ret_magnitude, struct row_status *ret_status);
void ref_unary_f32(const struct unary_args *args, double *ret_y);
void ref_unary_integer(const struct unary_args *args, int64_t *ret_y);
void ref_binary_f32(const struct binary_args *args, double *ret_y);
void ref_binary_integer(const struct binary_args *args, int64_t *ret_y);
void ref_cast_f32(const struct cast_args *args, double *ret_y);
void ref_cast_integer(const struct cast_args *args, int64_t *ret_y);
void ref_reduce_f32(const struct reduce_args *args, double *ret_y, double *ret_magnitude);
void ref_reduce_integer(const struct reduce_args *args, int64_t *ret_y);
void ref_softmax(const struct softmax_args *args, double *ret_y);
void ref_layernorm(const struct layernorm_args *args, double *ret_y, double *ret_mean,
		   double *ret_inv_std);
/* ret_y by args->y_strides, as y */
void ref_copy(const struct copy_args *args, void *ret_y);
void ref_compare(const struct compare_args *args, uint8_t *ret_y);
void ref_where(const struct where_args *args, void *ret_y);
void ref_range(const struct range_args *args, double *ret_y);
void ref_scan(const struct scan_args *args, double *ret_y, double *ret_magnitude);
void ref_arg(const struct arg_args *args, int64_t *ret_y);
void ref_topk(const struct topk_args *args, int64_t *ret_indices);
void ref_quantize(const struct quantize_args *args, int64_t *ret_y);
void ref_quantize_dynamic(const struct quantize_dynamic_args *args, int64_t *ret_y,
			  float *ret_scale, int64_t *ret_zero);
void ref_dequantize(const struct quantize_args *args, double *ret_y);
void ref_store(const struct store_args *args, int64_t *ret_y);
/* each output by its strides, as in args */
void ref_chain(const struct chain_args *args, double *const ret_outputs[]);

#endif
