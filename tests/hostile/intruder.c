/* SPDX-License-Identifier: MIT */
/* tests/hostile/intruder.c - the handshake and the rings, with nothing that keeps it honest */
#include "intruder.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/system/crowd.h"
#include "tests/system/shoppers.h"

int intruder_connect(struct intruder *intruder, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	memset(intruder, 0, sizeof(*intruder));
	intruder->client_fd = -1;
	intruder->daemon_fd = -1;
	intruder->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	must(intruder->fd >= 0 && strlen(path) < sizeof(address.sun_path), "no socket for %s", path);
	memcpy(address.sun_path, path, strlen(path));
	if (connect(intruder->fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return 0;
}

int intruder_say(const struct intruder *intruder, uint16_t type, const void *body, size_t bytes)
{
	uint8_t packet[HEARTH_MESSAGE_BYTES_MAX];
	struct hearth_message head = {
		.magic = HEARTH_MAGIC,
		.type = type,
		.bytes = (uint32_t)(sizeof(head) + bytes),
	};

	must(head.bytes <= sizeof(packet), "%zu bytes are too many", bytes);
	memcpy(packet, &head, sizeof(head));
	if (bytes)
		memcpy(packet + sizeof(head), body, bytes);
	return send(intruder->fd, packet, head.bytes, MSG_NOSIGNAL | MSG_DONTWAIT) ==
			       (ssize_t)head.bytes
		       ? 0
		       : -errno;
}

void intruder_hello_init(struct hearth_hello *hello)
{
	memset(hello, 0, sizeof(*hello));
	hello->message.magic = HEARTH_MAGIC;
	hello->message.type = HEARTH_MESSAGE_HELLO;
	hello->message.bytes = sizeof(*hello);
	hello->abi_oldest = HEARTH_ABI_OLDEST;
	hello->abi_newest = HEARTH_ABI_VERSION;
	hello->features = UINT64_MAX;
}

/* Returns the reply's status. */
static int reply_receive(struct intruder *intruder)
{
	union {
		struct cmsghdr header;
		uint8_t bytes[CMSG_SPACE(2 * sizeof(int))];
	} control;
	struct iovec part = { &intruder->reply, sizeof(intruder->reply) };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	struct pollfd poller = { .fd = intruder->fd, .events = POLLIN };
	struct cmsghdr *header;
	ssize_t bytes;
	int fds[2];

	message.msg_control = &control;
	message.msg_controllen = sizeof(control);
	must(poll(&poller, 1, CROWD_PATIENCE_NS / 1000000) == 1, "HELLO has no answer");
	bytes = recvmsg(intruder->fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (bytes <= 0)
		return bytes < 0 ? -errno : -ECONNRESET;
	must(bytes == sizeof(intruder->reply), "a reply of %zd bytes", bytes);
	header = CMSG_FIRSTHDR(&message);
	if (header && intruder->client_fd < 0) {
		must(header->cmsg_len == CMSG_LEN(sizeof(fds)), "not two descriptors");
		memcpy(fds, CMSG_DATA(header), sizeof(fds));
		intruder->client_fd = fds[0];
		intruder->daemon_fd = fds[1];
	}
	return intruder->reply.message.status;
}

static void map(struct intruder *intruder)
{
	const struct hearth_layout *layout = &intruder->layout;
	void *base;

	base = mmap(NULL, layout->client_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
		    intruder->client_fd, 0);
	must(base != MAP_FAILED, "cannot map: %s", strerror(errno));
	intruder->base = base;
	intruder->client = base;
	intruder->cancel = (void *)(intruder->base + layout->cancel_offset);
	intruder->request_slots = (void *)(intruder->base + layout->request_slots_offset);
	intruder->request_area = intruder->base + layout->request_area_offset;
	base = mmap(NULL, layout->daemon_bytes, PROT_READ, MAP_SHARED | MAP_POPULATE,
		    intruder->daemon_fd, 0);
	must(base != MAP_FAILED, "cannot map: %s", strerror(errno));
	intruder->daemon_base = base;
	intruder->daemon = base;
	intruder->completion_slots =
		(const void *)(intruder->daemon_base + layout->completion_slots_offset);
	intruder->response_area = intruder->daemon_base + layout->response_area_offset;
}

int intruder_greet(struct intruder *intruder, uint32_t slots, uint32_t request_area_bytes,
		   uint32_t response_area_bytes)
{
	struct hearth_hello hello;
	int r;

	intruder_hello_init(&hello);
	hello.slots = slots;
	hello.request_area_bytes = request_area_bytes;
	hello.response_area_bytes = response_area_bytes;
	if (send(intruder->fd, &hello, sizeof(hello), MSG_NOSIGNAL) != sizeof(hello))
		return -errno;
	r = reply_receive(intruder);
	if (r < 0 || intruder->base)
		return r;
	intruder->features = intruder->reply.features;
	intruder->layout = hearth_layout_of(slots, request_area_bytes, response_area_bytes);
	map(intruder);
	return r;
}

void intruder_enter(struct intruder *intruder)
{
	must(intruder_say(intruder, HEARTH_MESSAGE_READY, NULL, 0) == 0, "READY: %s",
	     strerror(errno));
}

void intruder_open(struct intruder *intruder, const char *path, uint32_t slots,
		   uint32_t request_area_bytes, uint32_t response_area_bytes)
{
	int r;

	r = intruder_connect(intruder, path);
	must(r == 0, "connect: %s", strerror(-r));
	r = intruder_greet(intruder, slots, request_area_bytes, response_area_bytes);
	must(r == 0, "HELLO: %s %s", strerror(-r), intruder->reply.text);
	intruder_enter(intruder);
}

void intruder_close(struct intruder *intruder)
{
	if (intruder->base)
		munmap(intruder->base, intruder->layout.client_bytes);
	if (intruder->daemon_base)
		munmap((void *)(uintptr_t)intruder->daemon_base, intruder->layout.daemon_bytes);
	if (intruder->client_fd >= 0)
		close(intruder->client_fd);
	if (intruder->daemon_fd >= 0)
		close(intruder->daemon_fd);
	close(intruder->fd);
}

void intruder_ring(struct intruder *intruder)
{
	hearth_sq_ring(intruder->client);
	if (intruder->features & HEARTH_FEATURE_FUTEX_BELL)
		syscall(SYS_futex, &intruder->client->sq_bell, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
	else
		(void)intruder_say(intruder, HEARTH_MESSAGE_BELL, NULL, 0);
}

void intruder_push(struct intruder *intruder, const struct hearth_request_slot *slot)
{
	hearth_sq_push(intruder->request_slots, intruder->layout.slots, intruder->sq_position,
		       slot);
	intruder->sq_position++;
	intruder_ring(intruder);
}

bool intruder_pop(struct intruder *intruder, struct hearth_completion_slot *ret_completion)
{
	if (!hearth_cq_pop(intruder->completion_slots, intruder->layout.completion_slots,
			   intruder->cq_position, ret_completion))
		return false;
	intruder->cq_position++;
	hearth_cq_consume(intruder->client, intruder->cq_position);
	return true;
}

struct hearth_completion_slot intruder_take(struct intruder *intruder)
{
	struct hearth_completion_slot completion;
	int64_t until_ns = crowd_now_ns() + CROWD_PATIENCE_NS;

	while (!intruder_pop(intruder, &completion)) {
		must(crowd_now_ns() < until_ns, "no completion at position %" PRIu64,
		     intruder->cq_position);
		hearth_pause();
	}
	return completion;
}

void intruder_ping(struct intruder *intruder, uint64_t id)
{
	struct hearth_request_slot ping = { .id = id, .operation = HEARTH_OP_PING };
	struct hearth_completion_slot completion;

	intruder_push(intruder, &ping);
	completion = intruder_take(intruder);
	must(completion.id == id && completion.status == 0 && completion.kind == HEARTH_FINAL,
	     "ping %#" PRIx64 ": id %#" PRIx64 " status %d kind %u", id, completion.id,
	     completion.status, completion.kind);
}

uint32_t intruder_write_infer(struct intruder *intruder, uint32_t offset,
			      const struct hearth_model_info *model, uint32_t row_first,
			      uint32_t rows)
{
	uint8_t *range = intruder->request_area + offset;
	struct hearth_request_header header = {
		.header_bytes = sizeof(header),
		.model = model->handle,
		.input_count = model->input_count,
	};
	struct hearth_tensor tensors[SHOPPERS_INPUTS] = { 0 };
	struct hearth_input inputs[SHOPPERS_INPUTS];
	struct hearth_request request = { .inputs = inputs };
	uint32_t bytes = hearth_align_up(sizeof(header) + sizeof(tensors), HEARTH_ALIGN_BYTES);
	uint32_t input;

	must(model->input_count == SHOPPERS_INPUTS, "shoppers has %u inputs", model->input_count);
	for (input = 0; input < SHOPPERS_INPUTS; input++) {
		const struct hearth_tensor_info *info = model->inputs + input;
		struct hearth_tensor *tensor = tensors + input;

		tensor->offset = bytes;
		tensor->dtype = (uint16_t)info->dtype;
		tensor->rank = (uint16_t)info->rank;
		tensor->dims[0] = rows;
		tensor->dims[1] = (uint32_t)info->dims[1].constant;
		tensor->bytes = rows * tensor->dims[1] * (info->dtype == HEARTH_I64 ? 8 : 4);
		bytes = hearth_align_up(bytes + tensor->bytes, HEARTH_ALIGN_BYTES);
		inputs[input].data = range + tensor->offset;
		inputs[input].bytes = tensor->bytes;
	}
	must(bytes <= intruder->layout.request_area_bytes - offset, "%u bytes do not fit", bytes);
	shoppers_fill(&request, model, row_first, rows);
	memcpy(range, &header, sizeof(header));
	memcpy(range + sizeof(header), tensors, sizeof(tensors));
	return bytes;
}

bool intruder_is_out(const struct intruder *intruder)
{
	struct pollfd poller = { .fd = intruder->fd };

	return poll(&poller, 1, 0) == 1 && poller.revents & (POLLHUP | POLLERR);
}
