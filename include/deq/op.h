/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Every operator that a graph can hold, one header a family.
 *
 * A builder function adds nodes and returns their value.  A mistake marks the graph and is reported
 * by deq_graph_status() or deq_compile(); see graph.h.
 */
#ifndef DEQ_OP_H
#define DEQ_OP_H

#include <deq/op/conv.h>
#include <deq/op/elementwise.h>
#include <deq/op/index.h>
#include <deq/op/loss.h>
#include <deq/op/matmul.h>
#include <deq/op/norm.h>
#include <deq/op/pool.h>
#include <deq/op/random.h>
#include <deq/op/reduce.h>
#include <deq/op/relative_shift.h>
#include <deq/op/resample.h>
#include <deq/op/shape.h>
#include <deq/op/sparse.h>
#include <deq/op/unfold.h>

#endif
