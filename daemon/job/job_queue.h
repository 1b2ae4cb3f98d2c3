/** @file
 * The queue: which job goes next, how many at once, and the timers of BACKOFF.
 *
 * Order is by `due`: the time of sighting plus a penalty that grows with the logarithm of the size,
 * so that a small file passes a big one and yet nothing starves; CATALOG-like and CSV keys go
 * first, as HDF5 files wait for them. The queue holds a window of ids; the rest are rows of
 * state.db.
 *
 * Thread:     the loop's.
 */
#pragma once

#include "daemon/job/job.h"
#include "lib/run/loop.h"

struct job_queue;
struct services;

struct job_queue *job_queue_new(struct services *services, const struct job_stage *const *stages);
/** Requires: job_queue_stop() has completed. */
void job_queue_free(struct job_queue *queue);
SCOPED_FN(struct job_queue, job_queue_free)

void job_queue_start(struct job_queue *queue);
/** Something new may rest in state.db: look. Cheap, coalesced. */
void job_queue_poke(struct job_queue *queue);
/** No new stage starts; what runs goes on. */
void job_queue_pause(struct job_queue *queue, bool paused);
bool job_queue_paused(const struct job_queue *queue);
/** Stop every stage (STOPPED) and report when nothing works any more; final. */
void job_queue_stop(struct job_queue *queue, loop_fn *done, void *arg);
/** Nothing queued, working or backing off (WAITING does not count), and nothing being compared with
 * a changed catalog. */
bool job_queue_idle(const struct job_queue *queue);
unsigned job_queue_working(const struct job_queue *queue);
/** How many more jobs could be taken on and not only stand in line: for sources that can leave them
 * where they are. 0 while paused or stopping. */
unsigned job_queue_room(const struct job_queue *queue);
/** A job at work only waits for somebody else from now on (a remote engine), or does not any more:
 * while it does, it takes no slot from others. */
void job_queue_waits(struct job_queue *queue, const struct job *job, bool waits);
/** How many of them there are. */
unsigned job_queue_waiting(const struct job_queue *queue);

/** An operator's wish, or the catalog's news, for one job: RETRY, CANCEL, RELEASED, REVISED,
 * OVERTAKEN. A job at work is stopped first. RC_NOT_FOUND, RC_INVALID (the state has no such edge).
 */
typedef void job_queue_done_fn(const struct err *err, void *arg);
void job_queue_tell(struct job_queue *queue, uint64_t id, enum job_event event, const char *reason,
                    job_queue_done_fn *done, void *arg);
/** The catalog has changed: every WAITING job whose rows are there now is RELEASED, and DONE,
 * SKIPPED or QUARANTINED ones whose rows or selection differ from what they used are REVISED.
 * Coalesced. */
void job_queue_catalog_changed(struct job_queue *queue);
/** A claim that somebody was refused was given up (job_claims.h): who was refused it is REVISED.
 * Coalesced. */
void job_queue_claims_freed(struct job_queue *queue);
