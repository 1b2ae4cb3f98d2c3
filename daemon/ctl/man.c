/** @file
 * The man page of sevirctl, made from the tables of commands and options at build time, so that it
 * cannot fall behind them.
 */
#include <stdio.h>

#include "daemon/ctl/ctl_p.h"
#include "lib/base/mem.h"

static const char head[] =
    ".TH SEVIRCTL 1 \"\" \"sevird " SEVIRD_VERSION "\" \"User Commands\"\n"
    ".SH NAME\n"
    "sevirctl \\- talk to sevird, and work on SEVIR files without it\n"
    ".SH SYNOPSIS\n"
    ".B sevirctl\n"
    "[\\fIOPTIONS\\fR] \\fICOMMAND\\fR [\\fIARGUMENTS\\fR]\n"
    ".SH DESCRIPTION\n"
    "Commands of the first kind ask the daemon, through its control socket, what it does, and tell "
    "it\n"
    "what to do. Those of the second kind need no daemon: they look into SEVIR's catalog and HDF5\n"
    "files, select, copy and draw. A URI is a path or file:///PATH.\n"
    ".PP\n"
    "Tables are for people. With \\fB\\-\\-json\\fR, standard output carries one JSON document (or "
    "one a\n"
    "line, for streams) and nothing else. Errors are one line on standard error.\n";

static const char tail[] =
    ".SH EXIT STATUS\n"
    ".TP\n0\ndone\n"
    ".TP\n1\nit failed; the message says what and, where one can act, how\n"
    ".TP\n2\nwrong usage\n"
    ".TP\n3\nno daemon at the socket\n"
    ".TP\n4\ntimed out\n"
    ".SH ENVIRONMENT\n"
    ".TP\n.B SEVIRD_SOCKET\nthe control socket, where \\fB\\-\\-socket\\fR does not name one\n"
    ".TP\n.B XDG_CACHE_HOME\nwhat stands for \\fI~/.cache\\fR\n"
    ".SH FILES\n"
    ".TP\n.I " CTL_SOCKET
    "\nthe control socket; root, the daemon's user and its group may connect, and\n"
    "only root and the daemon's user may change things\n"
    ".TP\n.I ~/.cache/sevird/transfers\nnotes of unfinished uploads, by which \\fBcopy\\fR and "
    "\\fBupload\\fR go on with them; without\nits note one begins anew\n"
    ".SH EXAMPLES\n"
    ".EX\n"
    "sevirctl submit /var/lib/sevird/raw/CATALOG.csv\n"
    "sevirctl wait \\-\\-timeout 10m\n"
    "sevirctl explain data/vil/2019/SEVIR_VIL_STORMEVENTS_2019_0101_0630.h5\n"
    "sevirctl query \\(aqSELECT event_type, count(*) FROM events GROUP BY 1\\(aq\n"
    "sevirctl \\-\\-json jobs \\-\\-state QUARANTINED\n"
    ".EE\n"
    ".SH SEE ALSO\n"
    ".BR sevird (8),\n"
    ".BR sevird.json (5)\n";

/** Text as roff takes it literally. Lines that are empty become paragraphs. */
static void put_text(const char *text)
{
    bool line_begins = true;

    for (const char *p = text; *p != '\0'; p++) {
        if (line_begins && *p == '\n') {
            fputs(".sp", stdout);
        } else if (line_begins && (*p == '.' || *p == '\'')) {
            fputs("\\&", stdout);
        }
        line_begins = *p == '\n';
        switch (*p) {
        case '\\':
            fputs("\\e", stdout);
            break;
        case '-':
            fputs("\\-", stdout);
            break;
        case '\'':
            fputs("\\(aq", stdout);
            break;
        default:
            putchar(*p);
        }
    }
}

static void put_options(const struct ctl_option *table)
{
    for (; table != NULL && table->name != NULL; table++) {
        fputs(".TP\n", stdout);
        if (table->letter != 0) {
            printf("\\fB\\-%c\\fR, ", table->letter);
        }
        fputs("\\fB\\-\\-", stdout);
        put_text(table->name);
        fputs("\\fR", stdout);
        if (table->value != NULL) {
            fputs(" \\fI", stdout);
            put_text(table->value);
            fputs("\\fR", stdout);
        }
        putchar('\n');
        put_text(table->help);
        putchar('\n');
    }
}

static void put_command(const struct ctl_command *command)
{
    printf(".SS %s", command->name);
    if (command->options != NULL) {
        fputs(" [OPTIONS]", stdout);
    }
    if (command->arguments[0] != '\0') {
        putchar(' ');
        put_text(command->arguments);
    }
    putchar('\n');
    put_text(command->summary);
    fputs(".\n", stdout);
    if (command->help != NULL) {
        fputs(".PP\n", stdout);
        put_text(command->help);
        putchar('\n');
    }
    put_options(command->options);
}

void ctl_man(void)
{
    fputs(head, stdout);
    fputs(".SH OPTIONS\nThey may stand before the command or after it.\n", stdout);
    put_options(ctl_global_options);
    for (int local = 0; local < 2; local++) {
        fputs(local == 0 ? ".SH COMMANDS THAT TALK TO THE DAEMON\n"
                         : ".SH COMMANDS THAT NEED NO DAEMON\n",
              stdout);
        for (unsigned i = 0; ctl_commands[i] != NULL; i++) {
            if (ctl_commands[i]->local == (local == 1)) {
                put_command(ctl_commands[i]);
            }
        }
    }
    fputs(tail, stdout);
}
