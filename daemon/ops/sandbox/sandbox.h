/* SPDX-License-Identifier: MIT */
/*
 * daemon/ops/sandbox/sandbox.h - what is given up after start-up, so that a broken daemon does little
 * harm
 *
 *     part          what is left                                        --sandbox
 *     user          --user NAME, else who started it                    always
 *     capabilities  IPC_LOCK to lock weights; for root, DAC_READ_SEARCH  always
 *                   to read a repository that belongs to somebody else
 *     rings         what their loops submit (base/waiter_uring.c)       always
 *     Landlock      the repository, /proc and what /sys says of nodes   auto, strict
 *                   and memory, to read; the sockets, to remove; no TCP
 *     seccomp       the calls of sandbox/calls.c; not io_uring_setup    auto, strict
 *
 * The order of start-up follows: sockets, sandbox_enter, waiters, threads (which
 * inherit it), sandbox_seal, and only then models and clients. Whatever is to
 * be opened, loaded or started later must be allowed here, or done earlier.
 *
 * Threads:  sandbox_enter before there is a second one; sandbox_seal reaches all
 * Errors:   -errno with a sentence: a user that is not there, and with
 *           --sandbox strict each part that this kernel lacks
 */
#ifndef HEARTH_OPS_SANDBOX_SANDBOX_H
#define HEARTH_OPS_SANDBOX_SANDBOX_H

#include <stdbool.h>

#include "base/error.h"
#include "base/waiter.h"
#include "ops/options.h"

#define SANDBOX_TEXT_BYTES 256

struct sandbox {
	char text[SANDBOX_TEXT_BYTES]; /* what is in force, and what is not and why */
	bool is_partial;
};

/* User, capabilities, Landlock. The sockets are given to the user, and may be removed at the end,
 * where they are the daemon's own, and so may the stats page; NULL: it is not. */
must_check int sandbox_enter(struct sandbox *sandbox, const struct options *options,
			     bool owns_sockets, bool owns_metrics, const char *page);
/* seccomp, for every thread, with the calls of loops that wait this way, and of a server of metrics
 * if there is one; then says what is in force. */
must_check int sandbox_seal(struct sandbox *sandbox, const struct options *options,
			    const struct waiter_way *way, bool has_server);

#endif
