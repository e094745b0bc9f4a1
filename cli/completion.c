/* SPDX-License-Identifier: MIT */
/* deq completion: scripts that complete command lines in bash, zsh and fish. */
#include "commands.h"
#include "parse.h"

static int run(const arguments *a)
{
    static void (*const write[])(text_buffer * t, const command *root) = { put_bash, put_zsh,
                                                                           put_fish };
    text_buffer t = { 0 };
    write[argument_choice(a, "SHELL")](&t, &root_command);
    fputs(text_string(&t), stdout);
    text_free(&t);
    return CLI_OK;
}

static const char *const shells[] = { "bash", "zsh", "fish", NULL };

static const option operands[] = {
    { .name = "SHELL",
      .kind = VALUE_CHOICE,
      .choices = shells,
      .required = true,
      .help = "the shell to write for" },
};

static const example examples[] = {
    { "deq completion bash > ~/.local/share/bash-completion/completions/deq",
      "for bash, for this user" },
    { "deq completion zsh > ~/.zfunc/_deq", "for zsh, where ~/.zfunc is in fpath" },
    { "deq completion fish > ~/.config/fish/completions/deq.fish", "for fish" },
};

const command command_completion = {
    .name = "completion",
    .summary = "print a script that completes command lines in a shell",
    .description =
        "The script knows every command and option of this program, the values of those that are a "
        "choice, and where files and folders stand. It is installed with the program; this command "
        "is for programs that are run from where they were built.\n",
    .operands = operands,
    .n_operands = LENGTH(operands),
    .examples = examples,
    .n_examples = LENGTH(examples),
    .run = run,
};
