/* SPDX-License-Identifier: MIT */
/* daemon/ops/metrics/scrape.c - libmicrohttpd, driven by the control loop */
#include "ops/metrics/scrape.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

#include "ops/metrics/metrics.h"

#define CONNECTION_BYTES_MAX ((size_t)32 << 10)
#define TURNS_MAX 256 /* then the loop has other things to do, and comes back at its next tick */
#define TYPE_METRICS "text/plain; version=0.0.4; charset=utf-8"
#define TYPE_TEXT "text/plain; charset=utf-8"

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned int status,
			      const char *type, const char *text, size_t bytes)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(bytes, (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result result;

	if (!response)
		return MHD_NO;
	(void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		(void)MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result answer_text(struct MHD_Connection *connection, unsigned int status,
				   const char *text)
{
	return answer(connection, status, TYPE_TEXT, text, strlen(text));
}

static enum MHD_Result answer_metrics(struct scrape *scrape, struct MHD_Connection *connection)
{
	struct ration *ration = &scrape->ration;

	if (ration_is_paid(ration)) {
		ration_begin(ration);
		ration_end(ration, RATION_RATIO,
			   metrics_write(scrape->control, METRICS_ALL, &scrape->text) == 0);
	}
	if (!ration->is_whole)
		return answer_text(connection, MHD_HTTP_INTERNAL_SERVER_ERROR,
				   "hearthd has no memory for its metrics\n");
	return answer(connection, MHD_HTTP_OK, TYPE_METRICS, scrape->text.text, scrape->text.bytes);
}

static enum MHD_Result request(void *context, struct MHD_Connection *connection, const char *url,
			       const char *method, const char *version, const char *upload_data,
			       size_t *upload_bytes, void **connection_context)
{
	(void)version;
	(void)upload_data;
	(void)upload_bytes;
	(void)connection_context;
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return answer_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED,
				   "hearthd only tells: GET /metrics\n");
	if (strcmp(url, "/metrics") != 0)
		return answer_text(connection, MHD_HTTP_NOT_FOUND,
				   "hearthd has its metrics at /metrics, and nothing else\n");
	return answer_metrics(context, connection);
}

int scrape_start(struct scrape *scrape, int fd, struct control *control)
{
	scrape->control = control;
	scrape->server = MHD_start_daemon(
		MHD_USE_EPOLL, 0, NULL, NULL, request, scrape, MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned int)SCRAPE_CONNECTIONS_MAX,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)SCRAPE_SECONDS,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_BYTES_MAX, MHD_OPTION_END);
	if (scrape->server)
		return 0;
	return err_raise(-EIO, "the server of the metrics does not start: libmicrohttpd %s wants "
			 "epoll", MHD_get_version());
}

void scrape_stop(struct scrape *scrape)
{
	if (scrape->server)
		MHD_stop_daemon(scrape->server);
	exposition_deinit(&scrape->text);
	scrape->server = NULL;
}

int scrape_fd(const struct scrape *scrape)
{
	const union MHD_DaemonInfo *info = NULL;

	if (scrape->server)
		info = MHD_get_daemon_info(scrape->server, MHD_DAEMON_INFO_EPOLL_FD);
	return info ? info->epoll_fd : -1;
}

/* A turn of the server reads little of each connection, and its descriptor does not tell of what is
 * left. */
void scrape_run(struct scrape *scrape)
{
	MHD_UNSIGNED_LONG_LONG wait_ms = 0;

	for (uint32_t turn = 0; scrape->server && turn < TURNS_MAX && wait_ms == 0; turn++) {
		(void)MHD_run(scrape->server);
		if (MHD_get_timeout(scrape->server, &wait_ms) == MHD_NO)
			return;
	}
}
