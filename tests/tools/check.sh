# SPDX-License-Identifier: MIT
# tests/tools/check.sh - for tests to source: commands that shall succeed, and what they said if they do not
#
# Counts in $passed and $failed, and what cannot be tested here in $skipped.
passed=0 failed=0 skipped=0

# check SENTENCE COMMAND...
check() {
    local sentence=$1 text
    shift
    if text=$("$@" 2>&1); then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL: $sentence: $*"
        echo "  | ${text//$'\n'/$'\n'  | }"
    fi
}
skip() { skipped=$((skipped + 1)); echo "SKIP: $1"; }
