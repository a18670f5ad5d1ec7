/* SPDX-License-Identifier: MIT */
/* tests/system/asker.c - a client of the model of tests/exec/cold_model.h that knows the right answers */
#include "asker.h"

#include <string.h>

#include "crowd.h"
#include "tests/exec/cold_model.h"

void asker_open(struct asker *asker, const struct appliance *appliance, uint64_t seed)
{
	*asker = (struct asker){ .seed = seed, .user_count = COLD_USERS };
	must(hearth_open(appliance->socket, NULL, &asker->hearth) == 0, "no connection");
	must(hearth_model(asker->hearth, "cold", 0, &asker->model) == 0, "no model");
}

static uint64_t draw(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *seed >> 33;
}

/* Row `row` of question `number`, from the seed alone. */
static void question(const struct asker *asker, uint64_t number, uint32_t row,
		     int64_t history[COLD_HISTORY], int32_t *ret_item)
{
	uint64_t seed = asker->seed + number * 1000 + row;

	(void)draw(&seed);
	for (uint32_t place = 0; place < COLD_HISTORY; place++)
		history[place] = (int64_t)(draw(&seed) % (uint64_t)asker->user_count);
	*ret_item = (int32_t)(draw(&seed) % COLD_ITEMS);
}

void asker_ask(struct asker *asker, uint64_t number)
{
	struct hearth_request *request;

	must(hearth_acquire(asker->hearth, asker->model, ASKER_ROWS, &request) == 0, "no request");
	for (uint32_t row = 0; row < ASKER_ROWS; row++)
		question(asker, number, row,
			 (int64_t *)request->inputs[0].data + row * COLD_HISTORY,
			 (int32_t *)request->inputs[1].data + row);
	request->user_data = number;
	must(hearth_submit(asker->hearth, request) == 0, "not submitted");
}

int asker_take(struct asker *asker)
{
	const struct hearth_completion *completion;
	int status;

	must(hearth_wait(asker->hearth, CROWD_PATIENCE_NS, &completion) == 0, "no completion");
	status = completion->status;
	for (uint32_t row = 0; status == 0 && row < ASKER_ROWS; row++) {
		int64_t history[COLD_HISTORY];
		float wanted[COLD_WIDTH];
		int32_t item;

		question(asker, completion->user_data, row, history, &item);
		cold_answer(history, item, wanted);
		must(memcmp((const float *)completion->outputs[0].data + row * COLD_WIDTH, wanted,
			    sizeof(wanted)) == 0,
		     "row %u of question %llu is wrong", row,
		     (unsigned long long)completion->user_data);
	}
	must(hearth_release(asker->hearth, completion->id) == 0, "not released");
	return status;
}
