/* SPDX-License-Identifier: MIT */
/* What programs ask of their workspace; see deq/workspace.h. */
#ifndef DEQ_GRAPH_WORKSPACE_H
#define DEQ_GRAPH_WORKSPACE_H

#include "graph/program_internal.h"

#include <deq/workspace.h>

/* Lend the block, grown if need be, to one more program; deq_workspace_remove() takes it back, also
 * after a failure. */
deq_status deq_workspace_add(deq_workspace *w, deq_program *p);
void deq_workspace_remove(deq_workspace *w, deq_program *p);
/* The block is p's from now on; deq_program_forget() for the one that had it. */
deq_status deq_workspace_take(deq_workspace *w, deq_program *p);
/* Is it p's? */
bool deq_workspace_holds(const deq_workspace *w, const deq_program *p);

#endif
