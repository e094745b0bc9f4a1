#!/bin/sh
# SPDX-License-Identifier: MIT
# Every symbol that the shared library exports, and every one that a program linked with the archive
# could collide with, starts with deq_.  (Names with a dot are the compiler's: no C program can define
# them.  clang's OpenMP shares locks that way.)
#
#   check_symbols.sh LIBRARY ARCHIVE
set -eu

accept() { # what, its symbols one to a line
    [ -n "$2" ] || { echo "$1 defines nothing" >&2; exit 1; }
    strangers=$(printf '%s\n' "$2" | grep -v -e '^deq_' -e '^[.]' || true)
    [ -z "$strangers" ] || { printf '%s, without the prefix deq_:\n%s\n' "$1" "$strangers" >&2; exit 1; }
    echo "$1: $(printf '%s\n' "$2" | wc -l) symbols, all deq_"
}

accept "$1" "$(nm -D --defined-only "$1" | awk 'NF == 3 { print $3 }')"
accept "$2" "$(nm -g --defined-only "$2" | awk 'NF == 3 { print $3 }')"
