#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tests/systemd/test_hugepages.sh - pools get what is configured, or say what they lack; stop undoes it
#
# The pools are files in a folder that stands in for /sys; tests/places/test_guest.sh has real ones, on
# three nodes. One that cannot grow is a link to a number of the kernel's that nobody can change.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export HEARTH_SYS=$folder/sys RUNTIME_DIRECTORY=$folder/run
fixed=/proc/sys/kernel/ngroups_max
passed=0 failed=0 skipped=0 shell=sh

check() { # check SENTENCE COMMAND...
    local sentence=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL ($shell): $sentence"
        sed 's/^/  | /' "$folder/said"
    fi
}
pool() { echo "$HEARTH_SYS/devices/system/node/$1/hugepages/hugepages-$2kB/nr_hugepages"; }
all() { echo "$HEARTH_SYS/kernel/mm/hugepages/hugepages-$1kB/nr_hugepages"; }
has() { [ "$(cat "$1")" = "$2" ]; }
says() { grep -qF -- "$1" "$folder/said"; }

pages() { # pages VERB LINE...: with a file of these lines; its exit status
    local verb=$1
    shift
    printf '%s\n' "$@" >"$folder/pages.conf"
    # shellcheck disable=SC2086
    PATH=$folder/bin:$PATH $shell systemd/hearth-hugepages.sh "$verb" "$folder/pages.conf" >"$folder/said" 2>&1
}
refuses() { ! pages start "$@"; }

machine() { # two nodes with pages of 2 MiB and 1 GiB; node1 has 5 of the first
    local node kib
    rm -rf "${folder:?}"/{sys,run,bin}
    for kib in 2048 1048576; do
        for node in node0 node1; do
            mkdir -p "$(dirname "$(pool $node $kib)")"
            echo 0 | tee "$(pool $node $kib)" >"$(dirname "$(pool $node $kib)")/free_hugepages"
        done
        mkdir -p "$(dirname "$(all $kib)")"
        echo 5 >"$(all $kib)"
    done
    echo 5 >"$(pool node1 2048)"
}

whole() {
    machine
    check 'what is configured is there' pages start '# a comment' '' 'node0 2M 12 # here' 'node1 2M 8' 'node0 1G 2'
    check 'on the first node' has "$(pool node0 2048)" 12
    check 'on the second' has "$(pool node1 2048)" 8
    check 'of the larger size' has "$(pool node0 1048576)" 2
    check 'status shows it' pages status 'node0 2M 12'
    check 'with its figures' says 'node0 2M: 12 wanted, 12 there, 0 of them free'
    echo 20 >"$(pool node0 2048)" # somebody else adds 8
    check 'it stops' pages stop
    check 'and takes away what it added' has "$(pool node0 2048)" 8
    check 'but no more than that' has "$(pool node1 2048)" 5
    check 'of the larger size, too' has "$(pool node0 1048576)" 0
    check 'a second stop is well' pages stop
    check 'and does nothing' has "$(pool node1 2048)" 5

    machine
    check 'a pool that has more keeps it' pages start 'node1 2M 3'
    check 'as it was' has "$(pool node1 2048)" 5
    check 'a second start adds what is wanted now' pages start 'node1 2M 6'
    check 'up to that' has "$(pool node1 2048)" 6
    check 'a last line may lack its end' eval 'printf "any 2M 9" >"$folder/pages.conf" &&
        $shell systemd/hearth-hugepages.sh start "$folder/pages.conf"'
    check 'and is obeyed' has "$(all 2048)" 9
    pages stop
    check 'stop undoes both' has "$(pool node1 2048)" 5
    check 'on all nodes, too' has "$(all 2048)" 5
}

shortage() {
    local got
    got=$(cat "$fixed")
    machine
    ln -sf "$fixed" "$(pool node1 2048)"
    check 'a shortage is an error' refuses 'node0 2M 12' "node1 2M $((got + 1))"
    check 'that names the line, the node and the size' says "pages.conf:2: node1 cannot have so many pages of 2M"
    check 'wanted and got' says "$((got + 1)) wanted, $got got"
    check 'and the command that mends it' says 'systemctl restart hearth-hugepages'
    check 'what was added elsewhere is given back' has "$(pool node0 2048)" 0
    echo 2 >"$(dirname "$(pool node0 2048)")/surplus_hugepages"
    check 'pages that go with their users are not there' refuses 'node0 2M 12'
    check 'and not counted' says 'node0 cannot have so many pages of 2M: 12 wanted, 10 got'
    ln -sf "$fixed" "$(pool node1 1048576)"
    check 'so it is with the larger pages' refuses "node1 1G $((got + 1))"
    check 'for which the kernel is told at boot' says "hugepagesz=1G hugepages=1:$((got + 1))"

    machine
    mkdir "$folder/bin"
    ln -sf "$fixed" "$(all 2048)"
    cat >"$folder/bin/hugeadm" <<FAKE
#!/bin/sh
echo "\$*" >"$folder/asked"
rm "$(all 2048)"
echo $((got + 1)) >"$(all 2048)"
FAKE
    chmod +x "$folder/bin/hugeadm"
    check 'hugeadm helps with the pool of all nodes' pages start "any 2M $((got + 1))"
    check 'and tries hard' has "$folder/asked" "--hard --pool-pages-min 2M:$((got + 1))"
}

mistakes() {
    machine
    check 'a word for a node' refuses 'zero 2M 1'
    check 'is called so' says "pages.conf:1: 'zero' is no node"
    check 'a node that is not there' refuses 'node0 2M 1' 'node7 2M 1'
    check 'is named with those that are' says "there is no node7 here: node0 node1 are there"
    check 'before anything is added' has "$(pool node0 2048)" 0
    check 'a size that the kernel lacks' refuses 'node0 4M 1'
    check 'is named with those that it has' says 'no pages of 4M: 1G 2M are its sizes'
    for line in 'node0 2 1' 'node0 M 1' 'node0 -2M 1' 'node0 02M 1' 'node0 2MB 1' 'node0 2M' 'node0 2M -1' \
        'node0 2M 1x' 'node0 2M 007' 'node0 2M 99999999999' 'node0 2M 1 2' 'node0' '../node0 2M 1' 'node0/../node0 2M 1'; do
        check "'$line' is refused" refuses "$line"
        check "with the line's number" says 'pages.conf:1: '
    done
    check 'a file that is not there is refused' eval '! $shell systemd/hearth-hugepages.sh start "$folder/none" 2>"$folder/said"'
    check 'by name' says "$folder/none cannot be read"
    $shell systemd/hearth-hugepages.sh begin 2>/dev/null
    check 'an unknown verb is wrong usage' test $? -eq 2
}

for shell in sh bash 'busybox sh'; do
    command -v "${shell%% *}" >/dev/null || { skipped=$((skipped + 1)); echo "SKIP: ${shell%% *} is missing"; continue; }
    whole
    shortage
    mistakes
done
if command -v hugeadm >/dev/null && [ -d /sys/kernel/mm/hugepages/hugepages-2048kB ]; then
    words=$(hugeadm --help 2>&1)
    check 'the real hugeadm takes the same words' eval '[[ $words == *--pool-pages-min* && $words == *--hard* ]]'
else
    skipped=$((skipped + 1))
    echo 'SKIP: hugeadm is missing (package libhugetlbfs-bin)'
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
