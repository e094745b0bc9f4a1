/* SPDX-License-Identifier: MIT */
#ifndef DEQ_BASE_ISA_H
#define DEQ_BASE_ISA_H

#include <deq/context.h>

/* The best instruction set of this machine for which the library has kernels. */
deq_isa deq_isa_detect(void);

#endif
