/* SPDX-License-Identifier: MIT */
/*
 * tools/hearthctl/watch.c - -w: a command is run again and again, and what it says shown
 *
 * What a command prints is put together in memory first. So a terminal gets a screen at once: each
 * line goes over the one that was there, and what it was longer by is erased; nothing is blank in
 * between. And what a daemon that is away makes of every question is said once.
 */
#include "tools/hearthctl/watch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "tools/hearthctl/capture.h"
#include "tools/hearthctl/listing.h"
#include "tools/hearthctl/page.h"

/* --- a daemon that goes and comes ------------------------------------------------------------ */

int watch_ask(struct watch *watch, int (*ask)(void *context), void *context)
{
	struct capture errors;
	bool is_away;
	int code;

	(void)capture_begin(&errors, &stderr);
	code = ask(context);
	capture_end(&errors);
	is_away = code == EXIT_UNREACHABLE;
	if (errors.text && !(is_away && watch->is_away))
		fputs(errors.text, stderr);
	capture_deinit(&errors);
	if (watch->is_away && !is_away)
		complain(code, "hearthd answers again");
	watch->is_away = is_away;
	watch->has_answered |= code == EXIT_OK;
	return code;
}

void watch_wait(struct watch *watch, double seconds)
{
	uint64_t interval_ns = (uint64_t)(seconds * 1e9);
	uint64_t now_ns = clock_ns();
	struct timespec due;

	if (watch->due_ns == 0)
		watch->due_ns = now_ns;
	watch->due_ns += interval_ns;
	if (watch->due_ns < now_ns)
		watch->due_ns = now_ns;
	due = clock_timespec(watch->due_ns);
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL) == EINTR)
		;
}

/* --- a screen ---------------------------------------------------------------------------------- */

/* What of a line fits `columns`: characters of UTF-8 count, sequences that choose a style do not. */
static const char *line_print(const char *line, int columns)
{
	for (; *line && *line != '\n'; line++) {
		bool is_sequence = *line == '\033';

		if (is_sequence)
			for (; *line && *line != 'm' && *line != '\n'; line++)
				putchar(*line);
		else if (((unsigned char)*line & 0xc0) != 0x80)
			columns--;
		if (*line == '\n' || *line == '\0')
			break;
		if (is_sequence || columns >= 0)
			putchar(*line);
	}
	/* A terminal whose last column is written erases that one. */
	fputs(columns > 0 ? "\033[K\n" : "\n", stdout);
	return *line == '\n' ? line + 1 : line;
}

/* The last line stays empty, for the cursor, and for who interrupts. */
static void screen_show(const struct invocation *invocation, const char *const parts[2])
{
	struct winsize size = {.ws_row = 24, .ws_col = 80};
	time_t seconds = time(NULL);
	char title[128], now[32];
	struct tm local;
	int rows;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row < 2 || size.ws_col < 1)
		size = (struct winsize){.ws_row = 24, .ws_col = 80};
	rows = size.ws_row - 1;
	strftime(now, sizeof(now), "%F %T", localtime_r(&seconds, &local));
	snprintf(title, sizeof(title), "%s  hearthctl %s, every %g s", now, invocation->verb,
		 invocation->watch_s);
	fputs("\033[H", stdout);
	line_print(title, size.ws_col);
	rows--;
	for (unsigned part = 0; part < 2; part++)
		for (const char *line = parts[part]; line && *line && rows > 0; rows--)
			line = line_print(line, size.ws_col);
	fputs("\033[J", stdout);
}

/* --- a command ----------------------------------------------------------------------------------- */

struct turn {
	const struct invocation *invocation;
	int (*run)(const struct invocation *invocation);
	struct capture output;
};

static int turn_ask(void *context)
{
	struct turn *turn = context;
	int code;

	if (capture_begin(&turn->output, &stdout) < 0)
		return complain(EXIT_FAILED, "no memory for what is shown");
	code = turn->run(turn->invocation);
	capture_end(&turn->output);
	return code;
}

static int screen_ask(struct watch *watch, struct turn *turn)
{
	struct capture errors = {0};
	int code;

	if (watch->has_answered)
		(void)capture_begin(&errors, &stderr);
	page_tell_again();
	code = turn_ask(turn);
	watch->has_answered |= code == EXIT_OK;
	capture_end(&errors);
	if (watch->has_answered || turn->output.bytes > 0)
		screen_show(turn->invocation, (const char *const[2]){
						      turn->output.text,
						      errors.text,
					      });
	capture_deinit(&errors);
	return code;
}

static int block_ask(struct watch *watch, struct turn *turn, bool has_told)
{
	int code = watch_ask(watch, turn_ask, turn);

	if (turn->output.bytes == 0)
		return code;
	if (has_told && !turn->invocation->is_json && !turn->invocation->is_prom)
		putchar('\n');
	fputs(turn->output.text, stdout);
	return code;
}

int watch_run(const struct invocation *invocation, int (*run)(const struct invocation *invocation))
{
	bool is_screen = isatty(STDOUT_FILENO) && !invocation->is_json && !invocation->is_prom;
	struct watch watch = {0};
	bool is_first = true, has_told = false;
	int code;

	for (;;) {
		struct turn turn = {.invocation = invocation, .run = run};
		bool tells;

		code = is_screen ? screen_ask(&watch, &turn) : block_ask(&watch, &turn, has_told);
		tells = turn.output.bytes > 0;
		capture_deinit(&turn.output);
		if (listing_flush() != EXIT_OK)
			return EXIT_FAILED;
		/* Doctor's failure is what it found, and told; another first one is the user's mistake. */
		if (is_first && code != EXIT_OK && (code != EXIT_FAILED || !tells))
			return code;
		watch.has_answered = true;
		is_first = false;
		has_told |= tells;
		watch_wait(&watch, invocation->watch_s);
	}
}
