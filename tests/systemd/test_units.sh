#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tests/systemd/test_units.sh - systemd accepts the unit without a word, and finds it tight
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
if ! command -v systemd-analyze >/dev/null; then
    echo 'SKIP: systemd-analyze is missing (package systemd)'
    exit 77
fi
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
passed=0 failed=0 skipped=0
exposure_max=20 # tenths; a service that restricts nothing has 96

mkdir "$root/bin"
printf '#!/bin/sh\n' >"$root/bin/hearthd"
chmod +x "$root/bin/hearthd"
sed "s|@PREFIX@|$root|g" systemd/hearthd.service.in >"$root/hearthd.service"

# silent SENTENCE COMMAND...: exit 0 and no output, for systemd only warns of keys it does not know
silent() {
    local sentence=$1 text
    shift
    if text=$("$@" 2>&1) && [ -z "$text" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL: $sentence"
        echo "  | ${text//$'\n'/$'\n'  | }"
    fi
}
quiet() {
    local text
    text=$("$@" 2>&1) || { echo "$text"; return 1; }
}

silent 'systemd accepts hearthd.service' systemd-analyze verify --man=no "$root/hearthd.service"
sed 's|^NoNewPrivileges=|NoOldPrivileges=|' "$root/hearthd.service" >"$root/broken.service"
if [ -n "$(systemd-analyze verify --man=no "$root/broken.service" 2>&1)" ]; then
    passed=$((passed + 1))
else
    failed=$((failed + 1))
    echo 'FAIL: a key that systemd does not know goes unnoticed here'
fi

if systemd-analyze --help | grep -q -- --threshold; then
    silent "its exposure is at most $exposure_max" quiet systemd-analyze security --no-pager --offline=true \
        --threshold="$exposure_max" "$root/hearthd.service"
else
    skipped=$((skipped + 1))
    echo 'SKIP: this systemd-analyze (before 250) cannot judge a unit offline'
fi
if command -v systemd-sysusers >/dev/null; then
    mkdir -p "$root/etc" "$root/usr/lib/sysusers.d"
    cp systemd/hearth.sysusers "$root/usr/lib/sysusers.d/hearth.conf"
    silent 'systemd-sysusers accepts hearth.sysusers' quiet systemd-sysusers --root="$root"
    silent 'it makes the user' grep -q '^hearth:' "$root/etc/passwd"
    silent 'it makes the group' grep -q '^hearth:' "$root/etc/group"
else
    skipped=$((skipped + 1))
    echo 'SKIP: systemd-sysusers is missing'
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
