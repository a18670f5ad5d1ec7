/* SPDX-License-Identifier: MIT */
/*
 * tests/ops/fuzz_control.c - any packets on the daemon's sockets: answered in form, or hung up on
 *
 * An input is what up to PEERS connections say and do; the control loop's own functions read it
 * from real sockets (peers_event), with the data thread and the loader played by the test. After
 * it everybody hangs up: no peer, lane, descriptor or row of memory is left, and what is served
 * is what was.
 *
 *     op u8 (peer in the two high bits), length u16, payload      see enum op
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "ops/control/control.h"
#include "ops/loop.h"
#include "ops/peers.h"

#define REPOSITORY "tests/data/shoppers/repository"
#define PEERS 3
#define OPS_MAX 128
#define DESCRIPTORS_MAX 64 /* no test has as many open */
#define FLOOD 64
#define ARENA_BYTES_MAX (UINT64_C(8) << 20)
#define STRANGER 12345 /* a uid */

enum op {
	OP_SAY = 0,         /* 0 to 15: a message of this type, its head right; payload is its body */
	OP_PACKET = 16,     /* payload is the packet */
	OP_SAY_JSON,        /* payload is the text of a CONTROL message */
	OP_READ,            /* the client reads its answers */
	OP_TOUCH,           /* it maps and touches its segments */
	OP_HANG_UP,
	OP_FLOOD,           /* the payload FLOOD times as a CONTROL message, answers unread */
	OP_LOAD_FAILS,      /* the loader's answer */
	OP_DATA_ANSWERS,    /* the data loop has obeyed */
	OP_LANE_LIES,       /* and disconnects the peer */
	OP_LATER,           /* handshakes expire */
	OP_STRANGER,        /* the peer is of another user */
	OP_STOP,            /* the daemon is stopping */
	OP_COUNT,
};

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count);

struct caller {
	int fd;          /* the client's end; -1: hung up */
	uint64_t ticket; /* of its peer */
	int segments[2]; /* descriptors it was given; -1 */
};

static struct control control;
static struct trace trace;
static struct options options = { .socket = "hearth.sock", .admin_socket = "hearth.sock.admin",
				  .admin_group = "nobody" };
static struct version *version;
static struct registry_model model_at_start;

static void control_check(bool is_kept, const char *promise)
{
	if (is_kept)
		return;
	fprintf(stderr, "fuzz_control: broken promise: %s\n", promise);
	abort();
}

/* --- a daemon without threads ---------------------------------------------------------------------- */

static void no_policies(void *context, const char *name, struct engine_options *engine)
{
	(void)context;
	(void)name;
	(void)engine;
}

static void registry_make(void)
{
	struct registry *registry = &control.registry;
	struct registry_model *model = &registry->models[0];
	int fd = -1;

	registry->data = &control.data;
	registry->repository = &control.repository;
	registry->engine = (struct engine_options){ .device = cpu_device(), .rows_max = 4,
						    .activation_bytes_max = 1 << 20, .node = -1 };
	registry->recall = kept_recall;
	registry->policies = no_policies;
	registry->notify = control_report;
	registry->context = &control;
	pthread_mutex_init(&registry->loader.mutex, NULL);
	pthread_cond_init(&registry->loader.wanted, NULL);
	control_check(repository_open(REPOSITORY, &control.repository) == 0 &&
			      repository_open_version(&control.repository, "shoppers", 1, &fd) == 0,
		      "the test runs in the tree's root");
	control_check(version_new(fd, "shoppers", 1, 0, &registry->engine, &version) == 0,
		      "the test's model loads");
	close(fd);
	snprintf(model->name, sizeof(model->name), "shoppers");
	model->versions[0] = (struct registry_version){ .number = 1, .state = REGISTRY_SERVING,
							.version = version };
	model->current = version;
	registry->model_count = 1;
	model_at_start = *model;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct session_limits *limits = &control.limits;

	(void)argc;
	(void)argv;
	log_level_set(0);
	control.options = &options;
	control.started_ns = clock_ns();
	control.data.counters = &control.data.own_counters;
	control.data.times.trace = &trace;
	control_check(waiter_open(&control.waiter, &waiter_poll, 2 * PEERS, false) == 0,
		      "there is memory for the watches");
	control.data.data_eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	control_check(queue_init(&control.data.to_data, MESSAGE_QUEUE_CAPACITY,
				 sizeof(struct message)) == 0,
		      "there is memory for the test");
	tier_init(&control.tiers);
	control.data.options.bell = DATA_BELL_SOCKET;
	limits->clients_max = 2;
	control.shares.tiers = &control.tiers;
	control.shares.limits = (struct share_limits){ 2, 2 * HEARTH_SLOTS_MAX, ARENA_BYTES_MAX };
	limits->features = HEARTH_FEATURE_PROGRESS | HEARTH_FEATURE_SOCKET_BELL;
	limits->epoch = 1;
	limits->node = -1;
	registry_make();
	return 0;
}

static int descriptor_count(void)
{
	int count = 0;

	for (int fd = 0; fd < DESCRIPTORS_MAX; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* What the data thread would do with its messages; a lane is let go at once. */
static void data_play(void)
{
	struct message message;

	while (queue_pop(&control.data.to_data, &message)) {
		struct peer *peer;

		if (message.kind != MESSAGE_LANE_CLOSE)
			continue;
		peer = peers_of_lane(&control, message.lane);
		control_check(peer && peer->is_closing, "a lane that closes has a peer");
		peer->is_lane_gone = true;
	}
}

static void loader_play(int status)
{
	struct loader *loader = &control.registry.loader;

	if (!loader->has_job)
		return;
	close(loader->job.directory_fd);
	loader->has_job = false;
	loader->result = (struct loader_result){ .status = status };
	snprintf(loader->result.text, sizeof(loader->result.text), "played: %s", strerror(-status));
	loader->has_result = true;
	registry_loaded(&control.registry);
}

/* Jobs go, and the model is served as before. */
static void registry_restore(void)
{
	struct registry *registry = &control.registry;
	struct registry_job *job;

	if (registry->loader.has_job)
		close(registry->loader.job.directory_fd);
	registry->loader.has_job = registry->loader.has_result = false;
	while ((job = registry->jobs)) {
		registry->jobs = job->next;
		free(job);
	}
	registry->job_count = 0;
	registry->is_running = false;
	registry->token = 0;
	memset(registry->models, 0, registry->model_count * sizeof(registry->models[0]));
	registry->models[0] = model_at_start;
	registry->model_count = 1;
	control.is_stopping = false;
}

/* --- the callers ------------------------------------------------------------------------------------- */

static struct peer *peer_of(const struct caller *caller)
{
	return peers_find(&control, caller->ticket);
}

static void caller_connect(struct caller *caller, bool is_admin)
{
	struct session *session = NULL;
	struct peer *peer = NULL;
	int fds[2];

	*caller = (struct caller){ .fd = -1, .segments = { -1, -1 } };
	control_check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) ==
			      0 && session_new(fds[0], is_admin, &control.shares, &session) == 0 &&
			      peer_new(session, ++control.ticket_last, &peer) == 0,
		      "the test can connect");
	peer->next = control.peers;
	control.peers = peer;
	watch_arm(&control.waiter, &peer->socket, POLLIN);
	watch_arm(&control.waiter, &peer->death, POLLIN);
	caller->fd = fds[1];
	caller->ticket = peer->ticket;
}

/* The loop's part in a watch's end. */
static void watches_end(void)
{
	struct waiter_event event;

	while (waiter_take(&control.waiter, &event))
		((struct watch *)event.user)->is_armed = false;
}

/* The loop's turn for one peer: what its poll would have said. */
static void peer_play(struct peer *peer)
{
	struct pollfd poll_ = { .fd = peer->session->fd,
				.events = peer->pending ? POLLOUT : POLLIN };

	if (peer->is_closing || poll(&poll_, 1, 0) != 1)
		return;
	watch_disarm(&control.waiter, &peer->socket);
	watches_end();
	peers_event(&control, peer, poll_.revents);
}

static void loop_play(void)
{
	for (struct peer *peer = control.peers; peer; peer = peer->next)
		peer_play(peer);
	watches_end();
	data_play();
}

static void say(struct caller *caller, uint16_t type, const void *body, size_t bytes)
{
	static uint8_t packet[HEARTH_MESSAGE_BYTES_MAX];
	struct hearth_message head = { .magic = HEARTH_MAGIC, .type = type };

	if (bytes > sizeof(packet) - sizeof(head))
		bytes = sizeof(packet) - sizeof(head);
	head.bytes = (uint32_t)(sizeof(head) + bytes);
	memcpy(packet, &head, sizeof(head));
	memcpy(packet + sizeof(head), body, bytes);
	(void)!send(caller->fd, packet, head.bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void segments_take(struct caller *caller, const struct msghdr *message)
{
	struct cmsghdr *header = CMSG_FIRSTHDR(message);

	if (!header || header->cmsg_type != SCM_RIGHTS)
		return;
	control_check(header->cmsg_len == CMSG_LEN(2 * sizeof(int)) && caller->segments[0] < 0,
		      "a connection is given two descriptors, once");
	memcpy(caller->segments, CMSG_DATA(header), 2 * sizeof(int));
}

static void describe_check(const uint8_t *packet, size_t bytes)
{
	struct hearth_describe_reply reply;
	size_t wanted = sizeof(reply);

	control_check(bytes >= sizeof(reply), "DESCRIBE_REPLY is whole");
	memcpy(&reply, packet, sizeof(reply));
	control_check(memchr(reply.text, 0, sizeof(reply.text)) != NULL, "its text ends");
	for (uint32_t index = 0; index < reply.input_count + reply.output_count; index++) {
		struct hearth_tensor_description tensor;
		size_t at = sizeof(reply) + index * sizeof(tensor);

		control_check(at + sizeof(tensor) <= bytes, "its tensors are there");
		memcpy(&tensor, packet + at, sizeof(tensor));
		wanted += sizeof(tensor) + tensor.name_bytes;
	}
	control_check(bytes == wanted, "its names are there and nothing else");
}

static void reply_check(struct caller *caller, const uint8_t *packet, size_t bytes)
{
	struct hearth_hello_reply hello;
	struct hearth_message head;
	json_t *object;

	control_check(bytes >= sizeof(head), "an answer has a head");
	memcpy(&head, packet, sizeof(head));
	control_check(head.magic == HEARTH_MAGIC && head.bytes == bytes, "its head is right");
	switch (head.type) {
	case HEARTH_MESSAGE_HELLO_REPLY:
		control_check(bytes == sizeof(hello), "HELLO_REPLY is whole");
		memcpy(&hello, packet, sizeof(hello));
		control_check(memchr(hello.text, 0, sizeof(hello.text)) != NULL, "its text ends");
		control_check(head.status < 0 ? hello.text[0] != '\0' : caller->segments[0] >= 0,
			      "it says why, or brings two descriptors");
		break;
	case HEARTH_MESSAGE_DESCRIBE_REPLY:
		describe_check(packet, bytes);
		break;
	case HEARTH_MESSAGE_CONTROL_REPLY:
		object = json_loadb((const char *)packet + sizeof(head), bytes - sizeof(head), 0,
				    NULL);
		control_check(json_is_object(object), "a reply is a JSON object");
		control_check((head.status < 0) == (json_object_get(object, "error") != NULL &&
						    !json_object_get(object, "state")),
			      "an error has a sentence, and only an error");
		json_decref(object);
		break;
	default:
		control_check(false, "an answer has one of three types");
	}
}

static void caller_read(struct caller *caller)
{
	static uint8_t packet[HEARTH_MESSAGE_BYTES_MAX];
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(2 * sizeof(int))];
	} ancillary;
	struct iovec part = { .iov_base = packet, .iov_len = sizeof(packet) };

	for (;;) {
		struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1,
					  .msg_control = &ancillary,
					  .msg_controllen = sizeof(ancillary) };
		ssize_t got = recvmsg(caller->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

		if (got <= 0)
			return;
		segments_take(caller, &message);
		reply_check(caller, packet, (size_t)got);
	}
}

static void caller_touch(struct caller *caller)
{
	for (int index = 0; index < 2; index++) {
		off_t bytes = lseek(caller->segments[index], 0, SEEK_END);
		void *address;

		if (caller->segments[index] < 0 || bytes <= 0 || bytes > (1 << 20))
			continue;
		address = mmap(NULL, (size_t)bytes, index ? PROT_READ : PROT_READ | PROT_WRITE,
			       MAP_SHARED, caller->segments[index], 0);
		control_check(address != MAP_FAILED, "a client can map what it was given");
		(void)madvise(address, (size_t)bytes,
			      index ? MADV_POPULATE_READ : MADV_POPULATE_WRITE);
		munmap(address, (size_t)bytes);
	}
}

static void caller_hang_up(struct caller *caller)
{
	for (int index = 0; index < 2; index++) {
		if (caller->segments[index] >= 0)
			close(caller->segments[index]);
		caller->segments[index] = -1;
	}
	if (caller->fd >= 0)
		close(caller->fd);
	caller->fd = -1;
}

/* --- the script ---------------------------------------------------------------------------------------- */

static void daemon_op(struct caller *caller, enum op op)
{
	struct message done = { .kind = MESSAGE_DONE, .token = control.registry.token };
	struct peer *peer = peer_of(caller);

	switch (op) {
	case OP_LOAD_FAILS:
		loader_play(-EINVAL);
		break;
	case OP_DATA_ANSWERS:
		if (done.token)
			registry_message(&control.registry, &done);
		break;
	case OP_LANE_LIES:
		if (peer && peer->session->state == SESSION_SERVED)
			peers_close(&control, peer);
		break;
	case OP_LATER:
		peers_expire(&control, clock_ns() + UINT64_C(60000000000));
		break;
	case OP_STRANGER:
		if (peer)
			peer->session->uid = STRANGER;
		break;
	default:
		control.is_stopping = true;
	}
}

static void op_run(struct caller *caller, enum op op, const uint8_t *payload, size_t bytes)
{
	switch (op) {
	case OP_PACKET:
		(void)!send(caller->fd, payload, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
		break;
	case OP_SAY_JSON:
		say(caller, HEARTH_MESSAGE_CONTROL, payload, bytes);
		break;
	case OP_READ:
		caller_read(caller);
		break;
	case OP_TOUCH:
		caller_touch(caller);
		break;
	case OP_HANG_UP:
		caller_hang_up(caller);
		break;
	case OP_FLOOD:
		for (int turn = 0; turn < FLOOD; turn++) {
			say(caller, HEARTH_MESSAGE_CONTROL, payload, bytes);
			loop_play();
		}
		break;
	default:
		if (op < OP_PACKET)
			say(caller, (uint16_t)op, payload, bytes);
		else
			daemon_op(caller, op);
	}
	loop_play();
	peers_reap(&control);
}

static void everybody_leaves(struct caller callers[], int descriptors)
{
	struct tier_entry entry;
	uint32_t row = 0;

	for (int index = 0; index < PEERS; index++)
		caller_hang_up(&callers[index]);
	loop_play();
	for (struct peer *peer = control.peers; peer; peer = peer->next)
		peers_close(&control, peer);
	watches_end();
	data_play();
	peers_reap(&control);
	/* What a caller still maps is kept. */
	shares_deinit(&control.shares);
	registry_restore();
	control_check(!control.peers && control.clients == 0, "nobody is left");
	control_check(control.waiter.poll_count == 0, "nobody is watched");
	control_check(!tier_next(&control.tiers, &row, &entry), "no memory is accounted for");
	control_check(descriptor_count() == descriptors, "no descriptor is left open");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count)
{
	struct caller callers[PEERS];
	int descriptors = descriptor_count();
	size_t at = 0;

	for (int index = 0; index < PEERS; index++)
		caller_connect(&callers[index], index == 0);
	for (uint32_t ops = 0; ops < OPS_MAX && at + 3 <= byte_count; ops++) {
		struct caller *caller = &callers[(bytes[at] >> 6) % PEERS];
		enum op op = (bytes[at] & 63) % OP_COUNT;
		size_t length = bytes[at + 1] | (size_t)bytes[at + 2] << 8;

		at += 3;
		if (length > byte_count - at)
			length = byte_count - at;
		if (caller->fd >= 0)
			op_run(caller, op, bytes + at, length);
		at += length;
	}
	for (int index = 0; index < PEERS; index++)
		if (callers[index].fd >= 0)
			caller_read(&callers[index]);
	everybody_leaves(callers, descriptors);
	return 0;
}
