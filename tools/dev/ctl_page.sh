#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tools/dev/ctl_page.sh - prints hearthctl(1) with the list of commands that `hearthctl --list-commands` prints
#
#     tools/dev/ctl_page.sh >page.new && mv page.new tools/hearthctl/hearthctl.1
#
# The rest of the page stands in the page itself.
set -euo pipefail
cd "$(dirname "$0")/../.."
"${BUILD:-build}/bin/hearthctl" --list-commands | LC_ALL=C awk -F '\t' '
FNR == NR { count++; name[count] = $1; arguments[count] = $2; summary[count] = $3; next }
/^\.\\" The list ends/ { is_list = 0 }
!is_list { print }
/^\.\\" The list is made/ {
    is_list = 1
    print ".Bl -tag -width \"model check\" -compact"
    for (at = 1; at <= count; at++)
        printf ".It Cm %s%s\n%s\n", name[at], arguments[at] ? " Ar " arguments[at] : "", summary[at]
    print ".El"
}' - tools/hearthctl/hearthctl.1
