#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# deq info FILE and deq convert, on a small file of each kind.
#
#   test_files.sh DEQ CMAKE SEEDS
#
# SEEDS is tests/fuzz/seeds.
# shellcheck source=support.sh
. "$(dirname "$0")/support.sh"
seeds=$3

# Every kind is told by its contents, and by --as.
while read -r file kind format; do
    run 0 info --json "$seeds/$file"
    holds format "$format"
    holds bytes "$(wc -c <"$seeds/$file" | tr -d ' ')"
    run 0 info --json --as "$kind" "$seeds/$file"
    holds format "$format"
    run 0 info "$seeds/$file"
    says "$out" "format"
done <<'TABLE'
fuzz_npy/f4 weights npy
fuzz_npy/fortran weights npy
fuzz_npz/two weights npz
fuzz_npz/strings weights npz
fuzz_safetensors/three weights safetensors
fuzz_pytorch/zip weights pytorch
fuzz_pytorch/legacy weights pytorch, older container
fuzz_idx/three-axes idx idx
fuzz_png/rgb image png
fuzz_jpeg/grey image jpeg
fuzz_netpbm/pgm image pgm
fuzz_netpbm/ppm image ppm
fuzz_netpbm/pfm image pfm
fuzz_netpbm/flo image flo
fuzz_svmlight/rows svmlight svmlight
TABLE

# Those that only their names tell.  The seeds of CIFAR are what the fuzzer makes records of.
cp "$seeds/fuzz_csv/quoted" "$scratch/a.csv"
run 0 info --json "$scratch/a.csv"
holds format csv
head -c 6146 /dev/zero >"$scratch/b.bin"
run 0 info --json "$scratch/b.bin"
holds format cifar10
holds "shape 0" 2
holds "labels 0" 2
head -c 6148 /dev/zero >"$scratch/b.bin"
run 0 info --json "$scratch/b.bin"
holds format cifar100
printf '1 1:1 3:.5\n-1 2:1\n-1 2:4\n' >"$scratch/rows"
run 0 info --json "$scratch/rows"
holds format svmlight
holds columns 3
holds classes 2
holds "labels -1" 2
printf '1 0:1 3:.5\n-1 2:1\n' >"$scratch/rows.svm"
run 0 info --json "$scratch/rows.svm"
holds first_index 0
holds columns 4

# Mistakes name the file: 1 if it cannot be read, 3 if it holds nonsense.
run 1 info "$scratch/none"
says "$err" "$scratch/none: No such file"
run 1 info "$scratch"
says "$err" "a folder"
: >"$scratch/empty"
run 3 info "$scratch/empty"
says "$err" "no kind of file that deq knows"
head -c 40 "$seeds/fuzz_safetensors/three" >"$scratch/short.safetensors"
run 3 info "$scratch/short.safetensors"
says "$err" "$scratch/short.safetensors: "
run 3 info --as image "$seeds/fuzz_npy/f4"
[ ! -s "$out" ] || complain "a refusal on stdout: $(cat "$out")"

run 2 info --statistics "$seeds/fuzz_png/rgb"
says "$err" "--statistics is for weights, and this is: image"
run 2 info --as idx
says "$err" "FILE is missing"

# A name with an escape sequence does not reach the terminal.
head='{"a\u001b[31m":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
printf '%b%s\0\0\200\077' "\\0$(printf '%o' ${#head})\0\0\0\0\0\0\0" "$head" >"$scratch/evil.safetensors"
run 0 info --statistics "$scratch/evil.safetensors"
says "$out" 'a\x1b[31m'

# Convert: there and back, all is as before.
statistics() { # file
    "$deq" info --json --statistics "$1" | grep -v '"file"\|"bytes"\|"format"\|"stored"'
}
from=$seeds/fuzz_safetensors/three
try 0 convert "$from" "$scratch/1.npz"
says "$err" "npz has no metadata"
run 0 convert "$scratch/1.npz" "$scratch/2.safetensors"
statistics "$scratch/1.npz" >"$scratch/a"
statistics "$scratch/2.safetensors" >"$scratch/b"
cmp "$scratch/a" "$scratch/b" || complain "npz to safetensors changes something"
run 0 convert --compress --quiet "$from" "$scratch/packed.npz"
[ ! -s "$out$err" ] || complain "--quiet is not: $(cat "$out" "$err")"
run 0 convert --quiet --json --force "$from" "$scratch/packed.npz"
holds format npz
for file in fuzz_pytorch/zip fuzz_pytorch/legacy fuzz_npy/f4; do
    run 0 convert --force "$seeds/$file" "$scratch/3.safetensors"
    run 0 info --json "$seeds/$file"
    before=$(json elements)
    run 0 info --json "$scratch/3.safetensors"
    holds elements "$before"
done

# The old file stays unless --force is given, and stays whole when there is nothing to write.
cp "$scratch/1.npz" "$scratch/kept"
run 1 convert "$from" "$scratch/1.npz"
says "$err" "1.npz: exists; --force replaces it"
run 1 convert --force --rename nothing=x "$from" "$scratch/1.npz"
says "$err" "nothing=x: no tensor is called so (--rename)"
run 1 convert --force "$scratch/none" "$scratch/1.npz"
cmp "$scratch/1.npz" "$scratch/kept" || complain "a failure changed the old file"

# Arrays that hold no numbers are left out, and that is said; asked for, they are an error.
cp "$seeds/fuzz_npz/strings" "$scratch/strings.npz"
run 0 info --json "$scratch/strings.npz"
holds count 1
holds "left_out 0 name" names
says "$out" "the elements have type '<U3'"
try 0 convert "$scratch/strings.npz" "$scratch/numbers.npz"
says "$err" "left out: $scratch/strings.npz: things.npy"
run 0 convert --quiet --force --keep x "$scratch/strings.npz" "$scratch/numbers.npz"
run 0 convert --drop names --drop things --force "$scratch/strings.npz" "$scratch/numbers.npz"
run 3 convert --keep names --force "$scratch/strings.npz" "$scratch/numbers.npz"
says "$err" "names.npy: byte"
run 3 data info "$scratch/strings.npz" --inputs names
says "$err" "names.npy: byte"
run 0 convert --force "$scratch/2.safetensors" "$scratch/2.safetensors"
statistics "$scratch/2.safetensors" | cmp - "$scratch/b" || complain "onto itself: changed"

# Names and precision.
head='{"m.a.w":{"dtype":"F64","shape":[2],"data_offsets":[0,16]},"m.ab":{"dtype":"I64","shape":[],"data_offsets":[16,24]}}'
{
    printf '%b%s' "\\0$(printf '%o' ${#head})\0\0\0\0\0\0\0" "$head"
    printf '\0\0\0\0\0\0\360\077\0\0\0\0\0\0\0\100\7\0\0\0\0\0\0\0' # 1, 2; 7
} >"$scratch/m.safetensors"
run 0 convert --strip-prefix m. --rename a=b.c --dtype f32 "$scratch/m.safetensors" "$scratch/n.npz"
run 0 info --json --statistics "$scratch/n.npz"
holds "tensors 0 name" b.c.w
holds "tensors 0 dtype" f32
holds "tensors 0 max" 2.0
holds "tensors 0 mean" 1.5
holds "tensors 1 name" ab
holds "tensors 1 dtype" i64
holds "tensors 1 max" 7.0
run 0 convert --keep m.a "$scratch/m.safetensors" "$scratch/w.npy"
run 0 info --json --statistics "$scratch/w.npy"
holds "tensors 0 stored" f64
holds count 1
run 0 convert --force --drop m.ab "$scratch/m.safetensors" "$scratch/w.npy"
run 1 convert --force "$scratch/m.safetensors" "$scratch/w.npy"
says "$err" "holds one tensor, and there are 2"
run 1 convert --force --rename m.a.w=m.ab "$scratch/m.safetensors" "$scratch/n.npz"
says "$err" "m.ab"
run 1 convert --force --keep m.x "$scratch/m.safetensors" "$scratch/n.npz"
run 2 convert --rename m.a "$scratch/m.safetensors" "$scratch/x.npz"
says "$err" "it is OLD=NEW"
run 2 convert "$scratch/m.safetensors" "$scratch/x.pt"
says "$err" "--to says which it is"
run 0 convert --to safetensors "$scratch/m.safetensors" "$scratch/x.pt"
run 2 convert --compress "$scratch/m.safetensors" "$scratch/x.safetensors"

# 2^1023 is no f32.
{
    printf '%b%s' "\\0$(printf '%o' ${#head})\0\0\0\0\0\0\0" "$head"
    printf '\0\0\0\0\0\0\340\177\0\0\0\0\0\0\0\100\7\0\0\0\0\0\0\0'
} >"$scratch/large.safetensors"
run 3 convert --dtype f32 "$scratch/large.safetensors" "$scratch/y.npz"
says "$err" "m.a.w: the tensor has elements too large for f32"
[ ! -e "$scratch/y.npz" ] || complain "a refusal left a file"
finish
