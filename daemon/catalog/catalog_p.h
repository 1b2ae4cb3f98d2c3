/** @file
 * What the files of this room share.
 */
#pragma once

#include "daemon/catalog/catalog_tables.h"
#include "daemon/catalog/catalog_types.h"
#include "lib/base/str.h"

/** Brings an open file to this program's schema. */
enum rc catalog_migrate(struct db *db, struct err *err);

/** Storage of a crawled table: a name no view and no key can have. */
#define CATALOG_ROWS_PREFIX "rows:"

/** Whether a name is one of our own tables or views, a type of SEVIR's, or a word of SQL's. */
bool catalog_name_is_reserved(const char *name);

/** Run one statement whose text was made here, not written: sqlite3_mprintf(), so "%w" and "%Q"
 * quote names and texts. */
enum rc catalog_execf(struct db *db, struct err *err, const char *format, ...);
/** The same, prepared; the caller finalizes. NULL on error. */
sqlite3_stmt *catalog_preparef(struct db *db, struct err *err, const char *format, ...);

static inline void catalog_finalize(sqlite3_stmt *stmt)
{
    sqlite3_finalize(stmt);
}
SCOPED_FN(sqlite3_stmt, catalog_finalize)

/** The id of a table; 0 when there is none. */
enum rc catalog_table_find(struct db *db, const char *database, const char *name,
                           int64_t *ret_table, struct err *err);
/** The type that a column's declaration means; NONE for an expression (NULL). */
enum catalog_type catalog_type_declared(const char *decltype);
/** Forget the rows that `source` gave to the crawled tables of `processed` that it feeds: before it
 * is forgotten there. */
enum rc catalog_rows_clear(struct db *db, int64_t source, struct err *err);
