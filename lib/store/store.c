/** @file
 * Object stores: what is the same for every kind. Keys are checked here, once: what is refused is
 * answered later like everything else.
 */
#include "lib/store/store.h"

#include "lib/base/mem.h"

/** An answer without work. */
struct refusal {
    struct err err;
    store_done_fn *done;
    store_head_fn *head;
    void *arg;
};

static void on_refusal(void *arg)
{
    struct refusal *refusal = arg;

    if (refusal->head != NULL) {
        refusal->head(NULL, &refusal->err, refusal->arg);
    } else {
        refusal->done(refusal->err.rc != RC_OK ? &refusal->err : NULL, refusal->arg);
    }
    free(refusal);
}

static void refuse(struct store *store, const struct err *err, store_done_fn *done,
                   store_head_fn *head, void *arg)
{
    struct refusal *refusal = mem_new(struct refusal);

    *refusal = (struct refusal){.err = *err, .done = done, .head = head, .arg = arg};
    loop_defer(store->loop, on_refusal, refusal);
}

enum rc store_open(struct loop *loop, struct work *work, struct uri *uri,
                   const struct store_options *options, struct store **ret_store, struct err *err)
{
    if (uri->scheme == URI_S3) {
        return store_s3_new(loop, work, uri, options, ret_store, err);
    }
    return store_file_new(loop, work, uri, options, ret_store, err);
}

void store_free(struct store *store)
{
    if (store != NULL) {
        store->ops->free(store);
    }
}

const char *store_bucket(const struct store *store)
{
    return store->uri->scheme == URI_S3 ? store->uri->bucket : store->uri->path;
}

bool store_is_near(const struct store *store)
{
    return store->uri == NULL || store->uri->scheme == URI_FILE;
}

const char *store_place(const struct store *store)
{
    return store->ops->place != NULL ? store->ops->place(store) : "";
}

void store_list(struct store *store, const char *prefix, const char *after, unsigned max,
                store_list_fn *done, void *arg)
{
    store->ops->list(store, prefix, after, MAX_OF(MIN_OF(max, (unsigned)STORE_LIST_MAX), 1u), done,
                     arg);
}

void store_head(struct store *store, const char *key, store_head_fn *done, void *arg)
{
    struct err err;

    if (uri_check_parts(key, &err) != RC_OK) {
        refuse(store, &err, NULL, done, arg);
        return;
    }
    store->ops->head(store, key, done, arg);
}

struct store_op *store_get(struct store *store, const char *key, const char *version,
                           const char *etag, uint64_t offset, size_t len, void *buffer,
                           store_done_fn *done, void *arg)
{
    struct err err;

    if (uri_check_parts(key, &err) != RC_OK) {
        refuse(store, &err, done, NULL, arg);
        return NULL;
    }
    return store->ops->get(store, key, version, etag, offset, len, buffer, done, arg);
}

void store_put(struct store *store, const struct store_put *puts, unsigned count,
               store_done_fn *done, void *arg)
{
    struct err err;

    for (unsigned i = 0; i < count; i++) {
        if (uri_check_key(puts[i].key, &err) != RC_OK) {
            refuse(store, &err, done, NULL, arg);
            return;
        }
    }
    store->ops->put(store, puts, count, done, arg);
}

void store_put_file(struct store *store, const char *key, const char *path, store_done_fn *done,
                    void (*progress)(uint64_t bytes, void *arg), void *arg)
{
    struct err err;

    if (uri_check_key(key, &err) != RC_OK) {
        refuse(store, &err, done, NULL, arg);
        return;
    }
    store->ops->put_file(store, key, path, done, progress, arg);
}

void store_copy(struct store *store, const char *from_key, struct store *to, const char *to_key,
                store_done_fn *done, void (*progress)(uint64_t bytes, void *arg), void *arg)
{
    struct err err;

    if (store->ops != to->ops) {
        err_set(&err, RC_UNSUPPORTED, "a copy between stores of two kinds");
        refuse(store, &err, done, NULL, arg);
        return;
    }
    if (uri_check_parts(from_key, &err) != RC_OK || uri_check_key(to_key, &err) != RC_OK) {
        refuse(store, &err, done, NULL, arg);
        return;
    }
    store->ops->copy(store, from_key, to, to_key, done, progress, arg);
}

void store_remove(struct store *store, const char *const *keys, unsigned count, store_done_fn *done,
                  void *arg)
{
    struct err err;

    for (unsigned i = 0; i < count; i++) {
        if (uri_check_parts(keys[i], &err) != RC_OK) {
            refuse(store, &err, done, NULL, arg);
            return;
        }
    }
    store->ops->remove(store, keys, count, done, arg);
}

void store_remove_if(struct store *store, const char *key, const char *etag, int64_t within_ms,
                     store_done_fn *done, void *arg)
{
    struct err err;

    if (store->ops->remove_if == NULL) {
        store_remove(store, &key, 1, done, arg);
    } else if (uri_check_parts(key, &err) != RC_OK) {
        refuse(store, &err, done, NULL, arg);
    } else {
        store->ops->remove_if(store, key, etag, within_ms, done, arg);
    }
}

void store_sync(struct store *store, store_done_fn *done, void *arg)
{
    store->ops->sync(store, done, arg);
}

void store_find_open(struct store *store, const char *const *keys, unsigned count, bool *ret_open,
                     store_done_fn *done, void *arg)
{
    for (unsigned i = 0; i < count; i++) {
        ret_open[i] = false;
    }
    if (store->ops->find_open == NULL || count == 0) {
        refuse(store, &(struct err){.rc = RC_OK}, done, NULL, arg);
        return;
    }
    store->ops->find_open(store, keys, count, ret_open, done, arg);
}

void store_cancel(struct store *store, struct store_op *op)
{
    if (op != NULL) {
        store->ops->cancel(op);
    }
}
