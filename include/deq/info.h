/* SPDX-License-Identifier: MIT */
/**
 * @file
 * What this build of the library is and what it computes with on this machine.
 */
#ifndef DEQ_INFO_H
#define DEQ_INFO_H

#include <deq/context.h>

#ifdef __cplusplus
extern "C" {
#endif

/** See deq_build_info(). */
typedef struct deq_info {
    const char *version;  /**< of libdeq, e.g. "0.1.0" */
    const char *compiler; /**< name and version, e.g. "gcc 12.2.0" */
    deq_isa isa;          /**< the best for which this machine runs the library's own kernels */
    const char *kernel_library;      /**< computes convolutions and matrix products: "oneDNN" */
    char kernel_library_version[32]; /**< of the library loaded, e.g. "2.6.3" */
    const char *kernel_library_isa; /**< the instruction set that it uses, e.g. "avx512_core_amx" */
    int openmp_version;     /**< date of the OpenMP specification, year and month: 201511 is 4.5 */
    int openmp_max_threads; /**< threads that OpenMP would use for a parallel region */
} deq_info;

/**
 * Tell what computes.  Kernel libraries choose their instruction set when they are loaded, and some
 * choose badly on processors that they do not know: compare kernel_library_isa with isa.
 *
 * @return a struct; the strings in it are never freed.
 */
DEQ_API deq_info deq_build_info(void);

#ifdef __cplusplus
}
#endif
#endif
