/* SPDX-License-Identifier: MIT */
/* tests/serve/pair.c - two tables, and who has which */
#include "tests/serve/pair.h"

#include <string.h>
#include <unistd.h>

#include "tests/model/onnx_writer.h"
#include "tests/model/scratch.h"
#include "tests/system/crowd.h"

#define SHAPE "294912,16"

static float a[PAIR_TABLE_BYTES / sizeof(float)];
static float b[PAIR_TABLE_BYTES / sizeof(float)];

static void model_save(uint32_t number, const char *directory)
{
	struct onnx_writer *writer = onnx_writer_new(17);

	memset(a, 1, sizeof(a));
	memset(b, 2, sizeof(b));
	onnx_writer_input(writer, "ids", DTYPE_I64, "batch");
	onnx_writer_external(writer, "a", DTYPE_F32, SHAPE, a, sizeof(a), "a.bin", 64);
	onnx_writer_node(writer, "Gather", "a,ids", number == 1 ? "y" : "rows_a");
	if (number > 1) {
		onnx_writer_external(writer, "b", DTYPE_F32, SHAPE, b, sizeof(b), "b.bin", 64);
		onnx_writer_node(writer, "Gather", "b,ids", "rows_b");
		onnx_writer_node(writer, "Add", "rows_a,rows_b", "y");
	}
	onnx_writer_output(writer, "y", DTYPE_F32, "batch,16");
	must(onnx_writer_save(writer, directory) == 0, "cannot write the model into %s", directory);
	onnx_writer_free(writer);
}

struct version *pair_version(uint32_t number, struct shelf *shelf)
{
	const struct engine_options options = {
		.rows_max = 4,
		.activation_bytes_max = 1 << 20,
		.node = -1,
		.keeps = true,
		.shelf = shelf,
	};
	const char *directory = scratch_directory();
	struct version *version = NULL;
	int fd;

	model_save(number, directory);
	fd = scratch_open(directory);
	must(version_new(fd, PAIR_NAME, number, 0, &options, &version) == 0, "%s", err_message());
	close(fd);
	must(engine_kept(version->engine), "%s", engine_unkept(version->engine));
	return version;
}
