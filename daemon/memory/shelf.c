/* SPDX-License-Identifier: MIT */
/* daemon/memory/shelf.c - a list of sheets, and what is on them compared */
#include "memory/shelf.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "memory/reserve.h"
#include "memory/sealed.h"
#include "memory/span_kept.h"

/* Where the bytes shall lie. */
struct wanted {
	struct place place;
	uint64_t page_bytes; /* of its reserved pages: an address that these fit may not fit others */
	struct topology topology;
};

void shelf_init(struct shelf *shelf, struct tier_table *tiers)
{
	*shelf = (struct shelf){ .tiers = tiers };
	pthread_mutex_init(&shelf->mutex, NULL);
}

void shelf_deinit(struct shelf *shelf)
{
	shelf_settle(shelf);
	pthread_mutex_destroy(&shelf->mutex);
}

/* The first of `bytes` in such pages behind `after` (NULL: of all), with one more user. */
static struct sheet *next_alike(struct shelf *shelf, uint64_t bytes, uint64_t page_bytes,
				const struct sheet *after)
{
	struct sheet *sheet;

	pthread_mutex_lock(&shelf->mutex);
	sheet = after ? after->next : shelf->sheets;
	while (sheet && (sheet->bytes != bytes || sheet->page_bytes != page_bytes))
		sheet = sheet->next;
	if (sheet)
		sheet->users++;
	pthread_mutex_unlock(&shelf->mutex);
	return sheet;
}

/* A sheet that is looked at. */
struct look {
	const void *bytes;
	uint64_t byte_count;
	uint32_t tier_row;
};

static int look_begin(const struct shelf *shelf, int fd, struct look *ret_look)
{
	const struct tier_owner owner = { shelf->tiers, "hearthd", TIER_KEPT };
	struct look look = { .bytes = NULL };
	int r;

	r = sealed_map(fd, "a sheet", &look.bytes, &look.byte_count);
	if (r < 0)
		return err_trace(r);
	r = tier_add_range(&owner, look.bytes, look.byte_count, look.byte_count, -1, &look.tier_row);
	if (r < 0) {
		sealed_unmap(look.bytes, look.byte_count);
		return err_trace(r);
	}
	*ret_look = look;
	return 0;
}

static void look_end(const struct shelf *shelf, const struct look *look)
{
	sealed_unmap(look->bytes, look->byte_count);
	tier_remove(shelf->tiers, look->tier_row);
}

/* Has it these bytes, where they are wanted? */
static int sheet_compare(const struct shelf *shelf, const struct sheet *sheet, const void *bytes,
			 const struct wanted *wanted, bool *ret_alike)
{
	struct look look;
	int r;

	r = look_begin(shelf, sheet->fd, &look);
	if (r < 0)
		return err_trace(r);
	*ret_alike = memcmp(bytes, look.bytes, look.byte_count) == 0 &&
		     place_holds(wanted->place, (void *)(uintptr_t)look.bytes, look.byte_count,
				 &wanted->topology);
	look_end(shelf, &look);
	return 0;
}

/* NULL: no sheet has these bytes. */
static int sheet_find(struct shelf *shelf, const void *bytes, uint64_t byte_count,
		      const struct wanted *wanted, struct sheet **ret_sheet)
{
	struct sheet *sheet = next_alike(shelf, byte_count, wanted->page_bytes, NULL);
	bool is_alike = false;

	while (sheet) {
		struct sheet *next;
		int r;

		r = sheet_compare(shelf, sheet, bytes, wanted, &is_alike);
		if (r == 0 && is_alike)
			break;
		next = next_alike(shelf, byte_count, wanted->page_bytes, sheet);
		shelf_return(shelf, sheet);
		if (r < 0) {
			if (next)
				shelf_return(shelf, next);
			return err_trace(r);
		}
		sheet = next;
	}
	*ret_sheet = sheet;
	return 0;
}

/* With one user. `id` 0: the next one. */
static struct sheet *sheet_add(struct shelf *shelf, uint64_t id, int fd, uint64_t bytes)
{
	struct sheet *sheet = malloc(sizeof(*sheet));

	if (!sheet)
		return NULL;
	*sheet = (struct sheet){
		.bytes = bytes,
		.page_bytes = sealed_page_bytes(fd),
		.fd = fd,
		.users = 1,
		.keepers = id > 0,
	};
	pthread_mutex_lock(&shelf->mutex);
	sheet->id = id > 0 ? id : ++shelf->id_last;
	sheet->next = shelf->sheets;
	shelf->sheets = sheet;
	pthread_mutex_unlock(&shelf->mutex);
	return sheet;
}

int shelf_put(struct shelf *shelf, int fd, struct place place, struct sheet **ret_sheet)
{
	struct wanted wanted = { .place = place, .page_bytes = sealed_page_bytes(fd) };
	struct sheet *sheet = NULL;
	struct look look;
	int r;

	r = topology_read(&wanted.topology);
	if (r == 0)
		r = look_begin(shelf, fd, &look);
	if (r < 0)
		return err_trace(r);
	r = sheet_find(shelf, look.bytes, look.byte_count, &wanted, &sheet);
	look_end(shelf, &look);
	if (r < 0)
		return err_trace(r);
	if (sheet)
		close(fd);
	else
		sheet = sheet_add(shelf, 0, fd, look.byte_count);
	if (!sheet)
		return err_raise(-ENOMEM, "no memory for a sheet of the shelf");
	*ret_sheet = sheet;
	return 0;
}

void shelf_count(struct sheet *sheet, struct span *span, uint64_t offset)
{
	for (int node = -1; span->reserve && node < TOPOLOGY_NODES_MAX; node++) {
		uint64_t huge_bytes;
		uint64_t giant_bytes;

		span_range_count(span, offset, sheet->bytes, node, &huge_bytes, &giant_bytes);
		sheet->lent_bytes[1 + node] =
			sheet->page_bytes == SPAN_GIANT_BYTES ? giant_bytes : huge_bytes;
	}
	span_kept_shelve(span, offset, sheet->bytes);
}

struct sheet *shelf_take(struct shelf *shelf, uint64_t id)
{
	struct sheet *sheet;

	pthread_mutex_lock(&shelf->mutex);
	for (sheet = shelf->sheets; sheet && sheet->id != id; sheet = sheet->next)
		;
	if (sheet)
		sheet->users++;
	pthread_mutex_unlock(&shelf->mutex);
	return sheet;
}

/* With the mutex held: takes out of the list what has no user, and returns it. */
static struct sheet *unused_take(struct shelf *shelf)
{
	struct sheet **place = &shelf->sheets;
	struct sheet *sheet;

	while (*place && (*place)->users > 0)
		place = &(*place)->next;
	sheet = *place;
	if (sheet)
		*place = sheet->next;
	return sheet;
}

static void sheet_close(const struct shelf *shelf, const struct sheet *sheet)
{
	close(sheet->fd);
	for (int node = -1; node < TOPOLOGY_NODES_MAX; node++)
		reserve_return(tier_reserve(shelf->tiers), node, sheet->page_bytes,
			       sheet->lent_bytes[1 + node]);
}

static void unused_drop(struct shelf *shelf)
{
	struct sheet *sheet;

	do {
		pthread_mutex_lock(&shelf->mutex);
		sheet = unused_take(shelf);
		pthread_mutex_unlock(&shelf->mutex);
		if (sheet)
			sheet_close(shelf, sheet);
		free(sheet);
	} while (sheet);
}

void shelf_return(struct shelf *shelf, struct sheet *sheet)
{
	pthread_mutex_lock(&shelf->mutex);
	sheet->users--;
	pthread_mutex_unlock(&shelf->mutex);
	unused_drop(shelf);
}

uint32_t shelf_users(struct shelf *shelf, const struct sheet *sheet)
{
	uint32_t users;

	pthread_mutex_lock(&shelf->mutex);
	users = sheet->users - sheet->keepers;
	pthread_mutex_unlock(&shelf->mutex);
	return users;
}

/* Its pages are awaited no more. */
static void sheet_adopt(const struct shelf *shelf, struct sheet *sheet)
{
	struct reserve *reserve = tier_reserve(shelf->tiers);

	if (!reserve || sheet->page_bytes == 0 ||
	    sealed_nodes(sheet->fd, "a sheet", sheet->lent_bytes + 1) < 0)
		return;
	for (int node = 0; node < TOPOLOGY_NODES_MAX; node++)
		reserve_adopt(reserve, node, sheet->page_bytes, sheet->lent_bytes[1 + node]);
}

void shelf_bring(struct shelf *shelf, uint64_t id, int fd)
{
	struct sheet *sheet;
	uint64_t bytes = 0;

	pthread_mutex_lock(&shelf->mutex);
	if (id > shelf->id_last)
		shelf->id_last = id;
	pthread_mutex_unlock(&shelf->mutex);
	if (fd < 0)
		return;
	sheet = sealed_check(fd, "a sheet", &bytes) == 0 ? sheet_add(shelf, id, fd, bytes) : NULL;
	if (!sheet)
		close(fd);
	else
		sheet_adopt(shelf, sheet);
}

void shelf_settle(struct shelf *shelf)
{
	struct sheet *sheet;

	pthread_mutex_lock(&shelf->mutex);
	for (sheet = shelf->sheets; sheet; sheet = sheet->next) {
		sheet->users -= sheet->keepers;
		sheet->keepers = 0;
	}
	pthread_mutex_unlock(&shelf->mutex);
	unused_drop(shelf);
}
