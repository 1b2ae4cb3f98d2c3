/** @file
 * Claims that nobody will ever give up: those of a daemon that died on an object which another one
 * had done already, so that no job looks at it again. Read sweep_page() and on_page().
 */
#include "daemon/job/job_lease_p.h"

#include <stdio.h>
#include <string.h>

#include "daemon/services.h"
#include "lib/base/digest.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

#define CLAIMS "_claims/"
#define CLAIM_END ".json"
#define SWEEP_PAGE 1000

struct sweep {
    struct job_leases *leases;
    char *after; /**< The last key of the page before. */
    bool more;
    struct old {
        char *key; /**< Of the object. */
        char *claim_key;
        struct store_object seen;
        char etag[STORE_ETAG];
    } * old; /**< Of this page: old enough to be a dead daemon's. */
    unsigned count, next;
};

static void sweep_page(struct sweep *sweep);

static void drop_page(struct sweep *sweep)
{
    for (unsigned i = 0; i < sweep->count; i++) {
        free(sweep->old[i].key);
        free(sweep->old[i].claim_key);
    }
    free(TAKE(sweep->old));
    sweep->count = sweep->next = 0;
}

static void end(struct sweep *sweep)
{
    struct job_leases *leases = sweep->leases;

    drop_page(sweep);
    free(sweep->after);
    free(sweep);
    leases->sweep = NULL;
    if (leases->sweep_again) {
        job_leases_sweep(leases);
    }
}

/** The object's key, out of the claim's; NULL: it cannot be known, as for a key too long to have a
 * claim by its own name. */
static char *key_of(const char *claim_key)
{
    const size_t len = strlen(claim_key), around = strlen(CLAIMS) + strlen(CLAIM_END);

    if (len <= around || !str_ends(claim_key, CLAIM_END)) {
        return NULL;
    }
    scoped(free) char *key = str_printf("%.*s", (int)(len - around), claim_key + strlen(CLAIMS));
    scoped(free) char *back = job_lease_key(key);

    if (strlen(key) == DIGEST_HEX - 1 && strspn(key, "0123456789abcdef") == DIGEST_HEX - 1) {
        return NULL;
    }
    return strcmp(back, claim_key) == 0 ? TAKE(key) : NULL;
}

/** One after another: there are few, and jobs go first. */
static void next_old(void *arg)
{
    struct sweep *sweep = arg;

    if (sweep->next < sweep->count && !sweep->leases->quiet) {
        const struct old *old = &sweep->old[sweep->next++];

        lease_sweep(sweep->leases, old->key, &old->seen, next_old, sweep);
        return;
    }
    drop_page(sweep);
    if (sweep->more && !sweep->leases->quiet) {
        sweep_page(sweep);
    } else {
        end(sweep);
    }
}

static void keep(struct sweep *sweep, const struct store_object *object)
{
    char *key = key_of(object->key);

    if (key == NULL) {
        return;
    }
    struct old *old = &sweep->old[sweep->count++];

    *old = (struct old){.key = key, .claim_key = str_dup(object->key), .seen = *object};
    snprintf(old->etag, sizeof(old->etag), "%s", object->etag);
    old->seen.key = old->claim_key;
    old->seen.etag = old->etag;
    old->seen.version = "";
}

static void on_page(const struct store_object *objects, unsigned count, bool more,
                    const struct err *err, void *arg)
{
    struct sweep *sweep = arg;
    const struct job_leases *leases = sweep->leases;
    const int64_t born_ms = lease_now_ms(leases) - leases->services->conf->processed_lease_ms;

    if (err != NULL) {
        log_info(LOG_JOB, "dead daemons' claims were not looked for: %s", err->text);
    }
    sweep->more = more && objects != NULL;
    sweep->old = mem_resize(NULL, MAX_OF(count, 1U), sizeof(*sweep->old));
    for (unsigned i = 0; i < count; i++) {
        if (objects[i].modified_ms < born_ms) {
            keep(sweep, &objects[i]);
        }
    }
    if (sweep->more) {
        free(sweep->after);
        sweep->after = str_dup(objects[count - 1].key);
    }
    next_old(sweep);
}

static void sweep_page(struct sweep *sweep)
{
    store_list(sweep->leases->services->processed, CLAIMS, sweep->after, SWEEP_PAGE, on_page,
               sweep);
}

void job_leases_quiet(struct job_leases *leases)
{
    leases->quiet = true;
    leases->sweep_again = false;
}

void job_leases_sweep(struct job_leases *leases)
{
    leases->sweep_again = leases->sweep != NULL;
    if (leases->sweep_again || leases->quiet) {
        return;
    }
    leases->sweep = mem_new(struct sweep);
    *leases->sweep = (struct sweep){.leases = leases, .after = str_dup("")};
    sweep_page(leases->sweep);
}
