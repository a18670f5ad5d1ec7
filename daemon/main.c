/* SPDX-License-Identifier: MIT */
/*
 * daemon/main.c - hearthd: parse, build in step order, run, tear down in reverse
 *
 * The tour. A request meets the rooms in this order:
 *
 *     client/hearth.h   acquire, fill, submit       the caller writes into shared memory
 *     shm/ring.h        one 64-byte slot            published, last its sequence
 *     serve/intake.c    copied once, checked, stamped
 *     serve/admit.c     the last place that can say no
 *     serve/batcher.c   joins the batch that forms, which closes and runs
 *     exec/engine.h     one frozen plan a bucket, one kernel call an entry
 *     kernels/          pure functions of buffers
 *     serve/finish.c    results to the client's response range, completion, wake
 *
 * Two threads do it. This one runs the control loop (ops/loop.c): accept,
 * handshake, death, load, swap, signals. The data loop (serve/data.c) is the
 * other: rings, batches, answers. A third one loads models, when there are any
 * to load, and --workers more compute beside the second (exec/workers.h). Before
 * the first model is read and the first client heard, all of them have given up
 * what they do not need (ops/sandbox/sandbox.h).
 */
#include <stdlib.h>

#include "base/log.h"
#include "ops/books.h"
#include "ops/loop.h"
#include "ops/options.h"

int main(int argc, char **argv)
{
	struct control *control;
	struct options options;
	int status = EXIT_FAILURE;
	int r;

	books_gather_heap();
	r = options_parse(&options, argc, argv);
	log_init(options.is_verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	if (r < 0) {
		log_line(LOG_LEVEL_ERROR, "%s", err_message());
		options_deinit(&options);
		return 2;
	}
	control = calloc(1, sizeof(*control));
	if (!control) {
		log_line(LOG_LEVEL_ERROR, "no memory for the control loop");
		options_deinit(&options);
		return EXIT_FAILURE;
	}

	r = loop_init(control, &options);
	if (r < 0) {
		log_line(LOG_LEVEL_ERROR, "%s", err_message());
		log_line(LOG_LEVEL_DEBUG, "at %s", err_frames());
	} else {
		r = loop_run(control);
		log_line(LOG_LEVEL_INFO, "stopped");
		if (r == 0)
			status = EXIT_SUCCESS;
	}
	loop_deinit(control);
	free(control);
	options_deinit(&options);
	return status;
}
