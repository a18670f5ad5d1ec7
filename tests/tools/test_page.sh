#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tests/tools/test_page.sh - a daemon that hangs, or has ended without a word, can be read all the same
#
# In memory, where the daemon counts in the page itself. Beats are waited for, never a time.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build}
ctl=$build/bin/hearthctl
command -v python3 >/dev/null || { echo "SKIP: python3 is not installed"; exit 77; }
[ -x "$ctl" ] && [ -x "$build/bin/hearthd" ] || { echo "SKIP: hearthd is not built"; exit 77; }
folder=$(mktemp -d /dev/shm/hearth-page.XXXXXX 2>/dev/null || mktemp -d /tmp/hearth-page.XXXXXX)
socket=$folder/s page=$folder/s.stats
daemon='' elsewhere='' traced='' idle=''

clean_up() {
    for pid in $daemon $elsewhere $traced $idle; do kill -KILL "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; done
    rm -rf "$folder"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

. tests/tools/hearthctl.sh
flags=(--socket "$socket")
# word OFFSET [PLACE]: of the head of a page
word() { od -A n -t u8 -j "$1" -N 8 "$folder/${2:-s}.stats" | tr -d ' '; }
beats() { [ "$(word 128 "${2:-s}")" -ge "$1" ]; }
# start PLACE [WORD...]: a daemon whose socket has that name, by these words; its pid is $pid
start() {
    : >"$folder/$1.log" # the one before was ready, too
    "${@:2}" "$build/bin/hearthd" --repository tests/data/shoppers/repository --socket "$folder/$1" \
        >"$folder/$1.log" 2>&1 &
    pid=$!
}
ready() { must grep -q "ready at" "$folder/$1.log"; }
other_clock=(unshare -T --boottime 7200 --monotonic 3600) other_pids=(unshare -p -f --mount-proc)
run_in() { # run_in PLACE...: status, asked there
    "$@" "$ctl" "${flags[@]}" status >"$folder/stdout" 2>"$folder/stderr"
    check "status $*" [ $? -eq 0 ]
    output=$(<"$folder/stdout") errors=$(<"$folder/stderr")
}
says() { complains "(pid $daemon) $1"; }
hangs() { "$ctl" "${flags[@]}" status 2>&1 >/dev/null | grep -q "(pid $daemon) is stopped"; }

start s
daemon=$pid
start traced
traced=$pid
start idle
idle=$pid
if "${other_clock[@]}" true 2>/dev/null; then
    start elsewhere "${other_clock[@]}"
    elsewhere=$pid
fi
for place in s traced idle; do ready $place; done
idle_beat=$(word 128 idle) idle_written=$(word 512 idle)

# --- alive ----------------------------------------------------------------------------------------
check "whoever may connect may read" [ "$(stat -c '%a %u %g' "$page")" = "640 $(id -u) $(stat -c %g "$socket")" ]
check "nothing is left beside it" [ ! -e "$page.new" ]
run 0 ping --count 100
run 0 status --page
check "its page is no news" [ -z "$errors" ]
run 0 -o json status --page
check "totals are there, and its age" json 'row["completions_total"] >= 100 and "pid" not in row["worst"] and row["page_age_s"] >= 0 and row["ready"]'
run 0 doctor
check "doctor sees it" grep -qE '^OK +stats page +.*mode 0640' "$folder/stdout"
run 2 trace --page
run 2 load --page shoppers

# --- stopped --------------------------------------------------------------------------------------
# A debugger stops the control thread, and the other one goes on.
python3 - "$traced" <<'END' &
import ctypes, sys, time
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
SEIZE, INTERRUPT = 0x4206, 0x4207
if libc.ptrace(SEIZE, int(sys.argv[1]), None, None) or libc.ptrace(INTERRUPT, int(sys.argv[1]), None, None):
    sys.exit(77)
time.sleep(60)
END
debugger=$!
if [ -n "$elsewhere" ]; then
    ready elsewhere
    kill -STOP "$elsewhere"
fi
kill -STOP "$daemon"
must hangs
for command in status models mem latency clients users events "model show shoppers"; do
    # shellcheck disable=SC2086
    run 0 --timeout 0.5 $command
    check "$command says why, how old it is, and what to do" says "is stopped by a signal or a debugger"
    check "$command knows the way on" complains "kill -CONT $daemon, or systemctl restart hearthd; these figures are"
    check "$command has something" [ -n "$output" ]
done
run 0 -o json status
check "its worst is that" json '"is stopped" in row["worst"] and row["completions_total"] >= 100'
run 0 -o json events --count 1
check "the last line of its log" json 'len(rows) == 1 and rows[0]["position"] >= 1'
run 0 stat 0.05 --count 2
check "who asks twice is told once" [ "$(grep -c 'is stopped' "$folder/stderr")" -eq 1 ]
for command in trace "model show shoppers --plan" "-o prom mem"; do
    # shellcheck disable=SC2086
    run 3 $command
    check "$command is not in it" complains "does not have"
done
for command in "load shoppers" "unload shoppers" "swap shoppers@1" reload "client kick 1"; do
    # shellcheck disable=SC2086
    run 3 --timeout 0.5 $command
    check "$command does not wait for ever" complains "nothing can be changed"
done
run 1 doctor
check "doctor fails it" grep -qE '^FAIL +stats page' "$folder/stdout"

# --- from another place ---------------------------------------------------------------------------
if [ -n "$elsewhere" ]; then
    run 0 --socket "$folder/elsewhere" status
    check "a clock that is ahead tells what stands still" complains "(pid $elsewhere) is stopped by a signal"
    kill -KILL "$elsewhere"
    wait "$elsewhere" 2>/dev/null
    elsewhere=
    run_in "${other_clock[@]}"
    check "so it does to a clock that is ahead" says "is stopped by a signal"
fi
if "${other_pids[@]}" true 2>/dev/null; then
    run_in "${other_pids[@]}"
    check "where it has another pid it hangs all the same" says "have not moved for"
fi

# --- and goes on ----------------------------------------------------------------------------------
kill -CONT "$daemon"
beat=$(word 128)
must beats $((beat + 1))
run 0 -o json status
check "it is asked again" json '"stopped" not in row["worst"] and "page_age_s" not in row'
for place in other_clock other_pids; do
    declare -n words=$place
    "${words[@]}" true 2>/dev/null || continue
    run_in "${words[@]}"
    check "and alive by $place" [ -z "$errors" ]
done

# --- one thread alone -----------------------------------------------------------------------------
control_hangs() { "$ctl" --socket "$folder/traced" status 2>&1 >/dev/null | grep -q "control thread of hearthd (pid $traced)"; }
alive() { kill -0 "$debugger" 2>/dev/null; }
await eval 'control_hangs || ! alive'
if alive; then
    run 0 --socket "$folder/traced" status
    check "the control thread alone hangs" complains "has not moved for"
    if [[ $folder == /dev/shm/* ]]; then
        check "and the other one serves" complains "who is connected is served"
        passes=$(word 320 traced)
        await eval '[ "$(word 320 traced)" -ne "$passes" ]'
        check "whose counters move" [ "$(word 320 traced)" -gt "$passes" ]
    fi
    kill "$debugger"
else
    echo "SKIP: nobody may be traced here"
fi
wait "$debugger" 2>/dev/null

# --- not whole ------------------------------------------------------------------------------------
head -c 3000 "$page" >"$folder/t.stats"
run 1 --socket "$folder/t" status --page
check "what is cut short is not shown" complains "it is not whole"
printf 'nonsense' >"$folder/t.stats"
run 3 --socket "$folder/t" status --page
check "another file is none" complains "no stats page"
mkdir "$folder/u.stats"
run 3 --socket "$folder/u" status --page
run 3 --socket "$folder/none" status --page
check "none is none" complains "No such file"

# --- ended without a word -------------------------------------------------------------------------
kill -KILL "$daemon"
wait "$daemon" 2>/dev/null
run 0 status
check "its last figures are there" says "has ended without a word"
run 3 ping --count 1
cp "$page" "$folder/ended"
ended=$daemon
start s
daemon=$pid
ready s
run 0 -o json status
check "the next one has a page of its own" json "row['pid'] == $daemon != $ended and 'ended' not in row['worst']"

# --- a page that lies -----------------------------------------------------------------------------
# Two owners with 8 EiB each, whose sum is nearly nothing.
python3 - "$page" "$folder/t.stats" <<'END'
import json, struct, sys
MASK, ODD, DOCUMENT = 2**64 - 1, 0xd1342543de82ef95, 512 + 2 * 64
def mix(value, word):
    value = (value ^ word) * ODD & MASK
    return value ^ value >> 32
def hash_bytes(text): # as base/hash.c
    words = [int.from_bytes(text[at:at + 8], "little") for at in range(0, len(text), 8)]
    lanes, value, whole = [1, 2, 3, 4], len(text), len(text) // 32 * 4
    for at in range(whole):
        lanes[at % 4] = mix(lanes[at % 4], words[at])
    for word in lanes + words[whole:]:
        value = mix(value, word)
    return mix(value, ODD)
page = bytearray(open(sys.argv[1], "rb").read())
offset = struct.unpack_from("<Q", page, DOCUMENT + 8)[0]
owners = [{"tier": "host", "node": 0, "pages": "4k", "use": "heap", "owner": name, "resident_bytes": size}
          for name, size in (("a", 2**63 - 1), ("b", 2**63 - 1), ("c", 4098))]
rows = owners + [{"pool": "4k", "node": 0, "total_bytes": 1, "free_bytes": 0}]
text = "".join(json.dumps(row) + "\n" for row in rows).encode()
page[offset:offset + len(text)] = text
struct.pack_into("<QQ", page, DOCUMENT + 24, len(text), hash_bytes(text))
open(sys.argv[2], "wb").write(page)
END
run 0 --socket "$folder/t" mem --map --page
check "what cannot be is drawn all the same" grep -qE '\|A+B+C\|' "$folder/stdout"

# --- a pid that is used again -----------------------------------------------------------------------
cp "$page" "$folder/t.stats"
printf '\1\0\0\0\0\0\0\0' | dd of="$folder/t.stats" bs=8 seek=4 conv=notrunc status=none # pid_ticks
run 0 --socket "$folder/t" status
check "who has its pid now is another one" says "has ended without a word"

# --- a page of another one -------------------------------------------------------------------------
mv "$folder/ended" "$page"
run 0 -o json status
check "a page of one that has ended hides no daemon" json "row['pid'] == $daemon and 'ended' not in row['worst']"
run 0 status --page
check "which may be one without a page" complains "(pid $ended) has ended without a word"

# --- ended as it should ---------------------------------------------------------------------------
kill "$daemon"
wait "$daemon"
check "no page is left" [ ! -e "$page" ]
run 3 status
daemon=

# --- where no file can be made --------------------------------------------------------------------
mkdir "$page" # nothing can be renamed to that
start s
daemon=$pid
ready s
run 0 status
check "it serves all the same" [ -n "$output" ]
check "and says so" grep -q "warning: no stats page $page" "$folder/s.log"
run 0 doctor
check "so does doctor" grep -qE '^WARN +stats page' "$folder/stdout"

# --- idle -----------------------------------------------------------------------------------------
# A write may come behind the start, and one more some seconds later; who writes each second has more.
must beats $((idle_beat + 12)) idle
check "an idle daemon writes that it lives, and nothing more" [ $(($(word 512 idle) - idle_written)) -le 4 ]

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
