/* SPDX-License-Identifier: MIT */
/*
 * tools/hearthctl/page.h - what can be read of a daemon that does not answer (base/stats_page.h)
 *
 * Owns:     the view, from page_open to page_close
 * Threads:  one
 * Errors:   exit codes, with a sentence on stderr
 */
#ifndef HEARTH_TOOLS_HEARTHCTL_PAGE_H
#define HEARTH_TOOLS_HEARTHCTL_PAGE_H

#include "base/stats_page.h"
#include "tools/hearthctl/command.h"
#include "tools/hearthctl/talk.h"

#define PAGE_TEXT_BYTES 512

enum page_state {
	PAGE_NONE,  /* it cannot be read, or its daemon has stopped as it should */
	PAGE_ALIVE,
	PAGE_HUNG,
	PAGE_ENDED, /* without a word */
};

struct page {
	enum page_state state;
	struct stats_view view;     /* unless it is PAGE_NONE */
	char why[PAGE_TEXT_BYTES];  /* PAGE_NONE: there is none; hung or ended: since when, and what to do */
	char path[128];
};

void page_open(struct page *page, const char *socket_path);
/* Looks again. */
void page_look(struct page *page);
/* It beats, and has not answered for so long: that is a hang, too. */
void page_give_up(struct page *page, double timeout_s);
void page_close(struct page *page);

/* The rows of a question's verb. Says once why they come from here, and how old they are. */
int page_ask(struct page *page, const json_t *question, talk_row row, void *context);

/* What it said is gone from the screen: it says it again. */
void page_tell_again(void);

/* Asks the admin socket for a change, and waits as long as the daemon lives, or --timeout says. One that
 * hangs, or begins to meanwhile, is told. */
int page_tell(const struct invocation *invocation, const json_t *question, talk_row row, void *context);

#endif
