/** @file
 * A job as a row and as a struct.
 */
#include "daemon/job/job.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "daemon/job/job_p.h"
#include "lib/base/mem.h"

const char *job_action_name(enum job_action action)
{
    return action == JOB_RETIRE ? "retire" : "ingest";
}

static bool parse_states(struct db_stmt *stmt, struct job *job)
{
    const char *action = db_text(stmt, 10);

    job->action = strcmp(action, "retire") == 0 ? JOB_RETIRE : JOB_INGEST;
    return job_state_parse(db_text(stmt, 11), &job->state) &&
           job_state_parse(db_text(stmt, 12), &job->resume);
}

enum rc job_from_row(struct db_stmt *stmt, struct job_store *store, struct job **ret_job,
                     struct err *err)
{
    scoped(job_free) struct job *job = mem_new(struct job);
    struct arena *arena = arena_new();

    *job = (struct job){
        .id = (uint64_t)db_int(stmt, 0),
        .object =
            {
                .id = (uint64_t)db_int(stmt, 1),
                .bucket = arena_dup(arena, db_text(stmt, 2)),
                .key = arena_dup(arena, db_text(stmt, 3)),
                .version = arena_dup(arena, db_text(stmt, 4)),
                .etag = arena_dup(arena, db_text(stmt, 5)),
                .sequencer = arena_dup(arena, db_text(stmt, 6)),
                .size = (uint64_t)db_int(stmt, 7),
                .modified_ms = db_int(stmt, 8),
            },
        .event_ms = db_int(stmt, 9),
        .failures = (unsigned)db_int(stmt, 13),
        .sighted_ms = db_int(stmt, 14),
        .entered_ms = db_int(stmt, 15),
        .arena = arena,
        .store = store,
    };
    snprintf(job->kind, sizeof(job->kind), "%s", db_text(stmt, 16));
    snprintf(job->table, sizeof(job->table), "%s", db_text(stmt, 17));
    snprintf(job->rows_digest, sizeof(job->rows_digest), "%s", db_text(stmt, 18));
    if (!parse_states(stmt, job)) {
        return err_set(err, RC_CORRUPT, "job %" PRIu64 ": state.db has the states '%s' and '%s'",
                       job->id, db_text(stmt, 11), db_text(stmt, 12));
    }
    *ret_job = TAKE(job);
    return RC_OK;
}

void job_free(struct job *job)
{
    if (job == NULL) {
        return;
    }
    strbuf_done(&job->draft);
    arena_free(job->arena);
    free(job);
}

enum job_event job_failure(const struct err *err, struct job_note *ret_note)
{
    *ret_note = (struct job_note){.reason = err->text, .rc = err->rc};
    if (err->rc == RC_CANCELED) {
        ret_note->rc = RC_OK;
        return JOB_EV_STOPPED;
    }
    return rc_retry_class(err->rc) == RETRY_BACKOFF ? JOB_EV_DEFERRED : JOB_EV_REJECTED;
}

bool job_failure_is_final(const struct job *job, enum rc rc, unsigned attempts)
{
    if (rc == RC_CANCELED || rc == RC_NO_SPACE || rc == RC_HOST) { /* not the job's own fault */
        return false;
    }
    return rc_retry_class(rc) == RETRY_NEVER || job->failures + 1 >= attempts;
}

int64_t job_backoff_ms(unsigned failures, int64_t base_ms, int64_t cap_ms, uint64_t random)
{
    int64_t most_ms = base_ms;

    for (unsigned i = 1; i < failures && most_ms < cap_ms; i++) {
        most_ms = most_ms > cap_ms / 2 ? cap_ms : most_ms * 2;
    }
    most_ms = MIN_OF(most_ms, cap_ms);
    return most_ms <= 0 ? 0 : (int64_t)(random % ((uint64_t)most_ms + 1));
}

static bool ends_in(const char *key, const char *suffix)
{
    const size_t key_len = strlen(key), len = strlen(suffix);

    return key_len >= len && strcasecmp(key + key_len - len, suffix) == 0;
}

int64_t job_order_ms(const char *key, uint64_t size, enum job_action action, int64_t sighted_ms)
{
    enum { AHEAD_MS = 600000, A_DOUBLING_MS = 5000 };
    int64_t penalty_ms = 0;

    if (action == JOB_RETIRE) {
        return sighted_ms;
    }
    /* HDF5 files wait for the rows of catalogs, so those, and what may be one, go first. */
    if (ends_in(key, ".csv") || ends_in(key, ".csv.gz")) {
        penalty_ms = -AHEAD_MS;
    }
    for (uint64_t mib = size >> 20; mib > 0; mib >>= 1) {
        penalty_ms += A_DOUBLING_MS;
    }
    return sighted_ms + penalty_ms;
}

/* Claims do not tell: who takes over what another has published claims its keys, too. A job's
 * digest is that of the rows it last looked at, so what was made before a revision was not of it.
 */
enum rc job_makes_again(struct db *state, const struct job *job, const char *rows_digest,
                        bool *ret_again, struct err *err)
{
    struct db_stmt *q =
        db_prepare(state,
                   "SELECT 1 FROM jobs AS j JOIN transitions AS t ON t.job = j.id"
                   " WHERE j.object = ?1 AND j.etag = ?2 AND j.rows_digest = ?3"
                   " AND t.to_state = 'DONE' AND t.reason <> '" JOB_REASON_FOREIGN "'"
                   " AND NOT EXISTS (SELECT 1 FROM transitions AS r WHERE r.job = j.id"
                   " AND r.id > t.id AND r.event = 'REVISED')"
                   " UNION ALL SELECT 1 FROM (SELECT event FROM transitions WHERE job = ?4"
                   " AND (event = 'REVISED' OR (event = 'RETRY' AND from_state = 'DONE'))"
                   " ORDER BY id DESC LIMIT 1) WHERE event = 'RETRY' LIMIT 1",
                   err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, (int64_t)job->object.id);
    db_bind_text(q, 2, job->object.etag);
    db_bind_text(q, 3, rows_digest);
    db_bind_int(q, 4, (int64_t)job->id);
    *ret_again = db_step(q, err);
    if (db_failed(q)) {
        return err->rc;
    }
    db_reset(q);
    return RC_OK;
}

/** One load; a worker of the read lane has it meanwhile. */
struct load {
    struct job_store *store;
    uint64_t id, newest;
    struct job *job;
    job_loaded_fn *done;
    void *arg;
};

static enum rc load_read(struct db *db, void *arg, struct err *err)
{
    struct load *load = arg;
    struct db_stmt *q = db_prepare(db, "SELECT " JOB_COLUMNS " FROM jobs WHERE id = ?", err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, (int64_t)load->id);
    if (!db_step(q, err)) {
        return db_failed(q) ? err->rc
                            : err_set(err, RC_NOT_FOUND, "there is no job %" PRIu64, load->id);
    }
    const enum rc rc = job_from_row(q, load->store, &load->job, err);

    db_reset(q);
    if (rc != RC_OK || (q = db_prepare(db, "SELECT job FROM objects WHERE id = ?", err)) == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, (int64_t)load->job->object.id);
    load->newest = db_step(q, err) ? (uint64_t)db_int(q, 0) : load->id;
    db_reset(q);
    return RC_OK;
}

static void load_done(const struct err *err, void *arg)
{
    struct load *load = arg;

    load->done(err == NULL ? TAKE(load->job) : NULL, load->newest, err, load->arg);
    job_free(load->job);
    free(load);
}

void job_load(struct job_store *store, uint64_t id, job_loaded_fn *done, void *arg)
{
    struct load *load = mem_new(struct load);

    *load = (struct load){.store = store, .id = id, .done = done, .arg = arg};
    job_store_read(store, load_read, load_done, load);
}
