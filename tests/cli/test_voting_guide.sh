#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs every command that a guide shows, and compares what it prints with what the guide shows.
#
#   test_voting_guide.sh DEQ GUIDE
#
# In a fence tagged `console` a line that begins with "$ " is a command, and what follows up to the next
# one is its output, stdout and stderr.  A line "..." stands for any number of lines.  Blanks are
# squeezed, numbers may differ by 1e-4 of themselves (another processor rounds otherwise), and times (12.3
# ms, 4 s, and the value behind "seconds") are not compared.  The files that the guide names are those of $DEQ_DATA/votes; without it the test is skipped.
set -uo pipefail
deq=$1 guide=$2
if [ -z "${DEQ_DATA:-}" ]; then
    echo "SKIPPED: the commands of $guide: DEQ_DATA is not set"
    exit 0
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/bin" "$scratch/work"
ln -s "$deq" "$scratch/bin/deq"
PATH=$scratch/bin:$PATH
cp "$DEQ_DATA"/votes/*.csv "$scratch/work"
cd "$scratch/work" || exit 1

awk -v dir="$scratch" '
/^```console$/   { inside = 1; next }
/^```/           { inside = 0; next }
inside && /^\$ / { ++n; name = sprintf("%s/%03d", dir, n)
                   print substr($0, 3) >(name ".command"); printf "" >(name ".shown"); next }
inside && n      { print >(name ".shown") }' "$guide"

plain() {
    sed -E 's/[0-9.e-]+ (ms|s)( |$)/TIME\2/g; s/^( *seconds) .*/\1 TIME/; s/[[:space:]]+/ /g; s/ $//; /^$/d' "$1"
}

# Every shown line is the next one printed; after "..." one of the next.
compare() { # shown, printed
    awk '
    function is_number(x) { return x ~ /^[-+]?[0-9.]+(e[-+]?[0-9]+)?$/ }
    function same(a, b,    n, i, x, y, d, most) {
        if (a == b) return 1
        n = split(a, x, /[ ,]/)
        if (split(b, y, /[ ,]/) != n) return 0
        for (i = 1; i <= n; i++) {
            if (x[i] == y[i]) continue
            if (!is_number(x[i]) || !is_number(y[i])) return 0
            d = x[i] - y[i]
            most = 1e-4 * (x[i] < 0 ? -x[i] : x[i]) + 1e-12
            if (d > most || -d > most) return 0
        }
        return 1
    }
    NR == FNR { shown[++n] = $0; next }
    { printed[++m] = $0 }
    END {
        j = 1
        for (i = 1; i <= n; i++) {
            if (shown[i] == "...") { skip = 1; continue }
            while (skip && j <= m && !same(printed[j], shown[i])) j++
            if (j > m || !same(printed[j], shown[i])) {
                printf "the guide shows: %s\nprinted instead: %s\n", shown[i], j <= m ? printed[j] : "(the end)"
                exit 1
            }
            skip = 0
            j++
        }
        if (!skip && j <= m) { printf "not in the guide: %s\n", printed[j]; exit 1 }
    }' "$1" "$2"
}

failed=0 ran=0
for file in "$scratch"/[0-9]*.command; do
    shown=${file%.command}.shown
    printed=${file%.command}.printed
    got=0
    bash -euo pipefail "$file" >"$printed" 2>&1 </dev/null || got=$?
    plain "$shown" >"$shown.plain"
    plain "$printed" >"$printed.plain"
    # Whoever shows nothing of an output does not promise it; a failure is shown by its message.
    if [ ! -s "$shown.plain" ]; then
        [ "$got" = 0 ] || { echo "FAILED: $(cat "$file"): exit code $got: $(cat "$printed")" >&2; failed=1; }
    elif ! compare "$shown.plain" "$printed.plain" >"$scratch/why"; then
        echo "FAILED: $(cat "$file"): $(cat "$scratch/why")" >&2
        failed=1
    fi
    ran=$((ran + 1))
done
[ "$ran" -gt 5 ] || { echo "FAILED: only $ran commands in $guide" >&2; failed=1; }
exit $failed
