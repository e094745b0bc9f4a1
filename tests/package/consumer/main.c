/* SPDX-License-Identifier: MIT */
/* The smallest program that uses the installed library.  It names deq_compile() and deq_run_new(), so that
 * linking the archive brings in the kernels and the training, and asks for all that they need. */
#include <deq/deq.h>
#include <deq/train.h>
#include <stdio.h>

static deq_status (*volatile compile)(deq_program **, deq_graph *, const deq_value *, int,
                                      const deq_compile_options *) = deq_compile;

static deq_status (*volatile train)(deq_run **, deq_context *, const deq_config *,
                                    const char *) = deq_run_new;

int main(void)
{
    return !compile || !train || puts(deq_version()) == EOF;
}
