/* SPDX-License-Identifier: MIT */
/* daemon/ops/page/page.c - the file: made and renamed, or taken where it stands */
#include "ops/page/page.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "shm/barrier.h"

#define NEW_SUFFIX ".new"

/* --- the file ------------------------------------------------------------------------------------ */

/* One of ours that was not renamed is from a daemon that ended before. */
static int file_make(struct page *page, const char *new_path)
{
	unlink(new_path);
	page->fd = open(new_path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (page->fd < 0)
		return err_raise(-errno, "cannot make %s: %s", new_path, strerror(errno));
	page->is_made = true;
	return 0;
}

/* What is not this user's alone could be anything. */
static int file_take(struct page *page)
{
	struct stat status;

	page->fd = open(page->path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (page->fd < 0)
		return err_raise(-errno, "nor write it: %s", strerror(errno));
	if (fstat(page->fd, &status) < 0 || !S_ISREG(status.st_mode) || status.st_nlink != 1 ||
	    status.st_uid != geteuid())
		return err_raise(-EPERM, "nor take it: it is no file of uid %u's alone", geteuid());
	return 0;
}

/* Whoever may connect may read: its group is the infer socket's. */
static int file_give(const struct page *page, const struct options *options, bool owns_sockets)
{
	const struct passwd *user = options->user ? getpwnam(options->user) : NULL;
	struct stat status;
	gid_t gid;

	if (stat(options->socket, &status) < 0)
		return err_raise(-errno, "%s is not there: %s", options->socket, strerror(errno));
	gid = status.st_gid;
	if (user && user->pw_uid != geteuid() && owns_sockets && !options->group)
		gid = user->pw_gid; /* as the socket's will be */
	if (fchmod(page->fd, 0600) < 0 || (user && fchown(page->fd, user->pw_uid, (gid_t)-1) < 0))
		return err_raise(-errno, "cannot give it to its user: %s", strerror(errno));
	if (fchown(page->fd, (uid_t)-1, gid) < 0 || fchmod(page->fd, 0640) < 0)
		log_line(LOG_LEVEL_WARNING, "%s cannot be given to group %u: %s; nobody but its owner "
			 "reads it", page->path, gid, strerror(errno));
	return 0;
}

/* --- the head ------------------------------------------------------------------------------------ */

int page_put(const struct page *page, uint64_t offset, const void *bytes, uint64_t byte_count)
{
	ssize_t written;

	if (lseek(page->fd, (off_t)offset, SEEK_SET) < 0)
		return -errno;
	written = write(page->fd, bytes, byte_count);
	if (written < 0)
		return -errno;
	return (uint64_t)written == byte_count ? 0 : -ENOSPC;
}

/* What was written before it is mapped has its memory: no store finds the file system full. Of a disk
 * that is not so. */
static int head_map(struct page *page)
{
	void *head;

	page->is_in_memory = stats_is_in_memory(page->fd);
	if (!page->is_in_memory) {
		page->head = calloc(1, STATS_PAGE_HEAD_BYTES);
		return page->head ? 0 : err_raise(-ENOMEM, "no memory for its head");
	}
	head = mmap(NULL, STATS_PAGE_HEAD_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
		    page->fd, 0);
	if (head == MAP_FAILED)
		return err_raise(-errno, "cannot map it: %s", strerror(errno));
	(void)mlock(head, STATS_PAGE_HEAD_BYTES);
	page->head = head;
	return 0;
}

static int head_make(struct page *page)
{
	static const uint8_t zeros[STATS_PAGE_HEAD_BYTES];
	int r;

	if (ftruncate(page->fd, 0) < 0)
		return err_raise(-errno, "cannot empty it: %s", strerror(errno));
	r = page_put(page, 0, zeros, sizeof(zeros));
	if (r < 0)
		return err_raise(r, "cannot write it: %s", strerror(-r));
	r = head_map(page);
	if (r < 0)
		return err_trace(r);
	stats_page_init(page->head);
	if (!page->is_in_memory)
		r = page_put(page, 0, page->head, sizeof(*page->head));
	if (r < 0)
		return err_raise(r, "cannot write its head: %s", strerror(-r));
	if (ftruncate(page->fd, (off_t)page->head->total_bytes) < 0)
		return err_raise(-errno, "cannot make it %llu bytes long: %s",
				 (unsigned long long)page->head->total_bytes, strerror(errno));
	return 0;
}

static int page_make(struct page *page, const struct options *options, bool owns_sockets)
{
	char new_path[PAGE_PATH_BYTES + sizeof(NEW_SUFFIX)];
	int r;

	snprintf(new_path, sizeof(new_path), "%s" NEW_SUFFIX, page->path);
	page->text = malloc(STATS_TEXT_BYTES_MAX);
	if (!page->text)
		return err_raise(-ENOMEM, "no memory for it");
	r = file_make(page, new_path);
	if (r < 0 && access(page->path, F_OK) == 0)
		r = file_take(page);
	if (r == 0)
		r = file_give(page, options, owns_sockets);
	if (r == 0)
		r = head_make(page);
	if (r == 0 && page->is_made && rename(new_path, page->path) < 0)
		r = err_raise(-errno, "cannot rename %s: %s", new_path, strerror(errno));
	if (r < 0 && page->is_made)
		unlink(new_path);
	return r < 0 ? err_trace(r) : 0;
}

/* --- start and stop ------------------------------------------------------------------------------ */

void page_open(struct page *page, const struct options *options, bool owns_sockets)
{
	memset(page, 0, sizeof(*page));
	page->fd = -1;
	page->is_touched = true;
	snprintf(page->path, sizeof(page->path), "%s" STATS_PAGE_SUFFIX, options->socket);
	if (page_make(page, options, owns_sockets) < 0) {
		log_line(LOG_LEVEL_WARNING, "no stats page %s, so nothing can be read of this daemon "
			 "while it hangs: %s", page->path, err_message());
		page->is_made = false;
		page_close(page);
	} else if (!page->is_in_memory) {
		log_line(LOG_LEVEL_INFO, "%s is not in memory (/run is): its totals are those of the "
			 "last half second", page->path);
	}
}

struct stats_counters *page_counters(struct page *page)
{
	/* The data thread can write no file. */
	return page->head && page->is_in_memory ? &page->head->counters : NULL;
}

void page_end(struct page *page)
{
	if (!page->head)
		return;
	stats_page_beat(page->head);
	hearth_store_relaxed(&page->head->stopped_unix_ns, page->head->beat_unix_ns);
	if (!page->is_in_memory)
		(void)page_put(page, 0, page->head, sizeof(*page->head));
	if (page->is_made)
		unlink(page->path);
}

void page_give_up(struct page *page)
{
	/* Who may not remove it may empty it all the same: it is open. */
	bool is_empty = ftruncate(page->fd, 0) == 0;
	bool is_gone = page->is_made && unlink(page->path) == 0;

	log_line(LOG_LEVEL_WARNING, "the stats page %s cannot be written any more, and %s", page->path,
		 is_empty || is_gone ? "is given up" : "tells of a daemon that hangs");
	page_close(page);
}

void page_close(struct page *page)
{
	if (page->head && page->is_in_memory)
		munmap(page->head, STATS_PAGE_HEAD_BYTES);
	else
		free(page->head);
	if (page->fd >= 0)
		close(page->fd);
	free(page->text);
	page->head = NULL;
	page->text = NULL;
	page->fd = -1;
}
