/* SPDX-License-Identifier: MIT */
#ifndef DEQ_OP_ELEMENTWISE_DERIVE_H
#define DEQ_OP_ELEMENTWISE_DERIVE_H

#include "op/op.h"

/* Derivatives of every element-wise operator, from its table of partial derivatives. */
void deq_elementwise_vjp(const deq_frame *f, const deq_value *dy, deq_value *dx);
void deq_elementwise_jvp(const deq_frame *f, const deq_value *dx, deq_value *dy);

#endif
