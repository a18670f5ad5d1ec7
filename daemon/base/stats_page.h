/* SPDX-License-Identifier: MIT */
/*
 * daemon/base/stats_page.h - the stats page: a file in which a daemon can be read that answers nobody
 *
 * Owns:     nothing; a view its descriptor, from stats_view_open to stats_view_close
 * Threads:  W: names the one writer of every field; any process reads. A view is for one thread
 * Units:    offsets and sizes in bytes from the start of the file; ns of base/clock.h, and unix ns
 * Errors:   stats_view_*: -errno as they say, without a sentence; STATS_E_FOREIGN, STATS_E_TORN
 *
 * The daemon maps the head, whose words are written whole: they tell that it lives, and what it has
 * done. On a disk, where a store may wait or end the process, it writes a copy. Each document is the rows with which a verb answers (ops/control/control.h), a line each,
 * under a sequence lock. Who reads copies with pread, which a file that is cut short cannot hurt,
 * and believes nothing: bounds, sequence and hash are checked before a text is used.
 *
 *      0  struct stats_page
 *   4096  text of documents[0]
 *      .  text of documents[1], and so on, each where its document says
 */
#ifndef HEARTH_BASE_STATS_PAGE_H
#define HEARTH_BASE_STATS_PAGE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/counter.h"
#include "base/error.h"

#define STATS_PAGE_SUFFIX ".stats" /* behind the socket's path */
#define STATS_PAGE_MAGIC UINT64_C(0x3173746174736568)
#define STATS_PAGE_LAYOUT 1 /* another one is not read */
#define STATS_PAGE_HEAD_BYTES 4096
#define STATS_TEXT_BYTES_MAX (UINT64_C(4) << 20) /* of a document */

#define STATS_E_FOREIGN 1 /* no stats page, or one of another layout */
#define STATS_E_TORN 2    /* there is no moment at which the text is whole */

enum stats_verb {
	STATS_STATUS,
	STATS_MODELS,
	STATS_MEM,
	STATS_LATENCY,
	STATS_CLIENTS,
	STATS_USERS,
	STATS_EVENTS,
	STATS_VERB_COUNT,
};

/* What the data loop does. It counts right here, so that its figures are alive whoever hangs. */
struct stats_counters {
	struct counter requests;
	struct counter completions;
	struct counter errors;
	struct counter batches;
	struct counter rows;
	struct counter sleeps;
	struct counter rings;
	struct counter wakes;
	struct counter passes;    /* of the loop: it is alive */
	struct counter passed_ns; /* when the last one began */
	struct counter submits;   /* system calls that submit and do not wait, */
	struct counter calls;     /* and those that wake one client alone */
};

/*
 *   0 +---------------------------------------------------------------+
 *     | sequence  offset  room_bytes  text_bytes  hash  written_ns    |
 *     | written_unix_ns  status  row_count                            |
 *  64 +---------------------------------------------------------------+
 */
struct stats_document {
	uint64_t sequence;   /* W: control thread; odd while the rest, or the text, is written */
	uint64_t offset;     /* W: once */
	uint64_t room_bytes; /* W: once */
	uint64_t text_bytes;
	uint64_t hash; /* base/hash.h, of the text */
	uint64_t written_ns;
	uint64_t written_unix_ns;
	int32_t status; /* 0, or -errno: why there is no text */
	uint32_t row_count;
};
static_assert(sizeof(struct stats_document) == 64, "a document");

/*
 *    0 +---------------------------------------------------------------+
 *      | magic  layout  document_count  total_bytes  pid  pid_ticks    |
 *      | pid_namespace  started_ns  started_unix_ns  time_namespace    |
 *  128 +---------------------------------------------------------------+
 *      | beats  beat_ns  beat_unix_ns  stopped_unix_ns                 |
 *  256 +---------------------------------------------------------------+
 *      | counters                                                      |
 *  512 +---------------------------------------------------------------+
 *      | documents[STATS_VERB_COUNT]                                   |
 *  960 +---------------------------------------------------------------+
 */
struct stats_page {
	uint64_t magic;           /* W: once, the last of all */
	uint32_t layout;          /* W: once, and so are those up to the next boundary */
	uint32_t document_count;
	uint64_t total_bytes;
	uint64_t pid;             /* in its own namespace, */
	uint64_t pid_ticks;       /* when the process began, as /proc/PID/stat has it, */
	uint64_t pid_namespace;   /* and the inode of that namespace; 0: not known */
	uint64_t started_ns;
	uint64_t started_unix_ns;
	uint64_t time_namespace;  /* its inode, in whose clocks pid_ticks and all _ns but unix are */
	uint8_t _reserved0[56];
	uint64_t beats;           /* W: control thread; one a tick of its loop, also when idle */
	uint64_t beat_ns;         /* W: control thread */
	uint64_t beat_unix_ns;    /* W: control thread */
	uint64_t stopped_unix_ns; /* W: control thread; not 0: it has stopped as it should */
	uint8_t _reserved1[96];
	struct stats_counters counters; /* W: data thread; where the file is not in memory: control thread */
	uint8_t _reserved2[256 - sizeof(struct stats_counters)];
	struct stats_document documents[STATS_VERB_COUNT]; /* W: control thread */
};
static_assert(offsetof(struct stats_page, beats) == 128, "what the control thread writes");
static_assert(offsetof(struct stats_page, counters) == 256, "what the data thread writes");
static_assert(offsetof(struct stats_page, documents) == 512, "documents");
static_assert(sizeof(struct stats_page) == 960, "the head");
static_assert(sizeof(struct stats_page) <= STATS_PAGE_HEAD_BYTES, "the head is one page");

/* "status", "models", ...; STATS_VERB_COUNT: the page does not have this verb. */
const char *stats_verb_name(enum stats_verb verb);
enum stats_verb stats_verb_of(const char *name);

/* Of a process: when it began, in clock ticks since boot, and what it does ('R', 'S', 'T', ...). */
must_check int stats_process_find(uint64_t pid, uint64_t *ret_ticks, char *ret_state);
/* Memory is all that a store into such a file, or a look at one, can want: tmpfs. */
bool stats_is_in_memory(int fd);
/* Of this process: "pid", "time", ...; 0: it cannot be known. */
uint64_t stats_namespace(const char *kind);

/* --- the writer -------------------------------------------------------------------------------- */

/* Writes all that is written once, for this process; documents are empty. */
void stats_page_init(struct stats_page *page);
void stats_page_beat(struct stats_page *page);
/* What begin gives is written before end is called, the text in the file as well. */
void stats_document_begin(struct stats_document *document);
void stats_document_end(struct stats_document *document);

/* --- readers ----------------------------------------------------------------------------------- */

struct stats_view {
	int fd;
	struct stats_page page; /* as it was at the last look */
};

/* -ENOENT, -EACCES, ... of open; STATS_E_FOREIGN. */
must_check int stats_view_open(const char *path, struct stats_view *view);
/* Another look at the head; of the file that was opened, although another may be in its place. */
must_check int stats_view_look(struct stats_view *view);
/* A copy of a document and its text, which ends with 0 and is for free(). A document with a status
 * has the text "". -ENOMEM; STATS_E_TORN, STATS_E_FOREIGN. */
must_check int stats_view_read(struct stats_view *view, enum stats_verb verb,
			       struct stats_document *ret_document, char **ret_text);
void stats_view_close(struct stats_view *view);

#endif
