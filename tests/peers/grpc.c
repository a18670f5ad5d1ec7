/* SPDX-License-Identifier: MIT */
/*
 * tests/peers/grpc.c - unary gRPC calls through the C core, over a Unix socket and over TCP
 *
 * What code generated for C++ does, less what it adds: registered methods, one batch of operations
 * on either side, bytes instead of protocol buffers, and one completion queue for all calls. Channel
 * and server live as long as the connection; a call lives as long as its message.
 */
#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/support/time.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "peer.h"
#include "tests/system/crowd.h"
#include "tests/system/measure.h"
#include "tests/system/payload.h"

#define METHOD "/hearth.Bench/Echo"

struct address {
	char target[64];
	int cpu_other;
	int port_fd; /* the server says on which port it listens */
};

struct client {
	grpc_completion_queue *queue;
	grpc_channel *channel;
	void *method;
	pid_t pid;
};

/* --- who answers ------------------------------------------------------------------------------ */

/* A call that is waited for, or answered. There are two, so that one is waited for while the other
 * one ends. */
struct answer {
	grpc_call *call;
	grpc_byte_buffer *message;
	grpc_metadata_array metadata;
	gpr_timespec deadline;
	int is_cancelled;
	bool is_sent;
};

struct server {
	grpc_server *server;
	grpc_completion_queue *queue;
	void *method;
	struct answer answers[2];
};

static void server_start(struct server *server, const struct address *address)
{
	grpc_server_credentials *credentials;
	int port;

	grpc_init();
	credentials = grpc_insecure_server_credentials_create();
	server->server = grpc_server_create(NULL, NULL);
	server->queue = grpc_completion_queue_create_for_next(NULL);
	grpc_server_register_completion_queue(server->server, server->queue, NULL);
	server->method = grpc_server_register_method(
		server->server, METHOD, NULL, GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER, 0);
	port = grpc_server_add_http2_port(server->server, address->target, credentials);
	grpc_server_credentials_release(credentials);
	must(port > 0, "gRPC cannot listen on %s", address->target);
	grpc_server_start(server->server);
	must(write(address->port_fd, &port, sizeof(port)) == sizeof(port), "cannot say the port");
}

static void answer_await(struct server *server, struct answer *answer)
{
	grpc_call_error error;

	answer->is_sent = false;
	grpc_metadata_array_init(&answer->metadata);
	error = grpc_server_request_registered_call(server->server, server->method, &answer->call,
						    &answer->deadline, &answer->metadata,
						    &answer->message, server->queue,
						    server->queue, answer);
	must(error == GRPC_CALL_OK, "cannot wait for a call: %d", (int)error);
}

/* The message came with the call, and goes back as it is: no copy. */
static void answer_send(struct answer *answer)
{
	const grpc_op operations[] = {
		{ .op = GRPC_OP_SEND_INITIAL_METADATA },
		{ .op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = answer->message },
		{ .op = GRPC_OP_SEND_STATUS_FROM_SERVER,
		  .data.send_status_from_server.status = GRPC_STATUS_OK },
		{ .op = GRPC_OP_RECV_CLOSE_ON_SERVER,
		  .data.recv_close_on_server.cancelled = &answer->is_cancelled },
	};
	grpc_call_error error;

	must(answer->message, "a call without a message");
	error = grpc_call_start_batch(answer->call, operations, 4, answer, NULL);
	must(error == GRPC_CALL_OK, "cannot answer: %d", (int)error);
	answer->is_sent = true;
}

static void answer_end(struct answer *answer)
{
	grpc_byte_buffer_destroy(answer->message);
	grpc_metadata_array_destroy(&answer->metadata);
	grpc_call_unref(answer->call);
}

static void answer_all(void *argument)
{
	const struct address *address = argument;
	struct server server = { 0 };

	cpu_pin(0, address->cpu_other);
	server_start(&server, address);
	answer_await(&server, server.answers);
	answer_await(&server, server.answers + 1);
	for (;;) {
		grpc_event event = grpc_completion_queue_next(
			server.queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
		struct answer *answer = event.tag;

		must(event.type == GRPC_OP_COMPLETE && event.success, "a call failed");
		if (answer->is_sent) {
			answer_end(answer);
			answer_await(&server, answer);
		} else {
			answer_send(answer);
		}
	}
}

/* --- who asks --------------------------------------------------------------------------------- */

static int server_fork(struct client *client, struct address *address)
{
	int ends[2];
	int port;

	must(pipe(ends) == 0, "no pipe");
	address->port_fd = ends[1];
	client->pid = crowd_start(answer_all, address);
	must(read(ends[0], &port, sizeof(port)) == sizeof(port), "the server does not listen");
	close(ends[0]);
	close(ends[1]);
	return port;
}

static void *connect_to(struct client *client, const struct peer_plan *plan, const char *target)
{
	grpc_channel_credentials *credentials;

	cpu_pin(0, plan->cpu);
	grpc_init();
	credentials = grpc_insecure_credentials_create();
	client->queue = grpc_completion_queue_create_for_pluck(NULL);
	client->channel = grpc_channel_create(target, credentials, NULL);
	grpc_channel_credentials_release(credentials);
	client->method = grpc_channel_register_call(client->channel, METHOD, NULL, NULL);
	return client;
}

static struct client *client_new(void)
{
	struct client *client = calloc(1, sizeof(*client));

	must(client, "no memory");
	return client;
}

static void *unix_start(const struct peer_plan *plan)
{
	struct address address = { .cpu_other = plan->cpu_other };
	struct client *client = client_new();

	/* Abstract: no file is left behind. */
	snprintf(address.target, sizeof(address.target), "unix-abstract:hearth-bench-%d",
		 (int)getpid());
	server_fork(client, &address);
	return connect_to(client, plan, address.target);
}

static void *tcp_start(const struct peer_plan *plan)
{
	struct address address = { .target = "127.0.0.1:0", .cpu_other = plan->cpu_other };
	struct client *client = client_new();

	snprintf(address.target, sizeof(address.target), "127.0.0.1:%d",
		 server_fork(client, &address));
	return connect_to(client, plan, address.target);
}

/* What a call gives back beside its message. */
struct ending {
	grpc_metadata_array initial;
	grpc_metadata_array trailing;
	grpc_status_code status;
	grpc_slice details;
};

static grpc_byte_buffer *call(struct client *client, grpc_byte_buffer *request)
{
	gpr_timespec never = gpr_inf_future(GPR_CLOCK_REALTIME);
	grpc_call *call = grpc_channel_create_registered_call(
		client->channel, NULL, GRPC_PROPAGATE_DEFAULTS, client->queue, client->method,
		never, NULL);
	grpc_byte_buffer *response = NULL;
	struct ending ending = { .status = GRPC_STATUS_UNKNOWN };
	const grpc_op operations[] = {
		{ .op = GRPC_OP_SEND_INITIAL_METADATA },
		{ .op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = request },
		{ .op = GRPC_OP_SEND_CLOSE_FROM_CLIENT },
		{ .op = GRPC_OP_RECV_INITIAL_METADATA,
		  .data.recv_initial_metadata.recv_initial_metadata = &ending.initial },
		{ .op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &response },
		{ .op = GRPC_OP_RECV_STATUS_ON_CLIENT,
		  .data.recv_status_on_client = { &ending.trailing, &ending.status,
						  &ending.details, NULL } },
	};
	grpc_event event;

	grpc_metadata_array_init(&ending.initial);
	grpc_metadata_array_init(&ending.trailing);
	must(grpc_call_start_batch(call, operations, 6, call, NULL) == GRPC_CALL_OK,
	     "cannot call");
	event = grpc_completion_queue_pluck(client->queue, call, never, NULL);
	must(event.type == GRPC_OP_COMPLETE && event.success &&
		     ending.status == GRPC_STATUS_OK && response,
	     "the call failed with status %d", (int)ending.status);
	grpc_metadata_array_destroy(&ending.initial);
	grpc_metadata_array_destroy(&ending.trailing);
	grpc_slice_unref(ending.details);
	grpc_call_unref(call);
	return response;
}

/* Piece by piece, where gRPC left them: no copy. */
static void response_check(grpc_byte_buffer *response, uint32_t bytes, uint64_t turn)
{
	grpc_byte_buffer_reader reader;
	grpc_slice *slice;

	must(grpc_byte_buffer_length(response) == bytes &&
		     grpc_byte_buffer_reader_init(&reader, response),
	     "an answer of another length");
	while (grpc_byte_buffer_reader_peek(&reader, &slice))
		must(payload_check(GRPC_SLICE_START_PTR(*slice), GRPC_SLICE_LENGTH(*slice), turn),
		     "something else came back");
	grpc_byte_buffer_reader_destroy(&reader);
}

static void echo(void *state, uint32_t bytes, uint64_t turn)
{
	grpc_slice slice = grpc_slice_malloc(bytes);
	grpc_byte_buffer *request;
	grpc_byte_buffer *response;

	payload_write(GRPC_SLICE_START_PTR(slice), bytes, turn);
	request = grpc_raw_byte_buffer_create(&slice, 1);
	grpc_slice_unref(slice);
	response = call(state, request);
	response_check(response, bytes, turn);
	grpc_byte_buffer_destroy(request);
	grpc_byte_buffer_destroy(response);
}

static void stop(void *state)
{
	struct client *client = state;

	grpc_channel_destroy(client->channel);
	grpc_completion_queue_shutdown(client->queue);
	grpc_completion_queue_destroy(client->queue);
	crowd_kill(client->pid);
	free(client);
}

const struct peer peer_grpc_unix = {
	.name = "gRPC, Unix socket",
	.start = unix_start,
	.echo = echo,
	.stop = stop,
};

const struct peer peer_grpc_tcp = {
	.name = "gRPC, TCP",
	.start = tcp_start,
	.echo = echo,
	.stop = stop,
};
