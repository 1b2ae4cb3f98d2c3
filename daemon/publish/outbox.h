/** @file
 * Notifications through SNS: a row of `outbox` is written in the very transaction of the move that
 * it tells of (job_watch.h), and sent afterwards, at least once.
 *
 * No job waits for a topic. While SNS does not answer, rows gather on disk and are tried again,
 * from the oldest on; what was sent is kept for a week, for people, and then removed. What SNS
 * refuses for good is kept with its error and is in nobody's way.
 *
 * One message an object, or, with `notify.digest`, one for all that has gathered in that time. The
 * messages are described in docs/operations.md.
 *
 * Thread:     the loop's; rows are written and read on the lanes.
 * Completion: `done` of outbox_stop() later, exactly once.
 * Ownership:  the caller owns the outbox until that `done`, which frees it.
 */
#pragma once

#include "daemon/services.h"

struct outbox;

/** NULL without `notify.sns_topic_arn`. Requires: the job store is open, no job has moved yet. */
struct outbox *outbox_start(struct services *services);
/** Sends nothing more, waits for what is under way. */
void outbox_stop(struct outbox *outbox, loop_fn *done, void *arg);

/** Counts since the start but for `unsent`; strings live until the loop turns. */
struct outbox_status {
    uint64_t unsent, sent, refused;
    const char *error; /**< Of the last attempt, "" when it went well. */
    int64_t error_ms;
};
void outbox_status(const struct outbox *outbox, struct outbox_status *ret_status);
