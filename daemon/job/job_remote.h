/** @file
 * Work that is done elsewhere: what the stages see of a managed engine.
 *
 * An engine gathers jobs into runs of its own; a stage joins and is told when the run that its job
 * was in is over. A run is on record in state.db before it is started, so a job that joins again
 * after a crash is attached to the run it was in.
 *
 * Thread:     the loop's.
 * Completion: `done` later, exactly once; leave() asks, `done` then says RC_CANCELED.
 * Ownership:  the job is borrowed until `done`; what `done` is given, for the call.
 */
#pragma once

#include "daemon/catalog/catalog_tables.h"
#include "daemon/job/job.h"
#include "lib/base/digest.h"

struct job_remote;

/** What an extraction made of one object. */
struct job_remote_made {
    uint64_t rows, bytes;
    uint8_t sha256[DIGEST_BYTES];
    enum csv_quotes quotes;
    const struct catalog_column *columns;
    unsigned column_count;
};

/** `run` names the run for people, "" where there was none. `made` is an extraction's only. */
typedef void job_remote_done_fn(const char *run, const struct job_remote_made *made,
                                const struct err *err, void *arg);

typedef void job_remote_told_fn(const struct err *err, void *arg);

/** A run under way, for people; strings live until the loop turns. */
struct job_remote_run {
    const char *engine; /**< "glue" */
    const char *kind;   /**< "crawl", "job" */
    const char *name;   /**< Of the crawler or the job. */
    const char *id;     /**< The engine's; "": none, or not known yet. */
    const char *state;  /**< As the engine calls it, "NEW" or "STARTED" until it was looked at. */
    int64_t since_ms;
    unsigned objects;
};

struct job_remote {
    bool crawls, extracts, registers; /**< What it is there for. */
    void (*crawl)(struct job_remote *, const struct job *job, job_remote_done_fn *done, void *arg);
    /** Put the table of the object under `output`, a key of the processed store. */
    void (*extract)(struct job_remote *, const struct job *job, const char *output,
                    job_remote_done_fn *done, void *arg);
    /** Tell another data catalog of what ours has of published tables and partitions by now. */
    void (*tell)(struct job_remote *, job_remote_told_fn *done, void *arg);
    void (*leave)(struct job_remote *, const struct job *job);
    /** The run at `index` of those under way; false: there are no more. */
    bool (*run)(struct job_remote *, unsigned index, struct job_remote_run *ret_run);
};
