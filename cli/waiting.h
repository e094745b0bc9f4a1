/* SPDX-License-Identifier: MIT */
#ifndef DEQ_CLI_WAITING_H
#define DEQ_CLI_WAITING_H

/* Let waiting threads spin only briefly.  Called first thing in main(); may start the program again. */
void wait_briefly(char **argv);

#endif
