/* SPDX-License-Identifier: MIT */
/* tests/memory/test_mapping.c - two files of /proc become one list of mappings, also when they differ */
#include <check.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "memory/mapping.h"
#include "tests/suite.h"

#define SMAPS_HEAP                                                                                 \
	"1000-5000 rw-p 00000000 00:00 0                          [heap]\n"                       \
	"Size:                 16 kB\n"                                                            \
	"KernelPageSize:        4 kB\n"                                                            \
	"Rss:                  12 kB\n"                                                            \
	"Anonymous:            12 kB\n"                                                            \
	"AnonHugePages:         0 kB\n"                                                            \
	"Private_Hugetlb:       0 kB\n"                                                            \
	"VmFlags: rd wr mr mw me ac sd \n"
#define SMAPS_HUGE                                                                                 \
	"200000-800000 rw-p 00000000 00:0f 77 /anon_hugepage (deleted)\n"                          \
	"KernelPageSize:     2048 kB\n"                                                            \
	"Rss:                   0 kB\n"                                                            \
	"AnonHugePages:         0 kB\n"                                                            \
	"Private_Hugetlb:    6144 kB\n"
#define SMAPS_THP                                                                                  \
	"a00000-e00000 rw-p 00000000 00:00 0\n"                                                    \
	"KernelPageSize:        4 kB\n"                                                            \
	"Rss:                4096 kB\n"                                                            \
	"AnonHugePages:      2048 kB\n"

#define NUMA_HEAP "00001000 default heap anon=3 dirty=3 N0=2 N3=1 kernelpagesize_kB=4\n"
#define NUMA_HUGE "00200000 bind:1 file=/anon_hugepage\\040(deleted) huge anon=3 N1=3 kernelpagesize_kB=2048\n"
#define NUMA_THP "00a00000 default anon=1024 N0=1024 kernelpagesize_kB=4\n"
#define NUMA_EMPTY "00e00000 default\n"

#define MAPS_MAX 8

struct list {
	struct mapping maps[MAPS_MAX];
	uint32_t count;
};

static void take(void *context, const struct mapping *map)
{
	struct list *list = context;

	ck_assert_uint_lt(list->count, MAPS_MAX);
	list->maps[list->count++] = *map;
}

static FILE *text_open(const char *text)
{
	FILE *file = fmemopen((void *)(uintptr_t)text, strlen(text), "r");

	ck_assert_ptr_nonnull(file);
	return file;
}

static struct list list_read(const char *smaps_text, const char *numa_text)
{
	FILE *smaps = text_open(smaps_text);
	FILE *numa_maps = numa_text ? text_open(numa_text) : NULL;
	struct list list = { .count = 0 };

	ck_assert_int_eq(mapping_each_of(smaps, numa_maps, take, &list), 0);
	fclose(smaps);
	if (numa_maps)
		fclose(numa_maps);
	return list;
}

START_TEST(extents_come_from_one_file_and_nodes_from_the_other)
{
	struct list list = list_read(SMAPS_HEAP SMAPS_HUGE SMAPS_THP, NUMA_HEAP NUMA_HUGE NUMA_THP);

	ck_assert_uint_eq(list.count, 3);
	ck_assert_uint_eq(list.maps[0].begin, 0x1000);
	ck_assert_uint_eq(list.maps[0].end, 0x5000);
	ck_assert_str_eq(list.maps[0].name, "[heap]");
	ck_assert_uint_eq(list.maps[0].node_bytes[0], 8192);
	ck_assert_uint_eq(list.maps[0].node_bytes[3], 4096);
	ck_assert_str_eq(list.maps[1].name, "/anon_hugepage (deleted)");
	ck_assert_uint_eq(list.maps[1].page_bytes, 2 << 20);
	ck_assert_uint_eq(list.maps[1].node_bytes[0], 0);
	ck_assert_uint_eq(list.maps[1].node_bytes[1], 6 << 20);
	ck_assert_str_eq(list.maps[2].name, "");
	ck_assert_uint_eq(list.maps[2].thp_bytes, 2 << 20);
	ck_assert_uint_eq(list.maps[2].node_bytes[0], 4 << 20);
}
END_TEST

START_TEST(without_numa_all_pages_are_on_node_0)
{
	struct list list = list_read(SMAPS_HEAP SMAPS_HUGE, NULL);

	ck_assert_uint_eq(list.count, 2);
	ck_assert_uint_eq(list.maps[0].node_bytes[0], 12288);
	ck_assert_uint_eq(list.maps[1].page_bytes, 2 << 20);
	ck_assert_uint_eq(list.maps[1].node_bytes[0], 6 << 20);
}
END_TEST

START_TEST(what_goes_between_the_two_readings_has_no_pages)
{
	struct list list = list_read(SMAPS_HEAP SMAPS_HUGE SMAPS_THP, NUMA_HEAP NUMA_THP);

	ck_assert_uint_eq(list.count, 3);
	ck_assert_uint_eq(list.maps[1].node_bytes[0], 0);
	ck_assert_uint_eq(list.maps[1].node_bytes[1], 0);
	ck_assert_uint_eq(list.maps[2].node_bytes[0], 4 << 20);
}
END_TEST

START_TEST(what_comes_between_the_two_readings_is_told_too)
{
	struct list list = list_read(SMAPS_HEAP, NUMA_HEAP NUMA_HUGE NUMA_EMPTY);

	ck_assert_uint_eq(list.count, 3);
	ck_assert_uint_eq(list.maps[1].begin, 0x200000);
	ck_assert_uint_eq(list.maps[1].end, 0x200001);
	ck_assert_uint_eq(list.maps[1].node_bytes[1], 6 << 20);
	ck_assert_uint_eq(list.maps[2].begin, 0xe00000);
	ck_assert_uint_eq(list.maps[2].node_bytes[0], 0);
}
END_TEST

START_TEST(nonsense_is_no_mapping)
{
	struct list list = list_read("hello\n\n12-\n" SMAPS_HEAP, "world\n" NUMA_HEAP);

	ck_assert_uint_eq(list.maps[list.count - 1].begin, 0x1000);
	ck_assert_uint_eq(list.maps[list.count - 1].node_bytes[0], 8192);
}
END_TEST

static ssize_t broken_read(void *cookie, char *buffer, size_t bytes)
{
	(void)cookie;
	(void)buffer;
	(void)bytes;
	errno = EIO;
	return -1;
}

START_TEST(a_file_that_cannot_be_read_to_its_end_is_an_error)
{
	FILE *broken = fopencookie(NULL, "r", (cookie_io_functions_t){ .read = broken_read });
	FILE *numa_maps = text_open(NUMA_HEAP);
	struct list list = { .count = 0 };

	ck_assert_ptr_nonnull(broken);
	ck_assert_int_eq(mapping_each_of(broken, numa_maps, take, &list), -EIO);
	fclose(broken);
	fclose(numa_maps);
}
END_TEST

struct search {
	uintptr_t address;
	uint64_t bytes;
};

static void look(void *context, const struct mapping *map)
{
	struct search *search = context;

	if (map->begin <= search->address && search->address < map->end)
		for (uint32_t node = 0; node < TOPOLOGY_NODES_MAX; node++)
			search->bytes += map->node_bytes[node];
}

START_TEST(pages_of_this_process_are_found_when_they_are_touched)
{
	size_t bytes = 64 * 4096;
	uint8_t *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct search search = { (uintptr_t)memory, 0 };

	ck_assert_ptr_ne(memory, MAP_FAILED);
	memset(memory, 1, bytes / 2);
	ck_assert_int_eq(mapping_each(look, &search), 0);
	ck_assert_uint_eq(search.bytes, bytes / 2);
	munmap(memory, bytes);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mapping");
	TCase *tcase = tcase_create("mapping");

	tcase_add_test(tcase, extents_come_from_one_file_and_nodes_from_the_other);
	tcase_add_test(tcase, without_numa_all_pages_are_on_node_0);
	tcase_add_test(tcase, what_goes_between_the_two_readings_has_no_pages);
	tcase_add_test(tcase, what_comes_between_the_two_readings_is_told_too);
	tcase_add_test(tcase, nonsense_is_no_mapping);
	tcase_add_test(tcase, a_file_that_cannot_be_read_to_its_end_is_an_error);
	tcase_add_test(tcase, pages_of_this_process_are_found_when_they_are_touched);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
