/** @file
 * The ledger of an object: every key of the processed store that may hold something made from it
 * and that no manifest vouches for yet.
 *
 * Extraction notes the keys it is about to write before it writes the first, together with those of
 * the manifest that it withdraws; publishing removes what the new manifest does not list, and
 * forgets the ledger. So whatever happens in between (a crash, a newer version, a quarantine), no
 * output is ever orphaned. It is kept by object, not by job, because the job may change in between.
 * It lies in table `ledgers` of state.db, beside the claims on the same keys (job_claims.h), and is
 * written and forgotten in one transaction with them.
 *
 * Thread:     a lane's, inside somebody's transaction.
 */
#pragma once

#include "lib/base/scope.h"
#include "lib/db/db.h"

struct job_ledger {
    char **keys; /**< Ascending, each once. */
    size_t count;
    char *bytes; /**< Owns them. */
};

/** Empty when there is none. */
enum rc job_ledger_read(struct db *state, uint64_t object, struct job_ledger **ret_ledger,
                        struct err *err);
void job_ledger_free(struct job_ledger *ledger);
SCOPED_FN(struct job_ledger, job_ledger_free)
/** Unite with what is there. */
enum rc job_ledger_add(struct db *state, uint64_t object, const char *const *keys, size_t count,
                       struct err *err);
/** None there is no error. */
enum rc job_ledger_remove(struct db *state, uint64_t object, struct err *err);
