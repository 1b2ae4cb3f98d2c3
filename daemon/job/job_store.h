/** @file
 * state.db: objects, jobs, every transition, sightings, source cursors and the outbox.
 *
 * All writes go through one writer lane that commits in groups (lib/db/db_lane.h). Counts a state
 * are kept in memory from the observed moves, so that metrics and status need no query. The tables
 * are in job_schema.c.
 *
 * Fault injection (docs/operations.md): with SEVIRD_CRASH_AT=N in the environment the daemon kills
 * itself with SIGKILL when its N-th move (births of jobs count) is durable and not yet observed;
 * with the name of a state, or kind and state of a run, at the first such; with
 * SEVIRD_CRASH_BEFORE=N when the N-th is about to be recorded.
 *
 * Thread:     the loop's; functions passed in run on a lane.
 * Completion: as lib/db/db_lane.h.
 */
#pragma once

#include "daemon/job/job.h"
#include "lib/db/db_lane.h"
#include "lib/run/loop.h"

struct services;

/** Opens or creates STATE_DIR/state.db, takes the directory's lock (RC_CONFLICT names the pid of
 * the daemon that holds it), migrates, and puts every -ING job back to the rest it left (STOPPED).
 */
enum rc job_store_open(struct services *services, const char *state_dir,
                       struct job_store **ret_store, struct err *err);
void job_store_close(struct job_store *store);
SCOPED_FN(struct job_store, job_store_close)

const char *job_store_path(const struct job_store *store);
/** Made up when the directory was made, and kept in state.db: tells daemons apart that share a
 * store.
 */
const char *job_store_id(const struct job_store *store);
void job_store_write(struct job_store *store, db_lane_fn *fn, db_lane_done_fn *done, void *arg);
void job_store_read(struct job_store *store, db_lane_fn *fn, db_lane_done_fn *done, void *arg);
/** A write has failed within the last three seconds, since the disk is full, say: small ones may
 * still go well between large ones that do not. */
bool job_store_failing(const struct job_store *store);
/** Reads and writes submitted and not completed. */
unsigned job_store_pending(const struct job_store *store);
/** Jobs in a state now, by the moves observed. */
uint64_t job_store_count(const struct job_store *store, enum job_state state);
/** When the job that has been longest in `state` entered it (wall ms); 0 when there is none.
 * Refreshed by a query at most once a second, so `done` runs later. */
typedef void job_store_oldest_fn(const int64_t oldest_ms[JOB_STATE_COUNT], void *arg);
void job_store_oldest(struct job_store *store, job_store_oldest_fn *done, void *arg);
/** Jobs that the end of the last daemon had found at work: boot put them back. */
unsigned job_store_recovered(const struct job_store *store);
/** How often a job entered `state` since the daemon started. */
uint64_t job_store_entered(const struct job_store *store, enum job_state state);
/** Keys on record that break a rule (table `refused`). */
uint64_t job_store_refused(const struct job_store *store);

/* On a lane: what is remembered by name. */
/** "" when there is none; the caller frees. */
enum rc job_meta_get(struct db *db, const char *name, char **ret_value, struct err *err);
enum rc job_meta_set(struct db *db, const char *name, const char *value, struct err *err);
