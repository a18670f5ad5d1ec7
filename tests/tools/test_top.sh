#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tests/tools/test_top.sh - hearthctl top on a terminal: what it shows, its keys, its sizes, its ends
#
# tmux is the terminal. What shall be on it is waited for, never a time.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
build=$(realpath "${BUILD:-build}")
ctl=$build/bin/hearthctl
for program in tmux python3; do
    command -v $program >/dev/null || { echo "SKIP: $program is not installed"; exit 77; }
done
[ -x "$ctl" ] && [ -x "$build/bin/hearthd" ] || { echo "SKIP: hearthd is not built"; exit 77; }
# In memory, where the page has the totals of a daemon that is stopped.
folder=$(mktemp -d /dev/shm/hearth-top.XXXXXX 2>/dev/null || mktemp -d /tmp/hearth-top.XXXXXX)
socket=$folder/s
daemon='' bench=''

clean_up() {
    tmux -S "$folder/tmux" kill-server 2>/dev/null
    for process in $daemon $bench $fake; do kill -KILL "$process" 2>/dev/null; wait "$process" 2>/dev/null; done
    rm -rf "$folder"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

. tests/tools/hearthctl.sh
. tests/tools/fake_control.sh
terminal() { tmux -S "$folder/tmux" -f /dev/null "$@"; }
look() { output=$(terminal capture-pane -p "$@"); }
sees() { look && grep -qE -- "$1" <<<"$output"; }
misses() { look && ! grep -qE -- "$1" <<<"$output"; }
shows() { check "it shows /$1/" await sees "$1"; }
hides() { check "it does not show /$1/" await misses "$1"; }
press() { terminal send-keys "$@"; }
resize() { terminal resize-window -x "$1" -y "$2"; }
# top ARGUMENT...: in a shell that tells how it ended, and how the terminal is then
style=(TERM=screen-256color)
top() {
    rm -f "$folder/pid" "$folder/code"
    terminal respawn-window -k "trap : INT
        stty -a >'$folder/before'
        (echo \$BASHPID >'$folder/pid'; exec env ${style[*]} '$ctl' $* 2>'$folder/stderr'); code=\$?
        stty -a >'$folder/after'; echo \$code >'$folder/code.new'; mv '$folder/code.new' '$folder/code'
        echo it has ended; exec sleep 1000"
}
# ends CODE: and leaves the terminal as it was
ends() {
    check "it ends" await test -e "$folder/code"
    errors=$(<"$folder/stderr")
    check "with exit status $1, not $(<"$folder/code")" [ "$(<"$folder/code")" = "$1" ]
    check "the terminal is as it was" cmp "$folder/before" "$folder/after"
    shows '^it has ended$'
}
daemon_start() {
    : >"$folder/log"
    "$build/bin/hearthd" --repository tests/data/shoppers/repository --socket "$socket" >"$folder/log" 2>&1 &
    daemon=$!
    await grep -q "ready at" "$folder/log" || { cat "$folder/log"; exit 1; }
}

terminal new-session -d -x 100 -y 30 "exec sleep 1000" || { echo "SKIP: tmux does not start"; exit 77; }
terminal set-option -g default-shell /bin/bash

# --- no terminal ----------------------------------------------------------------------------------
run 2 --socket "$socket" top </dev/null
check "without a terminal it names what does not need one" complains '`hearthctl stat` and `hearthctl status -w 1`'
run 2 -o json top
check "there is no JSON of it" complains "hearthctl -o json stat"
run 2 top 0
run 2 top 1 2

# --- a real daemon --------------------------------------------------------------------------------
daemon_start
top --socket "$socket" top 0.05
shows '^every 0.05 s  up .*  ready  requests/s 0  p50 -'
shows "pid $daemon"
shows '^> MODEL\^ +REQ/S'
shows '^  shoppers@2 +0 +- .*serving, current'
shows '^  no client is connected'
shows '^  4k node 0 .*\|#.*\| +[0-9]+ %'
"$ctl" --socket "$socket" bench shoppers --clients 2 --seconds 600 >/dev/null 2>&1 &
bench=$!
shows '^  shoppers@2 +[1-9][0-9.]* +[0-9.]+ [num]s '
shows "^ +$bench +[1-9][0-9.]* +[0-9]+ +2 +$(id -u) +0  .*hearthctl"
shows 'requests/s [1-9].*  p50 [0-9.]+ [num]s  p99 '
kill "$bench"
wait "$bench" 2>/dev/null
bench=
shows '^  no client is connected'
kill -STOP "$daemon"
shows "^hearthd \(pid $daemon\) is stopped by a signal"
shows '^  shoppers@2 +- '
kill -CONT "$daemon"
hides 'is stopped by a signal'
kill "$daemon"
wait "$daemon" 2>/dev/null
shows '^no answer for [0-9]+ s '
shows '^no hearthd '
shows '^  shoppers@2 '
daemon_start
shows "^every 0.05 s .*pid $daemon|pid $daemon"
hides '^no hearthd '
shows '^  shoppers@2 +0 '
press q
ends 0
top --socket "$socket" top
shows '^> MODEL'
for signal in INT TERM HUP; do
    top --socket "$socket" top
    shows '^> MODEL'
    kill -"$signal" "$(<"$folder/pid")"
    ends $((128 + $(kill -l $signal)))
done
top --socket "$socket" top
shows '^> MODEL'
press C-c
check "it ends" await test -e "$folder/code"
kill "$daemon"
wait "$daemon" 2>/dev/null
daemon=
top --socket "$socket" top
ends 3
check "without a daemon it says so, and draws nothing" complains "no hearthd socket at"

# --- many rows ------------------------------------------------------------------------------------
socket=$folder/f
fake_start "$(python3 - <<'END'
import json
def rows(rows): return [[0, True, row] for row in rows] + [[0, False, {}]]
models = [{"model": f"m{n:02}", "version": 1, "state": "serving", "requests_total": n} for n in range(40)]
models[3].update(state="failed", model="evil\x1b[2Jé")
print(json.dumps({
    "status": rows([{"version": "9", "pid": 77, "uptime_s": 5, "ready": False, "worst": "it is cold: wear a hat"}]),
    "models": rows(models), "latency": rows([]),
    "clients": rows([{"pid": n, "uid": 100 - n, "exe": f"/c{n}", "outstanding": n % 7} for n in range(1, 30)]),
    "mem": rows([{"pool": "2M", "node": 0, "total_bytes": 1000, "free_bytes": 500, "resident_bytes": 250}])
}))
END
)"
asked() { grep -c '"status"' "$socket.log"; }

top --socket "$socket" top 1000
shows '^worst: it is cold: wear a hat'
shows '^every 1000 s .*not ready'
shows '^models 1-[0-9]+ of 40 '
shows '^  evil\?\[2J.+@1 .*failed$'
shows '^  2M node 0 .*\|#####=====..........\|  50 %$'
press s
shows '^> MODEL +REQ/Sv'
press r
shows '^> MODEL +REQ/S\^'
press s s s s s s s
shows '^> MODEL\^'
press r
shows '^> MODELv'
shows '^models 1-'
press Down Down
shows '^models 3-'
press NPage
hides '^models 3-'
press End NPage NPage NPage NPage NPage NPage NPage NPage
shows '^models [0-9]+-40 of 40'
press Up
shows '^models [0-9]+-39 of 40'
press PPage PPage PPage PPage PPage PPage PPage PPage PPage
shows '^models 1-'
press Right Right
shows '^> MODELv +P99'
press Left Left
shows '^> MODELv +REQ/S'
press Tab
shows '^> +PID '
resize 40 10
hides 'MODEL'
hides '2M node'
shows '^>  ?PID'
shows '^clients 1-[3-6] of 29'
shows '^every 1000 s  up 5.0 s  not ready$'
press '?'
shows '^tab +the next table$'
shows '^any key goes back$'
press x
hides 'any key'
press BTab
shows '^> MODEL'
resize 12 3
shows '^every'
resize 1 1
resize 100 30
shows '^> MODELv'
check "keys ask nothing" [ "$(asked)" = 1 ]
press 1
shows '^every 1 s '
check "an interval of 1 s asks again" eval 'await eval "[ \$(asked) -gt 1 ]"'
press p
shows '^paused '
before=$(asked)
sleep 1.2
check "who pauses asks nothing" [ "$(asked)" = "$before" ]
press p
shows '^every 1 s '
press q
ends 0

# --- colours --------------------------------------------------------------------------------------
red() { look -e && [[ $output == *$'\e[31m'* ]]; }
top --socket "$socket" top
check "what failed is red" await red
style=(TERM=screen-256color NO_COLOR=1)
top --socket "$socket" top
shows 'failed$'
look -e
check "nothing has a style with NO_COLOR" lacks $'\e['
style=(TERM=vt100)
top --socket "$socket" top
shows 'failed$'
check "a terminal without colours has none" eval '! red'
press q
ends 0
for term in dumb no-such-terminal; do
    style=(TERM=$term ASAN_OPTIONS=detect_leaks=0) # newterm keeps what it began with before it fails
    top --socket "$socket" top
    ends 2
    check "TERM=$term is refused" complains '`hearthctl stat`'
done

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
