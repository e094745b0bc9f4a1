/* SPDX-License-Identifier: MIT */
/*
 * Mazes as examples.  Each tile becomes 2 x 2 pixels, and a black pixel is added all around:
 *
 *     size s  ->  (s + 1) / 2 cells  ->  s + 2 tiles  ->  2 s + 6 pixels a side
 *
 *     pixel   wall     open     start    end
 *     input   0 0 0    1 1 1    0 1 0    1 0 0
 *     target  ignored  0, or 1 on the path, ends included
 */
#include "data/dataset.h"
#include "data/maze.h"

#include <string.h>

/* Cells are counted in 31 bits. */
#define LARGEST 65535

static void paint(const deq_maze *m, float *input, int32_t *target, int64_t at, int64_t pixel,
                  int64_t plane)
{
    const uint8_t tile = m->tiles[at];
    const bool start = at == deq_maze_tile(m, m->start), end = at == deq_maze_tile(m, m->end);

    if (tile == DEQ_MAZE_WALL) return;
    target[pixel] = tile == DEQ_MAZE_PATH;
    input[pixel] = start ? 0.0f : 1.0f;
    input[plane + pixel] = end ? 0.0f : 1.0f;
    input[2 * plane + pixel] = start || end ? 0.0f : 1.0f;
}

void deq_maze_raster(const deq_maze *m, float *input, int32_t *target)
{
    const int64_t tiles = 2 * (int64_t)m->cells + 1, side = 2 * tiles + 2, plane = side * side;

    memset(input, 0, (size_t)(3 * plane) * sizeof *input);
    for (int64_t i = 0; i < plane; i++) target[i] = DEQ_TARGET_IGNORE;
    for (int64_t y = 1; y < side - 1; y++)
        for (int64_t x = 1; x < side - 1; x++)
            paint(m, input, target, (y - 1) / 2 * tiles + (x - 1) / 2, y * side + x, plane);
}

static deq_status read(const deq_dataset *d, int64_t index, float *input, int32_t *target,
                       deq_context *own)
{
    const deq_mazes *o = d->data;
    deq_draws draws = deq_draws_of(o->seed, 0, DEQ_DRAWS_MAZES, index);
    deq_maze m;

    DEQ_TRY(deq_maze_init(&m, own, (o->size + 1) / 2));
    deq_status status = deq_maze_draw(&m, &draws, o->percolation, o->start);
    if (status == DEQ_OK) {
        (void)deq_maze_solve(&m);
        deq_maze_raster(&m, input, target);
    }
    deq_maze_free(&m);
    return status;
}

static void class_name(const deq_dataset *d, int64_t class_, char *buffer, size_t size)
{
    const char *name = class_ ? "path" : "open";
    const size_t length = strlen(name) < size ? strlen(name) : size - 1;

    (void)d;
    memcpy(buffer, name, length);
    buffer[length] = '\0';
}

static const deq_dataset_kind kind = { .read = read, .class_name = class_name };

deq_mazes deq_mazes_defaults(void)
{
    return (deq_mazes){ .struct_size = sizeof(deq_mazes), .size = 9, .count = 10000 };
}

static deq_status check(deq_context *ctx, const deq_mazes *o)
{
    if (o->struct_size != sizeof *o)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "deq_mazes of %zu bytes, expected %zu",
                        o->struct_size, sizeof *o);
    if (o->size < 3 || o->size > LARGEST || o->size % 2 == 0)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT,
                        "mazes of size %lld, expected an odd number of 3 "
                        "to %d",
                        (long long)o->size, LARGEST);
    if (o->count < 1 || o->count > DEQ_DRAWS_MOST)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "%lld mazes, expected 1 to 2^56",
                        (long long)o->count);
    if (!(o->percolation >= 0 && o->percolation <= 1))
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "percolation %g, expected 0 to 1", o->percolation);
    if (o->start < DEQ_MAZE_START_ROOT || o->start > DEQ_MAZE_START_ANY)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT, "%d is no rule where mazes start", (int)o->start);
    if (o->start == DEQ_MAZE_START_DEAD_END && o->percolation == 1)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT,
                        "mazes of percolation 1 have no dead ends to start from");
    return DEQ_OK;
}

deq_status deq_dataset_mazes(deq_dataset **out, deq_context *ctx, const deq_mazes *options)
{
    const deq_mazes o = options ? *options : deq_mazes_defaults();
    const int64_t side = 2 * o.size + 6;
    deq_dataset *d;

    *out = NULL;
    DEQ_TRY(check(ctx, &o));
    DEQ_TRY(deq_dataset_new(&d, ctx, &kind, sizeof o));
    *(deq_mazes *)d->data = o;
    d->form = (deq_example_form){ DEQ_SHAPE(3, side, side), DEQ_SHAPE(side, side), 2 };
    d->count = o.count;
    return deq_dataset_finish(out, d, DEQ_OK);
}
