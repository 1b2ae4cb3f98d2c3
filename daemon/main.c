/** @file
 * sevird: the command line.
 */
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "daemon/daemon.h"
#include "lib/base/fs.h"
#include "lib/run/signals.h"

static const char usage[] =
    "usage: sevird --config FILE [--check | --print-config]\n"
    "       sevird --version | --help\n"
    "\n"
    "Takes SEVIR weather imagery from a raw store to a processed one, and remembers everything it "
    "did.\n"
    "\n"
    "  -c, --config FILE   the configuration, JSON (sevird.json(5))\n"
    "      --check         only say whether the configuration is valid\n"
    "      --print-config  print the whole configuration with its defaults, as JSON\n"
    "      --version       print the version\n"
    "  -h, --help          print this\n"
    "\n"
    "Exit codes: 0 done, 1 it failed (the message says what), 2 wrong usage.\n"
    "SIGTERM and SIGINT stop it gracefully (twice: at once); SIGHUP reloads the configuration.\n";

enum { OPTION_CHECK = 256, OPTION_PRINT, OPTION_VERSION };

static const struct option options[] = {
    {"config", required_argument, NULL, 'c'},
    {"check", no_argument, NULL, OPTION_CHECK},
    {"print-config", no_argument, NULL, OPTION_PRINT},
    {"version", no_argument, NULL, OPTION_VERSION},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

/** What the command line says. */
struct wishes {
    const char *config;
    bool check, print, version, help;
};

static enum daemon_exit usage_error(const char *what, const char *about)
{
    fprintf(stderr, "sevird: %s%s%s%s; try 'sevird --help'\n", what, about != NULL ? " '" : "",
            about != NULL ? about : "", about != NULL ? "'" : "");
    return DAEMON_EXIT_USAGE;
}

static enum daemon_exit parse(int argc, char **argv, struct wishes *wishes)
{
    int option;

    while ((option = getopt_long(argc, argv, ":c:h", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            wishes->config = optarg;
            break;
        case 'h':
            wishes->help = true;
            break;
        case OPTION_CHECK:
            wishes->check = true;
            break;
        case OPTION_PRINT:
            wishes->print = true;
            break;
        case OPTION_VERSION:
            wishes->version = true;
            break;
        case ':':
            return usage_error("a value is missing after", argv[optind - 1]);
        default:
            return usage_error("there is no option", argv[optind - 1]);
        }
    }
    if (optind < argc) {
        return usage_error("there is nothing to do with the argument", argv[optind]);
    }
    if (wishes->check && wishes->print) {
        return usage_error("--check and --print-config exclude each other", NULL);
    }
    if (wishes->config == NULL && !wishes->help && !wishes->version) {
        return usage_error("--config FILE is missing", NULL);
    }
    return DAEMON_EXIT_OK;
}

/** Whether standard output took everything: a full disk is a failure too. */
static enum daemon_exit flushed(void)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "sevird: cannot write to standard output\n");
        return DAEMON_EXIT_FAILED;
    }
    return DAEMON_EXIT_OK;
}

static enum daemon_exit print_config(const struct conf *conf)
{
    scoped(strbuf_done) struct strbuf text = {0};

    conf_print(conf, &text);
    fputs(strbuf_text(&text), stdout);
    return flushed();
}

/** glibc gives every thread a heap of its own, and none of them what another has freed: each then
 * keeps the most that it ever held, twice the memory budget in sum. The workers' buffers are large
 * and kept, so they seldom meet at one heap's lock. */
static void use_one_heap(void)
{
#ifdef __GLIBC__
    (void)mallopt(M_ARENA_MAX, 1);
    /* Events' pixels are kept by whoever works on them, and leave no holes when they go; what is
     * smaller comes and goes, and is given back once all is idle. */
    (void)mallopt(M_MMAP_THRESHOLD, 3 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 16 << 20);
#endif
}

int main(int argc, char **argv)
{
    struct wishes wishes = {.config = NULL};
    struct conf *conf = NULL;
    struct err err;
    const enum daemon_exit parsed = parse(argc, argv, &wishes);

    fs_hold_standard();
    signals_hold(SIGHUP); /* who reloads while it starts means what it has read, or will read */
    use_one_heap();
    if (parsed != DAEMON_EXIT_OK) {
        return parsed;
    }
    if (wishes.help || wishes.version) {
        fputs(wishes.help ? usage : "sevird " SEVIRD_VERSION "\n", stdout);
        return flushed();
    }
    if (conf_load(wishes.config, &conf, &err) != RC_OK) {
        fprintf(stderr, "sevird: %s\n", err.text);
        return DAEMON_EXIT_FAILED;
    }
    if (wishes.check || wishes.print) {
        scoped(conf_free) struct conf *checked = conf;

        if (wishes.print) {
            return print_config(checked);
        }
        printf("%s: valid\n", wishes.config);
        return flushed();
    }
    return daemon_run(wishes.config, conf);
}
