/* SPDX-License-Identifier: MIT */
/*
 * tools/hearthctl/requests/npy.h - NumPy's .npy files, versions 1.0 and 2.0: f32, u8, i32, i64
 *
 * Owns:     npy_read allocates the data, npy_free frees it
 * Threads:  any, each with its own struct
 * Errors:   -EINVAL for a file that is not such an array, -ENOMEM, and what
 *           open, read and write return; each with a sentence that names the file
 * Limits:   little endian, C order, at most NPY_RANK_MAX dimensions, a header of
 *           at most 64 KiB; the data must fill the rest of the file exactly,
 *           so nothing is allocated that the file does not hold
 * Source:   numpy.lib.format, "Format Version 1.0" and "2.0"
 */
#ifndef HEARTH_TOOLS_HEARTHCTL_REQUESTS_NPY_H
#define HEARTH_TOOLS_HEARTHCTL_REQUESTS_NPY_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define NPY_RANK_MAX 8
#define NPY_HEADER_BYTES_MAX 65536 /* magic, length and text together */

/* The numbers of ONNX's TensorProto.DataType, as shm/abi.h has them. */
#define NPY_F32 1u
#define NPY_U8 2u
#define NPY_I32 6u
#define NPY_I64 7u
#define NPY_I8 3u
#define NPY_BOOL 9u
#define NPY_F16 10u

struct npy {
	uint32_t dtype; /* NPY_* */
	uint32_t rank;
	uint64_t dims[NPY_RANK_MAX];
	uint64_t header_bytes; /* where the data starts in the file */
	uint64_t data_bytes;
	void *data; /* NULL after npy_parse */
};

/* The header alone, from the first `bytes` of a file; `name` is for the sentence. */
must_check int npy_parse(const void *start, size_t bytes, const char *name, struct npy *ret_npy);

must_check int npy_read(const char *path, struct npy *ret_npy);

/* Writes version 1.0. The file is complete or gone when this returns. */
must_check int npy_write(const char *path, uint32_t dtype, uint32_t rank, const uint64_t dims[],
			 const void *data);

uint32_t npy_dtype_bytes(uint32_t dtype);   /* 0: no such type here */
const char *npy_dtype_name(uint32_t dtype); /* "f32" */

/* Of one index of the first dimension; 0 when there is none. */
uint64_t npy_row_bytes(const struct npy *npy);

void npy_free(struct npy *npy);

#endif
