/* SPDX-License-Identifier: MIT */
/* tests/client/fake_daemon.c - accepts, answers, and leaves the rings to the test */
#include "tests/client/fake_daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* A fixture that cannot do its work ends the test. */
#define must(condition)                                                                            \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #condition,         \
				strerror(errno));                                                  \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static uint64_t now_ns(const struct fake_daemon *daemon)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec +
	       (uint64_t)daemon->options.clock_shift_ns;
}

/* --- handshake --- */

static int segment_new(const char *name, uint64_t bytes)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	must(fd >= 0);
	must(ftruncate(fd, (off_t)bytes) == 0);
	return fd;
}

static void lane_header_write(struct fake_daemon *daemon, struct fake_lane *lane)
{
	struct hearth_lane_daemon *header = lane->daemon;
	const struct hearth_layout *layout = &lane->layout;

	header->magic = HEARTH_MAGIC;
	header->abi = HEARTH_ABI_VERSION;
	header->client_bytes = layout->client_bytes;
	header->daemon_bytes = layout->daemon_bytes;
	header->features = lane->features;
	header->slots = layout->slots;
	header->completion_slots = layout->completion_slots;
	header->cancel_offset = layout->cancel_offset;
	header->request_slots_offset = layout->request_slots_offset;
	header->request_area_offset = layout->request_area_offset;
	header->request_area_bytes = layout->request_area_bytes;
	header->completion_slots_offset = layout->completion_slots_offset;
	header->response_area_offset = layout->response_area_offset;
	header->response_area_bytes = layout->response_area_bytes;
	header->epoch = (uint64_t)(uintptr_t)daemon;
	header->opened_ns = now_ns(daemon);
	header->need_wakeup = 1;
	if (daemon->options.lies_about_layout)
		header->request_area_offset += HEARTH_PAGE_BYTES;
}

static void lane_open(struct fake_daemon *daemon, struct fake_lane *lane, int ret_fds[2])
{
	const struct fake_options *options = &daemon->options;
	const struct hearth_layout *layout = &lane->layout;
	int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	uint32_t share = options->is_short ? 2 : 1;
	void *base;

	ret_fds[0] = segment_new("fake-client-to-daemon", layout->client_bytes);
	ret_fds[1] = segment_new("fake-daemon-to-client", layout->daemon_bytes);
	base = mmap(NULL, layout->client_bytes, PROT_READ, MAP_SHARED, ret_fds[0], 0);
	must(base != MAP_FAILED);
	lane->client_base = base;
	lane->client = base;
	lane->cancel = (const void *)(lane->client_base + layout->cancel_offset);
	lane->request_slots = (const void *)(lane->client_base + layout->request_slots_offset);
	lane->request_area = lane->client_base + layout->request_area_offset;
	base = mmap(NULL, layout->daemon_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ret_fds[1], 0);
	must(base != MAP_FAILED);
	lane->daemon_base = base;
	lane->daemon = base;
	lane->completion_slots = (void *)(lane->daemon_base + layout->completion_slots_offset);
	lane->response_area = lane->daemon_base + layout->response_area_offset;
	lane_header_write(daemon, lane);
	if (options->is_short)
		must(ftruncate(ret_fds[0], (off_t)(layout->client_bytes / share)) == 0);
	if (!options->is_unsealed) {
		must(fcntl(ret_fds[0], F_ADD_SEALS, seals) == 0);
		must(fcntl(ret_fds[1], F_ADD_SEALS, seals | F_SEAL_FUTURE_WRITE) == 0);
	}
}

static void send_with_fds(int fd, const void *packet, size_t bytes, const int fds[2])
{
	union {
		struct cmsghdr header;
		uint8_t bytes[CMSG_SPACE(2 * sizeof(int))];
	} control = {0};
	struct iovec vector = {.iov_base = (void *)(uintptr_t)packet, .iov_len = bytes};
	struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};

	if (fds) {
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(2 * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, 2 * sizeof(int));
	}
	(void)sendmsg(fd, &message, MSG_NOSIGNAL);
}

static void message_init(struct hearth_message *message, uint16_t type, size_t bytes)
{
	memset(message, 0, bytes);
	message->magic = HEARTH_MAGIC;
	message->type = type;
	message->bytes = (uint32_t)bytes;
}

static void hello_answer(struct fake_daemon *daemon, struct fake_lane *lane,
			 const struct hearth_hello *hello)
{
	const struct fake_options *options = &daemon->options;
	struct hearth_hello_reply reply;
	int fds[2] = {-1, -1};
	bool is_refused = options->refuse_status < 0;

	if (options->is_mute)
		return;
	if (options->hangs_up) {
		(void)shutdown(lane->fd, SHUT_RDWR);
		return;
	}
	message_init(&reply.message, HEARTH_MESSAGE_HELLO_REPLY, sizeof(reply));
	reply.abi_oldest = options->abi_oldest ? options->abi_oldest : HEARTH_ABI_OLDEST;
	reply.abi_newest = options->abi_newest ? options->abi_newest : HEARTH_ABI_VERSION;
	reply.abi = is_refused ? 0 : HEARTH_ABI_VERSION;
	reply.message.status = options->refuse_status;
	if (options->refuse_text)
		snprintf(reply.text, sizeof(reply.text), "%s", options->refuse_text);
	if (options->talks_nonsense)
		memset(&reply, 0x5a, sizeof(reply));
	lane->layout = hearth_layout_of(hello->slots, hello->request_area_bytes,
					hello->response_area_bytes);
	lane->features = hello->features & ~options->features_off;
	reply.features = lane->features;
	reply.slots = hello->slots;
	reply.request_area_bytes = hello->request_area_bytes;
	reply.response_area_bytes = hello->response_area_bytes;
	if (!is_refused && !options->talks_nonsense)
		lane_open(daemon, lane, fds);
	reply.epoch = (uint64_t)(uintptr_t)daemon;
	reply.now_ns = now_ns(daemon);
	send_with_fds(lane->fd, &reply, sizeof(reply),
		      fds[0] >= 0 && !options->sends_no_fds ? fds : NULL);
	if (fds[0] >= 0) {
		close(fds[0]);
		close(fds[1]);
	}
}

/* --- models --- */

struct tensor_row {
	const char *name;
	uint16_t dtype;
	uint16_t rank;
	struct hearth_dim dims[HEARTH_RANK_MAX];
};

static const struct tensor_row shoppers[] = {
	{"dense", HEARTH_F32, 2, {{0, 1, 0}, {-1, 0, 10}}},
	{"ids", HEARTH_I64, 2, {{0, 1, 0}, {-1, 0, 7}}},
	{"crosses", HEARTH_I64, 2, {{0, 1, 0}, {-1, 0, 6}}},
	{"score", HEARTH_F32, 2, {{0, 1, 0}, {-1, 0, 1}}},
};

/* Bags of ids: how many values there are does not follow from the rows. */
static const struct tensor_row bags[] = {
	{"values", HEARTH_I64, 1, {{1, 1, 0}}},
	{"offsets", HEARTH_I32, 1, {{0, 1, 1}}},
	{"pooled", HEARTH_F32, 2, {{0, 1, 0}, {-1, 0, 4}}},
};

static void describe_answer(struct fake_daemon *daemon, struct fake_lane *lane,
			    const struct hearth_describe *describe)
{
	union {
		struct hearth_describe_reply reply;
		uint8_t bytes[4096];
	} packet;
	struct hearth_describe_reply *reply = &packet.reply;
	const bool is_bags = strcmp(describe->name, "bags") == 0;
	const struct tensor_row *tensors = is_bags ? bags : shoppers;
	const uint32_t count = is_bags ? 3 : 4;
	size_t bytes = sizeof(*reply) + count * sizeof(struct hearth_tensor_description);
	uint32_t bell;

	memset(&packet, 0, sizeof(packet));
	usleep(__atomic_load_n(&daemon->options.describe_delay_ms, __ATOMIC_RELAXED) * 1000);
	for (bell = 0; bell < daemon->options.describe_bells; bell++)
		fake_bell(lane);
	message_init(&reply->message, HEARTH_MESSAGE_DESCRIBE_REPLY, sizeof(*reply));
	reply->model = is_bags ? 2 : 1;
	reply->current_version = daemon->options.model_version ? daemon->options.model_version : 2;
	reply->version = describe->version ? describe->version : reply->current_version;
	reply->rows_max = 1024;
	reply->cookie = describe->cookie;
	reply->row_symbol = is_bags ? -1 : 0;
	reply->symbol_count = is_bags ? 2 : 1;
	reply->input_count = count - 1;
	reply->output_count = 1;
	reply->numerics = HEARTH_NUMERICS_F32_FMA;
	for (uint32_t index = 0; index < count; index++) {
		struct hearth_tensor_description row = {
			.dtype = tensors[index].dtype,
			.rank = tensors[index].rank,
			.name_bytes = (uint16_t)strlen(tensors[index].name),
			.offsets_into = tensors == bags && index == 1 ? 1 + 1 : 0,
		};

		memcpy(row.dims, tensors[index].dims, sizeof(row.dims));
		if (daemon->options.describe_garbage)
			row.name_bytes = 60000;
		if (daemon->options.describe_unknown_values)
			row.offsets_into = (uint16_t)(reply->symbol_count + 1);
		memcpy(packet.bytes + sizeof(*reply) + index * sizeof(row), &row, sizeof(row));
		memcpy(packet.bytes + bytes, tensors[index].name, strlen(tensors[index].name));
		bytes += strlen(tensors[index].name);
	}
	if (strcmp(describe->name, "shoppers") != 0 && !is_bags) {
		reply->message.status = -ENOENT;
		snprintf(reply->text, sizeof(reply->text), "there is no model of this name");
		bytes = sizeof(*reply);
	}
	reply->message.bytes = (uint32_t)bytes;
	send_with_fds(lane->fd, &packet, bytes, NULL);
}

/* --- the thread --- */

static void lane_receive(struct fake_daemon *daemon, struct fake_lane *lane)
{
	union {
		struct hearth_message message;
		struct hearth_hello hello;
		struct hearth_describe describe;
		uint8_t bytes[512];
	} packet;
	ssize_t bytes;

	bytes = recv(lane->fd, &packet, sizeof(packet), MSG_DONTWAIT);
	if (bytes == 0 || (bytes < 0 && errno != EAGAIN)) {
		lane->is_gone = true; /* the test may be sending: it is closed by fake_kill */
		return;
	}
	if (bytes < (ssize_t)sizeof(packet.message))
		return;
	switch (packet.message.type) {
	case HEARTH_MESSAGE_HELLO:
		hello_answer(daemon, lane, &packet.hello);
		break;
	case HEARTH_MESSAGE_DESCRIBE:
		describe_answer(daemon, lane, &packet.describe);
		break;
	case HEARTH_MESSAGE_READY:
		__atomic_store_n(&lane->is_ready, true, __ATOMIC_RELEASE);
		break;
	case HEARTH_MESSAGE_BELL:
		__atomic_fetch_add(&lane->bells, 1, __ATOMIC_RELAXED);
		break;
	}
}

static void *daemon_main(void *argument)
{
	struct fake_daemon *daemon = argument;
	struct pollfd pollers[FAKE_LANES_MAX + 1];
	struct hearth_request_slot slot;
	uint32_t lane_count = 0;
	uint32_t index;

	while (!__atomic_load_n(&daemon->must_stop, __ATOMIC_ACQUIRE)) {
		for (index = 0; index < lane_count; index++)
			pollers[index] = (struct pollfd){
				daemon->lanes[index].is_gone ? -1 : daemon->lanes[index].fd, POLLIN,
				0};
		pollers[lane_count] = (struct pollfd){daemon->listen_fd, POLLIN, 0};
		(void)poll(pollers, lane_count + 1, 1);
		for (index = 0; index < lane_count; index++) {
			struct fake_lane *lane = daemon->lanes + index;

			if (pollers[index].revents)
				lane_receive(daemon, lane);
			while (daemon->options.serve && lane->daemon && fake_pop(lane, &slot))
				daemon->options.serve(lane, &slot);
		}
		if (pollers[lane_count].revents && lane_count < FAKE_LANES_MAX) {
			daemon->lanes[lane_count].fd =
				accept4(daemon->listen_fd, NULL, NULL, SOCK_CLOEXEC);
			must(daemon->lanes[lane_count].fd >= 0);
			lane_count++;
			__atomic_store_n(&daemon->lane_count, lane_count, __ATOMIC_RELEASE);
		}
	}
	return NULL;
}

void fake_start(struct fake_daemon *daemon, const struct fake_options *options)
{
	static uint32_t starts;
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	memset(daemon, 0, sizeof(*daemon));
	if (options)
		daemon->options = *options;
	snprintf(daemon->path, sizeof(daemon->path), "/tmp/hearth-fake-%d-%u.sock", getpid(),
		 starts++);
	memcpy(address.sun_path, daemon->path, strlen(daemon->path) + 1);
	daemon->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	must(daemon->listen_fd >= 0);
	(void)unlink(daemon->path);
	must(bind(daemon->listen_fd, (const struct sockaddr *)&address, sizeof(address)) == 0);
	must(listen(daemon->listen_fd, 8) == 0);
	must(pthread_create(&daemon->thread, NULL, daemon_main, daemon) == 0);
	daemon->is_started = true;
}

static void lane_close(struct fake_lane *lane)
{
	if (lane->fd >= 0)
		close(lane->fd);
	lane->fd = -1;
}

void fake_kill(struct fake_daemon *daemon)
{
	uint32_t index;

	if (!daemon->is_started)
		return;
	__atomic_store_n(&daemon->must_stop, true, __ATOMIC_RELEASE);
	must(pthread_join(daemon->thread, NULL) == 0);
	daemon->is_started = false;
	close(daemon->listen_fd);
	(void)unlink(daemon->path);
	for (index = 0; index < daemon->lane_count; index++)
		lane_close(daemon->lanes + index);
}

void fake_stop(struct fake_daemon *daemon)
{
	uint32_t index;

	fake_kill(daemon);
	for (index = 0; index < daemon->lane_count; index++) {
		struct fake_lane *lane = daemon->lanes + index;

		if (!lane->daemon)
			continue;
		munmap((void *)(uintptr_t)lane->client_base, lane->layout.client_bytes);
		munmap(lane->daemon_base, lane->layout.daemon_bytes);
		lane->daemon = NULL;
	}
}

/* --- a lane --- */

bool fake_pop(struct fake_lane *lane, struct hearth_request_slot *ret_slot)
{
	if (!hearth_sq_pop(lane->request_slots, lane->layout.slots, lane->sq_position, ret_slot))
		return false;
	lane->sq_position++;
	hearth_store_relaxed(&lane->daemon->sq_head, lane->sq_position);
	return true;
}

void fake_bell(struct fake_lane *lane)
{
	struct hearth_message bell;

	message_init(&bell, HEARTH_MESSAGE_BELL, sizeof(bell));
	(void)send(lane->fd, &bell, sizeof(bell), MSG_DONTWAIT | MSG_NOSIGNAL);
}

void fake_push(struct fake_lane *lane, const struct hearth_completion_slot *completion)
{
	uint32_t mode;

	hearth_cq_push(lane->completion_slots, lane->layout.completion_slots, lane->cq_position,
		       completion);
	lane->cq_position++;
	mode = hearth_cq_must_ring(lane->client, lane->cq_rung, lane->cq_position);
	lane->cq_rung = lane->cq_position;
	if (mode == HEARTH_CQ_FUTEX) {
		hearth_cq_ring(lane->daemon);
		(void)syscall(SYS_futex, &lane->daemon->cq_bell, FUTEX_WAKE, INT_MAX, NULL, NULL,
			      0);
	} else if (mode == HEARTH_CQ_SOCKET) {
		fake_bell(lane);
	}
}

void fake_complete(struct fake_lane *lane, uint64_t id, int32_t status)
{
	struct hearth_completion_slot completion = {
		.id = id,
		.status = status,
		.kind = HEARTH_FINAL,
	};

	fake_push(lane, &completion);
}

void fake_answer(struct fake_lane *lane, const struct hearth_request_slot *slot, float first)
{
	uint8_t *range = lane->response_area + slot->response_offset;
	struct hearth_response_header header = {.header_bytes = sizeof(header), .output_count = 1};
	struct hearth_tensor input;
	struct hearth_tensor output = {.offset = 128, .dtype = HEARTH_F32, .rank = 2};
	struct hearth_completion_slot completion = {
		.id = slot->id,
		.kind = HEARTH_FINAL,
		.numerics = HEARTH_NUMERICS_F32_FMA,
		.version = 2,
		.ring_ns = 1,
		.queue_ns = 2,
		.batch_ns = 3,
		.execute_ns = 4,
	};
	uint32_t row;

	memcpy(&input,
	       lane->request_area + slot->request_offset + sizeof(struct hearth_request_header),
	       sizeof(input));
	output.dims[0] = input.dims[0];
	output.dims[1] = 1;
	output.bytes = output.dims[0] * (uint32_t)sizeof(float);
	completion.response_bytes = output.offset + output.bytes;
	if (completion.response_bytes > slot->response_bytes) {
		completion.status = -ENOBUFS;
	} else {
		memcpy(range, &header, sizeof(header));
		memcpy(range + sizeof(header), &output, sizeof(output));
		for (row = 0; row < output.dims[0]; row++) {
			float value = first + (float)row;

			memcpy(range + output.offset + row * sizeof(value), &value, sizeof(value));
		}
	}
	fake_push(lane, &completion);
}

void fake_serve_all(struct fake_lane *lane, const struct hearth_request_slot *slot)
{
	struct hearth_completion_slot completion = {.id = slot->id, .kind = HEARTH_FINAL};
	uint64_t item;

	if (slot->operation == HEARTH_OP_INFER) {
		fake_answer(lane, slot, 0);
		return;
	}
	if (slot->operation == HEARTH_OP_ECHO) {
		completion.response_bytes = slot->request_bytes;
		memcpy(lane->response_area + slot->response_offset,
		       lane->request_area + slot->request_offset, slot->request_bytes);
	}
	if (slot->operation == HEARTH_OP_STREAM_TEST) {
		completion.response_bytes = slot->response_bytes;
		for (item = 0; item < slot->response_bytes / sizeof(item); item++)
			memcpy(lane->response_area + slot->response_offset + item * sizeof(item),
			       &item, sizeof(item));
	}
	fake_push(lane, &completion);
}
