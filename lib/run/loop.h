/** @file
 * One libuv loop: deferred calls, timers, and an ordered end.
 *
 * Thread:     the loop's, but for loop_post().
 * Completion: deferred calls and timers run from the loop, never from inside the call that asked.
 * Ownership:  a timer handle belongs to who made it until loop_timer_free(), which takes effect at
 *             once (the callback will not run) while its memory returns when libuv lets go.
 */
#pragma once

#include <stdint.h>
#include <uv.h>

#include "lib/base/rc.h"
#include "lib/base/scope.h"

struct loop;
struct loop_timer;
typedef void loop_fn(void *arg);

struct loop *loop_new(void);
/** Requires: loop_run() has returned and every handle was freed; runs what closes are pending. */
void loop_free(struct loop *loop);
SCOPED_FN(struct loop, loop_free)
uv_loop_t *loop_uv(struct loop *loop);

/** Until loop_stop(), or until nothing is left that could wake it. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/** `fn` runs in this or the next iteration, in the order of asking. */
void loop_defer(struct loop *loop, loop_fn *fn, void *arg);
/** The same from any thread. */
void loop_post(struct loop *loop, loop_fn *fn, void *arg);

struct loop_timer *loop_timer_new(struct loop *loop, loop_fn *fn, void *arg);
void loop_timer_free(struct loop_timer *timer);
SCOPED_FN(struct loop_timer, loop_timer_free)
/** Fires once after `delay_ms`; arming again replaces the earlier deadline. */
void loop_timer_arm(struct loop_timer *timer, int64_t delay_ms);
void loop_timer_disarm(struct loop_timer *timer);

/** `fn` is told after each iteration how long its callbacks held the loop; NULL to stop. */
typedef void loop_lag_fn(double seconds, void *arg);
void loop_watch_lag(struct loop *loop, loop_lag_fn *fn, void *arg);
