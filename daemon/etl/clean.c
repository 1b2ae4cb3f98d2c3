/** @file
 * An input that will never do leaves nothing behind: no manifest, no output, no row.
 */
#include "daemon/catalog/catalog_outputs.h"
#include "daemon/catalog/catalog_tables.h"
#include "daemon/etl/etl_p.h"
#include "daemon/job/job_outputs.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/sevir/naming.h"

struct clean {
    struct etl *etl;
    enum clean_step { MANIFEST, CATALOG, OUTPUTS, LEAVE } step;
    char *manifest_key;
    void (*done)(struct etl *etl);
};

static void clean_run(struct clean *clean);

static void on_step_done(const struct err *err, void *arg)
{
    struct clean *clean = arg;

    if (clean->etl->robbed) { /* another works on it, and what is there may be its work */
        log_note(LOG_ETL, "outputs of '%s' are left to who has claimed it",
                 clean->etl->job->object.key);
        clean->step = LEAVE;
    } else if (err !=
               NULL) { /* the ledger keeps them for the next run of this object, or its end */
        log_warn(LOG_ETL, "outputs of '%s' could not be removed: %s", clean->etl->job->object.key,
                 err->text);
        clean->step = LEAVE;
    } else {
        clean->step++;
    }
    clean_run(clean);
}

/** On the catalog's writer. */
static enum rc forget_rows(struct db *db, void *arg, struct err *err)
{
    const struct clean *clean = arg;
    const int64_t source = clean->etl->source;

    if (catalog_outputs_clear(db, source, err) != RC_OK) {
        return err->rc;
    }
    return catalog_source_forget(db, "processed", source, err);
}

static void clean_run(struct clean *clean)
{
    struct etl *etl = clean->etl;

    switch (clean->step) {
    case MANIFEST: /* store: nothing may vouch for what goes */
        store_remove(etl->services->processed, (const char *const *)&clean->manifest_key, 1,
                     on_step_done, clean);
        return;

    case CATALOG:
        catalog_write(etl->services->catalog, forget_rows, on_step_done, clean);
        return;

    case OUTPUTS: /* store, state.db */
        job_outputs_settle(etl->services, etl->job, NULL, &etl->robbed, on_step_done, clean);
        return;

    case LEAVE:
        clean->done(etl);
        free(clean->manifest_key);
        free(clean);
        return;
    }
}

void etl_clean(struct etl *etl, void (*done)(struct etl *etl))
{
    struct clean *clean = mem_new(struct clean);

    *clean = (struct clean){
        .etl = etl,
        .step = MANIFEST,
        .manifest_key = naming_manifest_key(etl->job->object.key),
        .done = done,
    };
    clean_run(clean);
}
