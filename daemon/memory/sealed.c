/* SPDX-License-Identifier: MIT */
/* daemon/memory/sealed.c - a memfd: written once, sealed, mapped to read */
#include "memory/sealed.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/memfd.h"
#include "memory/mapping.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static int bytes_write(int fd, const uint8_t *bytes, uint64_t byte_count)
{
	while (byte_count > 0) {
		ssize_t written = write(fd, bytes, byte_count);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return written < 0 ? -errno : -EIO;
		bytes += written;
		byte_count -= (uint64_t)written;
	}
	return 0;
}

uint64_t sealed_page_bytes(int fd)
{
	struct statfs system;

	return fstatfs(fd, &system) == 0 && system.f_type == HUGETLBFS_MAGIC
		       ? (uint64_t)system.f_bsize
		       : 0;
}

int sealed_new(const char *name, const void *bytes, uint64_t byte_count, int *ret_fd)
{
	int fd = memfd_sealable(name);
	int r;

	if (fd < 0)
		return err_raise(fd, "%s: cannot make a memfd: %s", name, strerror(-fd));
	r = bytes_write(fd, bytes, byte_count);
	if (r == 0)
		r = sealed_end(fd);
	if (r < 0) {
		close(fd);
		return err_raise(r, "%s: cannot keep %llu bytes in a memfd: %s", name,
				 (unsigned long long)byte_count, strerror(-r));
	}
	*ret_fd = fd;
	return 0;
}

int sealed_end(int fd)
{
	return fcntl(fd, F_ADD_SEALS, SEALS | F_SEAL_SEAL) < 0 ? -errno : 0;
}

int sealed_check(int fd, const char *name, uint64_t *ret_bytes)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat status;

	if (seals < 0 || fstat(fd, &status) < 0)
		return err_raise(-EINVAL, "%s is no memfd: %s", name, strerror(errno));
	if ((seals & SEALS) != SEALS)
		return err_raise(-EINVAL, "%s is not sealed: somebody could write into it (seals "
				 "0x%x, wanted 0x%x)", name, (unsigned int)seals, SEALS);
	*ret_bytes = (uint64_t)status.st_size;
	return 0;
}

int sealed_map(int fd, const char *name, const void **ret_bytes, uint64_t *ret_byte_count)
{
	uint64_t byte_count = 0;
	void *bytes;
	int r;

	r = sealed_check(fd, name, &byte_count);
	if (r < 0)
		return err_trace(r);
	if (byte_count == 0)
		return err_raise(-EINVAL, "%s is empty", name);
	bytes = mmap(NULL, byte_count, PROT_READ, MAP_PRIVATE | MAP_NORESERVE, fd, 0);
	if (bytes == MAP_FAILED)
		return err_raise(-errno, "%s: cannot map %llu bytes of it: %s", name,
				 (unsigned long long)byte_count, strerror(errno));
	*ret_bytes = bytes;
	*ret_byte_count = byte_count;
	return 0;
}

void sealed_unmap(const void *bytes, uint64_t byte_count)
{
	if (bytes)
		munmap((void *)(uintptr_t)bytes, byte_count);
}

/* A mapping that is looked for. */
struct search {
	uintptr_t begin;
	uint64_t *bytes;
};

static void nodes_visit(void *context, const struct mapping *map)
{
	const struct search *search = context;

	if (map->begin == search->begin)
		memcpy(search->bytes, map->node_bytes, sizeof(map->node_bytes));
}

int sealed_nodes(int fd, const char *name, uint64_t ret_bytes[TOPOLOGY_NODES_MAX])
{
	uint64_t found[TOPOLOGY_NODES_MAX] = { 0 };
	const void *bytes;
	uint64_t byte_count;
	int r;

	r = sealed_map(fd, name, &bytes, &byte_count);
	if (r < 0)
		return err_trace(r);
	if (madvise((void *)(uintptr_t)bytes, byte_count, MADV_POPULATE_READ) < 0)
		r = err_raise(-errno, "%s: %llu bytes of it cannot be looked at: %s", name,
			      (unsigned long long)byte_count, strerror(errno));
	if (r == 0)
		r = mapping_each(nodes_visit, &(struct search){ (uintptr_t)bytes, found });
	sealed_unmap(bytes, byte_count);
	if (r == 0)
		memcpy(ret_bytes, found, sizeof(found));
	return err_trace(r);
}
