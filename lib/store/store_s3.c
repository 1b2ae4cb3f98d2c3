/** @file
 * A bucket, or what lies under a prefix of one.
 *
 * Every operation is a few requests of lib/aws/s3.h; what is here is how many of them are under way
 * at once, and that a caller sees one answer. Puts share one window over the whole store, so that a
 * batch of a thousand pictures and that of another job take turns at the same connections.
 */
#include <stdio.h>
#include <string.h>

#include "lib/aws/s3.h"
#include "lib/aws/s3_copy.h"
#include "lib/aws/s3_upload.h"
#include "lib/base/arena.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/store/store_s3_p.h"

#define PUT_WINDOW 256 /**< Requests under way over all puts of the store. */
#define PUT_WINDOW_BYTES ((uint64_t)256 << 20)
#define PIECE_BYTES ((size_t)4 << 20) /**< A get of more is split into ranges of this or more, */
#define PIECES 16                     /**< at most that many. */
#define EMPTY_PAGES_MAX 100           /**< In a row: S3 may send some. */

const struct err *store_s3_refused(const struct err *err, bool must_be_there, struct err *room)
{
    if (err == NULL || (err->rc != RC_DENIED && err->rc != RC_NOT_FOUND)) {
        return err;
    }
    *room = *err;
    room->rc = err->rc == RC_NOT_FOUND && must_be_there ? RC_CONFLICT : RC_HOST;
    return room;
}

/* ---- list ---- */

struct listing {
    struct store_s3 *store;
    char *prefix, *after, *next;
    unsigned max, count, empty;
    struct store_object *objects;
    struct arena *strings;
    store_list_fn *done;
    void *arg;
};

static void listing_ask(struct listing *listing);

static void listing_end(struct listing *listing, const struct err *err)
{
    struct store_s3 *store = listing->store;
    const bool more = err == NULL && listing->next[0] != '\0';

    if (err != NULL) { /* it may be the token that is refused, as too old */
        free(TAKE(store->list_next));
    } else if (more && listing->count > 0) {
        free(store->list_prefix);
        free(store->list_after);
        free(store->list_next);
        store->list_prefix = str_dup(listing->prefix);
        store->list_after = str_dup(listing->objects[listing->count - 1].key);
        store->list_next = str_dup(listing->next);
    }
    listing->done(err == NULL ? listing->objects : NULL, err == NULL ? listing->count : 0, more,
                  err, listing->arg);
    arena_free(listing->strings);
    free(listing->objects);
    free(listing->prefix);
    free(listing->after);
    free(listing->next);
    free(listing);
}

static void on_page(const struct s3_object *objects, unsigned count, const char *next,
                    const struct err *err, void *arg)
{
    struct listing *listing = arg;
    const size_t cut = strlen(listing->store->prefix);
    struct err circle;

    if (err != NULL) {
        listing_end(listing, err);
        return;
    }
    for (unsigned i = 0; i < count && listing->count < listing->max; i++) {
        const char *key = objects[i].key;

        if (strncmp(key, listing->store->prefix, cut) != 0 || key[cut] == '\0') {
            continue; /* the marker of our own folder */
        }
        listing->objects[listing->count++] = (struct store_object){
            .key = arena_dup(listing->strings, key + cut),
            .size = objects[i].size,
            .etag = arena_dup(listing->strings, objects[i].etag),
            .version = "",
            .modified_ms = objects[i].modified_ms,
        };
    }
    listing->empty = count == 0 ? listing->empty + 1 : 0;
    if (listing->empty > EMPTY_PAGES_MAX) {
        err_set(&circle, RC_CORRUPT, "the listing of '%.100s' has no end and no keys",
                store_s3_bucket_of(listing->store));
        listing_end(listing, &circle);
        return;
    }
    free(listing->next);
    listing->next = str_dup(next);
    if (next[0] != '\0' && listing->count < listing->max) {
        listing_ask(listing);
    } else {
        listing_end(listing, NULL);
    }
}

static void listing_ask(struct listing *listing)
{
    struct store_s3 *store = listing->store;
    scoped(free) char *prefix = store_s3_full_key(store, listing->prefix);
    scoped(free) char *after =
        listing->after[0] != '\0' ? store_s3_full_key(store, listing->after) : str_dup("");

    s3_list(store->aws, store_s3_bucket_of(store), prefix, after, listing->next,
            MIN_OF(listing->max - listing->count, (unsigned)S3_LIST_MAX), on_page, listing);
}

/** A continuation token says where the last page ended also where its last key could not. */
static bool goes_on(const struct store_s3 *store, const char *prefix, const char *after)
{
    return store->list_next != NULL && strcmp(store->list_prefix, prefix) == 0 &&
           strcmp(store->list_after, after) == 0;
}

static void list(struct store *base, const char *prefix, const char *after, unsigned max,
                 store_list_fn *done, void *arg)
{
    struct store_s3 *store = store_s3_of(base);
    struct listing *listing = mem_new(struct listing);

    *listing = (struct listing){
        .store = store,
        .prefix = str_dup(prefix),
        .after = str_dup(after),
        .next = str_dup(goes_on(store, prefix, after) ? store->list_next : ""),
        .max = max,
        .objects = mem_resize(NULL, max, sizeof(struct store_object)),
        .strings = arena_new(),
        .done = done,
        .arg = arg,
    };
    listing_ask(listing);
}

/* ---- head ---- */

struct heading {
    char *key;
    store_head_fn *done;
    void *arg;
};

/** That the request was refused (a clock, a token, a region) says nothing of the object, and must
 * not be taken for its absence. */
static void on_head(const struct s3_object *object, const struct err *err, void *arg)
{
    struct heading *heading = arg;
    struct err why;

    if (err != NULL) {
        why = *err;
        why.rc = err->rc == RC_INVALID ? RC_NETWORK : err->rc;
        heading->done(NULL, &why, heading->arg);
    } else {
        heading->done(&(struct store_object){.key = heading->key,
                                             .size = object->size,
                                             .etag = object->etag,
                                             .version = object->version,
                                             .modified_ms = object->modified_ms},
                      NULL, heading->arg);
    }
    free(heading->key);
    free(heading);
}

static void head(struct store *base, const char *key, store_head_fn *done, void *arg)
{
    struct store_s3 *store = store_s3_of(base);
    struct heading *heading = mem_new(struct heading);
    scoped(free) char *full = store_s3_full_key(store, key);

    *heading = (struct heading){.key = str_dup(key), .done = done, .arg = arg};
    s3_head(store->aws, store_s3_bucket_of(store), full, NULL, on_head, heading);
}

/* ---- get: one range, or a few at once ---- */

struct piece {
    struct store_op *op;
    struct aws_call *call; /**< NULL: over. */
};

struct store_op {
    struct store_s3 *store;
    struct piece pieces[PIECES];
    unsigned under_way;
    struct err err;
    store_done_fn *done;
    void *arg;
};

static void cancel_pieces(struct store_op *op)
{
    for (unsigned i = 0; i < PIECES; i++) {
        if (op->pieces[i].call != NULL) {
            aws_cancel(op->pieces[i].call);
        }
    }
}

static void on_piece(const struct err *err, void *arg)
{
    struct piece *piece = arg;
    struct store_op *op = piece->op;

    piece->call = NULL;
    if (err != NULL && op->err.rc == RC_OK) {
        op->err = *err;
        cancel_pieces(op); /* the buffer is ours until each has answered */
    }
    if (--op->under_way == 0) {
        op->done(op->err.rc == RC_OK ? NULL : &op->err, op->arg);
        free(op);
    }
}

static void nothing_to_get(void *arg)
{
    struct store_op *op = arg;

    op->done(op->err.rc == RC_OK ? NULL : &op->err, op->arg);
    free(op);
}

static struct store_op *get(struct store *base, const char *key, const char *version,
                            const char *etag, uint64_t offset, size_t len, void *buffer,
                            store_done_fn *done, void *arg)
{
    struct store_s3 *store = store_s3_of(base);
    struct store_op *op = mem_new(struct store_op);
    scoped(free) char *full = store_s3_full_key(store, key);
    const size_t step = MAX_OF(PIECE_BYTES, (len + PIECES - 1) / PIECES);

    *op = (struct store_op){.store = store, .done = done, .arg = arg};
    if (len == 0) {
        loop_defer(base->loop, nothing_to_get, op);
        return op;
    }
    for (size_t at = 0; at < len; at += step) {
        struct piece *piece = &op->pieces[op->under_way++];

        piece->op = op;
        piece->call =
            s3_get(store->aws, store_s3_bucket_of(store), full, version, etag, offset + at,
                   MIN_OF(step, len - at), (char *)buffer + at, on_piece, piece);
    }
    return op;
}

static void cancel(struct store_op *op)
{
    if (op->err.rc == RC_OK) {
        err_set(&op->err, RC_CANCELED, "asked to stop");
    }
    cancel_pieces(op);
}

/* ---- put ---- */

struct put_batch {
    struct store_s3 *store;
    struct put_batch *next;
    const struct store_put *puts;
    unsigned count, begun, under_way;
    bool queued;
    struct err err;
    store_done_fn *done;
    void *arg;
};

/** One of a batch. */
struct putting {
    struct put_batch *batch;
    const struct store_put *what;
    char *key;
    enum s3_checksum checksum;
};

static void putting_start(struct putting *putting);

static void batch_check(struct put_batch *batch)
{
    if (batch->under_way > 0 || batch->queued) {
        return;
    }
    batch->done(batch->err.rc == RC_OK ? NULL : &batch->err, batch->arg);
    free(batch);
}

static bool window_has_room(const struct store_s3 *store, uint64_t bytes)
{
    return store->putting == 0 ||
           (store->putting < PUT_WINDOW && store->putting_bytes + bytes <= PUT_WINDOW_BYTES);
}

/** Batches take turns, a put each. */
static void window_fill(struct store_s3 *store)
{
    while (store->first != NULL) {
        struct put_batch *batch = store->first;
        const bool failed = batch->err.rc != RC_OK;

        if (!failed && batch->begun < batch->count) {
            const struct store_put *what = &batch->puts[batch->begun];
            struct putting *putting;

            if (!window_has_room(store, what->len)) {
                return;
            }
            batch->begun++;
            batch->under_way++;
            store->putting++;
            store->putting_bytes += what->len;
            putting = mem_new(struct putting);
            *putting = (struct putting){
                .batch = batch, .what = what, .key = store_s3_full_key(store, what->key)};
            putting_start(putting);
        }
        store->first = batch->next;
        if (store->first == NULL) {
            store->last = &store->first;
        }
        batch->next = NULL;
        if (failed || batch->begun == batch->count) {
            batch->queued = false;
            batch_check(batch);
        } else {
            *store->last = batch;
            store->last = &batch->next;
        }
    }
}

static void on_put(const char *etag, const char *version, const struct err *err, void *arg)
{
    struct putting *putting = arg;
    struct put_batch *batch = putting->batch;
    struct store_s3 *store = batch->store;
    struct err why;

    (void)version;
    if (err != NULL && err->rc == RC_UNSUPPORTED && putting->checksum == S3_CHECKSUM_CRC32C) {
        store->checksum = S3_CHECKSUM_MD5; /* an older server; MD5 it knows */
        putting_start(putting);
        return;
    }
    if (err == NULL && putting->what->ret_etag != NULL) {
        snprintf(putting->what->ret_etag, STORE_ETAG, "%s", etag);
    }
    err = store_s3_refused(
        err, putting->what->if_match != NULL && putting->what->if_match[0] != '\0', &why);
    if (err != NULL && batch->err.rc == RC_OK) {
        batch->err = *err;
    }
    store->putting--;
    store->putting_bytes -= putting->what->len;
    batch->under_way--;
    free(putting->key);
    free(putting);
    batch_check(batch);
    window_fill(store);
}

static void putting_start(struct putting *putting)
{
    struct store_s3 *store = putting->batch->store;
    const struct store_put *what = putting->what;
    const struct s3_upload_options options = {
        .bucket = store_s3_bucket_of(store),
        .put = {.key = putting->key,
                .bytes = what->bytes,
                .len = what->len,
                .content_type = what->content_type,
                .if_match = what->if_match,
                .checksum = store->checksum},
    };

    putting->checksum = store->checksum;
    if (what->len > S3_UPLOAD_SINGLE) {
        s3_upload(store->aws, store->base.loop, store->work, &options, on_put, putting);
    } else {
        s3_put(store->aws, store_s3_bucket_of(store), &options.put, on_put, putting);
    }
}

static void nothing_to_put(void *arg)
{
    batch_check(arg);
}

static void put(struct store *base, const struct store_put *puts, unsigned count,
                store_done_fn *done, void *arg)
{
    struct store_s3 *store = store_s3_of(base);
    struct put_batch *batch = mem_new(struct put_batch);

    *batch =
        (struct put_batch){.store = store, .puts = puts, .count = count, .done = done, .arg = arg};
    if (count == 0) {
        loop_defer(base->loop, nothing_to_put, batch);
        return;
    }
    batch->queued = true;
    *store->last = batch;
    store->last = &batch->next;
    window_fill(store);
}

/* ---- whole files, copies ---- */

struct transfer {
    struct store_s3 *store, *to;
    char *key, *path, *from_key;
    store_done_fn *done;
    void (*progress)(uint64_t bytes, void *arg);
    void *arg;
    enum s3_checksum checksum;
};

static void transfer_start(struct transfer *transfer);

static void transfer_end(struct transfer *transfer, const struct err *err)
{
    transfer->done(err, transfer->arg);
    free(transfer->key);
    free(transfer->path);
    free(transfer->from_key);
    free(transfer);
}

static void on_progress(uint64_t bytes, void *arg)
{
    const struct transfer *transfer = arg;

    if (transfer->progress != NULL) {
        transfer->progress(bytes, transfer->arg);
    }
}

static void on_transferred(const char *etag, const char *version, const struct err *err, void *arg)
{
    struct transfer *transfer = arg;
    struct err why;

    (void)etag, (void)version;
    if (err != NULL && err->rc == RC_DENIED && transfer->path != NULL) {
        err = store_s3_refused(err, false, &why);
    }
    if (err != NULL && err->rc == RC_UNSUPPORTED && transfer->path != NULL &&
        transfer->checksum == S3_CHECKSUM_CRC32C) {
        transfer->store->checksum = S3_CHECKSUM_MD5;
        transfer_start(transfer);
        return;
    }
    transfer_end(transfer, err);
}

static void transfer_start(struct transfer *transfer)
{
    struct store_s3 *store = transfer->store;
    const struct s3_upload_options options = {
        .bucket = store_s3_bucket_of(store),
        .put = {.key = transfer->key, .checksum = store->checksum},
        .path = transfer->path,
        .progress = on_progress,
    };

    transfer->checksum = store->checksum;
    s3_upload(store->aws, store->base.loop, store->work, &options, on_transferred, transfer);
}

static void put_file(struct store *base, const char *key, const char *path, store_done_fn *done,
                     void (*progress)(uint64_t bytes, void *arg), void *arg)
{
    struct store_s3 *store = store_s3_of(base);
    struct transfer *transfer = mem_new(struct transfer);

    *transfer = (struct transfer){.store = store,
                                  .key = store_s3_full_key(store, key),
                                  .path = str_dup(path),
                                  .done = done,
                                  .progress = progress,
                                  .arg = arg};
    transfer_start(transfer);
}

static void on_source(const struct s3_object *object, const struct err *err, void *arg)
{
    struct transfer *transfer = arg;

    if (err != NULL) {
        transfer_end(transfer, err);
        return;
    }
    const struct s3_copy_options options = {
        .bucket = store_s3_bucket_of(transfer->to),
        .put = {.key = transfer->key, .content_type = object->content_type},
        .from_bucket = store_s3_bucket_of(transfer->store),
        .from_key = transfer->from_key,
        .from_version = object->version,
        .from_etag = object->etag,
        .size = object->size,
        .progress = on_progress,
    };

    s3_copying(transfer->to->aws, transfer->to->base.loop, &options, on_transferred, transfer);
}

static void copy(struct store *base, const char *from_key, struct store *to, const char *to_key,
                 store_done_fn *done, void (*progress)(uint64_t bytes, void *arg), void *arg)
{
    struct store_s3 *store = store_s3_of(base);
    struct transfer *transfer = mem_new(struct transfer);

    *transfer = (struct transfer){.store = store,
                                  .to = store_s3_of(to),
                                  .key = store_s3_full_key(store_s3_of(to), to_key),
                                  .from_key = store_s3_full_key(store, from_key),
                                  .done = done,
                                  .progress = progress,
                                  .arg = arg};
    s3_head(store->aws, store_s3_bucket_of(store), transfer->from_key, NULL, on_source, transfer);
}

/* ---- sync ---- */

struct syncing {
    store_done_fn *done;
    void *arg;
};

static void on_synced(void *arg)
{
    struct syncing *syncing = arg;

    syncing->done(NULL, syncing->arg);
    free(syncing);
}

/** A put that S3 has answered is durable. */
static void sync_all(struct store *base, store_done_fn *done, void *arg)
{
    struct syncing *syncing = mem_new(struct syncing);

    *syncing = (struct syncing){.done = done, .arg = arg};
    loop_defer(base->loop, on_synced, syncing);
}

static void s3_free(struct store *base)
{
    struct store_s3 *store = store_s3_of(base);

    free(store->prefix);
    free(store->list_prefix);
    free(store->list_after);
    free(store->list_next);
    uri_free(store->base.uri);
    free(store);
}

enum rc store_s3_new(struct loop *loop, struct work *work, struct uri *uri,
                     const struct store_options *options, struct store **ret_store, struct err *err)
{
    static const struct store_ops ops = {
        .list = list,
        .head = head,
        .get = get,
        .put = put,
        .put_file = put_file,
        .copy = copy,
        .remove = store_s3_remove,
        .remove_if = store_s3_remove_if,
        .sync = sync_all,
        .cancel = cancel,
        .free = s3_free,
    };
    scoped(uri_free) struct uri *owned = uri;
    const size_t len = strlen(uri->path);
    struct store_s3 *store;

    if (len > 0 && uri->path[len - 1] == '/') {
        uri->path[len - 1] = '\0'; /* as of a directory */
    }

    if (options->aws == NULL) {
        return err_set(err, RC_UNSUPPORTED, "store 's3://%s': there is no access to AWS here",
                       uri->bucket);
    }
    store = mem_new(struct store_s3);
    *store = (struct store_s3){
        .base = {.ops = &ops, .loop = loop, .uri = TAKE(owned)},
        .work = work,
        .aws = options->aws,
        .prefix = str_printf("%s%s", uri->path, uri->path[0] != '\0' ? "/" : ""),
    };
    store->last = &store->first;
    *ret_store = &store->base;
    return RC_OK;
}
