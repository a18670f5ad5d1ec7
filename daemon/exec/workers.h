/* SPDX-License-Identifier: MIT */
/*
 * daemon/exec/workers.h - threads that compute beside the one that asks
 *
 * Owns:     count - 1 threads, hearth-work-1 to hearth-work-(count - 1)
 * Threads:  new and free on one; between acquire and release, one: the caller,
 *           which takes parts, too
 * Units:    parts; ns
 * Errors:   workers_new -errno of pthread_create; nothing else can fail
 *
 * workers_each calls a function once for each part and returns when all are
 * done. Whoever is free takes the next part, so nobody waits for a thread that
 * is late: it finds fewer parts left, or none.
 *
 *     caller                                        worker
 *     function, context -> ticket (parts left)
 *     call++ (a word for each worker)         ->    sees it while it spins, or futex
 *     takes parts from the ticket                   takes parts from the ticket
 *     waits for done == parts               <-      done++ a part
 *
 * A worker spins for spin_ns after its last call, or until the caller rests,
 * and then sleeps in futex(2). To wake it costs the caller a system call and
 * some tens of microseconds until it is there: a caller whose work is small
 * does without those that sleep.
 *
 * Where several nodes have workers, each node has its part of them, by its CPUs: those of the
 * caller's node come first, so that few parts stay on it.
 */
#ifndef HEARTH_EXEC_WORKERS_H
#define HEARTH_EXEC_WORKERS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "memory/place.h"

#define WORKERS_MAX 256
#define WORKERS_NODES_MAX (TOPOLOGY_NODES_MAX + 1) /* and the caller's, where it has no number */

struct workers_options {
	uint32_t count;   /* of those that compute, the caller among them: 1 to WORKERS_MAX */
	int node;         /* whose CPUs run them; -1: any */
	struct place further; /* nodes whose CPUs do so, too */
	uint64_t spin_ns; /* to look for work before sleeping */
	uint64_t wake_ns; /* what it costs to wake one (base/wake_cost.h) */
};

struct workers;

/* Part `part` of a call, by worker `worker`: the caller is 0. */
typedef void (*workers_function)(void *context, uint32_t part, uint32_t worker);

must_check int workers_new(const struct workers_options *options, struct workers **ret_workers);
void workers_free(struct workers *workers);

/* With the caller; 1 for NULL. */
uint32_t workers_count(const struct workers *workers);

/* The nodes that have some, counted from the caller's, which is 0; 1 for NULL. */
uint32_t workers_node_count(const struct workers *workers);
/* One of them, which is -1 where that is so of the caller's. */
int workers_node(const struct workers *workers, uint32_t node_index);
/* A worker's among them; the caller is worker 0. */
uint32_t workers_node_index(const struct workers *workers, uint32_t worker);

/* The thread of a worker from 1 on. */
pthread_t workers_thread(const struct workers *workers, uint32_t worker);

/* The CPU that no worker runs on, where the caller should; -1: each runs anywhere. */
int workers_caller_cpu(const struct workers *workers);

/* Should a call that takes so long in one thread wake those that sleep? One that is long should;
 * and one of several short ones, after which they would have saved as much as it costs. */
bool workers_are_worth_waking(struct workers *workers, uint64_t alone_ns);

/* Is any of them awake, are all? Any may fall asleep at any time. */
bool workers_are_awake(const struct workers *workers);
bool workers_are_all_awake(const struct workers *workers);

/* False: another thread has them. */
must_check bool workers_acquire(struct workers *workers);
void workers_release(struct workers *workers);

/* `wakes` false: without those that sleep. */
void workers_each(struct workers *workers, workers_function function, void *context,
		  uint32_t part_count, bool wakes);

/* The caller is about to sleep: let them sleep, too. On any thread. */
void workers_rest(struct workers *workers);

#endif
