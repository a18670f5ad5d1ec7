/* SPDX-License-Identifier: MIT */
/*
 * tools/hearthctl/talk.h - one question on one of the daemon's sockets, and its rows
 *
 * Owns:     the connection, for the length of a call
 * Threads:  one
 * Units:    timeout in seconds; 0 waits as long as the daemon lives
 * Errors:   exit codes, with a sentence on stderr: EXIT_UNREACHABLE when there is
 *           no daemon or it went away, EXIT_NOT_FOUND for -ENOENT, EXIT_FAILED
 * Source:   shm/handshake.h (CONTROL), daemon/ops/control/control.h (verbs and rows)
 */
#ifndef HEARTH_TOOLS_HEARTHCTL_TALK_H
#define HEARTH_TOOLS_HEARTHCTL_TALK_H

#include <jansson.h>
#include <stdbool.h>

/* Not 0 ends the talk with that exit code. */
typedef int (*talk_row)(const json_t *row, void *context);

/* Asked now and then while the daemon is silent: is it waited for in vain? */
struct talk_watch {
	bool (*is_lost)(void *context);
	void *context;
};

/* Where there is no answer, or no whole one, -errno without a sentence. -ETIMEDOUT: it
 * was waited for long enough, or in vain. watch NULL: nobody looks. */
int talk_try(const char *socket_path, double timeout_s, const struct talk_watch *watch,
	     const json_t *question, talk_row row, void *context, int *ret_code);
/* The sentence for that, and the exit code. */
int talk_failed(const char *socket_path, double timeout_s, int error);

/* A connection, or -errno without a sentence. */
int talk_connect(const char *socket_path);

/* For any command that cannot reach the daemon: which path, why, how to mend it. */
int talk_unreachable(const char *socket_path, int error);

#endif
