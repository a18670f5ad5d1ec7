/* SPDX-License-Identifier: MIT */
/* tools/hearthctl/requests/session.c - what -errno of the library means for a person and for $? */

#include "tools/hearthctl/requests/session.h"

#include "tools/hearthctl/talk.h"

#define ANSWER_NS INT64_C(60000000000)

int session_open(const struct invocation *invocation, const struct hearth_options *options,
		 struct hearth **ret_hearth)
{
	int r = hearth_open(invocation->socket_path, options, ret_hearth);

	switch (r) {
	case 0:
		return EXIT_OK;
	case -ENOENT:
	case -ECONNREFUSED:
	case -EACCES:
	case -EPERM:
	case -ENAMETOOLONG:
		return talk_unreachable(invocation->socket_path, -r);
	default:
		return session_failed(invocation, r);
	}
}

int session_model(const struct invocation *invocation, struct hearth *hearth,
		  const struct hearth_model_info **ret_model)
{
	int r = hearth_model(hearth, invocation->model, invocation->version, ret_model);

	if (r == 0)
		return EXIT_OK;
	if (r == -ENOENT)
		return complain(EXIT_NOT_FOUND, "%s", hearth_strerror(r));
	return session_failed(invocation, r);
}

int session_failed(const struct invocation *invocation, int error)
{
	switch (error) {
	case -ETIMEDOUT:
		return complain(EXIT_UNREACHABLE,
				"hearthd at %s did not answer in time; --timeout waits longer",
				invocation->socket_path);
	case -ENOTCONN:
	case -EOWNERDEAD:
	case -ECONNRESET:
	case -EPIPE:
		return complain(
			EXIT_UNREACHABLE,
			"hearthd at %s closed the connection; see its log: `journalctl -u hearthd`",
			invocation->socket_path);
	default:
		return complain(EXIT_FAILED, "%s: %s", invocation->socket_path,
				hearth_strerror(error));
	}
}

int session_refused(struct hearth *hearth, const struct hearth_model_info *model,
		    const struct hearth_completion *completion)
{
	const char *sentence = hearth_completion_strerror(hearth, completion);

	switch (completion->status) {
	case -ESTALE:
		return complain(EXIT_FAILED, "%s@%u is out of service, since a file of it has changed; "
				"`hearthctl load %s@%u` loads it again", model ? model->name : "",
				model ? model->version : 0, model ? model->name : "",
				model ? model->version : 0);
	case -ENOENT:
		return complain(EXIT_NOT_FOUND, "%s", sentence);
	case -EOWNERDEAD:
		return complain(EXIT_UNREACHABLE, "%s", sentence);
	default:
		return complain(EXIT_FAILED, "%s", sentence);
	}
}

int64_t session_timeout_ns(const struct invocation *invocation)
{
	return invocation->timeout_s > 0 ? (int64_t)(invocation->timeout_s * 1e9) : ANSWER_NS;
}
