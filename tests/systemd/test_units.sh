#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tests/systemd/test_units.sh - systemd accepts the units without a word, and finds the daemon's tight
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
if ! command -v systemd-analyze >/dev/null; then
    echo 'SKIP: systemd-analyze is missing (package systemd)'
    exit 77
fi
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
passed=0 failed=0 skipped=0
exposure_max=15 # tenths; a service that restricts nothing has 96
exposure_cuda_max=20 # with the devices of a GPU

mkdir "$root/bin" "$root/libexec" "$root/units"
for program in bin/hearthd bin/hearthctl libexec/hearth-hugepages; do
    printf '#!/bin/sh\n' >"$root/$program"
    chmod +x "$root/$program"
done
for unit in systemd/*.service.in systemd/*.socket systemd/*.slice; do
    name=${unit#systemd/}
    sed "s|@PREFIX@|$root|g" "$unit" >"$root/units/${name%.in}"
done

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
fails() { ! quiet "$@" >/dev/null; }
skip() {
    skipped=$((skipped + 1))
    echo "SKIP: $*"
}

for unit in "$root"/units/*; do
    silent "systemd accepts ${unit##*/}" systemd-analyze verify --man=no "$unit"
done
sed 's|^NoNewPrivileges=|NoOldPrivileges=|' "$root/units/hearthd.service" >"$root/broken.service"
if [ -n "$(systemd-analyze verify --man=no "$root/broken.service" 2>&1)" ]; then
    passed=$((passed + 1))
else
    failed=$((failed + 1))
    echo 'FAIL: a key that systemd does not know goes unnoticed here'
fi
for page in $(sed -n 's|^Documentation=||p' systemd/*.in systemd/*.socket systemd/*.slice |
    grep -o 'man:[^ ]*' | sed 's|man:\(.*\)(\(.\))|\1.\2|' | sort -u); do
    silent "the manual $page that a unit names is there" test -e "daemon/$page" -o -e "systemd/$page"
done

# exposure MAX: of the daemon's unit, with the drop-ins beside it
exposure() {
    systemd-analyze security --no-pager --offline=true --threshold="$1" "$root/units/hearthd.service"
}
if systemd-analyze --help | grep -q -- --threshold; then
    silent "the daemon's exposure is at most $exposure_max" quiet exposure "$exposure_max"
    silent 'and would be found to be too much' fails exposure 1
else
    skip 'this systemd-analyze (before 250) cannot judge a unit offline'
fi
mkdir "$root/units/hearthd.service.d"
for example in cuda memlock; do
    cp "systemd/examples/$example.conf" "$root/units/hearthd.service.d/"
    silent "systemd accepts $example.conf" systemd-analyze verify --man=no "$root/units/hearthd.service"
done
if systemd-analyze --help | grep -q -- --threshold; then
    silent "with both its exposure is at most $exposure_cuda_max" quiet exposure "$exposure_cuda_max"
fi

if command -v systemd-sysusers >/dev/null && command -v systemd-tmpfiles >/dev/null; then
    mkdir -p "$root/etc" "$root/usr/lib/sysusers.d" "$root/usr/lib/tmpfiles.d"
    cp systemd/hearth.sysusers "$root/usr/lib/sysusers.d/hearth.conf"
    cp systemd/hearth.tmpfiles "$root/usr/lib/tmpfiles.d/hearth.conf"
    silent 'systemd-sysusers accepts hearth.sysusers' quiet systemd-sysusers --root="$root"
    silent 'it makes the user' grep -q '^hearth:' "$root/etc/passwd"
    silent 'it makes the group' grep -q '^hearth:' "$root/etc/group"
    if [ "$(id -u)" -eq 0 ]; then
        silent 'systemd-tmpfiles accepts hearth.tmpfiles' systemd-tmpfiles --root="$root" --create
        silent "it makes the sockets' folder" test "$(stat -c %a "$root/run/hearth")" = 755
        silent 'it makes the folder of the configuration' test "$(stat -c '%a %u' "$root/etc/hearth")" = '755 0'
        silent "it makes the models' folder" test "$(stat -c %u "$root/var/lib/hearth/models")" = \
            "$(awk -F: '$1 == "hearth" { print $3 }' "$root/etc/passwd")"
    else
        skip 'only root can give a folder to another user'
    fi
else
    skip 'systemd-sysusers or systemd-tmpfiles is missing'
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
