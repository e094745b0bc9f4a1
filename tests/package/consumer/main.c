/* SPDX-License-Identifier: MIT */
/* The smallest program that uses the installed library.  It names deq_compile(), so that linking the
 * archive brings in the kernels and asks for all that they need. */
#include <deq/program.h>
#include <deq/version.h>
#include <stdio.h>

static deq_status (*volatile compile)(deq_program **, deq_graph *, const deq_value *, int,
                                      const deq_compile_options *) = deq_compile;

int main(void)
{
    return !compile || puts(deq_version()) == EOF;
}
