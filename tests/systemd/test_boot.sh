#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tests/systemd/test_boot.sh - hearthd as it is installed, under a systemd that has just booted
#
# The host's own systemd, as the first process of namespaces of its own, on a root that is made of the
# host's /usr (read-only) and an installation of this tree in /usr/local; inside/session.sh is what
# happens there. The host's systemd has no part in it. Wants root and a cgroup2 that can be written.
#   HEARTH_BOOT_LOG=FILE   keep the journal
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build}
seconds=60 # a boot takes less than one, the session less than ten
systemd=/usr/lib/systemd/systemd

skip() { echo "SKIP: $*"; exit 77; }

[ "$(id -u)" -eq 0 ] || skip 'only root can boot a systemd'
[ -z "${SAN:-}" ] || skip 'a sanitizer makes system calls that the unit denies'
[ -x $systemd ] || skip "there is no $systemd"
[ -L /lib ] && [ -L /bin ] || skip 'this host has a /lib or /bin beside /usr'
for program in unshare findmnt setpriv journalctl systemd-sysusers systemd-tmpfiles; do
    command -v $program >/dev/null || skip "$program is missing"
done
cgroups=$(findmnt -n -o TARGET -t cgroup2 | head -n 1)
[ -n "$cgroups" ] || skip 'no cgroup2 is mounted'
unshare --mount --pid --fork --ipc --uts --net --cgroup --propagation private true 2>/dev/null ||
    skip 'namespaces cannot be made here'

folder=$(mktemp -d "${TMPDIR:-/tmp}/hearth-boot.XXXXXX")
root=$folder/root
home=$cgroups$(sed -n 's/^0:://p' /proc/self/cgroup)
own=$home/hearth-boot.$$
clean_up() {
    if [ -d "$own" ]; then
        echo $$ >"$home/cgroup.procs"
        find "$own" -depth -type d -exec rmdir {} +
    fi
    rm -rf --one-file-system "$folder"
}
trap clean_up EXIT
mkdir "$own" 2>/dev/null && echo $$ 2>/dev/null >"$own/cgroup.procs" || skip "$home takes no group"

# --- the root -----------------------------------------------------------------------------------------------
mkdir -p "$root"/{etc/{hearth,systemd/system},usr,var/log/journal,tmp,run,proc,sys,dev,models}
for link in bin sbin lib lib32 lib64; do
    [ ! -L /$link ] || ln -s usr/$link "$root/$link"
done
printf 'root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n' >"$root/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
printf 'NAME=hearth-boot\nID=hearth-boot\n' >"$root/etc/os-release"
tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
tools/dev/install.sh "$build" "$folder/local" /usr/local systemd/*.8 || exit 1
${CC:-cc} -std=gnu11 -Wall -Wextra -Werror -I"$build/include" -o "$folder/local/bin/visitor" \
    tests/systemd/inside/visitor.c || exit 1
cp tests/systemd/inside/session.sh "$folder/local/bin/"
mkdir "$root/models/first"
cp -r tests/data/shoppers/repository/shoppers/1 "$root/models/first/1"
cp -r tests/data/shoppers/repository/shoppers/2 "$root/models/second"

# Two pages of a pool that stands in for the machine's, which belongs to others.
pool=/pool/devices/system/node/node0/hugepages/hugepages-2048kB
mkdir -p "$root$pool"
echo 1 >"$root$pool/nr_hugepages"
echo 'node0 2M 3' >"$root/etc/hearth/hugepages.conf"

unit() { # unit NAME: from the standard input
    mkdir -p "$(dirname "$root/etc/systemd/system/$1")"
    cat >"$root/etc/systemd/system/$1"
}
unit hearth-hugepages.service.d/test.conf <<'UNIT'
[Service]
Environment=HEARTH_SYS=/pool
ReadWritePaths=/pool
UNIT
unit hearthd.service.d/test.conf <<'UNIT'
[Service]
WatchdogSec=2
UNIT
unit session.service <<'UNIT'
[Unit]
After=sysinit.target
SuccessAction=exit-force
FailureAction=exit-force
[Service]
Type=oneshot
TimeoutStartSec=50
Environment=HEARTH_SYS=/pool
ExecStart=/usr/local/bin/session.sh
StandardOutput=file:/result
StandardError=file:/result
UNIT
unit session.target <<'UNIT'
[Unit]
Requires=session.service
UNIT

# --- the boot -----------------------------------------------------------------------------------------------
# What belongs to the host is read-only: /usr, /sys, /proc/sys.
# shellcheck disable=SC2016
timeout -k 5 "$seconds" unshare --mount --pid --fork --ipc --uts --net --cgroup --kill-child --propagation private \
    bash -c 'set -e
        root=$0
        read_only() { mount -o remount,bind,ro "$root/$1"; }
        mount --bind "$root" "$root"
        mount --bind /usr "$root/usr" && read_only usr
        mount --bind "$1" "$root/usr/local" && read_only usr/local
        mount -t tmpfs -o mode=755 run "$root/run"
        mount -t proc proc "$root/proc"
        mount --bind "$root/proc/sys" "$root/proc/sys" && read_only proc/sys
        mount -t sysfs sysfs "$root/sys" && read_only sys
        mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
        mount -t tmpfs -o mode=755 dev "$root/dev"
        for node in null zero full random urandom tty; do
            : >"$root/dev/$node"
            mount --bind "/dev/$node" "$root/dev/$node"
        done
        mkdir "$root/dev/pts"
        mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
        ln -s pts/ptmx "$root/dev/ptmx"
        exec env -i container=hearth PATH=/usr/local/bin:/usr/sbin:/usr/bin chroot "$root" \
            "$2" --system --unit=session.target --log-target=journal --show-status=0' \
    "$root" "$folder/local" $systemd >"$folder/console" 2>&1
status=$?

# --- what came of it ----------------------------------------------------------------------------------------
result=$root/result
[ -e "$result" ] || : >"$result"
passed=$(grep -c '^ok: ' "$result")
failed=$(grep -c '^FAIL: ' "$result")
if ! grep -qx end "$result"; then
    failed=$((failed + 1))
    echo "FAIL: the session did not come to its end (exit $status)"
    tail -n 20 "$folder/console"
fi
journal() { journalctl -q -D "$root/var/log/journal" -o short-monotonic --no-hostname --no-pager 2>&1; }
[ -z "${HEARTH_BOOT_LOG:-}" ] || journal >"$HEARTH_BOOT_LOG"
if [ "$failed" -gt 0 ]; then
    grep -v '^ok: ' "$result"
    journal | tail -n 60
fi
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
