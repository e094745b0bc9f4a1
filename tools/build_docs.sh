#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Builds the reference of the public headers in build/docs.  An undocumented function, parameter or
# field is an error.
set -euo pipefail
cd "$(dirname "$0")/.."

number() {
    sed -n "s/^#define DEQ_VERSION_$1 \([0-9]*\).*/\1/p" include/deq/version.h
}

mkdir -p build/docs
{
    cat docs/Doxyfile
    echo "PROJECT_NUMBER = $(number MAJOR).$(number MINOR).$(number PATCH)"
    echo "OUTPUT_DIRECTORY = build/docs"
} | doxygen -
echo "build/docs/html/index.html"
