/* SPDX-License-Identifier: MIT */
/* tests/model/onnx_folder.c - made, filled, emptied, removed */
#include "tests/model/onnx_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int onnx_folder_open(struct onnx_writer *writer)
{
	char path[] = "/tmp/hearth-model-XXXXXX";
	int directory_fd = mkdtemp(path) ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (directory_fd < 0 || onnx_writer_save_at(writer, directory_fd) < 0) {
		fprintf(stderr, "cannot write a model to %s\n", path);
		exit(EXIT_FAILURE);
	}
	onnx_writer_free(writer);
	return directory_fd;
}

void onnx_folder_close(int directory_fd)
{
	char link[32];
	char path[4096];
	DIR *directory = fdopendir(directory_fd);
	struct dirent *entry;
	ssize_t bytes;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", directory_fd);
	bytes = readlink(link, path, sizeof(path) - 1);
	if (!directory || bytes < 0) {
		fprintf(stderr, "cannot remove a model's folder\n");
		exit(EXIT_FAILURE);
	}
	path[bytes] = '\0';
	while ((entry = readdir(directory)))
		(void)unlinkat(directory_fd, entry->d_name, 0);
	(void)closedir(directory);
	(void)rmdir(path);
}
