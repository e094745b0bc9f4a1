/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Votes: which worker gave which label to which task, and the files that go with them.
 *
 * A table is compact: sorted by task, 4 bytes a worker and 2 a label, 8 bytes a task and the names.
 * Tasks and workers are numbered by first appearance; labels by their order: as numbers when all of
 * them are whole numbers, else by bytes.  Order of votes within a task is that of the input.
 *
 * All files are comma-separated values with a header line (io/csv.h): UTF-8, quoted fields, LF or
 * CR LF, a byte order mark allowed.  Other columns than those named are ignored.  A mistake is
 * DEQ_ERR_DATA; the message names the file, the line and the field.
 */
#ifndef DEQ_VOTE_VOTES_H
#define DEQ_VOTE_VOTES_H

#include <deq/context.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Most labels that a table may have. */
#define DEQ_VOTE_MAX_LABELS 65535

/** A table of votes. */
typedef struct deq_votes deq_votes;

/** What to keep of several votes of one worker on one task. */
typedef enum deq_duplicates {
    DEQ_DUPLICATES_FIRST = 0, /**< "first": the earliest */
    DEQ_DUPLICATES_LAST,      /**< "last": the latest, in the place of the earliest */
    DEQ_DUPLICATES_ALL,       /**< "all": each is a vote of its own */
    DEQ_DUPLICATES_ERROR      /**< "error": a second one is a mistake in the file */
} deq_duplicates;

/** How to read a file of votes.  Start from deq_votes_defaults(). */
typedef struct deq_votes_options {
    size_t struct_size;      /**< sizeof(deq_votes_options) */
    char separator;          /**< between fields; 0 (default): the first tab, comma or semicolon of
                                     the header line */
    const char *task_column; /**< name in the header; default NULL: "task" or "question" */
    const char *worker_column; /**< default NULL: "worker" */
    const char *label_column;  /**< default NULL: "label" or "answer" */
    const char *abstain; /**< this label is no vote but an abstention; default ""; NULL: none */
    deq_duplicates duplicates; /**< default DEQ_DUPLICATES_ALL */
    const char *const *labels; /**< labels known beforehand, in their order; default NULL */
    int64_t n_labels;          /**< how many; default 0 */
    bool closed;               /**< other labels than these are mistakes; default false: they follow
                                     in the order described above */
    bool skip_bad;             /**< drop malformed rows and count them; default false */
} deq_votes_options;

/** What a table holds.  The arrays belong to the table. */
typedef struct deq_votes_view {
    int64_t n_tasks;        /**< tasks, also those on which everyone abstained */
    int64_t n_workers;      /**< workers likewise */
    int64_t n_labels;       /**< K, at most DEQ_VOTE_MAX_LABELS */
    int64_t n_votes;        /**< votes kept */
    const int64_t *begin;   /**< [n_tasks + 1]: votes of task t are begin[t] to begin[t + 1] - 1 */
    const uint32_t *worker; /**< [n_votes] */
    const uint16_t *label;  /**< [n_votes] */
} deq_votes_view;

/** What was seen while reading. */
typedef struct deq_votes_report {
    int64_t n_rows;        /**< data rows read, without blank lines */
    int64_t n_bad;         /**< malformed rows dropped (skip_bad) */
    int64_t n_abstained;   /**< abstentions */
    int64_t n_duplicates;  /**< rows whose (task, worker) had occurred before */
    int64_t n_conflicting; /**< those of them with another label than what was kept so far */
    char first_bad[256];   /**< what was wrong with the first of them */
} deq_votes_report;

/** Votes as numbers.  Set struct_size; names may be NULL: then they are the numbers as text. */
typedef struct deq_votes_arrays {
    size_t struct_size;              /**< sizeof(deq_votes_arrays) */
    int64_t n_tasks;                 /**< >= 0 */
    int64_t n_workers;               /**< >= 0 */
    int64_t n_labels;                /**< 0 to DEQ_VOTE_MAX_LABELS */
    int64_t n_votes;                 /**< >= 0 */
    const int32_t *task;             /**< [n_votes], in [0, n_tasks), any order */
    const int32_t *worker;           /**< [n_votes], in [0, n_workers) */
    const int32_t *label;            /**< [n_votes], in [0, n_labels), or -1: an abstention */
    const char *const *task_names;   /**< [n_tasks] or NULL */
    const char *const *worker_names; /**< [n_workers] or NULL */
    const char *const *label_names;  /**< [n_labels] or NULL; their order is kept */
    deq_duplicates duplicates;       /**< default DEQ_DUPLICATES_FIRST (zero) */
} deq_votes_arrays;

/**
 * The default settings.
 *
 * @return a struct to change and pass to deq_votes_read().
 */
DEQ_API deq_votes_options deq_votes_defaults(void);

/**
 * Read a file of votes, one a row.
 *
 * Beside the table the work needs 10 bytes a vote, given back part by part as the table is built.
 *
 * @param out     receives the table; free with deq_votes_free().  NULL on failure.
 * @param ctx     supplies memory; must outlive the table.
 * @param path    the file; may be a pipe.
 * @param options NULL for the defaults.
 * @return DEQ_OK; DEQ_ERR_ARGUMENT (options); DEQ_ERR_DATA (malformed row, no header, column
 *         missing or twice, no row at all, text that is not UTF-8, empty task or worker, label
 *         unknown in a closed set); DEQ_ERR_OVERFLOW (2^32 tasks or workers, too many labels);
 *         DEQ_ERR_IO; DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_votes_read(deq_votes **out, deq_context *ctx, const char *path,
                                  const deq_votes_options *options);

/**
 * The same from text in memory, which messages call "memory".
 *
 * @param out     as deq_votes_read().
 * @param ctx     as deq_votes_read().
 * @param bytes   the text.
 * @param size    how many bytes.
 * @param options NULL for the defaults.
 * @return as deq_votes_read(), without DEQ_ERR_IO.
 */
DEQ_API deq_status deq_votes_parse(deq_votes **out, deq_context *ctx, const void *bytes,
                                   size_t size, const deq_votes_options *options);

/**
 * Make a table from arrays, for example of the predictions of several models.
 *
 * @param out    receives the table; free with deq_votes_free().  NULL on failure.
 * @param ctx    supplies memory; must outlive the table.
 * @param arrays the votes; everything is copied.
 * @return DEQ_OK; DEQ_ERR_ARGUMENT (struct_size, counts, an index out of range); DEQ_ERR_NAME (a name
 *         occurs twice); DEQ_ERR_DATA (duplicates under DEQ_DUPLICATES_ERROR); DEQ_ERR_OVERFLOW;
 *         DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_votes_new(deq_votes **out, deq_context *ctx, const deq_votes_arrays *arrays);

/**
 * Free a table.
 *
 * @param votes NULL is allowed.
 */
DEQ_API void deq_votes_free(deq_votes *votes);

/**
 * What is in a table.
 *
 * @param votes a table.
 * @return sizes and arrays, valid until the table is freed or added to.
 */
DEQ_API deq_votes_view deq_votes_values(const deq_votes *votes);

/**
 * What was seen while the table was made.
 *
 * @param votes a table.
 * @return counts.
 */
DEQ_API deq_votes_report deq_votes_reported(const deq_votes *votes);

/**
 * The name of a task.
 *
 * @param votes a table.
 * @param task  0 to n_tasks - 1.
 * @return UTF-8, owned by the table; NULL when out of range.
 */
DEQ_API const char *deq_votes_task_name(const deq_votes *votes, int64_t task);

/**
 * The name of a worker.
 *
 * @param votes  a table.
 * @param worker 0 to n_workers - 1.
 * @return UTF-8, owned by the table; NULL when out of range.
 */
DEQ_API const char *deq_votes_worker_name(const deq_votes *votes, int64_t worker);

/**
 * A label.
 *
 * @param votes a table.
 * @param label 0 to n_labels - 1.
 * @return UTF-8, owned by the table; NULL when out of range.
 */
DEQ_API const char *deq_votes_label_name(const deq_votes *votes, int64_t label);

/**
 * Find a task by name.
 *
 * @param votes a table.
 * @param name  text.
 * @return its number; -1: there is none.
 */
DEQ_API int64_t deq_votes_find_task(const deq_votes *votes, const char *name);

/**
 * Find a worker by name.
 *
 * @param votes a table.
 * @param name  text.
 * @return its number; -1: there is none.
 */
DEQ_API int64_t deq_votes_find_worker(const deq_votes *votes, const char *name);

/**
 * Find a label by name.
 *
 * @param votes a table.
 * @param name  text.
 * @return its number; -1: there is none.
 */
DEQ_API int64_t deq_votes_find_label(const deq_votes *votes, const char *name);

/**
 * Votes of each worker, in all and by label.
 *
 * @param total    [n_workers] receives the counts; NULL if not wanted.
 * @param constant [n_workers] receives the only label that the worker, with at least two votes,
 *                 ever gave, or -1; NULL if not wanted.
 * @param votes    a table.
 */
DEQ_API void deq_votes_count_workers(int64_t *total, int32_t *constant, const deq_votes *votes);

/* Streams: files too long for memory ------------------------------------------------------------- */

/** A file of votes, read a few tasks at a time. */
typedef struct deq_votes_stream deq_votes_stream;

/**
 * Begin to read a file whose rows of one task follow each other.  Memory: a batch, the names of the
 * workers, and 16 bytes a task that has been (to notice one that comes again).
 *
 * @param out     receives the stream; free with deq_votes_stream_close().  NULL on failure.
 * @param ctx     supplies memory; must outlive the stream.
 * @param path    the file; may be a pipe.
 * @param options `labels` must name all labels, and `closed` be true.
 * @param votes_a_batch a batch ends with the task that reaches this many rows; >= 1.
 * @return as deq_votes_read().
 */
DEQ_API deq_status deq_votes_stream_open(deq_votes_stream **out, deq_context *ctx, const char *path,
                                         const deq_votes_options *options, int64_t votes_a_batch);

/**
 * Read the next tasks.  Workers keep their numbers from batch to batch, and new ones are added at the
 * end; tasks are numbered from 0 in each.
 *
 * @param batch  receives the table, owned by the stream and valid until the next call; NULL at the
 *               end and on failure.  Before the first call the stream has an empty one, see
 *               deq_votes_stream_table().
 * @param stream a stream; after a failure it must only be closed.
 * @return as deq_votes_read(); DEQ_ERR_DATA also when a task comes again.
 */
DEQ_API deq_status deq_votes_stream_next(const deq_votes **batch, deq_votes_stream *stream);

/**
 * The table that batches are read into, to add workers to it beforehand (deq_vote_read_trust() with
 * DEQ_UNKNOWN_ADD).
 *
 * @param stream a stream.
 * @return the table, owned by the stream.
 */
DEQ_API deq_votes *deq_votes_stream_table(deq_votes_stream *stream);

/**
 * End reading.
 *
 * @param stream NULL is allowed.
 */
DEQ_API void deq_votes_stream_close(deq_votes_stream *stream);

#ifdef __cplusplus
}
#endif
#endif
