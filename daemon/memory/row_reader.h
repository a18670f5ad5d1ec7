/* SPDX-License-Identifier: MIT */
/*
 * daemon/memory/row_reader.h - single rows out of files, many reads at once
 *
 *     row_file_init        where the rows of one table lie
 *     row_reader_read      starts a read, or has no room for one more now
 *     row_reader_submit    what was started goes to the kernel
 *     row_reader_take      one read that has ended
 *
 * Owns:     its ring and buffers; of a file nothing: its descriptors are the caller's
 * Threads:  row_reader_init and row_reader_populate on any, before the one that reads
 * Units:    bytes; rows
 * Errors:   row_file_init and row_reader_populate -errno with a sentence;
 *           reads end with 0 or -errno: -EIO also where the file has become too short
 *
 * Reads go around the page cache where the file system lets them (O_DIRECT): whole blocks, of which
 * the row is copied out. The ring may do nothing but read (base/ring.h), and is made before the
 * sandbox forbids it. Where it is forbidden already, reads are made one by one while they are
 * started.
 */
#ifndef HEARTH_MEMORY_ROW_READER_H
#define HEARTH_MEMORY_ROW_READER_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "memory/span.h"

#define ROW_READER_DEPTH 128         /* from which on an NVMe device gives all it has */
#define ROW_READER_BUFFER_BYTES 8192 /* blocks of one row */

struct row_file {
	int fd;
	uint64_t offset;
	uint64_t row_count;
	uint32_t row_bytes;
	uint32_t block_bytes; /* of offset and length; 1: through the page cache */
};

struct row_read {
	const struct row_file *file;
	uint64_t row;
	void *to;
	void *user;
	int result;
	uint32_t tries;
	uint32_t bytes; /* of all of them */
	uint32_t next; /* free, or ended */
};

struct row_reader {
	bool has_ring;
	struct io_uring ring;
	struct span buffers; /* one a read */
	struct row_read reads[ROW_READER_DEPTH];
	uint32_t free_first;
	uint32_t ended_first; /* of reads that needed no ring */
	uint32_t in_flight;   /* started and not taken */
};

struct row_end {
	void *user;
	int result;
	uint32_t bytes; /* that were read for it, in all its tries */
};

/* The table begins at `offset` of the file that `fd` is opened for, and `direct_fd` once more with
 * O_DIRECT; -1: it could not be. Where direct reads are not possible after all ret_file->block_bytes
 * is 1. -EINVAL: the file is too short, or a row longer than its buffer. `name` is for sentences. */
must_check int row_file_init(struct row_file *ret_file, int fd, int direct_fd, uint64_t offset,
			     uint64_t row_count, uint32_t row_bytes, const char *name);

void row_reader_init(struct row_reader *reader, bool may_have_ring);
void row_reader_deinit(struct row_reader *reader); /* waits for what is in flight */

/* Before the first read; further calls change nothing. `owner` may be NULL. */
must_check int row_reader_populate(struct row_reader *reader, const struct tier_owner *owner,
				   int node);

/* Readable when a read has ended; -1: reads end while they are started. */
static inline int row_reader_fd(const struct row_reader *reader)
{
	return reader->has_ring ? reader->ring.ring_fd : -1;
}

/* `to` has row_bytes; `file` and it must last until the read has been taken. False: as many as
 * possible are in flight. */
bool row_reader_read(struct row_reader *reader, const struct row_file *file, uint64_t row, void *to,
		     void *user);
void row_reader_submit(struct row_reader *reader);
bool row_reader_take(struct row_reader *reader, struct row_end *ret_end);

#endif
