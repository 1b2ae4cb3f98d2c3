/** @file
 * What earlier versions kept as files of the state directory, brought into state.db once.
 *
 * STATE_DIR/jobs/<id>.json were drafts, STATE_DIR/ledgers/<sha256 of the object's key> ledgers. A
 * file goes only when its rows are durable, and its going is durable before anything else happens:
 * one that came back after a power cut would tell of keys that may be another object's by then.
 *
 * Thread:     the call blocks: before the loop runs.
 */
#pragma once

#include "lib/db/db.h"

/** Does nothing when there are none. A file that cannot be read is an error: what it lists would be
 * orphaned. A ledger of an object that is not on record stays, and is told of. */
enum rc job_takeover(struct db *state, const char *state_dir, struct err *err);
