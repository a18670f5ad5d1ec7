# SPDX-License-Identifier: MIT
# tests/tools/fake_control.sh - for tests to source: a daemon that answers what a script says
#
# Wants $socket and $folder. It is the process $fake, and ends with descriptor 8, its standard input: what
# shall outlive it is started without that (8>&-).
fake=

# fake_start SCRIPT: one that answers so (fake_control.py); the one before has ended
fake_start() {
    local line
    if [ -n "$fake" ]; then exec 8>&-; wait "$fake"; fi
    rm -f "$socket" "$socket.admin" "$socket.log" "$folder/in" "$folder/out"
    printf '%s' "$1" >"$folder/script"
    mkfifo "$folder/in" "$folder/out"
    tests/tools/fake_control.py "$socket" "$folder/script" <"$folder/in" >"$folder/out" &
    fake=$!
    exec 8>"$folder/in" 9<"$folder/out"
    read -r -t 30 line <&9 && [ "$line" = ready ] || { echo "FAIL: the fake peer does not start"; exit 1; }
}
