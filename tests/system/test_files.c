/* SPDX-License-Identifier: MIT */
/*
 * tests/system/test_files.c - what becomes of a model when its disk fails, and its files change or go
 *
 * A disk that fails is a file system in a file that is cut short beneath it: reads beyond that are
 * I/O errors. It is mounted where nobody else sees it, and so is a file system that refuses
 * O_DIRECT; both want root and are skipped without.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "appliance.h"
#include "asker.h"
#include "crowd.h"
#include "tests/exec/cold_model.h"

#define TIMEOUT_S 60
#define QUESTIONS 60
#define DISK_BYTES (32 << 20)
#define ROW_BYTES (COLD_DIM * sizeof(float))

struct place {
	struct appliance appliance;
	char model[160]; /* its version's directory */
	char users[192]; /* the file of the larger table */
};

static void place_init(struct place *place)
{
	char parent[128];

	appliance_init(&place->appliance);
	snprintf(parent, sizeof(parent), "%s/cold", place->appliance.repository);
	snprintf(place->model, sizeof(place->model), "%s/1", parent);
	snprintf(place->users, sizeof(place->users), "%s/users.bin", place->model);
	must(mkdir(parent, 0755) == 0 && mkdir(place->model, 0755) == 0, "cannot make %s",
	     place->model);
}

/* The model is written, and the daemon started. */
static void place_start(struct place *place, bool is_cold)
{
	struct onnx_writer *writer = cold_model();

	must(onnx_writer_save(writer, place->model) == 0, "cannot write %s", place->model);
	onnx_writer_free(writer);
	if (is_cold)
		appliance_write(place->appliance.config, "[model cold]\ncold = yes\n");
	sync();
	appliance_start(&place->appliance, NULL);
}

static bool log_has(const struct appliance *appliance, const char *words)
{
	char command[512];

	snprintf(command, sizeof(command), "grep -qF '%s' '%s'", words, appliance->log);
	return system(command) == 0;
}

/* How many of so many questions have this status; all others have `otherwise`. */
static uint32_t questions_ask(struct asker *asker, uint64_t first, int wanted, int otherwise)
{
	uint32_t count = 0;

	for (uint64_t number = first; number < first + QUESTIONS; number++) {
		int status;

		asker_ask(asker, number);
		status = asker_take(asker);
		ck_assert_msg(status == wanted || status == otherwise, "%d", status);
		count += status == wanted;
	}
	return count;
}

/* --- a disk that fails --------------------------------------------------------------------------- */

static bool mounts_are_ours(void)
{
	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		printf("SKIP: mounting wants root\n");
		return false;
	}
	return true;
}

struct disk {
	char image[128];
	uint64_t kept_bytes;
	uint8_t *lost; /* what stood behind them */
};

/* Goes when it is unmounted, which the end of the test's mount namespace does. */
static bool disk_mount(struct disk *disk, const struct place *place)
{
	struct loop_config config = { .info.lo_flags = LO_FLAGS_AUTOCLEAR };
	char command[400], path[32];
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int device = -1;

	*disk = (struct disk){ .kept_bytes = 0 };
	snprintf(disk->image, sizeof(disk->image), "%s/disk", place->appliance.directory);
	snprintf(command, sizeof(command),
		 "truncate -s %d '%s' && mkfs.ext4 -q -F -b 4096 -O ^has_journal '%s'", DISK_BYTES,
		 disk->image, disk->image);
	config.fd = system(command) == 0 ? (unsigned)open(disk->image, O_RDWR | O_CLOEXEC) : 0;
	/* Another process may have the free one first. */
	for (int attempt = 0; control >= 0 && config.fd > 0 && device < 0 && attempt < 20; attempt++) {
		snprintf(path, sizeof(path), "/dev/loop%d", ioctl(control, LOOP_CTL_GET_FREE));
		device = open(path, O_RDWR | O_CLOEXEC);
		if (device >= 0 && ioctl(device, LOOP_CONFIGURE, &config) < 0) {
			close(device);
			device = -1;
		}
	}
	close(control);
	if (device < 0 || mount(path, place->model, "ext4", 0, NULL) < 0) {
		printf("SKIP: no loop device with an ext4 file system\n");
		return false;
	}
	close(device);
	close((int)config.fd);
	return true;
}

/* Where the middle of the file is on its disk. */
static uint64_t middle_of(const char *path)
{
	struct {
		struct fiemap map;
		struct fiemap_extent extent;
	} ask = { .map = { .fm_length = UINT64_MAX, .fm_flags = FIEMAP_FLAG_SYNC,
			   .fm_extent_count = 1 } };
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	must(fd >= 0 && ioctl(fd, FS_IOC_FIEMAP, &ask) == 0 && ask.map.fm_mapped_extents == 1,
	     "where %s lies is not known", path);
	close(fd);
	return ask.extent.fe_physical + ask.extent.fe_length / 8192 * 4096;
}

static void caches_drop(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);

	sync();
	must(fd >= 0 && write(fd, "3", 1) == 1, "the page cache stays");
	close(fd);
}

/* From the middle of the larger table on nothing can be read. */
static void disk_break(struct disk *disk, const struct place *place)
{
	uint64_t kept_bytes = middle_of(place->users);
	int fd = open(disk->image, O_RDWR | O_CLOEXEC);
	ssize_t lost_bytes = (ssize_t)(DISK_BYTES - kept_bytes);

	caches_drop();
	disk->kept_bytes = kept_bytes;
	disk->lost = malloc((size_t)lost_bytes);
	must(fd >= 0 && disk->lost &&
		     pread(fd, disk->lost, (size_t)lost_bytes, (off_t)kept_bytes) == lost_bytes &&
		     ftruncate(fd, (off_t)kept_bytes) == 0,
	     "the disk cannot be broken");
	close(fd);
	caches_drop();
}

static void disk_mend(struct disk *disk)
{
	ssize_t lost_bytes = (ssize_t)(DISK_BYTES - disk->kept_bytes);
	int fd = open(disk->image, O_WRONLY | O_CLOEXEC);

	must(fd >= 0 && pwrite(fd, disk->lost, (size_t)lost_bytes, (off_t)disk->kept_bytes) ==
				lost_bytes,
	     "the disk cannot be mended");
	close(fd);
	free(disk->lost);
	caches_drop();
}

START_TEST(a_disk_that_fails_during_a_load_is_named_and_the_load_is_refused)
{
	char text[APPLIANCE_TEXT_BYTES];
	struct place place;
	struct asker asker;
	struct disk disk;

	place_init(&place);
	if (!mounts_are_ours() || !disk_mount(&disk, &place))
		return;
	place_start(&place, false);
	ck_assert_int_eq(appliance_change(&place.appliance, "unload", "cold", 1, text), 0);
	disk_break(&disk, &place);
	ck_assert_int_eq(appliance_change(&place.appliance, "load", "cold", 1, text), -EIO);
	ck_assert_msg(strstr(text, "cold/users.bin: reading failed: wanted ") &&
		      strstr(text, "Input/output error"), "%s", text);
	disk_mend(&disk);
	ck_assert_msg(appliance_change(&place.appliance, "load", "cold", 1, text) == 0, "%s", text);
	asker_open(&asker, &place.appliance, 1);
	ck_assert_uint_eq(questions_ask(&asker, 0, 0, 0), QUESTIONS);
	hearth_close(asker.hearth);
	appliance_close(&place.appliance);
}
END_TEST

START_TEST(a_disk_that_fails_beneath_cold_rows_fails_who_wants_them_and_nobody_else)
{
	struct place place;
	struct asker asker;
	struct disk disk;

	place_init(&place);
	if (!mounts_are_ours() || !disk_mount(&disk, &place))
		return;
	place_start(&place, true);
	asker_open(&asker, &place.appliance, 1);
	ck_assert_uint_eq(questions_ask(&asker, 0, 0, 0), QUESTIONS);
	disk_break(&disk, &place);
	ck_assert_uint_gt(questions_ask(&asker, 1000, -EIO, 0), QUESTIONS / 2);
	asker.user_count = COLD_USERS / 4;
	ck_assert_uint_eq(questions_ask(&asker, 2000, 0, 0), QUESTIONS);
	/* A row that could not be read is read again. */
	disk_mend(&disk);
	asker.user_count = COLD_USERS;
	ck_assert_uint_eq(questions_ask(&asker, 1000, 0, 0), QUESTIONS);
	hearth_close(asker.hearth);
	appliance_close(&place.appliance);
}
END_TEST

/* --- files that change or go --------------------------------------------------------------------- */

/* Numbers of another table under the file's name: the old file lives on while it is open. */
static void users_replace(const struct place *place)
{
	static const char other[COLD_USERS * ROW_BYTES];
	char path[224];
	int fd;

	snprintf(path, sizeof(path), "%s.new", place->users);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	must(fd >= 0 && write(fd, other, sizeof(other)) == sizeof(other) &&
		     rename(path, place->users) == 0,
	     "cannot replace %s", place->users);
	close(fd);
}

START_TEST(what_is_served_from_memory_needs_its_files_no_more)
{
	char path[256];
	struct place place;
	struct asker asker;

	place_init(&place);
	place_start(&place, false);
	asker_open(&asker, &place.appliance, 2);
	ck_assert_int_eq(truncate(place.users, 1000), 0);
	ck_assert_uint_eq(questions_ask(&asker, 0, 0, 0), QUESTIONS);
	users_replace(&place);
	snprintf(path, sizeof(path), "%s/model.onnx", place.model);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_uint_eq(questions_ask(&asker, 0, 0, 0), QUESTIONS);
	hearth_close(asker.hearth);
	appliance_close(&place.appliance);
}
END_TEST

START_TEST(a_cold_table_that_is_cut_short_takes_its_version_out_of_service)
{
	struct place place;
	struct asker asker;

	place_init(&place);
	place_start(&place, true);
	asker_open(&asker, &place.appliance, 3);
	ck_assert_uint_eq(questions_ask(&asker, 0, 0, 0), QUESTIONS);
	ck_assert_int_eq(truncate(place.users, COLD_USERS / 2 * (off_t)ROW_BYTES), 0);
	/* Those that need no read may still be answered before one does. */
	ck_assert_uint_gt(questions_ask(&asker, 1000, -ESTALE, 0), QUESTIONS / 2);
	ck_assert_uint_eq(questions_ask(&asker, 0, -ESTALE, -ESTALE), QUESTIONS);
	ck_assert(log_has(&place.appliance, "a file of its cold tables has changed"));
	hearth_close(asker.hearth);
	appliance_close(&place.appliance);
}
END_TEST

START_TEST(a_cold_table_that_is_replaced_by_renaming_serves_on_from_the_old_file)
{
	struct place place;
	struct asker asker;

	place_init(&place);
	place_start(&place, true);
	asker_open(&asker, &place.appliance, 4);
	ck_assert_uint_eq(questions_ask(&asker, 0, 0, 0), QUESTIONS);
	users_replace(&place);
	ck_assert_uint_eq(questions_ask(&asker, 1000, 0, 0), QUESTIONS);
	hearth_close(asker.hearth);
	appliance_close(&place.appliance);
}
END_TEST

/* --- other places -------------------------------------------------------------------------------- */

/* _i: is it cold? */
START_TEST(where_o_direct_is_refused_files_come_through_the_page_cache_and_the_log_says_so)
{
	struct place place;
	struct asker asker;
	int fd;

	place_init(&place);
	if (!mounts_are_ours())
		return;
	ck_assert_int_eq(mount("ramfs", place.model, "ramfs", 0, "mode=0755"), 0);
	place_start(&place, _i);
	fd = open(place.users, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (fd >= 0)
		printf("SKIP: ramfs takes O_DIRECT here\n");
	else if (_i == 0)
		ck_assert(log_has(&place.appliance, "through the page cache (users.bin does not "
						    "take O_DIRECT: Invalid argument)"));
	asker_open(&asker, &place.appliance, 5);
	ck_assert_uint_eq(questions_ask(&asker, 0, 0, 0), QUESTIONS);
	hearth_close(asker.hearth);
	appliance_close(&place.appliance);
}
END_TEST

/* hearthd makes no file but its sockets: what it writes is its log. */
START_TEST(a_log_on_a_full_disk_harms_nobody)
{
	static const char *const full[] = { "sh", "-c", "exec \"$@\" >/dev/full 2>&1", "sh", NULL };
	char text[APPLIANCE_TEXT_BYTES];
	struct place place;
	struct asker asker;

	place_init(&place);
	place.appliance.wrapper = full;
	place_start(&place, false);
	ck_assert_int_eq(appliance_change(&place.appliance, "unload", "cold", 1, text), 0);
	ck_assert_int_eq(appliance_change(&place.appliance, "load", "cold", 1, text), 0);
	asker_open(&asker, &place.appliance, 6);
	ck_assert_uint_eq(questions_ask(&asker, 0, 0, 0), QUESTIONS);
	hearth_close(asker.hearth);
	appliance_close(&place.appliance);
}
END_TEST

START_TEST(a_socket_on_a_full_disk_is_refused_by_name)
{
	char text[APPLIANCE_TEXT_BYTES], full[128];
	struct appliance appliance;

	appliance_init(&appliance);
	snprintf(full, sizeof(full), "%s/full", appliance.directory);
	if (!mounts_are_ours())
		return;
	ck_assert_int_eq(mkdir(full, 0755), 0);
	/* Its root is the only inode that it can have. */
	ck_assert_int_eq(mount("tmpfs", full, "tmpfs", 0, "nr_inodes=1,mode=0755"), 0);
	snprintf(appliance.socket, sizeof(appliance.socket), "%.84s/socket", full);
	ck_assert_int_ne(appliance_refuse(&appliance, NULL, text), 0);
	ck_assert_msg(strstr(text, "/full/socket") && strstr(text, "No space left on device"), "%s",
		      text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("files");
	TCase *tests = tcase_create("files");

	tcase_set_timeout(tests, TIMEOUT_S);
	tcase_add_test(tests, a_disk_that_fails_during_a_load_is_named_and_the_load_is_refused);
	tcase_add_test(tests,
		       a_disk_that_fails_beneath_cold_rows_fails_who_wants_them_and_nobody_else);
	tcase_add_test(tests, what_is_served_from_memory_needs_its_files_no_more);
	tcase_add_test(tests, a_cold_table_that_is_cut_short_takes_its_version_out_of_service);
	tcase_add_test(tests, a_cold_table_that_is_replaced_by_renaming_serves_on_from_the_old_file);
	tcase_add_loop_test(
		tests,
		where_o_direct_is_refused_files_come_through_the_page_cache_and_the_log_says_so, 0,
		2);
	tcase_add_test(tests, a_log_on_a_full_disk_harms_nobody);
	tcase_add_test(tests, a_socket_on_a_full_disk_is_refused_by_name);
	suite_add_tcase(suite, tests);
	return appliance_check(suite);
}
