/* SPDX-License-Identifier: MIT */
#include "implicit/states.h"

#include <string.h>

enum { PARALLEL_BYTES = 1 << 17 }; /* from here on waking threads costs less than it saves */

deq_states deq_states_of(const deq_body *body, int threads)
{
    deq_states s = { .n = body->n_states, .threads = threads };
    for (int i = 0; i < s.n; i++) {
        const deq_type *t = deq_type_of(body->g, body->z[i]);
        s.dtype = t->dtype;
        s.batch = t->shape.dim[0];
        s.size[i] = deq_shape_count(&t->shape) / s.batch;
        s.offset[i] = s.dim;
        s.dim += s.size[i];
    }
    return s;
}

size_t deq_states_bytes(const deq_states *s)
{
    return (size_t)(s->batch * s->dim) * deq_dtype_size(s->dtype);
}

typedef enum direction { PACK, UNPACK } direction;

static void move(const deq_states *s, char *rows, void *const *state, direction d)
{
    size_t element = deq_dtype_size(s->dtype);
    int threads = deq_states_bytes(s) < PARALLEL_BYTES ? 1 : s->threads;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t t = 0; t < s->batch * s->n; t++) {
        int64_t b = t / s->n, i = t % s->n;
        size_t bytes = (size_t)s->size[i] * element;
        char *row = rows + (size_t)(b * s->dim + s->offset[i]) * element;
        char *own = (char *)state[i] + (size_t)b * bytes;
        memcpy(d == PACK ? row : own, d == PACK ? own : row, bytes);
    }
}

void deq_states_pack(const deq_states *s, void *rows, void *const *state)
{
    move(s, rows, state, PACK);
}

void deq_states_unpack(const deq_states *s, void *const *state, const void *rows)
{
    move(s, (char *)(uintptr_t)rows, state, UNPACK);
}
