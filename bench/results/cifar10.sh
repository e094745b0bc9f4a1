#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Gradient estimators on CIFAR-10 with the small multiscale model, each with and without Jacobian
# regularisation: accuracy after STEPS steps of 50 examples, and what a step costs.
#
#   bench/results/cifar10.sh DEQ DATA OUT [STEPS]
#
# DEQ is the program, DATA the folder of data_batch_1.bin, ..., OUT a folder for the runs (those that
# are there are not trained again).  Prints a table in Markdown.  Time and memory come from runs of
# their own, of eight steps after the unrolled ones, so that the machine need be idle only for these.
set -euo pipefail

if [ "$1" = --cost ]; then # deq, configuration, folder, KEY=VALUE...: eight steps and no more
    sets=()
    for s in "${@:5}"; do sets+=(--set "$s"); done
    exec "$2" train "$3" --quiet --out "$4" "${sets[@]}" --set training.steps=8 \
        --set training.evaluate_every=1000 --set data.test_count=50 \
        --set evaluation.batch=50
fi

deq=$(realpath "$1")
data=$(realpath "$2")
out=$3
steps=${4:-100}
config=$(realpath "$(dirname "$0")/../../configs/cifar10-tiny.yaml")
mkdir -p "$out"

common=(data.path="$data" training.batch=50 solver.max_iter=12 solver.rtol=1e-3
    solver.method=anderson solver.anderson.depth=6 training.winograd=yes training.log_every=1
    gradient.adjoint_by_solver=no gradient.adjoint.max_iter=12 gradient.adjoint.rtol=1e-3
    evaluation.budgets=[] evaluation.batch=100 training.pretrain_layers=6)

settings() { # estimator, regularised
    case $1 in
        ift) echo gradient.method=ift ;;
        phantom) echo gradient.method=phantom_unroll gradient.steps=5 gradient.tau=0.5 ;;
        jfb) echo gradient.method=jfb ;;
        shine) echo gradient.method=shine solver.method=broyden solver.broyden.memory=12 ;;
    esac
    [ "$2" = 0 ] || echo penalty.weight=0.5 penalty.probability=0.1
}

train() { # folder, KEY=VALUE...
    local folder=$1 sets=() s
    shift
    for s in "${common[@]}" "$@"; do sets+=(--set "$s"); done
    "$deq" train "$config" --quiet --out "$folder" "${sets[@]}" >"$folder.log" 2>&1
}

metric() { # folder, kind, name: its values
    grep "\"kind\":\"$2\"" "$1/metrics.jsonl" | grep -o "\"$3\":[0-9.e+-]*" | cut -d: -f2
}

median() {
    sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

printf '| estimator | regularised | accuracy | evaluations | residual | s a step | peak MB |\n'
printf '|---|---|---:|---:|---:|---:|---:|\n'
for estimator in ift phantom jfb shine; do
    for regularised in 0 1; do
        run=$out/$estimator-$regularised cost=$out/cost-$estimator-$regularised
        read -ra sets <<<"$(settings "$estimator" "$regularised" | tr '\n' ' ')"
        [ -f "$run/report.html" ] ||
            train "$run" training.steps="$steps" training.pretrain_steps=30 "${sets[@]}"
        rm -rf "$cost"
        # A penalty at every step here, so that its cost shows.
        [ "$regularised" = 0 ] || sets+=(penalty.probability=1)
        peak=$( { /usr/bin/time -f %M "$0" --cost "$deq" "$config" "$cost" "${common[@]}" \
            "${sets[@]}" >/dev/null; } 2>&1 | tail -n 1)
        printf '| %s | %s | %.1f %% | %.1f | %.2g | %.2f | %d |\n' "$estimator" \
            "$([ "$regularised" = 1 ] && echo yes || echo no)" \
            "$(metric "$run" test accuracy | tail -n 1 | awk '{ print 100 * $1 }')" \
            "$(metric "$run" test n_feval | tail -n 1)" \
            "$(metric "$run" test residual | tail -n 1)" \
            "$(metric "$cost" train seconds | tail -n 6 | median)" $((peak / 1024))
    done
done
