/* SPDX-License-Identifier: MIT */
/* Examples as pictures: PNG, and characters on a terminal. */
#ifndef DEQ_CLI_PICTURE_H
#define DEQ_CLI_PICTURE_H

#include "command.h"

#include <deq/context.h>
#include <deq/io/image.h>

/* Planes [channels, height, width] of numbers in [0, 1] (others are clamped), each pixel a square of
 * `scale`; 0: as large as 256 pixels allow.  1 channel is grey, 3 are colours; of other numbers the
 * first is drawn.  CLI_OK, or another exit code with a message; as all of these. */
int draw_planes(deq_image **out, const arguments *a, deq_context *ctx, const float *planes,
                int64_t channels, int64_t height, int64_t width, int64_t scale);

/*
 * A maze [3, side, side] and, each if it is not NULL, beside it on the right what was predicted for it
 * and its target, [side, side] of 1 on the path:
 *
 *     walls dark, open white, start green, end red, path blue;
 *     with a target, what a prediction has and the target has not is orange, and what it lacks is
 *     light blue.
 *
 * What is predicted for walls does not count.
 */
int draw_maze(deq_image **out, const arguments *a, deq_context *ctx, const float *input,
              const int32_t *prediction, const int32_t *target, int64_t side, int64_t scale);

/* draw_maze() into a file, whose name ends with .png (or .ppm). */
int write_maze_picture(const arguments *a, deq_context *ctx, const char *name, const float *input,
                       const int32_t *prediction, const int32_t *target, int64_t side,
                       int64_t scale);

/* In characters, one a tile: '#' wall, ' ' open, '.' path, S, E.  path: NULL, or [side, side]; a tile
 * is on the path if half of its pixels are 1.  With colours where they are allowed. */
void print_maze(FILE *to, const float *input, const int32_t *path, int64_t side);

/* In characters: shades, two a pixel; or colours, where they are allowed, and 1 or 3 channels.  Shrunk
 * to fit into `columns`. */
void print_planes(FILE *to, const float *planes, int64_t channels, int64_t height, int64_t width,
                  int columns);

#endif
