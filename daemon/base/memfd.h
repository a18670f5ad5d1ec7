/* SPDX-License-Identifier: MIT */
/*
 * daemon/base/memfd.h - memory that has a descriptor and can be sealed
 *
 * Owns:     nothing: the descriptor is the caller's
 * Threads:  any
 * Errors:   -errno without a sentence: the caller knows what the memory is for
 */
#ifndef HEARTH_BASE_MEMFD_H
#define HEARTH_BASE_MEMFD_H

#include "base/error.h"

/* An empty one, closed on exec; `name` is for /proc. Returns the descriptor. */
must_check int memfd_sealable(const char *name);
/* The same of reserved huge pages of 2 MiB, which are taken when it is mapped. */
must_check int memfd_sealable_huge(const char *name);
must_check int memfd_sealable_giant(const char *name); /* of 1 GiB */

#endif
