/* SPDX-License-Identifier: MIT */
/**
 * @file
 * The files beside the votes: true labels, trust, class priors and costs.  Formats as in votes.h.
 */
#ifndef DEQ_VOTE_TABLES_H
#define DEQ_VOTE_TABLES_H

#include <deq/vote/votes.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What to do with names in a file that the votes do not have. */
typedef enum deq_unknown {
    DEQ_UNKNOWN_COUNT = 0, /**< skip the row and count it */
    DEQ_UNKNOWN_ERROR,     /**< a mistake in the file */
    DEQ_UNKNOWN_ADD        /**< add the name to the table (labels of gold, workers of trust) */
} deq_unknown;

/** What trust a worker gets whom the file does not name. */
typedef enum deq_missing {
    DEQ_MISSING_VALUE = 0, /**< deq_table_options.missing_value */
    DEQ_MISSING_IGNORE,    /**< 1 / K, a weight of zero */
    DEQ_MISSING_ERROR      /**< DEQ_ERR_DATA */
} deq_missing;

/** How to read such a file.  Start from deq_table_defaults(). */
typedef struct deq_table_options {
    size_t struct_size;       /**< sizeof(deq_table_options) */
    char separator;           /**< as deq_votes_options.separator; default 0: found out */
    const char *key_column;   /**< default NULL: "task" or "question"; "worker"; "label"; as fits */
    const char *value_column; /**< default NULL: "label", "answer" or "gold"; "trust"; "prior" or
                                   "probability"; "cost"; as fits */
    deq_unknown unknown;      /**< keys not in the table; default DEQ_UNKNOWN_COUNT */
    deq_unknown unknown_label; /**< labels not in the table; default DEQ_UNKNOWN_ERROR */
    deq_missing missing;       /**< default DEQ_MISSING_VALUE */
    double missing_value;      /**< in [0, 1]; default 0.5 */
} deq_table_options;

/** What was seen. */
typedef struct deq_table_report {
    int64_t n_rows;    /**< data rows */
    int64_t n_used;    /**< keys that got a value */
    int64_t n_unknown; /**< rows skipped because the votes do not have the key (or label) */
    int64_t n_missing; /**< keys of the table that the file does not have */
} deq_table_report;

/**
 * The default settings.
 *
 * @return a struct to change and pass to the readers below.
 */
DEQ_API deq_table_options deq_table_defaults(void);

/**
 * Read true labels: a task and its label a row.  An empty label means unknown; a row again is
 * allowed if it says the same.
 *
 * With unknown_label == DEQ_UNKNOWN_ADD new labels are added to the table behind the others: K grows,
 * so read gold before anything is computed.
 *
 * @param gold    [n_tasks] receives the label, or -1 where it is not known.
 * @param report  receives counts; NULL if not wanted.
 * @param votes   the table.
 * @param path    the file.
 * @param options NULL for the defaults.
 * @return DEQ_OK; DEQ_ERR_ARGUMENT; DEQ_ERR_DATA (malformed, contradicting rows, unknown names where
 *         those are mistakes); DEQ_ERR_IO; DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_vote_read_gold(int32_t *gold, deq_table_report *report, deq_votes *votes,
                                      const char *path, const deq_table_options *options);

/**
 * Trust by worker: what was read, or counts of answers known to be right.
 */
typedef struct deq_trust_file {
    double *trust;    /**< [n_workers] */
    int64_t *correct; /**< [n_workers]: right answers; 0 where the file gives trust */
    int64_t *total;   /**< [n_workers]: of so many; 0 where the file gives trust */
    int64_t count;    /**< n_workers after reading */
    bool counts;      /**< the file has `correct` and `total` instead of `trust`; trust is then the
                           mean of Beta(1 + correct, 1 + total - correct) */
} deq_trust_file;

/**
 * Read trust: `worker,trust`, or `worker,correct,total`, a row a worker.
 *
 * @param out     receives the arrays; free with deq_trust_file_free().  All zero on failure.
 * @param report  receives counts; NULL if not wanted.
 * @param ctx     supplies memory.
 * @param votes   the table; DEQ_UNKNOWN_ADD adds workers to it.
 * @param path    the file.
 * @param options NULL for the defaults.
 * @return DEQ_OK; DEQ_ERR_ARGUMENT; DEQ_ERR_DATA (trust outside [0, 1] or no number, counts that are
 *         negative or correct > total, a worker twice, unknown or missing where that is a mistake);
 *         DEQ_ERR_IO; DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_vote_read_trust(deq_trust_file *out, deq_table_report *report,
                                       deq_context *ctx, deq_votes *votes, const char *path,
                                       const deq_table_options *options);

/**
 * Free what deq_vote_read_trust() gave.
 *
 * @param file all zero is allowed.
 * @param ctx  the context it came from.
 */
DEQ_API void deq_trust_file_free(deq_trust_file *file, deq_context *ctx);

/**
 * Read class priors: a label and its probability a row.  All labels must be there, and the sum must
 * be 1 to within 1e-6; it is then made 1.
 *
 * @param prior   [n_labels] receives the probabilities.
 * @param votes   the table.
 * @param path    the file.
 * @param options NULL for the defaults.
 * @return DEQ_OK; DEQ_ERR_ARGUMENT; DEQ_ERR_DATA; DEQ_ERR_IO; DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_vote_read_prior(double *prior, const deq_votes *votes, const char *path,
                                       const deq_table_options *options);

/**
 * Read costs: true label, decided label and cost a row, in columns `truth` or `label`, `decision`
 * or the second column called `label`, and `cost`.  Pairs not named cost 0 on the diagonal and 1
 * elsewhere.
 *
 * @param cost    [n_labels, n_labels] receives cost[truth, decision].
 * @param votes   the table.
 * @param path    the file.
 * @param options NULL for the defaults.
 * @return DEQ_OK; DEQ_ERR_ARGUMENT; DEQ_ERR_DATA (a cost that is not finite or negative, a pair
 *         twice, an unknown label); DEQ_ERR_IO; DEQ_ERR_NOMEM.
 */
DEQ_API deq_status deq_vote_read_costs(double *cost, const deq_votes *votes, const char *path,
                                       const deq_table_options *options);

#ifdef __cplusplus
}
#endif
#endif
