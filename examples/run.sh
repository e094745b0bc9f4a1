#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs an example and compares what it prints with what was recorded.
#
#   run.sh PROGRAM RECORDED
set -euo pipefail
"$1" | diff -u --label recorded --label printed "$2" -
