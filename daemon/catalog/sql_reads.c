/** @file
 * A statement's first words, and that there is no second statement.
 */
#include "daemon/catalog/sql_reads.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"

#define WORD_MAX 24

/** Past a comment that begins here, or `at` itself. One without an end takes all of the rest. */
static const char *skip_comment(const char *at)
{
    if (str_starts(at, "--")) {
        return at + strcspn(at, "\n");
    }
    if (str_starts(at, "/*")) {
        const char *end = strstr(at + 2, "*/");

        return end != NULL ? end + 2 : at + strlen(at);
    }
    return at;
}

static const char *skip_blank(const char *at)
{
    for (;;) {
        const char *before = at;

        at = skip_comment(at + strspn(at, " \t\r\n\f"));
        if (at == before) {
            return at;
        }
    }
}

/** Past what is in quotes; two of them inside are one of the text, which comes to the same. */
static const char *skip_quoted(const char *at)
{
    const char *end = strchr(at + 1, *at);

    return end != NULL ? end + 1 : at + strlen(at);
}

/** The word that begins here, in lower case; "" if none does. Returns what follows it. */
static const char *take_word(const char *at, char ret_word[WORD_MAX])
{
    size_t len = 0;

    at = skip_blank(at);
    for (; isalpha((unsigned char)*at) || *at == '_'; at++) {
        if (len < WORD_MAX - 1) {
            ret_word[len++] = (char)tolower((unsigned char)*at);
        }
    }
    ret_word[len] = '\0';
    return at;
}

static bool is_one_of(const char *word, const char *const *words, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(word, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

/** Past "(TYPE DISTRIBUTED, FORMAT JSON)", ANALYZE and VERBOSE. */
static const char *skip_explain(const char *at)
{
    char word[WORD_MAX];

    at = skip_blank(at);
    if (*at == '(') {
        at += strcspn(at, ")");
        at += *at == ')';
    }
    for (;;) {
        const char *after = take_word(at, word);

        if (strcmp(word, "analyze") != 0 && strcmp(word, "verbose") != 0) {
            return at;
        }
        at = after;
    }
}

/** "(SELECT ...) UNION ..." is a query too. */
static const char *skip_open(const char *at)
{
    for (at = skip_blank(at); *at == '('; at = skip_blank(at)) {
        at++;
    }
    return at;
}

static bool begins_well(const char *sql)
{
    static const char *const reading[] = {"select", "with"};
    static const char *const telling[] = {"show", "describe", "desc"};
    char word[WORD_MAX];
    const char *at = skip_open(sql);
    const char *after = take_word(at, word);

    if (is_one_of(word, telling, ARRAY_LEN(telling))) {
        return true;
    }
    if (strcmp(word, "explain") == 0) {
        take_word(skip_open(skip_explain(after)), word);
    }
    return is_one_of(word, reading, ARRAY_LEN(reading));
}

/** Whether only blanks follow the first ';' that is one. */
static bool is_single(const char *sql)
{
    const char *at = sql;

    while (*at != '\0' && *at != ';') {
        const char *after = skip_comment(at);

        at = after != at                               ? after
             : *at == '\'' || *at == '"' || *at == '`' ? skip_quoted(at)
                                                       : at + 1;
    }
    while (*at == ';') {
        at = skip_blank(at + 1);
    }
    return *at == '\0';
}

enum rc sql_check_reads(const char *sql, struct err *err)
{
    if (skip_blank(sql)[0] == '\0') {
        return err_set(err, RC_INVALID, "there is no SQL statement in the query");
    }
    if (!begins_well(sql)) {
        return err_set(err, RC_INVALID, SQL_ONLY_READS);
    }
    if (!is_single(sql)) {
        return err_set(err, RC_INVALID, "one statement at a time: there is more after the first");
    }
    return RC_OK;
}
