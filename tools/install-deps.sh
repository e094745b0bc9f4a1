#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Installs the distribution packages that libdeq's build needs and that are missing.
#
#   tools/install-deps.sh [--no-install] GROUP...
#
# Groups:
#   build   compilers and libraries of the library and the program
#   test    build, and what the tests use
#   bench   build, and what the benchmarks use
#   docs    the documentation generator
#   format  the source formatter
#   ci      everything that .ci/run uses
#
# With --no-install, or DEQ_NO_INSTALL=1 in the environment, nothing is installed: the script lists
# what is missing and fails if something is.  Nothing is asked, and the package lists are fetched
# only when something is missing.  For Debian (12 and newer), Ubuntu (22.04 and newer) and systems
# derived from them; elsewhere it names what is needed and leaves the rest to the build.
set -euo pipefail

build=(cmake ninja-build make gcc libc6-dev pkg-config libdnnl-dev
    zlib1g-dev libzip-dev libpng-dev libjpeg-dev libjansson-dev libyaml-dev)
test=("${build[@]}" g++ binutils libcmocka-dev libsundials-dev libjansson-dev)
bench=("${build[@]}")
docs=(cmake make doxygen)
format=(git clang-format)
ci=("${test[@]}" "${bench[@]}" "${docs[@]}" "${format[@]}" clang clang-tidy libomp-dev shellcheck
    mandoc zsh)

usage() {
    sed -n '3,/^set /{s/^# \{0,1\}//;/^set /d;p}' "$0"
}

refuse=${DEQ_NO_INSTALL:-0}
[ "$refuse" = 0 ] || refuse=1
wanted=()
clang_runtime=0
for argument in "$@"; do
    case $argument in
        --no-install) refuse=1 ;;
        -h | --help) usage; exit 0 ;;
        build) wanted+=("${build[@]}") ;;
        test) wanted+=("${test[@]}") ;;
        bench) wanted+=("${bench[@]}") ;;
        docs) wanted+=("${docs[@]}") ;;
        format) wanted+=("${format[@]}") ;;
        ci) wanted+=("${ci[@]}"); clang_runtime=1 ;;
        *) echo "install-deps: unknown group '$argument'" >&2; usage >&2; exit 2 ;;
    esac
done
[ ${#wanted[@]} -gt 0 ] || { usage >&2; exit 2; }
mapfile -t wanted < <(printf '%s\n' "${wanted[@]}" | sort -u)

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "install-deps: not a Debian-like system; it needs what Debian calls: ${wanted[*]}" >&2
    exit 0
fi

# clang's sanitizer and fuzzer run times: a package of their own from clang 14.0.6 on (Debian 12),
# part of clang itself before (Ubuntu 22.04).
clang_runtime_package() {
    local version
    version=$(apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9]\{1,\}\)$/\1/p' |
        head -n 1)
    if [ -n "$version" ] && apt-cache show "libclang-rt-$version-dev" >/dev/null 2>&1; then
        echo "libclang-rt-$version-dev"
    fi
}

list_missing() { # packages
    local installed
    installed=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' 2>/dev/null |
        sed -n 's/^.i. *//p' | sort -u)
    comm -23 <(printf '%s\n' "$@" | sort -u) <(printf '%s\n' "$installed")
}

find_missing() {
    local all=("${wanted[@]}") runtime
    if [ "$clang_runtime" = 1 ]; then
        runtime=$(clang_runtime_package)
        [ -z "$runtime" ] || all+=("$runtime")
    fi
    mapfile -t missing < <(list_missing "${all[@]}")
}

find_missing
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$refuse" = 1 ]; then
    echo "install-deps: missing packages: ${missing[*]}" >&2
    exit 1
fi

as_root=()
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "install-deps: missing packages: ${missing[*]}" >&2
        echo "install-deps: neither root nor sudo here to install them" >&2
        exit 1
    fi
    as_root=(sudo)
fi

apt() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get -y -q -o DPkg::Lock::Timeout=300 "$@" </dev/null
}

echo "install-deps: installing ${missing[*]}${as_root:+ with sudo}"
apt update
find_missing # the fresh lists may know a package that the old ones did not
apt install --no-install-recommends "${missing[@]}"
