/* SPDX-License-Identifier: MIT */
/*
 * tools/hearthctl/top/top.c - top: the daemon is asked once an interval, and keys are obeyed meanwhile
 *
 * What the questions complain about is one line of the head: who goes, hangs or comes again. A signal
 * that ends the program ends the screen first, and the program then.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "tools/hearthctl/capture.h"
#include "tools/hearthctl/page.h"
#include "tools/hearthctl/top/screen.h"

#define INTERVAL_SECONDS 1.0
#define ANSWER_SECONDS 2.0 /* no key is obeyed so long */
#define NOTE_BYTES 512
/* Counting pages takes the daemon 25 ms a GiB: it is asked for that more seldom. */
#define MEMORY_NS (5 * CLOCK_NS_PER_S)

struct top {
	struct invocation invocation;
	double interval_s;
	struct reading readings[2];
	uint32_t last; /* of them, the one that was answered */
	struct figures figures;
	struct screen screen;
	uint64_t asked_ns;    /* the last question's end */
	uint64_t answered_ns;
	uint64_t memory_due_ns;
	bool is_paused;
	char note[NOTE_BYTES];
	int signal_fd;
	sigset_t ordinary; /* signals that were blocked before */
	sigset_t waiting;  /* and while it waits */
	int ended_by;      /* a signal; 0: none */
};

/* --- questions ------------------------------------------------------------------------------------- */

static int memory_ask(struct top *top, struct reading *reading)
{
	int code = EXIT_OK;

	if (reading->at_ns >= top->memory_due_ns) {
		code = listing_ask_verb(&reading->listing, "mem", reading_add_pool);
		if (code == EXIT_OK)
			top->memory_due_ns = reading->at_ns + MEMORY_NS;
	}
	if (reading->pool_count == 0)
		reading_keep_pools(reading, &top->readings[top->last]);
	return code;
}

static int reading_ask(struct top *top, struct reading *reading)
{
	static const struct {
		const char *verb;
		talk_row row;
	} questions[] = {
		{"status", reading_add_status},
		{"models", reading_add_model},
		{"latency", reading_add_latency},
		{"clients", reading_add_client},
	};
	int code = EXIT_OK;

	reading_begin(reading, clock_ns());
	reading->listing.invocation = &top->invocation;
	for (size_t at = 0; at < sizeof(questions) / sizeof(questions[0]) && code == EXIT_OK; at++)
		code = listing_ask_verb(&reading->listing, questions[at].verb, questions[at].row);
	if (code == EXIT_OK)
		code = memory_ask(top, reading);
	if (code == EXIT_OK && reading->lacks_memory)
		code = complain(EXIT_FAILED, "no memory for what hearthd answered");
	reading->has_answer = code == EXIT_OK;
	return code;
}

/* The first line of it, without the program's name. */
static void note_take(struct top *top, const char *errors)
{
	static const char prefix[] = "hearthctl: ";
	size_t bytes;

	if (strncmp(errors, prefix, sizeof(prefix) - 1) == 0)
		errors += sizeof(prefix) - 1;
	bytes = strcspn(errors, "\n");
	snprintf(top->note, sizeof(top->note), "%.*s", (int)bytes, errors);
}

/* Who does not answer leaves the figures as they are. */
static int top_ask(struct top *top, bool is_first)
{
	struct reading *before = &top->readings[top->last];
	struct reading *now = &top->readings[!top->last];
	struct capture errors;
	int code;

	(void)capture_begin(&errors, &stderr);
	page_tell_again();
	code = reading_ask(top, now);
	capture_end(&errors);
	if (errors.text && is_first && code != EXIT_OK)
		fputs(errors.text, stderr);
	note_take(top, errors.text ? errors.text : "");
	capture_deinit(&errors);
	top->asked_ns = clock_ns();
	if (code != EXIT_OK)
		return code;
	top->answered_ns = top->asked_ns;
	figures_make(&top->figures, before, now);
	top->last = !top->last;
	return code;
}

/* --- keys ------------------------------------------------------------------------------------------ */

static void scroll(uint32_t *first, int64_t by)
{
	int64_t there = (int64_t)*first + by;

	*first = there > 0 ? (uint32_t)there : 0;
}

static void table_obey(struct top *top, int key)
{
	struct screen *screen = &top->screen;
	struct figures_table *table = &top->figures.tables[screen->chosen];
	uint32_t *row = &screen->first_rows[screen->chosen];
	uint32_t *column = &screen->first_columns[screen->chosen];

	switch (key) {
	case SCREEN_UP:
		scroll(row, -1);
		break;
	case SCREEN_DOWN:
		scroll(row, 1);
		break;
	case SCREEN_PAGE_UP:
		scroll(row, -(int64_t)screen->page_rows);
		break;
	case SCREEN_PAGE_DOWN:
		scroll(row, screen->page_rows);
		break;
	case SCREEN_LEFT:
		scroll(column, -1);
		break;
	case SCREEN_RIGHT:
		scroll(column, 1);
		break;
	case SCREEN_SORT:
		table->sort_column = (table->sort_column + 1) % table->column_count;
		table->is_reverse = false;
		figures_sort(table);
		break;
	case SCREEN_REVERSE:
		table->is_reverse = !table->is_reverse;
		figures_sort(table);
		break;
	default:
		break;
	}
}

/* Whether to go on. */
static bool key_obey(struct top *top, int key)
{
	struct screen *screen = &top->screen;

	if (key == SCREEN_QUIT)
		return false;
	if (screen->is_help) {
		screen->is_help = key == SCREEN_RESIZED;
		return true;
	}
	if (key == SCREEN_HELP)
		screen->is_help = true;
	else if (key == SCREEN_PAUSE)
		top->is_paused = !top->is_paused;
	else if (key == SCREEN_TABLE)
		screen->chosen = (screen->chosen + 1) % FIGURES_KINDS;
	else if (key == SCREEN_TABLE_BACK)
		screen->chosen = (screen->chosen + FIGURES_KINDS - 1) % FIGURES_KINDS;
	else if (key > SCREEN_DIGIT)
		top->interval_s = key - SCREEN_DIGIT;
	else
		table_obey(top, key);
	return true;
}

static bool keys_obey(struct top *top)
{
	int key;

	while ((key = screen_read(&top->screen)) != SCREEN_NONE)
		if (!key_obey(top, key))
			return false;
	return true;
}

/* --- signals --------------------------------------------------------------------------------------- */

/* Those that end the program come as bytes; that of a new size comes where it is waited for. */
static int signals_take(struct top *top)
{
	static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	sigset_t set;

	sigemptyset(&set);
	for (size_t at = 0; at < sizeof(ending) / sizeof(ending[0]); at++)
		sigaddset(&set, ending[at]);
	top->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (top->signal_fd < 0)
		return complain(EXIT_FAILED, "signals cannot be read: %s", strerror(errno));
	sigaddset(&set, SIGWINCH);
	sigprocmask(SIG_BLOCK, &set, &top->ordinary);
	sigorset(&top->waiting, &top->ordinary, &set);
	sigdelset(&top->waiting, SIGWINCH);
	return EXIT_OK;
}

/* Who waits for this program learns how it ended. */
static void signals_give_back(struct top *top)
{
	close(top->signal_fd);
	if (top->ended_by > 0) {
		signal(top->ended_by, SIG_DFL);
		raise(top->ended_by);
	}
	sigprocmask(SIG_SETMASK, &top->ordinary, NULL);
}

static uint64_t due_ns(const struct top *top)
{
	return top->asked_ns + (uint64_t)(top->interval_s * 1e9);
}

/* Until a key, a signal or the next question. Whether to go on. */
static bool top_wait(struct top *top)
{
	struct pollfd events[] = {
		{.fd = STDIN_FILENO, .events = POLLIN},
		{.fd = top->signal_fd, .events = POLLIN},
	};
	uint64_t now_ns = clock_ns();
	uint64_t left_ns = due_ns(top) > now_ns ? due_ns(top) - now_ns : 0;
	struct timespec left = clock_timespec(left_ns);
	struct signalfd_siginfo signal_info;

	if (ppoll(events, 2, top->is_paused ? NULL : &left, &top->waiting) < 0)
		return errno == EINTR;
	if (events[1].revents &&
	    read(top->signal_fd, &signal_info, sizeof(signal_info)) == sizeof(signal_info)) {
		top->ended_by = (int)signal_info.ssi_signo;
		return false;
	}
	return !(events[0].revents & (POLLHUP | POLLERR | POLLNVAL));
}

/* --- the loop -------------------------------------------------------------------------------------- */

static void top_draw(struct top *top)
{
	char state[64];

	if (top->is_paused)
		snprintf(state, sizeof(state), "paused");
	else if (top->answered_ns != top->asked_ns)
		snprintf(state, sizeof(state), "no answer for %" PRIu64 " s",
			 (top->asked_ns - top->answered_ns) / CLOCK_NS_PER_S);
	else
		snprintf(state, sizeof(state), "every %g s", top->interval_s);
	screen_draw(&top->screen, &top->figures, state, top->note);
}

static void top_loop(struct top *top)
{
	do {
		if (!top->is_paused && clock_ns() >= due_ns(top))
			(void)top_ask(top, false);
		top_draw(top);
	} while (top_wait(top) && keys_obey(top));
}

int top_run(const struct invocation *invocation)
{
	struct top top = {.invocation = *invocation, .interval_s = INTERVAL_SECONDS};
	int code;

	if (invocation->is_json)
		return complain(EXIT_USAGE, "top is for people; `hearthctl -o json stat` prints objects");
	code = screen_check();
	if (code != EXIT_OK)
		return code;
	if (invocation->seconds > 0)
		top.interval_s = invocation->seconds;
	if (top.invocation.timeout_s <= 0)
		top.invocation.timeout_s = ANSWER_SECONDS;
	figures_init(&top.figures);
	code = top_ask(&top, true);
	if (code == EXIT_OK)
		code = signals_take(&top);
	if (code == EXIT_OK) {
		code = screen_open(&top.screen);
		if (code == EXIT_OK)
			top_loop(&top);
		screen_close(&top.screen);
		signals_give_back(&top);
	}
	for (uint32_t at = 0; at < 2; at++)
		reading_deinit(&top.readings[at]);
	figures_deinit(&top.figures);
	return code;
}
