#include "lib/db/db.h"

#include <errno.h>
#include <math.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/db/db_p.h"

struct db_stmt {
    struct db *db;
    sqlite3_stmt *raw;
    const char *key; /**< The literal's address. */
    int bind_code;   /**< The first bind that failed; db_step() reports it. */
    bool failed;
};

struct db {
    sqlite3 *raw;
    char *path;
    struct db_stmt **stmts;
    size_t count, cap;
};

/* Errors */

static enum rc from_system(int error_number, enum rc otherwise)
{
    struct err err;

    return error_number != 0 ? err_errno(&err, error_number, " ") : otherwise;
}

static enum rc from_constraint(int extended)
{
    switch (extended) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID:
        return RC_CONFLICT;
    default:
        return RC_INVALID;
    }
}

static enum rc from_sqlite(int extended, int error_number)
{
    switch (extended & 0xFF) {
    case SQLITE_FULL:
        return RC_NO_SPACE;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_SCHEMA:
        return RC_CONFLICT;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
        return RC_CORRUPT;
    case SQLITE_INTERRUPT:
        return RC_TIMEOUT;
    case SQLITE_IOERR:
        return from_system(error_number, RC_IO) == RC_NO_SPACE ? RC_NO_SPACE : RC_IO;
    case SQLITE_CANTOPEN:
        return from_system(error_number, RC_IO);
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return RC_DENIED;
    case SQLITE_CONSTRAINT:
        return from_constraint(extended);
    case SQLITE_NOMEM:
    case SQLITE_TOOBIG:
        return RC_LIMIT;
    case SQLITE_ERROR:
    case SQLITE_MISMATCH:
        return RC_INVALID;
    case SQLITE_MISUSE:
    case SQLITE_RANGE:
    case SQLITE_INTERNAL:
        return RC_BUG;
    default:
        return RC_IO;
    }
}

/** Whether the operating system has something to say about this code. */
static bool is_from_system(int extended)
{
    int code = extended & 0xFF;

    return code == SQLITE_IOERR || code == SQLITE_CANTOPEN || code == SQLITE_PERM ||
           code == SQLITE_FULL;
}

enum rc db_error(struct db *db, int code, const char *what, struct err *err)
{
    int extended = sqlite3_extended_errcode(db->raw);
    int error_number = is_from_system(code) ? sqlite3_system_errno(db->raw) : 0;
    bool same = (extended & 0xFF) == (code & 0xFF);
    const char *message = same ? sqlite3_errmsg(db->raw) : sqlite3_errstr(code);
    enum rc rc = from_sqlite(same ? extended : code, error_number);

    if (error_number != 0) {
        err_errno(err, error_number, "%s%s%s", what, what[0] != '\0' ? ": " : "", message);
        err->rc = rc;
        return rc;
    }
    return err_set(err, rc, "%s%s%s", what, what[0] != '\0' ? ": " : "", message);
}

/* Connections */

static enum rc set_up(struct db *db, enum db_mode mode, bool durable, struct err *err)
{
    const char *sql = mode == DB_READ_ONLY ? "PRAGMA query_only = 1; PRAGMA trusted_schema = 0;"
                                             "PRAGMA schema_version"
                      : durable            ? "PRAGMA synchronous = FULL; PRAGMA foreign_keys = 1"
                                           : "PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = 1";

    sqlite3_extended_result_codes(db->raw, 1);
    sqlite3_busy_timeout(db->raw, 5000);
    sqlite3_db_config(db->raw, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    sqlite3_db_config(db->raw, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    sqlite3_db_config(db->raw, SQLITE_DBCONFIG_DEFENSIVE, mode == DB_READ_ONLY, NULL);
    if (mode == DB_READ_WRITE &&
        (db_exec(db, "PRAGMA journal_mode = WAL", err) != RC_OK ||
         db_exec(db, "PRAGMA journal_size_limit = 67108864", err) != RC_OK)) {
        return err->rc;
    }
    return db_exec(db, sql, err);
}

enum rc db_open(const char *path, enum db_mode mode, bool durable, struct db **ret_db,
                struct err *err)
{
    int flags =
        mode == DB_READ_ONLY ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    scoped(db_close) struct db *db = mem_new(struct db);
    int code;

    db->path = str_dup(path);
    code = sqlite3_open_v2(path, &db->raw, flags | SQLITE_OPEN_NOMUTEX, NULL);
    if (db->raw == NULL) {
        return err_set(err, RC_LIMIT, "open database '%s': no memory", path);
    }
    if (code != SQLITE_OK) {
        db_error(db, code, "", err);
        return err_wrap(err, "open database '%s'", path);
    }
    if (set_up(db, mode, durable, err) != RC_OK) {
        return err_wrap(err, "open database '%s'", path);
    }
    *ret_db = TAKE(db);
    return RC_OK;
}

void db_close(struct db *db)
{
    if (db == NULL) {
        return;
    }
    for (size_t i = 0; i < db->count; i++) {
        sqlite3_finalize(db->stmts[i]->raw);
        free(db->stmts[i]);
    }
    free(db->stmts);
    free(db->path);
    sqlite3_close_v2(db->raw);
    free(db);
}

sqlite3 *db_handle(struct db *db)
{
    return db->raw;
}

enum rc db_exec(struct db *db, const char *sql, struct err *err)
{
    int code = sqlite3_exec(db->raw, sql, NULL, NULL, NULL);

    return code == SQLITE_OK ? RC_OK : db_error(db, code, "", err);
}

void db_settle(struct db *db)
{
    struct err ignored;

    for (size_t i = 0; i < db->count; i++) {
        sqlite3_reset(db->stmts[i]->raw);
    }
    if (sqlite3_get_autocommit(db->raw) == 0) {
        db_exec(db, "ROLLBACK", &ignored);
    }
}

/* Statements */

static struct db_stmt *find_stmt(struct db *db, const char *sql)
{
    for (size_t i = 0; i < db->count; i++) {
        if (db->stmts[i]->key == sql) {
            return db->stmts[i];
        }
    }
    return NULL;
}

static struct db_stmt *keep_stmt(struct db *db, const char *sql, sqlite3_stmt *raw)
{
    struct db_stmt *stmt = mem_new(struct db_stmt);

    *stmt = (struct db_stmt){.db = db, .raw = raw, .key = sql};
    if (db->count == db->cap) {
        db->cap = MAX_OF(db->cap * 2, (size_t)16);
        db->stmts = mem_resize(db->stmts, db->cap, sizeof(db->stmts[0]));
    }
    db->stmts[db->count++] = stmt;
    return stmt;
}

struct db_stmt *db_prepare(struct db *db, const char *sql, struct err *err)
{
    struct db_stmt *stmt = find_stmt(db, sql);
    sqlite3_stmt *raw = NULL;
    int code;

    if (stmt != NULL && strcmp(sqlite3_sql(stmt->raw), sql) == 0) {
        sqlite3_reset(stmt->raw);
        sqlite3_clear_bindings(stmt->raw);
        stmt->bind_code = SQLITE_OK;
        stmt->failed = false;
        return stmt;
    }
    code = sqlite3_prepare_v3(db->raw, sql, -1, SQLITE_PREPARE_PERSISTENT, &raw, NULL);
    if (code != SQLITE_OK) {
        db_error(db, code, "prepare", err);
        return NULL;
    }
    if (raw == NULL) {
        err_set(err, RC_BUG, "prepare: no statement in '%s'", sql);
        return NULL;
    }
    if (stmt == NULL) {
        return keep_stmt(db, sql, raw);
    }
    sqlite3_finalize(stmt->raw); /* Not a literal after all: other text at the same address. */
    *stmt = (struct db_stmt){.db = db, .raw = raw, .key = sql};
    return stmt;
}

static void note_bind(struct db_stmt *stmt, int code)
{
    if (stmt->bind_code == SQLITE_OK) {
        stmt->bind_code = code;
    }
}

void db_bind_text(struct db_stmt *stmt, int index, const char *text)
{
    note_bind(stmt, text == NULL ? sqlite3_bind_null(stmt->raw, index)
                                 : sqlite3_bind_text64(stmt->raw, index, text, strlen(text),
                                                       SQLITE_TRANSIENT, SQLITE_UTF8));
}

void db_bind_blob(struct db_stmt *stmt, int index, const void *bytes, size_t len)
{
    note_bind(stmt, len == 0 ? sqlite3_bind_zeroblob(stmt->raw, index, 0)
                             : sqlite3_bind_blob64(stmt->raw, index, bytes, len, SQLITE_TRANSIENT));
}

void db_bind_int(struct db_stmt *stmt, int index, int64_t value)
{
    note_bind(stmt, sqlite3_bind_int64(stmt->raw, index, value));
}

void db_bind_double(struct db_stmt *stmt, int index, double value)
{
    note_bind(stmt, sqlite3_bind_double(stmt->raw, index, value));
}

void db_bind_null(struct db_stmt *stmt, int index)
{
    note_bind(stmt, sqlite3_bind_null(stmt->raw, index));
}

bool db_step(struct db_stmt *stmt, struct err *err)
{
    int code = stmt->bind_code != SQLITE_OK ? stmt->bind_code : sqlite3_step(stmt->raw);

    if (code == SQLITE_ROW) {
        return true;
    }
    stmt->failed = code != SQLITE_DONE;
    if (stmt->failed) {
        db_error(stmt->db, code, "", err);
    }
    sqlite3_reset(stmt->raw);
    return false;
}

bool db_failed(const struct db_stmt *stmt)
{
    return stmt->failed;
}

void db_reset(struct db_stmt *stmt)
{
    sqlite3_reset(stmt->raw);
}

enum rc db_run(struct db_stmt *stmt, struct err *err)
{
    if (db_step(stmt, err)) {
        sqlite3_reset(stmt->raw);
        return err_set(err, RC_BUG, "a statement that returns no rows returned one: '%s'",
                       sqlite3_sql(stmt->raw));
    }
    return stmt->failed ? err->rc : RC_OK;
}

const char *db_text(struct db_stmt *stmt, int column)
{
    const char *text = (const char *)sqlite3_column_text(stmt->raw, column);

    return text != NULL ? text : "";
}

const void *db_blob(struct db_stmt *stmt, int column, size_t *ret_len)
{
    const void *bytes = sqlite3_column_blob(stmt->raw, column);
    int len = sqlite3_column_bytes(stmt->raw, column);

    *ret_len = len > 0 ? (size_t)len : 0;
    return bytes;
}

int64_t db_int(struct db_stmt *stmt, int column)
{
    return sqlite3_column_int64(stmt->raw, column);
}

double db_double(struct db_stmt *stmt, int column)
{
    return db_is_null(stmt, column) ? (double)NAN : sqlite3_column_double(stmt->raw, column);
}

bool db_is_null(struct db_stmt *stmt, int column)
{
    return sqlite3_column_type(stmt->raw, column) == SQLITE_NULL;
}

int64_t db_last_id(struct db *db)
{
    return sqlite3_last_insert_rowid(db->raw);
}

int64_t db_changes(struct db *db)
{
    return sqlite3_changes64(db->raw);
}
