/* SPDX-License-Identifier: MIT */
/* The commands below deq reproduce, one a file; reproduce.c has their list. */
#ifndef DEQ_CLI_REPRODUCE_H
#define DEQ_CLI_REPRODUCE_H

#include "command.h"

extern const command command_reproduce_wmv;

#endif
