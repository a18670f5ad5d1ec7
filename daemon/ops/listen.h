/* SPDX-License-Identifier: MIT */
/*
 * daemon/ops/listen.h - sockets that listen, made here or by systemd
 *
 * A socket that systemd made outlives the daemon: who connects while there is
 * none waits in its backlog for the next one.
 *
 * Owns:     the caller owns the descriptor; listen_close removes the path of one
 *           that was made here
 * Errors:   -EADDRINUSE when a daemon answers at the path; what bind returns
 *           otherwise, with a sentence; -EINVAL for descriptors from systemd
 *           that are not what hearthd.socket and hearthd-admin.socket make
 */
#ifndef HEARTH_OPS_LISTEN_H
#define HEARTH_OPS_LISTEN_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

/* The group's number, once: looking it up can take long. */
must_check int listen_group(const char *name, gid_t *ret_gid);

/* type SOCK_SEQPACKET or SOCK_STREAM; group NULL: the process's own. A path left behind by a dead daemon is reused. */
must_check int listen_open(const char *path, int type, mode_t mode, const char *group, int *ret_fd);

/* Takes a descriptor that is neither socket. False: it is nobody's, and is closed. */
typedef bool listen_take(void *context, const char *name, int fd);

/* The two that systemd listens at for this process, which it calls "infer" and "admin"; whose they
 * are and who may connect is its business. Once, for it takes what tells of them out of the
 * environment. LISTEN_E_NONE: it has none. Of everything else that systemd hands over `take` is
 * told, whatever comes of the two. */
#define LISTEN_E_NONE 1
must_check int listen_inherit(const char *infer_path, const char *admin_path, listen_take *take,
			      void *context, int *ret_infer_fd, int *ret_admin_fd);

/* Is it a stream socket that listens, as hearth-metrics.socket makes it? It does not block then. */
must_check int listen_check_stream(int fd);

/* path NULL: it stays, with who waits there. */
void listen_close(const char *path, int fd);

#endif
