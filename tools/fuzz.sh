#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Builds the fuzz targets and runs each for some seconds, from the seeds that are stored with it.
#
#   tools/fuzz.sh [SECONDS]
#
# What a run finds stays in build/fuzz: the corpus, and inputs that crashed.  Put such an input into
# tests/fuzz/seeds/<target>/: every build then tries it.
set -euo pipefail
export LSAN_OPTIONS=suppressions=tests/support/lsan.supp:print_suppressions=0
cd "$(dirname "$0")/.."
seconds=${1:-60}

cmake --preset fuzz --log-level=WARNING >/dev/null
cmake --build build/fuzz --parallel "$(nproc)"

ran=0
for target in build/fuzz/tests/fuzz/fuzz_*; do
    [ -x "$target" ] || continue
    name=$(basename "$target")
    corpus=build/fuzz/corpus/$name
    mkdir -p "$corpus" build/fuzz/crashes
    seeds=()
    [ ! -d "tests/fuzz/seeds/$name" ] || seeds=("tests/fuzz/seeds/$name")
    echo "fuzz: $name, $seconds s"
    if ! "$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="build/fuzz/crashes/$name-" "$corpus" "${seeds[@]}" \
        >"build/fuzz/$name.log" 2>&1; then
        tail -n 60 "build/fuzz/$name.log" >&2
        exit 1
    fi
    grep -E '^stat::(number_of_executed_units|new_units_added)' "build/fuzz/$name.log"
    ran=$((ran + 1))
done
echo "fuzz: $ran targets found nothing"
