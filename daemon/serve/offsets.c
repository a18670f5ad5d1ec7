/* SPDX-License-Identifier: MIT */
/* daemon/serve/offsets.c - a request's offsets among those of the requests before it in a batch */
#include "serve/offsets.h"

#include "base/clamp.h"

static int64_t offset_at(const struct offsets *offsets, uint32_t index)
{
	return offsets->dtype == DTYPE_I64 ? ((const int64_t *)offsets->data)[index]
					   : ((const int32_t *)offsets->data)[index];
}

/* All values, from the first one on, and none twice. */
static bool offsets_divide(const struct offsets *offsets)
{
	int64_t before = 0;

	if (offsets->count == 0 || offset_at(offsets, 0) != 0)
		return false;
	for (uint32_t index = 0; index < offsets->count; index++) {
		int64_t offset = offset_at(offsets, index);

		if (offset < before || offset > offsets->values)
			return false;
		before = offset;
	}
	return !offsets->has_end || before == offsets->values;
}

bool offsets_join(const struct offsets *offsets, int64_t first)
{
	int64_t most = offsets->dtype == DTYPE_I64 ? INT64_MAX : INT32_MAX;
	uint64_t limit = (uint64_t)offsets->values + 1;

	if (offsets->values > most - first || !offsets_divide(offsets))
		return false;
	/* Clamped as well as checked: a branch may be the processor's guess. */
	for (uint32_t index = 0; first > 0 && index < offsets->count; index++) {
		uint64_t offset = (uint64_t)offset_at(offsets, index);

		offset = (offset & clamp_mask(offset, limit)) + (uint64_t)first;
		if (offsets->dtype == DTYPE_I64)
			((int64_t *)offsets->data)[index] = (int64_t)offset;
		else
			((int32_t *)offsets->data)[index] = (int32_t)offset;
	}
	return true;
}
