/** @file
 * The draft of a manifest: what EXTRACTED leaves on disk, and PUBLISHING puts.
 *
 * STATE_DIR/jobs/<id>.json holds the very bytes of the future manifest. Extraction writes it,
 * publishing reads it; neither includes the other.
 *
 * Thread:     the calls block: a worker of the FILE lane.
 */
#pragma once

#include "daemon/job/job.h"
#include "lib/base/str.h"

/** Written whole, fsynced, renamed. */
enum rc job_draft_write(const char *state_dir, uint64_t job, const void *bytes, size_t len,
                        struct err *err);
/** RC_NOT_FOUND when there is none; the caller frees. */
enum rc job_draft_read(const char *state_dir, uint64_t job, char **ret_bytes, size_t *ret_len,
                       struct err *err);
/** None there is no error. */
void job_draft_remove(const char *state_dir, uint64_t job);
/** At boot: remove the drafts of which `wanted` says that no job needs them, and what writes that
 * were cut short have left beside drafts and ledgers. */
typedef bool job_draft_wanted_fn(uint64_t job, void *arg);
void job_draft_sweep(const char *state_dir, job_draft_wanted_fn *wanted, void *arg);
