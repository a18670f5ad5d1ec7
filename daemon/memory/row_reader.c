/* SPDX-License-Identifier: MIT */
/* daemon/memory/row_reader.c - single rows out of files, many reads at once */
#include "memory/row_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/ring.h"

#define NONE UINT32_MAX
#define BLOCK_BYTES 4096 /* where the kernel does not tell what a direct read must be a multiple of */
#define TRIES 3          /* reads that came back short, though the file is long enough */

/* --- files ------------------------------------------------------------------------------------ */

/* What direct reads of the file must be multiples of; 1: there are none. */
static uint32_t direct_block(int direct_fd)
{
	struct statx status;

	if (direct_fd < 0)
		return 1;
	if (statx(direct_fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &status) < 0 ||
	    !(status.stx_mask & STATX_DIOALIGN))
		return BLOCK_BYTES;
	return status.stx_dio_offset_align > 0 ? status.stx_dio_offset_align : 1;
}

/* The blocks around a row. */
struct range {
	uint64_t begin;
	uint32_t bytes;
	uint32_t skip; /* to the row */
};

static struct range range_of(const struct row_file *file, uint64_t row)
{
	uint64_t begin = file->offset + row * file->row_bytes;
	uint64_t first = begin - begin % file->block_bytes;
	uint64_t end = begin + file->row_bytes + file->block_bytes - 1;

	return (struct range){
		.begin = first,
		.bytes = (uint32_t)(end - end % file->block_bytes - first),
		.skip = (uint32_t)(begin - first),
	};
}

/* Is there a first block that can be read so? The last word: file systems differ from what they
 * tell. */
static bool reads_directly(const struct row_file *file)
{
	struct range range = range_of(file, 0);
	void *buffer = aligned_alloc(BLOCK_BYTES, ROW_READER_BUFFER_BYTES);
	bool is_direct = buffer && range.bytes <= ROW_READER_BUFFER_BYTES &&
			 pread(file->fd, buffer, range.bytes, (off_t)range.begin) >=
				 (ssize_t)(range.skip + file->row_bytes);

	free(buffer);
	return is_direct;
}

int row_file_init(struct row_file *ret_file, int fd, int direct_fd, uint64_t offset,
		  uint64_t row_count, uint32_t row_bytes, const char *name)
{
	struct stat status;

	if (row_bytes == 0 || row_bytes > ROW_READER_BUFFER_BYTES / 2)
		return err_raise(-EINVAL, "%s: rows of %u bytes; 1 to %d can be read one by one", name,
				 row_bytes, ROW_READER_BUFFER_BYTES / 2);
	if (fstat(fd, &status) < 0)
		return err_raise(-errno, "%s: %s", name, strerror(errno));
	if (row_count > (UINT64_MAX - offset) / row_bytes ||
	    offset + row_count * row_bytes > (uint64_t)status.st_size)
		return err_raise(-EINVAL,
				 "%s: wants %llu rows of %u bytes from byte %llu, and the file has "
				 "%llu bytes",
				 name, (unsigned long long)row_count, row_bytes,
				 (unsigned long long)offset, (unsigned long long)status.st_size);
	*ret_file = (struct row_file){
		.fd = direct_fd,
		.offset = offset,
		.row_count = row_count,
		.row_bytes = row_bytes,
		.block_bytes = direct_block(direct_fd),
	};
	if (ret_file->block_bytes > 1 && (row_count == 0 || reads_directly(ret_file)))
		return 0;
	ret_file->fd = fd;
	ret_file->block_bytes = 1;
	return 0;
}

/* --- life ------------------------------------------------------------------------------------- */

static bool ring_open(struct io_uring *ring)
{
	const struct io_uring_restriction only = {
		.opcode = IORING_RESTRICTION_SQE_OP,
		.sqe_op = IORING_OP_READ,
	};
	struct io_uring_params params = {
		.flags = IORING_SETUP_R_DISABLED | IORING_SETUP_COOP_TASKRUN |
			 IORING_SETUP_TASKRUN_FLAG,
	};

	if (io_uring_queue_init_params(ROW_READER_DEPTH, ring, &params) < 0)
		return false;
	if (ring_enable(ring->ring_fd, &only, 1) == 0)
		return true;
	io_uring_queue_exit(ring);
	return false;
}

void row_reader_init(struct row_reader *reader, bool may_have_ring)
{
	*reader = (struct row_reader){ .ended_first = NONE };
	for (uint32_t index = 0; index < ROW_READER_DEPTH; index++)
		reader->reads[index].next = index + 1 < ROW_READER_DEPTH ? index + 1 : NONE;
	reader->has_ring = may_have_ring && ring_open(&reader->ring);
}

int row_reader_populate(struct row_reader *reader, const struct tier_owner *owner, int node)
{
	if (reader->buffers.address)
		return 0;
	return err_trace(span_map_for(owner, (uint64_t)ROW_READER_DEPTH * ROW_READER_BUFFER_BYTES,
				      node, 0, &reader->buffers));
}

void row_reader_deinit(struct row_reader *reader)
{
	struct row_end end;

	while (reader->has_ring && reader->in_flight > 0) {
		row_reader_submit(reader);
		(void)syscall(SYS_io_uring_enter, reader->ring.ring_fd, 0, 1,
			      IORING_ENTER_GETEVENTS, NULL, 0);
		while (row_reader_take(reader, &end))
			;
	}
	if (reader->has_ring)
		io_uring_queue_exit(&reader->ring);
	span_unmap(&reader->buffers);
	*reader = (struct row_reader){0};
}

/* --- reads ------------------------------------------------------------------------------------ */

static uint8_t *buffer_of(const struct row_reader *reader, uint32_t index)
{
	return (uint8_t *)reader->buffers.address + (size_t)index * ROW_READER_BUFFER_BYTES;
}

static bool entry_make(struct row_reader *reader, uint32_t index)
{
	const struct row_read *read = &reader->reads[index];
	struct range range = range_of(read->file, read->row);
	struct io_uring_sqe *entry = io_uring_get_sqe(&reader->ring);

	if (!entry)
		return false;
	io_uring_prep_read(entry, read->file->fd, buffer_of(reader, index), range.bytes,
			   range.begin);
	io_uring_sqe_set_data64(entry, index);
	return true;
}

/* What a read of so many bytes, or of -errno, means for the row: 0, -errno, or 1: once more. */
static int read_judge(struct row_reader *reader, uint32_t index, int64_t bytes)
{
	struct row_read *read = &reader->reads[index];
	struct range range = range_of(read->file, read->row);

	if (bytes == -EINTR || bytes == -EAGAIN)
		return ++read->tries < TRIES ? 1 : -EIO;
	if (bytes < 0)
		return (int)bytes;
	read->bytes += (uint32_t)bytes;
	if (bytes >= range.skip + read->file->row_bytes) {
		memcpy(read->to, buffer_of(reader, index) + range.skip, read->file->row_bytes);
		return 0;
	}
	/* The end of the file is where it was not, or a signal came between two blocks. */
	return bytes > 0 && ++read->tries < TRIES ? 1 : -EIO;
}

static void read_now(struct row_reader *reader, uint32_t index)
{
	struct row_read *read = &reader->reads[index];
	struct range range = range_of(read->file, read->row);

	do {
		ssize_t bytes = pread(read->file->fd, buffer_of(reader, index), range.bytes,
				      (off_t)range.begin);

		read->result = read_judge(reader, index, bytes < 0 ? -errno : bytes);
	} while (read->result == 1);
	read->next = reader->ended_first;
	reader->ended_first = index;
}

bool row_reader_read(struct row_reader *reader, const struct row_file *file, uint64_t row, void *to,
		     void *user)
{
	uint32_t index = reader->free_first;
	uint32_t next;

	if (index == NONE)
		return false;
	next = reader->reads[index].next;
	reader->reads[index] = (struct row_read){
		.file = file,
		.row = row,
		.to = to,
		.user = user,
	};
	if (!reader->has_ring)
		read_now(reader, index);
	else if (!entry_make(reader, index)) {
		reader->reads[index].next = next;
		return false;
	}
	reader->free_first = next;
	reader->in_flight++;
	return true;
}

void row_reader_submit(struct row_reader *reader)
{
	if (reader->has_ring && io_uring_sq_ready(&reader->ring) > 0)
		(void)io_uring_submit(&reader->ring);
}

static void read_finish(struct row_reader *reader, uint32_t index, int result,
			struct row_end *ret_end)
{
	*ret_end = (struct row_end){ reader->reads[index].user, result,
				     reader->reads[index].bytes };
	reader->reads[index].next = reader->free_first;
	reader->free_first = index;
	reader->in_flight--;
}

/* Completions that wait for this thread to enter the kernel. */
static void ring_look(struct row_reader *reader)
{
	if (IO_URING_READ_ONCE(*reader->ring.sq.kflags) & IORING_SQ_TASKRUN)
		(void)syscall(SYS_io_uring_enter, reader->ring.ring_fd, 0, 0,
			      IORING_ENTER_GETEVENTS, NULL, 0);
}

bool row_reader_take(struct row_reader *reader, struct row_end *ret_end)
{
	struct io_uring_cqe *completion;
	uint32_t index = reader->ended_first;

	if (reader->in_flight == 0)
		return false;
	if (!reader->has_ring) {
		reader->ended_first = reader->reads[index].next;
		read_finish(reader, index, reader->reads[index].result, ret_end);
		return true;
	}
	ring_look(reader);
	while (io_uring_peek_cqe(&reader->ring, &completion) == 0) {
		int result;

		index = (uint32_t)io_uring_cqe_get_data64(completion);
		result = read_judge(reader, index, completion->res);
		io_uring_cqe_seen(&reader->ring, completion);
		/* There is an entry for each read that has ended. */
		if (result == 1 && entry_make(reader, index)) {
			row_reader_submit(reader);
			continue;
		}
		read_finish(reader, index, result == 1 ? -EIO : result, ret_end);
		return true;
	}
	return false;
}
