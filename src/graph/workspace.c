/* SPDX-License-Identifier: MIT */
/* Blocks that programs use in turn; see deq/workspace.h. */
#include "graph/workspace.h"

#include <string.h>

struct deq_workspace {
    deq_context *ctx;
    deq_program **programs;
    size_t n_programs, capacity;
    deq_program *user; /* whose data the block holds, or NULL */
    void *block;
    size_t bytes;
    bool released; /* by its maker; its programs still hold it */
};

deq_status deq_workspace_new(deq_workspace **out, deq_context *ctx)
{
    deq_workspace *w = *out = deq_alloc(ctx, sizeof *w);
    if (!w) return DEQ_ERR_NOMEM;
    w->ctx = ctx;
    return DEQ_OK;
}

static void release(deq_workspace *w)
{
    if (!w->released || w->n_programs > 0) return;
    deq_release(w->ctx, w->block, w->bytes);
    deq_release(w->ctx, w->programs, w->capacity * sizeof *w->programs);
    deq_release(w->ctx, w, sizeof *w);
}

void deq_workspace_free(deq_workspace *w)
{
    if (!w) return;
    w->released = true;
    release(w);
}

size_t deq_workspace_bytes(const deq_workspace *w)
{
    return w->bytes;
}

/* Nobody's data is in the block any more. */
static void vacate(deq_workspace *w)
{
    if (w->user) deq_program_forget(w->user);
    w->user = NULL;
}

static deq_status lend_all(deq_workspace *w)
{
    for (size_t i = 0; i < w->n_programs; i++) DEQ_TRY(deq_program_lend(w->programs[i], w->block));
    return DEQ_OK;
}

/* Another block, as large as the programs need.  The old one is freed first: its content is worth
 * nothing, and room for both may be lacking.  If there is no memory, the programs have no block. */
static deq_status resize(deq_workspace *w)
{
    size_t most = 0;
    for (size_t i = 0; i < w->n_programs; i++)
        if (w->programs[i]->lent_bytes > most) most = w->programs[i]->lent_bytes;
    if (most == w->bytes) return DEQ_OK;
    vacate(w);
    deq_release(w->ctx, w->block, w->bytes);
    w->block = NULL;
    w->bytes = 0;
    if (most == 0) return DEQ_OK;
    w->block = deq_alloc(w->ctx, most);
    if (!w->block) return DEQ_ERR_NOMEM;
    w->bytes = most;
    return lend_all(w);
}

static deq_status append(deq_workspace *w, deq_program *p)
{
    if (w->n_programs == w->capacity) {
        size_t capacity = w->capacity ? 2 * w->capacity : 4;
        deq_program **more = deq_alloc_array(w->ctx, capacity, sizeof(deq_program *));
        if (!more) return DEQ_ERR_NOMEM;
        if (w->n_programs) memcpy(more, w->programs, w->n_programs * sizeof(deq_program *));
        deq_release(w->ctx, w->programs, w->capacity * sizeof(deq_program *));
        w->programs = more;
        w->capacity = capacity;
    }
    w->programs[w->n_programs++] = p;
    p->workspace = w;
    return DEQ_OK;
}

deq_status deq_workspace_add(deq_workspace *w, deq_program *p)
{
    size_t before = w->bytes;
    DEQ_TRY(append(w, p));
    DEQ_TRY(resize(w));
    return w->bytes == before ? deq_program_lend(p, w->block) : DEQ_OK;
}

void deq_workspace_remove(deq_workspace *w, deq_program *p)
{
    for (size_t i = 0; i < w->n_programs; i++)
        if (w->programs[i] == p) w->programs[i] = w->programs[--w->n_programs];
    if (w->user == p) w->user = NULL;
    (void)resize(w); /* a program without a block says so when it is run */
    release(w);
}

deq_status deq_workspace_take(deq_workspace *w, deq_program *p)
{
    if (!w->block) DEQ_TRY(resize(w)); /* there was no memory at the last change */
    if (w->user == p) return DEQ_OK;
    vacate(w);
    w->user = p;
#ifndef NDEBUG
    if (w->block) memset(w->block, 0xff, w->bytes);
#endif
    return DEQ_OK;
}

bool deq_workspace_holds(const deq_workspace *w, const deq_program *p)
{
    return w->user == p;
}
