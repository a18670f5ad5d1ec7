#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tests/places/test_guest.sh - the oldest supported kernel, in an emulated machine of four NUMA nodes
#
# Boots Debian 12's cloud kernel (6.1) in QEMU with hearthd, hearthctl and some tests of this tree on
# a file system in memory. The kernel's package is downloaded once into build/guest and never
# installed. The machine is emulated and slow, so each test runs its brief case alone.
#   HEARTH_GUEST_KERNEL=FILE  another kernel
#   HEARTH_GUEST_ALL=1        all cases (minutes)
#   HEARTH_GUEST_SECONDS=N    how long the machine may run (5 less than is left of TEST_SECONDS; with all cases 600)
#   HEARTH_GUEST_LOG=FILE     keep what it printed
# Wants the packages qemu-system-x86, seabios, busybox-static and cpio.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
export BUILD=${BUILD:-build}
tests=(serve/test_session memory/test_span_kept places/test_nodes places/test_clocks places/test_pids places/test_places system/test_mem places/test_charges)
cache=build/guest
silence_seconds=60 # more than any test waits: then it is not slow, it hangs
if [ -n "${HEARTH_GUEST_ALL:-}" ]; then # one program prints nothing for minutes, and ends a case that hangs itself
    HEARTH_GUEST_SECONDS=${HEARTH_GUEST_SECONDS:-600}
    silence_seconds=$HEARTH_GUEST_SECONDS
fi

skip() { echo "SKIP: $*"; exit 77; }

[ "$(uname -m)" = x86_64 ] || skip "the guest is an x86-64 machine"
[ -z "${SAN:-}" ] || skip "a sanitizer in an emulated machine takes minutes"
for program in qemu-system-x86_64 busybox cpio ldd; do
    command -v "$program" >/dev/null || skip "$program is missing (packages qemu-system-x86 seabios busybox-static cpio)"
done
ldd "$(command -v busybox)" >/dev/null 2>&1 && skip "busybox is not static (package busybox-static)"

# --- the kernel ---------------------------------------------------------------------------------------
kernel_newest() { find "$cache/boot" -name 'vmlinuz-*' 2>/dev/null | sort -V | tail -n 1; }
kernel_download() {
    local package deb
    command -v apt-get >/dev/null && command -v dpkg >/dev/null || return
    package=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | awk '/Depends: linux-image-/ { print $2; exit }')
    [ -n "$package" ] || return
    mkdir -p "$cache/package"
    (cd "$cache/package" && timeout 60 apt-get download "$package" >/dev/null 2>&1)
    deb=$(find "$cache/package" -name "$package*.deb" | head -n 1)
    [ -n "$deb" ] && dpkg --fsys-tarfile "$deb" | tar -x -C "$cache" ./boot
    rm -rf "$cache/package"
}
kernel=${HEARTH_GUEST_KERNEL:-$(kernel_newest)}
if [ -z "$kernel" ]; then
    kernel_download
    kernel=$(kernel_newest)
fi
[ -r "$kernel" ] || skip "no kernel for the guest (apt-get download of linux-image-cloud-amd64's has failed)"

# --- its files ----------------------------------------------------------------------------------------
folder=$(mktemp -d "${TMPDIR:-/tmp}/hearth-guest.XXXXXX")
trap 'rm -rf "$folder"' EXIT
root=$folder/root
mkdir -p "$root"/{bin,dev,proc,sys,tmp,run} "$root"/hearth/tests/data

program_put() { # program_put FILE PLACE: with the libraries it is linked to
    local library
    mkdir -p "$(dirname "$root/$2")"
    cp -L "$1" "$root/$2"
    ldd "$1" 2>/dev/null | grep -o '/[^ ]*' | while read -r library; do
        mkdir -p "$root$(dirname "$library")"
        [ -e "$root$library" ] || cp -L "$library" "$root$library"
    done
}
program_put "$(command -v busybox)" bin/busybox
for name in $(busybox --list); do ln -s busybox "$root/bin/$name" 2>/dev/null; done
for name in hearthd hearthctl; do program_put "$BUILD/bin/$name" "hearth/build/bin/$name"; done
for name in "${tests[@]}"; do program_put "$BUILD/tests/$name" "hearth/build/tests/$name"; done
cp -r tests/data/shoppers "$root/hearth/tests/data/"
cp systemd/hearth-hugepages.sh "$root/hearth/"
printf '%s\n' "${tests[@]}" >"$root/hearth/tests.list"
[ -z "${HEARTH_GUEST_ALL:-}" ] || touch "$root/hearth/all"
version=${kernel##*vmlinuz-}
# The futex operations of io_uring came with 6.7.
if [ "$(printf '6.7\n%s\n' "$version" | sort -V | head -n 1)" = 6.7 ]; then echo futex; else echo socket; fi >"$root/hearth/bell"
cp tests/places/guest_init.sh "$root/init"
chmod +x "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet) >"$folder/initrd"

# --- the machine --------------------------------------------------------------------------------------
# Where the processor virtualises nothing, a /dev/kvm that is there can hang stock kernels.
accelerator=(-accel tcg,thread=multi -cpu max,la57=off)
[ -w /dev/kvm ] && grep -qwE 'vmx|svm' /proc/cpuinfo && accelerator=(-accel kvm -cpu host)
# What the firmware says of each node's memory, seen from the nodes with a processor (HMAT). The fourth
# node is a module that can be taken out: its memory goes offline while hearthd runs.
hmat=()
for initiator in 0 1; do
    for target in 0:4096 1:4096 2:2048 3:1024; do
        lane=initiator=$initiator,target=${target%:*},hierarchy=memory
        hmat+=(-numa "hmat-lb,$lane,data-type=access-latency,latency=10"
            -numa "hmat-lb,$lane,data-type=access-bandwidth,bandwidth=${target#*:}M")
    done
done
boot_seconds=${HEARTH_GUEST_SECONDS:-$((${TEST_SECONDS:-120} - SECONDS - 5))}
timeout "$((boot_seconds > 1 ? boot_seconds : 1))" qemu-system-x86_64 "${accelerator[@]}" -M q35,hmat=on -smp 2 -m 1536M,slots=1,maxmem=2G \
    -nodefaults -no-user-config -display none -no-reboot -serial "file:$folder/serial" \
    -object memory-backend-ram,id=m0,size=768M -object memory-backend-ram,id=m1,size=512M \
    -object memory-backend-ram,id=m2,size=256M -object memory-backend-ram,id=m3,size=128M \
    -numa node,nodeid=0,cpus=0,memdev=m0,initiator=0 -numa node,nodeid=1,cpus=1,memdev=m1,initiator=1 \
    -numa node,nodeid=2,memdev=m2,initiator=0 -numa node,nodeid=3,initiator=0 \
    "${hmat[@]}" -device pc-dimm,id=module,memdev=m3,node=3 \
    -kernel "$kernel" -initrd "$folder/initrd" \
    -append "console=ttyS0 quiet panic=-1 mitigations=off hugepagesz=2M hugepages=0:16,1:16,2:16 memhp_default_state=online_movable" \
    </dev/null >"$folder/machine" 2>&1
status=$?
silent_seconds=$(($(date +%s) - $(stat -c %Y "$folder/serial" || echo 0)))
tr -d '\r' <"$folder/serial" >"$folder/log"

# --- what it printed ----------------------------------------------------------------------------------
passed=$(grep -c '^guest: ok' "$folder/log")
failed=$(grep -c '^guest: FAIL' "$folder/log")
skipped=$(grep -c '^SKIP: ' "$folder/log")
read -r checks bad < <(awk -F'[:,]' '/^[0-9]+%: Checks: / { checks += $3; bad += $5 + $7 } END { print checks + 0, bad + 0 }' "$folder/log")
passed=$((passed + checks - bad - skipped)) failed=$((failed + bad))
if [ "$failed" -eq 0 ] && ! grep -q '^guest: end' "$folder/log"; then
    if [ "$status" -eq 124 ] && [ "$silent_seconds" -lt "$silence_seconds" ]; then
        echo "SKIP: the emulated machine is too slow here: $passed checks in $boot_seconds s"
        skipped=$((skipped + 1))
    else
        echo "the guest did not come to its end, and was silent for $silent_seconds s"
        failed=$((failed + 1))
        cat "$folder/machine"
    fi
elif [ "$failed" -eq 0 ] && [ "$(grep -c '^guest: exit 0 ' "$folder/log")" -ne ${#tests[@]} ]; then
    failed=$((failed + 1))
fi
grep '^guest: linux' "$folder/log"
[ "$failed" -eq 0 ] || tail -n 60 "$folder/log"
[ "$skipped" -eq 0 ] || grep '^SKIP: ' "$folder/log"
[ -z "${HEARTH_GUEST_LOG:-}" ] || cp "$folder/log" "$HEARTH_GUEST_LOG"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
