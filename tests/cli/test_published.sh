#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Published weights through the program: the monotone operator network of Winston & Kolter that their code
# saved reaches 98.25 % of MNIST's 10,000 test images, by either splitting.
#
#   test_published.sh DEQ CONFIGS
#
# The equilibrium is unique, so the accuracy does not depend on the solver; two images more or less are left
# to rounding.
set -uo pipefail
deq=$1 configs=$2
if [ -z "${DEQ_DATA:-}" ]; then
    echo "SKIPPED: DEQ_DATA is not set: no published weights, no test images"
    exit 0
fi
failed=0
for splitting in forward-backward peaceman-rachford; do
    result=$("$deq" eval "$DEQ_DATA/weights/mnist_mondeq_float.pt" --config "$configs/mondeq-mnist.yaml" \
        --set data.path="$DEQ_DATA/mnist" --set model.monotone.splitting=$splitting --json --quiet) || failed=1
    right=$(sed -n 's/.*"right": \([0-9]*\).*/\1/p' <<<"$result")
    examples=$(sed -n 's/.*"examples": \([0-9]*\).*/\1/p' <<<"$result")
    echo "$splitting: $right of $examples"
    [ "$examples" = 10000 ] && [ "$right" -ge 9823 ] && [ "$right" -le 9827 ] || failed=1
    grep -q '"converged": 10000' <<<"$result" || failed=1
done
[ "$failed" = 0 ] || echo "FAILED: expected 9823 to 9827 of 10000, all solves converged" >&2
exit $failed
