/* SPDX-License-Identifier: MIT */
/* daemon/memory/resident.c - a byte of each page written, or the kernel asked for all of a segment */
#include "memory/resident.h"

#include <link.h>
#include <linux/mman.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE_BYTES 4096u /* or a multiple of it */
#define STACK_BYTES (64u << 10) /* several times what the request path takes */

/* Volatile, or it would be known that the memory holds zeros already. */
void resident_touch(void *memory, size_t bytes)
{
	volatile uint8_t *at = memory;
	size_t offset;

	for (offset = 0; offset < bytes; offset += PAGE_BYTES)
		at[offset] = 0;
	if (bytes > 0)
		at[bytes - 1] = 0;
}

void *resident_alloc(size_t count, size_t bytes)
{
	void *memory = calloc(count, bytes);

	if (memory)
		resident_touch(memory, count * bytes);
	return memory;
}

__attribute__((noinline)) void resident_stack(void)
{
	uint8_t stack[STACK_BYTES];

	resident_touch(stack, sizeof(stack));
}

static int object_populate(struct dl_phdr_info *object, size_t info_bytes, void *context)
{
	uintptr_t page_mask = ~((uintptr_t)sysconf(_SC_PAGESIZE) - 1);
	uint32_t index;

	(void)info_bytes;
	(void)context;
	for (index = 0; index < object->dlpi_phnum; index++) {
		const ElfW(Phdr) *segment = object->dlpi_phdr + index;
		uintptr_t begin = (object->dlpi_addr + segment->p_vaddr) & page_mask;
		uintptr_t end = object->dlpi_addr + segment->p_vaddr + segment->p_memsz;

		if (segment->p_type == PT_LOAD)
			(void)madvise((void *)begin, end - begin, MADV_POPULATE_READ);
	}
	return 0;
}

void resident_program(void)
{
	dl_iterate_phdr(object_populate, NULL);
}
