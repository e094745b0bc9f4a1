#!/bin/sh
# SPDX-License-Identifier: MIT
# Each public header compiles alone, as strict C11 and as C++, and is reached from deq.h or from one of
# those that stand apart.
#
#   check_headers.sh INCLUDE_DIR CC [CXX]
set -u
include_dir=$1 cc=$2 cxx=${3:-}
failed=0

check() { # header, compiler and flags
    header=$1
    shift
    printf '#include "%s"\nint not_empty;\n' "$header" | "$@" -pedantic -Wall -Wextra -Wundef -Werror \
        -I"$include_dir" -fsyntax-only - && return
    echo "FAILED: $header alone, with $*" >&2
    failed=1
}

[ -n "$cxx" ] || echo "no C++ compiler: the headers are not tried as C++"
for path in $(find "$include_dir" -name '*.h' | sort); do
    header=${path#"$include_dir"/}
    check "$header" "$cc" -std=c11 -Wstrict-prototypes -x c
    [ -z "$cxx" ] || check "$header" "$cxx" -std=c++11 -x c++
done

# "main.o: .../deq/deq.h .../deq/audit.h \\" and so on, as lines of names.
reached=$(printf '#include <deq/%s.h>\n' deq io data model report train vote |
    "$cc" -std=c11 -I"$include_dir" -M -x c - | tr -s ' \\' '\n\n' | grep "^$include_dir/deq/" | sort -u)
for path in $(find "$include_dir" -name '*.h' | sort); do
    printf '%s\n' "$reached" | grep -qxF "$path" && continue
    echo "FAILED: ${path#"$include_dir"/} is not reached from deq.h, io.h, data.h, model.h, report.h, train.h, vote.h" >&2
    failed=1
done
exit $failed
