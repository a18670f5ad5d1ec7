#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tests/bench.sh BENCH... - says where it runs, runs each program, ends with what was skipped or failed
#
# Each program prints its own table and verdict. BENCH_FORMAT=json asks for one JSON line each; the
# header then goes to stderr. Exit 77 of a program is a skip.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
export BUILD=${BUILD:-build} TMPDIR=${TMPDIR:-/tmp}
arguments=()
failed=0 skipped=0

header() {
    local commit cpu
    commit=$(git rev-parse --short=12 HEAD 2>/dev/null || echo none)
    [ "$commit" = none ] || git diff --quiet HEAD 2>/dev/null || commit="$commit, with changes"
    cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
    echo "date     $(date -u +%FT%TZ)"
    echo "commit   $commit"
    echo "cpu      ${cpu:-$(uname -m)}, $(nproc) of $(getconf _NPROCESSORS_ONLN) cores, load $(cut -d' ' -f1-3 /proc/loadavg)"
    echo "kernel   $(uname -sr)"
}

if [ "${BENCH_FORMAT:-table}" = json ]; then
    arguments=(-o json)
    header >&2
else
    header
fi
for bench in "$@"; do
    [ "${#arguments[@]}" -gt 0 ] || echo
    "$bench" ${arguments[@]+"${arguments[@]}"}
    status=$?
    if [ "$status" -eq 77 ]; then
        skipped=$((skipped + 1))
    elif [ "$status" -ne 0 ]; then
        failed=$((failed + 1))
        echo "FAIL  ${bench#"$BUILD"/tests/} (exit $status)"
    fi
done
[ "$failed" -eq 0 ] && [ "$skipped" -eq 0 ] || echo "$failed failed, $skipped skipped" >&2
[ "$failed" -eq 0 ]
