/* SPDX-License-Identifier: MIT */
/**
 * @file
 * All of libdeq's stable interface: `#include <deq/deq.h>`.
 *
 * Each header also compiles alone.  A typical program needs, in this order: a context (context.h),
 * parameters (parameters.h), a graph (graph.h) of operators (op.h) and equilibria (equilibrium.h),
 * and a program compiled from it (program.h).  The solvers (solver.h, linear.h) also work alone, on
 * vectors and a map of the caller.
 */
#ifndef DEQ_DEQ_H
#define DEQ_DEQ_H

#include <deq/audit.h>
#include <deq/cell_map.h>
#include <deq/context.h>
#include <deq/equilibrium.h>
#include <deq/gradient_check.h>
#include <deq/graph.h>
#include <deq/info.h>
#include <deq/linear.h>
#include <deq/minimise.h>
#include <deq/normalise_weight.h>
#include <deq/op.h>
#include <deq/outcome.h>
#include <deq/parameters.h>
#include <deq/program.h>
#include <deq/random.h>
#include <deq/regularise.h>
#include <deq/reversible.h>
#include <deq/scalar.h>
#include <deq/solver.h>
#include <deq/spectral.h>
#include <deq/splitting.h>
#include <deq/status.h>
#include <deq/supervision.h>
#include <deq/type.h>
#include <deq/version.h>

#endif
