#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Builds the fuzz targets and runs each for some seconds, from the seeds that are stored with it.
#
#   tools/fuzz.sh [SECONDS]
#
# What a run finds stays in build/fuzz: the corpus, and inputs that crashed.
set -euo pipefail
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
    OMP_NUM_THREADS=1 "$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 \
        -print_final_stats=1 -verbosity=0 -artifact_prefix="build/fuzz/crashes/$name-" \
        "$corpus" "${seeds[@]}"
    ran=$((ran + 1))
done
echo "fuzz: $ran targets found nothing"
