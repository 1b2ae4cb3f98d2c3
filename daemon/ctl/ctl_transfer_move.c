/** @file
 * The transfers themselves: for each pair of ends the way that is right for it.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "daemon/ctl/ctl_stream.h"
#include "daemon/ctl/ctl_transfer_p.h"
#include "lib/aws/s3_copy.h"
#include "lib/aws/s3_upload.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"

#define COPIES 32 /**< At a time, within one S3. */
#define STREAMS 4 /**< What passes through us holds memory. */

/** Where its bytes come from and go to. */
static bool is_s3(const struct store *store)
{
    return store != NULL && store->uri->scheme == URI_S3;
}

/** The object's key in the bucket, of a store that may be a prefix of it. */
static char *whole_key(const struct store *store, const char *key)
{
    const char *prefix = store->uri->path;

    return prefix[0] == '\0' ? str_dup(key)
                             : str_printf("%s%s%s", prefix, str_ends(prefix, "/") ? "" : "/", key);
}

/* ---- how it ends --------------------------------------------------------------------------- */

static void on_moved(const struct err *err, void *arg)
{
    struct ctl_item *item = arg;

    ctl_note_close(TAKE(item->note));
    if (err != NULL) {
        ctl_transfer_fail(item, err);
        item->moved = 0;
    } else {
        item->state = CTL_ITEM_MOVED;
        item->moved = item->size;
    }
    ctl_transfer_over(item);
}

static void on_put(const char *etag, const char *version, const struct err *err, void *arg)
{
    (void)etag;
    (void)version;
    on_moved(err, arg);
}

static void on_progress(uint64_t bytes, void *arg)
{
    struct ctl_item *item = arg;
    const struct ctl_transfer *transfer = item->transfer;
    uint64_t sum = 0;

    item->moved = MIN_OF(bytes, item->size);
    for (unsigned i = 0; i < transfer->count; i++) {
        sum += transfer->items[i].moved;
    }
    ctl_progress_set(transfer->progress, item->to, sum, transfer->total_bytes);
}

/* ---- notes: what is large can be gone on with ---------------------------------------------- */

/** None where another run is at that target, or where none can be kept. */
static const struct s3_resume *take_note(struct ctl_item *item, const char *key, const char *source)
{
    struct ctl_transfer *transfer = item->transfer;
    const char *bucket = transfer->to->uri->bucket;
    scoped(free) char *target =
        str_printf("%s\n%s/%s", ctl_run_endpoint(transfer->run, NULL), bucket, key);
    struct err err;

    if (ctl_note_open(target, source, &item->note, &err) != RC_OK && err.rc != RC_CONFLICT &&
        !transfer->noteless) {
        transfer->noteless = true;
        ctl_warn("%s: what is cut short begins anew", err.text);
    }
    return ctl_note_resume(item->note);
}

/** `how` says what its parts are. */
static const struct s3_resume *note_object(struct ctl_item *item, const char *how,
                                           const char *from_key, const char *key)
{
    struct ctl_transfer *transfer = item->transfer;
    const char *bucket = transfer->from->uri->bucket;
    scoped(free) char *source =
        str_printf("%s\n%" PRIu64 " %" PRId64 " %s\n%s\n%s/%s", how, item->size, item->modified_ms,
                   item->etag, ctl_run_endpoint(transfer->run, bucket), bucket, from_key);

    return take_note(item, key, source);
}

static const struct s3_resume *note_file(struct ctl_item *item, const char *path, const char *key)
{
    scoped(free) char *whole = realpath(path, NULL);
    scoped(free) char *source = str_printf("upload\n%" PRIu64 " %" PRId64 "\n%s", item->size,
                                           item->modified_ms, whole != NULL ? whole : path);

    return take_note(item, key, source);
}

/* ---- the ways ------------------------------------------------------------------------------ */

static void upload(struct ctl_item *item, struct aws *aws)
{
    struct ctl_transfer *transfer = item->transfer;
    scoped(free) char *key = whole_key(transfer->to, item->to);
    scoped(free) char *path = transfer->from != NULL
                                  ? fs_join(transfer->from->uri->path, item->from)
                                  : str_dup(item->from);
    const struct s3_upload_options options = {
        .bucket = transfer->to->uri->bucket,
        .put = {.key = key, .checksum = S3_CHECKSUM_CRC32C},
        .path = path,
        .resume = item->size > S3_UPLOAD_SINGLE ? note_file(item, path, key) : NULL,
        .progress = on_progress,
    };

    s3_upload(aws, ctl_run_loop(transfer->run), ctl_run_work(transfer->run), &options, on_put,
              item);
}

static void copy_within(struct ctl_item *item, struct aws *aws)
{
    struct ctl_transfer *transfer = item->transfer;
    scoped(free) char *key = whole_key(transfer->to, item->to);
    scoped(free) char *from_key = whole_key(transfer->from, item->from);
    scoped(free) char *how = str_printf("copy %" PRIu64, S3_COPY_PART);
    const struct s3_copy_options options = {
        .bucket = transfer->to->uri->bucket,
        .put = {.key = key},
        .from_bucket = transfer->from->uri->bucket,
        .from_key = from_key,
        .from_etag = item->etag,
        .size = item->size,
        .resume = item->size > S3_COPY_MAX ? note_object(item, how, from_key, key) : NULL,
        .progress = on_progress,
    };

    s3_copying(aws, ctl_run_loop(transfer->run), &options, on_put, item);
}

static struct ctl_stream_options stream_of(const struct ctl_item *item, struct aws *from,
                                           const char *from_key)
{
    const struct ctl_transfer *transfer = item->transfer;

    return (struct ctl_stream_options){
        .loop = ctl_run_loop(transfer->run),
        .work = ctl_run_work(transfer->run),
        .from = from,
        .from_bucket = transfer->from->uri->bucket,
        .from_key = from_key,
        .from_etag = item->etag,
        .size = item->size,
        .progress = on_progress,
    };
}

static void stream_to_file(struct ctl_item *item, struct aws *from)
{
    const struct ctl_transfer *transfer = item->transfer;
    scoped(free) char *from_key = whole_key(transfer->from, item->from);
    scoped(free) char *path = fs_join(transfer->to->uri->path, item->to);
    struct ctl_stream_options options = stream_of(item, from, from_key);

    options.path = path;
    ctl_stream(&options, on_moved, item);
}

static void stream_across(struct ctl_item *item, struct aws *from, struct aws *to)
{
    const struct ctl_transfer *transfer = item->transfer;
    scoped(free) char *from_key = whole_key(transfer->from, item->from);
    scoped(free) char *key = whole_key(transfer->to, item->to);
    scoped(free) char *how = str_printf("stream %u", CTL_STREAM_PART);
    struct ctl_stream_options options = stream_of(item, from, from_key);

    options.to = to;
    options.bucket = transfer->to->uri->bucket;
    options.key = key;
    options.resume = item->size > CTL_STREAM_PART ? note_object(item, how, from_key, key) : NULL;
    ctl_stream(&options, on_moved, item);
}

static bool move_item(struct ctl_item *item)
{
    struct ctl_transfer *transfer = item->transfer;
    struct store *from = transfer->from, *to = transfer->to;
    struct aws *from_aws = NULL, *to_aws = NULL;
    struct err err;

    if ((is_s3(to) && ctl_run_aws(transfer->run, &to_aws, &err) != RC_OK) ||
        (is_s3(from) &&
         ctl_run_aws_of(transfer->run, from->uri->bucket, &from_aws, &err) != RC_OK)) {
        ctl_transfer_fail(item, &err);
        return false;
    }
    if (from_aws != NULL && from_aws == to_aws) {
        copy_within(item, to_aws);
    } else if (from_aws != NULL && to_aws == NULL) {
        stream_to_file(item, from_aws);
    } else if (from_aws != NULL) {
        stream_across(item, from_aws, to_aws);
    } else if (to_aws != NULL) {
        upload(item, to_aws);
    } else if (from != NULL) {
        store_copy(from, item->from, to, item->to, on_moved, on_progress, item);
    } else {
        store_put_file(to, item->to, item->from, on_moved, on_progress, item);
    }
    return true;
}

/* ---- all of them --------------------------------------------------------------------------- */

static unsigned width_of(const struct ctl_transfer *transfer)
{
    struct aws *from_aws = NULL, *to_aws = NULL;
    struct err err;

    if (is_s3(transfer->from) && is_s3(transfer->to) &&
        ctl_run_aws(transfer->run, &to_aws, &err) == RC_OK &&
        ctl_run_aws_of(transfer->run, transfer->from->uri->bucket, &from_aws, &err) == RC_OK &&
        from_aws == to_aws) {
        return COPIES;
    }
    return is_s3(transfer->from) || is_s3(transfer->to) ? STREAMS : 1;
}

struct sync_wait {
    struct loop *loop;
    bool over;
    struct err err;
};

static void on_synced(const struct err *err, void *arg)
{
    struct sync_wait *wait = arg;

    wait->err = err != NULL ? *err : (struct err){.rc = RC_OK};
    wait->over = true;
    loop_stop(wait->loop);
}

/** What was moved counts only once it is durable. */
static void make_durable(struct ctl_transfer *transfer)
{
    struct sync_wait wait = {.loop = ctl_run_loop(transfer->run)};

    store_sync(transfer->to, on_synced, &wait);
    while (!wait.over) {
        loop_run(wait.loop);
    }
    for (unsigned i = 0; wait.err.rc != RC_OK && i < transfer->count; i++) {
        if (transfer->items[i].state == CTL_ITEM_MOVED) {
            ctl_transfer_fail(&transfer->items[i], &wait.err);
        }
    }
}

static enum rc open_target(struct ctl_transfer *transfer, bool create, struct err *err)
{
    struct store_options options = {.create = create};
    struct uri *uri;

    if (transfer->to_uri->scheme == URI_S3 &&
        ctl_run_aws(transfer->run, &options.aws, err) != RC_OK) {
        return err->rc;
    }
    uri = mem_new(struct uri);
    uri->scheme = transfer->to_uri->scheme;
    uri->bucket = str_dup(transfer->to_uri->bucket);
    uri->path = str_dup(transfer->to_uri->path);
    return store_open(ctl_run_loop(transfer->run), ctl_run_work(transfer->run), uri, &options,
                      &transfer->to, err);
}

enum rc ctl_transfer_open_target(struct ctl_transfer *transfer, struct err *err)
{
    return transfer->to_uri->scheme == URI_S3 || ctl_run_is_folder(transfer->to_uri->path)
               ? open_target(transfer, false, err)
               : RC_OK;
}

void ctl_transfer_run(struct ctl_transfer *transfer)
{
    struct err err;

    if (ctl_transfer_count(transfer, CTL_ITEM_PLANNED) == 0) {
        return;
    }
    if (transfer->to == NULL && open_target(transfer, true, &err) != RC_OK) {
        for (unsigned i = 0; i < transfer->count; i++) {
            if (transfer->items[i].state == CTL_ITEM_PLANNED) {
                ctl_transfer_fail(&transfer->items[i], &err);
            }
        }
        return;
    }
    transfer->total_bytes = ctl_transfer_bytes(transfer, CTL_ITEM_PLANNED);
    transfer->progress = ctl_progress_new(transfer->ctl, CTL_BYTES);
    ctl_progress_set(transfer->progress, NULL, 0, transfer->total_bytes);
    ctl_transfer_each(transfer, width_of(transfer), move_item);
    ctl_progress_free(TAKE(transfer->progress));
    if (ctl_transfer_count(transfer, CTL_ITEM_MOVED) > 0) {
        make_durable(transfer);
    }
}
