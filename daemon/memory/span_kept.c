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
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/memfd.h"
#include "memory/sealed.h"
#include "span_parts.h"

#define MADV_COLLAPSE_LINUX 25 /* MADV_COLLAPSE, Linux 6.1 */

/* A sheet in its place. */
struct leaf {
	char *address;
	uint64_t bytes; /* of whole pages */
	int fd;
	uint64_t page_bytes; /* of reserved pages; 0: it has none */
};

static struct leaf leaf_at(const struct span *span, uint64_t offset, const struct span_sheet *sheet)
{
	uint64_t page_bytes = sealed_page_bytes(sheet->fd);

	return (struct leaf){
		.address = (char *)span->address + offset,
		.bytes = span_round_up(sheet->bytes, page_bytes ? page_bytes : span_page_bytes()),
		.fd = sheet->fd,
		.page_bytes = page_bytes,
	};
}

/* --- pages --------------------------------------------------------------------------------------- */

/* As far as the kernel can, what is there becomes huge pages, and is mapped so; are there any? Where
 * all of them are it says so itself: smaps would look at each page of 4 KiB. */
static bool pages_gather(const struct leaf *leaf)
{
	uint64_t whole_bytes = leaf->bytes / HUGE_BYTES * HUGE_BYTES;

	return whole_bytes > 0 && (madvise(leaf->address, whole_bytes, MADV_COLLAPSE_LINUX) == 0 ||
				   span_thp_bytes(leaf->address, leaf->bytes) > 0);
}

/* One page of each range that will be gathered, on its node. */
static void pages_begin(const struct leaf *leaf)
{
	for (uint64_t at = 0; at + HUGE_BYTES <= leaf->bytes; at += HUGE_BYTES)
		if (span_populate(leaf->address + at, span_page_bytes(), MADV_POPULATE_WRITE,
				  false) != 0)
			return;
}

/* Zeroed. SPAN_E_EMPTY: not to be had on the nodes that it is bound to. */
static int leaf_fill(const struct leaf *leaf)
{
	if (!leaf->page_bytes) {
		pages_begin(leaf);
		(void)pages_gather(leaf);
	}
	return span_populate(leaf->address, leaf->bytes, MADV_POPULATE_WRITE, leaf->page_bytes == 0);
}

/* Mapped to be read; no read of it faults, and as little as possible is swapped. The span is backed
 * as the least of its sheets. */
static int leaf_read(struct span *span, const struct leaf *leaf)
{
	enum span_backing backing = SPAN_HUGE_2M;

	/* A private map of huge pages that are there reserves no others. */
	if (mmap(leaf->address, leaf->bytes, PROT_READ, MAP_PRIVATE | MAP_NORESERVE | MAP_FIXED,
		 leaf->fd, 0) == MAP_FAILED)
		return err_raise(-errno, "sealed memory cannot be mapped to be read: %s",
				 strerror(errno));
	if (!leaf->page_bytes)
		backing = pages_gather(leaf) ? SPAN_THP : SPAN_4K;
	if (span_populate(leaf->address, leaf->bytes, MADV_POPULATE_READ, false) != 0)
		return err_raise(-EINVAL, "%llu bytes of sealed memory are not all there",
				 (unsigned long long)leaf->bytes);
	if (!leaf->page_bytes && mlock(leaf->address, leaf->bytes) < 0)
		span->is_locked = false;
	if (backing > span->backing)
		span->backing = backing;
	return 0;
}

static int sheets_read(struct span *span, const struct span_sheet sheets[], uint32_t sheet_count)
{
	uint64_t offset = 0;

	span->backing = SPAN_HUGE_2M;
	span->is_locked = true;
	for (uint32_t index = 0; index < sheet_count; index++) {
		const struct leaf leaf = leaf_at(span, offset, &sheets[index]);
		int r;

		r = leaf_read(span, &leaf);
		if (r < 0)
			return err_trace(r);
		offset += leaf.bytes;
	}
	return 0;
}

/* --- made ---------------------------------------------------------------------------------------- */

static void sheets_close(struct span_sheet sheets[], uint32_t sheet_count)
{
	for (uint32_t index = 0; index < sheet_count; index++) {
		if (sheets[index].fd >= 0)
			close(sheets[index].fd);
		sheets[index].fd = -1;
	}
}

static int sheet_make(const struct span *span, const char *name, bool huge, uint64_t offset)
{
	if (offset >= span->giant_offset && offset - span->giant_offset < span->giant_bytes)
		return memfd_sealable_giant(name);
	return huge ? memfd_sealable_huge(name) : memfd_sealable(name);
}

static int sheets_make(const struct span *span, const char *name, bool huge,
		       struct span_sheet sheets[], uint32_t sheet_count)
{
	uint64_t offset = 0;

	for (uint32_t index = 0; index < sheet_count; index++)
		sheets[index].fd = -1;
	for (uint32_t index = 0; index < sheet_count; index++) {
		int fd = sheet_make(span, name, huge, offset);

		if (fd < 0 && (huge || span->giant_bytes > 0))
			return SPAN_E_EMPTY;
		if (fd < 0)
			return err_raise(fd, "%s: cannot make a memfd: %s", name, strerror(-fd));
		sheets[index].fd = fd;
		offset += sheets[index].bytes;
	}
	return 0;
}

/* Mapped to be written, without touching a page. */
static int leaf_write(const struct leaf *leaf)
{
	if (ftruncate(leaf->fd, (off_t)leaf->bytes) < 0)
		return SPAN_E_EMPTY;
	return span_lay(leaf->address, leaf->bytes, MAP_SHARED, leaf->fd);
}

static int sheets_fill(struct span *span, const struct tier_owner *owner,
		       const struct topology *topology, const struct span_sheet sheets[],
		       uint32_t sheet_count)
{
	uint64_t offset = 0;
	int r = 0;

	for (uint32_t index = 0; r == 0 && index < sheet_count; index++) {
		const struct leaf leaf = leaf_at(span, offset, &sheets[index]);

		r = leaf_write(&leaf);
		offset += leaf.bytes;
	}
	if (r == 0)
		r = span_bind(span, span->address, topology);
	if (r == 0)
		r = span_enter(span, owner, span->address);
	offset = 0;
	for (uint32_t index = 0; r == 0 && index < sheet_count; index++) {
		const struct leaf leaf = leaf_at(span, offset, &sheets[index]);

		r = leaf_fill(&leaf);
		offset += leaf.bytes;
	}
	return r < 0 ? err_trace(r) : r;
}

static int kind_map(const struct tier_owner *owner, const char *name, bool huge,
		    const struct topology *topology, struct span *span, struct span_sheet sheets[],
		    uint32_t sheet_count)
{
	bool is_lent = false;
	int r;

	r = sheets_make(span, name, huge, sheets, sheet_count);
	span_shape(span, huge ? HUGE_BYTES : span_page_bytes());
	span->backing = huge ? SPAN_HUGE_2M : SPAN_4K;
	if (r == 0)
		span->address = span_reserve(span, HUGE_BYTES);
	if (r == 0 && !span->address)
		r = SPAN_E_EMPTY;
	if (r == 0) {
		is_lent = span_lend_foreseen(span, owner, topology);
		r = sheets_fill(span, owner, topology, sheets, sheet_count);
	}
	if (r == 0 && !is_lent)
		span_lend(span, owner);
	if (r == 0)
		return 0;
	span_abandon(span, r);
	sheets_close(sheets, sheet_count);
	return r < 0 ? err_trace(r) : r;
}

static int kinds_map(const struct tier_owner *owner, const char *name,
		     const struct topology *topology, struct span *span, struct span_sheet sheets[],
		     uint32_t sheet_count)
{
	int r;

	r = kind_map(owner, name, true, topology, span, sheets, sheet_count);
	if (r > 0 && span_has_memory(span, topology))
		r = kind_map(owner, name, false, topology, span, sheets, sheet_count);
	return r < 0 ? err_trace(r) : r;
}

int span_kept_map(const struct tier_owner *owner, const char *name, const struct span_part parts[],
		  uint32_t part_count, struct span_sheet sheets[], uint32_t sheet_count,
		  struct span *ret_span)
{
	struct topology topology;
	struct span span;
	int r;

	r = span_topology(owner, &topology);
	if (r == 0)
		r = span_describe(parts, part_count, &topology, &span);
	if (r < 0)
		return err_trace(r);
	span_choose_sheets(&span, sheets, sheet_count, &topology);
	r = kinds_map(owner, name, &topology, &span, sheets, sheet_count);
	/* A control group, or somebody who was faster, may keep such pages from us. */
	if (r > 0 && span.giant_bytes > 0) {
		span.giant_bytes = span.giant_offset = 0;
		r = kinds_map(owner, name, &topology, &span, sheets, sheet_count);
	}
	if (r > 0)
		r = span_refuse(&span, &topology);
	if (r < 0)
		return err_trace(r);
	*ret_span = span;
	return 0;
}

/* --- sealed -------------------------------------------------------------------------------------- */

int span_kept_seal(struct span *span, const struct span_sheet sheets[], uint32_t sheet_count)
{
	bool are_sealed = true;
	int r;

	/* The addresses stay taken meanwhile. */
	if (mmap(span->address, span->used_bytes, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
		return err_raise(-errno, "memory that was written cannot be unmapped: %s",
				 strerror(errno));
	for (uint32_t index = 0; index < sheet_count; index++)
		are_sealed = sealed_end(sheets[index].fd) == 0 && are_sealed;
	r = sheets_read(span, sheets, sheet_count);
	if (r < 0)
		return err_trace(r);
	return are_sealed ? 0 : SPAN_E_HELD;
}

void span_kept_shelve(struct span *span, uint64_t offset, uint64_t bytes)
{
	if (span->shelved_bytes == 0)
		span->shelved_offset = offset;
	span->shelved_bytes = offset + bytes - span->shelved_offset;
	if (span->shelved_bytes > span->used_bytes - span->shelved_offset)
		span->shelved_bytes = span->used_bytes - span->shelved_offset;
}

int span_kept_replace(struct span *span, uint64_t offset, const struct span_sheet *sheet)
{
	const struct leaf leaf = leaf_at(span, offset, sheet);
	int r;

	r = leaf_read(span, &leaf);
	if (r < 0)
		return err_trace(r);
	/* What was there is nobody's. */
	span_return_range(span, offset, leaf.bytes);
	span_kept_shelve(span, offset, leaf.bytes);
	return 0;
}

/* --- adopted ------------------------------------------------------------------------------------- */

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
static int sheet_check(const struct span_sheet *sheet, const char *name)
{
	const struct leaf leaf = leaf_at(&(struct span){ .address = NULL }, 0, sheet);
	uint64_t file_bytes = 0;
	struct stat status;
	int r;

	r = sealed_check(sheet->fd, name, &file_bytes);
	if (r < 0)
		return err_trace(r);
	if (fstat(sheet->fd, &status) < 0 || file_bytes != leaf.bytes ||
	    (uint64_t)status.st_blocks * 512 < file_bytes)
		return err_raise(-EINVAL, "%s: %llu bytes are wanted, and it has %llu, of which "
				 "%llu are in memory", name, (unsigned long long)leaf.bytes,
				 (unsigned long long)file_bytes,
				 (unsigned long long)status.st_blocks * 512);
	return 0;
}

/* Do they fill the span? What a page holds beside a sheet would lie where another one is, or somebody
 * else's memory. */
static int sheets_check(const struct span *span, const char *name, const struct span_sheet sheets[],
			uint32_t sheet_count)
{
	uint64_t bytes = 0;
	int r = 0;

	for (uint32_t index = 0; r == 0 && index < sheet_count; index++) {
		r = sheet_check(&sheets[index], name);
		bytes += leaf_at(span, 0, &sheets[index]).bytes;
	}
	if (r < 0)
		return err_trace(r);
	if (bytes != span->used_bytes)
		return err_raise(-EINVAL, "%s: its pages hold %llu bytes, and %llu are wanted", name,
				 (unsigned long long)bytes, (unsigned long long)span->used_bytes);
	return 0;
}

static void places_find(struct span *span, const struct topology *topology)
{
	char *address = span->address;

	for (uint32_t part = 0; part < span->part_count; part++) {
		span->parts[part].place = place_find(&span->parts[part], address, topology);
		address += span->parts[part].bytes;
	}
	span->node = span_only(span);
}

/* As it was when they were made: others fit no address. */
static void giants_find(struct span *span, const struct span_sheet sheets[], uint32_t sheet_count)
{
	uint64_t offset = 0;

	for (uint32_t index = 0; index < sheet_count; index++) {
		if (sealed_page_bytes(sheets[index].fd) == GIANT_BYTES) {
			span->giant_offset = span->giant_bytes ? span->giant_offset : offset;
			span->giant_bytes += sheets[index].bytes;
		}
		offset += sheets[index].bytes;
	}
}

int span_kept_adopt(const struct tier_owner *owner, const char *name,
		    const struct span_part parts[], uint32_t part_count,
		    const struct span_sheet sheets[], uint32_t sheet_count, struct span *ret_span)
{
	struct topology topology;
	struct span span;
	int r;

	r = topology_read(&topology);
	if (r == 0)
		r = span_describe(parts, part_count, &topology, &span);
	if (r < 0)
		return err_trace(r);
	giants_find(&span, sheets, sheet_count);
	span_shape(&span, sealed_page_bytes(sheets[sheet_count - 1].fd) ? HUGE_BYTES
									: span_page_bytes());
	r = sheets_check(&span, name, sheets, sheet_count);
	if (r < 0)
		return err_trace(r);
	span.address = span_reserve(&span, HUGE_BYTES);
	if (!span.address)
		return err_raise(-ENOMEM, "%s: there are no addresses for %llu bytes", name,
				 (unsigned long long)span.bytes);
	r = span_enter(&span, owner, span.address);
	if (r == 0)
		r = sheets_read(&span, sheets, sheet_count);
	if (r < 0) {
		span_unmap(&span);
		return err_trace(r);
	}
	places_find(&span, &topology);
	if (sheet_count > 1)
		span_kept_shelve(&span, sheets[0].bytes, span.used_bytes - sheets[0].bytes);
	span_lend_adopted(&span, owner);
	*ret_span = span;
	return 0;
}
