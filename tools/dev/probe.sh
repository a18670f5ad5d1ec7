#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tools/dev/probe.sh CC CUDA PACKAGES OUT [peers] - writes config.mk: what this machine builds with
# Keeps OUT untouched while its answers are the same, so nothing is rebuilt for nothing. Asks for
# the peers of bench-peers only when told to, since gRPC's answer takes its time.
set -euo pipefail
cc=$1 cuda=$2 packages=$3 out=$4 what=${5:-}
here=$(dirname "$0")

missing=()
command -v pkg-config >/dev/null || missing+=(pkg-config)
command -v protoc-c >/dev/null || missing+=(protoc-c)
for package in $packages check ncursesw; do
    pkg-config --exists "$package" 2>/dev/null || missing+=("$package")
done
proto=
for candidate in /usr/include/onnx/onnx.proto /usr/include/onnx/onnx-ml.proto /usr/local/include/onnx/onnx.proto; do
    if [ -e "$candidate" ]; then proto=$candidate; break; fi
done
[ -n "$proto" ] || missing+=(onnx.proto)
if [ ${#missing[@]} -gt 0 ]; then
    echo "hearth: missing to build: ${missing[*]}"
    echo "hearth: install them with:  $("$here/install_packages.sh" --print)"
    echo '$(error packages are missing, see above)' > "$out"
    exit 0
fi
case $cuda in
n) nvcc= ;;
*) nvcc=$(command -v nvcc || ls /usr/local/cuda/bin/nvcc 2>/dev/null || true) ;;
esac
if [ "$cuda" = y ] && [ -z "$nvcc" ]; then
    echo 'hearth: CUDA=y, and nvcc is neither in PATH nor in /usr/local/cuda/bin'
    echo '$(error CUDA=y without nvcc)' > "$out"
    exit 0
fi
peers=() absent=() peer_libs= ort_cflags=
if [ "$what" = peers ]; then
    for peer in zeromq=libzmq grpc=grpc; do
        if pkg-config --exists "${peer#*=}"; then peers+=("${peer#*=}"); else absent+=("${peer%=*}"); fi
    done
    [ ${#peers[@]} -eq 0 ] || peer_libs=$(pkg-config --libs "${peers[@]}")
    # Debian's nng has nothing for pkg-config.
    if echo '#include <nng/nng.h>' | $cc -E - >/dev/null 2>&1; then peer_libs+=' -lnng'; else absent+=(nng); fi
    # ONNX Runtime's library is loaded when it is used; its header comes from its own releases.
    for folder in ${ORT_INCLUDE:+"$ORT_INCLUDE"} /usr/include/onnxruntime /usr/local/include/onnxruntime; do
        if [ -e "$folder/onnxruntime_c_api.h" ]; then ort_cflags="-isystem $folder"; break; fi
    done
    [ -n "$ort_cflags" ] || absent+=(ort)
fi
{
    echo "MACHINE := $($cc -dumpmachine | cut -d- -f1)"
    echo "PACKAGE_CFLAGS := $(pkg-config --cflags $packages "${peers[@]}" | tr '\n' ' ')"
    echo "PACKAGE_LIBS := $(pkg-config --libs $packages | tr '\n' ' ')"
    echo "CHECK_LIBS := $(pkg-config --libs check | tr '\n' ' ')"
    echo "SCREEN_LIBS := $(pkg-config --libs ncursesw | tr '\n' ' ')"
    echo "ONNX_PROTO := $proto"
    echo "NVCC := $nvcc"
    echo "PEERS_ABSENT := ${absent[*]}"
    echo "PEER_LIBS := $peer_libs"
    echo "ORT_CFLAGS := $ort_cflags"
} > "$out.new"
if cmp -s "$out.new" "$out"; then rm "$out.new"; else mv "$out.new" "$out"; fi
