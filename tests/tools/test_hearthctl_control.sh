#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tests/tools/test_hearthctl_control.sh - command line, rows, exit codes: against a scripted peer
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
ctl=${BUILD:-build}/bin/hearthctl
command -v python3 >/dev/null || { echo "SKIP: python3 is not installed"; exit 77; }
[ -x "$ctl" ] || { echo "SKIP: $ctl is not built"; exit 77; }
folder=$(mktemp -d /tmp/hearthctl-test.XXXXXX)
socket=$folder/s
unset NO_COLOR HEARTH_SOCKET

clean_up() {
    if [ -n "$fake" ]; then kill "$fake" 2>/dev/null; wait "$fake" 2>/dev/null; fi
    rm -rf "$folder"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

. tests/tools/hearthctl.sh
. tests/tools/fake_control.sh

# --- the command line ----------------------------------------------------------------------------
run 0 --version
check "the version is named" has "hearthctl "
run 0 --help
for command in status models load unload swap rollback reload mem latency trace events clients users doctor infer bench ping version; do
    check "--help lists $command" has "  $command"
done
for command in status models load unload swap rollback reload mem latency trace events clients users doctor infer bench ping version; do
    run 0 "$command" --help
    check "$command --help shows how it is called" has "Usage: hearthctl $command"
    check "$command --help shows --socket" has "--socket=PATH"
done
run 2
run 2 nonsense
check "an unknown command is named" complains "'nonsense'"
run 2 --nonsense
run 2 status extra
run 2 status -o xml
check "the wanted formats are named" complains "json, table or prom"
run 2 load
run 2 swap shoppers
check "a swap asks for the version" complains "which version"
run 2 swap shoppers@0
run 2 swap shoppers@two
run 2 swap shoppers@4294967296
run 2 load @1
run 2 load "$(printf 'x%.0s' {1..64})"
run 2 load shoppers 1 2
for model in ../a a@1@2 a/b .a 'a b' "$(printf 'x%.0s' {1..200})" ''; do
    run 2 load "$model"
    check "'$model' is told apart from a model's name" complains "'$model' names no model"
done
run 2 rollback shoppers@1
check "a rollback to a version is a swap" complains "hearthctl swap shoppers@1"
run 2 client
check "half a command is completed" complains "is it clients or client kick"
for command in "stat 1 2" "client kick 1 2" "completions bash zsh" "model check a b"; do
    # shellcheck disable=SC2086
    run 2 $command
    check "$command has one argument too many" complains "one argument too many"
done
run 2 ping --count +1
run 2 infer shoppers
check "infer asks for inputs" complains "--input NAME=FILE.npy"
run 2 infer shoppers --input dense=x.npy
check "infer asks for the output" complains "--output DIR"
run 2 infer shoppers --input dense --output x
run 2 infer shoppers --input a=x.npy --input a=y.npy --output x
run 2 bench
run 2 bench shoppers --rate 10 --concurrency 2
run 2 bench shoppers --seconds 0
run 2 bench shoppers --seconds nan
run 2 bench shoppers --batch 0
run 2 bench shoppers --batch -1
for slow in 0ms 5 -1s 5min nan 0.1ns 1e9s ''; do run 2 trace --slow "$slow"; done
check "a time is wanted with its unit" complains "500us, 2ms or 1s"
run 2 trace --seconds 0
run 2 events --count 0
run 2 events --seconds 0
run 2 events -w 1
run 2 status -w 0
run 2 load -w 1 m
run 2 ping --count 0
run 2 ping --count 1x
run 2 ping --bytes 4194305

# --- nobody there --------------------------------------------------------------------------------
for command in status models mem stat latency trace events clients users ping reload "load m" "unload m" "swap m@1" "rollback m" "client kick 1" "bench m" \
    "infer m --input a=b.npy --output $folder/o"; do
    # shellcheck disable=SC2086
    run 3 --socket "$folder/none" $command
    check "$command names the path" complains "$folder/none"
    check "$command says how to mend it" complains "systemctl status hearthd"
done
run 3 --socket "$folder/$(printf 'x%.0s' {1..120})" status
check "a path that is too long is called so" complains "too long"
: >"$folder/file"
run 3 --socket "$folder/file" status

run 0 --socket "$folder/none" version
check "version needs no daemon" has "hearthd    none at $folder/none"
check "and tells its own" grep -qE '^hearthctl  [0-9][^,]*, ABI [0-9]+, .*, cpu-' "$folder/stdout"
run 0 --socket "$folder/none" -o json version
check "as JSON, too" json 'len(rows) == 1 and rows[0]["program"] == "hearthctl" and rows[0]["abi"] >= 1'

# --- rows ----------------------------------------------------------------------------------------
fake_start '{
"status": [[0, 1, {"version": "9.9", "pid": 12, "uptime_s": 3725.5, "ready": true, "worst": "", "device": "cpu",
    "big_bytes": 1572864, "slow_ns": 12345, "requests_total": 7}], [0, 0, {}]],
"models": [[0, 1, {"model": "shoppers", "version": 2, "state": "serving", "current": true, "rows_max": 4096,
    "row_symbol": "batch", "weights_bytes": 1115904, "replica_bytes": 2097152, "activation_bytes": 65536, "pages": "thp", "requests_total": 3,
    "rows_total": 4, "batches_total": 2, "error": "",
    "inputs": [{"name": "dense", "dtype": "f32", "dims": ["batch", 10]}, {"name": "i\u001b[31md", "dtype": "i64",
    "dims": ["2*batch+1"]}], "outputs": [{"name": "score", "dtype": "f32", "dims": ["batch", 1]}]}],
    [0, 1, {"model": "broken", "version": 1, "state": "failed", "current": false, "error": "no such file"}],
    [0, 0, {}]],
"mem": [[0, 1, {"tier": "host", "node": 0, "pages": "2M", "use": "weights", "owner": "shoppers@2",
    "used_bytes": 1000000, "mapped_bytes": 2097152, "resident_bytes": 2097152, "why": "near the\u001b[31m workers"}],
    [0, 1, {"tier": "host", "node": 2, "pages": "thp", "use": "pools", "owner": "a@1", "used_bytes": 0, "mapped_bytes": 0,
    "resident_bytes": 0, "why": "side by side"}],
    [0, 1, {"tier": "host", "node": 2, "pages": "thp", "use": "pools", "owner": "b@1", "used_bytes": 0, "mapped_bytes": 0,
    "resident_bytes": 0, "why": "side by side; no huge page"}],
    [0, 1, {"tier": "host", "node": 2, "pages": "thp", "use": "pools", "owner": "c\u001b@1", "used_bytes": 0, "mapped_bytes": 0,
    "resident_bytes": 0, "why": "side by side; no huge page"}],
    [0, 1, {"tier": "host", "node": -1, "pages": "4k", "use": "lanes", "owner": "client 12", "used_bytes": 4096,
    "mapped_bytes": 8192, "resident_bytes": 4096, "why": "rings"}],
    [0, 1, {"tier": "files", "use": "tables", "owner": "cold@1", "file_bytes": 3145728, "slot_bytes": 65536, "why": "cold"}],
    [0, 1, {"pool": "hbm", "node": -1, "total_bytes": 0, "free_bytes": 0, "mapped_bytes": 0, "resident_bytes": 0,
    "why": "absent: no GPU"}],
    [0, 1, {"pool": "2M", "node": 0, "total_bytes": 8388608, "free_bytes": 4194304, "mapped_bytes": 2097152,
    "resident_bytes": 2097152}], [0, 1, {"sum": "all", "mapped_bytes": 2105344, "resident_bytes": 2101248, "unaccounted_bytes": 0}], [0, 0, {}]],
"latency": [[0, 1, {"model": "shoppers", "version": 1, "time": "ring", "sum_ns": 130, "min_ns": 20, "max_ns": 60,
    "buckets": [[20, 1], [50, 1], [60, 1], [1920, 7], [-1, 7], ["x", -3], 4]}],
    [0, 1, {"model": "shoppers", "version": 1, "time": "total", "sum_ns": 9000, "min_ns": 3000, "max_ns": 3000,
    "buckets": [[239, 3]]}],
    [0, 1, {"model": "shoppers", "version": 2, "time": "total", "sum_ns": 0, "min_ns": 0, "max_ns": 0, "buckets": []}],
    [0, 0, {}]],
"clients": [[0, 1, {"pid": 77, "uid": 1000, "exe": "/tmp/\u001b]0;x\u0007evil\n\u009b", "slots": 256, "outstanding": 3,
    "request_area_bytes": 16777216, "response_area_bytes": 4194304, "requests_total": 5, "errors_total": 1,
    "rings_total": 2, "death": "pidfd", "age_s": 61.5, "refused": {"expired": 3, "no_model": 1}}], [0, 0, {}]],
"users": [[0, 1, {"uid": 1000, "connections": 2, "connections_max": 256, "kept": 1, "slots": 512, "slots_max": 65536,
    "arena_bytes": 41943040, "arena_bytes_max": 4294967296, "requests_total": 5, "rows_total": 9, "busy_s": 0.5,
    "deferred_total": 7, "refused": {}, "refused_connections": {"slots": 2}}], [0, 0, {}]],
"load": [[0, 1, {"progress": "reading"}], [0, 1, {"progress": "packing"}], [0, 0, {}]],
"unload": [[-2, 0, {"error": "shoppers is not loaded; models lists what is"}]],
"swap": [[-1, 0, {"error": "only root may swap"}]],
"reload": [[0, 1, {"progress": "2 versions loaded"}], [0, 0, {}]]}'

run 0 --socket "$socket" status
check "a duration is readable" has "1 h 2 min"
check "bytes are readable" has "1.50 MiB"
check "nanoseconds are readable" has "12.3 us"
check "no colour outside a terminal" eval '! has $'"'\\033'"
cp "$folder/stdout" "$folder/status"
for format in table text; do
    run 0 --socket "$socket" -o "$format" status
    check "-o $format is what there is without -o" cmp -s "$folder/stdout" "$folder/status"
done
terminal=(python3 -c 'import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)')
# Into a file: pty.spawn waits without end when a reader such as `grep -q` ends before it.
on_terminal() { # on_terminal NAME=VALUE...
    env "$@" timeout 60 "${terminal[@]}" "$ctl" --socket "$socket" status </dev/null >"$folder/stdout"
    output=$(<"$folder/stdout") errors=
}
on_terminal TERM=xterm
check "a key is strong on a terminal" grep -q "^.\[1mversion" "$folder/stdout"
for variables in "TERM=xterm NO_COLOR=1" TERM=dumb; do
    # shellcheck disable=SC2086
    on_terminal $variables
    check "not with $variables" eval 'has "version" && lacks "["'
done
run 0 status --socket "$socket" -o json
check "status is one object with the daemon's keys" json 'len(rows) == 1 and rows[0]["pid"] == 12 and rows[0]["uptime_s"] == 3725.5'

run 0 --socket "$socket" version
check "version tells the daemon's, although it is an older one" has "hearthd    9.9, cpu, pid 12"
check "and that the two differ" complains "hearthd is 9.9 and hearthctl "
run 0 --socket "$socket" -o json version
check "as JSON it is an object each" json '[r["program"] for r in rows] == ["hearthctl", "hearthd"] and rows[1]["version"] == "9.9"'

run 0 --socket "$socket" models
check "models shows the current one" has "shoppers@2  serving, current"
check "models shows inputs" has "dense  f32 [batch, 10]"
check "models shows replicas" has "weights 1.06 MiB, their replicas on other nodes 2.00 MiB, activations"
check "models shows outputs" has "score  f32 [batch, 1]"
check "models shows an error" has "no such file"
check "a name from a file cannot write to the terminal" eval '! has $'"'\\033'"
run 0 --socket "$socket" -o json models
check "models is one object a version" json '[r["model"] for r in rows] == ["shoppers", "broken"]'
check "inputs come along" json 'rows[0]["inputs"][0] == {"name": "dense", "dtype": "f32", "dims": ["batch", 10]}'
run 0 --socket "$socket" -o json models shoppers@2
check "models filters" json 'len(rows) == 1 and rows[0]["version"] == 2'
run 4 --socket "$socket" models nothing
run 4 --socket "$socket" models shoppers@3

run 0 --socket "$socket" mem
check "mem has a total" grep -qE '^total +981 KiB +2.01 MiB +2.00 MiB$' "$folder/stdout"
check "and what is unaccounted for" grep -qE '^unaccounted 0 B$' "$folder/stdout"
check "the pool of a node is shown" grep -qE '^2M +0 +8.00 MiB +4.00 MiB +2.00 MiB +2.00 MiB$' "$folder/stdout"
check "and what is absent" grep -qE '^hbm +absent: no GPU$' "$folder/stdout"
check "tables in files have their slots beside them" grep -qE '^files +tables +cold@1 +3.00 MiB +64.0 KiB$' "$folder/stdout"
check "each use says why" grep -qE '^weights +near the\?\[31m workers$' "$folder/stdout"
check "a terminal of 80 columns is enough" test "$(wc -L <"$folder/stdout")" -le 80
check "a use with one reason needs no owner" lacks "near the?[31m workers:"
check "one with two names them" grep -qE '^pools +side by side; no huge page: b@1, c\?@1$' "$folder/stdout"
for map in "" --map; do
    # shellcheck disable=SC2086
    run 1 --socket "$socket" mem --node 7 $map
    check "a node that there is not is told from those that there are $map" complains "no memory on a node 7; the nodes that have some: 0, 2"
    # shellcheck disable=SC2086
    run 1 --socket "$socket" -o json mem --node 64 $map
    # shellcheck disable=SC2086
    run 0 --socket "$socket" mem --tier 1G $map
    check "a kind of page of which there is none is said so $map" has "there is no such memory"
done
run 0 --socket "$socket" mem --tier hbm
check "what is absent has its reason, and hearthd nothing in it" has "hearthd has nothing there"
run 0 --socket "$socket" -o json mem
check "the total is the sum of the rows" json 'rows[-1]["tier"] == "total" and all(sum(r[k] for r in rows[:5]) == rows[-1][k] for k in ("used_bytes", "mapped_bytes", "resident_bytes")) and len(rows) == 9'
check "and says what is unaccounted for" json 'rows[-1]["unaccounted_bytes"] == 0'
run 0 --socket "$socket" -o json mem --node 0
check "mem of one node" json '[r.get("use", r.get("pool")) for r in rows[:-1]] == ["weights", "2M"] and rows[-1]["used_bytes"] == 1000000'
run 0 --socket "$socket" -o json mem --tier 4k
check "mem of one kind of page" json '[r["owner"] for r in rows[:-1]] == ["client 12"] and rows[-1]["mapped_bytes"] == 8192'
run 0 --socket "$socket" -o json mem --tier files
check "mem of the files" json '[r["owner"] for r in rows[:-1]] == ["cold@1"] and rows[-1]["used_bytes"] == 0'
run 0 --socket "$socket" -o json mem --map
check "the ranges of a bar lie side by side, and are all of it" json 'all(r["offset_bytes"] == sum(s["bytes"] for s in rows[:n]) for n, r in enumerate(rows)) and sum(r["bytes"] for r in rows) == 8388608 and [(r["state"], r.get("owner")) for r in rows] == [("used", "shoppers@2"), ("other", None), ("free", None)]'
run 0 --socket "$socket" mem --map
check "a bar has owners, others and what is free in their parts" grep -qE '^2M +0 +\|A{13,14}={13,14}\.{26,27}\| +8\.00 MiB$' "$folder/stdout"
check "a letter has its owner" grep -qE '^A +2\.00 MiB +weights +shoppers@2$' "$folder/stdout"
check "a line is as wide as a terminal at most" test "$(wc -L <"$folder/stdout")" -le 80
run 0 --socket "$socket" mem --map --tier 1G
check "no bar is said" has "no such memory"
run 2 mem --tier floppy
check "the tiers are named" complains "hbm, 1G, 2M, thp, 4k or files"
run 2 mem --node -1

run 0 --socket "$socket" stat 0.01 --count 21
check "stat has a line an interval, and titles again after 20" eval '[ "$(grep -c REQ/S "$folder/stdout")" = 2 ] && [ "$(grep -c ":" "$folder/stdout")" = 21 ]'
run 2 --socket "$socket" stat 0
run 2 --socket "$socket" stat x
run 0 --socket "$socket" latency
check "latency shows the total of a version, and draws it" eval 'has "shoppers@1  total  3.00 us" && has "100.0%"'
check "a version that answered nothing is not shown" eval '! has shoppers@2'
run 0 --socket "$socket" latency --breakdown
check "--breakdown shows the other times" has "shoppers@1  ring     50 ns"
run 0 --socket "$socket" -o json latency shoppers --breakdown
check "latency has percentiles, and no bucket that cannot be" json 'len(rows) == 3 and rows[0]["count"] == 3 and rows[0]["p50_ns"] == 50 and rows[0]["max_ns"] == 60 and rows[2]["count"] == 0'
run 0 --socket "$socket" latency shoppers@2
check "nothing answered is said" has "no request has been answered"
run 4 --socket "$socket" latency nothing

run 0 --socket "$socket" clients
check "clients shows the pid" has 77
check "clients shows what was refused and why" has "3 expired, 1 no_model"
check "a program's path cannot write to the terminal" has '/tmp/?]0;x?evil???'
run 0 --socket "$socket" -o json clients
check "clients passes the keys on" json 'rows[0]["death"] == "pidfd" and rows[0]["request_area_bytes"] == 16777216'

run 0 --socket "$socket" users
check "users shows what is held and the limit" grep -qE '^ *1000 +2/256 +512/65536 +40.0 MiB/4.00 GiB +1 ' "$folder/stdout"
check "users shows refused connections" has "2 slots"
run 0 --socket "$socket" -o json users
check "users passes the keys on" json 'len(rows) == 1 and rows[0]["refused_connections"] == {"slots": 2}'

run 0 --socket "$socket" load shoppers
check "progress is shown as it comes" has "reading
packing
load shoppers: done"
run 0 --socket "$socket" -o json load shoppers@3
check "progress and the end are objects" json '[r.get("progress") for r in rows] == ["reading", "packing", None] and rows[2] == {"verb": "load", "model": "shoppers", "version": 3, "done": True}'
check "load went to the admin socket with its version" grep -q '{"admin": true, "verb": "load", "model": "shoppers", "version": 3}' "$socket.log"
check "status went to the other one" grep -q '{"admin": false, "verb": "status"}' "$socket.log"
run 4 --socket "$socket" unload shoppers
check "the daemon's sentence is passed on" complains "shoppers is not loaded"
run 1 --socket "$socket" swap shoppers 2
check "the second argument is the version" grep -q '"verb": "swap", "model": "shoppers", "version": 2}' "$socket.log"
run 0 --socket "$socket" reload
check "reload says what it found" has "2 versions loaded
reload: done"
run 0 --socket "$socket" -o json reload
check "reload ends with an object" json 'rows[1] == {"verb": "reload", "done": True}'
check "reload went to the admin socket and names no model" grep -q '{"admin": true, "verb": "reload"}' "$socket.log"
run 2 --socket "$socket" reload shoppers
run 1 --socket "$folder/none" --admin-socket "$socket" swap shoppers@7
check "--admin-socket is used" grep -q '{"admin": false, "verb": "swap", "model": "shoppers", "version": 7}' "$socket.log"

# --- single requests -----------------------------------------------------------------------------
fake_start "$(python3 - <<'END'
import json

def row(position, pid, submitted_ns, stages, model="shoppers", **more):
    stages = dict(zip(("ring_ns", "queue_ns", "batch_ns", "execute_ns", "answer_ns"), stages))
    return [0, 1, {"position": position, "model": model, "version": 2, "pid": pid, "slot": 0, "generation": position + 1,
                   "rows": 1, "batch_rows": 8, "status": 0, "reason": "", "submitted_ns": submitted_ns, **stages,
                   "total_ns": sum(stages.values()), **more}]

def answer(next_position, *rows):
    return [*rows, [0, 1, {"next": next_position}], [0, 0, {}]]

print(json.dumps({
    "trace from 0": answer(
        9004, row(9000, 77, 1000000, (100, 200, 0, 3000, 50)), row(9001, 77, 1000050, (100, 200, 0, 4000000, 1)),
        row(9002, 88, 1000100, (1, 2, 3, 4, 5), model="other", status=-62, reason="expired\033[31m"),
        row(9003, 77, 1003350, (10, 10, 10, 10, 10))),
    f"trace from {2**63 - 1}": answer(100), "trace from 100": answer(105, row(103, 77, 10, (1, 1, 1, 1, 1)),
                                                                     row(104, 77, 20, (1, 1, 1, 1, 1))),
    "trace from 105": answer(105), "trace": "close"}))
END
)"
run 0 --socket "$socket" trace
check "trace shows a request with its stages" grep -qE '^[0-9:]{8}\.[0-9]{6}  shoppers@2 +77 +1/8  ok +100 ns +200 ns +0 ns +3.00 us +50 ns +3.35 us$' "$folder/stdout"
check "in the order of their submission" test "$(awk 'NR > 1 { printf "%s ", $(NF - 1) $NF }' <<<"$output")" = "3.35us 4.00ms 15ns 50ns "
check "why one failed is told, and writes nothing to the terminal" has "expired?[31m"
check "what is older than the oldest is not missed" test -z "$errors"
run 0 --socket "$socket" -o json trace shoppers@2 --slow 3us
check "the slow ones of a model, the slowest first" json '[r["position"] for r in rows] == [9001, 9000]'
run 0 --socket "$socket" -o json trace other
check "trace passes the keys on, with the time of day" json 'len(rows) == 1 and rows[0]["status"] == -62 and rows[0]["submitted_unix_ns"] > 10**18'
run 0 --socket "$socket" trace nothing
check "none is said" has "no such request"
run 0 --socket "$socket" -o json trace --seconds 0.3
check "what ends meanwhile, once" json '[r["position"] for r in rows] == [103, 104]'
check "what was overwritten before it was read is counted" complains "3 requests were overwritten"
run 0 --socket "$socket" trace --chrome "$folder/chrome.json"
check "the export says what it did" has "4 requests are in $folder/chrome.json"
check "the export is well-formed, and its slices nest" python3 tests/tools/chrome_events.py "$folder/chrome.json" 4
check "requests at once are on tracks of their own, and a free track is taken again" python3 -c "
import json, sys
events = json.load(open('$folder/chrome.json'))['traceEvents']
requests = [(e['pid'], e['tid'], e['args']['position']) for e in events if e['ph'] == 'X' and '@' in e['name']]
sys.exit(requests != [(77, 1, 9000), (77, 2, 9001), (88, 1, 9002), (77, 1, 9003)])"
run 0 --socket "$socket" -o json trace --chrome "$folder/chrome.json"
check "as JSON, too" json 'rows == [{"file": "'"$folder"'/chrome.json", "requests": 4}]'
run 1 --socket "$socket" trace --chrome "$folder/none/chrome.json"
check "a file that cannot be written is named" complains "$folder/none/chrome.json"
if [ -w /dev/full ]; then
    run 1 --socket "$socket" trace --chrome /dev/full
    check "a full disk is told" complains "/dev/full cannot be written whole"
fi

# --- what was said ------------------------------------------------------------------------------
fake_start "$(python3 - <<'END'
import json

def line(position, level, text):
    return [0, 1, {"position": position, "unix_ns": 1767225600_250000000 + position, "level": level, "text": text}]

def answer(next_position, *lines):
    return [*lines, [0, 1, {"next": next_position}], [0, 0, {}]]

old = [line(0, "info", "ready"), line(1, "warning", "caf\u00e9 \033[31m"), line(2, "error", "load m: \"no\"")]
print(json.dumps({
    f"events from {2**63 - 1}": answer(3), "events from 0": answer(3, *old), "events from 2": answer(3, *old[2:]),
    "events from 3": answer(5, line(3, "info", "three"), line(4, "info", "four")), "events from 5": answer(5)}))
END
)"
run 0 --socket "$socket" events
check "events shows when, how bad and what" grep -qE '^20(25-12-31|26-01-01) [0-9:]{8}\.250  error    load m: "no"$' "$folder/stdout"
check "under titles, the oldest first" test "$(awk '{ printf "%s ", $3 }' <<<"$output")" = "TEXT info warning error "
check "what was said writes nothing to the terminal" has "café ?[31m"
run 0 --socket "$socket" -o json events
check "events passes the keys on" json 'rows[1] == {"position": 1, "unix_ns": 1767225600250000001, "level": "warning", "text": "caf\u00e9 \033[31m"} and len(rows) == 3'
run 0 --socket "$socket" -o json events --count 1
check "the last ones" json '[r["position"] for r in rows] == [2]'
run 0 --socket "$socket" -o json events --count 7
check "as many as there are" json '[r["position"] for r in rows] == [0, 1, 2]'
run 0 --socket "$socket" -o json events --count 1 --seconds 0.3
check "and those that come, each once" json '[r["position"] for r in rows] == [2, 3, 4]'
fake_start '{"events from 9223372036854775807": [[0, 1, {"next": 9}], [0, 0, {}]],
"events from 8": [[0, 1, {"position": 8, "text": "stopped"}], [0, 1, {"next": 9}], [0, 0, {}]],
"events from 9": [[0, 1, {"next": 1}], [0, 0, {}]], "events from 1": [[0, 1, {"next": 1}], [0, 0, {}]],
"events from 0": [[0, 1, {"position": 0, "text": "ready"}], [0, 1, {"next": 1}], [0, 0, {}]]}'
run 0 --socket "$socket" -o json events --count 1 --seconds 0.5
check "a daemon that has started again is heard from its beginning" json '[r["position"] for r in rows] == [8, 0]'
fake_start '{"trace from 9223372036854775807": [[0, 1, {"next": 9}], [0, 0, {}]],
"trace from 9": [[0, 1, {"next": 1}], [0, 0, {}]], "trace from 1": [[0, 1, {"next": 1}], [0, 0, {}]],
"trace from 0": [[0, 1, {"position": 0, "model": "m", "submitted_ns": 1, "total_ns": 1}], [0, 1, {"next": 1}], [0, 0, {}]]}'
run 0 --socket "$socket" -o json trace --seconds 0.5
check "so are its requests, once" json '[r["position"] for r in rows] == [0]'
check "and none is missed" lacks "overwritten"
fake_start '{"mem": [[-11, 0, {"error": "ask again later"}]]}'
run 3 --socket "$socket" --timeout 0.5 mem
check "who shall ask again does, until the time is over" test "$(grep -c '"verb": "mem"' "$socket.log")" -gt 1
fake_start '{"events from 9223372036854775807": [[0, 1, {"next": 9}], [0, 0, {}]], "events from 0": [[0, 1, {"next": 9}], [0, 0, {}]], "events from 9": [[0, 1, {"next": 9}], [0, 0, {}]]}'
timeout 60 "$ctl" --socket "$socket" events --follow >"$folder/lines" 2>"$folder/stderr" 8>&- &
follower=$!
fake_start '{"events": "close"}'
wait "$follower"
status=$? output='' errors=$(<"$folder/stderr")
check "who follows learns that the daemon is gone (exit $status)" [ "$status" -eq 3 ]

# --- again and again -----------------------------------------------------------------------------
# watch COMMAND...: until_says looks at what it has said so far; watch_end ends it
watch() {
    : >"$folder/stdout" # what is older shall not be seen before it begins
    : >"$folder/stderr"
    timeout 60 "$@" >"$folder/stdout" 2>"$folder/stderr" 8>&- </dev/null &
    watcher=$!
}
until_says() { # FILE PATTERN COUNT
    local deadline=$((SECONDS + 30))
    until [ "$(grep -c -- "$2" "$folder/$1")" -ge "$3" ]; do
        if [ "$SECONDS" -ge "$deadline" ] || ! kill -0 "$watcher"; then
            output=$(tail -n 3 "$folder/stdout") errors=$(<"$folder/stderr")
            return 1
        fi
        sleep 0.02
    done
}
watch_end() {
    kill "$watcher" 2>/dev/null
    wait "$watcher" 2>/dev/null
    output=$(<"$folder/stdout") errors=$(<"$folder/stderr")
}
there='{"status": [[0, 1, {"pid": 1, "worst": ""}], [0, 0, {}]], "latency": [[0, 0, {}]]}'
fake_start "$there"
watch "$ctl" --socket "$socket" status -w 0.02
check "-w shows it again" until_says stdout '^pid ' 3
watch_end
check "with an empty line between two, and none before" test "$(head -n 5 "$folder/stdout" | sed 's/ .*//' | paste -sd,)" = pid,worst,,pid,worst
run 2 --socket "$socket" --watch 1 status
check "an option of a command stands behind it" complains "unrecognized option"
watch "$ctl" --socket "$socket" -o json status --watch 0.02
check "as JSON, too" until_says stdout '"pid":1,' 3
watch_end
check "a row a line" eval '! grep -q "^$" "$folder/stdout"'
for command in "status -w 0.02" "stat 0.02"; do
    # shellcheck disable=SC2086
    watch "$ctl" --socket "$socket" -o json $command
    check "$command goes on" until_says stdout . 2
    exec 8>&-
    wait "$fake"
    fake=
    check "$command says that the daemon is gone" until_says stderr "^hearthctl: .*$folder/s" 1
    fake_start "$there"
    check "$command says that it is back" until_says stderr "answers again" 1
    lines=$(wc -l <"$folder/stdout")
    check "$command goes on with it" until_says stdout . $((lines + 1))
    watch_end
    check "$command says each once" test "$(wc -l <"$folder/stderr")" = 2
done
run 3 --socket "$folder/none" status -w 1
watch env TERM=xterm "${terminal[@]}" "$ctl" --socket "$socket" status -w 0.02
check "on a terminal it is shown in place" until_says stdout '.\[H.*hearthctl status, every 0.02 s' 3
watch_end
check "each line erases what it replaces, and the rest is erased at once" python3 - "$folder/stdout" <<'END'
import sys
screens = open(sys.argv[1], newline="").read().replace("\r\n", "\n").split("\033[H")[1:-1]
sys.exit(not all(s.endswith("\033[J") and all(line.endswith("\033[K") for line in s.split("\n")[:-1]) for s in screens))
END
if [ -w /dev/full ]; then
    timeout 60 "$ctl" --socket "$socket" status -w 0.02 >/dev/full 2>"$folder/stderr"
    status=$? output='' errors=$(<"$folder/stderr")
    check "a full disk ends it (exit $status)" [ "$status" -eq 1 ]
fi

# --- how far a load is ---------------------------------------------------------------------------
far() { printf '[0, 1, {"progress": "loading m@2: %s", "model": "m", "version": 2, "arrived_bytes": %s, "total_bytes": %s, "elapsed_s": %s}]' "$@"; }
fake_start '{"load": [[0, 1, {"progress": "reading"}], '"$(far one 1073741824 4294967296 2.0), $(far two 1610612736 4294967296 2.25),
$(far three 3221225472 4294967296 6)"', [0, 0, {}]],
"swap": ['"$(far one 1 4 2.0)"', [-5, 0, {"error": "the disk is gone"}]],
"rollback": ['"$(far odd 9 4 0), $(far 'far\u001b[2J' 9223372036854775807 1 -3)"', [0, 0, {}]]}'
run 0 --socket "$socket" load m@2
check "in a pipe there is a line for each two seconds" [ "$output" = "reading
loading m@2: one
loading m@2: three
load m@2: done" ]
run 0 --socket "$socket" -o json load m@2
check "as JSON each row is passed on" json 'len(rows) == 5 and rows[2]["arrived_bytes"] == 1610612736 and rows[2]["elapsed_s"] == 2.25'
run 0 --socket "$socket" rollback m
check "figures that cannot be are no reason to end" has "loading m@2: odd"
bars() { # TERM COMMAND...: what a terminal gets, a line for each time that the cursor goes to the begin
    TERM=$1 "${terminal[@]}" "$ctl" --socket "$socket" "${@:2}" </dev/null | tr '\r' '\n' >"$folder/stdout"
    output=$(<"$folder/stdout")
}
export NO_COLOR=1
bars xterm load m@2
check "on a terminal there is a bar with bytes, rate and time left" has "loading m@2 ########--------------  1.50 GiB of 4.00 GiB, 683 MiB/s, 3.8 s left"
check "it goes on in its line" [ "$(grep -c "^.\[Kloading m@2 [#]*[-]*  [0-9]" "$folder/stdout")" -eq 3 ]
check "which is empty in the end" eval 'grep -q "^.\[Kload m@2: done" "$folder/stdout"'
check "and has no line of a pipe" lacks "loading m@2: "
check "with NO_COLOR it has no colour" lacks "[3"
bars xterm rollback m
check "nor has it what a daemon may not write to a terminal" lacks "[2J"
bars xterm swap m@2
check "a refusal has a line of its own" eval 'grep -q "^.\[Khearthctl: the disk is gone" "$folder/stdout"'
bars dumb load m@2
check "a dumb terminal has lines" has "loading m@2: three"
unset NO_COLOR
bars xterm load m@2
check "and the bar is green otherwise" eval 'grep -q "m@2 .\[32m#" "$folder/stdout"'

# --- what would come of it -----------------------------------------------------------------------
fake_start '{"load": [[0, 1, {"use": "weights", "node": 0, "pages": "2M", "bytes": 4194304, "at_most": false}],
[0, 1, {"use": "tables", "node": 1, "pages": "none", "bytes": 8388608, "at_most": false}],
[0, 1, {"use": "activations", "node": -1, "pages": "4k", "bytes": 1024, "at_most": true}],
[0, 1, {"node": 1, "memory": "ordinary", "free_bytes": 1048576, "wanted_bytes": 8388608, "held_bytes": 2097152, "peak_bytes": 10485760}],
[0, 1, {"model": "m", "version": 1, "replaces": 0, "fits": false, "lack": "node 1 is full"}], [0, 0, {}]],
"swap": [[0, 1, {"progress": "m@2 is served already"}], [0, 0, {}]]}'
run 1 --socket "$socket" load --dry-run m@1
check "each kind is there with its node and pages" has "weights      0     2M                    4.00 MiB"
check "what does not fit says so" has "tables       1     does not fit          8.00 MiB"
check "what is bounded says so" has "activations  any   4k            at most 1.00 KiB"
check "a node is there with all its figures" has "1     ordinary  1.00 MiB  8.00 MiB  2.00 MiB  10.0 MiB"
check "the sentence is passed on" complains "it does not fit: node 1 is full"
check "nothing is said to be done" lacks "done"
check "the daemon is asked for a dry load" grep -q '"verb": "load", "model": "m", "version": 1, "dry": true}' "$socket.log"
run 1 --socket "$socket" -o json load --dry-run m@1
check "as JSON it is the daemon's rows" json 'len(rows) == 5 and rows[4]["fits"] is False'
run 0 --socket "$socket" swap --dry-run m@2
check "what is served already is told, without a table" [ "$output" = "m@2 is served already" ]
run 0 --socket "$socket" swap --drain m@2
check "the daemon is asked to drain" grep -q '"verb": "swap", "model": "m", "version": 2, "drain": true}' "$socket.log"
run 0 --socket "$socket" swap --drain --dry-run m@2
check "and what would come of that" grep -q '"drain": true, "dry": true}' "$socket.log"
run 2 --socket "$socket" load --drain m@2
run 2 --socket "$socket" unload --dry-run m

# --- a peer that is not well ---------------------------------------------------------------------
fake_start '{"status": "hang", "models": "close", "mem": "garbage", "clients": [[0, 0, "[1, 2"]],
"load": [[0, 0, "[]"]], "unload": [[-5, 0, "no json"]], "swap": [[0, 1, {"progress": "half"}]]}'
run 3 --socket "$socket" --timeout 0.2 status
check "a silent daemon is told after the timeout" complains "did not answer within 0.2 s"
run 3 --socket "$socket" models
check "a closed connection is told" complains "closed the connection"
run 1 --socket "$socket" mem
check "another protocol is told" complains "does not speak hearth's protocol"
run 1 --socket "$socket" clients
run 1 --socket "$socket" load m
run 1 --socket "$socket" unload m
check "a refusal without a sentence gets a general one" complains "Input/output error"
run 3 --socket "$socket" --timeout 0.2 swap m@1
check "rows before the silence were shown" has half

# --- a peer that begins to hang ------------------------------------------------------------------
# beat AGE_S: a stats page (base/stats_page.h) of process 77 in a namespace that nobody knows, whose control
# thread has beaten so long ago
beat() {
    python3 - "$socket.stats" "$1" <<'END'
import os, re, struct, sys, time
header = open("daemon/base/stats_page.h").read()
layout = int(re.search(r"STATS_PAGE_LAYOUT (\d+)", header)[1])
documents = len(re.findall(r"^\tSTATS_(?!VERB_COUNT)\w+,$", header, re.M))
path, age_ns = sys.argv[1], int(float(sys.argv[2]) * 1e9)
head = struct.pack("<QIIQQ32x64xQQQQ", 0x3173746174736568, layout, documents, 4096, 77, 1, time.monotonic_ns() - age_ns, time.time_ns() - age_ns, 0)
fd = os.open(path, os.O_RDWR | os.O_CREAT)
os.pwrite(fd, head.ljust(4096, b"\0"), 0)
END
}
fake_start '{"load": "hang", "swap": "hang", "kick": "hang"}'
for command in "load m" "swap m@1 --dry-run" "client kick 7"; do
    : >"$socket.log"
    beat -3600 # of a clock that is ahead: it stays young
    # shellcheck disable=SC2086
    watch "$ctl" --socket "$socket" $command
    until [ -s "$socket.log" ] || ! kill -0 "$watcher" 2>/dev/null; do sleep 0.01; done
    beat 60
    wait "$watcher"
    status=$? output=$(<"$folder/stdout") errors=$(<"$folder/stderr")
    check "$command gives up, exit 3 (got $status)" [ "$status" -eq 3 ]
    check "$command says who hangs, and since when" complains "hearthd (pid 77) has not moved for 1 min"
    check "$command says how it is with what was told" complains "may be done or not"
done
beat 3
run 3 --socket "$socket" --timeout 0.5 load m
check "what hangs already is told nothing" complains "until then nothing can be changed"
rm "$socket.stats"

# --- stdout that takes no more -------------------------------------------------------------------
if [ -w /dev/full ]; then
    "$ctl" completions bash >/dev/full 2>"$folder/stderr" # more than stdio keeps
    status=$? output='' errors=$(<"$folder/stderr")
    check "what is lost before the end is a failure, too (exit $status)" [ "$status" -eq 1 ]
    fake_start '{"status": [[0, 1, {"pid": 1}], [0, 0, {}]]}'
    "$ctl" --socket "$socket" -o json status >/dev/full 2>"$folder/stderr"
    status=$? output='' errors=$(<"$folder/stderr")
    check "a full disk is a failure (exit $status)" [ "$status" -eq 1 ]
    fake_start '{"events": [[0, 1, {"level": "info", "text": "x"}], [0, 1, {"next": 1}], [0, 0, {}]],
"status": [[0, 0, {}]], "latency": [[0, 0, {}]]}'
    for command in "events --follow" "stat 0.01"; do
        # shellcheck disable=SC2086
        timeout 60 "$ctl" --socket "$socket" $command >/dev/full 2>"$folder/stderr"
        status=$? output='' errors=$(<"$folder/stderr")
        check "and ends $command (exit $status)" [ "$status" -eq 1 ]
    done
fi

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
