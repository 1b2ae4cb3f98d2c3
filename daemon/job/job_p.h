/** @file
 * Private to daemon/job/, daemon/intake/ and their tests: how a move is recorded, and how it is
 * told.
 *
 * Recording happens on the state writer, inside somebody's transaction; telling happens on the
 * loop, when that transaction has been committed. job_move() does both for one job; intake does
 * both for what its sightings supersede.
 */
#pragma once

#include "daemon/job/job_store.h"
#include "daemon/job/job_watch.h"

extern const char *const job_schema_steps[];
extern const int job_schema_step_count;

/** One move as it is recorded and told. Strings are borrowed. */
struct job_moved {
    uint64_t id;
    enum job_action action;
    enum job_state from, to;
    enum job_event on;
    const char *key, *reason, *actor, *request_ids;
    enum rc rc;
    int64_t at_ms, after_ms;
    int64_t event_ms;
};

/** What else of the row a move changes. */
struct job_moved_row {
    enum job_state resume;
    unsigned failures;
    int64_t retry_at_ms; /**< 0: none. */
    const char *kind, *table, *rows_digest;
};

/** On the writer: compare-and-set on `from` (RC_CONFLICT), and a row of `transitions`. */
enum rc job_record(struct db *db, const struct job_moved *moved, const struct job_moved_row *row,
                   struct err *err);
/** On the writer: move a job that nobody has in memory (OVERTAKEN, RETRY; STOPPED at boot); fills
 * what job_observe() needs. `reason` is borrowed. */
enum rc job_record_rest(struct db *db, const struct job *job, enum job_event on, const char *actor,
                        const char *reason, struct job_moved *ret_moved, struct err *err);
/** On the loop, after the commit: log line, counters, gauges, event. */
void job_observe(struct job_store *store, const struct job_moved *moved);

/* job_watch.c */
struct job_watchers {
    struct job_watch *first;
    unsigned walking;
    job_record_fn *record; /**< Called on the state writer; set while nothing is written. */
    void *record_arg;
};
struct job_watchers *job_store_watchers(struct job_store *store);
void job_watch_tell(struct job_watchers *watchers, const struct job_news *news);
void job_watchers_done(struct job_watchers *watchers);
/** On the state writer: what else belongs into the transaction of this move. */
enum rc job_watch_record(struct db *db, struct job_store *store, const struct job_news *news,
                         struct err *err);

/** A job was made; on the loop, after the commit. */
struct job_born {
    uint64_t id;
    enum job_action action;
    const char *key, *source, *outcome;
    uint64_t size;
};
void job_observe_born(struct job_store *store, const struct job_born *born);
/** `change` keys more, or fewer, are on record as refused. */
void job_observe_refused(struct job_store *store, int64_t change);

/** The columns that job_from_row() reads, in its order, from `jobs`. */
#define JOB_COLUMNS                                                                           \
    "id, object, bucket, key, version, etag, sequencer, size, modified_ms, event_ms, action," \
    " state, resume, failures, sighted_ms, entered_ms, kind, tbl, rows_digest"
/** A job with an arena of its own. RC_CORRUPT when a name in the row is unknown. Any thread. */
enum rc job_from_row(struct db_stmt *stmt, struct job_store *store, struct job **ret_job,
                     struct err *err);
void job_free(struct job *job);
SCOPED_FN(struct job, job_free)

/** A row read on the read lane. RC_NOT_FOUND. The receiver of `done` frees the job. `newest` is the
 * id of the newest job of the same object. */
typedef void job_loaded_fn(struct job *job, uint64_t newest, const struct err *err, void *arg);
void job_load(struct job_store *store, uint64_t id, job_loaded_fn *done, void *arg);

struct services *job_store_services(const struct job_store *store);
/** A commit is about to be asked for, or has been seen: where SEVIRD_CRASH_BEFORE and
 * SEVIRD_CRASH_AT take effect. What was recorded is that of a run of `kind`, or with "" a job's. */
void job_store_crash_before(struct job_store *store);
void job_store_crash_at(struct job_store *store, const char *kind, const char *state);
/** The counts behind job_store_count(); called by job_observe() and by recovery. */
void job_store_counted(struct job_store *store, enum job_state from, enum job_state to);
#define JOB_NO_STATE JOB_STATE_COUNT /* `from` of a job that was just made */

/** Files below it may use the slot that is kept for small ones. */
#define JOB_BIG_BYTES ((uint64_t)64 << 20)
/** Files below it take little memory and little time, most of which they wait for disks: many of
 * them may be at work. */
#define JOB_TINY_BYTES ((uint64_t)256 << 10)
/** A job's place in the line (job_queue.h). Pure. */
int64_t job_order_ms(const char *key, uint64_t size, enum job_action action, int64_t sighted_ms);

const char *job_action_name(enum job_action action);
