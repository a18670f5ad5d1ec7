/* SPDX-License-Identifier: MIT */
/* daemon/base/stats_page.c - one side writes in place, the other copies and checks its copy */
#include "base/stats_page.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"

/* A text is written in microseconds, at most a few times a second. */
#define TRIES_MAX 100
#define TRY_NS CLOCK_NS_PER_MS
#define STATUS_MAX 4095 /* the largest errno that there can be */

/* By verb: room for what it says of a full daemon, as far as that is bounded. */
static const struct {
	const char *name;
	uint64_t room_bytes;
} documents[STATS_VERB_COUNT] = {
	[STATS_STATUS] = { "status", UINT64_C(64) << 10 },
	[STATS_MODELS] = { "models", UINT64_C(2) << 20 },
	[STATS_MEM] = { "mem", UINT64_C(1) << 20 },
	[STATS_LATENCY] = { "latency", UINT64_C(4) << 20 },
	[STATS_CLIENTS] = { "clients", UINT64_C(2) << 20 },
	[STATS_USERS] = { "users", UINT64_C(1) << 20 },
	[STATS_EVENTS] = { "events", UINT64_C(1) << 20 },
};

#define word_read(word) __atomic_load_n((word), __ATOMIC_RELAXED)
#define word_write(word, value) __atomic_store_n((word), (value), __ATOMIC_RELAXED)

const char *stats_verb_name(enum stats_verb verb)
{
	return documents[verb].name;
}

enum stats_verb stats_verb_of(const char *name)
{
	enum stats_verb verb = 0;

	while (verb < STATS_VERB_COUNT && strcmp(documents[verb].name, name) != 0)
		verb++;
	return verb;
}

bool stats_is_in_memory(int fd)
{
	struct statfs system;

	return fstatfs(fd, &system) == 0 &&
	       (system.f_type == TMPFS_MAGIC || system.f_type == RAMFS_MAGIC);
}

/* --- processes ------------------------------------------------------------------------------------ */

int stats_process_find(uint64_t pid, uint64_t *ret_ticks, char *ret_state)
{
	char path[64];
	char text[1024];
	const char *rest;
	ssize_t bytes;
	int fd;

	snprintf(path, sizeof(path), "/proc/%" PRIu64 "/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	bytes = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[bytes < 0 ? 0 : bytes] = '\0';
	/* A program's name may have anything in it; the last bracket is behind it. */
	rest = strrchr(text, ')');
	if (!rest || sscanf(rest, ") %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d "
			    "%*d %*d %*d %" SCNu64, ret_state, ret_ticks) != 2)
		return -ESRCH;
	return 0;
}

uint64_t stats_namespace(const char *kind)
{
	struct stat status;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/ns/%s", kind);
	return stat(path, &status) == 0 ? status.st_ino : 0;
}

/* --- the writer ------------------------------------------------------------------------------------- */

void stats_page_init(struct stats_page *page)
{
	uint64_t offset = STATS_PAGE_HEAD_BYTES;
	uint64_t ticks = 0;
	uint32_t index;
	char state;

	/* What a daemon before left there is nobody's from here on. */
	word_write(&page->magic, 0);
	memset((char *)page + sizeof(page->magic), 0, sizeof(*page) - sizeof(page->magic));
	page->layout = STATS_PAGE_LAYOUT;
	page->document_count = STATS_VERB_COUNT;
	page->pid = (uint64_t)getpid();
	if (stats_process_find(page->pid, &ticks, &state) == 0)
		page->pid_ticks = ticks;
	page->pid_namespace = stats_namespace("pid");
	page->time_namespace = stats_namespace("time");
	page->started_ns = clock_ns();
	page->started_unix_ns = clock_unix_ns();
	for (index = 0; index < STATS_VERB_COUNT; index++) {
		page->documents[index].offset = offset;
		page->documents[index].room_bytes = documents[index].room_bytes;
		page->documents[index].status = -ENODATA;
		offset += documents[index].room_bytes;
	}
	page->total_bytes = offset;
	stats_page_beat(page);
	/* SP1 (release) pairs with SP2: the head is whole before it says what it is. Without it a
	 * reader can take zeros, or what was there before, for a daemon's. */
	__atomic_store_n(&page->magic, STATS_PAGE_MAGIC, __ATOMIC_RELEASE);
}

void stats_page_beat(struct stats_page *page)
{
	word_write(&page->beat_ns, clock_ns());
	word_write(&page->beat_unix_ns, clock_unix_ns());
	word_write(&page->beats, page->beats + 1);
}

void stats_document_begin(struct stats_document *document)
{
	word_write(&document->sequence, document->sequence + 1);
	/* SP3 (release) pairs with SP4: the sequence is odd before anything else changes. Without it a
	 * reader can see a new text between two old sequences. */
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

void stats_document_end(struct stats_document *document)
{
	word_write(&document->written_ns, clock_ns());
	word_write(&document->written_unix_ns, clock_unix_ns());
	/* SP5 (release) pairs with SP6: everything is written before the sequence is even. Without it a
	 * reader can see an old text under a new sequence. */
	__atomic_store_n(&document->sequence, document->sequence + 1, __ATOMIC_RELEASE);
}

/* --- readers ---------------------------------------------------------------------------------------- */

static bool is_sound(const struct stats_page *page)
{
	return page->magic == STATS_PAGE_MAGIC && page->layout == STATS_PAGE_LAYOUT &&
	       page->document_count == STATS_VERB_COUNT && page->pid > 0 && page->pid <= INT_MAX;
}

/* What is written once is what it is from the beginning. */
static bool is_place_sound(const struct stats_document *document)
{
	return document->offset >= STATS_PAGE_HEAD_BYTES && document->offset <= INT32_MAX;
}

static bool is_size_sound(const struct stats_document *document)
{
	return document->text_bytes <= document->room_bytes &&
	       document->text_bytes <= STATS_TEXT_BYTES_MAX;
}

int stats_view_look(struct stats_view *view)
{
	struct stats_page page;

	if (pread(view->fd, &page, sizeof(page), 0) != sizeof(page))
		return STATS_E_FOREIGN;
	/* SP2 (acquire) pairs with SP1: what is looked at next is not older than the head. Without it a
	 * text can be older than the document that tells of it. */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (!is_sound(&page))
		return STATS_E_FOREIGN;
	view->page = page;
	return 0;
}

int stats_view_open(const char *path, struct stats_view *view)
{
	struct stat status;
	int r = STATS_E_FOREIGN;

	/* Nothing is waited for, whatever it is. */
	view->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (view->fd < 0)
		return -errno;
	if (fstat(view->fd, &status) == 0 && S_ISREG(status.st_mode))
		r = stats_view_look(view);
	if (r != 0)
		stats_view_close(view);
	return r;
}

static int document_look(const struct stats_view *view, enum stats_verb verb,
			 struct stats_document *document)
{
	off_t offset = (off_t)(offsetof(struct stats_page, documents) + verb * sizeof(*document));

	return pread(view->fd, document, sizeof(*document), offset) == sizeof(*document)
		       ? 0
		       : STATS_E_FOREIGN;
}

/* 0; STATS_E_TORN: it was written meanwhile; STATS_E_FOREIGN: it is not in the file. `text` has room
 * for one byte more. */
static int text_copy(const struct stats_view *view, enum stats_verb verb,
		     const struct stats_document *document, char *text)
{
	struct stats_document after;
	ssize_t bytes;

	/* SP6 (acquire) pairs with SP5: the text is not older than its sequence. Without it an old text
	 * can be taken for the one that is told of. */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	bytes = pread(view->fd, text, document->text_bytes, (off_t)document->offset);
	/* SP4 (acquire) pairs with SP3: the sequence is read again after the text. Without it a text
	 * that was overwritten can be taken for whole. */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (bytes < 0 || (uint64_t)bytes != document->text_bytes ||
	    document_look(view, verb, &after) != 0)
		return STATS_E_FOREIGN;
	if (after.sequence != document->sequence ||
	    hash_bytes(text, document->text_bytes) != document->hash)
		return STATS_E_TORN;
	text[bytes] = '\0';
	return 0;
}

/* One try; STATS_E_TORN: another one may do. */
static int text_read(const struct stats_view *view, enum stats_verb verb,
		     struct stats_document *document, char **text)
{
	char *grown;
	int r;

	r = document_look(view, verb, document);
	if (r != 0)
		return r;
	if (document->sequence % 2 == 1 || !is_size_sound(document))
		return STATS_E_TORN;
	if (!is_place_sound(document) || document->status > 0 || document->status < -STATUS_MAX)
		return STATS_E_FOREIGN;
	if (document->status < 0)
		document->text_bytes = 0;
	grown = realloc(*text, document->text_bytes + 1);
	if (!grown)
		return -ENOMEM;
	grown[0] = '\0';
	*text = grown;
	return document->status < 0 ? 0 : text_copy(view, verb, document, grown);
}

int stats_view_read(struct stats_view *view, enum stats_verb verb,
		    struct stats_document *ret_document, char **ret_text)
{
	const struct timespec pause = clock_timespec(TRY_NS);
	struct stats_document document;
	char *text = NULL;
	uint32_t tries = 1;
	int r;

	r = text_read(view, verb, &document, &text);
	for (; r == STATS_E_TORN && tries < TRIES_MAX; tries++) {
		nanosleep(&pause, NULL);
		r = text_read(view, verb, &document, &text);
	}
	if (r != 0) {
		free(text);
		return r;
	}
	*ret_document = document;
	*ret_text = text;
	return 0;
}

void stats_view_close(struct stats_view *view)
{
	close(view->fd);
	view->fd = -1;
}
