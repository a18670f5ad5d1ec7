/* SPDX-License-Identifier: MIT */
/*
 * event_loop_uring.c - one io_uring loop that serves a timer and answers: event_loop_uring [SOCKET]
 *
 * A timer submits a ping every millisecond; the loop sleeps once for the timer and for the answers
 * together, and ends after 100 of them.
 */
#include <hearth_uring.h>
#include <stdio.h>

#define ANSWERS_WANTED 100

enum event {
	EVENT_ANSWERS = 1,
	EVENT_TIMER = 2,
};

static struct __kernel_timespec period = {.tv_sec = 0, .tv_nsec = 1000000};

static int timer_arm(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	if (!sqe)
		return -EBUSY;
	io_uring_prep_timeout(sqe, &period, 0, 0);
	sqe->user_data = EVENT_TIMER;
	return 0;
}

static int ping_submit(struct hearth *hearth)
{
	struct hearth_request *request;
	int r;

	r = hearth_acquire_ping(hearth, &request);
	if (r < 0)
		return r == -EAGAIN ? 0 : r; /* every slot is taken: the next tick tries again */
	return hearth_submit(hearth, request);
}

static int answers_take(struct hearth *hearth, int *answer_count)
{
	const struct hearth_completion *answer;
	int r;

	while ((r = hearth_peek(hearth, &answer)) == 0) {
		if (answer->status < 0)
			return answer->status;
		if (answer->kind != HEARTH_FINAL)
			continue;
		(*answer_count)++;
		r = hearth_release(hearth, answer->id);
		if (r < 0)
			return r;
	}
	return r == -EAGAIN ? 0 : r;
}

/* Whatever the ring has for us; none of it is waited for. */
static int events_take(struct io_uring *ring, struct hearth *hearth, struct hearth_uring *uring)
{
	struct io_uring_cqe *cqe;
	int r = 0;

	while (r == 0 && io_uring_peek_cqe(ring, &cqe) == 0) {
		uint64_t event = cqe->user_data;

		io_uring_cqe_seen(ring, cqe);
		if (event == EVENT_ANSWERS) {
			hearth_uring_complete(uring);
		} else if (event == EVENT_TIMER) {
			r = ping_submit(hearth);
			if (r == 0)
				r = timer_arm(ring);
		}
	}
	return r;
}

static int loop(struct io_uring *ring, struct hearth *hearth)
{
	struct hearth_uring uring;
	int answer_count = 0;
	int r;

	r = hearth_uring_init(&uring, hearth, ring, EVENT_ANSWERS);
	if (r == 0)
		r = timer_arm(ring);
	while (r == 0) {
		r = answers_take(hearth, &answer_count);
		if (r < 0 || answer_count >= ANSWERS_WANTED)
			break;
		r = hearth_uring_arm(&uring);
		if (r < 0)
			break;
		if (r == 0) {
			r = io_uring_submit_and_wait(ring, 1);
			if (r < 0 && r != -EINTR)
				break;
		}
		r = events_take(ring, hearth, &uring);
	}
	printf("%d answers, woken by %s\n", answer_count,
	       uring.has_futex ? "a futex in the ring" : "a poll of the socket");
	return r;
}

int main(int argc, char **argv)
{
	struct hearth *hearth = NULL;
	struct io_uring ring;
	int r;

	r = hearth_open(argc > 1 ? argv[1] : NULL, NULL, &hearth);
	if (r == 0) {
		r = io_uring_queue_init(64, &ring, 0);
		if (r == 0) {
			r = loop(&ring, hearth);
			io_uring_queue_exit(&ring);
		}
	}
	if (r < 0)
		fprintf(stderr, "event_loop_uring: %s\n", hearth_strerror(r));
	(void)hearth_close(hearth);
	return r < 0;
}
