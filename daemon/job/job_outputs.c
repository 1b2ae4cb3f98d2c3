/** @file
 * The order matters: a key that somebody else may claim must be gone from the store before it is
 * given up and leaves the ledger, which is one transaction; or a repeated run would remove what is
 * the other's by then.
 */
#include "daemon/job/job_outputs.h"

#include <string.h>

#include "daemon/job/job_claims.h"
#include "daemon/job/job_ledger.h"
#include "daemon/job/job_queue.h"
#include "daemon/job/job_store.h"
#include "lib/base/mem.h"

#define REMOVE_BATCH 1000

struct settling {
    struct services *services;
    const struct job *job;
    const bool *halt;
    store_done_fn *done;
    void *arg;

    enum settling_step { LOOK, REMOVE, FORGET, END } step;
    struct err err;
    const char **kept; /**< Keys of the manifest; borrowed, sorted. */
    size_t kept_count;
    struct job_ledger *ledger;
    const char **doomed;
    size_t doomed_count, removed;
    bool freed, settled; /**< A claim that somebody wants; all is done. */
};

static void settling_run(struct settling *settling);

static void on_step_done(const struct err *err, void *arg)
{
    struct settling *settling = arg;

    if (err != NULL) {
        settling->err = *err;
        settling->step = END;
    } else if (*settling->halt) { /* what is left may be another's work by now */
        err_set(&settling->err, RC_CANCELED, "outputs of '%s' were left where they are",
                settling->job->object.key);
        settling->step = END;
    } else if (settling->settled) {
        settling->step = END;
    } else if (settling->step != REMOVE || settling->removed == settling->doomed_count) {
        settling->step++;
    }
    settling_run(settling);
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* ---- on the state writer ---- */

static enum rc run_forget(struct db *state, void *arg, struct err *err)
{
    struct settling *settling = arg;
    const uint64_t object = settling->job->object.id;

    if (job_ledger_remove(state, object, err) != RC_OK) {
        return err->rc;
    }
    settling->settled = true;
    return job_claims_keep(state, object, settling->kept, settling->kept_count, &settling->freed,
                           err);
}

/** Mostly there is nothing to remove, and then that is all. */
static enum rc run_look(struct db *state, void *arg, struct err *err)
{
    struct settling *settling = arg;

    if (job_ledger_read(state, settling->job->object.id, &settling->ledger, err) != RC_OK) {
        return err->rc;
    }
    settling->doomed = mem_resize(NULL, settling->ledger->count, sizeof(*settling->doomed));
    for (size_t i = 0; i < settling->ledger->count; i++) {
        const char *key = settling->ledger->keys[i];

        if (settling->kept_count == 0 || bsearch(&key, settling->kept, settling->kept_count,
                                                 sizeof(*settling->kept), compare_keys) == NULL) {
            settling->doomed[settling->doomed_count++] = key;
        }
    }
    return settling->doomed_count == 0 ? run_forget(state, settling, err) : RC_OK;
}

/* ---- the story ---- */

static void remove_batch(struct settling *settling)
{
    const size_t count = MIN_OF(settling->doomed_count - settling->removed, REMOVE_BATCH);
    const char **keys = settling->doomed + settling->removed;

    settling->removed += count;
    store_remove(settling->services->processed, keys, (unsigned)count, on_step_done, settling);
}

static void finish(struct settling *settling)
{
    if (settling->freed) {
        job_queue_claims_freed(settling->services->queue);
    }
    settling->done(settling->err.rc == RC_OK ? NULL : &settling->err, settling->arg);
    job_ledger_free(settling->ledger);
    free(settling->kept);
    free(settling->doomed);
    free(settling);
}

static void settling_run(struct settling *settling)
{
    struct services *services = settling->services;

    switch (settling->step) {
    case LOOK: /* state.db */
        job_store_write(services->jobs, run_look, on_step_done, settling);
        return;

    case REMOVE: /* store: a batch at a time */
        remove_batch(settling);
        return;

    case FORGET: /* state.db: others may have the keys now */
        job_store_write(services->jobs, run_forget, on_step_done, settling);
        return;

    case END:
        finish(settling);
        return;
    }
}

void job_outputs_settle(struct services *services, const struct job *job,
                        const struct job_manifest *manifest, const bool *halt, store_done_fn *done,
                        void *arg)
{
    struct settling *settling = mem_new(struct settling);
    const size_t count = manifest != NULL ? manifest->output_count : 0;

    *settling = (struct settling){
        .services = services,
        .job = job,
        .halt = halt,
        .done = done,
        .arg = arg,
        .kept = mem_resize(NULL, count, sizeof(*settling->kept)),
        .kept_count = count,
    };
    for (size_t i = 0; i < count; i++) {
        settling->kept[i] = manifest->outputs[i].key;
    }
    qsort(settling->kept, count, sizeof(*settling->kept), compare_keys);
    settling_run(settling);
}
