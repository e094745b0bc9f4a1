/* SPDX-License-Identifier: MIT */
/* From what a pickle made to an archive. */
#ifndef DEQ_SRC_IO_CHECKPOINT_H
#define DEQ_SRC_IO_CHECKPOINT_H

#include "io/archive.h"
#include "io/pickle.h"

typedef struct deq_checkpoint {
    deq_archive *archive;
    const deq_pickle *pickle;
    const deq_source *s; /* the pickle's bytes, for messages */
    size_t file_bytes;   /* what the file holds, unpacked: bounds what copies may take */
    bool big_endian;
} deq_checkpoint;

/* Put every tensor below `root` into the archive, under names with dots; numbers and texts become
 * metadata.  The storages have their bytes. */
deq_status deq_checkpoint_flatten(deq_checkpoint *c, const deq_pickle_value *root);

#endif
