/** @file
 * The table `glue_due`; its triggers are in catalog_migrate.c.
 */
#include "daemon/catalog/catalog_due.h"

#include "lib/base/mem.h"

static enum rc read_columns(struct db *db, int64_t table, bool keys, struct arena *arena,
                            const struct catalog_column **ret_columns, unsigned *ret_count,
                            struct err *err)
{
    struct catalog_column *columns = arena_alloc(arena, 2000 * sizeof(*columns));
    unsigned count = 0;
    struct db_stmt *q = db_prepare(db,
                                   "SELECT name, type, comment FROM columns"
                                   " WHERE table_id = ? AND partition_key = ? ORDER BY position"
                                   " LIMIT 2000",
                                   err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, table);
    db_bind_int(q, 2, keys);
    while (db_step(q, err)) {
        columns[count++] = (struct catalog_column){
            .name = arena_dup(arena, db_text(q, 0)),
            .type = arena_dup(arena, db_text(q, 1)),
            .comment = db_is_null(q, 2) ? NULL : arena_dup(arena, db_text(q, 2)),
        };
    }
    *ret_columns = columns;
    *ret_count = count;
    return db_failed(q) ? err->rc : RC_OK;
}

static enum rc read_table(struct db *db, int64_t id, struct arena *arena,
                          struct catalog_table *table, struct err *err)
{
    struct db_stmt *q = db_prepare(
        db, "SELECT \"database\", name, format, location, quoted FROM tables WHERE id = ?", err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, id);
    if (!db_step(q, err)) {
        return db_failed(q) ? err->rc : err_set(err, RC_BUG, "no table %lld", (long long)id);
    }
    table->database = arena_dup(arena, db_text(q, 0));
    table->name = arena_dup(arena, db_text(q, 1));
    table->format = arena_dup(arena, db_text(q, 2));
    table->location = arena_dup(arena, db_text(q, 3));
    table->quoted = db_int(q, 4) != 0;
    db_reset(q);
    if (read_columns(db, id, false, arena, &table->columns, &table->column_count, err) != RC_OK ||
        read_columns(db, id, true, arena, &table->partition_keys, &table->partition_key_count,
                     err) != RC_OK) {
        return err->rc;
    }
    return RC_OK;
}

/** The table of what has been due longest; 0: nothing is. */
static enum rc first_table(struct db *db, int64_t *ret_table, struct err *err)
{
    struct db_stmt *q =
        db_prepare(db, "SELECT table_id FROM glue_due ORDER BY serial LIMIT 1", err);

    if (q == NULL) {
        return err->rc;
    }
    *ret_table = 0;
    if (db_step(q, err)) {
        *ret_table = db_int(q, 0);
        db_reset(q);
        return RC_OK;
    }
    return db_failed(q) ? err->rc : RC_OK;
}

enum rc catalog_due_read(struct db *db, struct arena *arena, struct catalog_due *ret_due,
                         struct err *err)
{
    struct catalog_due due = {0};
    struct catalog_due_part *parts;
    struct db_stmt *q;
    int64_t table = 0;

    *ret_due = due;
    if (first_table(db, &table, err) != RC_OK) {
        return err->rc;
    }
    if (table == 0) {
        return RC_OK;
    }
    if (read_table(db, table, arena, &due.table, err) != RC_OK ||
        (q = db_prepare(db,
                        "SELECT d.serial, d.\"values\", p.location FROM glue_due AS d"
                        " LEFT JOIN partitions AS p"
                        "  ON p.table_id = d.table_id AND p.\"values\" = d.\"values\""
                        " WHERE d.table_id = ? ORDER BY d.serial LIMIT ?",
                        err)) == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, table);
    db_bind_int(q, 2, CATALOG_DUE_MAX);
    due.parts = parts = arena_alloc(arena, CATALOG_DUE_MAX * sizeof(*parts));
    while (db_step(q, err)) {
        const bool gone = db_is_null(q, 2);

        parts[due.count++] = (struct catalog_due_part){
            .serial = db_int(q, 0),
            .values = arena_dup(arena, db_text(q, 1)),
            .location = gone ? "" : arena_dup(arena, db_text(q, 2)),
            .gone = gone,
        };
    }
    *ret_due = due;
    return db_failed(q) ? err->rc : RC_OK;
}

enum rc catalog_due_done(struct db *db, const struct catalog_due_part *parts, unsigned count,
                         struct err *err)
{
    for (unsigned i = 0; i < count; i++) {
        struct db_stmt *q = db_prepare(db, "DELETE FROM glue_due WHERE serial = ?", err);

        if (q == NULL) {
            return err->rc;
        }
        db_bind_int(q, 1, parts[i].serial);
        if (db_run(q, err) != RC_OK) {
            return err->rc;
        }
    }
    return RC_OK;
}
