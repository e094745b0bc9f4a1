#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Asks whether each file includes only what its layer may know.
#
#   tools/check_layers.sh [ROOT]
#
# ROOT is a checkout; default is the one that this script belongs to.  tests/tools/ shows that a bad
# include is found.
#
# A layer may include the files of its own folder.  Beyond that (graph reads the attributes of those
# operators that its passes rewrite):
#
#   layer   | src/ folders, or single files          | public headers of
layers='
    base     |                                        | base
    tensor   | base                                   | base tensor
    solver   | base tensor                            | base tensor solver
    graph    | base tensor op/op.h op/real.h op/conv.h op/elementwise.h op/matmul.h op/shape.h | base tensor graph
    op       | base tensor                            | base tensor graph
    backend  | base tensor graph op                   | base tensor graph backend
    implicit | base tensor graph op/op.h op/shape.h solver | base tensor graph solver implicit
    nn       | base tensor op/op.h implicit           | base tensor graph solver implicit nn
    optim    | base tensor                            | base tensor optim
    io       | base tensor                            | base tensor io
    data     | base tensor io                         | base tensor io data
    model    | base tensor op/op.h implicit nn io     | base tensor graph solver implicit nn io model
    vote     | base tensor solver                     | base tensor solver io vote
    report   | base io/output.h                       | base report
    train    | base tensor implicit nn model optim data io report | *
    cli      |                                        | *
    bench    |                                        | *
    examples |                                        | *
'
# A public header belongs to one layer and includes what that layer may include of the third column;
# deq.h gathers them all.
#
#   layer      its public headers, include/deq/NAME.h; or NAME/ for all that stand in a folder
headers='
    base       export version status context write
    tensor     type random
    solver     outcome linear minimise reversible scalar solver splitting
    graph      graph parameters op op/ program workspace gradient_check
    backend    info
    io         io io/
    implicit   audit cell_map equilibrium normalise_weight regularise spectral supervision
    nn         weights nn
    optim      optim
    data       data
    model      model model/
    report     report
    train      train train/
    vote       vote vote/
    *          deq
'
# Only src/backend knows the library below the kernels, and intrinsics.  One benchmark times that
# library by itself.
backend_only='^(oneapi/|dnnl)|(intrin|arm_neon|arm_sve)\.h$'

set -euo pipefail
root=${1:-$(dirname "$0")/..}
cd "$root"

folders=()
for folder in include/deq src cli bench examples; do
    [ ! -d "$folder" ] || folders+=("$folder")
done
mapfile -t files < <(find "${folders[@]}" -name '*.[ch]' | sort)

export layers headers backend_only
awk '
BEGIN {
    backend_only = ENVIRON["backend_only"]
    n = split(ENVIRON["layers"], line, "\n")
    for (i = 1; i <= n; i++) {
        if (split(line[i], column, "|") < 3) continue
        gsub(/ /, "", column[1])
        known[column[1]] = 1
        m = split(column[2], word, " ")
        for (j = 1; j <= m; j++) inside[column[1], word[j]] = 1
        m = split(column[3], word, " ")
        for (j = 1; j <= m; j++) public[column[1], word[j]] = 1
    }
    known["*"] = public["*", "*"] = 1
    n = split(ENVIRON["headers"], line, "\n")
    for (i = 1; i <= n; i++) {
        m = split(line[i], word, " ")
        for (j = 2; j <= m; j++) owner["deq/" word[j]] = word[1]
    }
}

# The layer of a public header; "" if it is in none.
function owner_of(header,    folder) {
    sub(/\.h$/, "", header)
    folder = header
    sub(/[^\/]*$/, "", folder)
    return header in owner ? owner[header] : owner[folder]
}

function complain(what) {
    printf "%s:%d: %s\n", FILENAME, FNR, what
    bad = 1
}

FNR == 1 {
    split(FILENAME, path, "/")
    folder = FILENAME
    sub(/\/[^\/]*$/, "/", folder)
    if (path[1] == "src") layer = path[2]
    else if (path[1] != "include") layer = path[1]
    else layer = owner_of(substr(FILENAME, length("include/") + 1))
    if (!(layer in known))
        complain(path[1] == "include" ? "this header belongs to no layer; enter it in tools/check_layers.sh" \
                                      : "layer \"" layer "\" is not in the table of tools/check_layers.sh")
}

/^[ \t]*#[ \t]*include[ \t]*[<"]/ {
    name = $0
    sub(/^[^<"]*[<"]/, "", name)
    sub(/[>"].*$/, "", name)
    split(name, part, "/")

    if (name ~ /(^|\/)\.\.?\//)
        complain("include \"" name "\": name the file from src/, without dots")
    else if (name ~ backend_only) {
        if (layer != "backend" && FILENAME != "bench/bare.c") complain("<" name "> is for src/backend alone")
    } else if (name ~ /^deq\//) {
        of = owner_of(name)
        if (of == "") complain("<" name "> is no public header that tools/check_layers.sh knows")
        else if (!((layer, of) in public) && !((layer, "*") in public))
            complain(layer " must not know <" name ">, which belongs to " of)
    } else if (/"/) {
        if (path[1] == "include") complain("a public header includes public headers only, not \"" name "\"")
        else if (name !~ /\// && layer !~ /^(cli|bench|examples)$/)
            complain("include \"" name "\": name the file from src/")
        else if (name ~ /\// && part[1] != layer && !((layer, part[1]) in inside) && !((layer, name) in inside))
            complain(layer " must not know \"" name "\"")
    }
}

END {
    if (!bad) printf "layers: %d files include what they may\n", ARGC - 1
    exit bad
}
' "${files[@]}"
