#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tests/run.sh TEST... - runs each test, prints a line for it, ends with N passed, N failed, N skipped
#
# A test is a Check program (its own counts are added up; a line "SKIP: reason" stands for one of its
# tests that cannot run here), or any other program or script: exit 0 passes, 77 skips (the last line
# it printed is the reason), anything else fails. A script may count for itself with a last line
# "N passed, N failed, N skipped". Tests see BUILD; each has TEST_SECONDS (default 120) before it is
# ended. Those that are named in `beside` wait or compute for long and share nothing with the others:
# they run in turn beside them, and are told at the end.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
export BUILD=${BUILD:-build} TMPDIR=${TMPDIR:-/tmp}
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:abort_on_error=0} UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export CK_DEFAULT_TIMEOUT=${CK_DEFAULT_TIMEOUT:-60}
beside=' client/test_compile.sh exec/test_opsets exec/test_points monitoring/test_prometheus.py
 places/test_guest.sh shm/test_model.sh tools/test_completions.sh tools/test_doctor.sh tools/test_page.sh
 tools/test_tidy.sh tools/test_top.sh '
folder=$(mktemp -d)
beside_pid=
clean_up() {
    [ -z "$beside_pid" ] || kill "$beside_pid" 2>/dev/null
    rm -rf "$folder"
}
trap clean_up EXIT

# run_test TEST COUNTS LOG: a line of what came of it; "passed failed skipped" go into COUNTS
run_test() {
    local test=$1 counts=$2 log=$3 start status ms line count=1 bad=0 skip=0 ok name
    start=$(date +%s%N)
    timeout -k 5 "${TEST_SECONDS:-120}" "$test" >"$log" 2>&1
    status=$?
    ms=$((($(date +%s%N) - start) / 1000000))
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
    echo "$((count - bad - skip)) $bad $skip" >>"$counts"
    name=${test#"$BUILD"/} name=${name#tests/}
    if [ "$bad" -gt 0 ]; then
        printf 'FAIL  %-44s %4d tests %6d ms (exit %d)\n' "$name" "$count" "$ms" "$status"
        { grep -E '\.c:[0-9]+:[EF]:' "$log"; tail -n 60 "$log"; } | sed 's/^/      | /'
    elif [ "$skip" -gt 0 ]; then
        printf 'skip  %-44s %4d tests %6d ms, %d skipped: %s\n' "$name" "$count" "$ms" "$skip" \
            "$(grep -iE '^SKIP' "$log" | tail -n 1 || tail -n 1 "$log")"
    else
        printf 'ok    %-44s %4d tests %6d ms\n' "$name" "$count" "$ms"
    fi
}

run_beside() {
    local test
    for test in "$@"; do run_test "$test" "$folder/counts.beside" "$folder/log.beside"; done
}

others=() besides=()
for test in "$@"; do
    name=${test#"$BUILD"/}
    case $beside in
    *[[:space:]]"${name#tests/}"[[:space:]]*) besides+=("$test") ;;
    *) others+=("$test") ;;
    esac
done
if [ ${#others[@]} -eq 0 ]; then others=("${besides[@]}") besides=(); fi
run_beside "${besides[@]}" >"$folder/told" &
beside_pid=$!
for test in "${others[@]}"; do run_test "$test" "$folder/counts" "$folder/log"; done
wait "$beside_pid"
beside_pid=
cat "$folder/told"
read -r passed failed skipped < <(cat "$folder"/counts* | awk '{ p += $1; f += $2; s += $3 } END { print p + 0, f + 0, s + 0 }')
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
