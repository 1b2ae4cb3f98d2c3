/** @file
 * Claims are rows of state.db (`claims`, `blocked`): they must not be lost with catalog.db, which
 * may be taken away and rebuilt.
 */
#include "daemon/job/job_claims.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"

/** What is claimed for a key: itself, or the folder of a picture. */
static size_t unit_length(const char *key)
{
    const char *slash = str_starts(key, "images/") ? strrchr(key, '/') : NULL;

    return slash != NULL ? (size_t)(slash - key) + 1 : strlen(key);
}

static bool same_unit(const char *a, const char *b)
{
    const size_t len = unit_length(a);

    return len == unit_length(b) && memcmp(a, b, len) == 0;
}

static enum rc run_for(struct db *state, const char *sql, uint64_t object, struct err *err)
{
    struct db_stmt *q = db_prepare(state, sql, err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, (int64_t)object);
    return db_run(q, err);
}

static enum rc run_with(struct db *state, const char *sql, const char *unit, uint64_t object,
                        struct err *err)
{
    struct db_stmt *q = db_prepare(state, sql, err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_text(q, 1, unit);
    db_bind_int(q, 2, (int64_t)object);
    return db_run(q, err);
}

/** The object that has `unit`, if that is another one; NULL: nobody. */
static enum rc find_owner(struct db *state, const char *unit, uint64_t object, char **ret_owner,
                          struct err *err)
{
    struct db_stmt *q = db_prepare(state,
                                   "SELECT o.key FROM claims AS c JOIN objects AS o"
                                   " ON o.id = c.object WHERE c.key = ? AND c.object <> ?",
                                   err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_text(q, 1, unit);
    db_bind_int(q, 2, (int64_t)object);
    *ret_owner = db_step(q, err) ? str_dup(db_text(q, 0)) : NULL;
    if (*ret_owner == NULL && db_failed(q)) {
        return err->rc;
    }
    db_reset(q);
    return RC_OK;
}

enum rc job_claims_take(struct db *state, uint64_t object, const char *const *keys, size_t count,
                        char **ret_taken, char **ret_owner, struct err *err)
{
    *ret_taken = *ret_owner = NULL;
    if (run_for(state, "DELETE FROM blocked WHERE object = ?", object, err) != RC_OK) {
        return err->rc;
    }
    for (size_t i = 0; i < count; i++) {
        scoped(free) char *unit = str_dup_n(keys[i], unit_length(keys[i]));
        scoped(free) char *owner = NULL;

        if (i > 0 && same_unit(keys[i], keys[i - 1])) {
            continue; /* the frames of one event follow each other */
        }
        if (find_owner(state, unit, object, &owner, err) != RC_OK) {
            return err->rc;
        }
        if (owner != NULL) {
            *ret_taken = TAKE(unit);
            *ret_owner = TAKE(owner);
            return run_with(state, "INSERT INTO blocked(key, object) VALUES(?, ?)", *ret_taken,
                            object, err);
        }
    }
    for (size_t i = 0; i < count; i++) {
        scoped(free) char *unit = str_dup_n(keys[i], unit_length(keys[i]));

        if ((i == 0 || !same_unit(keys[i], keys[i - 1])) &&
            run_with(state, "INSERT OR IGNORE INTO claims(key, object) VALUES(?, ?)", unit, object,
                     err) != RC_OK) {
            return err->rc;
        }
    }
    return RC_OK;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/** The claims of `object` that are not among `kept`, which is sorted; the caller frees each. */
static enum rc list_freed(struct db *state, uint64_t object, char **kept, size_t kept_count,
                          char ***ret_freed, size_t *ret_count, struct err *err)
{
    struct db_stmt *q = db_prepare(state, "SELECT key FROM claims WHERE object = ?", err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, (int64_t)object);
    while (db_step(q, err)) {
        const char *unit = db_text(q, 0);

        if (bsearch(&unit, kept, kept_count, sizeof(*kept), compare) == NULL) {
            *ret_freed = mem_resize(*ret_freed, *ret_count + 1, sizeof(**ret_freed));
            (*ret_freed)[(*ret_count)++] = str_dup(unit);
        }
    }
    return db_failed(q) ? err->rc : RC_OK;
}

static enum rc is_wanted(struct db *state, const char *unit, bool *ret_wanted, struct err *err)
{
    struct db_stmt *q = db_prepare(state, "SELECT 1 FROM blocked WHERE key = ?", err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_text(q, 1, unit);
    if (db_step(q, err)) {
        *ret_wanted = true;
    } else if (db_failed(q)) {
        return err->rc;
    }
    db_reset(q);
    return RC_OK;
}

static enum rc free_one(struct db *state, uint64_t object, const char *unit, bool *ret_freed,
                        struct err *err)
{
    if (is_wanted(state, unit, ret_freed, err) != RC_OK) {
        return err->rc;
    }
    return run_with(state, "DELETE FROM claims WHERE key = ? AND object = ?", unit, object, err);
}

static void free_all(char **texts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(texts[i]);
    }
    free(texts);
}

enum rc job_claims_keep(struct db *state, uint64_t object, const char *const *keys, size_t count,
                        bool *ret_freed, struct err *err)
{
    char **kept = mem_resize(NULL, count, sizeof(*kept)), **freed = NULL;
    size_t kept_count = 0, freed_count = 0;

    *ret_freed = false;
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || !same_unit(keys[i], keys[i - 1])) {
            kept[kept_count++] = str_dup_n(keys[i], unit_length(keys[i]));
        }
    }
    qsort(kept, kept_count, sizeof(*kept), compare);
    enum rc rc = list_freed(state, object, kept, kept_count, &freed, &freed_count, err);

    for (size_t i = 0; rc == RC_OK && i < freed_count; i++) {
        rc = free_one(state, object, freed[i], ret_freed, err);
    }
    free_all(kept, kept_count);
    free_all(freed, freed_count);
    return rc == RC_OK ? run_for(state, "DELETE FROM blocked WHERE object = ?", object, err) : rc;
}
