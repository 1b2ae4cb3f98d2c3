/** @file
 * The order matters: first nothing vouches for the outputs any more, then nobody finds them, then
 * they go.
 */
#include "daemon/job/job_clean.h"

#include "daemon/catalog/catalog.h"
#include "daemon/catalog/catalog_outputs.h"
#include "daemon/catalog/catalog_tables.h"
#include "daemon/job/job_ledger.h"
#include "daemon/job/job_outputs.h"
#include "daemon/job/job_store.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/sevir/naming.h"

struct clean {
    struct services *services;
    const struct job *job;
    const bool *halt;
    loop_fn *done;
    void *arg;

    enum clean_step { LOOK, MANIFEST, CATALOG, OUTPUTS, LEAVE } step;
    bool nothing; /**< The ledger is empty. */
    char *manifest_key;
};

static void clean_run(struct clean *clean);

static void on_step_done(const struct err *err, void *arg)
{
    struct clean *clean = arg;
    const char *key = clean->job->object.key;

    if (*clean->halt) { /* another works on it, and what is there may be its work */
        log_note(LOG_JOB, "outputs of '%s' are left to who has claimed it", key);
        clean->step = LEAVE;
    } else if (err != NULL) { /* the ledger keeps them for the next run of the object, or its end */
        log_warn(LOG_JOB, "outputs of '%s' could not be removed: %s", key, err->text);
        clean->step = LEAVE;
    } else if (clean->nothing) {
        clean->step = LEAVE;
    } else {
        clean->step++;
    }
    clean_run(clean);
}

/** On the read lane: most objects have no ledger, and no commit is due for that. */
static enum rc run_look(struct db *state, void *arg, struct err *err)
{
    struct clean *clean = arg;
    scoped(job_ledger_free) struct job_ledger *ledger = NULL;

    if (job_ledger_read(state, clean->job->object.id, &ledger, err) != RC_OK) {
        return err->rc;
    }
    clean->nothing = ledger->count == 0;
    return RC_OK;
}

/** On the catalog's writer. */
static enum rc forget_rows(struct db *db, void *arg, struct err *err)
{
    const struct clean *clean = arg;
    const struct job_object *object = &clean->job->object;
    int64_t source;

    if (catalog_source_find(db, object->bucket, object->key, &source, err) != RC_OK) {
        return err->rc;
    }
    if (source == 0) {
        return RC_OK;
    }
    if (catalog_outputs_clear(db, source, err) != RC_OK) {
        return err->rc;
    }
    return catalog_source_forget(db, "processed", source, err);
}

static void clean_run(struct clean *clean)
{
    struct services *services = clean->services;

    switch (clean->step) {
    case LOOK: /* state.db: was anything half made? */
        job_store_read(services->jobs, run_look, on_step_done, clean);
        return;

    case MANIFEST: /* store: nothing may vouch for what goes */
        store_remove(services->processed, (const char *const *)&clean->manifest_key, 1,
                     on_step_done, clean);
        return;

    case CATALOG:
        catalog_write(services->catalog, forget_rows, on_step_done, clean);
        return;

    case OUTPUTS: /* store, state.db */
        job_outputs_settle(services, clean->job, NULL, clean->halt, on_step_done, clean);
        return;

    case LEAVE:
        clean->done(clean->arg);
        free(clean->manifest_key);
        free(clean);
        return;
    }
}

void job_clean(struct services *services, const struct job *job, enum job_clean_what what,
               const bool *halt, loop_fn *done, void *arg)
{
    struct clean *clean = mem_new(struct clean);

    *clean = (struct clean){
        .services = services,
        .job = job,
        .halt = halt,
        .done = done,
        .arg = arg,
        .step = what == JOB_CLEAN_ALL ? MANIFEST : LOOK,
        .manifest_key = naming_manifest_key(job->object.key),
    };
    clean_run(clean);
}
