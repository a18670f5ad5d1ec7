/* SPDX-License-Identifier: MIT */
/*
 * tools/hearthctl/requests/npy.c - the header is a Python dictionary; this reads the part NumPy writes
 *
 *     \x93NUMPY  major  minor  length (u16 or u32, little endian)
 *     {'descr': '<f4', 'fortran_order': False, 'shape': (2500, 10), }   spaces  \n
 *     the elements
 */

#include "tools/hearthctl/requests/npy.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "elements are copied as they are");

#define PREFIX_BYTES 8 /* magic, major, minor */
#define WORD_BYTES 64
#define ALIGN_BYTES 64 /* where NumPy starts the data */

static const char magic[6] = {'\x93', 'N', 'U', 'M', 'P', 'Y'};

static const struct {
	uint32_t dtype;
	uint32_t bytes;
	const char *name;
	const char *descr;
} types[] = {
	{NPY_F32, 4, "f32", "<f4"},
	{NPY_U8, 1, "u8", "|u1"},
	{NPY_I32, 4, "i32", "<i4"},
	{NPY_I64, 8, "i64", "<i8"},
	{NPY_I8, 1, "i8", "|i1"},
	{NPY_BOOL, 1, "bool", "|b1"},
	{NPY_F16, 2, "f16", "<f2"},
};
#define TYPE_COUNT (sizeof(types) / sizeof(types[0]))

/* What is left of the header, and whose it is. */
struct text {
	const char *at;
	const char *end;
	const char *name;
};

static void text_skip_space(struct text *text)
{
	while (text->at < text->end && (*text->at == ' ' || *text->at == '\t' || *text->at == '\n'))
		text->at++;
}

/* Takes `wanted` when it is next. */
static bool text_take(struct text *text, char wanted)
{
	text_skip_space(text);
	if (text->at == text->end || *text->at != wanted)
		return false;
	text->at++;
	return true;
}

/* A string literal without escapes, of fewer than WORD_BYTES characters. */
static bool text_take_string(struct text *text, char ret_word[WORD_BYTES])
{
	const char *start;
	size_t bytes;
	char quote;

	text_skip_space(text);
	if (text->at == text->end || (*text->at != '\'' && *text->at != '"'))
		return false;
	quote = *text->at;
	start = text->at + 1;
	for (bytes = 0; start + bytes < text->end && start[bytes] != quote; bytes++)
		if (bytes == WORD_BYTES - 1 || start[bytes] < ' ' || start[bytes] > '~' ||
		    start[bytes] == '\\')
			return false;
	if (start + bytes == text->end)
		return false;
	memcpy(ret_word, start, bytes);
	ret_word[bytes] = '\0';
	text->at = start + bytes + 1;
	return true;
}

static bool text_take_word(struct text *text, const char *wanted)
{
	size_t bytes = strlen(wanted);

	text_skip_space(text);
	if ((size_t)(text->end - text->at) < bytes || memcmp(text->at, wanted, bytes) != 0)
		return false;
	text->at += bytes;
	return true;
}

static bool text_take_number(struct text *text, uint64_t *ret_number)
{
	const char *start;
	uint64_t number = 0;

	text_skip_space(text);
	start = text->at;
	for (; text->at < text->end && *text->at >= '0' && *text->at <= '9'; text->at++)
		if (__builtin_mul_overflow(number, UINT64_C(10), &number) ||
		    __builtin_add_overflow(number, (uint64_t)(*text->at - '0'), &number))
			return false;
	*ret_number = number;
	return text->at > start;
}

static int descr_parse(struct text *text, struct npy *npy)
{
	char descr[WORD_BYTES];
	size_t type;

	if (!text_take_string(text, descr))
		return err_raise(-EINVAL,
				 "%s: the elements are records or unreadable; wanted an array of "
				 "float32, int32, int64 or uint8",
				 text->name);
	for (type = 0; type < TYPE_COUNT; type++) {
		if (strcmp(descr, types[type].descr) == 0) {
			npy->dtype = types[type].dtype;
			return 0;
		}
	}
	return err_raise(
		-EINVAL,
		"%s: the elements are '%s'%s; wanted '<f4' (float32), '<i4', '<i8' or '|u1': "
		"convert with numpy's astype()",
		text->name, descr, descr[0] == '>' ? ", which is big endian" : "");
}

static int order_parse(struct text *text)
{
	if (text_take_word(text, "False"))
		return 0;
	if (text_take_word(text, "True"))
		return err_raise(-EINVAL,
				 "%s: the array is in Fortran order; wanted C order: save "
				 "numpy.ascontiguousarray(array)",
				 text->name);
	return err_raise(-EINVAL, "%s: 'fortran_order' is neither True nor False", text->name);
}

static int shape_parse(struct text *text, struct npy *npy)
{
	uint64_t number;
	bool is_tuple = false;

	if (!text_take(text, '('))
		goto malformed;
	npy->rank = 0;
	while (!text_take(text, ')')) {
		if (npy->rank > 0 && !is_tuple)
			goto malformed;
		if (npy->rank == NPY_RANK_MAX)
			return err_raise(-EINVAL, "%s: the array has more than %d dimensions",
					 text->name, NPY_RANK_MAX);
		if (!text_take_number(text, &number))
			goto malformed;
		npy->dims[npy->rank++] = number;
		is_tuple = text_take(text, ',');
	}
	if (npy->rank == 1 && !is_tuple)
		goto malformed; /* (5) is a number in Python, not a shape */
	return 0;
malformed:
	return err_raise(-EINVAL,
			 "%s: 'shape' is not a tuple of numbers below 2^64, such as (2500, 10)",
			 text->name);
}

static int dictionary_parse(struct text *text, struct npy *npy)
{
	static const char *const keys[] = {"descr", "fortran_order", "shape"};
	unsigned seen = 0;
	int r;

	if (!text_take(text, '{'))
		goto malformed;
	while (!text_take(text, '}')) {
		char key[WORD_BYTES];
		unsigned index;

		if (!text_take_string(text, key) || !text_take(text, ':'))
			goto malformed;
		for (index = 0; index < 3 && strcmp(key, keys[index]) != 0; index++)
			;
		if (index == 3 || (seen & 1u << index) != 0)
			return err_raise(-EINVAL, "%s: the header has %s key '%s'", text->name,
					 index == 3 ? "an unknown" : "twice the", key);
		seen |= 1u << index;
		r = index == 0	 ? descr_parse(text, npy)
		    : index == 1 ? order_parse(text)
				 : shape_parse(text, npy);
		if (r < 0)
			return err_trace(r);
		if (!text_take(text, ',')) {
			if (!text_take(text, '}'))
				goto malformed;
			break;
		}
	}
	text_skip_space(text);
	if (text->at != text->end)
		goto malformed;
	if (seen != 7)
		return err_raise(-EINVAL,
				 "%s: the header lacks 'descr', 'fortran_order' or 'shape'",
				 text->name);
	return 0;
malformed:
	return err_raise(-EINVAL, "%s: the header is not a dictionary as numpy.save writes it",
			 text->name);
}

static int data_bytes_set(struct npy *npy, const char *name)
{
	uint64_t bytes = npy_dtype_bytes(npy->dtype);
	uint32_t dim;

	for (dim = 0; dim < npy->rank; dim++)
		if (npy->dims[dim] == 0)
			bytes = 0;
	for (dim = 0; dim < npy->rank && bytes > 0; dim++)
		if (__builtin_mul_overflow(bytes, npy->dims[dim], &bytes) || bytes > INT64_MAX)
			return err_raise(-EINVAL, "%s: the shape is of more than 2^63 bytes", name);
	npy->data_bytes = bytes;
	return 0;
}

int npy_parse(const void *start, size_t bytes, const char *name, struct npy *ret_npy)
{
	const unsigned char *byte = start;
	struct npy npy = {0};
	struct text text = {.name = name};
	size_t length_bytes;
	size_t length = 0;
	size_t index;
	int r;

	if (bytes < PREFIX_BYTES || memcmp(byte, magic, sizeof(magic)) != 0)
		return err_raise(-EINVAL, "%s: not a .npy file; wanted one that numpy.save wrote",
				 name);
	if ((byte[6] != 1 && byte[6] != 2) || byte[7] != 0)
		return err_raise(-EINVAL, "%s: .npy version %u.%u; wanted 1.0 or 2.0", name,
				 byte[6], byte[7]);
	length_bytes = byte[6] == 1 ? 2 : 4;
	if (bytes < PREFIX_BYTES + length_bytes)
		return err_raise(-EINVAL, "%s: the file ends inside its header", name);
	for (index = 0; index < length_bytes; index++)
		length |= (size_t)byte[PREFIX_BYTES + index] << (8 * index);
	if (length > NPY_HEADER_BYTES_MAX - PREFIX_BYTES - length_bytes)
		return err_raise(-EINVAL, "%s: the header claims %zu bytes; at most %d are read",
				 name, length, NPY_HEADER_BYTES_MAX);
	npy.header_bytes = PREFIX_BYTES + length_bytes + length;
	if (bytes < npy.header_bytes)
		return err_raise(-EINVAL, "%s: the file ends inside its header", name);

	text.at = (const char *)start + PREFIX_BYTES + length_bytes;
	text.end = text.at + length;
	r = dictionary_parse(&text, &npy);
	if (r < 0)
		return err_trace(r);
	r = data_bytes_set(&npy, name);
	if (r < 0)
		return err_trace(r);
	*ret_npy = npy;
	return 0;
}

/* Reads until `bytes` are there or the file ends. */
static ssize_t read_whole(int fd, void *to, size_t bytes)
{
	size_t done = 0;

	while (done < bytes) {
		ssize_t got = read(fd, (char *)to + done, bytes - done);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

static int open_regular(const char *path, uint64_t *ret_bytes)
{
	struct stat status;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return err_raise(-errno, "%s: %s", path, strerror(errno));
	if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode)) {
		close(fd);
		return err_raise(-EINVAL, "%s: not a regular file", path);
	}
	*ret_bytes = (uint64_t)status.st_size;
	return fd;
}

static int data_read(int fd, const char *path, struct npy *npy)
{
	ssize_t got;

	npy->data = malloc(npy->data_bytes > 0 ? npy->data_bytes : 1);
	if (!npy->data)
		return err_raise(-ENOMEM, "%s: no memory for its %" PRIu64 " bytes", path,
				 npy->data_bytes);
	if (lseek(fd, (off_t)npy->header_bytes, SEEK_SET) < 0)
		return err_raise(-errno, "%s: %s", path, strerror(errno));
	got = read_whole(fd, npy->data, npy->data_bytes);
	if (got < 0)
		return err_raise((int)got, "%s: %s", path, strerror((int)-got));
	if ((uint64_t)got != npy->data_bytes)
		return err_raise(-EINVAL, "%s: the file shrank while it was read", path);
	return 0;
}

int npy_read(const char *path, struct npy *ret_npy)
{
	struct npy npy = {0};
	uint64_t file_bytes = 0;
	char *start;
	ssize_t got;
	int fd;
	int r;

	fd = open_regular(path, &file_bytes);
	if (fd < 0)
		return err_trace(fd);
	start = malloc(NPY_HEADER_BYTES_MAX);
	if (!start) {
		r = err_raise(-ENOMEM, "%s: no memory for its header", path);
		goto out;
	}
	got = read_whole(fd, start, NPY_HEADER_BYTES_MAX);
	if (got < 0) {
		r = err_raise((int)got, "%s: %s", path, strerror((int)-got));
		goto out;
	}
	r = npy_parse(start, (size_t)got, path, &npy);
	if (r < 0) {
		r = err_trace(r);
		goto out;
	}
	if (file_bytes < npy.header_bytes || file_bytes - npy.header_bytes != npy.data_bytes) {
		r = err_raise(-EINVAL,
			      "%s: the shape wants %" PRIu64
			      " bytes of data, the file has %" PRIu64,
			      path, npy.data_bytes,
			      file_bytes < npy.header_bytes ? 0 : file_bytes - npy.header_bytes);
		goto out;
	}
	r = data_read(fd, path, &npy);
	if (r < 0) {
		r = err_trace(r);
		goto out;
	}
	*ret_npy = npy;
	npy.data = NULL;
out:
	free(npy.data);
	free(start);
	close(fd);
	return r;
}

/* The whole header; its length is a multiple of ALIGN_BYTES. */
static size_t header_print(char *header, size_t header_size, uint32_t dtype, uint32_t rank,
			   const uint64_t dims[])
{
	const char *descr = "";
	size_t used = PREFIX_BYTES + 2;
	size_t bytes;
	size_t type;
	uint32_t dim;

	for (type = 0; type < TYPE_COUNT; type++)
		if (types[type].dtype == dtype)
			descr = types[type].descr;
	used += (size_t)snprintf(header + used, header_size - used,
				 "{'descr': '%s', 'fortran_order': False, 'shape': (", descr);
	for (dim = 0; dim < rank; dim++)
		used += (size_t)snprintf(header + used, header_size - used, "%" PRIu64 "%s",
					 dims[dim],
					 rank == 1	  ? ","
					 : dim + 1 < rank ? ", "
							  : "");
	used += (size_t)snprintf(header + used, header_size - used, "), }");

	bytes = (used + 1 + ALIGN_BYTES - 1) / ALIGN_BYTES * ALIGN_BYTES;
	memset(header + used, ' ', bytes - used);
	header[bytes - 1] = '\n';
	memcpy(header, magic, sizeof(magic));
	header[6] = 1;
	header[7] = 0;
	header[8] = (char)((bytes - PREFIX_BYTES - 2) & 0xff);
	header[9] = (char)((bytes - PREFIX_BYTES - 2) >> 8);
	return bytes;
}

static int write_whole(int fd, const void *from, size_t bytes)
{
	size_t done = 0;

	while (done < bytes) {
		ssize_t put = write(fd, (const char *)from + done, bytes - done);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -errno;
		done += (size_t)put;
	}
	return 0;
}

int npy_write(const char *path, uint32_t dtype, uint32_t rank, const uint64_t dims[],
	      const void *data)
{
	struct npy npy = {.dtype = dtype, .rank = rank};
	char header[512]; /* eight dimensions of 20 digits take 180 */
	size_t header_bytes;
	int fd;
	int r;

	if (npy_dtype_bytes(dtype) == 0 || rank > NPY_RANK_MAX)
		return err_raise(-EINVAL, "%s: data type %u and %u dimensions are not written",
				 path, dtype, rank);
	if (rank > 0)
		memcpy(npy.dims, dims, rank * sizeof(dims[0]));
	r = data_bytes_set(&npy, path);
	if (r < 0)
		return err_trace(r);

	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0)
		return err_raise(-errno, "%s: %s", path, strerror(errno));
	header_bytes = header_print(header, sizeof(header), dtype, rank, dims);
	r = write_whole(fd, header, header_bytes);
	if (r == 0)
		r = write_whole(fd, data, npy.data_bytes);
	if (close(fd) < 0 && r == 0)
		r = -errno;
	if (r < 0) {
		unlink(path);
		return err_raise(r, "%s: %s", path, strerror(-r));
	}
	return 0;
}

uint32_t npy_dtype_bytes(uint32_t dtype)
{
	size_t type;

	for (type = 0; type < TYPE_COUNT; type++)
		if (types[type].dtype == dtype)
			return types[type].bytes;
	return 0;
}

const char *npy_dtype_name(uint32_t dtype)
{
	size_t type;

	for (type = 0; type < TYPE_COUNT; type++)
		if (types[type].dtype == dtype)
			return types[type].name;
	return "unknown";
}

uint64_t npy_row_bytes(const struct npy *npy)
{
	return npy->rank > 0 && npy->dims[0] > 0 ? npy->data_bytes / npy->dims[0] : 0;
}

void npy_free(struct npy *npy)
{
	free(npy->data);
	*npy = (struct npy){0};
}
