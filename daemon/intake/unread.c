/** @file
 * The table `unread`.
 */
#include "daemon/intake/unread.h"

#include <inttypes.h>

#include "lib/base/now.h"

static enum rc find(struct db *db, const struct unread_message *unread, int64_t *ret_id,
                    struct err *err)
{
    struct db_stmt *q =
        db_prepare(db, "SELECT id FROM unread WHERE queue = ? AND message = ?", err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_text(q, 1, unread->queue);
    db_bind_text(q, 2, unread->message);
    *ret_id = db_step(q, err) ? db_int(q, 0) : 0;
    if (db_failed(q)) {
        return err->rc;
    }
    db_reset(q);
    return RC_OK;
}

static enum rc touch(struct db *db, int64_t id, unsigned receives, struct err *err)
{
    struct db_stmt *q =
        db_prepare(db, "UPDATE unread SET last_ms = ?2, receives = ?3 WHERE id = ?1", err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, id);
    db_bind_int(q, 2, now_wall_ms());
    db_bind_int(q, 3, receives);
    return db_run(q, err);
}

static enum rc check_room(struct db *db, struct err *err)
{
    struct db_stmt *q = db_prepare(db, "SELECT count(*) FROM unread", err);

    if (q == NULL) {
        return err->rc;
    }
    const int64_t count = db_step(q, err) ? db_int(q, 0) : 0;

    if (db_failed(q)) {
        return err->rc;
    }
    db_reset(q);
    if (count >= UNREAD_MAX) {
        return err_set(err, RC_LIMIT,
                       "%" PRId64 " messages that cannot be read are kept already; look at them "
                       "and drop them: sevirctl quarantine",
                       count);
    }
    return RC_OK;
}

enum rc unread_keep(struct db *db, const struct unread_message *unread, struct err *err)
{
    int64_t id = 0; /* gcc with ThreadSanitizer cannot see that find() sets it */
    struct db_stmt *q;

    if (find(db, unread, &id, err) != RC_OK) {
        return err->rc;
    }
    if (id != 0) {
        return touch(db, id, unread->receives, err);
    }
    if (check_room(db, err) != RC_OK ||
        (q = db_prepare(db,
                        "INSERT INTO unread(queue, message, body, reason, first_ms, last_ms,"
                        " receives) VALUES(?1, ?2, ?3, ?4, ?5, ?5, ?6)",
                        err)) == NULL) {
        return err->rc;
    }
    db_bind_text(q, 1, unread->queue);
    db_bind_text(q, 2, unread->message);
    db_bind_text(q, 3, unread->body);
    db_bind_text(q, 4, unread->reason);
    db_bind_int(q, 5, now_wall_ms());
    db_bind_int(q, 6, unread->receives);
    return db_run(q, err);
}

enum rc unread_drop(struct db *db, uint64_t id, struct err *err)
{
    struct db_stmt *q = db_prepare(db, "DELETE FROM unread WHERE id = ?", err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, (int64_t)id);
    if (db_run(q, err) != RC_OK) {
        return err->rc;
    }
    return db_changes(db) == 1 ? RC_OK
                               : err_set(err, RC_NOT_FOUND, "there is no message %" PRIu64, id);
}
