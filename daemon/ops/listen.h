/* SPDX-License-Identifier: MIT */
/*
 * daemon/ops/listen.h - a Unix SOCK_SEQPACKET socket that listens
 *
 * Owns:     the caller owns the descriptor; the path is removed by listen_close
 * Errors:   -EADDRINUSE when a daemon answers at the path; what bind returns
 *           otherwise, with a sentence
 */
#ifndef HEARTH_OPS_LISTEN_H
#define HEARTH_OPS_LISTEN_H

#include <sys/types.h>

#include "base/error.h"

/* The group's number, once: looking it up can take long. */
must_check int listen_group(const char *name, gid_t *ret_gid);

/* group NULL: the process's own. A path left behind by a dead daemon is reused. */
must_check int listen_open(const char *path, mode_t mode, const char *group, int *ret_fd);
void listen_close(const char *path, int fd);

#endif
