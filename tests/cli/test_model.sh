#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# deq info of models and deq bench: counts agree with published ones, large models are not allocated to be
# looked at, and the shipped configurations are what the program reads.
#
#   test_model.sh DEQ CONFIGS
#
# With $DEQ_DATA each configuration also takes a few steps on its data.
configs=$2
# shellcheck source=support.sh
. "$(dirname "$0")/support.sh"
cd "$scratch" || exit 1

# The published numbers of parameters and elements of the state, without an allocation worth the name.
while read -r preset parameters state; do
    cat >large.yaml <<YAML
data: { source: folder, channels: 3, height: 224, width: 224 }
model: { family: multiscale, classes: 1000, multiscale: { preset: $preset } }
YAML
    run 0 info large.yaml --json
    says "$out" "\"parameters\": $parameters"
    says "$out" "\"state_elements\": $state"
done <<'TABLE'
imagenet-small 16808936 188160
imagenet-large 67063624 470400
imagenet-xl 90463280 517440
TABLE
if [ -z "${DEQ_SANITIZED:-}" ]; then # sanitizers reserve address space of their own
    (ulimit -v 1000000 && "$deq" info large.yaml >/dev/null) || complain "imagenet-xl takes a gigabyte"
fi

# A run, its checkpoint, its configuration.
cat >small.yaml <<'YAML'
data: { size: 8, count: 100, test_count: 20, validation: 20 }
model: { recurrent: { width: 8, blocks: 1 } }
solver: { max_iter: 10 }
training: { batch: 10, steps: 12, checkpoint_every: 4, pretrain_steps: 2, pretrain_layers: 3 }
evaluation: { batch: 20, count: 10 }
penalty: { weight: 0.1 }
YAML
try 0 train small.yaml --out run --quiet --threads 2
run 0 info run
for text in "format run" "family sequence" "steps 12" "best_accuracy" "max_iter 10" "map stages:" \
    "program stages:" "every evaluation" "source prefix-sums"; do
    says "$out" "$text"
done
run 0 info run --last --statistics --program --batch 3 --json
says "$out" '"program_batch": 3'
says "$out" '"rms":'
says "$out" '"kernels":'
says "$out" '"slots":'
run 0 info run/checkpoints/last.safetensors
says "$out" "format checkpoint"
run 0 info --as weights run/checkpoints/last.safetensors
says "$out" "format safetensors"
run 0 info small.yaml --set model.recurrent.width=16
says "$out" "format config"
says "$out" "width 16"
mkdir killed && cp run/config.yaml killed/
run 0 info killed
says "$out" "steps 0"

run 2 info small.yaml --statistics
says "$err" "has none"
run 2 info run/report.html --as csv --batch 3
says "$err" "--batch is for models"
run 2 info --program
says "$err" "FILE is missing"
run 2 info small.yaml --set model.recurrent.widht=3
says "$err" "model.recurrent.width"
echo 'modle: {}' >bad.yaml
run 3 info bad.yaml
says "$err" "bad.yaml:1"
run 3 bench bad.yaml
head -c 300 run/checkpoints/last.safetensors >cut.safetensors
run 3 info cut.safetensors
mkdir empty
run 1 info empty

# Each piece of work, and no other than was asked for.
try 0 bench small.yaml --steps 2 --json --threads 2 --quiet
for work in map solve step penalty pretrain; do says "$out" "\"work\": \"$work\""; done
says "$out" '"examples": "training set"'
says "$out" '"runs": 2'
if grep -q '"seconds": 0\(.0\)\?,' "$out"; then complain "deq bench: work that takes no time"; fi
try 0 bench run --only map --only step --seconds 0.1 --random --batch 4 --threads 2 --quiet
says "$out" "map 4"
says "$out" "random numbers"
if grep -q "^solve" "$out"; then complain "$ran: solve was not asked for"; fi
run 2 bench small.yaml --steps 0
run 2 bench small.yaml --only sole
run 1 bench nothing.yaml

# The configurations that come with the program.
for config in "$configs"/*.yaml; do
    run 0 info "$config"
done
if [ -z "${DEQ_DATA:-}" ]; then
    echo "SKIPPED: DEQ_DATA is not set: the configurations are not tried on data"
    finish
fi
for config in "$configs"/{mnist-*,mondeq-mnist,cifar10-tiny}.yaml; do
    data=$DEQ_DATA/mnist
    case $config in *cifar*) data=$DEQ_DATA/cifar10/cifar-10-batches-bin ;; esac
    try 0 train "$config" --quiet --out "$(basename "$config" .yaml)" --set data.path="$data" \
        --set data.count=600 --set data.validation=0 --set data.test_count=8 --set training.batch=4 \
        --set training.steps=2 --set training.pretrain_steps=1 --set evaluation.batch=8 \
        --set "evaluation.budgets=[]"
done
finish
