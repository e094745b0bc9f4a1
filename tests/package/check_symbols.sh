#!/bin/sh
# SPDX-License-Identifier: MIT
# Every symbol that the shared library exports starts with deq_.
#
#   check_symbols.sh LIBRARY
set -eu
symbols=$(nm -D --defined-only "$1" | awk '{ print $NF }')
[ -n "$symbols" ] || { echo "$1 exports nothing" >&2; exit 1; }
strangers=$(printf '%s\n' "$symbols" | grep -v '^deq_' || true)
[ -z "$strangers" ] || { printf 'exported without the prefix deq_:\n%s\n' "$strangers" >&2; exit 1; }
echo "$(printf '%s\n' "$symbols" | wc -l) exported symbols, all deq_"
