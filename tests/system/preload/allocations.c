/* SPDX-License-Identifier: MIT */
/*
 * tests/system/preload/allocations.c - counts what is allocated and freed, and who did it
 *
 * Preloaded into hearthd; hands every call on to glibc's own functions.
 */
#include "tests/system/preload/allocations.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define DATA_THREAD "hearth-data"

extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *memory, size_t bytes);
extern void *__libc_memalign(size_t alignment, size_t bytes);
extern void __libc_free(void *memory);

static struct allocations *counts;

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv(ALLOCATIONS_FILE);
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *memory;

	if (fd < 0)
		return;
	memory = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (memory != MAP_FAILED)
		counts = memory;
}

static void count(void)
{
	char name[16] = "";

	if (!counts)
		return;
	__atomic_add_fetch(&counts->all, 1, __ATOMIC_RELAXED);
	prctl(PR_GET_NAME, name);
	if (strcmp(name, DATA_THREAD) == 0)
		__atomic_add_fetch(&counts->data, 1, __ATOMIC_RELAXED);
}

void *malloc(size_t bytes)
{
	count();
	return __libc_malloc(bytes);
}

void *calloc(size_t number, size_t bytes)
{
	count();
	return __libc_calloc(number, bytes);
}

void *realloc(void *memory, size_t bytes)
{
	count();
	return __libc_realloc(memory, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
	count();
	return __libc_memalign(alignment, bytes);
}

int posix_memalign(void **ret_memory, size_t alignment, size_t bytes)
{
	void *memory;

	count();
	memory = __libc_memalign(alignment, bytes);
	if (!memory)
		return ENOMEM;
	*ret_memory = memory;
	return 0;
}

void free(void *memory)
{
	count();
	__libc_free(memory);
}
