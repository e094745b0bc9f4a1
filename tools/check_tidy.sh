#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs clang-tidy over every source that a build folder compiles.
#
#   tools/check_tidy.sh [BUILD_DIR [SECONDS]]
#
# BUILD_DIR holds compile_commands.json; default build/release.  After SECONDS (default 3600) the
# files that are left are named and not counted, so that a slow machine still gives an answer.
#
# Newer versions know other checks.  Version 14 decides; another one only advises.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build/release}
seconds=${2:-3600}

tidy=$(command -v clang-tidy-14 || command -v clang-tidy) || {
    echo "tidy: clang-tidy is not installed (tools/install-deps.sh ci)" >&2
    exit 1
}
version=$("$tidy" --version | sed -n 's/.*version \([0-9]*\)\..*/\1/p')

# A file that is compiled for several instruction sets is named several times.
files=$(sed -n 's/^ *"file": "\(.*\)",\{0,1\}$/\1/p' "$build/compile_commands.json" | sort -u)
count=$(printf '%s\n' "$files" | wc -l)
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

check() { # file
    local name=${1//[^a-zA-Z0-9]/_}
    if [ "$(date +%s)" -ge "$deadline" ]; then
        echo "${1#"$PWD"/}" >"$out/$name.left"
    elif ! "$tidy" --quiet -p "$build" "$1" >"$out/$name.log" 2>&1; then
        touch "$out/$name.bad"
        cat "$out/$name.log"
    fi
}
export -f check
export tidy build out
deadline=$(($(date +%s) + seconds))
export deadline
printf '%s\n' "$files" | xargs -P "$(nproc)" -I{} bash -c 'check {}'

bad=$(find "$out" -name '*.bad' | wc -l)
left=$(find "$out" -name '*.left' | wc -l)
if [ "$left" -gt 0 ]; then
    echo "tidy: out of time, not checked:"
    find "$out" -name '*.left' -exec cat {} +
fi
echo "tidy: $((count - left)) of $count files checked, $bad with findings"
if [ "$bad" -gt 0 ] && [ "$version" != 14 ]; then
    echo "tidy: advice only, by version $version; version 14 decides"
    exit 0
fi
[ "$bad" = 0 ]
