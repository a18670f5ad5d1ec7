/* SPDX-License-Identifier: MIT */
/*
 * daemon/memory/range_reader.h - large parts of files read into memory, several reads at a time
 *
 * Owns:     an io_uring; neither the files nor the memory
 * Threads:  one at a time, and not always the one that made it: a ring is made before a sandbox
 *           denies that
 * Units:    bytes; offsets in the file
 * Errors:   -ESTALE a file ended before the bytes that it had; what read returns; each with a
 *           sentence that names file, offset, wanted and got. Once a call has failed nothing is
 *           in flight, so that the memory may go.
 *
 * Whole pages go past the page cache (O_DIRECT) into memory that was registered, RANGE_DEPTH reads
 * of RANGE_PIECE_BYTES under way: a disk is kept busy while the caller works on what has arrived, if
 * it calls range_reader_begin now and then.
 * Where a file system takes no O_DIRECT, the same reads go through the page cache; where there is
 * no ring, or it fails, they are made one by one. A read that fails past the page cache is made
 * again through it, which finds the words for an error.
 */
#ifndef HEARTH_MEMORY_RANGE_READER_H
#define HEARTH_MEMORY_RANGE_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define RANGE_PAGE_BYTES 4096
#define RANGE_PIECE_BYTES (2U << 20)
/* Some disks end all reads that they have at the same time, and stand until further ones come: the
 * more they have, the less of the time that is. */
#define RANGE_DEPTH 32

struct range_reader;

struct range_file {
	const char *folder; /* in sentences FOLDER/LOCATION */
	const char *location;
	int fd;
	int direct_fd;     /* the same file by O_DIRECT; -1: not to be had */
	int direct_error;  /* why not, or why no longer; 0 while direct_fd is read */
	uint64_t bytes;    /* that it had when it was opened */
};

/* A range, or what has not begun of it. */
struct range_left {
	struct range_file *file;
	uint64_t offset; /* of the next read; == end: all have begun */
	uint64_t end;
	uint8_t *address; /* of the next read's pages */
	uint32_t skip_bytes; /* in front of the range, in these pages */
	uint32_t down_bytes; /* that its bytes are to be moved */
};

struct range_reader_counts {
	uint64_t read_bytes;   /* all */
	uint64_t direct_bytes; /* of them past the page cache */
	uint64_t fixed_bytes;  /* of them into registered memory */
	uint64_t reads;
};

/* Without a ring where `wants_ring` is false, or where none is to be had. */
must_check int range_reader_new(bool wants_ring, struct range_reader **ret_reader);
void range_reader_free(struct range_reader *reader); /* NULL: nothing */

/* Tells of each part that arrives, of the ranges' own bytes; NULL: nobody. */
void range_reader_watch(struct range_reader *reader,
			void (*arrived)(void *context, uint64_t bytes), void *context);

/* The pages of this memory stay in place until range_reader_unbind and are not looked up at each
 * read. Where the process may not lock so much, reads go the longer way: nothing else changes. */
void range_reader_bind(struct range_reader *reader, void *address, uint64_t bytes);
void range_reader_unbind(struct range_reader *reader);

/*
 * [offset, offset + bytes) of the file, to come to `place`. `pages` are as many as hold the range in
 * the file, and `place` is at most offset % RANGE_PAGE_BYTES behind their begin: there nothing is
 * moved; elsewhere each piece is, while the next ones come. In the end the pages are zero beside the
 * range.
 */
struct range_left range_left(struct range_file *file, uint64_t offset, uint64_t bytes, void *pages,
			     void *place);
/*
 * Ends the reads that have arrived, and begins those of `left` that there is room for and whose
 * pages end below `limit` (NULL: there is none). Waits for nothing, except without a ring, where
 * reads are made here. *ret_ticket is what range_reader_has_ended takes; it is untouched where no
 * read has begun.
 */
must_check int range_reader_begin(struct range_reader *reader, struct range_left *left,
				  const uint8_t *limit, uint64_t *ret_ticket);
/* Waits for the oldest read that is under way, and ends it. */
must_check int range_reader_wait(struct range_reader *reader);
/* Is that range, and all that were begun before it, in place? */
bool range_reader_has_ended(const struct range_reader *reader, uint64_t ticket);
/* Until nothing is in flight, whatever became of it. */
void range_reader_drain(struct range_reader *reader);

/* At once, exactly these bytes, to any address, through the page cache. */
must_check int range_file_read(const struct range_file *file, uint64_t offset, uint64_t bytes,
			       void *destination);

bool range_reader_has_ring(const struct range_reader *reader);
struct range_reader_counts range_reader_counts(const struct range_reader *reader);

#endif
