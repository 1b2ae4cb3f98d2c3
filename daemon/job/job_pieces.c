#include "daemon/job/job_pieces.h"

#include <string.h>

#include "lib/base/mem.h"

#define PIECE ((size_t)256 << 10)
#define LEN_MAX ((int64_t)1 << 30) /**< More is damage. */

static struct db_stmt *prepare_for(struct db *state, const char *sql, uint64_t owner,
                                   struct err *err)
{
    struct db_stmt *q = db_prepare(state, sql, err);

    if (q != NULL) {
        db_bind_int(q, 1, (int64_t)owner);
    }
    return q;
}

enum rc job_pieces_remove(struct db *state, const struct job_pieces *pieces, uint64_t owner,
                          struct err *err)
{
    struct db_stmt *q = prepare_for(state, pieces->remove, owner, err);

    return q != NULL ? db_run(q, err) : err->rc;
}

enum rc job_pieces_put(struct db *state, const struct job_pieces *pieces, uint64_t owner,
                       const void *bytes, size_t len, struct err *err)
{
    if (job_pieces_remove(state, pieces, owner, err) != RC_OK) {
        return err->rc;
    }
    for (size_t at = 0; at < len; at += PIECE) {
        struct db_stmt *q = prepare_for(state, pieces->insert, owner, err);

        if (q == NULL) {
            return err->rc;
        }
        db_bind_int(q, 2, (int64_t)(at / PIECE));
        db_bind_blob(q, 3, (const char *)bytes + at, MIN_OF(len - at, PIECE));
        if (db_run(q, err) != RC_OK) {
            return err->rc;
        }
    }
    return RC_OK;
}

/** 0: there is nothing. */
static enum rc measure(struct db *state, const struct job_pieces *pieces, uint64_t owner,
                       size_t *ret_len, struct err *err)
{
    struct db_stmt *q = prepare_for(state, pieces->measure, owner, err);

    if (q == NULL) {
        return err->rc;
    }
    const int64_t len = db_step(q, err) ? db_int(q, 0) : 0;

    if (db_failed(q)) {
        return err->rc;
    }
    db_reset(q);
    if (len < 0 || len > LEN_MAX) {
        return err_set(err, RC_CORRUPT, "state.db has %lld bytes of one thing", (long long)len);
    }
    *ret_len = (size_t)len;
    return RC_OK;
}

enum rc job_pieces_get(struct db *state, const struct job_pieces *pieces, uint64_t owner,
                       char **ret_bytes, size_t *ret_len, struct err *err)
{
    size_t len = 0, at = 0;

    if (measure(state, pieces, owner, &len, err) != RC_OK) {
        return err->rc;
    }
    if (len == 0) {
        return err_set(err, RC_NOT_FOUND, "state.db has nothing of that");
    }
    struct db_stmt *q = prepare_for(state, pieces->read, owner, err);
    scoped(free) char *bytes = mem_resize(NULL, len + 1, 1);

    if (q == NULL) {
        return err->rc;
    }
    while (db_step(q, err)) {
        size_t piece_len;
        const void *piece = db_blob(q, 0, &piece_len);

        if (piece_len > len - at) { /* it would have changed inside one transaction */
            db_reset(q);
            return err_set(err, RC_CORRUPT, "state.db has more of one thing than it says");
        }
        memcpy(bytes + at, piece, piece_len);
        at += piece_len;
    }
    if (db_failed(q)) {
        return err->rc;
    }
    bytes[at] = '\0';
    *ret_bytes = TAKE(bytes);
    *ret_len = at;
    return RC_OK;
}
