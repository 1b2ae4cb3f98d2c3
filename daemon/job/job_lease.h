/** @file
 * Which of several daemons works on an object: a claim in the processed store that they share.
 *
 * `_claims/<source key>.json` is made by a put that nothing may be in the way of, rewritten by its
 * owner well within `processed.lease` (only over the version it wrote last), and removed at the
 * end. One that has not been rewritten for that long, and some time for clocks that differ, is a
 * dead daemon's: it is taken over by a put over exactly the version that was seen, so of two who
 * try only one succeeds. Outputs are the same whoever writes them; the claim keeps two from doing
 * the work twice, and from removing what the other has just put.
 *
 * A store that ignores conditions is found out by the first claim that is made: LEASE_FAILED with
 * RC_HOST, until it obeys.
 *
 * A daemon whose claim was taken over, or that could not rewrite it in time, has lost it and must
 * stop; it is told.
 *
 * Thread:     the loop's.
 * Completion: `done` later, exactly once.
 * Ownership:  strings are copied.
 */
#pragma once

#include "daemon/job/job.h"
#include "lib/run/loop.h"
#include "lib/store/store.h"

struct job_leases;

#define JOB_LEASE_WHO 80

/** Until when a job whose claim was lost should leave it alone (wall clock). */
int64_t job_lease_lost_until_ms(const struct job_leases *leases);

enum job_lease_outcome {
    LEASE_KEPT,   /**< Ours, and was ours without a break since it was last taken. */
    LEASE_TAKEN,  /**< Ours from now on: nobody had it, or who had it is dead. */
    LEASE_HELD,   /**< Another daemon's. */
    LEASE_FAILED, /**< `err` says why. */
};

struct job_lease_answer {
    enum job_lease_outcome outcome;
    char who[JOB_LEASE_WHO]; /**< HELD: whose it is. */
    int64_t again_ms;        /**< HELD: when to look again (wall clock). */
};

typedef void job_lease_fn(const struct job_lease_answer *answer, const struct err *err, void *arg);
/** It is lost: `who` has it, or "" when we could not rewrite it in time. Not called again. */
typedef void job_lease_lost_fn(const char *who, void *arg);

/** `owner` is the id of this daemon, the same after a restart; `who` names it for people. */
struct job_leases *job_leases_new(struct services *services, const char *owner, const char *who);
/** Requires: job_leases_busy() is false. Claims that are still held stay in the store. */
void job_leases_free(struct job_leases *leases);

/** Take the claim on the job's object. While it is held, `lost` may be called. */
void job_lease_take(struct job_leases *leases, const struct job *job, job_lease_lost_fn *lost,
                    job_lease_fn *done, void *arg);
/** Keep it, but nobody is to be told of its loss any more: the next job_lease_take() will. */
void job_lease_rest(struct job_leases *leases, const char *key);
/** Give it up, if we have it: the claim goes. What fails is logged; then it ends by itself. `done`
 * (may be NULL) runs when that is over. */
void job_lease_give_up(struct job_leases *leases, const char *key, loop_fn *done, void *arg);
/** While we have it: that what is published of the object is another daemon's work. */
void job_lease_set_foreign(struct job_leases *leases, const char *key);
bool job_lease_is_foreign(const struct job_leases *leases, const char *key);
/** Look for claims that dead daemons have left and no job comes upon, and remove them: one after
 * another, in the background. */
void job_leases_sweep(struct job_leases *leases);
/** No more sweeps; one that is under way ends soon. */
void job_leases_quiet(struct job_leases *leases);
/** A request is under way. */
bool job_leases_busy(const struct job_leases *leases);
/** Claims held now. */
unsigned job_leases_held(const struct job_leases *leases);

/** Key of the claim on the object `source_key`; the caller frees. Pure. */
char *job_lease_key(const char *source_key);
