#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Manual pages and completions: every command and option is in them, and the tools that read them
# understand them.
#
#   test_manuals.sh DEQ
#
# man, mandoc, zsh and fish are asked if they are installed; it is said which were not.
# shellcheck source=support.sh
. "$(dirname "$0")/support.sh"

available() { # program
    command -v "$1" >/dev/null && return
    echo "SKIPPED: $1 is not installed"
    return 1
}

for shell in bash zsh fish; do
    "$deq" completion $shell >"$scratch/$shell" || complain "completion $shell fails"
done
"$deq" help --list >"$scratch/list" || complain "help --list fails"
grep -q '^info$' "$scratch/list" || complain "help --list does not list info"

# The options of a command, as its help lists them: "--json".
options_of() { # words...
    "$deq" help "$@" | sed -n '/^options:/,/^$/s/^ *\(-., \)\{0,1\}\(--[a-z0-9-]*\).*/\2/p'
}

check_page() { # words...
    local page="$scratch/deq-${*// /-}.1" option path="/$*"
    path=${path// //}
    [ $# -gt 0 ] || path=''
    "$deq" help --man "$@" >"$page" || complain "help --man $* fails"
    options_of "$@" >"$scratch/options"
    [ -s "$scratch/options" ] || complain "help $*: no options"
    # What bash offers for this command.
    sed -n "/^        '${path//\//\\/}')\$/,/;;/s/.*options='\(.*\)'/ \1/p" "$scratch/bash" >"$scratch/offered"
    while read -r option; do
        grep -qF -- "${option//-/\\-}" "$page" || complain "$option is not in the page of deq $*"
        grep -qF -- " $option " "$scratch/offered" || complain "bash does not offer $option of deq $*"
        awk -v at="__deq_at \"${*:+ $*}\"" -v option="-l ${option#--} " \
            'index($0, at) && index($0, option) { found = 1 } END { exit !found }' "$scratch/fish" ||
            complain "fish does not offer $option of deq $*"
        sed -n "/^_deq${path//\//_}() {/,/^}/p" "$scratch/zsh" | grep -qF -- "$option" ||
            complain "zsh does not offer $option of deq $*"
    done <"$scratch/options"
}

check_page
while read -r words; do
    # shellcheck disable=SC2086
    check_page $words
done <"$scratch/list"

if available mandoc; then
    # A page without a date is the same page tomorrow.
    mandoc -Tlint -W warning "$scratch"/*.1 | grep -v 'missing date' >"$scratch/lint"
    [ ! -s "$scratch/lint" ] || complain "mandoc: $(cat "$scratch/lint")"
fi
if available man && available groff; then
    for page in "$scratch"/*.1; do
        LC_ALL=C.UTF-8 MANROFFSEQ='' man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>"$scratch/lint" >/dev/null
        [ ! -s "$scratch/lint" ] || complain "man: $page: $(cat "$scratch/lint")"
    done
fi
if available zsh; then
    zsh -n "$scratch/zsh" || complain "zsh does not read its completions"
    zsh -f -c "autoload -Uz compinit && compinit -D -u && . '$scratch/zsh' &&
        [[ \$_comps[deq] == _deq ]] && whence _deq_info >/dev/null" ||
        complain "zsh does not load its completions"
fi
if available fish; then
    fish --no-config -n "$scratch/fish" || complain "fish does not read its completions"
    HOME=$scratch fish --no-config -c "source $scratch/fish; complete -C 'deq inf'" | grep '^info' >/dev/null ||
        complain "fish does not complete deq inf"
    HOME=$scratch fish --no-config -c "source $scratch/fish; complete -C 'deq convert --dtype '" |
        grep '^f32' >/dev/null || complain "fish does not complete deq convert --dtype"
fi

# bash: the function is called as bash would.
offers() { # words..., the last is what is being written; expected: lines on stdin
    COMP_WORDS=("$@")
    COMP_CWORD=$(($# - 1))
    _deq
    printf '%s\n' "${COMPREPLY[@]}" | sort >"$scratch/got"
    sort >"$scratch/wanted"
    cmp -s "$scratch/got" "$scratch/wanted" ||
        complain "bash: $*: offers $(tr '\n' ' ' <"$scratch/got")"
}
# shellcheck disable=SC1091
. "$scratch/bash" || complain "bash does not read its completions"
cd "$scratch" || exit 1
mkdir files files/folder
cd files || exit 1
touch 'one file' other
offers deq inf <<<info
offers deq --vers <<<--version
offers deq convert --dt <<<--dtype
offers deq convert --dtype '' <<<$'f32\nf64'
offers deq convert --dtype = '' <<<$'f32\nf64'
offers deq convert --dtype = f6 <<<f64
offers deq convert --rename '' <<<''
offers deq info o <<<$'one file\nother'
offers deq info --as image o <<<$'one file\nother'
offers deq info --as = image o <<<$'one file\nother'
offers deq completion '' <<<$'bash\nzsh\nfish'
offers deq completion --color never z <<<zsh
offers deq completion zsh '' <<<''
offers deq help inf <<<info
finish
