/** @file
 * AWS Glue as a remote engine (daemon/job/job_remote.h): jobs are gathered into few runs of a
 * crawler or of a job, each run is followed to its end, and its jobs move together.
 *
 * A run is on record before it is started (daemon/job/job_runs.h). After a crash it is found again:
 * a job's run by our token in its arguments, a crawl by its start being later than the one before.
 *
 * Thread:     the loop's.
 * Completion: as job_remote.h.
 * Ownership:  the caller owns the engine.
 */
#pragma once

#include "daemon/intake/envelope.h"
#include "daemon/job/job_remote.h"
#include "daemon/services.h"

struct glue_engine;

/** NULL where no engine is "glue". Loads what the last daemon has
 * left; who joins before that is done waits. Requires: services->aws. */
struct glue_engine *glue_engine_new(struct services *services);
struct job_remote *glue_engine_remote(struct glue_engine *engine);
/** Nothing more is asked of Glue; runs go on there. Requires: every job has left. */
void glue_engine_stop(struct glue_engine *engine);
/** Requires: stopped, and no call or write of it under way. `engine` may be NULL. */
void glue_engine_free(struct glue_engine *engine);
/** Glue says that a crawler or a run has changed its state: a hint to look at once. */
void glue_engine_event(const struct envelope_glue *event, void *engine);
