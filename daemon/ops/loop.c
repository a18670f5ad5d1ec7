/* SPDX-License-Identifier: MIT */
/* daemon/ops/loop.c - one wait for everything but requests */
#include "ops/loop.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "ops/control/scratch.h"
#include "ops/control/worst.h"
#include "ops/listen.h"
#include "ops/peers.h"
#include "ops/start.h"

#define TICK_NS UINT64_C(500000000)
#define WAIT_ATTEMPTS_MAX 100
#define WAIT_PAUSE_US 10000

static void stop_begin(struct control *control)
{
	struct message stop = { .kind = MESSAGE_STOP };

	if (control->is_stopping)
		return;
	control->is_stopping = true;
	sd_notify(0, "STOPPING=1");
	log_line(LOG_LEVEL_INFO, "stopping: answering what was asked");
	watch_disarm(&control->waiter, &control->infer);
	watch_disarm(&control->waiter, &control->admin);
	data_send(&control->data, &stop);
}

static void data_messages(struct control *control)
{
	struct message message;
	struct peer *peer;

	while (data_receive(&control->data, &message)) {
		switch (message.kind) {
		case MESSAGE_LANE_LYING:
			peer = peers_of_lane(control, message.lane);
			if (!peer || peer->is_closing)
				break;
			log_line(LOG_LEVEL_WARNING,
				 "client %d (uid %u, %s) wrote what cannot be: disconnected",
				 peer->session->pid, peer->session->uid, peer->session->exe);
			peers_close(control, peer);
			break;
		case MESSAGE_LANE_CLOSED:
			peer = peers_of_lane(control, message.lane);
			if (peer)
				peer->is_lane_gone = true;
			break;
		case MESSAGE_STALE:
			log_line(LOG_LEVEL_ERROR,
				 "%s@%u: a file of its cold tables has changed: it is out of "
				 "service until it is loaded again",
				 message.version->name, message.version->number);
			registry_message(&control->registry, &message);
			break;
		case MESSAGE_STOPPED:
			control->is_stopped = true;
			break;
		default:
			registry_message(&control->registry, &message);
		}
	}
}

/* 0: it is due. */
static uint64_t until_tick_ns(const struct control *control)
{
	uint64_t now_ns = clock_ns();

	return now_ns < control->tick_ns ? control->tick_ns - now_ns : 0;
}

static void tick(struct control *control)
{
	uint64_t now_ns = clock_ns();

	peers_expire(control, now_ns);
	shares_reap(&control->shares);
	start_tend(control);
	worst_watch(control, now_ns);
	page_tick(control, now_ns);
	if (control->passed_ns == now_ns)
		sd_notify(0, "WATCHDOG=1");
	/* A bell that could not be rung is made up for here. */
	data_messages(control);
	registry_loaded(&control->registry);
	/* A listener that found no room rests until here, and so does what could not be read. */
	if (!control->is_stopping) {
		watch_arm(&control->waiter, &control->infer, POLLIN);
		watch_arm(&control->waiter, &control->admin, POLLIN);
		watch_arm(&control->waiter, &control->signal, POLLIN);
	}
	watch_arm(&control->waiter, &control->data_messages, POLLIN);
	watch_arm(&control->waiter, &control->loads, POLLIN);
	scrape_run(&control->scrape);
	watch_arm(&control->waiter, &control->metrics, POLLIN);
	control->tick_ns = now_ns + TICK_NS;
}

static void ready_check(struct control *control)
{
	bool is_idle = registry_is_idle(&control->registry);

	if (is_idle || control->is_ready)
		kept_sync(control);
	if (!is_idle || control->is_stopping)
		return;
	registry_look(&control->registry);
	reload_end(control);
	if (control->is_ready)
		return;
	control->is_ready = true;
	control->ready_ns = clock_ns();
	control->arrivals = control->registry.arrivals;
	reserve_settle(&control->reserve);
	page_write(control);
	peers_ready(control);
	sd_notify(0, "READY=1");
	log_line(LOG_LEVEL_INFO, "ready at %s", control->options->socket);
}

/* False: it would be readable again at once. */
static bool eventfd_drain(int fd)
{
	uint64_t count;

	return read(fd, &count, sizeof(count)) == sizeof(count) || errno == EAGAIN;
}

static void watch_event(struct control *control, struct watch *watch, int result)
{
	struct signalfd_siginfo signal;
	bool is_drained = true;

	watch->is_armed = false;
	if (result < 0 && watch->kind == WATCH_PEER_SOCKET && !watch->peer->is_closing) {
		/* Disarmed for a reply that waits; any other error ends the peer. */
		if (result == -ECANCELED)
			peers_listen(control, watch->peer);
		else
			peers_close(control, watch->peer);
		return;
	}
	if (result < 0)
		return;
	control->page.is_touched |= watch->kind != WATCH_METRICS;
	switch (watch->kind) {
	case WATCH_LISTENER_INFER:
	case WATCH_LISTENER_ADMIN:
		if (control->is_stopping)
			return;
		if (!peers_accept(control, watch))
			return;
		break;
	case WATCH_SIGNAL:
		/* One came, whether or not it can be read. */
		if (read(watch->fd, &signal, sizeof(signal)) != sizeof(signal) ||
		    signal.ssi_signo != SIGHUP) {
			stop_begin(control);
			return;
		}
		reload_begin(control);
		break;
	case WATCH_DATA:
		is_drained = eventfd_drain(watch->fd);
		data_messages(control);
		break;
	case WATCH_LOADER:
		is_drained = eventfd_drain(watch->fd);
		registry_loaded(&control->registry);
		break;
	case WATCH_METRICS:
		scrape_run(&control->scrape);
		break;
	case WATCH_PEER_SOCKET:
		peers_event(control, watch->peer, result);
		return;
	case WATCH_PEER_DEATH:
		peers_close(control, watch->peer);
		return;
	}
	if (is_drained)
		watch_arm(&control->waiter, watch, POLLIN);
}

static void events_take(struct control *control)
{
	struct waiter_event event;

	while (waiter_take(&control->waiter, &event))
		watch_event(control, event.user, event.result);
}

/* A loop that cannot wait hears nothing but the data loop. It tries again, with a pause, and
 * stops when that does not help. */
static void wait_again(struct control *control, uint32_t attempt, int error)
{
	if (attempt == 1)
		log_line(LOG_LEVEL_WARNING, "the control loop cannot wait: %s: %s",
			 control->waiter.way->name, strerror(-error));
	if (attempt == WAIT_ATTEMPTS_MAX) {
		log_line(LOG_LEVEL_ERROR, "the control loop cannot wait: %s: %s",
			 control->waiter.way->name, strerror(-error));
		stop_begin(control);
	}
	usleep(WAIT_PAUSE_US);
	data_messages(control);
}

int loop_run(struct control *control)
{
	uint32_t attempt = 0;
	int r = 0;

	while (!control->is_stopped) {
		peers_reap(control);
		ready_check(control);
		r = waiter_wait(&control->waiter, until_tick_ns(control));
		if (r < 0)
			wait_again(control, ++attempt, r);
		else
			attempt = 0;
		events_take(control);
		if (until_tick_ns(control) == 0)
			tick(control);
	}
	return attempt < WAIT_ATTEMPTS_MAX ? 0 : r;
}

/* --- start and stop ------------------------------------------------------------------------------------ */

static int signals_open(struct control *control)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return err_raise(-errno, "cannot block signals: %s", strerror(errno));
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* the stats page does without the file */
	control->signal.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (control->signal.fd < 0)
		return err_raise(-errno, "cannot make a signalfd: %s", strerror(errno));
	return 0;
}

/* What systemd hands over beside the two sockets: a third one, and what it has kept. */
static bool inherited_take(void *context, const char *name, int fd)
{
	struct control *control = context;

	if (strcmp(name, "metrics") != 0 || control->metrics_fd >= 0)
		return store_take(&control->kept.store, name, fd);
	control->metrics_fd = fd;
	return true;
}

/* systemd's, or one of ours, or none. */
static int metrics_open(struct control *control)
{
	const struct options *options = control->options;
	int r = 0;

	if (control->metrics_fd >= 0) {
		r = listen_check_stream(control->metrics_fd);
		if (options->metrics_socket)
			log_line(LOG_LEVEL_INFO, "--metrics-socket %s has no effect: the socket for "
				 "metrics is systemd's", options->metrics_socket);
	} else if (options->metrics_socket) {
		r = listen_open(options->metrics_socket, SOCK_STREAM, 0660, options->group,
				&control->metrics_fd);
		control->owns_metrics = r == 0;
	}
	return r < 0 ? err_trace(r) : 0;
}

static int sockets_open(struct control *control)
{
	const struct options *options = control->options;
	int r;

	if (options->admin_group) {
		r = listen_group(options->admin_group, &control->admin_gid);
		if (r < 0)
			return err_trace(r);
	}
	r = listen_inherit(options->socket, options->admin_socket, inherited_take, control,
			   &control->infer.fd, &control->admin.fd);
	if (r < 0)
		return err_trace(r);
	control->owns_sockets = r == LISTEN_E_NONE;
	if (!control->owns_sockets) {
		log_line(LOG_LEVEL_INFO, "the sockets are systemd's%s", options->group
			 ? "; --group has no effect on them, SocketGroup= of hearthd.socket has" : "");
		return 0;
	}
	r = listen_open(options->socket, SOCK_SEQPACKET, 0660, options->group, &control->infer.fd);
	if (r < 0)
		return err_trace(r);
	r = listen_open(options->admin_socket, SOCK_SEQPACKET, options->admin_group ? 0660 : 0600,
			options->admin_group, &control->admin.fd);
	if (r < 0)
		return err_trace(r);
	return 0;
}

static int limits_init(struct control *control)
{
	const struct options *options = control->options;
	struct session_limits *limits = &control->limits;

	limits->clients_max = options->clients_max;
	control->shares.tiers = &control->tiers;
	control->shares.limits = (struct share_limits){
		.connections_max = options->clients_per_uid_max,
		.slots_max = options->slots_per_uid_max,
		.arena_bytes_max = options->arena_bytes_per_uid_max,
	};
	limits->node = control->node;
	limits->features = HEARTH_FEATURE_PROGRESS;
	limits->features |= control->data.options.bell == DATA_BELL_FUTEX
				    ? HEARTH_FEATURE_FUTEX_BELL
				    : HEARTH_FEATURE_SOCKET_BELL;
	if (options->has_test_operations)
		limits->features |= HEARTH_FEATURE_TEST;
	if (getrandom(&limits->epoch, sizeof(limits->epoch), 0) < 0)
		return err_raise(-errno, "no random numbers: %s", strerror(errno));
	return 0;
}

int loop_init(struct control *control, const struct options *options)
{
	int r;

	memset(control, 0, sizeof(*control));
	log_keep(&control->events);
	control->options = options;
	control->started_ns = clock_ns();
	control->passed_ns = control->started_ns;
	clock_gettime(CLOCK_REALTIME, &control->started);
	control->repository = REPOSITORY_NONE;
	control->infer = (struct watch){ WATCH_LISTENER_INFER, false, -1, NULL };
	control->admin = (struct watch){ WATCH_LISTENER_ADMIN, false, -1, NULL };
	control->signal = (struct watch){ WATCH_SIGNAL, false, -1, NULL };
	control->metrics_fd = -1;
	control->page.fd = -1;
	scratch_init();

	r = signals_open(control);
	if (r < 0)
		return err_trace(r);
	/* The sockets while everything may be done; waiters and threads with what is left. No
	 * model is read and no client heard before the sandbox is sealed. */
	r = sockets_open(control);
	if (r == 0)
		r = metrics_open(control);
	if (r < 0)
		return err_trace(r);
	page_open(&control->page, options, control->owns_sockets);
	r = sandbox_enter(&control->sandbox, options, control->owns_sockets, control->owns_metrics,
			  control->page.is_made ? control->page.path : NULL);
	if (r < 0)
		return err_trace(r);
	r = start_waiting(control);
	if (r < 0)
		return err_trace(r);
	r = start_serving(control);
	if (r < 0)
		return err_trace(r);
	r = limits_init(control);
	if (r < 0)
		return err_trace(r);
	if (control->metrics_fd >= 0) {
		r = scrape_start(&control->scrape, control->metrics_fd, control);
		if (r < 0)
			return err_trace(r);
	}
	r = sandbox_seal(&control->sandbox, options, control->waiter.way,
			 control->scrape.server != NULL);
	if (r < 0)
		return err_trace(r);

	control->data_messages =
		(struct watch){ WATCH_DATA, false, control->data.control_eventfd, NULL };
	control->loads =
		(struct watch){ WATCH_LOADER, false, control->registry.loader.eventfd, NULL };
	control->metrics = (struct watch){ WATCH_METRICS, false, scrape_fd(&control->scrape), NULL };
	watch_arm(&control->waiter, &control->metrics, POLLIN);
	watch_arm(&control->waiter, &control->infer, POLLIN);
	watch_arm(&control->waiter, &control->admin, POLLIN);
	watch_arm(&control->waiter, &control->signal, POLLIN);
	watch_arm(&control->waiter, &control->data_messages, POLLIN);
	watch_arm(&control->waiter, &control->loads, POLLIN);
	control->tick_ns = clock_ns() + TICK_NS;
	reload_first(control);
	return 0;
}

void loop_deinit(struct control *control)
{
	struct peer *peer;

	if (control->has_data) {
		struct message stop = { .kind = MESSAGE_STOP };

		if (!control->is_stopped)
			data_send(&control->data, &stop);
		data_join(&control->data);
	}
	page_end(&control->page);
	listen_close(control->owns_sockets ? control->options->socket : NULL, control->infer.fd);
	listen_close(control->owns_sockets ? control->options->admin_socket : NULL,
		     control->admin.fd);
	waiter_close(&control->waiter);
	if (control->metrics_fd >= 0 && !control->scrape.server)
		close(control->metrics_fd);
	scrape_stop(&control->scrape);
	ration_deinit(&control->mem);
	told_deinit(&control->told);
	if (control->owns_metrics)
		unlink(control->options->metrics_socket);
	while ((peer = control->peers)) {
		control->peers = peer->next;
		peer_free(peer);
	}
	shares_deinit(&control->shares);
	kept_deinit(control);
	start_undo(control);
	page_close(&control->page);
	if (control->signal.fd >= 0)
		close(control->signal.fd);
	log_keep(NULL);
}
