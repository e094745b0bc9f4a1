/* SPDX-License-Identifier: MIT */
/* Which kernels: by dtype and instruction set. */
#include "solver/kernel.h"

extern const deq_kernels deq_solver_kernels_baseline[2];
#if DEQ_HAVE_AVX2
extern const deq_kernels deq_solver_kernels_avx2[2];
#endif
#if DEQ_HAVE_AVX512
extern const deq_kernels deq_solver_kernels_avx512[2];
#endif

const deq_kernels *deq_kernels_for(deq_dtype dtype, deq_isa isa)
{
    const deq_kernels *table = deq_solver_kernels_baseline;
#if DEQ_HAVE_AVX2
    if (isa == DEQ_ISA_AVX2) table = deq_solver_kernels_avx2;
#endif
#if DEQ_HAVE_AVX512
    if (isa == DEQ_ISA_AVX512) table = deq_solver_kernels_avx512;
#endif
    (void)isa;
    return &table[dtype == DEQ_F64];
}
