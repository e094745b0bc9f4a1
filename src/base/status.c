/* SPDX-License-Identifier: MIT */
#include <deq/status.h>

const char *deq_status_text(deq_status status)
{
    switch (status) {
#define TEXT(name, text)                                                                           \
    case name: return text;
        DEQ_STATUS_LIST(TEXT)
#undef TEXT
    case DEQ_STATUS_COUNT: break;
    }
    return "unknown status";
}
