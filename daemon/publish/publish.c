/** @file
 * The publish stage. Read publish_run() from top to bottom: it is the whole story.
 *
 * Each step may be repeated, so a crash anywhere in it is mended by running it again.
 */
#include "daemon/publish/publish_p.h"

#include <stdio.h>
#include <string.h>

#include "daemon/job/job_draft.h"
#include "daemon/job/job_lease.h"
#include "daemon/job/job_outputs.h"
#include "daemon/job/job_store.h"
#include "lib/base/mem.h"
#include "lib/sevir/naming.h"

#define LOOKS_MAX 3

struct publish {
    struct services *services;
    const struct conf *conf;
    struct job *job;
    job_stage_done_fn *done;
    void *arg;

    enum publish_step {
        READ,
        LEASE,
        LOOK,
        MANIFEST,
        SYNC,
        SETTLE,
        REGISTER,
        LOAD,
        TELL,
        RELEASE,
        END
    } step;
    bool stop_asked;
    struct err err;

    bool lost; /**< There is no draft. */
    char *draft;
    size_t draft_len;
    struct job_manifest *manifest; /**< The draft, parsed. */
    char *manifest_key;
    struct store_put put;
    int64_t source;

    /* Where other daemons publish to the same store (job_lease.h) */
    bool kept, robbed; /**< The claim is ours since the extraction; it is lost. */
    char robber[JOB_LEASE_WHO];
    int64_t again_ms;      /**< Another has it: when to look again. */
    char seen[STORE_ETAG]; /**< Of the manifest that is to be replaced; "" for none. */
    bool put_anyway;       /**< What is there is none, though it has its name. */
    unsigned looks;
    bool foreign; /**< Another daemon has made it. */
};

static void publish_run(struct publish *publish);

static void on_step_done(const struct err *err, void *arg)
{
    struct publish *publish = arg;

    if (publish->robbed) {
        err_set(&publish->err, RC_CONFLICT, "the claim on it was lost to %s",
                publish->robber[0] != '\0' ? publish->robber : "time");
        publish->again_ms = job_lease_lost_until_ms(publish->services->leases);
        publish->step = END;
    } else if (err != NULL) {
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

/* ---- on the read lane ---- */

static enum rc run_read(struct db *state, void *arg, struct err *err)
{
    struct publish *publish = arg;
    const uint64_t job = publish->job->id;

    if (job_draft_read(state, job, &publish->draft, &publish->draft_len, err) != RC_OK) {
        publish->lost = err->rc == RC_NOT_FOUND;
        return err_wrap(err, "draft of job %llu", (unsigned long long)job);
    }
    if (job_manifest_parse(publish->draft, publish->draft_len, &publish->manifest, err) != RC_OK) {
        return err_wrap(err, "draft of job %llu", (unsigned long long)job);
    }
    return RC_OK;
}

/* ---- LEASE, LOOK: what others have done meanwhile ---- */

static void on_lease_lost(const char *who, void *arg)
{
    struct publish *publish = arg;

    publish->robbed = true;
    snprintf(publish->robber, sizeof(publish->robber), "%s", who);
}

static void on_leased(const struct job_lease_answer *answer, const struct err *err, void *arg)
{
    struct publish *publish = arg;
    struct err held;

    if (answer->outcome == LEASE_HELD) {
        err_set(&held, RC_CONFLICT, "%s is at work on it", answer->who);
        publish->again_ms = answer->again_ms;
        err = &held;
    }
    publish->kept = answer->outcome == LEASE_KEPT;
    on_step_done(err, publish);
}

/** Another daemon may have removed or replaced what the extraction had put: begin anew. */
static void begin_anew(struct publish *publish)
{
    struct err err;

    publish->lost = true;
    err_set(&err, RC_CHANGED, "another daemon had it since its extraction");
    on_step_done(&err, publish);
}

static void on_manifest(struct job_manifest *found, const struct err *err, void *arg)
{
    struct publish *publish = arg;
    scoped(job_manifest_free) struct job_manifest *manifest = found;
    const bool corrupt = err != NULL && err->rc == RC_CORRUPT;
    const bool same = found != NULL && job_manifest_is_same(found, publish->manifest);
    struct err other;

    publish->looks++;
    publish->put_anyway = corrupt;
    snprintf(publish->seen, sizeof(publish->seen), "%s", found != NULL ? found->etag : "");
    if (err != NULL && !corrupt) {
        on_step_done(err, publish);
    } else if (same &&
               (!publish->kept || (found->len == publish->draft_len &&
                                   memcmp(found->bytes, publish->draft, found->len) == 0))) {
        publish->step = MANIFEST; /* it is there */
        on_step_done(NULL, publish);
    } else if (!publish->kept) {
        begin_anew(publish);
    } else if (found != NULL && !same && !found->retired) {
        err_set(&other, RC_CONFLICT,
                "another daemon has published it from another version, catalog or selection");
        on_step_done(&other, publish);
    } else {
        on_step_done(NULL, publish);
    }
}

/** Too late to stop: all is done. */
static void on_released(void *arg)
{
    struct publish *publish = arg;

    publish->step = END;
    publish_run(publish);
}

/* ---- the story ---- */

static void on_put(const struct err *err, void *arg)
{
    struct publish *publish = arg;

    if (err != NULL && err->rc == RC_CONFLICT && publish->looks < LOOKS_MAX && !publish->robbed &&
        publish->services->leases != NULL) {
        publish->step = LOOK; /* somebody was faster, or our own attempt whose answer was lost */
        publish_run(publish);
        return;
    }
    on_step_done(err, publish);
}

static void put_manifest(struct publish *publish)
{
    publish->put = (struct store_put){
        .key = publish->manifest_key,
        .bytes = publish->draft,
        .len = publish->draft_len,
        .content_type = "application/json",
        .if_match =
            publish->services->leases != NULL && !publish->put_anyway ? publish->seen : NULL,
    };
    store_put(publish->services->processed, &publish->put, 1, on_put, publish);
}

static void finish(struct publish *publish)
{
    struct job_note note = {0};
    enum job_event event = JOB_EV_FINISHED;
    struct job_leases *leases = publish->services->leases;
    char reason[64];

    if (publish->err.rc != RC_OK) {
        event = job_failure(&publish->err, &note);
        event = publish->lost ? JOB_EV_LOST : event;
        note.waits = event == JOB_EV_DEFERRED && publish->again_ms != 0;
        note.retry_at_ms = publish->again_ms;
    } else if (publish->foreign) {
        note.reason = JOB_REASON_FOREIGN;
    } else {
        const size_t count = publish->manifest->output_count;
        publish->job->outputs = count;
        snprintf(reason, sizeof(reason), "%zu output%s", count, count == 1 ? "" : "s");
        note.reason = reason;
    }
    publish->job->work = NULL;
    if (leases != NULL && publish->err.rc != RC_OK) {
        job_lease_rest(leases, publish->job->object.key); /* it will be tried again */
    }
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
    case READ: /* state.db: what extraction left */
        job_store_read(services->jobs, run_read, on_step_done, publish);
        return;

    case LEASE: /* store: that no other daemon is at work on it */
        if (services->leases == NULL) {
            publish->step = MANIFEST;
            publish_run(publish);
            return;
        }
        job_lease_take(services->leases, publish->job, on_lease_lost, on_leased, publish);
        return;

    case LOOK: /* store: what is published */
        job_manifest_fetch(services->processed, publish->job->object.key, on_manifest, publish);
        return;

    case MANIFEST: /* store: from here on, readers trust the outputs */
        put_manifest(publish);
        return;

    case SYNC:                      /* store */
        free(TAKE(publish->draft)); /* of many outputs it is large */
        store_sync(services->processed, on_step_done, publish);
        return;

    case SETTLE: /* store, state.db: what an earlier version had and this one has not */
        job_outputs_settle(services, publish->job, publish->manifest, &publish->robbed,
                           on_step_done, publish);
        return;

    case REGISTER: /* catalog: tables, partitions, outputs */
        registration_start(services, publish->job, publish->manifest, &publish->source,
                           on_step_done, publish);
        return;

    case LOAD: /* store, catalog: rows */
        rows_load_start(services, publish->job, publish->manifest, publish->source,
                        &publish->stop_asked, on_step_done, publish);
        return;

    case TELL: /* another data catalog, where there is one */
        catalog_tell(services, on_step_done, publish);
        return;

    case RELEASE: /* store: before the job is DONE, or a crash would leave the claim to lie there */
        if (services->leases == NULL) {
            publish->step = END;
            publish_run(publish);
            return;
        }
        publish->foreign = job_lease_is_foreign(services->leases, publish->job->object.key);
        job_lease_give_up(services->leases, publish->job->object.key, on_released, publish);
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
