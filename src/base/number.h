/* SPDX-License-Identifier: MIT */
/* Numbers as text, with a point whatever locale the program has chosen. */
#ifndef DEQ_BASE_NUMBER_H
#define DEQ_BASE_NUMBER_H

enum { DEQ_NUMBER_BYTES = 400 };

/* A number as by "%.*g", "%.*f" or "%.*e": conversion is the letter. */
const char *deq_number_text(char text[DEQ_NUMBER_BYTES], char conversion, int digits, double value);
/* The shortest decimal that reads back to the same double. */
const char *deq_number_shortest(char text[DEQ_NUMBER_BYTES], double value);

#endif
