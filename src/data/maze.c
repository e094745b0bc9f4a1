/* SPDX-License-Identifier: MIT */
/*
 * Mazes (Schwarzschild et al. 2021): a randomised depth-first search from the root knocks the wall to
 * a place where it has not been, chosen among the neighbours each as likely as the others, and goes
 * back where there is none.  Each cell is then joined to the root by one path.
 *
 * Percolation (Knutson et al., "On logical extrapolation for mazes with recurrent and implicit
 * networks", 2024): each remaining wall between neighbours opens with probability p.
 *
 * No cell of a grid separates it, so the search comes back to its root only when it has seen all: the
 * root is a dead end, unless percolation opens another wall of it.
 */
#include "data/maze.h"

#include <string.h>

/* Mazes that are drawn until one has a dead end. */
#define MOST_ATTEMPTS 1000

/* Up, left, right, down. */
static const int step_row[4] = { -1, 0, 0, 1 };
static const int step_column[4] = { 0, -1, 1, 0 };

static int64_t tiles_of(int64_t cells)
{
    return (2 * cells + 1) * (2 * cells + 1);
}

deq_status deq_maze_init(deq_maze *m, deq_context *ctx, int64_t cells)
{
    const size_t n = (size_t)(cells * cells), tiles = (size_t)tiles_of(cells);

    *m = (deq_maze){ .cells = (int32_t)cells, .ctx = ctx };
    m->memory_bytes = 2 * n * sizeof(int32_t) + tiles;
    m->memory = deq_alloc(ctx, m->memory_bytes);
    if (!m->memory) return DEQ_ERR_NOMEM;
    m->queue = m->memory;
    m->from = m->queue + n;
    m->tiles = (uint8_t *)(m->from + n);
    return DEQ_OK;
}

void deq_maze_free(deq_maze *m)
{
    deq_release(m->ctx, m->memory, m->memory_bytes);
}

int64_t deq_maze_tile(const deq_maze *m, int32_t cell)
{
    const int64_t row = cell / m->cells, column = cell % m->cells;

    return (2 * row + 1) * (2 * (int64_t)m->cells + 1) + 2 * column + 1;
}

/* The neighbour of a cell in a direction, and the tile between; -1 outside. */
static int32_t neighbour(const deq_maze *m, int32_t cell, int direction, int64_t *between)
{
    const int32_t row = cell / m->cells + step_row[direction];
    const int32_t column = cell % m->cells + step_column[direction];

    if (row < 0 || row >= m->cells || column < 0 || column >= m->cells) return -1;
    *between = deq_maze_tile(m, cell) + step_row[direction] * (2 * (int64_t)m->cells + 1) +
               step_column[direction];
    return row * m->cells + column;
}

int deq_maze_degree(const deq_maze *m, int32_t cell)
{
    int64_t between = 0;
    int degree = 0;

    for (int k = 0; k < 4; k++)
        if (neighbour(m, cell, k, &between) >= 0 && m->tiles[between] != DEQ_MAZE_WALL) degree++;
    return degree;
}

/* One neighbour that the search has not seen, or -1. */
static int32_t draw_unseen(const deq_maze *m, deq_draws *draws, int32_t cell, int64_t *between)
{
    int32_t unseen[4];
    int64_t walls[4], n = 0;

    for (int k = 0; k < 4; k++) {
        unseen[n] = neighbour(m, cell, k, &walls[n]);
        if (unseen[n] >= 0 && m->tiles[deq_maze_tile(m, unseen[n])] == DEQ_MAZE_WALL) n++;
    }
    if (n == 0) return -1;
    const int64_t chosen = deq_draws_below(draws, n);
    *between = walls[chosen];
    return unseen[chosen];
}

static void draw_tree(deq_maze *m, deq_draws *draws, int32_t root)
{
    int32_t *stack = m->queue, height = 0;

    memset(m->tiles, DEQ_MAZE_WALL, (size_t)tiles_of(m->cells));
    stack[height++] = root;
    m->tiles[deq_maze_tile(m, root)] = DEQ_MAZE_OPEN;
    while (height > 0) {
        int64_t between = 0;
        const int32_t next = draw_unseen(m, draws, stack[height - 1], &between);
        if (next < 0) {
            height--;
            continue;
        }
        m->tiles[between] = m->tiles[deq_maze_tile(m, next)] = DEQ_MAZE_OPEN;
        stack[height++] = next;
    }
}

/* Right and down from each cell: every wall between neighbours once. */
static void draw_openings(deq_maze *m, deq_draws *draws, double percolation)
{
    for (int32_t cell = 0; cell < m->cells * m->cells; cell++)
        for (int k = 2; k < 4; k++) {
            int64_t between = 0;
            if (neighbour(m, cell, k, &between) < 0 || m->tiles[between] != DEQ_MAZE_WALL) continue;
            if (deq_draws_chance(draws, percolation)) m->tiles[between] = DEQ_MAZE_OPEN;
        }
}

/* A cell with one neighbour, each as likely as the others; -1 if there is none. */
static int32_t draw_dead_end(deq_maze *m, deq_draws *draws)
{
    int32_t n = 0;

    for (int32_t cell = 0; cell < m->cells * m->cells; cell++)
        if (deq_maze_degree(m, cell) == 1) m->queue[n++] = cell;
    return n ? m->queue[deq_draws_below(draws, n)] : -1;
}

deq_status deq_maze_draw(deq_maze *m, deq_draws *draws, double percolation, deq_maze_start start)
{
    const int32_t n = m->cells * m->cells;

    m->start = -1;
    for (int attempt = 0; m->start < 0; attempt++) {
        if (attempt == MOST_ATTEMPTS)
            return deq_fail(m->ctx, DEQ_ERR_DATA,
                            "no dead end to start from in %d mazes of %d x %d cells and "
                            "percolation %g",
                            MOST_ATTEMPTS, (int)m->cells, (int)m->cells, percolation);
        const int32_t root = (int32_t)deq_draws_below(draws, n);
        draw_tree(m, draws, root);
        if (percolation > 0) draw_openings(m, draws, percolation);
        switch (start) {
        case DEQ_MAZE_START_ROOT: m->start = root; break;
        case DEQ_MAZE_START_DEAD_END: m->start = draw_dead_end(m, draws); break;
        case DEQ_MAZE_START_ANY: m->start = (int32_t)deq_draws_below(draws, n); break;
        }
    }
    m->end = (int32_t)deq_draws_below(draws, n - 1);
    if (m->end >= m->start) m->end++;
    return DEQ_OK;
}

/* Breadth first from the end, so that `from` leads from the start to the end. */
static void search(deq_maze *m)
{
    int32_t first = 0, last = 0;

    for (int32_t i = 0; i < m->cells * m->cells; i++) m->from[i] = -1;
    m->queue[last++] = m->end;
    m->from[m->end] = m->end;
    while (first < last && m->from[m->start] < 0) {
        const int32_t cell = m->queue[first++];
        for (int k = 0; k < 4; k++) {
            int64_t between = 0;
            const int32_t next = neighbour(m, cell, k, &between);
            if (next < 0 || m->tiles[between] == DEQ_MAZE_WALL || m->from[next] >= 0) continue;
            m->from[next] = cell;
            m->queue[last++] = next;
        }
    }
}

int64_t deq_maze_solve(deq_maze *m)
{
    int64_t length = 1;

    search(m);
    if (m->from[m->start] < 0) return 0;
    for (int32_t cell = m->start; cell != m->end; cell = m->from[cell]) {
        const int64_t here = deq_maze_tile(m, cell), there = deq_maze_tile(m, m->from[cell]);
        m->tiles[here] = m->tiles[(here + there) / 2] = DEQ_MAZE_PATH;
        length += 2;
    }
    m->tiles[deq_maze_tile(m, m->end)] = DEQ_MAZE_PATH;
    return length;
}
