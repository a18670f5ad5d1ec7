/* SPDX-License-Identifier: MIT */
/* tests/tools/test_npy.c - arrays survive a round trip, and a hostile file costs nothing */

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/suite.h"
#include "tools/hearthctl/requests/npy.h"

static char path[256];

static void path_make(void)
{
	const char *directory = getenv("TMPDIR");
	int fd;

	snprintf(path, sizeof(path), "%s/hearth-npy.XXXXXX", directory ? directory : "/tmp");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	close(fd);
}

static void path_remove(void)
{
	unlink(path);
}

static void file_put(const void *bytes, size_t count)
{
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(bytes, 1, count, file), count);
	ck_assert_int_eq(fclose(file), 0);
}

/* A file of `version` whose header text is `text`, followed by `data_bytes` zeros. */
static size_t file_compose(char *bytes, int version, const char *text, size_t data_bytes)
{
	size_t length = strlen(text);
	size_t used = version == 1 ? 10 : 12;

	memcpy(bytes, "\x93NUMPY", 6);
	bytes[6] = (char)version;
	bytes[7] = 0;
	bytes[8] = (char)(length & 0xff);
	bytes[9] = (char)(length >> 8);
	if (version != 1)
		bytes[10] = bytes[11] = 0;
	memcpy(bytes + used, text, length);
	memset(bytes + used + length, 0, data_bytes);
	return used + length + data_bytes;
}

static int parse(const char *text, struct npy *ret_npy)
{
	char bytes[4096];

	return npy_parse(bytes, file_compose(bytes, 1, text, 0), "x.npy", ret_npy);
}

static const struct {
	uint32_t dtype;
	uint32_t rank;
	uint64_t dims[NPY_RANK_MAX];
} shapes[] = {
	{NPY_F32, 0, {0}},
	{NPY_F32, 1, {1}},
	{NPY_F32, 2, {2500, 1}},
	{NPY_U8, 1, {7}},
	{NPY_U8, 3, {3, 5, 2}},
	{NPY_I32, 2, {4, 9}},
	{NPY_I64, 2, {33, 7}},
	{NPY_I64, 1, {0}},
	{NPY_F32, 2, {0, 10}},
	{NPY_I64, 8, {1, 2, 1, 3, 1, 2, 1, 2}},
	{NPY_F32, 8, {1, 1, 1, 1, 1, 1, 1, 12345}},
};

START_TEST(every_type_and_shape_survives_a_round_trip)
{
	uint32_t rank = shapes[_i].rank;
	uint64_t bytes = npy_dtype_bytes(shapes[_i].dtype);
	unsigned char *data;
	struct npy npy;
	struct stat status;
	uint64_t byte;
	uint32_t dim;

	for (dim = 0; dim < rank; dim++)
		bytes *= shapes[_i].dims[dim];
	data = malloc(bytes + 1);
	for (byte = 0; byte < bytes; byte++)
		data[byte] = (unsigned char)(byte * 151 + 7);

	path_make();
	ck_assert_int_eq(npy_write(path, shapes[_i].dtype, rank, shapes[_i].dims, data), 0);
	ck_assert_int_eq(npy_read(path, &npy), 0);
	ck_assert_uint_eq(npy.dtype, shapes[_i].dtype);
	ck_assert_uint_eq(npy.rank, rank);
	for (dim = 0; dim < rank; dim++)
		ck_assert_uint_eq(npy.dims[dim], shapes[_i].dims[dim]);
	ck_assert_uint_eq(npy.data_bytes, bytes);
	ck_assert_uint_eq(npy.header_bytes % 64, 0);
	ck_assert_int_eq(memcmp(npy.data, data, bytes), 0);
	ck_assert_int_eq(stat(path, &status), 0);
	ck_assert_uint_eq((uint64_t)status.st_size, npy.header_bytes + bytes);
	npy_free(&npy);
	free(data);
	path_remove();
}
END_TEST

static const struct {
	const char *text;
	uint32_t dtype;
	uint32_t rank;
	uint64_t data_bytes;
} headers[] = {
	{"{'descr': '<f4', 'fortran_order': False, 'shape': (2500, 10), }   \n", NPY_F32, 2,
	 100000},
	{"{'descr': '<f4', 'fortran_order': False, 'shape': (2500, 10)}\n", NPY_F32, 2, 100000},
	{"{\"shape\":(3,),\"fortran_order\":False,\"descr\":\"|u1\"}", NPY_U8, 1, 3},
	{" {\n'descr' : '<i4' ,\t'shape' : ( 2 , 3 , ) , 'fortran_order' : False , } ", NPY_I32, 2,
	 24},
	{"{'descr': '<i8', 'fortran_order': False, 'shape': ()}", NPY_I64, 0, 8},
	{"{'descr': '<f4', 'fortran_order': False, 'shape': (0, 18446744073709551615)}", NPY_F32, 2,
	 0},
	{"{'descr': '<f4', 'fortran_order': False, 'shape': (18446744073709551615, 0)}", NPY_F32, 2,
	 0},
};

START_TEST(header_is_read_however_it_is_spaced)
{
	struct npy npy;

	ck_assert_msg(parse(headers[_i].text, &npy) == 0, "%s", err_message());
	ck_assert_uint_eq(npy.dtype, headers[_i].dtype);
	ck_assert_uint_eq(npy.rank, headers[_i].rank);
	ck_assert_uint_eq(npy.data_bytes, headers[_i].data_bytes);
}
END_TEST

#define SHAPE "'fortran_order': False, 'shape': (3, 4)"

static const struct {
	const char *text;
	const char *sentence; /* part of it */
} refusals[] = {
	{"", "not a dictionary"},
	{"[1, 2]", "not a dictionary"},
	{"{", "not a dictionary"},
	{"{}", "lacks"},
	{"{'descr': '<f4', 'shape': (1,)}", "lacks"},
	{"{'descr': '<f4', 'descr': '<f4', " SHAPE "}", "twice"},
	{"{'descr': '<f4', 'colour': 1, " SHAPE "}", "unknown key 'colour'"},
	{"{'descr': '<f8', " SHAPE "}", "'<f8'"},
	{"{'descr': '>f4', " SHAPE "}", "big endian"},
	{"{'descr': '|O', " SHAPE "}", "'|O'"},
	{"{'descr': [('a', '<f4')], " SHAPE "}", "records"},
	{"{'descr': '<f4\\x00', " SHAPE "}", "records or unreadable"},
	{"{'descr': '<f4', 'fortran_order': True, 'shape': (3, 4)}", "Fortran"},
	{"{'descr': '<f4', 'fortran_order': 0, 'shape': (3, 4)}", "neither True nor False"},
	{"{'descr': '<f4', 'fortran_order': False, 'shape': 3}", "not a tuple"},
	{"{'descr': '<f4', 'fortran_order': False, 'shape': (3)}", "not a tuple"},
	{"{'descr': '<f4', 'fortran_order': False, 'shape': (3 4)}", "not a tuple"},
	{"{'descr': '<f4', 'fortran_order': False, 'shape': (,)}", "not a tuple"},
	{"{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 4)}", "not a tuple"},
	{"{'descr': '<f4', 'fortran_order': False, 'shape': (1e3, 4)}", "not a tuple"},
	{"{'descr': '<f4', 'fortran_order': False, 'shape': (18446744073709551616, 1)}",
	 "not a tuple"},
	{"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}",
	 "more than 8 dimensions"},
	{"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 1)}", "2^63"},
	{"{'descr': '<i8', 'fortran_order': False, 'shape': (4294967296, 4294967296)}", "2^63"},
	{"{'descr': '<f4', " SHAPE "} import os", "not a dictionary"},
	{"{'descr': '<f4', " SHAPE, "not a dictionary"},
	{"{'descr', " SHAPE "}", "not a dictionary"},
	{"{'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa': 1}",
	 "not a dictionary"},
};

START_TEST(refusal_says_what_is_wrong)
{
	struct npy npy = {.rank = 77};

	ck_assert_int_eq(parse(refusals[_i].text, &npy), -EINVAL);
	ck_assert_msg(strstr(err_message(), refusals[_i].sentence) != NULL, "'%s' lacks '%s'",
		      err_message(), refusals[_i].sentence);
	ck_assert_ptr_nonnull(strstr(err_message(), "x.npy"));
	ck_assert_uint_eq(npy.rank, 77);
}
END_TEST

START_TEST(version_2_is_read_and_version_3_refused)
{
	char bytes[256];
	struct npy npy;
	size_t count;

	count = file_compose(bytes, 2, headers[0].text, 0);
	ck_assert_int_eq(npy_parse(bytes, count, "x.npy", &npy), 0);
	ck_assert_uint_eq(npy.header_bytes, count);
	bytes[6] = 3;
	ck_assert_int_eq(npy_parse(bytes, count, "x.npy", &npy), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err_message(), "version 3.0"));
}
END_TEST

START_TEST(header_of_4_gib_is_refused_without_reading_it)
{
	char bytes[64] = "\x93NUMPY\x02\x00\xff\xff\xff\xff{";
	struct npy npy;

	ck_assert_int_eq(npy_parse(bytes, sizeof(bytes), "x.npy", &npy), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err_message(), "4294967295"));
}
END_TEST

START_TEST(every_truncated_header_is_refused)
{
	char bytes[256];
	size_t count = file_compose(bytes, 1, headers[0].text, 0);
	struct npy npy;
	size_t kept;

	for (kept = 0; kept < count; kept++) {
		/* A copy of its own, so that a sanitizer sees a read past the end. */
		char *part = malloc(kept + 1);
		memcpy(part, bytes, kept);
		part = realloc(part, kept > 0 ? kept : 1);
		ck_assert_int_eq(npy_parse(part, kept, "x.npy", &npy), -EINVAL);
		free(part);
	}
}
END_TEST

START_TEST(huge_shape_allocates_nothing)
{
	static const char text[] = "{'descr': '<f4', 'fortran_order': False, "
				   "'shape': (1152921504606846976,)}";
	char bytes[256];
	struct npy npy;

	path_make();
	file_put(bytes, file_compose(bytes, 1, text, 16));
	ck_assert_int_eq(npy_read(path, &npy), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err_message(), "wants 4611686018427387904 bytes"));
	path_remove();
}
END_TEST

START_TEST(data_must_fill_the_file_exactly)
{
	static const char text[] = "{'descr': '<f4', 'fortran_order': False, 'shape': (4,)}";
	char bytes[256];
	struct npy npy;
	size_t data_bytes;

	path_make();
	for (data_bytes = 14; data_bytes <= 18; data_bytes++) {
		file_put(bytes, file_compose(bytes, 1, text, data_bytes));
		ck_assert_int_eq(npy_read(path, &npy), data_bytes == 16 ? 0 : -EINVAL);
		if (data_bytes == 16)
			npy_free(&npy);
	}
	path_remove();
}
END_TEST

START_TEST(missing_file_and_directory_and_fifo_are_refused)
{
	struct npy npy;

	ck_assert_int_eq(npy_read("/nonexistent/x.npy", &npy), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err_message(), "/nonexistent/x.npy"));
	ck_assert_int_eq(npy_read("/", &npy), -EINVAL);
	path_make();
	path_remove();
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(npy_read(path, &npy), -EINVAL); /* and does not wait for a writer */
	path_remove();
}
END_TEST

START_TEST(write_that_fails_leaves_no_file)
{
	uint64_t dims[1] = {1};
	float value = 1;

	ck_assert_int_eq(npy_write("/nonexistent/x.npy", NPY_F32, 1, dims, &value), -ENOENT);
	path_make();
	path_remove();
	ck_assert_int_eq(npy_write(path, 99, 1, dims, &value), -EINVAL);
	ck_assert_int_eq(npy_write(path, NPY_F32, NPY_RANK_MAX + 1, dims, &value), -EINVAL);
	ck_assert_int_eq(access(path, F_OK), -1);
}
END_TEST

START_TEST(scrambled_headers_are_read_or_refused)
{
	char bytes[256];
	size_t count = file_compose(bytes, 1, headers[0].text, 0);
	unsigned seed = 20231;
	int round;

	printf("seed %u\n", seed);
	srandom(seed);
	for (round = 0; round < 50000; round++) {
		char *copy = malloc(count);
		struct npy npy;
		int changes = 1 + (int)(random() % 4);
		memcpy(copy, bytes, count);
		for (; changes > 0; changes--)
			copy[random() % (long)count] =
				random() % 2 ? (char)random() : "(){}',:0179 \n"[random() % 13];
		if (npy_parse(copy, count, "x.npy", &npy) == 0) {
			ck_assert_uint_le(npy.rank, NPY_RANK_MAX);
			ck_assert_uint_le(npy.header_bytes, count);
		}
		free(copy);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("npy");
	TCase *tcase = tcase_create("npy");

	tcase_add_loop_test(tcase, every_type_and_shape_survives_a_round_trip, 0,
			    (int)(sizeof(shapes) / sizeof(shapes[0])));
	tcase_add_loop_test(tcase, header_is_read_however_it_is_spaced, 0,
			    (int)(sizeof(headers) / sizeof(headers[0])));
	tcase_add_loop_test(tcase, refusal_says_what_is_wrong, 0,
			    (int)(sizeof(refusals) / sizeof(refusals[0])));
	tcase_add_test(tcase, version_2_is_read_and_version_3_refused);
	tcase_add_test(tcase, header_of_4_gib_is_refused_without_reading_it);
	tcase_add_test(tcase, every_truncated_header_is_refused);
	tcase_add_test(tcase, huge_shape_allocates_nothing);
	tcase_add_test(tcase, data_must_fill_the_file_exactly);
	tcase_add_test(tcase, missing_file_and_directory_and_fifo_are_refused);
	tcase_add_test(tcase, write_that_fails_leaves_no_file);
	tcase_add_test(tcase, scrambled_headers_are_read_or_refused);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
