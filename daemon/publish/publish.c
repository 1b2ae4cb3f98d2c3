/** @file
 * The publish stage. Read publish_run() from top to bottom: it is the whole story.
 *
 * Each step may be repeated, so a crash anywhere in it is mended by running it again.
 */
#include "daemon/publish/publish_p.h"

#include <stdio.h>

#include "daemon/job/job_draft.h"
#include "daemon/job/job_outputs.h"
#include "lib/base/mem.h"
#include "lib/sevir/naming.h"

struct publish {
    struct services *services;
    const struct conf *conf;
    struct job *job;
    job_stage_done_fn *done;
    void *arg;

    enum publish_step { READ, MANIFEST, SYNC, SETTLE, REGISTER, LOAD, END } step;
    bool stop_asked;
    struct err err;

    bool lost; /**< There is no draft. */
    char *draft;
    size_t draft_len;
    struct job_manifest *manifest; /**< The draft, parsed. */
    char *manifest_key;
    struct store_put put;
    int64_t source;
};

static void publish_run(struct publish *publish);

static void on_step_done(const struct err *err, void *arg)
{
    struct publish *publish = arg;

    if (err != NULL) {
        publish->err = *err;
        publish->step = END;
    } else if (publish->stop_asked) {
        err_set(&publish->err, RC_CANCELED, "publishing was stopped");
        publish->step = END;
    } else {
        publish->step++;
    }
    publish_run(publish);
}

static void on_worked(void *arg, bool canceled)
{
    struct publish *publish = arg;
    const struct err err = publish->err;

    (void)canceled;
    on_step_done(err.rc == RC_OK ? NULL : &err, publish);
}

/* ---- on the FILE lane ---- */

static void run_read(void *arg)
{
    struct publish *publish = arg;
    const char *state_dir = publish->conf->state_dir;
    struct err *err = &publish->err;

    if (job_draft_read(state_dir, publish->job->id, &publish->draft, &publish->draft_len, err) !=
        RC_OK) {
        publish->lost = err->rc == RC_NOT_FOUND;
        return;
    }
    if (job_manifest_parse(publish->draft, publish->draft_len, &publish->manifest, err) != RC_OK) {
        err_wrap(err, "draft of job %llu", (unsigned long long)publish->job->id);
    }
}

/* ---- the story ---- */

static void put_manifest(struct publish *publish)
{
    publish->put = (struct store_put){
        .key = publish->manifest_key,
        .bytes = publish->draft,
        .len = publish->draft_len,
        .content_type = "application/json",
    };
    store_put(publish->services->processed, &publish->put, 1, on_step_done, publish);
}

static void finish(struct publish *publish)
{
    struct job_note note = {0};
    enum job_event event = JOB_EV_FINISHED;
    char reason[64];

    if (publish->err.rc != RC_OK) {
        event = job_failure(&publish->err, &note);
        event = publish->lost ? JOB_EV_LOST : event;
    } else {
        const size_t count = publish->manifest->output_count;
        snprintf(reason, sizeof(reason), "%zu output%s", count, count == 1 ? "" : "s");
        note.reason = reason;
    }
    publish->job->work = NULL;
    publish->done(publish->job, event, &note, publish->arg);

    job_manifest_free(publish->manifest);
    free(publish->draft);
    free(publish->manifest_key);
    free(publish);
}

static void publish_run(struct publish *publish)
{
    struct services *services = publish->services;

    switch (publish->step) {
    case READ: /* disk: what extraction left */
        work_submit(services->work, WORK_FILE, run_read, on_worked, publish);
        return;

    case MANIFEST: /* store: from here on, readers trust the outputs */
        put_manifest(publish);
        return;

    case SYNC:                      /* store */
        free(TAKE(publish->draft)); /* of many outputs it is large */
        store_sync(services->processed, on_step_done, publish);
        return;

    case SETTLE: /* store, disk, state.db: what an earlier version had and this one has not */
        job_outputs_settle(services, publish->job, publish->manifest, on_step_done, publish);
        return;

    case REGISTER: /* catalog: tables, partitions, outputs */
        registration_start(services, publish->job, publish->manifest, &publish->source,
                           on_step_done, publish);
        return;

    case LOAD: /* store, catalog: rows */
        rows_load_start(services, publish->job, publish->manifest, publish->source,
                        &publish->stop_asked, on_step_done, publish);
        return;

    case END:
        finish(publish);
        return;
    }
}

static void publish_begin(void *arg)
{
    publish_run(arg);
}

static void publish_start(struct services *services, struct job *job, job_stage_done_fn *done,
                          void *arg)
{
    struct publish *publish = mem_new(struct publish);

    *publish = (struct publish){
        .services = services,
        .conf = services->conf,
        .job = job,
        .done = done,
        .arg = arg,
        .step = READ,
        .manifest_key = naming_manifest_key(job->object.key),
    };
    job->work = publish;
    loop_defer(services->loop, publish_begin, publish);
}

static void publish_stop(struct job *job)
{
    struct publish *publish = job->work;

    if (publish != NULL) {
        publish->stop_asked = true;
    }
}

const struct job_stage publish_stage = {
    .name = "publish",
    .state = JOB_PUBLISHING,
    .start = publish_start,
    .stop = publish_stop,
};
