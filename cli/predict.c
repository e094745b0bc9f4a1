/* SPDX-License-Identifier: MIT */
/* deq predict: use a trained model. */
#include "predict.h"

#include "commands.h"
#include "context.h"
#include "settings.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const option options[] = {
    { .name = "out",
      .letter = 'o',
      .kind = VALUE_FILE,
      .argument = "PATH",
      .help = "mazes: the picture of the solution (.png), a folder if there are several;\n"
              "arrays: the .npz with labels and logits" },
    { .name = "example",
      .letter = 'e',
      .kind = VALUE_INTEGER,
      .argument = "N",
      .least = 0,
      .most = INT64_MAX,
      .repeatable = true,
      .help = "example N of the test set, compared with its target" },
    { .name = "size",
      .kind = VALUE_INTEGER,
      .argument = "N",
      .least = 1,
      .most = 1000000,
      .help = "generated tasks: --example of this size" },
    { .name = "max-iter",
      .letter = 'n',
      .kind = VALUE_INTEGER,
      .argument = "N",
      .least = 1,
      .most = 1000000000,
      .help = "evaluations of f allowed" },
    { .name = "top",
      .kind = VALUE_INTEGER,
      .argument = "K",
      .least = 1,
      .most = 1000,
      .initial = "3",
      .help = "images: most likely classes to print" },
    { .name = "set",
      .letter = 's',
      .kind = VALUE_TEXT,
      .argument = "KEY=VALUE",
      .repeatable = true,
      .help = "change a setting: solver.method, data.path, ..." },
    { .name = "config",
      .kind = VALUE_FILE,
      .argument = "CONFIG",
      .help = "the model that weights from elsewhere are for" },
    { .name = "last", .kind = VALUE_NONE, .help = "of a run, the last weights" },
};

static const option operands[] = {
    { .name = "MODEL",
      .kind = VALUE_FILE,
      .required = true,
      .help = "the folder of a run, a checkpoint, or weights" },
    { .name = "INPUT",
      .kind = VALUE_FILE,
      .repeatable = true,
      .help = "sequence models: strings of 0 and 1, or - for lines of them on stdin;\n"
              "others: images (PNG, JPEG, PPM, PGM), or a .npz with an array \"x\"" },
};

/* ---- the predictor, compiled again when the form of the input changes ---- */

int predict_one(use *u, deq_prediction *found, const deq_shape *form, const float *input)
{
    deq_status status = DEQ_OK;
    if (!u->predictor || !deq_shape_equal(form, &u->form)) {
        deq_predictor_options o = deq_predictor_defaults();
        o.batch = 1;
        o.max_iter = argument_given(u->a, "max-iter") ? (int)argument_integer(u->a, "max-iter") : 0;
        deq_predictor_free(u->predictor);
        u->predictor = NULL;
        u->form = *form;
        status = deq_predictor_new(&u->predictor, u->model, *form, &o);
    }
    if (status == DEQ_OK) status = deq_predictor_run(u->predictor, found, input);
    return fail_status(u->a, u->ctx, status);
}

json_t *prediction_json(const deq_prediction *found)
{
    json_t *o = json_object();
    json_put(o, "outcome", json_string(deq_outcome_text((deq_outcome)found->outcome[0])));
    json_put(o, "n_feval", json_integer(found->n_feval[0]));
    json_put(o, "residual", json_number(found->residual[0]));
    return o;
}

/* ---- what is given ---- */

static int predict_operand(use *u, const char *word)
{
    deq_model_family family = deq_trained_config(u->model)->model.family;
    size_t n = strlen(word);
    if (family == DEQ_MODEL_SEQUENCE) return predict_bits(u, word);
    if (n > 4 && strcmp(word + n - 4, ".npz") == 0) return predict_arrays(u, word);
    return family == DEQ_MODEL_MAZE ? predict_maze_file(u, word) : predict_image(u, word);
}

static int predict_example(use *u, const deq_dataset *d, int64_t index)
{
    deq_example_form form = deq_dataset_form(d);
    size_t n_target = (size_t)deq_shape_count(&form.target);
    if (index >= deq_dataset_count(d))
        return fail(CLI_USAGE, u->a->path, "--example %lld: there are %lld", (long long)index,
                    (long long)deq_dataset_count(d));
    float *input = malloc((size_t)deq_shape_count(&form.input) * sizeof *input);
    int32_t *target = malloc(n_target * sizeof *target);
    char name[64], error[512];
    deq_prediction found;
    int code = CLI_FAILED;
    snprintf(name, sizeof name, "example %lld", (long long)index);
    deq_status status = input && target
                            ? deq_dataset_read(d, index, input, target, error, sizeof error)
                            : DEQ_ERR_NOMEM;
    if (status != DEQ_OK)
        fail(CLI_FAILED, u->a->path, "%s: %s", name,
             status == DEQ_ERR_NOMEM ? "out of memory" : error);
    else
        code = predict_one(u, &found, &form.input, input);
    if (status == DEQ_OK && code == CLI_OK)
        code = show_prediction(u, name, &form, input, target, &found);
    free(input);
    free(target);
    return code;
}

static int predict_examples(use *u)
{
    deq_datasets data = { 0 };
    const deq_config *c = deq_trained_config(u->model);
    deq_status status = argument_given(u->a, "size")
                            ? deq_config_sized(&data.test, u->ctx, c,
                                               argument_integer(u->a, "size"), c->evaluation.count)
                            : deq_config_test_set(&data, u->ctx, c);
    int code = fail_status(u->a, u->ctx, status);
    for (int i = 0; i < argument_count(u->a, "example") && code == CLI_OK; i++)
        code = predict_example(u, data.test, argument_integer_at(u->a, "example", i));
    deq_datasets_free(&data);
    return code;
}

static int predict_all(use *u)
{
    int n = argument_count(u->a, "INPUT"), n_examples = argument_count(u->a, "example");
    u->several = n + n_examples > 1;
    if (n + n_examples == 0)
        return fail(CLI_USAGE, u->a->path, "nothing to predict: give an INPUT or --example N");
    int code = n_examples > 0 ? predict_examples(u) : CLI_OK;
    for (int i = 0; i < n && code == CLI_OK; i++)
        code = predict_operand(u, argument_text_at(u->a, "INPUT", i));
    return code;
}

static int run(const arguments *a)
{
    use u = { .a = a };
    int code = open_context(&u.ctx, a);
    if (code != CLI_OK) return code;
    code = open_model(&u.model, u.ctx, a);
    if (code == CLI_OK) {
        u.rows = json_array();
        code = predict_all(&u);
        if (code == CLI_OK && argument_flag(a, "json")) {
            json_t *result = json_object();
            json_put(result, "predictions", json_incref(u.rows));
            code = print_json(result);
        }
        json_decref(u.rows);
    }
    deq_predictor_free(u.predictor);
    deq_trained_free(u.model);
    deq_context_free(u.ctx);
    return code;
}

static const example examples[] = {
    { "deq predict runs/sums 0110100111010001", "the running parity of a string" },
    { "deq predict runs/maze --example 0 --size 25 --out solved.png",
      "solve a maze, draw the path" },
    { "deq predict runs/mnist digit.png", "which digit is it?" },
    { "deq predict runs/cifar images.npz --out labels.npz", "many images at once" },
};

const command command_predict = {
    .name = "predict",
    .summary = "use a trained model",
    .description =
        "Applies MODEL to inputs and prints what it finds: bits for strings, classes with their "
        "probabilities for images, the path for mazes (as text, and as a picture with --out), "
        "arrays for arrays.  Says for each input how the solve went.",
    .examples = examples,
    .n_examples = LENGTH(examples),
    .options = options,
    .n_options = LENGTH(options),
    .operands = operands,
    .n_operands = LENGTH(operands),
    .common = COMMON_JSON | COMMON_THREADS,
    .run = run,
};
