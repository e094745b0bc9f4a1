/* SPDX-License-Identifier: MIT */
/* Pictures of examples, in characters. */
#include "picture.h"

#include "terminal.h"
#include "text.h"

#include <stdlib.h>

/* ---- mazes ---- */

static char maze_character(const float *input, const int32_t *path, int64_t side, int64_t at)
{
    const int64_t plane = side * side;
    const bool red = input[at] > 0, green = input[plane + at] > 0, blue = input[2 * plane + at] > 0;
    int on = 0;
    if (!red && !green && !blue) return '#';
    if (green && !red) return 'S';
    if (red && !green) return 'E';
    for (int64_t k = 0; path && k < 4; k++) on += path[at + k / 2 * side + k % 2] == 1;
    return on >= 2 ? '.' : ' ';
}

void print_maze(FILE *to, const float *input, const int32_t *path, int64_t side)
{
    for (int64_t y = 1; y + 1 < side - 1; y += 2) {
        for (int64_t x = 1; x + 1 < side - 1; x += 2) {
            const char c = maze_character(input, path, side, y * side + x);
            if (c == '.' || c == 'S' || c == 'E')
                print_styled(to,
                             c == 'E'   ? STYLE_RED
                             : c == 'S' ? STYLE_GREEN
                                        : STYLE_YELLOW,
                             "%c", c);
            else
                fputc(c, to);
        }
        fputc('\n', to);
    }
}

/* ---- images ---- */

/* The mean of a channel over what becomes one place of the shrunk picture. */
static double mean_over(const float *plane, int64_t width, const int64_t rows[2],
                        const int64_t columns[2])
{
    double sum = 0;
    for (int64_t y = rows[0]; y < rows[1]; y++)
        for (int64_t x = columns[0]; x < columns[1]; x++) sum += (double)plane[y * width + x];
    sum /= (double)((rows[1] - rows[0]) * (columns[1] - columns[0]));
    return sum >= 1 ? 1 : sum > 0 ? sum : 0;
}

/* A picture made smaller: [3, height, width], equal channels for grey. */
static double *shrink(const float *planes, int64_t channels, int64_t from_height,
                      int64_t from_width, int64_t height, int64_t width)
{
    double *small = must_alloc((size_t)(3 * height * width) * sizeof *small);
    for (int64_t i = 0; i < 3 * height * width; i++) {
        const int64_t c = channels == 3 ? i / (height * width) : 0;
        const int64_t y = i / width % height, x = i % width;
        const int64_t rows[2] = { y * from_height / height, (y + 1) * from_height / height };
        const int64_t columns[2] = { x * from_width / width, (x + 1) * from_width / width };
        small[i] = mean_over(planes + c * from_height * from_width, from_width, rows, columns);
    }
    return small;
}

static int part(double x)
{
    return (int)(x * 255 + 0.5);
}

/* Two pixels a character: the upper is the half block, the lower what lies behind it. */
static void print_colours(FILE *to, const double *p, int64_t height, int64_t width)
{
    const int64_t plane = height * width;
    for (int64_t y = 0; y < height; y += 2) {
        for (int64_t x = 0; x < width; x++) {
            const double *upper = p + y * width + x, *lower = upper + width;
            fprintf(to, "\033[38;2;%d;%d;%dm", part(upper[0]), part(upper[plane]),
                    part(upper[2 * plane]));
            if (y + 1 < height)
                fprintf(to, "\033[48;2;%d;%d;%dm", part(lower[0]), part(lower[plane]),
                        part(lower[2 * plane]));
            fputs("\u2580", to);
        }
        fputs("\033[0m\n", to);
    }
}

static void print_shades(FILE *to, const double *p, int64_t height, int64_t width)
{
    static const char *const shades[] = { " ", "\u2591", "\u2592", "\u2593", "\u2588" };
    const int64_t plane = height * width;
    for (int64_t y = 0; y < height; y++) {
        for (int64_t x = 0; x < width; x++) {
            const double *at = p + y * width + x;
            const double grey = 0.299 * at[0] + 0.587 * at[plane] + 0.114 * at[2 * plane];
            const int shade = (int)(grey * 4 + 0.5);
            fprintf(to, "%s%s", shades[shade], shades[shade]);
        }
        fputc('\n', to);
    }
}

void print_planes(FILE *to, const float *planes, int64_t channels, int64_t height, int64_t width,
                  int columns)
{
    const bool colours = terminal_colours(to);
    const int64_t most = colours ? columns : columns / 2 > 0 ? columns / 2 : 1;
    int64_t small_height = height, small_width = width;
    if (width > most) {
        small_width = most;
        small_height = height * most / width > 0 ? height * most / width : 1;
    }
    double *small = shrink(planes, channels, height, width, small_height, small_width);
    (colours ? print_colours : print_shades)(to, small, small_height, small_width);
    free(small);
}
