#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tests/tools/test_trace.sh - a real daemon's requests, each told once, with where its time went
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build}
ctl=$build/bin/hearthctl data=tests/data/shoppers
command -v python3 >/dev/null || { echo "SKIP: python3 is not installed"; exit 77; }
[ -x "$build/bin/hearthd" ] || { echo "SKIP: $build/bin/hearthd is not built"; exit 77; }
folder=$(mktemp -d /tmp/hearthctl-test.XXXXXX)
socket=$folder/s
daemon='' bencher=''

clean_up() {
    for pid in $bencher $daemon; do kill -KILL "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; done
    rm -rf "$folder"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

. tests/tools/hearthctl.sh
flags=(--socket "$socket")
# wait_for COMMAND...: at most a minute
wait_for() {
    local deadline=$((SECONDS + 60))
    until "$@"; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.05
    done
}
is_ready() { "$ctl" --socket "$socket" -o json status 2>/dev/null | grep -q '"ready":true'; }
# The daemon traces a request when it has nothing else to do, which may be after its client has gone.
has_traced() { "$ctl" --socket "$socket" -o json trace >"$folder/stdout" && [ "$(wc -l <"$folder/stdout")" -ge "$1" ]; }

"$build/bin/hearthd" --repository "$data/repository" --socket "$socket" >"$folder/log" 2>&1 &
daemon=$!
wait_for is_ready || { echo "FAIL: hearthd is not ready"; tail -n 20 "$folder/log"; exit 1; }
inputs=(--input "dense=$data/dense.npy" --input "crosses=$data/crosses.npy")

run 0 -o json trace
check "nobody has asked for anything, and a rehearsal is nobody" [ -z "$output" ]

# --- each once -----------------------------------------------------------------------------------
run 0 infer shoppers "${inputs[@]}" --input "ids=$data/ids.npy" --output "$folder/answers" --batch 500
check "the requests are traced" wait_for has_traced 5
run 0 -o json trace
check "each once, in their order" json '[r["position"] for r in rows] == [0, 1, 2, 3, 4] and len({(r["slot"], r["generation"]) for r in rows}) == 5'
check "with version, rows and batch" json 'all((r["model"], r["version"], r["rows"], r["status"], r["reason"]) == ("shoppers", 2, 500, 0, "") and r["batch_rows"] >= 500 for r in rows)'
check "of one client" json 'len({r["pid"] for r in rows}) == 1 and rows[0]["pid"] > 1'
check "the stages are the whole" json 'all(0 < r["execute_ns"] and 0 <= sum(r[s + "_ns"] for s in ("ring", "queue", "batch", "execute", "answer")) - r["total_ns"] <= r["total_ns"] / 10 for r in rows)'
check "they were submitted within this minute" json '0 <= __import__("time").time() - rows[0]["submitted_unix_ns"] / 1e9 < 60'
limit_ns=$(python3 -c "import json, sys; print(sorted(json.loads(line)['total_ns'] for line in sys.stdin)[2])" <<<"$output")
run 0 -o json trace shoppers --slow "${limit_ns}ns"
check "only the slow ones, the slowest first" json 'len(rows) >= 3 and rows[-1]["total_ns"] == '"$limit_ns"' and [r["total_ns"] for r in rows] == sorted((r["total_ns"] for r in rows), reverse=True)'
run 0 trace shoppers@1
check "no request of another version" grep -q "no such request" "$folder/stdout"

# --- one that failed after its admission ---------------------------------------------------------
PYTHONPATH=tests/tools PYTHONDONTWRITEBYTECODE=1 python3 -c "
from npy_files import save
save('$folder/far.npy', '<i8', (2500, 7), [1 << 40] * 17500)"
run 1 infer shoppers "${inputs[@]}" --input "ids=$folder/far.npy" --output "$folder/answers" --batch 2500
check "it is traced, too" wait_for has_traced 6
run 0 -o json trace
check "with its status, and why" json 'rows[-1]["status"] == -__import__("errno").ERANGE and rows[-1]["reason"] == "id_out_of_range"'
run 0 -o json latency
check "and is not among those that were answered" json 'rows[0]["count"] == 5'

# --- more than are kept, and what ends meanwhile -------------------------------------------------
# At a rate that no reader falls behind, however slow its build is.
"$ctl" --socket "$socket" bench shoppers --seconds 60 --rate 2000 >/dev/null 2>&1 &
bencher=$!
check "the last 4096 are kept, or all but one that is being overwritten" wait_for has_traced 4095
run 0 -o json trace --seconds 1
check "what ends meanwhile is told once, the older not at all" json 'len(rows) > 0 and rows[0]["position"] > 5 and len({r["position"] for r in rows}) == len(rows)'
check "of one client, in its slots" json 'len({r["slot"] for r in rows}) > 1 and {r["pid"] for r in rows} == {'"$bencher"'}'
kill -STOP "$bencher"
run 0 -o json trace --chrome "$folder/chrome.json"
check "the export is well-formed, and its slices nest" python3 tests/tools/chrome_events.py "$folder/chrome.json" "$(sed -E 's/.*"requests":([0-9]+)}/\1/' <<<"$output")"

# --- questions that are none ---------------------------------------------------------------------
check "a position that is none is refused, and the daemon goes on" python3 -c "
import json, socket, struct
for position in -1, 1.5, '1', [], 2**63 - 1:
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    peer.connect('$socket')
    body = json.dumps({'verb': 'trace', 'from': position}).encode()
    peer.send(struct.pack('<IHHIi', 0x48545248, 5, 0, 16 + len(body), 0) + body)
    packet = peer.recv(65536)
    status = struct.unpack('<IHHIi', packet[:16])[4]
    assert status == (0 if position == 2**63 - 1 else -22), (position, packet)
    assert (b'next' if status == 0 else b'a position from 0') in packet, packet
"
run 0 status

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
