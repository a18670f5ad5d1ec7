/* SPDX-License-Identifier: MIT */
/*
 * tests/hostile/garbage.c - random bytes everywhere, and requests that are nearly right
 *
 * Plain noise is refused at the first glance, so most rounds are a sound
 * request with a few fields spoiled, or one that changes while it is read.
 */
#include "garbage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "intruder.h"
#include "tests/system/crowd.h"
#include "tests/system/shoppers.h"

#define SLOTS 16
#define AREA_BYTES 65536
#define ROWS_MAX 40
#define SCRIBBLES 200

struct garbage {
	const struct garbage_plan *plan;
	const struct hearth_model_info *model;
	struct intruder intruder;
	uint64_t random;
};

static uint64_t below(struct garbage *garbage, uint64_t bound)
{
	return crowd_random(&garbage->random) % bound;
}

/* Numbers at which bounds checks break. */
static uint64_t odd_number(struct garbage *garbage)
{
	static const uint64_t numbers[] = {
		0, 1, 2, 3, 7, 8, 28, 60, 63, 64, 65, 127, 128, 255, 256, 1024, 4095, 4096, 65535,
		65536, 0x7fffffff, 0x80000000, 0xffffffc0, 0xffffffff, UINT64_C(1) << 40,
		INT64_MAX, UINT64_C(1) << 63, UINT64_MAX,
	};
	uint64_t number = numbers[below(garbage, sizeof(numbers) / sizeof(numbers[0]))];

	switch (below(garbage, 4)) {
	case 0:
		return crowd_random(&garbage->random);
	case 1:
		return number * 64;
	default:
		return number;
	}
}

static void spoil(struct garbage *garbage, void *object, size_t bytes)
{
	static const uint32_t widths[] = { 1, 2, 4, 4, 4, 8 };
	uint32_t width = widths[below(garbage, 6)];
	uint64_t number = odd_number(garbage);
	size_t at = below(garbage, bytes / width) * width;

	memcpy((uint8_t *)object + at, &number, width);
}

static void fill(struct garbage *garbage, void *memory, size_t bytes)
{
	uint64_t word;

	for (; bytes >= sizeof(word); bytes -= sizeof(word)) {
		word = crowd_random(&garbage->random);
		memcpy(memory, &word, sizeof(word));
		memory = (uint8_t *)memory + sizeof(word);
	}
}

static struct hearth_request_slot sound_slot(struct garbage *garbage)
{
	struct intruder *intruder = &garbage->intruder;
	uint32_t rows = 1 + (uint32_t)below(garbage, ROWS_MAX);
	uint32_t offset = (uint32_t)below(garbage, 8) * 8192;
	struct hearth_request_slot slot = {
		.id = (1 + below(garbage, 3)) << 32 | below(garbage, SLOTS),
		.operation = HEARTH_OP_INFER,
		.request_offset = offset,
		.request_bytes = intruder_write_infer(intruder, offset, garbage->model,
						      (uint32_t)below(garbage, SHOPPERS_ROWS),
						      rows),
		.response_offset = (uint32_t)below(garbage, 64) * 512,
		.response_bytes = 512,
	};

	if (below(garbage, 8) == 0) {
		slot.operation = HEARTH_OP_ECHO;
		slot.request_bytes = 256 + (uint32_t)below(garbage, 512); /* some are too long */
	}
	if (below(garbage, 8) == 0) {
		struct hearth_stream_test stream = { .item_count = (uint32_t)below(garbage, 80) };

		slot.operation = HEARTH_OP_STREAM_TEST;
		memcpy(intruder->request_area + offset, &stream, sizeof(stream));
	}
	return slot;
}

/* --- rounds -------------------------------------------------------------------------------------- */

static void noise_everywhere(struct garbage *garbage)
{
	fill(garbage, garbage->intruder.base, garbage->intruder.layout.client_bytes);
}

static void noise_in_head(struct garbage *garbage)
{
	spoil(garbage, garbage->intruder.client, sizeof(*garbage->intruder.client));
}

static void noise_in_slot(struct garbage *garbage)
{
	struct hearth_request_slot slot;

	fill(garbage, &slot, sizeof(slot));
	intruder_push(&garbage->intruder, &slot);
}

static void nearly_sound(struct garbage *garbage)
{
	struct hearth_request_slot slot = sound_slot(garbage);
	uint64_t turns = below(garbage, 3);

	while (turns-- > 0)
		spoil(garbage, garbage->intruder.request_area + slot.request_offset,
		      sizeof(struct hearth_request_header) +
			      SHOPPERS_INPUTS * sizeof(struct hearth_tensor));
	if (below(garbage, 2))
		spoil(garbage, &slot, sizeof(slot));
	intruder_push(&garbage->intruder, &slot);
}

/* The daemon reads while this writes. */
static void changes_while_read(struct garbage *garbage)
{
	struct hearth_request_slot slot = sound_slot(garbage);
	struct intruder *intruder = &garbage->intruder;
	uint8_t *range = intruder->request_area + slot.request_offset;
	uint32_t turn;

	intruder_push(intruder, &slot);
	for (turn = 0; turn < SCRIBBLES; turn++) {
		spoil(garbage, range, below(garbage, 2) ? 256 : slot.request_bytes);
		if (turn % 16 == 0)
			spoil(garbage, intruder->request_slots,
			      SLOTS * sizeof(*intruder->request_slots));
	}
}

static void cancels_anything(struct garbage *garbage)
{
	spoil(garbage, garbage->intruder.cancel, SLOTS * sizeof(uint32_t));
}

static void punches_holes(struct garbage *garbage)
{
	struct intruder *intruder = &garbage->intruder;
	size_t page = below(garbage, intruder->layout.client_bytes / HEARTH_PAGE_BYTES);

	madvise(intruder->base + page * HEARTH_PAGE_BYTES, HEARTH_PAGE_BYTES, MADV_REMOVE);
}

static void says_anything(struct garbage *garbage)
{
	uint8_t packet[512];
	size_t bytes = below(garbage, sizeof(packet));
	struct hearth_message head = {
		.magic = HEARTH_MAGIC,
		.type = (uint16_t)below(garbage, 10),
		.bytes = (uint32_t)bytes,
	};

	fill(garbage, packet, sizeof(packet));
	if (below(garbage, 2))
		memcpy(packet, &head, sizeof(head));
	(void)!send(garbage->intruder.fd, packet, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void round_run(struct garbage *garbage)
{
	static void (*const rounds[])(struct garbage *) = {
		noise_everywhere,   noise_in_head, noise_in_slot,	noise_in_slot,
		nearly_sound,	    nearly_sound,  nearly_sound,	nearly_sound,
		changes_while_read, nearly_sound,  changes_while_read,	nearly_sound,
		cancels_anything,   punches_holes, nearly_sound,	says_anything,
	};
	struct intruder *intruder = &garbage->intruder;
	struct hearth_completion_slot completion;

	/* A request's place comes back with its completion; mostly it is waited for. */
	rounds[below(garbage, sizeof(rounds) / sizeof(rounds[0]))](garbage);
	if (below(garbage, 4))
		intruder_ring(intruder);
	while (intruder_pop(intruder, &completion))
		;
	if (intruder->sq_position - intruder->cq_position >= SLOTS / 2) {
		crowd_pause_ns(100000);
		while (intruder_pop(intruder, &completion))
			;
	}
}

void garbage_run(void *argument)
{
	const struct garbage_plan *plan = argument;
	struct garbage garbage = { .plan = plan, .random = plan->seed };
	struct hearth_options options = { .size = sizeof(options), .slots = 1 };
	struct hearth *honest = NULL; /* only to learn about the model */
	uint64_t round = 0;
	int r;

	r = hearth_open(plan->socket, &options, &honest);
	must(r == 0, "hearth_open: %s", hearth_strerror(r));
	r = hearth_model(honest, "shoppers", 0, &garbage.model);
	must(r == 0, "hearth_model: %s", hearth_strerror(r));
	intruder_open(&garbage.intruder, plan->socket, SLOTS, AREA_BYTES, AREA_BYTES);
	while (plan->rounds ? round < plan->rounds : !crowd_read(plan->stop)) {
		round_run(&garbage);
		round++;
		crowd_add(plan->rounds_done, 1);
		/* A flooded place is left, too: its completions are not to be found any more. */
		if (!intruder_is_out(&garbage.intruder) && below(&garbage, 64) != 0)
			continue;
		crowd_add(plan->thrown_out, 1);
		intruder_close(&garbage.intruder);
		intruder_open(&garbage.intruder, plan->socket, SLOTS, AREA_BYTES, AREA_BYTES);
	}
	intruder_close(&garbage.intruder);
	hearth_close(honest);
}
