/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Datasets, and their batches.
 *
 * A dataset is a list of examples of one form: an input, f32, and a target, i32.  Images are scaled to
 * [0, 1].  What is generated (prefix sums, mazes) is a function of the seed and the example's index,
 * made when it is read, in any thread.
 *
 * A loader deals a dataset out in batches, made in the background.  The order of an epoch, and what
 * augmentation does to an example, are functions of (seed, epoch, index) alone: the position of a
 * run is one number, and a loader that starts there goes on with the same bits.
 */
#ifndef DEQ_DATA_H
#define DEQ_DATA_H

#include <deq/context.h>
#include <deq/type.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A position of a target that does not count, neither for the loss nor for correctness. */
#define DEQ_TARGET_IGNORE (-100)

/** See data.h. */
typedef struct deq_dataset deq_dataset;

/** The form of a dataset's examples. */
typedef struct deq_example_form {
    deq_shape input;  /**< [C, H, W], [C, T], [D] */
    deq_shape target; /**< DEQ_SCALAR: a class; [T], [H, W]: a class a position */
    int64_t classes;  /**< targets are 0 to classes - 1, or DEQ_TARGET_IGNORE */
} deq_example_form;

/**
 * Read a data set of images in IDX files (MNIST), plain or gzip.  [N, H, W] gives images [1, H, W],
 * [N, C, H, W] and [N, D] stay; the largest label tells the classes.
 *
 * @param out    receives it; free with deq_dataset_free().  NULL on failure.
 * @param ctx    supplies memory; must outlive it.
 * @param images path of the images; its elements are bytes, and stay so in memory.
 * @param labels path of the labels.
 * @return DEQ_OK, DEQ_ERR_IO, DEQ_ERR_DATA (broken, or the counts differ), DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_dataset_idx(deq_dataset **out, deq_context *ctx, const char *images,
                                   const char *labels);

/**
 * Read CIFAR's binary files.
 *
 * @param out     receives it.  NULL on failure.
 * @param ctx     supplies memory.
 * @param paths   n_paths files, in order.
 * @param n_paths at least 1.
 * @param classes 10 or 100 (fine labels).
 * @return DEQ_OK, DEQ_ERR_IO, DEQ_ERR_DATA, DEQ_ERR_ARGUMENT, DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_dataset_cifar(deq_dataset **out, deq_context *ctx, const char *const *paths,
                                     int n_paths, int classes);

/**
 * A folder of images, one subfolder a class: PNG, JPEG, PPM and PGM, told by the ends of their names.
 * Classes and files stand in the order of their names' bytes; other files, and names that begin with a
 * dot, are left out.  Files are read when they are asked for.  Greys become three equal channels, and
 * colours 0.299 R + 0.587 G + 0.114 B.
 *
 * @param out      receives it.  NULL on failure.
 * @param ctx      supplies memory.
 * @param path     the folder.
 * @param channels 1 or 3.
 * @param height   images of another size are resized so that they cover it (linearly where they grow,
 *                 by a triangle filter where they shrink), and cropped in the middle.
 * @param width    likewise.
 * @return DEQ_OK, DEQ_ERR_ARGUMENT, DEQ_ERR_IO, DEQ_ERR_DATA (no class, or an empty one),
 *         DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_dataset_folder(deq_dataset **out, deq_context *ctx, const char *path,
                                      int64_t channels, int64_t height, int64_t width);

/**
 * Arrays of a .npz: inputs [N, ...] of numbers, targets [N] or [N, ...] of integers.  Bytes are scaled
 * to [0, 1], other numbers taken as they are; the largest target tells the classes.
 *
 * @param out     receives it.  NULL on failure.
 * @param ctx     supplies memory.
 * @param path    a .npz file.
 * @param inputs  name of the array; NULL means "x".
 * @param targets name of the array; NULL means "y".  Classes from 0, or DEQ_TARGET_IGNORE.
 * @return DEQ_OK, DEQ_ERR_IO, DEQ_ERR_DATA (damaged; targets that are no classes), DEQ_ERR_UNSUPPORTED,
 *         DEQ_ERR_OVERFLOW, DEQ_ERR_NAME, DEQ_ERR_SHAPE, DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_dataset_npz(deq_dataset **out, deq_context *ctx, const char *path,
                                   const char *inputs, const char *targets);

/**
 * The same from two .npy files.
 *
 * @param out     receives it.  NULL on failure.
 * @param ctx     supplies memory.
 * @param inputs  path of the inputs.
 * @param targets path of the targets.
 * @return as deq_dataset_npz(), without DEQ_ERR_NAME.
 */
DEQ_API deq_status deq_dataset_npy(deq_dataset **out, deq_context *ctx, const char *inputs,
                                   const char *targets);

/**
 * Gives an example of a caller's dataset.  Called by several threads at once.
 *
 * @param user   as given to deq_dataset_custom().
 * @param index  0 to count - 1.
 * @param input  receives all elements.
 * @param target receives all elements: 0 to classes - 1, or DEQ_TARGET_IGNORE.
 * @param error  receives a message on failure.
 * @param size   of error.
 * @return DEQ_OK or why there is none.
 */
typedef deq_status deq_example_read(void *user, int64_t index, float *input, int32_t *target,
                                    char *error, size_t size);

/**
 * A dataset of the caller.
 *
 * @param out   receives it.  NULL on failure.
 * @param ctx   supplies memory.
 * @param form  of its examples; extents at least 1, the input has an axis or more.
 * @param count at least 1.
 * @param read  gives an example.
 * @param user  passed to read.
 * @return DEQ_OK, DEQ_ERR_ARGUMENT, DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_dataset_custom(deq_dataset **out, deq_context *ctx,
                                      const deq_example_form *form, int64_t count,
                                      deq_example_read *read, void *user);

/** Prefix sums modulo 2 (Schwarzschild et al. 2021): y_i = x_0 xor ... xor x_i, the input x - 1/2. */
typedef struct deq_prefix_sums {
    size_t struct_size; /**< sizeof(deq_prefix_sums) */
    int64_t bits;       /**< length, >= 1; default 32 */
    int64_t count;      /**< examples; default 10,000; below 24 bits strings are drawn without
                             replacement, so at most 2^bits */
    uint64_t seed;      /**< default 0 */
} deq_prefix_sums;

/** The default settings. @return a struct to change. */
DEQ_API deq_prefix_sums deq_prefix_sums_defaults(void);

/**
 * Prefix sums: input [1, bits], target [bits].
 *
 * @param out     receives it.  NULL on failure.
 * @param ctx     supplies memory.
 * @param options NULL for the defaults.
 * @return DEQ_OK, DEQ_ERR_ARGUMENT, DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_dataset_prefix_sums(deq_dataset **out, deq_context *ctx,
                                           const deq_prefix_sums *options);

/** Where mazes may start. */
typedef enum deq_maze_start {
    DEQ_MAZE_START_ROOT = 0, /**< the root of the search that makes the maze: without percolation
                                  always a dead end */
    DEQ_MAZE_START_DEAD_END, /**< any cell with one neighbour; mazes without one are drawn again */
    DEQ_MAZE_START_ANY       /**< any cell */
} deq_maze_start;

/** Mazes (Schwarzschild et al. 2021; with percolation, Knutson et al. 2024).  Size s, odd, means
 *  (s + 1) / 2 cells a side and an image of 2 s + 6 pixels a side. */
typedef struct deq_mazes {
    size_t struct_size;   /**< sizeof(deq_mazes) */
    int64_t size;         /**< s of 3 to 65,535, odd; default 9 */
    int64_t count;        /**< examples; default 10,000 */
    uint64_t seed;        /**< default 0 */
    double percolation;   /**< chance in [0, 1] that a remaining wall opens; default 0 */
    deq_maze_start start; /**< default DEQ_MAZE_START_ROOT */
} deq_mazes;

/** The default settings. @return a struct to change. */
DEQ_API deq_mazes deq_mazes_defaults(void);

/**
 * Mazes: input [3, S, S] with S = 2 s + 6 (wall 0 0 0, open 1 1 1, start 0 1 0, end 1 0 0), target
 * [S, S] of 0 and 1 (a shortest path, ends included), walls ignored.
 *
 * @param out     receives it.  NULL on failure.
 * @param ctx     supplies memory.
 * @param options NULL for the defaults.
 * @return DEQ_OK, DEQ_ERR_ARGUMENT, DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_dataset_mazes(deq_dataset **out, deq_context *ctx, const deq_mazes *options);

/**
 * Whether a prediction solves a maze by a shortest path, which with percolation need not be the
 * target: it holds start and end, is black where the input is, each of its 2 x 2 tiles is of one
 * colour, its pixels form one piece, and it has as many as the reference (Knutson et al. 2024).
 *
 * @param input       [3, side, side], as deq_dataset_mazes() makes it.
 * @param prediction  [side, side]: not 0 on the path.  What is predicted for walls should be
 *                    masked before, as training does.
 * @param side        even, at least 8; other sides are never valid.
 * @param path_pixels pixels of a shortest path, ends included: the ones of the target.
 * @return whether it does.
 */
DEQ_API bool deq_maze_valid(const float *input, const uint8_t *prediction, int64_t side,
                            int64_t path_pixels);

/**
 * Part of a dataset.
 *
 * @param out   receives it; it borrows `whole`, which must outlive it.  NULL on failure.
 * @param whole a dataset.
 * @param first first example.
 * @param count >= 1.
 * @return DEQ_OK, DEQ_ERR_ARGUMENT, DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_dataset_slice(deq_dataset **out, const deq_dataset *whole, int64_t first,
                                     int64_t count);

/**
 * Free a dataset.
 *
 * @param d NULL is allowed.
 */
DEQ_API void deq_dataset_free(deq_dataset *d);

/** The number of examples. @param d a dataset. @return at least 1. */
DEQ_API int64_t deq_dataset_count(const deq_dataset *d);

/** The form of its examples. @param d a dataset. @return shapes and classes. */
DEQ_API deq_example_form deq_dataset_form(const deq_dataset *d);

/**
 * The name of a class: of a subfolder, of CIFAR's classes, or its number.
 *
 * @param d      a dataset.
 * @param class_ 0 to classes - 1.
 * @param buffer receives the name, cut if too long.
 * @param size   of buffer.
 */
DEQ_API void deq_dataset_class_name(const deq_dataset *d, int64_t class_, char *buffer,
                                    size_t size);

/**
 * Read an example.  May be called from several threads at once.
 *
 * @param d      a dataset.
 * @param index  0 to deq_dataset_count() - 1.
 * @param input  receives the elements.
 * @param target receives the elements.
 * @param error  receives a message on failure; may be NULL.
 * @param size   of error.
 * @return DEQ_OK, DEQ_ERR_ARGUMENT, DEQ_ERR_IO, DEQ_ERR_DATA, DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_dataset_read(const deq_dataset *d, int64_t index, float *input,
                                    int32_t *target, char *error, size_t size);

/**
 * What happens to an image on its way into a batch, in this order.  Zero fields do nothing.  A target
 * of one class a pixel goes along when the image is cropped or mirrored; the padding is ignored.
 */
typedef struct deq_augment {
    int64_t crop_pad;    /**< pad by so many zeros, crop to the old size anywhere */
    bool flip;           /**< mirror left and right with chance 1/2 */
    int64_t cutout;      /**< zero a square of this side, centred on any pixel, cut at the edges */
    int n_channels;      /**< normalisation x <- (x - mean) / deviation: channels given (1 if the
                              input has one axis), 0: none */
    double mean[4];      /**< by channel */
    double deviation[4]; /**< by channel, > 0 */
} deq_augment;

/** See data.h. */
typedef struct deq_loader deq_loader;

/** Settings of a loader.  Start from deq_loader_defaults(). */
typedef struct deq_loader_options {
    size_t struct_size; /**< sizeof(deq_loader_options) */
    int64_t batch;      /**< examples, >= 1; default 32 */
    bool shuffle;       /**< another order each epoch; default true */
    uint64_t seed;      /**< of order and augmentation; default 0 */
    bool drop_last;   /**< leave the rest that fills no batch out; otherwise the last batch repeats
                             its last example, see deq_batch.count; default true */
    bool endless;     /**< begin a new epoch after the last, otherwise end with the one in which
                           position lies; default true */
    int64_t position; /**< batches to skip, over all epochs; default 0 */
    int prefetch;     /**< batches made ahead, 0 to 4096; 0: when asked, in the caller's thread;
                       default 2 */
    int threads; /**< background threads, 1 to 1024; more than prefetch + 1 never help; default 1 */
    deq_augment augment; /**< default: nothing */
} deq_loader_options;

/** A batch; its memory is the loader's until the next deq_loader_next(). */
typedef struct deq_batch {
    const float *input;    /**< [batch, ...] */
    const int32_t *target; /**< [batch, ...] */
    const int64_t *index;  /**< [batch] which example */
    int64_t count;         /**< examples that count; the rest repeats the last of them */
    int64_t epoch;         /**< 0, 1, ... */
    int64_t number;        /**< within the epoch */
    int64_t position;      /**< batches before this one, over all epochs */
} deq_batch;

/** The default settings. @return a struct to change. */
DEQ_API deq_loader_options deq_loader_defaults(void);

/**
 * Make a loader.
 *
 * @param out     receives it; free with deq_loader_free(), which stops its threads.  NULL on failure.
 * @param ctx     supplies memory.
 * @param d       a dataset; must outlive the loader.
 * @param options NULL for the defaults.
 * @return DEQ_OK, DEQ_ERR_ARGUMENT (also: fewer examples than a batch, with drop_last), DEQ_ERR_NOMEM,
 *         DEQ_ERR_STATE (no thread could be made).
 */
DEQ_API deq_status deq_loader_new(deq_loader **out, deq_context *ctx, const deq_dataset *d,
                                  const deq_loader_options *options);

/**
 * Free a loader.
 *
 * @param l NULL is allowed.
 */
DEQ_API void deq_loader_free(deq_loader *l);

/** Batches of an epoch. @param l a loader. @return at least 1. */
DEQ_API int64_t deq_loader_batches(const deq_loader *l);

/**
 * The next batch; waits for it.
 *
 * @param l     a loader.
 * @param batch receives it; .count is 0 behind the last one (not if endless).
 * @return DEQ_OK, or why an example could not be read; deq_last_error() of the context explains, and
 *         further calls say the same.
 */
DEQ_API deq_status deq_loader_next(deq_loader *l, deq_batch *batch);

#ifdef __cplusplus
}
#endif
#endif
