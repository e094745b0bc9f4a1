/* SPDX-License-Identifier: MIT */
/*
 * What the commands below `deq vote` share: the files they read, trust and how it was had, tables of
 * results.
 */
#ifndef DEQ_CLI_VOTE_H
#define DEQ_CLI_VOTE_H

#include "json.h"
#include "sheet.h"
#include "terminal.h"

#include <deq/vote.h>

/* clang-format off */
#define VOTES_HELP                                                                                 \
    "file of votes, one a row, with a header line; comma- or tab-separated; - is stdin.\n"         \
    "With --models: files of predictions, one a model"
#define VOTES_OPTIONS                                                                              \
    { .name = "columns", .kind = VALUE_TEXT, .argument = "TASK,WORKER,LABEL",                      \
      .help = "what the header calls these columns; default: task or question, worker,\n"          \
              "label or answer" },                                                                 \
    { .name = "separator", .kind = VALUE_CHOICE, .choices = vote_separators, .initial = "auto",    \
      .help = "between the fields of VOTES; auto: the first of them in the header" },              \
    { .name = "abstain", .kind = VALUE_TEXT, .argument = "LABEL",                                  \
      .help = "this label is no vote but an abstention; default: an empty field" },                \
    { .name = "dups", .kind = VALUE_CHOICE, .choices = vote_duplicates, .initial = "all",          \
      .help = "of several votes of one worker on a task keep this" },                              \
    { .name = "labels", .kind = VALUE_TEXT, .argument = "A,B,...",                                 \
      .help = "all labels there are, in this order; others are mistakes" },                        \
    { .name = "skip-bad", .help = "drop rows that are malformed, and count them" },                \
    { .name = "models",                                                                            \
      .help = "VOTES are predictions of models: .npz, .npy or .csv; each is a worker" },           \
    { .name = "array", .kind = VALUE_TEXT, .argument = "NAME",                                     \
      .help = "models: the array of a .npz; default: label, else logits" }
#define GOLD_OPTIONS(needed)                                                                       \
    { .name = "gold", .letter = 'g', .kind = VALUE_FILE, .argument = "FILE", .required = needed,   \
      .help = "true labels of some tasks: task,label; with --models also .npy or .npz" },          \
    { .name = "gold-columns", .kind = VALUE_TEXT, .argument = "TASK,LABEL",                        \
      .help = "what its header calls these columns" }
#define PRIOR_OPTIONS                                                                              \
    { .name = "prior", .kind = VALUE_FILE, .argument = "FILE",                                     \
      .help = "probabilities of the labels: label,prior; see also --class-prior" },                \
    { .name = "prior-columns", .kind = VALUE_TEXT, .argument = "LABEL,PRIOR",                      \
      .help = "what its header calls these columns" }
#define TRUST_OPTIONS                                                                              \
    { .name = "trust", .letter = 't', .kind = VALUE_FILE, .argument = "FILE",                      \
      .help = "trust that is known: worker,trust or worker,correct,total" },                       \
    { .name = "trust-columns", .kind = VALUE_TEXT, .argument = "WORKER,TRUST",                     \
      .help = "what its header calls these columns" },                                             \
    { .name = "missing-trust", .kind = VALUE_TEXT, .argument = "WHAT", .initial = "ignore",        \
      .help = "workers not in that file: error, ignore (their votes weigh nothing), or a\n"        \
              "number, their trust; with counts ignore means the mean of the prior" }
#define METHOD_OPTION                                                                              \
    { .name = "method", .letter = 'm', .kind = VALUE_CHOICE, .choices = vote_methods,              \
      .initial = "auto",                                                                           \
      .help = "how trust is estimated; auto: --trust if given, else gold_wmv with --gold,\n"       \
              "else dawid_skene" }
#define ESTIMATE_OPTIONS                                                                           \
    { .name = "solver", .kind = VALUE_CHOICE, .choices = vote_solvers, .initial = "auto",          \
      .help = "of EM's fixed point: plain EM (picard) or accelerated; auto: squarem" },            \
    { .name = "max-iter", .letter = 'n', .kind = VALUE_INTEGER, .argument = "N", .least = 0,       \
      .most = 1000000000, .initial = "100", .help = "passes over the votes allowed" },             \
    { .name = "tolerance", .kind = VALUE_REAL, .low = 0, .high = INFINITY, .initial = "1e-5",      \
      .help = "stop when a step of EM gains less a vote" },                                        \
    { .name = "class-prior", .kind = VALUE_CHOICE, .choices = vote_priors, .initial = "auto",      \
      .help = "probabilities of the labels; auto: free (estimated) for dawid_skene, else\n"        \
              "uniform" },                                                                         \
    { .name = "prior-smoothing", .kind = VALUE_REAL, .low = 0, .high = INFINITY,                   \
      .initial = "1", .help = "added to each label's count where the class prior is free" },       \
    { .name = "beta", .kind = VALUE_TEXT, .argument = "A,B", .initial = "1,1",                     \
      .help = "prior of accuracies, Beta(A,B), for gold and one_coin" },                                 \
    { .name = "empirical-bayes", .help = "gold: choose that prior by the workers' counts" },       \
    { .name = "smoothing", .kind = VALUE_REAL, .low = 0, .high = INFINITY, .above = true,          \
      .initial = "0.01", .help = "added to each cell of a confusion matrix" },                     \
    { .name = "restarts", .kind = VALUE_INTEGER, .argument = "N", .least = 0, .most = 100000,      \
      .initial = "0", .help = "mace, kos: random starts" },                                        \
    { .name = "seed", .kind = VALUE_INTEGER, .argument = "N", .least = 0, .most = INT64_MAX,       \
      .initial = "0", .help = "of folds, random starts and random ties" }
#define DECIDE_OPTIONS                                                                             \
    { .name = "tie", .kind = VALUE_CHOICE, .choices = vote_ties, .initial = "first",               \
      .help = "what to decide when labels are equally good" },                                     \
    { .name = "clip", .kind = VALUE_REAL, .low = 0, .high = 0.499999, .initial = "0",              \
      .help = "hold trust within [CLIP, 1 - CLIP]; 0: trust of 0 and 1 is infinite\n"              \
              "evidence" },                                                                        \
    { .name = "cost", .kind = VALUE_FILE, .argument = "FILE",                                      \
      .help = "costs: truth,decision,cost; pairs not named cost 1, right decisions 0" }
#define FOLDS_OPTION(what)                                                                         \
    { .name = "folds", .kind = VALUE_INTEGER, .argument = "N", .least = 0, .most = 1000000,        \
      .initial = "5", .help = what }
#define BINS_OPTION                                                                                \
    { .name = "bins", .kind = VALUE_INTEGER, .argument = "N", .least = 1,                          \
      .most = DEQ_RELIABILITY_BINS, .initial = "10", .help = "of reliability diagrams" }
#define CSV_OPTION(what) { .name = "csv", .help = "print " what " as comma-separated values" }
#define ROWS_OPTION                                                                                \
    { .name = "rows", .kind = VALUE_INTEGER, .argument = "N", .least = 0, .most = INT64_MAX,       \
      .initial = "10", .help = "of the table that is printed; 0: all" }
#define REPORT_OPTION                                                                              \
    { .name = "report", .kind = VALUE_FILE, .argument = "FILE.html",                               \
      .help = "a page with reliability diagram, accuracies and influential workers" }
/* clang-format on */

extern const char *const vote_separators[],
    *const vote_duplicates[], *const vote_methods[], *const vote_solvers[], *const vote_priors[],
                                                                                *const vote_ties[];

/* What a command works on. */
typedef struct voting {
    const arguments *a;
    deq_context *ctx;
    const char *path; /* of VOTES, for people */
    deq_votes *votes;
    deq_votes_view v;
    int32_t *gold; /* [n_tasks] or NULL */
    int64_t n_gold;
    double *prior, *cost;      /* or NULL */
    deq_trust_file trust_file; /* count > 0 if --trust was given */
    bool has_trust;
    json_t *warnings; /* texts */
} voting;

/* Reads VOTES, and what of --trust, --gold, --prior, --cost the command knows and was given.  CLI_OK, or
 * another exit code with a message; close in any case. */
int voting_open(voting *s, const arguments *a);
void voting_close(voting *s);

/* Settings of a reader of votes; the names that it points at live as long as the process. */
int votes_options(deq_votes_options *o, const arguments *a);
/* The path of an operand or option: "-" is stdin. */
const char *vote_path(const char *path);
/* Whether a command has an option. */
bool knows_option(const arguments *a, const char *name);
/* "A,B" into n texts, or n positive numbers. */
int split_names(const char **names, int n, const arguments *a, const char *which);
int split_pair(double pair[2], const arguments *a, const char *which);
int parse_pair(double pair[2], const arguments *a, const char *which, const char *text);
int table_options(deq_table_options *o, const arguments *a, const char *which);
/* How --missing-trust says it. */
int missing_options(deq_table_options *o, const arguments *a);

/* A warning on stderr (not with --quiet) and for the result. */
void vote_warn(voting *s, const char *format, ...) CLI_PRINTF(2, 3);
/* The warnings go into the result, if that is JSON. */
void put_warnings(json_t *result, const voting *s);

/* --models: votes from predictions; vote_models.c. */
int read_models(voting *s, deq_votes_options *o);
/* Gold from arrays, if `path` is .npy or .npz. */
bool is_array_file(const char *path);
int read_gold_array(voting *s, const char *path);

/* Trust in workers, whatever it comes from, and what follows for the tasks; vote_belief.c. */
typedef struct vote_belief {
    deq_aggregation method;
    bool given;             /* by --trust: nothing was estimated */
    bool probabilities;     /* posteriors are such; else shares of weights */
    deq_estimate *estimate; /* NULL if given */
    deq_estimate_info info;
    deq_trust_prior beta;     /* of accuracies, if gold or counts were used */
    bool has_beta;            /* and whether they were */
    double *trust;            /* [n_workers] */
    double *low, *high;       /* [n_workers] interval, NaN where there is none */
    int64_t *correct, *total; /* [n_workers] on gold, or by the file of trust */
    double *pivot;            /* [n_workers]; NaN where not known */
    double *posterior;        /* [n_tasks, K] */
    deq_decision *decisions;  /* [n_tasks] */
    deq_belief belief;        /* for deq_vote_decide(), if by_weights */
    bool by_weights;
} vote_belief;

int make_belief(vote_belief *b, voting *s);
void free_belief(vote_belief *b);
const char *belief_name(const vote_belief *b);
/* The method that auto stands for. */
deq_aggregation method_of(const voting *s, const char *name);
/* Settings of an estimation as the command line has them. */
int estimate_options(deq_estimate_options *o, voting *s);
int decide_options(deq_decide_options *o, const arguments *a);
/* Progress of one estimation after another: an observer for deq_estimate_options, and its first
 * argument.  With a total, `at` of it are done; without one, passes are counted. */
typedef struct estimate_watch {
    progress p;
    int64_t at;
} estimate_watch;
bool show_estimation(void *watch, const deq_estimate_progress *now);
/* Warnings about an estimation, once. */
void warn_of_estimate(voting *s, const deq_estimate_info *info);
void warn_of_trust(voting *s, const vote_belief *b);
void warn_of_constants(voting *s);

/* Results: objects for print_result(). */
json_t *votes_json(const voting *s);
json_t *info_json(const deq_estimate_info *info);
/* An accuracy that is believed, with the spread of what would be achieved if it were right. */
json_t *believed_json(const vote_belief *b, const voting *s);
/* Achieved against believed accuracy on gold; NULL without.  *code: an exit code. */
typedef struct vote_check {
    deq_calibration c; /* c.score, c.majority_accuracy */
    double low, high;  /* Wilson's interval of c.score.accuracy */
    int folds;         /* 0: gold was not used for trust */
    bool done;
} vote_check;
int check_on_gold(vote_check *k, voting *s, const vote_belief *b, int folds, int bins);
json_t *check_json(const vote_check *k);

/* Prints an object and the rows of a sheet as its last member `name`; the object is given back. */
typedef void rows_writer(sheet *s, void *user);
int print_rows_result(const arguments *a, json_t *result, const char *name,
                      const char *const *titles, const char *align, rows_writer *write, void *user);
/* Rows alone into a file; its name decides how. */
int write_rows(const arguments *a, const char *path, const char *const *titles, const char *align,
               rows_writer *write, void *user);
/* --csv and --json together: CLI_USAGE with a message. */
int check_formats(const arguments *a);

/* The rows of workers. */
extern const char *const worker_titles[];
extern const char worker_align[];
typedef struct worker_rows {
    const voting *s;
    const vote_belief *b;
} worker_rows;
void write_workers(sheet *out, void *user);
/* What a vote of a worker counts; NaN where that is not one number. */
double weight_of(const vote_belief *b, double trust, int64_t K);

/* The page of --report; vote_report.c, vote_page.c. */
int save_vote_report(const voting *s, const vote_belief *b, const vote_check *k,
                     const deq_comparison *lines, int n_lines);

/* The commands. */
extern const command command_vote_decide, command_vote_trust, command_vote_accuracy,
    command_vote_sensitivity, command_vote_stability, command_vote_calibrate, command_vote_compare;

#endif
