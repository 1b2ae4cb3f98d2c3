/** @file
 * People's SQL: compiled under an authorizer, stepped within limits, written as JSON or CSV.
 */
#include "daemon/catalog/catalog_query.h"

#include <strings.h>

#include "daemon/catalog/catalog_p.h"
#include "daemon/catalog/sql_reads.h"
#include "lib/base/mem.h"

/** Bounds of what one statement may be and make, so that no text or value eats the daemon. */
static const struct {
    int id, value;
} limits[] = {
    {SQLITE_LIMIT_LENGTH, 16 << 20},          {SQLITE_LIMIT_SQL_LENGTH, 256 << 10},
    {SQLITE_LIMIT_EXPR_DEPTH, 200},           {SQLITE_LIMIT_COMPOUND_SELECT, 100},
    {SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1000},
};

/** What the authorizer refused, for the message. */
struct refusal {
    int action;
    char what[64];
};

static bool is_harmless_pragma(const char *name)
{
    static const char *const harmless[] = {"table_info", "table_xinfo", "table_list",
                                           "index_list", "index_info",  "function_list"};

    for (unsigned i = 0; i < ARRAY_LEN(harmless); i++) {
        if (name != NULL && strcasecmp(name, harmless[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_dangerous_function(const char *name)
{
    static const char *const dangerous[] = {"load_extension", "writefile", "readfile",  "edit",
                                            "fts3_tokenizer", "zeroblob",  "randomblob"};

    for (unsigned i = 0; i < ARRAY_LEN(dangerous); i++) {
        if (name != NULL && strcasecmp(name, dangerous[i]) == 0) {
            return true;
        }
    }
    return false;
}

static int authorize(void *arg, int action, const char *first, const char *second,
                     const char *database, const char *trigger)
{
    struct refusal *refusal = arg;
    const char *what = first;

    (void)database, (void)trigger;
    switch (action) {
    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_RECURSIVE:
        return SQLITE_OK;

    case SQLITE_FUNCTION:
        if (!is_dangerous_function(second)) {
            return SQLITE_OK;
        }
        what = second;
        break;

    case SQLITE_PRAGMA:
        if (is_harmless_pragma(first)) {
            return SQLITE_OK;
        }
        break;

    default:
        break;
    }
    if (refusal->action == 0) {
        refusal->action = action;
        snprintf(refusal->what, sizeof(refusal->what), "%s", what != NULL ? what : "");
    }
    return SQLITE_DENY;
}

static enum rc only_reads(struct err *err)
{
    return err_set(err, RC_INVALID, SQL_ONLY_READS);
}

static enum rc refused(const struct refusal *refusal, struct err *err)
{
    switch (refusal->action) {
    case SQLITE_FUNCTION:
        return err_set(err, RC_INVALID, "function '%s' is not allowed in a query", refusal->what);
    case SQLITE_PRAGMA:
        return err_set(err, RC_INVALID, "pragma '%s' is not allowed in a query", refusal->what);
    case SQLITE_ATTACH:
    case SQLITE_DETACH:
        return err_set(err, RC_INVALID, "a query cannot attach or detach databases");
    case SQLITE_TRANSACTION:
    case SQLITE_SAVEPOINT:
        return err_set(err, RC_INVALID, "a query cannot begin or end transactions");
    default:
        return only_reads(err);
    }
}

static enum rc sql_error(struct db *db, int code, struct err *err)
{
    const char *message = sqlite3_errmsg(db_handle(db));

    switch (code & 0xff) {
    case SQLITE_ERROR:
        if (str_starts(message, "cannot modify")) { /* a view: the authorizer was not asked */
            return only_reads(err);
        }
        return err_set(err, RC_INVALID, "%s%s", message,
                       str_starts(message, "no such table")
                           ? "; 'SELECT \"database\", name FROM tables' lists what there is"
                           : "");
    case SQLITE_TOOBIG:
        return err_set(err, RC_LIMIT, "the statement, or a value in it, is too long");
    case SQLITE_READONLY:
    case SQLITE_AUTH:
        return only_reads(err);
    default:
        return db_error(db, code, "query", err);
    }
}

/** Skip blanks, comments and semicolons; what is left would be a second statement. */
static bool is_blank(const char *sql)
{
    while (*sql != '\0') {
        if (strchr(" \t\r\n\f;", *sql) != NULL) {
            sql++;
        } else if (str_starts(sql, "--")) {
            sql += strcspn(sql, "\n");
        } else if (str_starts(sql, "/*")) {
            const char *end = strstr(sql + 2, "*/");

            sql = end != NULL ? end + 2 : sql + strlen(sql);
        } else {
            return false;
        }
    }
    return true;
}

static enum rc compile(struct db *db, const char *sql, sqlite3_stmt **ret_stmt, struct err *err)
{
    scoped(catalog_finalize) sqlite3_stmt *stmt = NULL;
    struct refusal refusal = {0};
    const char *rest = NULL;
    int code;

    if (is_blank(sql)) {
        return err_set(err, RC_INVALID, "there is no SQL statement in the query");
    }
    sqlite3_set_authorizer(db_handle(db), authorize, &refusal);
    code = sqlite3_prepare_v2(db_handle(db), sql, -1, &stmt, &rest);
    sqlite3_set_authorizer(db_handle(db), NULL, NULL);
    if (refusal.action != 0) {
        return refused(&refusal, err);
    }
    if (code != SQLITE_OK) {
        return sql_error(db, code, err);
    }
    if (stmt == NULL || !is_blank(rest)) {
        return err_set(err, RC_INVALID, "one statement at a time: there is more after the first");
    }
    if (!sqlite3_stmt_readonly(stmt) || sqlite3_column_count(stmt) == 0) {
        return only_reads(err);
    }
    if (sqlite3_bind_parameter_count(stmt) > 0) {
        return err_set(err, RC_INVALID, "a query takes no parameters: write values into it");
    }
    *ret_stmt = TAKE(stmt);
    return RC_OK;
}

/* ---- rows ----------------------------------------------------------------------------------- */

static void add_cell(sqlite3_stmt *stmt, int column, struct catalog_result *result)
{
    switch (sqlite3_column_type(stmt, column)) {
    case SQLITE_INTEGER:
        catalog_result_int(result, sqlite3_column_int64(stmt, column));
        return;
    case SQLITE_FLOAT:
        catalog_result_double(result, sqlite3_column_double(stmt, column));
        return;
    case SQLITE_TEXT: {
        const char *text = (const char *)sqlite3_column_text(stmt, column);

        catalog_result_text(result, text, (size_t)sqlite3_column_bytes(stmt, column));
        return;
    }
    case SQLITE_BLOB: {
        const void *bytes = sqlite3_column_blob(stmt, column);

        catalog_result_hex(result, bytes, (size_t)sqlite3_column_bytes(stmt, column));
        return;
    }
    default:
        catalog_result_null(result);
    }
}

/** By the declaration, or, for an expression, by the first row. */
static const char *column_type(sqlite3_stmt *stmt, int column, bool has_row)
{
    enum catalog_type type = catalog_type_declared(sqlite3_column_decltype(stmt, column));

    if (type == CATALOG_TYPE_NONE && has_row) {
        int found = sqlite3_column_type(stmt, column);

        type = found == SQLITE_INTEGER ? CATALOG_TYPE_BIGINT
               : found == SQLITE_FLOAT ? CATALOG_TYPE_DOUBLE
                                       : CATALOG_TYPE_STRING;
    }
    return catalog_type_name(type);
}

static void add_head(sqlite3_stmt *stmt, bool has_row, struct catalog_result *result)
{
    const int count = sqlite3_column_count(stmt);
    scoped(free) struct catalog_result_column *columns =
        mem_zeroed((size_t)MAX_OF(count, 1) * sizeof(*columns));

    for (int i = 0; i < count; i++) {
        columns[i] = (struct catalog_result_column){sqlite3_column_name(stmt, i),
                                                    column_type(stmt, i, has_row)};
    }
    catalog_result_head(result, columns, (unsigned)count);
}

static void add_row(sqlite3_stmt *stmt, struct catalog_result *result)
{
    const int count = sqlite3_column_count(stmt);

    catalog_result_row(result);
    for (int i = 0; i < count; i++) {
        add_cell(stmt, i, result);
    }
    catalog_result_row_end(result);
}

static enum rc collect(struct db *db, sqlite3_stmt *stmt, const struct catalog_query *query,
                       struct strbuf *out, struct catalog_query_result *result, struct err *err)
{
    uint64_t max_rows = query->max_rows > 0 ? query->max_rows : CATALOG_QUERY_ROWS;
    uint64_t max_bytes = out->len + (query->max_bytes > 0 ? query->max_bytes : CATALOG_QUERY_BYTES);
    struct catalog_result written = {.out = out, .format = query->format};
    int code = sqlite3_step(stmt);

    if (code == SQLITE_ROW || code == SQLITE_DONE) {
        add_head(stmt, code == SQLITE_ROW, &written);
    }
    while (code == SQLITE_ROW) {
        if (result->rows == max_rows || out->len > max_bytes) {
            result->truncated = true;
            break;
        }
        add_row(stmt, &written);
        result->rows++;
        code = sqlite3_step(stmt);
    }
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
        return sql_error(db, code, err);
    }
    catalog_result_end(&written, result->truncated, "");
    return RC_OK;
}

static enum rc run_limited(struct db *db, const struct catalog_query *query, struct strbuf *out,
                           struct catalog_query_result *ret_result, struct err *err)
{
    scoped(catalog_finalize) sqlite3_stmt *stmt = NULL;
    struct catalog_query_result result = {0};
    const size_t before = out->len;

    if (compile(db, query->sql, &stmt, err) != RC_OK) {
        return err->rc;
    }
    result.columns = (unsigned)sqlite3_column_count(stmt);
    if (collect(db, stmt, query, out, &result, err) != RC_OK) {
        out->len = before;
        if (out->data != NULL) {
            out->data[before] = '\0';
        }
        return err->rc;
    }
    *ret_result = result;
    return RC_OK;
}

enum rc catalog_query_run(struct db *db, const struct catalog_query *query, struct strbuf *out,
                          struct catalog_query_result *ret_result, struct err *err)
{
    int before[ARRAY_LEN(limits)];
    enum rc rc;

    /* The connection serves our own reads too, which may be longer. */
    for (unsigned i = 0; i < ARRAY_LEN(limits); i++) {
        before[i] = sqlite3_limit(db_handle(db), limits[i].id, limits[i].value);
    }
    rc = run_limited(db, query, out, ret_result, err);
    for (unsigned i = 0; i < ARRAY_LEN(limits); i++) {
        sqlite3_limit(db_handle(db), limits[i].id, before[i]);
    }
    return rc;
}
