/* SPDX-License-Identifier: MIT */
/*
 * tests/nth/preload/failures.c - lets the n-th allocation of a program fail, once or for ever
 *
 * Preloaded; counts from main() on, which it finds by standing in front of
 * __libc_start_main. What does not fail is handed on to glibc's own functions.
 */
#include "tests/nth/preload/failures.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define FRAMES_MAX 8
#define FRAMES_OWN 3 /* site_of, is_to_fail, malloc */
#define DESCRIPTORS_MAX 4096
#define HASH_START UINT64_C(14695981039346656037) /* FNV-1a */
#define HASH_FACTOR UINT64_C(1099511628211)

extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *memory, size_t bytes);
extern void *__libc_memalign(size_t alignment, size_t bytes);
extern void __libc_free(void *memory);

typedef int (*main_function)(int, char **, char **);
typedef int (*start_function)(main_function, int, char **, void (*)(void), void (*)(void),
			      void (*)(void), void *);

static struct failures *failures; /* from main() on */
static main_function real_main;

/* --- whether this one fails ------------------------------------------------------------------- */

static __attribute__((noinline)) uint64_t site_of(void)
{
	void *frames[FRAMES_MAX + FRAMES_OWN];
	uint64_t hash = HASH_START;
	int count = backtrace(frames, FRAMES_MAX + FRAMES_OWN);
	int index;

	for (index = FRAMES_OWN; index < count; index++)
		hash = (hash ^ (uint64_t)(uintptr_t)frames[index]) * HASH_FACTOR;
	return hash;
}

static __attribute__((noinline)) bool is_to_fail(void)
{
	static __thread __attribute__((tls_model("initial-exec"))) bool is_inside;
	uint64_t number;

	if (!failures || is_inside)
		return false;
	is_inside = true;
	number = __atomic_add_fetch(&failures->calls, 1, __ATOMIC_RELAXED);
	if (failures->has_sites && number <= FAILURES_CALLS_MAX)
		failures->sites[number - 1] = site_of();
	is_inside = false;
	if (!failures->fail_at || number < failures->fail_at ||
	    (number > failures->fail_at && !failures->for_ever))
		return false;
	__atomic_add_fetch(&failures->failed, 1, __ATOMIC_RELAXED);
	errno = ENOMEM;
	return true;
}

static void *counted(void *memory)
{
	if (failures && memory)
		__atomic_add_fetch(&failures->live, 1, __ATOMIC_RELAXED);
	return memory;
}

static void uncounted(const void *memory)
{
	if (failures && memory)
		__atomic_sub_fetch(&failures->live, 1, __ATOMIC_RELAXED);
}

/* --- in place of glibc's ---------------------------------------------------------------------- */

void *malloc(size_t bytes)
{
	return is_to_fail() ? NULL : counted(__libc_malloc(bytes));
}

void *calloc(size_t number, size_t bytes)
{
	return is_to_fail() ? NULL : counted(__libc_calloc(number, bytes));
}

void *realloc(void *memory, size_t bytes)
{
	void *moved;

	if (is_to_fail())
		return NULL;
	moved = __libc_realloc(memory, bytes);
	if (moved && !memory)
		counted(moved);
	if (!moved && bytes == 0)
		uncounted(memory);
	return moved;
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
	return is_to_fail() ? NULL : counted(__libc_memalign(alignment, bytes));
}

int posix_memalign(void **ret_memory, size_t alignment, size_t bytes)
{
	void *memory = is_to_fail() ? NULL : counted(__libc_memalign(alignment, bytes));

	if (!memory)
		return ENOMEM;
	*ret_memory = memory;
	return 0;
}

void free(void *memory)
{
	uncounted(memory);
	__libc_free(memory);
}

/* --- from main() to its end ------------------------------------------------------------------- */

static struct failures *map(void)
{
	const char *path = getenv(FAILURES_FILE);
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *memory;

	if (fd < 0)
		return NULL;
	memory = mmap(NULL, sizeof(struct failures), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return memory == MAP_FAILED ? NULL : memory;
}

static int counted_main(int argc, char **argv, char **environment)
{
	struct failures *mapped = map();
	void *frame;
	int status;
	int fd;

	/* The first one loads the unwinder. */
	(void)!backtrace(&frame, 1);
	if (getenv(FAILURES_STOP)) {
		prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
		raise(SIGSTOP);
	}
	failures = mapped;
	status = real_main(argc, argv, environment);
	failures = NULL;
	if (!mapped)
		return status;
	mapped->live_at_end = mapped->live;
	/* Not where a tracer would count these calls, too. */
	for (fd = 0; fd < DESCRIPTORS_MAX && !getenv(FAILURES_STOP); fd++)
		mapped->descriptors_at_end += fcntl(fd, F_GETFD) >= 0;
	mapped->has_ended = 1;
	return status;
}

int __libc_start_main(main_function program, int argc, char **argv, void (*init)(void),
		      void (*fini)(void), void (*loader_fini)(void), void *stack_end);

int __libc_start_main(main_function program, int argc, char **argv, void (*init)(void),
		      void (*fini)(void), void (*loader_fini)(void), void *stack_end)
{
	start_function start = (start_function)dlsym(RTLD_NEXT, "__libc_start_main");

	real_main = program;
	return start(counted_main, argc, argv, init, fini, loader_fini, stack_end);
}
