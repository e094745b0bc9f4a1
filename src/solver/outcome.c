/* SPDX-License-Identifier: MIT */
/* The texts of outcomes. */
#include <deq/outcome.h>

const char *deq_outcome_text(deq_outcome outcome)
{
    switch (outcome) {
#define TEXT(name, text)                                                                           \
    case name: return text;
        DEQ_OUTCOME_LIST(TEXT)
#undef TEXT
    case DEQ_OUTCOME_COUNT: break;
    }
    return "unknown outcome";
}
