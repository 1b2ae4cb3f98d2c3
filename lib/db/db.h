/** @file
 * SQLite with our habits: a statement is prepared once, errors become `struct err`, and a full
 * disk, a locked file and a damaged file each get their own code.
 *
 * Thread:     a connection belongs to one task at a time (a lane's, see db_lane.h).
 * Ownership:  statements belong to their connection and are cached by their text's address: pass
 *             string literals.
 */
#pragma once

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/rc.h"
#include "lib/base/scope.h"

struct db;

enum db_mode { DB_READ_ONLY, DB_READ_WRITE };

/** WAL, foreign keys on, busy time-out 5 s; `durable` chooses synchronous FULL over NORMAL.
 * Read-only connections refuse every write (query_only) and run under `defensive`. */
enum rc db_open(const char *path, enum db_mode mode, bool durable, struct db **ret_db,
                struct err *err);
void db_close(struct db *db);
SCOPED_FN(struct db, db_close)
sqlite3 *db_handle(struct db *db);

/** One or more statements without parameters. */
enum rc db_exec(struct db *db, const char *sql, struct err *err);

/** A prepared statement, reset and with its bindings cleared. `sql` must be a string literal.
 *
 *     struct db_stmt *q = db_prepare(db, "SELECT a FROM t WHERE k = ?", err);
 *     if (q == NULL) { return err->rc; }
 *     db_bind_text(q, 1, key);
 *     while (db_step(q, err)) { use(db_text(q, 0)); }
 *     if (db_failed(q)) { return err->rc; }
 */
struct db_stmt;
struct db_stmt *db_prepare(struct db *db, const char *sql, struct err *err);
void db_bind_text(struct db_stmt *stmt, int index,
                  const char *text); /**< NULL binds NULL; copied. */
void db_bind_blob(struct db_stmt *stmt, int index, const void *bytes, size_t len);
void db_bind_int(struct db_stmt *stmt, int index, int64_t value);
void db_bind_double(struct db_stmt *stmt, int index, double value); /**< NaN binds NULL. */
void db_bind_null(struct db_stmt *stmt, int index);
/** True while there is a row. After the last row, or an error, the statement is reset. */
bool db_step(struct db_stmt *stmt, struct err *err);
/** Whether the last db_step() ended in an error. */
bool db_failed(const struct db_stmt *stmt);
/** Give a statement back before its last row. */
void db_reset(struct db_stmt *stmt);
/** db_step() for statements that return no rows. */
enum rc db_run(struct db_stmt *stmt, struct err *err);

const char *db_text(struct db_stmt *stmt,
                    int column); /**< "" for NULL; valid until the next step. */
const void *db_blob(struct db_stmt *stmt, int column, size_t *ret_len);
int64_t db_int(struct db_stmt *stmt, int column);
double db_double(struct db_stmt *stmt, int column); /**< NaN for NULL. */
bool db_is_null(struct db_stmt *stmt, int column);

int64_t db_last_id(struct db *db);
int64_t db_changes(struct db *db);

/** Turn a SQLite code of this connection into an error that carries SQLite's message. */
enum rc db_error(struct db *db, int code, const char *what, struct err *err);
