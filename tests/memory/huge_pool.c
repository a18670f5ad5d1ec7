/* SPDX-License-Identifier: MIT */
/* tests/memory/huge_pool.c - reserved huge pages of node 0 for a test, and where a span's pages are */
#include "tests/memory/huge_pool.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/mman.h>
#include <numaif.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#define POOL "/sys/devices/system/node/node0/hugepages/hugepages-2048kB/"
#define ALL_POOLS "/sys/kernel/mm/hugepages/hugepages-2048kB/"

#define GIANT_POOL "/sys/devices/system/node/node0/hugepages/hugepages-1048576kB/"

#define ATTEMPTS 200
#define PAUSE_US 100000

static int lock_fd = -1; /* on the pool's own file, as long as this program needs the pool */
static bool was_idle; /* when it was last looked at */
static long reserved_pages; /* added to the pool by this program */
static long giant_pages;

static long number_read(const char *path)
{
	long value = -1;
	FILE *file;

	file = fopen(path, "r");
	if (!file)
		return -1;
	if (fscanf(file, "%ld", &value) != 1)
		value = -1;
	fclose(file);
	return value;
}

static void pool_write(const char *path, long pages)
{
	FILE *file = fopen(path, "w");

	if (!file)
		return;
	fprintf(file, "%ld", pages);
	fclose(file);
}

/* Returns how many there are more. */
static long pages_add(const char *path, long pages)
{
	long before = number_read(path);

	pool_write(path, before + pages);
	return number_read(path) - before;
}

static void pages_remove(const char *path, long pages)
{
	if (pages > 0)
		pool_write(path, number_read(path) - pages);
}

/* Of two programs that count the machine's pages one waits for the other. */
static bool pool_lock(void)
{
	int fd;

	if (lock_fd >= 0)
		return true;
	fd = open(ALL_POOLS "nr_hugepages", O_RDONLY | O_CLOEXEC);
	for (int attempt = 0; fd >= 0 && attempt < ATTEMPTS; attempt++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
			lock_fd = fd;
			return true;
		}
		usleep(PAUSE_US);
	}
	if (fd >= 0)
		close(fd);
	return false;
}

static void pool_unlock(void)
{
	if (lock_fd >= 0) {
		flock(lock_fd, LOCK_UN);
		close(lock_fd);
	}
	lock_fd = -1;
}

static bool has_all_pages(void)
{
	return number_read(ALL_POOLS "free_hugepages") == number_read(ALL_POOLS "nr_hugepages") &&
	       number_read(ALL_POOLS "resv_hugepages") == 0;
}

/* Nobody has pages of it, or will have some without asking again. What an io_uring had registered comes
 * back some time after the process that ended with it: of a pool that was idle that is waited for. */
static bool pool_is_idle(void)
{
	for (int attempt = 0; was_idle && attempt < ATTEMPTS && !has_all_pages(); attempt++)
		usleep(PAUSE_US);
	was_idle = has_all_pages();
	return was_idle;
}

void pool_grow(void)
{
	if (number_read(POOL "nr_hugepages") >= 0 && pool_lock() && pool_is_idle())
		reserved_pages = pages_add(POOL "nr_hugepages", POOL_RESERVED_PAGES);
}

void pool_shrink(void)
{
	pages_remove(POOL "nr_hugepages", reserved_pages);
	reserved_pages = 0;
	pool_unlock();
}

bool pool_is_ours(void)
{
	if (number_read(ALL_POOLS "nr_hugepages") <= 0 || (pool_lock() && pool_is_idle()))
		return true;
	printf("SKIP: %s huge pages of the pool\n",
	       lock_fd < 0 ? "another test counts the" : "somebody else has");
	return false;
}

bool pool_is_ready(void)
{
	if (reserved_pages == POOL_RESERVED_PAGES)
		return pool_is_ours();
	printf("SKIP: no %d huge pages of 2 MiB could be reserved on node 0 (%s)\n", POOL_RESERVED_PAGES,
	       geteuid() != 0	 ? "not root"
	       : lock_fd < 0	 ? "another test has them"
	       : !pool_is_idle() ? "somebody else has pages of the pool"
				 : "the kernel found none");
	return false;
}

long pool_free_pages(void)
{
	return number_read(POOL "free_hugepages");
}

void giant_grow(void)
{
	if (number_read(GIANT_POOL "nr_hugepages") >= 0 && pool_lock())
		giant_pages = pages_add(GIANT_POOL "nr_hugepages", 1);
}

void giant_shrink(void)
{
	pages_remove(GIANT_POOL "nr_hugepages", giant_pages);
	giant_pages = 0;
}

bool giant_is_ready(void)
{
	if (giant_pages == 1)
		return true;
	printf("SKIP: no page of 1 GiB could be reserved on node 0 (%s)\n",
	       geteuid() == 0 ? "the kernel found none" : "not root");
	return false;
}

long giant_free_pages(void)
{
	return number_read(GIANT_POOL "free_hugepages");
}

void *pool_drain(long left, uint64_t *ret_bytes)
{
	long taken = number_read(ALL_POOLS "free_hugepages") - left;
	void *address;

	*ret_bytes = 0;
	if (taken <= 0)
		return NULL;
	address = mmap(NULL, (uint64_t)taken * HUGE_BYTES, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_2MB, -1, 0);
	ck_assert_ptr_ne(address, MAP_FAILED);
	*ret_bytes = (uint64_t)taken * HUGE_BYTES;
	return address;
}

void pool_refill(void *address, uint64_t bytes)
{
	if (address)
		munmap(address, bytes);
}

uint64_t span_resident_pages(const struct span *span)
{
	uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t page_count = span->used_bytes / page_bytes;
	unsigned char *resident = malloc(page_count);
	uint64_t count = 0;
	uint64_t page;

	ck_assert_int_eq(mincore(span->address, span->used_bytes, resident), 0);
	for (page = 0; page < page_count; page++)
		count += resident[page] & 1;
	free(resident);
	return count;
}

void span_check_node_0(const struct span *span)
{
	unsigned long mask[16] = { 0 };
	uint64_t page_bytes = span->backing == SPAN_HUGE_2M ? HUGE_BYTES : 4096;
	uint64_t page;
	int mode = -1;

	if (get_mempolicy(&mode, mask, 1024, span->address, MPOL_F_ADDR) < 0 ||
	    mode == MPOL_DEFAULT) {
		printf("SKIP: memory policies are refused here, and there is one node\n");
		return;
	}
	ck_assert_int_eq(mode, MPOL_BIND);
	ck_assert_uint_eq(mask[0], 1);
	for (page = 0; page < span->used_bytes / page_bytes; page++) {
		void *address = (char *)span->address + page * page_bytes;
		int status = -1;

		if (move_pages(0, 1, &address, NULL, &status, 0) < 0) {
			printf("SKIP: move_pages: %s\n", strerror(errno));
			return;
		}
		ck_assert_int_eq(status, 0);
	}
}
