/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/poly.h - sizes that only a run knows: affine dims and polynomials of the symbols
 *
 * A dimension is affine in one symbol (struct dim); what a kernel is given, a
 * count or an offset, is a polynomial of the symbols, because it is a sum of
 * products of dimensions. An operation that leaves these forms, or 64 bits,
 * says so: dim_* return false, a poly becomes invalid and stays it.
 */
#ifndef HEARTH_GRAPH_POLY_H
#define HEARTH_GRAPH_POLY_H

#include <stdbool.h>
#include <stdint.h>

#include "graph/signature.h"

#define POLY_TERMS_MAX 6
#define POLY_FACTORS_MAX 8 /* of a term */
#define POLY_INVALID UINT32_MAX

struct poly_term {
	int64_t scale;
	uint64_t factors; /* a byte each, ascending from the lowest: a symbol and 1; 0: no more */
};

struct poly {
	uint32_t count; /* 0: the polynomial is 0; POLY_INVALID */
	struct poly_term terms[POLY_TERMS_MAX]; /* ascending factors, no two alike, no scale 0 */
};

static inline struct dim dim_constant(int64_t constant)
{
	return (struct dim){.symbol = -1, .constant = constant};
}

static inline struct dim dim_symbol(uint32_t symbol)
{
	return (struct dim){.symbol = (int32_t)symbol, .factor = 1};
}

static inline bool dim_equal(struct dim a, struct dim b)
{
	return a.symbol == b.symbol && a.factor == b.factor && a.constant == b.constant;
}

static inline bool dim_is(struct dim dim, int64_t constant)
{
	return dim.symbol < 0 && dim.constant == constant;
}

must_check bool dim_add(struct dim a, struct dim b, struct dim *ret_sum);
must_check bool dim_subtract(struct dim a, struct dim b, struct dim *ret_difference);
must_check bool dim_multiply(struct dim a, struct dim b, struct dim *ret_product);

/* Truncates between constants; a symbolic dim must be divided without rest. */
must_check bool dim_divide(struct dim a, int64_t divisor, struct dim *ret_quotient);

/* Is the dim at least 0 whatever the symbols, themselves at least 0, are? */
bool dim_is_natural(struct dim dim);

/* The largest value while each symbol is within [0, capacity]; INT64_MAX when
 * it does not fit. */
int64_t dim_max(struct dim dim, const int64_t capacity[SIGNATURE_SYMBOLS_MAX]);

struct poly poly_constant(int64_t constant);
struct poly poly_dim(struct dim dim);
struct poly poly_add(struct poly a, struct poly b);
struct poly poly_multiply(struct poly a, struct poly b);
struct poly poly_scale(struct poly a, int64_t scale);

/* a / symbol; invalid when a term lacks it. */
struct poly poly_divide_symbol(struct poly a, int32_t symbol);

bool poly_equal(const struct poly *a, const struct poly *b);
bool poly_is(const struct poly *a, int64_t constant);

static inline bool poly_is_constant(const struct poly *a)
{
	return a->count == 0 || (a->count == 1 && a->terms[0].factors == 0);
}

int64_t poly_value(const struct poly *poly, const int64_t symbols[SIGNATURE_SYMBOLS_MAX]);

#endif
