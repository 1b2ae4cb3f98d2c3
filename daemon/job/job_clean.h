/** @file
 * An object that will not be made leaves nothing behind: no manifest, no output, no row.
 *
 * Thread:     the loop's.
 * Completion: `done` later, exactly once. What cannot be removed now stays in the ledger, for the
 *             next run of the object or its end; that is logged and no error.
 */
#pragma once

#include "daemon/job/job.h"
#include "daemon/services.h"
#include "lib/run/loop.h"

/** Whether only an object is meant of which something was half made: the ledger says so. What an
 * earlier version has published stays. */
enum job_clean_what { JOB_CLEAN_ALL, JOB_CLEAN_HALF_MADE };

/** Once `*halt` is true the object is another daemon's, and nothing more is removed. */
void job_clean(struct services *services, const struct job *job, enum job_clean_what what,
               const bool *halt, loop_fn *done, void *arg);
