/** @file
 * The rows that a sighting changes. Everything here runs on the state writer, inside the batch's
 * transaction.
 */
#include <inttypes.h>
#include <string.h>

#include "daemon/intake/intake_p.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"
#include "lib/store/uri.h"

#define SIGHTINGS_KEPT 20

enum rc intake_find(struct db *db, const struct sighting *sighting, struct known *ret_known,
                    struct db_stmt **ret_row, struct err *err)
{
    struct db_stmt *q = db_prepare(db,
                                   "SELECT id, job, live, made, version, etag, sequencer,"
                                   " doubt_etag, modified_ms, size FROM objects"
                                   " WHERE bucket = ? AND key = ?",
                                   err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_text(q, 1, sighting->bucket);
    db_bind_text(q, 2, sighting->key);
    *ret_known = (struct known){.version = "", .etag = "", .sequencer = "", .doubt_etag = ""};
    if (db_step(q, err)) {
        *ret_known = (struct known){.id = (uint64_t)db_int(q, 0),
                                    .job = (uint64_t)db_int(q, 1),
                                    .live = db_int(q, 2) != 0,
                                    .made = db_int(q, 3) != 0,
                                    .version = db_text(q, 4),
                                    .etag = db_text(q, 5),
                                    .sequencer = db_text(q, 6),
                                    .doubt_etag = db_text(q, 7),
                                    .modified_ms = db_int(q, 8),
                                    .size = (uint64_t)db_int(q, 9)};
    } else if (db_failed(q)) {
        return err->rc;
    }
    *ret_row = q;
    return RC_OK;
}

/* ---- `objects` */

static enum rc insert_object(struct db *db, const struct sighting *sighting, uint64_t *ret_id,
                             struct err *err)
{
    struct db_stmt *q = db_prepare(
        db,
        "INSERT INTO objects(bucket, key, version, etag, sequencer, size, modified_ms, live,"
        " first_ms, changed_ms) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, 1, ?8, ?8)",
        err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_text(q, 1, sighting->bucket);
    db_bind_text(q, 2, sighting->key);
    db_bind_text(q, 3, sighting->version);
    db_bind_text(q, 4, sighting->etag);
    db_bind_text(q, 5, sighting->sequencer);
    db_bind_int(q, 6, (int64_t)sighting->size);
    db_bind_int(q, 7, sighting->modified_ms);
    db_bind_int(q, 8, now_wall_ms());
    if (db_run(q, err) != RC_OK) {
        return err->rc;
    }
    *ret_id = (uint64_t)db_last_id(db);
    return RC_OK;
}

static enum rc update_object(struct db *db, uint64_t id, const struct sighting *sighting,
                             struct err *err)
{
    struct db_stmt *q = db_prepare(
        db,
        "UPDATE objects SET version = ?2, etag = ?3, sequencer = ?4, size = ?5, modified_ms = ?6,"
        " live = 1, changed_ms = ?7, doubt_etag = NULL WHERE id = ?1",
        err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, (int64_t)id);
    db_bind_text(q, 2, sighting->version);
    db_bind_text(q, 3, sighting->etag);
    db_bind_text(q, 4, sighting->sequencer);
    db_bind_int(q, 5, (int64_t)sighting->size);
    db_bind_int(q, 6, sighting->modified_ms);
    db_bind_int(q, 7, now_wall_ms());
    return db_run(q, err);
}

static enum rc mark_gone(struct db *db, uint64_t id, const struct sighting *sighting,
                         struct err *err)
{
    struct db_stmt *q =
        db_prepare(db,
                   "UPDATE objects SET live = 0, changed_ms = ?2, doubt_etag = NULL,"
                   " sequencer = CASE WHEN ?3 <> '' THEN ?3 ELSE sequencer END WHERE id = ?1",
                   err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, (int64_t)id);
    db_bind_int(q, 2, now_wall_ms());
    db_bind_text(q, 3, sighting->sequencer);
    return db_run(q, err);
}

static enum rc set_sequencer(struct db *db, uint64_t id, const char *sequencer, struct err *err)
{
    struct db_stmt *q = db_prepare(db, "UPDATE objects SET sequencer = ?2 WHERE id = ?1", err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, (int64_t)id);
    db_bind_text(q, 2, sequencer);
    return db_run(q, err);
}

static enum rc set_doubt(struct db *db, uint64_t id, const char *etag, struct err *err)
{
    struct db_stmt *q = db_prepare(db, "UPDATE objects SET doubt_etag = ?2 WHERE id = ?1", err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, (int64_t)id);
    db_bind_text(q, 2, etag);
    return db_run(q, err);
}

/* ---- `sightings` */

static enum rc trim_sightings(struct db *db, uint64_t object, struct err *err)
{
    struct db_stmt *q =
        db_prepare(db,
                   "DELETE FROM sightings WHERE object = ?1 AND id <= (SELECT id FROM sightings"
                   " WHERE object = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
                   err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, (int64_t)object);
    db_bind_int(q, 2, SIGHTINGS_KEPT);
    return db_run(q, err);
}

static enum rc insert_sighting(struct db *db, uint64_t object, const struct sighting *sighting,
                               const struct intake_result *result, struct err *err)
{
    struct db_stmt *q = db_prepare(
        db,
        "INSERT INTO sightings(object, at_ms, source, outcome, gone, version, etag, sequencer,"
        " size, modified_ms, event_ms, job) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, (int64_t)object);
    db_bind_int(q, 2, now_wall_ms());
    db_bind_text(q, 3, sighting_source_name(sighting->source));
    db_bind_text(q, 4, sighting_outcome_name(result->outcome));
    db_bind_int(q, 5, sighting->gone);
    db_bind_text(q, 6, sighting->version);
    db_bind_text(q, 7, sighting->etag);
    db_bind_text(q, 8, sighting->sequencer);
    db_bind_int(q, 9, (int64_t)sighting->size);
    db_bind_int(q, 10, sighting->modified_ms);
    db_bind_int(q, 11, sighting->event_ms);
    db_bind_int(q, 12, (int64_t)result->job);
    return db_run(q, err);
}

/* ---- `jobs` */

static enum rc insert_job_row(struct db *db, uint64_t object, const struct sighting *sighting,
                              enum job_action action, int64_t now_ms, struct err *err)
{
    /* What the object is, `objects` already says: a deletion knows neither version nor size. */
    struct db_stmt *q = db_prepare(
        db,
        "INSERT INTO jobs(object, bucket, key, version, etag, sequencer, size, modified_ms,"
        " event_ms, action, source, state, resume, sighted_ms, entered_ms, order_ms, big)"
        " SELECT id, bucket, key, version, etag, sequencer, size, modified_ms, ?2, ?3, ?4,"
        " 'QUEUED', 'QUEUED', ?5, ?5, ?6, ?7 FROM objects WHERE id = ?1",
        err);
    int64_t event_ms = sighting->event_ms;

    if (q == NULL) {
        return err->rc;
    }
    if (event_ms == 0) {
        event_ms = sighting->gone ? now_ms : sighting->modified_ms;
    }
    db_bind_int(q, 1, (int64_t)object);
    db_bind_int(q, 2, event_ms);
    db_bind_text(q, 3, job_action_name(action));
    db_bind_text(q, 4, sighting_source_name(sighting->source));
    db_bind_int(q, 5, now_ms);
    db_bind_int(q, 6, job_order_ms(sighting->key, sighting->size, action, now_ms));
    db_bind_int(q, 7, sighting->size >= JOB_BIG_BYTES);
    return db_run(q, err);
}

static enum rc insert_birth(struct db *db, uint64_t job, const struct sighting *sighting,
                            int64_t now_ms, struct err *err)
{
    struct db_stmt *q = db_prepare(
        db,
        "INSERT INTO transitions(job, at_ms, from_state, to_state, event, after_ms, actor,"
        " reason, class, request_ids)"
        " VALUES(?, ?, '', 'QUEUED', 'SIGHTED', 0, ?, ?, '', '')",
        err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, (int64_t)job);
    db_bind_int(q, 2, now_ms);
    db_bind_text(q, 3, sighting->source == SIGHTING_SUBMIT ? "operator" : "daemon");
    db_bind_text(q, 4, sighting_source_name(sighting->source));
    return db_run(q, err);
}

static enum rc set_newest(struct db *db, uint64_t object, uint64_t job, struct err *err)
{
    struct db_stmt *q = db_prepare(db, "UPDATE objects SET job = ?2 WHERE id = ?1", err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, (int64_t)object);
    db_bind_int(q, 2, (int64_t)job);
    return db_run(q, err);
}

/** The array has room for another; doubles as it grows. */
#define GROW(news, array, count)                                                              \
    do {                                                                                      \
        if (((count) & ((count)-1)) == 0) {                                                   \
            __typeof__(array) grown_ =                                                        \
                arena_alloc((news)->arena, sizeof(*(array)) * ((count) > 0 ? (count)*2 : 1)); \
            if ((count) > 0) {                                                                \
                memcpy(grown_, (array), sizeof(*(array)) * (count));                          \
            }                                                                                 \
            (array) = grown_;                                                                 \
        }                                                                                     \
    } while (0)

static enum rc make_job(struct db *db, uint64_t object, const struct sighting *sighting,
                        enum job_action action, struct intake_news *news,
                        struct intake_result *ret_result, struct err *err)
{
    const int64_t now_ms = now_wall_ms();

    if (insert_job_row(db, object, sighting, action, now_ms, err) != RC_OK) {
        return err->rc;
    }
    const uint64_t job = (uint64_t)db_last_id(db);

    if (insert_birth(db, job, sighting, now_ms, err) != RC_OK ||
        set_newest(db, object, job, err) != RC_OK) {
        return err->rc;
    }
    *ret_result = (struct intake_result){
        .outcome = action == JOB_RETIRE ? OUTCOME_RETIRING : OUTCOME_QUEUED, .job = job};
    GROW(news, news->born, news->born_count);
    news->born[news->born_count++] =
        (struct job_born){.id = job,
                          .action = action,
                          .key = sighting->key,
                          .source = sighting_source_name(sighting->source),
                          .outcome = sighting_outcome_name(ret_result->outcome),
                          .size = sighting->size};
    return RC_OK;
}

static enum rc mark_overtaken(struct db *db, uint64_t job, struct err *err)
{
    struct db_stmt *q = db_prepare(db, "UPDATE jobs SET overtaken = 1 WHERE id = ?", err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, (int64_t)job);
    return db_run(q, err);
}

/** One job of the object that has not ended; false when there is none. The caller frees. */
static enum rc find_open_job(struct db *db, uint64_t object, uint64_t before, struct job **ret_job,
                             struct err *err)
{
    struct db_stmt *q = db_prepare(
        db,
        "SELECT " JOB_COLUMNS " FROM jobs WHERE object = ? AND id < ? AND overtaken = 0 AND"
        " state NOT IN ('DONE', 'RETIRED', 'SKIPPED', 'SUPERSEDED', 'CANCELED')"
        " ORDER BY id DESC LIMIT 1",
        err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, (int64_t)object);
    db_bind_int(q, 2, (int64_t)before);
    if (!db_step(q, err)) {
        return db_failed(q) ? err->rc : RC_OK;
    }
    const enum rc rc = job_from_row(q, NULL, ret_job, err);

    db_reset(q);
    return rc;
}

/** Jobs of the object with ids below `before` give way: at rest at once, at work when they have
 * stopped. */
static enum rc overtake(struct db *db, uint64_t object, uint64_t before, const char *reason,
                        struct intake_news *news, struct err *err)
{
    for (;;) {
        scoped(job_free) struct job *job = NULL;

        if (find_open_job(db, object, before, &job, err) != RC_OK) {
            return err->rc;
        }
        if (job == NULL) {
            return RC_OK;
        }
        if (job_state_kind(job->state) == JOB_KIND_STAGE) {
            if (mark_overtaken(db, job->id, err) != RC_OK) {
                return err->rc;
            }
            GROW(news, news->overtaken, news->overtaken_count);
            news->overtaken[news->overtaken_count++] = (struct intake_overtaken){job->id, reason};
            continue;
        }
        GROW(news, news->moved, news->moved_count);
        struct job_moved *moved = &news->moved[news->moved_count];

        if (job_record_rest(db, job, JOB_EV_OVERTAKEN, "daemon", reason, moved, err) != RC_OK) {
            return err->rc;
        }
        moved->key = arena_dup(news->arena, job->object.key);
        news->moved_count++;
    }
}

/* ---- verdicts */

static enum rc record_new(struct db *db, uint64_t object, const struct sighting *sighting,
                          struct intake_news *news, struct intake_result *ret_result,
                          struct err *err)
{
    const bool fresh = object == 0;
    const enum rc rc = fresh ? insert_object(db, sighting, &object, err)
                             : update_object(db, object, sighting, err);

    if (rc != RC_OK || make_job(db, object, sighting, JOB_INGEST, news, ret_result, err) != RC_OK) {
        return err->rc;
    }
    if (!fresh) {
        const char *reason =
            arena_printf(news->arena, "job %" PRIu64 " has a newer version", ret_result->job);

        if (overtake(db, object, ret_result->job, reason, news, err) != RC_OK ||
            trim_sightings(db, object, err) != RC_OK) {
            return err->rc;
        }
    }
    return insert_sighting(db, object, sighting, ret_result, err);
}

/** `made`: by us, or perhaps by another; only then there is something to retire. */
static enum rc record_gone(struct db *db, uint64_t object, bool made,
                           const struct sighting *sighting, struct intake_news *news,
                           struct intake_result *ret_result, struct err *err)
{
    uint64_t before = INT64_MAX;

    if (object == 0 && insert_object(db, sighting, &object, err) != RC_OK) {
        return err->rc;
    }
    if (mark_gone(db, object, sighting, err) != RC_OK) {
        return err->rc;
    }
    *ret_result = (struct intake_result){.outcome = OUTCOME_IGNORED};
    if (made) {
        if (make_job(db, object, sighting, JOB_RETIRE, news, ret_result, err) != RC_OK) {
            return err->rc;
        }
        before = ret_result->job;
    }
    if (overtake(db, object, before, "its object is gone", news, err) != RC_OK ||
        trim_sightings(db, object, err) != RC_OK) {
        return err->rc;
    }
    return insert_sighting(db, object, sighting, ret_result, err);
}

/** Submitted by hand although its version is known: what had failed, or was given up, runs again.
 */
static enum rc record_again(struct db *db, uint64_t newest, struct intake_news *news,
                            struct intake_result *ret_result, struct err *err)
{
    scoped(job_free) struct job *job = NULL;
    struct db_stmt *q = db_prepare(db,
                                   "SELECT " JOB_COLUMNS " FROM jobs WHERE id = ?"
                                   " AND state IN ('QUARANTINED', 'CANCELED')",
                                   err);

    *ret_result = (struct intake_result){.outcome = OUTCOME_KNOWN, .job = newest};
    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, (int64_t)newest);
    if (!db_step(q, err)) {
        return db_failed(q) ? err->rc : RC_OK;
    }
    const enum rc rc = job_from_row(q, NULL, &job, err);

    db_reset(q);
    if (rc != RC_OK) {
        return rc;
    }
    GROW(news, news->moved, news->moved_count);
    struct job_moved *moved = &news->moved[news->moved_count];

    if (job_record_rest(db, job, JOB_EV_RETRY, "operator", "submitted again", moved, err) !=
        RC_OK) {
        return err->rc;
    }
    moved->key = arena_dup(news->arena, job->object.key);
    news->moved_count++;
    ret_result->outcome = OUTCOME_REQUEUED;
    return RC_OK;
}

static enum rc forget_refused(struct db *db, const struct sighting *sighting,
                              struct intake_news *news, struct err *err)
{
    struct db_stmt *q = db_prepare(db, "DELETE FROM refused WHERE bucket = ? AND key = ?", err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_text(q, 1, sighting->bucket);
    db_bind_text(q, 2, sighting->key);
    if (db_run(q, err) != RC_OK) {
        return err->rc;
    }
    news->refused -= db_changes(db);
    return RC_OK;
}

enum rc intake_record(struct db *db, const struct sighting *sighting, struct intake_news *news,
                      struct intake_result *ret_result, struct err *err)
{
    struct known known;
    struct db_stmt *row;

    if (intake_find(db, sighting, &known, &row, err) != RC_OK) {
        return err->rc;
    }
    const enum verdict verdict = intake_decide(&known, sighting, news->shared);
    const bool made = known.made || intake_may_be_anothers(sighting, news->shared);

    db_reset(row); /* its strings are not used from here on */
    *ret_result = (struct intake_result){.outcome = OUTCOME_KNOWN, .job = known.job};
    switch (verdict) {
    case SAYS_NOTHING:
        return sighting->source == SIGHTING_SUBMIT
                   ? record_again(db, known.job, news, ret_result, err)
                   : RC_OK;
    case SAYS_LATER:
        return set_sequencer(db, known.id, sighting->sequencer, err);
    case SAYS_NEW:
        return record_new(db, known.id, sighting, news, ret_result, err);
    case SAYS_GONE:
        return record_gone(db, known.id, made, sighting, news, ret_result, err);
    case SAYS_DOUBT:
        ret_result->outcome = OUTCOME_OLDER;
        if (set_doubt(db, known.id, sighting->etag, err) != RC_OK) {
            return err->rc;
        }
        return insert_sighting(db, known.id, sighting, ret_result, err);
    case SAYS_OLDER:
        ret_result->outcome = OUTCOME_OLDER;
        if (trim_sightings(db, known.id, err) != RC_OK) {
            return err->rc;
        }
        return insert_sighting(db, known.id, sighting, ret_result, err);
    default:
        ret_result->outcome = OUTCOME_IGNORED;
        return forget_refused(db, sighting, news, err);
    }
}

enum rc intake_record_refused(struct db *db, const struct sighting *sighting,
                              struct intake_news *news, struct intake_result *ret_result,
                              struct err *err)
{
    struct err why;
    struct db_stmt *q = db_prepare(db,
                                   "INSERT OR IGNORE INTO refused(bucket, key, source, reason,"
                                   " at_ms) VALUES(?, ?, ?, ?, ?)",
                                   err);

    if (q == NULL) {
        return err->rc;
    }
    (void)uri_check_key(sighting->key, &why);
    db_bind_text(q, 1, sighting->bucket);
    db_bind_text(q, 2, sighting->key);
    db_bind_text(q, 3, sighting_source_name(sighting->source));
    db_bind_text(q, 4, why.text);
    db_bind_int(q, 5, now_wall_ms());
    if (db_run(q, err) != RC_OK) {
        return err->rc;
    }
    news->refused += db_changes(db);
    *ret_result = (struct intake_result){.outcome = OUTCOME_REFUSED};
    return RC_OK;
}
