#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tests/systemd/inside/session.sh - what an operator does with hearthd, in the system that test_boot.sh
# has booted
#
# Prints "ok: SENTENCE" or "FAIL: SENTENCE" for each check; the last line is "end". What is built upon
# a check that fails is not looked at.
set -u
models=/var/lib/hearth/models/shoppers
socket=/run/hearth/hearth.sock
stop=/run/visitor.stop

check() { # check SENTENCE COMMAND...
    local sentence=$1 text
    shift
    if text=$("$@" 2>&1); then
        echo "ok: $sentence"
    else
        echo "FAIL: $sentence"
        [ -z "$text" ] || tail -n 12 <<<"$text" | sed 's/^/  | /'
        return 1
    fi
}
await() { # await COMMAND...: what happens at all happens within this time
    local turn
    for ((turn = 0; turn < 300; turn++)); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.05
    done
    echo "waited in vain for: $*"
    return 1
}
fails() { ! "$@"; }
has() { # has PATTERN COMMAND...: a line of what it prints
    local pattern=$1 text
    shift
    text=$("$@" 2>&1)
    grep -Eq -- "$pattern" <<<"$text" || { echo "$text"; return 1; }
}
shows() { # shows PROPERTY VALUE [UNIT]
    has "^$2\$" systemctl show -P "$1" "${3:-hearthd.service}"
}
current() { has "^shoppers@$1 +serving, current" hearthctl models; }
publish() { # publish FROM VERSION
    cp -r "/models/$1" "$models/$2"
}
# So many daemons have served what systemd kept.
served_kept() { has "^$1\$" eval 'journalctl -q -u hearthd | grep -c "as it was kept"'; }
holds() { shows NFileDescriptorStore "$1"; }
scrape() { # the metrics, as Prometheus asks for them
    exec 3<>/dev/tcp/127.0.0.1/9917 || return
    printf 'GET /metrics HTTP/1.1\r\nHost: hearth\r\nConnection: close\r\n\r\n' >&3
    cat <&3
    exec 3>&-
}
# The visitor has connected for the Nth time, and was answered.
visitor_is_back() { await grep -qx "answered $1" /run/visitor; }

# --- activation -------------------------------------------------------------------------------------------
check 'the units can be enabled' systemctl enable hearthd.service hearth-hugepages.service
check 'enabling the service enables its sockets' systemctl is-enabled hearthd.socket hearthd-admin.socket hearth-metrics.socket
check "the models' folder is there before the first start" cp -rT /models/first "$models"
check 'the sockets start' systemctl start hearthd.socket hearthd-admin.socket
check 'the daemon does not run' shows ActiveState inactive
check 'who may infer is a group' has '^660 hearth hearth$' stat -c '%a %U %G' "$socket"
check 'who may load is the user' has '^600 hearth hearth$' stat -c '%a %U %G' "$socket.admin"
check 'a stranger cannot connect' fails setpriv --reuid 65534 --clear-groups hearthctl ping --count 1
check 'nobody has started it by that' shows ActiveState inactive
check 'a client that comes before the daemon is served' has '10 requests' hearthctl ping --count 10
check 'and has started it' await shows ActiveState active || exit
check 'a member of the group is served' has '10 requests' \
    setpriv --reuid 65534 --regid "$(getent group hearth | cut -d: -f3)" --clear-groups hearthctl ping --count 10
check 'and may not load' fails \
    setpriv --reuid 65534 --regid "$(getent group hearth | cut -d: -f3)" --clear-groups hearthctl load shoppers
check 'the huge pages came before' has '^3$' cat "$HEARTH_SYS/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages"
check 'it is in its slice' shows Slice hearth.slice
check 'it is user hearth' has '^hearth$' ps -o user= -p "$(systemctl show -P MainPID hearthd)"
check 'it has seccomp beside what the unit denies' has 'sandbox.*seccomp' hearthctl status
check 'it has the sockets from systemd' has "the sockets are systemd's" journalctl -q -u hearthd
check 'it has a stats page, for its group' has '^640 hearth hearth$' stat -c '%a %U %G' "$socket.stats"
check 'which can be read without it' has '"ready": *true' hearthctl -o json status --page
check 'it has no network' has '^yes$' systemctl show -P PrivateNetwork hearthd
check 'and tells Prometheus its metrics' has '^hearth_ready 1' scrape

# --- readiness ----------------------------------------------------------------------------------------------
check 'a restart ends' systemctl restart hearthd
check 'when the models are served' current 1
check 'and the daemon says so' has '"ready": *true' hearthctl -o json status
check 'a restart is no failure' shows NRestarts 0
check 'what it serves was kept' served_kept 1
check 'a version is two descriptors, beside two manifests' holds 4

# --- reload -------------------------------------------------------------------------------------------------
pid=$(systemctl show -P MainPID hearthd)
publish second 2
check 'a reload ends well' systemctl reload hearthd
check 'when the new version is current' current 2
mkdir "$models/3" && echo 'this is no model' >"$models/3/model.onnx"
check 'a reload that cannot load fails' fails systemctl reload hearthd
check 'and says why' has 'shoppers@3' journalctl -q -u hearthd
check 'and what served serves' current 2
check 'and the service is up' shows ActiveState active
rm -r "${models:?}/3"
check 'by signal it works, too' eval 'publish first/1 4 && systemctl kill -s HUP --kill-whom=main hearthd && await current 4'
check 'it was one process all the time' shows MainPID "$pid"
check 'what is no longer served is not kept' await holds 4

# --- one that hangs, one that is killed, one that is restarted, without the files of the models --------------
find "$models" -name 'model.*' -delete
visitor "$socket" shoppers "$stop" >/run/visitor 2>&1 &
visitor=$!
check 'a client asks without end' visitor_is_back 1 || exit
kill -STOP "$(systemctl show -P MainPID hearthd)"
check 'a daemon that is stopped is started again' await shows NRestarts 1
check 'by the watchdog' has 'Watchdog timeout' journalctl -q -u hearthd
check 'and its client is back' visitor_is_back 2
check 'and answered from what was kept' served_kept 2
kill -KILL "$(systemctl show -P MainPID hearthd)"
check 'one that comes between two daemons is served' has '1 requests' hearthctl ping --count 1
check 'a daemon that is killed is started again' await shows NRestarts 2
check 'and its client is back' visitor_is_back 3
check 'and answered from what was kept' served_kept 3
check 'systemd executes itself again' systemctl daemon-reexec
check 'a restart ends' systemctl restart hearthd
check 'and its client is back' visitor_is_back 4
check 'and answered from what was kept' served_kept 4
check 'it is the version that was current' current 4
check 'Prometheus is answered again' has '^hearth_ready 1' scrape
touch "$stop"
wait "$visitor"
check 'the client has connected once for each' has 'connections 4 refused 0 lost [0-3] wrong 0$' tail -n 1 /run/visitor

# --- one that is stopped ------------------------------------------------------------------------------------
check 'it stops' systemctl stop hearthd
check 'and nothing is kept' await holds 0
publish first/1 5
check 'one that is started' systemctl start hearthd
check 'reads the files' current 5
check 'and has nothing that was kept' served_kept 4

# --- the end ------------------------------------------------------------------------------------------------
check 'it stops' systemctl stop hearthd.service hearthd.socket hearthd-admin.socket hearth-metrics.socket hearth-hugepages.service
check 'cleanly' shows Result success
check 'with its last words' has 'stopped$' journalctl -q -u hearthd -n 5
check 'the sockets are gone' test ! -e "$socket" -a ! -e "$socket.admin"
check 'and nobody starts it' fails hearthctl ping --count 1
check 'the huge pages are given back' has '^1$' cat "$HEARTH_SYS/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages"
check 'systemd has no complaint about the units' fails has "(hearth[^ ]*\.(service|socket|slice):[0-9]+|/hearth[^ ]*: )" \
    journalctl -q -b _PID=1
echo end
