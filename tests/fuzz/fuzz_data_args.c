/** @file
 * Any query of /v1/data is refused in one line, or makes of every chart one statement that runs:
 * values stay values.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/catalog/catalog_p.h"
#include "daemon/catalog/catalog_query.h"
#include "daemon/ops/data_args.h"
#include "lib/base/mem.h"

#define MOST_ARGS 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct db *catalog(void)
{
    static struct db *db;
    struct err err;

    if (db == NULL && (db_open(":memory:", DB_READ_WRITE, false, &db, &err) != RC_OK ||
                       catalog_migrate(db, &err) != RC_OK)) {
        abort();
    }
    return db;
}

static int hex(char digit)
{
    const char *digits = "0123456789abcdef";
    const char *found = digit != '\0' ? strchr(digits, digit) : NULL;

    return found != NULL ? (int)(found - digits) : -1;
}

/** "%27" and "+", in place, as the server does. */
static void decode(char *text)
{
    char *to = text;

    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '%' && hex(at[1]) >= 0 && hex(at[2]) >= 0) {
            *to++ = (char)(hex(at[1]) << 4 | hex(at[2]));
            at += 2;
        } else {
            *to++ = *at == '+' ? ' ' : *at;
        }
    }
    *to = '\0';
}

static unsigned split(char *query, struct http_pair args[MOST_ARGS])
{
    unsigned count = 0;
    char *rest = NULL;

    for (char *part = strtok_r(query, "&", &rest); part != NULL && count < MOST_ARGS;
         part = strtok_r(NULL, "&", &rest)) {
        char *value = part + strcspn(part, "=");

        if (*value == '=') {
            *value++ = '\0';
        }
        decode(part);
        decode(value);
        args[count++] = (struct http_pair){part, value};
    }
    return count;
}

static void must_be_one_line(const struct err *err)
{
    if (err->rc != RC_INVALID || err->text[0] == '\0' || strchr(err->text, '\n') != NULL) {
        abort();
    }
}

static void draw(const struct catalog_chart *chart, const struct catalog_chart_args *args)
{
    scoped(strbuf_done) struct strbuf sql = {0}, rows = {0};
    struct catalog_query_result result;
    struct err err = {0};

    if (catalog_chart_sql(chart, args, &sql, &err) != RC_OK) {
        must_be_one_line(&err);
        return;
    }
    const struct catalog_query query = {.sql = strbuf_text(&sql), .format = CATALOG_JSON};

    if (catalog_query_run(catalog(), &query, &rows, &result, &err) != RC_OK) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    scoped(free) char *query = str_dup_n((const char *)data, size);
    struct http_pair pairs[MOST_ARGS];
    struct catalog_chart_args args;
    struct err err = {0};

    if (data_args_read(pairs, split(query, pairs), &args, &err) != RC_OK) {
        must_be_one_line(&err);
        return 0;
    }
    for (unsigned i = 0; i < catalog_chart_count; i++) {
        draw(&catalog_charts[i], &args);
    }
    return 0;
}
