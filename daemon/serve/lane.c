/* SPDX-License-Identifier: MIT */
/* daemon/serve/lane.c - segments made, sealed and mapped; completions published */
#include "serve/lane.h"

#include <errno.h>
#include <fcntl.h>
#include <numaif.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memfd.h"
#include "memory/resident.h"

#define BLOCK_BYTES 512 /* of st_blocks */

static int segment_map(int fd, uint64_t bytes, int protection, int node, void **ret_address)
{
	unsigned long mask;
	void *address;

	address = mmap(NULL, bytes, protection, MAP_SHARED, fd, 0);
	if (address == MAP_FAILED)
		return err_raise(-errno, "cannot map %lu bytes of a connection's segment: %s",
				 (unsigned long)bytes, strerror(errno));
	if (node >= 0) {
		mask = 1ul << node;
		(void)mbind(address, bytes, MPOL_PREFERRED, &mask, sizeof(mask) * 8 + 1, 0);
	}
	*ret_address = address;
	return 0;
}

static int segment_new(const char *name, uint64_t bytes, int *ret_fd)
{
	int fd = memfd_sealable(name);

	if (fd < 0)
		return err_raise(fd, "cannot make a segment of %lu bytes: %s", (unsigned long)bytes,
				 strerror(-fd));
	if (ftruncate(fd, (off_t)bytes) < 0) {
		int error = errno;

		close(fd);
		return err_raise(-error, "cannot size a segment to %lu bytes: %s",
				 (unsigned long)bytes, strerror(error));
	}
	*ret_fd = fd;
	return 0;
}

static void lane_publish_header(struct lane *lane, uint64_t epoch)
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
	header->epoch = epoch;
	header->opened_ns = clock_ns();
	/* Until the data loop has the lane, a client rings, and is found when it does. */
	header->need_wakeup = 1;
}

static int lane_map(struct lane *lane, int node)
{
	const struct hearth_layout *layout = &lane->layout;
	struct lane_fds *fds = &lane->fds;
	void *address;
	int r;

	r = segment_new("hearth-client-to-daemon", layout->client_bytes, &fds->client_fd);
	if (r < 0)
		return err_trace(r);
	r = segment_new("hearth-daemon-to-client", layout->daemon_bytes, &fds->daemon_fd);
	if (r < 0)
		return err_trace(r);

	r = segment_map(fds->client_fd, layout->client_bytes, PROT_READ, node, &address);
	if (r < 0)
		return err_trace(r);
	lane->client = address;
	lane->cancel = (const void *)((const uint8_t *)address + layout->cancel_offset);
	lane->request_slots = (const void *)((const uint8_t *)address + layout->request_slots_offset);
	lane->request_area = (const uint8_t *)address + layout->request_area_offset;

	r = segment_map(fds->daemon_fd, layout->daemon_bytes, PROT_READ | PROT_WRITE, node,
			&address);
	if (r < 0)
		return err_trace(r);
	lane->daemon = address;
	lane->completion_slots = (void *)((uint8_t *)address + layout->completion_slots_offset);
	lane->response_area = (uint8_t *)address + layout->response_area_offset;
	return 0;
}

/* The client has yet to map its segment, so what it may do to it is settled in lane_populate. */
static int lane_seal(const struct lane_fds *fds)
{
	int size = F_SEAL_SHRINK | F_SEAL_GROW;

	if (fcntl(fds->client_fd, F_ADD_SEALS, size) < 0 ||
	    /* in one call: after F_SEAL_SEAL nothing can be added */
	    fcntl(fds->daemon_fd, F_ADD_SEALS, size | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) < 0)
		return err_raise(-errno, "cannot seal a connection's segments: %s", strerror(errno));
	return 0;
}

int lane_open(struct hearth_layout layout, uint64_t features, uint64_t epoch, int node,
	      struct lane **ret_lane)
{
	struct lane *lane;
	uint32_t index;
	int r;

	lane = resident_alloc(1, sizeof(*lane));
	if (!lane)
		return err_raise(-ENOMEM, "no memory for a connection");
	lane->layout = layout;
	lane->features = features;
	lane->socket_fd = -1;
	lane->fds = (struct lane_fds){ -1, -1 };
	lane->is_cold = true;
	lane->requests = resident_alloc(layout.slots, sizeof(*lane->requests));
	lane->completion_kinds = resident_alloc(layout.completion_slots, 1);
	if (!lane->requests || !lane->completion_kinds) {
		r = err_raise(-ENOMEM, "no memory for %u request slots", layout.slots);
		goto fail;
	}
	for (index = 0; index < layout.slots; index++)
		lane->requests[index].lane = lane;

	lane->kept.pidfd = -1;
	r = lane_map(lane, node);
	if (r < 0)
		goto fail;
	lane_publish_header(lane, epoch);
	r = lane_seal(&lane->fds);
	if (r < 0)
		goto fail;

	*ret_lane = lane;
	return 0;

fail:
	lane_close(lane);
	return err_trace(r);
}

/* Every page was allocated by somebody's touch, and may be swapped out since. */
static bool is_touched(int fd, uint64_t bytes)
{
	struct stat status;

	return fstat(fd, &status) == 0 && (uint64_t)status.st_blocks * BLOCK_BYTES >= bytes;
}

int lane_populate(struct lane *lane)
{
	/* First, so that no page goes missing after the look. Only maps that exist can write from
	 * here on, and nobody can punch holes: the daemon would wait for a puncher inside a page
	 * fault, however long that one sleeps. */
	if (fcntl(lane->fds.client_fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) < 0 ||
	    !is_touched(lane->fds.client_fd, lane->layout.client_bytes) ||
	    !is_touched(lane->fds.daemon_fd, lane->layout.daemon_bytes))
		return LANE_E_UNTOUCHED;
	(void)madvise((void *)(uintptr_t)lane->client, lane->layout.client_bytes,
		      MADV_POPULATE_READ);
	(void)madvise(lane->daemon, lane->layout.daemon_bytes, MADV_POPULATE_WRITE);
	/* Where it may be: a client whose cgroup runs out of memory then swaps out other pages. */
	(void)mlock(lane->client, lane->layout.client_bytes);
	(void)mlock(lane->daemon, lane->layout.daemon_bytes);
	return 0;
}

static void lane_unmap(struct lane *lane)
{
	if (lane->client)
		munmap((void *)(uintptr_t)lane->client, lane->layout.client_bytes);
	if (lane->daemon)
		munmap(lane->daemon, lane->layout.daemon_bytes);
	lane->client = NULL;
	lane->daemon = NULL;
}

void lane_vacate(struct lane *lane)
{
	lane_unmap(lane);
	close(lane->fds.daemon_fd);
	lane->fds.daemon_fd = -1;
}

int lane_let_go(struct lane *lane)
{
	/* Refused while anybody maps it writable: a map for reading counts as well when it is from
	 * before lane_populate, and our own is gone. */
	if (fcntl(lane->fds.client_fd, F_ADD_SEALS, F_SEAL_WRITE) == 0)
		return 0;
	return errno == EBUSY ? LANE_E_HELD : LANE_E_UNKNOWN;
}

void lane_close(struct lane *lane)
{
	if (!lane)
		return;
	if (lane->fds.client_fd >= 0)
		close(lane->fds.client_fd);
	if (lane->fds.daemon_fd >= 0)
		close(lane->fds.daemon_fd);
	lane_unmap(lane);
	free(lane->completion_kinds);
	free(lane->requests);
	free(lane);
}

int lane_consumed(struct lane *lane)
{
	uint64_t head = hearth_cq_consumed(lane->client);
	uint64_t position;

	if (head == lane->cq_head)
		return 0;
	if (head - lane->cq_head > lane->cq_position - lane->cq_head)
		return LANE_E_LYING;
	for (position = lane->cq_head; position < head; position++) {
		if (lane->completion_kinds[position & (lane->layout.completion_slots - 1)] ==
		    HEARTH_FINAL)
			lane->outstanding--;
	}
	lane->cq_head = head;
	counter_set(&lane->counters.outstanding, lane->outstanding);
	return 0;
}

static void lane_publish(struct lane *lane, const struct hearth_completion_slot *completion)
{
	uint32_t mask = lane->layout.completion_slots - 1;

	lane->completion_kinds[lane->cq_position & mask] = (uint8_t)completion->kind;
	hearth_cq_push(lane->completion_slots, lane->layout.completion_slots, lane->cq_position,
		       completion);
	lane->cq_position++;
	hearth_prefetch_slot(lane->completion_slots, lane->layout.completion_slots,
			     lane->cq_position);
}

void lane_complete(struct lane *lane, const struct hearth_completion_slot *completion)
{
	lane_publish(lane, completion);
	lane->unfinished--;
	counter_set(&lane->counters.unfinished, lane->unfinished);
	if (completion->status < 0) {
		enum reason reason = reason_of(completion->status);

		counter_add(&lane->counters.errors, 1);
		counter_add(&lane->counters.refused[reason], 1);
		counter_add(&lane->share->counters.refused[reason], 1);
	}
}

bool lane_progress(struct lane *lane, struct request *request, uint32_t item_count)
{
	struct hearth_completion_slot mark = {
		.id = request->id,
		.kind = HEARTH_PROGRESS,
		.response_bytes = item_count,
	};

	if (request->progress_position > lane->cq_head)
		return false;
	lane_publish(lane, &mark);
	request->progress_position = lane->cq_position;
	return true;
}
