/* SPDX-License-Identifier: MIT */
/* daemon/ops/page/page.c - the file: made and renamed, or taken where it stands */
#include "ops/page/page.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
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

/* A page that is written before it is mapped has its memory: no store finds the file system full. */
static int head_map(struct page *page)
{
	static const uint8_t zeros[STATS_PAGE_HEAD_BYTES];
	struct statfs system;
	void *head;

	if (ftruncate(page->fd, 0) < 0 || lseek(page->fd, 0, SEEK_SET) < 0 ||
	    write(page->fd, zeros, sizeof(zeros)) != sizeof(zeros))
		return err_raise(errno ? -errno : -ENOSPC, "cannot write it: %s", strerror(errno));
	head = mmap(NULL, STATS_PAGE_HEAD_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
		    page->fd, 0);
	if (head == MAP_FAILED)
		return err_raise(-errno, "cannot map it: %s", strerror(errno));
	(void)mlock(head, STATS_PAGE_HEAD_BYTES);
	page->head = head;
	stats_page_init(head);
	if (ftruncate(page->fd, (off_t)page->head->total_bytes) < 0)
		return err_raise(-errno, "cannot make it %llu bytes long: %s",
				 (unsigned long long)page->head->total_bytes, strerror(errno));
	page->is_in_memory = fstatfs(page->fd, &system) == 0 &&
			     (system.f_type == TMPFS_MAGIC || system.f_type == RAMFS_MAGIC);
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
		r = head_map(page);
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
	/* A store into a page of a disk's may have to wait for the disk. */
	return page->head && page->is_in_memory ? &page->head->counters : NULL;
}

void page_end(struct page *page)
{
	if (!page->head)
		return;
	stats_page_beat(page->head);
	hearth_store_relaxed(&page->head->stopped_unix_ns, page->head->beat_unix_ns);
	if (page->is_made)
		unlink(page->path);
}

void page_close(struct page *page)
{
	if (page->head)
		munmap(page->head, STATS_PAGE_HEAD_BYTES);
	if (page->fd >= 0)
		close(page->fd);
	free(page->text);
	page->head = NULL;
	page->text = NULL;
	page->fd = -1;
}
