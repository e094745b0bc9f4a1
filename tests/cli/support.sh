# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# What the tests of the program share.  A test is called as test_x.sh DEQ [CMAKE [...]]; it starts with
#
#   # shellcheck source=support.sh
#   . "$(dirname "$0")/support.sh"
#
# and ends with `finish`.
set -uo pipefail
deq=$1
cmake=${2-}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
out=$scratch/out # what the program printed last
err=$scratch/err
failed=0

complain() { # what is wrong
    echo "FAILED: $*" >&2
    failed=1
}

finish() {
    exit "$failed"
}

# Runs deq; keeps what it prints; complains unless it exits with the given code.
try() { # exit code, arguments...
    local wanted=$1 got=0
    shift
    ran="deq $*"
    "$deq" "$@" >"$out" 2>"$err" || got=$?
    [ "$got" = "$wanted" ] || complain "$ran: exit code $got, expected $wanted: $(cat "$err")"
}

# The same, where no warning is due: mistakes print nothing on stdout, successes nothing on stderr.
run() { # exit code, arguments...
    local wanted=$1
    try "$@"
    if [ "$wanted" = 0 ]; then
        [ ! -s "$err" ] || complain "$ran: wrote to stderr: $(cat "$err")"
    else
        [ ! -s "$out" ] || complain "$ran: wrote to stdout: $(cat "$out")"
    fi
}

says() { # file, text that it must contain; however many blanks stand together, they are one
    tr -s ' ' <"$1" | grep -F -- "$(tr -s ' ' <<<"$2")" >/dev/null || complain "$ran: '$2' is not in: $(head -n 40 "$1")"
}

# A value of the JSON that was printed, by its path as CMake writes them: "layers 0 name".
json() { # words of the path...
    "$cmake" -DFILE="$out" -DKEYS="$*" -P "$scratch/json.cmake" 2>&1
}
cat >"$scratch/json.cmake" <<'SCRIPT'
file(READ "${FILE}" text)
separate_arguments(KEYS)
string(JSON value GET "${text}" ${KEYS})
execute_process(COMMAND ${CMAKE_COMMAND} -E echo "${value}")
SCRIPT

holds() { # path, the value there
    local value
    value=$(json "$1")
    [ "$value" = "$2" ] || complain "$ran: $1 is '$value', expected '$2'"
}
