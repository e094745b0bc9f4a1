/* SPDX-License-Identifier: MIT */
/* The commands, one a file; main.c has their list. */
#ifndef DEQ_CLI_COMMANDS_H
#define DEQ_CLI_COMMANDS_H

#include "command.h"

extern const command command_audit, command_bench, command_completion, command_convert,
    command_data, command_eval, command_help, command_info, command_predict, command_reproduce,
    command_train, command_vote;

#endif
