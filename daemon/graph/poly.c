/* SPDX-License-Identifier: MIT */
/* daemon/graph/poly.c - sizes that only a run knows: affine dims and polynomials of the symbols */
#include "graph/poly.h"

#define POWER_BITS 4
#define POWER_MAX 15

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
		poly.terms[poly.count++].powers = 1U << (POWER_BITS * (uint32_t)dim.symbol);
	}
	return poly;
}

/* Adds one term in its place; false when there is no room for it. */
static bool term_add(struct poly *poly, struct poly_term term)
{
	uint32_t place = 0;

	while (place < poly->count && poly->terms[place].powers < term.powers)
		place++;
	if (place < poly->count && poly->terms[place].powers == term.powers) {
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

static bool powers_add(uint32_t a, uint32_t b, uint32_t *ret_sum)
{
	for (uint32_t shift = 0; shift < 32; shift += POWER_BITS) {
		if (((a >> shift) & POWER_MAX) + ((b >> shift) & POWER_MAX) > POWER_MAX)
			return false;
	}
	*ret_sum = a + b;
	return true;
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
			    !powers_add(a.terms[left].powers, b.terms[right].powers,
					&term.powers) ||
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
	uint32_t one;

	if (a.count == POLY_INVALID || symbol < 0)
		return invalid;
	one = 1U << (POWER_BITS * (uint32_t)symbol);
	for (uint32_t term = 0; term < a.count; term++) {
		if ((a.terms[term].powers & (POWER_MAX * one)) == 0)
			return invalid;
		a.terms[term].powers -= one;
	}
	return a;
}

bool poly_equal(const struct poly *a, const struct poly *b)
{
	if (a->count != b->count || a->count == POLY_INVALID)
		return false;
	for (uint32_t term = 0; term < a->count; term++) {
		if (a->terms[term].scale != b->terms[term].scale ||
		    a->terms[term].powers != b->terms[term].powers)
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
		uint32_t powers = poly->terms[index].powers;

		for (uint32_t symbol = 0; powers != 0; symbol++, powers >>= POWER_BITS) {
			for (uint32_t power = powers & POWER_MAX; power > 0; power--)
				product *= symbols[symbol];
		}
		sum += product;
	}
	return sum;
}
