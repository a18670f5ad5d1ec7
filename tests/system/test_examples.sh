#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tests/system/test_examples.sh - the shipped programs against a real hearthd, and what it logs
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build}
scratch=$(mktemp -d)
passed=0 failed=0 skipped=0 pid=

finish() {
    [ -z "$pid" ] || kill "$pid" 2>/dev/null
    wait 2>/dev/null
    rm -rf "$scratch"
}
trap finish EXIT

check() { # check SENTENCE COMMAND...
    local sentence=$1
    shift
    if "$@" >"$scratch/out" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL: $sentence"
        sed 's/^/  | /' "$scratch/out"
    fi
}
waits_with() { "$build/bin/hearthctl" --socket "$scratch/socket" -o json status 2>/dev/null | grep -q "\"wait\":\"$1\""; }
is_ready() { "$build/bin/hearthctl" --socket "$scratch/socket" -o json status 2>/dev/null | grep -q '"ready":true'; }

cp -r tests/data/shoppers/repository "$scratch/models"
chmod -R u+w "$scratch/models"
echo 'name: "shoppers"' >"$scratch/models/shoppers/config.pbtxt"
"$build/bin/hearthd" --repository "$scratch/models" --socket "$scratch/socket" 2>"$scratch/log" &
pid=$!
for _ in $(seq 600); do
    is_ready && break
    sleep 0.1
done

check "hearthd becomes ready" is_ready
check "config.pbtxt is named as not read" grep -q 'shoppers/config.pbtxt is not read' "$scratch/log"
check "the pages of the weights are logged" grep -q 'bytes of weights in \(2M\|thp\|4k\) pages' "$scratch/log"
check "rank.c scores four visitors" "$build/bin/example_rank" "$scratch/socket"
check "rank.c prints a line for each" test "$(grep -c '^visitor [0-3]: 0\.[0-9]*$' "$scratch/out")" = 4
if waits_with io_uring; then
    check "the event loop is woken in its own io_uring" "$build/bin/example_event_loop_uring" "$scratch/socket"
else
    skipped=$((skipped + 1))
    echo "SKIP: event_loop_uring.c wants io_uring, which is not permitted here"
fi
python=
for candidate in python3 /usr/bin/python3; do
    "$candidate" -c 'import numpy' 2>/dev/null && { python=$candidate; break; }
done
if [ -z "$python" ] || [ "$build" != "${build%-*}" ]; then
    skipped=$((skipped + 1))
    echo "SKIP: score_batch.py wants numpy (python3-numpy) and a library without a sanitizer"
else
    check "score_batch.py scores as PyTorch does" "$python" client/examples/score_batch.py \
        "$scratch/socket" "$build/lib/libhearth.so"
    check "to 1e-5" awk '{ exit !($NF + 0 <= 1e-5) }' "$scratch/out"
fi
kill -TERM "$pid"
wait "$pid"
check "SIGTERM ends it with 0" test $? -eq 0
pid=
check "both sockets are gone" test ! -e "$scratch/socket" -a ! -e "$scratch/socket.admin"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
