#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tools/demo/demo.sh - `make demo`: from a fresh Debian to real scores, in under a minute
#
# Installs what the build needs, builds, starts a daemon of its own with a socket in a temporary
# folder, scores the held-out sessions of tests/data/shoppers, and stops the daemon again. Needs no
# GPU, no huge pages and, where the packages are there, no root. Nothing stays behind but build/.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${BUILD:-build${SAN:+-${SAN//,/-}}}
data=tests/data/shoppers
ready_seconds=60
stop_seconds=20
daemon= folder= log= stage="installing packages"

title() { printf '\n== %s\n' "$1"; }

# Ends the daemon, by its process id only, and waits for it: 0 when it ended well.
stop_daemon() {
    local pid=$daemon deadline=$((SECONDS + stop_seconds)) status=0
    daemon=
    kill -TERM "$pid" 2>/dev/null || true
    while kill -0 "$pid" 2>/dev/null && [ "$SECONDS" -lt "$deadline" ]; do sleep 0.05; done
    if kill -KILL "$pid" 2>/dev/null; then
        echo "demo: hearthd did not stop within $stop_seconds s of SIGTERM" >&2
    fi
    wait "$pid" || status=$?
    return "$status"
}

clean_up() {
    local status=$?
    trap - EXIT
    if [ -n "$daemon" ]; then stop_daemon || true; fi
    if [ "$status" -ne 0 ]; then
        echo "demo: failed while $stage (exit $status)" >&2
        if [ -s "$log" ]; then
            echo "demo: what hearthd said:" >&2
            tail -n 40 "$log" >&2
        fi
    fi
    if [ -n "$folder" ]; then rm -rf "$folder"; fi
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

title "packages"
tools/dev/install_packages.sh
echo "all there"

title "build"
stage="building"
# Not as a part of the make that runs this script: its job server is not for us.
env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make BUILD="$build" all
ctl() { "$build/bin/hearthctl" --socket "$socket" "$@"; }

title "hearthd"
stage="starting hearthd"
folder=$(mktemp -d "${TMPDIR:-/tmp}/hearth-demo.XXXXXX")
if [ ${#folder} -gt 80 ]; then # a socket's path has 107 bytes
    rmdir "$folder"
    folder=$(mktemp -d /tmp/hearth-demo.XXXXXX)
fi
socket=$folder/hearth.sock log=$folder/hearthd.log
cp -r "$data/repository" "$folder/repository"
"$build/bin/hearthd" --repository "$folder/repository" --socket "$socket" >"$log" 2>&1 &
daemon=$!
deadline=$((SECONDS + ready_seconds))
until ctl -o json status 2>/dev/null | grep -q '"ready":true'; do
    kill -0 "$daemon" 2>/dev/null || { echo "demo: hearthd ended by itself" >&2; exit 1; }
    [ "$SECONDS" -lt "$deadline" ] || { echo "demo: hearthd was not ready in $ready_seconds s" >&2; exit 1; }
    sleep 0.05
done
ctl status | grep -E '^(version|device|numerics|bell|worst) '
ctl models

title "scores"
stage="scoring"
"$build/bin/demo_score" "$socket" "$data"

title "memory"
stage="looking at the memory"
ctl mem
pages=$(ctl mem | awk '$4 == "weights" { print $3 }' | sort -u | paste -sd ' ')
case $pages in
2M) echo "The weights lie in huge pages of 2 MiB." ;;
thp) echo "The weights lie in transparent huge pages; reserved ones are taken where some are free" \
    "(\`sysctl vm.nr_hugepages=64\`)." ;;
*) echo "The weights lie in pages of ${pages:-an unknown size}; huge pages of 2 MiB are taken where some" \
    "are free (\`sysctl vm.nr_hugepages=64\`)." ;;
esac

title "another version, and back, while the daemon runs"
stage="swapping versions"
ctl swap shoppers@1
"$build/bin/demo_score" "$socket" "$data" brief
ctl swap shoppers@2

title "the end"
stage="stopping hearthd"
stop_daemon
echo "hearthd answered everything and stopped; nothing of it is left."
echo "Next: README.md, client/examples/rank.c (the whole client in 30 lines), and \`$build/bin/hearthctl --help\`."
