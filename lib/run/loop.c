#include "lib/run/loop.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>

#include "lib/base/mem.h"

struct call {
    struct call *next;
    loop_fn *fn;
    void *arg;
};

struct calls {
    struct call *first, **last;
};

struct loop {
    /* the loop thread's */
    uv_loop_t uv;
    uv_idle_t deferred_due; /**< Active while calls are deferred: the poll does not wait then. */
    struct calls deferred;
    uv_prepare_t lag_probe;
    loop_lag_fn *lag_fn;
    void *lag_arg;
    uint64_t probed_ns, idle_ns;
    uv_async_t wake;

    /* any thread's, under the lock */
    uv_mutex_t lock;
    struct calls posted;
};

struct loop_timer {
    uv_timer_t uv;
    loop_fn *fn;
    void *arg;
};

static void must(int status)
{
    if (status < 0) {
        fprintf(stderr, "libuv: %s\n", uv_strerror(status));
        abort();
    }
}

/* Calls */

static void calls_add(struct calls *calls, loop_fn *fn, void *arg)
{
    struct call *call = mem_new(struct call);

    call->fn = fn;
    call->arg = arg;
    *calls->last = call;
    calls->last = &call->next;
}

static struct call *calls_take(struct calls *calls)
{
    struct call *first = calls->first;

    calls->first = NULL;
    calls->last = &calls->first;
    return first;
}

/** `run` false: forget them. */
static void calls_finish(struct call *first, bool run)
{
    while (first != NULL) {
        struct call *call = first;

        first = call->next;
        if (run) {
            call->fn(call->arg);
        }
        free(call);
    }
}

static void on_deferred_due(uv_idle_t *idle)
{
    struct loop *loop = idle->data;
    struct call *batch = calls_take(&loop->deferred);

    /* What they defer belongs to the next iteration, so that sockets have their turn. */
    uv_idle_stop(idle);
    calls_finish(batch, true);
}

static struct call *take_posted(struct loop *loop)
{
    struct call *batch;

    uv_mutex_lock(&loop->lock);
    batch = calls_take(&loop->posted);
    uv_mutex_unlock(&loop->lock);
    return batch;
}

static void on_wake(uv_async_t *wake)
{
    calls_finish(take_posted(wake->data), true);
}

void loop_defer(struct loop *loop, loop_fn *fn, void *arg)
{
    calls_add(&loop->deferred, fn, arg);
    must(uv_idle_start(&loop->deferred_due, on_deferred_due));
}

void loop_post(struct loop *loop, loop_fn *fn, void *arg)
{
    uv_mutex_lock(&loop->lock);
    calls_add(&loop->posted, fn, arg);
    uv_mutex_unlock(&loop->lock);
    must(uv_async_send(&loop->wake));
}

/* The loop */

struct loop *loop_new(void)
{
    struct loop *loop = mem_new(struct loop);

    must(uv_loop_init(&loop->uv));
    must(uv_loop_configure(&loop->uv, UV_METRICS_IDLE_TIME));
    must(uv_mutex_init(&loop->lock));
    must(uv_async_init(&loop->uv, &loop->wake, on_wake));
    must(uv_idle_init(&loop->uv, &loop->deferred_due));
    must(uv_prepare_init(&loop->uv, &loop->lag_probe));
    uv_unref((uv_handle_t *)&loop->wake);
    uv_unref((uv_handle_t *)&loop->lag_probe);
    loop->wake.data = loop->deferred_due.data = loop->lag_probe.data = loop;
    calls_take(&loop->deferred);
    calls_take(&loop->posted);
    return loop;
}

void loop_free(struct loop *loop)
{
    if (loop == NULL) {
        return;
    }
    uv_close((uv_handle_t *)&loop->wake, NULL);
    uv_close((uv_handle_t *)&loop->deferred_due, NULL);
    uv_close((uv_handle_t *)&loop->lag_probe, NULL);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    if (uv_loop_close(&loop->uv) != 0) { /* Somebody's handle outlives the loop: a bug of ours. */
        uv_print_all_handles(&loop->uv, stderr);
        abort();
    }
    calls_finish(calls_take(&loop->deferred), false);
    calls_finish(take_posted(loop), false);
    uv_mutex_destroy(&loop->lock);
    free(loop);
}

uv_loop_t *loop_uv(struct loop *loop)
{
    return &loop->uv;
}

void loop_run(struct loop *loop)
{
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *loop)
{
    uv_stop(&loop->uv);
}

/* Timers */

struct loop_timer *loop_timer_new(struct loop *loop, loop_fn *fn, void *arg)
{
    struct loop_timer *timer = mem_new(struct loop_timer);

    timer->fn = fn;
    timer->arg = arg;
    must(uv_timer_init(&loop->uv, &timer->uv));
    timer->uv.data = timer;
    return timer;
}

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void loop_timer_free(struct loop_timer *timer)
{
    if (timer != NULL) {
        uv_close((uv_handle_t *)&timer->uv, on_timer_closed);
    }
}

static void on_timer(uv_timer_t *uv)
{
    struct loop_timer *timer = uv->data;

    timer->fn(timer->arg);
}

void loop_timer_arm(struct loop_timer *timer, int64_t delay_ms)
{
    uv_update_time(timer->uv.loop); /* From now, however long this callback has run already. */
    must(uv_timer_start(&timer->uv, on_timer, delay_ms > 0 ? (uint64_t)delay_ms : 0, 0));
}

void loop_timer_disarm(struct loop_timer *timer)
{
    uv_timer_stop(&timer->uv);
}

/* Lag */

static void on_lag_probe(uv_prepare_t *probe)
{
    struct loop *loop = probe->data;
    uint64_t now_ns = uv_hrtime(), idle_ns = uv_metrics_idle_time(&loop->uv);
    uint64_t passed = now_ns - loop->probed_ns, idle = idle_ns - loop->idle_ns;

    loop->probed_ns = now_ns;
    loop->idle_ns = idle_ns;
    loop->lag_fn(passed > idle ? (double)(passed - idle) / 1e9 : 0, loop->lag_arg);
}

void loop_watch_lag(struct loop *loop, loop_lag_fn *fn, void *arg)
{
    loop->lag_fn = fn;
    loop->lag_arg = arg;
    if (fn == NULL) {
        uv_prepare_stop(&loop->lag_probe);
        return;
    }
    loop->probed_ns = uv_hrtime();
    loop->idle_ns = uv_metrics_idle_time(&loop->uv);
    must(uv_prepare_start(&loop->lag_probe, on_lag_probe));
}
