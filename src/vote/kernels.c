/* SPDX-License-Identifier: MIT */
/* Which kernels: by instruction set. */
#include "vote/kernel.h"

extern const deq_vote_kernels deq_vote_kernels_baseline;
#if DEQ_HAVE_AVX2
extern const deq_vote_kernels deq_vote_kernels_avx2;
#endif
#if DEQ_HAVE_AVX512
extern const deq_vote_kernels deq_vote_kernels_avx512;
#endif

const deq_vote_kernels *deq_vote_kernels_for(deq_isa isa)
{
    const deq_vote_kernels *table = &deq_vote_kernels_baseline;
#if DEQ_HAVE_AVX2
    if (isa == DEQ_ISA_AVX2) table = &deq_vote_kernels_avx2;
#endif
#if DEQ_HAVE_AVX512
    if (isa == DEQ_ISA_AVX512) table = &deq_vote_kernels_avx512;
#endif
    (void)isa;
    return table;
}
