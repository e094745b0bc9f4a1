#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# deq reproduce wmv: every check holds with few draws, and what is printed is a function of the seed.
#
#   test_reproduce.sh DEQ
# shellcheck source=support.sh
. "$(dirname "$0")/support.sh"

"$deq" reproduce wmv --draws 5000 >"$scratch/text" 2>"$scratch/err" ||
    complain "exit code $?: $(cat "$scratch/err")"
grep -q '^checks  *46$' "$scratch/text" || complain "46 checks are not in: $(cat "$scratch/text")"
grep -q '^hold  *46$' "$scratch/text" || complain "not all hold: $(cat "$scratch/text")"
[ "$(grep -c '^Beta(' "$scratch/text")" = 30 ] || complain "30 rows are not in: $(cat "$scratch/text")"

"$deq" reproduce wmv --json --draws 5000 >"$scratch/one" || complain "with --json: exit code $?"
"$deq" reproduce wmv --json --draws 5000 --threads 1 >"$scratch/two" || complain "exit code $?"
cmp -s "$scratch/one" "$scratch/two" || complain "the number of threads changes the result"

"$deq" reproduce wmv --draws 1 >"$scratch/text" 2>"$scratch/err"
[ $? = 2 ] || complain "one draw is not refused: $(cat "$scratch/err")"
finish
