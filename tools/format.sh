#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Formats C sources in place; with --check only says what would change, and fails.
#
#   tools/format.sh [--check] [FILE...]
#
# FILEs default to all that are tracked.
#
# Versions of clang-format differ in small things.  Version 14 decides; another one is used when 14
# is not there, and its --check only advises.
set -euo pipefail

check=0
if [ "${1:-}" = --check ]; then
    check=1
    shift
fi
files=("$@")
if [ ${#files[@]} = 0 ]; then
    cd "$(dirname "$0")/.."
    mapfile -t files < <(git ls-files '*.c' '*.h')
fi

formatter=$(command -v clang-format-14 || command -v clang-format) || {
    echo "format: clang-format is not installed (tools/install-deps.sh format)" >&2
    exit 1
}
version=$("$formatter" --version | sed -n 's/.*version \([0-9]*\)\..*/\1/p')

if [ "$check" = 0 ]; then
    "$formatter" -i "${files[@]}"
elif "$formatter" --dry-run -Werror "${files[@]}"; then
    echo "format: ${#files[@]} files are formatted"
elif [ "$version" = 14 ]; then
    echo "format: run 'make format'" >&2
    exit 1
else
    echo "format: advice only, by version $version; version 14 decides" >&2
fi
