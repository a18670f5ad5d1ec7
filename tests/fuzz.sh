#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tests/fuzz.sh FUZZER... - each fuzzer for FUZZ_SECONDS (60), one after another; ends with the counts
# A finding prints the seed that repeats it. Build with SAN=address,undefined to see more.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
export FUZZ_SECONDS=${FUZZ_SECONDS:-60}
passed=0 failed=0
for fuzzer in "$@"; do
    echo "== $fuzzer, $FUZZ_SECONDS s"
    if "$fuzzer"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
