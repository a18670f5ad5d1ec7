/* SPDX-License-Identifier: MIT */
/* daemon/exec/measure.c - what each step of a plan moves, multiplies, should take and takes */
#include "exec/measure.h"

#include <stdlib.h>

#include "base/clock.h"

void measure_init(struct measure *measure, const struct lowering *lowering,
		  const struct roofline *roofline, const int64_t symbols[SIGNATURE_SYMBOLS_MAX],
		  uint32_t rows)
{
	*measure = (struct measure){
		.rows = rows,
		.steps = calloc((size_t)lowering->step_count + 1, sizeof(measure->steps[0])),
	};
	if (!measure->steps)
		return;
	measure->step_count = lowering->step_count;
	for (uint32_t index = 0; index < lowering->step_count; index++) {
		struct measure_step *step = &measure->steps[index];

		step->kernel = kernel_name(lowering->steps[index]->kernel);
		step->cost = step_cost(lowering, lowering->steps[index], symbols);
		step->predicted_ns = roofline_predict(roofline, &step->cost);
	}
}

void measure_deinit(struct measure *measure)
{
	free(measure->steps);
	*measure = (struct measure){0};
}

void measure_run(struct measure *measure, const struct run_set *set)
{
	uint64_t begun_ns = clock_ns();

	for (uint32_t index = 0; index < set->call_count; index++) {
		const struct run_call *call = &set->calls[index];
		uint64_t now_ns, taken_ns;

		call->function(call->args);
		now_ns = clock_ns();
		taken_ns = now_ns > begun_ns ? now_ns - begun_ns : 1;
		if (call->entry < measure->step_count &&
		    (measure->steps[call->entry].ns == 0 ||
		     taken_ns < measure->steps[call->entry].ns))
			measure->steps[call->entry].ns = taken_ns;
		begun_ns = now_ns;
	}
}
