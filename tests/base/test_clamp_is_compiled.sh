#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tests/base/test_clamp_is_compiled.sh - the compiler does not leave the mask out behind the check that makes it needless
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
passed=0 failed=0

# code LEVEL EXPRESSION: what the compiler makes of it behind a check of the index
code() {
    printf '%s\n' '#include "base/clamp.h"' 'unsigned pick(const unsigned *from, unsigned index);' \
        'unsigned pick(const unsigned *from, unsigned index)' \
        "{ if (index >= 256) return 0; return from[$2]; }" >"$scratch/pick.c"
    # shellcheck disable=SC2086 # CC may have words
    ${CC:-cc} -std=gnu11 -Idaemon "$1" -S -o - "$scratch/pick.c" | grep -vE '^[[:space:]]*\.|^[^[:space:]]'
}

for level in -O1 -O2 -O3 -Os; do
    plain=$(code "$level" index)
    if [ -n "$plain" ] && [ "$(code "$level" 'index & 255')" = "$plain" ]; then
        echo "$level leaves '& 255' out, as the comment in base/clamp.h says"
    fi
    if [ -n "$plain" ] && [ "$(code "$level" 'clamp_index(index, 256)')" != "$plain" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL: $level leaves the mask out"
    fi
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
