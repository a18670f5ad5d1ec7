/* SPDX-License-Identifier: MIT */
/* daemon/model/onnx_files.c - files beneath a model's directory: open, read, verify */
#include "onnx_parts.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/hash.h"

#define FILE_TICKS_MAX 20

static int file_openat2(int directory_fd, const char *location, uint64_t flags)
{
	const struct open_how how = {
		.flags = flags | O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	long fd = syscall(SYS_openat2, directory_fd, location, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

static int file_open_failed(const char *name, const char *location, int error)
{
	switch (error) {
	case -ENOENT:
		return err_raise(error, "%s/%s does not exist", name, location);
	case -ELOOP:
		return err_raise(error,
				 "%s/%s is or passes through a symbolic link, which is not "
				 "followed; put the file itself there, or a hard link",
				 name, location);
	case -EXDEV:
		return err_raise(error, "%s/%s leads outside the model's directory", name,
				 location);
	case -ENOSYS:
		return err_raise(error,
				 "%s/%s: this kernel has no openat2, or a sandbox hides it; "
				 "hearth needs Linux 6.1",
				 name, location);
	default:
		return err_raise(error, "%s/%s cannot be opened: %s", name, location,
				 strerror(-error));
	}
}

static bool file_is_same(const struct stat *one, const struct stat *other)
{
	return one->st_dev == other->st_dev && one->st_ino == other->st_ino &&
	       one->st_size == other->st_size && one->st_mtim.tv_sec == other->st_mtim.tv_sec &&
	       one->st_mtim.tv_nsec == other->st_mtim.tv_nsec &&
	       one->st_ctim.tv_sec == other->st_ctim.tv_sec &&
	       one->st_ctim.tv_nsec == other->st_ctim.tv_nsec;
}

static bool time_is_before(const struct timespec *one, const struct timespec *other)
{
	return one->tv_sec != other->tv_sec ? one->tv_sec < other->tv_sec
					    : one->tv_nsec < other->tv_nsec;
}

/* File times advance in ticks of the coarse clock. A file that was written in
 * the present tick could be written again and keep its times, so wait for the
 * next one: from then on every write shows. */
static int file_stat(int fd, struct stat *ret_stat)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	struct timespec now;
	struct stat stat;

	for (int tick = 0; tick < FILE_TICKS_MAX; tick++) {
		clock_gettime(CLOCK_REALTIME_COARSE, &now);
		if (fstat(fd, &stat) < 0)
			return -errno;
		if (time_is_before(&stat.st_ctim, &now))
			break;
		nanosleep(&pause, NULL);
	}
	*ret_stat = stat;
	return 0;
}

int onnx_file_open(int directory_fd, const char *name, const char *location,
		   struct onnx_file *ret_file)
{
	struct stat stat;
	int fd, r;

	fd = file_openat2(directory_fd, location, 0);
	if (fd < 0)
		return file_open_failed(name, location, fd);
	r = file_stat(fd, &stat);
	if (r < 0) {
		close(fd);
		return err_raise(r, "%s/%s cannot be examined: %s", name, location, strerror(-r));
	}
	if (!S_ISREG(stat.st_mode)) {
		close(fd);
		return err_raise(-EINVAL, "%s/%s is a %s; a regular file is wanted", name, location,
				 S_ISDIR(stat.st_mode)	  ? "directory"
				 : S_ISFIFO(stat.st_mode) ? "FIFO"
							  : "device or socket");
	}

	ret_file->source = (struct range_file){
		.folder = name,
		.location = location,
		.fd = fd,
		.direct_fd = -1,
		.bytes = (uint64_t)stat.st_size,
	};
	ret_file->stat = stat;
	return 0;
}

/* Past the page cache, if the name still leads to the same file; the descriptor's error says why
 * not. */
static void file_open_direct(const struct onnx_whole *whole, struct onnx_file *file)
{
	struct range_file *source = &file->source;
	struct stat stat;
	int fd;

	if (source->direct_fd >= 0 || source->direct_error != 0)
		return;
	fd = file_openat2(whole->directory_fd, source->location, O_DIRECT);
	if (fd >= 0 && (fstat(fd, &stat) < 0 || !file_is_same(&stat, &file->stat))) {
		close(fd);
		fd = -ESTALE;
	}
	source->direct_fd = fd < 0 ? -1 : fd;
	source->direct_error = fd < 0 ? -fd : 0;
}

int onnx_file_verify(const struct onnx_file *file)
{
	struct stat stat;

	if (fstat(file->source.fd, &stat) < 0)
		return err_raise(-errno, "%s/%s cannot be examined again: %s", file->source.folder,
				 file->source.location, strerror(errno));
	return file_is_same(&stat, &file->stat) ? 0 : ONNX_E_CHANGED;
}

int onnx_file_find(struct onnx_whole *whole, const char *location, uint32_t *ret_file_index)
{
	struct onnx_file file;
	int r;

	for (uint32_t index = whole->file_count; index-- > 1;) {
		if (strcmp(whole->files[index].source.location, location) == 0) {
			*ret_file_index = index;
			return 0;
		}
	}
	if (whole->is_kept)
		return err_raise(-ENODATA, "%s: the size of %s is not among what was kept of the "
				 "model", whole->name, location);
	if (whole->file_count == ONNX_FILES_MAX)
		return err_raise(-EINVAL, "%s/model.onnx names more than %d external files",
				 whole->name, ONNX_FILES_MAX - 1);
	if (whole->file_count == whole->file_capacity) {
		uint32_t capacity = 2 * whole->file_capacity;
		struct onnx_file *files = onnx_alloc(whole, capacity, sizeof(*files));

		if (!files)
			return err_raise(-ENOMEM, "%s: no memory for %u files", whole->name,
					 capacity);
		memcpy(files, whole->files, whole->file_count * sizeof(*files));
		whole->files = files;
		whole->file_capacity = capacity;
	}
	location = onnx_copy_string(whole, location);
	if (!location)
		return err_raise(-ENOMEM, "%s: no memory for a file's name", whole->name);
	r = onnx_file_open(whole->directory_fd, whole->name, location, &file);
	if (r < 0)
		return err_trace(r);

	*ret_file_index = whole->file_count;
	whole->files[whole->file_count++] = file;
	return 0;
}

void onnx_file_close(struct onnx_file *file)
{
	if (file->source.fd >= 0)
		close(file->source.fd);
	if (file->source.direct_fd >= 0)
		close(file->source.direct_fd);
	file->source.fd = -1;
	file->source.direct_fd = -1;
}

uint32_t onnx_skew(const struct onnx_tensor *tensor)
{
	return tensor->source == ONNX_EXTERNAL ? (uint32_t)(tensor->offset % ONNX_PAGE_BYTES) : 0;
}

int onnx_read(const struct onnx_model *model, const struct onnx_tensor *tensor, void *destination)
{
	struct onnx_whole *whole = (struct onnx_whole *)(uintptr_t)model;
	int r;

	if (tensor->source == ONNX_INLINE) {
		if (tensor->bytes > 0)
			memcpy(destination, tensor->data, tensor->bytes);
		return 0;
	}
	assert(tensor->file_index < whole->file_count);
	if (whole->is_kept) {
		r = onnx_kept_read(whole, tensor, destination);
		return r < 0 ? err_trace(r) : 0;
	}
	r = range_file_read(&whole->files[tensor->file_index].source, tensor->offset, tensor->bytes,
			    destination);
	if (r < 0)
		return err_trace(r);
	onnx_note(whole, tensor, destination);
	return 0;
}

struct range_left onnx_range(const struct onnx_model *model, const struct onnx_tensor *tensor,
			     void *pages, void *place)
{
	const struct onnx_whole *whole = (const struct onnx_whole *)model;
	struct onnx_file *file;

	assert(tensor->source == ONNX_EXTERNAL && tensor->file_index < whole->file_count);
	assert(!whole->is_kept);
	file = &whole->files[tensor->file_index];
	file_open_direct(whole, file);
	return range_left(&file->source, tensor->offset, tensor->bytes, pages, place);
}

int onnx_direct_error(const struct onnx_model *model, const char **ret_location)
{
	const struct onnx_whole *whole = (const struct onnx_whole *)model;

	for (uint32_t index = 0; index < whole->file_count; index++) {
		if (whole->files[index].source.direct_error == 0)
			continue;
		*ret_location = whole->files[index].source.location;
		return whole->files[index].source.direct_error;
	}
	return 0;
}

int onnx_verify(const struct onnx_model *model)
{
	const struct onnx_whole *whole = (const struct onnx_whole *)model;
	int r;

	for (uint32_t index = 0; index < whole->file_count; index++) {
		if (whole->files[index].source.fd < 0)
			continue;
		r = onnx_file_verify(&whole->files[index]);
		if (r != 0)
			return r < 0 ? err_trace(r) : r;
	}
	return 0;
}

/* Zeroes where there is no such file: it is not opened to be read. */
static struct stat stat_beneath(int directory_fd, const char *location)
{
	const struct open_how how = {
		.flags = O_PATH | O_CLOEXEC | O_NOFOLLOW,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	int fd = (int)syscall(SYS_openat2, directory_fd, location, &how, sizeof(how));
	struct stat stat = { .st_size = 0 };

	if (fd < 0)
		return stat;
	if (fstat(fd, &stat) < 0)
		stat = (struct stat){ .st_size = 0 };
	close(fd);
	return stat;
}

uint64_t onnx_files_hash(const struct onnx_model *model, int directory_fd)
{
	const struct onnx_whole *whole = (const struct onnx_whole *)model;
	uint64_t hash = 0;

	for (uint32_t index = 0; index < whole->file_count; index++) {
		const struct onnx_file *file = &whole->files[index];
		const char *location = file->source.location;
		const struct stat stat =
			whole->is_kept ? stat_beneath(directory_fd, location) : file->stat;
		/* Those that file_is_same compares. */
		const uint64_t words[] = {
			hash,
			hash_bytes(location, strlen(location)),
			stat.st_dev,
			stat.st_ino,
			(uint64_t)stat.st_size,
			(uint64_t)stat.st_mtim.tv_sec,
			(uint64_t)stat.st_mtim.tv_nsec,
			(uint64_t)stat.st_ctim.tv_sec,
			(uint64_t)stat.st_ctim.tv_nsec,
		};

		hash = hash_bytes(words, sizeof(words));
	}
	return hash;
}

int onnx_tensor_open(const struct onnx_model *model, const struct onnx_tensor *tensor, int *ret_fd,
		     int *ret_direct_fd, uint64_t *ret_offset)
{
	const struct onnx_whole *whole = (const struct onnx_whole *)model;
	const struct onnx_file *file = &whole->files[tensor->file_index];
	const char *location = file->source.location;
	struct onnx_file again;
	int r;

	assert(tensor->source == ONNX_EXTERNAL);
	if (whole->is_kept)
		return err_raise(-ENODATA, "%s: the file of tensor '%s' is not among what was kept "
				 "of the model", whole->name, tensor->name);
	r = onnx_file_open(whole->directory_fd, whole->name, location, &again);
	if (r < 0)
		return err_trace(r);
	if (!file_is_same(&file->stat, &again.stat)) {
		close(again.source.fd);
		return err_raise(-ESTALE, "%s/%s changed while it was read", whole->name,
				 location);
	}
	file_open_direct(whole, &again);
	*ret_fd = again.source.fd;
	*ret_direct_fd = again.source.direct_fd;
	*ret_offset = tensor->offset;
	return 0;
}
