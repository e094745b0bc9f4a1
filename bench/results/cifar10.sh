#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Gradient estimators on CIFAR-10 with the small multiscale model, each with and without Jacobian
# regularisation: accuracy after STEPS steps of 50 examples, and what a step costs.
#
#   bench/results/cifar10.sh [OPTIONS] DEQ DATA OUT [STEPS]
#
#   --peer PYTHON     PyTorch and TorchDEQ beside us (bench/peers/torch_cifar10.py): a Python that has
#                     both packages
#   --threads N       of both programs; default: all cores
#   --accuracy-only   no table of costs
#   --cost-only       no table of accuracies
#   --rounds N        of the costs: the median counts; default 1
#
# DEQ is the program, DATA the folder of data_batch_1.bin, ..., OUT a folder for the runs (those that
# are there are not trained again).  Prints tables in Markdown.  Time and memory come from runs of their
# own, of eight steps none of which is unrolled, the first two not counted, our program and the peer in
# turn, so that the machine need be idle only for these.  The peer begins with our initial weights, and
# is timed in both of PyTorch's memory formats; the faster one counts.
set -euo pipefail

python='' threads=$(nproc) rounds=1 want=all
while [ $# -gt 0 ]; do
    case $1 in
        --peer) python=${2-} ;;
        --threads) threads=${2-} ;;
        --rounds) rounds=${2-} ;;
        --accuracy-only | --cost-only) want=${1#--} ;;
        -*) echo "$0: unknown option $1" >&2 && exit 2 ;;
        *) break ;;
    esac
    case $1 in
        --*-only) shift ;;
        *) [ -n "${2-}" ] || { echo "$0: $1 without a value" >&2 && exit 2; }
            shift 2 ;;
    esac
done
[ $# -ge 3 ] || { sed -n '6,13s/^# \{0,1\}//p' "$0" >&2 && exit 2; }
[ -z "$python" ] || "$python" -c 'import torch, torchdeq' || exit 2
here=$(realpath "$(dirname "$0")")
deq=$(realpath "$1")
data=$(realpath "$2")
out=$3
steps=${4:-100}
config=$here/../../configs/cifar10-tiny.yaml
initial=$out/initial/checkpoints/last.safetensors
mkdir -p "$out"

common=(data.path="$data" training.batch=50 solver.max_iter=12 solver.rtol=1e-3
    solver.method=anderson solver.anderson.depth=6 training.winograd=yes training.log_every=1
    gradient.adjoint_by_solver=no gradient.adjoint.max_iter=12 gradient.adjoint.rtol=1e-3
    evaluation.budgets=[] evaluation.batch=100 training.pretrain_layers=6)

settings() { # estimator, probability of the penalty
    case $1 in
        ift) echo gradient.method=ift ;;
        phantom) echo gradient.method=phantom_unroll gradient.steps=5 gradient.tau=0.5 ;;
        phantom-recomputed) echo "$(settings phantom 0)" gradient.recompute=yes ;;
        jfb) echo gradient.method=jfb ;;
        shine) echo gradient.method=shine solver.method=broyden solver.broyden.memory=12 ;;
    esac
    [ "$2" = 0 ] || echo penalty.weight=0.5 penalty.probability="$2"
}

train() { # folder, KEY=VALUE...
    local folder=$1 sets=() s
    shift
    for s in "${common[@]}" "$@"; do sets+=(--set "$s"); done
    rm -rf "$folder"
    /usr/bin/time -o "$folder.peak" -f %M "$deq" train "$config" --quiet --threads "$threads" \
        --out "$folder" "${sets[@]}" >"$folder.log" 2>&1 || { cat "$folder.log" >&2 && exit 1; }
}

# A step of rate 0 (what 1e-300 is in f32) leaves the weights that every run begins with.
write_initial() {
    [ -f "$initial" ] || train "$out/initial" training.steps=1 training.pretrain_steps=1 \
        optimiser.rate=1e-300 data.test_count=50 evaluation.batch=50
}

train_peer() { # record, estimator, probability of the penalty, other options
    local record=$1 estimator=$2 probability=$3
    shift 3
    write_initial
    "$python" "$here/../peers/torch_cifar10.py" --data "$data" --weights "$initial" \
        --threads "$threads" --estimator "$estimator" --penalty "$probability" "$@" >"$record.part"
    mv "$record.part" "$record"
}

# In the memory format that is the faster one.
train_peer_fastest() { # as train_peer
    local record=$1 first last
    shift
    train_peer "$record.last" "$@" --channels-last
    train_peer "$record.first" "$@" --no-channels-last
    first=$(field "$record.first" median_s) last=$(field "$record.last" median_s)
    if awk -v a="$first" -v b="$last" 'BEGIN { exit !(a < b) }'; then
        cp "$record.first" "$record"
    else
        cp "$record.last" "$record"
    fi
}

metric() { # folder, kind, name: its values
    grep "\"kind\":\"$2\"" "$1/metrics.jsonl" | grep -o "\"$3\":[0-9.e+-]*" | cut -d: -f2
}

field() { # record of the peer, name: its value
    grep -o "\"$2\":[0-9.e+-]*" "$1" | cut -d: -f2
}

median() {
    sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

yes_no() {
    [ "$1" = 0 ] && echo no || echo yes
}

accuracy() { # accuracy, evaluations, residual
    awk -v a="$1" -v n="$2" -v r="$3" 'BEGIN { printf " %.1f %% | %.1f | %.2g |", 100 * a, n, r }'
}

accuracies() {
    local estimator regularised run sets
    printf '| gradient | regularised | accuracy | evaluations | residual |'
    [ -z "$python" ] || printf ' TorchDEQ: accuracy | evaluations | residual |'
    printf '\n|---|---|---:|---:|---:|%s\n' "${python:+---:|---:|---:|}"
    for estimator in ift phantom jfb shine; do
        for regularised in 0 0.1; do
            run=$out/$estimator-$(yes_no $regularised)
            read -ra sets <<<"$(settings $estimator $regularised | tr '\n' ' ')"
            [ -f "$run/report.html" ] ||
                train "$run" training.steps="$steps" training.pretrain_steps=30 "${sets[@]}"
            [ -z "$python" ] || [ -f "$run.peer" ] ||
                train_peer "$run.peer" $estimator $regularised --steps "$steps" --unrolled 30
            printf '| %s | %s |' $estimator "$(yes_no $regularised)"
            accuracy "$(metric "$run" test accuracy)" "$(metric "$run" test n_feval)" \
                "$(metric "$run" test residual)"
            [ -z "$python" ] ||
                accuracy "$(field "$run.peer" accuracy)" "$(field "$run.peer" n_feval)" \
                    "$(field "$run.peer" residual)"
            echo
        done
    done
}

# With a penalty in every step, so that what it costs shows.
costs() {
    local estimator regularised run record round sets ours peak their_peak growth
    printf '| gradient | regularised | s a step | peak MB |'
    [ -z "$python" ] || printf ' TorchDEQ: s a step | peak MB | of that in training |'
    printf '\n|---|---|---:|---:|%s\n' "${python:+---:|---:|---:|}"
    for estimator in ift phantom phantom-recomputed jfb shine; do
        for regularised in 0 1; do
            run=$out/cost-$estimator-$(yes_no $regularised)
            record=$out/cost-${estimator%-recomputed}-$(yes_no $regularised).peer
            read -ra sets <<<"$(settings $estimator $regularised | tr '\n' ' ')"
            ours=''
            [ $estimator = phantom-recomputed ] || rm -f "$record.seconds"
            for ((round = 1; round <= rounds; round++)); do
                train "$run" training.steps=8 training.pretrain_steps=0 \
                    training.evaluate_every=1000 data.test_count=50 evaluation.batch=50 "${sets[@]}"
                ours+=$(metric "$run" train seconds | tail -n 6 | median)$'\n'
                # The peer's phantom gradient keeps its tape: it stands beside both of ours.
                if [ -z "$python" ] || [ $estimator = phantom-recomputed ]; then continue; fi
                train_peer_fastest "$record" $estimator $regularised --steps 8 --unrolled 0 \
                    --test-count 50
                field "$record" median_s >>"$record.seconds"
            done
            peak=$(tail -n 1 "$run.peak")
            printf '| %s | %s | %.2f | %.0f |' $estimator "$(yes_no $regularised)" \
                "$(printf %s "$ours" | median)" "$((peak * 1024 / 1000000))"
            if [ -n "$python" ]; then
                their_peak=$(field "$record" peak_mb) growth=$(field "$record" growth_mb)
                printf ' %.2f | %.0f | %.0f |' "$(median <"$record.seconds")" "$their_peak" "$growth"
            fi
            echo
        done
    done
}

[ "$want" = cost-only ] || accuracies
[ "$want" = all ] && echo
[ "$want" = accuracy-only ] || costs
