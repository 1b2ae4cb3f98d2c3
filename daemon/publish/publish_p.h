/** @file
 * Private to daemon/publish/: the operations that publishing and retiring are made of. Each calls
 * `done` later, exactly once; strings and manifests are borrowed until then.
 *
 * Thread:     the loop's.
 */
#pragma once

#include "daemon/job/job_manifest.h"
#include "daemon/publish/publish.h"
#include "daemon/services.h"

/** Register the outputs of `manifest` in the data catalog (tables, partitions, `outputs`), instead
 * of whatever this object had there. `ret_source` gets the object's id. */
void registration_start(struct services *services, const struct job *job,
                        const struct job_manifest *manifest, int64_t *ret_source,
                        store_done_fn *done, void *arg);

/** Tell the remote data catalog, where there is one, of what ours knows by now. */
void catalog_tell(struct services *services, store_done_fn *done, void *arg);

/** Load the rows of its CSV outputs into SQL; RC_CANCELED soon after `*stop_asked` became true. */
void rows_load_start(struct services *services, const struct job *job,
                     const struct job_manifest *manifest, int64_t source, const bool *stop_asked,
                     store_done_fn *done, void *arg);
