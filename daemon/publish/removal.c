/** @file
 * Removing what no manifest vouches for any more, a batch at a time.
 */
#include "daemon/publish/publish_p.h"
#include "lib/base/mem.h"

#define REMOVE_BATCH 1000

struct removal {
    struct services *services;
    const char **keys;
    size_t count, at;
    store_done_fn *done;
    void *arg;
};

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static const char **sorted_outputs(const struct job_manifest *manifest)
{
    const char **keys = mem_resize(NULL, manifest->output_count, sizeof(*keys));

    for (size_t i = 0; i < manifest->output_count; i++) {
        keys[i] = manifest->outputs[i].key;
    }
    qsort(keys, manifest->output_count, sizeof(*keys), compare_keys);
    return keys;
}

static void next_batch(void *arg);

static void on_removed(const struct err *err, void *arg)
{
    struct removal *removal = arg;

    if (err == NULL) {
        next_batch(removal);
        return;
    }
    removal->done(err, removal->arg);
    free(removal->keys);
    free(removal);
}

static void next_batch(void *arg)
{
    struct removal *removal = arg;
    const size_t count = MIN_OF(removal->count - removal->at, REMOVE_BATCH);
    const char *const *keys = removal->keys + removal->at;

    if (count == 0) {
        removal->done(NULL, removal->arg);
        free(removal->keys);
        free(removal);
        return;
    }
    removal->at += count;
    store_remove(removal->services->processed, keys, (unsigned)count, on_removed, removal);
}

void removal_start(struct services *services, const struct job_ledger *ledger,
                   const struct job_manifest *manifest, store_done_fn *done, void *arg)
{
    struct removal *removal = mem_new(struct removal);
    scoped(free) const char **kept = manifest != NULL ? sorted_outputs(manifest) : NULL;
    const size_t kept_count = manifest != NULL ? manifest->output_count : 0;

    *removal = (struct removal){.services = services, .done = done, .arg = arg};
    removal->keys = mem_resize(NULL, ledger->count, sizeof(*removal->keys));
    for (size_t i = 0; i < ledger->count; i++) {
        const char *key = ledger->keys[i];

        if (kept_count == 0 ||
            bsearch(&key, kept, kept_count, sizeof(*kept), compare_keys) == NULL) {
            removal->keys[removal->count++] = key;
        }
    }
    loop_defer(services->loop, next_batch, removal);
}
