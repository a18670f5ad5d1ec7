#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tests/tools/test_install.sh - what is installed is complete, works from there, and names no build folder
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build}
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
prefix=/opt/hearth
to=$root$prefix
. tests/tools/check.sh

# Prints what the command finds, and fails when it finds something.
none() {
    local found
    found=$("$@")
    [ -z "$found" ] || { echo "$found"; return 1; }
}

# The variables of the outer make (CC, CUDA, ...), without its job server.
overrides=()
if [[ ${MAKEFLAGS:-} == *'-- '* ]]; then
    eval "overrides=(${MAKEFLAGS#*-- })"
fi
check 'make install works' env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make "${overrides[@]}" install \
    BUILD="$build" SAN="${SAN:-}" DESTDIR="$root" PREFIX="$prefix"

for file in bin/hearthd bin/hearthctl libexec/hearth-hugepages; do
    check "$file is a program" test -x "$to/$file"
done
for file in include/hearth.h include/hearth_uring.h lib/libhearth.so.1 lib/pkgconfig/hearth.pc \
    lib/systemd/system/{hearthd.service,hearthd.socket,hearthd-admin.socket,hearth-metrics.socket,hearth.slice,hearth-hugepages.service} \
    lib/sysusers.d/hearth.conf lib/tmpfiles.d/hearth.conf share/doc/hearth/examples/{cuda,memlock,hugepages}.conf \
    share/{bash-completion/completions/hearthctl,zsh/site-functions/_hearthctl,fish/vendor_completions.d/hearthctl.fish} \
    share/hearth/hearth.{rules.yml,dashboard.json}; do
    check "$file is there" test -s "$to/$file"
done
check 'libhearth.so names its first version' test "$(readlink "$to/lib/libhearth.so")" = libhearth.so.1
for page in daemon/*.7 daemon/*.8 systemd/*.8 client/*.3 tools/hearthctl/*.1; do
    [ -e "$page" ] || continue
    check "$page is there" gzip -t "$to/share/man/man${page##*.}/$(basename "$page").gz"
done
check 'nothing is left to be substituted' none grep -rlE '@(PREFIX|VERSION)@' "$to" --include='*.pc' --include='*.service'
check 'the unit runs the installed program' grep -q "^ExecStart=$prefix/bin/hearthd " "$to/lib/systemd/system/hearthd.service"
check 'every program that a unit names is installed' none sh -c "sed -n 's|^Exec[A-Za-z]*=\\([^ ]*\\).*|\\1|p' '$to'/lib/systemd/system/*.service |
    while read -r program; do [ -x '$root'\"\$program\" ] || echo \"\$program\"; done"
check 'no file names the build tree' none grep -rlF "$PWD" "$root"
check 'no file names the destination' none grep -rlF "$root" "$root"
check 'nothing is installed elsewhere' test "$(ls "$root")" = opt
check 'no folder or file is writable by others' none find "$to" ! -type l -perm /022

check 'it can be installed a second time' env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make "${overrides[@]}" \
    install BUILD="$build" SAN="${SAN:-}" DESTDIR="$root" PREFIX="$prefix"

# A program built against the installed files alone, in the two ways the header offers.
export PKG_CONFIG_SYSROOT_DIR=$root PKG_CONFIG_LIBDIR=$to/lib/pkgconfig
check 'pkg-config knows hearth' pkg-config --exists --print-errors hearth
check 'pkg-config has a version' test -n "$(pkg-config --modversion hearth)"
read -ra cflags < <(pkg-config --cflags hearth)
read -ra libs < <(pkg-config --libs hearth)
check 'the flags lead to the installed header' test "${cflags[*]}" = "-I$to/include"
cat >"$root/program.c" <<'PROGRAM'
#include <hearth.h>

int main(void)
{
	struct hearth *hearth = 0;

	return hearth_open("/nonexistent/hearth.sock", 0, &hearth) < 0 ? 0 : 1;
}
PROGRAM
cd "$root" || exit 1
sanitize=()
[ -z "${SAN:-}" ] || sanitize=("-fsanitize=$SAN")
for standard in c11 gnu11; do
    check "a $standard program builds from the header alone" ${CC:-cc} "-std=$standard" -Wall -Wextra -Wpedantic \
        -Werror "${sanitize[@]}" "${cflags[@]}" -o "header_$standard" program.c
    check "the $standard program runs" "./header_$standard"
done
check 'a program builds with the library' ${CC:-cc} -Wall -Werror -DHEARTH_USE_SHARED "${sanitize[@]}" "${cflags[@]}" \
    -o shared program.c "${libs[@]}"
check 'it runs with the library' env LD_LIBRARY_PATH="$to/lib" ./shared
check 'it needs the library by its versioned name' grep -q 'libhearth\.so\.1' shared
if command -v "${CXX:-c++}" >/dev/null; then
    cp program.c program.cc
    check 'a C++17 program builds from the header' "${CXX:-c++}" -std=c++17 -Wall -Wextra -Werror "${sanitize[@]}" \
        "${cflags[@]}" -o header_cxx program.cc
    check 'the C++17 program runs' ./header_cxx
else
    skip 'no C++ compiler'
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
