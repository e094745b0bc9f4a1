#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# deq vote: what is decided, believed and refused.
#
#   test_vote.sh DEQ CMAKE
#
# The public sets are compared with their references if DEQ_DATA says where they are.
set -uo pipefail
deq=$1 cmake=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
out=$scratch/out err=$scratch/err
failed=0
cd "$scratch" || exit 1

complain() {
    echo "FAILED: $*" >&2
    failed=1
}

# Runs deq vote; warnings on stderr are allowed.
run() { # exit code, arguments...
    local wanted=$1 got=0
    shift
    ran="deq vote $*"
    "$deq" vote "$@" >"$out" 2>"$err" || got=$?
    [ "$got" = "$wanted" ] || complain "$ran: exit code $got, expected $wanted: $(cat "$err")"
    [ "$wanted" = 0 ] || [ "$wanted" = 4 ] || [ ! -s "$out" ] || complain "$ran: wrote to stdout: $(cat "$out")"
}

says() { # stream, text that it must contain
    grep -qF -- "$2" "$1" || complain "$ran: '$2' is not in: $(head -40 "$1")"
}

silent() { # no warning
    [ ! -s "$err" ] || complain "$ran: wrote to stderr: $(cat "$err")"
}

cat >json.cmake <<'SCRIPT'
file(READ "${FILE}" text)
separate_arguments(KEYS)
string(JSON value GET "${text}" ${KEYS})
execute_process(COMMAND ${CMAKE_COMMAND} -E echo "${value}")
SCRIPT
value() { # path
    "$cmake" -DFILE="$out" -DKEYS="$1" -P json.cmake 2>&1
}
holds() { # path, text
    [ "$(value "$1")" = "$2" ] || complain "$ran: $1 is $(value "$1"), expected $2"
}
near() { # number, expected, tolerance
    awk -v x="$1" -v y="$2" -v e="$3" 'BEGIN { d = x - y; exit !(x != "" && d <= e && -d <= e) }' ||
        complain "$ran: $1, expected $2 to within $3"
}
# A cell of the CSV in $out, by its row (from 1) and the column's name.
cell() { # row, column
    awk -F, -v row="$1" -v name="$2" '
        NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) c = i }
        NR == row + 1 { print $c }' "$out"
}

# ---- What is known of sources: exact values -----------------------------------------------------

five=0.9,0.8,0.7,0.6,0.55
while read -r t p which wanted; do
    run 0 accuracy --json --t "$t" --p "$p"
    silent
    near "$(value "accuracies $which value")" "$wanted" 5e-13
done <<TABLE
0.9,0.6,0.6 0.9,0.6,0.6 2 0.9
0.9,0.6,0.6 0.9,0.6,0.6 3 0.792
$five $five 0 0.912
$five $five 3 0.86072
0.75,0.75,0.75,0.75,0.75,0.75,0.75,0.75,0.75 0.95,0.9,0.85,0.8,0.75,0.7,0.65,0.6,0.55 0 0.951072692871
0.75,0.75,0.75,0.75,0.75,0.75,0.75,0.75,0.75 0.95,0.9,0.85,0.8,0.75,0.7,0.65,0.6,0.55 1 0.959984768750
0.75,0.75,0.75,0.75,0.75,0.75,0.75,0.75,0.75 0.95,0.9,0.85,0.8,0.75,0.7,0.65,0.6,0.55 2 0.984073906250
0.2,0.6,0.7 0.2,0.6,0.7 0 0.8
TABLE
holds "accuracies 0 accuracy" believed
holds "accuracies 1 accuracy" actual
holds "accuracies 2 accuracy" optimal
run 0 accuracy --p $five --json
holds "bounds on_the_error" optimal
near "$(value "bounds bhattacharyya")" 0.4288783212 5e-11
near "$(value "bounds bhattacharyya_low")" 0.0483188665 5e-11
near "$(value "bounds bhattacharyya_high")" 0.2144391606 5e-11
near "$(value "bounds potential")" 1.5148177569 5e-11
near "$(value "bounds potential_high")" 0.4688797789 5e-11
run 0 accuracy --t $five --json
holds "bounds on_the_error" believed
grep -q optimal "$out" && complain "$ran: an optimal accuracy without --p"

# Every method brackets 0.088, or says that it has no bound.
run 0 accuracy --t $five --method all --json --effort 1e8 --confidence 0.999999
for row in 0 1 2 3 4 5 6 7 8 9; do
    case $(value "accuracies $row bound") in
        exact) near "$(value "accuracies $row error")" 0.088 1e-15 ;;
        certified | confidence)
            awk -v a="$(value "accuracies $row error_low")" -v b="$(value "accuracies $row error_high")" \
                'BEGIN { exit !(a <= 0.088 && 0.088 <= b) }' || complain "$ran: row $row misses 0.088" ;;
        none) ;;
        *) complain "$ran: row $row has bound '$(value "accuracies $row bound")'" ;;
    esac
done
holds "accuracies 6 method" normal
near "$(value "accuracies 6 error")" 0.0593079455 5e-11
holds "accuracies 7 method" saddlepoint
near "$(value "accuracies 7 error")" 0.0929178946 5e-11

# From a file: trust, or counts, under other names.
printf 'who\tbelief\treal\na\t0.75\t0.9\nb\t0.75\t0.6\n' >sources.tsv
run 0 accuracy sources.tsv --columns who,belief,real --json
near "$(value "accuracies 2 value")" 0.9 1e-14
printf 'worker,correct,total\nx,8,10\ny,3,3\n' >counts.csv
run 0 sensitivity counts.csv --json
holds "each 0 worker" x
near "$(value "each 0 trust")" 0.75 1e-14
near "$(value "each 1 trust")" 0.8 1e-14

run 0 sensitivity --t $five --json --pair 1,2
silent
for row in "0 0.64" "1 0.15" "2 0.12" "3 0.11" "4 0"; do
    near "$(value "each ${row% *} pivot")" "${row#* }" 1e-14
done
near "$(value "pairs 0 mixed_derivative")" -0.3 1e-14
# One trust is wrong: the first order is all of the difference.
run 0 sensitivity --t 0.9,0.8,0.7 --p 0.85,0.8,0.7 --json
near "$(value believed_minus_actual)" "$(value to_first_order)" 1e-14
run 0 sensitivity --t $five --csv
near "$(cell 3 pivot)" 0.12 1e-14

# ---- Stability: closed forms, and the sign of the bias -------------------------------------------

run 0 stability --json --draws 4000 --n 1 --gold 1 -q
near "$(value "settings 0 believed")" 0.6666666667 0.015
near "$(value "settings 0 optimal")" 0.75 0.012
run 0 stability --json --draws 1000 --beta 2,1 --beta 8,4 --n 3 --n 5 --gold 0
near "$(value "settings 0 believed")" 0.740740740740741 1e-12
near "$(value "settings 1 believed")" 0.790123456790123 1e-12
near "$(value "settings 2 believed")" 0.740740740740741 1e-12
near "$(value "settings 3 actual")" 0.790123456790123 0.03
run 0 stability --csv --draws 2000 --beta 8,4 --n 9 --gold 5 --rule frequency
near "$(cell 1 believed)" 0.985 0.01
near "$(cell 1 actual)" 0.817 0.01
run 0 stability counts.csv --gold 0 --json --draws 4000 # Beta(9,3) and Beta(4,1): t = 0.75, 0.8
near "$(value "settings 0 believed")" 0.8 1e-12

# ---- Decisions -----------------------------------------------------------------------------------

cat >votes.csv <<'CSV'
task,worker,label
a,1,yes
a,2,no
a,3,no
b,1,yes
b,2,yes
b,3,no
CSV
printf 'worker,trust\n1,0.9\n2,0.6\n3,0.6\n' >trust.csv
run 0 decide votes.csv --trust trust.csv --csv
silent
[ "$(cell 1 decision)" = yes ] || complain "$ran: one strong worker does not win"
near "$(cell 1 margin)" 1.38629436111989 1e-13 # log 4
near "$(cell 1 p:yes)" 0.8 1e-14
near "$(cell 1 flip_radius)" 0.207692307692308 1e-14 # 0.9 - 9/13
[ "$(cell 1 flip_worker)" = 1 ] || complain "$ran: flip_worker"
cp "$out" plain.csv

# The same votes in other clothes.
printf '\xef\xbb\xbfwho\tquestion\tx\tanswer\r\n1\ta\t\t"yes"\r\n2\ta\t\tno\r\n3\ta\t\tno\r\n1\tb\t\tyes\r\n2\tb\t\tyes\r\n3\tb\t\tno\r\n' >votes.tsv
run 0 decide votes.tsv --columns question,who,answer --trust trust.csv --csv
cmp -s "$out" plain.csv || complain "$ran: TSV with a byte order mark and CR LF: $(diff "$out" plain.csv)"
run 0 decide - --trust trust.csv --csv <votes.csv
cmp -s "$out" plain.csv || complain "$ran: from stdin"
run 0 decide votes.csv --trust trust.csv --out decisions.csv
cmp -s decisions.csv plain.csv || complain "$ran: --out and --csv differ"
run 0 decide votes.csv --trust trust.csv --json
holds "decisions 0 decision" yes
holds "tasks" 2
run 0 decide votes.csv --trust trust.csv --out decisions.json
"$cmake" -DFILE=decisions.json "-DKEYS=1 task" -P json.cmake 2>&1 | grep -qx b || complain "$ran: no JSON"
run 0 decide votes.csv --trust trust.csv
says "$out" "flip_worker"

# Counts: (1 + 8) / (2 + 8), with the prior asked for.
printf 'worker,correct,total\n1,8,8\n2,5,8\n3,5,8\n' >counts3.csv
run 0 trust votes.csv --trust counts3.csv --csv
near "$(cell 1 trust)" 0.9 1e-14
near "$(cell 2 trust)" 0.6 1e-14
near "$(cell 1 weight)" 2.19722457733622 1e-13
run 0 trust votes.csv --trust counts3.csv --beta 2,2 --csv
near "$(cell 1 trust)" 0.833333333333333 1e-14

# Ties, by every rule; a seed gives the same again.
printf 'worker,trust\n1,0.8\n2,0.8\n3,0.5\n' >equal.csv
run 0 decide votes.csv --trust equal.csv --csv --tie first
[ "$(cell 1 decision),$(cell 1 flags)" = no,tie ] || complain "$ran: $(cat "$out")"
run 0 decide votes.csv --trust equal.csv --csv --tie abstain
[ "$(cell 1 decision)" = "" ] || complain "$ran: does not abstain"
awk 'BEGIN { print "task,worker,label"; for (i = 0; i < 200; i++) printf "%d,1,x\n%d,2,y\n", i, i }' >ties.csv
run 0 decide ties.csv --trust equal.csv --csv --tie random --seed 5
cp "$out" seed5.csv
x=$(cut -d, -f2 seed5.csv | grep -c x)
[ "$x" -gt 60 ] && [ "$x" -lt 140 ] || complain "$ran: $x of 200 random ties go one way"
run 0 decide ties.csv --trust equal.csv --csv --tie random --seed 5
cmp -s "$out" seed5.csv || complain "$ran: a seed does not repeat"
run 0 decide ties.csv --trust equal.csv --csv --tie random --seed 6
cmp -s "$out" seed5.csv && complain "$ran: another seed decides the same"

# Infinite evidence: counted, flagged, or clipped away.
printf 'worker,trust\n1,1\n2,1\n3,0.6\n' >certain.csv
run 0 decide votes.csv --trust certain.csv --csv
[ "$(cell 1 decision),$(cell 1 flags)" = no,contradiction ] || complain "$ran: $(cat "$out")"
[ "$(cell 2 decision),$(cell 2 flags),$(cell 2 margin)" = yes,certain,inf ] || complain "$ran: $(cat "$out")"
run 0 decide votes.csv --trust certain.csv --csv --clip 0.01
[ "$(cell 2 flags)" = "" ] || complain "$ran: still certain"

# Priors, costs, and workers that nobody knows.
printf 'label,prior\nno,0.9\nyes,0.1\n' >prior.csv
run 0 decide votes.csv --trust trust.csv --prior prior.csv --csv
[ "$(cell 1 decision)" = no ] || complain "$ran: the prior does not count"
near "$(cell 1 p:yes)" 0.307692307692308 1e-14
printf 'truth,decision,cost\nno,yes,10\n' >cost.csv
run 0 decide votes.csv --trust trust.csv --cost cost.csv --csv
[ "$(cell 1 decision)" = no ] || complain "$ran: the cost does not count"
near "$(cell 1 cost)" 0.8 1e-14
head -2 trust.csv >one.csv
run 0 decide votes.csv --trust one.csv --csv
says "$err" "2 workers who voted are not there"
near "$(cell 1 p:yes)" 0.9 1e-14
run 3 decide votes.csv --trust one.csv --missing-trust error
says "$err" "one.csv"
run 0 decide votes.csv --trust one.csv --missing-trust 0.6 --csv -q
near "$(cell 1 p:yes)" 0.8 1e-14
silent

# Three labels: w = log(t (K - 1) / (1 - t)).
printf 'task,worker,label\na,1,x\na,2,y\na,3,z\n' >three.csv
run 0 decide three.csv --trust trust.csv --csv
near "$(cell 1 p:x)" 0.75 1e-14 # 18 : 3 : 3
near "$(cell 1 p:z)" 0.125 1e-14

# ---- Mistakes ------------------------------------------------------------------------------------

printf 'task,worker,label\na,1,yes\na,2\nb,2,no\n' >bad.csv
run 3 decide bad.csv
says "$err" "bad.csv: line 3"
run 0 decide bad.csv --skip-bad --method majority
says "$err" "1 malformed rows were skipped"
says "$err" "line 3"
printf 'worker,trust\n1,1.2\n' >bad_trust.csv
run 3 decide votes.csv --trust bad_trust.csv
says "$err" "bad_trust.csv: line 2, field 2: expected a probability in [0, 1]"
: >empty.csv
run 3 decide empty.csv
says "$err" "empty.csv"
run 1 decide none.csv
says "$err" "none.csv"
run 3 decide votes.csv --labels yes,maybe
says "$err" "line 3, field 3"
printf 'task,label\na,yes\na,no\n' >bad_gold.csv
run 3 decide votes.csv --gold bad_gold.csv
says "$err" "bad_gold.csv: line 3"
printf 'task,label\nq,yes\n' >far_gold.csv
run 3 compare votes.csv --gold far_gold.csv
says "$err" "no task of the votes"
run 3 accuracy bad_trust.csv
says "$err" "line 2, field 2"
run 2 accuracy --t 0.9,2
says "$err" "number 2"
run 2 accuracy --t 0.9 --p 0.8,0.7
run 2 accuracy
run 2 decide votes.csv --json --csv
run 2 decide votes.csv --trust trust.csv --method one_coin
run 2 decide votes.csv --gold-columns a,b
says "$err" "--gold-columns needs --gold"
run 2 decide votes.csv --method gold_wmv
says "$err" "needs --gold"
run 2 decide votes.csv --out decisions.txt
run 2 decide votes.csv --columns a,b
run 2 decide votes.csv --dups never
run 2 decide votes.csv trust.csv
run 2 decide votes.csv --stream
run 2 compare votes.csv
run 2 compare votes.csv --gold far_gold.csv --methods majority,one_cion
says "$err" "one_coin"
run 2 stability --beta 0,1
run 2 trust votes.csv --beta 1
run 2 decide votes.csv --trust trust.csv --missing-trust 2
run 2 trust votes.csv --method one_coin --confusion c.csv
[ ! -e c.csv ] || complain "$ran: wrote a file all the same"

# Duplicates: kept or not, and said.
printf 'task,worker,label\na,1,x\na,1,y\na,1,y\nb,2,x\n' >dups.csv
for rule in first:x last:y all:y; do
    run 0 decide dups.csv --method majority --dups "${rule%:*}" --csv
    [ "$(cell 1 decision)" = "${rule#*:}" ] || complain "$ran: $(cat "$out")"
    says "$err" "2 votes are of a worker who had voted on the task before"
done
run 3 decide dups.csv --dups error
says "$err" "dups.csv: worker '1' votes more than once on task 'a'"
# Abstentions.
printf 'task,worker,label\na,1,x\na,2,?\na,3,\nb,1,y\n' >abstain.csv
run 0 decide abstain.csv --abstain '?' --method majority --json
holds abstentions 1
holds n_labels 3
run 0 decide abstain.csv --method majority --json
holds abstentions 1
holds n_labels 3

# What comes from a file reaches no terminal.
printf 'task,worker,label\n\033[31mred,1,x\nb,1,y\n' >evil.csv
run 0 decide evil.csv --method majority
grep -q $'\033' "$out" && complain "$ran: an escape sequence got through"
says "$out" '\x1b[31mred'

# ---- From votes alone, and with gold ---------------------------------------------------------------

# 300 tasks, 7 workers of accuracy 0.9 to 0.55, by a fixed generator.
awk 'function r() { s = (s * 16807) % 2147483647; return s / 2147483647 }
BEGIN {
    s = 42
    split("0.9 0.85 0.8 0.75 0.7 0.6 0.35", p, " ")
    print "task,worker,label" >"drawn.csv"
    print "task,label" >"truth.csv"
    for (t = 0; t < 300; t++) {
        truth = r() < 0.5
        print t "," truth >"truth.csv"
        for (w = 1; w <= 7; w++) print t ",w" w "," (r() < p[w] ? truth : 1 - truth) >"drawn.csv"
    }
}'
for method in one_coin dawid_skene glad mace majority wawa zbs kos m_msr; do
    run 0 decide drawn.csv --method $method --json --max-iter 300
    near "$(value "believed accuracy")" 0.85 0.15
    run 0 decide drawn.csv --method $method --csv --max-iter 300
    paste -d, <(cut -d, -f1,2 "$out") <(cut -d, -f2 truth.csv) >compared.csv
    right=$(awk -F, 'NR > 1 && $2 == $3' compared.csv | wc -l)
    [ "$right" -ge 240 ] || complain "$ran: $right of 300 right"
done
run 0 trust drawn.csv --method one_coin --csv
near "$(cell 1 trust)" 0.9 0.06
near "$(cell 7 trust)" 0.35 0.1
says "$err" "1 worker worse than chance"
says "$err" "w7"
says "$err" "what is believed is too high"
run 0 trust drawn.csv --method dawid_skene --confusion confusion.csv --out trust.json
[ "$(wc -l <confusion.csv)" = 29 ] || complain "$ran: $(wc -l <confusion.csv) lines of confusion"
# On a terminal long estimations say where they are.
if command -v script >/dev/null && script -qec true /dev/null >/dev/null 2>&1 </dev/null; then
    ran="deq vote stability on a terminal"
    script -qec "'$deq' vote stability --n 9 --gold 5 --draws 30000" /dev/null >"$out" </dev/null
    says "$out" "draws ["
    ran="deq vote trust on a terminal"
    script -qec "'$deq' vote trust drawn.csv --method glad --tolerance 0 --max-iter 500 -o t.csv" \
        /dev/null >"$out" </dev/null
    says "$out" "estimating: pass"
    says "$out" "at most 500; glad, change"
    script -qec "'$deq' vote trust drawn.csv --method glad --tolerance 0 --max-iter 500 -o t.csv -q" \
        /dev/null >"$out" </dev/null
    ! grep -qF "pass" "$out" || complain "$ran: progress in spite of --quiet"
else
    echo "SKIPPED: progress on a terminal: no script(1)" >&2
fi
# Gold: all of it gives (1 + s) / (2 + m), and the interval holds it.
run 0 trust drawn.csv --gold truth.csv --csv
right=$(cell 1 correct)
near "$(cell 1 trust)" "$(awk -v s="$right" 'BEGIN { print (1 + s) / 302 }')" 1e-5
near "$(cell 1 low)" 0.87 0.05
run 0 trust drawn.csv --gold truth.csv --empirical-bayes --json
holds "beta_prior empirical_bayes" ON
cp "$out" eb.json
# trust --out feeds decide --trust: the same decisions as from gold at once.
run 0 trust drawn.csv --gold truth.csv --out learned.csv
run 0 decide drawn.csv --trust learned.csv --csv -q
cut -d, -f1,2 "$out" >one.csv
run 0 decide drawn.csv --gold truth.csv --csv -q
cut -d, -f1,2 "$out" | cmp -s - one.csv || complain "$ran: trust in a file decides otherwise"
# Held out; and believed is achieved: three standard errors.
run 0 decide drawn.csv --gold truth.csv --json
holds "achieved folds" 5
holds "achieved gold_tasks" 300
near "$(value "achieved difference")" 0 "$(awk -v e="$(value "achieved its_error")" 'BEGIN { print 3 * e }')"
near "$(value "achieved difference")" \
    "$(awk -v a="$(value "achieved accuracy")" -v b="$(value "achieved believed")" 'BEGIN { print a - b }')" 1e-5
run 0 calibrate drawn.csv --gold truth.csv --within 0.08
says "$out" "trust_in_workers:"
run 4 calibrate drawn.csv --gold truth.csv --method majority --within 0.001
says "$err" "beyond --within"
run 0 calibrate drawn.csv --gold truth.csv --trust learned.csv --json
holds "achieved folds" "none: gold was not used"
run 0 compare drawn.csv --gold truth.csv --methods dawid_skene,one_coin --solvers --csv
[ "$(cut -d, -f10 "$out" | tr '\n' ' ')" = "solver picard anderson squarem picard anderson squarem " ] ||
    complain "$ran: solvers are $(cut -d, -f10 "$out" | tr '\n' ' ')"
near "$(cell 1 accuracy)" "$(cell 3 accuracy)" 0.01
run 0 compare drawn.csv --gold truth.csv
says "$out" "held out"
head -4 truth.csv >few.csv
run 0 decide drawn.csv --gold few.csv --json
says "$err" "3 tasks of known truth cannot fill 5 folds"
says "$err" "7 workers with fewer than 5 tasks of known truth"
grep -q '"warnings"' "$out" || complain "$ran: no warnings in the JSON"

# Threads change nothing.
run 0 decide drawn.csv --csv --threads 1 -q
cp "$out" one.csv
run 0 decide drawn.csv --csv --threads 2 -q
cmp -s "$out" one.csv || complain "$ran: threads change the decisions"

# ---- Reports ---------------------------------------------------------------------------------------

run 0 calibrate drawn.csv --gold truth.csv --report page.html
for text in "<svg" "Reliability" "Believed and achieved accuracy" "Most influential workers" w1; do
    grep -qF "$text" page.html || complain "$ran: the page lacks $text"
done
grep -qiE '<script|<link|src="http|href="http|url\(' page.html && complain "$ran: the page needs something else"
run 0 compare drawn.csv --gold truth.csv --report page2.html
grep -qF dawid_skene page2.html || complain "$ran: the page lacks a method"
run 0 decide drawn.csv --report page3.html
grep -qF "no known truth" page3.html || complain "$ran: the page pretends to know the truth"
run 1 decide drawn.csv --report none/page.html -q

# ---- Streams ---------------------------------------------------------------------------------------

# More than one batch of 262,144 votes; a worker who comes up late has no trust.
awk 'BEGIN {
    print "task,worker,label"
    for (t = 0; t < 60000; t++)
        for (w = 0; w < 5; w++) print t "," (t == 59999 && w == 4 ? "late" : "w" w) "," (t * 7 + w * w * t) % 3
}' >long.csv
printf 'worker,trust\nw0,0.9\nw1,0.8\nw2,0.7\nw3,0.6\nw4,0.5\n' >five.csv
run 0 decide long.csv --trust five.csv --labels 0,1,2 --csv -q
cp "$out" whole.csv
run 0 decide long.csv --trust five.csv --labels 0,1,2 --stream
says "$err" "1 workers who voted have no trust"
cmp -s "$out" whole.csv || complain "$ran: the stream decides otherwise"
run 0 decide - --trust five.csv --labels 0,1,2 --stream --out stream.csv --json -q <long.csv
holds tasks 60000
holds votes 300000
cmp -s stream.csv whole.csv || complain "$ran: --out and stdout differ"
run 3 decide long.csv --trust five.csv --labels 0,1,2 --stream --missing-trust error --out no.csv
[ ! -e no.csv ] || complain "$ran: left a file that is not whole"
echo 0,w5,1 >>long.csv
run 3 decide long.csv --trust five.csv --labels 0,1,2 --stream --out no.csv
says "$err" "task '0'"

# ---- Models ------------------------------------------------------------------------------------------

# Three models as text, as probabilities, and as arrays.
printf 'task,label\n0,2\n1,0\n2,1\n' >m1.csv
printf 'task,0,1,2\n0,0.1,0.2,0.7\n1,0.2,0.5,0.3\n2,0.3,0.4,0.3\n' >m2.csv
tensor() { # name, dtype, shape, bytes of the data, in octal escapes
    local head='{"'$1'":{"dtype":"'$2'","shape":'$3',"data_offsets":[0,'$4']}}'
    printf '%b%s%b' "\\0$(printf '%o' ${#head})\0\0\0\0\0\0\0" "$head" "$5" >array.safetensors
}
tensor label I32 '[3]' 12 '\02\0\0\0\01\0\0\0\00\0\0\0'
"$deq" convert array.safetensors m3.npz >/dev/null || complain "no m3.npz"
# logits [3, 3]: 0 everywhere but 1 at (0, 2), (1, 0), (2, 1); 1 is 00 00 80 3f.
one='\0\0\0200\077' nil='\0\0\0\0'
tensor logits F32 '[3,3]' 36 "$nil$nil$one$one$nil$nil$nil$one$nil"
"$deq" convert array.safetensors m4.npz >/dev/null || complain "no m4.npz"
run 0 decide --models m1.csv m2.csv m3.npz m4.npz --method majority --csv
[ "$(cut -d, -f1,2 "$out" | tr '\n' ' ')" = "task,decision 0,2 1,0 2,1 " ] || complain "$ran: $(cat "$out")"
near "$(cell 1 p:2)" 1 1e-12
near "$(cell 2 p:0)" 0.5 1e-12
near "$(cell 3 p:1)" 0.75 1e-12
run 0 trust --models m1.csv m3.npz m4.npz --gold m1.csv --csv
[ "$(cut -d, -f1,4 "$out" | tr '\n' ' ')" = "worker,correct m1,3 m3,1 m4,3 " ] || complain "$ran: $(cat "$out")"
run 0 trust --models m1.csv m3.npz m4.npz --gold m3.npz --csv
[ "$(cut -d, -f1,4 "$out" | tr '\n' ' ')" = "worker,correct m1,1 m3,3 m4,1 " ] || complain "$ran: $(cat "$out")"
run 0 compare --models m1.csv m2.csv m4.npz --gold m1.csv --folds 0 --methods majority,gold_wmv --csv -q
near "$(cell 1 accuracy)" 1 1e-12
run 2 decide --models m1.csv m1.csv
run 2 decide --models m1.csv --columns a,b,c
run 3 decide --models m4.npz --array nothing
says "$err" "has no array 'nothing'"
printf '0,1\n0.5,x\n' >m5.csv
run 3 decide --models m5.csv
says "$err" "line 2"
tensor label I32 '[2]' 8 '\02\0\0\0\01\0\0\0'
"$deq" convert array.safetensors short.npz >/dev/null
run 3 decide --models m3.npz short.npz
says "$err" "predictions for 2 tasks, where the first file has 3"

# ---- The public sets -------------------------------------------------------------------------------

# Majority, gold_wmv with all gold, one coin (free, uniform class prior), Dawid-Skene: plain EM without
# smoothing of the prior, 100 iterations.  All to the four digits of the reference; there is no
# difference to state.
if [ -z "${DEQ_DATA:-}" ]; then
    echo "SKIPPED: the nine public sets of votes: DEQ_DATA is not set"
else
    while read -r set majority wmv free uniform ds; do
        # shellcheck disable=SC2054
        plain=(--solver picard --tolerance 0 --prior-smoothing 0 --folds 0 --csv -q)
        files=("$DEQ_DATA/votes/${set}_votes.csv" --gold "$DEQ_DATA/votes/${set}_gold.csv")
        run 0 compare "${files[@]}" "${plain[@]}" --methods majority,gold_wmv,one_coin,dawid_skene
        near "$(cell 1 accuracy)" "$majority" 0.5001e-4
        near "$(cell 2 accuracy)" "$wmv" 0.5001e-4
        near "$(cell 3 accuracy)" "$uniform" 0.5001e-4
        near "$(cell 4 accuracy)" "$ds" 0.5001e-4
        run 0 compare "${files[@]}" "${plain[@]}" --methods one_coin --class-prior free
        near "$(cell 1 accuracy)" "$free" 0.5001e-4
    done <<'TABLE'
bluebird .7593 .8704 .5833 .7222 .8981
rte .8969 .9425 .9213 .9237 .9275
dog .8222 .8377 .8302 .8315 .8426
web .7307 .8835 .8115 .8424 .8217
product .8966 .9363 .9075 .9274 .9400
weather .8822 .9133 .8733 .8833 .8300
zencrowd .8319 .8789 .8456 .8260 .7961
hitspam .6600 .6600 .6600 .6600 .6600
barzan .6960 .7200 .6660 .6900 .7120
TABLE
    run 0 compare "$DEQ_DATA/votes/bluebird_votes.csv" --gold "$DEQ_DATA/votes/bluebird_gold.csv" \
        --methods one_coin --class-prior free
    says "$err" "try --class-prior uniform"
    run 0 decide "$DEQ_DATA/votes/zencrowd_votes.csv" --method majority --json
    says "$err" "1730 votes are of a worker who had voted on the task before"
fi

exit $failed
