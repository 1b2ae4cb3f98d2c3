/** @file
 * When to do at once what several want: a commit, or a sync, costs the same for one as for many.
 *
 * A point is one such thing. Who wants it says so, and the point is told to go: at once where fewer
 * than GATHER_SIBLINGS are at work, for then nobody else will want it soon; else when all who are
 * at work want something, or when the first has waited long enough.
 *
 * Thread:     the loop's.
 * Completion: `go` runs from the loop, never from inside the call. A point that cannot go when it
 *             is told to says so by not taking anything, and asks again with gather_again().
 */
#pragma once

#include "lib/run/loop.h"

#define GATHER_MS 4 /**< Long enough for a daemon. */
#define GATHER_SIBLINGS 5

struct gather;
struct gather_point;

struct gather *gather_new(struct loop *loop, int64_t wait_ms);
/** Requires: no points left. */
void gather_free(struct gather *gather);
SCOPED_FN(struct gather, gather_free)
/** How many are at work whose next want is near: what they do now is short. */
void gather_at_work(struct gather *gather, unsigned count);

struct gather_point *gather_point_new(struct gather *gather, loop_fn *go, void *arg);
/** Requires: nothing wanted of it. */
void gather_point_free(struct gather_point *point);
SCOPED_FN(struct gather_point, gather_point_free)
/** One more wants it. */
void gather_want(struct gather_point *point);
/** `count` of those who wanted it are served by what begins now. */
void gather_took(struct gather_point *point, unsigned count);
/** It could not go when it was told to, and can now. */
void gather_again(struct gather_point *point);
