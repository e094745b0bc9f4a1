/* SPDX-License-Identifier: MIT */
/*
 * Python's pickles, as far as containers of tensors need them.
 *
 * A pickle is a program for a machine with a stack.  This machine knows the operations that build
 * numbers, texts, tuples, lists and dictionaries, and applies exactly those functions that are in
 * the table of pickle_global.c, all of which are known here: nothing is looked up, nothing called.
 *
 * Bounds: a pickle has at most DEQ_PICKLE_MAX_BYTES; an operation, which is at least one byte, makes
 * at most one value; a memo entry has a number not above that of the operation.  Memory is
 * therefore linear in the bytes.  The machine does not recurse.
 */
#ifndef DEQ_SRC_IO_PICKLE_H
#define DEQ_SRC_IO_PICKLE_H

#include "base/arena.h"
#include "io/element.h"
#include "io/index.h"

#define DEQ_PICKLE_MAX_BYTES (64u << 20)

typedef enum deq_pickle_kind {
    DEQ_PICKLE_NONE,
    DEQ_PICKLE_BOOL,   /* integer: 0 or 1 */
    DEQ_PICKLE_INT,    /* integer */
    DEQ_PICKLE_BIG,    /* text: an integer of more than 8 bytes, little-endian */
    DEQ_PICKLE_FLOAT,  /* real */
    DEQ_PICKLE_TEXT,   /* text */
    DEQ_PICKLE_BYTES,  /* text */
    DEQ_PICKLE_TUPLE,  /* list */
    DEQ_PICKLE_LIST,   /* list */
    DEQ_PICKLE_SET,    /* list */
    DEQ_PICKLE_DICT,   /* list: keys and values in turn */
    DEQ_PICKLE_GLOBAL, /* global */
    DEQ_PICKLE_STORAGE,
    DEQ_PICKLE_TENSOR,
    DEQ_PICKLE_MARK
} deq_pickle_kind;

/* Terminated; may hold further zeros. */
typedef struct deq_pickle_text {
    const char *data;
    size_t length;
} deq_pickle_text;

typedef struct deq_pickle_list {
    struct deq_pickle_value *items;
    size_t count, capacity;
} deq_pickle_list;

/* Elements in the container of the pickle. */
typedef struct deq_pickle_storage {
    const char *key;
    deq_element element;
    size_t count;
    deq_source bytes; /* whoever reads the container fills it in */
    bool lent;        /* bytes belong to the archive */
} deq_pickle_storage;

typedef struct deq_pickle_tensor {
    deq_pickle_storage *storage;
    size_t offset; /* in elements */
    deq_shape shape;
    size_t stride[DEQ_MAX_RANK];
    size_t at; /* place in the pickle, for messages */
} deq_pickle_tensor;

typedef struct deq_pickle_value {
    deq_pickle_kind kind;
    union {
        int64_t integer;
        double real;
        deq_pickle_text *text;
        deq_pickle_list *list;
        const struct deq_pickle_global *global;
        deq_pickle_storage *storage;
        deq_pickle_tensor *tensor;
    } as;
} deq_pickle_value;

/* What the pickles of one file made; everything goes with deq_pickle_free(). */
typedef struct deq_pickle {
    deq_context *ctx;
    deq_arena arena;
    deq_index index; /* of storages by key */
    deq_pickle_storage **storages;
    size_t n_storages, storage_capacity;
    size_t operations; /* of all pickles so far */
    size_t copied;     /* pairs that dictionaries took from lists */

    /* while a pickle runs */
    const deq_source *s;
    size_t at;   /* the next byte */
    size_t here; /* the operation */
    size_t end;  /* of the bytes that may be read */
    deq_pickle_value *stack, *memo;
    size_t depth, stack_capacity, memo_capacity, memo_next;
} deq_pickle;

void deq_pickle_init(deq_pickle *p, deq_context *ctx);
void deq_pickle_free(deq_pickle *p);
/* Run the pickle at byte *at of s, which must live on; *at moves behind it. */
deq_status deq_pickle_load(deq_pickle *p, deq_pickle_value *result, const deq_source *s,
                           size_t *at);

/* For pickle.c and pickle_global.c. */
const char *deq_pickle_kind_name(deq_pickle_kind kind);
/* DEQ_ERR_DATA at the operation. */
deq_status deq_pickle_fail(const deq_pickle *p, const char *format, ...) DEQ_PRINTF(2, 3);
#ifdef __clang_analyzer__ /* see deq_fail */
#define deq_pickle_fail(p, ...) ((deq_pickle_fail)(p, __VA_ARGS__), DEQ_ERR_DATA)
#endif
/* A function or class by its name; only those of the table. */
deq_status deq_pickle_find_global(deq_pickle *p, deq_pickle_value *result, const char *module,
                                  size_t module_length, const char *name, size_t name_length);
/* What a function of the table makes of its arguments. */
deq_status deq_pickle_apply(deq_pickle *p, deq_pickle_value *result, deq_pickle_value function,
                            deq_pickle_value arguments);
/* The storage that a persistent id names: ('storage', class, key, place, count). */
deq_status deq_pickle_find_storage(deq_pickle *p, deq_pickle_value *result, deq_pickle_value id);
deq_pickle_list *deq_pickle_new_list(deq_pickle *p, const deq_pickle_value *items, size_t count);
deq_status deq_pickle_append(deq_pickle *p, deq_pickle_list *list, const deq_pickle_value *items,
                             size_t count);

#endif
