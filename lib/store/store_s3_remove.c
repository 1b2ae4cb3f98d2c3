/** @file
 * Removals from a bucket: many at once, and one if it still is what it was.
 */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/store/store_s3_p.h"

#define REMOVE_BATCH 1000

/* ---- many ---- */

struct removal {
    struct store_s3 *store;
    char **keys;
    unsigned count, at;
    store_done_fn *done;
    void *arg;
};

static void removal_run(void *arg);

static void on_removed(const struct err *err, void *arg)
{
    struct removal *removal = arg;
    struct err why;

    if (err == NULL && removal->at < removal->count) {
        removal_run(removal);
        return;
    }
    removal->done(store_s3_refused(err, false, &why), removal->arg);
    for (unsigned i = 0; i < removal->count; i++) {
        free(removal->keys[i]);
    }
    free(removal->keys);
    free(removal);
}

/** The next batch; a key that XML cannot say goes alone. */
static void removal_run(void *arg)
{
    struct removal *removal = arg;
    struct store_s3 *store = removal->store;
    const char *const *keys = (const char *const *)removal->keys + removal->at;
    unsigned count = 0;

    while (removal->at + count < removal->count && count < REMOVE_BATCH &&
           s3_key_fits_xml(keys[count])) {
        count++;
    }
    removal->at += MAX_OF(count, 1u);
    if (removal->count == 0) {
        on_removed(NULL, removal);
    } else if (count <= 1) {
        s3_delete(store->aws, store_s3_bucket_of(store), keys[0], on_removed, removal);
    } else {
        s3_delete_many(store->aws, store_s3_bucket_of(store), keys, count, on_removed, removal);
    }
}

void store_s3_remove(struct store *base, const char *const *keys, unsigned count,
                     store_done_fn *done, void *arg)
{
    struct removal *removal = mem_new(struct removal);

    *removal = (struct removal){.store = store_s3_of(base),
                                .keys = mem_resize(NULL, count, sizeof(char *)),
                                .count = count,
                                .done = done,
                                .arg = arg};
    for (unsigned i = 0; i < count; i++) {
        removal->keys[i] = store_s3_full_key(store_s3_of(base), keys[i]);
    }
    loop_defer(base->loop, removal_run, removal);
}

/* ---- one, if it still is what it was ---- */

struct conditional {
    struct store_s3 *store;
    char *key, *etag;
    store_done_fn *done;
    void *arg;
};

static void conditional_end(struct conditional *conditional, const struct err *err)
{
    struct err why;

    conditional->done(store_s3_refused(err, false, &why), conditional->arg);
    free(conditional->key);
    free(conditional->etag);
    free(conditional);
}

static void on_deleted(const struct err *err, void *arg)
{
    conditional_end(arg, err);
}

static void on_looked(const struct s3_object *object, const struct err *err, void *arg)
{
    struct conditional *conditional = arg;
    const struct store_s3 *store = conditional->store;
    struct err other;

    if (err != NULL) {
        conditional_end(conditional, err->rc == RC_NOT_FOUND ? NULL : err);
    } else if (strcmp(object->etag, conditional->etag) != 0) {
        err_set(&other, RC_CONFLICT, "'%.200s' is another by now", conditional->key);
        conditional_end(conditional, &other);
    } else {
        s3_delete(store->aws, store_s3_bucket_of(store), conditional->key, on_deleted, conditional);
    }
}

/** A server that does not know of conditions here says so, or (then nothing can be done) passes
 * them over. */
static void on_deleted_if(const struct err *err, void *arg)
{
    struct conditional *conditional = arg;
    const struct store_s3 *store = conditional->store;

    if (err != NULL && (err->rc == RC_UNSUPPORTED || err->rc == RC_INVALID)) {
        s3_head(store->aws, store_s3_bucket_of(store), conditional->key, NULL, on_looked,
                conditional);
    } else {
        conditional_end(conditional, err);
    }
}

void store_s3_remove_if(struct store *base, const char *key, const char *etag, int64_t within_ms,
                        store_done_fn *done, void *arg)
{
    struct store_s3 *store = store_s3_of(base);
    struct conditional *conditional = mem_new(struct conditional);

    *conditional = (struct conditional){.store = store,
                                        .key = store_s3_full_key(store, key),
                                        .etag = str_dup(etag),
                                        .done = done,
                                        .arg = arg};
    s3_delete_if(store->aws, store_s3_bucket_of(store), conditional->key, etag, within_ms,
                 on_deleted_if, conditional);
}
