/* SPDX-License-Identifier: MIT */
/*
 * daemon/base/ring.h - an io_uring that can do a few things and no more
 *
 * A ring's operations pass by the filter of system calls: one that can open a
 * file undoes what open(2) is denied. So a ring is made disabled
 * (IORING_SETUP_R_DISABLED), is given the short list of what its owner does with it, and is
 * enabled then. Anything else fails with EACCES from there on.
 *
 * Owns:     nothing
 * Threads:  the one that made the ring
 * Errors:   -errno without a sentence
 */
#ifndef HEARTH_BASE_RING_H
#define HEARTH_BASE_RING_H

#include <linux/io_uring.h>
#include <stdint.h>

#include "base/error.h"

must_check int ring_enable(int ring_fd, const struct io_uring_restriction allowed[],
			   uint32_t count);

#endif
