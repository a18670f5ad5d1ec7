/* SPDX-License-Identifier: MIT */
/*
 * daemon/memory/range_reader.c - a table of pieces under way, and the ring that brings them
 *
 * The ring (base/ring.h) can read files that are open, and nothing else.
 */
#include "memory/range_reader.h"

#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/ring.h"

#define READ_BYTES_MAX (UINT64_C(1) << 30)   /* one system call; whole pages */
#define ALONE_PIECE_BYTES (UINT64_C(16) << 20) /* without a ring: the kernel cuts it up itself */
#define REGISTERED_BYTES_MAX (UINT64_C(1) << 30) /* one entry of a ring's table of memory */
#define REGISTERED_MAX 4096
#define RETRIES_MAX 1000
#define PIECES_MAX (2 * RANGE_DEPTH) /* in flight, or to be moved when those before are in place */
#define NS_PER_MS 1000000

/* One read of whole pages. Of their first `wanted_bytes` the caller's are those behind `skip_bytes`,
 * and belong `down_bytes` lower. */
struct piece {
	struct range_file *file;
	uint64_t offset;
	uint64_t bytes;
	uint64_t wanted_bytes;
	uint32_t skip_bytes;
	uint32_t down_bytes;
	uint8_t *address;
	int64_t got; /* bytes, or -errno */
	bool is_direct;
	bool is_fixed;
	bool has_arrived;
};

struct range_reader {
	struct io_uring ring;
	bool has_ring;
	uint8_t *bound;
	uint64_t bound_bytes; /* 0: nothing is registered */
	uint64_t begun; /* pieces, all together: the number of the last one */
	uint64_t ended; /* so far, in order */
	uint32_t in_flight; /* not yet back from the ring */
	struct piece pieces[PIECES_MAX];
	void (*arrived)(void *context, uint64_t bytes);
	void *context;
	struct range_reader_counts counts;
};

/* --- the ring ------------------------------------------------------------------------------------ */

static int reads_allow(int ring_fd)
{
	const struct io_uring_restriction allowed[] = {
		{ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_READ },
		{ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_READ_FIXED },
		{ .opcode = IORING_RESTRICTION_REGISTER_OP,
		  .register_op = IORING_REGISTER_BUFFERS },
		{ .opcode = IORING_RESTRICTION_REGISTER_OP,
		  .register_op = IORING_UNREGISTER_BUFFERS },
	};

	return ring_enable(ring_fd, allowed, sizeof(allowed) / sizeof(allowed[0]));
}

static bool ring_open(struct io_uring *ring)
{
	struct io_uring_params params = { .flags = IORING_SETUP_R_DISABLED };

	if (io_uring_queue_init_params(RANGE_DEPTH, ring, &params) < 0)
		return false;
	if (reads_allow(ring->ring_fd) == 0)
		return true;
	io_uring_queue_exit(ring);
	return false;
}

int range_reader_new(bool wants_ring, struct range_reader **ret_reader)
{
	struct range_reader *reader = calloc(1, sizeof(*reader));

	if (!reader)
		return err_raise(-ENOMEM, "no memory to read files with");
	reader->has_ring = wants_ring && ring_open(&reader->ring);
	*ret_reader = reader;
	return 0;
}

void range_reader_free(struct range_reader *reader)
{
	if (!reader)
		return;
	range_reader_drain(reader);
	if (reader->has_ring)
		io_uring_queue_exit(&reader->ring);
	free(reader);
}

void range_reader_watch(struct range_reader *reader,
			void (*arrived)(void *context, uint64_t bytes), void *context)
{
	reader->arrived = arrived;
	reader->context = context;
}

/* --- registered memory --------------------------------------------------------------------------- */

void range_reader_bind(struct range_reader *reader, void *address, uint64_t bytes)
{
	uint64_t count = (bytes + REGISTERED_BYTES_MAX - 1) / REGISTERED_BYTES_MAX;
	struct iovec *parts;

	assert(reader->in_flight == 0 && reader->bound_bytes == 0);
	if (!reader->has_ring || count == 0 || count > REGISTERED_MAX)
		return;
	parts = calloc(count, sizeof(*parts));
	if (!parts)
		return;
	for (uint64_t part = 0; part < count; part++) {
		uint64_t at = part * REGISTERED_BYTES_MAX;
		uint64_t left = bytes - at;

		parts[part].iov_base = (uint8_t *)address + at;
		parts[part].iov_len = left < REGISTERED_BYTES_MAX ? left : REGISTERED_BYTES_MAX;
	}
	if (syscall(SYS_io_uring_register, reader->ring.ring_fd, IORING_REGISTER_BUFFERS, parts,
		    count) == 0) {
		reader->bound = address;
		reader->bound_bytes = bytes;
	}
	free(parts);
}

void range_reader_unbind(struct range_reader *reader)
{
	range_reader_drain(reader);
	if (reader->has_ring && reader->bound_bytes > 0)
		(void)syscall(SYS_io_uring_register, reader->ring.ring_fd,
			      IORING_UNREGISTER_BUFFERS, NULL, 0);
	reader->bound_bytes = 0;
}

/* Does the piece lie within one entry of the ring's table? Then the entry's index. */
static bool is_bound(const struct range_reader *reader, const struct piece *piece,
		     uint64_t *ret_index)
{
	uint64_t at = (uint64_t)(uintptr_t)piece->address - (uint64_t)(uintptr_t)reader->bound;

	if (reader->bound_bytes < piece->bytes || at > reader->bound_bytes - piece->bytes)
		return false;
	*ret_index = at / REGISTERED_BYTES_MAX;
	return (at + piece->bytes - 1) / REGISTERED_BYTES_MAX == *ret_index;
}

/* --- one by one ---------------------------------------------------------------------------------- */

int range_file_read(const struct range_file *file, uint64_t offset, uint64_t bytes,
		    void *destination)
{
	uint64_t done = 0;

	while (done < bytes) {
		uint64_t left = bytes - done;
		size_t part = left < READ_BYTES_MAX ? left : READ_BYTES_MAX;
		ssize_t got = pread(file->fd, (uint8_t *)destination + done, part,
				    (off_t)(offset + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_raise(-errno,
					 "%s/%s: reading failed: wanted %llu bytes at %llu, got "
					 "%llu: %s",
					 file->folder, file->location, (unsigned long long)bytes,
					 (unsigned long long)offset, (unsigned long long)done,
					 strerror(errno));
		if (got == 0)
			return err_raise(-ESTALE,
					 "%s/%s became shorter while it was read: wanted %llu bytes "
					 "at %llu, got %llu, and it had %llu in all; replace files "
					 "by renaming",
					 file->folder, file->location, (unsigned long long)bytes,
					 (unsigned long long)offset, (unsigned long long)done,
					 (unsigned long long)file->bytes);
		done += (uint64_t)got;
	}
	return 0;
}

static void direct_refuse(struct range_file *file, int error)
{
	if (file->direct_error == 0)
		file->direct_error = error;
}

/* To its place in what is the caller's, with zeros where bytes of others stood. A piece whose bytes
 * move down ends in the room that the next one moves to. */
static void piece_settle(const struct piece *piece)
{
	uint8_t *own = piece->address + piece->skip_bytes;
	uint64_t own_bytes = piece->wanted_bytes - piece->skip_bytes;
	uint8_t *end = own - piece->down_bytes + own_bytes;

	if (piece->down_bytes > 0)
		memmove(own - piece->down_bytes, own, own_bytes);
	if (piece->skip_bytes > 0)
		memset(piece->address, 0, piece->skip_bytes - piece->down_bytes);
	memset(end, 0, (size_t)(piece->address + piece->bytes - end));
}

/* The pieces before it have ended. What did not arrive of it is read now. */
static int piece_end(struct range_reader *reader, struct piece *piece)
{
	uint64_t done = piece->got > 0 ? (uint64_t)piece->got : 0;
	uint64_t own_bytes = piece->wanted_bytes - piece->skip_bytes;
	int r;

	assert(done <= piece->bytes);
	if (done > piece->wanted_bytes)
		done = piece->wanted_bytes;
	if (piece->is_direct && piece->got < 0 && piece->got != -EINTR && piece->got != -EAGAIN)
		direct_refuse(piece->file, (int)-piece->got);
	if (piece->is_direct)
		reader->counts.direct_bytes += done;
	if (piece->is_fixed)
		reader->counts.fixed_bytes += done;
	r = range_file_read(piece->file, piece->offset + done, piece->wanted_bytes - done,
			    piece->address + done);
	if (r < 0)
		return err_trace(r);
	piece_settle(piece);
	reader->counts.reads++;
	reader->counts.read_bytes += piece->wanted_bytes;
	if (reader->arrived)
		reader->arrived(reader->context, own_bytes);
	return 0;
}

static void piece_alone(struct piece *piece)
{
	ssize_t got = 0;

	if (piece->is_direct) {
		do
			got = pread(piece->file->direct_fd, piece->address, piece->bytes,
				    (off_t)piece->offset);
		while (got < 0 && errno == EINTR);
	}
	piece->got = got < 0 ? -errno : got;
	piece->has_arrived = true;
}

/* --- by the ring --------------------------------------------------------------------------------- */

static void piece_prepare(struct range_reader *reader, struct piece *piece)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&reader->ring);
	int fd = piece->is_direct ? piece->file->direct_fd : piece->file->fd;
	uint64_t index;

	assert(sqe); /* there are as many as pieces */
	piece->is_fixed = is_bound(reader, piece, &index);
	if (piece->is_fixed)
		io_uring_prep_read_fixed(sqe, fd, piece->address, (unsigned)piece->bytes,
					 piece->offset, (int)index);
	else
		io_uring_prep_read(sqe, fd, piece->address, (unsigned)piece->bytes, piece->offset);
	io_uring_sqe_set_data(sqe, piece);
	reader->in_flight++;
}

static void ring_reap(struct range_reader *reader)
{
	struct io_uring_cqe *cqe;

	while (io_uring_peek_cqe(&reader->ring, &cqe) == 0) {
		struct piece *piece = io_uring_cqe_get_data(cqe);

		piece->got = cqe->res;
		piece->has_arrived = true;
		io_uring_cqe_seen(&reader->ring, cqe);
		reader->in_flight--;
	}
}

/* Submits what stands in the ring, and waits for one to arrive. False: the ring has failed. */
static bool ring_turn(struct range_reader *reader)
{
	for (uint32_t attempt = 0; attempt < RETRIES_MAX; attempt++) {
		int r = io_uring_submit_and_wait(&reader->ring, 1);

		if (r >= 0)
			return true;
		if (r != -EINTR && r != -EAGAIN && r != -EBUSY)
			return false;
	}
	return false;
}

/* A ring that failed: what it has taken arrives by itself, and must, before the memory may go; what
 * it has not taken is read one by one, as is everything from here on. */
static void ring_give_up(struct range_reader *reader)
{
	const struct timespec pause = { .tv_nsec = NS_PER_MS };
	uint32_t untaken = io_uring_sq_ready(&reader->ring);

	for (;;) {
		ring_reap(reader);
		if (reader->in_flight <= untaken)
			break;
		nanosleep(&pause, NULL);
	}
	io_uring_queue_exit(&reader->ring);
	reader->has_ring = false;
	reader->bound_bytes = 0;
	reader->in_flight = 0;
}

void range_reader_drain(struct range_reader *reader)
{
	while (reader->in_flight > 0) {
		if (ring_turn(reader))
			ring_reap(reader);
		else
			ring_give_up(reader);
	}
	reader->ended = reader->begun;
}

/* --- in order ------------------------------------------------------------------------------------ */

static struct piece *piece_of(struct range_reader *reader, uint64_t number)
{
	return &reader->pieces[number % PIECES_MAX];
}

static void pieces_await(struct range_reader *reader)
{
	if (ring_turn(reader)) {
		ring_reap(reader);
		return;
	}
	ring_give_up(reader);
	for (uint64_t number = reader->ended + 1; number <= reader->begun; number++)
		if (!piece_of(reader, number)->has_arrived)
			piece_alone(piece_of(reader, number));
}

/* One piece ends: its place is free for a read before the next one is moved. */
static int reader_turn(struct range_reader *reader)
{
	struct piece *piece = piece_of(reader, reader->ended + 1);
	int r;

	assert(reader->ended < reader->begun);
	while (!piece->has_arrived)
		pieces_await(reader);
	r = piece_end(reader, piece);
	if (r < 0) {
		range_reader_drain(reader);
		return err_trace(r);
	}
	reader->ended++;
	return 0;
}

/* There is room for it. */
static int piece_begin(struct range_reader *reader, const struct piece *wanted)
{
	struct piece *piece = piece_of(reader, reader->begun + 1);
	int r;

	*piece = *wanted;
	piece->is_direct = piece->file->direct_fd >= 0 && piece->file->direct_error == 0;
	reader->begun++;
	if (!reader->has_ring) {
		piece_alone(piece);
		r = reader_turn(reader);
		return r < 0 ? err_trace(r) : 0;
	}
	piece_prepare(reader, piece);
	/* One that is refused here is submitted at the next turn, which looks at why. */
	(void)io_uring_submit(&reader->ring);
	return 0;
}

struct range_left range_left(struct range_file *file, uint64_t offset, uint64_t bytes, void *pages,
			     void *place)
{
	uint32_t skip_bytes = (uint32_t)(offset % RANGE_PAGE_BYTES);
	uint32_t down_bytes = (uint32_t)((uint8_t *)pages + skip_bytes - (uint8_t *)place);

	assert((uintptr_t)pages % RANGE_PAGE_BYTES == 0);
	assert(down_bytes <= skip_bytes);
	return (struct range_left){
		.file = file,
		.offset = bytes > 0 ? offset - skip_bytes : offset,
		.end = offset + bytes,
		.address = pages,
		.skip_bytes = skip_bytes,
		.down_bytes = down_bytes,
	};
}

static struct piece piece_next(const struct range_reader *reader, const struct range_left *left)
{
	uint64_t piece_bytes = reader->has_ring ? RANGE_PIECE_BYTES : ALONE_PIECE_BYTES;
	uint64_t left_bytes = left->end - left->offset;
	uint64_t wanted_bytes = left_bytes < piece_bytes ? left_bytes : piece_bytes;

	return (struct piece){
		.file = left->file,
		.offset = left->offset,
		.bytes = (wanted_bytes + RANGE_PAGE_BYTES - 1) & ~(uint64_t)(RANGE_PAGE_BYTES - 1),
		.wanted_bytes = wanted_bytes,
		.skip_bytes = left->skip_bytes,
		.down_bytes = left->down_bytes,
		.address = left->address,
	};
}

static bool has_room(const struct range_reader *reader)
{
	return reader->in_flight < RANGE_DEPTH && reader->begun - reader->ended < PIECES_MAX;
}

static int pieces_begin(struct range_reader *reader, struct range_left *left, const uint8_t *limit,
			uint64_t *ret_ticket)
{
	int r = 0;

	while (r == 0 && left->offset < left->end && has_room(reader)) {
		const struct piece piece = piece_next(reader, left);

		if (limit && piece.address + piece.bytes > limit)
			return 0;
		r = piece_begin(reader, &piece);
		left->offset += piece.wanted_bytes;
		left->address += piece.bytes;
		left->skip_bytes = 0;
		*ret_ticket = reader->begun;
	}
	return r < 0 ? err_trace(r) : 0;
}

/* What has arrived is moved when the next reads are under way. */
int range_reader_begin(struct range_reader *reader, struct range_left *left, const uint8_t *limit,
		       uint64_t *ret_ticket)
{
	int r;

	for (;;) {
		if (reader->has_ring)
			ring_reap(reader);
		r = pieces_begin(reader, left, limit, ret_ticket);
		if (r < 0)
			return err_trace(r);
		if (reader->ended == reader->begun ||
		    !piece_of(reader, reader->ended + 1)->has_arrived)
			return 0;
		r = reader_turn(reader);
		if (r < 0)
			return err_trace(r);
	}
}

int range_reader_wait(struct range_reader *reader)
{
	int r = reader_turn(reader);

	return r < 0 ? err_trace(r) : 0;
}

bool range_reader_has_ended(const struct range_reader *reader, uint64_t ticket)
{
	return reader->ended >= ticket;
}

bool range_reader_has_ring(const struct range_reader *reader)
{
	return reader->has_ring;
}

struct range_reader_counts range_reader_counts(const struct range_reader *reader)
{
	return reader->counts;
}
