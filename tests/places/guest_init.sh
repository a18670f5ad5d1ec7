#!/bin/sh
# SPDX-License-Identifier: MIT
# tests/places/guest_init.sh - the first program of the guest that tests/places/test_guest.sh boots
#
# Prints what the tests print, and a line "guest: ok SENTENCE" or "guest: FAIL SENTENCE" for each
# check of its own; the last line is "guest: end".
export PATH=/bin BUILD=build TMPDIR=/tmp CK_DEFAULT_TIMEOUT=100
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/shm /tmp /run
mount -t tmpfs tmpfs /dev/shm
ln -s /proc/self/fd /dev/fd
cd /hearth || exit 1
echo "guest: linux $(uname -r), $(cut -d' ' -f1 /proc/uptime) s"

check() { # check SENTENCE COMMAND...
    sentence=$1
    shift
    if "$@"; then echo "guest: ok $sentence"; else echo "guest: FAIL $sentence"; fi
}
has() { # has PATTERN COMMAND...: its output has such a line
    pattern=$1
    shift
    "$@" 2>&1 | grep -Eq "$pattern" || { "$@" 2>&1; return 1; }
}
await() {
    turns=300
    until "$@" >/dev/null 2>&1; do
        turns=$((turns - 1))
        [ $turns -gt 0 ] || return 1
        sleep 0.1
    done
}
free_pages() { cat /sys/devices/system/node/node"$1"/hugepages/hugepages-2048kB/free_hugepages; }

# --- pools by node: 16 pages each from the kernel's command line -------------------------------------
all_pages() { cat /sys/devices/system/node/node"$1"/hugepages/hugepages-2048kB/nr_hugepages; }
are_pages() { [ "$(all_pages 0) $(all_pages 1) $(all_pages 2)" = "$*" ]; }
pages() { # pages VERB LINE...: with a file of these lines
    verb=$1
    shift
    printf '%s\n' "$@" >/run/pages.conf
    sh hearth-hugepages.sh "$verb" /run/pages.conf
}
short_pages() { ! pages start "$@"; }
check "pages are reserved where they are wanted" pages start "node0 2M 24" "node1 2M 10" "node2 2M 20"
check "and nowhere else" are_pages 24 16 20
check "and are given back" pages stop
check "to what was there" are_pages 16 16 16
check "a node that is too small is named, with what it could have" \
    has 'pages.conf:2: node2 cannot have so many pages of 2M: 500 wanted, [0-9]+ got; run ' \
    pages start "node0 2M 24" "node2 2M 500"
check "and nothing of that is kept" are_pages 16 16 16
check "which is an error" short_pages "node2 2M 500"
check "and leaves the node its own" are_pages 16 16 16

# --- a daemon on a node with a processor, and on one without ----------------------------------------
for node in 0 2; do
    socket=/run/node$node
    before=$(free_pages $node)
    build/bin/hearthd --repository tests/data/shoppers/repository --socket $socket --node $node 2>/run/log$node &
    pid=$!
    check "a daemon starts on node $node" await has 'ready *yes' build/bin/hearthctl -s $socket status
    check "the weights are on node $node" \
        has "^host +$node +2M +weights" build/bin/hearthctl -s $socket mem
    check "and the kernel says so, too" [ "$(free_pages $node)" -lt "$before" ]
    check "every page of it has an owner" has "^unaccounted 0 B" build/bin/hearthctl -s $socket mem
    check "it answers requests there" has '100 requests' build/bin/hearthctl -s $socket ping --count 100
    if [ $node -eq 0 ]; then
        check "the bell is $(cat /hearth/bell)" \
            has "bell *$(cat /hearth/bell)" build/bin/hearthctl -s $socket status
    fi
    kill $pid
    wait $pid
    check "it ends well" [ $? -eq 0 ]
    check "and gives its pages back" [ "$(free_pages $node)" -eq "$before" ]
done

# --- a reserve of each node, which another program cannot drain ----------------------------------------
reserve() { # reserve SOCKET MODELS WANTED...
    socket=$1 models=$2
    shift 2
    exec build/bin/hearthd --repository tests/data/shoppers/repository --socket "$socket" --node 2 --load "$models" --reserve "$*"
}
reserves() { (reserve "$@"); }
free_are() { [ "$(free_pages 0) $(free_pages 1) $(free_pages 2)" = "$*" ]; }
ctl() { build/bin/hearthctl -s /run/reserve "$@"; }
check "a reserve that a node has not got is refused, and the node is named" \
    has 'node 2 has too few free pages of 2 MiB: wanted 20, got 16; make more: echo 20 > /sys/devices/system/node/node2/' \
    reserves /run/reserve none 0:2M:16M 2:2M:40M
check "and nothing of it is kept" free_are 16 16 16
reserve /run/reserve latest 0:2M:16M 1:2M:8M 2:2M:24M 2>/run/reserve.log &
pid=$!
check "a daemon starts with a reserve of three nodes" await has 'ready *yes' ctl status
check "each node gives its own, whatever models have of it" await free_are 8 12 4
check "and mem tells of it" has '^host +0 +2M +reserve +nobody yet +0 B +16.0+ MiB +16.0+ MiB' ctl mem
check "models lie in it" has '^host +2 +2M +weights' ctl mem
check "every page of it has an owner" has "^unaccounted 0 B" ctl mem
reserve /run/other none 0:2M:16M 1:2M:24M 2:2M:8M 2>/run/other.log &
other=$!
check "when another program has all the rest" await free_are 0 0 0
check "a model goes" ctl unload shoppers
check "and its pages are the reserve's again" await has '^host +2 +2M +reserve +nobody yet +0 B +24.0+ MiB +24.0+ MiB' ctl mem
check "and one comes" ctl load shoppers
check "which lies there, too" has '^host +2 +2M +weights' ctl mem
for process in $other $pid; do
    kill "$process"
    wait "$process"
    check "it ends well" [ $? -eq 0 ]
done
check "and gives all of it back" free_are 16 16 16

# --- a node whose memory goes while a daemon runs, and its processors ---------------------------------
mkdir -p /run/models
cp -r tests/data/shoppers/repository/shoppers /run/models/near
cp -r tests/data/shoppers/repository/shoppers /run/models/later
cp -r tests/data/shoppers/repository/shoppers /run/models/far
printf '%s\n' 'tables = interleave' 'load = none' '[model near]' 'load = latest' '[model far]' 'tables = node 3' >/run/going.conf
ctl() { build/bin/hearthctl -s /run/going "$@"; }
refused() { ! ctl load far; }
build/bin/hearthd --config /run/going.conf --repository /run/models --socket /run/going --node 1 2>/run/going.log &
pid=$!
await has 'ready *yes' ctl status
check "what is interleaved is dealt out as the firmware says" has 'interleave *0:4 1:4 2:2 3:1 .HMAT' ctl status
check "and mem says so" has 'dealt out 0:4 1:4 2:2 3:1 .HMAT' ctl mem
for state in /sys/devices/system/node/node3/memory[0-9]*/state; do echo offline >$state; done
check "a node's memory goes" has 'MemTotal: +0 kB' cat /sys/devices/system/node/node3/meminfo
check "status names it" has 'worst *node 3 has no memory: hearthctl doctor' ctl status
check "what is served goes on" has '100 requests' ctl ping --count 100
check "a load that names it is refused" \
    has 'node 3 has no memory to bind to; the nodes with memory are: 0 1 2' ctl load far
check "which is an error" refused
check "others are dealt out to those that are there" has 'interleave *0:2 1:2 2:1 .HMAT' ctl status
check "and loaded" ctl load later
check "doctor names it" has "WARN +nodes .*the daemon's node 3 has no memory" ctl doctor
echo 0 >/sys/devices/system/cpu/cpu1/online
check "without its processors it serves, too" has '100 requests' ctl ping --count 100
check "and doctor says where" has "the daemon's node 1 has no CPU, and its threads run on others" ctl doctor
echo 1 >/sys/devices/system/cpu/cpu1/online
kill $pid
wait $pid
check "and it ends well" [ $? -eq 0 ]

# --- a node whose processors are offline, and one that is not there ------------------------------------
echo 0 >/sys/devices/system/cpu/cpu1/online
build/bin/hearthd --repository tests/data/shoppers/repository --socket /run/node1 --node 1 2>/run/log1 &
pid=$!
check "a daemon starts on a node whose processors are offline" \
    await has 'ready *yes' build/bin/hearthctl -s /run/node1 status
check "and has its memory there" has "^host +1 +2M +weights" build/bin/hearthctl -s /run/node1 mem
kill $pid
wait $pid
echo 1 >/sys/devices/system/cpu/cpu1/online
for node in 3 5; do # without memory, and not there
    check "node $node is refused, and those with memory are named" \
        has "node $node has no memory to bind to; the nodes with memory are: 0 1 2" \
        build/bin/hearthd --repository tests/data/shoppers/repository --socket /run/node$node --node $node
done
printf '%s\n' '[nodes]' 'bandwidth = 0:2 3:1' >/run/bandwidth.conf
check "and one of which the config tells a bandwidth, too" \
    has 'node 3 has no memory to bind to' \
    build/bin/hearthd --repository tests/data/shoppers/repository --socket /run/node0 --config /run/bandwidth.conf
check "workers on a node without processors are refused, and where they could be is told" \
    has 'node 2 has no CPU that hearthd may run on; the nodes with some are: 0 1$' \
    build/bin/hearthd --repository tests/data/shoppers/repository --socket /run/node3 --worker-nodes 0,2

# --- the tests of places, here -----------------------------------------------------------------------
export CK_RUN_CASE=brief
[ ! -e /hearth/all ] || unset CK_RUN_CASE
while read -r test; do
    build/tests/"$test"
    echo "guest: exit $? $test, $(cut -d' ' -f1 /proc/uptime) s"
done </hearth/tests.list
echo "guest: end"
sleep 0.1
busybox poweroff -f
