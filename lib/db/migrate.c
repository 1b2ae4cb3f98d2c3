#include "lib/db/migrate.h"

#include "lib/base/str.h"

static enum rc read_version(struct db *db, int64_t *ret_version, struct err *err)
{
    struct db_stmt *query = db_prepare(db, "PRAGMA user_version", err);

    if (query == NULL) {
        return err->rc;
    }
    if (!db_step(query, err)) {
        return db_failed(query) ? err->rc : err_set(err, RC_BUG, "no user_version");
    }
    *ret_version = db_int(query, 0);
    db_reset(query);
    return RC_OK;
}

static enum rc take_step(struct db *db, const char *step, int to, struct err *err)
{
    scoped(free) char *set = str_printf("PRAGMA user_version = %d", to);
    struct err ignored;

    if (db_exec(db, "BEGIN IMMEDIATE", err) != RC_OK) {
        return err->rc;
    }
    if (db_exec(db, step, err) == RC_OK && db_exec(db, set, err) == RC_OK &&
        db_exec(db, "COMMIT", err) == RC_OK) {
        return RC_OK;
    }
    if (sqlite3_get_autocommit(db_handle(db)) == 0) {
        db_exec(db, "ROLLBACK", &ignored);
    }
    return err->rc;
}

enum rc migrate(struct db *db, const char *what, const char *const *steps, int count,
                struct err *err)
{
    int64_t version = 0;

    if (read_version(db, &version, err) != RC_OK) {
        return err_wrap(err, "upgrade '%s'", what);
    }
    if (version > count || version < 0) {
        return err_set(err, RC_UNSUPPORTED,
                       "'%s' has version %lld, this program knows versions up to %d; use the "
                       "program that wrote it, or a newer one",
                       what, (long long)version, count);
    }
    for (int i = (int)version; i < count; i++) {
        if (take_step(db, steps[i], i + 1, err) != RC_OK) {
            return err_wrap(err, "upgrade '%s' from version %d to %d", what, i, i + 1);
        }
    }
    return RC_OK;
}
