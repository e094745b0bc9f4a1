/* SPDX-License-Identifier: MIT */
/*
 * Kernels that are compiled once per instruction set (deq_isa_sources in CMake).  Such a file names
 * what it gives DEQ_ISA_NAME(name), which appends the level; a header declares every level with
 * DEQ_ISA_DECLARE, and DEQ_ISA_SELECT picks the one of a context.
 */
#ifndef DEQ_BACKEND_CPU_DISPATCH_H
#define DEQ_BACKEND_CPU_DISPATCH_H

#include <deq/context.h>

#ifdef DEQ_ISA_SUFFIX
#define DEQ_ISA_PASTE_(name, suffix) name##suffix
#define DEQ_ISA_PASTE(name, suffix) DEQ_ISA_PASTE_(name, suffix)
#define DEQ_ISA_NAME(name) DEQ_ISA_PASTE(name, DEQ_ISA_SUFFIX)
#endif

#define DEQ_ISA_DECLARE(type, name) extern const type name##_baseline, name##_avx2, name##_avx512

#if defined(DEQ_HAVE_AVX512) && DEQ_HAVE_AVX512
#define DEQ_ISA_SELECT(isa, name)                                                                  \
    ((isa) >= DEQ_ISA_AVX512 ? &name##_avx512                                                      \
     : (isa) >= DEQ_ISA_AVX2 ? &name##_avx2                                                        \
                             : &name##_baseline)
#else
#define DEQ_ISA_SELECT(isa, name) ((void)(isa), &name##_baseline)
#endif

#endif
