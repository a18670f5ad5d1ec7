/* SPDX-License-Identifier: MIT */
/*
 * daemon/ops/page/page.h - the stats page of this daemon, beside its socket (base/stats_page.h)
 *
 * Owns:     the file, where it could make one, and the mapping of its head
 * Threads:  the control thread; the data thread writes the counters of the head
 * Units:    ns
 * Errors:   none that anybody has to handle: without a page, the log says so and everything else goes on
 *
 * Where nobody may make files beside the socket, a file that its administrator has put there for the
 * daemon's user is written in place (systemd/hearth.tmpfiles).
 */
#ifndef HEARTH_OPS_PAGE_PAGE_H
#define HEARTH_OPS_PAGE_PAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/stats_page.h"
#include "ops/options.h"

#define PAGE_PATH_BYTES 128

struct control;

struct page {
	struct stats_page *head; /* NULL: there is none */
	int fd;
	bool is_made;      /* here; else it stays when the daemon ends */
	bool is_in_memory; /* and the head is mapped; else it is a copy, which page_put writes */
	bool has_failed;   /* the copy was not written: the page is to be given up */
	char path[PAGE_PATH_BYTES];
	char *text; /* of the document that is being written */

	bool is_touched;     /* something has happened beside requests */
	bool is_mem_touched; /* since mem was written */
	bool wants_mem;      /* now: a version has come or gone */
	uint64_t activity_seen;
	uint64_t event_seen;
	uint64_t changed_ns;    /* when something was last seen to have changed, */
	uint32_t settled_count; /* and how often it was written after that */
	uint64_t due_ns;        /* before that nothing but mem is written */
	uint64_t mem_ns;        /* when mem was written, */
	uint64_t mem_cost_ns;   /* and how long that took */
};

/* The sockets are there; nothing is given up yet. */
void page_open(struct page *page, const struct options *options, bool owns_sockets);
/* Where the data loop shall count; NULL: in memory of its own. */
struct stats_counters *page_counters(struct page *page);
/* Into the file, with the calls that the sandbox allows: 0, or -errno. */
int page_put(const struct page *page, uint64_t offset, const void *bytes, uint64_t byte_count);
/* A page that cannot be written would tell of a daemon that hangs. */
void page_give_up(struct page *page);
/* All that a page has, at once. */
void page_write(struct control *control);
/* At each tick: that the loop lives, and what has changed. */
void page_tick(struct control *control, uint64_t now_ns);
/* The daemon stops as it should. What it counts goes on until the page is closed. */
void page_end(struct page *page);
void page_close(struct page *page);

#endif
