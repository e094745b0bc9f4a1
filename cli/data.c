/* SPDX-License-Identifier: MIT */
/* deq data: make, look at and describe the examples that models are trained on. */
#include "data.h"

#include "commands.h"

static const command *const commands[] = { &command_data_make, &command_data_show,
                                           &command_data_info, NULL };

static const example examples[] = {
    { "deq data make mazes --size 13 --count 1000 --out mazes.npz",
      "a file of generated examples" },
    { "deq data show mnist 0", "the first digit of the folder mnist, in characters" },
    { "deq data info --statistics mnist", "classes, and the mean and deviation of its images" },
};

const command command_data = {
    .name = "data",
    .summary = "make, show and describe data sets",
    .description =
        "Examples have an input and a target: a class, or one a position. They come from files that "
        "others made, or are generated: prefix sums and mazes, the tasks on which models are tested "
        "with harder examples than they were trained on.\n",
    .commands = commands,
    .examples = examples,
    .n_examples = LENGTH(examples),
};
