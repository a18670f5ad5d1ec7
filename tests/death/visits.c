/* SPDX-License-Identifier: MIT */
/* tests/death/visits.c - a list, and where in it an address is */
#include "visits.h"

#include <stddef.h>

#include "tests/system/crowd.h"

void visits_begin(struct visits *visits)
{
	visits->run++;
}

static struct place *find(struct visits *visits, uint64_t address)
{
	uint64_t state = address;
	uint32_t at = (uint32_t)crowd_random(&state) % (2 * VISITS_ADDRESSES);

	while (visits->numbers[at] && visits->list[visits->numbers[at] - 1].address != address)
		at = (at + 1) % (2 * VISITS_ADDRESSES);
	if (!visits->numbers[at]) {
		must(visits->addresses < VISITS_ADDRESSES, "more instructions than there is room");
		visits->list[visits->addresses++].address = address;
		visits->numbers[at] = visits->addresses;
	}
	return visits->list + visits->numbers[at] - 1;
}

struct place *visits_add(struct visits *visits, uint64_t address)
{
	struct place *place = find(visits, address);

	if (place->run != visits->run) {
		place->run = visits->run;
		place->visits = 0;
	}
	if (place->visits <= VISITS_MAX)
		place->visits++;
	return place;
}

uint32_t visits_known(const struct visits *visits)
{
	uint32_t count = 0;
	uint32_t index;

	for (index = 0; index < visits->addresses; index++)
		count += (uint32_t)__builtin_popcount(visits->list[index].known);
	return count;
}

uint32_t visits_killed(const struct visits *visits)
{
	uint32_t count = 0;
	uint32_t index;

	for (index = 0; index < visits->addresses; index++)
		count += (uint32_t)__builtin_popcount(visits->list[index].killed);
	return count;
}

struct place *visits_choose(struct visits *visits, uint32_t number, uint8_t *ret_bit)
{
	uint32_t index;
	uint32_t bit;

	for (index = 0; index < visits->addresses; index++) {
		struct place *place = visits->list + index;

		for (bit = 0; bit < VISITS_OF_ADDRESS; bit++) {
			if (!(place->known & ~place->killed & 1u << bit) || number-- > 0)
				continue;
			*ret_bit = (uint8_t)(1u << bit);
			return place;
		}
	}
	return NULL;
}
