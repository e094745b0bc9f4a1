#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# deq data: what is made can be read and shown, and mistakes are named.
#
#   test_data.sh DEQ CMAKE
#
# Files of others are read if DEQ_DATA says where they are.
# shellcheck source=support.sh
. "$(dirname "$0")/support.sh"

# Prefix sums: the target is the running parity of the string, of every line.
run 0 data make prefix-sums --size 40 --count 50 --seed 3
cp "$out" "$scratch/sums.txt"
awk -F'\t' '
{
    sum = 0
    for (i = 1; i <= length($2); i++) {
        sum = (sum + substr($2, i, 1)) % 2
        if (sum != substr($3, i, 1)) exit 1
    }
    if ($1 != 40 || length($2) != 40 || length($3) != 40) exit 1
    if (seen[$2]++) exit 1
}
END { exit NR != 50 }' "$scratch/sums.txt" || complain "prefix sums are wrong: $(head -3 "$out")"
run 0 data make prefix-sums --size 40 --count 50 --seed 3 --out "$scratch/file.txt" --quiet
cmp "$scratch/file.txt" "$scratch/sums.txt" || complain "file and stdout differ"
run 0 data make prefix-sums --size 40 --count 50 --seed 4
cmp -s "$out" "$scratch/sums.txt" && complain "another seed makes the same strings"
run 0 data make prefix-sums --size 40 --count 50 --seed 3 --json --out "$scratch/sums.npz"
holds format npz
holds count 50
holds "input 1" 40
run 0 data show "$scratch/sums.npz" 7
cmp "$out" <(sed -n 8p "$scratch/sums.txt") || complain "the npz holds another string"
run 0 data show prefix-sums 7 --size 40 --seed 3
cmp "$out" <(sed -n 8p "$scratch/sums.txt") || complain "show makes another string"
run 0 data make prefix-sums --size 4 --count 16
[ "$(cut -f2 "$out" | sort -u | wc -l)" = 16 ] || complain "16 strings of 4 bits are not all"

# Mazes: as text; again from the file.
run 0 data make mazes --size 13 --count 6 --seed 2 --percolation 0.1 --start any
cp "$out" "$scratch/mazes.txt"
[ "$(grep -c '^@maze size=13 cells=7 percolation=0.1 ' "$out")" = 6 ] || complain "headers: $(cat "$out")"
awk '
/^@/ { if (rows) check(); split($8, p, "="); path = p[2]; split($6, d, "="); degree = d[2]; rows = starts = ends = dots = 0; next }
{ rows++; starts += gsub("S", "S"); ends += gsub("E", "E"); dots += gsub("[.]", "."); if (length($0) != 15) bad = 1 }
function check() { if (rows != 15 || starts != 1 || ends != 1 || dots + 2 != path || degree < 1) bad = 1 }
END { check(); exit bad }' "$scratch/mazes.txt" || complain "mazes are wrong: $(cat "$scratch/mazes.txt")"
run 0 data make mazes --size 13 --count 6 --seed 2 --percolation 0.1 --start any --out "$scratch/mazes.npz"
says "$out" "format  npz"
for i in 0 5; do
    run 0 data show "$scratch/mazes.npz" $i
    cmp <(tail -n +2 "$out") <(awk -v i=$i '/^@/ { n++; next } n == i + 1' "$scratch/mazes.txt") ||
        complain "the npz holds another maze $i"
done
run 0 data info --json --statistics "$scratch/mazes.npz"
holds count 6
holds "input 2" 32
holds "target 0" 32
holds classes 2
holds "channels 0 largest" 1.0

# As images: as many, of that size.
run 0 data make mazes --count 11 --out "$scratch/folder/" --quiet
[ "$(find "$scratch/folder" -name '*.png' | wc -l)" = 22 ] || complain "not 22 images"
run 0 info --json "$scratch/folder/inputs/10.png"
holds height 24
holds channels 3
run 0 info --json "$scratch/folder/targets/00.png"
holds channels 1

# A drawing: a border of two pixels, the maze, two between, the target; walls dark, the path blue.
run 0 data show "$scratch/mazes.npz" 0 --out "$scratch/maze.ppm" --scale 2
[ ! -s "$out" ] || complain "a drawing prints: $(cat "$out")"
head -c 15 "$scratch/maze.ppm" | tr '\n' ' ' | grep -q '^P6 140 72 255' || complain "drawing: $(head -c 15 "$scratch/maze.ppm")"
tail -c $((3 * 140 * 72)) "$scratch/maze.ppm" | od -An -v -tu1 -w3 | sort | uniq -c >"$scratch/colours"
path=$(head -1 "$scratch/mazes.txt" | sed 's/.*path_pixels=//')
count() { awk -v colour="$1" '$2 " " $3 " " $4 == colour { print $1 }' "$scratch/colours"; }
[ "$(count '50 90 220')" = $((16 * (path - 2))) ] || complain "path: $(cat "$scratch/colours")"
[ "$(count '0 160 70')" = 32 ] || complain "start: $(cat "$scratch/colours")"
[ "$(count '215 40 40')" = 32 ] || complain "end: $(cat "$scratch/colours")"

# Mistakes.
run 2 data
run 2 data make mazs
says "$err" "did you mean 'mazes'?"
run 2 data make mazes --size 8
says "$err" "mazes of size 8, expected an odd number"
run 2 data make mazes --start dead-end --percolation 1
says "$err" "no dead ends"
run 2 data make mazes --percolation 1.5
run 2 data make prefix-sums --size 4 --count 17
says "$err" "there are only 16 strings"
run 2 data make prefix-sums --out "$scratch/images/"
says "$err" "prefix sums are no images"
run 2 data make mazes --out "$scratch/x.foo"
says "$err" "ends with none of"
run 2 data make mazes --json
run 2 data make mazes --to npz
run 1 data make mazes --count 2 --out "$scratch/none/x.txt"
says "$err" "none/x.txt: cannot be written: No such file or directory"
run 1 data make mazes --count 2 --out "$scratch/mazes.npz"
says "$err" "mazes.npz: exists; --force writes over it"
run 0 data make mazes --count 2 --out "$scratch/mazes.npz" --force
run 0 data info --json "$scratch/mazes.npz"
holds count 2
run 2 data show "$scratch/mazes.npz" 2
says "$err" "example 2: there are 2, from 0 on"
run 2 data show "$scratch/mazes.npz" 0 --size 9
says "$err" "--size is for prefix-sums and mazes"
run 2 data show mazes 0 --scale 3
says "$err" "--scale is for --out"
run 2 data info --count 3 "$scratch/mazes.npz"
says "$err" "--count is for prefix-sums and mazes"
run 1 data show "$scratch/mazes.npz" 0 --inputs z
says "$err" "'z': no array of this name"
run 1 data show prefix-sums 0 --out "$scratch/x.png"
run 1 data show mazess 0
says "$err" "did you mean 'mazes'?"
run 3 data show "$scratch/mazes.txt" 0
says "$err" "no data set that deq knows by its name"
mkdir "$scratch/empty"
run 3 data info "$scratch/empty"
says "$err" "no subfolder, expected one for each class"
mkdir "$scratch/photos" "$scratch/photos/a"
echo "no image" >"$scratch/photos/a/1.png"
run 0 data info "$scratch/photos"
run 3 data show "$scratch/photos" 0
says "$err" "photos/a/1.png: byte 0: expected a PNG"
run 3 data info --statistics "$scratch/photos"
says "$err" "photos/a/1.png: byte 0"
cp "$scratch/folder/inputs/00.png" "$scratch/photos/a/1.png"
run 0 data show "$scratch/photos" 0 --height 8 --width 8 --channels 1
[ "$(grep -c . "$out")" -ge 8 ] || complain "a picture of 8 rows: $(cat "$out")"
says "$out" "class 0, a"

# The data of others.
if [ -n "${DEQ_DATA:-}" ]; then
    run 0 data info --json --statistics --test "$DEQ_DATA/mnist"
    holds count 10000
    holds "by_class 1 count" 1135
    run 0 data show --test "$DEQ_DATA/mnist" 0
    says "$out" "class 7"
    run 0 data show "$DEQ_DATA/mnist/t10k-images-idx3-ubyte.gz" 0 --json
    holds "target 0" 7
    run 0 data show "$DEQ_DATA/cifar10/cifar-10-batches-bin" 0 --out "$scratch/frog.png"
    run 0 data show "$DEQ_DATA/cifar10/cifar-10-batches-bin" 0 --json
    holds class frog
    run 0 data info --json "$DEQ_DATA/cifar10/cifar-10-batches-bin/test_batch.bin"
    holds count 2000
else
    echo "SKIPPED: DEQ_DATA is not set: MNIST and CIFAR are not read"
fi
finish
