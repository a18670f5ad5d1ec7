/* SPDX-License-Identifier: MIT */
/* daemon/base/topology.c - cores, nodes and pools as /sys and /proc tell them */

#include "base/topology.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_BYTES 8192
#define CORES_MAX 8192
#define GROUP_DEPTH_MAX 32

/* A file of /sys or /proc fits in one buffer; the rest of a longer one is not
 * looked at. Returns a bare -errno, because most of these files may be absent. */
static int text_read(char text[TEXT_BYTES], const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static int text_read(char text[TEXT_BYTES], const char *format, ...)
{
	char path[PATH_MAX];
	va_list arguments;
	size_t used = 0;
	int printed;
	int fd;

	va_start(arguments, format);
	printed = vsnprintf(path, sizeof(path), format, arguments);
	va_end(arguments);
	if (printed < 0 || (size_t)printed >= sizeof(path))
		return -ENAMETOOLONG;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (used < TEXT_BYTES - 1) {
		ssize_t got = read(fd, text + used, TEXT_BYTES - 1 - used);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			int error = -errno;
			close(fd);
			return error;
		}
		if (got == 0)
			break;
		used += (size_t)got;
	}
	close(fd);
	text[used] = '\0';
	return 0;
}

/* Counts the members of "0-3,8,10-11" below mark_count, and marks them. */
static uint32_t list_parse(const char *text, bool marks[], uint32_t mark_count)
{
	uint32_t count = 0;

	while (isdigit((unsigned char)*text)) {
		char *end;
		unsigned long first = strtoul(text, &end, 10);
		unsigned long last = first;
		unsigned long member;

		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		for (member = first; member <= last && member < mark_count; member++) {
			if (marks)
				marks[member] = true;
			count++;
		}
		if (*end != ',')
			break;
		text = end + 1;
	}
	return count;
}

/* The number after "name" in lines such as "Node 0 MemFree:   123 kB"; 0 when absent. */
static uint64_t field_read(const char *text, const char *name)
{
	const char *at = text;
	size_t name_bytes = strlen(name);

	while ((at = strstr(at, name))) {
		bool starts_word = at == text || isspace((unsigned char)at[-1]);
		char after = at[name_bytes];

		at += name_bytes;
		if (starts_word && (after == ':' || after == ' '))
			return strtoull(at + 1, NULL, 10);
	}
	return 0;
}

static uint64_t number_read(const char *root, const char *directory, const char *name)
{
	char text[TEXT_BYTES];

	if (text_read(text, "%s%s/%s", root, directory, name) < 0)
		return 0;
	return strtoull(text, NULL, 10);
}

static int pool_compare(const void *left, const void *right)
{
	const struct topology_pool *a = left;
	const struct topology_pool *b = right;

	return a->page_bytes < b->page_bytes ? -1 : a->page_bytes > b->page_bytes;
}

static void pools_read(const char *root, const char *directory, struct topology_node *node)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *pools;

	snprintf(path, sizeof(path), "%s%s", root, directory);
	pools = opendir(path);
	if (!pools)
		return;
	while ((entry = readdir(pools)) && node->pool_count < TOPOLOGY_POOLS_MAX) {
		struct topology_pool *pool = &node->pools[node->pool_count];
		unsigned long page_kib;

		if (sscanf(entry->d_name, "hugepages-%lukB", &page_kib) != 1)
			continue;
		snprintf(path, sizeof(path), "%s/%.64s", directory, entry->d_name);
		pool->page_bytes = (uint64_t)page_kib * 1024;
		pool->total_pages = number_read(root, path, "nr_hugepages");
		pool->free_pages = number_read(root, path, "free_hugepages");
		node->pool_count++;
	}
	closedir(pools);
	qsort(node->pools, node->pool_count, sizeof(node->pools[0]), pool_compare);
}

static void node_read(const char *root, int index, struct topology_node *node)
{
	char text[TEXT_BYTES];
	char directory[64];

	*node = (struct topology_node){ .node = index };
	if (text_read(text, "%s/sys/devices/system/node/node%d/cpulist", root, index) == 0)
		node->core_count = list_parse(text, NULL, CORES_MAX);
	if (text_read(text, "%s/sys/devices/system/node/node%d/meminfo", root, index) == 0) {
		node->memory_bytes = field_read(text, "MemTotal") * 1024;
		node->available_bytes = (field_read(text, "MemFree") +
					 field_read(text, "Active(file)") +
					 field_read(text, "Inactive(file)") +
					 field_read(text, "SReclaimable")) * 1024;
	}
	node->has_memory = node->memory_bytes > 0;
	snprintf(directory, sizeof(directory), "/sys/devices/system/node/node%d/hugepages", index);
	pools_read(root, directory, node);
}

/* A kernel without NUMA has no node directory. */
static int single_node_read(const char *root, struct topology *topology)
{
	struct topology_node *node = &topology->nodes[0];
	char text[TEXT_BYTES];
	int r;

	r = text_read(text, "%s/proc/meminfo", root);
	if (r < 0)
		return err_raise(r, "%s/proc/meminfo cannot be read: %s", root, strerror(-r));

	*node = (struct topology_node){
		.node = 0,
		.core_count = topology->core_count,
		.has_memory = true,
		.memory_bytes = field_read(text, "MemTotal") * 1024,
		.available_bytes = field_read(text, "MemAvailable") * 1024,
	};
	pools_read(root, "/sys/kernel/mm/hugepages", node);
	topology->node_count = 1;
	return 0;
}

static int nodes_read(const char *root, struct topology *topology)
{
	bool online[TOPOLOGY_NODES_MAX] = { false };
	char text[TEXT_BYTES];
	int index;

	if (text_read(text, "%s/sys/devices/system/node/online", root) < 0)
		return err_trace(single_node_read(root, topology));

	list_parse(text, online, TOPOLOGY_NODES_MAX);
	for (index = 0; index < TOPOLOGY_NODES_MAX; index++) {
		if (online[index])
			node_read(root, index, &topology->nodes[topology->node_count++]);
	}
	return 0;
}

/* One level of the tree: tightens what the levels below it allowed. */
static void group_level_read(const char *root, const char *group, struct topology *topology)
{
	char text[TEXT_BYTES];
	double quota_us;
	double period_us;

	if (text_read(text, "%s/sys/fs/cgroup%s/cpu.max", root, group) == 0 &&
	    sscanf(text, "%lf %lf", &quota_us, &period_us) == 2 && period_us > 0) {
		double cores = quota_us / period_us;
		if (topology->quota_cores <= 0 || cores < topology->quota_cores)
			topology->quota_cores = cores;
	}
	if (text_read(text, "%s/sys/fs/cgroup%s/memory.max", root, group) == 0 &&
	    isdigit((unsigned char)text[0])) {
		uint64_t limit = strtoull(text, NULL, 10);
		uint64_t used = 0;

		if (text_read(text, "%s/sys/fs/cgroup%s/memory.current", root, group) == 0)
			used = strtoull(text, NULL, 10);
		if (text_read(text, "%s/sys/fs/cgroup%s/memory.stat", root, group) == 0) {
			uint64_t file = field_read(text, "active_file") +
					field_read(text, "inactive_file");
			used -= file < used ? file : used;
		}
		limit -= used < limit ? used : limit;
		if (limit < topology->group_available_bytes)
			topology->group_available_bytes = limit;
	}
}

static void group_read(const char *root, struct topology *topology)
{
	char group[TEXT_BYTES];
	const char *at;
	char *end;
	int depth;

	topology->group_available_bytes = TOPOLOGY_UNLIMITED;
	if (text_read(group, "%s/proc/self/cgroup", root) < 0)
		return;
	at = strncmp(group, "0::", 3) == 0 ? group : strstr(group, "\n0::");
	if (!at)
		return;
	at = strchr(at, '/');
	if (!at || strncmp(at, "/..", 3) == 0)
		return; /* outside this namespace's view */
	memmove(group, at, strlen(at) + 1);
	group[strcspn(group, "\n")] = '\0';

	for (depth = 0; depth < GROUP_DEPTH_MAX; depth++) {
		group_level_read(root, strcmp(group, "/") == 0 ? "" : group, topology);
		end = strrchr(group, '/');
		if (!end || end[1] == '\0')
			break;
		end[end == group] = '\0'; /* "/a" becomes "/", "/a/b" becomes "/a" */
	}
}

static void thp_read(const char *root, struct topology *topology)
{
	char text[TEXT_BYTES];
	const char *begin;
	size_t bytes;

	if (text_read(text, "%s/sys/kernel/mm/transparent_hugepage/enabled", root) < 0)
		return;
	begin = strchr(text, '[');
	if (!begin)
		return;
	bytes = strcspn(begin + 1, "]");
	if (bytes < sizeof(topology->thp))
		memcpy(topology->thp, begin + 1, bytes);
}

static uint32_t affinity_count(void)
{
	cpu_set_t *cores = CPU_ALLOC(CORES_MAX);
	size_t bytes = CPU_ALLOC_SIZE(CORES_MAX);
	uint32_t count = 0;

	if (!cores)
		return 0;
	CPU_ZERO_S(bytes, cores);
	if (sched_getaffinity(0, bytes, cores) == 0)
		count = (uint32_t)CPU_COUNT_S(bytes, cores);
	CPU_FREE(cores);
	return count;
}

int topology_read_below(const char *root, struct topology *ret_topology)
{
	struct topology topology = { 0 };
	char text[TEXT_BYTES];
	int r;

	r = text_read(text, "%s/sys/devices/system/cpu/online", root);
	if (r < 0)
		return err_raise(r, "%s/sys/devices/system/cpu/online cannot be read: %s; "
				    "hearth needs /sys and /proc", root, strerror(-r));
	topology.core_count = list_parse(text, NULL, CORES_MAX);
	topology.allowed_core_count = affinity_count();
	r = nodes_read(root, &topology);
	if (r < 0)
		return err_trace(r);
	group_read(root, &topology);
	thp_read(root, &topology);
	*ret_topology = topology;
	return 0;
}

int topology_read(struct topology *ret_topology)
{
	return err_trace(topology_read_below("", ret_topology));
}

/* Those of `allowed` that the node says are its own. */
static uint32_t own_cpus(int node, const cpu_set_t *allowed, cpu_set_t *ret_cpus)
{
	bool is_of_node[CPU_SETSIZE] = { false };
	char text[TEXT_BYTES];
	uint32_t cpu;

	CPU_ZERO(ret_cpus);
	if (node < 0 || text_read(text, "/sys/devices/system/node/node%d/cpulist", node) < 0)
		return 0;
	list_parse(text, is_of_node, CPU_SETSIZE);
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (is_of_node[cpu] && CPU_ISSET(cpu, allowed))
			CPU_SET(cpu, ret_cpus);
	return (uint32_t)CPU_COUNT(ret_cpus);
}

uint32_t topology_cpus(int node, cpu_set_t *ret_cpus)
{
	cpu_set_t of_node;

	CPU_ZERO(ret_cpus);
	if (sched_getaffinity(0, sizeof(*ret_cpus), ret_cpus) < 0)
		return 0;
	if (own_cpus(node, ret_cpus, &of_node) > 0)
		*ret_cpus = of_node;
	return (uint32_t)CPU_COUNT(ret_cpus);
}

bool topology_has_cpus(const struct topology *topology, int node)
{
	cpu_set_t allowed;
	cpu_set_t of_node;

	if (topology->node_count == 1)
		return topology->nodes[0].node == node;
	return sched_getaffinity(0, sizeof(allowed), &allowed) == 0 &&
	       own_cpus(node, &allowed, &of_node) > 0;
}

const struct topology_node *topology_node(const struct topology *topology, int node)
{
	uint32_t index;

	for (index = 0; index < topology->node_count; index++) {
		if (topology->nodes[index].node == node)
			return &topology->nodes[index];
	}
	return NULL;
}

const struct topology_pool *topology_pool(const struct topology_node *node, uint64_t page_bytes)
{
	uint32_t index;

	for (index = 0; index < node->pool_count; index++) {
		if (node->pools[index].page_bytes == page_bytes)
			return &node->pools[index];
	}
	return NULL;
}

struct topology_pool topology_pools(const struct topology *topology, int node, uint64_t page_bytes)
{
	struct topology_pool sum = { .page_bytes = page_bytes };
	uint32_t index;

	for (index = 0; index < topology->node_count; index++) {
		const struct topology_pool *pool =
			topology_pool(&topology->nodes[index], page_bytes);

		if (pool && (node < 0 || topology->nodes[index].node == node)) {
			sum.total_pages += pool->total_pages;
			sum.free_pages += pool->free_pages;
		}
	}
	return sum;
}

uint64_t topology_available(const struct topology *topology, int node)
{
	uint64_t available = 0;
	uint32_t index;

	for (index = 0; index < topology->node_count; index++) {
		if (node < 0 || topology->nodes[index].node == node)
			available += topology->nodes[index].available_bytes;
	}
	if (topology->group_available_bytes < available)
		available = topology->group_available_bytes;
	return available;
}

double topology_cores(const struct topology *topology)
{
	double cores = topology->allowed_core_count;

	if (topology->quota_cores > 0 && topology->quota_cores < cores)
		cores = topology->quota_cores;
	return cores;
}
