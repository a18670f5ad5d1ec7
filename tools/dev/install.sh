#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tools/dev/install.sh BUILD DESTINATION PREFIX MANPAGE... - what `make install` copies, and where to
# DESTINATION is DESTDIR and PREFIX together; PREFIX alone is what the installed files say.
set -euo pipefail
if [ $# -lt 3 ]; then
    echo "usage: $0 BUILD DESTINATION PREFIX MANPAGE..." >&2
    exit 2
fi
build=$1 to=$2 prefix=$3
shift 3

# Text with @PREFIX@ in it: substitute FROM TO
substitute() {
    install -d "$(dirname "$2")"
    sed "s|@PREFIX@|$prefix|g" "$1" >"$2"
    chmod 0644 "$2"
}

for program in hearthd hearthctl; do
    install -D -m 0755 "$build/bin/$program" "$to/bin/$program"
done
for header in "$build"/include/hearth*.h; do
    install -D -m 0644 "$header" "$to/include/$(basename "$header")"
done
install -D -m 0755 "$build/lib/libhearth.so" "$to/lib/libhearth.so.1"
ln -sfn libhearth.so.1 "$to/lib/libhearth.so"
substitute "$build/hearth.pc" "$to/lib/pkgconfig/hearth.pc"

for page in "$@"; do
    install -d "$to/share/man/man${page##*.}"
    gzip -9nc "$page" >"$to/share/man/man${page##*.}/$(basename "$page").gz"
done

# completions SHELL FILE: made from the program's own table of commands
completions() {
    install -d "$(dirname "$2")"
    "$build/bin/hearthctl" completions "$1" >"$2"
    chmod 0644 "$2"
}
completions bash "$to/share/bash-completion/completions/hearthctl"
completions zsh "$to/share/zsh/site-functions/_hearthctl"
completions fish "$to/share/fish/vendor_completions.d/hearthctl.fish"

for unit in systemd/*.service.in systemd/*.socket systemd/*.slice; do
    name=${unit#systemd/}
    substitute "$unit" "$to/lib/systemd/system/${name%.in}"
done
install -D -m 0755 systemd/hearth-hugepages.sh "$to/libexec/hearth-hugepages"
substitute systemd/hearth.sysusers "$to/lib/sysusers.d/hearth.conf"
substitute systemd/hearth.tmpfiles "$to/lib/tmpfiles.d/hearth.conf"
for file in tools/monitoring/hearth.*; do
    install -D -m 0644 "$file" "$to/share/hearth/$(basename "$file")"
done
for example in systemd/examples/*.conf; do
    install -D -m 0644 "$example" "$to/share/doc/hearth/${example#systemd/}"
done
