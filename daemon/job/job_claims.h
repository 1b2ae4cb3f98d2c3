/** @file
 * Which object a key of the processed store belongs to.
 *
 * Keys are made from base names and event ids, so two objects may want the same one: a file copied
 * into a second folder, 'a.csv' beside 'a.csv.gz'. Extraction claims its keys before it writes the
 * first; the second claimant is told whose they are, and writes nothing. A claim is given up when
 * no manifest and no ledger of its object lists the key any more; whoever was refused it then runs
 * again (job_revise.c).
 *
 * Pictures are claimed by their folder, one an event, not one a frame.
 *
 * Thread:     a lane's: the state writer's.
 */
#pragma once

#include <stdbool.h>

#include "lib/db/db.h"

/** Claim all of `keys` for `object`, beside what it has; or none, when one is another's: then
 * `ret_taken` is that key and `ret_owner` the key of the object that has it (the caller frees both;
 * NULL when all went well), and it is remembered that `object` waits for it. */
enum rc job_claims_take(struct db *state, uint64_t object, const char *const *keys, size_t count,
                        char **ret_taken, char **ret_owner, struct err *err);
/** Give up every claim of `object` but those on `keys`. `ret_freed`: another waits for one of them.
 */
enum rc job_claims_keep(struct db *state, uint64_t object, const char *const *keys, size_t count,
                        bool *ret_freed, struct err *err);
