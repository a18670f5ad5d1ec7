/* SPDX-License-Identifier: MIT */
/*
 * tests/system/bench_restart.c - how soon a daemon is ready that goes on with what systemd kept
 *
 * From the start of the process until it says READY=1, of a model of 1 GiB: from its files, which
 * the page cache does not have, and with its weights kept; and with 16 MiB of weights kept. A table
 * that a batch looks rows up in has nearly all of them, as in ranking models. systemd's part is
 * played (manager.h).
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "appliance.h"
#include "crowd.h"
#include "manager.h"
#include "measure.h"
#include "tests/model/onnx_writer.h"

#define DIM 64
#define ROW_BYTES (DIM * sizeof(float))
#define ROUNDS 3
#define STARTS 9 /* with what was kept, in each round */
#define GOAL_OF_SMALL 1.2
#define GOAL_OF_COLD 0.05
#define NS_PER_MS 1e6

struct side {
	struct appliance appliance;
	struct manager manager;
	uint32_t starts;
	double cold_ms[ROUNDS];
	double warm_ms[ROUNDS * STARTS];
};

static void model_make(const struct appliance *appliance, uint64_t weights_bytes)
{
	struct onnx_writer *writer = onnx_writer_new(17);
	float *rows = malloc(weights_bytes);
	uint64_t index;
	char shape[32];

	must(rows, "no memory for the table");
	for (index = 0; index < weights_bytes / sizeof(float); index++)
		rows[index] = (float)(index % 1021) / 1021;
	onnx_writer_input(writer, "ids", DTYPE_I64, "batch");
	snprintf(shape, sizeof(shape), "%llu,%d", (unsigned long long)(weights_bytes / ROW_BYTES),
		 DIM);
	onnx_writer_external(writer, "table", DTYPE_F32, shape, rows, weights_bytes, "model.bin",
			     64);
	onnx_writer_tensor(writer, "matrix", DTYPE_F32, "64,64", rows, DIM * ROW_BYTES);
	onnx_writer_node(writer, "Gather", "table,ids", "rows");
	onnx_writer_node(writer, "MatMul", "rows,matrix", "scores");
	onnx_writer_output(writer, "scores", DTYPE_F32, "batch,64");
	free(rows);
	appliance_save(appliance, "model", writer);
}

static void side_open(struct side *side, uint64_t weights_bytes)
{
	appliance_init(&side->appliance);
	manager_open(&side->manager, &side->appliance);
	appliance_write(side->appliance.config, "[model shoppers]\nload = none\n");
	model_make(&side->appliance, weights_bytes);
}

/* A written file must reach the disk before its pages can leave the cache. */
static void cache_drop(const struct side *side)
{
	char path[160];
	int fd;

	snprintf(path, sizeof(path), "%s/model/1/model.bin", side->appliance.repository);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	must(fd >= 0 && fsync(fd) == 0 && posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0,
	     "the file's pages do not leave the cache");
	close(fd);
}

static double start_ms(struct side *side)
{
	int64_t begin_ns = crowd_now_ns();

	appliance_launch(&side->appliance, (const char *[]){ "--warm-restart", NULL });
	return (double)(manager_await_ready(&side->manager, ++side->starts) - begin_ns) / NS_PER_MS;
}

static void cold_measure(struct side *side, uint32_t round)
{
	manager_forget(&side->manager);
	cache_drop(side);
	side->cold_ms[round] = start_ms(side);
	appliance_stop(&side->appliance);
}

static void warm_measure(struct side *side, uint32_t start)
{
	uint32_t stored_count = manager_stored(&side->manager);

	side->warm_ms[start] = start_ms(side);
	must(manager_stored(&side->manager) == stored_count, "the model was read again");
	appliance_stop(&side->appliance);
}

static void verdict(bool is_json, const char *what, double ratio, double goal)
{
	printf(is_json ? "{\"bench\":\"restart\",\"what\":\"%s\",\"ratio\":%.4f,\"goal\":%.2f,"
			 "\"verdict\":\"%s\"}\n"
		       : "  %-42s %6.3f  goal at most %.2f  %s\n",
	       what, ratio, goal, ratio <= goal ? "met" : "missed");
}

static void campaign(void)
{
	static struct side small, large;
	bool is_json = getenv("BENCH_FORMAT") && strcmp(getenv("BENCH_FORMAT"), "json") == 0;
	double small_ms, large_ms, cold_ms;
	uint32_t round;
	uint32_t start;

	side_open(&small, UINT64_C(16) << 20);
	side_open(&large, UINT64_C(1) << 30);
	for (round = 0; round < ROUNDS; round++) {
		cold_measure(&small, round);
		cold_measure(&large, round);
		for (start = round * STARTS; start < (round + 1) * STARTS; start++) {
			warm_measure(&small, start);
			warm_measure(&large, start);
		}
	}
	small_ms = median_of(small.warm_ms, ROUNDS * STARTS);
	large_ms = median_of(large.warm_ms, ROUNDS * STARTS);
	cold_ms = median_of(large.cold_ms, ROUNDS);
	if (!is_json) {
		printf("restart: until a daemon is ready, middle of %d from files and %d with weights "
		       "kept\n", ROUNDS, ROUNDS * STARTS);
		printf("  %-42s %6.1f ms\n", "1 GiB from its files", cold_ms);
		printf("  %-42s %6.1f ms\n", "1 GiB kept", large_ms);
		printf("  %-42s %6.1f ms\n", "16 MiB kept", small_ms);
	}
	verdict(is_json, "1 GiB kept, of 16 MiB kept", large_ms / small_ms, GOAL_OF_SMALL);
	verdict(is_json, "1 GiB kept, of 1 GiB from its files", large_ms / cold_ms, GOAL_OF_COLD);
	manager_close(&small.manager);
	manager_close(&large.manager);
}

int main(void)
{
	return appliance_campaign(campaign);
}
