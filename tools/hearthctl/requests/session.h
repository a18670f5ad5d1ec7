/* SPDX-License-Identifier: MIT */
/*
 * tools/hearthctl/requests/session.h - a connection of client/hearth.h whose failures are exit codes
 *
 * Owns:     nothing; the caller closes with hearth_close
 * Threads:  as hearth.h
 * Errors:   exit codes, with a sentence on stderr
 */
#ifndef HEARTH_TOOLS_HEARTHCTL_REQUESTS_SESSION_H
#define HEARTH_TOOLS_HEARTHCTL_REQUESTS_SESSION_H

#include "client/hearth.h"
#include "tools/hearthctl/command.h"

int session_open(const struct invocation *invocation, const struct hearth_options *options,
		 struct hearth **ret_hearth);

/* The invocation's model and version. */
int session_model(const struct invocation *invocation, struct hearth *hearth,
		  const struct hearth_model_info **ret_model);

/* A call on the connection failed with `error`; prints and chooses the code. */
int session_failed(const struct invocation *invocation, int error);

/* A request ended with a status below 0; prints and chooses the code. `model` NULL: it was to none. */
int session_refused(struct hearth *hearth, const struct hearth_model_info *model,
		    const struct hearth_completion *completion);

/* How long one answer may take, in ns. */
int64_t session_timeout_ns(const struct invocation *invocation);

#endif
