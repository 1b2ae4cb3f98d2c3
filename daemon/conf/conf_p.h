/** @file
 * What the files of the configuration share: the table of options.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "daemon/conf/conf.h"

enum option_kind {
    OPTION_TEXT,
    OPTION_CHOICE,
    OPTION_LIST,
    OPTION_ENUM,
    OPTION_FLAG,
    OPTION_COUNT,
    OPTION_TIME,
    OPTION_SIZE,
    OPTION_REAL,
    OPTION_SELECT,
    OPTION_GROUP, /**< No option: a heading. */
};

enum option_shape { SHAPE_NUMBER, SHAPE_NUMBERS, SHAPE_TEXT, SHAPE_TEXTS, SHAPE_BOX };

enum option_flags {
    OPTION_RELOAD = 0,
    OPTION_RESTART = 1,
    OPTION_NULLABLE = 2,
};

struct option {
    enum option_kind kind;
    const char *path, *doc;
    unsigned flags;
    size_t offset;        /**< In struct conf. */
    const char *fallback; /**< The default; NULL: null; "@path": that option's value. */
    const char *choices;  /**< CHOICE, LIST, ENUM: "a|b|c". */
    int64_t min, max;     /**< COUNT, TIME, SIZE, REAL. */
    const char *name;     /**< SELECT: for selection_set(). */
    enum option_shape shape;
};

extern const struct option options[];
extern const unsigned option_count;

const struct option *option_find(const char *path);
/** The n-th of "a|b|c" into `ret_text`; false when there are fewer. */
bool option_choice(const char *choices, unsigned n, char ret_text[32]);
/** The position of `text` among the choices, or -1. */
int option_choice_find(const char *choices, const char *text);

/** The default of a REAL. */
json_t *option_real_json(const char *text);
/** "a|b|c" as a list of strings. */
json_t *option_choices_json(const char *choices);

/** Set from the text of a default. Requires: the default is right (a test checks them all). */
void option_set_fallback(const struct option *option, struct conf *conf);
/** Set from a JSON value; the error does not name the option yet. */
enum rc option_set(const struct option *option, struct conf *conf, const json_t *value,
                   struct err *err);
/** As --print-config shows it; NULL when there is nothing to show. The caller decrefs. */
json_t *option_json(const struct option *option, const struct conf *conf);

/** What no single option can know: paths that overlap, engines this build lacks. */
enum rc conf_check(const struct conf *conf, struct err *err);
