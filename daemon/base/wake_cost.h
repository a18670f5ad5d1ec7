/* SPDX-License-Identifier: MIT */
/*
 * daemon/base/wake_cost.h - what it costs on this machine that a sleeper on another CPU is woken
 *
 * Threads:  any, at start: it has two threads of its own for as long as it measures
 * Units:    ns from the call that wakes to the sleeper's first instruction
 * Errors:   none: 0 is unknown
 */
#ifndef HEARTH_BASE_WAKE_COST_H
#define HEARTH_BASE_WAKE_COST_H

#include <stdint.h>

/* The median of some tens, between two CPUs of the node (-1: any); takes milliseconds. */
uint64_t wake_cost_ns(int node);

#endif
