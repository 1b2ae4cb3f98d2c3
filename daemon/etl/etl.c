/** @file
 * The extract stage. Read etl_run() from top to bottom: it is the whole story. Callbacks note the
 * outcome and call etl_run() again.
 */
#include "daemon/etl/etl_p.h"

#include <stdarg.h>
#include <stdio.h>

#include "daemon/catalog/catalog.h"
#include "daemon/job/job_claims.h"
#include "daemon/job/job_clean.h"
#include "daemon/job/job_digest.h"
#include "daemon/job/job_draft.h"
#include "daemon/job/job_ledger.h"
#include "daemon/job/job_outputs.h"
#include "daemon/job/job_store.h"
#include "daemon/metrics.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

#define DRAFT_AT_ONCE 64 /**< Outputs, of some 200 bytes each. */

static void etl_run(struct etl *etl);

static bool is_final(const struct etl *etl)
{
    return !etl->robbed && job_failure_is_final(etl->job, etl->err.rc, etl->conf->retry_attempts);
}

static void next_step(struct etl *etl)
{
    if (etl->err.rc != RC_OK) {
        /* What was half made goes, unless we only pause: then the next run writes the same. */
        const bool half_made = etl->step == MAKE || etl->step == SYNC || etl->step == DRAFT;

        etl->step = (half_made || etl->step == LOOK_UP) && is_final(etl) ? CLEAN : END;
        etl->clean = half_made ? JOB_CLEAN_ALL : JOB_CLEAN_HALF_MADE;
    } else {
        etl->step++;
        if (etl->adopted != NULL && etl->step == WITHDRAW) {
            etl->step = DRAFT; /* there is nothing to make */
        }
        if (etl->step == CLEAN) { /* only ever entered by a failure */
            etl->step = END;
        }
    }
    etl_run(etl);
}

/** The one place where an asynchronous operation comes back. */
static void on_step_done(const struct err *err, void *arg)
{
    struct etl *etl = arg;

    if (etl->robbed) { /* whatever else: it is not ours to go on with, nor to clean */
        err_set(&etl->err, RC_CONFLICT, "the claim on it was lost to %s",
                etl->robber[0] != '\0' ? etl->robber : "time");
        etl->again_ms = job_lease_lost_until_ms(etl->services->leases);
    } else if (err != NULL) {
        etl->err = *err;
    } else if (etl->stop_asked) {
        err_set(&etl->err, RC_CANCELED, "extraction of '%s' was stopped", etl->job->object.key);
    }
    next_step(etl);
}

void etl_part_done(struct etl *etl, const struct err *err)
{
    on_step_done(err, etl);
}

/* ---- LOOK_UP ---- */

static void on_looked_up(const struct err *err, void *arg)
{
    struct etl *etl = arg;

    if (err == NULL && !etl->stop_asked) {
        struct err why;

        etl->part = etl_choose_part(etl);
        if (etl->part->plan(etl, &why) != RC_OK) {
            on_step_done(&why, etl);
            return;
        }
        if (etl->outcome == JOB_EV_HELD) {
            etl->step = END;
            etl_run(etl);
            return;
        }
    }
    on_step_done(err, etl);
}

/* ---- LEASE: of several daemons, one works on an object ---- */

static void on_lease_lost(const char *who, void *arg)
{
    struct etl *etl = arg;

    etl->robbed = true;
    snprintf(etl->robber, sizeof(etl->robber), "%s", who);
    if (etl->step == MAKE && !etl->stop_asked) {
        etl->part->stop(etl);
    }
}

static void on_leased(const struct job_lease_answer *answer, const struct err *err, void *arg)
{
    struct etl *etl = arg;
    struct err held;

    if (answer->outcome == LEASE_HELD) {
        err_set(&held, RC_CONFLICT, "%s is at work on it", answer->who);
        etl->again_ms = answer->again_ms;
        err = &held;
    }
    etl->leased = err == NULL;
    on_step_done(err, etl);
}

static void take_lease(struct etl *etl)
{
    if (etl->services->leases == NULL) {
        next_step(etl);
    } else {
        job_lease_take(etl->services->leases, etl->job, on_lease_lost, on_leased, etl);
    }
}

/** Before the end is told: an extraction that is done keeps the claim for the publishing. */
static void leave_lease(struct etl *etl, enum job_event event)
{
    if (!etl->leased || etl->robbed) {
        return;
    }
    if (event == JOB_EV_FINISHED) {
        job_lease_rest(etl->services->leases, etl->job->object.key);
    } else {
        job_lease_give_up(etl->services->leases, etl->job->object.key, NULL, NULL);
    }
}

/* ---- READ_MANIFEST, CURRENT, WITHDRAW: it stops vouching before its outputs change ---- */

static bool manifest_is_ours(const struct etl *etl, const struct job_manifest *manifest)
{
    return strcmp(manifest->source_etag, etl->job->object.etag) == 0 &&
           strcmp(manifest->rows_digest, etl->rows_digest) == 0 &&
           strcmp(manifest->images, conf_images_name(etl->conf->extract_images)) == 0;
}

static void on_manifest(struct job_manifest *found, const struct err *err, void *arg)
{
    struct etl *etl = arg;
    scoped(job_manifest_free) struct job_manifest *manifest = found;

    if (etl->outcome == JOB_EV_EXCLUDED) {
        if (err != NULL || found == NULL || found->output_count == 0) {
            etl->step = END;
            if (err != NULL && err->rc != RC_CORRUPT) {
                etl->err = *err;
            }
            etl_run(etl);
            return;
        }
        /* An earlier selection wanted some of it: what it made goes, by publishing none of it. */
        etl_note(etl, "nothing of it is selected any more");
        etl->outcome = JOB_EV_FINISHED;
        etl->reason[0] = '\0';
        etl->part = &etl_nothing;
    } else if (err != NULL && err->rc == RC_CORRUPT) {
        /* A manifest that nobody can read vouches for nothing; what it listed cannot be known. */
        log_warn(LOG_ETL, "%s: it will be replaced", err->text);
    } else if (err != NULL || found == NULL || found->retired || manifest_is_ours(etl, found)) {
        if (err == NULL && found != NULL && !found->retired) {
            if (etl->services->leases != NULL) {
                etl->adopted = TAKE(found->bytes);
                etl->adopted_len = found->len;
            }
            etl->vouching = TAKE(manifest);
        }
        on_step_done(err, etl);
        return;
    }
    for (size_t i = 0; found != NULL && i < found->output_count; i++) {
        etl_plan(etl, found->outputs[i].key);
    }
    etl->withdrawn = naming_manifest_key(etl->job->object.key);
    on_step_done(NULL, etl);
}

static void on_current(const struct store_object *object, const struct err *err, void *arg)
{
    struct etl *etl = arg;
    struct err changed;

    if (err != NULL ? err->rc == RC_NOT_FOUND : strcmp(object->etag, etl->job->object.etag) != 0) {
        err_set(&changed, RC_CHANGED, "the object %s",
                err != NULL ? "is gone" : "has changed since it was crawled");
        err = &changed;
    }
    on_step_done(err, etl);
}

/** Another daemon may have been told of a newer version and have published that. Ours would be read
 * all the same where the bucket keeps versions. */
static void check_current(struct etl *etl)
{
    if (etl->withdrawn == NULL || etl->services->leases == NULL) {
        next_step(etl);
    } else {
        store_head(etl->services->raw, etl->job->object.key, on_current, etl);
    }
}

static void withdraw(struct etl *etl)
{
    /* The list itself is borrowed until it is done, so it may not be ours. */
    store_remove(etl->services->processed, (const char *const *)&etl->withdrawn, 1, on_step_done,
                 etl);
}

/* ---- ADOPT: another daemon has done the very same work, unless it was we ourselves ---- */

static enum rc run_ask_again(struct db *state, void *arg, struct err *err)
{
    struct etl *etl = arg;

    return job_makes_again(state, etl->job, etl->rows_digest, &etl->again, err);
}

static void on_again_known(const struct err *err, void *arg)
{
    struct etl *etl = arg;

    if (etl->again) {
        free(TAKE(etl->adopted));
    } else if (err == NULL) {
        etl_end_early(etl, JOB_EV_FINISHED, JOB_REASON_FOREIGN);
        job_lease_set_foreign(etl->services->leases, etl->job->object.key);
    }
    on_step_done(err, etl);
}

/* ---- DRAFT ---- */

static void run_draft(void *arg)
{
    struct etl *etl = arg;
    struct strbuf *text = &etl->job->draft;
    const struct job_manifest_head head = {
        .object = &etl->job->object,
        .kind = etl->job->kind,
        .table = etl->job->table,
        .images = conf_images_name(etl->conf->extract_images),
        .selection = etl->selection,
        .rows_digest = etl->rows_digest,
        .events = etl->events,
        .notes = etl->notes,
        .note_count = etl->note_count,
    };

    strbuf_reset(text);
    if (etl->adopted != NULL) {
        strbuf_add(text, etl->adopted, etl->adopted_len);
        return;
    }
    job_manifest_begin(text, &head);
    for (size_t i = 0; i < etl->output_count; i++) {
        job_manifest_add(text, &etl->outputs[i], i == 0);
    }
    job_manifest_end(text);
}

static void on_drafted(void *arg, bool canceled)
{
    (void)canceled;
    on_step_done(NULL, arg);
}

/** A short one is written sooner than a worker is woken. */
static void draft(struct etl *etl)
{
    if (etl->output_count <= DRAFT_AT_ONCE && etl->adopted == NULL) {
        run_draft(etl);
        on_step_done(NULL, etl);
    } else {
        work_submit(etl->services->work, WORK_FILE, run_draft, on_drafted, etl);
    }
}

/* ---- CLAIM: two objects may want one key, by their base names or their events' ids ---- */

static enum rc run_claim(struct db *state, void *arg, struct err *err)
{
    struct etl *etl = arg;

    if (job_claims_take(state, etl->job->object.id, etl->planned, etl->planned_count, &etl->taken,
                        &etl->owner, err) != RC_OK) {
        return err->rc;
    }
    /* Of what another daemon has made nothing is written here. */
    return etl->owner != NULL || etl->adopted != NULL
               ? RC_OK
               : job_ledger_add(state, etl->job->object.id, etl->planned, etl->planned_count, err);
}

static void on_claimed(const struct err *err, void *arg)
{
    struct etl *etl = arg;
    struct err why;

    if (err == NULL && etl->owner != NULL) {
        err_set(&why, RC_CONFLICT,
                "its output '%.160s' is that of '%.160s' already: rename or remove one of the two",
                etl->taken, etl->owner);
        err = &why;
    }
    on_step_done(err, etl);
}

/* ---- CLEAN ---- */

static void on_cleaned(void *arg)
{
    struct etl *etl = arg;

    etl->step = END;
    etl_run(etl);
}

static void on_settled(const struct err *err, void *arg)
{
    struct etl *etl = arg;

    if (err != NULL) { /* the ledger keeps them for the next run of the object, or its end */
        log_warn(LOG_ETL, "outputs of '%s' could not be removed: %s", etl->job->object.key,
                 err->text);
    }
    on_cleaned(etl);
}

/** What was half made before the claim, an earlier run has left: where stores are shared, only who
 * holds the claim may tell whether it is still the object's. */
static void clean_up(struct etl *etl)
{
    if (etl->clean == JOB_CLEAN_HALF_MADE && etl->services->leases != NULL) {
        on_cleaned(etl);
    } else if (etl->vouching != NULL) { /* what is published is what would have been made */
        job_outputs_settle(etl->services, etl->job, etl->vouching, &etl->robbed, on_settled, etl);
    } else {
        job_clean(etl->services, etl->job, etl->clean, &etl->robbed, on_cleaned, etl);
    }
}

/* ---- the story ---- */

static void finish(struct etl *etl)
{
    struct job_note note = {.rows_digest = etl->rows_digest};
    enum job_event event = etl->outcome;

    if (etl->err.rc != RC_OK) {
        event = job_failure(&etl->err, &note);
        event = etl->lost ? JOB_EV_LOST : event;
        note.rows_digest = etl->rows_digest[0] != '\0' ? etl->rows_digest : NULL;
        note.waits = event == JOB_EV_DEFERRED && etl->again_ms != 0;
        note.retry_at_ms = etl->again_ms;
    } else if (etl->reason[0] != '\0') {
        note.reason = etl->reason;
    }
    note.also = event == JOB_EV_FINISHED ? job_draft_record : NULL;
    note.request_ids = etl->run;
    etl->job->work = NULL;
    leave_lease(etl, event);
    etl->done(etl->job, event, &note, etl->arg);

    if (etl->part == NULL) { /* the look-up failed, perhaps half-way */
        etl->part = etl_choose_part(etl);
    }
    etl->part->free(etl);
    job_manifest_free(etl->vouching);
    free(etl->adopted);
    free(etl->withdrawn);
    free(etl->taken);
    free(etl->owner);
    layout_free(etl->layout);
    arena_free(etl->arena);
    free(etl->selection);
    free(etl->rows);
    free(etl->planned);
    free(etl->outputs);
    free(etl->notes);
    free(etl);
}

static void etl_run(struct etl *etl)
{
    struct services *services = etl->services;

    switch (etl->step) {
    case LOOK_UP: /* read lane: layout, rows, digests */
        catalog_read(services->catalog, etl_look_up, on_looked_up, etl);
        return;

    case LEASE: /* store: that no other daemon is at work on it */
        take_lease(etl);
        return;

    case READ_MANIFEST: /* store: what an earlier run made */
        job_manifest_fetch(services->processed, etl->job->object.key, on_manifest, etl);
        return;

    case ADOPT: /* state.db: who made what it vouches for? */
        if (etl->adopted == NULL) {
            next_step(etl);
            return;
        }
        job_store_read(services->jobs, run_ask_again, on_again_known, etl);
        return;

    case CURRENT: /* raw store: that it is not the newer version which vouches */
        check_current(etl);
        return;

    case CLAIM: /* state.db: whose the keys are that we are about to write or withdraw; noted */
        job_store_write(services->jobs, run_claim, on_claimed, etl);
        return;

    case WITHDRAW: /* store: it is another version's, and stops vouching before outputs change */
        if (etl->withdrawn == NULL) {
            next_step(etl);
            return;
        }
        withdraw(etl);
        return;

    case MAKE: /* store, workers, store */
        etl->part->make(etl);
        return;

    case SYNC: /* store: all of it durable before any manifest */
        store_sync(services->processed, on_step_done, etl);
        return;

    case DRAFT: /* the manifest to be, which is recorded with the move */
        draft(etl);
        return;

    case CLEAN:
        clean_up(etl);
        return;

    case END:
        finish(etl);
        return;
    }
}

static void etl_begin(void *arg)
{
    etl_run(arg);
}

static void etl_start(struct services *services, struct job *job, job_stage_done_fn *done,
                      void *arg)
{
    struct etl *etl = mem_new(struct etl);
    scoped(strbuf_done) struct strbuf selection = {0};

    selection_json(&services->conf->select, &selection);
    *etl = (struct etl){
        .services = services,
        .conf = services->conf,
        .job = job,
        .done = done,
        .arg = arg,
        .step = LOOK_UP,
        .outcome = JOB_EV_FINISHED,
        .arena = arena_new(),
        .selection = strbuf_take(&selection),
    };
    job->work = etl;
    loop_defer(services->loop, etl_begin, etl);
}

static void etl_stop(struct job *job)
{
    struct etl *etl = job->work;

    if (etl == NULL || etl->stop_asked) {
        return;
    }
    etl->stop_asked = true;
    if (etl->step == MAKE) {
        etl->part->stop(etl);
    }
}

const struct job_stage etl_stage = {
    .name = "extract",
    .state = JOB_EXTRACTING,
    .start = etl_start,
    .stop = etl_stop,
};

/* ---- what the parts use ---- */

const char *etl_plan(struct etl *etl, const char *key)
{
    if (etl->planned_count == etl->planned_cap) {
        etl->planned_cap = etl->planned_cap > 0 ? 2 * etl->planned_cap : 64;
        etl->planned = mem_resize(etl->planned, etl->planned_cap, sizeof(*etl->planned));
    }
    return etl->planned[etl->planned_count++] = arena_dup(etl->arena, key);
}

void etl_add_output(struct etl *etl, const struct job_output *output)
{
    if (etl->output_count == etl->output_cap) {
        etl->output_cap = etl->output_cap > 0 ? 2 * etl->output_cap : 64;
        etl->outputs = mem_resize(etl->outputs, etl->output_cap, sizeof(*etl->outputs));
    }
    struct job_output *kept = &etl->outputs[etl->output_count++];

    *kept = *output;
    kept->key = arena_dup(etl->arena, output->key);
}

void etl_note(struct etl *etl, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    etl->notes = mem_resize(etl->notes, etl->note_count + 1, sizeof(*etl->notes));
    etl->notes[etl->note_count++] = arena_dup(etl->arena, text);
    log_warn(LOG_ETL, "'%s': %s", etl->job->object.key, text);
}

void etl_end_early(struct etl *etl, enum job_event outcome, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(etl->reason, sizeof(etl->reason), fmt, ap);
    va_end(ap);
    etl->outcome = outcome;
}

void etl_count_put(struct etl *etl, uint64_t objects, uint64_t bytes)
{
    metric_add(etl->services->metrics, METRIC_PUT_OBJECTS, METRIC_LABELS(""), (double)objects);
    metric_add(etl->services->metrics, METRIC_PUT_BYTES, METRIC_LABELS(""), (double)bytes);
}
