/* SPDX-License-Identifier: MIT */
/*
 * Completions for bash.  The script is one function: it walks to the command that the words name,
 * looks up what that takes, and offers the value of an option, an option, or the next operand.
 */
#include "shell.h"

static const char head[] =
    "# bash completion for deq; made by: deq completion bash\n"
    "\n"
    "_deq_offer() { # kind, words\n"
    "    case $1 in\n"
    "        file)\n"
    "            compopt -o filenames 2>/dev/null\n"
    "            mapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n"
    "            ;;\n"
    "        folder)\n"
    "            compopt -o filenames 2>/dev/null\n"
    "            mapfile -t COMPREPLY < <(compgen -d -- \"$word\")\n"
    "            ;;\n"
    "        words) mapfile -t COMPREPLY < <(compgen -W \"$2\" -- \"$word\") ;;\n"
    "    esac\n"
    "}\n"
    "\n"
    "_deq() {\n"
    "    local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}\n"
    "    local path='' commands='' options='' valued='' i at=0\n"
    "    COMPREPLY=()\n"
    "    # bash takes --name=value for three words.\n"
    "    if [[ $word == '=' ]]; then\n"
    "        word=''\n"
    "    elif [[ $previous == '=' ]]; then\n"
    "        previous=${COMP_WORDS[COMP_CWORD - 2]}\n"
    "    fi\n"
    "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "        case $path/${COMP_WORDS[i]} in\n";

static const char middle[] = "            *) break ;;\n"
                             "        esac\n"
                             "    done\n"
                             "    case $path in\n";

static const char values[] = "    esac\n"
                             "    case \"$path $previous\" in\n";

static const char rest[] =
    "    esac\n"
    "    if [[ $word == -* ]]; then\n"
    "        _deq_offer words \"$options\"\n"
    "        return\n"
    "    elif [[ -n $commands ]]; then\n"
    "        _deq_offer words \"$commands\"\n"
    "        return\n"
    "    fi\n"
    "    # Operands before this one: words that are neither options nor their values.\n"
    "    for (( ; i < COMP_CWORD; i++)); do\n"
    "        case ${COMP_WORDS[i]} in\n"
    "            -*)\n"
    "                if [[ ${COMP_WORDS[i + 1]} == '=' ]]; then\n"
    "                    ((i += 2))\n"
    "                elif [[ $valued == *\" ${COMP_WORDS[i]} \"* ]]; then\n"
    "                    ((i += 1))\n"
    "                fi\n"
    "                ;;\n"
    "            *) ((at += 1)) ;;\n"
    "        esac\n"
    "    done\n"
    "    case $path:$at in\n";

static const char tail[] = "    esac\n"
                           "}\n"
                           "\n"
                           "complete -F _deq deq\n";

/* "--tol --out -o" */
static void put_names(text_buffer *t, const command *c, bool only_valued)
{
    const option *o;
    for (int i = 0; (o = command_option(c, i)); i++) {
        if (only_valued && o->kind == VALUE_NONE) continue;
        if (o->letter) put_format(t, "-%c ", o->letter);
        put_format(t, "--%s ", o->name);
    }
}

static int put_known(void *user, const command *c, const char *path)
{
    text_buffer *t = user;
    (void)c;
    if (!*path) return 0;
    put(t, "            ");
    put_path(t, path, '/');
    put(t, ")\n                path+=/${COMP_WORDS[i]}\n                ;;\n");
    return 0;
}

static int put_tables(void *user, const command *c, const char *path)
{
    text_buffer *t = user;
    put(t, "        '");
    put_path(t, path, '/');
    put(t, "')\n            commands='");
    put_command_words(t, c);
    put(t, "'\n            options='");
    put_names(t, c, false);
    put(t, "'\n            valued=' ");
    put_names(t, c, true);
    put(t, "'\n            ;;\n");
    return 0;
}

/* What is offered where a value may stand. */
static void put_offer(text_buffer *t, const option *o, const command *root)
{
    if (o->kind == VALUE_FILE || o->kind == VALUE_FOLDER) {
        put_format(t, "_deq_offer %s", o->kind == VALUE_FILE ? "file" : "folder");
    } else if (o->kind == VALUE_CHOICE || o->kind == VALUE_COMMAND) {
        put(t, "_deq_offer words '");
        put_choice_words(t, o);
        if (o->kind == VALUE_COMMAND) put_command_words(t, root);
        put(t, "'");
    } else {
        put(t, ":");
    }
}

typedef struct place {
    text_buffer *t;
    const command *root;
} place;

static int put_option_values(void *user, const command *c, const char *path)
{
    const place *p = user;
    const option *o;
    for (int i = 0; (o = command_option(c, i)); i++) {
        if (o->kind == VALUE_NONE) continue;
        put(p->t, "        '");
        put_path(p->t, path, '/');
        put_format(p->t, " --%s'", o->name);
        if (o->letter) {
            put(p->t, " | '");
            put_path(p->t, path, '/');
            put_format(p->t, " -%c'", o->letter);
        }
        put(p->t, ")\n            ");
        put_offer(p->t, o, p->root);
        put(p->t, "\n            return\n            ;;\n");
    }
    return 0;
}

static int put_operand_values(void *user, const command *c, const char *path)
{
    const place *p = user;
    for (int i = 0; i < c->n_operands; i++) {
        put(p->t, "        ");
        put_path(p->t, path, '/');
        if (c->operands[i].repeatable)
            put(p->t, ":*) ");
        else
            put_format(p->t, ":%d) ", i);
        put_offer(p->t, &c->operands[i], p->root);
        put(p->t, " ;;\n");
    }
    return 0;
}

void put_bash(text_buffer *t, const command *root)
{
    place p = { t, root };
    put(t, head);
    for_each_command(root, put_known, t);
    put(t, middle);
    for_each_command(root, put_tables, t);
    put(t, values);
    for_each_command(root, put_option_values, &p);
    put(t, rest);
    for_each_command(root, put_operand_values, &p);
    put(t, tail);
}
