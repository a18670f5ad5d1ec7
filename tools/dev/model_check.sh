#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tools/dev/model_check.sh - the shipped rings under GenMC, whole and with each ordering weakened
#
# Every driver in tests/shm/model is explored to its end under three memory models: RC11 (the one of
# C11, repaired), x86-TSO, and IMM, where a load may be overtaken by a later store. Then each label
# of shm/ring.h and daemon/base/queue.c is weakened in a copy of its file (acquire and release to
# relaxed, a full fence to acquire-release, then to nothing), and some driver must fail.
#
# Writes shm/model_check.log, which names every file that was checked and its sha256; `make tidy`
# fails when one of them differs. GENMC=/path/to/genmc names a checker outside PATH.
# Exit: 0 all as it should be, 1 an error or a surviving mutant, 77 no GenMC.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

genmc=${GENMC:-$(command -v genmc || true)}
if [ ! -x "$genmc" ]; then
    cat >&2 <<'END'
SKIP: there is no GenMC: neither `genmc` in PATH nor GENMC=/path/to/genmc
  Debian has no package. From its sources (https://github.com/MPI-SWS/genmc, tag v0.10.3), with
  clang-14 libclang-14-dev llvm-14-dev libffi-dev zlib1g-dev libedit-dev libhwloc-dev autoconf automake:
      autoreconf --install && ./configure && make
  then  make model-check GENMC=/path/to/genmc
END
    exit 77
fi

models='rc11 tso imm'
drivers=(requests 'requests -DSLOTS=2' marks 'marks -DSLOTS=2' daemon_sleeps
    'daemon_sleeps -DSLOTS=2' client_sleeps 'client_sleeps -DBATCH' cancels circle
    'circle -DREQUESTS=2' queue)
# The smallest drivers find every mutant; small ones first.
catchers=(daemon_sleeps client_sleeps 'client_sleeps -DBATCH' circle requests marks queue)
log=shm/model_check.log
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
bad=0

# explore ROOT MODEL DRIVER [FLAG...]: the headers of ROOT come before the tree's
explore() {
    local root=$1 model=$2 driver=$3
    shift 3
    timeout 600 "$genmc" "--$model" --v1 --disable-estimation -- -w -I"$root" -I. -I"$root/daemon" \
        -Idaemon "$@" "tests/shm/model/$driver.c" >"$scratch/out" 2>&1
}

verdict() {
    if grep -q '^No errors were detected' "$scratch/out"; then
        sed -nE 's/^Number of complete executions explored: ([0-9]+).*/\1 executions/p' "$scratch/out"
    else
        sed -nE 's/^Error: Non-atomic race.*/data race/p; s/^Assertion violation.*/assertion/p' \
            "$scratch/out" | head -n 1 | grep . || echo 'no verdict'
    fi
}

# mutate FILE LABEL WAY: the first ordered access below the label's comment is weakened
mutate() {
    rm -rf "$scratch/root"
    mkdir -p "$scratch/root/$(dirname "$1")"
    awk -v label="$2" -v way="$3" '
        index($0, label " (") && /\/\*/ { is_near = 1 }
        is_near && !done {
            if (way == "relaxed")
                done = sub(/hearth_store_release\(/, "hearth_store_relaxed(") ||
                       sub(/hearth_load_acquire\(/, "hearth_load_relaxed(") ||
                       sub(/__ATOMIC_(ACQUIRE|RELEASE)/, "__ATOMIC_RELAXED")
            else if (way == "acq_rel")
                done = sub(/hearth_fence_full\(\)/, "__atomic_thread_fence(__ATOMIC_ACQ_REL)")
            else
                done = sub(/hearth_fence_full\(\);/, "")
        }
        { print }
        END { exit !done }' "$1" >"$scratch/root/$1"
}

labels_of() { grep -oE '^[[:space:]]*/\* [A-Z]+[0-9]+ \([a-z ]+\)' "$1" | tr -d '/*()\t' | sed 's/^ *//'; }

{
    echo "shm/model_check.log - written by \`make model-check\`"
    "$genmc" --version | grep -oE 'GenMC v[0-9.]+'
    echo
    sha256sum shm/abi.h shm/barrier.h shm/layout.h shm/ring.h daemon/base/queue.h daemon/base/queue.c \
        tests/shm/model/*.[ch]
    echo
    # shellcheck disable=SC2086 # one column each
    printf '%-26s %-20s %-20s %s\n' 'as shipped' $models
} >"$scratch/log"

for driver in "${drivers[@]}"; do
    row=()
    for model in $models; do
        # shellcheck disable=SC2086 # a driver and its flags
        explore . "$model" $driver
        row+=("$(verdict)")
        if [[ ${row[-1]} != *executions ]]; then
            bad=$((bad + 1))
            cat "$scratch/out" >&2
        fi
    done
    printf '%-26s %-20s %-20s %s\n' "$driver" "${row[@]}" | tee -a "$scratch/log"
done

{
    echo
    # shellcheck disable=SC2086
    printf '%-12s %-36s %-36s %s\n' 'mutant' $models
} >>"$scratch/log"
for file in shm/ring.h daemon/base/queue.c; do
    while read -r label order; do
        ways=relaxed
        [[ $order != *fence* ]] || ways='acq_rel removed'
        for way in $ways; do
            mutate "$file" "$label" "$way" || { echo "$label is not mutated" >&2; exit 1; }
            row=() caught=0
            for model in $models; do
                found=-
                for driver in "${catchers[@]}"; do
                    # shellcheck disable=SC2086
                    explore "$scratch/root" "$model" $driver
                    case $(verdict) in
                    *executions) continue ;;
                    'no verdict') cat "$scratch/out" >&2; exit 1 ;;
                    esac
                    found="$driver: $(verdict)" caught=1
                    break
                done
                row+=("$found")
            done
            [ "$caught" -eq 1 ] || bad=$((bad + 1))
            printf '%-12s %-36s %-36s %s\n' "$label $way" "${row[@]}" | tee -a "$scratch/log"
        done
    done < <(labels_of "$file")
done

echo "$bad errors and surviving mutants" | tee -a "$scratch/log"
[ "$bad" -eq 0 ] && cp "$scratch/log" "$log"
