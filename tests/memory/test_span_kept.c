/* SPDX-License-Identifier: MIT */
/*
 * tests/memory/test_span_kept.c - memory that is sealed when it is written, and outlives its map
 *
 * Once for ordinary pages, however large the kernel makes them, and once for reserved huge ones.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/memfd.h"
#include "base/sanitized.h"
#include "memory/sealed.h"
#include "memory/span_kept.h"
#include "tests/memory/huge_pool.h"
#include "tests/suite.h"

#define TIMEOUT_S 60

static struct span_part part_of(uint64_t bytes, int node)
{
	return (struct span_part){ .bytes = bytes, .place = place_node(node) };
}

static struct span map(uint64_t bytes, int node, int *ret_fd)
{
	const struct span_part part = part_of(bytes, node);
	struct span_sheet sheet = { .bytes = bytes };
	struct span span;
	int r;

	r = span_kept_map(NULL, "test", &part, 1, &sheet, 1, &span);
	ck_assert_msg(r == 0, "%s", err_message());
	*ret_fd = sheet.fd;
	return span;
}

static int seal(struct span *span, int fd)
{
	const struct span_sheet sheet = { .bytes = span->bytes, .fd = fd };

	return span_kept_seal(span, &sheet, 1);
}

static int try_adopt(int fd, uint64_t bytes, int node, struct span *ret_span)
{
	const struct span_part part = part_of(bytes, node);
	const struct span_sheet sheet = { .bytes = bytes, .fd = fd };

	return span_kept_adopt(NULL, "test", &part, 1, &sheet, 1, ret_span);
}

static struct span adopt(int fd, uint64_t bytes, int node)
{
	struct span span;
	int r;

	r = try_adopt(fd, bytes, node, &span);
	ck_assert_msg(r == 0, "%s", err_message());
	return span;
}

static uint8_t byte_at(uint64_t at)
{
	return (uint8_t)(at * 2654435761U >> 24 | 1);
}

static void bytes_write(const struct span *span)
{
	uint8_t *bytes = span->address;
	uint64_t wrong = 0;

	for (uint64_t at = 0; at < span->used_bytes; at++) {
		wrong += bytes[at] != 0;
		bytes[at] = byte_at(at);
	}
	ck_assert_uint_eq(wrong, 0);
}

static long faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_minflt + usage.ru_majflt;
}

__attribute__((noinline)) static uint64_t wrong_bytes(const uint8_t *bytes, uint64_t count)
{
	uint64_t wrong = 0;

	for (uint64_t at = 0; at < count; at += 512)
		wrong += bytes[at] != byte_at(at);
	return wrong;
}

/* Reading them all faults nowhere, unless a sanitizer looks up each. The code has run before. */
static void bytes_check(const struct span *span)
{
	const uint8_t first = byte_at(0);
	uint64_t wrong = wrong_bytes(&first, 1);
	long before = faults();

	wrong += wrong_bytes(span->address, span->used_bytes);
	if (!IS_SANITIZED)
		ck_assert_int_eq(faults(), before);
	ck_assert_uint_eq(wrong, 0);
}

/* read(2) reports an address that it cannot write; a store there would end the test. */
static bool is_writable(void *address)
{
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	bool writable = read(fd, address, 1) == 1;

	close(fd);
	return writable;
}

static const uint64_t sizes[] = { 1,		  4096,		      10000,	      HUGE_BYTES - 1,
				  HUGE_BYTES, HUGE_BYTES + 1, 2 * HUGE_BYTES + 9000 };
#define SIZES (int)(sizeof(sizes) / sizeof(sizes[0]))

/* _i is an index into sizes. */
START_TEST(what_was_written_is_there_after_the_seal_and_for_whoever_adopts_it)
{
	int fd = -1;
	struct span span = map(sizes[_i], -1, &fd);
	void *address = span.address;
	struct span adopted;

	bytes_write(&span);
	ck_assert_int_eq(seal(&span, fd), 0);
	ck_assert_ptr_eq(span.address, address);
	ck_assert(!is_writable(address));
	bytes_check(&span);
	adopted = adopt(fd, sizes[_i], -1);
	span_unmap(&span);
	close(fd);
	ck_assert_uint_eq(adopted.bytes, sizes[_i]);
	ck_assert_int_eq(adopted.node, -1);
	ck_assert(!is_writable(adopted.address));
	bytes_check(&adopted);
	span_unmap(&adopted);
}
END_TEST

START_TEST(nothing_writes_to_it_once_it_is_sealed)
{
	int fd = -1;
	struct span span = map(10000, -1, &fd);
	uint64_t bytes = 0;

	ck_assert_int_eq(seal(&span, fd), 0);
	ck_assert_int_eq(sealed_check(fd, "test", &bytes), 0);
	ck_assert_uint_eq(bytes, span.used_bytes);
	ck_assert_int_lt(write(fd, "x", 1), 0);
	ck_assert_int_lt(ftruncate(fd, 4096), 0);
	ck_assert_int_lt(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), 0);
	ck_assert_ptr_eq(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	ck_assert_int_lt(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), 0);
	span_unmap(&span);
	close(fd);
}
END_TEST

/* A device that has pages registered could still write into them. */
START_TEST(pages_that_are_in_use_take_no_seal_and_can_be_read)
{
	int fd = -1;
	struct span span = map(HUGE_BYTES + 4096, -1, &fd);
	struct iovec first = { span.address, 4096 };
	struct io_uring ring;
	struct span adopted;

	if (io_uring_queue_init(1, &ring, 0) < 0) {
		printf("SKIP: no io_uring here\n");
		span_unmap(&span);
		close(fd);
		return;
	}
	ck_assert_int_eq(io_uring_register_buffers(&ring, &first, 1), 0);
	bytes_write(&span);
	ck_assert_int_eq(seal(&span, fd), SPAN_E_HELD);
	bytes_check(&span);
	ck_assert_int_eq(try_adopt(fd, span.bytes, -1, &adopted), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err_message(), "is not sealed"));
	io_uring_queue_exit(&ring);
	span_unmap(&span);
	close(fd);
}
END_TEST

START_TEST(another_size_than_was_written_is_refused)
{
	int fd = -1;
	struct span span = map(2 * HUGE_BYTES, -1, &fd);
	struct span adopted;

	ck_assert_int_eq(seal(&span, fd), 0);
	ck_assert_int_eq(try_adopt(fd, 2 * HUGE_BYTES + 1, -1, &adopted), -EINVAL);
	ck_assert_int_eq(try_adopt(fd, HUGE_BYTES, -1, &adopted), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err_message(), "2097152 bytes are wanted, and it has 4194304"));
	span_unmap(&span);
	close(fd);
}
END_TEST

/* Each is as large as it should be, and together they have a page more. */
START_TEST(sheets_that_do_not_fill_the_span_are_refused)
{
	const struct span_part part = part_of(10000, -1);
	struct span_sheet sheets[] = { { .bytes = 5000 }, { .bytes = 5000 } };
	struct span adopted;

	for (int index = 0; index < 2; index++) {
		sheets[index].fd = memfd_sealable("half");
		ck_assert_int_ge(sheets[index].fd, 0);
		ck_assert_int_eq(ftruncate(sheets[index].fd, 8192), 0);
		ck_assert_int_eq(fallocate(sheets[index].fd, 0, 0, 8192), 0);
		ck_assert_int_eq(sealed_end(sheets[index].fd), 0);
	}
	ck_assert_int_eq(span_kept_adopt(NULL, "test", &part, 1, sheets, 2, &adopted), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err_message(), "hold 16384 bytes, and 12288 are wanted"));
	close(sheets[0].fd);
	close(sheets[1].fd);
}
END_TEST

START_TEST(parts_and_sheets_on_node_0_lie_there_and_are_found_there)
{
	const struct span_part parts[2] = { part_of(2 * HUGE_BYTES, 0), part_of(8192, 0) };
	struct span_sheet sheets[2] = { { .bytes = HUGE_BYTES }, { .bytes = HUGE_BYTES + 8192 } };
	struct span span, adopted;

	ck_assert_int_eq(span_kept_map(NULL, "test", parts, 2, sheets, 2, &span), 0);
	ck_assert_int_eq(span.node, 0);
	bytes_write(&span);
	span_check_node_0(&span);
	ck_assert_int_eq(span_kept_seal(&span, sheets, 2), 0);
	ck_assert_int_eq(span_kept_adopt(NULL, "test", parts, 2, sheets, 2, &adopted), 0);
	ck_assert_int_eq(adopted.node, 0);
	ck_assert_uint_eq(adopted.parts[1].place.nodes, 1);
	span_check_node_0(&adopted);
	bytes_check(&adopted);
	span_unmap(&span);
	span_unmap(&adopted);
	close(sheets[0].fd);
	close(sheets[1].fd);
}
END_TEST

/* The first and the last node with memory; false: there is one. */
static bool nodes_find(int *ret_first, int *ret_last)
{
	struct topology topology;
	struct place all;

	ck_assert_int_eq(topology_read(&topology), 0);
	all = place_all(&topology);
	*ret_first = __builtin_ctzll(all.nodes);
	*ret_last = 63 - __builtin_clzll(all.nodes);
	return *ret_first != *ret_last;
}

/* _i: without a pool? */
START_TEST(what_lies_on_another_node_is_adopted_there_and_told_of)
{
	uint64_t drained_bytes = 0;
	void *drained = NULL;
	struct span span, adopted;
	int first, last;
	int fd = -1;

	if (!nodes_find(&first, &last)) {
		printf("SKIP: no two nodes with memory\n");
		return;
	}
	if (_i && !pool_is_ours())
		return;
	if (_i)
		drained = pool_drain(0, &drained_bytes);
	span = map(2 * HUGE_BYTES, last, &fd);
	ck_assert_int_eq(span.node, last);
	bytes_write(&span);
	ck_assert_int_eq(seal(&span, fd), 0);
	adopted = adopt(fd, span.bytes, first);
	ck_assert_int_eq(adopted.node, last);
	ck_assert_uint_eq(adopted.parts[0].place.nodes, place_node(last).nodes);
	bytes_check(&adopted);
	span_unmap(&span);
	span_unmap(&adopted);
	close(fd);
	pool_refill(drained, drained_bytes);
}
END_TEST

/* Huge ones that the kernel gathers: its word for it is smaps. */
START_TEST(without_a_pool_pages_are_gathered_and_named_truly)
{
	uint64_t drained_bytes;
	struct span span, adopted;
	void *drained;
	int fd = -1;

	if (!pool_is_ours())
		return;
	drained = pool_drain(0, &drained_bytes);
	span = map(3 * HUGE_BYTES, -1, &fd);
	pool_refill(drained, drained_bytes);
	ck_assert_int_ne(span.backing, SPAN_HUGE_2M);
	ck_assert_uint_eq((uintptr_t)span.address % HUGE_BYTES, 0);
	ck_assert_int_eq(seal(&span, fd), 0);
	adopted = adopt(fd, span.bytes, -1);
	ck_assert_int_eq(adopted.backing, span.backing);
	if (span.backing != SPAN_THP)
		printf("SKIP: the kernel gathered no transparent huge page\n");
	span_unmap(&span);
	span_unmap(&adopted);
	close(fd);
}
END_TEST

START_TEST(more_than_the_machine_has_is_refused_with_a_way_out)
{
	const struct span_part part = part_of((uint64_t)1 << 44, -1);
	struct span_sheet sheet = { .bytes = part.bytes };
	struct span span = { .node = 42 };

	ck_assert_int_eq(span_kept_map(NULL, "test", &part, 1, &sheet, 1, &span), -ENOMEM);
	ck_assert_ptr_nonnull(strstr(err_message(), "hearthctl unload MODEL"));
	ck_assert_int_eq(span.node, 42);
	ck_assert_int_eq(sheet.fd, -1);
}
END_TEST

/* --- reserved huge pages ------------------------------------------------------------------------- */

START_TEST(too_small_a_pool_leaves_ordinary_pages)
{
	uint64_t drained_bytes;
	struct span span;
	void *drained;
	int fd = -1;

	if (!pool_is_ready())
		return;
	drained = pool_drain(2, &drained_bytes);
	span = map(3 * HUGE_BYTES, 0, &fd);
	ck_assert_int_ne(span.backing, SPAN_HUGE_2M);
	bytes_write(&span);
	span_unmap(&span);
	close(fd);
	pool_refill(drained, drained_bytes);
}
END_TEST

/* To seal and to adopt takes no further page, and the pool has none. */
START_TEST(huge_pages_are_taken_once)
{
	struct span span, adopted;
	uint64_t drained_bytes;
	void *drained;
	int fd = -1;

	if (!pool_is_ready())
		return;
	span = map(3 * HUGE_BYTES + 1, 0, &fd);
	ck_assert_int_eq(span.backing, SPAN_HUGE_2M);
	ck_assert_uint_eq(span.used_bytes, 4 * HUGE_BYTES);
	bytes_write(&span);
	drained = pool_drain(0, &drained_bytes);
	ck_assert_int_eq(seal(&span, fd), 0);
	ck_assert(span.is_locked);
	adopted = adopt(fd, span.bytes, 0);
	ck_assert_int_eq(adopted.backing, SPAN_HUGE_2M);
	ck_assert_int_eq(adopted.node, 0);
	bytes_check(&span);
	bytes_check(&adopted);
	span_check_node_0(&adopted);
	span_unmap(&span);
	span_unmap(&adopted);
	close(fd);
	pool_refill(drained, drained_bytes);
}
END_TEST

/* To read such a hole would end the process. */
START_TEST(huge_memory_with_holes_is_refused)
{
	int fd = memfd_sealable_huge("holes");
	struct span span;

	if (!pool_is_ready())
		return;
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, 2 * HUGE_BYTES), 0);
	ck_assert_int_eq(sealed_end(fd), 0);
	ck_assert_int_eq(try_adopt(fd, 2 * HUGE_BYTES, 0, &span), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err_message(), "of which 0 are in memory"));
	close(fd);
}
END_TEST

/* Behind 4 MiB a sheet of 1 GiB, and one of what is left. */
START_TEST(a_sheet_of_whole_gib_lies_in_pages_of_1_gib_also_for_whoever_adopts_it)
{
	const struct span_part part = part_of(GIANT_BYTES + 3 * HUGE_BYTES - 5000, 0);
	struct span_sheet sheets[] = { { .bytes = 2 * HUGE_BYTES }, { .bytes = GIANT_BYTES },
				       { .bytes = HUGE_BYTES - 5000 } };
	struct span adopted;
	struct span span;

	if (!giant_is_ready() || !pool_is_ready())
		return;
	ck_assert_int_eq(span_kept_map(NULL, "test", &part, 1, sheets, 3, &span), 0);
	ck_assert_uint_eq(span.giant_offset, 2 * HUGE_BYTES);
	ck_assert_uint_eq(span.giant_bytes, GIANT_BYTES);
	ck_assert_int_eq(span.backing, SPAN_HUGE_2M);
	ck_assert_uint_eq(sealed_page_bytes(sheets[1].fd), GIANT_BYTES);
	ck_assert_uint_eq(sealed_page_bytes(sheets[2].fd), HUGE_BYTES);
	ck_assert_int_eq(giant_free_pages(), 0);
	((char *)span.address)[2 * HUGE_BYTES + GIANT_BYTES - 1] = 42;
	((char *)span.address)[2 * HUGE_BYTES + GIANT_BYTES] = 43;
	ck_assert_int_eq(span_kept_seal(&span, sheets, 3), 0);
	ck_assert_int_eq(span.backing, SPAN_HUGE_2M);
	span_unmap(&span);
	ck_assert_int_eq(span_kept_adopt(NULL, "test", &part, 1, sheets, 3, &adopted), 0);
	ck_assert_uint_eq(adopted.giant_offset, 2 * HUGE_BYTES);
	ck_assert_uint_eq(adopted.giant_bytes, GIANT_BYTES);
	ck_assert_int_eq(adopted.node, 0);
	ck_assert_int_eq(((char *)adopted.address)[2 * HUGE_BYTES + GIANT_BYTES - 1], 42);
	ck_assert_int_eq(((char *)adopted.address)[2 * HUGE_BYTES + GIANT_BYTES], 43);
	span_unmap(&adopted);
	for (int index = 0; index < 3; index++)
		close(sheets[index].fd);
	ck_assert_int_eq(giant_free_pages(), 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("span_kept");
	TCase *ordinary = tcase_create("ordinary");
	TCase *huge = tcase_create("huge");
	TCase *giant = tcase_create("giant");
	TCase *brief = tcase_create("brief"); /* alone on a slow machine: test_guest.sh */

	tcase_add_loop_test(ordinary,
			    what_was_written_is_there_after_the_seal_and_for_whoever_adopts_it, 0,
			    SIZES);
	tcase_add_test(ordinary, nothing_writes_to_it_once_it_is_sealed);
	tcase_add_test(ordinary, pages_that_are_in_use_take_no_seal_and_can_be_read);
	tcase_add_test(ordinary, another_size_than_was_written_is_refused);
	tcase_add_test(ordinary, sheets_that_do_not_fill_the_span_are_refused);
	tcase_add_test(ordinary, parts_and_sheets_on_node_0_lie_there_and_are_found_there);
	tcase_add_test(ordinary, without_a_pool_pages_are_gathered_and_named_truly);
	tcase_add_loop_test(ordinary, what_lies_on_another_node_is_adopted_there_and_told_of, 0, 2);
	tcase_add_test(ordinary, more_than_the_machine_has_is_refused_with_a_way_out);
	suite_add_tcase(suite, ordinary);
	tcase_add_unchecked_fixture(huge, pool_grow, pool_shrink);
	tcase_add_loop_test(huge,
			    what_was_written_is_there_after_the_seal_and_for_whoever_adopts_it, 0,
			    SIZES);
	tcase_add_test(huge, huge_pages_are_taken_once);
	tcase_add_test(huge, too_small_a_pool_leaves_ordinary_pages);
	tcase_add_test(huge, huge_memory_with_holes_is_refused);
	suite_add_tcase(suite, huge);
	tcase_add_unchecked_fixture(brief, pool_grow, pool_shrink);
	tcase_set_timeout(brief, TIMEOUT_S);
	tcase_add_loop_test(brief, what_lies_on_another_node_is_adopted_there_and_told_of, 0, 2);
	tcase_add_test(brief, parts_and_sheets_on_node_0_lie_there_and_are_found_there);
	tcase_add_test(brief, without_a_pool_pages_are_gathered_and_named_truly);
	tcase_add_test(brief, pages_that_are_in_use_take_no_seal_and_can_be_read);
	tcase_add_test(brief, huge_pages_are_taken_once);
	suite_add_tcase(suite, brief);
	tcase_add_unchecked_fixture(giant, pool_grow, pool_shrink);
	tcase_add_unchecked_fixture(giant, giant_grow, giant_shrink);
	tcase_set_timeout(giant, TIMEOUT_S);
	tcase_add_test(giant, a_sheet_of_whole_gib_lies_in_pages_of_1_gib_also_for_whoever_adopts_it);
	suite_add_tcase(suite, giant);
	return suite_run(suite);
}
