#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# check_layers.sh accepts a tree of good includes and finds each bad one.
#
#   test_check_layers.sh TOOLS_DIR
set -euo pipefail
check=$1/check_layers.sh
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT

put() { # file, included name with its brackets
    mkdir -p "$tree/$(dirname "$1")"
    echo "#include $2" >"$tree/$1"
}

good=(
    'src/base/a.c         "base/a.h"'
    'src/tensor/a.c       "base/a.h"'
    'src/op/a.c           <deq/graph.h>'
    'src/graph/a.c        "op/op.h"'
    'src/graph/b.c        <math.h>'
    'src/backend/cpu/a.c  "op/op.h"'
    'src/backend/cpu/b.c  <dnnl.h>'
    'src/solver/a.c       <deq/type.h>'
    'include/deq/graph.h  <deq/type.h>'
    'include/deq/deq.h    <deq/graph.h>'
    'include/deq/op/a.h   <deq/graph.h>'
    'cli/a.c              <deq/deq.h>'
    'cli/b.c              "table.h"'
)
bad=(
    'src/base/a.c         "tensor/a.h"'
    'src/tensor/a.c       "graph/a.h"'
    'src/op/a.c           "graph/graph_internal.h"'
    'src/graph/a.c        "op/table.h"'
    'src/graph/a.c        "backend/cpu/a.h"'
    'src/graph/a.c        "solver/a.h"'
    'src/solver/a.c       <deq/graph.h>'
    'src/solver/a.c       "op/op.h"'
    'src/graph/a.c        "a.h"'
    'src/graph/a.c        "../base/a.h"'
    'src/graph/a.c        <dnnl.h>'
    'src/op/a.c           <immintrin.h>'
    'src/op/a.c           <oneapi/dnnl/dnnl.h>'
    'src/unheard/a.c      "base/a.h"'
    'include/deq/type.h   <deq/graph.h>'
    'include/deq/type.h   "tensor/a.h"'
    'include/deq/new.h    <deq/type.h>'
    'include/deq/new/a.h  <deq/type.h>'
    'src/solver/a.c       <deq/op/a.h>'
    'cli/a.c              "base/a.h"'
    'bench/a.c            "graph/a.h"'
)

for line in "${good[@]}"; do
    read -r file include <<<"$line"
    put "$file" "$include"
done
"$check" "$tree"

failed=0
for line in "${bad[@]}"; do
    rm -rf "${tree:?}"/*
    read -r file include <<<"$line"
    put "$file" "$include"
    if "$check" "$tree" >/dev/null; then
        echo "not found: $line" >&2
        failed=1
    fi
done
exit $failed
