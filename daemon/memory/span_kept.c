/* SPDX-License-Identifier: MIT */
/*
 * daemon/memory/span_kept.c - memory in a descriptor: made, sealed, adopted
 *
 * As long as somebody has mapped it to be written, a memfd takes no F_SEAL_WRITE: the map that it is
 * filled through gives way to a private one, of the same addresses, which only reads.
 *
 * Where /sys/kernel/mm/transparent_hugepage/shmem_enabled says "never", a memfd that is touched has
 * pages of 4 KiB; but MADV_COLLAPSE, which does not ask there, makes huge ones of what it finds. So
 * one page of each 2 MiB is touched, which says what node it is for, and the rest comes with it.
 */
#include "memory/span_kept.h"

#include <errno.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/memfd.h"
#include "memory/sealed.h"
#include "span_parts.h"

#define MADV_COLLAPSE_LINUX 25 /* MADV_COLLAPSE, Linux 6.1 */

/* Before it has an address. */
static void kind_shape(struct span *span, bool is_hugetlb)
{
	span_shape(span, is_hugetlb ? HUGE_BYTES : span_page_bytes());
	span->backing = is_hugetlb ? SPAN_HUGE_2M : SPAN_4K;
}

/* NULL: no such range. A private map of huge pages that are there reserves no others. */
static void *range_map(const struct span *span, int fd, bool writes)
{
	int protection = writes ? PROT_READ | PROT_WRITE : PROT_READ;
	int flags = writes ? MAP_SHARED : MAP_PRIVATE | MAP_NORESERVE;
	void *address = NULL;
	void *mapped;

	if (span->backing != SPAN_HUGE_2M) {
		address = span_reserve(span->used_bytes, HUGE_BYTES);
		if (!address)
			return NULL;
		flags |= MAP_FIXED;
	}
	mapped = mmap(address, span->used_bytes, protection, flags, fd, 0);
	if (mapped != MAP_FAILED)
		return mapped;
	if (address)
		span_release(address, span->used_bytes);
	return NULL;
}

/* As far as the kernel can, what is there becomes huge pages, and is mapped so; are there any? Where
 * all of them are it says so itself: smaps would look at each page of 4 KiB. */
static bool pages_gather(const struct span *span)
{
	uint64_t whole_bytes = span->used_bytes / HUGE_BYTES * HUGE_BYTES;

	return whole_bytes > 0 && (madvise(span->address, whole_bytes, MADV_COLLAPSE_LINUX) == 0 ||
				   span_thp_bytes(span->address, span->used_bytes) > 0);
}

/* One page of each range that will be gathered, on its node. */
static void pages_begin(const struct span *span)
{
	for (uint64_t at = 0; at + HUGE_BYTES <= span->used_bytes; at += HUGE_BYTES)
		if (span_populate((char *)span->address + at, span_page_bytes(),
				  MADV_POPULATE_WRITE, false) != 0)
			return;
}

/* No read of it faults, and as little as possible is swapped. */
static int range_settle(struct span *span)
{
	bool is_hugetlb = span->backing == SPAN_HUGE_2M;

	if (!is_hugetlb)
		span->backing = pages_gather(span) ? SPAN_THP : SPAN_4K;
	if (span_populate(span->address, span->used_bytes, MADV_POPULATE_READ, false) != 0)
		return err_raise(-EINVAL, "%llu bytes of sealed memory are not all there",
				 (unsigned long long)span->used_bytes);
	span->is_locked = is_hugetlb || mlock(span->address, span->used_bytes) == 0;
	return 0;
}

static int kind_map(const struct tier_owner *owner, const char *name, bool is_hugetlb,
		    const struct topology *topology, struct span *span, int *ret_fd)
{
	int fd = is_hugetlb ? memfd_sealable_huge(name) : memfd_sealable(name);
	struct span failed;
	int r = SPAN_E_EMPTY;

	if (fd < 0 && is_hugetlb)
		return SPAN_E_EMPTY;
	if (fd < 0)
		return err_raise(fd, "%s: cannot make a memfd: %s", name, strerror(-fd));
	kind_shape(span, is_hugetlb);
	/* Mapping it reserves from the pool: an empty one fails here. */
	if (ftruncate(fd, (off_t)span->used_bytes) == 0)
		span->address = range_map(span, fd, true);
	if (span->address)
		r = span_bind(span, span->address, topology);
	if (r == 0)
		r = span_enter(span, owner, span->address);
	if (r == 0 && !is_hugetlb) {
		pages_begin(span);
		(void)pages_gather(span);
	}
	if (r == 0)
		r = span_populate(span->address, span->used_bytes, MADV_POPULATE_WRITE,
				  !is_hugetlb);
	if (r == 0) {
		*ret_fd = fd;
		return 0;
	}
	failed = *span;
	span->address = NULL;
	span->tiers = NULL;
	span_unmap(&failed);
	close(fd);
	return r < 0 ? err_trace(r) : r;
}

int span_kept_map(const struct tier_owner *owner, const char *name, const struct span_part parts[],
		  uint32_t part_count, struct span *ret_span, int *ret_fd)
{
	struct topology topology;
	struct span span;
	int r;

	r = topology_read(&topology);
	if (r == 0)
		r = span_describe(parts, part_count, &topology, &span);
	if (r < 0)
		return err_trace(r);
	r = kind_map(owner, name, true, &topology, &span, ret_fd);
	if (r > 0 && span_has_memory(&span, &topology))
		r = kind_map(owner, name, false, &topology, &span, ret_fd);
	if (r > 0)
		r = span_refuse(&span, &topology);
	if (r < 0)
		return err_trace(r);
	*ret_span = span;
	return 0;
}

int span_kept_seal(struct span *span, int fd)
{
	bool is_sealed;
	int r;

	/* The addresses stay taken meanwhile. */
	if (mmap(span->address, span->used_bytes, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
		return err_raise(-errno, "memory that was written cannot be unmapped: %s",
				 strerror(errno));
	is_sealed = sealed_end(fd) == 0;
	if (mmap(span->address, span->used_bytes, PROT_READ,
		 MAP_PRIVATE | MAP_NORESERVE | MAP_FIXED, fd, 0) == MAP_FAILED)
		return err_raise(-errno, "memory that was written cannot be mapped to read: %s",
				 strerror(errno));
	r = range_settle(span);
	if (r < 0)
		return err_trace(r);
	return is_sealed ? 0 : SPAN_E_HELD;
}

/* Where the part lies, if its bytes at `address` are not where it wants them. */
static struct place place_find(const struct span_part *part, char *address,
			       const struct topology *topology)
{
	struct place place = part->place;

	if (place_holds(place, address, part->bytes, topology))
		return place;
	for (uint32_t index = 0; index < topology->node_count; index++) {
		place = place_node(topology->nodes[index].node);
		if (topology->nodes[index].has_memory &&
		    place_holds(place, address, part->bytes, topology))
			return place;
	}
	return place_node(-1);
}

/* Sealed, as large as it should be, and without holes? */
static int whole_check(int fd, const char *name, const struct span *span)
{
	uint64_t file_bytes = 0;
	struct stat status;
	int r;

	r = sealed_check(fd, name, &file_bytes);
	if (r < 0)
		return err_trace(r);
	if (fstat(fd, &status) < 0 || file_bytes != span->used_bytes ||
	    (uint64_t)status.st_blocks * 512 < file_bytes)
		return err_raise(-EINVAL, "%s: %llu bytes are wanted, and it has %llu, of which "
				 "%llu are in memory", name, (unsigned long long)span->used_bytes,
				 (unsigned long long)file_bytes,
				 (unsigned long long)status.st_blocks * 512);
	return 0;
}

int span_kept_adopt(const struct tier_owner *owner, int fd, const char *name,
		    const struct span_part parts[], uint32_t part_count, struct span *ret_span)
{
	struct topology topology;
	struct statfs system;
	struct span span;
	char *address;
	int r;

	r = topology_read(&topology);
	if (r == 0)
		r = span_describe(parts, part_count, &topology, &span);
	if (r < 0)
		return err_trace(r);
	if (fstatfs(fd, &system) < 0)
		return err_raise(-EINVAL, "%s is no memory: %s", name, strerror(errno));
	kind_shape(&span, system.f_type == HUGETLBFS_MAGIC);
	r = whole_check(fd, name, &span);
	if (r < 0)
		return err_trace(r);
	span.address = range_map(&span, fd, false);
	if (!span.address)
		return err_raise(-ENOMEM, "%s: there are no addresses for %llu bytes", name,
				 (unsigned long long)span.bytes);
	r = span_enter(&span, owner, span.address);
	if (r == 0)
		r = range_settle(&span);
	if (r < 0) {
		span_unmap(&span);
		return err_trace(r);
	}
	address = span.address;
	for (uint32_t part = 0; part < part_count; part++) {
		span.parts[part].place = place_find(&span.parts[part], address, &topology);
		address += span.parts[part].bytes;
	}
	span.node = span_only(&span);
	*ret_span = span;
	return 0;
}
