/* SPDX-License-Identifier: MIT */
/* tests/system/zeros.c - files with nothing but a size */
#include "zeros.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "crowd.h"
#include "tests/model/onnx_writer.h"

#define ROW_BYTES 32 /* whole vectors: emulated, a load that is masked faults beyond its mask */

void zeros_write(const struct appliance *appliance, const char *path, uint64_t bytes)
{
	char full[160];
	int fd;

	snprintf(full, sizeof(full), "%s/%s", appliance->repository, path);
	fd = open(full, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	must(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0, "cannot make %s", full);
	close(fd);
}

void zeros_save(const struct appliance *appliance, const char *model, uint64_t table_bytes)
{
	static const float matrix[64];
	struct onnx_writer *writer = onnx_writer_new(13);
	char rows[32];
	char bytes[32];
	char path[64];

	snprintf(rows, sizeof(rows), "%" PRIu64 ",8", table_bytes / ROW_BYTES);
	snprintf(bytes, sizeof(bytes), "%" PRIu64, table_bytes);
	onnx_writer_input(writer, "ids", DTYPE_I64, "batch");
	onnx_writer_external_words(writer, "table", DTYPE_F32, rows, "table.bin", "0", bytes);
	onnx_writer_tensor(writer, "matrix", DTYPE_F32, "8,8", matrix, sizeof(matrix));
	onnx_writer_node(writer, "Gather", "table,ids", "rows");
	onnx_writer_node(writer, "MatMul", "rows,matrix", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, "batch,8");
	appliance_save(appliance, model, writer);
	snprintf(path, sizeof(path), "%s/1/table.bin", model);
	zeros_write(appliance, path, table_bytes);
}
