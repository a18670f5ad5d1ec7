/* SPDX-License-Identifier: MIT */
/* daemon/ops/start.c - what this machine offers, what was asked for, and what comes of it */
#include "ops/start.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "base/topology.h"
#include "base/wake_cost.h"
#include "ops/books.h"
#include "ops/control/control.h"
#include "ops/loop.h"
#include "ops/nodes.h"
#include "ops/peers.h"

/* So many times what a wake costs: a client that had to be woken finds the daemon awake when it asks
 * again, since both asleep is where both stay; and sleeping costs the wake of a worker, too. */
#define SPIN_WAKES 3
#define SPIN_NS_MIN UINT64_C(20000)
#define SPIN_NS_MAX UINT64_C(200000)
#define SPIN_NS_DEFAULT UINT64_C(100000) /* where the cost of a wake cannot be had */
#define WAKE_NS_DEFAULT UINT64_C(50000)
#define WORKER_SPIN_NS UINT64_C(50000) /* at least */
#define WORKER_SPINS 2 /* times as long: a request may come when its caller nearly sleeps */
#define NS_PER_US 1000

/* The two listeners, the signals, the data loop, the loader and the metrics. */
#define WATCHES_OWN 6

/* An io_uring where one may be had. Whatever else stands in its way, waiting without is better
 * than not serving. */
static int choose_way(struct control *control, const struct waiter_way **ret_way)
{
	const struct options *options = control->options;
	int r;

	*ret_way = &waiter_poll;
	if (options->wait == OPTIONS_WAIT_POLL) {
		snprintf(control->wait_reason, sizeof(control->wait_reason), "--wait poll");
		return 0;
	}
	r = waiter_uring_probe(&control->has_futexes);
	if (r == 0) {
		*ret_way = &waiter_uring;
		return 0;
	}
	snprintf(control->wait_reason, sizeof(control->wait_reason), "%s", err_message());
	if (options->wait == OPTIONS_WAIT_URING)
		return err_raise(r, "--wait io_uring: %s; use --wait auto", control->wait_reason);
	log_line(LOG_LEVEL_INFO, "%s: waiting with poll", control->wait_reason);
	return 0;
}

static int open_waiter(struct control *control, const struct waiter_way *way)
{
	int r = waiter_open(&control->waiter, way,
			    WATCHES_OWN + peers_watches_max(control->options), false);

	return r < 0 ? err_trace(r) : 0;
}

/* A small ring could be had, and one of the size that is wanted, or another one, cannot: memory that
 * may be locked is soon used up. */
static int wait_with_poll(struct control *control, int error)
{
	int r;

	if (control->options->wait != OPTIONS_WAIT_AUTO)
		return err_trace(error);
	snprintf(control->wait_reason, sizeof(control->wait_reason), "%s", err_message());
	log_line(LOG_LEVEL_WARNING,
		 "%s: waiting with poll (where LimitMEMLOCK= or RLIMIT_MEMLOCK is too low, raise it)",
		 control->wait_reason);
	control->has_futexes = false;
	r = open_waiter(control, &waiter_poll);
	return r < 0 ? err_trace(r) : 0;
}

int start_waiting(struct control *control)
{
	const struct waiter_way *way;
	int r;

	r = choose_way(control, &way);
	if (r < 0)
		return err_trace(r);
	r = open_waiter(control, way);
	if (r < 0 && way == &waiter_uring)
		r = wait_with_poll(control, r);
	return r < 0 ? err_trace(r) : 0;
}

static int choose_bell(const struct control *control, enum data_bell *ret_bell)
{
	enum options_bell wanted = control->options->bell;

	if (wanted == OPTIONS_BELL_FUTEX && control->waiter.way != &waiter_uring)
		return err_raise(-EOPNOTSUPP, "--bell futex wants io_uring to wait with (%s); use "
				 "--bell auto", control->wait_reason);
	if (wanted == OPTIONS_BELL_FUTEX && !control->has_futexes)
		return err_raise(-EOPNOTSUPP, "--bell futex: this kernel's io_uring has no futex "
				 "operations (Linux 6.7 or later has); use --bell auto");
	*ret_bell = wanted == OPTIONS_BELL_SOCKET || !control->has_futexes ? DATA_BELL_SOCKET
									   : DATA_BELL_FUTEX;
	return 0;
}

static uint64_t choose_spin_ns(const struct options *options, bool is_alone, uint64_t wake_ns)
{
	uint64_t spin_ns = SPIN_WAKES * wake_ns;

	if (options->spin_us >= 0)
		return (uint64_t)options->spin_us * NS_PER_US;
	if (is_alone)
		return 0;
	if (spin_ns == 0)
		return SPIN_NS_DEFAULT;
	if (spin_ns < SPIN_NS_MIN)
		return SPIN_NS_MIN;
	return spin_ns < SPIN_NS_MAX ? spin_ns : SPIN_NS_MAX;
}

/* A client takes two descriptors, and the limit of a shell is soon reached. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* One thread a CPU of the nodes, and none for the last: whoever asks needs one, too. */
static int start_workers(struct control *control, double cores, const struct spin_options *spin)
{
	struct workers_options workers = {
		.count = control->options->workers,
		.node = control->node,
		.further = control->worker_nodes,
		.spin_ns = WORKER_SPINS * spin->most_ns,
		.wake_ns = spin->wake_ns > 0 ? spin->wake_ns : WAKE_NS_DEFAULT,
	};
	uint32_t cpu_count = nodes_cpu_count(control);
	int r;

	if (workers.spin_ns < WORKER_SPIN_NS)
		workers.spin_ns = WORKER_SPIN_NS;
	if (cores < cpu_count)
		cpu_count = (uint32_t)cores;
	if (cpu_count < 1)
		cpu_count = 1;
	if (workers.count > cpu_count)
		log_line(LOG_LEVEL_WARNING, "--workers %u: %u, since there are no more CPUs",
			 workers.count, cpu_count);
	if (workers.count == 0)
		workers.count = cpu_count > 1 ? cpu_count - 1 : 1;
	if (workers.count > cpu_count)
		workers.count = cpu_count;
	if (workers.count > WORKERS_MAX)
		workers.count = WORKERS_MAX;
	r = workers_new(&workers, &control->workers);
	if (r < 0)
		return err_trace(r);
	nodes_report(control);
	return 0;
}

/* What the config file says of tables that stay in their files. */
static void find_cold(struct control *control, const char *name, struct engine_options *options)
{
	const struct options *given = control->options;
	const struct options_model *model = options_model_of(given, name);
	uint32_t index;

	options->cold = control->cold;
	options->cold_count = 0;
	options->cold_bytes = model ? model->cold_bytes : 0;
	if (model && model->is_cold)
		control->cold[options->cold_count++] = "*";
	for (index = 0; index < given->table_count; index++) {
		const struct options_table *table = given->tables + index;

		if (table->is_cold && strcmp(table->model, name) == 0)
			control->cold[options->cold_count++] = table->table;
	}
}

/* What the config file gives to one model and to its tables. */
static void find_policies(void *context, const char *name, struct engine_options *options)
{
	struct control *control = context;
	const struct options *given = control->options;
	uint32_t index;

	options->policies = control->policies;
	options->policy_count = 0;
	for (index = 0; index < given->table_count; index++) {
		const struct options_table *table = given->tables + index;

		if (!table->has_policy || strcmp(table->model, name) != 0)
			continue;
		control->policies[options->policy_count++] = (struct table_policy){
			.table = table->table,
			.missing = table->missing,
			.missing_row = table->missing_row,
		};
	}
	find_cold(control, name, options);
	nodes_place(control, name, options);
}

static int account_others(struct control *control)
{
	struct tier_table *tiers = &control->tiers;
	const struct tier_owner page = { tiers, "stats page", TIER_STATS };
	char name[TIER_OWNER_BYTES];
	uint32_t row;
	int r;

	r = books_add_stack(tiers, control->data.thread, "data thread");
	if (r == 0)
		r = books_add_stack(tiers, control->registry.loader.thread, "loader thread");
	for (uint32_t worker = 1; r == 0 && worker < workers_count(control->workers); worker++) {
		snprintf(name, sizeof(name), "worker %u", worker);
		r = books_add_stack(tiers, workers_thread(control->workers, worker), name);
	}
	if (r == 0 && control->page.head)
		r = tier_add_range(&page, control->page.head, STATS_PAGE_HEAD_BYTES,
				   STATS_PAGE_HEAD_BYTES, -1, &row);
	return err_trace(r);
}

/* With a ring as the control loop has one, or both without. */
static int start_data(struct control *control, struct data_options *data)
{
	int r;

	data->way = control->waiter.way;
	r = choose_bell(control, &data->bell);
	if (r < 0)
		return err_trace(r);
	r = data_start(&control->data, data);
	if (r == -ENOMEM && data->way == &waiter_uring) {
		waiter_close(&control->waiter); /* which watches nothing yet */
		r = wait_with_poll(control, r);
		data->way = control->waiter.way;
		if (r == 0)
			r = choose_bell(control, &data->bell);
		if (r == 0)
			r = data_start(&control->data, data);
	}
	if (r < 0)
		return err_trace(r);
	control->has_data = true;
	return 0;
}

static int start_registry(struct control *control)
{
	const struct options *options = control->options;
	struct registry *registry = &control->registry;
	int r;

	registry->data = &control->data;
	registry->repository = &control->repository;
	registry->engine = (struct engine_options){
		.device = cpu_device(),
		.rows_max = options->rows_max,
		.activation_bytes_max = options->activation_bytes_max,
		.node = control->node,
		.workers = control->workers,
		.keeps = options->is_warm && store_is_there(),
		.tiers = &control->tiers,
		.shelf = &control->shelf,
	};
	registry->recall = kept_recall;
	registry->looks = options->verifies;
	registry->policies = find_policies;
	registry->notify = control_report;
	registry->context = control;
	r = registry_start(registry, control->waiter.way == &waiter_uring);
	return r < 0 ? err_trace(r) : 0;
}

/* Before anything else has huge pages. */
static int start_reserve(struct control *control)
{
	const struct options *options = control->options;
	const struct store *store = &control->kept.store;
	struct reserve *reserve = &control->reserve;
	struct topology topology;
	uint32_t index;
	int r;

	r = topology_read(&topology);
	for (index = 0; r == 0 && index < options->reserve_count; index++)
		r = reserve_add(reserve, &options->reserves[index], &topology);
	if (r < 0)
		return err_trace(r);
	for (index = 0; index < store->entry_count; index++)
		if (store->entries[index].fd >= 0)
			reserve_await(reserve, store->entries[index].fd);
	r = reserve_fill(reserve);
	return r < 0 ? err_trace(r) : 0;
}

void start_tend(struct control *control)
{
	uint64_t lost_count = __atomic_load_n(&control->reserve.lost_count, __ATOMIC_RELAXED);

	reserve_tend(&control->reserve);
	if (lost_count != control->reserve_lost_seen)
		log_line(LOG_LEVEL_WARNING, "--reserve: somebody else was faster to take huge pages "
			 "that models wanted of the reserve (%lu times); hearthctl mem tells where "
			 "these lie", (unsigned long)lost_count);
	control->reserve_lost_seen = lost_count;
}

int start_serving(struct control *control)
{
	const struct options *options = control->options;
	struct data_options data = {
		.lanes_max = options->clients_max,
		.spin.is_always = options->spin_us >= 0,
		.counters = page_counters(&control->page),
	};
	bool is_alone;
	double cores;
	int r;

	raise_descriptor_limit();
	tier_init(&control->tiers);
	shelf_init(&control->shelf, &control->tiers);
	reserve_init(&control->reserve, &control->tiers);
	control->tiers.reserve = &control->reserve;
	r = books_open(&control->tiers);
	if (r < 0)
		return err_trace(r);
	r = nodes_choose(control, &cores);
	if (r == 0)
		r = start_reserve(control);
	if (r < 0)
		return err_trace(r);
	is_alone = cores < 2.0;
	data.has_one_cpu = is_alone;
	data.node = control->node;
	data.spin.wake_ns = is_alone ? 0 : wake_cost_ns(control->node);
	data.spin.most_ns = choose_spin_ns(options, is_alone, data.spin.wake_ns);
	r = repository_open(options->repository, &control->repository);
	if (r < 0)
		return err_trace(r);
	r = start_workers(control, cores, &data.spin);
	if (r < 0)
		return err_trace(r);
	data.workers = control->workers;
	r = start_data(control, &data);
	if (r < 0)
		return err_trace(r);
	r = start_registry(control);
	if (r < 0)
		return err_trace(r);
	r = account_others(control);
	if (r < 0)
		return err_trace(r);
	log_line(LOG_LEVEL_INFO,
		 "device %s, no GPU backend in this build, node %d, %u workers on %u nodes, wait %s, "
		 "bell %s, spin %lu us",
		 control->registry.engine.device->name, control->node, workers_count(control->workers),
		 workers_node_count(control->workers), data.way->name,
		 data.bell == DATA_BELL_FUTEX ? "futex" : "socket",
		 (unsigned long)(data.spin.most_ns / NS_PER_US));
	return 0;
}

void start_undo(struct control *control)
{
	registry_stop(&control->registry);
	if (control->has_data)
		data_deinit(&control->data);
	workers_free(control->workers);
	shelf_deinit(&control->shelf);
	reserve_deinit(&control->reserve);
	tier_deinit(&control->tiers);
	repository_close(&control->repository);
}
