/** @file
 * The draft of a manifest: what EXTRACTED leaves, and PUBLISHING puts.
 *
 * Table `drafts` of state.db holds the very bytes of the future manifest. They are written in the
 * transaction of the move to EXTRACTED, read by publishing, and gone with the move that ends the
 * job: a job is never without the draft it needs, and no draft is without its job.
 *
 * Thread:     a lane's, inside somebody's transaction.
 */
#pragma once

#include "daemon/job/job.h"

/** `job_note.also` of the move to EXTRACTED: records `job->draft`. */
enum rc job_draft_record(struct db *state, const struct job *job, void *unused, struct err *err);
/** In place of what is there. */
enum rc job_draft_put(struct db *state, uint64_t job, const void *bytes, size_t len,
                      struct err *err);
/** RC_NOT_FOUND when there is none; the caller frees. */
enum rc job_draft_read(struct db *state, uint64_t job, char **ret_bytes, size_t *ret_len,
                       struct err *err);
/** None there is no error. */
enum rc job_draft_remove(struct db *state, uint64_t job, struct err *err);
/** Whether the job is on its way to publish its draft; when in doubt, it is. */
bool job_draft_is_wanted(struct db *state, uint64_t job);
/** At boot: remove those that no job needs (it has begun anew, say). */
enum rc job_draft_sweep(struct db *state, struct err *err);
