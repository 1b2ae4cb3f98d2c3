/** @file
 * A stream's end that is a bucket: one put of what is small, else an upload in parts, which goes on
 * with an unfinished one that is on record as being of this very object.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/ctl/ctl_stream_p.h"
#include "lib/base/mem.h"

static struct s3_put put_of(const struct ctl_stream *stream)
{
    return (struct s3_put){.key = stream->key, .checksum = S3_CHECKSUM_CRC32C};
}

static bool is_single(const struct ctl_stream *stream)
{
    return stream->parts <= 1;
}

/* ---- open: the upload on record, or a new one ---------------------------------------------- */

static void on_created(const char *upload_id, const struct err *err, void *arg)
{
    struct ctl_stream *stream = arg;

    if (err == NULL) {
        stream->upload_id = str_dup(upload_id);
        stream->kept =
            stream->resume != NULL && stream->resume->begun(upload_id, stream->resume->arg);
    }
    ctl_stream_opened(stream, err);
}

static void create(struct ctl_stream *stream)
{
    const struct s3_put put = put_of(stream);

    s3_multipart_create(stream->to, stream->bucket, &put, on_created, stream);
}

/** One that may not be aborted is left to the rules of the bucket. */
static void on_dropped(const struct err *err, void *arg)
{
    struct ctl_stream *stream = arg;

    if (err != NULL && !s3_multipart_is_lost(err)) {
        ctl_stream_ended(stream, err);
        return;
    }
    create(stream);
}

static void drop(struct ctl_stream *stream)
{
    s3_multipart_abort(stream->to, stream->bucket, stream->key, stream->resume->upload_id,
                       on_dropped, stream);
}

/** Parts of the right size; that they are of this object, the record tells. */
static void on_parts(const struct s3_part *parts, unsigned count, const struct err *err, void *arg)
{
    struct ctl_stream *stream = arg;

    if (s3_multipart_is_lost(err)) {
        drop(stream);
        return;
    }
    for (unsigned i = 0; i < count; i++) {
        if (parts[i].part >= 1 && parts[i].part <= stream->parts) {
            stream->sent[parts[i].part - 1] = parts[i];
        }
    }
    stream->upload_id = str_dup(stream->resume->upload_id);
    stream->kept = true;
    ctl_stream_opened(stream, err);
}

static void open_deferred(void *arg)
{
    ctl_stream_opened(arg, NULL);
}

static void s3_open(struct ctl_stream *stream)
{
    stream->sent = mem_zeroed((stream->parts + 1) * sizeof(*stream->sent));
    if (is_single(stream)) {
        loop_defer(stream->loop, open_deferred, stream);
        return;
    }
    if (stream->resume == NULL || stream->resume->upload_id == NULL) {
        create(stream);
    } else if (!stream->resume->fits) {
        drop(stream);
    } else {
        s3_multipart_parts(stream->to, stream->bucket, stream->key, stream->resume->upload_id,
                           on_parts, stream);
    }
}

/* ---- parts --------------------------------------------------------------------------------- */

static bool s3_has(const struct ctl_stream *stream, unsigned part, size_t len)
{
    return stream->sent[part].size == len;
}

static bool s3_takes(const struct ctl_stream *stream, const struct ctl_stream_slot *slot)
{
    (void)stream;
    (void)slot;
    return true;
}

static void run_checksum(void *arg)
{
    struct ctl_stream_slot *slot = arg;

    s3_checksum(S3_CHECKSUM_CRC32C, slot->bytes, slot->len, slot->checksum);
}

static void on_sent(const struct s3_part *part, const struct err *err, void *arg)
{
    struct ctl_stream_slot *slot = arg;

    if (err == NULL) {
        slot->stream->sent[slot->part] = *part;
    }
    ctl_stream_stored(slot, err);
}

static void on_checksum(void *arg, bool canceled)
{
    struct ctl_stream_slot *slot = arg;
    struct ctl_stream *stream = slot->stream;
    const struct s3_put put = put_of(stream);

    (void)canceled;
    s3_multipart_put(stream->to, stream->bucket, &put, stream->upload_id, slot->part + 1,
                     slot->bytes, slot->len, slot->checksum, on_sent, slot);
}

static void on_put(const char *etag, const char *version, const struct err *err, void *arg)
{
    (void)etag;
    (void)version;
    ctl_stream_stored(arg, err);
}

static void s3_store(struct ctl_stream *stream, struct ctl_stream_slot *slot)
{
    struct s3_put put = put_of(stream);

    if (!is_single(stream)) {
        work_submit(stream->work, WORK_CPU, run_checksum, on_checksum, slot);
        return;
    }
    put.bytes = slot->bytes;
    put.len = slot->len;
    s3_put(stream->to, stream->bucket, &put, on_put, slot);
}

/* ---- the end ------------------------------------------------------------------------------- */

static void forget(const struct ctl_stream *stream)
{
    if (stream->resume != NULL) {
        stream->resume->ended(stream->resume->arg);
    }
}

static void on_aborted(const struct err *err, void *arg)
{
    struct ctl_stream *stream = arg;

    if (err == NULL || s3_multipart_is_lost(err)) {
        forget(stream);
    }
    ctl_stream_ended(stream, NULL);
}

static void s3_give_up(struct ctl_stream *stream)
{
    if (stream->upload_id == NULL || stream->kept) {
        ctl_stream_ended(stream, NULL);
        return;
    }
    s3_multipart_abort(stream->to, stream->bucket, stream->key, stream->upload_id, on_aborted,
                       stream);
}

static void on_confirmed(const struct s3_object *object, const struct err *err, void *arg)
{
    struct ctl_stream *stream = arg;

    if (err == NULL && s3_multipart_is(object, stream->sent, stream->parts)) {
        forget(stream);
        stream->err.rc = RC_OK;
        ctl_stream_ended(stream, NULL);
        return;
    }
    s3_give_up(stream);
}

static void on_completed(const char *etag, const char *version, const struct err *err, void *arg)
{
    struct ctl_stream *stream = arg;
    (void)etag;
    (void)version;

    if (err == NULL) {
        forget(stream);
        ctl_stream_ended(stream, NULL);
        return;
    }
    stream->err = *err;
    if (s3_multipart_is_open(err)) { /* the answer may be all that was lost */
        s3_head(stream->to, stream->bucket, stream->key, NULL, on_confirmed, stream);
        return;
    }
    stream->kept &= err->rc != RC_INVALID; /* a later run would be refused as well */
    s3_give_up(stream);
}

static void on_empty(const char *etag, const char *version, const struct err *err, void *arg)
{
    (void)etag;
    (void)version;
    ctl_stream_ended(arg, err);
}

static void s3_close(struct ctl_stream *stream)
{
    const struct s3_put put = put_of(stream);

    if (stream->parts == 0) { /* of nothing there was no part to put */
        s3_put(stream->to, stream->bucket, &put, on_empty, stream);
    } else if (is_single(stream)) {
        ctl_stream_ended(stream, NULL);
    } else {
        s3_multipart_complete(stream->to, stream->bucket, &put, stream->upload_id, stream->sent,
                              stream->parts, on_completed, stream);
    }
}

const struct ctl_stream_target ctl_stream_s3 = {.open = s3_open,
                                                .has = s3_has,
                                                .takes = s3_takes,
                                                .store = s3_store,
                                                .close = s3_close,
                                                .give_up = s3_give_up};
