/** @file
 * The log: one line an event, `[job   ] job=42 CRAWLING -> CRAWLED`.
 *
 * Under systemd lines go to the journal with MESSAGE, PRIORITY, SEVIRD_TAG, CODE_FILE, CODE_LINE
 * and the fields given by log_fields(); elsewhere readable lines go to standard error, coloured on
 * a terminal. Library code returns errors; daemon code logs them, once.
 *
 * Thread:     any; a line is written by one system call.
 */
#pragma once

#include <stdbool.h>

/* clang-format off */
#define LOG_TAG_MAP(X) \
    X(DAEMON,  "daemon") X(CONF,    "conf")   X(SOURCE, "source") X(INTAKE,  "intake") \
    X(JOB,     "job")    X(CRAWL,   "crawl")  X(ETL,    "etl")    X(PUBLISH, "publsh") \
    X(CATALOG, "catlog") X(STORE,   "store")  X(DB,     "db")     X(HTTP,    "http")   \
    X(CONTROL, "contrl") X(H5,      "h5")     X(AWS,    "aws")
/* clang-format on */

enum log_tag {
#define X(name, text) LOG_##name,
    LOG_TAG_MAP(X)
#undef X
        LOG_TAG_COUNT
};

/** syslog's numbers. */
enum log_level { LOG_ERROR = 3, LOG_WARN = 4, LOG_NOTE = 5, LOG_INFO = 6, LOG_DEBUG = 7 };

/** Journal fields beside the message: "SEVIRD_JOB=42". At most 8 are used. */
struct log_fields {
    const char *const *items; /**< "NAME=value" */
    unsigned count;
};

/** Choose the sink (journal when $JOURNAL_STREAM is our standard error) and the lowest priority. */
void log_start(enum log_level lowest);
void log_set_level(enum log_level lowest);
/** "error", "warn", "note", "info", "debug". */
bool log_level_parse(const char *text, enum log_level *ret_level);

void log_write(enum log_level level, enum log_tag tag, const struct log_fields *fields,
               const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));

#define log_error(tag, ...) log_write(LOG_ERROR, tag, NULL, __FILE__, __LINE__, __VA_ARGS__)
#define log_warn(tag, ...) log_write(LOG_WARN, tag, NULL, __FILE__, __LINE__, __VA_ARGS__)
#define log_note(tag, ...) log_write(LOG_NOTE, tag, NULL, __FILE__, __LINE__, __VA_ARGS__)
#define log_info(tag, ...) log_write(LOG_INFO, tag, NULL, __FILE__, __LINE__, __VA_ARGS__)
#define log_debug(tag, ...) log_write(LOG_DEBUG, tag, NULL, __FILE__, __LINE__, __VA_ARGS__)
