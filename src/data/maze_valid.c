/* SPDX-License-Identifier: MIT */
/*
 * Is a prediction a shortest path?  Where a maze has several, any of them counts (Knutson et al. 2024):
 *
 *   (1) it holds start and end,                (2) it is black where the input is black,
 *   (3) every 2 x 2 tile is of one colour,     (4) its pixels are one piece, and so are all others,
 *   (5) it has as many pixels as the reference.
 *
 * A piece that holds both ends and is as small as a shortest path is one, without a branch or a loop.
 * So (4) needs no search: from start to end each tile of the path has exactly one that follows, and
 * on the way all tiles of the prediction are met.  The rest of the image is one piece then, because a
 * path that is nowhere beside itself encloses nothing.
 */
#include <deq/data.h>

/* Tiles of a prediction; beyond the edge there is none. */
typedef struct view {
    const uint8_t *pixels;
    int64_t side, tiles;
} view;

static bool marked(const view *v, int64_t row, int64_t column)
{
    if (row < 0 || row >= v->tiles || column < 0 || column >= v->tiles) return false;
    return v->pixels[(2 * row + 1) * v->side + 2 * column + 1] != 0;
}

/* (2) and (3), and the number of path pixels; -1 if they do not hold. */
static int64_t count_path(const view *v, const float *input)
{
    const int64_t plane = v->side * v->side;
    int64_t count = 0;

    for (int64_t i = 0; i < plane; i++) {
        const int64_t y = i / v->side, x = i % v->side;
        const bool border = y == 0 || x == 0 || y == v->side - 1 || x == v->side - 1;
        const bool black = input[i] <= 0 && input[plane + i] <= 0 && input[2 * plane + i] <= 0;
        const bool path = v->pixels[i] != 0;
        if (path && (black || border)) return -1;
        if (!border && path != marked(v, (y - 1) / 2, (x - 1) / 2)) return -1;
        count += path;
    }
    return count;
}

/* The tile with this colour, the only ones with one channel: 0 1 0 or 1 0 0. */
static bool find(int64_t at[2], const view *v, const float *input, int channel)
{
    const int64_t plane = v->side * v->side;

    for (int64_t row = 0; row < v->tiles; row++)
        for (int64_t column = 0; column < v->tiles; column++) {
            const int64_t i = (2 * row + 1) * v->side + 2 * column + 1;
            if (!(input[channel * plane + i] > 0) || input[(1 - channel) * plane + i] > 0 ||
                input[2 * plane + i] > 0)
                continue;
            at[0] = row;
            at[1] = column;
            return true;
        }
    return false;
}

/* Tiles from `at` to `end` if each has one that follows; else 0. */
static int64_t walk(const view *v, const int64_t start[2], const int64_t end[2])
{
    static const int64_t step[4][2] = { { -1, 0 }, { 0, -1 }, { 0, 1 }, { 1, 0 } };
    int64_t at[2] = { start[0], start[1] }, before[2] = { -2, -2 }, length = 1;

    for (;; length++) {
        int64_t next[2] = { 0, 0 };
        int n = 0;
        for (int k = 0; k < 4; k++) {
            const int64_t row = at[0] + step[k][0], column = at[1] + step[k][1];
            if ((row == before[0] && column == before[1]) || !marked(v, row, column)) continue;
            next[0] = row;
            next[1] = column;
            n++;
        }
        const bool there = at[0] == end[0] && at[1] == end[1];
        if (n != (there ? 0 : 1) || length > v->tiles * v->tiles) return 0;
        if (there) return length;
        for (int i = 0; i < 2; i++) {
            before[i] = at[i];
            at[i] = next[i];
        }
    }
}

bool deq_maze_valid(const float *input, const uint8_t *prediction, int64_t side,
                    int64_t path_pixels)
{
    const view v = { prediction, side, (side - 2) / 2 };
    int64_t start[2], end[2];

    if (side < 8 || side % 2) return false;
    if (path_pixels < 1 || count_path(&v, input) != path_pixels) return false;
    if (!find(start, &v, input, 1) || !find(end, &v, input, 0)) return false;
    if (!marked(&v, start[0], start[1]) || !marked(&v, end[0], end[1])) return false;
    return 4 * walk(&v, start, end) == path_pixels;
}
