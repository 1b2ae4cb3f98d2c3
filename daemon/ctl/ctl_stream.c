/** @file
 * Parts are fetched in their order, a few at a time, and offered to the target as they come.
 */
#include "daemon/ctl/ctl_stream_p.h"

#include <stdlib.h>
#include <unistd.h>

#include "lib/base/mem.h"

#define MIB (1u << 20)

static void start_parts(struct ctl_stream *stream);

static void note(struct ctl_stream *stream, const struct err *err)
{
    if (err != NULL && stream->err.rc == RC_OK) {
        stream->err = *err;
    }
}

void ctl_stream_ended(struct ctl_stream *stream, const struct err *err)
{
    const struct err first = stream->err.rc != RC_OK ? stream->err
                             : err != NULL           ? *err
                                                     : stream->err;

    stream->done(first.rc != RC_OK ? &first : NULL, stream->arg);
    for (unsigned i = 0; i < CTL_STREAM_SLOTS; i++) {
        free(stream->slots[i].bytes);
    }
    if (stream->fd >= 0) {
        close(stream->fd);
    }
    free(stream->from_bucket);
    free(stream->from_key);
    free(stream->from_etag);
    free(stream->path);
    free(stream->bucket);
    free(stream->key);
    free(stream->part_path);
    free(stream->upload_id);
    free(stream->sent);
    free(stream);
}

static size_t part_len(const struct ctl_stream *stream, unsigned part)
{
    return (size_t)MIN_OF(stream->part_bytes, stream->size - part * stream->part_bytes);
}

static void tell_progress(struct ctl_stream *stream)
{
    if (stream->progress != NULL) {
        stream->progress(stream->stored_bytes, stream->arg);
    }
}

/** Every part that has come and that the target takes now; also after a failure, for what is stored
 * need not be fetched again. */
static void offer_parts(struct ctl_stream *stream)
{
    for (unsigned i = 0; i < CTL_STREAM_SLOTS; i++) {
        struct ctl_stream_slot *slot = &stream->slots[i];

        if (slot->state == SLOT_FETCHED && stream->target->takes(stream, slot)) {
            slot->state = SLOT_STORING;
            stream->target->store(stream, slot);
        }
    }
}

/** After a failure the parts that wait for one that will not come are given up, once nothing else
 * is under way. */
static void drop_waiting(struct ctl_stream *stream)
{
    for (unsigned i = 0; i < CTL_STREAM_SLOTS; i++) {
        if (stream->slots[i].state == SLOT_FETCHING || stream->slots[i].state == SLOT_STORING) {
            return;
        }
    }
    stream->busy = 0;
}

static void go_on(struct ctl_stream *stream)
{
    offer_parts(stream);
    if (stream->err.rc == RC_OK) {
        start_parts(stream);
    }
    if (stream->err.rc != RC_OK) {
        drop_waiting(stream);
    }
    if (stream->busy > 0) {
        return;
    }
    if (stream->err.rc != RC_OK) {
        stream->target->give_up(stream);
    } else {
        stream->target->close(stream);
    }
}

void ctl_stream_stored(struct ctl_stream_slot *slot, const struct err *err)
{
    struct ctl_stream *stream = slot->stream;

    slot->state = SLOT_FREE;
    stream->busy--;
    note(stream, err);
    if (err == NULL) {
        stream->stored_bytes += slot->len;
        tell_progress(stream);
    }
    go_on(stream);
}

static void on_fetched(const struct err *err, void *arg)
{
    struct ctl_stream_slot *slot = arg;
    struct ctl_stream *stream = slot->stream;

    if (err != NULL) {
        ctl_stream_stored(slot, err);
        return;
    }
    slot->state = SLOT_FETCHED;
    go_on(stream);
}

static void fetch(struct ctl_stream *stream, struct ctl_stream_slot *slot, unsigned part)
{
    *slot = (struct ctl_stream_slot){.stream = stream,
                                     .state = SLOT_FETCHING,
                                     .part = part,
                                     .offset = part * stream->part_bytes,
                                     .len = part_len(stream, part),
                                     .bytes = slot->bytes};
    if (slot->bytes == NULL) {
        slot->bytes = mem_try(1, (size_t)stream->part_bytes);
    }
    if (slot->bytes == NULL) {
        slot->state = SLOT_FREE;
        err_set(&stream->err, RC_LIMIT, "no memory for a part of '%.200s'", stream->from_key);
        return;
    }
    stream->busy++;
    s3_get(stream->from, stream->from_bucket, stream->from_key, NULL, stream->from_etag,
           slot->offset, slot->len, slot->bytes, on_fetched, slot);
}

static void start_parts(struct ctl_stream *stream)
{
    for (unsigned i = 0; i < CTL_STREAM_SLOTS; i++) {
        while (stream->next < stream->parts &&
               stream->target->has(stream, stream->next, part_len(stream, stream->next))) {
            stream->stored_bytes += part_len(stream, stream->next++);
            tell_progress(stream);
        }
        if (stream->err.rc != RC_OK || stream->next == stream->parts) {
            return;
        }
        if (stream->slots[i].state == SLOT_FREE) {
            fetch(stream, &stream->slots[i], stream->next++);
        }
    }
}

void ctl_stream_opened(struct ctl_stream *stream, const struct err *err)
{
    if (err != NULL) {
        ctl_stream_ended(stream, err);
        return;
    }
    go_on(stream);
}

/** At most S3_PARTS_MAX of them. */
static uint64_t choose_part(uint64_t size)
{
    const uint64_t least = (size + S3_PARTS_MAX - 1) / S3_PARTS_MAX;

    return MAX_OF((uint64_t)CTL_STREAM_PART, (least + MIB - 1) / MIB * MIB);
}

static char *copy_of(const char *text)
{
    return text != NULL ? str_dup(text) : NULL;
}

void ctl_stream(const struct ctl_stream_options *options, ctl_stream_fn *done, void *arg)
{
    struct ctl_stream *stream = mem_new(struct ctl_stream);

    *stream = (struct ctl_stream){
        .loop = options->loop,
        .work = options->work,
        .from = options->from,
        .to = options->to,
        .from_bucket = str_dup(options->from_bucket),
        .from_key = str_dup(options->from_key),
        .from_etag = copy_of(options->from_etag),
        .path = copy_of(options->path),
        .bucket = copy_of(options->bucket),
        .key = copy_of(options->key),
        .size = options->size,
        .part_bytes = choose_part(options->size),
        .resume = options->resume,
        .progress = options->progress,
        .done = done,
        .arg = arg,
        .target = options->path != NULL ? &ctl_stream_file : &ctl_stream_s3,
        .fd = -1,
    };
    stream->parts = (unsigned)((stream->size + stream->part_bytes - 1) / stream->part_bytes);
    stream->target->open(stream);
}
