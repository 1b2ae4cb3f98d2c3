/** @file
 * Bringing the sums up to date: of one object, and of the events that it concerns.
 */
#include "daemon/catalog/catalog_facts.h"

#include <string.h>

#include "daemon/catalog/catalog_facts_sql.h"
#include "lib/base/mem.h"

#define CHANGED " AND id IN (SELECT id FROM fact_changes)"

/** Statements that each take the source, or nothing. */
static enum rc run_all(struct db *db, const char *const *statements, unsigned count, int64_t source,
                       struct err *err)
{
    for (unsigned i = 0; i < count; i++) {
        struct db_stmt *q = db_prepare(db, statements[i], err);

        if (q == NULL) {
            return err->rc;
        }
        if (strstr(statements[i], "?1") != NULL) {
            db_bind_int(q, 1, source);
        }
        if (db_run(q, err) != RC_OK) {
            return err->rc;
        }
    }
    return RC_OK;
}

enum rc catalog_facts_events(struct db *db, struct err *err)
{
    static const char *const statements[] = {
        "DELETE FROM event_facts",
        FACTS_OF_EVENTS(""),
    };

    return run_all(db, statements, ARRAY_LEN(statements), 0, err);
}

static enum rc follow_changes(struct db *db, struct err *err)
{
    static const char *const statements[] = {
        "DELETE FROM event_facts WHERE id IN (SELECT id FROM fact_changes)",
        FACTS_OF_EVENTS(CHANGED),
        "DELETE FROM fact_changes",
    };

    return run_all(db, statements, ARRAY_LEN(statements), 0, err);
}

enum rc catalog_facts_loaded(struct db *db, int64_t source, struct err *err)
{
    static const char *const statements[] = {
        FACTS_OF_FRAMES(" AND _source = ?1"),
        FACTS_OF_FLASHES(" AND _source = ?1"),
        FACTS_OF_PEAKS(" AND _source = ?1"),
        "INSERT OR IGNORE INTO fact_changes SELECT id FROM frame_facts WHERE _source = ?1",
    };

    if (run_all(db, statements, ARRAY_LEN(statements), source, err) != RC_OK) {
        return err->rc;
    }
    return follow_changes(db, err);
}

enum rc catalog_facts_cleared(struct db *db, int64_t source, struct err *err)
{
    static const char *const statements[] = {
        "INSERT OR IGNORE INTO fact_changes SELECT id FROM frame_facts WHERE _source = ?1",
        "DELETE FROM frame_facts WHERE _source = ?1",
    };

    if (run_all(db, statements, ARRAY_LEN(statements), source, err) != RC_OK) {
        return err->rc;
    }
    /* Most objects never had frames: do not look at all events for nothing. */
    return db_changes(db) > 0 ? follow_changes(db, err) : RC_OK;
}
