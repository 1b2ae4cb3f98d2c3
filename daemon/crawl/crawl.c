/** @file
 * The crawl of one object. Read crawl_run() from top to bottom: it is the whole story.
 */
#include "daemon/crawl/crawl.h"

#include <inttypes.h>

#include "daemon/crawl/crawl_p.h"
#include "daemon/job/job_clean.h"
#include "daemon/job/job_queue.h"
#include "daemon/job/job_remote.h"
#include "lib/base/mem.h"

static void crawl_run(struct crawl *crawl);

/** An object that has changed, or is gone, has another job by and by: what is left is that one's.
 */
static bool is_final(const struct crawl *crawl)
{
    return crawl->err.rc != RC_CHANGED &&
           job_failure_is_final(crawl->job, crawl->err.rc, crawl->services->conf->retry_attempts);
}

static void fail(struct crawl *crawl, const struct err *err)
{
    if (crawl->err.rc == RC_OK) {
        crawl->err = *err;
    }
    crawl->step = is_final(crawl) ? CRAWL_CLEAN : CRAWL_END;
}

void crawl_step_done(const struct err *err, void *arg)
{
    struct crawl *crawl = arg;
    struct err canceled;

    crawl->fetch = NULL;
    crawl->probe = NULL;
    if (err != NULL) {
        fail(crawl, err);
    } else if (crawl->stop_asked && crawl->step < CRAWL_RECORD) {
        err_set(&canceled, RC_CANCELED, "the crawl was stopped");
        fail(crawl, &canceled);
    } else if (crawl->step == CRAWL_RECORD) {
        crawl->step = CRAWL_END;
    } else {
        crawl->step++;
    }
    crawl_run(crawl);
}

/* ---- the object's head ---------------------------------------------------------------------- */

/** It may be another version than the one that was sighted, or none. */
static void on_head(const struct store_object *object, const struct err *err, void *arg)
{
    struct crawl *crawl = arg;
    const struct job_object *wanted = &crawl->job->object;
    struct err changed;

    if (err != NULL && err->rc == RC_NOT_FOUND) {
        err_set(&changed, RC_CHANGED, "the object is gone");
        crawl_step_done(&changed, crawl);
        return;
    }
    if (err == NULL && strcmp(object->etag, wanted->etag) != 0) {
        err_set(&changed, RC_CHANGED, "the object has changed since it was sighted");
        crawl_step_done(&changed, crawl);
        return;
    }
    crawl_step_done(err, crawl);
}

/** Reading its beginning shows as well whether it is still that one, in one request instead of two:
 * the read is pinned to the etag. An empty object has no beginning. */
static bool needs_head(const struct job_object *object)
{
    return object->size == 0 || object->etag == NULL || object->etag[0] == '\0';
}

static void check_head(struct crawl *crawl)
{
    if (needs_head(&crawl->job->object)) {
        store_head(crawl->services->raw, crawl->job->object.key, on_head, crawl);
    } else {
        crawl_step_done(NULL, crawl);
    }
}

static void on_sniffed(const struct err *err, void *arg)
{
    struct err changed;

    if (err != NULL && (err->rc == RC_NOT_FOUND || err->rc == RC_CHANGED)) {
        err_set(&changed, RC_CHANGED, "the object %s",
                err->rc == RC_NOT_FOUND ? "is gone" : "has changed since it was sighted");
        err = &changed;
    }
    crawl_step_done(err, arg);
}

/** Of the current version, whatever version was sighted: an older one may still be there. */
static void sniff(struct crawl *crawl)
{
    const struct job_object *object = &crawl->job->object;

    crawl->head_len = (size_t)MIN_OF(object->size, CLASSIFY_HEAD);
    crawl->head = mem_resize(NULL, crawl->head_len, 1);
    if (crawl->head_len == 0) {
        crawl_step_done(NULL, crawl);
        return;
    }
    crawl->fetch = store_get(crawl->services->raw, object->key, NULL, object->etag, 0,
                             crawl->head_len, crawl->head, on_sniffed, crawl);
}

static void classify_head(struct crawl *crawl)
{
    const struct job_object *object = &crawl->job->object;
    struct err err;
    enum rc rc = classify(object->key, crawl->head, crawl->head_len,
                          crawl->head_len == object->size, &crawl->class_, &err);

    crawl->packed = crawl->head_len >= 2 && crawl->head[0] == '\x1f' && crawl->head[1] == '\x8b';
    if (crawl->class_ != CLASSIFY_HDF5) { /* the helper will not have to ask for it */
        free(TAKE(crawl->head));
    }
    crawl_step_done(rc == RC_OK ? NULL : &err, crawl);
}

/* ---- a closer look -------------------------------------------------------------------------- */

static void on_layout(struct layout *layout, const struct err *err, void *arg)
{
    struct crawl *crawl = arg;

    free(TAKE(crawl->head));
    if (err == NULL) {
        crawl->layout = layout;
        snprintf(crawl->reason, sizeof(crawl->reason), "HDF5 with %u dataset%s",
                 layout->dataset_count, layout->dataset_count == 1 ? "" : "s");
    }
    crawl_step_done(err, crawl);
}

static void probe(struct crawl *crawl)
{
    const struct job_object *object = &crawl->job->object;
    const struct h5_object target = {
        .store = crawl->services->raw,
        .key = object->key,
        .version = object->version,
        .etag = object->etag,
        .size = object->size,
        .head = crawl->head,
        .head_len = crawl->head_len,
    };

    crawl->probe = h5_layout(crawl->services->h5, &target, on_layout, crawl);
}

static void look(struct crawl *crawl)
{
    switch (crawl->class_) {
    case CLASSIFY_HDF5:
        probe(crawl);
        return;

    case CLASSIFY_CSV:
        crawl_csv_start(crawl);
        return;

    case CLASSIFY_OTHER:
        snprintf(crawl->reason, sizeof(crawl->reason), "%s",
                 crawl->job->object.size == 0 ? "the object is empty" : "neither HDF5 nor CSV");
        crawl_step_done(NULL, crawl);
        return;
    }
}

/* ---- what is crawled elsewhere -------------------------------------------------------------- */

static bool is_remote(const struct crawl *crawl)
{
    const struct job_remote *remote = crawl->services->remote;

    return remote != NULL && remote->crawls && crawl->class_ == CLASSIFY_CSV && !crawl->is_catalog;
}

static void on_crawled(const char *run, const struct job_remote_made *made, const struct err *err,
                       void *arg)
{
    struct crawl *crawl = arg;

    (void)made;
    crawl->run = str_dup(run);
    job_queue_waits(crawl->services->queue, crawl->job, false);
    crawl_step_done(err, crawl);
}

static void crawl_elsewhere(struct crawl *crawl)
{
    struct job_remote *remote = crawl->services->remote;

    if (!is_remote(crawl)) {
        crawl_step_done(NULL, crawl);
        return;
    }
    job_queue_waits(crawl->services->queue, crawl->job, true);
    remote->crawl(remote, crawl->job, on_crawled, crawl);
}

/* ---- what an earlier version has left ------------------------------------------------------- */

static void on_cleaned(void *arg)
{
    struct crawl *crawl = arg;

    crawl->step = CRAWL_END;
    crawl_run(crawl);
}

/** The extraction of an earlier version may have been cut short, and no later one will go on with
 * it. Where stores are shared, only who holds the claim may tell whether that is still ours. */
static void clean_up(struct crawl *crawl)
{
    static const bool never = false;

    if (crawl->services->leases != NULL) {
        on_cleaned(crawl);
    } else {
        job_clean(crawl->services, crawl->job, JOB_CLEAN_HALF_MADE, &never, on_cleaned, crawl);
    }
}

/* ---- the story ------------------------------------------------------------------------------ */

static void finish(struct crawl *crawl)
{
    struct job_note note = {.reason = crawl->reason};
    enum job_event event = JOB_EV_FINISHED;

    if (crawl->err.rc != RC_OK) {
        event = job_failure(&crawl->err, &note);
    } else {
        snprintf(crawl->job->kind, sizeof(crawl->job->kind), "%s", crawl->kind);
        snprintf(crawl->job->table, sizeof(crawl->job->table), "%s", crawl->table);
        if (crawl->catalog_changed) {
            job_queue_catalog_changed(crawl->services->queue);
        }
    }
    note.request_ids = crawl->run;
    crawl->job->work = NULL;
    crawl->done(crawl->job, event, &note, crawl->arg);

    crawl_csv_free(crawl);
    layout_free(crawl->layout);
    free(crawl->head);
    free(crawl->run);
    arena_free(crawl->arena);
    free(crawl);
}

static void crawl_run(struct crawl *crawl)
{
    struct services *services = crawl->services;

    switch (crawl->step) {
    case CRAWL_HEAD: /* store: is it still the one that was sighted, unless sniffing tells */
        check_head(crawl);
        return;

    case CRAWL_SNIFF: /* store: its first bytes */
        sniff(crawl);
        return;

    case CRAWL_CLASSIFY:
        classify_head(crawl);
        return;

    case CRAWL_LOOK: /* HDF5: the jailed helper. CSV: store, workers, and the catalog's writer */
        look(crawl);
        return;

    case CRAWL_REMOTE: /* Glue: a run of its crawler */
        crawl_elsewhere(crawl);
        return;

    case CRAWL_RECORD: /* catalog: layout, schema, rows, table, partition */
        catalog_write(services->catalog, crawl_record, crawl_step_done, crawl);
        return;

    case CRAWL_CLEAN: /* state.db, mostly that is all; store, catalog */
        clean_up(crawl);
        return;

    case CRAWL_END:
        finish(crawl);
        return;
    }
}

static void crawl_begin(void *arg)
{
    crawl_run(arg);
}

static void crawl_start(struct services *services, struct job *job, job_stage_done_fn *done,
                        void *arg)
{
    struct crawl *crawl = mem_new(struct crawl);

    *crawl = (struct crawl){
        .services = services,
        .job = job,
        .done = done,
        .arg = arg,
        .arena = arena_new(),
        .step = CRAWL_HEAD,
        .sniffs =
            services->remote != NULL && services->remote->crawls && services->remote->extracts,
    };
    job->work = crawl;
    loop_defer(services->loop, crawl_begin, crawl);
}

static void crawl_stop(struct job *job)
{
    struct crawl *crawl = job->work;

    if (crawl == NULL || crawl->stop_asked) {
        return;
    }
    crawl->stop_asked = true;
    if (crawl->fetch != NULL) {
        store_cancel(crawl->services->raw, crawl->fetch);
    } else if (crawl->probe != NULL) {
        h5_cancel(crawl->probe);
    } else if (crawl->step == CRAWL_REMOTE) {
        crawl->services->remote->leave(crawl->services->remote, crawl->job);
    } else if (crawl->csv != NULL) {
        crawl_csv_stop(crawl);
    }
}

const struct job_stage crawl_stage = {
    .name = "crawl",
    .state = JOB_CRAWLING,
    .start = crawl_start,
    .stop = crawl_stop,
};
