/** @file
 * The command line, by the tables of options.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/ctl/ctl_p.h"
#include "lib/base/mem.h"

const struct ctl_option ctl_global_options[] = {
    {"socket", 0, "PATH", "the daemon's control socket (default: $SEVIRD_SOCKET, " CTL_SOCKET ")"},
    {"json", 0, NULL, "one JSON document on standard output, or one a line for streams"},
    {"no-progress", 0, NULL, "draw no progress bars"},
    {"help", 'h', NULL, "show this"},
    {"version", 0, NULL, "show the version"},
    {NULL}};

static const struct ctl_option *find_option(const struct ctl_option *table, const char *name,
                                            size_t len)
{
    for (; table != NULL && table->name != NULL; table++) {
        if (strlen(table->name) == len && strncmp(table->name, name, len) == 0) {
            return table;
        }
    }
    return NULL;
}

static const struct ctl_option *find_letter(const struct ctl_option *table, char letter)
{
    for (; table != NULL && table->name != NULL; table++) {
        if (table->letter != 0 && table->letter == letter) {
            return table;
        }
    }
    return NULL;
}

static const char *nearest_option(const struct ctl_option *own, const char *name)
{
    const struct ctl_option *const tables[] = {own, ctl_global_options};
    const char *best = NULL;
    unsigned least = (unsigned)strlen(name) / 3 + 2; /* further off it is another word */

    for (size_t t = 0; t < ARRAY_LEN(tables); t++) {
        for (const struct ctl_option *o = tables[t]; o != NULL && o->name != NULL; o++) {
            if (str_distance(o->name, name) < least) {
                least = str_distance(o->name, name);
                best = o->name;
            }
        }
    }
    return best;
}

static enum ctl_exit unknown_option(const struct ctl_command *command, const char *word)
{
    const char *name = command != NULL ? command->name : NULL;
    scoped(free) char *bare = str_dup_n(word, strcspn(word, "="));
    const char *nearest =
        nearest_option(command != NULL ? command->options : NULL, bare + strspn(bare, "-"));

    return nearest != NULL
               ? ctl_misuse(name, "unknown option '%s'; did you mean '--%s'?", bare, nearest)
               : ctl_misuse(name, "unknown option '%s'", bare);
}

static void give(struct ctl_args *args, const struct ctl_option *option, const char *value)
{
    args->given = mem_resize(args->given, args->given_count + 1, sizeof(*args->given));
    args->given[args->given_count++] = (struct ctl_given){option, value};
}

/** One "--name", "--name=value", "--name value", "-x value" or "-xvalue". */
static enum ctl_exit take_option(struct ctl_args *args, const struct ctl_command *command,
                                 char **argv, int *at)
{
    const struct ctl_option *own = command != NULL ? command->options : NULL, *option;
    const char *word = argv[*at], *value = NULL;

    if (word[1] == '-') {
        const size_t len = strcspn(word + 2, "=");
        option = find_option(own, word + 2, len);
        option = option != NULL ? option : find_option(ctl_global_options, word + 2, len);
        value = word[2 + len] == '=' ? word + 2 + len + 1 : NULL;
    } else {
        option = find_letter(own, word[1]);
        option = option != NULL ? option : find_letter(ctl_global_options, word[1]);
        value = word[2] != '\0' ? word + 2 : NULL;
    }
    const char *name = command != NULL ? command->name : NULL;
    if (option == NULL) {
        return unknown_option(command, word);
    }
    if (option->value == NULL) {
        if (value != NULL) {
            return ctl_misuse(name, "option '--%s' takes no value", option->name);
        }
        give(args, option, "");
        return CTL_DONE;
    }
    value = value != NULL ? value : argv[*at + 1] != NULL ? argv[++*at] : NULL;
    if (value == NULL) {
        return ctl_misuse(name, "option '--%s' wants a value, %s", option->name, option->value);
    }
    give(args, option, value);
    return CTL_DONE;
}

static enum ctl_exit find_command(const char *word, const struct ctl_command **ret_command)
{
    const char *nearest = NULL;
    unsigned least = (unsigned)strlen(word) / 3 + 2;

    *ret_command = ctl_find(word);
    if (*ret_command != NULL) {
        return CTL_DONE;
    }
    for (unsigned i = 0; ctl_commands[i] != NULL; i++) {
        if (str_distance(ctl_commands[i]->name, word) < least) {
            least = str_distance(ctl_commands[i]->name, word);
            nearest = ctl_commands[i]->name;
        }
    }
    return nearest != NULL
               ? ctl_misuse(NULL, "unknown command '%s'; did you mean '%s'?", word, nearest)
               : ctl_misuse(NULL, "unknown command '%s'", word);
}

enum ctl_exit ctl_args_parse(int argc, char **argv, const struct ctl_command **ret_command,
                             struct ctl_args *args)
{
    bool only_words = false;

    *ret_command = NULL;
    args->words = mem_zeroed(((size_t)argc + 1) * sizeof(*args->words));
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        enum ctl_exit code = CTL_DONE;

        if (!only_words && strcmp(word, "--") == 0) {
            only_words = true;
        } else if (!only_words && word[0] == '-' && word[1] != '\0') {
            code = take_option(args, *ret_command, argv, &i);
        } else if (*ret_command == NULL) {
            code = find_command(word, ret_command);
        } else {
            args->words[args->word_count++] = word;
        }
        if (code != CTL_DONE) {
            return code;
        }
    }
    return CTL_DONE;
}

void ctl_args_done(struct ctl_args *args)
{
    free(args->given);
    free(args->words);
}

bool ctl_flag(const struct ctl_args *args, const char *name)
{
    return ctl_value(args, name) != NULL;
}

const char *ctl_value(const struct ctl_args *args, const char *name)
{
    for (unsigned i = args->given_count; i > 0; i--) {
        if (strcmp(args->given[i - 1].option->name, name) == 0) {
            return args->given[i - 1].value;
        }
    }
    return NULL;
}

enum rc ctl_number(const struct ctl_args *args, const char *name, uint64_t min, uint64_t max,
                   uint64_t missing, uint64_t *ret_number, struct err *err)
{
    const char *text = ctl_value(args, name);
    uint64_t number = missing;

    if (text != NULL && (!str_to_u64(text, &number) || number < min || number > max)) {
        return max == UINT64_MAX
                   ? err_set(err, RC_INVALID, "'--%s': '%.60s' is no whole number from %llu on",
                             name, text, (unsigned long long)min)
                   : err_set(err, RC_INVALID,
                             "'--%s': '%.60s' is no whole number from %llu to %llu", name, text,
                             (unsigned long long)min, (unsigned long long)max);
    }
    *ret_number = number;
    return RC_OK;
}

enum rc ctl_time(const struct ctl_args *args, const char *name, int64_t missing, int64_t *ret_ms,
                 struct err *err)
{
    const char *text = ctl_value(args, name);
    int64_t ms = missing;
    double seconds;

    if (text != NULL && !str_to_ms(text, &ms)) {
        if (!str_to_double(text, &seconds) || seconds < 0 || seconds > 1e9) {
            return err_set(err, RC_INVALID, "'--%s': '%.60s' is no time, as 30, 90s or 5m", name,
                           text);
        }
        ms = (int64_t)(seconds * 1000);
    }
    *ret_ms = ms;
    return RC_OK;
}

enum rc ctl_selection(const struct ctl_args *args, struct selection *ret_selection, struct err *err)
{
    static const struct ctl_option table[] = {CTL_SELECTION_OPTIONS, {NULL}};

    *ret_selection = (struct selection){0};
    for (unsigned i = 0; i < args->given_count; i++) {
        const struct ctl_given *given = &args->given[i];
        if (find_option(table, given->option->name, strlen(given->option->name)) != NULL &&
            selection_set(ret_selection, given->option->name, given->value, err) != RC_OK) {
            return err->rc;
        }
    }
    return RC_OK;
}
