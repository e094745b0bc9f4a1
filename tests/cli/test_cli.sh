#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Exit codes, streams, help texts, suggestions, and that --json prints JSON.
#
#   test_cli.sh DEQ CMAKE SEEDS
#
# SEEDS is tests/fuzz/seeds, with a small file of each kind.
# shellcheck source=support.sh
. "$(dirname "$0")/support.sh"
seeds=$3

# The version, everywhere the same.
run 0 --version
says "$out" "deq "
version=$(sed 's/^deq //' "$out")
run 0 -V
says "$out" "deq $version"
run 0 info
says "$out" "libdeq           $version, "

# info --json is JSON and says the same as the text.
run 0 info --json
[ "$(json version)" = "$version" ] || complain "info --json: version: $(json version)"
for path in compiler "openmp version" "openmp threads" "isa used" "isa available" \
    "kernel_libraries 0 name" "kernel_libraries 0 version" "kernel_libraries 0 isa"; do
    # shellcheck disable=SC2086
    value=$(json $path) || complain "info --json: $path: $value"
    [ -n "$value" ] || complain "info --json: $path is empty"
done

# Help on every level, with examples, and the same by either way.
run 0 help
says "$out" "commands:"
says "$out" "examples:"
commands=$(sed -n '/^commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' "$out")
[ -n "$commands" ] || complain "help: no commands listed"
for command in $commands; do
    run 0 help "$command"
    says "$out" "usage: deq $command"
    says "$out" "examples:"
    says "$out" "--help"
    cp "$out" "$scratch/first"
    run 0 "$command" --help
    cmp -s "$out" "$scratch/first" || complain "help $command and $command --help differ"
    run 0 "$command" -h
    cmp -s "$out" "$scratch/first" || complain "help $command and $command -h differ"
done
run 0 --help
says "$out" "commands:"
run 0 -h

# Mistakes: exit code 2, and the nearest known name.
run 2
says "$err" "usage: deq"
run 2 inof
says "$err" "unknown command 'inof'; did you mean 'info'?"
run 2 frobnicate
says "$err" "unknown command 'frobnicate'; see deq help"
run 2 ''
run 2 --versoin
says "$err" "unknown option '--versoin'; did you mean '--version'?"
run 2 --version now
says "$err" "unexpected argument 'now'"
run 2 info --jsno
says "$err" "unknown option '--jsno'; did you mean '--json'?"
run 2 info --js
says "$err" "unknown option '--js'"
run 2 info "--$(printf '%0200d' 0)"
run 2 info -x
says "$err" "unknown option '-x'; see deq help info"
run 2 info --json=yes
says "$err" "option '--json' takes no value"
run 2 info --help=yes
run 2 info one two
says "$err" "unexpected argument 'two'"
run 1 info -- --json
says "$err" "--json: No such file or directory"
run 2 help inof
says "$err" "did you mean 'info'?"
run 2 help info help
run 2 info --threads 0
says "$err" "option '--threads': '0' is out of range: 1 to 4096"
run 2 info --threads two
says "$err" "'two' is no whole number"
run 2 info --threads
says "$err" "option '--threads' needs N"
run 2 info --threads --json
says "$err" "'--json' is an option; if it is meant as the value, write --threads=--json"
run 2 info --color nevr
says "$err" "did you mean 'never'?"
run 2 convert
says "$err" "IN is missing; see deq help convert"
run 2 --
run 2 -

# Any words at all: an answer, never a crash.
odd=$(printf '\001\033[31m\377\302')
long=$(printf '%0100000d' 0)
for words in "$odd" "--$odd" "$long" "--$long" "-$long" '--=' '-=' '--json=' '---' '%s%n' ''; do
    for command in '' info convert help completion; do
        "$deq" ${command:+"$command"} "$words" >"$out" 2>"$err"
        code=$?
        case $code in
            0 | 1 | 2 | 3) ;;
            *) complain "deq $command with odd words: exit code $code" ;;
        esac
        if LC_ALL=C grep -q "$(printf '\033')" "$err"; then
            complain "deq $command: escape sequences come through"
        fi
    done
done

# The threads that are asked for are those that are used.
run 0 info --threads 3 --json
[ "$(json openmp threads)" = 3 ] || complain "info --threads 3: $(json openmp threads)"

# Colours: not in a pipe, unless they are asked for.
run 0 info --color always "$seeds/fuzz_safetensors/three"
says "$out" "$(printf '\033[1m')"
run 0 info "$seeds/fuzz_safetensors/three"
if grep -q "$(printf '\033')" "$out"; then complain "colours in a pipe"; fi

# The tables of all commands are without faults, down to their examples.
run 0 help --check

# A result that cannot be written is a failure, not a success.
if [ -w /dev/full ]; then
    "$deq" info >/dev/full 2>"$err"
    [ $? = 1 ] || complain "info on a full disk does not fail"
    grep -q "cannot write" "$err" || complain "info on a full disk says: $(cat "$err")"
fi
finish
