#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# deq train, eval, predict and audit: a run that is killed at random moments and resumed ends with the
# same weights; every command does what its help says; mistakes are told with their place.
#
#   test_train.sh DEQ
# shellcheck source=support.sh
. "$(dirname "$0")/support.sh"
cd "$scratch" || exit 1

cat >small.yaml <<'YAML'
data: { size: 8, count: 200, test_count: 20, validation: 20 }
model: { recurrent: { width: 8, blocks: 1 } }
solver: { max_iter: 10, start: mixed }
training: { batch: 10, steps: 400, checkpoint_every: 7, log_every: 20, average: 0.9 }
evaluation: { batch: 20, budgets: [5, 10], sizes: [12], count: 10 }
YAML

# A whole run, and the same one killed again and again, each time after a random part of a second.
weights() { # run, file
    "$deq" convert --no-metadata --force "$1/checkpoints/last.safetensors" "$2" >/dev/null
}
try 0 train small.yaml --out whole --quiet --threads 2
says "$out" "whole/report.html"
weights whole whole.safetensors || complain "the whole run has no checkpoint"
how=(train small.yaml --out killed)
kills=0
for ((part = 0; part < 12; part++)); do
    "$deq" "${how[@]}" --quiet --threads 2 >"$out" 2>"$err" &
    child=$!
    sleep "0.$(printf '%03d' $((RANDOM % 300 + 30)))"
    if kill -KILL $child 2>/dev/null; then kills=$((kills + 1)); fi
    wait $child 2>/dev/null
    if [ -f killed/config.yaml ]; then how=(train --resume --out killed); fi
done
try 0 "${how[@]}" --quiet --threads 2
weights killed killed.safetensors || complain "the killed run has no checkpoint"
cmp -s whole.safetensors killed.safetensors ||
    complain "after $kills kills the weights differ from those of the whole run"
echo "killed $kills times"

# Ctrl-C, and what a scheduler sends, store and say how to go on.
for signal in INT TERM; do
    folder=stopped-$signal
    "$deq" train small.yaml --out "$folder" --set training.steps=100000 --quiet >"$out" 2>"$err" &
    child=$!
    for ((wait = 0; wait < 200; wait++)); do
        [ -f "$folder/checkpoints/last.safetensors" ] && break
        sleep 0.05
    done
    kill "-$signal" $child
    code=0
    wait $child || code=$?
    ran="deq train, stopped by $signal"
    [ $code = 130 ] || complain "$ran: exit code $code, expected 130"
    says "$err" "deq train --resume --out $folder"
done

# The best weights are chosen on examples that were kept back; without such there are no best weights,
# and the last are used.
[ -f whole/checkpoints/best.safetensors ] || complain "no best checkpoint beside validation"
grep -q '"kind":"validation"' whole/metrics.jsonl || complain "no line of validation in the metrics"
try 0 train small.yaml --out plain --quiet --set training.steps=3 --set data.validation=0
[ ! -e plain/checkpoints/best.safetensors ] || complain "a best checkpoint, chosen on the test set"
grep -q '"kind":"evaluation"' plain/metrics.jsonl || complain "no evaluation in the metrics"
run 0 info plain
says "$out" "plain/checkpoints/last.safetensors"
if grep -q best_accuracy "$out"; then complain "$ran: a best accuracy"; fi

# What a run can be asked.
run 0 eval whole
says "$out" "test set"
run 0 eval whole --size 16 -n 4 -n 20 --last
says "$out" "size 16"
run 0 eval whole --json
says "$out" '"accuracy"'
try 4 eval whole --size 64 --at-least 1
run 0 eval whole/checkpoints/best.safetensors
run 0 predict whole 0110 1010101
says "$out" "0110 -> "
run 0 predict whole --example 3 --json
says "$out" '"wrong"'
printf '0101\n\n111\n' >lines
"$deq" predict whole - <lines >"$out" 2>"$err" || complain "predict from standard input"
[ "$(wc -l <"$out")" = 2 ] || complain "two lines give two predictions: $(cat "$out")"
try 0 audit whole --batch 2 --repeats 1
says "$out" "phantom neumann"
try 0 audit whole --batch 2 --repeats 1 --json
run 0 train --print-config --set training.batch=7
says "$out" "batch: 7  # examples of a step"
cp "$out" printed.yaml
run 0 train printed.yaml --print-config
cmp -s "$out" printed.yaml || complain "a printed configuration does not read back to itself"
run 0 train --list-settings
says "$out" "solver.anderson.depth"

# A maze, and its picture.
try 0 train --out maze --quiet --set data.source=mazes --set model.family=maze --set data.count=20 \
    --set data.test_count=2 --set training.batch=4 --set training.steps=2 \
    --set model.recurrent.width=4 --set solver.max_iter=3 --set evaluation.batch=2
run 0 predict maze --example 0 --out solved.png
says "$out" "S"
run 0 predict maze --example 0 --example 1 --size 13 --out pictures
[ -s pictures/example-1.png ] || complain "no picture of the second maze"
run 0 info solved.png
run 3 predict maze lines

# Mistakes.
run 2 train --resume
run 1 train small.yaml --out whole
says "$err" "holds a run already"
run 1 train --resume --out nowhere
says "$err" "is it the folder of a run?"
run 1 train --resume --out plain --set model.family=mlp
says "$err" "keeps its model.family"
run 1 train --resume --out plain --set training.steps=2
says "$err" "has taken 3 steps"
run 0 info plain
says "$out" "steps 3"
run 2 train small.yaml --out whole2 --set training.bach=3
says "$err" "did you mean 'training.batch'"
printf 'training:\n  batch: many\n' >bad.yaml
run 3 train bad.yaml --out whole2
says "$err" "bad.yaml:2:3: training.batch is 'many'; expected integer >= 1"
[ ! -e whole2 ] || complain "a run that could not begin left a folder"
run 1 eval nowhere
run 3 eval lines
run 2 predict whole
run 3 predict whole 0120
run 2 predict whole --example 100000
finish
