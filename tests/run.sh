#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tests/run.sh TEST... - runs each test, prints a line for it, ends with N passed, N failed, N skipped
#
# A test is a Check program (its own counts are added up; a line "SKIP: reason" stands for one of its
# tests that cannot run here), or any other program or script: exit 0 passes, 77 skips (the last line
# it printed is the reason), anything else fails. A script may count for itself with a last line
# "N passed, N failed, N skipped". Tests see BUILD; each has TEST_SECONDS (default 120) before it is
# ended.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
export BUILD=${BUILD:-build} TMPDIR=${TMPDIR:-/tmp}
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:abort_on_error=0} UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export CK_DEFAULT_TIMEOUT=${CK_DEFAULT_TIMEOUT:-60}
passed=0 failed=0 skipped=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

for test in "$@"; do
    start=$(date +%s%N)
    timeout -k 5 "${TEST_SECONDS:-120}" "$test" >"$log" 2>&1
    status=$?
    ms=$((($(date +%s%N) - start) / 1000000))
    count=1 bad=0 skip=0
    if line=$(grep -E '^[0-9]+%: Checks: ' "$log"); then
        read -r count bad < <(awk -F'[:,]' '{ checks += $3; bad += $5 + $7 } END { print checks, bad + 0 }' <<<"$line")
        [ "$status" -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
        skip=$(grep -c '^SKIP: ' "$log")
    elif line=$(tail -n 1 "$log" | grep -E '^[0-9]+ passed, [0-9]+ failed'); then
        read -r ok bad skip < <(sed 's/\([0-9]*\) passed, \([0-9]*\) failed\(, \([0-9]*\) skipped\)\{0,1\}.*/\1 \2 \4/' <<<"$line")
        skip=${skip:-0}
        [ "$status" -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
        count=$((ok + bad + skip))
    elif [ "$status" -eq 77 ]; then
        skip=1
    elif [ "$status" -ne 0 ]; then
        bad=1
    fi
    passed=$((passed + count - bad - skip)) failed=$((failed + bad)) skipped=$((skipped + skip))
    name=${test#"$BUILD"/} name=${name#tests/}
    if [ "$bad" -gt 0 ]; then
        printf 'FAIL  %-44s %4d tests %6d ms (exit %d)\n' "$name" "$count" "$ms" "$status"
        sed 's/^/      | /' "$log" | tail -n 60
    elif [ "$skip" -gt 0 ]; then
        printf 'skip  %-44s %4d tests %6d ms, %d skipped: %s\n' "$name" "$count" "$ms" "$skip" \
            "$(grep -iE '^SKIP' "$log" | tail -n 1 || tail -n 1 "$log")"
    else
        printf 'ok    %-44s %4d tests %6d ms\n' "$name" "$count" "$ms"
    fi
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
