#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tools/dev/metrics_page.sh - prints hearth-metrics(7), out of what `hearthd --list-metrics` prints
#
#     tools/dev/metrics_page.sh >daemon/hearth-metrics.7
set -euo pipefail
cd "$(dirname "$0")/../.."
cat <<'PAGE'
.\" SPDX-License-Identifier: MIT
.\" Made by tools/dev/metrics_page.sh; what is told here stands in daemon/ops/metrics/metrics.c.
.Dd November 27, 2026
.Dt HEARTH-METRICS 7
.Os
.Sh NAME
.Nm hearth-metrics
.Nd what hearthd tells Prometheus
.Sh DESCRIPTION
.Xr hearthd 8
answers
.Li GET /metrics
over HTTP, in Prometheus' text format, on the socket that
.Pa hearth-metrics.socket
hands to it, and else on the Unix socket that
.Fl -metrics-socket
names.
Each figure is the daemon's own, read where it is kept: a scrape costs the data
thread nothing, and the control thread less than a millisecond.
Counters begin at 0 when the daemon starts, those of a version when it is
loaded.
PAGE
"${BUILD:-build}/bin/hearthd" --list-metrics | LC_ALL=C awk -F '\t' '
function title_of(dimension) {
    if (dimension == "business") return "What is asked and answered"
    return dimension == "software" ? "The inner life of the daemon" : "Memory, CPU and files"
}
$3 != dimension {
    if (dimension) print ".El"
    dimension = $3
    printf ".Ss %s\n.Bl -tag -width Ds\n", title_of(dimension)
}
{
    labels = $4
    gsub(/ /, ", ", labels)
    printf ".It Li %s Pq %s%s\n%s\n", $1, $2, labels ? "; " labels : "", $5
}
END { print ".El" }'
cat <<'PAGE'
.Sh FILES
.Bl -tag -width Ds
.It Pa share/hearth/hearth.rules.yml
Rules for Prometheus: recorded ratios, and alerts that name the command to look
at what they tell.
.It Pa share/hearth/hearth.dashboard.json
A dashboard for Grafana, which reads what these rules record.
.El
.Sh SEE ALSO
.Xr hearthctl 1 ,
.Xr hearthd 8
PAGE
