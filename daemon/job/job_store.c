/** @file
 * state.db: the lock, the schema, what boot puts right, and the counts.
 */
#include "daemon/job/job_store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#include "daemon/job/job_draft.h"
#include "daemon/job/job_p.h"
#include "daemon/job/job_takeover.h"
#include "daemon/metrics.h"
#include "daemon/services.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"
#include "lib/db/migrate.h"

#define ID_BYTES 8
#define FAILING_MS 3000 /**< So long a failed write tells of the next one. */
#define READ_LIMIT_MS 10000
#define OLDEST_FRESH_MS 1000

/** Somebody who asked for the oldest. */
struct oldest_waiter {
    struct oldest_waiter *next;
    job_store_oldest_fn *done;
    void *arg;
};

struct job_store {
    struct services *services;
    char *path, *id;
    int lock_fd;
    struct db_lane *writer, *reader;

    uint64_t counts[JOB_STATE_COUNT], entered[JOB_STATE_COUNT];
    uint64_t refused;
    unsigned recovered;
    uint64_t crash_at, crash_before; /**< Moves until then; 0: never. */
    const char *crash_name;          /**< Of the move to die at; NULL: none. */

    struct job_watchers watchers;
    struct oldest_waiter *waiters;
    bool asking;
    int64_t oldest_ms[JOB_STATE_COUNT];
    int64_t oldest_mono_ms;                  /**< When `oldest_ms` was read; 0: never. */
    int64_t oldest_reading[JOB_STATE_COUNT]; /**< The read lane's while `asking`. */
};

struct services *job_store_services(const struct job_store *store)
{
    return store->services;
}

struct job_watchers *job_store_watchers(struct job_store *store)
{
    return &store->watchers;
}

static enum rc lock(const char *state_dir, int *ret_fd, struct err *err)
{
    scoped(free) char *path = fs_join(state_dir, "lock");
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    char pid[24] = "";

    if (fd < 0) {
        return err_errno(err, errno, "open '%s'", path);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        const int why = errno;
        const ssize_t len = why == EWOULDBLOCK ? pread(fd, pid, sizeof(pid) - 1, 0) : 0;

        close(fd);
        if (why != EWOULDBLOCK) {
            return err_errno(err, why, "lock '%s'", path);
        }
        pid[len > 0 ? strcspn(pid, "\n") : 0] = '\0';
        return err_set(err, RC_CONFLICT,
                       "state directory '%s' belongs to the daemon with pid %s; stop it first, or "
                       "give this one a state_dir of its own",
                       state_dir, pid[0] != '\0' ? pid : "unknown");
    }
    const int len = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());

    if (ftruncate(fd, 0) != 0 || pwrite(fd, pid, (size_t)len, 0) != len) {
        const int why = errno;

        close(fd);
        return err_errno(err, why, "write '%s'", path);
    }
    *ret_fd = fd;
    return RC_OK;
}

static enum rc recover_all(struct db *db, struct job_store *store, struct err *err)
{
    for (;;) {
        scoped(job_free) struct job *job = NULL;
        struct job_moved moved;
        struct db_stmt *q = db_prepare(db,
                                       "SELECT " JOB_COLUMNS " FROM jobs WHERE state IN"
                                       " ('CRAWLING', 'EXTRACTING', 'PUBLISHING', 'RETIRING')"
                                       " LIMIT 1",
                                       err);

        if (q == NULL) {
            return err->rc;
        }
        if (!db_step(q, err)) {
            return db_failed(q) ? err->rc : RC_OK;
        }
        const enum rc rc = job_from_row(q, store, &job, err);

        db_reset(q);
        if (rc != RC_OK ||
            job_record_rest(db, job, JOB_EV_STOPPED, "boot",
                            "the daemon had ended while it was at work", &moved, err) != RC_OK) {
            return err->rc;
        }
        store->recovered++;
        log_info(LOG_JOB,
                 "job=%" PRIu64 " %s -> %s on=STOPPED key='%s' reason='the daemon had "
                 "ended while it was at work'",
                 job->id, job_state_name(job->state), job_state_name(job->resume), job->object.key);
    }
}

/** A newer version was sighted while these were at work, and the daemon ended before they had. */
static enum rc supersede_all(struct db *db, struct job_store *store, struct err *err)
{
    for (;;) {
        scoped(job_free) struct job *job = NULL;
        struct job_moved moved;
        struct db_stmt *q = db_prepare(db,
                                       "SELECT " JOB_COLUMNS " FROM jobs WHERE overtaken = 1"
                                       " AND state IN ('QUEUED', 'CRAWLED', 'WAITING',"
                                       " 'EXTRACTED', 'BACKOFF', 'QUARANTINED') LIMIT 1",
                                       err);

        if (q == NULL) {
            return err->rc;
        }
        if (!db_step(q, err)) {
            return db_failed(q) ? err->rc : RC_OK;
        }
        const enum rc rc = job_from_row(q, store, &job, err);

        db_reset(q);
        if (rc != RC_OK || job_record_rest(db, job, JOB_EV_OVERTAKEN, "boot",
                                           "a newer version was sighted", &moved, err) != RC_OK) {
            return err->rc;
        }
        log_info(LOG_JOB, "job=%" PRIu64 " %s -> SUPERSEDED on=OVERTAKEN key='%s'", job->id,
                 job_state_name(job->state), job->object.key);
    }
}

/** Every -ING falls back, and what was overtaken goes; all of them in one transaction. */
static enum rc recover(struct db *db, struct job_store *store, struct err *err)
{
    struct err ignored;

    if (db_exec(db, "BEGIN IMMEDIATE", err) != RC_OK) {
        return err->rc;
    }
    if (recover_all(db, store, err) != RC_OK || supersede_all(db, store, err) != RC_OK) {
        (void)db_exec(db, "ROLLBACK", &ignored);
        return err->rc;
    }
    return db_exec(db, "COMMIT", err);
}

static enum rc count_rows(struct db *db, struct job_store *store, struct err *err)
{
    struct db_stmt *q = db_prepare(db, "SELECT state, count(*) FROM jobs GROUP BY state", err);

    if (q == NULL) {
        return err->rc;
    }
    while (db_step(q, err)) {
        enum job_state state;

        if (!job_state_parse(db_text(q, 0), &state)) {
            return err_set(err, RC_CORRUPT, "'%s': a job has the unknown state '%s'", store->path,
                           db_text(q, 0));
        }
        store->counts[state] = (uint64_t)db_int(q, 1);
    }
    if (db_failed(q) || (q = db_prepare(db, "SELECT count(*) FROM refused", err)) == NULL) {
        return err->rc;
    }
    store->refused = db_step(q, err) ? (uint64_t)db_int(q, 0) : 0;
    db_reset(q);
    return RC_OK;
}

static enum rc know_id(struct db *db, struct job_store *store, struct err *err)
{
    unsigned char random[ID_BYTES];

    if (job_meta_get(db, "id", &store->id, err) != RC_OK) {
        return err->rc;
    }
    if (store->id[0] != '\0') {
        return RC_OK;
    }
    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random)) {
        return err_errno(err, errno, "no random id for '%.200s'", store->path);
    }
    scoped(strbuf_done) struct strbuf hex = {0};

    for (unsigned i = 0; i < sizeof(random); i++) {
        strbuf_printf(&hex, "%02x", random[i]);
    }
    free(store->id);
    store->id = strbuf_take(&hex);
    return job_meta_set(db, "id", store->id, err);
}

static void show_count(struct job_store *store, enum job_state state)
{
    metric_set(store->services->metrics, METRIC_JOBS, METRIC_LABELS(job_state_name(state)),
               (double)store->counts[state]);
}

/** How many moves it is to live, or else the name of its last one, where names are taken. */
static uint64_t crash_point(const char *variable, const char **ret_name)
{
    const char *text = getenv(variable);
    uint64_t moves = 0;
    bool named;

    if (text == NULL || text[0] == '\0') {
        return 0;
    }
    named = !str_to_u64(text, &moves) && ret_name != NULL;
    if (named) {
        *ret_name = text;
    }
    if (named || moves > 0) {
        log_warn(LOG_JOB, "%s=%s: this daemon kills itself when it comes to that", variable, text);
    } else {
        log_warn(LOG_JOB, "%s=%s is no number of moves, and does nothing", variable, text);
    }
    return moves;
}

enum rc job_store_open(struct services *services, const char *state_dir,
                       struct job_store **ret_store, struct err *err)
{
    scoped(job_store_close) struct job_store *store = mem_new(struct job_store);
    scoped(db_close) struct db *db = NULL;

    *store = (struct job_store){
        .services = services, .lock_fd = -1, .path = fs_join(state_dir, "state.db")};
    if (fs_mkdirs(state_dir, 0700, err) != RC_OK ||
        lock(state_dir, &store->lock_fd, err) != RC_OK ||
        db_open(store->path, DB_READ_WRITE, true, &db, err) != RC_OK ||
        migrate(db, store->path, job_schema_steps, job_schema_step_count, err) != RC_OK ||
        recover(db, store, err) != RC_OK || job_takeover(db, state_dir, err) != RC_OK ||
        job_draft_sweep(db, err) != RC_OK || count_rows(db, store, err) != RC_OK ||
        know_id(db, store, err) != RC_OK) {
        return err_wrap(err, "state");
    }
    store->crash_at = crash_point("SEVIRD_CRASH_AT", &store->crash_name);
    store->crash_before = crash_point("SEVIRD_CRASH_BEFORE", NULL);
    for (unsigned s = 0; s < JOB_STATE_COUNT; s++) {
        show_count(store, s);
    }
    store->writer = db_lane_new_writer(services->loop, services->work, WORK_STATE, TAKE(db));
    if (services->gather != NULL) {
        db_lane_gather(store->writer, services->gather);
    }
    store->reader =
        db_lane_new_reader(services->loop, services->work, store->path, NULL, READ_LIMIT_MS);
    *ret_store = TAKE(store);
    return RC_OK;
}

void job_store_close(struct job_store *store)
{
    if (store == NULL) {
        return;
    }
    while (store->waiters != NULL) {
        struct oldest_waiter *waiter = store->waiters;

        store->waiters = waiter->next;
        free(waiter);
    }
    if (store->reader != NULL) {
        db_lane_free(store->reader);
    }
    if (store->writer != NULL) {
        db_lane_free(store->writer);
    }
    if (store->lock_fd >= 0) {
        close(store->lock_fd); /* the file stays: removing it would race with the next daemon */
    }
    job_watchers_done(&store->watchers);
    free(store->path);
    free(store->id);
    free(store);
}

const char *job_store_id(const struct job_store *store)
{
    return store->id;
}

const char *job_store_path(const struct job_store *store)
{
    return store->path;
}

void job_store_write(struct job_store *store, db_lane_fn *fn, db_lane_done_fn *done, void *arg)
{
    db_lane_submit(store->writer, fn, done, arg);
}

bool job_store_failing(const struct job_store *store)
{
    const int64_t failed_ms = db_lane_failed_ms(store->writer);

    return failed_ms != 0 && now_mono_ms() - failed_ms < FAILING_MS;
}

void job_store_read(struct job_store *store, db_lane_fn *fn, db_lane_done_fn *done, void *arg)
{
    db_lane_submit(store->reader, fn, done, arg);
}

unsigned job_store_pending(const struct job_store *store)
{
    return db_lane_pending(store->writer) + db_lane_pending(store->reader);
}

uint64_t job_store_count(const struct job_store *store, enum job_state state)
{
    return store->counts[state];
}

uint64_t job_store_entered(const struct job_store *store, enum job_state state)
{
    return store->entered[state];
}

unsigned job_store_recovered(const struct job_store *store)
{
    return store->recovered;
}

uint64_t job_store_refused(const struct job_store *store)
{
    return store->refused;
}

void job_observe_refused(struct job_store *store, int64_t change)
{
    store->refused += (uint64_t)change;
}

void job_store_counted(struct job_store *store, enum job_state from, enum job_state to)
{
    if (from != JOB_NO_STATE) {
        store->counts[from]--;
        show_count(store, from);
    }
    store->counts[to]++;
    store->entered[to]++;
    show_count(store, to);
}

static void count_down(uint64_t *moves)
{
    if (*moves > 0 && --*moves == 0) {
        raise(SIGKILL);
    }
}

void job_store_crash_before(struct job_store *store)
{
    count_down(&store->crash_before);
}

void job_store_crash_at(struct job_store *store, const char *kind, const char *state)
{
    count_down(&store->crash_at);
    if (store->crash_name != NULL) {
        char name[64];

        snprintf(name, sizeof(name), "%s%s%s", kind, kind[0] != '\0' ? " " : "", state);
        if (strcmp(name, store->crash_name) == 0) {
            raise(SIGKILL);
        }
    }
}

static void tell_oldest(void *arg)
{
    struct job_store *store = arg;
    struct oldest_waiter *waiter = TAKE(store->waiters);

    while (waiter != NULL) {
        struct oldest_waiter *next = waiter->next;

        waiter->done(store->oldest_ms, waiter->arg);
        free(waiter);
        waiter = next;
    }
}

static enum rc read_oldest(struct db *db, void *arg, struct err *err)
{
    struct job_store *store = arg;

    for (unsigned s = 0; s < JOB_STATE_COUNT; s++) {
        struct db_stmt *q = db_prepare(db, "SELECT min(entered_ms) FROM jobs WHERE state = ?", err);

        if (q == NULL) {
            return err->rc;
        }
        db_bind_text(q, 1, job_state_name(s));
        store->oldest_reading[s] = db_step(q, err) && !db_is_null(q, 0) ? db_int(q, 0) : 0;
        if (db_failed(q)) {
            return err->rc;
        }
        db_reset(q);
    }
    return RC_OK;
}

static void read_oldest_done(const struct err *err, void *arg)
{
    struct job_store *store = arg;

    store->asking = false;
    if (err != NULL) {
        log_warn(LOG_DB, "age of the oldest jobs: %s", err->text);
    } else {
        memcpy(store->oldest_ms, store->oldest_reading, sizeof(store->oldest_ms));
    }
    store->oldest_mono_ms = now_mono_ms();
    tell_oldest(store);
}

void job_store_oldest(struct job_store *store, job_store_oldest_fn *done, void *arg)
{
    struct oldest_waiter *waiter = mem_new(struct oldest_waiter);

    *waiter = (struct oldest_waiter){.next = store->waiters, .done = done, .arg = arg};
    store->waiters = waiter;
    if (store->asking) {
        return;
    }
    if (store->oldest_mono_ms != 0 && now_mono_ms() - store->oldest_mono_ms < OLDEST_FRESH_MS) {
        loop_defer(store->services->loop, tell_oldest, store);
        return;
    }
    store->asking = true;
    job_store_read(store, read_oldest, read_oldest_done, store);
}

enum rc job_meta_get(struct db *db, const char *name, char **ret_value, struct err *err)
{
    struct db_stmt *q = db_prepare(db, "SELECT value FROM meta WHERE name = ?", err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_text(q, 1, name);
    char *value = str_dup(db_step(q, err) ? db_text(q, 0) : "");

    if (db_failed(q)) {
        free(value);
        return err->rc;
    }
    db_reset(q);
    *ret_value = value;
    return RC_OK;
}

enum rc job_meta_set(struct db *db, const char *name, const char *value, struct err *err)
{
    struct db_stmt *q = db_prepare(db,
                                   "INSERT INTO meta(name, value, at_ms) VALUES(?1, ?2, ?3)"
                                   " ON CONFLICT(name) DO UPDATE SET value = ?2, at_ms = ?3",
                                   err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_text(q, 1, name);
    db_bind_text(q, 2, value);
    db_bind_int(q, 3, now_wall_ms());
    return db_run(q, err);
}
