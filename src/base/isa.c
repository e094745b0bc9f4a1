/* SPDX-License-Identifier: MIT */
/* Which instruction set does this processor, under this operating system, execute? */
#include "base/isa.h"

deq_isa deq_isa_detect(void)
{
#if defined(__x86_64__) && defined(__GNUC__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return DEQ_ISA_AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return DEQ_ISA_AVX2;
#endif
    return DEQ_ISA_BASELINE;
}

const char *deq_isa_name(deq_isa isa)
{
    switch (isa) {
    case DEQ_ISA_AUTO: return "auto";
    case DEQ_ISA_BASELINE: return "baseline";
    case DEQ_ISA_AVX2: return "avx2";
    case DEQ_ISA_AVX512: return "avx512";
    }
    return "unknown";
}
