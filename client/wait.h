/* SPDX-License-Identifier: MIT */
/*
 * client/wait.h - sleep until something is published: here, in poll, or in an io_uring
 *
 * Looking before sleeping pays while the daemon has a CPU of its own. Where it has not, looking
 * keeps it from its work: after a miss the next looks are short, but for one in HEARTH_SPIN_PROBE,
 * which finds out whether it pays again.
 */
#ifndef HEARTH_CLIENT_WAIT_H
#define HEARTH_CLIENT_WAIT_H

#include "client/completion.h"
#include "client/connection.h"
#include "client/linux.h"

#define HEARTH_SLEEP_NS_MAX INT64_C(20000000) /* one slice of hearth_wait */

static inline bool hearth_cq_has(const struct hearth *hearth)
{
	uint64_t position = hearth->cq_position;

	return hearth_load_relaxed(
		       &hearth->completion_slots[position & (hearth->layout.completion_slots - 1)]
				.seq) == position + 1;
}

#define HEARTH_SPIN_SHORT_RATIO 8
#define HEARTH_SPIN_PROBE 32

static inline int64_t hearth_spin_budget_ns(const struct hearth *hearth)
{
	return hearth->spin_misses % HEARTH_SPIN_PROBE == 0
		       ? hearth->spin_ns
		       : hearth->spin_ns / HEARTH_SPIN_SHORT_RATIO;
}

static inline bool hearth_spin(const struct hearth *hearth, int64_t until_ns)
{
	uint32_t turn;

	do {
		for (turn = 0; turn < 16; turn++) {
			if (hearth_cq_has(hearth))
				return true;
			hearth_pause();
		}
	} while (hearth_clock_ns(HEARTH_CLOCK_MONOTONIC) < until_ns);
	return false;
}

HEARTH_API int hearth_wait(struct hearth *hearth, int64_t timeout_ns,
			   const struct hearth_completion **ret_completion)
{
	int64_t now_ns;
	int64_t until_ns;
	uint32_t bell;
	int r;

	r = hearth_check(hearth);
	if (r < 0)
		return r;
	r = hearth_peek_checked(hearth, ret_completion);
	if (r != -EAGAIN)
		return r;
	if (hearth->in_flight == 0) {
		hearth_socket_drain(hearth);
		return hearth_fail(hearth->is_dead ? -ENOTCONN : -ENODATA);
	}
	now_ns = hearth_clock_ns(HEARTH_CLOCK_MONOTONIC);
	until_ns = timeout_ns < 0 ? INT64_MAX : hearth_time_after(now_ns, timeout_ns);
	if (hearth->spin_ns > 0 && timeout_ns != 0) {
		int64_t spin_until_ns = hearth_time_after(now_ns, hearth_spin_budget_ns(hearth));

		if (hearth_spin(hearth, spin_until_ns < until_ns ? spin_until_ns : until_ns)) {
			hearth->spin_misses = 0;
			r = hearth_peek_checked(hearth, ret_completion);
			if (r != -EAGAIN)
				return r;
		} else {
			hearth->spin_misses++;
		}
	}
	for (;;) {
		bell = hearth_cq_doze(hearth->client, hearth->daemon, hearth->cq_position + 1,
				      HEARTH_CQ_FUTEX);
		r = hearth_peek_checked(hearth, ret_completion);
		if (r != -EAGAIN)
			break;
		now_ns = hearth_clock_ns(HEARTH_CLOCK_MONOTONIC);
		if (now_ns >= until_ns) {
			r = hearth_fail(-ETIMEDOUT);
			break;
		}
		hearth_futex_wait(&hearth->daemon->cq_bell, bell,
				  until_ns - now_ns < HEARTH_SLEEP_NS_MAX ? until_ns - now_ns
									  : HEARTH_SLEEP_NS_MAX);
	}
	hearth_cq_awake(hearth->client);
	return r;
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
