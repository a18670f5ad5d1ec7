/* SPDX-License-Identifier: MIT */
/* tools/hearthctl/doctor/doctor.c - are this host and its daemon as hearth wants them? */
#include "tools/hearthctl/doctor/doctor.h"

#include "base/text.h"
#include "tools/hearthctl/listing.h"

static const struct check {
	const char *name;
	void (*look)(const struct host *host, struct finding *finding);
} checks[] = {
	{ "kernel", kernel_check },
	{ "io_uring", uring_check },
	{ "futex operations", futex_check },
	{ "landlock", landlock_check },
	{ "seccomp", seccomp_check },
	{ "clock", clock_check },
	{ "huge pages", huge_pages_check },
	{ "transparent pages", thp_check },
	{ "locked memory", memlock_check },
	{ "swap", swap_check },
	{ "mappings", mappings_check },
	{ "nodes", numa_check },
	{ "GPU", gpu_check },
	{ "CPUs", cpus_check },
	{ "governor", governor_check },
	{ "instructions", instructions_check },
	{ "control group", group_check },
	{ "socket", socket_check },
	{ "admin socket", admin_socket_check },
	{ "daemon", daemon_check },
	{ "stats page", stats_page_check },
	{ "open files", files_check },
	{ "sandbox", sandbox_check },
	{ "unit", unit_check },
};
#define CHECK_COUNT (sizeof(checks) / sizeof(checks[0]))

static int finding_emit(const char *name, const struct finding *finding)
{
	static const char *const verdicts[] = { "ok", "skipped", "warn", "fail" };
	json_t *row = json_pack("{s:s, s:s, s:s, s:s}", "check", name, "verdict",
				verdicts[finding->verdict], "found", finding->found, "fix",
				finding->fix);
	int code = listing_emit(row);

	json_decref(row);
	return code;
}

static void finding_print(const char *name, const struct finding *finding)
{
	static const char *const verdicts[] = { "OK", "skipped", "WARN", "FAIL" };
	enum table_style style = finding->verdict == VERDICT_OK	       ? TABLE_GOOD
				 : finding->verdict == VERDICT_SKIPPED ? TABLE_PLAIN
								       : TABLE_BAD;

	printf("%s%-7s%s  %-18s %s%s%s\n", style_begin(stdout, style), verdicts[finding->verdict],
	       style_end(stdout, style), name, finding->found, *finding->fix ? " -> " : "", finding->fix);
}

int doctor_run(const struct invocation *invocation)
{
	bool has_failed = false;
	int code = EXIT_OK;
	struct host host;

	host_init(&host, invocation);
	for (size_t check = 0; check < CHECK_COUNT && code == EXIT_OK; check++) {
		struct finding finding = { 0 };

		checks[check].look(&host, &finding);
		if (!*finding.found) {
			find(&finding, "neither /sys nor /proc tells");
			finding.verdict = VERDICT_SKIPPED;
		}
		/* It may name what others chose, cut where a character does not end. */
		text_clean(finding.found);
		text_clean(finding.fix);
		has_failed |= finding.verdict == VERDICT_FAIL;
		if (invocation->is_json)
			code = finding_emit(checks[check].name, &finding);
		else
			finding_print(checks[check].name, &finding);
	}
	host_deinit(&host);
	return code == EXIT_OK && has_failed ? EXIT_FAILED : code;
}
