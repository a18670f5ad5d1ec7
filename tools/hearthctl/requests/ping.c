/* SPDX-License-Identifier: MIT */
/* tools/hearthctl/requests/ping.c - requests that compute nothing: what the path itself costs */

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "tools/hearthctl/chart.h"
#include "tools/hearthctl/requests/session.h"
#include "tools/hearthctl/row.h"

#define COUNT 10000

static int ping_acquire(const struct invocation *invocation, struct hearth *hearth,
			struct hearth_request **ret_request)
{
	int r;

	if (invocation->echo_bytes == 0)
		return hearth_acquire_ping(hearth, ret_request);
	r = hearth_acquire_echo(hearth, invocation->echo_bytes, ret_request);
	if (r == 0) /* as a caller would have: its bytes are in its processor's caches */
		memset((*ret_request)->inputs[0].data, 0xa5, invocation->echo_bytes);
	return r;
}

static int ping_once(const struct invocation *invocation, struct hearth *hearth,
		     struct histogram *histogram)
{
	const struct hearth_completion *completion;
	struct hearth_request *request;
	uint64_t begin_ns;
	int code = EXIT_OK;
	int r;

	r = ping_acquire(invocation, hearth, &request);
	if (r < 0)
		return session_failed(invocation, r);
	begin_ns = clock_ns();
	r = hearth_submit(hearth, request);
	if (r < 0)
		return session_failed(invocation, r);
	r = hearth_wait(hearth, session_timeout_ns(invocation), &completion);
	if (r < 0)
		return session_failed(invocation, r);
	histogram_record(histogram, clock_ns() - begin_ns);
	if (completion->status < 0)
		code = session_refused(hearth, NULL, completion);
	r = hearth_release(hearth, completion->id);
	return code == EXIT_OK && r < 0 ? session_failed(invocation, r) : code;
}

int ping_run(const struct invocation *invocation)
{
	static struct histogram histogram; /* 15 KiB */
	struct hearth *hearth = NULL;
	uint32_t count = invocation->count > 0 ? invocation->count : COUNT;
	uint32_t sent;
	json_t *row;
	int code;
	int r;

	code = session_open(invocation, NULL, &hearth);
	for (sent = 0; sent < count && code == EXIT_OK; sent++)
		code = ping_once(invocation, hearth, &histogram);
	hearth_close(hearth);
	if (code != EXIT_OK)
		return code;
	if (!invocation->is_json) {
		percentiles_print(&histogram, stdout);
		chart_print(&histogram, stdout);
		return EXIT_OK;
	}
	row = json_object();
	row_set_percentiles(row, &histogram);
	r = row_print(row);
	json_decref(row);
	return r < 0 ? complain(EXIT_FAILED, "stdout takes no more") : EXIT_OK;
}
