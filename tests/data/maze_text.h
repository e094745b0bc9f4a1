/* SPDX-License-Identifier: MIT */
/* The mazes of $DEQ_DATA/tasks/mazes.txt: '#' wall, ' ' open, '.' shortest path, S, E. */
#ifndef DEQ_TESTS_DATA_MAZE_TEXT_H
#define DEQ_TESTS_DATA_MAZE_TEXT_H

#include "data/data.h"
#include "data/maze.h"

typedef struct maze_text {
    FILE *file;
    int size, cells, dead_end, degree, path_cells, path_pixels; /* as the header says */
    double percolation;
    char rows[64][80];
} maze_text;

static inline bool maze_text_next(maze_text *t)
{
    char line[256];

    do {
        if (!fgets(line, sizeof line, t->file)) return false;
    } while (line[0] != '@');
    assert_int_equal(
        sscanf(line,
               "@maze size=%d cells=%d percolation=%lf deadend_start=%d start_degree=%d "
               "path_cells=%d path_pixels=%d",
               &t->size, &t->cells, &t->percolation, &t->dead_end, &t->degree, &t->path_cells,
               &t->path_pixels),
        7);
    assert_in_range(t->cells, 2, 30);
    for (int row = 0; row < 2 * t->cells + 1; row++) {
        assert_non_null(fgets(t->rows[row], sizeof t->rows[row], t->file));
        assert_true(strlen(t->rows[row]) >= (size_t)(2 * t->cells + 1));
    }
    return true;
}

/* Walls, start and end; with the path if wanted. */
static inline deq_maze maze_text_maze(const maze_text *t, deq_context *ctx, bool with_path)
{
    const int tiles = 2 * t->cells + 1;
    deq_maze m;

    assert_done(ctx, deq_maze_init(&m, ctx, t->cells));
    for (int row = 0; row < tiles; row++)
        for (int column = 0; column < tiles; column++) {
            const char c = t->rows[row][column];
            const int32_t cell = row / 2 * t->cells + column / 2;
            m.tiles[row * tiles + column] = c == '#'                 ? DEQ_MAZE_WALL
                                            : c == ' ' || !with_path ? DEQ_MAZE_OPEN
                                                                     : DEQ_MAZE_PATH;
            if (c == 'S') m.start = cell;
            if (c == 'E') m.end = cell;
        }
    return m;
}

#endif
