/** @file
 * Lanes of worker threads. A lane runs at most its width of tasks at once, first come first served,
 * so that a slow kind of work cannot hold up another kind.
 *
 * All lanes share libuv's thread pool, which work_new() sizes to the sum of their widths (it must
 * therefore run before anything else uses the pool).
 *
 * Thread:     the loop's. `run` executes on a worker and owns `arg` meanwhile: no locks, nothing
 *             shared. `done` executes on the loop.
 * Completion: `done` runs exactly once, later, for every task submitted; `canceled` tells a task
 *             that never ran because work_cancel() came first.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/run/loop.h"

/** CPU: pure functions on buffers. FILE: disks. READ: read-only database queries. The writers of
 * the two databases have a lane each, one task wide. */
#define WORK_LANE_MAP(X) X(CPU) X(FILE) X(READ) X(STATE) X(CATALOG)

enum work_lane {
#define X(name) WORK_##name,
    WORK_LANE_MAP(X)
#undef X
        WORK_LANE_COUNT
};

struct work;
struct work_task; /**< A claim ticket, void once `done` has begun. */
typedef void work_run_fn(void *arg);
typedef void work_done_fn(void *arg, bool canceled);

/** `widths[lane]` >= 1. */
struct work *work_new(struct loop *loop, const unsigned widths[WORK_LANE_COUNT]);
/** Requires: nothing queued or running. */
void work_free(struct work *work);
SCOPED_FN(struct work, work_free)

struct work_task *work_submit(struct work *work, enum work_lane lane, work_run_fn *run,
                              work_done_fn *done, void *arg);
/** A task that has not begun will not; one that has runs to its end. `done` comes either way. */
void work_cancel(struct work_task *task);

unsigned work_width(const struct work *work, enum work_lane lane);
/** Running now, and queued. */
unsigned work_running(const struct work *work, enum work_lane lane);
unsigned work_queued(const struct work *work, enum work_lane lane);
/** Sum of the time that tasks of the lane have run. */
int64_t work_busy_us(const struct work *work, enum work_lane lane);
/** Tasks finished so far over all lanes; what the watchdog looks at. */
uint64_t work_finished(const struct work *work);
