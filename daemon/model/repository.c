/* SPDX-License-Identifier: MIT */
/* daemon/model/repository.c - lists and opens ROOT/NAME/VERSION, beneath the root, no links */
#include "model/repository.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define VERSION_WORD_BYTES 11
#define NAME_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

/* A directory's entries, sorted. */
struct entries {
	char **names;
	size_t count;
};

static int directory_open(int parent_fd, const char *name)
{
	const struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	long fd = syscall(SYS_openat2, parent_fd, name, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

static const char *open_fault(int error)
{
	switch (error) {
	case -ENOTDIR:
		return "not a directory";
	case -ELOOP:
		return "a symbolic link, which is not followed";
	default:
		return strerror(-error);
	}
}

static int string_compare(const void *one, const void *other)
{
	return strcmp(*(char *const *)one, *(char *const *)other);
}

static int model_compare(const void *one, const void *other)
{
	const struct repository_model *left = one;
	const struct repository_model *right = other;

	return strcmp(left->name, right->name);
}

static int version_compare(const void *one, const void *other)
{
	uint32_t left = *(const uint32_t *)one;
	uint32_t right = *(const uint32_t *)other;

	return (left > right) - (left < right);
}

static void entries_deinit(struct entries *entries)
{
	for (size_t index = 0; index < entries->count; index++)
		free(entries->names[index]);
	free(entries->names);
}

/* Makes room for one more element behind `count`; grows in powers of two.
 * NULL: no memory, and `list` is as it was. */
static void *list_grow(void *list, size_t count, size_t bytes)
{
	if (count & (count - 1))
		return list;
	return reallocarray(list, count ? 2 * count : 1, bytes);
}

static int entries_add(struct entries *entries, const char *name)
{
	char **names = list_grow(entries->names, entries->count, sizeof(names[0]));

	if (!names)
		return -ENOMEM;
	entries->names = names;
	names[entries->count] = strdup(name);
	if (!names[entries->count])
		return -ENOMEM;
	entries->count++;
	return 0;
}

/* Without "." and "..". The descriptor stays the caller's. */
static int entries_read(int directory_fd, struct entries *entries)
{
	int fd = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int r = 0;

	if (!directory) {
		r = -errno;
		if (fd >= 0)
			close(fd);
		return r;
	}
	while (r == 0) {
		errno = 0;
		entry = readdir(directory);
		if (!entry) {
			r = -errno;
			break;
		}
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = entries_add(entries, entry->d_name);
	}
	closedir(directory);
	if (entries->count > 0)
		qsort(entries->names, entries->count, sizeof(entries->names[0]), string_compare);
	return r;
}

static int __attribute__((format(printf, 2, 3)))
listing_ignore(struct repository_listing *listing, const char *format, ...)
{
	char **ignored = list_grow(listing->ignored, listing->ignored_count, sizeof(ignored[0]));
	va_list arguments;
	int r;

	if (!ignored)
		return -ENOMEM;
	listing->ignored = ignored;
	va_start(arguments, format);
	r = vasprintf(&ignored[listing->ignored_count], format, arguments);
	va_end(arguments);
	if (r < 0)
		return -ENOMEM;
	/* A file's name may hold anything; the sentence goes into a log. */
	for (char *at = ignored[listing->ignored_count]; *at; at++)
		if (*at < 0x20 || *at >= 0x7f)
			*at = '?';
	listing->ignored_count++;
	return 0;
}

/* 0: not a version's word. */
static uint32_t version_parse(const char *word)
{
	uint64_t value = 0;

	if (word[0] == '0' || strlen(word) >= VERSION_WORD_BYTES)
		return 0;
	for (; *word; word++) {
		if (*word < '0' || *word > '9')
			return 0;
		value = 10 * value + (uint64_t)(*word - '0');
	}
	return value <= UINT32_MAX ? (uint32_t)value : 0;
}

static int version_add(struct repository_listing *listing, struct repository_model *model,
		       int model_fd, const char *word)
{
	uint32_t version = version_parse(word);
	uint32_t *versions;
	struct stat stat;
	int fd, r;

	if (version == 0)
		return listing_ignore(
			listing, "%s/%s: not a version (a number from 1 without leading zeros)",
			model->name, word);
	fd = directory_open(model_fd, word);
	if (fd < 0)
		return listing_ignore(listing, "%s/%s: %s", model->name, word, open_fault(fd));
	r = fstatat(fd, "model.onnx", &stat, AT_SYMLINK_NOFOLLOW);
	close(fd);
	if (r < 0 || !S_ISREG(stat.st_mode))
		return listing_ignore(listing, "%s/%s: has no model.onnx that is a regular file",
				      model->name, word);
	versions = list_grow(model->versions, model->version_count, sizeof(versions[0]));
	if (!versions)
		return -ENOMEM;
	model->versions = versions;
	versions[model->version_count++] = version;
	return 0;
}

/* Fills `model` from its directory; a model without versions stays at count 0. */
static int model_read(struct repository_listing *listing, int model_fd,
		      struct repository_model *model)
{
	struct entries entries = {0};
	int r;

	r = entries_read(model_fd, &entries);
	for (size_t index = 0; index < entries.count && r == 0; index++) {
		if (strcmp(entries.names[index], "config.pbtxt") == 0)
			model->has_config_pbtxt = true;
		else
			r = version_add(listing, model, model_fd, entries.names[index]);
	}
	entries_deinit(&entries);
	if (model->version_count > 0)
		qsort(model->versions, model->version_count, sizeof(model->versions[0]),
		      version_compare);
	return r;
}

static int model_add(struct repository_listing *listing, int root_fd, const char *name)
{
	struct repository_model *models, *model;
	int fd, r;

	if (!repository_is_name(name))
		return listing_ignore(listing,
				      "%s: not a model's name (1 to 63 of A-Z a-z 0-9 . _ -, not "
				      "beginning with a dot)",
				      name);
	fd = directory_open(root_fd, name);
	if (fd < 0)
		return listing_ignore(listing, "%s: %s", name, open_fault(fd));
	models = list_grow(listing->models, listing->model_count, sizeof(models[0]));
	if (!models) {
		close(fd);
		return -ENOMEM;
	}
	listing->models = models;
	model = &models[listing->model_count];
	*model = (struct repository_model){0};
	snprintf(model->name, sizeof(model->name), "%s", name);
	r = model_read(listing, fd, model);
	close(fd);
	if (r < 0 || model->version_count == 0) {
		free(model->versions);
		return r < 0 ? r : listing_ignore(listing, "%s: has no version to load", name);
	}
	listing->model_count++;
	return 0;
}

/* Looks up a name that anybody may have sent. */
static int model_open(const struct repository *repository, const char *name, int *ret_fd)
{
	int fd;

	if (!repository_is_name(name))
		return err_raise(-ENOENT,
				 "that is not a model's name: 1 to 63 of A-Z a-z 0-9 . _ - "
				 "are wanted, not beginning with a dot");
	fd = directory_open(repository->root_fd, name);
	if (fd == -ENOENT)
		return err_raise(-ENOENT, "there is no model %s in %s", name, repository->path);
	if (fd < 0)
		return err_raise(fd, "model %s in %s: %s", name, repository->path, open_fault(fd));

	*ret_fd = fd;
	return 0;
}

int repository_open(const char *path, struct repository *ret_repository)
{
	char *copy;
	int fd;

	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_raise(-errno, "model repository %s cannot be opened: %s", path,
				 strerror(errno));
	copy = strdup(path);
	if (!copy) {
		close(fd);
		return err_raise(-ENOMEM, "model repository %s: no memory", path);
	}

	ret_repository->root_fd = fd;
	ret_repository->path = copy;
	return 0;
}

int repository_list(const struct repository *repository, struct repository_listing *ret_listing)
{
	struct repository_listing listing = {0};
	struct entries entries = {0};
	int r;

	r = entries_read(repository->root_fd, &entries);
	for (size_t index = 0; index < entries.count && r == 0; index++)
		r = model_add(&listing, repository->root_fd, entries.names[index]);
	entries_deinit(&entries);
	if (r < 0) {
		repository_listing_deinit(&listing);
		return err_raise(r, "model repository %s cannot be listed: %s", repository->path,
				 strerror(-r));
	}
	if (listing.model_count > 0)
		qsort(listing.models, listing.model_count, sizeof(listing.models[0]),
		      model_compare);
	if (listing.ignored_count > 0)
		qsort(listing.ignored, listing.ignored_count, sizeof(listing.ignored[0]),
		      string_compare);

	*ret_listing = listing;
	return 0;
}

int repository_newest(const struct repository *repository, const char *name, uint32_t *ret_version)
{
	struct repository_listing ignored = {0};
	struct repository_model model = {0};
	int fd = -1, r;

	r = model_open(repository, name, &fd);
	if (r < 0)
		return err_trace(r);
	snprintf(model.name, sizeof(model.name), "%s", name);
	r = model_read(&ignored, fd, &model);
	close(fd);
	repository_listing_deinit(&ignored);
	if (r < 0)
		r = err_raise(r, "model %s cannot be listed in %s: %s", name, repository->path,
			      strerror(-r));
	else if (model.version_count == 0)
		r = err_raise(-ENOENT, "model %s has no version to load in %s", name,
			      repository->path);
	else
		*ret_version = model.versions[model.version_count - 1];
	free(model.versions);
	return r;
}

int repository_open_version(const struct repository *repository, const char *name, uint32_t version,
			    int *ret_directory_fd)
{
	char word[VERSION_WORD_BYTES + 1];
	int model_fd = -1, fd, r;

	r = model_open(repository, name, &model_fd);
	if (r < 0)
		return err_trace(r);
	snprintf(word, sizeof(word), "%u", version);
	fd = version == 0 ? -ENOENT : directory_open(model_fd, word);
	close(model_fd);
	if (fd == -ENOENT)
		return err_raise(-ENOENT, "model %s has no version %u in %s", name, version,
				 repository->path);
	if (fd < 0)
		return err_raise(fd, "version %u of model %s in %s: %s", version, name,
				 repository->path, open_fault(fd));

	*ret_directory_fd = fd;
	return 0;
}

bool repository_is_name(const char *name)
{
	size_t bytes = strnlen(name, REPOSITORY_NAME_BYTES_MAX + 1);

	return bytes >= 1 && bytes <= REPOSITORY_NAME_BYTES_MAX && name[0] != '.' &&
	       strspn(name, NAME_CHARACTERS) == bytes;
}

void repository_listing_deinit(struct repository_listing *listing)
{
	for (uint32_t index = 0; index < listing->model_count; index++)
		free(listing->models[index].versions);
	for (uint32_t index = 0; index < listing->ignored_count; index++)
		free(listing->ignored[index]);
	free(listing->models);
	free(listing->ignored);
	*listing = (struct repository_listing){0};
}

void repository_close(struct repository *repository)
{
	if (repository->root_fd >= 0 && repository->path)
		close(repository->root_fd);
	free(repository->path);
	*repository = REPOSITORY_NONE;
}
