/* SPDX-License-Identifier: MIT */
/*
 * daemon/exec/spread_parts.h - what the parts of the spread share; nobody else includes it
 *
 *     spread.c       a batch on its way through the workers
 *     spread_load.c  the runs and arenas that are there for it
 */
#ifndef HEARTH_EXEC_SPREAD_PARTS_H
#define HEARTH_EXEC_SPREAD_PARTS_H

#include "exec/spread.h"

/* Is a matrix large enough to be split by columns? */
bool spread_is_split(const struct gemm_args *args);

#endif
