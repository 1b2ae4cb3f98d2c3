/** @file
 * When the catalog or the selection changes: which waiting jobs may go on, which finished ones must
 * run again.
 *
 * A job records the digest of the catalog rows and the selection it used (job_digest.h). Comparing
 * means to compute it anew, on the catalog's read lane, in batches that are bounded in rows and in
 * time; what differs is told to the queue, and the next batch waits until that has been recorded.
 *
 * The same for claims (job_claims.h): who was refused a key that nobody has any more runs again.
 */
#include <inttypes.h>
#include <string.h>

#include "daemon/catalog/catalog_events.h"
#include "daemon/job/job_digest.h"
#include "daemon/job/job_queue_p.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"

#define BATCH_JOBS 256
#define BATCH_MS 200
#define ONES_MAX 256
#define RETRY_MS 5000

struct verdict {
    uint64_t id;
    enum job_event event;
};

struct job_revise {
    struct job_queue *queue;
    struct loop_timer *again; /**< After a failed read. */
    bool busy, all_wanted, blocked_wanted;
    bool reading;     /**< A batch is on the read lane. */
    unsigned telling; /**< Verdicts whose moves are under way. */
    unsigned released, revised;

    bool scanning; /**< All jobs, from `cursor` on; else the `ones`. */
    bool freeing;  /**< Before both: those that were refused a key; the cursor is an object. */
    uint64_t cursor;
    uint64_t ones[ONES_MAX];
    unsigned one_count;

    /* the read lane's, during a batch */
    const struct selection *selection;
    uint64_t asked[ONES_MAX];
    unsigned asked_count;
    struct verdict verdicts[BATCH_JOBS];
    unsigned verdict_count;
    bool at_end;
};

static void step(struct job_revise *revise);

/* ---- on the catalog's read lane, which sees state.db as `state` */

/** Judge the job of the current row; columns: id, key, state, rows_digest. */
static enum rc judge(struct job_revise *revise, struct db *db, struct db_stmt *q, struct err *err)
{
    const uint64_t id = (uint64_t)db_int(q, 0);
    const char *before = db_text(q, 3);
    char events[DIGEST_HEX], digest[DIGEST_HEX];

    if (catalog_events_digest(db, db_text(q, 1), events, err) != RC_OK) {
        return err->rc;
    }
    if (strcmp(db_text(q, 2), "WAITING") == 0) {
        if (events[0] != '\0') {
            revise->verdicts[revise->verdict_count++] = (struct verdict){id, JOB_EV_RELEASED};
        }
        return RC_OK;
    }
    job_rows_digest(events, revise->selection, digest);
    if (before[0] != '\0' && strcmp(before, digest) != 0) {
        revise->verdicts[revise->verdict_count++] = (struct verdict){id, JOB_EV_REVISED};
    }
    return RC_OK;
}

/* Only the newest job of an object that is there, and of the quarantined ones only those that
 * failed in extraction; `jobs_of_catalog` is the index. */
#define CANDIDATES                                                                        \
    "SELECT j.id, j.key, j.state, j.rows_digest FROM state.jobs j"                        \
    " JOIN state.objects o ON o.id = j.object AND o.job = j.id AND o.live = 1"            \
    " WHERE j.kind IN ('hdf5', 'catalog') AND (j.state IN ('WAITING', 'DONE', 'SKIPPED')" \
    " OR (j.state = 'QUARANTINED' AND j.resume = 'CRAWLED'))"

static enum rc judge_ones(struct db *db, struct job_revise *revise, struct err *err)
{
    for (unsigned i = 0; i < revise->asked_count; i++) {
        struct db_stmt *q = db_prepare(db, CANDIDATES " AND j.id = ?", err);

        if (q == NULL) {
            return err->rc;
        }
        db_bind_int(q, 1, (int64_t)revise->asked[i]);
        if (db_step(q, err) && judge(revise, db, q, err) != RC_OK) {
            return err->rc;
        }
        if (db_failed(q)) {
            return err->rc;
        }
        db_reset(q);
    }
    return RC_OK;
}

static enum rc judge_batch(struct db *db, struct job_revise *revise, struct err *err)
{
    const int64_t until_ms = now_mono_ms() + BATCH_MS;
    struct db_stmt *q = db_prepare(db, CANDIDATES " AND j.id > ? ORDER BY j.id", err);
    unsigned seen = 0;

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, (int64_t)revise->cursor);
    while (db_step(q, err)) {
        if (judge(revise, db, q, err) != RC_OK) {
            db_reset(q);
            return err->rc;
        }
        revise->cursor = (uint64_t)db_int(q, 0);
        if (++seen == BATCH_JOBS || now_mono_ms() >= until_ms) {
            db_reset(q);
            return RC_OK;
        }
    }
    revise->at_end = true;
    return db_failed(q) ? err->rc : RC_OK;
}

/** Those whose key nobody has any more. */
static enum rc judge_blocked(struct db *db, struct job_revise *revise, struct err *err)
{
    struct db_stmt *q = db_prepare(
        db,
        "SELECT b.object, o.job FROM state.blocked AS b"
        " JOIN state.objects AS o ON o.id = b.object AND o.live = 1"
        " JOIN state.jobs AS j ON j.id = o.job AND j.state = 'QUARANTINED' AND j.class = 'CONFLICT'"
        " WHERE b.object > ? AND NOT EXISTS (SELECT 1 FROM state.claims AS c WHERE c.key = b.key)"
        " ORDER BY b.object",
        err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, (int64_t)revise->cursor);
    while (db_step(q, err)) {
        revise->cursor = (uint64_t)db_int(q, 0);
        revise->verdicts[revise->verdict_count++] =
            (struct verdict){(uint64_t)db_int(q, 1), JOB_EV_REVISED};
        if (revise->verdict_count == BATCH_JOBS) {
            db_reset(q);
            return RC_OK;
        }
    }
    revise->at_end = true;
    return db_failed(q) ? err->rc : RC_OK;
}

static enum rc batch_read(struct db *db, void *arg, struct err *err)
{
    struct job_revise *revise = arg;

    if (revise->freeing) {
        return judge_blocked(db, revise, err);
    }
    return revise->scanning ? judge_batch(db, revise, err) : judge_ones(db, revise, err);
}

/* ---- on the loop */

static void on_told(const struct err *err, void *arg)
{
    struct job_revise *revise = arg;

    /* RC_INVALID: an operator or a newer version was faster. */
    if (err != NULL && err->rc != RC_INVALID) {
        log_warn(LOG_JOB, "a job that the catalog concerns was not moved: %s", err->text);
    }
    if (--revise->telling == 0) {
        step(revise);
    }
}

static void again(void *arg)
{
    step(arg);
}

static void batch_done(const struct err *err, void *arg)
{
    struct job_revise *revise = arg;
    const unsigned count = revise->verdict_count;

    revise->reading = false;
    if (err != NULL) {
        log_warn(LOG_JOB, "comparing jobs with the catalog: %s; all of them again in %d s",
                 err->text, RETRY_MS / 1000);
        revise->scanning = revise->freeing = false;
        revise->all_wanted = revise->blocked_wanted = true;
        if (revise->queue->stopping) {
            step(revise);
        } else {
            loop_timer_arm(revise->again, RETRY_MS);
        }
        return;
    }
    const char *const why = revise->freeing
                                ? "the key that it was refused is free"
                                : "its rows of the catalog, or the selection, have changed";

    if (revise->freeing) {
        revise->freeing = !revise->at_end;
    } else if (revise->at_end) {
        revise->scanning = false;
    }
    if (count == 0) {
        step(revise);
        return;
    }
    revise->telling = count;
    for (unsigned i = 0; i < count; i++) {
        const bool released = revise->verdicts[i].event == JOB_EV_RELEASED;

        revise->released += released;
        revise->revised += !released;
        job_queue_tell(revise->queue, revise->verdicts[i].id, revise->verdicts[i].event,
                       released ? "the catalog has its rows" : why, on_told, revise);
    }
}

static void batch_start(struct job_revise *revise)
{
    const struct services *services = revise->queue->services;

    revise->selection = &services->conf->select;
    revise->verdict_count = 0;
    revise->at_end = false;
    if (!revise->scanning && !revise->freeing) {
        memcpy(revise->asked, revise->ones, revise->one_count * sizeof(revise->ones[0]));
        revise->asked_count = revise->one_count;
        revise->one_count = 0;
    }
    revise->reading = true;
    catalog_read(services->catalog, batch_read, batch_done, revise);
}

/** What to do next, or the end. */
static void step(struct job_revise *revise)
{
    if (revise->queue->stopping) {
        revise->busy = false;
        queue_pump(revise->queue); /* the queue's end waits for ours */
        return;
    }
    if (!revise->scanning && !revise->freeing && revise->blocked_wanted) {
        revise->blocked_wanted = false;
        revise->freeing = true;
        revise->cursor = 0;
    }
    if (!revise->scanning && !revise->freeing && revise->all_wanted) {
        revise->all_wanted = false;
        revise->scanning = true;
        revise->cursor = 0;
        revise->one_count = 0;
    }
    if (revise->freeing || revise->scanning || revise->one_count > 0) {
        batch_start(revise);
        return;
    }
    revise->busy = false;
    if (revise->released + revise->revised > 0) {
        log_info(LOG_JOB, "catalog: %u jobs released, %u revised", revise->released,
                 revise->revised);
        revise->released = revise->revised = 0;
    }
}

static void begin(struct job_revise *revise)
{
    if (!revise->busy && revise->queue->started && !revise->queue->stopping &&
        revise->queue->services->catalog != NULL) {
        revise->busy = true;
        step(revise);
    }
}

void job_revise_all(struct job_revise *revise)
{
    revise->all_wanted = revise->blocked_wanted = true;
    begin(revise);
}

void job_revise_blocked(struct job_revise *revise)
{
    revise->blocked_wanted = true;
    begin(revise);
}

void job_revise_one(struct job_revise *revise, uint64_t id)
{
    if (revise->one_count == ONES_MAX) {
        revise->all_wanted = true;
    } else {
        revise->ones[revise->one_count++] = id;
    }
    begin(revise);
}

bool job_revise_busy(const struct job_revise *revise)
{
    return revise->busy;
}

bool job_revise_reading(const struct job_revise *revise)
{
    return revise->reading;
}

struct job_revise *job_revise_new(struct job_queue *queue)
{
    struct job_revise *revise = mem_new(struct job_revise);

    revise->queue = queue;
    revise->again = loop_timer_new(queue->services->loop, again, revise);
    return revise;
}

void job_revise_free(struct job_revise *revise)
{
    if (revise == NULL) {
        return;
    }
    loop_timer_free(revise->again);
    free(revise);
}
