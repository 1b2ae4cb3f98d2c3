/** @file
 * One sync of a file system for all who want it.
 *
 * At most one runs at a time. Whoever asks while it does is served by the next one, for what a sync
 * covers is what was written before it began. All who are served by one are told the same: the
 * kernel tells of a write that was lost only once.
 *
 * Thread:     the loop's; the sync itself is a task of the FILE lane.
 * Completion: `done` later, exactly once, never from inside the call.
 */
#pragma once

#include "lib/run/gather.h"
#include "lib/run/work.h"
#include "lib/store/file_root.h"
#include "lib/store/store.h"

struct file_sync;

/** `name` is the store's, for errors; borrowed. `gather` says when it pays to wait for others;
 * NULL: never. */
struct file_sync *file_sync_new(struct loop *loop, struct work *work, struct gather *gather,
                                const char *name);
/** Requires: nothing under way. */
void file_sync_free(struct file_sync *sync);
SCOPED_FN(struct file_sync, file_sync_free)

/** Everything below `root` that is written by now is durable when `done` runs. */
void file_sync_ask(struct file_sync *sync, struct file_root *root, store_done_fn *done, void *arg);
