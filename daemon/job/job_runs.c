/** @file
 * The tables `runs` and `run_jobs` of state.db.
 */
#include "daemon/job/job_runs.h"

#include <inttypes.h>
#include <string.h>

#include "daemon/job/job_p.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

/* ---- one run ---- */

struct saving {
    struct job_store *store;
    struct arena *arena;
    struct job_run run;
    uint64_t *jobs;
    unsigned count;
    int64_t id;
    job_run_saved_fn *done;
    void *arg;
};

static enum rc add_jobs(struct db *db, const struct saving *saving, struct err *err)
{
    for (unsigned i = 0; i < saving->count; i++) {
        struct db_stmt *q =
            db_prepare(db, "INSERT OR IGNORE INTO run_jobs(run, job) VALUES(?, ?)", err);

        if (q == NULL) {
            return err->rc;
        }
        db_bind_int(q, 1, saving->id);
        db_bind_int(q, 2, (int64_t)saving->jobs[i]);
        if (db_run(q, err) != RC_OK) {
            return err->rc;
        }
    }
    return RC_OK;
}

static enum rc save(struct db *db, void *arg, struct err *err)
{
    struct saving *saving = arg;
    const struct job_run *run = &saving->run;
    struct db_stmt *q = db_prepare(
        db,
        "INSERT INTO runs(id, kind, name, token, remote_id, state, after_ms, began_ms, ended_ms,"
        " error, log_url, dpu_seconds, closed)"
        " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"
        " ON CONFLICT(id) DO UPDATE SET remote_id = ?5, state = ?6, ended_ms = ?9, error = ?10,"
        " log_url = ?11, dpu_seconds = ?12, closed = ?13",
        err);

    if (q == NULL) {
        return err->rc;
    }
    if (run->id != 0) {
        db_bind_int(q, 1, run->id);
    } else {
        db_bind_null(q, 1);
    }
    db_bind_text(q, 2, run->kind);
    db_bind_text(q, 3, run->name);
    db_bind_text(q, 4, run->token);
    db_bind_text(q, 5, run->remote_id);
    db_bind_text(q, 6, run->state);
    db_bind_int(q, 7, run->after_ms);
    db_bind_int(q, 8, run->began_ms);
    if (run->ended_ms != 0) {
        db_bind_int(q, 9, run->ended_ms);
    } else {
        db_bind_null(q, 9);
    }
    db_bind_text(q, 10, run->error);
    db_bind_text(q, 11, run->log_url);
    db_bind_double(q, 12, run->dpu_seconds);
    db_bind_int(q, 13, run->closed);
    if (db_run(q, err) != RC_OK) {
        return err->rc;
    }
    saving->id = run->id != 0 ? run->id : db_last_id(db);
    return add_jobs(db, saving, err);
}

static void saved(const struct err *err, void *arg)
{
    struct saving *saving = arg;

    if (err == NULL) {
        job_store_crash_at(saving->store, saving->run.kind, saving->run.state);
    }
    saving->done(err == NULL ? saving->id : saving->run.id, err, saving->arg);
    arena_free(saving->arena);
    free(saving->jobs);
    free(saving);
}

void job_run_save(struct job_store *store, const struct job_run *run, const uint64_t *jobs,
                  unsigned count, job_run_saved_fn *done, void *arg)
{
    struct saving *saving = mem_new(struct saving);
    struct arena *arena = arena_new();

    *saving = (struct saving){
        .store = store,
        .arena = arena,
        .run = *run,
        .jobs = mem_resize(NULL, count + 1, sizeof(*jobs)),
        .count = count,
        .done = done,
        .arg = arg,
    };
    if (count > 0) {
        memcpy(saving->jobs, jobs, count * sizeof(*jobs));
    }
    saving->run.kind = arena_dup(arena, run->kind);
    saving->run.name = arena_dup(arena, run->name);
    saving->run.token = arena_dup(arena, run->token);
    saving->run.remote_id = arena_dup(arena, run->remote_id);
    saving->run.state = arena_dup(arena, run->state);
    saving->run.error = arena_dup(arena, run->error);
    saving->run.log_url = arena_dup(arena, run->log_url);
    job_store_crash_before(store);
    job_store_write(store, save, saved, saving);
}

/* ---- a job has moved ---- */

struct settling {
    int64_t run;
    uint64_t job;
};

static enum rc settle(struct db *db, void *arg, struct err *err)
{
    const struct settling *settling = arg;
    struct db_stmt *q =
        db_prepare(db, "UPDATE run_jobs SET settled = 1 WHERE run = ? AND job = ?", err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, settling->run);
    db_bind_int(q, 2, (int64_t)settling->job);
    return db_run(q, err);
}

static void settled(const struct err *err, void *arg)
{
    struct settling *settling = arg;

    if (err != NULL) { /* the next start finds out by the job's state */
        log_warn(LOG_JOB, "job=%" PRIu64 ": not noted that its run is over: %s", settling->job,
                 err->text);
    }
    free(settling);
}

void job_run_settle(struct job_store *store, int64_t run, uint64_t job)
{
    struct settling *settling = mem_new(struct settling);

    *settling = (struct settling){.run = run, .job = job};
    job_store_write(store, settle, settled, settling);
}

/* ---- what was left ---- */

struct loading {
    struct arena *arena;
    struct job_run_open *runs;
    unsigned count, room;
    job_runs_fn *done;
    void *arg;
};

/** Boot has put every job at work back to its rest: one that is not there has moved. */
static enum rc settle_moved(struct db *db, struct err *err)
{
    struct db_stmt *q = db_prepare(
        db,
        "UPDATE run_jobs SET settled = 1 WHERE settled = 0 AND NOT EXISTS("
        "SELECT 1 FROM jobs JOIN runs ON runs.id = run_jobs.run WHERE jobs.id = run_jobs.job"
        " AND jobs.state = CASE runs.kind WHEN 'crawl' THEN 'QUEUED' ELSE 'CRAWLED' END)",
        err);

    return q != NULL ? db_run(q, err) : err->rc;
}

static void take_run(struct loading *loading, struct db_stmt *q)
{
    struct arena *arena = loading->arena;

    if (loading->count == loading->room) {
        loading->room = loading->room > 0 ? 2 * loading->room : 16;
        loading->runs = mem_resize(loading->runs, loading->room, sizeof(*loading->runs));
    }
    loading->runs[loading->count++] = (struct job_run_open){
        .run = {.id = db_int(q, 0),
                .kind = arena_dup(arena, db_text(q, 1)),
                .name = arena_dup(arena, db_text(q, 2)),
                .token = arena_dup(arena, db_text(q, 3)),
                .remote_id = arena_dup(arena, db_text(q, 4)),
                .state = arena_dup(arena, db_text(q, 5)),
                .after_ms = db_int(q, 6),
                .began_ms = db_int(q, 7),
                .ended_ms = db_is_null(q, 8) ? 0 : db_int(q, 8),
                .error = arena_dup(arena, db_text(q, 9)),
                .log_url = arena_dup(arena, db_text(q, 10)),
                .dpu_seconds = db_is_null(q, 11) ? 0 : db_double(q, 11)},
    };
}

static enum rc take_jobs(struct db *db, struct loading *loading, struct job_run_open *open,
                         struct err *err)
{
    struct db_stmt *q =
        db_prepare(db, "SELECT job FROM run_jobs WHERE run = ? AND settled = 0 ORDER BY job", err);
    uint64_t *jobs = NULL;
    unsigned room = 0;

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, open->run.id);
    while (db_step(q, err)) {
        if (open->job_count == room) {
            room = room > 0 ? 2 * room : 16;
            jobs = mem_resize(jobs, room, sizeof(*jobs));
        }
        jobs[open->job_count++] = (uint64_t)db_int(q, 0);
    }
    if (open->job_count > 0) {
        uint64_t *kept = arena_alloc(loading->arena, open->job_count * sizeof(*kept));

        memcpy(kept, jobs, open->job_count * sizeof(*kept));
        open->jobs = kept;
    }
    free(jobs);
    return db_failed(q) ? err->rc : RC_OK;
}

static enum rc load(struct db *db, void *arg, struct err *err)
{
    struct loading *loading = arg;
    struct db_stmt *q;

    loading->count = 0;
    if (settle_moved(db, err) != RC_OK ||
        (q = db_prepare(db,
                        "SELECT id, kind, name, token, remote_id, state, after_ms, began_ms,"
                        " ended_ms, error, log_url, dpu_seconds FROM runs WHERE closed = 0"
                        " ORDER BY id",
                        err)) == NULL) {
        return err->rc;
    }
    while (db_step(q, err)) {
        take_run(loading, q);
    }
    if (db_failed(q)) {
        return err->rc;
    }
    for (unsigned i = 0; i < loading->count; i++) {
        if (take_jobs(db, loading, &loading->runs[i], err) != RC_OK) {
            return err->rc;
        }
    }
    return RC_OK;
}

static void loaded(const struct err *err, void *arg)
{
    struct loading *loading = arg;

    loading->done(loading->runs, err == NULL ? loading->count : 0, err, loading->arg);
    arena_free(loading->arena);
    free(loading->runs);
    free(loading);
}

void job_runs_load(struct job_store *store, job_runs_fn *done, void *arg)
{
    struct loading *loading = mem_new(struct loading);

    *loading = (struct loading){.arena = arena_new(), .done = done, .arg = arg};
    job_store_write(store, load, loaded, loading);
}
