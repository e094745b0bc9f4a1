/* SPDX-License-Identifier: MIT */
/*
 * A maze: cells x cells places, some neighbours of which are joined.  Drawn with its walls it is a
 * square of tiles, 2 cells + 1 a side:
 *
 *     #####        cell (r, q) is tile (2 r + 1, 2 q + 1); the tile between two neighbours is open
 *     #S..#        if they are joined; all others are walls.
 *     # #.#
 *     #  E#
 *     #####
 */
#ifndef DEQ_SRC_DATA_MAZE_H
#define DEQ_SRC_DATA_MAZE_H

#include "base/context.h"
#include "data/draws.h"

#include <deq/data.h>

/* Tiles. */
enum { DEQ_MAZE_WALL = 0, DEQ_MAZE_OPEN, DEQ_MAZE_PATH };

typedef struct deq_maze {
    int32_t cells;      /* a side, >= 2 */
    int32_t start, end; /* r cells + q */
    uint8_t *tiles;     /* [2 cells + 1, 2 cells + 1] */
    int32_t *queue;     /* [cells cells], of the searches */
    int32_t *from;      /* [cells cells], likewise */
    deq_context *ctx;   /* supplied the memory */
    void *memory;
    size_t memory_bytes;
} deq_maze;

/* Room for a maze, all walls. */
deq_status deq_maze_init(deq_maze *m, deq_context *ctx, int64_t cells);
void deq_maze_free(deq_maze *m);

/* The tile of a cell, as an offset. */
int64_t deq_maze_tile(const deq_maze *m, int32_t cell);
/* Joined neighbours of a cell. */
int deq_maze_degree(const deq_maze *m, int32_t cell);

/* Draw walls, start and end.  DEQ_ERR_DATA if no maze with a dead end came up where one must start. */
deq_status deq_maze_draw(deq_maze *m, deq_draws *draws, double percolation, deq_maze_start start);

/* Mark a shortest path from start to end, both included.  Returns its tiles, 0 if there is none. */
int64_t deq_maze_solve(deq_maze *m);

/* The image of 2 (2 cells + 1) + 2 pixels a side, and its target. */
void deq_maze_raster(const deq_maze *m, float *input, int32_t *target);

#endif
