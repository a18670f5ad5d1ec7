/* SPDX-License-Identifier: MIT */
/* tests/base/test_stats_page.c - what is read of a stats page is whole, whoever wrote the file */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/stats_page.h"
#include "tests/suite.h"

#define TEXT_BYTES 6000
#define BENDS 2000

static char path[] = "/tmp/hearth-stats.XXXXXX";
static int fd;
static struct stats_page *page;

static void page_set_up(void)
{
	memcpy(path + sizeof(path) - 7, "XXXXXX", 6);
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, STATS_PAGE_HEAD_BYTES), 0);
	page = mmap(NULL, STATS_PAGE_HEAD_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(page, MAP_FAILED);
	stats_page_init(page);
	ck_assert_int_eq(ftruncate(fd, (off_t)page->total_bytes), 0);
}

static void page_tear_down(void)
{
	munmap(page, STATS_PAGE_HEAD_BYTES);
	close(fd);
	unlink(path);
}

/* As ops/page does it. */
static void text_write(enum stats_verb verb, const char *text, size_t bytes)
{
	struct stats_document *document = &page->documents[verb];

	stats_document_begin(document);
	__atomic_store_n(&document->status, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&document->text_bytes, bytes, __ATOMIC_RELAXED);
	__atomic_store_n(&document->hash, hash_bytes(text, bytes), __ATOMIC_RELAXED);
	ck_assert_int_eq(pwrite(fd, text, bytes, (off_t)document->offset), (ssize_t)bytes);
	stats_document_end(document);
}

START_TEST(a_page_tells_who_writes_it)
{
	struct stats_document document;
	struct stats_view view;
	uint64_t ticks;
	char state;
	char *text;

	ck_assert_int_eq(stats_view_open(path, &view), 0);
	ck_assert_uint_eq(view.page.pid, (uint64_t)getpid());
	ck_assert_int_eq(stats_process_find(view.page.pid, &ticks, &state), 0);
	ck_assert_uint_eq(view.page.pid_ticks, ticks);
	ck_assert_int_eq(state, 'R');
	ck_assert_uint_eq(view.page.beats, 1);
	ck_assert_uint_eq(view.page.pid_namespace, stats_namespace("pid"));
	ck_assert_uint_eq(view.page.time_namespace, stats_namespace("time"));
	ck_assert_int_eq(stats_view_read(&view, STATS_CLIENTS, &document, &text), 0);
	ck_assert_int_eq(document.status, -ENODATA);
	ck_assert_str_eq(text, "");
	free(text);

	counter_add(&page->counters.requests, 7);
	stats_page_beat(page);
	text_write(STATS_CLIENTS, "{\"pid\": 1}\n", 11);
	ck_assert_int_eq(stats_view_look(&view), 0);
	ck_assert_uint_eq(view.page.beats, 2);
	ck_assert_uint_eq(counter_read(&view.page.counters.requests), 7);
	ck_assert_int_eq(stats_view_read(&view, STATS_CLIENTS, &document, &text), 0);
	ck_assert_str_eq(text, "{\"pid\": 1}\n");
	ck_assert_int_eq(document.status, 0);
	ck_assert_uint_eq(document.sequence, 2);
	free(text);
	stats_view_close(&view);
}
END_TEST

START_TEST(every_verb_of_a_page_has_a_name_and_room_of_its_own)
{
	uint64_t end = STATS_PAGE_HEAD_BYTES;

	for (enum stats_verb verb = 0; verb < STATS_VERB_COUNT; verb++) {
		ck_assert_int_eq(stats_verb_of(stats_verb_name(verb)), (int)verb);
		ck_assert_uint_eq(page->documents[verb].offset, end);
		ck_assert_uint_le(page->documents[verb].room_bytes, STATS_TEXT_BYTES_MAX);
		end += page->documents[verb].room_bytes;
	}
	ck_assert_uint_eq(end, page->total_bytes);
	ck_assert_int_eq(stats_verb_of("trace"), STATS_VERB_COUNT);
}
END_TEST

/* --- written while it is read --------------------------------------------------------------------- */

static const char *letters_left = ""; /* for a text is written so often in the middle of a read */

/* As libc's, in whose place it is; what is behind the head comes in two halves. */
ssize_t pread(int from, void *bytes, size_t byte_count, off_t offset)
{
	ssize_t first = 0;
	ssize_t second;

	if (offset >= STATS_PAGE_HEAD_BYTES && *letters_left) {
		static char text[TEXT_BYTES];

		first = syscall(SYS_pread64, from, bytes, byte_count / 2, offset);
		memset(text, *letters_left++, sizeof(text));
		text_write(STATS_MODELS, text, sizeof(text));
	}
	second = syscall(SYS_pread64, from, (char *)bytes + first, byte_count - (size_t)first,
			 offset + first);
	return first < 0 || second < 0 ? -1 : first + second;
}

/* Halves of two texts are none; and a text that is told of anew is read anew. */
START_TEST(a_text_that_is_written_while_it_is_read_is_read_again)
{
	struct stats_document document;
	struct stats_view view;
	char *text;

	text_write(STATS_MODELS, "a", 1);
	ck_assert_int_eq(stats_view_open(path, &view), 0);
	letters_left = "bccd";
	ck_assert_int_eq(stats_view_read(&view, STATS_MODELS, &document, &text), 0);
	ck_assert_str_eq(letters_left, "");
	ck_assert_uint_eq(document.sequence, page->documents[STATS_MODELS].sequence);
	ck_assert_uint_eq(strlen(text), TEXT_BYTES);
	ck_assert_uint_eq(strspn(text, "d"), TEXT_BYTES);
	free(text);

	letters_left = "d";
	ck_assert_int_eq(stats_view_read(&view, STATS_MODELS, &document, &text), 0);
	ck_assert_uint_eq(document.sequence, page->documents[STATS_MODELS].sequence);
	free(text);
	stats_view_close(&view);
}
END_TEST

START_TEST(a_text_whose_writer_went_in_between_is_torn)
{
	struct stats_document document;
	struct stats_view view;
	char *text;

	text_write(STATS_STATUS, "{}\n", 3);
	ck_assert_int_eq(stats_view_open(path, &view), 0);
	stats_document_begin(&page->documents[STATS_STATUS]);
	ck_assert_int_eq(stats_view_read(&view, STATS_STATUS, &document, &text), STATS_E_TORN);
	stats_document_end(&page->documents[STATS_STATUS]);
	ck_assert_int_eq(stats_view_read(&view, STATS_STATUS, &document, &text), 0);
	free(text);
	/* The sequence is even, and the text is not what was hashed. */
	ck_assert_int_eq(pwrite(fd, "[", 1, (off_t)page->documents[STATS_STATUS].offset), 1);
	ck_assert_int_eq(stats_view_read(&view, STATS_STATUS, &document, &text), STATS_E_TORN);
	stats_view_close(&view);
}
END_TEST

START_TEST(why_there_is_no_text_is_an_errno_or_the_page_is_foreign)
{
	static const int32_t foreign[] = { 1, INT32_MAX, INT32_MIN, -4096 };
	struct stats_document *document = &page->documents[STATS_STATUS];
	struct stats_document copy;
	struct stats_view view;
	char *text;

	ck_assert_int_eq(stats_view_open(path, &view), 0);
	document->status = -4095;
	ck_assert_int_eq(stats_view_read(&view, STATS_STATUS, &copy, &text), 0);
	ck_assert_str_eq(text, "");
	free(text);
	for (uint32_t index = 0; index < 4; index++) {
		document->status = foreign[index];
		ck_assert_int_eq(stats_view_read(&view, STATS_STATUS, &copy, &text),
				 STATS_E_FOREIGN);
	}
	stats_view_close(&view);
}
END_TEST

/* --- files that are none ---------------------------------------------------------------------------- */

START_TEST(what_is_no_page_of_this_layout_is_foreign)
{
	struct stats_view view;

	page->layout++;
	ck_assert_int_eq(stats_view_open(path, &view), STATS_E_FOREIGN);
	page->layout--;
	page->pid = 0; /* kill(0) would reach the reader itself */
	ck_assert_int_eq(stats_view_open(path, &view), STATS_E_FOREIGN);
	page->pid = UINT64_C(1) << 31;
	ck_assert_int_eq(stats_view_open(path, &view), STATS_E_FOREIGN);
	page->pid = 1;
	page->magic++;
	ck_assert_int_eq(stats_view_open(path, &view), STATS_E_FOREIGN);
	ck_assert_int_eq(ftruncate(fd, sizeof(*page) - 1), 0);
	ck_assert_int_eq(stats_view_open(path, &view), STATS_E_FOREIGN);
	ck_assert_int_eq(ftruncate(fd, 0), 0);
	ck_assert_int_eq(stats_view_open(path, &view), STATS_E_FOREIGN);
	unlink(path);
	ck_assert_int_eq(stats_view_open(path, &view), -ENOENT);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(stats_view_open(path, &view), STATS_E_FOREIGN);
	unlink(path);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert_int_eq(stats_view_open(path, &view), STATS_E_FOREIGN);
	rmdir(path);
}
END_TEST

static uint64_t random_next(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + 1442695040888963407;
	return *state >> 33;
}

/* Places, times and counts are anything, whether or not the file goes so far: what is read is whole, or
 * nothing is. */
START_TEST(a_head_of_garbage_is_survived)
{
	static const uint64_t edges[] = { 0, 1, 4095, 4096, INT64_MAX, UINT64_MAX, UINT32_MAX };
	struct stats_document *document = &page->documents[STATS_STATUS];
	uint64_t *words = (uint64_t *)(void *)document;
	struct stats_document copy, sound;
	uint64_t seed = 20251127;
	struct stats_view view;
	uint32_t whole = 0;
	char *text;

	text_write(STATS_STATUS, "{\"pid\": 1}\n", 11);
	sound = *document;
	ck_assert_int_eq(stats_view_open(path, &view), 0);
	for (uint32_t bend = 0; bend < BENDS; bend++) {
		/* Sequence, sizes and hash are waited for until they agree: that is another test's. */
		static const uint32_t places[] = { 1, 5, 6, 7 };
		uint32_t place = places[random_next(&seed) % 4];
		int r;

		words[place] = random_next(&seed) % 2 ? edges[random_next(&seed) % 7]
						      : random_next(&seed) << random_next(&seed) % 33;
		r = stats_view_read(&view, STATS_STATUS, &copy, &text);
		if (r == 0) {
			ck_assert_uint_eq(strlen(text), copy.status < 0 ? 0 : 11);
			free(text);
			whole++;
		} else {
			ck_assert(r == STATS_E_FOREIGN || r == STATS_E_TORN);
		}
		*document = sound;
	}
	ck_assert_uint_gt(whole, BENDS / 4);
	ck_assert_uint_lt(whole, BENDS);
	stats_view_close(&view);
}
END_TEST

START_TEST(a_size_that_cannot_be_is_not_believed)
{
	static const uint64_t sizes[] = { UINT64_MAX, STATS_TEXT_BYTES_MAX + 1, 10 };
	struct stats_document *document = &page->documents[STATS_STATUS];
	struct stats_document copy;
	struct stats_view view;
	char *text;

	text_write(STATS_STATUS, "{\"pid\": 1}\n", 11);
	ck_assert_int_eq(stats_view_open(path, &view), 0);
	for (uint32_t index = 0; index < 3; index++) {
		document->text_bytes = sizes[index];
		document->room_bytes = UINT64_MAX;
		ck_assert_int_eq(stats_view_read(&view, STATS_STATUS, &copy, &text), STATS_E_TORN);
	}
	document->text_bytes = 11;
	ck_assert_int_eq(ftruncate(fd, (off_t)document->offset + 10), 0);
	ck_assert_int_eq(stats_view_read(&view, STATS_STATUS, &copy, &text), STATS_E_FOREIGN);
	stats_view_close(&view);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stats_page");
	TCase *tests = tcase_create("stats_page");

	tcase_add_checked_fixture(tests, page_set_up, page_tear_down);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, a_page_tells_who_writes_it);
	tcase_add_test(tests, every_verb_of_a_page_has_a_name_and_room_of_its_own);
	tcase_add_test(tests, a_text_that_is_written_while_it_is_read_is_read_again);
	tcase_add_test(tests, a_text_whose_writer_went_in_between_is_torn);
	tcase_add_test(tests, why_there_is_no_text_is_an_errno_or_the_page_is_foreign);
	tcase_add_test(tests, what_is_no_page_of_this_layout_is_foreign);
	tcase_add_test(tests, a_head_of_garbage_is_survived);
	tcase_add_test(tests, a_size_that_cannot_be_is_not_believed);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
