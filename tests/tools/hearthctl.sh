# SPDX-License-Identifier: MIT
# tests/tools/hearthctl.sh - for tests to source: hearthctl is run, and what it said is looked at
#
# Wants $ctl, $folder and, where it shall be named in each call, flags=(--socket PATH). Counts in $passed
# and $failed.
passed=0 failed=0 output='' errors=''
flags=()

# run CODE ARGUMENT...: what it printed is in $output and $errors, and in $folder
run() {
    local wanted=$1 status
    shift
    timeout 100 "$ctl" "${flags[@]}" "$@" >"$folder/stdout" 2>"$folder/stderr"
    status=$?
    output=$(<"$folder/stdout") errors=$(<"$folder/stderr")
    check "hearthctl $*: exit $status, wanted $wanted" [ "$status" -eq "$wanted" ]
}
check() { # check SENTENCE COMMAND...
    local what=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL: $what"
        printf '%s\n' "$output" "$errors" | head -n 40 | sed 's/^/  | /'
    fi
}
await() { # await COMMAND...: what happens at all happens within this time
    local turn
    for ((turn = 0; turn < 1200; turn++)); do "$@" >/dev/null 2>&1 && return; sleep 0.05; done
    false
}
must() { # must COMMAND...: or the test ends
    await "$@" && return
    echo "FAIL: waited in vain for: $*"
    exit 1
}
has() { [[ $output == *"$1"* ]]; }
lacks() { [[ $output != *"$1"* ]]; }
complains() { [[ $errors == *"$1"* ]]; }
# json EXPRESSION: of `rows`, the objects that were printed, and `row`, the first of them
json() { python3 -c "
import json, sys
rows = [json.loads(line) for line in open(sys.argv[1])]
row = rows[0] if rows else None
sys.exit(not ($1))" "$folder/stdout"; }
