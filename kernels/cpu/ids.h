/* SPDX-License-Identifier: MIT */
/*
 * kernels/cpu/ids.h - from an id that nobody has checked to a row of a table
 *
 * Ids may lie in memory that a client writes while we look: each is read once, checked, then
 * clamped once more with a mask, so that no row outside the table is read while the check is still
 * the processor's guess.
 */
#ifndef HEARTH_KERNELS_CPU_IDS_H
#define HEARTH_KERNELS_CPU_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/cpu/isa.h"

#define ID_ZEROS (-1) /* the row of zeros that stands in for an id */

/* What becomes of an id outside [0, axis). */
struct id_rule {
	int64_t axis;
	int64_t missing_row;
	enum missing missing;
	uint32_t site;
};

ALWAYS_INLINE int64_t id_read(const void *ids, enum dtype dtype, int64_t offset)
{
	if (dtype == DTYPE_I64)
		return ((const volatile int64_t *)ids)[offset];
	return ((const volatile int32_t *)ids)[offset];
}

/* `index` if it is within [0, count); something within it otherwise. count >= 1. */
ALWAYS_INLINE int64_t id_mask(int64_t index, int64_t count)
{
	int64_t distance;

	/* The compiler must not see that the mask is all ones behind the check. */
	__asm__("" : "+r"(index));
	distance = (int64_t)((uint64_t)index - (uint64_t)count);
	return (int64_t)((uint64_t)index & (uint64_t)(distance >> 63) & ~(uint64_t)(index >> 63));
}

ALWAYS_INLINE void id_blame(struct row_status *status, uint32_t site)
{
	if (status != NULL && status->error == 0)
		status->error = site + 1;
}

/* The row that stands in for an id outside the table. */
static inline int64_t id_missing(const struct id_rule *rule, struct row_status *status)
{
	if (rule->missing == MISSING_ZERO || rule->missing == MISSING_ROW) {
		if (status != NULL)
			status->substituted++;
		return rule->missing == MISSING_ZERO ? ID_ZEROS : rule->missing_row;
	}
	id_blame(status, rule->site);
	return 0;
}

ALWAYS_INLINE int64_t id_resolve(int64_t id, const struct id_rule *rule, struct row_status *status)
{
	if (rule->missing == MISSING_WRAP && id < 0 && id >= -rule->axis)
		id += rule->axis;
	if (__builtin_expect((uint64_t)id >= (uint64_t)rule->axis, 0))
		return id_missing(rule, status);
	return id_mask(id, rule->axis);
}

#endif
