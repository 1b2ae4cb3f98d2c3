/** @file
 * The ledger of an object: every key of the processed store that may hold something made from it
 * and that no manifest vouches for yet.
 *
 * Extraction notes the keys it is about to write before it writes the first, together with those of
 * the manifest that it withdraws; publishing removes what the new manifest does not list, and
 * forgets the ledger. So whatever happens in between (a crash, a newer version, a quarantine), no
 * output is ever orphaned. It is kept by object, not by job, because the job may change in between.
 *
 * Thread:     the calls block: a worker of the FILE lane.
 */
#pragma once

#include <stddef.h>

#include "lib/base/rc.h"
#include "lib/base/scope.h"

struct job_ledger {
    char **keys; /**< Ascending, each once. */
    size_t count;
    char *bytes; /**< Owns them. */
};

/** Empty when there is none. */
enum rc job_ledger_read(const char *state_dir, const char *key, struct job_ledger **ret_ledger,
                        struct err *err);
void job_ledger_free(struct job_ledger *ledger);
SCOPED_FN(struct job_ledger, job_ledger_free)
/** Unite with what is there; whole or not at all. */
enum rc job_ledger_add(const char *state_dir, const char *key, const char *const *keys,
                       size_t count, struct err *err);
/** None there is no error. */
enum rc job_ledger_remove(const char *state_dir, const char *key, struct err *err);
