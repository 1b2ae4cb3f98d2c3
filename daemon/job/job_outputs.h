/** @file
 * What an object no longer makes goes: outputs, the ledger that lists them, the claims on their
 * keys. Publishing, retiring and a failed extraction end in this.
 *
 * Thread:     the loop's.
 * Completion: `done` later, exactly once. On failure the ledger is still there, and the claims on
 *             whatever it lists: do it again. RC_CANCELED: `*halt` had become true.
 */
#pragma once

#include "daemon/job/job.h"
#include "daemon/job/job_manifest.h"
#include "daemon/services.h"

/** Keep what `manifest` lists (NULL: nothing) of what the object has made: remove the other keys of
 * its ledger from the processed store, forget the ledger, give up the other claims. The manifest is
 * borrowed until `done`, as is `halt`:
 * once it is true, as when the object is not ours any more, nothing more is removed. */
void job_outputs_settle(struct services *services, const struct job *job,
                        const struct job_manifest *manifest, const bool *halt, store_done_fn *done,
                        void *arg);
