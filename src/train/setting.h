/* SPDX-License-Identifier: MIT */
/*
 * The table of settings: one line says a key, where its value lies in deq_config, what it may be, and
 * what it means.  Reader, writer, help and completion are made from it.
 */
#ifndef DEQ_TRAIN_SETTING_H
#define DEQ_TRAIN_SETTING_H

#include "base/context.h"

#include <deq/train/config.h>

typedef enum setting_kind {
    SETTING_INTEGER,  /* int64_t */
    SETTING_INT,      /* int */
    SETTING_REAL,     /* double */
    SETTING_BOOL,     /* bool */
    SETTING_CHOICE,   /* an enum, by the names of `choices` */
    SETTING_TEXT,     /* char [size] */
    SETTING_INTEGERS, /* deq_int_list */
    SETTING_REALS     /* deq_real_list */
} setting_kind;

typedef struct setting_choice {
    const char *name; /* NULL behind the last */
    int value;
} setting_choice;

typedef struct deq_setting {
    const char *key;
    const char *help;
    setting_kind kind;
    size_t offset, size;      /* of the value in deq_config */
    double low, high;         /* numbers: the range ... */
    bool open_low, open_high; /* ... without its ends */
    const setting_choice *choices;
    /* Set before other keys, because it sets them: presets.  Called after the value was stored. */
    void (*apply)(deq_config *config);
} deq_setting;

extern const deq_setting deq_settings[];
extern const int deq_settings_count;

/* By its key; NULL if there is none. */
const deq_setting *deq_setting_find(const char *key);

/* Store a value given as text.  `items` are the elements of a list, or the one scalar.  On failure
 * the message says what was found and expected, with `where` ("FILE:3:5") in front. */
deq_status deq_setting_store(deq_config *config, deq_context *ctx, const deq_setting *setting,
                             const char *const *items, int n_items, bool list, const char *where);

/* "integer >= 1" and the like. */
void deq_setting_describe(const deq_setting *setting, char *buffer, size_t size);

/* The complaint about an unknown key, with the nearest one. */
deq_status deq_setting_unknown(deq_context *ctx, const char *key, const char *where);

#endif
