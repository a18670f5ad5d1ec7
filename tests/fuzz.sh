#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tests/fuzz.sh FUZZER_SOURCE... - FUZZ_RUNS (1000000) inputs to each fuzzer; ends with the counts
#
# With clang (FUZZ_CC, default clang) each is built with libFuzzer, ASan and UBSan into a folder of
# its own and finds its inputs by coverage, beginning with tests/ROOM/corpus/NAME and with what it
# found before. Without clang the programs of this build bend the files of the corpus at random.
# What crashes, hangs or leaks is kept, and the command that repeats it is printed. FUZZ=onnx runs
# that one alone; FUZZ_SEED makes a run without clang another one.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
runs=${FUZZ_RUNS:-1000000} cc=${FUZZ_CC:-clang} build=${BUILD:-build}
sanitizers=fuzzer,address,undefined
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1}

if printf 'int LLVMFuzzerTestOneInput(const char *b, unsigned long n);\nint LLVMFuzzerTestOneInput(const char *b, unsigned long n) { return b && n ? 0 : 0; }\n' |
    $cc -fsanitize=$sanitizers -x c - -o "$scratch/probe" 2>/dev/null; then
    has_coverage=y build=build-${sanitizers//,/-}
else
    has_coverage=n
    echo "fuzz: no clang with libFuzzer here (clang, libclang-rt-dev): inputs at random, without coverage"
fi

passed=0 failed=0
for source in "$@"; do
    name=$(basename "$source" .c) name=${name#fuzz_} room=$(dirname "$source")
    [ -z "${FUZZ:-}" ] || [ "$FUZZ" = "$name" ] || continue
    program=$build/${source%.c} kept=$build/fuzz/$name
    mkdir -p "$kept/corpus" "$kept/found" "$scratch/tmp"
    if [ $has_coverage = y ]; then
        make --no-print-directory CC="$cc" SAN=$sanitizers "$program" >"$scratch/log" 2>&1 ||
            { cat "$scratch/log"; failed=$((failed + 1)); continue; }
        words=(-rss_limit_mb=2048 -timeout=25 -max_len=8192 -print_final_stats=1 "$kept/corpus")
    else
        words=(-seed="${FUZZ_SEED:-1}")
    fi
    echo "== $name: $runs inputs"
    TMPDIR=$scratch/tmp "$program" -runs="$runs" -artifact_prefix="$kept/found/" "${words[@]}" \
        "$room/corpus/$name" >"$scratch/log" 2>&1
    status=$?
    grep -aE 'DONE|Done|number_of_executed|average_exec|peak_rss' "$scratch/log"
    if [ $status -eq 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        grep -av '^#[0-9]' "$scratch/log" | tail -n 60
        echo "fuzz: found: $(ls -t "$kept"/found/* 2>/dev/null | head -n 1)"
        echo "fuzz: repeat with: $program $(ls -t "$kept"/found/* 2>/dev/null | head -n 1)"
    fi
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
