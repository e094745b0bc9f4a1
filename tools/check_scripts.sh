#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs shellcheck over the tracked shell scripts, and asks each source for its licence line.
set -euo pipefail
cd "$(dirname "$0")/.."

mapfile -t scripts < <({ git ls-files '*.sh'; git grep -lE '^#!.*\b(ba)?sh$'; } | sort -u)
shellcheck --severity=warning --external-sources --source-path=SCRIPTDIR "${scripts[@]}"

missing=$(git ls-files '*.[ch]' '*.sh' '*.py' '*.cmake' '*CMakeLists.txt' Makefile .ci/run |
    while read -r file; do
        head -n 3 "$file" | grep -q 'SPDX-License-Identifier: MIT' || echo "$file"
    done)
[ -z "$missing" ] || { printf 'no SPDX line at the top of:\n%s\n' "$missing" >&2; exit 1; }
echo "scripts: ${#scripts[@]} pass shellcheck; every source has its licence line"
