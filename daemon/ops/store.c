/* SPDX-License-Identifier: MIT */
/* daemon/ops/store.c - what came by name, and messages to systemd with a descriptor */
#include "ops/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

bool store_is_there(void)
{
	return getenv("NOTIFY_SOCKET") != NULL;
}

/* What others may have put there is nobody's here. */
static bool is_name(const char *name)
{
	static const char *const words[] = { "manifest", "model", "weights", "table" };
	const char *dot = strchr(name, '.');
	uint32_t index;

	if (!dot || !dot[1] || strspn(dot + 1, "0123456789") != strlen(dot + 1) ||
	    strlen(name) >= STORE_NAME_BYTES)
		return false;
	for (index = 0; index < sizeof(words) / sizeof(words[0]); index++)
		if (strncmp(name, words[index], (size_t)(dot - name)) == 0 &&
		    words[index][dot - name] == '\0')
			return true;
	return false;
}

bool store_take(void *context, const char *name, int fd)
{
	struct store *store = context;
	struct store_entry *entries;

	if (!is_name(name))
		return false;
	entries = realloc(store->entries, (store->entry_count + 1) * sizeof(*entries));
	if (!entries)
		return false;
	store->entries = entries;
	snprintf(entries[store->entry_count].name, sizeof(entries->name), "%s", name);
	entries[store->entry_count++].fd = fd;
	return true;
}

static struct store_entry *entry_find(const struct store *store, const char *name)
{
	struct store_entry *found = NULL;
	uint32_t index;

	for (index = 0; index < store->entry_count; index++) {
		if (store->entries[index].fd < 0 || strcmp(store->entries[index].name, name) != 0)
			continue;
		if (found)
			return NULL;
		found = store->entries + index;
	}
	return found;
}

int store_find(const struct store *store, const char *name)
{
	const struct store_entry *entry = entry_find(store, name);

	return entry ? entry->fd : -1;
}

int store_claim(struct store *store, const char *name)
{
	struct store_entry *entry = entry_find(store, name);
	int fd = entry ? entry->fd : -1;

	if (entry)
		entry->fd = -1;
	return fd;
}

int store_push(const char *name, int fd)
{
	char text[64];
	int r;

	snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=%s", name);
	r = sd_pid_notify_with_fds(0, 0, text, &fd, 1);
	if (r <= 0)
		return err_raise(r < 0 ? r : -ENOTCONN, "cannot give %s to systemd: %s", name,
				 r < 0 ? strerror(-r) : "NOTIFY_SOCKET is not set");
	return 0;
}

void store_remove(const char *name)
{
	sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", name);
}

void store_deinit(struct store *store)
{
	uint32_t index;

	for (index = 0; index < store->entry_count; index++)
		if (store->entries[index].fd >= 0)
			close(store->entries[index].fd);
	free(store->entries);
	memset(store, 0, sizeof(*store));
}
