#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tests/tools/test_completions.sh - the shells complete, and the manual names, what hearthctl takes and no more
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
build=$(realpath "${BUILD:-build}")
ctl=$build/bin/hearthctl
command -v python3 >/dev/null || { echo "SKIP: python3 is not installed"; exit 77; }
[ -x "$ctl" ] || { echo "SKIP: $ctl is not built"; exit 77; }
folder=$(mktemp -d /tmp/hearthctl-test.XXXXXX)

clean_up() {
    [ -z "$fake" ] || { kill -KILL "$fake" 2>/dev/null; wait "$fake" 2>/dev/null; }
    rm -rf "$folder"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

. tests/tools/check.sh
. tests/tools/fake_control.sh

# --- what help lists: names, and "NAME OPTION..." of each -------------------------------------
export ARGP_HELP_FMT=rmargin=200
names() { "$ctl" --help | sed -n '/^Commands:/,/^$/s/^  \(.\{11\}\) .*/\1/p' | sed 's/ *$//'; }
options() { "$ctl" "$@" --help | grep -oE '^ +-[^ ]*( --[^ ]*)?' | grep -oE -- '-[-a-z]*[a-z?V]' | sort -u; }
without() { grep -vxF -- "$(tr ' ' '\n' <<<"$*")"; }
mapfile -t names < <(names)
common=$(options)
own() { options $1 | without $common; } # $1 may be two words
listing() {
    local name
    for name in "${names[@]}"; do echo "$name" $(own "$name"); done | sort
}
listing >"$folder/listing"
check 'help lists two-word commands and their options' grep -qx 'model check --batch --plan' "$folder/listing"

# --- the manual ------------------------------------------------------------------------------
manual=tools/hearthctl/hearthctl.1
section() { sed -n "/^\.Sh $1/,/^\.Sh/p" "$manual"; }
flags() { grep -oE '\<Fl [^ ]+' | sed 's/^Fl /-/; s/\\&//'; }
synopsis() {
    section SYNOPSIS | awk '
        function line(    at) { for (at in list) print list[at] options; delete list; options = "" }
        /^\.Nm|^\.Sh/ { line() }
        /^\.Cm / { split(substr($0, 5), list, / \| /) }
        { for (at = 1; at < NF; at++) if ($at ~ /^\.?Fl$/) options = options " -" $(at + 1) }' |
        while read -r words; do
            name=${words%% -*} options=${words#"$name"}
            echo "$name" $(tr ' ' '\n' <<<"$options" | sort)
        done | sort
}
# The items of the list of commands, without those of lists in it.
items() {
    section COMMANDS | awk '/^\.Bl/ { depth++ } /^\.El/ { depth-- } depth == 1' |
        sed -n 's/^\.It Cm \([^A-Z]*[^A-Z ]\).*/\1/p'
}
check 'the synopsis has every command with its options, and no other' \
    diff "$folder/listing" <(synopsis)
check 'the manual tells of every command, and of no other' diff <(printf '%s\n' "${names[@]}" | sort) \
    <(items | sort)
check 'the manual tells of the options of every command' diff \
    <(tr ' ' '\n' <<<"$common" | without --usage) <(section DESCRIPTION | grep '^\.It' | flags | sort)
check 'the list in the manual is that of commands.c (tools/dev/ctl_page.sh)' diff "$manual" <(tools/dev/ctl_page.sh)
check 'the manual names no option that there is not' diff /dev/null \
    <(flags <"$manual" | sort -u | without $common $(cut -d' ' -f2- "$folder/listing"))

# --- a daemon with two models --------------------------------------------------------------------
socket=$folder/s
fake_start '{"models": [[0, true, {"model": "shoppers", "version": 1, "state": "failed"}],
    [0, true, {"model": "shoppers", "version": 12, "inputs": [{"name": "dense"}]}],
    [0, true, {"model": "evil$(touch x)", "version": 1}],
    [0, true, {"model": "tiny", "version": 3}], [0, false, {}]]}'

# --- bash: what the function offers for a line whose cursor is at its end ------------------------
for shell in bash zsh fish; do
    check "the script for $shell is printed" "$ctl" completions "$shell"
    "$ctl" completions "$shell" >"$folder/$shell"
done
check 'another shell is refused' test "$("$ctl" completions csh 2>&1 | head -n 1)" = \
    "hearthctl completions: the shell is 'csh'; wanted bash, zsh or fish"
check 'a shell is wanted' test "$("$ctl" completions >/dev/null 2>&1; echo $?)" = 2
check 'bash knows what completes hearthctl' test \
    "$(bash --norc -c ". '$folder/bash'; complete -p hearthctl")" = 'complete -F _hearthctl hearthctl'
offers() {
    PATH=$build/bin:$PATH bash --norc -c ". '$folder/bash'
        COMP_LINE=\$1 COMP_POINT=\${#1} COMP_WORDBREAKS=\$' \t\n\"\\'@><=;|&(:'
        read -ra COMP_WORDS <<<\"\$COMP_LINE\"
        COMP_CWORD=\$((\${#COMP_WORDS[@]} - 1))
        _hearthctl
        printf '%s\n' \"\${COMPREPLY[@]}\"" bash "$1" 2>&1 | sort | paste -sd' '
}
# completes LINE OFFER...
completes() { check "completing '$1'" test "$(offers "$1")" = "${*:2}"; }
for name in "${names[@]}"; do
    check "bash offers the options of $name" test "$(offers "hearthctl $name -")" = \
        "$(options $name | without '-? --usage -V' | sort | paste -sd' ')"
done
check 'bash offers every first word' test "$(offers 'hearthctl ')" = \
    "$(printf '%s\n' "${names[@]%% *}" | sort -u | paste -sd' ')"
completes 'hearthctl sw' swap
completes 'hearthctl -o json --timeout 3 cli' client clients
completes 'hearthctl model ' check show
completes 'hearthctl client k' kick
completes 'hearthctl mem --tier ' 1G 2M 4k files hbm thp
completes 'hearthctl mem --tier=1' 1G
completes 'hearthctl -o ' json prom table
completes 'hearthctl completions ' bash fish zsh
completes 'hearthctl nonsense ' ''
completes 'hearthctl status ' ''
completes 'hearthctl bench --batch ' ''
completes "hearthctl -s $socket swap " shoppers@1 shoppers@12 tiny@3
completes "hearthctl --socket=$socket swap shoppers@1" @1 @12
completes "hearthctl --socket $socket bench --batch 4 " shoppers tiny
completes "hearthctl --socket $socket model show ti" tiny
completes "hearthctl --socket $socket bench shoppers@" @1 @12
completes "hearthctl --socket $socket bench shoppers " ''
completes "hearthctl --socket $folder/none bench " ''
mkdir "$folder/files"
touch "$folder/files/a b.npy" "$folder/files/c.npy"
completes "hearthctl infer shoppers --input dense=$folder/files/a" "$folder/files/a b.npy"
completes "hearthctl infer --output $folder/fil" "$folder/files"
completes "hearthctl model check $folder/files/c" "$folder/files/c.npy"
completes "hearthctl --socket=$folder/files/c" "$folder/files/c.npy"

# --- real shells at a terminal -------------------------------------------------------------------
# tab SHELL LINE WANTED: with SETUP in $setup
export PATH=$build/bin:$PATH TERM=dumb HOME=$folder
tab() {
    check "Tab after '$2' in ${1%% *}" python3 tests/tools/press_tab.py "$setup" "$2" "$3" $1
}
setup=". $folder/bash"
tab 'bash --norc --noprofile -i' 'hearthctl compl' 'completions '
tab 'bash --norc --noprofile -i' "hearthctl -s $socket swap ti" 'tiny@3 '
tab 'bash --norc --noprofile -i' "hearthctl -s $socket swap tiny@" 'tiny@3 '
tab 'bash --norc --noprofile -i' "hearthctl infer --input dense=$folder/files/c" 'c.npy '
if command -v zsh >/dev/null; then
    setup="fpath=($folder/site \$fpath); autoload -U compinit; compinit -u -D"
    mkdir "$folder/site"
    cp "$folder/zsh" "$folder/site/_hearthctl"
    tab 'zsh -f -i' 'hearthctl compl' 'completions '
    tab 'zsh -f -i' 'hearthctl -o json client k' 'kick '
    tab 'zsh -f -i' 'hearthctl swap --dra' '--drain '
    tab 'zsh -f -i' "hearthctl -s $socket swap ti" 'tiny@3 '
    tab 'zsh -f -i' "hearthctl infer --input dense=$folder/files/c" 'c.npy '
else
    skip 'zsh is not installed'
fi
if command -v fish >/dev/null; then
    fish_offers() { fish --no-config -c "source $folder/fish; complete -C \"$1\"" 2>&1 | cut -f1 | sort | paste -sd' '; }
    fish_completes() { check "fish completing '$1'" test "$(fish_offers "$1")" = "${*:2}"; }
    fish_completes 'hearthctl sw' swap
    fish_completes 'hearthctl -o json client k' kick
    fish_completes 'hearthctl model ' check show
    fish_completes 'hearthctl swap --d' --drain --dry-run
    fish_completes 'hearthctl mem --tier ' 1G 2M 4k files hbm thp
    fish_completes "hearthctl -s $socket bench " shoppers tiny
    fish_completes "hearthctl --socket=$socket swap tiny@" tiny@3
    fish_completes 'hearthctl status ' ''
else
    skip 'fish is not installed'
fi

# --- a program that answers too late: what it says then is not waited for ------------------------
mkdir "$folder/stuck"
printf '#!/bin/sh\nsleep 15\necho %s\n' "'{\"model\":\"late\",\"version\":1}'" >"$folder/stuck/hearthctl"
chmod +x "$folder/stuck/hearthctl"
completes "$folder/stuck/hearthctl bench " ''
command -v fish >/dev/null && fish_completes "$folder/stuck/hearthctl bench " ''

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
