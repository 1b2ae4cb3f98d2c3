/** @file
 * Being told of jobs: typed, for who must act on what becomes of one (a queue's message is deleted
 * when its job has ended; a notification is due). People and programs outside have job_events.h.
 *
 * A watcher is told after the commit: what it hears is on disk. Who must write in the very
 * transaction of a move names a recorder.
 *
 * Thread:     the loop's; a recorder runs on the state writer.
 * Completion: a watcher is called from inside the observation of a move, and may stop itself or
 *             others there; it must not ask for a move from inside.
 * Ownership:  what is told is borrowed for the call.
 */
#pragma once

#include "daemon/job/job.h"

struct job_store;
struct job_watch;

/** A job has moved. A birth is a move from JOB_STATE_COUNT to QUEUED. */
struct job_news {
    uint64_t job;
    enum job_action action;
    enum job_state from, to;
    const char *key;    /**< Of its object. */
    const char *reason; /**< "" when none was given. */
    enum rc rc;         /**< Class of a failure, else RC_OK. */
    uint64_t outputs;   /**< Of a job that was published: how many. */
};
typedef void job_watch_fn(const struct job_news *news, void *arg);

struct job_watch *job_watch_start(struct job_store *store, job_watch_fn *fn, void *arg);
/** `watch` may be NULL. */
void job_watch_stop(struct job_watch *watch);

/** On the state writer, inside the transaction of a move that a stage, a wish or a retry makes.
 * What it returns is the move's end: an error undoes both. It may run more than once for one move,
 * of which one is committed. */
typedef enum rc job_record_fn(struct db *db, const struct job_news *news, void *arg,
                              struct err *err);
/** At most one; NULL: none any more. Requires: no write under way. */
void job_store_set_recorder(struct job_store *store, job_record_fn *fn, void *arg);
