#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tests/ops/test_page.sh - whose the stats page is, and what becomes of one that cannot be written
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build}
ctl=$build/bin/hearthctl
[ -x "$ctl" ] && [ -x "$build/bin/hearthd" ] || { echo "SKIP: hearthd is not built"; exit 77; }
folder=$(mktemp -d "${TMPDIR:-/tmp}/hearth-page.XXXXXX")
daemons=()

clean_up() {
    for pid in "${daemons[@]}"; do kill -KILL "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; done
    rm -rf "$folder"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

. tests/tools/hearthctl.sh
# start PLACE [HEARTHD-OPTION...]: in a folder of that name, by the words of $wrapper; its pid is $pid. Its
# log goes through a pipe: who may write no file may tell all the same.
wrapper=()
start() {
    local place=$1
    shift
    mkdir -p "$folder/$place"
    "${wrapper[@]}" "$build/bin/hearthd" --repository "$folder/models" --socket "$folder/$place/s" "$@" \
        > >(exec cat >"$folder/$place.log") 2>&1 &
    pid=$!
    daemons+=("$pid")
}
ready() { must grep -q "ready at" "$folder/$1.log"; }
owner() { stat -c '%a %u %g' "$1"; }
skipped=0
chmod 711 "$folder"
cp -r tests/data/shoppers/repository "$folder/models" # where any user may read it

# --- a user and a group ---------------------------------------------------------------------------
nobody=$(id -u nobody 2>/dev/null) group=$(getent group daemon | cut -d: -f3)
if [ "$(id -u)" -eq 0 ] && [ -n "$nobody" ] && [ -n "$group" ]; then
    chmod -R a+rX "$folder/models"
    mkdir "$folder/own"
    chown nobody "$folder/own"
    start own --user nobody
    own=$pid
    start grouped --user nobody --group daemon
    grouped=$pid
    ready own
    ready grouped
    for place in own grouped; do
        page=$folder/$place/s.stats
        check "its group is the socket's" [ "$(owner "$page")" = "640 $nobody $(stat -c %g "$folder/$place/s")" ]
    done
    check "which is the one that is named" [ "$(stat -c %g "$page")" -eq "$group" ]
    kill "$own" "$grouped"
    wait "$own" "$grouped"
    check "who may remove it does" [ ! -e "$folder/own/s.stats" ]
    check "who may not leaves it" [ -e "$page" ]
    run 3 --socket "$folder/grouped/s" status --page
    check "as one that has stopped" complains "has stopped"
else
    echo "SKIP: only root becomes somebody else"
    skipped=$((skipped + 1))
fi

# --- a file system that is full -------------------------------------------------------------------
# shellcheck disable=SC2016
if unshare -m mount -t tmpfs -o size=4k hearth "$folder" 2>/dev/null; then
    mkdir "$folder/full"
    wrapper=(unshare -m bash -c 'mount -t tmpfs -o size=4k hearth "$0" && exec "$@"' "$folder/full")
    start full
    wrapper=()
    ready full
    inside=/proc/$pid/root$folder/full/s
    run 3 --socket "$inside" events --page
    check "what has no room is not there" complains "has no events: it found no room"
    run 0 --socket "$inside" events
    check "and the daemon lives" [ -z "$errors" ]
else
    echo "SKIP: nothing can be mounted here"
    skipped=$((skipped + 1))
fi

# --- a disk that takes no more --------------------------------------------------------------------
# In memory the head is mapped, and does not see the limit.
if [ "$(stat -f -c %T "$folder")" != tmpfs ] && command -v prlimit >/dev/null; then
    start disk
    ready disk
    run 0 --socket "$folder/disk/s" status --page
    check "a page on a disk is one" has "$pid"
    prlimit --pid "$pid" --fsize=0
    must grep -q "cannot be written any more, and is given up" "$folder/disk.log"
    run 3 --socket "$folder/disk/s" status --page
    check "what cannot be written is no page" complains "no stats page"
    run 0 --socket "$folder/disk/s" status
    check "the daemon serves without" [ -z "$errors" ]
    kill "$pid"
    wait "$pid"
    check "and ends as it should" [ $? -eq 0 ]
else
    echo "SKIP: ${TMPDIR:-/tmp} is in memory"
    skipped=$((skipped + 1))
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
