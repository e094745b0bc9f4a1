#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs what the README shows.
#
#   tools/check_readme.sh [README]
#
# - Each fence tagged `sh` is run from the root of the checkout, in order, and must succeed.
# - Each fence tagged `c` that has a main is compiled, warnings being errors, and run with the
#   library of build/release (so a fence before it has to build that); if the next fence is tagged
#   `text`, the program must print exactly that.
#
# Other fences are not looked at: tag with `console` what is only to be read.
set -euo pipefail
tools=$(cd "$(dirname "$0")" && pwd)
readme=$(realpath "${1:-$tools/../README.md}")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$tools/.."

# Fence number n becomes the file n.TAG.
awk -v dir="$scratch" '
/^```/ && !inside { inside = 1; tag = substr($0, 4); file = sprintf("%s/%03d.%s", dir, ++n, tag ? tag : "none")
                    printf "" >file; next }
/^```/            { inside = 0; close(file); next }
inside            { print >file }
' "$readme"

# `make demo` is to work here, not to learn.
export DEMO_SET=${DEMO_SET-training.steps=20 evaluation.count=4 data.test_count=20}

failed=0
ran=0
complain() {
    echo "README: $*" >&2
    failed=1
}

run_commands() { # fence
    sed 's/^/    $ /' "$1"
    bash -euo pipefail "$1" </dev/null || complain "these commands failed"
}

run_program() { # fence
    local program=${1%.c} number output
    "${CC:-cc}" -std=c11 -Wall -Wextra -Werror -Iinclude "$1" -o "$program" \
        -Lbuild/release/src -ldeq -lm -Wl,-rpath,build/release/src ||
        { complain "a program does not compile"; return; }
    "$program" >"$program.out" || complain "a program failed"
    number=$(basename "$program")
    output=$scratch/$(printf '%03d' $((10#$number + 1))).text
    [ -f "$output" ] || { cat "$program.out"; return; }
    diff -u --label "what the README shows" --label "what the program prints" \
        "$output" "$program.out" || complain "a program prints something else than the README shows"
}

for fence in "$scratch"/[0-9]*; do
    case $fence in
        *.sh) run_commands "$fence" ;;
        *.c) grep -q '\<main(' "$fence" || continue
             run_program "$fence" ;;
        *) continue ;;
    esac
    ran=$((ran + 1))
done
[ "$ran" -gt 0 ] || complain "nothing to run in $readme"
[ "$failed" = 0 ] || exit 1
echo "README: $ran fences work"
