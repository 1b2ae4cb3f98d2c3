/** @file
 * Sources: listing, watching and settling, put together.
 */
#include "daemon/source/source.h"

#include "daemon/job/job_lease.h"
#include "daemon/job/job_watch.h"
#include "daemon/services.h"
#include "daemon/source/file_watch.h"
#include "daemon/source/settle.h"
#include "daemon/source/sqs_queue.h"
#include "daemon/source/store_list.h"
#include "lib/base/mem.h"

struct source {
    struct services *services;
    struct settle *settle;
    struct store_listing *listing;
    struct file_watch *watch;  /**< NULL: nothing to watch, or not wanted. */
    struct sqs_queues *queues; /**< NULL: none. */
    struct job_watch *jobs;    /**< Of a bucket: which of its objects were not there. */
    bool paused, stopping, stopped_due;
    source_stopped_fn *stopped;
    void *stopped_arg;
};

static void on_left_over(int64_t delay_ms, void *arg)
{
    store_list_request(((struct source *)arg)->listing, delay_ms);
}

static void on_changed(const char *key, void *arg)
{
    struct source *source = arg;

    if (!source->paused) {
        settle_look(source->settle, key, SIGHTING_WATCH);
    }
}

/** A job whose object is not there, or is another by now: if nobody told us, ask. */
static void on_job(const struct job_news *news, void *arg)
{
    struct source *source = arg;
    const bool failed = news->to == JOB_QUARANTINED || news->to == JOB_BACKOFF;

    if (failed && (news->rc == RC_NOT_FOUND || news->rc == RC_CHANGED) && !source->paused) {
        settle_look(source->settle, news->key, SIGHTING_LIST);
    }
}

static void list_now(void *arg)
{
    store_list_request(((struct source *)arg)->listing, 0);
}

/* ---- the end ---- */

static void free_all(void *arg)
{
    struct source *source = arg;
    source_stopped_fn *stopped = source->stopped;
    void *stopped_arg = source->stopped_arg;

    job_watch_stop(source->jobs);
    sqs_queues_free(source->queues);
    file_watch_free(source->watch);
    store_list_free(source->listing);
    settle_free(source->settle);
    free(source);
    stopped(stopped_arg);
}

/** One of the parts has come to rest: if it was the last one, this is the end. */
static void on_rest(void *arg)
{
    struct source *source = arg;

    if (source->stopping && !source->stopped_due && !settle_busy(source->settle) &&
        !store_list_busy(source->listing) &&
        (source->watch == NULL || !file_watch_busy(source->watch)) &&
        (source->queues == NULL || !sqs_queues_busy(source->queues))) {
        source->stopped_due = true;
        loop_defer(source->services->loop, free_all, source);
    }
}

static void on_listing_ended(bool complete, void *arg)
{
    struct source *source = arg;

    if (complete && source->watch != NULL) {
        file_watch_start(source->watch); /* again, if its root had been lost */
    }
    if (source->services->leases != NULL) {
        job_leases_sweep(source->services->leases);
    }
    on_rest(source);
}

void source_stop(struct source *source, source_stopped_fn *done, void *arg)
{
    source->stopped = done;
    source->stopped_arg = arg;
    source->stopping = true;
    source_pause(source, true);
    if (source->services->leases != NULL) {
        job_leases_quiet(source->services->leases);
    }
    settle_on_rest(source->settle, on_rest, source);
    if (source->watch != NULL) {
        file_watch_stop(source->watch, on_rest, source);
    }
    if (source->queues != NULL) {
        sqs_queues_stop(source->queues);
    }
    on_rest(source);
}

/* ---- the start ---- */

struct source *source_start(struct services *services)
{
    struct source *source = mem_new(struct source);
    const struct file_watch_calls calls = {
        .changed = on_changed, .lost = list_now, .ready = list_now, .arg = source};

    source->services = services;
    source->settle = settle_new(services, on_left_over, source);
    source->listing = store_list_new(services, source->settle, on_listing_ended, source);
    if (services->conf->sources_watch) {
        source->watch = file_watch_new(services, &calls);
    }
    if (services->raw->uri->scheme == URI_S3) {
        source->jobs = job_watch_start(services->jobs, on_job, source);
        source->queues = sqs_queues_new(services, &sqs_limits_default, on_rest, source);
    }
    if (source->queues != NULL) {
        sqs_queues_start(source->queues);
    }
    /* Watched first, listed then: what comes in between is seen by both, never by none. */
    if (source->watch != NULL) {
        file_watch_start(source->watch);
    } else {
        store_list_request(source->listing, 0);
    }
    return source;
}

void source_pause(struct source *source, bool paused)
{
    if (source->paused == paused) {
        return;
    }
    source->paused = paused;
    settle_pause(source->settle, paused);
    store_list_pause(source->listing, paused);
    if (source->queues != NULL) {
        sqs_queues_pause(source->queues, paused);
    }
    if (!paused) {
        store_list_request(source->listing, 0); /* what was told meanwhile was not heard */
    }
}

void source_reload(struct source *source)
{
    store_list_reload(source->listing);
    source_wake(source);
}

void source_wake(struct source *source)
{
    if (source->queues != NULL) {
        sqs_queues_wake(source->queues);
    }
}

void source_on_glue(struct source *source, source_glue_fn *fn, void *arg)
{
    if (source->queues != NULL) {
        sqs_queues_on_glue(source->queues, fn, arg);
    }
}

void source_list(struct source *source)
{
    store_list_request(source->listing, 0);
}

void source_reconcile(struct source *source, source_reconciled_fn *done, void *arg)
{
    store_list_reconcile(source->listing, done, arg);
}

void source_status(const struct source *source, struct source_status *ret_status)
{
    *ret_status = (struct source_status){.settling = settle_count(source->settle)};
    store_list_status(source->listing, ret_status);
    if (source->watch != NULL) {
        file_watch_status(source->watch, ret_status);
    }
    ret_status->queues = source->queues != NULL ? sqs_queues_count(source->queues) : 0;
    for (unsigned i = 0; i < ret_status->queues && ret_status->error[0] == '\0'; i++) {
        struct source_queue queue;

        sqs_queues_status(source->queues, i, &queue);
        ret_status->error = queue.error;
        ret_status->error_ms = queue.error_ms;
    }
}

void source_queue_status(const struct source *source, unsigned index,
                         struct source_queue *ret_status)
{
    sqs_queues_status(source->queues, index, ret_status);
}

bool source_idle(const struct source *source)
{
    struct source_status status;

    source_status(source, &status);
    return status.listed && status.settling == 0 && !store_list_wanted(source->listing) &&
           (source->watch == NULL || !file_watch_pending(source->watch)) &&
           (source->queues == NULL || sqs_queues_idle(source->queues));
}
