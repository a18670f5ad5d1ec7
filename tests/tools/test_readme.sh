#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tests/tools/test_readme.sh - what the README shows is what the tree has
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
passed=0 failed=0

check() { # check SENTENCE COMMAND...
    local sentence=$1
    shift
    if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAIL: $sentence"; fi
}

program_is_the_example() {
    diff <(awk '/^```c$/ { inside = 1; next } /^```$/ { inside = 0 } inside' README.md) client/examples/rank.c
}
links_lead_somewhere() {
    local target missing=0
    while read -r target; do
        [ -e "$target" ] || { echo "README.md: $target is not there"; missing=1; }
    done < <(grep -o '](\([^)]*\))' README.md | sed 's/](\(.*\))/\1/' | grep -v '^http')
    return $missing
}
paths_exist() {
    local path missing=0
    while read -r path; do
        [ -e "$path" ] || { echo "README.md: $path is not there"; missing=1; }
    done < <(grep -o '`\(shm\|client\|kernels\|daemon\|tools\|tests\)/[A-Za-z0-9_./]*`' README.md | tr -d '`' | grep -v '^kernels/cuda' | sort -u)
    return $missing
}
targets_are_explained() {
    local target help missing=0
    help=$(make help 2>/dev/null)
    for target in check stress fuzz bench demo tidy install clean; do
        grep -q "^make $target\( \|$\)" <<<"$help" ||
            { echo "make help does not tell of $target"; missing=1; }
    done
    return $missing
}

check "the program is client/examples/rank.c" program_is_the_example
check "the program has at most 30 lines" test "$(wc -l < client/examples/rank.c)" -le 30
check "every link leads to a file" links_lead_somewhere
check "every path exists" paths_exist
check "every target is in make help" targets_are_explained
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
