/* SPDX-License-Identifier: MIT */
/* deq predict for images, mazes among them. */
#include "context.h"
#include "predict.h"

#include <deq/io/image.h>
#include <stdlib.h>

/* An image file as f32 [channels, H, W] in [0, 1]; free() the values. */
static int read_image(use *u, const char *path, int64_t channels, float **values, deq_shape *form)
{
    deq_image *image = NULL;
    deq_status status = deq_image_read(&image, u->ctx, path);
    *values = NULL;
    if (status != DEQ_OK) return fail_status(u->a, u->ctx, status);
    *form = DEQ_SHAPE(channels, image->height, image->width);
    *values = malloc((size_t)deq_shape_count(form) * sizeof **values);
    status = *values ? deq_image_values(*values, image, channels) : DEQ_ERR_NOMEM;
    deq_image_free(image);
    if (!*values) return fail(CLI_FAILED, u->a->path, "out of memory");
    return fail_status(u->a, u->ctx, status);
}

/* Channels and size that the model was trained on; 0 x 0: any. */
static int64_t trained_form(const deq_config *c, int64_t *height, int64_t *width)
{
    *height = *width = 0;
    switch (c->data.source) {
    case DEQ_SOURCE_MNIST: *height = *width = 28; return 1;
    case DEQ_SOURCE_CIFAR10:
    case DEQ_SOURCE_CIFAR100: *height = *width = 32; return 3;
    case DEQ_SOURCE_FOLDER:
        *height = c->data.height;
        *width = c->data.width;
        return c->data.channels;
    default: return 3;
    }
}

int predict_image(use *u, const char *path)
{
    const deq_config *c = deq_trained_config(u->model);
    deq_example_form form = { .target = DEQ_SCALAR, .classes = c->model.classes };
    int64_t height, width, channels = trained_form(c, &height, &width);
    float *x;
    deq_prediction found;
    int code = read_image(u, path, channels, &x, &form.input);
    if (code == CLI_OK && height > 0 && (form.input.dim[1] != height || form.input.dim[2] != width))
        code = fail_about(CLI_DATA, u->a, path,
                          "is %lld x %lld pixels; the model takes %lld x %lld",
                          (long long)form.input.dim[1], (long long)form.input.dim[2],
                          (long long)height, (long long)width);
    if (code == CLI_OK) code = predict_one(u, &found, &form.input, x);
    if (code == CLI_OK) code = show_prediction(u, path, &form, x, NULL, &found);
    free(x);
    return code;
}

int predict_maze_file(use *u, const char *path)
{
    deq_example_form form = { .classes = 2 };
    float *x;
    deq_prediction found;
    int code = read_image(u, path, 3, &x, &form.input);
    form.target = DEQ_SHAPE(form.input.dim[1], form.input.dim[2]);
    if (code == CLI_OK && form.input.dim[1] != form.input.dim[2])
        code = fail_about(CLI_DATA, u->a, path, "is %lld x %lld pixels; mazes are square",
                          (long long)form.input.dim[1], (long long)form.input.dim[2]);
    if (code == CLI_OK) code = predict_one(u, &found, &form.input, x);
    if (code == CLI_OK) code = show_prediction(u, path, &form, x, NULL, &found);
    free(x);
    return code;
}
