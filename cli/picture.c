/* SPDX-License-Identifier: MIT */
/* Pictures of examples, as PNG. */
#include "picture.h"

#include "context.h"

/* What a picture is drawn on. */
typedef struct canvas {
    deq_image *image; /* u8, 3 channels */
    int64_t scale;
} canvas;

/* Parts of 255. */
typedef struct colour {
    int red, green, blue;
} colour;

static const colour wall = { 40, 40, 48 }, open_ground = { 255, 255, 255 }, start = { 0, 160, 70 },
                    end = { 215, 40, 40 }, path = { 50, 90, 220 }, wrong = { 245, 145, 20 },
                    missing = { 170, 200, 250 }, margin = { 255, 255, 255 };

/* Pixels between panels, and around them. */
enum { GAP = 2, COMFORTABLE = 256 };

static int64_t scale_of(int64_t scale, int64_t height, int64_t width)
{
    const int64_t longer = height > width ? height : width;
    if (scale > 0) return scale;
    return longer < COMFORTABLE ? COMFORTABLE / longer : 1;
}

/* The square of a pixel. */
static void fill(const canvas *c, int64_t y, int64_t x, colour k)
{
    const int parts[3] = { k.red, k.green, k.blue };
    const int64_t plane = c->image->height * c->image->width;
    uint8_t *data = c->image->data;
    for (int channel = 0; channel < 3; channel++)
        for (int64_t dy = 0; dy < c->scale; dy++)
            for (int64_t dx = 0; dx < c->scale; dx++)
                data[channel * plane + (y * c->scale + dy) * c->image->width + x * c->scale + dx] =
                    (uint8_t)parts[channel];
}

/* A canvas of height x width squares. */
static int make_canvas(canvas *c, const arguments *a, deq_context *ctx, int64_t height,
                       int64_t width, int64_t scale)
{
    c->image = NULL;
    c->scale = scale;
    if (scale > INT32_MAX || height > INT32_MAX / scale || width > INT32_MAX / scale)
        return fail(CLI_FAILED, a->path, "the picture would be too large; try a smaller scale");
    return fail_status(
        a, ctx, deq_image_new(&c->image, ctx, DEQ_SAMPLE_U8, 3, height * scale, width * scale));
}

/* NaN becomes 0. */
static int part_of(float x)
{
    return x >= 1 ? 255 : x > 0 ? (int)(x * 255.0f + 0.5f) : 0;
}

int draw_planes(deq_image **out, const arguments *a, deq_context *ctx, const float *planes,
                int64_t channels, int64_t height, int64_t width, int64_t scale)
{
    const int64_t plane = height * width;
    canvas c;
    const int code = make_canvas(&c, a, ctx, height, width, scale_of(scale, height, width));
    *out = c.image;
    if (code != CLI_OK || !c.image) return code;
    for (int64_t i = 0; i < plane; i++) {
        const int first = part_of(planes[i]);
        colour k = { first, first, first };
        if (channels == 3) {
            k.green = part_of(planes[plane + i]);
            k.blue = part_of(planes[2 * plane + i]);
        }
        fill(&c, i / width, i % width, k);
    }
    return CLI_OK;
}

/* ---- mazes ---- */

static bool is_on(const int32_t *map, int64_t i)
{
    return map && map[i] == 1;
}

static colour maze_colour(const float *input, const int32_t *prediction, const int32_t *target,
                          int64_t plane, int64_t i)
{
    const bool red = input[i] > 0, green = input[plane + i] > 0, blue = input[2 * plane + i] > 0;
    if (!red && !green && !blue) return wall;
    const bool found = is_on(prediction, i), wanted = is_on(target, i);
    if (target && found && !wanted) return wrong;
    if (target && wanted && !found) return missing;
    if (green && !red) return start;
    if (red && !green) return end;
    return found ? path : open_ground;
}

int draw_maze(deq_image **out, const arguments *a, deq_context *ctx, const float *input,
              const int32_t *prediction, const int32_t *target, int64_t side, int64_t scale)
{
    const struct panel {
        const int32_t *path, *compared;
        bool drawn;
    } panels[] = { { NULL, NULL, true },
                   { prediction, target, prediction != NULL },
                   { target, NULL, target != NULL } };
    const int64_t plane = side * side;
    int64_t left = GAP, width = GAP;
    canvas c;
    for (int k = 0; k < LENGTH(panels); k++)
        if (panels[k].drawn) width += side + GAP;
    const int code = make_canvas(&c, a, ctx, side + 2 * GAP, width, scale_of(scale, side, side));
    *out = c.image;
    if (code != CLI_OK || !c.image) return code;
    for (int64_t i = 0; i < (side + 2 * GAP) * width; i++) fill(&c, i / width, i % width, margin);
    for (int k = 0; k < LENGTH(panels); k++) {
        if (!panels[k].drawn) continue;
        for (int64_t i = 0; i < plane; i++)
            fill(&c, GAP + i / side, left + i % side,
                 maze_colour(input, panels[k].path, panels[k].compared, plane, i));
        left += side + GAP;
    }
    return CLI_OK;
}

int write_maze_picture(const arguments *a, deq_context *ctx, const char *name, const float *input,
                       const int32_t *prediction, const int32_t *target, int64_t side,
                       int64_t scale)
{
    deq_image *image;
    int code = draw_maze(&image, a, ctx, input, prediction, target, side, scale);
    if (code == CLI_OK) code = fail_status(a, ctx, deq_image_write(image, name));
    deq_image_free(image);
    return code;
}
