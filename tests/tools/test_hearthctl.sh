#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tests/tools/test_hearthctl.sh - every subcommand against a real daemon with the shoppers' model
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build}
ctl=$build/bin/hearthctl data=tests/data/shoppers
command -v python3 >/dev/null || { echo "SKIP: python3 is not installed"; exit 77; }
[ -x "$ctl" ] || { echo "SKIP: $ctl is not built"; exit 77; }
[ -x "$build/bin/hearthd" ] || { echo "SKIP: $build/bin/hearthd is not built"; exit 77; }
folder=$(mktemp -d /tmp/hearthctl-test.XXXXXX)
socket=$folder/s
daemon=''

clean_up() {
    if [ -n "$daemon" ]; then kill -KILL "$daemon" 2>/dev/null; wait "$daemon" 2>/dev/null; fi
    rm -rf "$folder"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

. tests/tools/hearthctl.sh
flags=(--socket "$socket")
python() { PYTHONPATH=tests/tools PYTHONDONTWRITEBYTECODE=1 python3 -c "
import sys
from npy_files import load, save, difference
folder, data = sys.argv[1:]
$1" "$folder" "$data"; }

mkdir "$folder/repository"
cp -r "$data/repository/shoppers" "$folder/repository/"
"$build/bin/hearthd" --repository "$folder/repository" --socket "$socket" >"$folder/log" 2>&1 &
daemon=$!
deadline=$((SECONDS + 60))
until "$ctl" --socket "$socket" -o json status 2>/dev/null | grep -q '"ready":true'; do
    if ! kill -0 "$daemon" 2>/dev/null || [ "$SECONDS" -ge "$deadline" ]; then
        echo "FAIL: hearthd is not ready"
        tail -n 20 "$folder/log"
        exit 1
    fi
    sleep 0.05
done
inputs=(--input "dense=$data/dense.npy" --input "ids=$data/ids.npy" --input "crosses=$data/crosses.npy")

# --- the daemon's own command line ---------------------------------------------------------------
# refuses SENTENCE FLAG...: hearthd ends with 2 and that sentence
refuses() {
    local sentence=$1 status
    shift
    timeout 60 "$build/bin/hearthd" "$@" >"$folder/stdout" 2>"$folder/stderr"
    status=$? output=$(<"$folder/stdout") errors=$(<"$folder/stderr")
    check "hearthd $* is refused, exit 2 (got $status)" [ "$status" -eq 2 ]
    check "hearthd $* says what is wanted, once" grep -qE "$sentence" <<<"$errors"
    check "hearthd $* has no line of a file" [ "${errors/command line/}" = "$errors" ]
}
refuses 'hearthd: --rows-max 0: an integer from 1 to 1048576' --rows-max 0
refuses 'hearthd: --load some: one of these is wanted: latest' --load some
refuses 'hearthd: --weights there: local, interleave' --weights there
refuses 'hearthd: --activation-bytes-max 1: at least 64K is wanted' --activation-bytes-max 1

# --- what is -------------------------------------------------------------------------------------
run 0 status
check "status shows the pid" grep -qE "^pid +$daemon\$" "$folder/stdout"
run 0 -o json status
check "status has its keys" json 'len(rows) == 1 and {"version", "pid", "uptime_s", "ready", "socket", "repository", "device", "models", "clients", "requests_total"} <= set(row)'
run 0 -o json version
check "both programs are of one build" json 'all(rows[0][k] == rows[1][k] for k in ("version", "abi", "compiler", "device")) and rows[1]["pid"] == '"$daemon"
check "which is no news" test -z "$errors"
run 0 models
check "models shows the version and its input" has "dense  f32 [batch, 10]"
run 0 -o json models
check "the latest version serves" json 'len(rows) == 1 and row["version"] == 2 and row["state"] == "serving" and row["current"] is True'
check "inputs and outputs are told" json '[i["name"] for i in row["inputs"]] == ["dense", "ids", "crosses"] and row["outputs"][0]["dims"][1:] == [1]'
run 4 models nothing
run 0 mem
check "mem has a total" grep -q '^total ' "$folder/stdout"
run 0 -o json mem
check "the total is the sum of the rows" json 'rows[-1]["tier"] == "total" and all(sum(r[k] for r in rows[:-1] if r.get("tier") == "host") == rows[-1][k] for k in ("used_bytes", "mapped_bytes", "resident_bytes"))'
check "the weights are among them" json 'any(r.get("use") == "weights" and r["owner"] == "shoppers@2" for r in rows)'
run 0 mem --map
check "the map names an owner" grep -qE '^[A-Z] .* weights +shoppers@2$' "$folder/stdout"
run 0 clients
"$ctl" --socket "$socket" bench shoppers --seconds 60 >/dev/null 2>&1 &
bencher=$!
deadline=$((SECONDS + 60))
until run 0 -o json clients && [ -n "$output" ] || [ "$SECONDS" -ge "$deadline" ]; do sleep 0.05; done
check "a client is shown with the path of its program" json 'row and row["opened_ns"] > 0 and row["exe"] == "'"$(readlink -f "$ctl")"'"'
run 0 clients
check "in the table, too" grep -qF "$(readlink -f "$ctl")" "$folder/stdout"
run 0 -o json stat 0.3 --count 2
check "stat tells rates of what goes on" json "all(r['requests_per_s'] > 0 and r['rows_per_s'] > 0 and r['p50_ns'] > 0 and r['clients'] == 1 for r in rows) and len(rows) == 2"
run 0 stat 0.1 --count 1
check "stat has titles" has "ROWS/BATCH"
run 0 client kick "$bencher"
check "a client can be disconnected" has "1 connections have ended"
wait "$bencher"
check "and learns of it" [ "$?" -eq 3 ]
run 4 client kick "$bencher"
run 2 client kick
run 0 -o json stat 0.2 --count 2
check "and that nothing goes on" json "rows[1]['requests_per_s'] == 0 and rows[1]['count'] == 0 and rows[1]['p50_ns'] == 0"

# --- what control.h tells of it ------------------------------------------------------------------
keys_are_told() { "$ctl" --socket "$socket" -o json "$@" | tests/ops/control_keys.py "$1" 2>"$folder/stderr"; }
for verb in status models mem users; do
    check "control.h tells of the keys of $verb" keys_are_told $verb
    errors=$(<"$folder/stderr")
    check "$verb has no other" test -z "$errors"
done

# --- model check ---------------------------------------------------------------------------------
run 0 model check "$data/repository/shoppers/2/model.onnx" --plan
check "model check says that it loads" has "model.onnx loads: "
check "model check says that requests share batches" has "requests share batches"
check "model check shows the plan" has "MULTIPLY-ADDS"
run 0 -o json model check "$data/repository/shoppers/2/model.onnx"
check "model check has its keys" json 'row["loads"] and row["refusals"] == [] and row["shares_batches"] and 0 < row["steps"] == len(row["plan"]) <= row["operators"] and row["perfect_bytes"] <= row["moved_bytes"]'
echo "no model" >"$folder/model.onnx"
run 1 model check "$folder/model.onnx"
check "a file that is no model is refused" has "does not load"
check "and named once" has "refused $folder/model.onnx: "
run 2 model check
run 4 model check "$folder/no/folder.onnx"

# --- model show ----------------------------------------------------------------------------------
run 0 model show shoppers
check "model show tells the inputs" has "dense  f32 [batch, 10]"
run 0 model show shoppers --plan
check "model show --plan has a gemm with its time" grep -qE "gemm .* (ns|us|ms)\$" "$folder/stdout"
run 0 -o json model show shoppers@2 --plan
check "the plan has its keys" json 'len(rows) > 1 and all(r["version"] == 2 and r["moved_bytes"] > 0 and r["predicted_ns"] >= 0 and r["measured_ns"] >= 0 for r in rows)'
run 4 model show nothing --plan

# --- ping ----------------------------------------------------------------------------------------
run 0 ping --count 200
check "ping shows percentiles" has "p50 "
run 0 -o json ping --count 200
check "ping has its keys" json 'len(rows) == 1 and row["count"] == 200 and 0 < row["p50_ns"] <= row["p90_ns"] <= row["p99_ns"] <= row["p999_ns"] <= row["max_ns"]'
run 0 -o json ping --count 50 --bytes 65536
check "ping carries bytes" json 'len(rows) == 1 and row["count"] == 50 and 0 < row["p50_ns"]'

# --- infer ---------------------------------------------------------------------------------------
run 0 infer shoppers "${inputs[@]}" --output "$folder/default"
check "every row agrees with PyTorch" python '
sys.exit(difference(folder + "/default/score.npy", data + "/score_v2.npy") > 1e-5)'
for batch in 1000 64 7; do
    run 0 -o json infer shoppers@2 "${inputs[@]}" --output "$folder/$batch" --batch "$batch"
    check "batches of $batch: as many as needed" json "row['batches'] == -(-2500 // $batch) and row['rows'] == 2500 and row['version'] == 2"
    check "batches of $batch: the outputs are described" json "row['outputs'] == [{'name': 'score', 'file': '$folder/$batch/score.npy', 'dtype': 'f32', 'dims': [2500, 1]}]"
    check "batches of $batch: the same file to the bit" cmp "$folder/default/score.npy" "$folder/$batch/score.npy"
done
python '
for name in "dense", "ids", "crosses":
    descr, shape, elements = load(f"{data}/{name}.npy")
    for kind, rows in ("many", 6001), ("one", 1), ("none", 0):
        save(f"{folder}/{kind}-{name}.npy", descr, (rows, shape[1]), (elements * 3)[:rows * shape[1]])
dense, ids = load(data + "/dense.npy")[2], load(data + "/ids.npy")[2]
save(folder + "/f64.npy", "<f8", (2500, 10), dense)
save(folder + "/wide.npy", "<f4", (2500, 11), [0] * 27500)
save(folder + "/i32.npy", "<i4", (2500, 7), ids)
save(folder + "/short.npy", "<i8", (2499, 7), ids[:2499 * 7])
save(folder + "/far.npy", "<i8", (2500, 7), [1 << 40] * 17500)
save(folder + "/fortran.npy", "<f4", (2500, 10), dense, fortran=True)'
files() { printf -- '--input\n%s\n' "dense=$folder/$1-dense.npy" "ids=$folder/$1-ids.npy" "crosses=$folder/$1-crosses.npy"; }
mapfile -t many < <(files many)
mapfile -t one < <(files one)
mapfile -t none < <(files none)
run 0 -o json infer shoppers "${many[@]}" --output "$folder/many" --batch 100000
check "more rows than the model takes are split" json 'row["rows"] == 6001 and row["batches"] >= 2'
check "and come back in order" python '
got, want = load(folder + "/many/score.npy"), load(folder + "/default/score.npy")
sys.exit(not (got[1] == (6001, 1) and got[2] == (want[2] * 3)[:6001]))'
run 0 infer shoppers "${one[@]}" --output "$folder/one"
check "one row is the same row" python '
got, want = load(folder + "/one/score.npy"), load(folder + "/default/score.npy")
sys.exit(not (got[1] == (1, 1) and got[2] == want[2][:1]))'

run 1 infer shoppers "${none[@]}" --output "$folder/x"
check "no rows are told" complains "no row"
run 4 infer nothing "${inputs[@]}" --output "$folder/x"
check "a model that is not there is told once" [ "$errors" = "hearthctl: model 'nothing' is not loaded; \`hearthctl models\` lists what is" ]
run 4 infer shoppers@9 "${inputs[@]}" --output "$folder/x"
check "and a version" [ "$errors" = "hearthctl: version 9 of model 'shoppers' is not loaded; \`hearthctl models\` lists what is" ]
run 1 infer shoppers "${inputs[@]}" --input "more=$data/ids.npy" --output "$folder/x"
check "an unknown input is named with the known ones" complains "no input 'more'; its inputs are dense, ids, crosses"
run 1 infer shoppers "${inputs[@]:0:4}" --output "$folder/x"
check "a missing input is named" complains "--input crosses=FILE.npy"
run 1 infer shoppers --input dense="$folder/nowhere.npy" "${inputs[@]:2}" --output "$folder/x"
check "a missing file is named" complains "nowhere.npy: No such file"
run 1 infer shoppers --input dense="$folder/f64.npy" "${inputs[@]:2}" --output "$folder/x"
check "another type is refused" complains "'<f8'"
run 1 infer shoppers --input dense="$folder/fortran.npy" "${inputs[@]:2}" --output "$folder/x"
check "Fortran order is refused" complains "Fortran order"
run 1 infer shoppers --input dense="$folder/wide.npy" "${inputs[@]:2}" --output "$folder/x"
check "both shapes are named" complains "[2500, 11]; input 'dense' of model 'shoppers' wants [rows, 10]"
run 1 infer shoppers "${inputs[@]:0:2}" --input ids="$folder/i32.npy" "${inputs[@]:4}" --output "$folder/x"
check "both types are named" complains "are i32; input 'ids' of model 'shoppers' wants i64"
run 1 infer shoppers "${inputs[@]:0:2}" --input ids="$folder/short.npy" "${inputs[@]:4}" --output "$folder/x"
check "rows that disagree are named" complains "all inputs must agree"
: >"$folder/plain"
run 1 infer shoppers "${one[@]}" --output "$folder/plain"
check "an output folder that is a file is named" complains "$folder/plain"
run 1 infer shoppers "${inputs[@]:0:2}" --input ids="$folder/far.npy" "${inputs[@]:4}" --output "$folder/x"
check "an id outside its table names the input" complains "'ids'"
check "nothing was written for a request that failed" [ ! -e "$folder/x/score.npy" ]

# --- bench ---------------------------------------------------------------------------------------
keys='{"p50_ns", "p90_ns", "p99_ns", "p999_ns", "max_ns", "count", "rows_per_s", "errors"} <= set(row)'
run 0 -o json bench shoppers --batch 8 --seconds 0.5 --concurrency 4
check "a closed loop prints its keys" json "len(rows) == 1 and $keys and row['count'] > 0 and row['errors'] == 0"
check "and the split of the mean" json '{"mean_ring_ns", "mean_queue_ns", "mean_batch_ns", "mean_execute_ns"} <= set(row)'
check "rows are batches times rows" json 'abs(row["rows_per_s"] - 8 * row["requests_per_s"]) < 1e-6 * row["rows_per_s"]'
run 0 -o json bench shoppers --seconds 1 --rate 200 --clients 2
check "an open loop prints its keys" json "len(rows) == 1 and $keys and row['rate_per_s'] == 200 and row['errors'] == 0"
check "and sends what the rate says" json '120 < row["count"] < 290'
run 0 bench shoppers "${inputs[@]}" --batch 64 --seconds 0.3
check "bench shows rows a second" has " rows/s, "
run 0 bench shoppers@2 --seconds 0.3 --rate 100
run 4 bench nothing --seconds 0.1
run 1 -o json bench shoppers --input dense="$data/dense.npy" --input ids="$folder/far.npy" \
    --input crosses="$data/crosses.npy" --seconds 0.2
check "refused requests are counted" json "$keys and row['errors'] > 0 and row['count'] == 0"
run 2 bench shoppers --batch 100000000 --seconds 0.1

# --- latency -------------------------------------------------------------------------------------
run 0 -o json latency shoppers@2
before=$(python3 -c 'import json, sys; print(json.loads(sys.argv[1])["count"])' "$output")
run 0 infer shoppers "${inputs[@]}" --output "$folder/x" --batch 1000
requests=$(python3 -c 'import json, sys; print(-(-json.loads(sys.argv[1])["rows"] // 1000))' \
    "$("$ctl" --socket "$socket" -o json infer shoppers "${inputs[@]}" --output "$folder/x" --batch 1000)")
run 0 -o json latency shoppers --breakdown
check "each answered request is in every time once" json "[r['time'] for r in rows] == ['ring', 'queue', 'batch', 'execute', 'answer', 'total'] and {r['count'] for r in rows} == {$before + 2 * $requests}"
check "a total is the sum of the others" json "abs(sum(r['sum_ns'] for r in rows[:-1]) - rows[-1]['sum_ns']) <= 0.01 * rows[-1]['sum_ns']"
run 0 latency shoppers --breakdown
check "latency draws the total" has "<="

# --- events --------------------------------------------------------------------------------------
run 0 -o json events
check "events begins with what was said first" json 'row["position"] == 0 and [r["position"] for r in rows] == list(range(len(rows))) and all(r["unix_ns"] > 10**18 for r in rows)'
check "and has what the log has" python3 -c "
import json, sys
said = [json.loads(line) for line in open(sys.argv[1])]
logged = [line.rstrip('\n').split(' ', 1)[1] for line in open(sys.argv[2])]
sys.exit(logged != [f'{row[\"level\"]}: {row[\"text\"]}' for row in said])" "$folder/stdout" "$folder/log"

# --- load, swap, unload --------------------------------------------------------------------------
run 0 swap shoppers@1
run 0 -o json models shoppers@1
check "version 1 is current" json 'row["current"] is True'
run 0 infer shoppers "${inputs[@]}" --output "$folder/v1"
check "version 1 answers, and agrees with PyTorch" python '
sys.exit(difference(folder + "/v1/score.npy", data + "/score_v1.npy") > 1e-5)'
run 0 rollback shoppers
check "a rollback makes version 2 current again" grep -q 'shoppers@2 is served and current' "$folder/stdout"
run 0 rollback shoppers
check "and a rollback of it version 1" grep -q 'shoppers@1 is served and current' "$folder/stdout"
run 4 rollback nothing
check "what has no version before is said so" complains "no version was current before"
run 0 -o json swap shoppers 2
check "a swap ends with an object" json 'rows[-1] == {"verb": "swap", "model": "shoppers", "version": 2, "done": True}'
deadline=$((SECONDS + 30)) # the version before is retired: soon it is gone
while "$ctl" --socket "$socket" models shoppers@1 >/dev/null 2>&1 && [ "$SECONDS" -lt "$deadline" ]; do sleep 0.05; done
run 4 infer shoppers@1 "${inputs[@]}" --output "$folder/x"
run 0 load shoppers@1
run 0 infer shoppers@1 "${one[@]}" --output "$folder/x"
run 0 unload shoppers@1
run 4 infer shoppers@1 "${one[@]}" --output "$folder/x"
run 4 load nothing
run 0 events --count 1
check "events tells what was refused just now" grep -qE ' warning +load nothing: ' "$folder/stdout"
run 4 swap shoppers@9
run 0 events --count 1
check "with its version, where one was named" grep -qE ' warning +swap shoppers@9: ' "$folder/stdout"
run 4 unload nothing

# While versions change under it, an infer is all of one version.
(for version in 1 2 1 2 1 2 1 2; do "$ctl" --socket "$socket" swap shoppers@$version || exit 1; done) \
    >"$folder/swaps" 2>&1 &
swaps=$!
for round in 1 2 3 4 5 6; do
    run 0 infer shoppers "${inputs[@]}" --output "$folder/mixed" --batch 1
    check "round $round: no answers of two versions" python '
sys.exit(min(difference(folder + "/mixed/score.npy", f"{data}/score_v{v}.npy") for v in (1, 2)) > 1e-5)'
done
wait "$swaps"
status=$? output=$(<"$folder/swaps") errors=
check "every swap went well" [ "$status" -eq 0 ]

# --- the end -------------------------------------------------------------------------------------
# A program in mid-bench learns of the daemon's end.
timeout 100 "$ctl" --socket "$socket" bench shoppers --seconds 60 >"$folder/stdout" 2>"$folder/stderr" &
bench=$!
deadline=$((SECONDS + 30))
until "$ctl" --socket "$socket" -o json clients | grep -q '"exe"'; do
    [ "$SECONDS" -lt "$deadline" ] || break
    sleep 0.05
done
kill -KILL "$daemon"
wait "$daemon" 2>/dev/null
daemon=
wait "$bench"
status=$? output='' errors=$(<"$folder/stderr")
check "a bench whose daemon dies exits 3 (got $status)" [ "$status" -eq 3 ]
run 0 status
check "status is read from the page, and says that the daemon has ended" has "has ended"
for command in ping "infer shoppers ${one[*]} --output $folder/x" "swap shoppers@1"; do
    # shellcheck disable=SC2086
    run 3 $command
done

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
