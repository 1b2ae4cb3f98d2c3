/** @file
 * sevirctl: what its commands share.
 *
 * A command is one `struct ctl_command` in a file `cmd_*.c`, and one line in commands.def. Its
 * options are declared in a table: the core parses the command line by it (so every usage error is
 * worded in one place), and the help, the completion and the man page are made from it.
 *
 * Whatever came from outside (keys, messages, the daemon's answers) reaches a terminal through
 * ctl_clean() only: control characters are written as escapes, so that no object's name can move a
 * cursor or colour a line. The helpers below do that themselves.
 *
 * Thread:     one.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/rc.h"
#include "lib/base/scope.h"
#include "lib/base/str.h"
#include "lib/sevir/selection.h"

enum ctl_exit {
    CTL_DONE = 0,
    CTL_FAILED = 1, /**< The message says what and, where one can act, how. */
    CTL_USAGE = 2,
    CTL_NO_DAEMON = 3,
    CTL_TIMED_OUT = 4
};

struct ctl {
    const char *socket; /**< Of the daemon. */
    bool json;          /**< One JSON document on standard output (one a line for streams). */
    bool progress;      /**< Bars may be drawn: standard error is a terminal, no --no-progress. */
    bool terminal;      /**< Standard output is one. */
};

/* ---- commands ---------------------------------------------------------------------------- */

struct ctl_option {
    const char *name;  /**< Long name, without the dashes; NULL ends a table. */
    char letter;       /**< 'o' for -o, or 0. */
    const char *value; /**< What the help calls its value ("N"); NULL: a flag. */
    const char *help;  /**< One line, lower case, no full stop. */
};

/** What the command line said; borrowed from argv. */
struct ctl_args {
    struct ctl_given {
        const struct ctl_option *option;
        const char *value; /**< "" for a flag. */
    } * given;
    unsigned given_count;
    const char **words; /**< The arguments that are no options. */
    unsigned word_count;
};

struct ctl_command {
    const char *name;
    const char *arguments; /**< For the usage line: "FILE... URI"; "" when there are none. */
    const char *summary;   /**< One line: what it does; lower case, no full stop. */
    const char *help; /**< More, for `help COMMAND` and the man page; NULL: the summary is all. */
    const struct ctl_option *options; /**< NULL: none. */
    unsigned min_words, max_words;    /**< UINT_MAX: any number. */
    bool local;                       /**< Needs no daemon. */
    enum ctl_exit (*run)(struct ctl *ctl, const struct ctl_args *args);
};

/** In the order of commands.def; ends with NULL. */
extern const struct ctl_command *const ctl_commands[];

bool ctl_flag(const struct ctl_args *args, const char *name);
/** The last value given, or NULL. */
const char *ctl_value(const struct ctl_args *args, const char *name);
/** A whole number in its range; `missing` when it was not given. RC_INVALID names option and value.
 */
enum rc ctl_number(const struct ctl_args *args, const char *name, uint64_t min, uint64_t max,
                   uint64_t missing, uint64_t *ret_number, struct err *err);
/** "30", "30s", "5m", in milliseconds; `missing` when it was not given. */
enum rc ctl_time(const struct ctl_args *args, const char *name, int64_t missing, int64_t *ret_ms,
                 struct err *err);

/** The ARGS of a selection; put this first or last in a table of options. */
#define CTL_SELECTION_OPTIONS                                                                \
    {"year", 0, "Y", "only this year (repeatable)"},                                         \
        {"month", 0, "M", "only this month, 1 to 12 (repeatable)"},                          \
        {"type", 0, "T", "only this image type: vis, ir069, ir107, vil, lght (repeatable)"}, \
        {"events", 0, "KIND", "storm, random or all"},                                       \
        {"event-type", 0, "E", "only this event type, as 'Tornado' (repeatable)"},           \
        {"id", 0, "ID", "only this event (repeatable)"},                                     \
        {"bbox", 0, "LAT0,LON0,LAT1,LON1", "only events whose box meets this one"},          \
    {                                                                                        \
        "limit", 0, "N", "at most this many rows"                                            \
    }
/** Of commands that read or write s3:// URIs; named as awscli has them. */
#define CTL_S3_OPTIONS                                                                             \
    {"region", 0, "R", "S3: the region (default: $AWS_REGION, the profile's)"},                    \
        {"endpoint-url", 0, "URL", "S3: of a compatible server (default: $AWS_ENDPOINT_URL)"},     \
        {"profile", 0, "NAME", "S3: of the shared configuration files (default: $AWS_PROFILE)"},   \
        {"no-sign-request", 0, NULL, "S3: unsigned requests, as public buckets accept them"},      \
    {                                                                                              \
        "addressing", 0, "HOW", "S3: the bucket in the path or the host name: auto, path, virtual" \
    }
/** `ret_selection` is the caller's to selection_done(), also after an error. */
enum rc ctl_selection(const struct ctl_args *args, struct selection *ret_selection,
                      struct err *err);

/* ---- output ------------------------------------------------------------------------------ */

/** Text made harmless for a terminal: controls, invalid UTF-8 and bidirectional overrides as \xNN.
 */
void ctl_clean(struct strbuf *out, const char *text);
/** Formatted, cleaned but for its newlines, to standard output. Says nothing with --json. */
void ctl_say(const struct ctl *ctl, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** Bytes to standard output as they are (CSV, JSON); false when nobody reads them any more. */
bool ctl_write(const void *bytes, size_t len);
/** Whether anything of it did not reach standard output, though somebody reads there: a full disk.
 */
bool ctl_output_lost(void);
/** One JSON document and a newline to standard output; pretty on a terminal. */
void ctl_json(const struct ctl *ctl, const json_t *document);

/** "sevirctl: MESSAGE" on standard error. Returns CTL_FAILED, so that one can return it. */
enum ctl_exit ctl_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/** The same from an error; CTL_TIMED_OUT for RC_TIMEOUT, CTL_NO_DAEMON never. */
enum ctl_exit ctl_fail_err(const struct err *err);
/** The same, ending in "; see 'sevirctl help COMMAND'". Returns CTL_USAGE. */
enum ctl_exit ctl_misuse(const char *command, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void ctl_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** A table for people: columns as wide as their content, cut to the terminal. */
struct ctl_table;
/** Titles separated by '|'. One that begins with '>' is of numbers: aligned to the right, cut last;
 * one that begins with '<' is cut first; a '=' in front says nothing: ">JOB|STATE|<LOCATION". */
struct ctl_table *ctl_table_new(const char *titles);
void ctl_table_free(struct ctl_table *table);
SCOPED_FN(struct ctl_table, ctl_table_free)
/** The next cell; rows fill from left to right. Copied and cleaned. NULL is empty. */
void ctl_table_cell(struct ctl_table *table, const char *text);
void ctl_table_cellf(struct ctl_table *table, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/** To standard output; nothing but the titles when there are no rows. */
void ctl_table_print(const struct ctl *ctl, const struct ctl_table *table);

/** A progress bar on standard error; draws nothing unless ctl->progress, nor while there is one
 * already. */
struct ctl_progress;
enum ctl_unit { CTL_COUNT, CTL_BYTES };
struct ctl_progress *ctl_progress_new(const struct ctl *ctl, enum ctl_unit unit);
/** `total` 0: unknown. `label` (what is counted, or a file's name) may be NULL. Draws at most ten
 * times a second. */
void ctl_progress_set(struct ctl_progress *progress, const char *label, uint64_t done,
                      uint64_t total);
/** Removes the bar and frees. */
void ctl_progress_free(struct ctl_progress *progress);
SCOPED_FN(struct ctl_progress, ctl_progress_free)
