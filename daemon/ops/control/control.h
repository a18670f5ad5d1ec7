/* SPDX-License-Identifier: MIT */
/*
 * daemon/ops/control/control.h - what an operator may ask, as JSON over the two sockets
 *
 * A CONTROL message carries one object, {"verb": ..., ...}. Each row of the
 * answer is one CONTROL_REPLY flagged MORE with one object; the last reply is
 * not flagged and carries {} or, with status -errno, {"error": "sentence"}.
 *
 *   verb     socket  request             rows
 *   status   both                        one: version abi compiler pid uptime_s ready worst
 *                                        socket repository device numerics wait wait_reason bell
 *                                        sandbox models clients requests_total
 *                                        completions_total errors_total batches_total
 *                                        rows_total sleeps_total rings_total wakes_total kept
 *                                        workers worker_nodes[] node nodes[], and with more than
 *                                        one node interleave
 *   models   both                        one a version: model version state current rows_max
 *                                        row_symbol weights_bytes replica_bytes activation_bytes pages
 *                                        requests_total rows_total batches_total errors_total
 *                                        inputs[] outputs[] {name dtype dims[]} error, and
 *                                        with tables in files cold {tables_bytes rows_bytes
 *                                        hits_total misses_total evictions_total
 *                                        failures_total wait_p50_ns wait_p99_ns direct}
 *   plan     both                        one a step, of a run of few rows and of one of many:
 *                                        model version rows step kernel moved_bytes
 *                                        weight_bytes multiply_adds predicted_ns measured_ns
 *   mem      both                        one an owner and node: tier node pages use owner
 *                                        used_bytes mapped_bytes resident_bytes thp_bytes why;
 *                                        one a model with tables in files: tier use owner
 *                                        file_bytes slot_bytes why; one a node and size of
 *                                        pages: pool node total_bytes free_bytes mapped_bytes
 *                                        resident_bytes; one: sum (all) mapped_bytes
 *                                        resident_bytes unaccounted_bytes
 *   latency  both                        six a version: model version time sum_ns min_ns
 *                                        max_ns buckets[] [index, count]; time is ring, queue,
 *                                        batch, execute, answer or total, buckets as in
 *                                        base/histogram.h, those that are not empty
 *   trace    both     [from]             one a request that has ended after its admission, the
 *                                        last 4096 from a position on: position model version
 *                                        pid slot generation rows batch_rows status reason
 *                                        submitted_ns ring_ns queue_ns batch_ns execute_ns
 *                                        answer_ns total_ns; and last: next, the position to
 *                                        go on from; one that is missing was overwritten
 *   events   both     [from]             one a line of the log, the last 512 from a position on:
 *                                        position unix_ns level text; and last: next, as above
 *   metrics  both     command            one or more: text, of whole lines: the metrics that belong
 *                                        to status, models, mem, latency, clients or users
 *   clients  both                        one a connection: pid uid exe slots outstanding
 *                                        request_area_bytes response_area_bytes
 *                                        requests_total errors_total rings_total wakes_total
 *                                        death age_s opened_ns refused{reason: count}
 *   users    both                        one a user: uid sockets connections connections_max
 *                                        kept slots slots_max arena_bytes arena_bytes_max
 *                                        requests_total rows_total busy_s deferred_total
 *                                        refused refused_connections {reason: count}
 *   load     admin   model [version]     one or more: {progress: sentence}, from two seconds on with
 *                                        model version arrived_bytes total_bytes elapsed_s
 *                    [dry]               what lies where: use node pages bytes at_most;
 *                                        a node: node memory free_bytes wanted_bytes
 *                                        held_bytes peak_bytes; and last: model version
 *                                        replaces fits lack
 *   unload   admin   model [version]
 *   swap     admin   model version       as load; with drain what is replaced goes first
 *                    [dry] [drain]
 *   rollback admin   model [dry] [drain] as swap, to the version that was current before
 *   reload   admin                       one: {progress: sentence}
 *   kick     admin   pid                 one: {progress: sentence}
 *
 * Who is neither root nor the daemon's user gets what mem answered a moment ago, and -EAGAIN of
 * trace, while what that took is not paid (ops/ration.h): ask again, as hearthctl does. Everybody
 * gets what metrics answered of a command a moment ago, as who scrapes does.
 *
 * wait is io_uring or poll, and wait_reason says why it is poll; state is
 * serving, loading, draining or failed; dims are numbers, or strings
 * such as "batch" and "2*batch+1"; death is pidfd or hup (the socket alone tells).
 */
#ifndef HEARTH_OPS_CONTROL_CONTROL_H
#define HEARTH_OPS_CONTROL_CONTROL_H

#include <jansson.h>

#include "ops/peer.h"

struct control;

/* Obeys one CONTROL message of `peer`; answers at once or when its job ends. */
void control_obey(struct control *control, struct peer *peer, const char *text, size_t bytes);

/* The rows of a verb that only looks and takes nothing from its question; false as in reply.h. */
must_check bool control_read(struct control *control, struct peer *peer, const char *verb);

/* What came of something that took its time: a sentence, and with is_last or a status of -errno
 * the end of the answer. Closes a peer that cannot be told. */
void control_answer(struct control *control, struct peer *peer, int status, const char *text,
		    bool is_last);

/* Reports of the registry's jobs: the log, and the peer that asked. */
void control_report(void *context, const struct registry_report *report);

#endif
