/* SPDX-License-Identifier: MIT */
/* The same test for every instruction set that this machine has. */
#ifndef DEQ_TESTS_BACKEND_ISA_H
#define DEQ_TESTS_BACKEND_ISA_H

#include "backend/compare.h"
#include "base/isa.h"

/* A graph whose programs use own kernels of this level at most. */
static inline test_graph test_graph_for(deq_isa isa)
{
    test_graph t = { NULL, NULL };
    deq_context_options o = deq_context_defaults();
    o.threads = 2;
    o.isa = isa;
    assert_int_equal(deq_context_new(&t.ctx, &o), DEQ_OK);
    assert_int_equal(deq_graph_new(&t.g, t.ctx), DEQ_OK);
    return t;
}

#define FOR_EACH_ISA(isa)                                                                          \
    for (deq_isa isa = DEQ_ISA_BASELINE; isa <= deq_isa_detect(); isa = (deq_isa)(isa + 1))

/* A name for failures. */
static inline const char *with_isa(char *text, size_t size, const char *name, deq_isa isa)
{
    snprintf(text, size, "%s, %s", name, deq_isa_name(isa));
    return text;
}

#endif
