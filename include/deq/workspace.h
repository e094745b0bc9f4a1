/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Memory that several programs use in turn.
 *
 * Programs compiled with the same deq_compile_options.workspace work in one block, which is as large as
 * the largest of them needs: a training step with a penalty, the one without, and the evaluation in
 * between.  A program keeps only its constants and what depends on parameters alone for itself.
 *
 * The block belongs to the program that was written to or run last.  With it the one before loses its
 * inputs and outputs of DEQ_STAGE_INJECTED and DEQ_STAGE_STATE, but for those that are bound to the
 * caller's memory: such inputs have to be written again before the next run, which begins at
 * DEQ_STAGE_INJECTED or earlier, and outputs can no longer be read.  Both are refused otherwise, with
 * DEQ_ERR_STATE.
 *
 * One thread at a time may use the programs of a workspace.  Compiling and freeing them moves the
 * block, and with it what deq_program_data() pointed to.
 */
#ifndef DEQ_WORKSPACE_H
#define DEQ_WORKSPACE_H

#include <deq/context.h>

#ifdef __cplusplus
extern "C" {
#endif

/** See workspace.h. */
typedef struct deq_workspace deq_workspace;

/**
 * Make an empty workspace.
 *
 * @param out receives it; free with deq_workspace_free().  NULL on failure.
 * @param ctx supplies memory; must outlive it and its programs.
 * @return DEQ_OK or DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_workspace_new(deq_workspace **out, deq_context *ctx);

/**
 * Free a workspace, or let its last program do so when that is freed.
 *
 * @param w NULL is allowed.
 */
DEQ_API void deq_workspace_free(deq_workspace *w);

/** The size of the block. @param w a workspace. @return bytes; 0 without programs. */
DEQ_API size_t deq_workspace_bytes(const deq_workspace *w);

#ifdef __cplusplus
}
#endif
#endif
