/* SPDX-License-Identifier: MIT */
/* Examples: read, told apart, and as text. */
#include "context.h"
#include "data.h"
#include "picture.h"
#include "text.h"

#include <stdlib.h>

void example_room(one_example *e, const deq_dataset *d)
{
    e->form = deq_dataset_form(d);
    e->n_input = deq_shape_count(&e->form.input);
    e->n_target = deq_shape_count(&e->form.target);
    e->input = must_alloc((size_t)e->n_input * sizeof *e->input);
    e->target = must_alloc((size_t)e->n_target * sizeof *e->target);
}

void example_free(one_example *e)
{
    free(e->input);
    free(e->target);
    *e = (one_example){ 0 };
}

int read_example(one_example *e, const arguments *a, const deq_dataset *d, int64_t index)
{
    char error[1024] = "";
    const deq_status status = deq_dataset_read(d, index, e->input, e->target, error, sizeof error);
    text_buffer safe = { 0 };
    if (status == DEQ_OK) return CLI_OK;
    put_safe(&safe, error);
    const int code = fail(status == DEQ_ERR_DATA || status == DEQ_ERR_UNSUPPORTED ? CLI_DATA
                                                                                  : CLI_FAILED,
                          a->path, "%s", text_string(&safe));
    text_free(&safe);
    return code;
}

static bool is_bits(const one_example *e)
{
    const deq_shape *x = &e->form.input, *y = &e->form.target;
    if (x->rank != 2 || x->dim[0] != 1 || y->rank != 1 || y->dim[0] != x->dim[1]) return false;
    for (int64_t i = 0; i < e->n_input; i++)
        if ((e->input[i] < 0.5f || e->input[i] > 0.5f) &&
            (e->input[i] < -0.5f || e->input[i] > -0.5f))
            return false;
    for (int64_t i = 0; i < e->n_target; i++)
        if (e->target[i] < 0 || e->target[i] > 1) return false;
    return true;
}

/* The colours of a maze, with one tile each of start and end. */
static bool is_maze(const one_example *e)
{
    const deq_shape *x = &e->form.input, *y = &e->form.target;
    const int64_t plane = x->dim[1] * x->dim[2];
    int64_t starts = 0, ends = 0;
    if (x->rank != 3 || x->dim[0] != 3 || y->rank != 2 || e->n_target != plane) return false;
    if (x->dim[1] != x->dim[2] || x->dim[1] < 8 || x->dim[1] % 2) return false;
    for (int64_t i = 0; i < plane; i++) {
        const bool red = e->input[i] > 0, green = e->input[plane + i] > 0;
        const bool blue = e->input[2 * plane + i] > 0;
        if (blue ? !red || !green : red && green) return false;
        starts += green && !blue;
        ends += red && !blue;
    }
    return starts == 4 && ends == 4;
}

example_kind kind_of(const one_example *e)
{
    const deq_shape *x = &e->form.input;
    if (is_bits(e)) return EXAMPLE_BITS;
    if (is_maze(e)) return EXAMPLE_MAZE;
    return x->rank == 3 && (x->dim[0] == 1 || x->dim[0] == 3) ? EXAMPLE_IMAGE : EXAMPLE_NUMBERS;
}

void write_bits(FILE *to, const one_example *e)
{
    fprintf(to, "%lld\t", (long long)e->n_input);
    for (int64_t i = 0; i < e->n_input; i++) fputc(e->input[i] > 0 ? '1' : '0', to);
    fputc('\t', to);
    for (int64_t i = 0; i < e->n_target; i++) fputc(e->target[i] > 0 ? '1' : '0', to);
    fputc('\n', to);
}

/* Tiles of the path, and open tiles beside the start. */
static void measure(int64_t *path, int64_t *degree, const one_example *e)
{
    const int64_t side = e->form.input.dim[1], plane = side * side;
    *path = *degree = 0;
    for (int64_t y = 1; y + 1 < side - 1; y += 2)
        for (int64_t x = 1; x + 1 < side - 1; x += 2) {
            const int64_t at = y * side + x, steps[] = { -2, 2, -2 * side, 2 * side };
            *path += e->target[at] == 1;
            if (!(e->input[plane + at] > 0) || e->input[at] > 0) continue;
            for (int k = 0; k < 4; k++) { /* a start stands on a cell, never at the edge */
                const int64_t near = at + steps[k];
                if (near < 0 || near >= plane) continue;
                *degree += e->input[near] > 0 || e->input[plane + near] > 0;
            }
        }
}

void write_maze_text(FILE *to, const one_example *e, double percolation)
{
    const int64_t side = e->form.input.dim[1], cells = (side - 4) / 4;
    int64_t path, degree;
    measure(&path, &degree, e);
    fprintf(to, "@maze size=%lld cells=%lld", (long long)(2 * cells - 1), (long long)cells);
    if (percolation >= 0) fprintf(to, " percolation=%g", percolation);
    fprintf(to, " deadend_start=%d start_degree=%lld path_cells=%lld path_pixels=%lld\n",
            degree == 1, (long long)degree, (long long)((path + 1) / 2), (long long)path);
    print_maze(to, e->input, e->target, side);
}
