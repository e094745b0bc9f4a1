/* SPDX-License-Identifier: MIT */
/* UTF-8 at the borders of its ranges; the examples of RFC 3629 and of Unicode's table 3-7. */
#include "support/test.h"

#include "base/utf8.h"

#include <string.h>

#define BAD DEQ_UTF8_BAD

static void characters_and_what_is_none_are_told_apart(void **state)
{
    static const struct {
        const char *text;
        uint32_t c[6];
    } rows[] = {
        { "", { 0 } },
        { "a\x7F", { 'a', 0x7F } },
        { "\xC2\x80\xDF\xBF", { 0x80, 0x7FF } },
        { "\xE0\xA0\x80\xEF\xBF\xBF", { 0x800, 0xFFFF } },
        { "\xED\x9F\xBF\xEE\x80\x80", { 0xD7FF, 0xE000 } },
        { "\xF0\x90\x80\x80\xF4\x8F\xBF\xBF", { 0x10000, 0x10FFFF } },
        { "A\xE2\x89\xA2\xCE\x91.", { 'A', 0x2262, 0x391, '.' } },
        { "\x80x", { BAD, 'x' } },
        { "\xC0\x80", { BAD, BAD } },          /* overlong */
        { "\xC1\xBF", { BAD, BAD } },          /* overlong */
        { "\xE0\x9F\xBF", { BAD, BAD, BAD } }, /* overlong */
        { "\xF0\x8F\xBF\xBF", { BAD, BAD, BAD, BAD } },
        { "\xED\xA0\x80", { BAD, BAD, BAD } }, /* a surrogate */
        { "\xF4\x90\x80\x80", { BAD, BAD, BAD, BAD } },
        { "\xF5\x80", { BAD, BAD } },
        { "\xFF", { BAD } },
        { "\xE2\x89", { BAD, BAD } }, /* cut off */
        { "\xF0\x90\x80"
          "a",
          { BAD, BAD, BAD, 'a' } },
        { "\xC3(", { BAD, '(' } },
    };

    (void)state;
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        const char *at = rows[k].text;
        for (int i = 0; i < 6; i++) {
            const uint32_t c = deq_utf8_next(&at);
            if (c != rows[k].c[i])
                fail_msg("row %zu, character %d: %x, expected %x", k, i, (unsigned)c,
                         (unsigned)rows[k].c[i]);
            if (c == 0) break;
        }
        assert_ptr_equal(at, rows[k].text + strlen(rows[k].text));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(characters_and_what_is_none_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
