/** @file
 * sevirctl: finds the command, checks its arguments by its table, runs it.
 */
#include <limits.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/ctl/ctl_p.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"

#define X(name) extern const struct ctl_command ctl_cmd_##name;
#include "daemon/ctl/commands.def"
#undef X

const struct ctl_command *const ctl_commands[] = {
#define X(name) &ctl_cmd_##name,
#include "daemon/ctl/commands.def"
#undef X
    NULL};

const struct ctl_command *ctl_find(const char *name)
{
    static const struct ctl_command help = {.name = "help", .max_words = 1};

    for (unsigned i = 0; ctl_commands[i] != NULL; i++) {
        if (strcmp(ctl_commands[i]->name, name) == 0) {
            return ctl_commands[i];
        }
    }
    return strcmp(name, "help") == 0 ? &help : NULL;
}

/* ---- help -------------------------------------------------------------------------------- */

static void print_options(const struct ctl_option *table)
{
    for (; table != NULL && table->name != NULL; table++) {
        char letter[8] = "    ", head[96];

        if (table->letter != 0) {
            snprintf(letter, sizeof(letter), "-%c, ", table->letter);
        }
        snprintf(head, sizeof(head), "%s--%s%s%s", letter, table->name,
                 table->value != NULL ? " " : "", table->value != NULL ? table->value : "");
        printf("  %-26s  %s\n", head, table->help);
    }
}

static void print_commands(bool local)
{
    for (unsigned i = 0; ctl_commands[i] != NULL; i++) {
        if (ctl_commands[i]->local == local) {
            printf("  %-10s  %s\n", ctl_commands[i]->name, ctl_commands[i]->summary);
        }
    }
}

void ctl_help(const struct ctl_command *command)
{
    if (command == NULL || command->run == NULL) {
        printf("usage: sevirctl [OPTIONS] COMMAND [ARGUMENTS]\n\nTalking to the daemon:\n");
        print_commands(false);
        printf("\nNeeding no daemon:\n");
        print_commands(true);
        printf("\nOptions:\n");
        print_options(ctl_global_options);
        printf("\n'sevirctl help COMMAND' tells more about one. Exit codes: 0 done, 1 it failed, 2 "
               "wrong usage,\n3 no daemon at the socket, 4 timed out.\n");
        return;
    }
    printf("usage: sevirctl %s%s%s%s\n\n%s\n", command->name,
           command->options != NULL ? " [OPTIONS]" : "", command->arguments[0] != '\0' ? " " : "",
           command->arguments, command->summary);
    if (command->help != NULL) {
        printf("\n%s\n", command->help);
    }
    if (command->options != NULL) {
        printf("\nOptions:\n");
        print_options(command->options);
    }
    printf("\nOptions of every command:\n");
    print_options(ctl_global_options);
}

static enum ctl_exit run_help(const struct ctl_args *args)
{
    const struct ctl_command *command = NULL;

    if (args->word_count > 0) {
        command = ctl_find(args->words[0]);
        if (command == NULL) {
            return ctl_misuse(NULL, "there is no command '%s'", args->words[0]);
        }
    }
    ctl_help(command);
    return CTL_DONE;
}

/* ---- for the completion ------------------------------------------------------------------ */

/** `sevirctl --complete` lists commands, `--complete COMMAND` its options, one a line; a '=' at the
 * end says that it takes a value. Not in the help: only the completion calls it. */
static int complete(const char *name)
{
    const struct ctl_command *command = name != NULL ? ctl_find(name) : NULL;
    const struct ctl_option *const tables[] = {command != NULL ? command->options : NULL,
                                               ctl_global_options};

    if (name == NULL) {
        for (unsigned i = 0; ctl_commands[i] != NULL; i++) {
            puts(ctl_commands[i]->name);
        }
        puts("help");
    }
    for (size_t t = 0; t < ARRAY_LEN(tables); t++) {
        for (const struct ctl_option *o = tables[t]; o != NULL && o->name != NULL; o++) {
            printf("--%s%s\n", o->name, o->value != NULL ? "=" : "");
        }
    }
    return 0;
}

/* ---- run --------------------------------------------------------------------------------- */

static struct ctl settings(const struct ctl_args *args)
{
    const char *socket = ctl_value(args, "socket"), *from_env = getenv("SEVIRD_SOCKET");

    return (struct ctl){
        .socket = socket != NULL                            ? socket
                  : from_env != NULL && from_env[0] != '\0' ? from_env
                                                            : CTL_SOCKET,
        .json = ctl_flag(args, "json"),
        .progress = !ctl_flag(args, "no-progress") && isatty(STDERR_FILENO) == 1,
        .terminal = isatty(STDOUT_FILENO) == 1,
    };
}

/** What connect() can take; libcurl speaks of hosts for the others. */
static bool is_socket_path(const char *path)
{
    return path[0] != '\0' && strlen(path) < sizeof(((struct sockaddr_un *)0)->sun_path);
}

static enum ctl_exit check_words(const struct ctl_command *command, const struct ctl_args *args)
{
    if (args->word_count < command->min_words) {
        return ctl_misuse(command->name, "'%s' wants %s", command->name,
                          command->arguments[0] != '\0' ? command->arguments : "more arguments");
    }
    if (args->word_count > command->max_words) {
        return ctl_misuse(command->name, "unexpected argument '%s'",
                          args->words[command->max_words]);
    }
    return CTL_DONE;
}

static enum ctl_exit run(int argc, char **argv)
{
    scoped(ctl_args_done) struct ctl_args args = {0};
    const struct ctl_command *command;
    enum ctl_exit code = ctl_args_parse(argc, argv, &command, &args);

    if (code != CTL_DONE) {
        return code;
    }
    if (ctl_flag(&args, "version")) {
        printf("sevirctl %s\n", SEVIRD_VERSION);
        return CTL_DONE;
    }
    if (ctl_flag(&args, "help")) {
        ctl_help(command);
        return CTL_DONE;
    }
    if (command == NULL) {
        return ctl_misuse(NULL, "a command is missing");
    }
    if (command->run == NULL) {
        return run_help(&args);
    }
    code = check_words(command, &args);
    if (code != CTL_DONE) {
        return code;
    }
    struct ctl ctl = settings(&args);

    if (!command->local && !is_socket_path(ctl.socket)) {
        return ctl_misuse(command->name, "socket '%.120s': a path of 1 to %zu bytes is wanted",
                          ctl.socket, sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
    }
    return command->run(&ctl, &args);
}

int main(int argc, char **argv)
{
    fs_hold_standard();
    setlocale(LC_CTYPE, "");
    signal(SIGPIPE, SIG_IGN); /* a reader who leaves is an error of write(), not our end */
    if (argc >= 2 && strcmp(argv[1], "--complete") == 0) {
        return complete(argc > 2 ? argv[2] : NULL);
    }
    if (argc == 2 && strcmp(argv[1], "--man") == 0) {
        ctl_man();
        return fflush(stdout) == 0 ? CTL_DONE : CTL_FAILED;
    }
    const enum ctl_exit code = run(argc, argv);

    if (ctl_output_lost() && code == CTL_DONE) {
        return ctl_fail("standard output: cannot be written");
    }
    return (int)code;
}
