/* SPDX-License-Identifier: MIT */
/*
 * daemon/base/uring.h - an io_uring that can do what its loop does, and nothing else
 *
 * A ring's operations pass by the filter of system calls: one that can open a
 * file undoes what open(2) is denied. So each of the daemon's rings is made
 * disabled (IORING_SETUP_R_DISABLED), is given the short list of operations
 * that its loop submits, and is enabled then. Any other operation, any flag of
 * an entry and every registration completes with -EACCES from there on.
 *
 * Threads:  the thread that submits to the ring, which owns it from then on
 * Errors:   -errno of io_uring_register
 */
#ifndef HEARTH_BASE_URING_H
#define HEARTH_BASE_URING_H

#include <stdint.h>

#include "base/error.h"

#define URING_OPERATIONS_MAX 8

must_check int uring_restrict(int ring_fd, const uint8_t operations[], uint32_t operation_count);

#endif
