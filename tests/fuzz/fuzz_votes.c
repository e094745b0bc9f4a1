/* SPDX-License-Identifier: MIT */
/* Foreign bytes as votes: read whole with each policy, found again by name, and decided upon. */
#include "reader.h"

#include <deq/vote/decide.h>
#include <string.h>

static void use(deq_context *ctx, const deq_votes *votes, size_t size)
{
    const deq_votes_view v = deq_votes_values(votes);

    expect(v.begin[0] == 0 && v.begin[v.n_tasks] == v.n_votes, "tasks cover the votes");
    expect((size_t)v.n_votes <= size, "there are no more votes than bytes");
    for (int64_t t = 0; t < v.n_tasks; t++)
        expect(deq_votes_find_task(votes, deq_votes_task_name(votes, t)) == t, "tasks are found");
    for (int64_t j = 0; j < v.n_votes; j++) {
        expect(deq_votes_worker_name(votes, v.worker[j]) != NULL, "workers have names");
        expect(deq_votes_label_name(votes, v.label[j]) != NULL, "labels have names");
    }
    if (v.n_labels < 1 || v.n_tasks > 1000) return;
    deq_decision *decisions = malloc((size_t)(v.n_tasks + 1) * sizeof *decisions);
    double *trust = malloc((size_t)(v.n_workers + 1) * sizeof *trust);
    const deq_belief belief = { .struct_size = sizeof belief, .trust = trust };
    if (!decisions || !trust) abort();
    for (int64_t i = 0; i < v.n_workers; i++) trust[i] = (double)(i % 11) / 10;
    expect(deq_vote_decide(decisions, NULL, ctx, votes, &belief, NULL) == DEQ_OK, "it is decided");
    free(decisions);
    free(trust);
}

static deq_status read(deq_context *ctx, const uint8_t *bytes, size_t size, int *result)
{
    deq_votes_options o = deq_votes_defaults();
    deq_votes *votes;
    const uint8_t choice = size ? bytes[0] : 0;

    o.duplicates = (deq_duplicates)(choice & 3);
    o.skip_bad = choice & 4;
    const deq_status status = deq_votes_parse(&votes, ctx, size ? bytes + 1 : bytes,
                                              size ? size - 1 : 0, &o);
    *result = votes != NULL;
    if (votes) use(ctx, votes, size);
    deq_votes_free(votes);
    return status;
}

FUZZ_READER(read)
