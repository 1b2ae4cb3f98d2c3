/** @file
 * Retiring: the object is gone from its source, and so is what was made from it. retire_run() is
 * the whole story; the manifest stays and says so.
 */
#include "daemon/catalog/catalog_outputs.h"
#include "daemon/catalog/catalog_tables.h"
#include "daemon/job/job_lease.h"
#include "daemon/job/job_ledger.h"
#include "daemon/job/job_outputs.h"
#include "daemon/job/job_queue.h"
#include "daemon/job/job_store.h"
#include "daemon/publish/publish_p.h"
#include "lib/base/mem.h"
#include "lib/sevir/naming.h"

struct retire {
    struct services *services;
    const struct conf *conf;
    struct job *job;
    job_stage_done_fn *done;
    void *arg;

    enum retire_step {
        LEASE,
        ABSENT,
        FETCH,
        NOTE_KEYS,
        MANIFEST,
        SYNC,
        SETTLE,
        CATALOG,
        TELL,
        RELEASE,
        END
    } step;
    bool stop_asked;
    struct err err;

    struct job_manifest *manifest; /**< NULL when nothing was ever published. */
    struct job_ledger *ledger;
    char *manifest_key;
    struct strbuf text;
    struct store_put put;
    bool robbed;      /**< The claim on it is lost. */
    int64_t again_ms; /**< Another daemon has it: when to look again. */
};

static void retire_run(struct retire *retire);

static void on_step_done(const struct err *err, void *arg)
{
    struct retire *retire = arg;

    if (retire->robbed) {
        err_set(&retire->err, RC_CONFLICT, "the claim on it was lost");
        retire->again_ms = job_lease_lost_until_ms(retire->services->leases);
        retire->step = END;
    } else if (err != NULL) {
        retire->err = *err;
        retire->step = END;
    } else if (retire->stop_asked) {
        err_set(&retire->err, RC_CANCELED, "retiring was stopped");
        retire->step = END;
    } else {
        retire->step++;
    }
    retire_run(retire);
}

/* ---- LEASE, ABSENT: where other daemons publish to the same store ---- */

static void on_lease_lost(const char *who, void *arg)
{
    struct retire *retire = arg;

    (void)who;
    retire->robbed = true;
}

static void on_leased(const struct job_lease_answer *answer, const struct err *err, void *arg)
{
    struct retire *retire = arg;
    struct err held;

    if (answer->outcome == LEASE_HELD) {
        err_set(&held, RC_CONFLICT, "%s is at work on it", answer->who);
        retire->again_ms = answer->again_ms;
        err = &held;
    }
    on_step_done(err, retire);
}

/** Too late to stop: all is done. */
static void on_released(void *arg)
{
    struct retire *retire = arg;

    retire->step = END;
    retire_run(retire);
}

/** An object that is there again may have been published anew by another daemon, before we have
 * heard of it: what it has made is not ours to remove. */
static void on_raw_head(const struct store_object *object, const struct err *err, void *arg)
{
    struct retire *retire = arg;
    struct err there;

    (void)object;
    if (err == NULL) {
        err_set(&there, RC_CHANGED, "the object is there again");
        err = &there;
    } else if (err->rc == RC_NOT_FOUND) {
        err = NULL;
    }
    on_step_done(err, retire);
}

static void on_manifest(struct job_manifest *manifest, const struct err *err, void *arg)
{
    struct retire *retire = arg;

    retire->manifest = manifest;
    on_step_done(err, retire);
}

/* ---- on lanes ---- */

/** The keys outlive the manifest that lists them, should we die in between. */
static enum rc run_note_keys(struct db *state, void *arg, struct err *err)
{
    struct retire *retire = arg;
    const uint64_t object = retire->job->object.id;
    const size_t count = retire->manifest != NULL ? retire->manifest->output_count : 0;
    scoped(free) const char **keys = mem_resize(NULL, count, sizeof(*keys));

    for (size_t i = 0; i < count; i++) {
        keys[i] = retire->manifest->outputs[i].key;
    }
    if (count > 0 && job_ledger_add(state, object, keys, count, err) != RC_OK) {
        return err->rc;
    }
    return job_ledger_read(state, object, &retire->ledger, err);
}

static enum rc forget_source(struct db *db, void *arg, struct err *err)
{
    const struct retire *retire = arg;
    const struct job_object *object = &retire->job->object;
    int64_t source = 0;

    if (catalog_source_find(db, object->bucket, object->key, &source, err) != RC_OK) {
        return err->rc;
    }
    return source != 0 ? catalog_source_retire(db, source, err) : RC_OK;
}

/* ---- the story ---- */

static void put_manifest(struct retire *retire)
{
    job_manifest_retired(&retire->text, &retire->job->object, retire->ledger->count);
    retire->put = (struct store_put){
        .key = retire->manifest_key,
        .bytes = retire->text.data,
        .len = retire->text.len,
        .content_type = "application/json",
    };
    store_put(retire->services->processed, &retire->put, 1, on_step_done, retire);
}

static void finish(struct retire *retire)
{
    struct job_note note = {.reason = "the object is gone"};
    enum job_event event = JOB_EV_FINISHED;

    if (retire->err.rc != RC_OK) {
        event = job_failure(&retire->err, &note);
        note.waits = event == JOB_EV_DEFERRED && retire->again_ms != 0;
        note.retry_at_ms = retire->again_ms;
    } else {
        job_queue_catalog_changed(retire->services->queue);
    }
    retire->job->work = NULL;
    if (retire->services->leases != NULL && retire->err.rc != RC_OK && !retire->robbed) {
        job_lease_give_up(retire->services->leases, retire->job->object.key, NULL, NULL);
    }
    retire->done(retire->job, event, &note, retire->arg);

    job_manifest_free(retire->manifest);
    job_ledger_free(retire->ledger);
    strbuf_done(&retire->text);
    free(retire->manifest_key);
    free(retire);
}

static void retire_run(struct retire *retire)
{
    struct services *services = retire->services;

    switch (retire->step) {
    case LEASE: /* store: that no other daemon is at work on it */
        if (services->leases == NULL) {
            retire->step = FETCH;
            retire_run(retire);
            return;
        }
        job_lease_take(services->leases, retire->job, on_lease_lost, on_leased, retire);
        return;

    case ABSENT: /* raw store: is it really gone? */
        store_head(services->raw, retire->job->object.key, on_raw_head, retire);
        return;

    case FETCH: /* store: what was made from it */
        job_manifest_fetch(services->processed, retire->job->object.key, on_manifest, retire);
        return;

    case NOTE_KEYS: /* state.db */
        job_store_write(services->jobs, run_note_keys, on_step_done, retire);
        return;

    case MANIFEST: /* store: nothing is vouched for any more */
        if ((retire->manifest == NULL || retire->manifest->retired) && retire->ledger->count == 0) {
            retire->step = SETTLE;
            retire_run(retire);
            return;
        }
        put_manifest(retire);
        return;

    case SYNC: /* store */
        store_sync(services->processed, on_step_done, retire);
        return;

    case SETTLE: /* store, state.db */
        job_outputs_settle(services, retire->job, NULL, &retire->robbed, on_step_done, retire);
        return;

    case CATALOG: /* events, partitions, layouts, outputs, rows */
        catalog_write(services->catalog, forget_source, on_step_done, retire);
        return;

    case TELL: /* another data catalog, where there is one */
        catalog_tell(services, on_step_done, retire);
        return;

    case RELEASE: /* store: others may have the object now */
        if (services->leases == NULL) {
            retire->step = END;
            retire_run(retire);
            return;
        }
        job_lease_give_up(services->leases, retire->job->object.key, on_released, retire);
        return;

    case END:
        finish(retire);
        return;
    }
}

static void retire_begin(void *arg)
{
    retire_run(arg);
}

static void retire_start(struct services *services, struct job *job, job_stage_done_fn *done,
                         void *arg)
{
    struct retire *retire = mem_new(struct retire);

    *retire = (struct retire){
        .services = services,
        .conf = services->conf,
        .job = job,
        .done = done,
        .arg = arg,
        .step = LEASE,
        .manifest_key = naming_manifest_key(job->object.key),
    };
    job->work = retire;
    loop_defer(services->loop, retire_begin, retire);
}

static void retire_stop(struct job *job)
{
    struct retire *retire = job->work;

    if (retire != NULL) {
        retire->stop_asked = true;
    }
}

const struct job_stage retire_stage = {
    .name = "retire",
    .state = JOB_RETIRING,
    .start = retire_start,
    .stop = retire_stop,
};
