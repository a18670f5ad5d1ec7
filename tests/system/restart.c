/* SPDX-License-Identifier: MIT */
/* tests/system/restart.c - daemons one after another, and what the manager holds between them */
#include "restart.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crowd.h"
#include "memory/sealed.h"
#include "shoppers.h"

void restart_open(struct restart *restart)
{
	memset(restart, 0, sizeof(*restart));
	appliance_init(&restart->appliance);
	manager_open(&restart->manager, &restart->appliance);
}

void restart_close(struct restart *restart)
{
	appliance_close(&restart->appliance);
	manager_close(&restart->manager);
}

void restart_start(struct restart *restart, const char *const flags[])
{
	struct stat status;

	restart->log_read = stat(restart->appliance.log, &status) == 0 ? status.st_size : 0;
	appliance_start(&restart->appliance, flags);
	manager_await_ready(&restart->manager, ++restart->starts);
}

bool restart_log_says(struct restart *restart, const char *word)
{
	char text[16384];
	FILE *log = fopen(restart->appliance.log, "re");
	size_t bytes;

	ck_assert(log && fseek(log, restart->log_read, SEEK_SET) == 0);
	bytes = fread(text, 1, sizeof(text) - 1, log);
	fclose(log);
	text[bytes] = '\0';
	return strstr(text, word) != NULL;
}

void restart_assert_log_says(struct restart *restart, const char *word)
{
	ck_assert_msg(restart_log_says(restart, word), "the log does not say: %s", word);
}

void restart_ask(struct restart *restart, uint32_t version, float ret_scores[RESTART_ROWS])
{
	const struct hearth_completion *completion;
	const struct hearth_model_info *model;
	struct hearth_request *request;
	struct hearth *hearth;

	ck_assert_int_eq(hearth_open(restart->appliance.socket, NULL, &hearth), 0);
	ck_assert_int_eq(hearth_model(hearth, "shoppers", version, &model), 0);
	ck_assert_int_eq(hearth_acquire(hearth, model, RESTART_ROWS, &request), 0);
	request->version = version;
	shoppers_fill(request, model, 0, RESTART_ROWS);
	ck_assert_int_eq(hearth_submit(hearth, request), 0);
	ck_assert_int_eq(hearth_wait(hearth, CROWD_PATIENCE_NS, &completion), 0);
	ck_assert_int_eq(completion->status, 0);
	shoppers_check(completion, 0, RESTART_ROWS);
	ck_assert_uint_eq(completion->outputs[0].bytes, RESTART_ROWS * sizeof(float));
	memcpy(ret_scores, completion->outputs[0].data, RESTART_ROWS * sizeof(float));
	hearth_close(hearth);
}

void restart_assert_same_bits(struct restart *restart, uint32_t version,
			      const float scores[RESTART_ROWS])
{
	float now[RESTART_ROWS];

	restart_ask(restart, version, now);
	ck_assert_mem_eq(now, scores, sizeof(now));
}

void restart_files_remove(struct restart *restart, const char *version)
{
	char command[256];

	snprintf(command, sizeof(command), "rm '%s/shoppers/%s'/*",
		 restart->appliance.repository, version);
	must(system(command) == 0, "cannot remove the files of version %s", version);
}

void restart_files_spoil(struct restart *restart, const char *version)
{
	char path[256];

	restart_files_remove(restart, version);
	snprintf(path, sizeof(path), "%s/shoppers/%s/model.onnx",
		 restart->appliance.repository, version);
	appliance_write(path, "this is no model");
}

void restart_end(struct restart *restart, bool is_killed)
{
	if (is_killed)
		appliance_kill(&restart->appliance);
	else
		appliance_stop(&restart->appliance);
}

uint32_t restart_manifest(struct restart *restart, struct manifest *ret_manifest)
{
	static struct manifest bytes, one;
	uint32_t newest = 0;
	uint32_t index;
	int fd;

	ret_manifest->generation = 0;
	for (index = 0; (fd = manager_find(&restart->manager, "manifest.", index)) >= 0; index++) {
		ssize_t byte_count = pread(fd, &bytes, sizeof(bytes), 0);

		close(fd);
		must(manifest_read(&bytes, (uint64_t)byte_count, "manifest", &one) == 0, "%s",
		     err_message());
		if (one.generation <= ret_manifest->generation)
			continue;
		*ret_manifest = one;
		newest = index;
	}
	must(ret_manifest->generation > 0, "there is no manifest");
	return newest;
}

bool restart_is_hashed_since(struct restart *restart, uint64_t id)
{
	static struct manifest manifest;

	restart_manifest(restart, &manifest);
	return manifest.entry_count == 1 && manifest.entries[0].id > id &&
	       manifest.entries[0].content_hash != 0;
}

int restart_sealed(const void *bytes, uint64_t byte_count)
{
	int fd = -1;

	must(sealed_new("copy", bytes, byte_count, &fd) == 0, "%s", err_message());
	return fd;
}

void restart_manifest_put(struct restart *restart, uint32_t index, const struct manifest *manifest)
{
	manager_replace(&restart->manager, "manifest.", index,
			restart_sealed(manifest, manifest_bytes(manifest)));
}
