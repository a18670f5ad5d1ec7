#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tests/shm/test_model.sh [all] - a request's whole life under Spin, whole and with a step left out
#
# Every run explores all states of tests/shm/model/life.pml for its choice of slots, deaths, cancels
# and timeouts, and prints how many there are; the runs "no cycle" look for an execution without end.
# Then each mutant (M_ in the model) leaves out one step, and Spin must find what that breaks.
# `all` adds the runs of several million states.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
for tool in spin cc; do
    command -v "$tool" >/dev/null || { echo "SKIP: there is no $tool"; exit 77; }
done
model=$PWD/tests/shm/model/life.pml
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1
passed=0 failed=0

# build NAME SLOTS REQUESTS STORES WHAT: a program that looks for errors (SAFETY) or for cycles (NP)
build() {
    mkdir "$1"
    (cd "$1" && spin -a -DSLOTS="$2" -DREQUESTS="$3" -DSTORES="$4" "$model" >spin.out 2>&1 &&
        cc -O1 -w -DCOLLAPSE -D"$5" -o pan pan.c) || { cat "$1/spin.out"; exit 1; }
}

two_at_most() { while [ "$(jobs -rp | wc -l)" -ge 2 ]; do wait -n; done; }

# explore NAME PROGRAM CHOICES [FLAG...]: all states, and no error in any of them
names=()
explore() {
    local name=$1 program=$2 choices=$3
    shift 3
    names+=("$name")
    two_at_most
    # shellcheck disable=SC2086 # choices are NAME=VALUE words
    (cd "$program" && env $choices ./pan -m100000 -w22 "$@" >"../$name.out" 2>&1) &
}

# mutant PROGRAM NUMBER CHOICES
mutant() {
    two_at_most
    mkdir "mutant$2"
    # shellcheck disable=SC2086
    (cd "mutant$2" && env MUTANT="$2" $3 "../$1/pan" -m100000 -w20 >out 2>&1) &
}

build one 1 2 1 SAFETY &
build cycle 1 2 1 NP &
build two 2 2 1 SAFETY &
wait
[ -x one/pan ] && [ -x cycle/pan ] && [ -x two/pan ] || exit 1

explore 'one_slot_a_cancel' one 'CANCELS=1'
explore 'two_slots_nobody_dies' two ''
explore 'one_slot_the_client_dies' one 'DEATH=1'
explore 'one_slot_the_daemon_dies' one 'DEATH=2'
explore 'one_slot_a_timeout' one 'TIMEOUTS=1'
explore 'no_cycle_nobody_dies' cycle '' -l
explore 'no_cycle_the_client_dies' cycle 'DEATH=1' -l
explore 'no_cycle_the_daemon_dies' cycle 'DEATH=2' -l
if [ "${1:-}" = all ]; then
    build three 2 3 1 SAFETY
    build stores 1 2 2 SAFETY
    explore 'one_slot_two_cancels' one 'CANCELS=2'
    explore 'two_slots_the_client_dies' two 'DEATH=1'
    explore 'two_slots_the_daemon_dies' two 'DEATH=2'
    explore 'two_slots_a_cancel' two 'CANCELS=1'
    explore 'two_slots_three_requests' three ''
    explore 'one_slot_the_client_dies_a_cancel' one 'DEATH=1 CANCELS=1'
    explore 'one_slot_the_daemon_dies_a_cancel' one 'DEATH=2 CANCELS=1'
    explore 'one_slot_two_cancels_a_timeout' one 'CANCELS=2 TIMEOUTS=1'
    explore 'one_slot_two_stores_a_cancel' stores 'CANCELS=1'
    explore 'no_cycle_a_cancel' cycle 'CANCELS=1' -l
fi
wait
for name in "${names[@]}"; do
    if grep -q 'errors: 0$' "$name.out" && ! grep -qE 'too small|out of memory|truncated' "$name.out"; then
        passed=$((passed + 1))
        sed -nE "s/^ *([0-9e+.]+) states, stored.*/ok    $name: \1 states/p" "$name.out"
    else
        failed=$((failed + 1))
        echo "FAIL  $name"
        head -n 20 "$name.out"
    fi
done

mapfile -t mutants < <(sed -nE 's|^#define (M_[A-Z0-9_]+) ([0-9]+).*|\1 \2|p' "$model")
for line in "${mutants[@]}"; do
    read -r name number <<<"$line"
    case $name in
    M_CROSSED) mutant two "$number" '' ;;
    M_JUDGED_TWICE) mutant one "$number" CANCELS=2 ;;
    M_GENERATION) mutant one "$number" CANCELS=1 ;;
    M_SECOND_TAKE | M_ORPHAN_TWICE | M_BOUND) mutant one "$number" DEATH=2 ;;
    M_STREAM_DROP) mutant one "$number" DEATH=1 ;;
    *) mutant one "$number" '' ;;
    esac
done
wait
for line in "${mutants[@]}"; do
    read -r name number <<<"$line"
    if found=$(grep -oE '^pan:1: (assertion violated .*|invalid end state)' "mutant$number/out"); then
        passed=$((passed + 1))
        echo "ok    $name is caught: $(sed -E 's/^pan:1: | \(at depth.*//g; s/  +/ /g' <<<"$found")"
    else
        failed=$((failed + 1))
        echo "FAIL  $name survives"
        head -n 20 "mutant$number/out"
    fi
done

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
