/* SPDX-License-Identifier: MIT */
/* The version that was compiled in. */
#include <deq/version.h>

#define TEXT(x) #x
#define DOTTED(major, minor, patch) TEXT(major) "." TEXT(minor) "." TEXT(patch)

const char *deq_version(void)
{
    return DOTTED(DEQ_VERSION_MAJOR, DEQ_VERSION_MINOR, DEQ_VERSION_PATCH);
}
