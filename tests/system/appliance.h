/* SPDX-License-Identifier: MIT */
/*
 * tests/system/appliance.h - a real hearthd with a repository of its own, started and ended by a test
 *
 *     int main(void)
 *     {
 *             Suite *suite = suite_create("ledger");
 *             ...
 *             return appliance_check(suite);
 *     }
 *
 *     START_TEST(...)
 *             struct appliance appliance;
 *
 *             appliance_open(&appliance, (const char *[]){ "--bell", "socket", NULL });
 *             ... hearth_open(appliance.socket, ...) ...
 *             appliance_close(&appliance);
 *
 * Owns:     a directory under TMPDIR, removed by appliance_check and appliance_campaign also when
 *           a test fails; the daemon, which dies with the process that started it
 * Threads:  one thread at a time
 * Errors:   what fails ends the test with a sentence; the logs of the daemons are printed then
 */
#ifndef HEARTH_TESTS_SYSTEM_APPLIANCE_H
#define HEARTH_TESTS_SYSTEM_APPLIANCE_H

#include <check.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define APPLIANCE_TEXT_BYTES 512

struct manager;
struct onnx_writer;

struct appliance {
	char directory[80];
	char repository[96]; /* models that are written into it can be loaded */
	char socket[96];
	char admin[112];
	char log[96];
	char config[96]; /* given with --config when it is there */
	/* A program and its arguments in front of hearthd's, NULL at the end; it must execute
	 * hearthd in its own process. NULL: none. */
	const char *const *wrapper;
	/* In the daemon's process, before it is one; NULL: nothing (manager.h). */
	void (*prepare)(const struct appliance *appliance);
	struct manager *manager;
	pid_t pid; /* 0: does not run */
	int control_fd; /* for questions: one for all, so that it changes no count */
};

/* Runs the suite with a room for its appliances; returns main's status. */
int appliance_check(Suite *suite);
/* The same for a program that is no suite. */
int appliance_campaign(void (*campaign)(void));

/* Adds version 1 of a model to the repository, before the start; frees the writer. */
void appliance_save(const struct appliance *appliance, const char *name,
		    struct onnx_writer *writer);

/* A directory with a copy of tests/data/shoppers/repository; nothing runs yet. */
void appliance_init(struct appliance *appliance);
/* Starts hearthd with --test-operations and `flags` (NULL at the end, or NULL) and waits until it
 * is ready. Again after appliance_kill or appliance_stop: on the same paths. */
void appliance_start(struct appliance *appliance, const char *const flags[]);
/* Starts it and waits for nothing. */
void appliance_launch(struct appliance *appliance, const char *const flags[]);
/* Waits until it has ended by itself, at most so long; returns what waitpid says. */
int appliance_await_end(struct appliance *appliance, int64_t patience_ns);
/* appliance_init and appliance_start. */
void appliance_open(struct appliance *appliance, const char *const flags[]);

/* Processes of other users reach its socket, which lies in directories of the test's own. */
void appliance_let_others_in(const struct appliance *appliance);

/* Starts it where it must refuse to: returns its exit status, and what it said. */
int appliance_refuse(struct appliance *appliance, const char *const flags[],
		     char text[APPLIANCE_TEXT_BYTES]);

/* SIGTERM; it must end with status 0 within 10 s (times the sanitizers' slowdown). */
void appliance_stop(struct appliance *appliance);
/* SIGSTOP and SIGCONT; a suspended one may be killed. */
void appliance_suspend(const struct appliance *appliance);
void appliance_resume(const struct appliance *appliance);
void appliance_kill(struct appliance *appliance); /* SIGKILL */
void appliance_close(struct appliance *appliance); /* stops it; it must still have run */

/* Copies a file or directory of the source tree, or any other, into the repository. */
void appliance_copy(const struct appliance *appliance, const char *from, const char *to);
/* Writes a file, for models that are none and for the config. */
void appliance_write(const char *path, const char *text);

/* Asks one verb; returns 0 or -errno of the last reply. `ret_rows` (an array, or NULL) is the
 * caller's; `text` (or NULL) is the error's sentence. */
int appliance_ask(const char *socket, const char *request, json_t **ret_rows,
		  char text[APPLIANCE_TEXT_BYTES]);
/* The rows of a verb that cannot fail. */
json_t *appliance_rows(const struct appliance *appliance, const char *verb);
/* One number of `status`. */
uint64_t appliance_number(const struct appliance *appliance, const char *key);
/* "1 2* 3!": the versions of all models below 9; the current one has a star, one that failed an
 * exclamation mark. Valid until the next call. */
const char *appliance_served(const struct appliance *appliance);
/* load, swap, unload; version 0 leaves it out. */
int appliance_change(const struct appliance *appliance, const char *verb, const char *model,
		     uint32_t version, char text[APPLIANCE_TEXT_BYTES]);

/* What the daemon holds, as the kernel counts it, beside what it keeps of segments that somebody
 * still maps. Loads and swaps come over connections of their
 * own, which may still be open the next moment. */
uint32_t appliance_descriptors(const struct appliance *appliance);
/* The same and the asker's own, when the daemon knows that all others have hung up. */
uint32_t appliance_descriptors_alone(const struct appliance *appliance);
uint32_t appliance_segments(const struct appliance *appliance); /* mappings of clients' segments */
double appliance_processor_s(const struct appliance *appliance); /* of all its threads, so far */
uint64_t appliance_resident_bytes(const struct appliance *appliance);
/* Waits until there are exactly so many clients, and descriptors and segments to match them. */
void appliance_await_clients(const struct appliance *appliance, uint32_t clients,
			     uint32_t descriptors);

#endif
