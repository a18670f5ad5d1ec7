#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tests/tools/test_tidy.sh - each rule of tools/dev/tidy.sh catches its violation; the real tree has none
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
tidy=$PWD/tools/dev/tidy.sh
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
passed=0 failed=0
license='SPDX-License-Identifier: MIT'

pass() { passed=$((passed + 1)); }
fail() {
    failed=$((failed + 1))
    echo "FAIL: $1"
    echo "  | ${2//$'\n'/$'\n'  | }"
}

# put PATH TEXT: a C or shell file of the fake tree, with its SPDX line (so TEXT begins in line 2)
put() {
    mkdir -p "$tree/$(dirname "$1")"
    case $1 in
    *.c | *.h | *.cc) printf '/* %s */\n%b\n' "$license" "$2" >"$tree/$1" ;;
    *) printf '# %s\n%b\n' "$license" "$2" >"$tree/$1" ;;
    esac
}

fresh() {
    find "$tree" -mindepth 1 -delete
    put Makefile 'all:'
    put shm/abi.h '#include <stdint.h>'
    put shm/barrier.h '#define hearth_load_acquire(word) __atomic_load_n((word), __ATOMIC_ACQUIRE)'
    put client/hearth.h '#include <string.h>\n#include "shm/abi.h"'
    put kernels/types.h '#include <stdint.h>'
    put kernels/device.h '#include "kernels/types.h"'
    put kernels/ref/gemm.h '#include "kernels/types.h"'
    put daemon/base/error.h '#include <stddef.h>'
    put daemon/model/onnx.h '#include "base/error.h"\n#include "kernels/types.h"'
    put daemon/exec/engine.h '#include "model/onnx.h"\n#include "kernels/device.h"'
    put daemon/serve/data.h '#include "exec/engine.h"\n#include "shm/abi.h"'
    put daemon/main.c '#include "serve/data.h"\n#include "shm/abi.h"\n#include "kernels/device.h"'
    put tools/hearthctl/main.c '#include "base/error.h"\n#include "shm/abi.h"'
    put tests/base/test_error.c '#include <check.h>\n#include "kernels/ref/gemm.h"\n#include "serve/data.h"'
    mkdir -p "$tree/build/src" "$tree/build-thread" "$tree/.ci"
    : >"$tree/build/src/utils.c"
}

accepts() {
    local text
    if text=$("$tidy" "$tree" 2>&1); then pass; else fail "$1 is refused" "$text"; fi
}

# refuses NAME "file:line: rule: "
refuses() {
    local text
    if text=$("$tidy" "$tree" 2>&1); then
        fail "$1 is accepted" "$text"
    elif ! grep -qF "$2" <<<"$text"; then
        fail "$1 is not reported as '$2'" "$text"
    elif [ "$(grep -cE '^[A-Za-z_.].*: (include|top-level|name|spdx|barrier|marker|call|log|allocate|parse|ifdef|goto|model): ' <<<"$text")" -ne "${3:-1}" ]; then
        fail "$1 is reported together with something else" "$text"
    else
        pass
    fi
}

# case_refused NAME PATH TEXT EXPECTED [COUNT]: a fresh tree with one more file
case_refused() {
    fresh
    put "$2" "$3"
    refuses "$1" "$4" "${5:-1}"
}
case_accepted() {
    fresh
    put "$2" "$3"
    accepts "$1"
}

fresh
accepts 'a clean tree'

# include: the table of the rooms
case_refused 'shm including a library' shm/ring.h '#include <liburing.h>' 'shm/ring.h:2: include: '
case_refused 'shm including the daemon' shm/ring.h '#include "base/error.h"' 'shm/ring.h:2: include: '
case_refused 'client including kernels' client/hearth.h '#include "kernels/types.h"' 'client/hearth.h:2: include: '
case_refused 'client including liburing' client/hearth.h '#include <liburing.h>' 'client/hearth.h:2: include: '
case_accepted 'the uring client including liburing' client/hearth_uring.h '#include <liburing.h>\n#include "hearth.h"'
case_accepted 'an example including what it shows' client/examples/a.c '#include <hearth.h>\n#include <curl/curl.h>'
case_refused 'kernels including shm' kernels/a.c '#include "shm/abi.h"' 'kernels/a.c:2: include: '
case_refused 'kernels including a library' kernels/a.c '#include <numa.h>' 'kernels/a.c:2: include: '
case_accepted 'kernels including intrinsics' kernels/cpu/a.c '#include <immintrin.h>'
case_refused 'kernels including the oracles' kernels/a.c '#include "kernels/ref/gemm.h"' 'kernels/a.c:2: include: '
case_refused 'the daemon including the oracles' daemon/exec/a.c '#include "kernels/ref/gemm.h"' 'daemon/exec/a.c:2: include: '
case_refused 'CUDA outside its folder' daemon/exec/a.c '#include <cuda_runtime.h>' 'daemon/exec/a.c:2: include: '
case_accepted 'CUDA in its folder' kernels/cuda/a.cu '#include <cuda_runtime.h>'
case_refused 'base including a library' daemon/base/a.c '#include <numa.h>' 'daemon/base/a.c:2: include: '
case_refused 'base including liburing' daemon/base/a.c '#include <liburing.h>' 'daemon/base/a.c:2: include: '
case_accepted 'the waiter including liburing' daemon/base/waiter_a.c '#include <liburing.h>'
case_refused 'base including upwards' daemon/base/a.c '#include "memory/span.h"' 'daemon/base/a.c:2: include: '
case_refused 'model including exec' daemon/model/a.c '#include "exec/engine.h"' 'daemon/model/a.c:2: include: '
case_refused 'model including more than kernel types' daemon/model/a.c '#include "kernels/device.h"' 'daemon/model/a.c:2: include: '
case_refused 'model including shm' daemon/model/a.c '#include "shm/abi.h"' 'daemon/model/a.c:2: include: '
case_refused 'model including serve' daemon/model/a.c '#include "serve/data.h"' 'daemon/model/a.c:2: include: '
case_refused 'memory including kernels' daemon/memory/a.c '#include "kernels/types.h"' 'daemon/memory/a.c:2: include: '
case_refused 'exec including shm' daemon/exec/a.c '#include "shm/abi.h"' 'daemon/exec/a.c:2: include: '
case_refused 'serve including kernels' daemon/serve/a.c '#include "kernels/device.h"' 'daemon/serve/a.c:2: include: '
case_refused 'serve including ops' daemon/serve/a.c '#include "ops/control/control.h"' 'daemon/serve/a.c:2: include: '
case_refused 'the daemon including the client' daemon/ops/a.c '#include "client/hearth.h"' 'daemon/ops/a.c:2: include: '
case_refused 'main including tools' daemon/main.c '#include "tools/hearthctl/a.h"' 'daemon/main.c:2: include: '
case_refused 'tools including serve' tools/hearthctl/a.c '#include "serve/data.h"' 'tools/hearthctl/a.c:2: include: '
case_refused 'a climbing include' daemon/exec/a.c '#include "../base/error.h"' 'daemon/exec/a.c:2: include: '
case_refused 'an include from no room' daemon/exec/a.c '#include "zlib/zlib.h"' 'daemon/exec/a.c:2: include: '

# top-level, name, spdx
fresh
mkdir "$tree/docs-old"
refuses 'a tenth name at the top' 'docs-old: top-level: '
fresh
: >"$tree/NOTES.md"
refuses 'a file at the top' 'NOTES.md: top-level: '
for drawer in utils common helpers misc src docs; do
    fresh
    mkdir "$tree/daemon/base/$drawer"
    refuses "a folder $drawer" "daemon/base/$drawer: name: "
done
case_refused 'a file utils.c' daemon/base/utils.c 'int a;' 'daemon/base/utils.c: name: '
case_refused 'a file lib.c' client/lib.c 'int a;' 'client/lib.c: name: '
for name in daemon/base/a.c daemon/base/a.h tests/base/test_a.cc kernels/cuda/a.cu tools/dev/a.sh tests/base/test_a.py; do
    fresh
    mkdir -p "$tree/$(dirname "$name")"
    echo 'int a;' >"$tree/$name"
    refuses "$name without its licence" "$name:1: spdx: "
done
fresh
printf 'all:\n' >"$tree/Makefile"
refuses 'a Makefile without its licence' 'Makefile:1: spdx: '
fresh
printf '#!/bin/sh\n# %s\n' "$license" >"$tree/tools/a.sh"
accepts 'a licence after the interpreter'
fresh
printf 'int a;\n/* %s */\n' "$license" >"$tree/daemon/base/a.c"
refuses 'a licence in the second line' 'daemon/base/a.c:1: spdx: '

# barrier
pair='/* A1 (release) pairs with B1: x. */\n__atomic_store_n(p, 1, __ATOMIC_RELEASE);\n/* B1 (acquire) pairs\n * with A1: y. */\nhearth_load_acquire(p);'
case_accepted 'a labelled pair' daemon/base/a.c "$pair"
case_refused 'a release without a label' daemon/base/a.c '__atomic_store_n(p, 1, __ATOMIC_RELEASE);' 'daemon/base/a.c:2: barrier: '
case_refused 'an acquire without a label' shm/ring.h 'hearth_load_acquire(p);' 'shm/ring.h:2: barrier: '
case_refused 'a fence without a label' shm/ring.h 'hearth_fence_full();' 'shm/ring.h:2: barrier: '
case_refused 'a C11 order without a label' daemon/base/a.c 'atomic_load_explicit(p, memory_order_acquire);' 'daemon/base/a.c:2: barrier: '
case_refused 'a label that is too far away' daemon/base/a.c "$pair\n\n\n\n\nhearth_load_acquire(p);" 'daemon/base/a.c:11: barrier: '
case_refused 'a label without its partner' daemon/base/a.c '/* A1 (release) pairs with B1: x. */' 'daemon/base/a.c:2: barrier: '
case_refused 'a partner of somebody else' daemon/base/a.c "$pair\n/* C1 (acquire) pairs with A1: z. */" 'daemon/base/a.c:7: barrier: '
case_refused 'a label defined twice' daemon/base/a.c "$pair\n/* A1 (release) pairs with B1: again. */" 'daemon/base/a.c:7: barrier: '
fresh
put client/hearth.h '/* A1 (release) pairs with B1: x. */'
put daemon/serve/data.c '/* B1 (acquire) pairs with A1: y. */'
accepts 'a pair across two rooms'
case_accepted 'one release with two acquires' daemon/base/a.c \
    '/* A1 (release) pairs with B1 and B2: x. */\n/* B1 (acquire) pairs with A1: y. */\n/* B2 (acquire) pairs with A1: z. */'
case_accepted 'a stop flag of a test' tests/base/test_a.c '__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);'
case_accepted 'an order named in a comment' daemon/base/a.c '/* __ATOMIC_RELEASE would do. */'

# marker, call, log, allocate, ifdef, goto
for marker in "TO"DO "FIX"ME "X"XX; do
    case_refused "a $marker" daemon/base/a.c "/* $marker: later */" 'daemon/base/a.c:2: marker: '
done
case_accepted 'a template of mkstemp' daemon/base/a.c 'char path[] = "/tmp/a-XXXXXX";'
for call in strcpy sprintf vsprintf strcat gets; do
    case_refused "$call" kernels/a.c "\t$call(a, b);" 'kernels/a.c:2: call: '
done
case_accepted 'snprintf, and sprintf in a string' kernels/a.c '\tsnprintf(a, 1, "sprintf(");'
for call in 'log_info("a")' 'fprintf(stderr, "a")' 'printf("a")' 'perror("a")'; do
    case_refused "$call in exec" daemon/exec/a.c "\t$call;" 'daemon/exec/a.c:2: log: '
done
case_accepted 'log_info in ops' daemon/ops/a.c '\tlog_info("a");'
case_accepted 'fprintf to a file, and an attribute' daemon/exec/a.c '\tfprintf(file, "a") __attribute__((format(printf, 1, 2)));'
for call in malloc calloc realloc strdup aligned_alloc; do
    case_refused "$call while serving" daemon/serve/finish.c "\ta = $call(1);" 'daemon/serve/finish.c:2: allocate: '
done
case_accepted 'calloc at connect' daemon/serve/lane.c '\ta = calloc(1, 1);'
for call in version_new engine_new onnx_open; do
    case_refused "$call beside the loader" daemon/serve/models/registry.c "\tr = $call(fd);" 'daemon/serve/models/registry.c:2: parse: '
done
case_accepted 'version_new in the loader' daemon/serve/models/loader.c '\tr = version_new(fd);'
case_refused '#ifdef inside a body' daemon/exec/a.c 'int a(void)\n{\n#ifdef B\n}\n#endif' 'daemon/exec/a.c:4: ifdef: '
case_accepted '#ifdef between bodies' daemon/exec/a.h '#ifndef A_H\n#define A_H\nint a(void)\n{\n}\n#endif'
case_refused 'a backward goto' daemon/exec/a.c 'int a(void)\n{\nagain:\n\tgoto again;\n}' 'daemon/exec/a.c:5: goto: '
case_accepted 'a forward goto' daemon/exec/a.c 'int a(void)\n{\n\tgoto out;\nout:\n\treturn;\n}'

# model: the checker's log is about these files
fresh
(cd "$tree" && sha256sum shm/barrier.h shm/abi.h >shm/model_check.log)
accepts 'a log of these files'
put shm/barrier.h '#define hearth_load_acquire(word) __atomic_load_n((word), __ATOMIC_CONSUME)'
refuses 'a log of another barrier.h' 'shm/barrier.h: model: '
rm "$tree/shm/barrier.h"
refuses 'a log of a file that is gone' 'shm/barrier.h: model: '
if grep -qE '^[0-9a-f]{64}  shm/ring.h$' shm/model_check.log; then
    pass
else
    fail 'the log does not name shm/ring.h' ''
fi

# places to look are shown and do not fail
fresh
put daemon/base/a.c "int long_one(void)\n{\n$(printf '%.0s\\ta();\\n' {1..90})}\n/* $(printf '%.0sw' {1..120}) */"
text=$("$tidy" "$tree")
if grep -q ' 92  daemon/base/a.c:3 long_one' <<<"$text" && grep -q 'daemon/base/a.c:95 (126)' <<<"$text"; then
    pass
else
    fail 'a long function and a wide line are not shown' "$text"
fi

# the real tree, in less than a second of processor time
TIMEFORMAT=%U
text=$("$tidy" 2>&1) && status=0 || status=1
if [ "$status" -eq 0 ]; then pass; else fail 'the real tree' "$text"; fi
seconds=$({ time "$tidy" >"$tree/out"; } 2>&1)
if [[ $seconds == 0.* ]]; then pass; else fail "tidy took $seconds s" ''; fi

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
