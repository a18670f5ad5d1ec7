#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tests/stress.sh PROGRAM... - the long fault campaigns; each says what it did
#
# HEARTH_SEED repeats a campaign; HEARTH_SWAPS, HEARTH_LOADS, HEARTH_KILLS, HEARTH_DAEMON_KILLS and
# HEARTH_GARBAGE_ROUNDS change how long they are. Each has STRESS_SECONDS (default 900).
set -uo pipefail
cd "$(dirname "$0")/.."
export BUILD=${BUILD:-build} TMPDIR=${TMPDIR:-/tmp}
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:abort_on_error=0} UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
passed=0 failed=0 skipped=0

for program in "$@"; do
    name=${program#"$BUILD"/tests/}
    printf 'run   %s\n' "$name"
    start=$(date +%s)
    timeout -k 5 "${STRESS_SECONDS:-900}" "$program" 2>&1 | sed 's/^/      | /'
    status=${PIPESTATUS[0]}
    if [ "$status" -eq 0 ]; then
        passed=$((passed + 1)) word=ok
    elif [ "$status" -eq 77 ]; then
        skipped=$((skipped + 1)) word=skip
    else
        failed=$((failed + 1)) word=FAIL
    fi
    printf '%-5s %s: %d s (exit %d)\n' "$word" "$name" $(($(date +%s) - start)) "$status"
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
