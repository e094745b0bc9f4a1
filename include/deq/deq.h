/* SPDX-License-Identifier: MIT */
/**
 * @file
 * What computes: `#include <deq/deq.h>` is enough to build, solve, differentiate and train a model.
 *
 * Each header also compiles alone.  A typical program needs, in this order: a context (context.h),
 * parameters (parameters.h; weights.h and nn.h for named layers), a graph (graph.h) of operators
 * (op.h) and equilibria (equilibrium.h), a program compiled from it (program.h), an optimiser
 * (optim.h).  The solvers (solver.h, linear.h) also work alone, on vectors and a map of the caller.
 *
 * What reads and writes files stands apart, one header a subject, and includes what it needs of this
 * one: io.h (formats), data.h (data sets), model.h (whole networks and their state dictionaries),
 * report.h (pages and plots), train.h (runs from configurations), vote.h (weighted majority votes).
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
#include <deq/nn.h>
#include <deq/normalise_weight.h>
#include <deq/op.h>
#include <deq/optim.h>
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
#include <deq/weights.h>
#include <deq/workspace.h>
#include <deq/write.h>

#endif
