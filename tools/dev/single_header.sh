#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tools/dev/single_header.sh HEADER - HEADER with every "shm/..." include put in its place, once
set -euo pipefail
awk '
function emit(path,    line, name) {
    if (seen[path]++) return
    while ((getline line < path) > 0) {
        if (line ~ /^#include "(shm|client)\//) {
            name = line
            sub(/^#include "/, "", name)
            sub(/".*/, "", name)
            emit(name)
        } else {
            print line
        }
    }
    close(path)
}
BEGIN { emit(ARGV[1]); exit }
' "$1"
