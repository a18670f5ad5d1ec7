/* SPDX-License-Identifier: MIT */
/*
 * daemon/exec/weights.h - constants in their final place and layout
 *
 * Owns:     nothing; the span is the caller's
 * Threads:  one
 * Errors:   -ENOMEM, and what onnx_read and onnx_stream return; nothing is in flight after one
 *
 * Large tensors of a file that stay as they are get whole pages of their own and are read straight
 * into place; those that are packed come to a landing, and are packed while the next ones come.
 */
#ifndef HEARTH_EXEC_WEIGHTS_H
#define HEARTH_EXEC_WEIGHTS_H

#include "graph/lower.h"
#include "memory/range_reader.h"
#include "memory/span.h"

#define WEIGHTS_SHEET_BYTES_MIN (UINT64_C(16) << 20)
#define WEIGHTS_SHEETS_MAX 17

struct weights_extent {
	uint64_t bytes;
	uint64_t tables_offset; /* of the first table's pages: they are last; == bytes: there is none */
	uint64_t sheet_bytes[WEIGHTS_SHEETS_MAX]; /* of `bytes`, in this order */
	uint32_t sheet_count;
};

/* Gives every weight its offset. Where the tables lie `apart`, on other nodes than the rest, they
 * begin with a part of a span (memory/span.h). With `sheets` each large table has a sheet of its own
 * behind that of all the rest (memory/span_kept.h), as long as there are some. */
must_check int weights_place(struct lowering *lowering, bool apart, bool sheets,
			     struct weights_extent *ret_extent);

struct weights_options {
	struct range_reader *reader; /* NULL: one that is made for this load */
	/* Told while they arrive; NULL: nobody. */
	void (*progress)(void *context, uint64_t arrived_bytes, uint64_t total_bytes);
	void *context;
};

struct weights_arrival {
	uint64_t bytes; /* those that came through the reader: tensors of 64 KiB and more */
	uint64_t ns;    /* until all weights were in place */
	bool has_ring;  /* several reads at a time, to the end */
	int direct_error; /* why some came through the page cache; 0: none did */
	char location[64]; /* of a file of which they did */
};

/* Brings them to the `bytes` at `memory`, which is page-aligned. */
must_check int weights_load(struct lowering *lowering, const struct weights_options *options,
			    void *memory, uint64_t bytes, struct weights_arrival *ret_arrival);

#endif
