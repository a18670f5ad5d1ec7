/* SPDX-License-Identifier: MIT */
/*
 * daemon/memory/stream.h - large parts of files read into memory, several reads at a time
 *
 * Owns:     an io_uring; neither the files nor the memory
 * Threads:  one at a time, and not always the one that made it: a ring is made before a sandbox
 *           denies that
 * Units:    bytes; offsets in the file
 * Errors:   -ESTALE a file ended before the bytes that it had; what read returns; each with a
 *           sentence that names file, offset, wanted and got. Once a call has failed nothing is
 *           in flight, so that the memory may go.
 *
 * Whole pages go past the page cache (O_DIRECT) into memory that was registered, STREAM_DEPTH reads
 * of STREAM_PIECE_BYTES under way: a disk is kept busy while the caller works on what has arrived.
 * Where a file system takes no O_DIRECT, the same reads go through the page cache; where there is
 * no ring, or it fails, they are made one by one. A read that fails past the page cache is made
 * again through it, which finds the words for an error.
 */
#ifndef HEARTH_MEMORY_STREAM_H
#define HEARTH_MEMORY_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define STREAM_PAGE_BYTES 4096
#define STREAM_PIECE_BYTES (2U << 20)
#define STREAM_DEPTH 32 /* a packed matrix is worked on while as much as this arrives */

struct stream;

struct stream_file {
	const char *folder; /* in sentences FOLDER/LOCATION */
	const char *location;
	int fd;
	int direct_fd;     /* the same file by O_DIRECT; -1: not to be had */
	int direct_error;  /* why not, or why no longer; 0 while direct_fd is read */
	uint64_t bytes;    /* that it had when it was opened */
};

struct stream_counts {
	uint64_t read_bytes;   /* all */
	uint64_t direct_bytes; /* of them past the page cache */
	uint64_t fixed_bytes;  /* of them into registered memory */
	uint64_t reads;
};

/* Without a ring where `wants_ring` is false, or where none is to be had. */
must_check int stream_new(bool wants_ring, struct stream **ret_stream);
void stream_free(struct stream *stream); /* NULL: nothing */

/* Tells of each part that arrives; NULL: nobody. */
void stream_watch(struct stream *stream, void (*arrived)(void *context, uint64_t bytes),
		  void *context);

/* The pages of this range stay in place until stream_unbind and are not looked up at each read.
 * Where the process may not lock so much memory, reads go the longer way: nothing else changes. */
void stream_bind(struct stream *stream, void *address, uint64_t bytes);
void stream_unbind(struct stream *stream);

/*
 * Begins to read [offset, offset + bytes) of the file to `pages`, a whole number of pages from the
 * one that holds `offset`: byte `offset` comes to pages + offset % STREAM_PAGE_BYTES, and what
 * stands in the file beside the range may be written into the first and the last page. Waits while
 * STREAM_DEPTH reads are under way. *ret_ticket is what stream_wait takes.
 */
must_check int stream_pages(struct stream *stream, struct stream_file *file, uint64_t offset,
			    uint64_t bytes, void *pages, uint64_t *ret_ticket);
/* Until that range, and all that were begun before it, have arrived. */
must_check int stream_wait(struct stream *stream, uint64_t ticket);
/* Until nothing is in flight, whatever became of it. */
void stream_drain(struct stream *stream);

/* At once, exactly these bytes, to any address, through the page cache. */
must_check int stream_read(const struct stream_file *file, uint64_t offset, uint64_t bytes,
			   void *destination);

bool stream_has_ring(const struct stream *stream);
struct stream_counts stream_counts(const struct stream *stream);

#endif
