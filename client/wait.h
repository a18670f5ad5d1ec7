/* SPDX-License-Identifier: MIT */
/*
 * client/wait.h - sleep until something is published: here, in poll, or in an io_uring
 *
 * Looking before sleeping pays when the answer comes within the time that a sleep and a wake cost,
 * and is in vain otherwise. So spin_ns is looked for when one of the last two waits ended within it;
 * waits are timed whether they looked or slept, so a change is noticed either way. Where client and
 * daemon share a CPU looking keeps the answer away: after a look in vain the next waits sleep at once.
 */
#ifndef HEARTH_CLIENT_WAIT_H
#define HEARTH_CLIENT_WAIT_H

#include "client/completion.h"
#include "client/connection.h"
#include "client/linux.h"

#define HEARTH_SLEEP_NS_MAX INT64_C(20000000) /* one slice of hearth_wait */

/* Is the completion before `position` published, and so all of them? */
static inline bool hearth_cq_reaches(const struct hearth *hearth, uint64_t position)
{
	return hearth_load_relaxed(
		       &hearth->completion_slots[(position - 1) &
						 (hearth->layout.completion_slots - 1)]
				.seq) == position;
}

static inline bool hearth_cq_has(const struct hearth *hearth)
{
	return hearth_cq_reaches(hearth, hearth->cq_position + 1);
}

#define HEARTH_SPIN_TURNS 64 /* looks between two at the clock */
#define HEARTH_SPIN_RESTS 32

static inline bool hearth_look(const struct hearth *hearth, uint64_t position)
{
	uint32_t turn;

	for (turn = 0; turn < HEARTH_SPIN_TURNS; turn++) {
		if (hearth_cq_reaches(hearth, position))
			return true;
		hearth_pause();
	}
	return false;
}

static inline bool hearth_spin(const struct hearth *hearth, uint64_t position, int64_t until_ns)
{
	do {
		if (hearth_look(hearth, position))
			return true;
	} while (hearth_clock_ns(HEARTH_CLOCK_MONOTONIC) < until_ns);
	return false;
}

static inline bool hearth_spin_pays(struct hearth *hearth)
{
	if (hearth->spin_rests > 0) {
		hearth->spin_rests--;
		return false;
	}
	return hearth->waited_ns[0] <= hearth->spin_ns || hearth->waited_ns[1] <= hearth->spin_ns;
}

/* Until `position` completions are published, or the daemon is gone: 0; or -ETIMEDOUT. */
static inline int hearth_sleep(struct hearth *hearth, uint64_t position, int64_t until_ns)
{
	bool has_slept = false;
	int64_t now_ns;
	uint32_t bell;
	int r = 0;

	for (;;) {
		bell = hearth_cq_doze(hearth->client, hearth->daemon, position, HEARTH_CQ_FUTEX);
		if (hearth_cq_reaches(hearth, position))
			break;
		now_ns = hearth_clock_ns(HEARTH_CLOCK_MONOTONIC);
		/* Asking costs a system call, and mostly the answer comes first. */
		if ((has_slept || now_ns >= until_ns) && hearth_is_gone(hearth))
			break;
		if (now_ns >= until_ns) {
			r = hearth_fail(-ETIMEDOUT);
			break;
		}
		hearth_futex_wait(&hearth->daemon->cq_bell, bell,
				  until_ns - now_ns < HEARTH_SLEEP_NS_MAX ? until_ns - now_ns
									  : HEARTH_SLEEP_NS_MAX);
		has_slept = true;
	}
	hearth_cq_awake(hearth->client);
	return r;
}

static inline int hearth_wait_until(struct hearth *hearth, uint64_t position, int64_t timeout_ns)
{
	bool may_look = hearth->spin_ns > 0 && timeout_ns != 0;
	int64_t begun_ns;
	int64_t until_ns;
	int r = 0;

	/* Mostly it is there, or nearly: the clock is not asked first. */
	if (hearth_cq_reaches(hearth, position) || (may_look && hearth_look(hearth, position)))
		return 0;
	begun_ns = hearth_clock_ns(HEARTH_CLOCK_MONOTONIC);
	until_ns = timeout_ns < 0 ? INT64_MAX : hearth_time_after(begun_ns, timeout_ns);
	if (may_look && hearth_spin_pays(hearth)) {
		int64_t spin_until_ns = hearth_time_after(begun_ns, hearth->spin_ns);

		if (!hearth_spin(hearth, position,
				 spin_until_ns < until_ns ? spin_until_ns : until_ns))
			hearth->spin_rests = HEARTH_SPIN_RESTS;
	}
	if (!hearth_cq_reaches(hearth, position))
		r = hearth_sleep(hearth, position, until_ns);
	hearth->waited_ns[1] = hearth->waited_ns[0];
	hearth->waited_ns[0] = hearth_clock_ns(HEARTH_CLOCK_MONOTONIC) - begun_ns;
	return r;
}

HEARTH_API int hearth_wait(struct hearth *hearth, int64_t timeout_ns,
			   const struct hearth_completion **ret_completion)
{
	int r;

	r = hearth_check(hearth);
	if (r < 0)
		return r;
	if (hearth->in_flight == 0 && !hearth_cq_has(hearth)) {
		hearth_socket_drain(hearth);
		return hearth_fail(hearth->is_dead ? -ENOTCONN : -ENODATA);
	}
	do {
		r = hearth->is_dead ? 0
				    : hearth_wait_until(hearth, hearth->cq_position + 1, timeout_ns);
		if (r < 0)
			return r;
		r = hearth_peek_checked(hearth, ret_completion);
		/* -EAGAIN: about nothing in flight, which a sound daemon never publishes. */
	} while (r == -EAGAIN);
	return r;
}

HEARTH_API int hearth_wait_count(struct hearth *hearth, uint32_t count, int64_t timeout_ns)
{
	int r;

	r = hearth_check(hearth);
	if (r < 0)
		return r;
	if (count == 0 || count > hearth->in_flight)
		return hearth_explain(-EINVAL, "%u completions wanted, %u requests are in flight",
				      count, hearth->in_flight);
	if (hearth->is_dead)
		return 0;
	return hearth_wait_until(hearth, hearth->cq_position + count, timeout_ns);
}

HEARTH_API int hearth_fd(const struct hearth *hearth)
{
	int r;

	r = hearth_check(hearth);
	return r < 0 ? r : hearth->fd;
}

static inline int hearth_arm_mode(struct hearth *hearth, uint32_t mode, uint32_t *ret_bell)
{
	int r;

	r = hearth_check(hearth);
	if (r < 0)
		return r;
	if (hearth->is_dead)
		return hearth->in_flight > 0 || hearth_cq_has(hearth) ? 1 : hearth_fail(-ENOTCONN);
	hearth->is_armed = true;
	*ret_bell = hearth_cq_doze(hearth->client, hearth->daemon, hearth->cq_position + 1, mode);
	return hearth_cq_has(hearth) ? 1 : 0;
}

HEARTH_API int hearth_arm(struct hearth *hearth)
{
	uint32_t bell;

	return hearth_arm_mode(hearth, HEARTH_CQ_SOCKET, &bell);
}

HEARTH_API int hearth_arm_futex(struct hearth *hearth, const uint32_t **ret_word,
				uint32_t *ret_expected)
{
	uint32_t bell;
	int r;

	r = hearth_arm_mode(hearth, HEARTH_CQ_FUTEX, &bell);
	if (r != 0)
		return r;
	*ret_word = &hearth->daemon->cq_bell;
	*ret_expected = bell;
	return 0;
}

HEARTH_API int64_t hearth_deadline(const struct hearth *hearth, int64_t from_now_ns)
{
	int r;

	r = hearth_check(hearth);
	if (r < 0)
		return r;
	return hearth_time_after(hearth_clock_ns(HEARTH_CLOCK_MONOTONIC) + hearth->clock_offset_ns,
				 from_now_ns);
}

HEARTH_API int hearth_about(struct hearth *hearth, const struct hearth_info **ret_info)
{
	struct hearth_info *info;
	int r;

	r = hearth_check(hearth);
	if (r < 0)
		return r;
	info = &hearth->info;
	info->size = sizeof(*info);
	info->slots = hearth->layout.slots;
	info->in_flight = hearth->in_flight;
	info->held = hearth->layout.slots - hearth->free_count;
	info->request_area_bytes = hearth->layout.request_area_bytes;
	info->response_area_bytes = hearth->layout.response_area_bytes;
	info->features = hearth->features;
	info->clock_offset_ns = hearth->clock_offset_ns;
	*ret_info = info;
	return 0;
}

#endif
