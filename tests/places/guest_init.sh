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
