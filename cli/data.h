/* SPDX-License-Identifier: MIT */
/* What the commands below `deq data` share: examples from anywhere, and how they are written. */
#ifndef DEQ_CLI_DATA_H
#define DEQ_CLI_DATA_H

#include "json.h"

#include <deq/data.h>

/* Where examples come from: the operand SOURCE of a command, with these options. */
/* clang-format off */
#define SOURCE_HELP                                                                                \
    "prefix-sums or mazes, which are generated; a .npz; a folder of MNIST's or CIFAR's files; a "  \
    ".bin of CIFAR; images-idx3 of an IDX file with labels-idx1 beside it; or a folder of "        \
    "images, one subfolder a class"
#define SOURCE_SIZE(what)                                                                          \
    { .name = "size", .kind = VALUE_INTEGER, .argument = "N", .least = 1, .most = 65535,           \
      .help = what }
#define SOURCE_SEED                                                                                \
    { .name = "seed", .kind = VALUE_INTEGER, .argument = "N", .least = 0, .most = INT64_MAX,       \
      .initial = "0", .help = "which examples are made" }
#define SOURCE_PERCOLATION                                                                         \
    { .name = "percolation", .kind = VALUE_REAL, .argument = "P", .low = 0, .high = 1,             \
      .initial = "0", .help = "mazes: chance that a wall which is left opens" }
#define SOURCE_START                                                                               \
    { .name = "start", .kind = VALUE_CHOICE, .choices = maze_starts, .initial = "root",            \
      .help = "mazes: where they start: the root of the search that makes them (a dead end),\n"    \
              "any dead end, any cell" }
#define SOURCE_OPTIONS                                                                             \
    SOURCE_SIZE("generated: bits of prefix sums (default 32), or the size of mazes, an odd\n"      \
                "number from 3 (default 9)"),                                                      \
    SOURCE_SEED, SOURCE_PERCOLATION, SOURCE_START,                                                 \
    { .name = "test", .help = "of MNIST and CIFAR, the test images" },                             \
    { .name = "inputs", .kind = VALUE_TEXT, .argument = "NAME", .initial = "x",                    \
      .help = "npz: the array of the inputs" },                                                    \
    { .name = "targets", .kind = VALUE_TEXT, .argument = "NAME", .initial = "y",                   \
      .help = "npz: the array of the targets" },                                                   \
    { .name = "channels", .kind = VALUE_INTEGER, .argument = "N", .least = 1, .most = 3,           \
      .initial = "3", .help = "folder of images: 1 or 3" },                                        \
    { .name = "height", .kind = VALUE_INTEGER, .argument = "N", .least = 1, .most = 65536,         \
      .initial = "64", .help = "folder of images: rows to resize them to" },                       \
    { .name = "width", .kind = VALUE_INTEGER, .argument = "N", .least = 1, .most = 65536,          \
      .initial = "64", .help = "folder of images: columns to resize them to" }
/* clang-format on */

extern const char *const maze_starts[];

/* Open SOURCE.  A generated one has `count` examples, or as many as there can be.  CLI_OK, or another
 * exit code with a message, also for an option that the source has no use for; as all of these. */
int open_source(deq_dataset **out, const arguments *a, deq_context *ctx, int64_t count);
/* Whether SOURCE is prefix-sums or mazes. */
bool source_is_generated(const arguments *a);
/* The generators, with the options of a command that has at least --size and --seed. */
int open_prefix_sums(deq_dataset **out, const arguments *a, deq_context *ctx, int64_t count);
int open_mazes(deq_dataset **out, const arguments *a, deq_context *ctx, int64_t count);

/* An example in memory of its own. */
typedef struct one_example {
    deq_example_form form;
    int64_t n_input, n_target;
    float *input;
    int32_t *target;
} one_example;

void example_room(one_example *e, const deq_dataset *d);
int read_example(one_example *e, const arguments *a, const deq_dataset *d, int64_t index);
void example_free(one_example *e);

/* What an example can be shown as. */
typedef enum example_kind {
    EXAMPLE_BITS,   /* prefix sums: 1/2 and -1/2, and a sum for each */
    EXAMPLE_MAZE,   /* three channels of four colours, and a map of its open pixels */
    EXAMPLE_IMAGE,  /* 1 or 3 channels */
    EXAMPLE_NUMBERS /* others */
} example_kind;

example_kind kind_of(const one_example *e);

/* As text, one example after the other:
 *
 *     prefix sums   bits, a tab, the string, a tab, its sums
 *     mazes         a line with what is known of the maze, then its tiles; see print_maze() */
void write_bits(FILE *to, const one_example *e);
void write_maze_text(FILE *to, const one_example *e, double percolation);

/* The commands. */
extern const command command_data_make, command_data_show, command_data_info;

#endif
