/** @file
 * The file, its two lanes, and the objects that everything in it came from.
 */
#include "daemon/catalog/catalog.h"

#include <stdarg.h>
#include <unistd.h>

#include "daemon/catalog/catalog_events.h"
#include "daemon/catalog/catalog_outputs.h"
#include "daemon/catalog/catalog_p.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"

struct catalog {
    struct db_lane *writer, *reader;
    char *path, *attach;
    bool is_new;
};

/** What each reader does first. A view over another file can only be temporary, and making one
 * needs a moment in which the connection may write to its temporary file. */
static char *attach_sql(const char *state_path)
{
    char *sql, *copy;

    if (state_path == NULL) {
        return NULL;
    }
    sql = sqlite3_mprintf(
        "ATTACH %Q AS state;"
        "PRAGMA query_only = OFF;"
        "CREATE TEMP VIEW objects AS SELECT o.bucket, o.key, o.etag, o.size,"
        "  datetime(o.modified_ms / 1000, 'unixepoch') AS modified, coalesce(j.state, '') AS state,"
        "  coalesce(j.kind, '') AS kind, coalesce(j.tbl, '') AS \"table\", j.id AS job"
        "  FROM state.objects AS o LEFT JOIN state.jobs AS j ON j.id = o.job;"
        "PRAGMA query_only = ON;",
        state_path);
    copy = str_dup(sql);
    sqlite3_free(sql);
    return copy;
}

enum rc catalog_open(struct loop *loop, struct work *work, const char *dir, const char *state_path,
                     int64_t query_limit_ms, struct catalog **ret_catalog, struct err *err)
{
    scoped(catalog_close) struct catalog *catalog = mem_new(struct catalog);
    scoped(db_close) struct db *db = NULL;

    catalog->path = fs_join(dir, "catalog.db");
    catalog->attach = attach_sql(state_path);
    catalog->is_new = access(catalog->path, F_OK) != 0;
    /* As durable as state.db: a job that is DONE there must not miss its rows here after a power
     * cut. */
    if (db_open(catalog->path, DB_READ_WRITE, true, &db, err) != RC_OK ||
        catalog_migrate(db, err) != RC_OK) {
        return err_wrap(err, "catalog");
    }
    catalog->writer = db_lane_new_writer(loop, work, WORK_CATALOG, TAKE(db));
    catalog->reader =
        db_lane_new_reader(loop, work, catalog->path, catalog->attach, query_limit_ms);
    *ret_catalog = TAKE(catalog);
    return RC_OK;
}

void catalog_gather(struct catalog *catalog, struct gather *gather)
{
    db_lane_gather(catalog->writer, gather);
}

bool catalog_is_new(const struct catalog *catalog)
{
    return catalog->is_new;
}

void catalog_close(struct catalog *catalog)
{
    if (catalog == NULL) {
        return;
    }
    if (catalog->reader != NULL) {
        db_lane_free(catalog->reader);
    }
    if (catalog->writer != NULL) {
        db_lane_free(catalog->writer);
    }
    free(catalog->path);
    free(catalog->attach);
    free(catalog);
}

void catalog_write(struct catalog *catalog, db_lane_fn *fn, db_lane_done_fn *done, void *arg)
{
    db_lane_submit(catalog->writer, fn, done, arg);
}

void catalog_read(struct catalog *catalog, db_lane_fn *fn, db_lane_done_fn *done, void *arg)
{
    db_lane_submit(catalog->reader, fn, done, arg);
}

enum rc catalog_source_find(struct db *db, const char *bucket, const char *key, int64_t *ret_source,
                            struct err *err)
{
    struct db_stmt *q = db_prepare(db, "SELECT id FROM sources WHERE bucket = ? AND key = ?", err);
    int64_t source = 0;

    if (q == NULL) {
        return err->rc;
    }
    db_bind_text(q, 1, bucket);
    db_bind_text(q, 2, key);
    if (db_step(q, err)) {
        source = db_int(q, 0);
        db_reset(q);
    } else if (db_failed(q)) {
        return err->rc;
    }
    *ret_source = source;
    return RC_OK;
}

uint64_t catalog_writes(const struct catalog *catalog)
{
    return db_lane_commits(catalog->writer);
}

unsigned catalog_pending(const struct catalog *catalog)
{
    return db_lane_pending(catalog->writer) + db_lane_pending(catalog->reader);
}

enum rc catalog_source(struct db *db, const char *bucket, const char *key, int64_t *ret_source,
                       struct err *err)
{
    struct db_stmt *q;
    int64_t source = 0;

    if (catalog_source_find(db, bucket, key, &source, err) != RC_OK) {
        return err->rc;
    }
    if (source == 0) {
        q = db_prepare(db, "INSERT INTO sources (bucket, key) VALUES (?, ?)", err);
        if (q == NULL) {
            return err->rc;
        }
        db_bind_text(q, 1, bucket);
        db_bind_text(q, 2, key);
        if (db_run(q, err) != RC_OK) {
            return err->rc;
        }
        source = db_last_id(db);
    }
    *ret_source = source;
    return RC_OK;
}

enum rc catalog_source_retire(struct db *db, int64_t source, struct err *err)
{
    static const char *const forget[] = {
        "DELETE FROM layouts WHERE source = ?",
        "DELETE FROM csv_columns WHERE source = ?",
        "DELETE FROM csv_schemas WHERE source = ?",
        "DELETE FROM sources WHERE id = ?",
    };

    if (source == 0) {
        return RC_OK;
    }
    if (catalog_events_clear(db, source, NULL, err) != RC_OK ||
        catalog_outputs_clear(db, source, err) != RC_OK ||
        catalog_source_forget(db, NULL, source, err) != RC_OK) {
        return err->rc;
    }
    for (unsigned i = 0; i < ARRAY_LEN(forget); i++) {
        struct db_stmt *q = db_prepare(db, forget[i], err);

        if (q == NULL) {
            return err->rc;
        }
        db_bind_int(q, 1, source);
        if (db_run(q, err) != RC_OK) {
            return err->rc;
        }
    }
    return RC_OK;
}

sqlite3_stmt *catalog_preparef(struct db *db, struct err *err, const char *format, ...)
{
    sqlite3_stmt *stmt = NULL;
    va_list args;
    char *sql;
    int code;

    va_start(args, format);
    sql = sqlite3_vmprintf(format, args);
    va_end(args);
    code = sqlite3_prepare_v2(db_handle(db), sql, -1, &stmt, NULL);
    if (code != SQLITE_OK) {
        db_error(db, code, "catalog", err);
        stmt = NULL;
    }
    sqlite3_free(sql);
    return stmt;
}

enum rc catalog_execf(struct db *db, struct err *err, const char *format, ...)
{
    va_list args;
    char *sql;
    int code;

    va_start(args, format);
    sql = sqlite3_vmprintf(format, args);
    va_end(args);
    code = sqlite3_exec(db_handle(db), sql, NULL, NULL, NULL);
    sqlite3_free(sql);
    return code == SQLITE_OK ? RC_OK : db_error(db, code, "catalog", err);
}
