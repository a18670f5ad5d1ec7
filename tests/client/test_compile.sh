#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tests/client/test_compile.sh - hearth.h compiles without a warning wherever a user may include it
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
include=${BUILD:-build}/include
library=${BUILD:-build}/lib
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
warnings=(-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wsign-conversion -Werror)
passed=0 failed=0 skipped=0

# check NAME COMMAND... - one test
check() {
    local name=$1
    shift
    if output=$("$@" 2>&1); then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'failed: %s\n%s\n' "$name" "$(head -n 20 <<<"$output")"
    fi
}

body='int main(void)
{
	struct hearth *hearth;
	const struct hearth_model_info *model;
	struct hearth_request *request;
	const struct hearth_completion *completion;

	if (hearth_open(0, 0, &hearth) < 0 || hearth_model(hearth, "m", 0, &model) < 0 ||
	    hearth_acquire(hearth, model, 1, &request) < 0 || hearth_submit(hearth, request) < 0 ||
	    hearth_wait(hearth, -1, &completion) < 0)
		return 1;
	return hearth_release(hearth, completion->id) | hearth_close(hearth);
}'
printf '#include <hearth.h>\n%s\n' "$body" >"$scratch/alone.c"
printf '#include <errno.h>\n#include <fcntl.h>\n#include <stdio.h>\n#include <sys/mman.h>\n#include <time.h>\n#include <unistd.h>\n#include <hearth.h>\n%s\n' \
    "$body" >"$scratch/after_libc.c"
printf '#ifndef _GNU_SOURCE\n#define _GNU_SOURCE\n#endif\n#include <hearth.h>\n#include <hearth.h>\n%s\n' "$body" >"$scratch/gnu_twice.c"
for source in "$scratch"/*.c; do cp "$source" "${source%.c}.cc"; done

for compiler in gcc clang; do
    command -v $compiler >/dev/null || { skipped=$((skipped + 1)); continue; }
    for standard in c11 gnu11; do
        for source in "$scratch"/*.c; do
            check "$compiler $standard $(basename "$source")" $compiler -std=$standard -O2 \
                "${warnings[@]}" -Wstrict-prototypes -I"$include" -o "$scratch/program" "$source"
        done
    done
done
for compiler in g++ clang++; do
    command -v $compiler >/dev/null || { skipped=$((skipped + 1)); continue; }
    for standard in c++17 c++20; do
        for source in "$scratch"/*.cc; do
            check "$compiler $standard $(basename "$source")" $compiler -std=$standard -O2 \
                "${warnings[@]}" -I"$include" -o "$scratch/program" "$source"
        done
    done
done

# One program, two files in two languages that both include it.
printf '#include <hearth.h>\nint other(void);\nint other(void)\n{\n\treturn hearth_close(0);\n}\n' >"$scratch/other_c.c"
printf '#include <hearth.h>\nextern "C" int other(void);\nint main()\n{\n\treturn hearth_close(0) | other();\n}\n' \
    >"$scratch/main_cc.cc"
check 'a C and a C++ file in one program' bash -c "gcc -I'$include' -c -o '$scratch/other.o' '$scratch/other_c.c' &&
    g++ -I'$include' -o '$scratch/program' '$scratch/main_cc.cc' '$scratch/other.o' && '$scratch/program'"

# The shared library: declarations alone, and every function is there.
check 'declarations alone, then the library' gcc -std=c11 -DHEARTH_USE_SHARED "${warnings[@]}" -I"$include" \
    -o "$scratch/program" "$scratch/alone.c" -L"$library" -Wl,--allow-shlib-undefined -lhearth
declared=$(gcc -std=c11 -DHEARTH_USE_SHARED -E -I"$include" "$scratch/alone.c" |
    grep -oE '^extern [a-z0-9_ ]*[ *]hearth_[a-z_]+\(' | grep -oE 'hearth_[a-z_]+' | sort)
exported=$(nm -D --defined-only "$library/libhearth.so" | awk '$2 == "T" && $3 ~ /^hearth_/ { print $3 }' | sort)
check 'what is declared is exported, and nothing else' test -n "$declared" -a "$declared" = "$exported"

check 'rank.c is at most 30 lines' test "$(wc -l <client/examples/rank.c)" -le 30
check 'score_batch.py is Python' python3 -c \
    'import ast, sys; ast.parse(open(sys.argv[1]).read())' client/examples/score_batch.py
if command -v mandoc >/dev/null; then
    check 'the manual page is clean' mandoc -T lint -W warning client/hearth.3
else
    skipped=$((skipped + 1))
fi
[ "$skipped" -eq 0 ] || echo "SKIP: clang or mandoc is not installed"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
