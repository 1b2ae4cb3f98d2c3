#include "lib/run/work.h"

#include <assert.h>
#include <stdio.h>

#include "lib/base/mem.h"
#include "lib/base/now.h"

enum { POOL_MAX = 1024 }; /* libuv's own limit. */

struct lane {
    struct work_task *first, *last; /**< Queued. */
    unsigned width, running, queued;
    int64_t busy_us;
};

struct work {
    struct loop *loop;
    struct lane lanes[WORK_LANE_COUNT];
    uint64_t finished;
    unsigned dropping; /**< Canceled tasks whose `done` is deferred. */
};

struct work_task {
    uv_work_t uv;
    struct work *work;
    enum work_lane lane;
    enum { QUEUED, RUNNING, DROPPED } step;
    struct work_task *prev, *next;
    work_run_fn *run;
    work_done_fn *done;
    void *arg;
    int64_t took_us; /**< The worker's until `done`. */
};

struct work *work_new(struct loop *loop, const unsigned widths[WORK_LANE_COUNT])
{
    struct work *work = mem_new(struct work);
    unsigned threads = 0;
    char text[16];

    work->loop = loop;
    for (unsigned i = 0; i < WORK_LANE_COUNT; i++) {
        assert(widths[i] >= 1);
        work->lanes[i].width = MIN_OF(widths[i], (unsigned)POOL_MAX / WORK_LANE_COUNT);
        threads += work->lanes[i].width;
    }
    /* Read by libuv when the pool is first used, and the only way to tell it. */
    snprintf(text, sizeof(text), "%u", threads);
    setenv("UV_THREADPOOL_SIZE", text, 1);
    return work;
}

void work_free(struct work *work)
{
    if (work == NULL) {
        return;
    }
    for (unsigned i = 0; i < WORK_LANE_COUNT; i++) {
        assert(work->lanes[i].running == 0 && work->lanes[i].queued == 0);
    }
    assert(work->dropping == 0);
    free(work);
}

static void line_up(struct lane *lane, struct work_task *task)
{
    task->prev = lane->last;
    if (lane->last != NULL) {
        lane->last->next = task;
    } else {
        lane->first = task;
    }
    lane->last = task;
    lane->queued++;
}

static void leave_line(struct lane *lane, struct work_task *task)
{
    if (task->prev != NULL) {
        task->prev->next = task->next;
    } else {
        lane->first = task->next;
    }
    if (task->next != NULL) {
        task->next->prev = task->prev;
    } else {
        lane->last = task->prev;
    }
    task->prev = task->next = NULL;
    lane->queued--;
}

/** On a worker. */
static void run_task(uv_work_t *uv)
{
    struct work_task *task = uv->data;
    int64_t began_us = now_mono_us();

    task->run(task->arg);
    task->took_us = now_mono_us() - began_us;
}

static void pump(struct work *work, enum work_lane lane_id);

static void on_task_done(uv_work_t *uv, int status)
{
    struct work_task *task = uv->data;
    struct work *work = task->work;
    struct lane *lane = &work->lanes[task->lane];

    assert(status == 0); /* Nobody here calls uv_cancel(). */
    lane->running--;
    lane->busy_us += task->took_us;
    work->finished++;
    pump(work, task->lane); /* The worker goes on while the loop hears of this one. */
    task->done(task->arg, false);
    free(task);
}

static void pump(struct work *work, enum work_lane lane_id)
{
    struct lane *lane = &work->lanes[lane_id];

    while (lane->first != NULL && lane->running < lane->width) {
        struct work_task *task = lane->first;

        leave_line(lane, task);
        lane->running++;
        task->step = RUNNING;
        if (uv_queue_work(loop_uv(work->loop), &task->uv, run_task, on_task_done) != 0) {
            abort(); /* Only for a NULL callback. */
        }
    }
}

struct work_task *work_submit(struct work *work, enum work_lane lane, work_run_fn *run,
                              work_done_fn *done, void *arg)
{
    struct work_task *task = mem_new(struct work_task);

    *task = (struct work_task){
        .work = work, .lane = lane, .step = QUEUED, .run = run, .done = done, .arg = arg};
    task->uv.data = task;
    line_up(&work->lanes[lane], task);
    pump(work, lane);
    return task;
}

static void on_dropped(void *arg)
{
    struct work_task *task = arg;

    task->work->dropping--;
    task->work->finished++;
    task->done(task->arg, true);
    free(task);
}

void work_cancel(struct work_task *task)
{
    if (task->step != QUEUED) {
        return;
    }
    leave_line(&task->work->lanes[task->lane], task);
    task->step = DROPPED;
    task->work->dropping++;
    loop_defer(task->work->loop, on_dropped, task);
}

unsigned work_width(const struct work *work, enum work_lane lane)
{
    return work->lanes[lane].width;
}

unsigned work_running(const struct work *work, enum work_lane lane)
{
    return work->lanes[lane].running;
}

unsigned work_queued(const struct work *work, enum work_lane lane)
{
    return work->lanes[lane].queued;
}

int64_t work_busy_us(const struct work *work, enum work_lane lane)
{
    return work->lanes[lane].busy_us;
}

uint64_t work_finished(const struct work *work)
{
    return work->finished;
}
