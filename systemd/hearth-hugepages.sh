#!/bin/sh
# SPDX-License-Identifier: MIT
# systemd/hearth-hugepages.sh start|stop|status [FILE] - huge pages by node and size, as configured
#
# FILE (/etc/hearth/hugepages.conf) has lines NODE SIZE PAGES. start lets each pool have at least so
# many pages and reads back what it got: all of them, or an error and none of those that were added.
# stop takes away what start added, and nothing else. What was added stands in $RUNTIME_DIRECTORY.
# It runs before anything else is installed for it, so it keeps to POSIX sh; where hugeadm is there it
# helps with the pool of all nodes. HEARTH_SYS stands in for /sys in the tests.
set -u
sys=${HEARTH_SYS:-/sys}
state=${RUNTIME_DIRECTORY:-/run/hearth-hugepages}
added=$state/added

complain() { echo "hearth-hugepages: $*" >&2; }

pools() { # pools NODE: the folder with one folder for each size
    if [ "$1" = any ]; then echo "$sys/kernel/mm/hugepages"; else echo "$sys/devices/system/node/$1/hugepages"; fi
}
sizes() { # sizes FOLDER: "2M 1G"
    for size in "$1"/hugepages-*kB; do
        size=${size##*/hugepages-}
        kib=${size%kB}
        case $kib in
        *[!0-9]*) continue ;;
        esac
        if [ $((kib % 1048576)) -eq 0 ]; then printf '%s ' "$((kib / 1048576))G"
        elif [ $((kib % 1024)) -eq 0 ]; then printf '%s ' "$((kib / 1024))M"
        else printf '%s ' "${kib}K"; fi
    done
}
nodes() { # "node0 node1"
    for node in "$sys"/devices/system/node/node[0-9]*; do
        [ -d "$node/hugepages" ] && printf '%s ' "${node##*/}"
    done
}
size_kib() { # size_kib 2M: 2048
    case ${1%[KMG]} in
    "$1" | '' | 0* | *[!0-9]* | ??????*) return 1 ;;
    esac
    case $1 in
    *K) echo "${1%K}" ;;
    *M) echo $((${1%M} * 1024)) ;;
    *G) echo $((${1%G} * 1048576)) ;;
    esac
}

# Those that stay when they are not in use any more. A pool that was lowered beneath what is in use
# counts the rest as surplus, which goes back with its last user.
lasting() { # lasting POOL
    surplus=0
    [ ! -e "${1%/*}/surplus_hugepages" ] || surplus=$(cat "${1%/*}/surplus_hugepages")
    echo $(($(cat "$1") - surplus))
}

# --- one line -------------------------------------------------------------------------------------------
# Each of these speaks of $place (file:line), $node, $size, $wanted; $pool is the file with the count.

line_check() {
    case $node in
    any | node[0-9] | node[0-9][0-9] | node[0-9][0-9][0-9] | node[0-9][0-9][0-9][0-9]) ;;
    *) complain "$place: '$node' is no node: node0, node1, ... or any is wanted"; return 1 ;;
    esac
    if ! kib=$(size_kib "$size"); then
        complain "$place: '$size' is no size of pages: 2M or 1G, say, is wanted"
        return 1
    fi
    case $wanted in
    '' | 0?* | *[!0-9]* | ??????????*) complain "$place: '$wanted' is no number of pages"; return 1 ;;
    esac
    if [ -n "$rest" ]; then
        complain "$place: '$rest' is one word too many: NODE SIZE PAGES is wanted"
        return 1
    fi
    folder=$(pools "$node")
    if [ ! -d "$folder" ]; then
        complain "$place: there is no $node here: $(nodes)are there (lscpu)"
        return 1
    fi
    pool=$folder/hugepages-${kib}kB/nr_hugepages
    if [ ! -e "$pool" ]; then
        complain "$place: this kernel has no pages of $size: $(sizes "$folder")are its sizes"
        return 1
    fi
}

# Moves what can be moved, so that the rest of the memory is in larger pieces, and asks once more.
pool_press() {
    if [ "$node" != any ]; then
        { echo 1 >"$sys/devices/system/node/$node/compact"; } 2>/dev/null
        { echo "$wanted" >"$pool"; } 2>/dev/null
    elif command -v hugeadm >/dev/null; then
        hugeadm --hard --pool-pages-min "$size:$wanted" >/dev/null 2>&1
    else
        { echo 1 >/proc/sys/vm/compact_memory; } 2>/dev/null
        { echo "$wanted" >"$pool"; } 2>/dev/null
    fi
}

shortage_tell() {
    if [ "$kib" -ge 1048576 ]; then
        count=$wanted
        [ "$node" = any ] || count=${node#node}:$wanted
        mend="boot with 'hugepagesz=$size hugepages=$count' on the kernel's command line"
    else
        mend="run 'sync; echo 3 >/proc/sys/vm/drop_caches; systemctl restart hearth-hugepages'"
    fi
    complain "$place: $node cannot have so many pages of $size: $wanted wanted, $got got; $mend, or ask for fewer"
}

line_raise() {
    before=$(lasting "$pool")
    [ "$before" -lt "$wanted" ] || return 0
    { echo "$wanted" >"$pool"; } 2>/dev/null
    [ "$(lasting "$pool")" -ge "$wanted" ] || pool_press
    got=$(lasting "$pool")
    [ "$got" -le "$before" ] || echo "$node $kib $((got - before))" >>"$added"
    [ "$got" -ge "$wanted" ] || { shortage_tell; return 1; }
}

# --- all of them ----------------------------------------------------------------------------------------

lines_each() { # lines_each COMMAND...: for each line of the file; ends with the first that fails
    number=0
    while read -r node size wanted rest || [ -n "$node" ]; do
        number=$((number + 1))
        place=$file:$number
        case $node in
        '' | '#'*) continue ;;
        esac
        case $rest in
        '#'*) rest= ;;
        esac
        for step in "$@"; do "$step" || return 1; done
    done <"$file"
}

give_back() {
    [ -e "$added" ] || return 0
    while read -r node kib count; do
        pool=$(pools "$node")/hugepages-${kib}kB/nr_hugepages
        now=$(lasting "$pool") || continue
        left=$((now > count ? now - count : 0))
        { echo "$left" >"$pool"; } 2>/dev/null
        now=$(cat "$pool")
        [ "$now" -le "$left" ] ||
            complain "$node: $((now - left)) pages of $kib KiB are in use still and go back when they are not"
    done <"$added"
    rm -f "$added"
}

line_show() { echo "$node $size: $wanted wanted, $(cat "$pool") there, $(cat "${pool%/*}/free_hugepages") of them free"; }

verb=${1:-}
file=${2:-/etc/hearth/hugepages.conf}
case $verb in
start | status)
    [ -r "$file" ] || { complain "$file cannot be read; share/doc/hearth/examples/hugepages.conf shows how"; exit 1; }
    ;;
stop) ;;
*)
    echo "usage: hearth-hugepages start|stop|status [FILE]" >&2
    exit 2
    ;;
esac
case $verb in
start)
    lines_each line_check || exit 1
    mkdir -p "$state" || exit 1
    lines_each line_check line_raise || { give_back; exit 1; }
    ;;
status) lines_each line_check line_show || exit 1 ;;
stop) give_back ;;
esac
