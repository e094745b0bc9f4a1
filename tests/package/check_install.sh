#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs into a scratch prefix, moves the tree, and builds a small program against it four ways:
# pkg-config and CMake, shared and static.
#
#   check_install.sh BUILD_DIR CC
set -eu
build=$1 cc=$2
consumer=$(cd "$(dirname "$0")/consumer" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

cmake --install "$build" --prefix "$scratch/first" >/dev/null
mv "$scratch/first" "$scratch/prefix"
prefix=$scratch/prefix

pc=$(find "$prefix" -name deq.pc)
PKG_CONFIG_PATH=$(dirname "$pc")
export PKG_CONFIG_PATH
version=$(pkg-config --modversion deq)
libdir=$(dirname "$PKG_CONFIG_PATH")

# The program runs, prints the version, and uses libdeq.so exactly when it should.
expect() { # name, program, shared|static
    printed=$(LD_LIBRARY_PATH=$libdir "$2")
    [ "$printed" = "$version" ] || { echo "$1: printed '$printed', not $version" >&2; exit 1; }
    needs=$(LC_ALL=C readelf -d "$2" | grep -c 'NEEDED.*libdeq\.so' || true)
    case $3:$needs in
        shared:1 | static:0) echo "$1: ok" ;;
        *) echo "$1: is not linked the way it was asked to be" >&2; exit 1 ;;
    esac
}

# The flags are lists of words: they are to be split.
# shellcheck disable=SC2046
"$cc" "$consumer/main.c" -o "$scratch/pc_shared" $(pkg-config --cflags --libs deq)
expect "pkg-config, shared" "$scratch/pc_shared" shared

# Where only the archive is installed, --static names all that it needs.
mkdir "$scratch/archive"
cp "$libdir/libdeq.a" "$scratch/archive"
# shellcheck disable=SC2046
"$cc" "$consumer/main.c" -o "$scratch/pc_static" \
    $(pkg-config --define-variable=libdir="$scratch/archive" --static --cflags --libs deq)
expect "pkg-config, static" "$scratch/pc_static" static

cmake -S "$consumer" -B "$scratch/cmake" -DCMAKE_C_COMPILER="$cc" -DDEQ_WANTED="$version" \
    -DCMAKE_PREFIX_PATH="$prefix" >/dev/null
cmake --build "$scratch/cmake" >/dev/null
expect "CMake, shared" "$scratch/cmake/shared" shared
expect "CMake, static" "$scratch/cmake/static" static
