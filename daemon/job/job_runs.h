/** @file
 * Runs of remote engines on record: which there are, and which jobs move by them (tables `runs` and
 * `run_jobs`).
 *
 * A run is recorded before it is started and carries what it is found again by, so that after a
 * crash it is neither lost nor started twice. The recordings count with the moves of jobs for
 * SEVIRD_CRASH_AT and SEVIRD_CRASH_BEFORE (job_store.h).
 *
 * Thread:     the loop's.
 * Completion: `done` later, exactly once.
 * Ownership:  what is passed in is copied; what `done` is given is borrowed for the call.
 */
#pragma once

#include "daemon/job/job.h"

struct job_store;

struct job_run {
    int64_t id;        /**< 0: not on record yet. */
    const char *kind;  /**< "crawl", "job". */
    const char *name;  /**< Of the crawler or the job. */
    const char *token; /**< Ours; what a job's run is found again by. */
    const char *remote_id;
    const char *state; /**< "NEW", "STARTED", then as the engine calls it. */
    const char *error, *log_url;
    int64_t after_ms; /**< A crawl's: when the one before it began; what it is told apart by. */
    int64_t began_ms, ended_ms; /**< `ended_ms` 0: not yet. */
    double dpu_seconds;
    bool closed; /**< All its jobs have moved by it, and nothing of it is left anywhere. */
};

/** A run that is not closed. */
struct job_run_open {
    struct job_run run;
    const uint64_t *jobs; /**< Not settled. */
    unsigned job_count;
};

typedef void job_run_saved_fn(int64_t id, const struct err *err, void *arg);
/** A run with id 0 is made, with `jobs`; any other is changed. */
void job_run_save(struct job_store *store, const struct job_run *run, const uint64_t *jobs,
                  unsigned count, job_run_saved_fn *done, void *arg);
/** The job has moved by what became of the run, or does not wait for it any more. */
void job_run_settle(struct job_store *store, int64_t run, uint64_t job);

typedef void job_runs_fn(const struct job_run_open *runs, unsigned count, const struct err *err,
                         void *arg);
/** At the start, before any job is at work: what the last daemon has left. Jobs that cannot be
 * waiting for their run any more are settled first. */
void job_runs_load(struct job_store *store, job_runs_fn *done, void *arg);
