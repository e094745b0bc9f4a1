#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# check_readme.sh fails when a command fails, and when there is nothing to run.
#
#   test_check_readme.sh TOOLS_DIR
set -euo pipefail
check=$1/check_readme.sh
page=$(mktemp)
trap 'rm -f "$page"' EXIT

expect() { # accepted|refused, text of the page
    printf '%b' "$2" >"$page"
    if "$check" "$page" >/dev/null 2>&1; then got=accepted; else got=refused; fi
    [ "$got" = "$1" ] || { echo "was $got: $2" >&2; exit 1; }
}

expect accepted 'text\n```sh\ntrue\n```\n```console\nfalse\n```\n'
expect refused '```sh\ntrue\nfalse\n```\n'
expect refused '```sh\nfalse | true\n```\n'
expect refused '```c\nint main(void) { return x; }\n```\n'
expect refused 'nothing\n'
