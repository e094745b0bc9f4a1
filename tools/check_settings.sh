#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Asks whether the table of settings in docs/guide/training.md is what the program says.
#
#   tools/check_settings.sh DEQ [--write]
#
# The table stands between two comments, `<!-- settings -->` and `<!-- /settings -->`; --write puts the
# program's there.
set -euo pipefail
deq=$(realpath "$1")
page=$(cd "$(dirname "$0")/.." && pwd)/docs/guide/training.md
made=$(mktemp)
trap 'rm -f "$made" "$made.page"' EXIT

# Columns are two blanks apart; a group of settings gets a table of its own.
"$deq" train --list-settings | awk '
NR == 1 { next }
{
    gsub(/\|/, "\\|")
    n = split($0, column, /  +/)
    if (n != 3) { print "a line of " n " columns: " $0 >"/dev/stderr"; exit 1 }
    group = column[1]
    sub(/\..*/, "", group)
    if (group != last) printf "%s### `%s`\n\n| key | value | meaning |\n|---|---|---|\n", last ? "\n" : "", group
    last = group
    printf "| `%s` | %s | %s |\n", column[1], column[2], column[3]
}' >"$made"

awk -v made="$made" '
/^<!-- settings -->$/  { print; print ""; while ((getline line <made) > 0) print line; print ""; skip = 1; found++; next }
/^<!-- \/settings -->$/ { skip = 0; found++ }
!skip { print }
END { if (found != 2) { print "no <!-- settings --> in the page" >"/dev/stderr"; exit 1 } }
' "$page" >"$made.page"

if [ "${2:-}" = --write ]; then
    cp "$made.page" "$page"
    exit
fi
diff -u --label "$page" --label "what $1 says" "$page" "$made.page" || {
    echo "docs/guide/training.md: run tools/check_settings.sh DEQ --write" >&2
    exit 1
}
