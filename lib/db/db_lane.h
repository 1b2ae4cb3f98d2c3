/** @file
 * Databases off the loop: a writer that commits in groups, and readers.
 *
 * A writer lane is one task wide. All writes gathered while a commit is under way, or while others
 * at work are expected to write as well (db_lane_gather()), go into the next transaction together,
 * each in its own savepoint, so that one that fails is undone alone and a burst of a thousand costs
 * one fsync. `done` runs only when the commit has completed: durable
 * before visible. A commit that fails fails every write in it.
 *
 * A reader lane opens a read-only connection a task (kept and reused) and interrupts a read that
 * takes longer than its limit (RC_TIMEOUT). All statements of one read see a database as it was
 * when the first of them looked at it.
 *
 * Thread:     the loop's; `fn` runs on the lane's worker and owns `arg` meanwhile.
 * Completion: `done` later, exactly once, in the order of submission for a writer. `err` is NULL on
 *             success, else borrowed for the call.
 */
#pragma once

#include "lib/db/db.h"
#include "lib/run/gather.h"
#include "lib/run/work.h"

struct db_lane;
typedef enum rc db_lane_fn(struct db *db, void *arg, struct err *err);
typedef void db_lane_done_fn(const struct err *err, void *arg);

/** Takes over an open, migrated connection. */
struct db_lane *db_lane_new_writer(struct loop *loop, struct work *work, enum work_lane lane,
                                   struct db *db);
/** From now on a commit waits for company, as `gather` says. A writer, with nothing submitted. */
void db_lane_gather(struct db_lane *lane, struct gather *gather);
/** `attach` (may be NULL) is run once on each new connection, e.g. "ATTACH ...". */
struct db_lane *db_lane_new_reader(struct loop *loop, struct work *work, const char *path,
                                   const char *attach, int64_t limit_ms);
/** Requires: nothing submitted that has not completed; not from inside a `done`. */
void db_lane_free(struct db_lane *lane);
SCOPED_FN(struct db_lane, db_lane_free)

void db_lane_submit(struct db_lane *lane, db_lane_fn *fn, db_lane_done_fn *done, void *arg);
/** Commits so far; for tests and for `sevird_` metrics. */
uint64_t db_lane_commits(const struct db_lane *lane);
/** Of a writer: when (monotonic ms) a group last failed, or a write in it for want of space; 0:
 * never. */
int64_t db_lane_failed_ms(const struct db_lane *lane);
/** Submitted and not completed. */
unsigned db_lane_pending(const struct db_lane *lane);
