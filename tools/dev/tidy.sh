#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tools/dev/tidy.sh [ROOT] - who may include whom, names, barrier pairs, and a few banned things
#
# Prints "file:line: rule: sentence" for each violation and exits 1 when there is one. Rules:
#   include    the rooms' table; daemon/ is a staircase: a room sees itself and those below
#   top-level  the fixed names at the top; build*/ is ignored
#   name       no drawers: utils, common, helpers, ...
#   spdx       the first line (after #!) of every source file
#   barrier    an ordered access has a label in the 6 lines above it (not in tests/, where flags stop
#              threads); labels are in pairs, one of a name a room
#   marker     work left for later does not merge
#   call       string functions without bounds
#   log        only main.c, ops/ and base/log speak
#   allocate   serve/ allocates at start, load and connect, in the files listed below, and nowhere else
#   parse      model files are read on the loader's thread, which no client's byte reaches
#   ifdef      a choice at build time is two files, not two bodies
#   goto       forward only
#   model      shm/model_check.log is about the files that are here (its sha256 lines)
# Then it prints what is long or wide: places to look, not violations.
set -euo pipefail
cd "${1:-$(dirname "$0")/../..}"

top_level='Makefile README.md LICENSE daemon client shm kernels tools systemd tests'
drawers='util utils utility common helper helpers misc src source docs doc lib stuff various shared'
# The control thread's files, and those parts that run before the first request.
allocating='data lane loader placement registry_jobs rehearsal session share version'
# From the loader's thread down to the parser.
parsing='loader placement version engine engine_load onnx'

list=$(mktemp)
trap 'rm -f "$list"' EXIT
find . -mindepth 1 \( -path ./.git -o -path './build*' -o -name __pycache__ \) -prune -o \
    \( -type f -printf 'f %P\n' \) -o \( -type d -printf 'd %P\n' \) | LC_ALL=C sort >"$list"
mapfile -t sources < <(sed -nE 's/^f //; /\.(c|h|cc|cu|cuh|sh|py)$|(^|\/)Makefile$|^\.ci\//p' "$list")

stale=$(grep -E '^[0-9a-f]{64}  ' shm/model_check.log 2>/dev/null |
    LC_ALL=C sha256sum --check --quiet 2>/dev/null | sed 's/: FAILED.*//' || true)

LC_ALL=C awk -v stale="${stale//$'\n'/ }" -v top_level="$top_level" -v drawers="$drawers" -v allocating="$allocating" -v parsing="$parsing" '
function set_of(words, set,    list, count, at) {
    count = split(words, list, " ")
    for (at = 1; at <= count; at++) set[list[at]] = 1
}
function bad(line, rule, sentence) {
    violations++
    printf "%s%s: %s: %s\n", path, line ? ":" line : "", rule, sentence
}
function folder_of(name) { return match(name, /\/[^\/]*$/) ? substr(name, 1, RSTART - 1) : "" }
function room_of(name,    parts) {
    split(name, parts, "/")
    return parts[1] == "daemon" && parts[2] !~ /\./ || parts[1] == "tests" || parts[1] == "tools" \
        ? parts[1] "/" parts[2] : parts[1]
}

# --- names ---
function name_check(kind, name,    parts, count, base) {
    path = name
    count = split(name, parts, "/")
    if (count == 1 && !(name in is_top) && name !~ /^\./)
        bad(0, "top-level", "the top has fixed names: " top_level)
    base = parts[count]
    if (kind == "f") sub(/\.[^.]*$/, "", base)
    if (base in is_drawer && name !~ /^tests\/data\//)
        bad(0, "name", "\"" base "\" says nothing about what is inside; name the noun")
}

# --- includes ---
function is_libc(header) { return header in libc || header ~ /^(sys|linux|netinet|arpa|asm)\/[a-z0-9_]+\.h$/ }
function angle_check(header) {
    if (top == "shm" && !is_libc(header))
        bad(FNR, "include", "shm/ includes libc and shm/ only, not <" header ">")
    else if (top == "client" && path !~ /^client\/examples\// && !is_libc(header) && \
             header !~ /^hearth(_[a-z]+)?\.h$/ && !(path ~ /uring/ && header == "liburing.h"))
        bad(FNR, "include", "client/ includes libc and shm/ only, not <" header ">")
    else if (room == "daemon/base" && !is_libc(header) && !(file_noun ~ /^waiter/ && header == "liburing.h"))
        bad(FNR, "include", "daemon/base/ includes libc only (and its waiter liburing), not <" header ">")
    else if (header ~ /^(cuda|cublas|nccl|nvml|cooperative_groups|mma)/ && path !~ /^(kernels\/cuda|tests)\//)
        bad(FNR, "include", "<" header "> belongs in kernels/cuda/")
    else if (top == "kernels" && path !~ /^kernels\/cuda\// && !is_libc(header) && header !~ /(intrin|arm_neon|arm_sve)\.h$/)
        bad(FNR, "include", "kernels/ includes libc, intrinsics and kernels/ only, not <" header ">")
}
function quote_check(header,    first, full, target) {
    first = header
    sub(/\/.*/, "", first)
    if (header ~ /\.\./) { bad(FNR, "include", "\"" header "\" climbs; name the path from the top"); return }
    if (header !~ /\//) {
        if (header ~ /\.pb-c\.h$/) full = "daemon/model/" header
        else if (header ~ /^hearth(_[a-z]+)?\.h$/) full = "client/" header
        else full = folder_of(path) "/" header
    }
    else if (first in step) full = "daemon/" header
    else if (first in is_top) full = header
    else { bad(FNR, "include", "\"" header "\" is in no room"); return }
    target = room_of(full)
    if (full ~ /^kernels\/ref\// && path !~ /^(tests|kernels\/ref)\//)
        bad(FNR, "include", "kernels/ref/ is for tests only, not \"" header "\"")
    else if (top == "shm" && full !~ /^shm\//)
        bad(FNR, "include", "shm/ includes libc and shm/ only, not \"" header "\"")
    else if (top == "client" && full !~ /^(shm|client)\//)
        bad(FNR, "include", "client/ includes libc and shm/ only, not \"" header "\"")
    else if (top == "kernels" && full !~ /^kernels\//)
        bad(FNR, "include", "kernels/ includes kernels/ only, not \"" header "\"")
    else if (top == "tools" && full !~ /^(shm|client|kernels|tools)\// && full !~ /^daemon\/(base|memory|model|graph|exec)\//)
        bad(FNR, "include", "tools/ may not see \"" header "\"")
    else if (path == "daemon/main.c") {
        if (full !~ /^(daemon|shm|kernels)\//) bad(FNR, "include", "daemon/ may not see \"" header "\"")
    }
    else if (top == "daemon") stair_check(header, full, target)
}
function stair_check(header, full, target,    mine, theirs) {
    mine = substr(room, 8)
    theirs = substr(target, 8)
    if (full ~ /^daemon\//) {
        if (!(theirs in step) || step[theirs] > step[mine])
            bad(FNR, "include", "daemon/" mine "/ is below \"" header "\" on the staircase")
    }
    else if (full ~ /^kernels\//) {
        if (mine == "model" ? full != "kernels/types.h" : mine != "graph" && mine != "exec")
            bad(FNR, "include", "daemon/" mine "/ may not see \"" header "\"")
    }
    else if (full !~ /^shm\// || mine != "serve" && mine != "ops")
        bad(FNR, "include", "daemon/" mine "/ may not see \"" header "\"")
}

# --- barriers: a label begins a comment; its partners may stand in the next line ---
function label_find(line, raw, next_raw,    text, label, partners) {
    text = raw " " next_raw
    gsub(/[ \t]+(\*|\/\/)[ \t]/, " ", text)
    if (!match(text, /[A-Z][A-Z]?[0-9]+ \([a-z_ ]+\) pairs with [A-Z][A-Z]?[0-9]+((, | and )[A-Z][A-Z]?[0-9]+)*/))
        return
    text = substr(text, RSTART, RLENGTH)
    label = text
    sub(/ .*/, "", label)
    if (index(raw, label " (") == 0)
        return
    partners = text
    sub(/^.* pairs with /, "", partners)
    gsub(/, | and /, " ", partners)
    label_line = line
    if ((room, label) in label_partners) {
        bad(line, "barrier", label " is defined a second time in " room "/; first at " label_place[room, label])
        return
    }
    label_partners[room, label] = partners
    label_place[room, label] = path ":" line
    label_rooms[label] = label_rooms[label] " " room
}
function partner_is_mutual(home, label, partner,    rooms, count, at) {
    count = split(home " " label_rooms[partner], rooms, " ")
    for (at = 1; at <= count; at++)
        if ((rooms[at], partner) in label_partners && \
            index(" " label_partners[rooms[at], partner] " ", " " label " "))
            return 1
    return 0
}
function labels_check(    key, parts, partners, count, at) {
    for (key in label_partners) {
        split(key, parts, SUBSEP)
        count = split(label_partners[key], partners, " ")
        for (at = 1; at <= count; at++)
            if (!partner_is_mutual(parts[1], parts[2], partners[at])) {
                path = label_place[key]
                bad(0, "barrier", parts[2] " pairs with " partners[at] ", and no " partners[at] " pairs with " parts[2])
            }
    }
}

# --- C: what is left of a line without comments, strings and characters ---
function code_of(text,    at, end) {
    gsub(/\047(\\.[0-7a-fx]*|[^\\\047])\047/, "0", text)
    if (!in_comment) gsub(/"([^"\\]|\\.)*"/, "\"\"", text)
    for (;;) {
        if (in_comment) {
            end = index(text, "*/")
            if (!end) return ""
            text = substr(text, end + 2)
            in_comment = 0
            gsub(/"([^"\\]|\\.)*"/, "\"\"", text)
        }
        at = index(text, "/*")
        if (index(text, "//") && (!at || index(text, "//") < at))
            return substr(text, 1, index(text, "//") - 1)
        if (!at) return text
        end = index(substr(text, at + 2), "*/")
        if (!end) { in_comment = 1; return substr(text, 1, at - 1) }
        text = substr(text, 1, at - 1) " " substr(text, at + 2 + end + 1)
    }
}
function function_track(code,    name) {
    if (code ~ /^[A-Za-z_].*\(/) {
        name = code
        sub(/^START_TEST\(/, "", name) # a macro of Check: its argument is the name
        sub(/[()].*/, "", name)
        sub(/.*[ *]/, "", name)
        candidate = name
    }
    if (code ~ /^\{/) { in_function = candidate; function_line = FNR; split("", labels_seen) }
    else if (in_function != "" && code ~ /^\}/) {
        function_lines[path ":" function_line " " in_function] = FNR - function_line + 1
        in_function = ""
    }
}
function c_check(raw, code,    name) {
    if (raw ~ /^[ \t]*#[ \t]*include[ \t]*</) {
        name = raw; sub(/^[^<]*</, "", name); sub(/>.*/, "", name); angle_check(name)
    } else if (raw ~ /^[ \t]*#[ \t]*include[ \t]*"/) {
        name = raw; sub(/^[^"]*"/, "", name); sub(/".*/, "", name); quote_check(name)
    }
    if (FNR > 1) label_find(FNR - 1, previous, raw)
    if (code ~ /(hearth_store_release|hearth_load_acquire|hearth_fence_full|__ATOMIC_(ACQUIRE|RELEASE|ACQ_REL|SEQ_CST)|memory_order_(acquire|release|acq_rel|seq_cst)|__sync_[a-z_]+)/ && \
        path != "shm/barrier.h" && top != "tests" && code !~ /^[ \t]*#[ \t]*define hearth_(load|store|fence)_/ && \
        FNR - label_line > 6)
        bad(FNR, "barrier", "an ordered access without a label in the 6 lines above it")
    if (code ~ /(^|[^A-Za-z0-9_])(strcpy|sprintf|vsprintf|strcat|gets)[ \t]*\(/)
        bad(FNR, "call", "a string function without bounds")
    if (top == "daemon" && path != "daemon/main.c" && room != "daemon/ops" && path !~ /^daemon\/base\/log\.[ch]$/ && \
        code ~ /(^|[^A-Za-z0-9_])((log_(error|warning|info|debug|line)|printf|perror|puts|v?syslog|sd_journal_[a-z]+)[ \t]*\(|v?fprintf[ \t]*\([ \t]*std(err|out))/)
        bad(FNR, "log", "libraries return a sentence; only main.c and ops/ log")
    if (room == "daemon/serve" && !(file_noun in may_allocate) && \
        code ~ /(^|[^A-Za-z0-9_])(malloc|calloc|realloc|reallocarray|strdup|strndup|asprintf|vasprintf|aligned_alloc|posix_memalign|resident_alloc)[ \t]*\(/)
        bad(FNR, "allocate", "serving allocates nothing; lease it, or do it in " allocating)
    if (top == "daemon" && !(file_noun in may_parse) && code ~ /(^|[^A-Za-z0-9_])(version_new|engine_new|onnx_open)[ \t]*\(/)
        bad(FNR, "parse", "only the loader reads model files; send it a job")
    if (top == "daemon" && in_function != "" && code ~ /^[ \t]*#[ \t]*(if|ifdef|ifndef|elif|else)([^a-z]|$)/)
        bad(FNR, "ifdef", in_function " has a condition of the preprocessor inside; write two files")
    if (in_function != "") {
        if (match(code, /^[ \t]*[a-z_][a-z0-9_]*:[ \t]*$/)) {
            name = code; gsub(/[ \t:]/, "", name)
            if (name != "default") labels_seen[name] = FNR
        }
        if (match(code, /(^|[^A-Za-z0-9_])goto [a-z_0-9]+/)) {
            name = substr(code, RSTART, RLENGTH); sub(/.*goto /, "", name)
            if (name in labels_seen) bad(FNR, "goto", "backwards, to line " labels_seen[name])
        }
    }
}

function file_end() {
    if (path == "") return
    if (last_line > 0) file_lines[path] = last_line
    if (is_c) label_find(last_line, previous, "")
    if (!has_spdx) bad(1, "spdx", "the first line must be SPDX-License-Identifier: MIT")
}
function file_begin() {
    path = FILENAME
    room = room_of(path)
    top = path
    sub(/\/.*/, "", top)
    file_noun = path
    sub(/.*\//, "", file_noun)
    sub(/\..*/, "", file_noun)
    is_c = path ~ /\.(c|h|cc|cu|cuh)$/
    in_comment = has_spdx = 0
    in_function = candidate = previous = ""
    label_line = -100
}
function width_of(text,    bytes) {
    gsub(/[\200-\277]/, "", text) # the later bytes of a UTF-8 character
    bytes = length(text)
    if (!index(text, "\t")) return bytes
    while ((bytes = index(text, "\t")))
        text = substr(text, 1, bytes - 1) substr("        ", 1, 8 - (bytes - 1) % 8) substr(text, bytes + 1)
    return length(text)
}
function print_longest(title, lines,    turn, best, name) {
    printf "%s\n", title
    for (turn = 0; turn < 5; turn++) {
        best = ""
        for (name in lines) if (best == "" || lines[name] > lines[best] || lines[name] == lines[best] && name < best) best = name
        if (best == "") return
        printf "  %5d  %s\n", lines[best], best
        delete lines[best]
    }
}

BEGIN {
    set_of(top_level, is_top)
    set_of(drawers, is_drawer)
    set_of(allocating, may_allocate)
    set_of(parsing, may_parse)
    set_of("assert.h ctype.h dirent.h endian.h errno.h execinfo.h fcntl.h fenv.h float.h ftw.h getopt.h grp.h " \
           "ifaddrs.h inttypes.h iso646.h limits.h locale.h malloc.h math.h netdb.h poll.h pthread.h pwd.h " \
           "sched.h semaphore.h setjmp.h signal.h stdarg.h stdbool.h stddef.h stdint.h stdio.h stdlib.h " \
           "string.h strings.h syscall.h syslog.h termios.h time.h unistd.h wchar.h", libc)
    split("base memory model graph exec serve ops", rooms, " ")
    for (at = 1; at <= 7; at++) step[rooms[at]] = at
    spdx = "SPDX-License-Identifier: MIT"
}
FILENAME == ARGV[1] { name_check(substr($0, 1, 1), substr($0, 3)); next }
FNR == 1 {
    if (started) file_end()
    started = 1
    file_begin()
}
{
    last_line = FNR
    if (FNR <= 2 && index($0, spdx) && (FNR == 1 || previous ~ /^#!/)) has_spdx = 1
    if (is_c && length($0) > 60 && (width = width_of($0)) > 100) wide[++wide_count] = path ":" FNR " (" width ")"
    if ($0 ~ /(^|[^A-Za-z0-9_])(TO[D]O|FIX[M]E|X[X]X)([^A-Za-z0-9_]|$)/)
        bad(FNR, "marker", "work left for later does not merge; state a limit as a limit")
    if (is_c) {
        code = code_of($0)
        function_track(code)
        c_check($0, code)
    }
    previous = $0
}
END {
    if (started) file_end()
    labels_check()
    stale_count = split(stale, stale_paths, " ")
    for (at = 1; at <= stale_count; at++) {
        path = stale_paths[at]
        bad(0, "model", "shm/model_check.log is about another version of it; run `make model-check`")
    }
    print_longest("places to look: the longest files", file_lines)
    print_longest("places to look: the longest functions", function_lines)
    printf "places to look: %d lines of C wider than 100 columns\n", wide_count
    for (at = 1; at <= wide_count && at <= 10; at++) printf "         %s\n", wide[at]
    printf "tidy: %d violations\n", violations
    exit violations > 0
}
' "$list" "${sources[@]}"
