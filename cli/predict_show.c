/* SPDX-License-Identifier: MIT */
/* What deq predict prints. */
#include "picture.h"
#include "predict.h"
#include "terminal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- right or wrong ---- */

/* Positions that differ from the target; -1 without one. */
static int64_t count_wrong(const int32_t *label, const int32_t *target, int64_t n)
{
    int64_t wrong = 0;
    if (!target) return -1;
    for (int64_t i = 0; i < n; i++)
        wrong += target[i] != DEQ_TARGET_IGNORE && label[i] != target[i];
    return wrong;
}

static void print_solve(const deq_prediction *found, int64_t wrong)
{
    printf("  %s after %d evaluations, residual %.2g",
           deq_outcome_text((deq_outcome)found->outcome[0]), found->n_feval[0], found->residual[0]);
    if (wrong == 0) printf("; right");
    if (wrong > 0) printf("; %lld positions wrong", (long long)wrong);
    printf("\n");
}

/* ---- strings ---- */

static void show_bits(use *u, const char *name, int64_t n, const deq_prediction *found,
                      int64_t wrong, json_t *row)
{
    char *text = malloc((size_t)n + 1);
    if (!text) return;
    for (int64_t i = 0; i < n; i++) text[i] = found->label[i] ? '1' : '0';
    text[n] = 0;
    if (row) {
        json_put(row, "output", json_string(text));
    } else {
        if (u->several) printf("%s -> ", name);
        printf("%s\n", text);
        if (!u->several || wrong >= 0) print_solve(found, wrong);
    }
    free(text);
}

/* ---- classes ---- */

static void show_classes(use *u, const char *name, int64_t classes, const deq_prediction *found,
                         const int32_t *target, json_t *row)
{
    double most = found->logits[found->label[0]], sum = 0;
    int64_t top = argument_integer(u->a, "top");
    json_t *list = json_array();
    for (int64_t k = 0; k < classes; k++) sum += exp(found->logits[k] - most);
    if (!row) printf("%s\n", name);
    double above = INFINITY;
    int64_t last = -1;
    for (int64_t i = 0; i < top && i < classes; i++) { /* the next largest */
        int64_t best = -1;
        for (int64_t k = 0; k < classes; k++) {
            double l = found->logits[k];
            if (!(l < above || (l == above && k > last))) continue;
            if (best < 0 || l > found->logits[best]) best = k;
        }
        if (best < 0) break;
        above = found->logits[best];
        last = best;
        double p = exp(above - most) / sum;
        char class_name[256];
        deq_trained_class_name(u->model, best, class_name, sizeof class_name);
        if (!row) {
            printf("  %6.2f %%  %s\n", 100 * p, class_name);
            continue;
        }
        json_t *item = json_object();
        json_put(item, "class", json_integer(best));
        json_put(item, "name", json_text(class_name));
        json_put(item, "probability", json_number(p));
        json_push(list, item);
    }
    if (row)
        json_put(row, "classes", list);
    else
        json_decref(list);
    if (!row) print_solve(found, target ? found->label[0] != target[0] : -1);
}

/* ---- mazes ---- */

/* --out itself, or NAME.png in the folder --out if there are several inputs. */
static void choose_path(use *u, char *path, size_t size, const char *name)
{
    const char *out = argument_text(u->a, "out"), *slash = strrchr(name, '/');
    if (!u->several) {
        snprintf(path, size, "%s", out);
        return;
    }
    mkdir(out, 0777);
    name = slash ? slash + 1 : name;
    const char *dot = strrchr(name, '.');
    snprintf(path, size, "%s/%.*s.png", out, dot ? (int)(dot - name) : (int)strlen(name), name);
    for (char *c = path + strlen(out); *c; c++)
        if (*c == ' ') *c = '-';
}

static int show_maze(use *u, const char *name, const deq_example_form *form, const float *x,
                     const int32_t *target, const deq_prediction *found, int64_t wrong, json_t *row)
{
    int64_t side = form->input.dim[1];
    if (!row) {
        if (u->several) printf("%s\n", name);
        print_maze(stdout, x, found->label, side);
        print_solve(found, wrong);
    }
    if (!argument_given(u->a, "out")) return CLI_OK;
    char path[2048];
    choose_path(u, path, sizeof path, name);
    if (row) json_put(row, "picture", json_text(path));
    return write_maze_picture(u->a, u->ctx, path, x, found->label, target, side, 0);
}

/* ---- all ---- */

int show_prediction(use *u, const char *name, const deq_example_form *form, const float *input,
                    const int32_t *target, const deq_prediction *found)
{
    int code = CLI_OK;
    json_t *row = argument_flag(u->a, "json") ? prediction_json(found) : NULL;
    int64_t n = deq_shape_count(&form->target);
    int64_t wrong = count_wrong(found->label, target, n);
    if (row) json_put(row, "input", json_text(name));
    if (row && target) json_put(row, "wrong", json_integer(wrong));
    if (form->target.rank == 1)
        show_bits(u, name, n, found, wrong, row);
    else if (form->target.rank == 2)
        code = show_maze(u, name, form, input, target, found, wrong, row);
    else
        show_classes(u, name, deq_trained_config(u->model)->model.classes, found, target, row);
    if (row) json_push(u->rows, row);
    return code;
}
