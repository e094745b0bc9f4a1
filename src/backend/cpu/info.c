/* SPDX-License-Identifier: MIT */
/* What this build is and what it computes with. */
#include <deq/info.h>

#include "backend/cpu/onednn.h"
#include "base/isa.h"

#include <deq/version.h>
#include <omp.h>

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#elif defined(__GNUC__)
#define COMPILER "gcc " __VERSION__
#else
#define COMPILER "unknown"
#endif

deq_info deq_build_info(void)
{
    deq_info info = { .version = deq_version(),
                      .compiler = COMPILER,
                      .isa = deq_isa_detect(),
                      .kernel_library = "oneDNN",
                      .kernel_library_isa = deq_onednn_isa(),
                      .openmp_version = _OPENMP,
                      .openmp_max_threads = omp_get_max_threads() };
    deq_onednn_version(info.kernel_library_version, sizeof info.kernel_library_version);
    return info;
}
