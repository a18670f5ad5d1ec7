/* SPDX-License-Identifier: MIT */
/*
 * daemon/ops/sandbox/parts.h - the two parts that a kernel may lack; private to this folder
 *
 * Errors:   -errno with a sentence; the caller decides whether that is fatal
 */
#ifndef HEARTH_OPS_SANDBOX_PARTS_H
#define HEARTH_OPS_SANDBOX_PARTS_H

#include <stdbool.h>

#include "base/error.h"
#include "ops/options.h"

/* Landlock: this thread, and those that it starts. Returns the version of the kernel's Landlock. */
must_check int sandbox_files(const struct options *options, bool owns_sockets, bool owns_metrics,
			     const char *page, int *ret_abi);

/* seccomp: all threads. With the calls of loops that wait with a ring, or without; with those of
 * sd_notify where somebody waits to be notified. */
must_check int sandbox_calls(bool has_rings, bool is_notifying, bool has_server);

#endif
