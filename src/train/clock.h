/* SPDX-License-Identifier: MIT */
#ifndef DEQ_TRAIN_CLOCK_H
#define DEQ_TRAIN_CLOCK_H

/* Seconds of a clock that only goes forward. */
double deq_seconds(void);

#endif
