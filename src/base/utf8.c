/* SPDX-License-Identifier: MIT */
/* UTF-8: 0xxxxxxx, 110xxxxx 10xxxxxx, 1110xxxx + 2, 11110xxx + 3. */
#include "base/utf8.h"

uint32_t deq_utf8_next(const char **at)
{
    static const uint32_t least[] = { 0, 0x80, 0x800,
                                      0x10000 }; /* by number of bytes that follow */
    const unsigned char *s = (const unsigned char *)*at;
    const unsigned first = s[0];

    if (first == 0) return 0;
    (*at)++;
    if (first < 0x80) return first;
    const int more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
    if (first < 0xC0 || first > 0xF4) return DEQ_UTF8_BAD;
    uint32_t c = first & (0x3FU >> more);
    for (int i = 1; i <= more; i++) {
        if ((s[i] & 0xC0) != 0x80) return DEQ_UTF8_BAD; /* also the end of the text */
        c = c << 6 | (s[i] & 0x3FU);
    }
    if (c < least[more] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) return DEQ_UTF8_BAD;
    *at += more;
    return c;
}
