/* SPDX-License-Identifier: MIT */
/*
 * daemon/serve/finish.h - results and the one final completion of every request
 */
#ifndef HEARTH_SERVE_FINISH_H
#define HEARTH_SERVE_FINISH_H

#include "serve/data.h"

struct batch_times {
	uint64_t closed_ns;
	uint64_t started_ns; /* first kernel */
	uint64_t ended_ns;   /* last kernel */
	uint32_t rows;
};

/* -ECANCELED when the request was cancelled, -ETIME when its deadline has passed, else 0. Reads
 * the client's cancel word: two calls can differ. */
int finish_judge(const struct request *request, uint64_t now_ns);

/* A slot that was taken and is not admitted. */
void finish_refused(struct data *data, struct lane *lane, const struct hearth_request_slot *slot,
		    uint64_t arrived_ns, int status, uint64_t detail, uint32_t bytes_needed);

void finish_ping(struct data *data, struct request *request);

/* The request range to the response range, or why not. */
void finish_echo(struct data *data, struct request *request,
		 const struct hearth_request_slot *slot);

/* A request whose batch has run: outputs to the client's response range, or why not. */
void finish_infer(struct data *data, struct request *request, const int64_t batch_symbols[],
		  const struct batch_times *times);

/* A stream that has said its last. */
void finish_stream(struct data *data, struct request *request, int status);

#endif
