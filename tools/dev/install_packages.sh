#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tools/dev/install_packages.sh [--tests] [--print] - installs what the build and most tests need (Debian,
# Ubuntu); with --tests tmux and Prometheus, too; Prometheus begins to run on a host with systemd.
# As root or with sudo; otherwise prints the one line to run and exits 1.
set -euo pipefail
packages=(gcc g++ make pkg-config liburing-dev libnuma-dev check libsubunit-dev protobuf-c-compiler
    libprotobuf-c-dev libonnx-dev libonnx-testdata libjansson-dev libmicrohttpd-dev libsystemd-dev libhugetlbfs-bin
    libncurses-dev python3 python3-numpy strace spin)
if [ "${1:-}" = --tests ]; then packages+=(prometheus tmux); shift; fi
line="apt-get install -y ${packages[*]}"
if [ "${1:-}" = --print ]; then echo "sudo $line"; exit 0; fi

missing=()
for package in "${packages[@]}"; do
    status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
    [ "$status" = "install ok installed" ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0
echo "hearth: installing ${missing[*]}"
if ! command -v apt-get >/dev/null; then
    echo "hearth: this is not Debian or Ubuntu; install the counterparts of: ${missing[*]}" >&2
    exit 1
fi
sudo=
if [ "$(id -u)" -ne 0 ]; then
    if ! sudo -n true 2>/dev/null; then
        echo "hearth: not root and no sudo without a password; run:  sudo apt-get update && sudo $line" >&2
        exit 1
    fi
    sudo=sudo
fi
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq
$sudo apt-get install -y -qq "${missing[@]}" >/dev/null
