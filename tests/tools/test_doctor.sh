#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tests/tools/test_doctor.sh - hosts with one thing wrong each: the check tells, and says what mends it
#
# A host is a folder with the files of /sys and /proc that are looked at (HEARTH_ROOT), and a scripted
# daemon whose process is in that /proc. What asks the kernel itself, such as io_uring, is not judged there.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build}
ctl=$build/bin/hearthctl
command -v python3 >/dev/null || { echo "SKIP: python3 is not installed"; exit 77; }
[ -x "$ctl" ] || { echo "SKIP: $ctl is not built"; exit 77; }
folder=$(mktemp -d /tmp/hearthctl-doctor.XXXXXX)
root=$folder/root socket=$folder/s
daemon=''

clean_up() {
    for process in $fake $daemon; do kill -KILL "$process" 2>/dev/null; wait "$process" 2>/dev/null; done
    rm -rf "$folder"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

. tests/tools/hearthctl.sh
. tests/tools/fake_control.sh
flags=(--socket "$socket")
# finds CHECK VERDICT FOUND [FIX]: what the last run says of it
finds() {
    check "$1 is $2: $3, ${4:-}" python3 -c '
import json, sys
rows = {r["check"]: r for r in map(json.loads, sys.argv[1].splitlines())}
row = rows[sys.argv[2]]
right = row["verdict"] == sys.argv[3] and sys.argv[4] in row["found"] and sys.argv[5] in row["fix"]
right = right and (row["verdict"] == "skipped" or (row["verdict"] == "ok") == (row["fix"] == ""))
sys.exit(not right)' "$output" "$1" "$2" "$3" "${4:-}"
}
put() { # put PATH TEXT: a file of the host
    mkdir -p "$root${1%/*}"
    printf '%s\n' "$2" >"$root$1"
}
drop() { rm -r "${root:?}$1"; }

# A host of two nodes on which nothing is wrong, and process 4242 is hearthd.
host_make() {
    local node process
    rm -rf "$root"
    put /proc/sys/kernel/osrelease 6.8.0-host
    put /proc/sys/kernel/io_uring_disabled 0
    put /proc/sys/kernel/seccomp/actions_avail "kill_process kill_thread trap errno trace log allow"
    put /proc/sys/vm/max_map_count 65530
    put /proc/sys/vm/overcommit_memory 0
    put /proc/swaps "Filename Type Size Used Priority"
    put /sys/devices/system/clocksource/clocksource0/current_clocksource tsc
    put /sys/devices/system/cpu/online 0-3
    put /sys/devices/system/node/online 0-1
    for node in 0 1; do
        put /sys/devices/system/node/node$node/cpulist $((2 * node))-$((2 * node + 1))
        put /sys/devices/system/node/node$node/meminfo "Node $node MemTotal: 8388608 kB"
        put /sys/devices/system/node/node$node/hugepages/hugepages-2048kB/nr_hugepages 64
        put /sys/devices/system/node/node$node/hugepages/hugepages-2048kB/free_hugepages 8
    done
    put /sys/devices/system/cpu/cpufreq/policy0/scaling_governor performance
    put /sys/devices/system/cpu/cpufreq/policy2/scaling_governor performance
    put /sys/fs/cgroup/cgroup.controllers "cpu memory"
    put /sys/fs/cgroup/hearth.slice/hearthd.service/memory.max max
    put /sys/fs/cgroup/hearth.slice/hearthd.service/cpu.max "max 100000"
    put /sys/kernel/mm/transparent_hugepage/enabled "always [madvise] never"
    put /sys/kernel/mm/transparent_hugepage/shmem_enabled "always within_size [advise] never deny force"
    for process in self 4242; do
        put /proc/$process/status $'Name:\thearthd\nVmSwap:\t0 kB\nCapEff:\t0000000000000000\nSeccomp:\t2\nCpus_allowed_list:\t0-3'
        put /proc/$process/limits $'Max open files  1024  524288  files\nMax locked memory  unlimited  unlimited  bytes'
        put /proc/$process/cgroup 0::/hearth.slice/hearthd.service
    done
}
# weights PAGES [MISSING]: a daemon with weights of 31 and a replica of 33 MiB in such pages on node 1, and so many bytes
# of its reserve that somebody else has
weights() {
    fake_start '{"status": [[0, 0, {"version": "0.1.0", "pid": 4242, "ready": true, "worst": "", "wait": "io_uring",
"wait_reason": "", "bell": "futex", "device": "cpu-v4", "sandbox": "uid 990, Landlock 7, seccomp"}]],
"mem": [[0, 1, {"pool": "2M", "node": 1, "reserve_bytes": 67108864, "missing_bytes": '"${2:-0}"'}],
[0, 1, {"tier": "host", "node": 1, "pages": "'"$1"'", "use": "weights", "mapped_bytes": '$((31 << 20))'}],
[0, 1, {"tier": "host", "node": 1, "pages": "'"$1"'", "use": "replicas", "mapped_bytes": '$((33 << 20))'}],
[0, 1, {"tier": "host", "node": 1, "pages": "'"$1"'", "use": "pools", "mapped_bytes": 4096}],
[0, 0, {"tier": "host", "node": 0, "pages": "4k", "use": "heap", "mapped_bytes": 1099511627776}]]}'
}

# --- nothing is wrong ----------------------------------------------------------------------------
export HEARTH_ROOT=$root
host_make
run 0 doctor -o json
finds kernel ok "Linux 6.8.0-host"
finds seccomp ok "filters"
finds clock ok tsc
finds "huge pages" ok "node 1: 8 of 64 pages of 2.00 MiB are free"
finds "transparent pages" ok "anonymous madvise, shared advise"
finds "locked memory" ok "this shell's limit is none"
finds swap ok off
finds mappings ok 65530
finds nodes ok "node 1: 2 CPUs, 8.00 GiB"
finds GPU ok "no GPU"
finds CPUs ok "0-3 of 4"
finds governor ok performance
finds "control group" ok "this shell's group is /hearth.slice/hearthd.service"
finds socket skipped "No such file" "--socket PATH"
for name in "admin socket" daemon sandbox; do finds "$name" skipped "no daemon"; done
finds "open files" ok 524288
finds unit skipped "no systemd"
weights 2M
run 0 doctor -o json
finds "huge pages" ok "node 0"
finds nodes ok "node 1: 2 CPUs, 8.00 GiB, weights 64.0 MiB"
finds instructions ok cpu-v4
finds daemon ok "pid 4242"
finds sandbox ok "seccomp"
finds "locked memory" ok "the daemon's limit is none"
weights 2M $((4 << 20))
run 0 doctor -o json
finds "huge pages" warn "the daemon lacks 4.00 MiB of its reserve" "hugepages.conf"
weights 2M
placed() { # placed NODE NODES: a daemon with its threads on NODE, whose config names NODES
    fake_start '{"status": [[0, 0, {"version": "0.1.0", "pid": 4242, "worst": "", "node": '"$1"', "nodes": ['"$2"'], "interleave": "0:5 1:1 (config)"}]], "mem": [[0, 0, {}]]}'
}
placed 1 "0, 1"
run 0 doctor -o json
finds nodes ok "interleaved 0:5 1:1 (config)"
put /sys/devices/system/node/node1/cpulist ""
run 0 doctor -o json
finds nodes warn "the daemon's node 1 has no CPU, and its threads run on others" "chcpu -e its CPUs"
placed 0 "0, 1"
run 0 doctor -o json
finds nodes ok "node 1: 0 CPUs"
put /sys/devices/system/node/node1/meminfo "Node 1 MemTotal: 0 kB"
run 0 doctor -o json
finds nodes warn "the daemon's node 1 has no memory" "chmem -e its blocks"
placed 0 "0, 3"
run 0 doctor -o json
finds nodes warn "the daemon's node 3 has no memory" "name another node"
host_make
weights 2M
for node in 0 1; do put /sys/devices/system/node/node$node/access0/initiators/read_bandwidth $((40960 * (2 - node))); done
run 0 doctor -o json
finds nodes ok "interleaved 0:2 1:1 (HMAT)"
for node in 0 1; do drop /sys/devices/system/node/node$node/access0; done
run 0 doctor
check "a line has verdict and name" grep -q '^OK *kernel *Linux 6.8.0-host$' "$folder/stdout"

# --- the kernel ----------------------------------------------------------------------------------
put /proc/sys/kernel/osrelease 5.15.0
run 1 doctor -o json
finds kernel fail "Linux 5.15.0" "Linux 6.1 or later"
run 1 doctor
check "a line has the fix" grep -q '^FAIL *kernel *Linux 5.15.0 -> install Linux 6.1' "$folder/stdout"
put /proc/sys/kernel/osrelease nonsense
run 1 doctor -o json
finds kernel fail "does not tell" "mount"
put /proc/sys/kernel/osrelease 6.1.0
put /proc/sys/kernel/io_uring_disabled 2
drop /proc/sys/kernel/seccomp
put /sys/devices/system/clocksource/clocksource0/current_clocksource hpet
put /proc/sys/vm/max_map_count 1024
put /proc/sys/vm/overcommit_memory 2
run 0 doctor -o json
finds kernel ok "Linux 6.1.0"
finds io_uring warn "kernel.io_uring_disabled is 2" "sysctl -w kernel.io_uring_disabled=0"
finds seccomp warn "no filters" CONFIG_SECCOMP_FILTER
finds clock warn "hpet" clocksource=tsc
finds mappings warn "is 1024" "sysctl -w vm.max_map_count=65530; sysctl -w vm.overcommit_memory=0"

# --- pages ---------------------------------------------------------------------------------------
host_make
weights 4k
run 0 doctor -o json
finds "huge pages" warn "64.0 MiB of weights lie in smaller pages (node1)" "echo 'node1 2M 90' >>/etc/hearth/hugepages.conf"
put /sys/devices/system/node/node1/hugepages/hugepages-2048kB/free_hugepages 34
put /sys/kernel/mm/transparent_hugepage/enabled "always madvise [never]"
put /sys/kernel/mm/transparent_hugepage/shmem_enabled "always within_size advise [never] deny force"
run 0 doctor -o json
finds "huge pages" warn "64.0 MiB of weights" "load these models again"
finds "transparent pages" warn "anonymous never, shared never" "echo madvise >/sys/kernel/mm/transparent_hugepage/enabled; echo advise >"
drop /sys/kernel/mm/transparent_hugepage
for node in 0 1; do put /sys/devices/system/node/node$node/hugepages/hugepages-2048kB/nr_hugepages 0; done
weights 2M
run 0 doctor -o json
finds "transparent pages" warn "none" CONFIG_TRANSPARENT_HUGEPAGE
finds "huge pages" warn "no page of 2 MiB" "systemctl enable --now hearth-hugepages"

# --- what stays in memory ------------------------------------------------------------------------
host_make
weights 4k
put /proc/4242/limits "Max locked memory         8388608              8388608              bytes"
put /proc/swaps $'Filename Type Size Used Priority\n/swapfile file 1048576 0 -2'
run 0 doctor -o json
finds "locked memory" warn "the daemon's limit is 8.00 MiB; 65.0 MiB may have to be locked" "LimitMEMLOCK=infinity"
finds swap warn "on; weights are not locked" "swapoff -a"
put /proc/4242/status $'Name:\thearthd\nVmSwap:\t1024 kB\nCapEff:\t0000000000004000'
run 0 doctor -o json
finds "locked memory" ok "CAP_IPC_LOCK stands above it"
finds swap warn "1.00 MiB of the daemon is swapped out" "MemorySwapMax=0"
put /proc/4242/status $'Name:\tcron\nVmSwap:\t1024 kB'
run 0 doctor -o json
finds "locked memory" ok "this shell's limit is none"

# --- processors and control groups ---------------------------------------------------------------
host_make
put /sys/devices/system/cpu/cpufreq/policy2/scaling_governor powersave
for file in vendor:0x10de class:0x030200 numa_node:1; do put "/sys/bus/pci/devices/0000:3b:00.0/${file%%:*}" "${file#*:}"; done
for file in vendor:0x10de class:0x040300; do put "/sys/bus/pci/devices/0000:3b:00.1/${file%%:*}" "${file#*:}"; done
put /proc/4242/status $'Name:\thearthd\nCpus_allowed_list:\t12'
put /sys/fs/cgroup/hearth.slice/hearthd.service/memory.high 4194304
put /sys/fs/cgroup/hearth.slice/memory.max 33554432
put /sys/fs/cgroup/hearth.slice/hugetlb.2MB.max 0
put /sys/devices/system/cpu/isolated 2-3
put /sys/fs/cgroup/hearth.slice/cpu.max "400000 100000"
put /sys/fs/cgroup/hearth.slice/cpu.stat $'nr_periods 10\nnr_throttled 7'
weights 4k
run 1 doctor -o json
finds governor warn "powersave on 1 of 2" "cpupower frequency-set -g performance"
finds GPU ok "0000:3b:00.0 on node 1"
check "its sound device is no GPU" lacks 0000:3b:00.1
finds CPUs warn "the daemon's CPUs are 12 of 4; 2-3 are isolated" "CPUAffinity="
finds "control group" fail "memory.max of /hearth.slice is 32.0 MiB" "echo 134217728 >/sys/fs/cgroup/hearth.slice/memory.max (MemoryMax= of its unit)"
finds "control group" fail "memory.high of /hearth.slice/hearthd.service is 4.00 MiB" "hearthd.service/memory.high (MemoryHigh="
finds "control group" fail "cpu.max of /hearth.slice is 4.0 CPUs, throttled 7 times" "echo max >/sys/fs/cgroup/hearth.slice/cpu.max"
finds "control group" fail "hugetlb.2MB.max of /hearth.slice is 0 B; weights take 64.0 MiB" "/hugetlb.2MB.max"
weights 2M
run 0 doctor -o json
check "weights in huge pages are not charged to it" lacks "weights outside"
put /proc/4242/cgroup $'0::/caf\xe9\e[2J'
run 0 doctor -o json
finds "control group" ok "the daemon's group is /caf??[2J"
put /proc/4242/cgroup 0::/..
run 0 doctor -o json
finds "control group" skipped "not to be seen from here"
drop /sys/devices/system/cpu/cpufreq
drop /sys/fs/cgroup/cgroup.controllers
run 0 doctor -o json
finds governor skipped "no cpufreq"
finds "control group" skipped "version 1" unified_cgroup_hierarchy

# --- the daemon and its unit ---------------------------------------------------------------------
host_make
put /proc/4242/limits "Max open files  1024  1024  files"
chmod 0666 "$socket"
run 0 doctor -o json
finds "open files" warn "the daemon's limit is 1024" LimitNOFILE=65536
finds socket warn "mode 0666" "chmod o= $socket"
rm "$socket.admin"
run 0 doctor -o json
finds "admin socket" warn "No such file" hearthd-admin.socket
fake_start '{"status": [[0, 0, {"version": "0.0.1", "pid": 4242, "worst": "m@1 failed to load: hearthctl models", "wait": "poll",
"wait_reason": "--wait poll", "bell": "socket", "device": "cpu-v3", "sandbox": "uid 0, capabilities none, no Landlock: ENOSYS"}]],
"mem": [[0, 0, {}]]}'
run 0 doctor -o json
finds daemon warn "hearthd 0.0.1, pid 4242" "systemctl restart hearthd: hearthctl is"
finds daemon warn "m@1 failed to load: hearthctl models" "journalctl -u hearthd"
finds sandbox warn "no Landlock" "see landlock and seccomp; start hearthd with --user NAME"
finds io_uring warn "the daemon waits with poll: --wait poll"
fake_start '{"status": "hang"}'
run 1 --timeout 0.2 doctor -o json
finds socket fail "mode" "does not answer"
finds daemon skipped "no daemon"
exec 8>&-
wait "$fake"
fake=''
run 1 doctor -o json
finds socket fail "nobody listens" "systemctl restart hearthd.socket"
if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null; then
    chmod 0711 "$folder"
    chmod 0660 "$socket"
    cp "$ctl" "$folder/hearthctl"
    output=$(setpriv --reuid 65534 --regid 65534 --clear-groups "$folder/hearthctl" --socket "$socket" doctor -o json)
    check "who may not connect has a failure" [ $? -eq 1 ]
    finds socket fail "not for you" "usermod -aG $(id -gn)"
fi

# unit PROPERTY...: a systemd that says so of the unit
unit() {
    mkdir -p "$root/run/systemd/system" "$folder/bin"
    printf '#!/bin/sh\nprintf "%%s\\n" %s\n' "$*" >"$folder/bin/systemctl"
    chmod +x "$folder/bin/systemctl"
}
rm -f "$socket" "$socket.admin"
PATH=$folder/bin:$PATH
unit LoadState=not-found ActiveState=inactive
run 0 doctor -o json
finds unit skipped "no hearthd.service"
unit LoadState=loaded ActiveState=active Result=success NRestarts=0 NFileDescriptorStore=4 FileDescriptorStoreMax=2048
run 0 doctor -o json
finds unit ok "active, 0 restarts, 4 of 2048 descriptors kept"
unit LoadState=loaded ActiveState=inactive
run 0 doctor -o json
finds unit warn "inactive" "systemctl enable --now hearthd"
unit LoadState=loaded ActiveState=failed Result=exit-code NRestarts=3 NFileDescriptorStore=8 FileDescriptorStoreMax=8
run 1 doctor -o json
finds unit fail "failed, 3 restarts, 8 of 8 descriptors kept; exit-code" "journalctl -u hearthd; systemctl restart hearthd"
finds unit fail "" "larger FileDescriptorStoreMax="

# --- /sys and /proc are missing ------------------------------------------------------------------
rm -rf "$root"
run 1 doctor -o json
finds "huge pages" fail "needs /sys and /proc" "mount -t sysfs"
finds clock skipped "/sys does not tell" "mount -t sysfs"
for name in mappings nodes CPUs "open files"; do finds "$name" skipped "neither /sys nor /proc tells"; done

# --- a real daemon on this host ------------------------------------------------------------------
unset HEARTH_ROOT
PATH=${PATH#"$folder/bin:"}
mkdir -p "$folder/repository"
cp -r tests/data/shoppers/repository/shoppers "$folder/repository/"
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
timeout 60 "$ctl" --socket "$socket" doctor -o json >"$folder/stdout" 2>"$folder/stderr"
output=$(<"$folder/stdout") errors=$(<"$folder/stderr")
finds kernel ok "Linux $(uname -r)"
finds daemon ok "pid $daemon"
check "the daemon is asked what it waits with" grep -q 'the daemon waits with' "$folder/stdout"
check "its own limit is looked at" grep -q "the daemon's" "$folder/stdout"
check "nothing is complained of" [ -z "$errors" ]
if [ "$(uname -m)" = x86_64 ]; then
    HEARTH_CPU=baseline run 0 --socket "$folder/none" doctor -o json
    finds instructions warn cpu-baseline AVX2
fi

# --- a filter of system calls denies io_uring and Landlock: their numbers are the same everywhere --
host_make
output=$(HEARTH_ROOT=$root python3 -c '
import ctypes, os, struct, sys
rules = [(0x20, 0, 0, 0), (0x35, 0, 4, 425), (0x25, 0, 2, 427), (0x35, 0, 2, 444), (0x25, 1, 0, 446),
         (0x06, 0, 0, 0x50001), (0x06, 0, 0, 0x7fff0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *rule) for rule in rules))
program = struct.pack("@HP", len(rules), ctypes.addressof(code))
libc = ctypes.CDLL(None)
sys.exit("no seccomp") if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, program) else None
os.execv(sys.argv[1], sys.argv[1:])' "$ctl" --socket "$folder/none" doctor -o json)
finds io_uring warn "io_uring is not permitted" "seccomp profile allow io_uring_setup"
finds "futex operations" skipped "no io_uring to ask" "see io_uring"
finds landlock warn "Operation not permitted" "landlock_create_ruleset"

# --- stdout that takes no more -------------------------------------------------------------------
if [ -w /dev/full ]; then
    "$ctl" --socket "$socket" doctor -o json >/dev/full 2>"$folder/stderr"
    status=$? output='' errors=$(<"$folder/stderr")
    check "a full disk is a failure (exit $status)" [ "$status" -eq 1 ]
fi

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
