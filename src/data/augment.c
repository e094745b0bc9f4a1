/* SPDX-License-Identifier: MIT */
/*
 * Augmentation.  With p pixels of padding, u and v drawn from 0 to 2 p, and a fair bit m:
 *
 *   (1)  crop(y, x) = image(y + u - p, x + v - p),   0 outside
 *   (2)  out(y, x)  = crop(y, m ? W - 1 - x : x)
 *
 * then zeros where |y - y0| and |x - x0| fall into a square around a drawn pixel (DeVries & Taylor,
 * "Improved regularization of convolutional neural networks with cutout", 2017), and
 * (x - mean) / deviation.  A target of one class a pixel moves with its pixel; what comes from
 * outside is ignored.
 */
#include "data/augment.h"

#include <math.h>
#include <string.h>

static bool is_image(const deq_example_form *f)
{
    return f->input.rank == 3;
}

/* Whether targets are a class a pixel. */
static bool has_map(const deq_example_form *f)
{
    return is_image(f) && f->target.rank == 2 && f->target.dim[0] == f->input.dim[1] &&
           f->target.dim[1] == f->input.dim[2];
}

static deq_status check_channels(deq_context *ctx, const deq_augment *a, const deq_shape *input)
{
    const int64_t channels = input->rank > 1 ? input->dim[0] : 1;

    if (a->n_channels < 0 || a->n_channels > 4 || a->n_channels != channels)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT,
                        "normalisation of %d channels, but examples have %lld", a->n_channels,
                        (long long)channels);
    for (int c = 0; c < a->n_channels; c++)
        if (!isfinite(a->mean[c]) || !isfinite(a->deviation[c]) || a->deviation[c] <= 0)
            return deq_fail(ctx, DEQ_ERR_ARGUMENT,
                            "normalisation of channel %d by mean %g and deviation %g, expected "
                            "finite numbers and a deviation above 0",
                            c, a->mean[c], a->deviation[c]);
    return DEQ_OK;
}

deq_status deq_augment_check(deq_context *ctx, const deq_augment *a, const deq_example_form *form)
{
    if (a->crop_pad < 0 || a->crop_pad > INT32_MAX || a->cutout < 0 || a->cutout > INT32_MAX)
        return deq_fail(ctx, DEQ_ERR_ARGUMENT,
                        "padding of %lld and a cut-out square of %lld, expected 0 to 2^31 - 1",
                        (long long)a->crop_pad, (long long)a->cutout);
    if ((deq_augment_moves(a) || a->cutout) && !is_image(form))
        return deq_fail(ctx, DEQ_ERR_ARGUMENT,
                        "only images [C, H, W] can be cropped, mirrored or cut out of; examples "
                        "have %d axes",
                        form->input.rank);
    if (deq_augment_moves(a) && form->target.rank > 0 && !has_map(form))
        return deq_fail(ctx, DEQ_ERR_ARGUMENT,
                        "images can be cropped or mirrored if their target is a class, or one a "
                        "pixel; it has %d axes",
                        form->target.rank);
    return a->n_channels ? check_channels(ctx, a, &form->input) : DEQ_OK;
}

bool deq_augment_moves(const deq_augment *a)
{
    return a->crop_pad > 0 || a->flip;
}

/* Where the pixels of a plane come from. */
typedef struct move {
    int64_t height, width, down, right;
    bool mirrored;
} move;

/* The offset of the pixel that comes to (y, x); -1 outside. */
static int64_t origin(const move *m, int64_t y, int64_t x)
{
    const int64_t row = y + m->down, column = (m->mirrored ? m->width - 1 - x : x) + m->right;

    if (row < 0 || row >= m->height || column < 0 || column >= m->width) return -1;
    return row * m->width + column;
}

static void move_plane(float *to, const float *from, const move *m)
{
    for (int64_t y = 0; y < m->height; y++)
        for (int64_t x = 0; x < m->width; x++) {
            const int64_t at = origin(m, y, x);
            to[y * m->width + x] = at < 0 ? 0.0f : from[at];
        }
}

static void move_map(int32_t *to, const int32_t *from, const move *m)
{
    for (int64_t y = 0; y < m->height; y++)
        for (int64_t x = 0; x < m->width; x++) {
            const int64_t at = origin(m, y, x);
            to[y * m->width + x] = at < 0 ? DEQ_TARGET_IGNORE : from[at];
        }
}

void deq_augment_move(float *input, int32_t *target, const deq_augment *a,
                      const deq_example_form *form, const float *from_input,
                      const int32_t *from_target, deq_draws *draws)
{
    move m = { .height = form->input.dim[1], .width = form->input.dim[2] };
    const int64_t plane = m.height * m.width;

    if (a->crop_pad) {
        m.down = deq_draws_below(draws, 2 * a->crop_pad + 1) - a->crop_pad;
        m.right = deq_draws_below(draws, 2 * a->crop_pad + 1) - a->crop_pad;
    }
    if (a->flip) m.mirrored = deq_draws_below(draws, 2) == 1;
    for (int64_t c = 0; c < form->input.dim[0]; c++)
        move_plane(input + c * plane, from_input + c * plane, &m);
    if (has_map(form))
        move_map(target, from_target, &m);
    else
        *target = *from_target;
}

static int64_t clamp(int64_t x, int64_t most)
{
    return x < 0 ? 0 : x > most ? most : x;
}

static void cut_out(float *input, int64_t side, const deq_shape *shape, deq_draws *draws)
{
    const int64_t height = shape->dim[1], width = shape->dim[2];
    const int64_t top = deq_draws_below(draws, height) - side / 2;
    const int64_t left = deq_draws_below(draws, width) - side / 2;
    const int64_t first = clamp(left, width), last = clamp(left + side, width);

    for (int64_t c = 0; c < shape->dim[0]; c++)
        for (int64_t y = clamp(top, height); y < clamp(top + side, height); y++)
            for (int64_t x = first; x < last; x++) input[(c * height + y) * width + x] = 0.0f;
}

static void normalise(float *input, const deq_augment *a, const deq_shape *shape)
{
    const int64_t each = deq_shape_count(shape) / a->n_channels;

    for (int64_t c = 0; c < a->n_channels; c++) {
        const float mean = (float)a->mean[c], deviation = (float)a->deviation[c];
        float *x = input + c * each;
        for (int64_t i = 0; i < each; i++) x[i] = (x[i] - mean) / deviation;
    }
}

void deq_augment_change(float *input, const deq_augment *a, const deq_example_form *form,
                        deq_draws *draws)
{
    if (a->cutout) cut_out(input, a->cutout, &form->input, draws);
    if (a->n_channels) normalise(input, a, &form->input);
}
