/* SPDX-License-Identifier: MIT */
/* daemon/graph/poly.c - sizes that only a run knows: affine dims and polynomials of the symbols */
#include "graph/poly.h"

#include <assert.h>

#define FACTOR_BITS 8
#define FACTOR_MASK UINT64_C(0xff)

static_assert(POLY_FACTORS_MAX * FACTOR_BITS == 64, "a term's factors fill a word");
static_assert(SIGNATURE_SYMBOLS_MAX < FACTOR_MASK, "a symbol and 1 fit in a factor");

static bool dim_make(int32_t symbol, int64_t factor, int64_t constant, struct dim *ret_dim)
{
	if (factor > INT32_MAX || factor < INT32_MIN)
		return false;
	*ret_dim = (struct dim){
		.symbol = factor == 0 ? -1 : symbol,
		.factor = (int32_t)factor,
		.constant = constant,
	};
	return true;
}

bool dim_add(struct dim a, struct dim b, struct dim *ret_sum)
{
	int64_t constant;

	if (a.symbol >= 0 && b.symbol >= 0 && a.symbol != b.symbol)
		return false;
	if (__builtin_add_overflow(a.constant, b.constant, &constant))
		return false;
	return dim_make(a.symbol >= 0 ? a.symbol : b.symbol, (int64_t)a.factor + b.factor, constant,
			ret_sum);
}

bool dim_subtract(struct dim a, struct dim b, struct dim *ret_difference)
{
	struct dim negative;

	return dim_multiply(b, dim_constant(-1), &negative) &&
	       dim_add(a, negative, ret_difference);
}

bool dim_multiply(struct dim a, struct dim b, struct dim *ret_product)
{
	int64_t constant;
	int64_t factor;

	if (a.symbol >= 0 && b.symbol >= 0)
		return false;
	if (b.symbol >= 0)
		return dim_multiply(b, a, ret_product);
	if (__builtin_mul_overflow(a.constant, b.constant, &constant) ||
	    __builtin_mul_overflow((int64_t)a.factor, b.constant, &factor))
		return false;
	return dim_make(a.symbol, factor, constant, ret_product);
}

bool dim_divide(struct dim a, int64_t divisor, struct dim *ret_quotient)
{
	if (divisor == 0 || divisor == -1)
		return false;
	if (a.symbol >= 0 && (a.factor % divisor != 0 || a.constant % divisor != 0))
		return false;
	return dim_make(a.symbol, a.factor / divisor, a.constant / divisor, ret_quotient);
}

bool dim_is_natural(struct dim dim)
{
	return dim.constant >= 0 && (dim.symbol < 0 || dim.factor >= 0);
}

int64_t dim_max(struct dim dim, const int64_t capacity[SIGNATURE_SYMBOLS_MAX])
{
	int64_t product = 0;
	int64_t sum;

	if (dim.symbol >= 0 && dim.factor > 0 &&
	    __builtin_mul_overflow((int64_t)dim.factor, capacity[dim.symbol], &product))
		return INT64_MAX;
	if (__builtin_add_overflow(product, dim.constant, &sum))
		return INT64_MAX;
	return sum > 0 ? sum : 0;
}

static const struct poly invalid = {.count = POLY_INVALID};

struct poly poly_constant(int64_t constant)
{
	struct poly poly = {0};

	if (constant != 0)
		poly.terms[poly.count++].scale = constant;
	return poly;
}

struct poly poly_dim(struct dim dim)
{
	struct poly poly = poly_constant(dim.constant);

	if (dim.symbol >= 0) {
		poly.terms[poly.count].scale = dim.factor;
		poly.terms[poly.count++].factors = (uint64_t)dim.symbol + 1;
	}
	return poly;
}

/* Adds one term in its place; false when there is no room for it. */
static bool term_add(struct poly *poly, struct poly_term term)
{
	uint32_t place = 0;

	while (place < poly->count && poly->terms[place].factors < term.factors)
		place++;
	if (place < poly->count && poly->terms[place].factors == term.factors) {
		if (__builtin_add_overflow(poly->terms[place].scale, term.scale,
					   &poly->terms[place].scale))
			return false;
		if (poly->terms[place].scale != 0)
			return true;
		poly->count--;
		for (; place < poly->count; place++)
			poly->terms[place] = poly->terms[place + 1];
		return true;
	}
	if (term.scale == 0)
		return true;
	if (poly->count == POLY_TERMS_MAX)
		return false;
	for (uint32_t index = poly->count; index > place; index--)
		poly->terms[index] = poly->terms[index - 1];
	poly->terms[place] = term;
	poly->count++;
	return true;
}

struct poly poly_add(struct poly a, struct poly b)
{
	if (a.count == POLY_INVALID || b.count == POLY_INVALID)
		return invalid;
	for (uint32_t term = 0; term < b.count; term++) {
		if (!term_add(&a, b.terms[term]))
			return invalid;
	}
	return a;
}

/* Both are ascending, and so is what they give together; false when they are too many. */
static bool factors_merge(uint64_t a, uint64_t b, uint64_t *ret_factors)
{
	uint64_t merged = 0;
	uint32_t shift = 0;

	while (a != 0 || b != 0) {
		bool takes_a = a != 0 && (b == 0 || (a & FACTOR_MASK) <= (b & FACTOR_MASK));

		if (shift == POLY_FACTORS_MAX * FACTOR_BITS)
			return false;
		merged |= ((takes_a ? a : b) & FACTOR_MASK) << shift;
		shift += FACTOR_BITS;
		if (takes_a)
			a >>= FACTOR_BITS;
		else
			b >>= FACTOR_BITS;
	}
	*ret_factors = merged;
	return true;
}

/* Without the factor, once; false: it is not there. */
static bool factor_remove(uint64_t *factors, uint64_t factor)
{
	for (uint32_t shift = 0; shift < POLY_FACTORS_MAX * FACTOR_BITS; shift += FACTOR_BITS) {
		uint64_t below = (UINT64_C(1) << shift) - 1;

		if (((*factors >> shift) & FACTOR_MASK) != factor)
			continue;
		*factors = (*factors & below) | ((*factors >> FACTOR_BITS) & ~below);
		return true;
	}
	return false;
}

struct poly poly_multiply(struct poly a, struct poly b)
{
	struct poly product = {0};
	struct poly_term term;

	if (a.count == POLY_INVALID || b.count == POLY_INVALID)
		return invalid;
	for (uint32_t left = 0; left < a.count; left++) {
		for (uint32_t right = 0; right < b.count; right++) {
			if (__builtin_mul_overflow(a.terms[left].scale, b.terms[right].scale,
						   &term.scale) ||
			    !factors_merge(a.terms[left].factors, b.terms[right].factors,
					   &term.factors) ||
			    !term_add(&product, term))
				return invalid;
		}
	}
	return product;
}

struct poly poly_scale(struct poly a, int64_t scale)
{
	return poly_multiply(a, poly_constant(scale));
}

struct poly poly_divide_symbol(struct poly a, int32_t symbol)
{
	struct poly quotient = {0};

	if (a.count == POLY_INVALID || symbol < 0)
		return invalid;
	for (uint32_t index = 0; index < a.count; index++) {
		struct poly_term term = a.terms[index];

		if (!factor_remove(&term.factors, (uint64_t)symbol + 1) ||
		    !term_add(&quotient, term))
			return invalid;
	}
	return quotient;
}

bool poly_equal(const struct poly *a, const struct poly *b)
{
	if (a->count != b->count || a->count == POLY_INVALID)
		return false;
	for (uint32_t term = 0; term < a->count; term++) {
		if (a->terms[term].scale != b->terms[term].scale ||
		    a->terms[term].factors != b->terms[term].factors)
			return false;
	}
	return true;
}

bool poly_is(const struct poly *a, int64_t constant)
{
	struct poly b = poly_constant(constant);

	return poly_equal(a, &b);
}

int64_t poly_value(const struct poly *poly, const int64_t symbols[SIGNATURE_SYMBOLS_MAX])
{
	int64_t sum = 0;

	for (uint32_t index = 0; index < poly->count; index++) {
		int64_t product = poly->terms[index].scale;
		uint64_t factors = poly->terms[index].factors;

		for (; factors != 0; factors >>= FACTOR_BITS)
			product *= symbols[(factors & FACTOR_MASK) - 1];
		sum += product;
	}
	return sum;
}
