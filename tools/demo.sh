#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Trains a small equilibrium model, shows what it learnt and how it extrapolates.
#
#   tools/demo.sh DEQ prefix-sums|mazes
#
# DEQ is the program.  DEMO_SET="KEY=VALUE ..." changes settings: DEMO_SET=training.steps=20 is over at
# once (and learns nothing).
set -euo pipefail
deq=$(realpath "$1")
task=$2
cd "$(dirname "$0")/.."
out=runs/$task-$(date +%Y%m%d-%H%M%S)
sets=()
for set in ${DEMO_SET:-}; do sets+=(--set "$set"); done

case $task in
    prefix-sums)
        echo "Training on strings of 32 bits: which prefixes have an odd number of ones?"
        "$deq" train configs/prefix-sums.yaml --out "$out" "${sets[@]}"
        echo
        echo "A string and its running parity, as the model sees it:"
        "$deq" predict "$out" --last --max-iter 60 011010011100101010011011101001
        ;;
    mazes)
        echo "Training on mazes of 9 x 9: where is the way from S to E?"
        "$deq" train configs/mazes.yaml --out "$out" "${sets[@]}"
        echo
        echo "A maze of 25 x 25, solved:"
        "$deq" predict "$out" --last --size 25 --example 0 --max-iter 300 --out "$out/solved.png"
        echo "$out/solved.png shows it (blue: the path found; what is wrong would be red or orange)."
        ;;
    *)
        echo "demo: no task '$task'; there are prefix-sums and mazes" >&2
        exit 2
        ;;
esac
