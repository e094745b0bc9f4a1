#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Formats the tracked C sources in place; with --check only says what would change, and fails.
#
# Versions of clang-format differ in small things.  Version 14 decides; another one is used when 14
# is not there, and its --check only advises.
set -euo pipefail
cd "$(dirname "$0")/.."

formatter=$(command -v clang-format-14 || command -v clang-format) || {
    echo "format: clang-format is not installed (tools/install-deps.sh format)" >&2
    exit 1
}
version=$("$formatter" --version | sed -n 's/.*version \([0-9]*\)\..*/\1/p')
mapfile -t files < <(git ls-files '*.c' '*.h')

case ${1:-} in
    '')
        "$formatter" -i "${files[@]}"
        ;;
    --check)
        if "$formatter" --dry-run -Werror "${files[@]}"; then
            echo "format: ${#files[@]} files are formatted"
        elif [ "$version" = 14 ]; then
            echo "format: run 'make format'" >&2
            exit 1
        else
            echo "format: advice only, by version $version; version 14 decides" >&2
        fi
        ;;
    *)
        echo "usage: tools/format.sh [--check]" >&2
        exit 2
        ;;
esac
